"""How much of a Sharpe ratio is luck and selection: its probability, deflated for trials; and the odds of an overfitted sweep.

Sharpe ratios are per bar here, not per year (divide a yearly one by the root of the bars in a year); probabilities are
fractions. Returns are simple, per bar; NaN among them is left out, and what fewer than two returns, or returns that never
change, cannot say is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import e, inf, isnan, nan, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter
from toolkit.risk.metrics import ratio, sharpe_of

NORMAL = NormalDist()
CELLS = 1 << 17  # Sharpe ratios made at a time: a megabyte an array stays in the processor's cache
MOST_BLOCKS = 20  # 184,756 splits; 22 would be 705,432


class Moments(NamedTuple):
    """What the distribution of a Sharpe ratio depends on; `kurtosis` of a normal distribution is 3."""

    sharpe: float
    n_bars: int
    skewness: float = 0.0
    kurtosis: float = 3.0


def moments(returns: pd.Series | np.ndarray) -> Moments:
    """Sharpe ratio per bar (as in metrics) and shape of returns; skewness and kurtosis are those of the sample (ddof = 0).

    Raises InvalidParameter for more than one column and for returns that are not finite.
    """
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 1 or np.isinf(values).any():
        raise InvalidParameter(f"returns have shape {values.shape} or are infinite", "pass the finite returns of one curve")
    known = values[~np.isnan(values)]
    sharpe = float(sharpe_of(known))
    if isnan(sharpe):
        return Moments(nan, len(known), nan, nan)
    apart = known - known.mean()
    spread = np.mean(apart**2)
    return Moments(sharpe, len(known), float(np.mean(apart**3) / spread**1.5), float(np.mean(apart**4) / spread**2))


def standard_error(shape: Moments) -> float:
    """Standard deviation of the estimated Sharpe ratio, per bar.

    Source: A. W. Lo, The statistics of Sharpe ratios, Financial Analysts J. 58 (2002), and for returns that are not
    normal E. Mertens (2002), with n - 1 as in Bailey and López de Prado (2012).
    Raises InvalidParameter for a skewness and kurtosis that no distribution has.
    """
    sharpe, n_bars, skewness, kurtosis = shape
    if isnan(sharpe) or n_bars < 2:
        return nan
    if not kurtosis >= 1.0 + skewness**2 - 1e-9 * kurtosis:
        raise InvalidParameter(f"kurtosis is {kurtosis} at skewness {skewness}", "it is at least 1 + skewness**2, normal is 3")
    return sqrt(max(0.0, 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2) / (n_bars - 1))


def probabilistic_sharpe(returns: pd.Series | np.ndarray | Moments, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio is above `benchmark` (per bar), for one strategy that was not selected.

    Source: D. H. Bailey, M. López de Prado, The Sharpe ratio efficient frontier, J. Risk 15 (2012), eq. 11.
    """
    shape = returns if isinstance(returns, Moments) else moments(returns)
    error = standard_error(shape)
    if isnan(error) or isnan(benchmark):
        return nan
    return NORMAL.cdf((shape.sharpe - benchmark) / error) if error > 0.0 else float(shape.sharpe > benchmark)


def expected_maximum_sharpe(trials: float, variance: float) -> float:
    """Sharpe ratio that the best of `trials` independent strategies without skill is expected to show; 0 for one trial.

    `variance` is that of the Sharpe ratios over the trials, in the square of their unit.
    Source: D. H. Bailey, M. López de Prado, The deflated Sharpe ratio, J. Portfolio Management 40 (2014), eq. 1.

    >>> round(expected_maximum_sharpe(1000, variance=1.0), 2)
    3.26
    """
    if not 1.0 <= trials < inf:
        raise InvalidParameter(f"trials is {trials!r}", "pass the number of strategies tried, at least 1")
    if trials == 1.0:
        return 0.0
    if not 0.0 <= variance < inf:
        raise InvalidParameter(f"variance is {variance!r}", "pass the variance of the Sharpe ratios over all trials")
    tail, further = NORMAL.inv_cdf(1.0 / trials), NORMAL.inv_cdf(1.0 / (trials * e))
    return -sqrt(variance) * ((1.0 - np.euler_gamma) * tail + np.euler_gamma * further)


