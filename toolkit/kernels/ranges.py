"""True ranges, their average, and bands that are as wide as it.

The first bar has no true range: it needs a close before. A bar without a usable high, low or close is passed over; the
next range reaches back to the last close known.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import begun, ema_next, settling, sound, unbroken, usable, wilder_next
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, every, larger, smaller, where
from toolkit.kernels.windows import finite


@inline
def three(columns, n):
    """The first three inputs or outputs."""
    return column(columns[0], n), column(columns[1], n), column(columns[2], n)


@inline
def all_usable(high, low, close):
    """Whether no bar lacks a usable high, low or close."""
    good = usable(close[0])
    for bar in range(close.size):
        good = good & usable(high[bar]) & usable(low[bar]) & usable(close[bar])
    return every(good)


@inline
def typical_price(high, low, close):
    """(high + low + close) / 3."""
    return (high + low + close) / 3.0


@inline
def range_from(high, low, close, last, steady):
    """(true range, whether the bar has one, whether the bar itself is sound); last is the close before."""
    ok = sound(high, steady) & sound(low, steady) & sound(close, steady)
    return larger(high, last) - smaller(low, last), ok & sound(last, steady), ok


@inline
def true_range_bars(high, low, close, out, state, steady):
    last = state[0]
    for bar in range(close.size):
        tr, has_range, ok = range_from(high[bar], low[bar], close[bar], last, steady)
        last = where(ok, close[bar], last)
        out[bar] = where(has_range, tr, np.nan)
    state[0] = last


@Kernel
def true_range(inputs, outputs, memory, room, parameters, t, n):
    """max(high, close before) - min(low, close before)."""
    high, low, close = three(inputs, n)
    out, state = column(outputs[0], n), column(memory, room)
    if t == 0:
        state[0] = state[0] + np.nan
    if unbroken(state) and all_usable(high, low, close):
        true_range_bars(high, low, close, out, state, True)
    else:
        true_range_bars(high, low, close, out, state, False)


@inline
def atr_bars(high, low, close, out, state, span, relative, steady):
    count, average, last = state[0], state[1], state[2]
    for bar in range(close.size):
        tr, has_range, ok = range_from(high[bar], low[bar], close[bar], last, steady)
        last = where(ok, close[bar], last)
        average, count, known = wilder_next(tr, has_range, count, average, span, steady)
        out[bar] = where(known, finite(average / close[bar]) if relative else average, np.nan)
    state[0], state[1], state[2] = count, average, last


@inline
def average_range(inputs, outputs, memory, room, parameters, t, n, relative):
    high, low, close = three(inputs, n)
    out, state, span = column(outputs[0], n), column(memory, room), parameters[0]
    if t == 0:
        state[2] = state[2] + np.nan
    settled = settling(t, n, int(span) + 1)
    for begin, end in ((0, settled), (settled, n)):
        if begin < end and begun(state[0], span) and all_usable(high[begin:end], low[begin:end], close[begin:end]):
            atr_bars(high[begin:end], low[begin:end], close[begin:end], out[begin:end], state, span, relative, True)
        else:
            atr_bars(high[begin:end], low[begin:end], close[begin:end], out[begin:end], state, span, relative, False)


@Kernel
def atr(inputs, outputs, memory, room, parameters, t, n):
    """Wilder average of the true range."""
    average_range(inputs, outputs, memory, room, parameters, t, n, False)


@Kernel
def natr(inputs, outputs, memory, room, parameters, t, n):
    """Wilder average of the true range / close."""
    average_range(inputs, outputs, memory, room, parameters, t, n, True)


@inline
def keltner_bars(high, low, close, outs, state, span, atr_span, width, steady):
    lower, middle, upper = outs
    n_prices, price_ema, n_ranges, average, last = state[0], state[1], state[2], state[3], state[4]
    for bar in range(close.size):
        tr, has_range, ok = range_from(high[bar], low[bar], close[bar], last, steady)
        last = where(ok, close[bar], last)
        price = typical_price(high[bar], low[bar], close[bar])
        price_ema, n_prices, known = ema_next(price, ok, n_prices, price_ema, span, steady)
        average, n_ranges, has_atr = wilder_next(tr, has_range, n_ranges, average, atr_span, steady)
        centre, half_width = where(known & has_atr, price_ema, np.nan), width * average
        lower[bar], middle[bar], upper[bar] = centre - half_width, centre, centre + half_width
    state[0], state[1], state[2], state[3], state[4] = n_prices, price_ema, n_ranges, average, last


@Kernel
def keltner(inputs, outputs, memory, room, parameters, t, n):
    """middle = ema of (high + low + close) / 3, lower and upper = middle -+ width * atr."""
    high, low, close = three(inputs, n)
    outs, state = three(outputs, n), column(memory, room)
    span, atr_span, width = parameters[0], parameters[1], parameters[2]
    if t == 0:
        state[4] = state[4] + np.nan
    if begun(state[0], span) and begun(state[2], atr_span) and all_usable(high, low, close):
        keltner_bars(high, low, close, outs, state, span, atr_span, width, True)
    else:
        keltner_bars(high, low, close, outs, state, span, atr_span, width, False)
