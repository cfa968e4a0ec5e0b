"""True ranges and their average."""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import begun, shares, sound, unbroken
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, larger, smaller, where


@inline
def atr_bars(high, low, close, out, state, span, steady):
    weight = 1.0 / span
    count, average, last = state[0], state[1], state[2]
    for bar in range(close.size):
        ok = sound(high[bar], steady) & sound(low[bar], steady) & sound(close[bar], steady)
        true_range = larger(high[bar], last) - smaller(low[bar], last)
        ranged = ok & sound(last, steady)
        last = where(ok, close[bar], last)
        keep, take, count, known = shares(ranged, count, span, weight, steady)
        average = fma(keep, average, take * where(ranged, true_range, 0.0))
        out[bar] = where(known, average, np.nan)
    state[0], state[1], state[2] = count, average, last


@Kernel
def atr(inputs, outputs, memory, room, parameters, t, n):
    """Wilder average of the true range, which begins at the second bar: it needs a close before."""
    high, low, close = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n)
    out, state, span = column(outputs[0], n), column(memory, room), parameters[0]
    if t == 0:
        state[2] = state[2] + np.nan  # no close before the first
    if begun(state[0], span) and unbroken(high) and unbroken(low) and unbroken(close):
        atr_bars(high, low, close, out, state, span, True)
    else:
        atr_bars(high, low, close, out, state, span, False)
