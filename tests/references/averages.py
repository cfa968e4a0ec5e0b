"""Moving averages."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import talib

from toolkit.signals import ema, sma

from .case import Case, One, exact_mean, rolling, smoothed


def plain_ema(values: Iterable[float], span: int) -> np.ndarray:
    return smoothed(values, span, 2.0 / (span + 1.0))


def pandas_ema(close: np.ndarray, span: int) -> np.ndarray:
    """pandas' own recursion, started from the mean of the first `span` values."""
    started = close.copy()
    started[: span - 1], started[span - 1] = np.nan, close[:span].mean()
    return pd.Series(started).ewm(span=span, adjust=False).mean().to_numpy()


def pandas_sma(one: One) -> tuple[np.ndarray]:
    return (pd.Series(one.close).rolling(20).mean().to_numpy(),)


TABLE = {
    "sma": Case(
        lambda bars: (sma(bars.close, 20),),
        {
            "definition": lambda one: (rolling(one.close, 20, exact_mean),),
            "TA-Lib": lambda one: (talib.SMA(one.close, 20),),
            "pandas": pandas_sma,
        },
        window=20,
    ),
    "ema": Case(
        lambda bars: (ema(bars.close, 20),),
        {
            "definition": lambda one: (plain_ema(one.close, 20),),
            "TA-Lib": lambda one: (talib.EMA(one.close, 20),),
            "pandas": lambda one: (pandas_ema(one.close, 20),),
        },
        window=0,
        note="pandas' ewm starts from the first price; it is given the same seed here",
    ),
}
