"""What depends on the order of the values in a window: rank, quantiles.

No sum splits these, so each bar goes through its whole window, eight symbols at a time. A quantile needs the window in
order: the values are kept sorted, and one pass takes the oldest out and puts the newest in.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.jit import Kernel
from toolkit.kernels.lanes import column, fma, larger, smaller, where
from toolkit.kernels.windows import after, or_infinity, prefill


@Kernel
def rank(inputs, outputs, memory, room, parameters, t, n):
    """Rank of the newest value in the window, over `unit`: half of 1 + values below + values not above, so that ties share."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    window, unit = int(parameters[0]), parameters[1]
    ring, place, n_finite = after(memory, 1), t % window, state[0]
    for bar in range(n):
        value = x[bar]
        ring[place] = value
        place = place + 1 if place + 1 < window else 0
        n_finite = where(value - value == 0.0, n_finite + 1.0, 0.0)
        below = reached = 0.0
        for k in range(window):
            below = below + where(ring[k] < value, 1.0, 0.0)
            reached = reached + where(ring[k] <= value, 1.0, 0.0)
        out[bar] = where(n_finite >= parameters[0], 0.5 * (1.0 + below + reached) / unit, np.nan)
    state[0] = n_finite


@Kernel
def quantile(inputs, outputs, memory, room, parameters, t, n):
    """Value at quantile * (window - 1) of the window in order, from 0; on the line between two neighbours.

    A value that is not finite stands as infinity, at the end: then there is no quantile.
    """
    x, out = column(inputs[0], n), column(outputs[0], n)
    window, position = int(parameters[0]), parameters[1] * (parameters[0] - 1.0)
    ring, ordered, place = memory, after(memory, window), t % window
    lower = int(position)
    upper, fraction = min(lower + 1, window - 1), position - lower
    prefill(memory, 2 * window, np.inf, t)
    for bar in range(n):
        value, gone = or_infinity(x[bar]), ring[place]
        ring[place] = value
        place = place + 1 if place + 1 < window else 0
        before = -np.inf
        for k in range(window - 1):
            rest = where(ordered[k] < gone, ordered[k], ordered[k + 1])
            ordered[k] = larger(before, smaller(rest, value))
            before = rest
        ordered[window - 1] = larger(before, value)
        a, b = ordered[lower], ordered[upper]
        between = fma(fraction, b, fma(-fraction, a, a))
        out[bar] = where(ordered[window - 1] < np.inf, larger(a, smaller(b, between)), np.nan)
