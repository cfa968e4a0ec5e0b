"""Who brings the risk: marginal and component contributions, by Euler's theorem; components sum to the total.

A marginal contribution is what one more unit of weight (1 = a position as large as the equity) would add; the component is the
weight times that. Both are of the measure named, in its own unit.
Source: D. Tasche, Risk contributions and performance measurement (1999), for VaR and CVaR.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from toolkit.data.bars import columns_of
from toolkit.risk.history import History
from toolkit.risk.tails import NORMAL, boundary
from toolkit.risk.volatility import portfolio_deviation

MEASURES = ("volatility", "normal_var", "historical_cvar")
COLUMNS = pd.MultiIndex.from_product([MEASURES, ("marginal", "component")])


def contributions(history: History, weights: np.ndarray, level: float = 0.95) -> pd.DataFrame:
    """One row a symbol; columns (measure, marginal or component).

    volatility: a fraction per year. normal_var and historical_cvar: losses of the next bar at `level`, as fractions of
    equity. NaN for fewer than 60 returns; marginals are NaN, components 0, where the portfolio does not move.
    """
    deviation = of_deviation(history.covariance, weights)
    marginals = {
        "volatility": deviation * np.sqrt(history.bars_per_year),
        "normal_var": -history.mean - NORMAL.inv_cdf(1.0 - level) * deviation,
        "historical_cvar": of_shortfall(history, weights, level),
    }
    columns = [c for each in marginals.values() for c in (each, np.where(weights == 0.0, 0.0, weights * each))]
    return pd.DataFrame(np.column_stack(columns), index=columns_of(history.symbols), columns=COLUMNS.view())


def of_deviation(covariance: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Derivative of the portfolio's deviation (per bar) by each weight."""
    whole = portfolio_deviation(weights, covariance)
    return covariance @ weights / whole if whole > 0.0 else np.full(len(weights), np.nan)


def of_shortfall(history: History, weights: np.ndarray, level: float) -> np.ndarray:
    """Mean loss of each symbol over the bars that make the portfolio's historical CVaR, the last one counted in part."""
    recent = history.recent
    if not history.enough:
        return np.full(len(weights), np.nan)
    n = recent.shape[1]
    k, mass = boundary(n, level), (1.0 - level) * n
    order = np.argsort(weights @ recent, kind="stable")[: k + 1]
    part = np.append(np.ones(k), mass - k) / mass
    return -(recent[:, order] @ part)
