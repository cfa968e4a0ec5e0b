"""Indicators, rules and strategies: from bars to scores in [-1, 1]."""

from toolkit.signals import indicators
from toolkit.signals.conditions import Condition
from toolkit.signals.cross_section import rank, top_bottom, vote
from toolkit.signals.examples import (
    bollinger_reversion,
    breakout_with_atr,
    cross_sectional_momentum,
    declared_bollinger_reversion,
    declared_breakout_with_atr,
    declared_trend_and_rsi,
)
from toolkit.signals.generator import SignalGenerator
from toolkit.signals.indicators import *  # noqa: F403
from toolkit.signals.rules import (
    above,
    below,
    between,
    breakout,
    crossed_above,
    crossed_below,
    falling,
    hold_between,
    hold_for,
    hysteresis,
    momentum_12_1,
    rising,
    trend,
    zscore_reversion,
)
from toolkit.signals.sets import IndicatorSet
from toolkit.signals.strategies import Strategy, strategy_name, trend_and_rsi

__all__ = [
    "Condition",
    "IndicatorSet",
    "SignalGenerator",
    "Strategy",
    "above",
    "below",
    "between",
    "bollinger_reversion",
    "breakout",
    "breakout_with_atr",
    "cross_sectional_momentum",
    "crossed_above",
    "crossed_below",
    "declared_bollinger_reversion",
    "declared_breakout_with_atr",
    "declared_trend_and_rsi",
    "falling",
    "hold_between",
    "hold_for",
    "hysteresis",
    "indicators",
    "momentum_12_1",
    "rank",
    "rising",
    "strategy_name",
    "top_bottom",
    "trend",
    "trend_and_rsi",
    "vote",
    "zscore_reversion",
    *indicators.__all__,
]
