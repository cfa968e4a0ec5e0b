"""Volatility of prices, by the year, and returns against it. Logarithms are of ratios, so that no unit of price is felt.

Windows are split as in `windows`: a bar whose prices are not all positive numbers gives NaN to the windows that hold it.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import sound, unbroken, usable
from toolkit.kernels.comoments import window_squares
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, every, fma, root, where
from toolkit.kernels.logarithm import log
from toolkit.kernels.windows import after, finite, prefill, window_sum


@inline
def log_ratio(value, before):
    """log(value / before), NaN unless what was before is above zero; not finite unless the value is, too."""
    return log(where(before > 0.0, value / before, np.nan))


@inline
def returns_window(x, out, memory, parameters, t, relative):
    """Deviation of logarithmic returns, or with `relative` the mean of plain returns over their deviation; times a factor."""
    state, window, factor = column(memory, 4), int(parameters[0]), parameters[2]
    means, squared, place = after(memory, 4), after(memory, 4 + window), t % window
    scale = 1.0 / (window - parameters[1])
    head, square_head, pivot, last = state[0], state[1], state[2], state[3]
    prefill(means, window, np.nan, t)
    if t == 0:
        last = last + np.nan
    for bar in range(x.size):
        simple_return = where(last > 0.0, (x[bar] - last) / last, np.nan)
        value = simple_return if relative else log_ratio(x[bar], last)
        last = x[bar]
        mean, squares, head, square_head, pivot, place = window_squares(
            value, head, square_head, pivot, place, means, squared, window
        )
        deviation = root(finite(squares * scale))
        out[bar] = finite(factor * ((pivot + mean) / deviation)) if relative else factor * deviation
    state[0], state[1], state[2], state[3] = head, square_head, pivot, last


@Kernel
def close_to_close(inputs, outputs, memory, room, parameters, t, n):
    """Standard deviation of log(close / close before) over `window` returns, times a factor."""
    returns_window(column(inputs[0], n), column(outputs[0], n), memory, parameters, t, False)


@Kernel
def sharpe(inputs, outputs, memory, room, parameters, t, n):
    """Mean / standard deviation of close / close before - 1 over `window` returns, times a factor."""
    returns_window(column(inputs[0], n), column(outputs[0], n), memory, parameters, t, True)


@inline
def rogers_satchell_term(open_, high, low, close):
    """Rogers and Satchell: up * (up - day) + down * (down - day), logarithms of high, low and close from the open."""
    up, down, day = log_ratio(high, open_), log_ratio(low, open_), log_ratio(close, open_)
    return fma(up, up - day, down * (down - day)), day


@inline
def mean_square(out, memory, parameters, t):
    """Puts root(factor * mean over the window) in the place of each value of `out`."""
    state, ring, window = column(memory, 1), after(memory, 1), int(parameters[0])
    place, scale, head = t % window, parameters[1] / window, state[0]
    prefill(ring, window, np.nan, t)
    for bar in range(out.size):
        total, head, place = window_sum(out[bar], head, place, ring, window)
        out[bar] = root(finite(total * scale))
    state[0] = head


@Kernel
def parkinson(inputs, outputs, memory, room, parameters, t, n):
    """Root of the mean of log(high / low)^2, which is 4 log(2) times the variance, times a factor."""
    high, low, out = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n)
    for bar in range(n):
        log_range = log_ratio(high[bar], low[bar])
        out[bar] = log_range * log_range
    mean_square(out, memory, parameters, t)


@Kernel
def garman_klass(inputs, outputs, memory, room, parameters, t, n):
    """Root of the mean of log(high / low)^2 / 2 - (2 log(2) - 1) log(close / open)^2, times a factor."""
    open_, high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n), column(inputs[3], n)
    out = column(outputs[0], n)
    for bar in range(n):
        log_range, day = log_ratio(high[bar], low[bar]), log_ratio(close[bar], open_[bar])
        out[bar] = fma(0.5 * log_range, log_range, -(parameters[2] * day) * day)
    mean_square(out, memory, parameters, t)


@Kernel
def rogers_satchell(inputs, outputs, memory, room, parameters, t, n):
    """Root of the mean of `rogers_satchell_term`, times a factor."""
    open_, high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n), column(inputs[3], n)
    out = column(outputs[0], n)
    for bar in range(n):
        out[bar], _ = rogers_satchell_term(open_[bar], high[bar], low[bar], close[bar])
    mean_square(out, memory, parameters, t)


@Kernel
def yang_zhang(inputs, outputs, memory, room, parameters, t, n):
    """Root of variance(night) + k * variance(day) + (1 - k) * mean(rogers_satchell_term), times a factor.

    night = log(open / close before), day = log(close / open).
    """
    open_, high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n), column(inputs[3], n)
    out, state, window, factor, k = column(outputs[0], n), column(memory, 8), int(parameters[0]), parameters[1], parameters[2]
    nights, night_squares, days = after(memory, 8), after(memory, 8 + window), after(memory, 8 + 2 * window)
    day_squares, ring, place = after(memory, 8 + 3 * window), after(memory, 8 + 4 * window), t % window
    inverse_window, scale = 1.0 / window, 1.0 / (window - 1.0)
    night_head, night_square, night_pivot, last = state[0], state[1], state[2], state[3]
    day_head, day_square, day_pivot, head = state[4], state[5], state[6], state[7]
    prefill(nights, window, np.nan, t)
    if t == 0:
        last = last + np.nan
    for bar in range(n):
        term, day = rogers_satchell_term(open_[bar], high[bar], low[bar], close[bar])
        night = log_ratio(open_[bar], last)
        last = close[bar]
        _, overnight, night_head, night_square, night_pivot, _ = window_squares(
            night, night_head, night_square, night_pivot, place, nights, night_squares, window
        )
        _, intraday, day_head, day_square, day_pivot, _ = window_squares(
            day, day_head, day_square, day_pivot, place, days, day_squares, window
        )
        total, head, place = window_sum(term, head, place, ring, window)
        variance = fma(1.0 - k, total * inverse_window, fma(k, intraday, overnight) * scale)
        out[bar] = root(finite(variance * factor))
    state[0], state[1], state[2], state[3] = night_head, night_square, night_pivot, last
    state[4], state[5], state[6], state[7] = day_head, day_square, day_pivot, head


@inline
def log_returns(x, out, last):
    """Puts log(close / close before) into `out`, NaN for a bar without a positive price; returns the last such price."""
    good = usable(x[0]) & (x[0] > 0.0)
    for bar in range(x.size):
        good = good & usable(x[bar]) & (x[bar] > 0.0)
    if every(good):
        out[0] = log_ratio(x[0], last)
        for bar in range(1, x.size):
            out[bar] = log_ratio(x[bar], x[bar - 1])
        return x[x.size - 1]
    for bar in range(x.size):
        ok = usable(x[bar]) & (x[bar] > 0.0)
        out[bar] = where(ok, log_ratio(x[bar], last), np.nan)
        last = where(ok, x[bar], last)
    return last


@inline
def ewma_bars(out, state, decay, factor, steady):
    known, variance = state[0], state[1]
    for bar in range(out.size):
        ok, square = sound(out[bar], steady), out[bar] * out[bar]
        keep = decay if steady else where(ok, where(known > 0.0, decay, 0.0), 1.0)
        take = 1.0 - decay if steady else where(known > 0.0, 1.0 - decay, 1.0)
        variance = fma(keep, variance, where(ok, take * square, 0.0))
        known = known if steady else where(ok, 1.0, known)
        out[bar] = where(ok, factor * root(variance), np.nan)
    state[0], state[1] = known, variance


@Kernel
def ewma_volatility(inputs, outputs, memory, room, parameters, t, n):
    """Root of variance = decay * variance + (1 - decay) * log(close / close before)^2, times a factor.

    It begins with the first square; a bar without a positive price is passed over.
    """
    out, state, decay, factor = column(outputs[0], n), column(memory, room), parameters[0], parameters[1]
    state[2] = log_returns(column(inputs[0], n), out, state[2])
    if every(state[0] > 0.0) and unbroken(out):
        ewma_bars(out, state, decay, factor, True)
    else:
        ewma_bars(out, state, decay, factor, False)
