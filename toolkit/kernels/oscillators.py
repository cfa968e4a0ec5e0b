"""Where a price lies in what went before: stochastic, williams_r, cci, ultimate_oscillator, aroon.

Windows are split where blocks meet, as in `windows`. Where high, low and close have been one price throughout, a share of
their range is a half: no strength on either side.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import absolute, column, larger, smaller, where
from toolkit.kernels.momentum import rsi_into
from toolkit.kernels.windows import (
    after,
    finite,
    or_infinity,
    prefill,
    prefill_range,
    window_argmax,
    window_range,
    window_sum,
)  # fmt: skip


@inline
def ratio_or_half(part, total):
    """part / total, a half where there is neither, NaN where it is not finite."""
    return where((total == 0.0) & (part == 0.0), 0.5, finite(part / total))


@inline
def stochastic_bars(high, low, close, k, d, memory, window, smooth, signal, t):
    """raw = (close - lowest) / (highest - lowest), k = mean of raw, d = mean of k; both times 100 at the end: never above."""
    rings, k_ring, d_ring = after(memory, 4), after(memory, 4 + 2 * window), after(memory, 4 + 2 * window + smooth)
    place, k_place, d_place = t % window, t % smooth, t % signal
    prefill(memory, 2, -np.inf, t)
    prefill(rings, 2 * window, np.inf, t)
    prefill(k_ring, smooth + signal, np.nan, t)
    heads, k_head, d_head = (memory[0], memory[1]), memory[2], memory[3]
    inverse_smooth, inverse_signal = 1.0 / smooth, 1.0 / signal
    for bar in range(k.size):
        highest, lowest, heads, place = window_range(high[bar], low[bar], heads, place, rings, window)
        raw = ratio_or_half(close[bar] - lowest, finite(highest - lowest))
        total, k_head, k_place = window_sum(raw, k_head, k_place, k_ring, smooth)
        k_mean = finite(total * inverse_smooth)
        total, d_head, d_place = window_sum(k_mean, d_head, d_place, d_ring, signal)
        k[bar], d[bar] = 100.0 * k_mean, 100.0 * finite(total * inverse_signal)
    memory[0], memory[1], memory[2], memory[3] = heads[0], heads[1], k_head, d_head


@Kernel
def stochastic(inputs, outputs, memory, room, parameters, t, n):
    """k = mean of 100 * (close - lowest low) / (highest high - lowest low) over `smooth` bars, d = mean of k over `signal`."""
    high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n)
    window, smooth, signal = int(parameters[0]), int(parameters[1]), int(parameters[2])
    stochastic_bars(high, low, close, column(outputs[0], n), column(outputs[1], n), memory, window, smooth, signal, t)


@Kernel
def stochastic_rsi(inputs, outputs, memory, room, parameters, t, n):
    """stochastic of rsi, which is its own high, low and close."""
    k, d = column(outputs[0], n), column(outputs[1], n)
    window, smooth, signal = int(parameters[1]), int(parameters[2]), int(parameters[3])
    rsi_into(column(inputs[0], n), k, memory, parameters[0], t, n)
    stochastic_bars(k, k, k, k, d, after(memory, 4), window, smooth, signal, t)


@Kernel
def williams_r(inputs, outputs, memory, room, parameters, t, n):
    """-100 * (highest high - close) / (highest high - lowest low)."""
    high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n)
    out, window = column(outputs[0], n), int(parameters[0])
    rings, place = after(memory, 2), t % window
    prefill_range(memory, window, t)
    heads = memory[0], memory[1]
    for bar in range(n):
        highest, lowest, heads, place = window_range(high[bar], low[bar], heads, place, rings, window)
        out[bar] = 0.0 - 100.0 * ratio_or_half(highest - close[bar], finite(highest - lowest))
    memory[0], memory[1] = heads


@Kernel
def cci(inputs, outputs, memory, room, parameters, t, n):
    """(price - mean) / (0.015 * mean distance from the mean), price = (high + low + close) / 3; 0 where it never moved.

    All about the newest price, so that a price that never moved has distances of exactly 0. The third of a sum and the
    1 / window of a mean are above and below the line, and left out.
    """
    high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n)
    out, window = column(outputs[0], n), int(parameters[0])
    place, ring, inverse_window = t % window, memory, 1.0 / window
    prefill(ring, window, np.nan, t)
    for bar in range(n):
        price = high[bar] + low[bar] + close[bar]
        ring[place] = price
        place = place + 1 if place + 1 < window else 0
        total = distances = 0.0
        for k in range(window):
            total = total + (price - ring[k])
        mean = total * inverse_window
        for k in range(window):
            distances = distances + absolute((price - ring[k]) - mean)
        out[bar] = where(distances == 0.0, 0.0, finite(total / (0.015 * distances)))


@inline
def pressure(buying, true_range, heads, place, rings, window):
    """(ratio, heads, place): sum of the buying pressure over the sum of the true ranges, of the window that ends with these."""
    bought, buying_head, _ = window_sum(buying, heads[0], place, rings, window)
    ranges, range_head, place = window_sum(true_range, heads[1], place, after(rings, window), window)
    return ratio_or_half(bought, ranges), (buying_head, range_head), place


@Kernel
def ultimate_oscillator(inputs, outputs, memory, room, parameters, t, n):
    """100 * (4 * short + 2 * middle + long) / 7, each a sum of buying pressure over a sum of true ranges.

    buying pressure = close - true low, true range = true high - true low, where the close before counts as high and low.
    """
    high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n)
    out, n_short, n_middle, n_long = column(outputs[0], n), int(parameters[0]), int(parameters[1]), int(parameters[2])
    short_rings = after(memory, 7)
    middle_rings = after(short_rings, 2 * n_short)
    long_rings = after(middle_rings, 2 * n_middle)
    short_heads, middle_heads, long_heads = (memory[0], memory[1]), (memory[2], memory[3]), (memory[4], memory[5])
    short_place, middle_place, long_place = t % n_short, t % n_middle, t % n_long
    prefill(after(memory, 6), 1 + 2 * (n_short + n_middle + n_long), np.nan, t)  # no close before the first, no block
    last = memory[6]
    for bar in range(n):
        true_low, all_prices = smaller(low[bar], last), high[bar] + low[bar] + close[bar] + last
        buying = where(all_prices - all_prices == 0.0, close[bar] - true_low, np.nan)
        true_range = larger(high[bar], last) - true_low
        last = close[bar]
        short, short_heads, short_place = pressure(buying, true_range, short_heads, short_place, short_rings, n_short)
        middle, middle_heads, middle_place = pressure(buying, true_range, middle_heads, middle_place, middle_rings, n_middle)
        long, long_heads, long_place = pressure(buying, true_range, long_heads, long_place, long_rings, n_long)
        out[bar] = 100.0 * ((4.0 * short + 2.0 * middle + long) * (1.0 / 7.0))
    memory[0], memory[1], memory[2], memory[3] = short_heads[0], short_heads[1], middle_heads[0], middle_heads[1]
    memory[4], memory[5], memory[6] = long_heads[0], long_heads[1], last


@Kernel
def aroon(inputs, outputs, memory, room, parameters, t, n):
    """up = 100 * (window - bars since the highest high) / window, down likewise of the lowest low, oscillator = up - down.

    Both look back over `window` bars before this one.
    """
    high, low = column(inputs[0], n), column(inputs[1], n)
    up_out, down_out, oscillator = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    window = parameters[0]
    size = int(window) + 1
    highs, lows, high_times, low_times = (
        after(memory, 4), after(memory, 4 + size), after(memory, 4 + 2 * size), after(memory, 4 + 3 * size)
    )  # fmt: skip
    place = t % size
    prefill(memory, 2, -np.inf, t)
    prefill(highs, 2 * size, np.inf, t)
    high_head, low_head, high_time, low_time = memory[0], memory[1], memory[2], memory[3]
    for bar in range(n):
        now, top, bottom = float(t + bar), or_infinity(high[bar]), or_infinity(-low[bar])
        since, high_head, high_time, _ = window_argmax(top, now, high_head, high_time, place, highs, high_times, size)
        up = 100.0 * ((window - since) / window)
        since, low_head, low_time, place = window_argmax(bottom, now, low_head, low_time, place, lows, low_times, size)
        down = 100.0 * ((window - since) / window)
        up_out[bar], down_out[bar], oscillator[bar] = up, down, up - down
    memory[0], memory[1], memory[2], memory[3] = high_head, low_head, high_time, low_time
