"""Averages of averages that remember: each next one begins when the one before it is known.

What `averages` says of bars without a price holds for the whole chain: NaN there, and all of it goes on at the next bar.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import begun, settling, sound, unbroken, usable
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, where
from toolkit.kernels.windows import finite


@inline
def link(value, new, count, average, span, steady):
    """(average, count of its values, known) after one more value where `new` is 1; known is 1 where the average is new too."""
    weight = 2.0 / (span + 1.0)
    if steady:
        return fma(1.0 - weight, average, weight * value), count, new
    count = count + new
    grown = count > span
    taken = where(grown, weight, 1.0 / span) * value
    average = where(new > 0.0, fma(where(grown, 1.0 - weight, 1.0), average, taken), average)
    return average, count, where(count >= span, new, 0.0)


@inline
def double_bars(x, out, state, span, steady):
    n_once, n_twice, once, twice = state[0], state[1], state[2], state[3]
    for bar in range(x.size):
        new = where(sound(x[bar], steady), 1.0, 0.0)
        once, n_once, new = link(x[bar], new, n_once, once, span, steady)
        twice, n_twice, new = link(once, new, n_twice, twice, span, steady)
        out[bar] = where(new > 0.0, fma(2.0, once, -twice), np.nan)
    state[0], state[1], state[2], state[3] = n_once, n_twice, once, twice


@Kernel
def dema(inputs, outputs, memory, room, parameters, t, n):
    """2 * once - twice, where once = ema(x), twice = ema(once)."""
    x, out, state, span = column(inputs[0], n), column(outputs[0], n), column(memory, room), parameters[0]
    middle = settling(t, n, 2 * int(span) - 1)
    for first, last in ((0, middle), (middle, n)):
        if first < last and begun(state[1], span) and unbroken(x[first:last]):
            double_bars(x[first:last], out[first:last], state, span, True)
        else:
            double_bars(x[first:last], out[first:last], state, span, False)


@inline
def triple_bars(x, out, state, span, steady, change):
    """tema, or with `change` trix."""
    n_once, n_twice, n_thrice, once, twice, thrice = state[0], state[1], state[2], state[3], state[4], state[5]
    for bar in range(x.size):
        before, had, new = thrice, n_thrice, where(sound(x[bar], steady), 1.0, 0.0)
        once, n_once, new = link(x[bar], new, n_once, once, span, steady)
        twice, n_twice, new = link(once, new, n_twice, twice, span, steady)
        thrice, n_thrice, new = link(twice, new, n_thrice, thrice, span, steady)
        if change:
            out[bar] = where((new > 0.0) & (had >= span), finite((thrice - before) / before), np.nan)
        else:
            out[bar] = where(new > 0.0, fma(3.0, once - twice, thrice), np.nan)
    state[0], state[1], state[2], state[3], state[4], state[5] = n_once, n_twice, n_thrice, once, twice, thrice


@inline
def triple(x, out, state, span, change, t, n):
    middle = settling(t, n, 3 * int(span) - 2)
    for first, last in ((0, middle), (middle, n)):
        if first < last and begun(state[2], span) and unbroken(x[first:last]):
            triple_bars(x[first:last], out[first:last], state, span, True, change)
        else:
            triple_bars(x[first:last], out[first:last], state, span, False, change)


@Kernel
def tema(inputs, outputs, memory, room, parameters, t, n):
    """3 * once - 3 * twice + thrice, where once = ema(x), twice = ema(once), thrice = ema(twice)."""
    triple(column(inputs[0], n), column(outputs[0], n), column(memory, room), parameters[0], False, t, n)


@Kernel
def trix(inputs, outputs, memory, room, parameters, t, n):
    """Change of thrice = ema(ema(ema(x))) over what it was when last known."""
    triple(column(inputs[0], n), column(outputs[0], n), column(memory, room), parameters[0], True, t, n)


@inline
def ppo_bars(x, line, smooth_line, histogram, state, fast, slow, signal, steady):
    n_quick, n_calm, n_smooth, quick, calm, smooth = state[0], state[1], state[2], state[3], state[4], state[5]
    for bar in range(x.size):
        new = where(sound(x[bar], steady), 1.0, 0.0)
        quick, n_quick, _ = link(x[bar], new, n_quick, quick, fast, steady)
        calm, n_calm, new = link(x[bar], new, n_calm, calm, slow, steady)
        gap = 100.0 * ((quick - calm) / calm)
        new = where(usable(gap), new, 0.0)
        smooth, n_smooth, known = link(gap, new, n_smooth, smooth, signal, False)
        line[bar] = where(new > 0.0, gap, np.nan)
        smooth_line[bar] = where(known > 0.0, smooth, np.nan)
        histogram[bar] = where(known > 0.0, gap - smooth, np.nan)
    state[0], state[1], state[2], state[3], state[4], state[5] = n_quick, n_calm, n_smooth, quick, calm, smooth


@Kernel
def ppo(inputs, outputs, memory, room, parameters, t, n):
    """line = 100 * (ema(fast) - ema(slow)) / ema(slow), smooth_line = ema(line, signal), histogram = line - smooth_line.

    A slow average of zero makes a line that is no number even where no price is missing: the signal always asks.
    """
    x, state = column(inputs[0], n), column(memory, room)
    line, smooth_line, histogram = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    fast, slow, signal = parameters[0], parameters[1], parameters[2]
    middle = settling(t, n, int(slow))
    for first, last in ((0, middle), (middle, n)):
        values, lines = x[first:last], line[first:last]
        smooth_lines, histograms = smooth_line[first:last], histogram[first:last]
        if first < last and begun(state[1], slow) and unbroken(values):
            ppo_bars(values, lines, smooth_lines, histograms, state, fast, slow, signal, True)
        else:
            ppo_bars(values, lines, smooth_lines, histograms, state, fast, slow, signal, False)
