"""How much of the book moves as one: correlations, their average, the first component, and beta."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.data.bars import columns_of


class Correlation(NamedTuple):
    """`average` is over the pairs, each once; `first` the share of variance of the first component of the matrix.

    Both are NaN for fewer than two symbols, and where one does not move. `first` is 1 where all move as one, and 1 / n where
    no two are related.
    """

    matrix: pd.DataFrame
    average: float
    first: float


def correlation_of(covariance: np.ndarray, symbols: tuple[str, ...]) -> Correlation:
    """Correlations of a covariance (n_symbols, n_symbols); NaN with a symbol that does not move.

    Source of `first`: M. Kritzman, Y. Li, S. Page, R. Rigobon, Principal components as a measure of systemic risk, Journal of
    Portfolio Management 37 (2011), with one component.
    """
    deviation = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        matrix = covariance / np.outer(deviation, deviation)
    n, average, first = len(symbols), float("nan"), float("nan")
    if n > 1 and np.isfinite(matrix).all():
        average = float((matrix.sum() - n) / (n * (n - 1)))
        first = float(np.linalg.eigvalsh(matrix)[-1] / n)
    return Correlation(pd.DataFrame(matrix, columns_of(symbols), columns_of(symbols)), average, first)


def beta_of(returns: np.ndarray, benchmark: np.ndarray) -> np.ndarray:
    """Slope of each row of `returns` (..., n_bars) on the benchmark (n_bars,); bars without either are left out.

    NaN for fewer than 60 common bars and for a benchmark that does not move.
    """
    known = np.isfinite(benchmark) & np.isfinite(returns).all(axis=tuple(range(returns.ndim - 1)))
    y, x = returns[..., known], benchmark[known]
    if known.sum() < 60 or not np.ptp(x) > 0.0:
        return np.full(returns.shape[:-1], np.nan)
    apart = x - x.mean()
    return (y - y.mean(axis=-1, keepdims=True)) @ apart / (apart @ apart)
