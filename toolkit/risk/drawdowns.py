"""Drawdowns: how deep, how long, how often deep (CDaR), and how deep on the whole (Ulcer index).

Depths are fractions of the peak so far, written as losses above 0; lengths are bars.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.risk.metrics import drawdown_of
from toolkit.risk.tails import historical


class Drawdowns(NamedTuple):
    """`length` is the most bars from a peak until it is reached again, or to the last bar; `now` the depth at the last bar.

    `cdar` is the mean of the deepest 5 % of all bars' drawdowns; `ulcer` the root of the mean of their squares.
    """

    deepest: float
    length: int
    now: float
    cdar: float
    ulcer: float


def drawdowns_of(values: np.ndarray, level: float = 0.95) -> Drawdowns:
    """Drawdowns of a curve of values (n_bars,), the first of which is the capital; NaN for fewer than two bars or after ruin.

    The first value starts the peak and is not counted as a bar. Compounded: the drawdown is relative to the peak.
    Sources: A. Chekhlov, S. Uryasev, M. Zabarankin, Drawdown measure in portfolio optimization, Int. J. Theoretical and
    Applied Finance 8 (2005); P. Martin, B. McCann, The investor's guide to Fidelity funds (1989), for the Ulcer index.
    """
    if len(values) < 2 or not (np.isfinite(values).all() and (values > 0.0).all()):
        return Drawdowns(np.nan, 0, np.nan, np.nan, np.nan)
    falls = -drawdown_of(values)
    counted = falls[1:]
    begins, ends = below(falls)
    cdar = float(historical(-counted[None, :], level)[1][0])
    return Drawdowns(
        float(falls.max()) + 0.0,
        int((np.minimum(ends, len(falls) - 1) - begins + 1).max(initial=0)),
        float(falls[-1]) + 0.0,
        cdar + 0.0,
        float(np.sqrt(np.mean(counted**2))),
    )


def spans(falls: np.ndarray) -> list[tuple[int, int, int, bool]]:
    """Position of peak, trough, and recovery (or the last bar) of each drawdown, and whether it recovered."""
    found = []
    for begin, end in zip(*(each.tolist() for each in below(falls))):
        trough = begin + int(np.argmax(falls[begin:end]))
        found.append((begin - 1, trough, min(end, len(falls) - 1), end < len(falls)))
    return found


def below(falls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first bar of each stretch below a peak, and the first after it."""
    under = np.concatenate([[False], falls > 0.0, [False]])
    edges = np.flatnonzero(under[1:] != under[:-1])
    return edges[::2], edges[1::2]


def drawdown_table(curve: pd.Series, count: int = 5) -> pd.DataFrame:
    """The deepest drawdowns of a curve: peak, trough, recovered (labels; NaT if it did not), depth, bars in all."""
    falls = -drawdown_of(curve.to_numpy(np.float64))
    rows = [
        (curve.index[peak], curve.index[trough], curve.index[end] if whole else pd.NaT, falls[trough], end - peak)
        for peak, trough, end, whole in spans(falls)
    ]
    frame = pd.DataFrame(rows, columns=["peak", "trough", "recovered", "depth", "bars"])
    return frame.sort_values("depth", ascending=False, ignore_index=True, kind="stable").head(count)
