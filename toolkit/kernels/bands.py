"""Bands around a rolling mean, and the channel of highs and lows."""

from __future__ import annotations

import numpy as np

from toolkit.kernels.comoments import scattered
from toolkit.kernels.jit import Kernel
from toolkit.kernels.lanes import column, root, where
from toolkit.kernels.windows import after, blank, finite, standing, summed, topped


@Kernel
def bollinger(inputs, outputs, memory, room, parameters, t, n):
    """middle = mean, lower and upper = middle -+ width * population deviation; sums as in `windows`."""
    x, state = column(inputs[0], n), column(memory, room)
    lower, middle, upper = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    window, width = int(parameters[0]), parameters[1]
    share, place = 1.0 / window, t % window
    sums, tails, squared = after(memory, 6), after(memory, 6 + window), after(memory, 6 + 2 * window)
    level_head, head, square_head, pivot, last, equal = state[0], state[1], state[2], state[3], state[4], state[5]
    blank(column(sums, window), t)
    for bar in range(n):
        value = x[bar]
        equal = where(value == last, equal + 1.0, 1.0)
        last = value
        level, level_head, _ = summed(value, level_head, place, sums, window)
        _, squares, head, square_head, pivot, place = scattered(value, head, square_head, pivot, place, tails, squared, window)
        mean = finite(where(equal >= parameters[0], value, level * share))
        reach = width * root(finite(squares) * share)
        lower[bar], middle[bar], upper[bar] = mean - reach, mean, mean + reach
    state[0], state[1], state[2], state[3], state[4], state[5] = level_head, head, square_head, pivot, last, equal


@Kernel
def donchian(inputs, outputs, memory, room, parameters, t, n):
    """upper = maximum of the highs, lower = minimum of the lows, middle halfway."""
    high, low, state = column(inputs[0], n), column(inputs[1], n), column(memory, room)
    lower, middle, upper = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    window = int(parameters[0])
    highs, lows, place = after(memory, 2), after(memory, 2 + window), t % window
    high_head, low_head = state[0], state[1]
    if t == 0:
        high_head, low_head = high_head - np.inf, low_head - np.inf
        for k in range(window):
            highs[k], lows[k] = np.inf, np.inf
    for bar in range(n):
        most, high_head, _ = topped(standing(high[bar]), high_head, place, highs, window)
        least, low_head, place = topped(standing(-low[bar]), low_head, place, lows, window)
        top, bottom = finite(most), finite(-least)
        lower[bar], middle[bar], upper[bar] = bottom, 0.5 * (bottom + top), top
    state[0], state[1] = high_head, low_head
