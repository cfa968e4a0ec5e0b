"""Sizing: from scores to target weights, signed fractions of equity; causal, and blind to the account.

`equal_weight(...)` and the others return a function (scores, bars) -> weights, frames of shape (n_bars, n_symbols).
Every weight is its score times the size of a full position, so that no score (NaN) means no weight (NaN):
whoever trades keeps what there is. Fractions are fractions: 0.95 of equity.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.data.work import phase
from toolkit.errors import InvalidParameter, StrategyFailed, ToolkitError
from toolkit.signals.indicators import rolling_std
from toolkit.signals.panels import labelled, named_as, panel, same_labels, whole

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

Sizing = Callable[[pd.DataFrame, "Bars"], pd.DataFrame]


def equal_weight(gross: float = 0.95) -> Sizing:
    """A full position is `gross` over the number of symbols listed so far; a halted symbol keeps its place."""
    return partial(_equal_weight, gross=positive("gross", gross))


def inverse_volatility(gross: float = 0.95, window: int = 63) -> Sizing:
    """Full positions share `gross` in proportion to 1 / volatility of each symbol's returns over the last `window`.

    NaN until a symbol's volatility is known; 0 for a symbol that does not move, whose inverse means nothing.
    Source: P. Jurczenko (ed.), Risk-Based and Factor Investing (2015), ch. 1 (naive risk parity).
    """
    return partial(_inverse_volatility, gross=positive("gross", gross), window=whole("window", window, least=2))


def volatility_target(annual: float = 0.10, window: int = 63, gross: float = 0.95, periods_per_year: float = 252.0) -> Sizing:
    """A full position brings `annual` / number of symbols listed so far of yearly volatility; gross is capped.

    The whole then has at most the yearly volatility `annual`, and just that where all symbols move as one. A position
    is NaN until the volatility over the last `window` returns is known, and 0 for a symbol that does not move.
    Source: T. J. Moskowitz, Y. H. Ooi, L. H. Pedersen, Time series momentum, J. Financial Economics 104 (2012), sec. 4.
    """
    return partial(
        _volatility_target,
        annual=positive("annual", annual),
        window=whole("window", window, least=2),
        gross=positive("gross", gross),
        periods_per_year=positive("periods_per_year", periods_per_year),
    )


@phase("risk")
def sized(sizing: Sizing, scores: pd.DataFrame, bars: Bars) -> pd.DataFrame:
    """The checked weights of a sizing; StrategyFailed if it raised."""
    try:
        weights = sizing(scores, bars)
    except ToolkitError:
        raise
    except Exception as error:  # a sizing is foreign code: a loop goes on, and the cause is kept
        name = getattr(sizing, "__name__", None) or type(sizing).__name__
        what = f"sizing {name} raised {type(error).__name__}: {error}"
        raise StrategyFailed(what, f"call it on these {len(bars)} bars to see where") from error
    return check_weights(weights, bars)


def check_weights(weights: pd.DataFrame, bars: Bars) -> pd.DataFrame:
    """The weights; InvalidParameter unless they are a frame of numbers with the labels of the bars."""
    if not isinstance(weights, pd.DataFrame):
        raise InvalidParameter(f"sizing returned a {type(weights).__name__}", "return a frame, n_bars x n_symbols")
    if not same_labels(weights.index, bars.index) or not named_as(weights, bars):
        raise InvalidParameter("sizing returned weights under other labels than the bars", "keep the labels of the scores")
    panel(weights, "weights")
    return weights


def cap_positions(weights: pd.DataFrame, most: float) -> pd.DataFrame:
    """Weights no larger than `most` on either side; NaN stays NaN."""
    most = positive("most", most)
    return labelled(np.clip(panel(weights, "weights"), -most, most), weights)


def cap_gross(weights: pd.DataFrame, most: float) -> pd.DataFrame:
    """Weights scaled down, all alike, at the bars where the sum of their sizes is above `most`; NaN counts as none."""
    rows, most = panel(weights, "weights"), positive("most", most)
    gross = across(np.abs(rows))
    return labelled(rows * np.divide(most, gross, out=np.ones(gross.shape), where=gross > most), weights)


def _equal_weight(scores: pd.DataFrame, bars: Bars, *, gross: float) -> pd.DataFrame:
    return labelled(score_rows(scores, bars) * (gross / listed(bars)), scores)


def _inverse_volatility(scores: pd.DataFrame, bars: Bars, *, gross: float, window: int) -> pd.DataFrame:
    inverse = reciprocal(volatility(bars, window))
    total = across(inverse)
    return labelled(score_rows(scores, bars) * (gross * inverse / np.where(total > 0.0, total, 1.0)), scores)


def _volatility_target(
    scores: pd.DataFrame, bars: Bars, *, annual: float, window: int, gross: float, periods_per_year: float
) -> pd.DataFrame:
    yearly = volatility(bars, window) * np.sqrt(periods_per_year)
    weights = score_rows(scores, bars) * (annual / listed(bars) * reciprocal(yearly))
    return cap_gross(labelled(weights, scores), gross)


def volatility(bars: Bars, window: int) -> np.ndarray:
    """Deviation of simple returns over the last `window`, per bar (not per year), shape (n_symbols, n_bars).

    After a halt the last one known holds until the window is whole again; NaN before the first.
    """
    close = panel(bars.close)
    returns = np.full(close.shape, np.nan)
    returns[:, 1:] = close[:, 1:] / close[:, :-1] - 1.0
    return panel(rolling_std(labelled(returns, bars.close), window).ffill())


def listed(bars: Bars) -> np.ndarray:
    """How many symbols have had a price so far, at least 1, shape (n_bars,)."""
    known = np.isfinite(bars.field(3))
    first = np.where(known.any(axis=1), known.argmax(axis=1), len(bars)) if len(bars) else np.zeros(0, int)
    begun = np.cumsum(np.bincount(first, minlength=len(bars) + 1)[: len(bars)])
    return np.maximum(begun, 1)


def across(rows: np.ndarray) -> np.ndarray:
    """Sum over symbols, NaN counted as 0."""
    # One after the other: numpy's order of summing depends on the shape, and one bar more would change the last bit.
    return reduce(np.add, np.where(np.isfinite(rows), rows, 0.0), np.zeros(rows.shape[1]))


def reciprocal(rows: np.ndarray) -> np.ndarray:
    """1 / value, 0 where the value is 0, NaN where it is NaN."""
    return np.divide(1.0, rows, out=rows * 0.0, where=rows > 0.0)


def score_rows(scores: pd.DataFrame, bars: Bars) -> np.ndarray:
    """Scores as (n_symbols, n_bars); InvalidParameter where their labels are not those of the bars."""
    if not (same_labels(scores.index, bars.index) and named_as(scores, bars)):
        raise InvalidParameter("scores and bars have different labels", "size the scores with the bars they were made of")
    return panel(scores, "scores")


def positive(name: str, value: float) -> float:
    """The value; InvalidParameter unless it is a number above 0."""
    if not (isinstance(value, int | float) and 0.0 < value < np.inf):
        raise InvalidParameter(f"{name} is {value!r}, it must be a number above 0", "fractions are written as 0.95")
    return float(value)
