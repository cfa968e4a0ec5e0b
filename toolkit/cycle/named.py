"""Strategies and sizings that a configuration may name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

from toolkit.cycle.config import Config
from toolkit.errors import ConfigError
from toolkit.risk import sizing
from toolkit.risk.sizing import Sizing
from toolkit.signals import examples
from toolkit.signals.generator import Scoring
from toolkit.signals.strategies import trend_and_rsi

STRATEGIES: dict[str, Callable] = {
    "trend_and_rsi": trend_and_rsi,
    "cross_sectional_momentum": examples.cross_sectional_momentum,
    "bollinger_reversion": examples.bollinger_reversion,
    "breakout_with_atr": examples.breakout_with_atr,
}
SIZINGS: dict[str, Callable] = {
    "equal_weight": sizing.equal_weight,
    "inverse_volatility": sizing.inverse_volatility,
    "volatility_target": sizing.volatility_target,
}


def strategy_of(config: Config) -> Scoring:
    """The strategy that the configuration names, with its parameters; ConfigError says what does not fit."""
    chosen = config.strategy
    strategy = _choose(STRATEGIES, chosen, "strategy")
    try:
        signature(strategy).bind(None, **chosen.parameters)
    except TypeError as error:
        raise ConfigError(f"strategy.parameters is {chosen.parameters!r} ({error})", f"see {chosen.name}") from error
    return partial(strategy, **chosen.parameters)


def sizing_of(config: Config) -> Sizing:
    """The sizing that the configuration names; ConfigError says what does not fit."""
    chosen = config.sizing
    try:
        return _choose(SIZINGS, chosen, "sizing")(**chosen.parameters)
    except TypeError as error:
        raise ConfigError(f"sizing.parameters is {chosen.parameters!r} ({error})", f"see {chosen.name}") from error


def _choose(known: dict[str, Callable], chosen: Any, kind: str) -> Callable:
    if chosen.name not in known:
        raise ConfigError(f"{kind}.name is {chosen.name!r}", f"use one of {', '.join(known)}, or pass {kind}= in Python")
    return known[chosen.name]
