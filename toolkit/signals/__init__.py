"""Indicators, rules and strategies: from bars to scores in [-1, 1]."""

from toolkit.signals.generator import SignalGenerator
from toolkit.signals.indicators import atr, bollinger, ema, macd, rolling_max, rolling_min, rolling_std, rsi, sma
from toolkit.signals.rules import crossed_above, crossed_below, hold_between
from toolkit.signals.sets import IndicatorSet
from toolkit.signals.strategies import Strategy, strategy_name, trend_and_rsi

__all__ = [
    "IndicatorSet",
    "SignalGenerator",
    "Strategy",
    "atr",
    "bollinger",
    "crossed_above",
    "crossed_below",
    "ema",
    "hold_between",
    "macd",
    "rolling_max",
    "rolling_min",
    "rolling_std",
    "rsi",
    "sma",
    "strategy_name",
    "trend_and_rsi",
]
