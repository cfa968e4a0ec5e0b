"""Momentum."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import talib

from toolkit.signals.indicators.momentum import (
    aroon,
    cci,
    macd,
    momentum,
    ppo,
    roc,
    rsi,
    stochastic,
    stochastic_rsi,
    ultimate_oscillator,
    williams_r,
)

from .averages import plain_ema
from .case import Case, One, Outputs, exact_mean, rolling, smoothed

Average = Callable[[np.ndarray, int], np.ndarray]


def signalled(line: np.ndarray, average: Average) -> Outputs:
    """The line, its average from the first value on, and the difference."""
    signal = np.full(len(line), np.nan)
    signal[25:] = average(line[25:], 9)
    return line, signal, line - signal


def macd_of(close: np.ndarray, average: Average) -> Outputs:
    return signalled(average(close, 12) - average(close, 26), average)


def ppo_of(close: np.ndarray, average: Average) -> Outputs:
    slow = average(close, 26)
    return signalled(100.0 * (average(close, 12) - slow) / slow, average)


def plain_rsi(close: np.ndarray, window: int) -> np.ndarray:
    """Wilder's own words: 100 - 100 / (1 + relative strength)."""
    changes = np.diff(close)
    gains = smoothed(np.maximum(changes, 0.0), window, 1.0 / window)
    losses = smoothed(np.maximum(-changes, 0.0), window, 1.0 / window)
    with np.errstate(divide="ignore"):
        return np.concatenate([[np.nan], 100.0 - 100.0 / (1.0 + gains / losses)])


def position(high: np.ndarray, low: np.ndarray, close: np.ndarray, window: int) -> np.ndarray:
    """The close between the lowest low and the highest high, 0 to 1."""
    highest, lowest = rolling(high, window, max), rolling(low, window, min)
    return (close - lowest) / (highest - lowest)


def averaged(raw: np.ndarray, smooth: int) -> Outputs:
    k = rolling(100.0 * raw, smooth, exact_mean)
    return k, rolling(k, 3, exact_mean)


def talib_stochastic(one: One) -> Outputs:
    k, _ = talib.STOCH(one.high, one.low, one.close, 14, 3, 0, 1, 0)
    return k, talib.STOCH(one.high, one.low, one.close, 14, 3, 0, 3, 0)[1]


def pandas_stochastic(one: One) -> Outputs:
    high, low, close = pd.Series(one.high), pd.Series(one.low), pd.Series(one.close)
    lowest, highest = low.rolling(14).min(), high.rolling(14).max()
    k = (100.0 * (close - lowest) / (highest - lowest)).rolling(3).mean()
    return k.to_numpy(), k.rolling(3).mean().to_numpy()


def plain_stochastic_rsi(one: One) -> Outputs:
    strength = plain_rsi(one.close, 14)
    return averaged(position(strength, strength, strength, 14), 3)


def talib_stochastic_rsi(one: One) -> Outputs:
    k, _ = talib.STOCHRSI(one.close, 14, 14, 1, 0)
    return k, talib.STOCHRSI(one.close, 14, 14, 3, 0)[1]


def plain_cci(one: One) -> np.ndarray:
    price = (one.high + one.low + one.close) / 3.0

    def index(held: list[float]) -> float:
        mean = exact_mean(held)
        return (held[-1] - mean) / (0.015 * exact_mean([abs(value - mean) for value in held]))

    return rolling(price, 20, index)


def plain_ultimate_oscillator(one: One) -> np.ndarray:
    before = np.concatenate([[np.nan], one.close[:-1]])
    lowest, highest = np.minimum(one.low, before), np.maximum(one.high, before)
    short, middle, long = (
        rolling(one.close - lowest, window, math.fsum) / rolling(highest - lowest, window, math.fsum) for window in (7, 14, 28)
    )
    return 100.0 * (4.0 * short + 2.0 * middle + long) / 7.0


def plain_aroon(one: One) -> Outputs:
    up = rolling(one.high, 26, lambda held: 100.0 * (25 - held[::-1].index(max(held))) / 25)
    down = rolling(one.low, 26, lambda held: 100.0 * (25 - held[::-1].index(min(held))) / 25)
    return up, down, up - down


