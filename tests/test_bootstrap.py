"""Intervals against theorems (Lo 2002, Politis and Romano 1994), against `arch`, and by how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from toolkit.errors import InvalidParameter
from toolkit.risk import bootstrap, intervals, performance
from toolkit.risk.bootstrap import block_length, optimal_block, resampled
from toolkit.risk.metrics import curve


def autoregressive(seed: int, n: int, rho: float) -> np.ndarray:
    """x[t] = rho x[t - 1] + e[t], standard normal e."""
    series = np.random.default_rng(seed).standard_normal(n)
    for t in range(1, n):
        series[t] += rho * series[t - 1]
    return series


def equity(seed: int, n: int = 1000) -> pd.Series:
    return curve(pd.Series(np.random.default_rng(seed).normal(0.0005, 0.01, n)))


def test_the_estimate_is_the_metric_and_the_interval_is_around_it():
    curve = equity(0)
    frame = intervals(curve)
    np.testing.assert_array_equal(frame["estimate"], performance(curve))
    assert list(frame.columns) == ["estimate", "low", "high"] and list(frame.index) == list(performance(curve)._fields)
    assert (frame["low"] < frame["estimate"]).all() and (frame["estimate"] < frame["high"]).all()


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not():
    pd.testing.assert_frame_equal(intervals(equity(1), seed=5), intervals(equity(1), seed=5), check_exact=True)
    assert (intervals(equity(1), seed=5)["low"] != intervals(equity(1), seed=6)["low"]).all()


def test_the_pieces_in_which_samples_are_drawn_change_nothing(monkeypatch):
    at_once = intervals(equity(2, 333), samples=50, block=4)
    monkeypatch.setattr(bootstrap, "CELLS", 1000)
    pd.testing.assert_frame_equal(at_once, intervals(equity(2, 333), samples=50, block=4), check_exact=True)


def test_the_interval_of_a_sharpe_ratio_is_as_wide_as_theory_says():
    """Lo (2002), eq. 9: the standard error for independent normal returns is sqrt((1 + SR^2 / 2) / n), SR per bar."""
    returns = np.random.default_rng(3).normal(0.001, 0.01, 2520)
    row = intervals(curve(returns), block=1, samples=4000).loc["sharpe"]
    error = np.sqrt((1.0 + 0.1**2 / 2.0) / 2520) * np.sqrt(252)
    assert (row.high - row.low) / 2.0 / 1.96 == pytest.approx(error, rel=0.05)


def test_the_interval_of_a_volatility_is_as_wide_as_theory_says():
    """The standard error of a deviation of independent normal returns is the deviation / sqrt(2 n)."""
    row = intervals(curve(np.random.default_rng(4).normal(0.001, 0.01, 2520)), block=1, samples=4000).loc["volatility"]
    assert (row.high - row.low) / 2.0 / 1.96 == pytest.approx(0.01 * np.sqrt(252) / np.sqrt(2 * 2520), rel=0.08)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_the_interval_holds_the_true_sharpe_ratio_as_often_as_it_says(level):
    """300 histories of 500 returns with a true ratio of 1.5 a year: the share must be within three standard errors."""
    rng, held = np.random.default_rng(5), []
    for _ in range(300):
        row = intervals(curve(rng.normal(1.5 / np.sqrt(252), 1.0, 500) / 100.0), level, samples=300, block=1).loc["sharpe"]
        held.append(row.low <= 1.5 <= row.high)
    assert np.mean(held) == pytest.approx(level, abs=3.0 * np.sqrt(level * (1.0 - level) / 300) + 0.01)


def test_blocks_widen_the_interval_of_returns_that_run():
    """A mean of an autoregression varies (1 + rho) / (1 - rho) times as much: wider by 1.53 for rho = 0.4, n large."""
    running = curve(0.001 + 0.01 * autoregressive(6, 5000, 0.4))
    alone, blocks = (intervals(running, samples=2000, block=block).loc["sharpe"] for block in (1, None))
    assert (blocks.high - blocks.low) / (alone.high - alone.low) == pytest.approx(np.sqrt(1.4 / 0.6), rel=0.12)


@pytest.mark.parametrize("block", [1.0, 3.0, 12.0])
def test_the_mean_of_a_resample_varies_as_politis_and_romano_proved(block):
    """Lemma 1 of Politis and Romano (1994), with circular autocovariances; and its expectation is the mean."""
    x = autoregressive(7, 80, 0.5)
    means = np.concatenate([part.mean(axis=1) for part in resampled(x, block, samples=40_000)])
    n, apart, lag = len(x), x - x.mean(), np.arange(1, len(x))
    circular = np.array([apart @ np.roll(apart, -k) for k in range(n)]) / n
    variance = (circular[0] + 2.0 * ((1.0 - lag / n) * (1.0 - 1.0 / block) ** lag * circular[1:]).sum()) / n
    assert means.var() == pytest.approx(variance, rel=0.03)
    assert means.mean() == pytest.approx(x.mean(), abs=4.0 * np.sqrt(variance / 40_000))


def test_within_a_block_returns_follow_each_other_round_the_end():
    numbers = np.arange(50.0)
    drawn = np.concatenate(list(resampled(numbers, 10, samples=400)))
    assert drawn.shape == (400, 50)
    follows = (drawn[:, 1:] - drawn[:, :-1]) % 50 == 1
    assert follows.mean() == pytest.approx(0.9 + 0.1 / 50, abs=0.01)  # a new block may begin where the old one would go on
    assert ((drawn[:, :-1] == 49) & (drawn[:, 1:] == 0)).any()
    assert np.bincount(drawn.astype(int).ravel(), minlength=50) / drawn.size == pytest.approx(np.full(50, 0.02), abs=0.005)


@pytest.mark.parametrize(
    ("seed", "n", "rho", "stationary"),
    [
        (0, 1000, 0.0, 0.5109257276986112),
        (1, 1000, 0.3, 6.663954284275477),
        (2, 2520, 0.5, 12.539217899472307),
        (3, 2520, -0.4, 9.793686848088084),
        (4, 500, 0.9, 31.088422703452306),
        (5, 10000, 0.5, 25.763909763738855),
    ],
)
def test_the_length_of_blocks_is_that_of_arch(seed, n, rho, stationary):
    """`arch.bootstrap.optimal_block_length(autoregressive(...))`, arch 8.0.0, column stationary."""
    assert optimal_block(autoregressive(seed, n, rho)) == pytest.approx(stationary, rel=1e-12)


def test_the_length_of_blocks_is_the_best_one_for_an_autoregression():
    """Politis and White (2004) as corrected in 2009: (2 rho / (1 - rho^2))^(2/3) n^(1/3), 26.1 for rho = 0.5, n = 10,000."""
    lengths = [optimal_block(autoregressive(seed, 10_000, 0.5)) for seed in range(20)]
    assert np.mean(lengths) == pytest.approx((4.0 / 3.0) ** (2.0 / 3.0) * 10_000 ** (1.0 / 3.0), rel=0.1)


def test_clusters_of_volatility_ask_for_longer_blocks_than_returns_do(bundled):
    """Prices of 13 years: the sign of a return tells little about the next, its size much."""
    returns = bundled.close["IBM"].pct_change().dropna().to_numpy()
    assert block_length(returns) > 2.0 * max(1.0, optimal_block(returns))


@pytest.mark.parametrize("n", [1, 2, 9])
def test_a_short_curve_has_estimates_and_no_interval(n):
    frame = intervals(equity(8, n))
    np.testing.assert_array_equal(frame["estimate"], performance(equity(8, n)))
    assert frame[["low", "high"]].isna().all(axis=None) and intervals(equity(8, 10))["low"].notna().all()


def test_one_bar_and_a_curve_that_never_moves_have_no_ratios():
    assert intervals(pd.Series([5.0]))["low"].isna().all()
    still = intervals(pd.Series(np.full(100, 5.0)))
    assert (still.loc[["total_return", "annual_return", "volatility", "max_drawdown"], ["low", "high"]] == 0.0).all(axis=None)
    assert still.loc[["sharpe", "sortino", "calmar"]].isna().all(axis=None)


def test_a_metric_that_most_samples_lack_has_no_interval():
    """Of 20 returns one is a loss: (19 / 20)^20 = 36 % of the samples have no loss, and no Calmar ratio."""
    frame = intervals(curve([0.01, 0.02] * 9 + [0.01, -0.01]), block=1)
    assert np.isfinite(frame.loc["calmar", "estimate"]) and frame.loc["calmar", ["low", "high"]].isna().all()
    assert frame.loc["sharpe"].notna().all()


def test_ruin_is_for_ever_in_a_sample_too():
    """A loss of everything at the end of 50 bars is drawn in 1 - (49 / 50)^50 = 64 % of the samples."""
    for loss in (-1.0, -1.5):
        frame = intervals(curve([0.01, -0.005] * 24 + [0.01, loss]), block=1, level=0.5)
        assert frame.loc[["total_return", "annual_return", "max_drawdown"], "low"].tolist() == [-1.0, -1.0, -1.0]


def test_huge_returns_end_in_infinity_without_a_word():
    with np.errstate(all="raise"):
        assert intervals(curve([1e30, 0.5] * 5), block=1).loc["volatility"].notna().all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"level": 1.0}, "level is 1.0"),
        ({"level": float("nan")}, "level is nan"),
        ({"samples": 0}, "samples is 0"),
        ({"block": 0.5}, "block is 0.5"),
        ({"block": float("inf")}, "block is inf"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": None}, "seed is None"),
        ({"periods_per_year": 0}, "periods_per_year is 0"),
    ],
)
@pytest.mark.parametrize("n", [5, 100])
def test_bad_parameters_are_refused_with_their_value(arguments, sentence, n):
    with pytest.raises(InvalidParameter, match=sentence):
        intervals(equity(9, n), **arguments)


def test_a_hole_in_the_curve_is_refused_with_its_bar():
    with pytest.raises(InvalidParameter, match="equity is nan at 2"):
        intervals(pd.Series([1.0, 1.1, np.nan, 1.2]))
