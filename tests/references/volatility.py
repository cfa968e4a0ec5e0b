"""Ranges and volatility."""

from __future__ import annotations

import numpy as np
import talib

from toolkit.signals import atr

from .case import Case, One, smoothed


def true_ranges(one: One) -> np.ndarray:
    before = one.close[:-1]
    return np.max([one.high[1:] - one.low[1:], abs(one.high[1:] - before), abs(one.low[1:] - before)], axis=0)


def plain_atr(one: One, span: int) -> np.ndarray:
    return np.concatenate([[np.nan], smoothed(true_ranges(one), span, 1.0 / span)])


TABLE = {
    "atr": Case(
        lambda bars: (atr(bars, 14),),
        {
            "definition": lambda one: (plain_atr(one, 14),),
            "TA-Lib": lambda one: (talib.ATR(one.high, one.low, one.close, 14),),
        },
        window=0,
    ),
}
