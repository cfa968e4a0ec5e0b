"""Scores of symbols against each other at one bar, and of several scores together: each bar by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter
from toolkit.signals.panels import Prices, labelled, panel
from toolkit.signals.rules import is_data, together


def rank(values: Prices) -> Prices:
    """Where each symbol stands among those that are known at the bar: -1.0 the lowest to 1.0 the highest, in equal steps.

    Equal values share the mean of their places; alone, or all equal, it is 0.0. NaN stays NaN and is not counted.
    (rank + 1) / 2 is the same as a fraction.

    >>> rank(pd.DataFrame({"A": [5.0], "B": [7.0], "C": [9.0], "D": [float("nan")]})).iloc[0].tolist()
    [-1.0, 0.0, 1.0, nan]
    """
    places, known = placed(values)
    return labelled((2.0 * places - known - 1.0) / np.maximum(known - 1.0, 1.0), values)


def top_bottom(values: Prices, top: float = 0.2, bottom: float = 0.0) -> Prices:
    """1.0 for the `top` fraction of the symbols that are known at the bar, -1.0 for the `bottom` one, 0.0 between.

    The fractions are rounded to whole symbols, a half down: of 5 symbols 0.2 takes one, 0.3 one, and 0.09 none. Equal values
    are taken together, or not at all. NaN stays NaN, no opinion. Raises InvalidParameter for fractions outside [0, 1] or of
    more than 1 together.

    >>> top_bottom(pd.DataFrame({"A": [5.0], "B": [7.0], "C": [9.0], "D": [1.0]}), top=0.5, bottom=0.25).iloc[0].tolist()
    [0.0, 1.0, 1.0, -1.0]
    """
    for name, fraction in ("top", top), ("bottom", bottom):
        if not (isinstance(fraction, Real) and 0.0 <= fraction <= 1.0):
            raise InvalidParameter(f"{name} is {fraction!r}", "pass a fraction of the symbols, 0 to 1")
    if top + bottom > 1.0:
        raise InvalidParameter(f"top is {top}, bottom is {bottom}", "choose fractions that are at most 1 together")
    places, known = placed(values)
    most, least = np.round(top * known, 9), np.round(bottom * known, 9)  # 0.035 of 100 is 3.5, not a little more
    high, low = known - places + 0.5 < most, places - 0.5 < least
    return labelled(np.where(np.isnan(places), np.nan, high * 1.0 - low), values)


def vote(*scores: Prices, weights: Sequence[float] | None = None) -> Prices:
    """Weighted mean of several scores at each bar; one that is NaN (or infinite) abstains, and where all do it is NaN.

    weights: one a score, not negative, of any sum; None for equal ones. Of scores in [-1, 1] it is a score in [-1, 1]. Raises
    InvalidParameter where the labels differ, or for other weights.

    >>> vote(pd.Series([1.0, 1.0, float("nan")]), pd.Series([-1.0, float("nan"), float("nan")]), weights=[3, 1]).tolist()
    [0.5, 1.0, nan]
    """
    if not scores or not all(map(is_data, scores)):
        what = f"a vote is of {', '.join(type(score).__name__ for score in scores) or 'nothing'}"
        raise InvalidParameter(what, "pass frames, Series or arrays of scores, e.g. vote(a, b, weights=[2, 1])")
    rows, like = together(**{f"score {n}": score for n, score in enumerate(scores, start=1)})
    total, mean = np.zeros(rows[0].shape), np.zeros(rows[0].shape)
    for row, weight in zip(rows, checked(weights, len(rows)), strict=True):
        known = np.isfinite(row)
        total += weight * known
        mean += weight * np.where(known, row, 0.0)
    return labelled(np.divide(mean, total, out=np.full(mean.shape, np.nan), where=total > 0.0), like)


def checked(weights: Sequence[float] | None, n: int) -> list[float]:
    """The weights as floats, the largest from 0.5 to 1; InvalidParameter unless there is one for each score, one above 0."""
    if weights is None:
        return [1.0] * n
    cure = f"pass {n} numbers of at least 0, one of them above"
    try:
        numbers = [float(weight) for weight in weights]
    except (TypeError, ValueError):
        raise InvalidParameter(f"weights are {weights!r}", cure) from None
    if len(numbers) != n or not all(0.0 <= weight < np.inf for weight in numbers) or not max(numbers) > 0.0:
        raise InvalidParameter(f"weights are {weights!r}", cure)
    _, exponent = math.frexp(max(numbers))
    return [math.ldexp(weight, -exponent) for weight in numbers]  # nothing is rounded, and no sum overflows


def placed(values: Prices) -> tuple[np.ndarray, np.ndarray]:
    """Places from 1, equal values at their mean, (n_symbols, n_bars), NaN for NaN; and how many are known, (n_bars,)."""
    frame = pd.DataFrame(panel(values, "values").T)
    places = frame.rank(axis=1, method="average").to_numpy().T
    return places, (~np.isnan(places)).sum(axis=0).astype(np.float64)
