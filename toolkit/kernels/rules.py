"""Rules of strategies that are told in the same pass as the indicators that they read."""

from __future__ import annotations

import numpy as np

from toolkit.kernels.jit import Kernel
from toolkit.kernels.lanes import column, where


@Kernel
def held_with_trend(inputs, outputs, memory, room, parameters, t, n):
    """1.0 from an entry until an exit, else 0.0; NaN until all four indicators were known, and at bars without a price."""
    price, quick, calm = column(inputs[0], n), column(inputs[1], n), column(inputs[2], n)
    base, strength, out = column(inputs[3], n), column(inputs[4], n), column(outputs[0], n)
    overbought, exhausted = parameters[0], parameters[1]
    known, held = memory[0], memory[1]
    for bar in range(n):
        total = base[bar] + calm[bar] + strength[bar]
        known = where(total - total == 0.0, 1.0, known)
        enters = (quick[bar] > calm[bar]) & (price[bar] > base[bar]) & (strength[bar] < overbought)
        leaves = (quick[bar] < calm[bar]) | (strength[bar] > exhausted)
        held = where(leaves, 0.0, where(enters, 1.0, held))
        out[bar] = where((known > 0.0) & (price[bar] - price[bar] == 0.0), held, np.nan)
    memory[0], memory[1] = known, held
