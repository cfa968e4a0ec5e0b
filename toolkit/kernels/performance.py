"""What an investment has gone through."""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import usable
from toolkit.kernels.jit import Kernel
from toolkit.kernels.lanes import column, larger, where


@Kernel
def drawdown(inputs, outputs, memory, room, parameters, t, n):
    """(value - peak) / peak, peak the largest value so far; a bar without a usable value is passed over."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    peak = state[0]
    for bar in range(n):
        ok = usable(x[bar])
        peak = where(ok, larger(x[bar], peak), peak)
        out[bar] = where(ok & (peak > 0.0), (x[bar] - peak) / peak, np.nan)
    state[0] = peak
