"""Mean, deviation and correlation of prices that make sums lose their digits, against exact whole numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import accumulate

import mpmath
import numpy as np
import pandas as pd
import pytest

from toolkit.signals.indicators.averages import sma
from toolkit.signals.indicators.regression import rolling_correlation
from toolkit.signals.indicators.statistics import rolling_std
from toolkit.testing.hostile import hostile_series

N = 1500
SCALE = 2**90  # makes whole numbers of the prices below


def wholes(close: np.ndarray) -> list[int]:
    """The prices times SCALE, nothing lost; 0 where a price is not finite."""
    scaled = [Fraction(price) * SCALE if math.isfinite(price) else Fraction(0) for price in close.tolist()]
    assert all(price.denominator == 1 for price in scaled)
    return [price.numerator for price in scaled]


def sums(terms: list[int], window: int) -> list[int]:
    """Exact sum of each window."""
    total = [0, *accumulate(terms)]
    return [total[end] - total[end - window] for end in range(window, N + 1)]


def moments(x: list[int], y: list[int], window: int) -> list[int]:
    """window**2 times the covariance of each window, exact."""
    products = sums([a * b for a, b in zip(x, y)], window)
    return [window * xy - a * b for xy, a, b in zip(products, sums(x, window), sums(y, window))]


@pytest.mark.parametrize("window", [5, 20, 60])
@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("case", list(hostile_series(N)))
def test_digits_are_kept_whatever_the_prices(case, seed, window):
    """To 4e-15, relative but for the correlation; and no value is lost but where the window itself holds what is no number."""
    x, y = hostile_series(N, seed)[case], hostile_series(N, seed + 100)[case]
    means, deviations = sma(x, window)[window - 1 :], rolling_std(x, window)[window - 1 :]
    correlations = rolling_correlation(x, y, window)[window - 1 :]
    known = pd.Series(np.isfinite(x) & np.isfinite(y)).rolling(window).min()[window - 1 :].eq(1.0).to_numpy()
    x, y = wholes(x), wholes(y)
    totals, xx, yy, xy = sums(x, window), moments(x, x, window), moments(y, y, window), moments(x, y, window)
    with mpmath.workdps(40):
        for bar in range(len(known)):
            if not known[bar]:
                assert math.isnan(means[bar]) and math.isnan(deviations[bar]) and math.isnan(correlations[bar])
                continue
            mean = mpmath.mpf(totals[bar]) / (window * SCALE)
            deviation = mpmath.sqrt(mpmath.mpf(xx[bar]) / (window * (window - 1))) / SCALE
            assert abs(means[bar] - mean) <= 4e-15 * mean
            assert abs(deviations[bar] - deviation) <= 4e-15 * deviation
            if xx[bar] and yy[bar]:
                correlation = xy[bar] / mpmath.sqrt(mpmath.mpf(xx[bar]) * yy[bar])
                assert abs(correlations[bar] - correlation) <= 4e-15
            else:
                assert math.isnan(correlations[bar])


def test_a_constant_has_no_deviation_and_no_correlation():
    flat, moving = np.full(40, 0.1), np.arange(40.0)
    assert (rolling_std(flat, 7)[6:] == 0.0).all()
    assert np.isnan(rolling_correlation(flat, moving, 7)).all()
    assert np.isnan(rolling_correlation(moving, flat, 7)).all()


def test_prices_correlate_with_themselves_exactly():
    for case in "plain", "offset of 1e9", "1e12 falling to 1":
        close = hostile_series(N, 5)[case]
        assert (rolling_correlation(close, close, 20)[19:] == 1.0).all()
        assert (rolling_correlation(close, -close, 20)[19:] == -1.0).all()
