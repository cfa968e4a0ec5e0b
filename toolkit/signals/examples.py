"""Four complete strategies to copy, with `trend_and_rsi` of `strategies`: plain functions, and three declared twins.

A plain function is computed over the whole history. Its declared twin says what it reads and what it does at one bar: the
engine advances it bar by bar, at the same cost however long the history is, with the same scores to the last bit.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.signals import indicators
from toolkit.signals.cross_section import top_bottom
from toolkit.signals.indicators.momentum import below as check_below
from toolkit.signals.panels import labelled, panel, positive, whole
from toolkit.signals.rules import hold_between, momentum_12_1
from toolkit.signals.sets import IndicatorSet
from toolkit.signals.strategies import EXHAUSTED, OVERBOUGHT, Row, Strategy, trend_and_rsi

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

__all__ = [
    "bollinger_reversion",
    "breakout_with_atr",
    "cross_sectional_momentum",
    "declared_bollinger_reversion",
    "declared_breakout_with_atr",
    "declared_trend_and_rsi",
    "trend_and_rsi",
]


def cross_sectional_momentum(
    bars: Bars, window: int = 252, skip: int = 21, top: float = 0.2, bottom: float = 0.0
) -> pd.DataFrame:
    """Long (1.0) the `top` fraction of symbols by 12-1 momentum, short (-1.0) the `bottom` one, shape (n_bars, n_symbols).

    Chosen at the first bar of each month, as its label says; between, and for a symbol without a price at that bar or `skip` or
    `window` bars ago, it has no opinion (NaN), and positions stay. The first bar of the history begins no month.
    Source: N. Jegadeesh, S. Titman, Returns to Buying Winners and Selling Losers, Journal of Finance 48 (1993).
    """
    close = bars.close
    month = np.asarray(close.index.year * 12 + close.index.month)
    begins = np.zeros(len(close), dtype=bool)
    begins[1:] = month[1:] != month[:-1]
    gained = momentum_12_1(close, window, skip).where(close.notna())
    return top_bottom(gained, top, bottom).where(pd.Series(begins, index=close.index), axis=0)


def bollinger_reversion(bars: Bars, window: int = 20, width: float = 2.0, short: bool = False) -> pd.DataFrame:
    """Long (1.0) from a close below the lower band until one at the middle or above, shape (n_bars, n_symbols), else 0.0.

    With `short` also short (-1.0) from a close above the upper band until one at the middle or below. NaN where the bands are
    not known; positions stay there. The long side alone is the condition
    `hold_between(below("close", bollinger(20)["lower"]), ~below("close", bollinger(20)["middle"]))`.
    Source: J. Bollinger, Bollinger on Bollinger Bands (2001), ch. 7 (bands), 15 (tags of the band that are no breakout).
    """
    close, bands = bars.close, indicators.bollinger(bars.close, window, width)
    scores = hold_between(close < bands.lower, close >= bands.middle)
    if short:
        scores = scores - hold_between(close > bands.upper, close <= bands.middle)
    return scores.where(close.notna() & bands.middle.notna())


def breakout_with_atr(bars: Bars, window: int = 20, span: int = 20, stop: float = 3.0) -> pd.DataFrame:
    """Long (1.0) from a close above the highest high of the `window` bars before, else 0.0, shape (n_bars, n_symbols).

    Out at a close more than `stop` average true ranges (over `span` bars) below the highest close since the entry. NaN where
    the price, the range, or, for an entry, the channel is not known; positions stay there.
    Source: R. D. Donchian, High finance in copper, Financial Analysts Journal 16 (1960), for the channel; J. W. Wilder, New
    Concepts in Technical Trading Systems (1978), p. 21 and 23, for the range and the stop in units of it.
    """
    close, room = panel(bars.close), positive("stop", stop) * panel(indicators.atr(bars, span))
    channel = np.full(close.shape, np.nan)
    channel[:, 1:] = panel(indicators.donchian(bars, window).upper)[:, :-1]
    highest, scores = np.full(len(close), np.nan), np.empty(close.shape)
    for t, at_bar in enumerate(zip(close.T, channel.T, room.T, strict=True)):
        scores[:, t], highest = trailed(*at_bar, highest)
    return labelled(scores, bars.close)


def trailed(price: np.ndarray, channel: np.ndarray, room: np.ndarray, highest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of one bar, and the highest close since the entry, NaN where there is no position; (n_symbols,) each."""
    inside = ~np.isnan(highest)
    known = np.isfinite(price + room) & (inside | np.isfinite(channel))
    peak = np.where(inside, np.fmax(highest, price), np.where(known & (price > channel), price, np.nan))
    peak = np.where(known & (price < peak - room), np.nan, peak)
    return np.where(known, ~np.isnan(peak), np.nan), peak


