"""Bands around a rolling mean, and the channel of highs and lows."""

from __future__ import annotations

import numpy as np

from toolkit.kernels.comoments import window_squares
from toolkit.kernels.jit import Kernel
from toolkit.kernels.lanes import column, root, where
from toolkit.kernels.windows import after, finite, prefill, prefill_range, run_length, window_range, window_sum


@Kernel
def bollinger(inputs, outputs, memory, room, parameters, t, n):
    """middle = mean, lower and upper = middle -+ width * population deviation; sums as in `windows`."""
    x, state = column(inputs[0], n), column(memory, room)
    lower, middle, upper = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    window, width = int(parameters[0]), parameters[1]
    inverse_window, place = 1.0 / window, t % window
    sums, means, squared = after(memory, 6), after(memory, 6 + window), after(memory, 6 + 2 * window)
    sum_head, head, square_head, pivot, last, equal = state[0], state[1], state[2], state[3], state[4], state[5]
    prefill(sums, window, np.nan, t)
    for bar in range(n):
        value = x[bar]
        equal, last = run_length(value, last, equal), value
        total, sum_head, _ = window_sum(value, sum_head, place, sums, window)
        _, squares, head, square_head, pivot, place = window_squares(
            value, head, square_head, pivot, place, means, squared, window
        )
        mean = finite(where(equal >= parameters[0], value, total * inverse_window))
        half_width = width * root(finite(squares) * inverse_window)
        lower[bar], middle[bar], upper[bar] = mean - half_width, mean, mean + half_width
    state[0], state[1], state[2], state[3], state[4], state[5] = sum_head, head, square_head, pivot, last, equal


@Kernel
def donchian(inputs, outputs, memory, room, parameters, t, n):
    """upper = maximum of the highs, lower = minimum of the lows, middle halfway."""
    high, low = column(inputs[0], n), column(inputs[1], n)
    lower, middle, upper = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    window = int(parameters[0])
    rings, place = after(memory, 2), t % window
    prefill_range(memory, window, t)
    heads = memory[0], memory[1]
    for bar in range(n):
        highest, lowest, heads, place = window_range(high[bar], low[bar], heads, place, rings, window)
        top, bottom = finite(highest), finite(lowest)
        lower[bar], middle[bar], upper[bar] = bottom, 0.5 * (bottom + top), top
    memory[0], memory[1] = heads
