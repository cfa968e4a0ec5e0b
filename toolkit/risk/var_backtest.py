"""Was the VaR of each bar exceeded as often as it should be, and not in clusters? The tests of Kupiec and of Christoffersen."""

from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter
from toolkit.risk.tails import METHODS, forecasts

MOST = 2520  # forecasts looked at: ten years of days


class Backtest(NamedTuple):
    """`n` bars, of which `exceeded` lost more than their VaR, against `expected`; p-values of three likelihood ratio tests.

    A small p says that the VaR is wrong: in the number of exceedances (`kupiec`), in that one makes another more likely
    (`independence`), or in both at once (`coverage`). NaN for no bars; `independence` needs two.
    """

    n: int
    exceeded: int
    expected: float
    kupiec: float
    independence: float
    coverage: float


def backtest_var(returns: np.ndarray, var: np.ndarray, level: float) -> Backtest:
    """Tests of VaR forecasts `var` (losses) made before each of `returns`; both (n_bars,).

    Sources: P. Kupiec, Techniques for verifying the accuracy of risk measurement models, J. Derivatives 3 (1995);
    P. Christoffersen, Evaluating interval forecasts, International Economic Review 39 (1998).
    Raises InvalidParameter for different lengths, NaN, and a level outside of (0, 1).
    """
    returns, var = np.asarray(returns, np.float64), np.asarray(var, np.float64)
    if returns.shape != var.shape or returns.ndim != 1 or not np.isfinite(returns - var).all():
        what = f"returns of shape {returns.shape} and VaR of shape {var.shape} are not the same finite bars"
        raise InvalidParameter(what, "drop the bars without a forecast from both")
    if not 0.0 < level < 1.0:
        raise InvalidParameter(f"level is {level!r}, it must lie between 0 and 1", "pass e.g. level=0.95")
    hits = -returns > var
    n, exceeded = len(hits), int(hits.sum())
    if n == 0:
        return Backtest(0, 0, 0.0, math.nan, math.nan, math.nan)
    often, clustered = unconditional(n, exceeded, 1.0 - level), independent(hits)
    expected = (1.0 - level) * n
    return Backtest(n, exceeded, expected, beyond_one(often), beyond_one(clustered), math.exp(-0.5 * (often + clustered)))


def unconditional(n: int, exceeded: int, tail: float) -> float:
    """Kupiec's ratio: twice what the observed frequency gains in log likelihood over `tail`; chi-squared, 1 degree."""
    return 2.0 * (likelihood(n - exceeded, exceeded, exceeded / n) - likelihood(n - exceeded, exceeded, tail))


def independent(hits: np.ndarray) -> float:
    """Christoffersen's ratio: what a frequency of its own after an exceedance gains; chi-squared, 1 degree."""
    if len(hits) < 2:
        return math.nan
    before, after = hits[:-1], hits[1:]
    (n00, n01), (n10, n11) = ((int((~after[at]).sum()), int(after[at].sum())) for at in (~before, before))
    own = sum(likelihood(calm, hit, hit / (calm + hit)) for calm, hit in ((n00, n01), (n10, n11)) if calm + hit)
    return 2.0 * max(0.0, own - likelihood(n00 + n10, n01 + n11, (n01 + n11) / (len(hits) - 1)))


def likelihood(calm: int, hit: int, probability: float) -> float:
    """Log likelihood of counts; 0 times the logarithm of 0 is 0."""
    return (calm * math.log1p(-probability) if calm else 0.0) + (hit * math.log(probability) if hit else 0.0)


def beyond_one(statistic: float) -> float:
    """Probability that chi-squared with one degree of freedom is larger."""
    return math.erfc(math.sqrt(max(0.0, statistic) / 2.0))


def var_history(returns: np.ndarray, method: str, level: float, window: int) -> tuple[np.ndarray, np.ndarray]:
    """The last returns that have a forecast (at most 2,520), and the VaR that was forecast for each; or none."""
    if not np.isfinite(returns).all():
        return np.zeros(0), np.zeros(0)
    var = forecasts(returns, method, level, window, last=MOST + 1)[0][:-1]
    return returns[len(returns) - len(var) :], var


def backtest_table(returns: np.ndarray, levels: tuple[float, ...], window: int) -> pd.DataFrame:
    """One row a method and level: the fields of `Backtest`; a bar of which the method says nothing (NaN) is not counted."""
    rows = {}
    for name, level in product(METHODS, levels):
        later, var = var_history(returns, name, level, window)
        known = np.isfinite(var)
        rows[name, level] = backtest_var(later[known], var[known], level)
    frame = pd.DataFrame(list(rows.values()), columns=list(Backtest._fields))
    frame.index = pd.MultiIndex.from_tuples(list(rows), names=["method", "level"])
    return frame
