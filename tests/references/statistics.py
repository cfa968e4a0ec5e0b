"""Rolling statistics: moments and extremes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pandas as pd
import talib

from toolkit.signals.indicators import statistics as ours

from .case import Case, Outputs, rolling


def moment(values: list[float], power: int) -> Fraction:
    """Exact mean of the power of the distance from the mean."""
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    return sum((value - mean) ** power for value in exact) / len(exact)


def skew(values: list[float]) -> float:
    w, m2, m3 = len(values), float(moment(values, 2)), float(moment(values, 3))
    return math.sqrt(w * (w - 1)) / (w - 2) * m3 / m2**1.5 if m2 else math.nan


def kurtosis(values: list[float]) -> float:
    w, m2 = len(values), moment(values, 2)
    return float(Fraction(w - 1, (w - 2) * (w - 3)) * ((w + 1) * moment(values, 4) / m2**2 - 3 * (w - 1))) if m2 else math.nan


def zscore(values: list[float]) -> float:
    deviation = statistics.stdev(values)
    return float(Fraction(values[-1]) - Fraction(statistics.mean(map(Fraction, values)))) / deviation if deviation else math.nan


def pandas_zscore(close: np.ndarray) -> np.ndarray:
    windows = pd.Series(close).rolling(20)
    return ((close - windows.mean()) / windows.std()).to_numpy()


def pandas_rolling(close: np.ndarray, method: str) -> Outputs:
    return (getattr(pd.Series(close).rolling(20), method)().to_numpy(),)


def since(values: list[float], extreme: Callable[[list[float]], float]) -> float:
    """Bars since the extreme: a search from the newest backwards."""
    return float(values[::-1].index(extreme(values)))


def talib_since(close: np.ndarray, index: Callable[[np.ndarray, int], np.ndarray]) -> Outputs:
    """Bars back to the latest one that has the price at TA-Lib's bar, which it numbers from the first of the history."""
    bars = np.full(len(close), np.nan)
    for bar, found in list(enumerate(index(close, 20)))[19:]:
        bars[bar] = close[bar::-1].tolist().index(close[found])
    return (bars,)


TABLE = {
    "rolling_std": Case(
        ours.rolling_std(20),
        {
            "exact fractions": lambda one: (rolling(one.close, 20, statistics.stdev),),
            "pandas": lambda one: pandas_rolling(one.close, "std"),
        },
        window=20,
        tolerance=1e-10,
        note="pandas slides its sums and loses digits, hence the tolerance; TA-Lib has ddof 0, pandas and we 1",
    ),
    "rolling_std, population": Case(
        ours.rolling_std(20, ddof=0),
        {
            "exact fractions": lambda one: (rolling(one.close, 20, statistics.pstdev),),
            "TA-Lib": lambda one: (talib.STDDEV(one.close, 20),),
        },
        window=20,
    ),
    "rolling_variance": Case(
        ours.rolling_variance(20),
        {
            "exact fractions": lambda one: (rolling(one.close, 20, lambda values: float(moment(values, 2) * 20 / 19)),),
            "pandas": lambda one: pandas_rolling(one.close, "var"),
        },
        window=20,
        power=2,
        note="TA-Lib has ddof 0, pandas and we 1",
    ),
    "rolling_variance, population": Case(
        ours.rolling_variance(20, ddof=0),
        {"TA-Lib": lambda one: (talib.VAR(one.close, 20),)},
        window=20,
        power=2,
    ),
    "zscore": Case(
        ours.zscore(20),
        {
            "exact fractions": lambda one: (rolling(one.close, 20, zscore),),
            "pandas": lambda one: (pandas_zscore(one.close),),
        },
        window=20,
        power=0,
        tolerance=1e-10,
        note="pandas slides its sums and loses digits, hence the tolerance",
    ),
    "rolling_skew": Case(
        ours.rolling_skew(20),
        {
            "exact fractions": lambda one: (rolling(one.close, 20, skew),),
            "pandas": lambda one: pandas_rolling(one.close, "skew"),
        },
        window=20,
        power=0,
        tolerance=1e-9,
        note="pandas slides its sums and loses digits, hence the tolerance; of equal values: NaN here, 0 in pandas",
    ),
    "rolling_kurtosis": Case(
        ours.rolling_kurtosis(20),
        {
            "exact fractions": lambda one: (rolling(one.close, 20, kurtosis),),
            "pandas": lambda one: pandas_rolling(one.close, "kurt"),
        },
        window=20,
        power=0,
        tolerance=1e-9,
        note="pandas slides its sums and loses digits, hence the tolerance; of equal values: NaN here, -3 in pandas",
    ),
    "rolling_max": Case(
        ours.rolling_max(20),
        {
            "definition": lambda one: (rolling(one.close, 20, max),),
            "TA-Lib": lambda one: (talib.MAX(one.close, 20),),
            "pandas": lambda one: pandas_rolling(one.close, "max"),
        },
        window=20,
        tolerance=0.0,
    ),
    "rolling_min": Case(
        ours.rolling_min(20),
        {
            "definition": lambda one: (rolling(one.close, 20, min),),
            "TA-Lib": lambda one: (talib.MIN(one.close, 20),),
            "pandas": lambda one: pandas_rolling(one.close, "min"),
        },
        window=20,
        tolerance=0.0,
    ),
    "rolling_argmax": Case(
        ours.rolling_argmax(20),
        {
            "definition": lambda one: (rolling(one.close, 20, lambda values: since(values, max)),),
            "TA-Lib": lambda one: talib_since(one.close, talib.MAXINDEX),
        },
        window=20,
        power=0,
        tolerance=0.0,
        note="which of several equal ones TA-Lib reports depends on the bars before its window; we take the latest",
    ),
    "rolling_argmin": Case(
        ours.rolling_argmin(20),
        {
            "definition": lambda one: (rolling(one.close, 20, lambda values: since(values, min)),),
            "TA-Lib": lambda one: talib_since(one.close, talib.MININDEX),
        },
        window=20,
        power=0,
        tolerance=0.0,
        note="which of several equal ones TA-Lib reports depends on the bars before its window; we take the latest",
    ),
}
