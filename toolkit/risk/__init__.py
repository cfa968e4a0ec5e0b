"""Sizing of positions, and what came of them."""

from toolkit.risk.metrics import Performance, performance
from toolkit.risk.sizing import cap_gross, cap_positions, equal_weight, inverse_volatility, volatility_target

__all__ = [
    "Performance",
    "cap_gross",
    "cap_positions",
    "equal_weight",
    "inverse_volatility",
    "performance",
    "volatility_target",
]
