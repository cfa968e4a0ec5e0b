"""Moving averages."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
import talib

from toolkit.signals.indicators.averages import dema, ema, hma, kama, sma, tema, trix, vwma, wma

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


def plain_wma(close: np.ndarray, window: int) -> np.ndarray:
    def mean(values: list[float]) -> float:
        return math.fsum(age * value for age, value in enumerate(values, 1)) / (window * (window + 1) / 2)

    return rolling(close, window, mean)


def pandas_wma(one: One) -> tuple[np.ndarray]:
    weights = np.arange(1.0, 21.0)
    return (pd.Series(one.close).rolling(20).apply(lambda held: held @ weights / weights.sum(), raw=True).to_numpy(),)


def plain_hma(close: np.ndarray) -> np.ndarray:
    return plain_wma(2.0 * plain_wma(close, 8) - plain_wma(close, 16), 4)


def plain_vwma(one: One) -> np.ndarray:
    return rolling(one.close * one.volume, 20, math.fsum) / rolling(one.volume, 20, math.fsum)


def pandas_vwma(one: One) -> tuple[np.ndarray]:
    worth, volume = pd.Series(one.close * one.volume), pd.Series(one.volume)
    return ((worth.rolling(20).sum() / volume.rolling(20).sum()).to_numpy(),)


def chain(close: np.ndarray, span: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    once = plain_ema(close, span)
    twice = plain_ema(once, span)
    return once, twice, plain_ema(twice, span)


def plain_dema(one: One) -> tuple[np.ndarray]:
    once, twice, _ = chain(one.close, 20)
    return (2.0 * once - twice,)


def plain_tema(one: One) -> tuple[np.ndarray]:
    once, twice, thrice = chain(one.close, 20)
    return (3.0 * once - 3.0 * twice + thrice,)


def plain_trix(one: One) -> tuple[np.ndarray]:
    return (pd.Series(chain(one.close, 15)[2]).pct_change(fill_method=None).to_numpy(),)


def plain_kama(close: np.ndarray, window: int, fast: int, slow: int) -> np.ndarray:
    """Kaufman's own words: the smoothing constant is squared, the first average is the price before."""
    values = np.full(len(close), np.nan)
    average = close[window - 1]
    for bar in range(window, len(close)):
        held = close[bar - window : bar + 1]
        path = math.fsum(abs(np.diff(held)))
        efficiency = abs(held[-1] - held[0]) / path if path else 1.0
        constant = (efficiency * (2 / (fast + 1) - 2 / (slow + 1)) + 2 / (slow + 1)) ** 2
        average += constant * (close[bar] - average)
        values[bar] = average
    return values


TABLE = {
    "sma": Case(
        sma(20),
        {
            "definition": lambda one: (rolling(one.close, 20, exact_mean),),
            "TA-Lib": lambda one: (talib.SMA(one.close, 20),),
            "pandas": pandas_sma,
        },
        window=20,
    ),
    "wma": Case(
        wma(20),
        {
            "definition": lambda one: (plain_wma(one.close, 20),),
            "TA-Lib": lambda one: (talib.WMA(one.close, 20),),
            "pandas": pandas_wma,
        },
        window=20,
    ),
    "hma": Case(
        hma(16),
        {
            "definition": lambda one: (plain_hma(one.close),),
            "TA-Lib": lambda one: (talib.HMA(one.close, 16),),
        },
        window=19,
        note="the windows of half and of the root are rounded down, as Hull and TA-Lib have it; some round the root",
    ),
    "vwma": Case(
        vwma(20),
        {
            "definition": lambda one: (plain_vwma(one),),
            "TA-Lib": lambda one: (talib.VWMA(one.close, one.volume, 20),),
            "pandas": pandas_vwma,
        },
        window=20,
    ),
    "ema": Case(
        ema(20),
        {
            "definition": lambda one: (plain_ema(one.close, 20),),
            "TA-Lib": lambda one: (talib.EMA(one.close, 20),),
            "pandas": lambda one: (pandas_ema(one.close, 20),),
        },
        window=0,
        note="pandas' ewm starts from the first price; it is given the same seed here",
    ),
    "dema": Case(
        dema(20),
        {"definition": plain_dema, "TA-Lib": lambda one: (talib.DEMA(one.close, 20),)},
        window=0,
    ),
    "tema": Case(
        tema(20),
        {"definition": plain_tema, "TA-Lib": lambda one: (talib.TEMA(one.close, 20),)},
        window=0,
    ),
    "trix": Case(
        trix(15),
        {"definition": plain_trix, "TA-Lib": lambda one: (talib.TRIX(one.close, 15) / 100.0,)},
        window=0,
        power=0,
        tolerance=1e-11,
        note="a fraction here, percent in TA-Lib; a small difference of large averages, hence the tolerance",
    ),
    "kama": Case(
        kama(10),
        {
            "definition": lambda one: (plain_kama(one.close, 10, 2, 30),),
            "TA-Lib": lambda one: (talib.KAMA(one.close, 10),),
        },
        window=0,
    ),
}