def deflated_sharpe(returns: pd.Series | np.ndarray | Moments, trials: float, variance: float) -> float:
    """Probability that the true Sharpe ratio of the best of `trials` is above 0, after selection.

    `variance` is that of the Sharpe ratios (per bar) over all trials. Trials that are alike count as many all the same, so
    that this errs on the side of caution. Source: Bailey and López de Prado (2014), eq. 2.
    """
    return probabilistic_sharpe(returns, expected_maximum_sharpe(trials, variance))


def minimum_track_record(returns: pd.Series | np.ndarray | Moments, benchmark: float = 0.0,
                         confidence: float = 0.95) -> float:  # fmt: skip
    """Bars needed to say with `confidence` that the true Sharpe ratio is above `benchmark`; inf if the estimate is not.

    Source: Bailey and López de Prado (2012), eq. 13.
    """
    if not 0.0 < confidence < 1.0:
        raise InvalidParameter(f"confidence is {confidence!r}, it must lie between 0 and 1", "pass e.g. confidence=0.95")
    shape = returns if isinstance(returns, Moments) else moments(returns)
    error = standard_error(shape)
    if isnan(error) or isnan(benchmark):
        return nan
    ahead = shape.sharpe - benchmark
    return 1.0 + (error * NORMAL.inv_cdf(confidence) / ahead) ** 2 * (shape.n_bars - 1) if ahead > 0.0 else inf


@dataclass(frozen=True, eq=False)
class Overfitting:
    """What came of the best in sample, out of sample: one value a split in each array; Sharpe ratios per bar.

    `probability` is the fraction of splits in which the best in sample was no better than the median out of sample, and
    `logits` are log(rank / (1 - rank)) of its relative rank there, at or below 0 in just these.
    """

    probability: float
    logits: np.ndarray
    in_sample: np.ndarray
    out_of_sample: np.ndarray
    sets: int
    blocks: int

    @property
    def loss_probability(self) -> float:
        """Fraction of splits in which the best in sample lost money out of sample."""
        return float(np.mean(self.out_of_sample < 0.0))

    @property
    def degradation(self) -> tuple[float, float]:
        """Slope and intercept of the line through (in sample, out of sample); a slope below 0: the better, the worse.

        Slope NaN where the best is equally good in every split.
        """
        apart = self.in_sample - self.in_sample.mean()
        spread = apart @ apart
        slope = float(apart @ self.out_of_sample / spread) if spread > 0.0 else nan
        return slope, float(self.out_of_sample.mean() - slope * self.in_sample.mean())

    def __str__(self) -> str:
        return (
            f"Probability of backtest overfitting {self.probability:.2f} ({self.sets:,} sets, {len(self.logits):,} splits of "
            f"{self.blocks} blocks); the best in sample loses out of sample in {self.loss_probability:.0%} of the splits"
        )

    __repr__ = __str__