def talib_aroon(one: One) -> Outputs:
    down, up = talib.AROON(one.high, one.low, 25)
    return up, down, talib.AROONOSC(one.high, one.low, 25)


MIDDLE = "where nothing has moved: in the middle here, 0 in TA-Lib"

TABLE = {
    "macd": Case(
        macd(),
        {
            "definition": lambda one: macd_of(one.close, plain_ema),
            "TA-Lib": lambda one: macd_of(one.close, talib.EMA),
        },
        window=0,
        note="talib.MACD seeds the fast average at the bar of the slow one; ours is the difference of two plain EMAs",
    ),
    "ppo": Case(
        ppo(),
        {
            "definition": lambda one: ppo_of(one.close, plain_ema),
            "TA-Lib": lambda one: ppo_of(one.close, talib.EMA),
        },
        window=0,
        power=0,
        note="talib.PPO seeds the fast average at the bar of the slow one, as talib.MACD does, and has no signal",
    ),
    "rsi": Case(
        rsi(14),
        {
            "definition": lambda one: (plain_rsi(one.close, 14),),
            "TA-Lib": lambda one: (talib.RSI(one.close, 14),),
        },
        window=0,
        power=0,
        note="a price that never moved: 50 here, 0 in TA-Lib",
    ),
    "momentum": Case(
        momentum(10),
        {
            "TA-Lib": lambda one: (talib.MOM(one.close, 10),),
            "pandas": lambda one: (pd.Series(one.close).diff(10).to_numpy(),),
        },
        window=11,
        tolerance=0.0,
    ),
    "roc": Case(
        roc(10),
        {
            "TA-Lib": lambda one: (talib.ROCP(one.close, 10),),
            "pandas": lambda one: (pd.Series(one.close).pct_change(10, fill_method=None).to_numpy(),),
        },
        window=11,
        power=0,
        note="a fraction, talib.ROCP; talib.ROC is in percent",
    ),
    "stochastic": Case(
        stochastic(),
        {
            "definition": lambda one: averaged(position(one.high, one.low, one.close, 14), 3),
            "TA-Lib": talib_stochastic,
            "pandas": pandas_stochastic,
        },
        window=18,
        power=0,
        note=f"{MIDDLE}; TA-Lib has no k before d, so its k is taken from a call without smoothing of d",
    ),
    "stochastic_rsi": Case(
        stochastic_rsi(),
        {"definition": plain_stochastic_rsi},
        window=0,
        power=0,
        tolerance=1e-11,
        note=MIDDLE,
    ),
    "stochastic_rsi, not smoothed": Case(
        stochastic_rsi(smooth=1),
        {"TA-Lib": talib_stochastic_rsi},
        window=0,
        power=0,
        tolerance=1e-11,
        note="TA-Lib knows no smoothing of k, nor k before d",
    ),
    "williams_r": Case(
        williams_r(),
        {
            "definition": lambda one: (100.0 * (position(one.high, one.low, one.close, 14) - 1.0),),
            "TA-Lib": lambda one: (talib.WILLR(one.high, one.low, one.close, 14),),
        },
        window=14,
        power=0,
        note=MIDDLE,
    ),
    "cci": Case(
        cci(),
        {
            "definition": lambda one: (plain_cci(one),),
            "TA-Lib": lambda one: (talib.CCI(one.high, one.low, one.close, 20),),
        },
        window=20,
        power=0,
    ),
    "ultimate_oscillator": Case(
        ultimate_oscillator(),
        {
            "definition": lambda one: (plain_ultimate_oscillator(one),),
            "TA-Lib": lambda one: (talib.ULTOSC(one.high, one.low, one.close),),
        },
        window=29,
        power=0,
        note=MIDDLE,
    ),
    "aroon": Case(
        aroon(),
        {"definition": plain_aroon, "TA-Lib": talib_aroon},
        window=26,
        power=0,
        tolerance=1e-15,
    ),
}
