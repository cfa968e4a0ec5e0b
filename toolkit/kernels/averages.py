"""Averages that remember everything, each older bar with less weight, and what they do at a bar without a price.

Such a bar gives NaN, leaves the average as it was, and the next bar goes on from there. An average begins as the plain mean
of its first `span` values; in the form used here both phases are one multiply-add, `keep * average + take * value`.

Each kernel is written once, in a loop that takes `steady`: true where no value of the stretch is missing and the averages
have begun, so that the compiler drops the questions. Both answers give the same bits.
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
def shares(ok, count, span, weight, steady):
    """(keep, take, count, known): what stays of the average, what of the value is added, values so far, average known."""
    if steady:
        return 1.0 - weight, weight, count, ok
    count = count + where(ok, 1.0, 0.0)
    keep = where(ok & (count > span), 1.0 - weight, 1.0)
    take = where(ok, where(count > span, weight, 1.0 / span), 0.0)
    return keep, take, count, ok & (count >= span)


@inline
def ema_bars(x, out, state, span, steady):
    weight = 2.0 / (span + 1.0)
    count, average = state[0], state[1]
    for bar in range(x.size):
        ok = sound(x[bar], steady)
        keep, take, count, known = shares(ok, count, span, weight, steady)
        average = fma(keep, average, take * where(ok, x[bar], 0.0))
        out[bar] = where(known, average, np.nan)
    state[0], state[1] = count, average


@Kernel
def ema(inputs, outputs, memory, room, parameters, t, n):
    """2 / (span + 1) of the newest value, the rest of the average before."""
    x, out, state, span = column(inputs[0], n), column(outputs[0], n), column(memory, room), parameters[0]
    middle = settling(t, n, int(span))
    for first, last in ((0, middle), (middle, n)):
        if first < last and begun(state[0], span) and unbroken(x[first:last]):
            ema_bars(x[first:last], out[first:last], state, span, True)
        else:
            ema_bars(x[first:last], out[first:last], state, span, False)


@inline
def macd_bars(x, line, smooth_line, histogram, state, fast, slow, signal, steady):
    quick_weight, calm_weight, weight = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0), 2.0 / (signal + 1.0)
    n_quick, n_calm, n_smooth, quick, calm, smooth = state[0], state[1], state[2], state[3], state[4], state[5]
    for bar in range(x.size):
        ok = sound(x[bar], steady)
        value = where(ok, x[bar], 0.0)
        keep, take, n_quick, _ = shares(ok, n_quick, fast, quick_weight, steady)
        quick = fma(keep, quick, take * value)
        keep, take, n_calm, both = shares(ok, n_calm, slow, calm_weight, steady)
        calm = fma(keep, calm, take * value)
        gap = quick - calm
        keep, take, n_smooth, known = shares(both, n_smooth, signal, weight, steady)
        smooth = fma(keep, smooth, take * where(both, gap, 0.0))
        line[bar] = where(both, gap, np.nan)
        smooth_line[bar] = where(known, smooth, np.nan)
        histogram[bar] = where(known, gap - smooth, np.nan)
    state[0], state[1], state[2], state[3], state[4], state[5] = n_quick, n_calm, n_smooth, quick, calm, smooth


@Kernel
def macd(inputs, outputs, memory, room, parameters, t, n):
    """line = ema(fast) - ema(slow), smooth_line = ema(line, signal), histogram = line - smooth_line."""
    x, state = column(inputs[0], n), column(memory, room)
    line, smooth_line, histogram = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    fast, slow, signal = parameters[0], parameters[1], parameters[2]
    middle = settling(t, n, int(slow + signal) - 1)
    for first, last in ((0, middle), (middle, n)):
        values, lines = x[first:last], line[first:last]
        smooth_lines, histograms = smooth_line[first:last], histogram[first:last]
        if first < last and begun(state[2], signal) and unbroken(values):
            macd_bars(values, lines, smooth_lines, histograms, state, fast, slow, signal, True)
        else:
            macd_bars(values, lines, smooth_lines, histograms, state, fast, slow, signal, False)
