"""Rolling windows: mean, extremes and how long ago they were.

A window that holds a value that is not finite gives NaN, and only such a window does.

All of them split a window where two blocks meet (blocks of `window` bars, counted from the first bar): the tail of the
block before plus the head of the block at hand. Nothing is ever subtracted, so nothing outside of a window is felt inside
of it, there is no drift, and one more bar at the end changes no earlier value. A ring serves both blocks: from `place` on
it has the tails, ring[k] summing up bars k and later of the block before; below, where no tail is needed any more, the
values of the block at hand, of which the tails are made when it is complete.
Source: M. van Herk, A fast algorithm for local minimum and maximum filters, Pattern Recognition Letters 13 (1992).

What all kernels that have a window carry from bar to bar:
    place   where the bar lies in its block, t % window; 0 again when the block is complete
    head    sum, maximum, ... of the block at hand so far
    ring    `window` items of memory, as above; `after(memory, k)` is the memory behind its first k items
    pivot   the value where two blocks meet: distances are taken from it (see `comoments`)
"""

from __future__ import annotations

import numpy as np
from numba.core import types

from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, intrinsic, larger, smaller, where


@intrinsic
def after(typing, memory, items):
    """The memory after its first `items`, as a pointer: an array would ask at each access whether the index is negative."""
    return memory(memory, types.int64), lambda context, builder, sig, args: builder.gep(args[0], [args[1]])


@inline
def finite(value):
    """The value, NaN where it is not finite: infinity times zero."""
    return fma(value, 0.0, value)


@inline
def or_infinity(value):
    """The value, infinity where it is not finite: the maximum of a window for as long as it is in there.

    A zero loses its sign: of two equal extremes the order in which they are met would decide.
    """
    return smaller(finite(value) + 0.0, np.inf)


@inline
def prefill(items, size, value, t):
    """Before the first bar: NaN into the tails of sums, infinity into those of extremes, so that windows there have neither."""
    if t == 0:
        for k in range(size):
            items[k] = value


@inline
def run_length(value, last, count):
    """Bars for which the value has been what it is."""
    return where(value == last, count + 1.0, 1.0)


@inline
def window_sum(value, head, place, ring, window):
    """(sum, head, place): the sum of the window that ends with this value."""
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
    """Sum / window. A window of equal values has exactly that mean: two averages of a flat price never seem to cross."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    window = int(parameters[0])
    ring, inverse_window, place = after(memory, 3), 1.0 / window, t % window
    head, last, equal = state[0], state[1], state[2]
    prefill(ring, window, np.nan, t)
    for bar in range(n):
        value = x[bar]
        equal, last = run_length(value, last, equal), value
        total, head, place = window_sum(value, head, place, ring, window)
        out[bar] = finite(where(equal >= parameters[0], value, total * inverse_window))
    state[0], state[1], state[2] = head, last, equal


@inline
def squares_about_mean(total, squares, inverse_window):
    """squares - total^2 / window, from sums about a pivot; 0 where rounding left less, NaN where not finite."""
    return finite(larger(0.0, fma(-(total * inverse_window), total, squares)))


@inline
def window_max(value, head, place, ring, window):
    """(maximum, head, place): the largest of the window that ends with this value."""
    ring[place] = value
    head = larger(head, value)
    place += 1
    if place < window:
        maximum = larger(ring[place], head)
    else:
        maximum = value
        for k in range(window - 1, -1, -1):
            maximum = larger(maximum, ring[k])
            ring[k] = maximum
        head, place = -np.inf, 0
    return maximum, head, place


@Kernel
def extreme(inputs, outputs, memory, room, parameters, t, n):
    """Maximum for sign 1.0, minimum for sign -1.0."""
    x, out = column(inputs[0], n), column(outputs[0], n)
    window, sign = int(parameters[0]), parameters[1]
    ring, place = after(memory, 1), t % window
    prefill(memory, 1, -np.inf, t)
    prefill(ring, window, np.inf, t)
    head = memory[0]
    for bar in range(n):
        maximum, head, place = window_max(or_infinity(sign * x[bar]), head, place, ring, window)
        out[bar] = finite(sign * maximum)
    memory[0] = head


@inline
def prefill_range(memory, window, t):
    """Before the first bar: two heads of maxima, and their two rings behind them."""
    prefill(memory, 2, -np.inf, t)
    prefill(after(memory, 2), 2 * window, np.inf, t)


@inline
def window_range(high, low, heads, place, rings, window):
    """(highest high, lowest low, heads, place) of the window, infinite where a value is not finite; lows are kept negated."""
    highest, high_head, _ = window_max(or_infinity(high), heads[0], place, rings, window)
    highest_negated, low_head, place = window_max(or_infinity(-low), heads[1], place, after(rings, window), window)
    return highest, -highest_negated, (high_head, low_head), place


@inline
def window_argmax(value, now, head, time, place, ring, times, window):
    """(bars since the largest of the window, the latest of several, NaN if it is infinite; head, its time, place)."""
    ring[place] = value
    time = where(value >= head, now, time)
    head = larger(head, value)
    place += 1
    if place < window:
        older = ring[place] > head
        maximum, since = where(older, ring[place], head), now - where(older, times[place], time)
    else:
        maximum, latest = value, now
        for k in range(window - 1, -1, -1):
            latest = where(ring[k] > maximum, now - float(window - 1 - k), latest)
            maximum = larger(maximum, ring[k])
            ring[k], times[k] = maximum, latest
        since = now - latest
        head, place = -np.inf, 0
    return where(maximum < np.inf, since, np.nan), head, time, place


@Kernel
def age(inputs, outputs, memory, room, parameters, t, n):
    """Bars since the maximum for sign 1.0, the minimum for sign -1.0; the latest of several."""
    x, out = column(inputs[0], n), column(outputs[0], n)
    window, sign = int(parameters[0]), parameters[1]
    ring, times, place = after(memory, 2), after(memory, 2 + window), t % window
    prefill(memory, 1, -np.inf, t)
    prefill(ring, window, np.inf, t)
    head, time = memory[0], memory[1]
    for bar in range(n):
        value, now = or_infinity(sign * x[bar]), float(t + bar)
        out[bar], head, time, place = window_argmax(value, now, head, time, place, ring, times, window)
    memory[0], memory[1] = head, time
