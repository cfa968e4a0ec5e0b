"""Ranges and volatility."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np
import pandas as pd
import talib

from toolkit.signals.indicators.volatility import (
    atr,
    close_to_close,
    ewma_volatility,
    garman_klass,
    keltner,
    natr,
    parkinson,
    rogers_satchell,
    true_range,
    yang_zhang,
)

from .averages import plain_ema
from .case import Case, One, Outputs, exact_mean, rolling, smoothed

YEAR = 252.0


def true_ranges(one: One) -> np.ndarray:
    before = one.close[:-1]
    return np.max([one.high[1:] - one.low[1:], abs(one.high[1:] - before), abs(one.low[1:] - before)], axis=0)


def plain_atr(one: One, span: int) -> np.ndarray:
    return np.concatenate([[np.nan], smoothed(true_ranges(one), span, 1.0 / span)])


def channel(one: One, middle: np.ndarray, reach: np.ndarray) -> Outputs:
    return middle - 2.0 * reach, middle + 0.0 * reach, middle + 2.0 * reach


def typical(one: One) -> np.ndarray:
    return (one.high + one.low + one.close) / 3.0


def talib_keltner(one: One) -> Outputs:
    return channel(one, talib.EMA(typical(one), 20), talib.ATR(one.high, one.low, one.close, 10))


def logs(values: np.ndarray, before: np.ndarray) -> np.ndarray:
    return np.array([math.log(value / base) for value, base in zip(values, before)])


def returns(one: One) -> np.ndarray:
    return np.concatenate([[np.nan], logs(one.close[1:], one.close[:-1])])


def yearly(variances: np.ndarray) -> np.ndarray:
    return np.sqrt(YEAR * variances)


def mean_of(terms: np.ndarray, window: int) -> np.ndarray:
    return rolling(terms, window, exact_mean)


def plain_parkinson(one: One) -> np.ndarray:
    return yearly(mean_of(logs(one.high, one.low) ** 2 / (4.0 * math.log(2.0)), 20))


def plain_garman_klass(one: One) -> np.ndarray:
    span, day = logs(one.high, one.low), logs(one.close, one.open)
    return yearly(mean_of(span**2 / 2.0 - (2.0 * math.log(2.0) - 1.0) * day**2, 20))


def within(one: One) -> np.ndarray:
    """The term of Rogers and Satchell as a sum of two products of distances from both ends of the day."""
    rise, fall = logs(one.high, one.close) * logs(one.high, one.open), logs(one.low, one.close) * logs(one.low, one.open)
    return rise + fall


def variance_of(values: np.ndarray, window: int) -> np.ndarray:
    return rolling(values, window, statistics.variance)


def plain_yang_zhang(one: One, window: int = 20) -> np.ndarray:
    night = np.concatenate([[np.nan], logs(one.open[1:], one.close[:-1])])
    k = 0.34 / (1.34 + (window + 1.0) / (window - 1.0))
    day = k * variance_of(logs(one.close, one.open), window)
    return yearly(variance_of(night, window) + day + (1.0 - k) * mean_of(within(one), window))


def plain_ewma(one: One, decay: float = 0.94) -> np.ndarray:
    """The recursion written out: all squares so far with the weights that it gives them."""
    squares = returns(one)[1:] ** 2
    variances = [math.nan]
    for last in range(len(squares)):
        weights = (1.0 - decay) * decay ** np.arange(last, -1.0, -1.0)
        weights[0] = decay**last
        variances.append(math.fsum(weights * squares[: last + 1]))
    return yearly(np.array(variances))


def pandas_ewma(one: One) -> np.ndarray:
    squares = pd.Series(np.log(one.close)).diff() ** 2
    return yearly(squares.ewm(alpha=0.06, adjust=False).mean().to_numpy())


def of_ranges(ours: Callable, plain: Callable[[One], np.ndarray], window: int, note: str = "") -> Case:
    return Case(ours(), {"definition": lambda one: (plain(one),)}, window, power=0, note=note)


TABLE = {
    "true_range": Case(
        true_range(),
        {
            "definition": lambda one: (np.concatenate([[np.nan], true_ranges(one)]),),
            "TA-Lib": lambda one: (talib.TRANGE(one.high, one.low, one.close),),
        },
        window=0,
        tolerance=0.0,
        note="after a gap it reaches back to the last close known, however long ago",
    ),
    "atr": Case(
        atr(14),
        {
            "definition": lambda one: (plain_atr(one, 14),),
            "TA-Lib": lambda one: (talib.ATR(one.high, one.low, one.close, 14),),
        },
        window=0,
    ),
    "natr": Case(
        natr(14),
        {
            "definition": lambda one: (plain_atr(one, 14) / one.close,),
            "TA-Lib": lambda one: (talib.NATR(one.high, one.low, one.close, 14) / 100.0,),
        },
        window=0,
        power=0,
        note="a fraction here, percent in TA-Lib: its values are divided by 100",
    ),
    "keltner": Case(
        keltner(),
        {
            "definition": lambda one: channel(one, plain_ema(typical(one), 20), plain_atr(one, 10)),
            "TA-Lib": talib_keltner,
        },
        window=0,
        note="talib.KC seeds the range at the bar of the slower average; ours is made of the plain EMA and ATR",
    ),
    "close_to_close": Case(
        close_to_close(),
        {
            "exact fractions": lambda one: (yearly(variance_of(returns(one), 20)),),
            "pandas": lambda one: (yearly(pd.Series(returns(one)).rolling(20).var().to_numpy()),),
        },
        window=21,
        power=0,
    ),
    "parkinson": of_ranges(parkinson, plain_parkinson, 20),
    "garman_klass": of_ranges(garman_klass, plain_garman_klass, 20),
    "rogers_satchell": of_ranges(rogers_satchell, lambda one: yearly(mean_of(within(one), 20)), 20),
    "yang_zhang": of_ranges(yang_zhang, plain_yang_zhang, 21),
    "ewma_volatility": Case(
        ewma_volatility(),
        {"definition": lambda one: (plain_ewma(one),), "pandas": lambda one: (pandas_ewma(one),)},
        window=0,
        power=0,
        note="both begin with the first square, as pandas' ewm does with adjust=False",
    ),
}
