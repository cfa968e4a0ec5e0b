"""Sizing of positions, what came of them and how much of it was luck, and the risk of what is held."""

from toolkit.risk.bootstrap import block_length, intervals
from toolkit.risk.cached import CycleRisk
from toolkit.risk.limits import Breach, Limit, breach_history
from toolkit.risk.metrics import Performance, performance
from toolkit.risk.overfitting import (
    Moments,
    Overfitting,
    block_sums,
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_track_record,
    moments,
    probabilistic_sharpe,
    probability_of_overfitting,
)
from toolkit.risk.report import RiskReport, risk_report
from toolkit.risk.sizing import cap_gross, cap_positions, equal_weight, inverse_volatility, volatility_target

__all__ = [
    "Breach",
    "CycleRisk",
    "Limit",
    "Moments",
    "Overfitting",
    "Performance",
    "RiskReport",
    "block_length",
    "block_sums",
    "breach_history",
    "cap_gross",
    "cap_positions",
    "deflated_sharpe",
    "equal_weight",
    "expected_maximum_sharpe",
    "intervals",
    "inverse_volatility",
    "minimum_track_record",
    "moments",
    "performance",
    "probabilistic_sharpe",
    "probability_of_overfitting",
    "risk_report",
    "volatility_target",
]
