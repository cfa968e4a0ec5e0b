"""Student's t with location and scale: its quantiles, and the one most likely to have made some returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

FEWEST, MOST = 1.05, 400.0  # degrees of freedom looked at: below 1 there is no mean, above it is a normal
STEPS, INNER = 26, 10
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


def t_cdf(x: float, freedom: float) -> float:
    """Probability of a value of at most `x`.

    Source: NIST Digital Library of Mathematical Functions, 8.17.22 (the incomplete beta as a continued fraction), 8.17.4.
    """
    ratio = freedom / (freedom + x * x)
    tail = 0.5 * incomplete_beta(ratio, 0.5 * freedom, 0.5)
    return tail if x <= 0.0 else 1.0 - tail


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta I_x(a, b)."""
    if not 0.0 < x < 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - incomplete_beta(1.0 - x, b, a)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    # Lentz: numerators and denominators in step, until a factor no longer matters
    tiny, d = 1e-300, 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    c, fraction = 1.0, d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        before = fraction
        for step in (even, odd):
            d = 1.0 / (1.0 + step * d or tiny)
            c = 1.0 + step / c or tiny
            fraction *= c * d
        if abs(fraction - before) < 1e-16 * abs(fraction):
            break
    return math.exp(front) * fraction / a


def t_density(x: float, freedom: float) -> float:
    half = 0.5 * (freedom + 1.0)
    front = math.lgamma(half) - math.lgamma(0.5 * freedom) - 0.5 * math.log(math.pi * freedom)
    return math.exp(front - half * math.log1p(x * x / freedom))


def t_quantile(probability: float, freedom: float) -> float:
    """The value that is not exceeded with `probability`, between 0 and 1; Newton's steps within a bracket.

    >>> round(t_quantile(0.975, 10.0), 6)
    2.228139
    """
    if probability > 0.5:
        return -t_quantile(1.0 - probability, freedom)
    high, low = 0.0, -2.0
    while t_cdf(low, freedom) > probability:
        high, low = low, 2.0 * low
    x = max(low, NormalDist().inv_cdf(probability))
    for _ in range(100):
        missed = t_cdf(x, freedom) - probability
        high, low = (x, low) if missed > 0.0 else (high, x)
        new = x - missed / t_density(x, freedom)
        new = new if low < new < high else 0.5 * (low + high)
        if abs(new - x) <= 1e-14 * max(1.0, abs(x)):
            return new
        x = new
    return x


def t_shortfall(probability: float, freedom: float) -> float:
    """Mean of the values below the quantile of `probability`, for more than one degree of freedom.

    Source: A. J. McNeil, R. Frey, P. Embrechts, Quantitative Risk Management (2005), example 2.19.
    """
    at = t_quantile(probability, freedom)
    return -t_density(at, freedom) / probability * (freedom + at * at) / (freedom - 1.0)


def fit_t(returns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Location, scale and degrees of freedom of most likelihood for each row (n_rows, n_bars); NaN for a row that never moves.

    The degrees lie between 1.05 and 400, found by golden section; location and scale for given degrees by expectation and
    maximisation with the expanded parameter, which takes few steps.
    Source: C. Liu, D. B. Rubin, Y. N. Wu, Parameter expansion to accelerate EM, Biometrika 85 (1998), section 4.
    """
    moves = np.ptp(returns, axis=1) > 0.0
    rows = returns[moves]
    middle, spread = np.median(rows, axis=1), np.std(rows, axis=1)
    state = [middle, spread]

    def likelihood(logarithm: np.ndarray) -> np.ndarray:
        freedom = np.exp(logarithm)
        state[:] = located(rows, freedom, state[0], state[1])
        return mean_likelihood(rows, freedom, state[0], state[1])

    freedom = np.exp(golden(likelihood, np.full(len(rows), math.log(FEWEST)), np.full(len(rows), math.log(MOST))))
    found = np.full((3, len(returns)), np.nan)
    found[:2, moves] = located(rows, freedom, state[0], state[1])
    found[2, moves] = freedom
    return found[0], found[1], found[2]


def located(rows: np.ndarray, freedom: np.ndarray, middle: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Location and scale of most likelihood for given degrees of freedom, one each a row."""
    column = freedom[:, None]
    for _ in range(INNER):
        apart = rows - middle[:, None]
        weights = (column + 1.0) / (column + (apart / scale[:, None]) ** 2)
        total = weights.sum(axis=1)
        middle = (weights * rows).sum(axis=1) / total
        scale = np.sqrt((weights * (rows - middle[:, None]) ** 2).sum(axis=1) / total)
    return middle, scale


def mean_likelihood(rows: np.ndarray, freedom: np.ndarray, middle: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Mean logarithm of the density, one a row."""
    front = np.array([math.lgamma(0.5 * (each + 1.0)) - math.lgamma(0.5 * each) for each in freedom])
    squares = ((rows - middle[:, None]) / scale[:, None]) ** 2
    tails = np.log1p(squares / freedom[:, None]).mean(axis=1)
    return front - 0.5 * np.log(np.pi * freedom) - np.log(scale) - 0.5 * (freedom + 1.0) * tails


def golden(function: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where a function of one hump is largest, many at once."""
    inner, outer = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    left, right = function(inner), function(outer)
    for _ in range(STEPS):
        lower = left > right
        low, high = np.where(lower, low, inner), np.where(lower, outer, high)
        probe = np.where(lower, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        value = function(probe)
        inner, outer = np.where(lower, probe, outer), np.where(lower, inner, probe)
        left, right = np.where(lower, value, right), np.where(lower, left, value)
    return 0.5 * (low + high)
