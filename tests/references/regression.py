"""Rolling regression on time, and two series against each other."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pandas as pd
import talib

from toolkit.signals.indicators import regression as ours

from .case import Case, One, Outputs, rolling


def line(values: list[float]) -> tuple[float, float]:
    """Slope and value at the first bar, by the standard library."""
    slope, intercept = statistics.linear_regression(range(len(values)), list(map(Fraction, values)))
    return float(slope), float(intercept)


def explained(values: list[float]) -> float:
    """1 - sum of squared residuals / sum of squares about the mean; exact."""
    exact, w = list(map(Fraction, values)), len(values)
    mean, middle = sum(exact) / w, Fraction(w - 1, 2)
    slope = sum((i - middle) * y for i, y in enumerate(exact)) / sum((i - middle) ** 2 for i in range(w))
    residuals = sum((y - mean - slope * (i - middle)) ** 2 for i, y in enumerate(exact))
    whole = sum((y - mean) ** 2 for y in exact)
    return float(1 - residuals / whole) if whole else math.nan


def pairs(one: One, function: Callable[[list[Fraction], list[Fraction]], float]) -> Outputs:
    """The function of each 20 highs and lows, exact."""
    x, y = one.high.tolist(), one.low.tolist()
    values = [math.nan] * 19
    for end in range(20, len(x) + 1):
        held = x[end - 20 : end], y[end - 20 : end]
        whole = all(map(math.isfinite, held[0] + held[1]))
        values.append(function(list(map(Fraction, held[0])), list(map(Fraction, held[1]))) if whole else math.nan)
    return (np.array(values),)


def products(x: list[Fraction], y: list[Fraction]) -> Fraction:
    """Sum of products about the means."""
    x_mean, y_mean = sum(x) / len(x), sum(y) / len(y)
    return sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y))


def correlation(x: list[Fraction], y: list[Fraction]) -> float:
    of_x, of_y = products(x, x), products(y, y)
    return float(products(x, y)) / math.sqrt(of_x * of_y) if of_x and of_y else math.nan


def beta(x: list[Fraction], y: list[Fraction]) -> float:
    return float(products(x, y) / products(y, y)) if products(y, y) else math.nan


def returns(prices: pd.DataFrame | np.ndarray) -> pd.DataFrame | np.ndarray:
    return prices.pct_change(fill_method=None) if isinstance(prices, pd.DataFrame) else np.diff(prices) / prices[:-1]


def pandas_beta(one: One) -> Outputs:
    high, low = pd.Series(one.high), pd.Series(one.low)
    return ((high.rolling(20).cov(low) / low.rolling(20).var()).to_numpy(),)


TABLE = {
    "linear_regression": Case(
        lambda bars: tuple(ours.linear_regression(bars.close, 20))[:2],
        {
            "standard library": lambda one: tuple(rolling(one.close, 20, lambda v, i=i: line(v)[i]) for i in (0, 1)),
            "TA-Lib": lambda one: (talib.LINEARREG_SLOPE(one.close, 20), talib.LINEARREG_INTERCEPT(one.close, 20)),
        },
        window=20,
        tolerance=1e-11,
        note="TA-Lib takes sums of the prices themselves and loses digits in the slope, hence the tolerance",
    ),
    "linear_regression, r2": Case(
        lambda bars: (ours.linear_regression(bars.close, 20).r2,),
        {
            "definition": lambda one: (rolling(one.close, 20, explained),),
            "TA-Lib": lambda one: (talib.CORREL(one.close, np.arange(len(one.close), dtype=float), 20) ** 2,),
        },
        window=20,
        power=0,
        tolerance=1e-9,
        note="TA-Lib's correlation with the number of the bar loses digits as the numbers grow, hence the tolerance",
    ),
    "rolling_correlation": Case(
        ours.rolling_correlation(20).of("high", "low"),
        {
            "exact fractions": lambda one: pairs(one, correlation),
            "TA-Lib": lambda one: (talib.CORREL(one.high, one.low, 20),),
            "pandas": lambda one: (pd.Series(one.high).rolling(20).corr(pd.Series(one.low)).to_numpy(),),
        },
        window=20,
        power=0,
        tolerance=1e-10,
        note="TA-Lib and pandas slide their sums and lose digits, hence the tolerance; of a constant: NaN here, 0 in TA-Lib",
    ),
    "rolling_covariance": Case(
        ours.rolling_covariance(20).of("high", "low"),
        {
            "exact fractions": lambda one: pairs(one, lambda x, y: float(products(x, y) / 19)),
            "pandas": lambda one: (pd.Series(one.high).rolling(20).cov(pd.Series(one.low)).to_numpy(),),
        },
        window=20,
        power=2,
    ),
    "rolling_beta": Case(
        ours.rolling_beta(20).of("high", "low"),
        {"exact fractions": lambda one: pairs(one, beta), "pandas": pandas_beta},
        window=20,
        power=0,
        tolerance=1e-10,
        note="pandas slides its sums and loses digits, hence the tolerance",
    ),
    "rolling_beta, of returns": Case(
        lambda bars: (ours.rolling_beta(returns(bars.high), returns(bars.low), 20),),
        {"TA-Lib": lambda one: (talib.BETA(one.low, one.high, 20),)},
        window=21,
        power=0,
        tolerance=1e-10,
        note="TA-Lib's BETA is given prices, the market first, and takes the returns itself",
    ),
}
