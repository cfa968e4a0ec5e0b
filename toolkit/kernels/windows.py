"""Rolling windows: mean, deviation, extremes and how long ago they were.

A window that holds a value that is not finite gives NaN, and only such a window does.

All of them split a window where two blocks meet (blocks of `window` bars, counted from the first bar): the tail of the
block before plus the head of the block at hand. Nothing is ever subtracted, so nothing outside of a window is felt inside
of it, there is no drift, and one more bar at the end changes no earlier value. A ring serves both blocks: from `place` on
it has the tails, ring[k] summing up bars k and later of the block before; below, where no tail is needed any more, the
values of the block at hand, of which the tails are made when it is complete.
Source: M. van Herk, A fast algorithm for local minimum and maximum filters, Pattern Recognition Letters 13 (1992).
"""

from __future__ import annotations

import numpy as np
from numba.core import types

from toolkit.kernels.comoments import scattered
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, intrinsic, larger, root, smaller, where


@intrinsic
def after(typing, memory, items):
    """The memory after its first `items`, as a pointer: an array would ask at each access whether the index is negative."""
    return memory(memory, types.int64), lambda context, builder, sig, args: builder.gep(args[0], [args[1]])


@inline
def finite(value):
    """The value, NaN where it is not finite: infinity times zero."""
    return fma(value, 0.0, value)


@inline
def blank(tails, t):
    """Before the first bar there is no block: windows that reach there are NaN."""
    if t == 0:
        for k in range(tails.size):
            tails[k] = tails[k] + np.nan


@inline
def summed(value, head, place, ring, window):
    """(total, head, place): the sum of the window that ends with this value."""
    ring[place] = value
    head = head + value
    place += 1
    if place < window:
        total = ring[place] + head
    else:
        total = 0.0
        for k in range(window - 1, -1, -1):
            total = total + ring[k]
            ring[k] = total
        head, place = 0.0, 0
    return total, head, place


@Kernel
def mean(inputs, outputs, memory, room, parameters, t, n):
    """Plain mean. A window of equal values has exactly that mean: two averages of a flat price never seem to cross."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    window = int(parameters[0])
    ring, share, place = after(memory, 3), 1.0 / window, t % window
    head, last, equal = state[0], state[1], state[2]
    blank(column(ring, window), t)
    for bar in range(n):
        value = x[bar]
        equal = where(value == last, equal + 1.0, 1.0)
        last = value
        total, head, place = summed(value, head, place, ring, window)
        out[bar] = finite(where(equal >= parameters[0], value, total * share))
    state[0], state[1], state[2] = head, last, equal


@inline
def scatter(total, squares, share):
    """Sum of squares about the mean, from sums about a pivot; 0 where rounding left less, NaN where not finite."""
    return finite(larger(0.0, fma(-(total * share), total, squares)))


@Kernel
def deviation(inputs, outputs, memory, room, parameters, t, n):
    """Standard deviation with `window - ddof` in the denominator; exactly 0 for equal values."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    window = int(parameters[0])
    ring, squared, place = after(memory, 3), after(memory, 3 + window), t % window
    scale, head, square_head, pivot = 1.0 / (window - parameters[1]), state[0], state[1], state[2]
    blank(column(ring, window), t)
    for bar in range(n):
        _, squares, head, square_head, pivot, place = scattered(x[bar], head, square_head, pivot, place, ring, squared, window)
        out[bar] = root(finite(squares) * scale)
    state[0], state[1], state[2] = head, square_head, pivot


@inline
def standing(value):
    """The value, infinity where it is not finite: the extreme of a window for as long as it is in there."""
    return smaller(finite(value), np.inf)


@inline
def topped(value, head, place, ring, window):
    """(most, head, place): the largest of the window that ends with this value."""
    ring[place] = value
    head = larger(head, value)
    place += 1
    if place < window:
        most = larger(ring[place], head)
    else:
        most = value
        for k in range(window - 1, -1, -1):
            most = larger(most, ring[k])
            ring[k] = most
        head, place = -np.inf, 0
    return most, head, place


@Kernel
def extreme(inputs, outputs, memory, room, parameters, t, n):
    """Maximum for sign 1.0, minimum for sign -1.0."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    window, sign = int(parameters[0]), parameters[1]
    ring, place, head = after(memory, 1), t % window, state[0]
    if t == 0:
        head = head - np.inf
        for k in range(window):
            ring[k] = np.inf
    for bar in range(n):
        most, head, place = topped(standing(sign * x[bar]), head, place, ring, window)
        out[bar] = finite(sign * most)
    state[0] = head


@Kernel
def age(inputs, outputs, memory, room, parameters, t, n):
    """Bars since the maximum for sign 1.0, the minimum for sign -1.0; the latest of several."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    window, sign = int(parameters[0]), parameters[1]
    ring, times, place = after(memory, 2), after(memory, 2 + window), t % window
    head, time = state[0], state[1]
    if t == 0:
        head = head - np.inf
        for k in range(window):
            ring[k] = np.inf
    for bar in range(n):
        now, value = float(t + bar), standing(sign * x[bar])
        ring[place] = value
        time = where(value >= head, now, time)
        head = larger(head, value)
        place += 1
        if place < window:
            older = ring[place] > head
            most, since = where(older, ring[place], head), now - where(older, times[place], time)
        else:
            most, since = value, 0.0
            for k in range(window - 1, -1, -1):
                since = where(ring[k] > most, float(window - 1 - k), since)
                most = larger(most, ring[k])
                ring[k], times[k] = most, now - since
            head, place = -np.inf, 0
        out[bar] = where(most < np.inf, since, np.nan)
    state[0], state[1] = head, time
