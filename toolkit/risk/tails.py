"""VaR and CVaR of the next bar by five methods, as losses: 0.02 is a loss of two percent of equity.

VaR at a level of 0.95 is the loss that is not exceeded with a probability of 95 %; CVaR is the mean of the losses in the
worst 5 %. Each method is a function of rows of returns (n_rows, n_bars) and a level, and gives both for each row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from toolkit.errors import InvalidParameter
from toolkit.risk.history import LEAST
from toolkit.risk.student import fit_t, t_quantile, t_shortfall
from toolkit.risk.volatility import SETTLING, ewma_deviation
from toolkit.signals.panels import whole

NORMAL = NormalDist()
LEVELS = (0.95, 0.99)
REFIT = 21  # bars for which a fitted t serves in a back-test
FILTERED = "filtered"
FAR = -4.0  # three hundred-thousandths of the mass lie below

Both = tuple[np.ndarray, np.ndarray]


def historical(rows: np.ndarray, level: float) -> Both:
    """The returns as they were.

    VaR is the smallest loss that at least `level` of them do not exceed, never interpolated; CVaR the mean over exactly the
    worst 1 - level of the mass, the last return counted in part. numpy's default quantile lies between two returns instead.
    Source: R. T. Rockafellar, S. Uryasev, Conditional value-at-risk for general loss distributions, J. Banking & Finance 26
    (2002), proposition 8.
    """
    mass = (1.0 - level) * rows.shape[1]
    k = boundary(rows.shape[1], level)
    worst = np.partition(rows, k, axis=1)[:, : k + 1]
    edge = worst[:, k]
    return 0.0 - edge, 0.0 - (worst[:, :k].sum(axis=1) + (mass - k) * edge) / mass


def boundary(n: int, level: float) -> int:
    """How many of `n` losses lie wholly in the tail."""
    return min(n - 1, math.floor((1.0 - level) * n + 1e-9))


def normal(rows: np.ndarray, level: float) -> Both:
    """The normal distribution with the mean and deviation (ddof = 1) of the returns."""
    mean, deviation, at = rows.mean(axis=1), rows.std(axis=1, ddof=1), NORMAL.inv_cdf(1.0 - level)
    return -(mean + at * deviation), -mean + deviation * NORMAL.pdf(at) / (1.0 - level)


def cornish_fisher(rows: np.ndarray, level: float) -> Both:
    """The normal quantile bent by skewness and excess kurtosis (ddof = 0), and the mean of the bent ones beyond it.

    NaN where the bend turns the order of the quantiles in the tail round: the expansion means nothing there.
    Sources: E. A. Cornish, R. A. Fisher, Moments and cumulants in the specification of distributions (1938);
    D. Maillard, A user's guide to the Cornish Fisher expansion (2012), for the CVaR and the domain.
    """
    mean, deviation, z = rows.mean(axis=1), rows.std(axis=1, ddof=1), NORMAL.inv_cdf(1.0 - level)
    apart = rows - mean[:, None]
    variance = (apart**2).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        s, k = (apart**3).mean(axis=1) / variance**1.5, (apart**4).mean(axis=1) / variance**2 - 3.0
    bent = z + (z * z - 1.0) * s / 6.0 + (z**3 - 3.0 * z) * k / 24.0 - (2.0 * z**3 - 5.0 * z) * s * s / 36.0
    spread = 1.0 + z * s / 6.0 + (z * z - 1.0) * k / 24.0 - (2.0 * z * z - 1.0) * s * s / 36.0
    sane = np.where(rising(s, k, z), 1.0, np.nan)
    return -(mean + bent * deviation) * sane, (-mean + spread * deviation * NORMAL.pdf(z) / (1.0 - level)) * sane


def rising(s: np.ndarray, k: np.ndarray, z: float) -> np.ndarray:
    """Whether the bent quantile rises with the normal one from 4 deviations below the mean to `z`: its slope stays above 0."""
    a, b, c = 1.0 - k / 8.0 + 5.0 * s * s / 36.0, s / 3.0, k / 8.0 - s * s / 6.0
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = np.where(c > 0.0, np.clip(-b / (2.0 * c), FAR, z), z)
    return np.all([a + b * x + c * x * x > 0.0 for x in (np.full_like(turn, FAR), turn, np.full_like(turn, z))], axis=0)


def student(rows: np.ndarray, level: float) -> Both:
    """Student's t of most likelihood: see `student.fit_t`."""
    middle, scale, freedom = fit_t(rows)
    tail = 1.0 - level
    at = np.array([t_quantile(tail, each) if each == each else np.nan for each in freedom])
    beyond = np.array([t_shortfall(tail, each) if each == each else np.nan for each in freedom])
    still = np.isnan(scale)  # a row that never moves loses its one return
    constant = -rows[:, 0]
    return np.where(still, constant, -(middle + scale * at)), np.where(still, constant, -(middle + scale * beyond))


