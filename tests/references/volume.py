"""Prices weighed with volumes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import talib

from toolkit.data.bars import Bars
from toolkit.signals.indicators.volume import (
    accumulation_distribution,
    chaikin_money_flow,
    force_index,
    money_flow_index,
    obv,
    session_vwap,
    vwap,
)

from .averages import plain_ema
from .case import Case, One, rolling
from .volatility import typical


def total(values: np.ndarray, window: int) -> np.ndarray:
    return rolling(values, window, math.fsum)


def running(values: np.ndarray) -> np.ndarray:
    return np.array([math.fsum(values[: bar + 1]) for bar in range(len(values))])


def plain_obv(one: One) -> np.ndarray:
    return running(np.sign(np.diff(one.close, prepend=0.0)) * one.volume)


def accumulated(one: One) -> np.ndarray:
    width = one.high - one.low
    return one.volume * (2.0 * one.close - one.high - one.low) / np.where(width > 0.0, width, 1.0)


def plain_money_flow_index(one: One, window: int = 14) -> np.ndarray:
    """As the relative strength index is told: 100 - 100 / (1 + rises / falls)."""
    change, flow = np.diff(typical(one)).round(12), typical(one)[1:] * one.volume[1:]
    rises, falls = total(np.where(change > 0.0, flow, 0.0), window), total(np.where(change < 0.0, flow, 0.0), window)
    with np.errstate(divide="ignore"):
        return np.concatenate([[np.nan], 100.0 - 100.0 / (1.0 + rises / falls)])


def plain_force(one: One) -> np.ndarray:
    return np.concatenate([[np.nan], plain_ema(np.diff(one.close) * one.volume[1:], 13)])


def of_prices(talib_function: Callable, *windows: int) -> Callable[[One], tuple[np.ndarray]]:
    return lambda one: (talib_function(one.high, one.low, one.close, one.volume, *windows),)


def minutes(bars: Bars) -> Bars:
    """The same bars as minutes of one day: one session."""
    labels = pd.date_range("2020-06-01", periods=len(bars), freq="1min", tz="UTC", unit="ns")
    fields = {field: getattr(bars, field).set_axis(labels) for field in One._fields}
    frames = {symbol: pd.DataFrame({name: frame[symbol] for name, frame in fields.items()}) for symbol in bars.symbols}
    return Bars.from_frame(frames, interval="1m")


def plain_session(one: One) -> np.ndarray:
    return running(typical(one) * one.volume) / running(one.volume)


TABLE = {
    "obv": Case(
        obv(),
        {"definition": lambda one: (plain_obv(one),), "TA-Lib": lambda one: (talib.OBV(one.close, one.volume),)},
        window=0,
        power=-1,
    ),
    "accumulation_distribution": Case(
        accumulation_distribution(),
        {"definition": lambda one: (running(accumulated(one)),), "TA-Lib": of_prices(talib.AD)},
        window=0,
        power=-1,
    ),
    "chaikin_money_flow": Case(
        chaikin_money_flow(),
        {"definition": lambda one: (total(accumulated(one), 20) / total(one.volume, 20),), "TA-Lib": of_prices(talib.CMF, 20)},
        window=20,
        power=0,
        note="nothing traded: NaN here, 0 in TA-Lib",
    ),
    "money_flow_index": Case(
        money_flow_index(),
        {"definition": lambda one: (plain_money_flow_index(one),), "TA-Lib": of_prices(talib.MFI, 14)},
        window=15,
        power=0,
        note="a price that never moved: 50 here, 0 in TA-Lib, which also says 0 below one unit of money",
    ),
    "force_index": Case(
        force_index(),
        {"definition": lambda one: (plain_force(one),), "TA-Lib": lambda one: (talib.EFI(one.close, one.volume, 13),)},
        window=0,
        power=0,
    ),
    "vwap": Case(
        vwap(),
        {
            "definition": lambda one: (total(typical(one) * one.volume, 20) / total(one.volume, 20),),
            "TA-Lib": lambda one: (talib.SUM(typical(one) * one.volume, 20) / talib.SUM(one.volume, 20),),
        },
        window=20,
        note="talib.VWAP has no window, it begins with the history: see session_vwap",
    ),
    "session_vwap": Case(
        lambda bars: (session_vwap(minutes(bars)).set_axis(bars.index),),
        {"definition": lambda one: (plain_session(one),), "TA-Lib": of_prices(talib.VWAP)},
        window=0,
        note="all bars as minutes of one session; talib.VWAP knows no sessions, and is 0 where nothing was traded",
    ),
    "session_vwap, of days": Case(
        session_vwap(),
        {"definition": lambda one: (typical(one),), "TA-Lib": lambda one: (talib.TYPPRICE(one.high, one.low, one.close),)},
        window=1,
    ),
}
