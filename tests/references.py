"""One table: each indicator, and the same quantity computed by somebody else. Tests and benchmarks read it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
import talib

from toolkit.data.bars import Bars
from toolkit.signals import indicators

Outputs = tuple[np.ndarray, ...]


class Case(NamedTuple):
    """`ours` maps Bars to a tuple of frames; each reference maps high, low, close of one symbol to a tuple of arrays."""

    ours: Callable[[Bars], tuple[pd.DataFrame, ...]]
    references: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Outputs]]
    window: int  # bars that the value of a bar depends on; 0 for averages that remember everything
    power: int = 1  # the value scales with this power of the price
    tolerance: float = 1e-12  # relative to the largest value
    note: str = ""


def rolling(close: np.ndarray, window: int, function: Callable[[list[float]], float]) -> np.ndarray:
    """The function of each window, straight from the definition; NaN where one of its values is not finite."""
    values = np.full(len(close), np.nan)
    for end in range(window, len(close) + 1):
        held = close[end - window : end].tolist()
        if all(map(math.isfinite, held)):
            values[end - 1] = function(held)
    return values


def exact_mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def smoothed(values: Iterable[float], span: int, weight: float) -> np.ndarray:
    """Plain mean of the first `span` values, then average += weight * (value - average); NaN is passed over."""
    averages, seed, average = [], [], math.nan
    for value in values:
        if not math.isfinite(value):
            averages.append(math.nan)
            continue
        if len(seed) < span:
            seed.append(value)
            average = math.fsum(seed) / span if len(seed) == span else math.nan
        else:
            average += weight * (value - average)
        averages.append(average)
    return np.array(averages)


def ema(values: Iterable[float], span: int) -> np.ndarray:
    return smoothed(values, span, 2.0 / (span + 1.0))


def pandas_ema(close: np.ndarray, span: int) -> np.ndarray:
    """pandas' own recursion, started from the mean of the first `span` values."""
    started = close.copy()
    started[: span - 1], started[span - 1] = np.nan, close[:span].mean()
    return pd.Series(started).ewm(span=span, adjust=False).mean().to_numpy()


def macd(close: np.ndarray, average: Callable[[np.ndarray, int], np.ndarray]) -> Outputs:
    line = average(close, 12) - average(close, 26)
    signal = np.full(len(line), np.nan)
    signal[25:] = average(line[25:], 9)
    return line, signal, line - signal


def rsi(close: np.ndarray, window: int) -> np.ndarray:
    """Wilder's own words: 100 - 100 / (1 + relative strength)."""
    changes = np.diff(close)
    gains = smoothed(np.maximum(changes, 0.0), window, 1.0 / window)
    losses = smoothed(np.maximum(-changes, 0.0), window, 1.0 / window)
    with np.errstate(divide="ignore"):
        return np.concatenate([[np.nan], 100.0 - 100.0 / (1.0 + gains / losses)])


def atr(high: np.ndarray, low: np.ndarray, close: np.ndarray, span: int) -> np.ndarray:
    before = close[:-1]
    ranges = np.max([high[1:] - low[1:], abs(high[1:] - before), abs(low[1:] - before)], axis=0)
    return np.concatenate([[np.nan], smoothed(ranges, span, 1.0 / span)])


def bands(close: np.ndarray) -> Outputs:
    middle, spread = rolling(close, 20, exact_mean), rolling(close, 20, statistics.pstdev)
    return middle - 2.0 * spread, middle, middle + 2.0 * spread