METHODS: dict[str, Callable[[np.ndarray, float], Both]] = {
    "historical": historical,
    "normal": normal,
    "cornish_fisher": cornish_fisher,
    "student": student,
    FILTERED: historical,
}


def forecasts(returns: np.ndarray, method: str, level: float = 0.95, window: int = 504, last: int | None = None) -> Both:
    """VaR and CVaR of each bar from the `window` returns before it; the last of them is of the bar to come.

    Shape (n_bars - window + 1,), or the `last` so many. `filtered` divides each return by the deviation that was expected of
    it (EWMA, 0.94), and multiplies the quantiles by the one expected next; it needs 75 returns more to settle.
    `student` is fitted at every 21st bar. Raises InvalidParameter for an unknown method and a level outside of (0.5, 1).
    Source of `filtered`: J. Hull, A. White, Incorporating volatility updating into the historical simulation method, J. Risk
    1 (1998); G. Barone-Adesi, K. Giannopoulos, L. Vosper, VaR without correlations, J. Futures Markets 19 (1999).
    """
    window = whole("window", window, least=LEAST)
    check(method, level)
    if method != FILTERED:
        return rolled(METHODS[method], returns, level, window, last, REFIT if method == "student" else 1)
    expected = ewma_deviation(returns)[SETTLING:]
    moved = expected[:-1] > 0.0
    scaled = np.divide(returns[SETTLING:], expected[:-1], out=np.zeros(len(expected) - 1 if len(expected) else 0), where=moved)
    var, cvar = rolled(historical, scaled, level, window, last, 1)
    ahead = expected[len(expected) - len(var) :]
    return var * ahead, cvar * ahead


def rolled(function: Callable, returns: np.ndarray, level: float, window: int, last: int | None, every: int) -> Both:
    """The function of each window, made anew at `every` so many of them."""
    if len(returns) < window:
        return np.zeros(0), np.zeros(0)
    rows = returns[None, -window:] if last == 1 else sliding_window_view(returns, window)
    rows = rows[max(0, len(rows) - last) :] if last else rows
    var, cvar = function(rows[::every], level)
    return np.repeat(var, every)[: len(rows)], np.repeat(cvar, every)[: len(rows)]


def tail_table(returns: np.ndarray, window: int = 504, levels: Sequence[float] = LEVELS) -> pd.DataFrame:
    """VaR and CVaR of the bar to come, one row a method, columns like `VaR 95%`; fractions of equity, losses above 0.

    A history shorter than the window is used whole; NaN for fewer than 60 returns.
    """
    columns: dict[str, list[float]] = {}
    for level in levels:
        pairs = [next_bar(returns, method, level, window) for method in METHODS]
        columns[f"VaR {100 * level:g}%"], columns[f"CVaR {100 * level:g}%"] = (list(each) for each in zip(*pairs))
    return pd.DataFrame(columns, index=list(METHODS))


def next_bar(returns: np.ndarray, method: str, level: float = 0.95, window: int = 504) -> tuple[float, float]:
    """VaR and CVaR of the bar to come by one method, from the last `window` returns or all there are."""
    there = len(returns) - SETTLING * (method == FILTERED)
    if there < LEAST or not np.isfinite(returns).all():
        return float("nan"), float("nan")
    var, cvar = forecasts(returns, method, level, min(window, there), last=1)
    return float(var[-1]), float(cvar[-1])


def check(method: str, level: float) -> None:
    if method not in METHODS:
        raise InvalidParameter(f"method {method!r} is not known", f"pass one of {', '.join(METHODS)}")
    if not 0.5 < level < 1.0:
        raise InvalidParameter(f"level is {level!r}, it must lie between 0.5 and 1", "pass e.g. level=0.95")