# ----------------------------------------------------------------------------------------------------------- declared twins
def declared_trend_and_rsi(fast: int = 5, slow: int = 20, trend: int = 50, rsi: int = 14) -> Strategy:
    """`trend_and_rsi`, declared: the same scores, bar by bar."""
    check_below("fast", whole("fast", fast), "slow", whole("slow", slow))
    averages = {"quick": indicators.sma(fast), "calm": indicators.sma(slow), "base": indicators.sma(trend)}
    name = f"trend_and_rsi(fast={fast}, slow={slow}, trend={trend}, rsi={rsi})"
    return Strategy(name, IndicatorSet({**averages, "strength": indicators.rsi(rsi)}), trend_rule, memory=1)


def trend_rule(now: Row, before: Row, held: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rule of `trend_and_rsi`; its memory is whether all four were known at some bar."""
    price, quick, calm, base, strength = (now[name] for name in ("close", "quick", "calm", "base", "strength"))
    entries = (quick > calm) & (price > base) & (strength < OVERBOUGHT)
    exits = (quick < calm) | (strength > EXHAUSTED)
    begun = (memory > 0.0) | np.isfinite(base + calm + strength)
    inside = ((held > 0.0) | entries) & ~exits
    return np.where(begun[0] & np.isfinite(price), inside, np.nan), begun.astype(np.float64)


def declared_bollinger_reversion(window: int = 20, width: float = 2.0, short: bool = False) -> Strategy:
    """`bollinger_reversion`, declared: the same scores, bar by bar."""
    members = IndicatorSet({"bands": indicators.bollinger(window, width)})
    rule = functools.partial(reversion_rule, short=bool(short))
    return Strategy(f"bollinger_reversion(window={window}, width={width}, short={short})", members, rule)


def reversion_rule(now: Row, before: Row, held: np.ndarray, short: bool = False) -> np.ndarray:
    """The rule of `bollinger_reversion`."""
    close, bands = now["close"], now["bands"]
    scores = 1.0 * (((held > 0.0) | (close < bands.lower)) & ~(close >= bands.middle))
    if short:
        scores -= ((held < 0.0) | (close > bands.upper)) & ~(close <= bands.middle)
    return np.where(np.isfinite(close + bands.middle), scores, np.nan)


def declared_breakout_with_atr(window: int = 20, span: int = 20, stop: float = 3.0) -> Strategy:
    """`breakout_with_atr`, declared: the same scores, bar by bar."""
    members = IndicatorSet({"channel": indicators.donchian(window)["upper"], "range": indicators.atr(span)})
    rule = functools.partial(breakout_rule, stop=positive("stop", stop))
    return Strategy(f"breakout_with_atr(window={window}, span={span}, stop={stop})", members, rule, memory=1)


def breakout_rule(
    now: Row, before: Row, held: np.ndarray, memory: np.ndarray, stop: float = 3.0
) -> tuple[np.ndarray, np.ndarray]:
    """The rule of `breakout_with_atr`; its memory is the highest close since the entry."""
    scores, highest = trailed(now["close"], before["channel"], stop * now["range"], memory[0])
    return scores, highest[None]
