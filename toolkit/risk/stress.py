"""What would hurt: the worst that happened, and what did not happen yet. Losses are negative fractions of equity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from toolkit.risk.history import History
from toolkit.risk.volatility import portfolio_deviation

LENGTHS = (1, 5, 21, 63)  # bars of a historical window
SIGMAS = (3.0, 5.0)
COLUMNS = ("return", "begin", "end")


def stress_table(
    history: History, weights: np.ndarray, beta: float = float("nan"), falls: Sequence[float] = (0.10, 0.20)
) -> pd.DataFrame:
    """One row a scenario: `return` (fraction of equity), and `begin` and `end` where it happened (NaT where it did not).

    * worst 1, 5, 21, 63 bars: the window of the common history that would have cost the positions of now most, held
      untouched through it.
    * largest gap: the open that would have cost the whole most; every gap at once: each symbol's own worst, on one morning.
    * 3 and 5 sigma: the portfolio falls by that many of its deviations of a bar.
    * correlation to one: 3 deviations of each symbol, all the same way, whichever is worse; against every position: longs
      fall and shorts rise, so that no hedge holds.
    * benchmark -10 %, -20 %: beta times that.
    A scenario that cannot be told (history too short, no benchmark) is NaN.
    """
    rows = {f"worst {n} bar{'s' * (n > 1)}": worst_window(history, weights, n) for n in LENGTHS}
    rows["largest gap"] = largest_gap(history, weights)
    adverse = np.minimum(weights[:, None] * history.gaps, 0.0)
    rows["every gap at once"] = (float(adverse.min(axis=1).sum()) if adverse.shape[1] else np.nan, pd.NaT, pd.NaT)
    whole, each = portfolio_deviation(weights, history.covariance), weights * history.deviation
    shocks = {f"{k:g} sigma": -k * whole for k in SIGMAS}
    shocks["correlation to one, 3 sigma"] = -3.0 * float(np.abs(each.sum()))
    shocks["against every position, 3 sigma"] = -3.0 * float(np.abs(each).sum())
    shocks.update({f"benchmark {-fall:+.0%}": -beta * fall for fall in falls})
    rows.update({name: (value, pd.NaT, pd.NaT) for name, value in shocks.items()})
    frame = pd.DataFrame(list(rows.values()), index=list(rows), columns=list(COLUMNS))
    return frame.astype({"return": float, "begin": "datetime64[ns]", "end": "datetime64[ns]"} if dated(history) else {})


def dated(history: History) -> bool:
    return history.labels.tz is None


def worst_window(history: History, weights: np.ndarray, bars: int) -> tuple[float, object, object]:
    """Return of the positions over the worst `bars` in a row, with the close before and the last close; NaN if too short."""
    prices = history.prices
    if prices.shape[1] <= bars or len(weights) == 0:
        return np.nan, pd.NaT, pd.NaT
    moves = weights @ (prices[:, bars:] / prices[:, :-bars] - 1.0)
    at = int(np.argmin(moves))
    return float(moves[at]), history.labels[at], history.labels[at + bars]


def largest_gap(history: History, weights: np.ndarray) -> tuple[float, object, object]:
    """Return of the worst open, with the close before and its own label."""
    if history.gaps.shape[1] == 0 or len(weights) == 0:
        return np.nan, pd.NaT, pd.NaT
    moves = weights @ history.gaps
    at = int(np.argmin(moves))
    return float(moves[at]), history.labels[at], history.labels[at + 1]
