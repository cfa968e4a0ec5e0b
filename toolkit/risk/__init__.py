"""Sizing of positions, what came of them, and how much of it was luck."""

from toolkit.risk.bootstrap import block_length, intervals
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
from toolkit.risk.sizing import cap_gross, cap_positions, equal_weight, inverse_volatility, volatility_target

__all__ = [
    "Moments",
    "Overfitting",
    "Performance",
    "block_length",
    "block_sums",
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
    "volatility_target",
]
