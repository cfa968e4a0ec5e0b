"""Strategies: functions from bars to scores, frames (n_bars x n_symbols) in [-1, 1]; NaN is no opinion."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.signals import indicators
from toolkit.signals.panels import labelled, panel, whole
from toolkit.signals.rules import held

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

# Wilder's overbought level, and the higher one that Murphy gives for strong trends: no purchase above the first, out
# above the second.
OVERBOUGHT, EXHAUSTED = 70.0, 80.0


def trend_and_rsi(bars: Bars, fast: int = 5, slow: int = 20, trend: int = 50, rsi: int = 14) -> pd.DataFrame:
    """Long (1.0) or out (0.0), shape (n_bars, n_symbols): with the trend, but not into an overbought market.

    In when the `fast` average is above the `slow` one, the close above the `trend` average and the RSI below 70. Out
    when the fast average is below the slow one, or the RSI above 80. In between, the last of the two holds.
    NaN before all four are known for a symbol, and at bars without a close; the position survives such a bar.
    Raises InvalidWindow for a window that is not a whole number of at least 1, and unless fast < slow.
    Source: J. J. Murphy, Technical Analysis of the Financial Markets (1999), ch. 9 (two averages) and 10 (RSI).
    """
    for name, window in ("fast", fast), ("slow", slow), ("trend", trend), ("rsi", rsi):
        whole(name, window)
    indicators.below("fast", fast, "slow", slow)
    close = bars.close
    quick, calm = panel(indicators.sma(close, fast)), panel(indicators.sma(close, slow))
    price, base, strength = panel(close), panel(indicators.sma(close, trend)), panel(indicators.rsi(close, rsi))
    entries = (quick > calm) & (price > base) & (strength < OVERBOUGHT)
    exits = (quick < calm) | (strength > EXHAUSTED)
    known = np.logical_or.accumulate(np.isfinite(base + calm + strength), axis=1) & np.isfinite(price)
    return labelled(np.where(known, held(entries, exits), np.nan), close)


def strategy_name(strategy: Callable) -> str:
    """Name and bound parameters of a strategy, the same in every process: order ids are made of it.

    >>> strategy_name(functools.partial(trend_and_rsi, fast=10))
    'trend_and_rsi(fast=10)'
    """
    if isinstance(strategy, functools.partial):
        values = [repr(value) for value in strategy.args]
        values += [f"{name}={value!r}" for name, value in sorted(strategy.keywords.items())]
        return f"{strategy_name(strategy.func)}({', '.join(values)})"
    return getattr(strategy, "__name__", None) or type(strategy).__name__
