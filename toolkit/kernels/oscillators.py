"""Where a price lies in what went before: stochastic, williams_r, cci, ultimate_oscillator, aroon.

Windows are split where blocks meet, as in `windows`. Where high, low and close have been one price throughout, a share of
their range is a half: no strength on either side.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import absolute, column, larger, smaller, where
from toolkit.kernels.momentum import strengths
from toolkit.kernels.windows import after, blank, finite, standing, summed


@inline
def share(part, whole):
    """part / whole, a half where there is neither, NaN where it is not finite."""
    return where((whole == 0.0) & (part == 0.0), 0.5, finite(part / whole))


@inline
def unfilled(heads, rings, window, t):
    """Before the first bar two heads of blocks are empty, and windows that reach before it have no extreme."""
    if t == 0:
        heads[0], heads[1] = -np.inf, -np.inf
        for k in range(2 * window):
            rings[k] = np.inf


@inline
def ranged(high, low, heads, place, rings, window):
    """(highest high, lowest low, heads, place) of the window, infinite where a value is not finite; lows are kept negated."""
    highs, lows = rings, after(rings, window)
    highs[place], lows[place] = standing(high), standing(-low)
    most, least = highs[place], lows[place]
    high_head, low_head = larger(heads[0], most), larger(heads[1], least)
    place += 1
    if place < window:
        most, least = larger(highs[place], high_head), larger(lows[place], low_head)
    else:
        for k in range(window - 1, -1, -1):
            most, least = larger(most, highs[k]), larger(least, lows[k])
            highs[k], lows[k] = most, least
        high_head, low_head, place = -np.inf, -np.inf, 0
    return most, -least, (high_head, low_head), place


@inline
def smoothed(high, low, close, k, d, memory, window, smooth, signal, t):
    """raw = (close - lowest) / (highest - lowest), k = mean of raw, d = mean of k; both times 100 at the end: never above."""
    rings = after(memory, 4)
    k_ring, d_ring = after(memory, 4 + 2 * window), after(memory, 4 + 2 * window + smooth)
    place, k_place, d_place = t % window, t % smooth, t % signal
    unfilled(memory, rings, window, t)
    blank(column(k_ring, smooth + signal), t)
    heads, k_head, d_head = (memory[0], memory[1]), memory[2], memory[3]
    k_part, d_part = 1.0 / smooth, 1.0 / signal
    for bar in range(k.size):
        top, bottom, heads, place = ranged(high[bar], low[bar], heads, place, rings, window)
        raw = share(close[bar] - bottom, finite(top - bottom))
        total, k_head, k_place = summed(raw, k_head, k_place, k_ring, smooth)
        slow = finite(total * k_part)
        total, d_head, d_place = summed(slow, d_head, d_place, d_ring, signal)
        k[bar], d[bar] = 100.0 * slow, 100.0 * finite(total * d_part)
    memory[0], memory[1], memory[2], memory[3] = heads[0], heads[1], k_head, d_head


@Kernel
def stochastic(inputs, outputs, memory, room, parameters, t, n):
    """k = mean of 100 * (close - lowest low) / (highest high - lowest low) over `smooth` bars, d = mean of k over `signal`."""
    high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n)
    window, smooth, signal = int(parameters[0]), int(parameters[1]), int(parameters[2])
    smoothed(high, low, close, column(outputs[0], n), column(outputs[1], n), memory, window, smooth, signal, t)


@Kernel
def stochastic_rsi(inputs, outputs, memory, room, parameters, t, n):
    """stochastic of rsi, which is its own high, low and close."""
    k, d = column(outputs[0], n), column(outputs[1], n)
    window, smooth, signal = int(parameters[1]), int(parameters[2]), int(parameters[3])
    strengths(column(inputs[0], n), k, memory, parameters[0], t, n)
    smoothed(k, k, k, k, d, after(memory, 4), window, smooth, signal, t)


@Kernel
def williams_r(inputs, outputs, memory, room, parameters, t, n):
    """-100 * (highest high - close) / (highest high - lowest low)."""
    high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n)
    out, window = column(outputs[0], n), int(parameters[0])
    rings, place = after(memory, 2), t % window
    unfilled(memory, rings, window, t)
    heads = memory[0], memory[1]
    for bar in range(n):
        top, bottom, heads, place = ranged(high[bar], low[bar], heads, place, rings, window)
        out[bar] = 0.0 - 100.0 * share(top - close[bar], finite(top - bottom))
    memory[0], memory[1] = heads


@Kernel
def cci(inputs, outputs, memory, room, parameters, t, n):
    """(price - mean) / (0.015 * mean distance from the mean), price = (high + low + close) / 3; 0 where it never moved.

    All about the newest price, so that a price that never moved has distances of exactly 0. The third of a sum and the
    share of a mean are above and below the line, and left out.
    """
    high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n)
    out, window = column(outputs[0], n), int(parameters[0])
    place, ring, part = t % window, memory, 1.0 / window
    blank(column(ring, window), t)
    for bar in range(n):
        price = high[bar] + low[bar] + close[bar]
        ring[place] = price
        place = place + 1 if place + 1 < window else 0
        total = distances = 0.0
        for k in range(window):
            total = total + (price - ring[k])
        mean = total * part
        for k in range(window):
            distances = distances + absolute((price - ring[k]) - mean)
        out[bar] = where(distances == 0.0, 0.0, finite(total / (0.015 * distances)))


@inline
def pressure(bought, ranged, heads, place, rings, window):
    """(share, heads, place): sum of what was bought over the sum of the ranges, of the window that ends with these."""
    ranges, bought_head, ranged_head = after(rings, window), heads[0] + bought, heads[1] + ranged
    rings[place], ranges[place] = bought, ranged
    place += 1
    if place < window:
        part, whole = rings[place] + bought_head, ranges[place] + ranged_head
    else:
        part = whole = 0.0
        for k in range(window - 1, -1, -1):
            part, whole = part + rings[k], whole + ranges[k]
            rings[k], ranges[k] = part, whole
        bought_head, ranged_head, place = 0.0, 0.0, 0
    return share(part, whole), (bought_head, ranged_head), place


@Kernel
def ultimate_oscillator(inputs, outputs, memory, room, parameters, t, n):
    """100 * (4 * short + 2 * middle + long) / 7, each a sum of buying pressure over a sum of true ranges.

    buying pressure = close - true low, true range = true high - true low, where the close before counts as high and low.
    """
    high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n)
    out, a, b, c = column(outputs[0], n), int(parameters[0]), int(parameters[1]), int(parameters[2])
    a_rings, b_rings, c_rings = after(memory, 7), after(memory, 7 + 2 * a), after(memory, 7 + 2 * a + 2 * b)
    a_heads, b_heads, c_heads = (memory[0], memory[1]), (memory[2], memory[3]), (memory[4], memory[5])
    a_place, b_place, c_place, last = t % a, t % b, t % c, memory[6]
    blank(column(a_rings, 2 * (a + b + c)), t)
    if t == 0:
        last = last + np.nan  # no close before the first
    for bar in range(n):
        lowest, whole = smaller(low[bar], last), high[bar] + low[bar] + close[bar] + last
        bought = where(whole - whole == 0.0, close[bar] - lowest, np.nan)
        true_range = larger(high[bar], last) - lowest
        last = close[bar]
        short, a_heads, a_place = pressure(bought, true_range, a_heads, a_place, a_rings, a)
        middle, b_heads, b_place = pressure(bought, true_range, b_heads, b_place, b_rings, b)
        long, c_heads, c_place = pressure(bought, true_range, c_heads, c_place, c_rings, c)
        out[bar] = 100.0 * ((4.0 * short + 2.0 * middle + long) * (1.0 / 7.0))
    memory[0], memory[1], memory[2], memory[3] = a_heads[0], a_heads[1], b_heads[0], b_heads[1]
    memory[4], memory[5], memory[6] = c_heads[0], c_heads[1], last


@inline
def aged(value, now, head, time, place, ring, times, window):
    """(bars since the largest of the window, the latest of several, NaN if it is infinite; head, its time, place)."""
    ring[place] = value
    time = where(value >= head, now, time)
    head = larger(head, value)
    place += 1
    if place < window:
        older = ring[place] > head
        most, since = where(older, ring[place], head), now - where(older, times[place], time)
    else:
        most, since = head, now - time
        top, at = value, now
        for k in range(window - 1, -1, -1):
            at = where(ring[k] > top, now - float(window - 1 - k), at)
            top = larger(top, ring[k])
            ring[k], times[k] = top, at
        head, place = -np.inf, 0
    return where(most < np.inf, since, np.nan), head, time, place


@Kernel
def aroon(inputs, outputs, memory, room, parameters, t, n):
    """up = 100 * (window - bars since the highest high) / window, down likewise of the lowest low, oscillator = up - down.

    Both look back over `window` bars before this one.
    """
    high, low = column(inputs[0], n), column(inputs[1], n)
    up, down, oscillator = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    window = parameters[0]
    size = int(window) + 1
    highs, lows, high_times, low_times = (
        after(memory, 4), after(memory, 4 + size), after(memory, 4 + 2 * size), after(memory, 4 + 3 * size)
    )  # fmt: skip
    place = t % size
    unfilled(memory, highs, size, t)
    high_head, low_head, high_time, low_time = memory[0], memory[1], memory[2], memory[3]
    for bar in range(n):
        now = float(t + bar)
        since, high_head, high_time, _ = aged(standing(high[bar]), now, high_head, high_time, place, highs, high_times, size)
        rise = 100.0 * ((window - since) / window)
        since, low_head, low_time, place = aged(standing(-low[bar]), now, low_head, low_time, place, lows, low_times, size)
        fall = 100.0 * ((window - since) / window)
        up[bar], down[bar], oscillator[bar] = rise, fall, rise - fall
    memory[0], memory[1], memory[2], memory[3] = high_head, low_head, high_time, low_time
