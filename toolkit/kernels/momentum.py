"""How far and how steadily prices have moved: rsi."""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import begun, shares, sound, unbroken
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, larger, where


@inline
def rsi_bars(x, out, state, span, steady):
    weight = 1.0 / span
    count, gains, losses, last = state[0], state[1], state[2], state[3]
    for bar in range(x.size):
        ok = sound(x[bar], steady)
        change = x[bar] - last
        last = where(ok, x[bar], last)
        moved = ok & sound(change, steady)
        keep, take, count, known = shares(moved, count, span, weight, steady)
        gains = fma(keep, gains, take * where(moved, larger(change, 0.0), 0.0))
        losses = fma(keep, losses, take * where(moved, larger(-change, 0.0), 0.0))
        both = gains + losses
        out[bar] = where(known, where(both > 0.0, 100.0 * (gains / both), 50.0), np.nan)
    state[0], state[1], state[2], state[3] = count, gains, losses, last


@Kernel
def rsi(inputs, outputs, memory, room, parameters, t, n):
    """100 * gains / (gains + losses), both Wilder averages of the changes; 50 where there are neither."""
    x, out, state, span = column(inputs[0], n), column(outputs[0], n), column(memory, room), parameters[0]
    if t == 0:
        state[3] = state[3] + np.nan  # no price before the first
    if begun(state[0], span) and unbroken(x):
        rsi_bars(x, out, state, span, True)
    else:
        rsi_bars(x, out, state, span, False)
