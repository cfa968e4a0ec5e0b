"""Three answers to how much prices move: over the window, lately, and within the bar; fractions per year."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.risk.correlation import correlation_of
from toolkit.risk.history import History
from toolkit.signals.indicators import yang_zhang
from toolkit.signals.panels import panel

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

DECAY = 0.94  # a day; RiskMetrics Technical Document, 4th ed. (1996), section 5.2
SETTLING = 75  # returns after which the seed of the average weighs less than 1 %
WHOLE = "portfolio"


def ewma_deviation(returns: np.ndarray, decay: float = DECAY) -> np.ndarray:
    """Deviation expected of each bar from those before it, per bar, (..., n_bars + 1): the last is of the bar to come.

    variance = decay * variance + (1 - decay) * return^2, seeded with the first squared return; the mean is taken for zero.
    Simple returns here; the indicator `ewma_volatility` takes logarithmic ones. NaN for the first bar.
    """
    rows = np.atleast_2d(returns)
    squares = pd.DataFrame((rows * rows).T)
    deviation = np.sqrt(squares.ewm(alpha=1.0 - decay, adjust=False).mean().to_numpy().T)
    out = np.concatenate([np.full((len(rows), 1), np.nan), deviation], axis=1)
    return out.reshape(*returns.shape[:-1], -1)


def volatility_table(bars: Bars, history: History, weights: np.ndarray, window: int = 63) -> pd.DataFrame:
    """One row a symbol and one for the portfolio (of equity, not of gross): close, ewma, yang_zhang, fractions per year.

    close: deviation of returns over the window of the history (ddof = 1). ewma: see `ewma_deviation`. yang_zhang: over the
    last `window` bars, and of the portfolio by the correlations of closes, since nobody quotes its high and low.
    NaN where the history is too short.
    """
    year = np.sqrt(history.bars_per_year)
    both = np.vstack([history.returns, weights @ history.returns])
    recent = ewma_deviation(both)[:, -1] if history.returns.shape[1] >= SETTLING else np.full(len(both), np.nan)
    ranged = range_volatility(bars, history, window)
    correlated = correlation_of(history.covariance, history.symbols).matrix.to_numpy()
    spread = weights * ranged
    close = np.append(history.deviation, portfolio_deviation(weights, history.covariance))
    columns = {
        "close": close * year,
        "ewma": recent * year,
        "yang_zhang": np.append(ranged, np.sqrt(np.maximum(spread @ correlated @ spread, 0.0))),
    }
    return pd.DataFrame(columns, index=[*history.symbols, WHOLE])


def portfolio_deviation(weights: np.ndarray, covariance: np.ndarray) -> float:
    """Deviation per bar of signed weights, a fraction of equity."""
    return float(np.sqrt(np.maximum(weights @ covariance @ weights, 0.0)))


def range_volatility(bars: Bars, history: History, window: int) -> np.ndarray:
    """Yang and Zhang's volatility of each symbol over its last whole window, a fraction per year; NaN if it never was whole."""
    if not history.symbols or len(bars) == 0:
        return np.full(len(history.symbols), np.nan)
    held = bars.tail(5 * window).select(history.symbols)
    rows = panel(yang_zhang(held, window, periods=history.bars_per_year).ffill())
    return rows[:, -1].copy()
