"""Bands and channels."""

from __future__ import annotations

import statistics

import talib

from toolkit.signals import bollinger

from .case import Case, One, Outputs, exact_mean, rolling


def bands(one: One) -> Outputs:
    middle, spread = rolling(one.close, 20, exact_mean), rolling(one.close, 20, statistics.pstdev)
    return middle - 2.0 * spread, middle, middle + 2.0 * spread


TABLE = {
    "bollinger": Case(
        lambda bars: tuple(bollinger(bars.close)),
        {
            "exact fractions": bands,
            "TA-Lib": lambda one: talib.BBANDS(one.close, 20, 2.0, 2.0)[::-1],
        },
        window=20,
    ),
}
