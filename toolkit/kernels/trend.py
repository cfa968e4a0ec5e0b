"""Where prices are heading: directional movement, the stop and reverse, supertrend, midpoints of ranges.

What remembers passes over a bar without a usable high, low or close, as in `averages`.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import begun, shares, sound, unbroken
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import absolute, column, fma, larger, smaller, where


@inline
def adx_bars(high, low, close, out, plus_out, minus_out, state, span, steady):
    weight = 1.0 / span
    count, rises, falls, ranges = state[0], state[1], state[2], state[3]
    last_high, last_low, last_close, n_indices, average = state[4], state[5], state[6], state[7], state[8]
    for bar in range(close.size):
        ok = sound(high[bar], steady) & sound(low[bar], steady) & sound(close[bar], steady)
        up, down = larger(high[bar] - last_high, 0.0), larger(last_low - low[bar], 0.0)
        true_range = larger(high[bar], last_close) - smaller(low[bar], last_close)
        moved = ok & sound(last_close, steady)
        last_high, last_low = where(ok, high[bar], last_high), where(ok, low[bar], last_low)
        last_close = where(ok, close[bar], last_close)
        count = count if steady else count + where(moved, 1.0, 0.0)
        keep = 1.0 - weight if steady else where(moved & (count >= span), 1.0 - weight, 1.0)
        rises = fma(keep, rises, where(moved & (up > down), weight * up, 0.0))
        falls = fma(keep, falls, where(moved & (down > up), weight * down, 0.0))
        ranges = fma(keep, ranges, where(moved, weight * true_range, 0.0))
        directed = moved if steady else moved & (count >= span)
        share, both = where(ranges > 0.0, 100.0 / ranges, 0.0), rises + falls
        index = where(both > 0.0, 100.0 * (absolute(rises - falls) / both), 0.0)
        keep, take, n_indices, known = shares(directed, n_indices, span, weight, steady)
        average = fma(keep, average, take * where(directed, index, 0.0))
        out[bar] = where(known, average, np.nan)
        plus_out[bar], minus_out[bar] = where(directed, rises * share, np.nan), where(directed, falls * share, np.nan)
    state[0], state[1], state[2], state[3] = count, rises, falls, ranges
    state[4], state[5], state[6], state[7], state[8] = last_high, last_low, last_close, n_indices, average


@Kernel
def adx(inputs, outputs, memory, room, parameters, t, n):
    """plus, minus = 100 * (rises, falls) / true ranges, Wilder averages; adx = their average of 100 |plus - minus| / (plus + minus).

    The averages under the ratios begin with `span` - 1 moves, the `span`-th is already smoothed in.
    """
    high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n)
    out, plus_out, minus_out = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    state, span = column(memory, room), parameters[0]
    if t == 0:
        state[6] = state[6] + np.nan  # no close before the first
    if begun(state[7], span) and unbroken(high) and unbroken(low) and unbroken(close):
        adx_bars(high, low, close, out, plus_out, minus_out, state, span, True)
    else:
        adx_bars(high, low, close, out, plus_out, minus_out, state, span, False)
