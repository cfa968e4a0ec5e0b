"""Averages of averages that remember: each next one begins when the one before it is known.

What `averages` says of bars without a price holds for the whole chain: NaN there, and all of it goes on at the next bar.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import begun, ema_next, settling, sound, unbroken, usable
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, where
from toolkit.kernels.windows import finite


@inline
def double_bars(x, out, state, span, steady):
    n_once, n_twice, once, twice = state[0], state[1], state[2], state[3]
    for bar in range(x.size):
        once, n_once, known = ema_next(x[bar], sound(x[bar], steady), n_once, once, span, steady)
        twice, n_twice, known = ema_next(once, known, n_twice, twice, span, steady)
        out[bar] = where(known, fma(2.0, once, -twice), np.nan)
    state[0], state[1], state[2], state[3] = n_once, n_twice, once, twice


@Kernel
def dema(inputs, outputs, memory, room, parameters, t, n):
    """2 * once - twice, where once = ema(x), twice = ema(once)."""
    x, out, state, span = column(inputs[0], n), column(outputs[0], n), column(memory, room), parameters[0]
    settled = settling(t, n, 2 * int(span) - 1)
    for begin, end in ((0, settled), (settled, n)):
        if begin < end and begun(state[1], span) and unbroken(x[begin:end]):
            double_bars(x[begin:end], out[begin:end], state, span, True)
        else:
            double_bars(x[begin:end], out[begin:end], state, span, False)


@inline
def triple_bars(x, out, state, span, steady, rate):
    """tema, or with `rate` trix, the rate of change of the last average."""
    n_once, n_twice, n_thrice, once, twice, thrice = state[0], state[1], state[2], state[3], state[4], state[5]
    for bar in range(x.size):
        before, n_before = thrice, n_thrice
        once, n_once, known = ema_next(x[bar], sound(x[bar], steady), n_once, once, span, steady)
        twice, n_twice, known = ema_next(once, known, n_twice, twice, span, steady)
        thrice, n_thrice, known = ema_next(twice, known, n_thrice, thrice, span, steady)
        if rate:
            out[bar] = where(known & (n_before >= span), finite((thrice - before) / before), np.nan)
        else:
            out[bar] = where(known, fma(3.0, once - twice, thrice), np.nan)
    state[0], state[1], state[2], state[3], state[4], state[5] = n_once, n_twice, n_thrice, once, twice, thrice


@inline
def triple(x, out, state, span, rate, t, n):
    settled = settling(t, n, 3 * int(span) - 2)
    for begin, end in ((0, settled), (settled, n)):
        if begin < end and begun(state[2], span) and unbroken(x[begin:end]):
            triple_bars(x[begin:end], out[begin:end], state, span, True, rate)
        else:
            triple_bars(x[begin:end], out[begin:end], state, span, False, rate)


@Kernel
def tema(inputs, outputs, memory, room, parameters, t, n):
    """3 * once - 3 * twice + thrice, where once = ema(x), twice = ema(once), thrice = ema(twice)."""
    triple(column(inputs[0], n), column(outputs[0], n), column(memory, room), parameters[0], False, t, n)


@Kernel
def trix(inputs, outputs, memory, room, parameters, t, n):
    """(thrice - thrice before) / thrice before, where thrice = ema(ema(ema(x)))."""
    triple(column(inputs[0], n), column(outputs[0], n), column(memory, room), parameters[0], True, t, n)


@inline
def ppo_bars(x, line, signal_line, histogram, state, fast, slow, signal, steady):
    n_fast, n_slow, n_signal, fast_ema, slow_ema, signal_ema = state[0], state[1], state[2], state[3], state[4], state[5]
    for bar in range(x.size):
        ok = sound(x[bar], steady)
        fast_ema, n_fast, _ = ema_next(x[bar], ok, n_fast, fast_ema, fast, steady)
        slow_ema, n_slow, ok = ema_next(x[bar], ok, n_slow, slow_ema, slow, steady)
        ppo_line = 100.0 * ((fast_ema - slow_ema) / slow_ema)
        ok = ok & usable(ppo_line)
        signal_ema, n_signal, known = ema_next(ppo_line, ok, n_signal, signal_ema, signal, False)
        line[bar] = where(ok, ppo_line, np.nan)
        signal_line[bar] = where(known, signal_ema, np.nan)
        histogram[bar] = where(known, ppo_line - signal_ema, np.nan)
    state[0], state[1], state[2], state[3], state[4], state[5] = n_fast, n_slow, n_signal, fast_ema, slow_ema, signal_ema


@Kernel
def ppo(inputs, outputs, memory, room, parameters, t, n):
    """line = 100 * (ema(x, fast) - ema(x, slow)) / ema(x, slow), signal line = ema(line, signal), histogram = their difference.

    A slow average of zero makes a line that is no number even where no price is missing: the signal always asks.
    """
    x, state = column(inputs[0], n), column(memory, room)
    line, signal_line, histogram = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    fast, slow, signal = parameters[0], parameters[1], parameters[2]
    settled = settling(t, n, int(slow))
    for begin, end in ((0, settled), (settled, n)):
        prices, lines = x[begin:end], line[begin:end]
        signal_lines, histograms = signal_line[begin:end], histogram[begin:end]
        if begin < end and begun(state[1], slow) and unbroken(prices):
            ppo_bars(prices, lines, signal_lines, histograms, state, fast, slow, signal, True)
        else:
            ppo_bars(prices, lines, signal_lines, histograms, state, fast, slow, signal, False)
