"""Bands and channels."""

from __future__ import annotations

import statistics

import pandas as pd
import talib

from toolkit.signals.indicators import bands as ours

from .case import Case, One, Outputs, exact_mean, rolling


def bands(one: One) -> Outputs:
    middle, spread = rolling(one.close, 20, exact_mean), rolling(one.close, 20, statistics.pstdev)
    return middle - 2.0 * spread, middle, middle + 2.0 * spread


def channel(lower: pd.Series, upper: pd.Series) -> Outputs:
    return lower, (lower + upper) / 2.0, upper


TABLE = {
    "bollinger": Case(
        ours.bollinger(),
        {
            "exact fractions": bands,
            "TA-Lib": lambda one: talib.BBANDS(one.close, 20, 2.0, 2.0)[::-1],
        },
        window=20,
    ),
    "donchian": Case(
        ours.donchian(20),
        {
            "definition": lambda one: channel(rolling(one.low, 20, min), rolling(one.high, 20, max)),
            "TA-Lib": lambda one: channel(talib.MIN(one.low, 20), talib.MAX(one.high, 20)),
            "pandas": lambda one: channel(
                pd.Series(one.low).rolling(20).min().to_numpy(), pd.Series(one.high).rolling(20).max().to_numpy()
            ),
        },
        window=20,
        tolerance=0.0,
    ),
}
