"""Indicators, rules and strategies: from bars to scores in [-1, 1]."""

from toolkit.signals import indicators
from toolkit.signals.generator import SignalGenerator
from toolkit.signals.indicators import *  # noqa: F403
from toolkit.signals.rules import crossed_above, crossed_below, hold_between
from toolkit.signals.sets import IndicatorSet
from toolkit.signals.strategies import Strategy, strategy_name, trend_and_rsi

__all__ = [
    "IndicatorSet",
    "SignalGenerator",
    "Strategy",
    "crossed_above",
    "crossed_below",
    "hold_between",
    "indicators",
    "strategy_name",
    "trend_and_rsi",
    *indicators.__all__,
]