def probability_of_overfitting(totals: np.ndarray, squares: np.ndarray, counts: np.ndarray) -> Overfitting:
    """How often the best set in one half of history is no better than the median of all sets in the other half.

    `totals` and `squares`, shape (n_sets, n_blocks), are sums of returns and of squared returns in blocks of time, `counts`
    their numbers, the same shape or (n_blocks,); `block_sums` makes them. All halves of the blocks take part: 12,870
    splits of 16 blocks. A set that never moved has Sharpe ratio 0; of sets that are equally good the first is the best, and its
    rank is the middle of theirs. Raises InvalidParameter for fewer than two sets, an odd number of blocks or more than 20,
    and sums that are not finite.
    Source: D. H. Bailey, J. M. Borwein, M. López de Prado, Q. J. Zhu, The probability of backtest overfitting, J. Computational
    Finance 20 (2017), section 2 (combinatorially symmetric cross-validation).
    """
    sums = checked_sums(totals, squares, counts)
    (n_sets, blocks), halves = sums[0].shape, half_of(sums[0].shape[1])
    rows, whole = max(1, CELLS // n_sets), [part.sum(axis=1) for part in sums]
    ranks, inner, outer = np.empty((3, 2, len(halves)))
    for first in range(0, len(halves), rows):
        piece = slice(first, first + rows)
        picked = [halves[piece] @ part.T for part in sums]
        one, other = sharpe_of_sums(*picked), sharpe_of_sums(*(a - p for a, p in zip(whole, picked)))
        for side, (fitted, tested) in enumerate(((one, other), (other, one))):
            best = fitted.argmax(axis=1)[:, None]
            reached = np.take_along_axis(tested, best, axis=1)
            inner[side, piece], outer[side, piece] = np.take_along_axis(fitted, best, axis=1)[:, 0], reached[:, 0]
            ranks[side, piece] = ((tested < reached).sum(axis=1) + (tested <= reached).sum(axis=1) + 1) / 2.0
    logits = np.log(ranks / (n_sets + 1.0 - ranks)).ravel()
    return Overfitting(float(np.mean(logits <= 0.0)), logits, inner.ravel(), outer.ravel(), n_sets, blocks)


def block_sums(returns: pd.DataFrame | np.ndarray, blocks: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of returns, of their squares, and counts, each (n_sets, blocks), of returns (n_bars, n_sets); NaN is no return.

    Blocks are of equal length to within one bar. InvalidParameter for more blocks than bars.
    """
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 2 or not 1 <= blocks <= len(values):
        raise InvalidParameter(
            f"returns of shape {values.shape} do not split into {blocks!r} blocks",
            "pass (n_bars, n_sets) with a bar or more a block",
        )
    edges, known = np.arange(blocks) * len(values) // blocks, ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    totals, squares, counts = (np.add.reduceat(part, edges, axis=0).T for part in (filled, filled**2, known.astype(float)))
    return totals, squares, counts


def sharpe_of_sums(totals: np.ndarray, squares: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sharpe ratios per bar from sums; 0 where there is no deviation, or nothing but rounding."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = totals / counts
        spread = squares - totals * mean
        spread[~(spread > 1e-12 * squares)] = 0.0
        return np.nan_to_num(ratio(mean, np.sqrt(spread / (counts - 1.0)), 1.0))


def half_of(blocks: int) -> np.ndarray:
    """The halves of the blocks that hold the first one, as rows of 0 and 1; each stands for the other half too."""
    codes = np.arange(1, 1 << blocks, 2)
    codes = codes[np.bitwise_count(codes) == blocks // 2]
    return ((codes[:, None] >> np.arange(blocks)) & 1).astype(np.float64)


def checked_sums(totals: np.ndarray, squares: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sums as float64 of one shape, (n_sets, n_blocks)."""
    sums, sizes = (np.asarray(part, dtype=np.float64) for part in (totals, squares)), np.asarray(counts, dtype=np.float64)
    total, square = sums
    if total.ndim != 2 or total.shape != square.shape or sizes.shape not in (total.shape, total.shape[1:]):
        raise InvalidParameter(
            f"totals, squares and counts have shapes {total.shape}, {square.shape} and {sizes.shape}",
            "pass (n_sets, n_blocks), counts may be (n_blocks,)",
        )
    if len(total) < 2 or total.shape[1] % 2 or not 2 <= total.shape[1] <= MOST_BLOCKS:
        raise InvalidParameter(
            f"there are {total.shape[0]} sets and {total.shape[1]} blocks",
            f"compare two sets or more, over an even number of blocks up to {MOST_BLOCKS}",
        )
    if not (np.isfinite(total).all() and np.isfinite(square).all() and (sizes >= 0.0).all() and np.isfinite(sizes).all()):
        raise InvalidParameter("totals, squares or counts are not finite", "leave out sets that could not be tried")
    return total, square, np.broadcast_to(sizes, total.shape)