TABLE = {
    "sma": Case(
        lambda bars: (indicators.sma(bars.close, 20),),
        {
            "definition": lambda high, low, close: (rolling(close, 20, exact_mean),),
            "TA-Lib": lambda high, low, close: (talib.SMA(close, 20),),
            "pandas": lambda high, low, close: (pd.Series(close).rolling(20).mean().to_numpy(),),
        },
        window=20,
    ),
    "rolling_std": Case(
        lambda bars: (indicators.rolling_std(bars.close, 20),),
        {
            "exact fractions": lambda high, low, close: (rolling(close, 20, statistics.stdev),),
            "pandas": lambda high, low, close: (pd.Series(close).rolling(20).std().to_numpy(),),
        },
        window=20,
        tolerance=1e-10,
        note="pandas slides its sums and loses digits, hence the tolerance; TA-Lib has ddof 0, pandas and we 1",
    ),
    "rolling_std, population": Case(
        lambda bars: (indicators.rolling_std(bars.close, 20, ddof=0),),
        {"TA-Lib": lambda high, low, close: (talib.STDDEV(close, 20),)},
        window=20,
    ),
    "rolling_max": Case(
        lambda bars: (indicators.rolling_max(bars.close, 20),),
        {
            "definition": lambda high, low, close: (rolling(close, 20, max),),
            "TA-Lib": lambda high, low, close: (talib.MAX(close, 20),),
            "pandas": lambda high, low, close: (pd.Series(close).rolling(20).max().to_numpy(),),
        },
        window=20,
        tolerance=0.0,
    ),
    "rolling_min": Case(
        lambda bars: (indicators.rolling_min(bars.close, 20),),
        {
            "definition": lambda high, low, close: (rolling(close, 20, min),),
            "TA-Lib": lambda high, low, close: (talib.MIN(close, 20),),
            "pandas": lambda high, low, close: (pd.Series(close).rolling(20).min().to_numpy(),),
        },
        window=20,
        tolerance=0.0,
    ),
    "ema": Case(
        lambda bars: (indicators.ema(bars.close, 20),),
        {
            "definition": lambda high, low, close: (ema(close, 20),),
            "TA-Lib": lambda high, low, close: (talib.EMA(close, 20),),
            "pandas": lambda high, low, close: (pandas_ema(close, 20),),
        },
        window=0,
        note="pandas' ewm starts from the first price; it is given the same seed here",
    ),
    "macd": Case(
        lambda bars: tuple(indicators.macd(bars.close)),
        {
            "definition": lambda high, low, close: macd(close, ema),
            "TA-Lib": lambda high, low, close: macd(close, talib.EMA),
        },
        window=0,
        note="talib.MACD seeds the fast average at the bar of the slow one; ours is the difference of two plain EMAs",
    ),
    "rsi": Case(
        lambda bars: (indicators.rsi(bars.close, 14),),
        {
            "definition": lambda high, low, close: (rsi(close, 14),),
            "TA-Lib": lambda high, low, close: (talib.RSI(close, 14),),
        },
        window=0,
        power=0,
        note="a price that never moved: 50 here, 0 in TA-Lib",
    ),
    "bollinger": Case(
        lambda bars: tuple(indicators.bollinger(bars.close)),
        {
            "exact fractions": lambda high, low, close: bands(close),
            "TA-Lib": lambda high, low, close: talib.BBANDS(close, 20, 2.0, 2.0)[::-1],
        },
        window=20,
    ),
    "atr": Case(
        lambda bars: (indicators.atr(bars, 14),),
        {
            "definition": lambda high, low, close: (atr(high, low, close, 14),),
            "TA-Lib": lambda high, low, close: (talib.ATR(high, low, close, 14),),
        },
        window=0,
    ),
}


def bars_of(close: np.ndarray, high: np.ndarray | None = None, low: np.ndarray | None = None) -> Bars:
    """Bars of closes (n_symbols, n_bars), with highs and lows equal to the close unless given."""
    index = pd.bdate_range("2001-01-01", periods=close.shape[1], unit="ns")
    high, low = close if high is None else high, close if low is None else low
    return Bars.from_frame(
        {
            name: pd.DataFrame({"open": c, "high": h, "low": l, "close": c, "volume": c * 0.0 + 1e6}, index=index)
            for name, c, h, l in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", close, high, low)
        }
    )
