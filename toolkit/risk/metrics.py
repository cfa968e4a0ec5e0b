"""What a curve of equity was worth. Returns are simple, per bar; fractions are fractions, 0.1 is ten percent.

`equity` is a Series of account values at the close of each bar, in any currency, with at least one bar; the first is
the capital that it began with. `periods_per_year` is the bars in a year: 252 for daily bars of a stock exchange.
What cannot be said (a ratio with nothing below the line, a deviation of fewer than two returns) is NaN.
InvalidParameter is raised for an empty curve, for a value that is not finite, and for one that is not above 0 anywhere
but at the last bar: after ruin there are no returns.

Each definition is a function of arrays, bars along the last axis, whose name ends in `_of` (many curves at once, nothing is
checked); the one without it takes a curve. Returns come from a curve by `returns`, and a curve from returns by `curve`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter


class Performance(NamedTuple):
    """Summary of a curve; `annual_return` and `volatility` per year, drawdown as a fraction at or below 0."""

    total_return: float
    annual_return: float
    volatility: float
    sharpe: float
    sortino: float
    max_drawdown: float
    calmar: float


def performance(equity: pd.Series, risk_free: float = 0.0, periods_per_year: float = 252.0) -> Performance:
    """All metrics of a curve at once."""
    summary = performance_of(checked(equity), bar_returns(equity), risk_free, positive(periods_per_year))
    return Performance(*(float(value) for value in summary))


def performance_of(
    values: np.ndarray, returns: np.ndarray, risk_free: float = 0.0, periods_per_year: float = 252.0
) -> tuple[np.ndarray, ...]:
    """The fields of Performance for many curves: arrays (...), from `values` (..., n_bars) and `returns` (..., n_bars - 1)."""
    annual, deepest = annual_return_of(values, periods_per_year), max_drawdown_of(values)
    return (
        total_return_of(values),
        annual,
        volatility_of(returns, periods_per_year),
        sharpe_of(returns, risk_free, periods_per_year),
        sortino_of(returns, risk_free, periods_per_year),
        deepest,
        calmar_of(annual, deepest),
    )


def total_return(equity: pd.Series) -> float:
    """Last value over first, less 1; 0 for a single bar.

    >>> total_return(pd.Series([100.0, 90.0, 120.0]))
    0.2
    """
    return float(total_return_of(checked(equity)))


def total_return_of(values: np.ndarray) -> np.ndarray:
    return (values[..., -1] - values[..., 0]) / values[..., 0]


def annual_return(equity: pd.Series, periods_per_year: float = 252.0) -> float:
    """Compound return per year; NaN for a single bar, -1 after ruin."""
    return float(annual_return_of(checked(equity), positive(periods_per_year)))


def annual_return_of(values: np.ndarray, periods_per_year: float) -> np.ndarray:
    if values.shape[-1] < 2:
        return np.full(values.shape[:-1], np.nan)
    with np.errstate(over="ignore"):
        return np.maximum(values[..., -1] / values[..., 0], 0.0) ** (periods_per_year / (values.shape[-1] - 1)) - 1.0


def volatility(equity: pd.Series, periods_per_year: float = 252.0) -> float:
    """Standard deviation of returns (ddof = 1) per year; NaN for fewer than two returns."""
    return float(volatility_of(bar_returns(equity), positive(periods_per_year)))


def volatility_of(returns: np.ndarray, periods_per_year: float) -> np.ndarray:
    return deviation(returns) * np.sqrt(periods_per_year)


def sharpe(equity: pd.Series, risk_free: float = 0.0, periods_per_year: float = 252.0) -> float:
    """Mean return above the risk-free one over its deviation (ddof = 1), per year; NaN where the deviation is 0.

    `risk_free` is a fraction per year, spread evenly over the bars. One constant return has no deviation but rounding:
    below 1e-12 of the mean it counts as 0.
    Source: W. F. Sharpe, The Sharpe ratio, J. Portfolio Management 21 (1994).
    """
    return float(sharpe_of(bar_returns(equity), risk_free, positive(periods_per_year)))


def sharpe_of(returns: np.ndarray, risk_free: float = 0.0, periods_per_year: float = 1.0) -> np.ndarray:
    """Sharpe ratios; per bar unless told how many make a year."""
    if returns.shape[-1] < 2:
        return np.full(returns.shape[:-1], np.nan)
    return ratio((returns - risk_free / periods_per_year).mean(axis=-1), deviation(returns), periods_per_year)


def sortino(equity: pd.Series, risk_free: float = 0.0, periods_per_year: float = 252.0) -> float:
    """Mean return above the risk-free one over its downside deviation, per year; NaN where nothing fell short.

    The downside deviation is the root of the mean square of the shortfalls over all bars, not just the losing ones.
    Source: F. A. Sortino, L. N. Price, Performance measurement in a downside risk framework, J. Investing 3 (1994).
    """
    return float(sortino_of(bar_returns(equity), risk_free, positive(periods_per_year)))


def sortino_of(returns: np.ndarray, risk_free: float, periods_per_year: float) -> np.ndarray:
    if returns.shape[-1] < 1:
        return np.full(returns.shape[:-1], np.nan)
    excess = returns - risk_free / periods_per_year
    return ratio(excess.mean(axis=-1), np.sqrt(np.mean(np.minimum(excess, 0.0) ** 2, axis=-1)), periods_per_year)


def drawdown(equity: pd.Series) -> pd.Series:
    """Fraction below the highest value so far, at or below 0, one a bar.

    >>> drawdown(pd.Series([100.0, 80.0, 120.0])).tolist()
    [0.0, -0.2, 0.0]
    """
    return pd.Series(drawdown_of(checked(equity)), index=equity.index, name="drawdown")


def drawdown_of(values: np.ndarray) -> np.ndarray:
    peak = np.maximum.accumulate(values, axis=-1)
    return (values - peak) / peak


def max_drawdown(equity: pd.Series) -> float:
    """The deepest drawdown, a fraction at or below 0."""
    return float(max_drawdown_of(checked(equity)))


def max_drawdown_of(values: np.ndarray) -> np.ndarray:
    return drawdown_of(values).min(axis=-1)


def calmar(equity: pd.Series, periods_per_year: float = 252.0) -> float:
    """Annual return over the size of the deepest drawdown, over the whole curve; NaN where there was none.

    Source: T. W. Young, Calmar ratio: a smoother tool, Futures (October 1991).
    """
    values = checked(equity)
    return float(calmar_of(annual_return_of(values, positive(periods_per_year)), max_drawdown_of(values)))


def calmar_of(annual: np.ndarray, deepest: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(deepest < 0.0, annual / -deepest, np.nan)


def turnover(weights: pd.DataFrame, periods_per_year: float = 252.0) -> float:
    """Fraction of equity bought or sold per year, the smaller of the two as one: half of all changes of weight.

    `weights` are the ones aimed at, n_bars x n_symbols; NaN keeps the weight before, and the account starts in cash.
    The drift of weights between trades is not in it. NaN for no bars.
    """
    if len(weights) == 0:
        return float("nan")
    year = positive(periods_per_year)
    kept = weights.ffill().fillna(0.0).to_numpy(np.float64)
    return float(np.abs(np.diff(kept, axis=0, prepend=0.0)).sum() / 2.0 / len(kept) * year)


def win_rate(profits: pd.Series) -> float:
    """Fraction of profits above 0 (of closed trades, or of bars) among all that are not NaN; NaN for none."""
    known = profits.dropna()
    return float((known > 0.0).mean()) if len(known) else float("nan")


def returns(equity: pd.Series) -> pd.Series:
    """Simple return of each bar but the first, a fraction."""
    return pd.Series(bar_returns(equity), index=equity.index[1:], name="return")


def bar_returns(equity: pd.Series) -> np.ndarray:
    """Simple returns, one fewer than bars."""
    values = checked(equity)
    return values[1:] / values[:-1] - 1.0


def curve(returns: pd.Series) -> pd.Series:
    """Equity that began with 1 and earned `returns`: one value more than they are.

    >>> curve(pd.Series([0.5, -0.5])).tolist()
    [1.0, 1.5, 0.75]
    """
    return pd.Series(np.concatenate([[1.0], np.cumprod(1.0 + np.asarray(returns, dtype=np.float64))]), name="equity")


def deviation(returns: np.ndarray) -> np.ndarray:
    """Standard deviation (ddof = 1), per bar; NaN for fewer than two returns."""
    return np.std(returns, axis=-1, ddof=1) if returns.shape[-1] > 1 else np.full(returns.shape[:-1], np.nan)


def ratio(mean: np.ndarray, deviation: np.ndarray, periods_per_year: float) -> np.ndarray:
    """mean / deviation per year; NaN where the deviation is nothing but rounding."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(deviation > 1e-12 * np.abs(mean), mean / deviation * np.sqrt(periods_per_year), np.nan)


def checked(equity: pd.Series) -> np.ndarray:
    """Values of a curve as float64."""
    values = np.asarray(equity, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise InvalidParameter(f"equity has shape {values.shape}", "pass a Series with at least one bar")
    wrong = ~np.isfinite(values)
    wrong[:-1] |= ~(values[:-1] > 0.0)
    wrong[0] |= not values[0] > 0.0
    if wrong.any():
        bar = int(np.argmax(wrong))
        raise InvalidParameter(
            f"equity is {values[bar]} at {pd.Series(equity).index[bar]}",
            "cut the curve there: returns need a value above 0",
        )
    return values


def positive(periods_per_year: float) -> float:
    """Bars per year; InvalidParameter unless above 0."""
    if not 0.0 < periods_per_year < np.inf:
        raise InvalidParameter(f"periods_per_year is {periods_per_year!r}", "pass 252 for daily bars")
    return float(periods_per_year)
