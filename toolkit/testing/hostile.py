"""Prices that break rolling sums, and the truth about their windows in exact arithmetic."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

Exact = Callable[[Sequence[float]], float]


def hostile_series(n_bars: int = 1200, seed: int = 3) -> dict[str, np.ndarray]:
    """Seven series of prices around 100, (n_bars,) each, by what is wrong with them."""
    plain = 100.0 + np.random.default_rng(seed).normal(size=n_bars)
    series = {"plain": plain, "offset of 1e9": plain + 1e9}
    for name, value in ("spike of 1e15", 1e15), ("nan", math.nan), ("infinity", math.inf):
        series[name] = plain.copy()
        series[name][5 * n_bars // 12] = value
    series["constant stretch"] = plain.copy()
    series["constant stretch"][n_bars // 4 : 7 * n_bars // 12] = 0.1
    half = n_bars // 2
    series["1e12 falling to 1"] = np.concatenate([plain[:half] * 1e10, plain[half:] / 100.0])
    return series


def exact_mean(window: Sequence[float]) -> float:
    """The mean, rounded once."""
    return float(sum(map(Fraction, window)) / len(window))


def exact_deviation(window: Sequence[float]) -> float:
    """The sample standard deviation (ddof = 1), rounded once."""
    return statistics.stdev(window)


def truth(x: np.ndarray, window: int, exact: Exact) -> np.ndarray:
    """The statistic of every window, (n_bars,); NaN before the first and where a value is not finite."""
    values = np.full(len(x), np.nan)
    for end in range(window, len(x) + 1):
        held = x[end - window : end].tolist()
        if all(map(math.isfinite, held)):
            values[end - 1] = exact(held)
    return values


def true_correlation(x: np.ndarray, y: np.ndarray, window: int) -> np.ndarray:
    """Pearson's correlation of every pair of windows, (n_bars,); NaN as in `truth`, and where either never moves."""
    values = np.full(len(x), np.nan)
    for end in range(window, len(x) + 1):
        pair = x[end - window : end].tolist(), y[end - window : end].tolist()
        if all(map(math.isfinite, pair[0] + pair[1])):
            a, b = (list(map(Fraction, held)) for held in pair)
            of_a, of_b = co_moment(a, a), co_moment(b, b)
            if of_a and of_b:
                both = co_moment(a, b)
                values[end - 1] = math.copysign(math.sqrt(both * both / (of_a * of_b)), both)
    return values


def co_moment(a: list[Fraction], b: list[Fraction]) -> Fraction:
    """Sum of products about the means."""
    return sum((p * q for p, q in zip(a, b, strict=True)), Fraction()) - sum(a, Fraction()) * sum(b, Fraction()) / len(a)


def judged(values: np.ndarray, true: np.ndarray, absolute: bool = False) -> tuple[float, int]:
    """Largest error of the values, relative to the truth where that is not 0, and how many that exist came out as none."""
    there = np.isfinite(true)
    lost = there & ~np.isfinite(values)
    size = np.ones_like(true) if absolute else np.where(true == 0.0, 1.0, np.abs(true))
    error = (np.abs(values - true) / size)[there & ~lost]
    return float(error.max(initial=0.0)), int(lost.sum())
