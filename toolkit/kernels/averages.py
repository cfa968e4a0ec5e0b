"""Averages that remember everything, each older bar with less weight, and what they do at a bar without a price.

Such a bar gives NaN, leaves the average as it was, and the next bar goes on from there. An average begins as the plain mean
of its first `span` values; in the form used here both phases are one multiply-add, `keep * average + take * value`.

Each kernel is written once, in a loop that takes `steady`: true where no value of the stretch is missing and the averages
have begun, so that the compiler drops the questions. Both answers give the same bits.

What all kernels that remember have in common:
    ok      whether the bar has a usable price (`usable`; `sound` asks only where it is not steady)
    count   values that the average has taken in so far; it is known from the `span`-th on
    last    the price before, the last one known, NaN before the first
    settled how many bars of the call come before all averages can be steady (`settling`)
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import absolute, column, every, fma, where

# Beyond this a sum of prices may leave the range of a float, and an average that remembers everything would never heal.
LARGEST = 1e300


@inline
def usable(value):
    """Whether the value is a number that an average may take in."""
    return absolute(value) <= LARGEST


@inline
def sound(value, steady):
    """Whether the value is usable; in a steady stretch it is."""
    return (value == value) | True if steady else usable(value)


@inline
def unbroken(values):
    """Whether all of the values are usable."""
    good = usable(values[0])
    for bar in range(values.size):  # from the first again: whole vectors
        good = good & usable(values[bar])
    return every(good)


@inline
def begun(count, span):
    """Whether every lane has had its first `span` values."""
    return every(count >= span)


@inline
def settling(t, n, least):
    """How many of n bars after t come before averages that need `least` bars can be steady."""
    return min(max(least - t, 0), n)


@inline
def averaged(value, ok, count, average, span, alpha, steady):
    """(average, count, known): average + alpha * (value - average) where ok; the plain mean of the first `span` values."""
    if steady:
        return fma(1.0 - alpha, average, alpha * value), count, ok
    count = count + where(ok, 1.0, 0.0)
    keep = where(ok & (count > span), 1.0 - alpha, 1.0)
    take = where(ok, where(count > span, alpha, 1.0 / span), 0.0)
    return fma(keep, average, take * where(ok, value, 0.0)), count, ok & (count >= span)


@inline
def ema_next(value, ok, count, average, span, steady):
    """(average, count, known) with one more value: alpha = 2 / (span + 1)."""
    return averaged(value, ok, count, average, span, 2.0 / (span + 1.0), steady)


@inline
def wilder_next(value, ok, count, average, span, steady):
    """(average, count, known) with one more value: alpha = 1 / span."""
    return averaged(value, ok, count, average, span, 1.0 / span, steady)


@inline
def ema_bars(x, out, state, span, steady):
    count, average = state[0], state[1]
    for bar in range(x.size):
        average, count, known = ema_next(x[bar], sound(x[bar], steady), count, average, span, steady)
        out[bar] = where(known, average, np.nan)
    state[0], state[1] = count, average


@Kernel
def ema(inputs, outputs, memory, room, parameters, t, n):
    """average += 2 / (span + 1) * (x - average)."""
    x, out, state, span = column(inputs[0], n), column(outputs[0], n), column(memory, room), parameters[0]
    settled = settling(t, n, int(span))
    for begin, end in ((0, settled), (settled, n)):
        if begin < end and begun(state[0], span) and unbroken(x[begin:end]):
            ema_bars(x[begin:end], out[begin:end], state, span, True)
        else:
            ema_bars(x[begin:end], out[begin:end], state, span, False)


@inline
def macd_bars(x, line, signal_line, histogram, state, fast, slow, signal, steady):
    n_fast, n_slow, n_signal, fast_ema, slow_ema, signal_ema = state[0], state[1], state[2], state[3], state[4], state[5]
    for bar in range(x.size):
        ok = sound(x[bar], steady)
        fast_ema, n_fast, _ = ema_next(x[bar], ok, n_fast, fast_ema, fast, steady)
        slow_ema, n_slow, ok = ema_next(x[bar], ok, n_slow, slow_ema, slow, steady)
        macd_line = fast_ema - slow_ema
        signal_ema, n_signal, known = ema_next(macd_line, ok, n_signal, signal_ema, signal, steady)
        line[bar] = where(ok, macd_line, np.nan)
        signal_line[bar] = where(known, signal_ema, np.nan)
        histogram[bar] = where(known, macd_line - signal_ema, np.nan)
    state[0], state[1], state[2], state[3], state[4], state[5] = n_fast, n_slow, n_signal, fast_ema, slow_ema, signal_ema


@Kernel
def macd(inputs, outputs, memory, room, parameters, t, n):
    """line = ema(x, fast) - ema(x, slow), signal line = ema(line, signal), histogram = line - signal line."""
    x, state = column(inputs[0], n), column(memory, room)
    line, signal_line, histogram = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    fast, slow, signal = parameters[0], parameters[1], parameters[2]
    settled = settling(t, n, int(slow + signal) - 1)
    for begin, end in ((0, settled), (settled, n)):
        prices, lines = x[begin:end], line[begin:end]
        signal_lines, histograms = signal_line[begin:end], histogram[begin:end]
        if begin < end and begun(state[2], signal) and unbroken(prices):
            macd_bars(prices, lines, signal_lines, histograms, state, fast, slow, signal, True)
        else:
            macd_bars(prices, lines, signal_lines, histograms, state, fast, slow, signal, False)
