"""Momentum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import talib

from toolkit.signals import macd, rsi

from .averages import plain_ema
from .case import Case, Outputs, smoothed


def lines_of(close: np.ndarray, average: Callable[[np.ndarray, int], np.ndarray]) -> Outputs:
    line = average(close, 12) - average(close, 26)
    signal = np.full(len(line), np.nan)
    signal[25:] = average(line[25:], 9)
    return line, signal, line - signal


def plain_rsi(close: np.ndarray, window: int) -> np.ndarray:
    """Wilder's own words: 100 - 100 / (1 + relative strength)."""
    changes = np.diff(close)
    gains = smoothed(np.maximum(changes, 0.0), window, 1.0 / window)
    losses = smoothed(np.maximum(-changes, 0.0), window, 1.0 / window)
    with np.errstate(divide="ignore"):
        return np.concatenate([[np.nan], 100.0 - 100.0 / (1.0 + gains / losses)])


TABLE = {
    "macd": Case(
        lambda bars: tuple(macd(bars.close)),
        {
            "definition": lambda one: lines_of(one.close, plain_ema),
            "TA-Lib": lambda one: lines_of(one.close, talib.EMA),
        },
        window=0,
        note="talib.MACD seeds the fast average at the bar of the slow one; ours is the difference of two plain EMAs",
    ),
    "rsi": Case(
        lambda bars: (rsi(bars.close, 14),),
        {
            "definition": lambda one: (plain_rsi(one.close, 14),),
            "TA-Lib": lambda one: (talib.RSI(one.close, 14),),
        },
        window=0,
        power=0,
        note="a price that never moved: 50 here, 0 in TA-Lib",
    ),
}
