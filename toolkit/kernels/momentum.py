"""How far and how steadily prices have moved: rsi, momentum, roc."""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import begun, settling, sound, unbroken, wilder_next
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, larger, where
from toolkit.kernels.windows import after, finite, prefill


@inline
def rsi_bars(x, out, state, span, steady):
    count, gains, losses, last = state[0], state[1], state[2], state[3]
    for bar in range(x.size):
        ok, change = sound(x[bar], steady), x[bar] - last
        last = where(ok, x[bar], last)
        ok = ok & sound(change, steady)
        gains, _, _ = wilder_next(larger(change, 0.0), ok, count, gains, span, steady)
        losses, count, known = wilder_next(larger(-change, 0.0), ok, count, losses, span, steady)
        both = gains + losses
        out[bar] = where(known, where(both > 0.0, 100.0 * (gains / both), 50.0), np.nan)
    state[0], state[1], state[2], state[3] = count, gains, losses, last


@inline
def rsi_into(x, out, memory, span, t, n):
    """rsi of n bars into `out`, from four items of memory."""
    prefill(after(memory, 3), 1, np.nan, t)  # no price before the first
    state, settled = column(memory, 4), settling(t, n, int(span) + 1)
    for begin, end in ((0, settled), (settled, n)):
        if begin < end and begun(state[0], span) and unbroken(x[begin:end]):
            rsi_bars(x[begin:end], out[begin:end], state, span, True)
        else:
            rsi_bars(x[begin:end], out[begin:end], state, span, False)


@Kernel
def rsi(inputs, outputs, memory, room, parameters, t, n):
    """100 * gains / (gains + losses), both Wilder averages of the changes; 50 where there are neither."""
    rsi_into(column(inputs[0], n), column(outputs[0], n), memory, parameters[0], t, n)


@inline
def difference(value, before, relative):
    """value - before, or that over what was before."""
    return finite((value - before) / before if relative else value - before)


@inline
def differences(x, out, ring, window, relative, t, n):
    """`difference` to what x was `window` bars ago; the ring holds the last bars of the call before."""
    prefill(ring, window, np.nan, t)
    place = t % window
    here = min(n, window)
    for bar in range(here):
        out[bar] = difference(x[bar], ring[place], relative)
        place = place + 1 if place + 1 < window else 0
    later, later_out = x[here:], out[here:]
    for bar in range(n - here):
        later_out[bar] = difference(later[bar], x[bar], relative)
    place = (t + n - here) % window
    for bar in range(n - here, n):
        ring[place] = x[bar]
        place = place + 1 if place + 1 < window else 0


@Kernel
def momentum(inputs, outputs, memory, room, parameters, t, n):
    """x - x `window` bars ago."""
    differences(column(inputs[0], n), column(outputs[0], n), memory, int(parameters[0]), False, t, n)


@Kernel
def roc(inputs, outputs, memory, room, parameters, t, n):
    """(x - x `window` bars ago) / x `window` bars ago."""
    differences(column(inputs[0], n), column(outputs[0], n), memory, int(parameters[0]), True, t, n)
