"""Research and paper trading in notebooks: the names that a notebook needs, imported when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.cycle.backtest import backtest
    from toolkit.cycle.engine import TradingEngine
    from toolkit.cycle.parity import parity
    from toolkit.cycle.sweep import sweep
    from toolkit.cycle.trials import Trials
    from toolkit.cycle.walkforward import cross_validate, walk_forward
    from toolkit.data.bars import Bars
    from toolkit.data.calendar import Calendar
    from toolkit.data.clock import ReplayClock, SystemClock
    from toolkit.data.market import MarketData
    from toolkit.data.sources.sample import SampleSource
    from toolkit.data.sources.yahoo import YahooSource
    from toolkit.errors import ToolkitError
    from toolkit.execution.costs import Costs, Exits, Limits, Policy
    from toolkit.execution.ledger import Ledger
    from toolkit.plots.phases import load_ipython_extension
    from toolkit.risk.report import risk_report
    from toolkit.signals.causality import certify
    from toolkit.signals.strategies import trend_and_rsi

_HOME = {
    "Bars": "data.bars",
    "Calendar": "data.calendar",
    "Costs": "execution.costs",
    "Exits": "execution.costs",
    "Ledger": "execution.ledger",
    "Limits": "execution.costs",
    "MarketData": "data.market",
    "Policy": "execution.costs",
    "ReplayClock": "data.clock",
    "SampleSource": "data.sources.sample",
    "SystemClock": "data.clock",
    "ToolkitError": "errors",
    "TradingEngine": "cycle.engine",
    "Trials": "cycle.trials",
    "YahooSource": "data.sources.yahoo",
    "backtest": "cycle.backtest",
    "certify": "signals.causality",
    "cross_validate": "cycle.walkforward",
    "load_ipython_extension": "plots.phases",
    "parity": "cycle.parity",
    "risk_report": "risk.report",
    "sweep": "cycle.sweep",
    "trend_and_rsi": "signals.strategies",
    "walk_forward": "cycle.walkforward",
}
__all__ = list(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'toolkit' has no attribute {name!r}")
    return getattr(import_module(f"toolkit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
