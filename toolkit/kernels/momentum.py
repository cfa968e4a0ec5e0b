"""How far and how steadily prices have moved: rsi, momentum, roc."""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import begun, settling, shares, sound, unbroken
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, larger, where
from toolkit.kernels.windows import blank, finite


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


@inline
def strengths(x, out, state, span, t, n):
    """rsi of n bars into `out`, from four items of memory."""
    if t == 0:
        state[3] = state[3] + np.nan  # no price before the first
    middle = settling(t, n, int(span) + 1)
    for first, last in ((0, middle), (middle, n)):
        if first < last and begun(state[0], span) and unbroken(x[first:last]):
            rsi_bars(x[first:last], out[first:last], state, span, True)
        else:
            rsi_bars(x[first:last], out[first:last], state, span, False)


@Kernel
def rsi(inputs, outputs, memory, room, parameters, t, n):
    """100 * gains / (gains + losses), both Wilder averages of the changes; 50 where there are neither."""
    strengths(column(inputs[0], n), column(outputs[0], n), memory, parameters[0], t, n)


@inline
def change(value, before, relative):
    return finite((value - before) / before if relative else value - before)


@inline
def compared(x, out, ring, window, relative, t, n):
    """x less what it was `window` bars ago, over that if relative; the ring holds the last bars of the call before."""
    blank(column(ring, window), t)
    place = t % window
    here = min(n, window)
    for bar in range(here):
        out[bar] = change(x[bar], ring[place], relative)
        place = place + 1 if place + 1 < window else 0
    later, results = x[here:], out[here:]
    for bar in range(n - here):
        results[bar] = change(later[bar], x[bar], relative)
    place = (t + n - here) % window
    for bar in range(n - here, n):
        ring[place] = x[bar]
        place = place + 1 if place + 1 < window else 0


@Kernel
def momentum(inputs, outputs, memory, room, parameters, t, n):
    """x - x `window` bars ago."""
    compared(column(inputs[0], n), column(outputs[0], n), memory, int(parameters[0]), False, t, n)


@Kernel
def roc(inputs, outputs, memory, room, parameters, t, n):
    """(x - x `window` bars ago) / x `window` bars ago."""
    compared(column(inputs[0], n), column(outputs[0], n), memory, int(parameters[0]), True, t, n)
