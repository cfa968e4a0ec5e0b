"""Luck and selection: numbers printed in the papers, theorems, and markets of noise in which nothing can be found."""

from __future__ import annotations

import statistics
from itertools import combinations
from math import e, inf, isnan, nan, sqrt

import numpy as np
import pandas as pd
import pytest

from toolkit.errors import InvalidParameter
from toolkit.risk import (
    Moments,
    block_sums,
    deflated_sharpe,
    expected_maximum_sharpe,
    metrics,
    minimum_track_record,
    moments,
    probabilistic_sharpe,
    probability_of_overfitting,
)
from toolkit.risk.overfitting import standard_error


def noise(seed: int, n_bars: int, n_sets: int) -> np.ndarray:
    return 0.01 * np.random.default_rng(seed).standard_normal((n_bars, n_sets))


# --- the Sharpe ratio of one strategy


@pytest.mark.parametrize(
    ("sharpe", "errors"),
    [
        (0.5, [0.306, 0.217, 0.177, 0.137, 0.067]),
        (1.0, [0.354, 0.250, 0.204, 0.158, 0.077]),
        (3.0, [0.677, 0.479, 0.391, 0.303, 0.148]),
    ],
)
def test_the_standard_error_is_that_of_lo(sharpe, errors):
    """Lo (2002), table 1, T = 12, 24, 36, 60, 250; he divides by T, where n - 1 stands here."""
    found = [standard_error(Moments(sharpe, n + 1)) for n in (12, 24, 36, 60, 250)]
    assert found == pytest.approx(errors, abs=0.00051)


def test_the_standard_error_is_how_far_estimates_scatter():
    """20,000 histories of 250 normal returns with a Sharpe ratio of 0.1 a bar, and as many of skewed ones (log-normal)."""
    rng = np.random.default_rng(1)
    normal = 0.1 + rng.standard_normal((20_000, 250))
    skewed = -np.exp(0.4 * rng.standard_normal((20_000, 250)))
    skewed += 0.2 - skewed.mean()
    for returns in (normal, skewed):
        error = standard_error(moments(returns.ravel())._replace(n_bars=250))
        assert metrics.sharpe_of(returns).std() == pytest.approx(error, rel=0.02)


def test_probability_of_a_hedge_fund_with_24_months():
    """Bailey and Lopez de Prado (2012), section 4: a monthly Sharpe ratio of 0.458, 0.982 if normal, 0.913 with its moments."""
    assert probabilistic_sharpe(Moments(0.458, 24)) == pytest.approx(0.982, abs=0.0005)
    assert probabilistic_sharpe(Moments(0.458, 24, skewness=-2.448, kurtosis=10.164)) == pytest.approx(0.913, abs=0.0005)


@pytest.mark.parametrize(
    ("per_year", "shape", "years"), [(252, (0, 3), 2.73), (52, (0, 3), 2.83), (12, (0, 3), 3.24), (12, (-0.72, 5.78), 4.99)]
)
def test_years_to_tell_a_sharpe_ratio_of_two_from_one(per_year, shape, years):
    """Bailey and Lopez de Prado (2012), section 5: daily, weekly and monthly normal returns, and those of hedge funds."""
    bars = minimum_track_record(Moments(2.0 / sqrt(per_year), 100, *shape), benchmark=1.0 / sqrt(per_year), confidence=0.95)
    assert bars / per_year == pytest.approx(years, abs=0.005)


def test_after_the_minimum_track_record_the_probability_is_the_confidence():
    shape = Moments(0.08, 400, -1.2, 9.0)
    for confidence in (0.8, 0.99):
        needed = minimum_track_record(shape, 0.02, confidence)
        assert probabilistic_sharpe(shape._replace(n_bars=needed), 0.02) == pytest.approx(confidence, abs=1e-12)
    assert minimum_track_record(shape, benchmark=0.08) == inf


def test_moments_are_those_of_pandas_without_its_correction_for_small_samples():
    """Fisher's corrections of skewness and kurtosis, undone by hand; the Sharpe ratio is that of the metrics."""
    returns, n = pd.Series(np.random.default_rng(2).standard_t(5, 300) / 100 + 0.001), 300
    found = moments(returns)
    assert found.n_bars == n and found.sharpe == pytest.approx(metrics.sharpe(metrics.curve(returns), periods_per_year=1.0))
    assert found.skewness == pytest.approx(returns.skew() * (n - 2) / sqrt(n * (n - 1)))
    excess = (returns.kurt() * (n - 2) * (n - 3) / (n - 1) - 6) / (n + 1)
    assert found.kurtosis == pytest.approx(excess + 3.0)


def test_the_probability_keeps_its_promise():
    """The true Sharpe ratio is the benchmark: 2,000 histories say "above, with p" for fewer than p in 1 - p of the cases."""
    claims = np.array([probabilistic_sharpe(0.05 + one, 0.05) for one in np.random.default_rng(3).standard_normal((2000, 500))])
    for level in (0.05, 0.5, 0.95):
        assert np.mean(claims <= level) == pytest.approx(level, abs=3.0 * sqrt(level * (1.0 - level) / 2000))


# --- the best of many


@pytest.mark.parametrize(("trials", "expected"), [(10, 1.57), (1000, 3.26)])
def test_the_best_of_many_without_skill(trials, expected):
    """1.57 of 10: Bailey, Borwein, Lopez de Prado, Zhu, Pseudo-mathematics and financial charlatanism (2014); 3.26 of 1,000."""
    assert expected_maximum_sharpe(trials, 1.0) == pytest.approx(expected, abs=0.005)


def test_five_years_carry_45_trials():
    """The same, theorem 2: with at most 45 trials on 5 years, a yearly Sharpe ratio of 1 is not to be expected by chance."""
    assert expected_maximum_sharpe(45, 1.0 / 5.0) < 1.0 < expected_maximum_sharpe(46, 1.0 / 5.0)


@pytest.mark.parametrize(("trials", "exact"), [(10, 1.53875), (100, 2.50759), (1000, 3.24144)])
def test_the_approximation_is_a_little_above_the_exact_expectation(trials, exact):
    """Exact: expected largest of n standard normals, H. L. Harter, Biometrika 48 (1961), table 1."""
    assert exact < expected_maximum_sharpe(trials, 1.0) < exact + 0.04


def test_the_worked_example_of_the_deflated_sharpe_ratio():
    """Bailey and Lopez de Prado (2014), "A numerical example": 2.5 a year of 250 days, 5 years, the best of 100."""
    best = Moments(2.5 / sqrt(250), 1250, skewness=-3.0, kurtosis=10.0)
    assert expected_maximum_sharpe(100, 0.5 / 250) == pytest.approx(0.1132, abs=0.00005)
    assert deflated_sharpe(best, 100, 0.5 / 250) == pytest.approx(0.9004, abs=0.00005)
    assert deflated_sharpe(best, 46, 0.5 / 250) == pytest.approx(0.9505, abs=0.00005)
    assert deflated_sharpe(Moments(2.5 / sqrt(250), 1250), 88, 0.5 / 250) == pytest.approx(0.9505, abs=0.00005)


def test_what_looks_certain_before_deflating_is_not_after_it():
    """The best of 100 strategies of noise, 100 times: nearly always "skill" for one trial, rarely after selection."""
    naive, deflated = [], []
    for seed in range(100):
        returns = noise(seed, 250, 100)
        ratios = metrics.sharpe_of(returns.T)
        best = returns[:, ratios.argmax()]
        naive.append(probabilistic_sharpe(best))
        deflated.append(deflated_sharpe(best, 100, ratios.var(ddof=1)))
    assert np.mean(np.array(naive) > 0.95) > 0.95
    assert np.mean(np.array(deflated) > 0.95) < 0.05 and np.mean(deflated) == pytest.approx(0.5, abs=0.1)


def test_one_trial_is_no_selection_whatever_the_variance():
    returns = noise(4, 300, 1)[:, 0]
    assert expected_maximum_sharpe(1, nan) == 0.0 and deflated_sharpe(returns, 1, nan) == probabilistic_sharpe(returns)


def test_more_trials_than_there_are_numbers_below_one_still_count():
    assert 8.0 < expected_maximum_sharpe(1e18, 1.0) < sqrt(2.0 * np.log(1e18))


@pytest.mark.parametrize("returns", [[], [0.01], [0.01] * 50, [0.0] * 50, [nan] * 9, [0.01, nan]])
def test_returns_without_a_sharpe_ratio_say_nothing(returns):
    assert isnan(probabilistic_sharpe(np.array(returns))) and isnan(minimum_track_record(np.array(returns)))
    assert isnan(deflated_sharpe(np.array(returns), 10, 0.1))


def test_returns_that_are_not_known_are_left_out():
    equity = metrics.curve(noise(5, 200, 1)[:, 0])
    assert moments(equity.pct_change()) == moments(equity.pct_change().iloc[1:])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: moments(np.zeros((3, 2))), r"shape \(3, 2\)"),
        (lambda: moments([0.1, inf]), "infinite"),
        (lambda: probabilistic_sharpe(Moments(0.1, 50, 2.0, 3.0)), "kurtosis is 3.0 at skewness 2.0"),
        (lambda: expected_maximum_sharpe(0, 1.0), "trials is 0"),
        (lambda: expected_maximum_sharpe(nan, 1.0), "trials is nan"),
        (lambda: expected_maximum_sharpe(5, -1.0), "variance is -1.0"),
        (lambda: expected_maximum_sharpe(5, nan), "variance is nan"),
        (lambda: minimum_track_record([0.1, 0.2], confidence=95), "confidence is 95"),
    ],
)
def test_what_cannot_be_is_refused_with_its_value(call, sentence):
    with pytest.raises(InvalidParameter, match=sentence):
        call()


# --- the sweep


def slowly(returns: np.ndarray, blocks: int) -> list[tuple[float, float, float]]:
    """(logit, in sample, out of sample) of each split, from the returns themselves, as the paper words it."""
    stretches, found = np.split(np.arange(len(returns)), blocks), []
    for chosen in combinations(range(blocks), blocks // 2):
        inner = np.concatenate([stretches[b] for b in chosen])
        outer = np.setdiff1d(np.arange(len(returns)), inner)
        fitted, tested = (
            [statistics.mean(one) / statistics.stdev(one) for one in returns[part].T.tolist()] for part in (inner, outer)
        )
        best = fitted.index(max(fitted))
        rank = sorted(tested).index(tested[best]) + 1
        omega = rank / (returns.shape[1] + 1)
        found.append((np.log(omega / (1.0 - omega)), fitted[best], tested[best]))
    return sorted(found)


@pytest.mark.parametrize(("n_sets", "blocks"), [(2, 2), (7, 4), (5, 6)])
def test_sums_of_blocks_are_enough_for_what_the_paper_computes_from_returns(n_sets, blocks):
    returns = noise(6, 12 * blocks, n_sets)
    found, expected = probability_of_overfitting(*block_sums(returns, blocks)), slowly(returns, blocks)
    triples = sorted(zip(found.logits, found.in_sample, found.out_of_sample))
    np.testing.assert_allclose(triples, expected, rtol=1e-9, atol=1e-12)
    assert found.probability == np.mean([logit <= 0.0 for logit, _, _ in expected])
    assert found.loss_probability == np.mean([tested < 0.0 for _, _, tested in expected])
    line = np.polyfit(found.in_sample, found.out_of_sample, 1) if blocks > 2 else found.degradation
    assert found.degradation == pytest.approx(tuple(line))


def test_four_blocks_by_hand():
    """Two sets of deviation near 1 in each block: A is ahead in blocks 1 and 2, B in 3 and 4.

    Of 6 halves, {1, 2} and {3, 4} choose a set that loses in the other half; in the four mixed ones A, ahead by more, is the
    best in both halves.
    """
    counts = np.full(4, 100.0)
    totals = np.array([[30.0, 30.0, 0.0, 0.0], [0.0, 0.0, 20.0, 20.0]])
    found = probability_of_overfitting(totals, np.full((2, 4), 100.0), counts)
    assert found.probability == pytest.approx(2 / 6) and len(found.logits) == 6
    assert sorted(found.logits) == pytest.approx([-np.log(2)] * 2 + [np.log(2)] * 4)  # ranks of 1/3 and 2/3


def test_sixteen_blocks_are_split_in_12870_ways():
    found = probability_of_overfitting(*block_sums(noise(7, 320, 5), 16))
    assert len(found.logits) == 12_870
    assert str(found).startswith(f"Probability of backtest overfitting {found.probability:.2f} (5 sets, 12,870 splits of 16")


def test_in_noise_the_best_in_sample_is_as_good_as_any_and_one_good_set_is_found():
    """60 markets without skill: half of the winners end in the lower half. A true 0.3 a bar among them: none does."""
    odds = [probability_of_overfitting(*block_sums(noise(seed, 400, 40), 8)).probability for seed in range(60)]
    assert np.mean(odds) == pytest.approx(0.5, abs=0.08)
    skilled = noise(8, 400, 40)
    skilled[:, 11] += 0.003
    found = probability_of_overfitting(*block_sums(skilled, 8))
    assert found.probability < 0.02 and found.loss_probability == 0.0


def test_what_is_won_in_one_half_is_lost_in_the_other_where_all_sets_earn_nothing():
    """Bailey, Borwein, Lopez de Prado, Zhu (2014), proposition on global constraints: means that sum to 0 are opposite."""
    returns = noise(8, 400, 40)
    found = probability_of_overfitting(*block_sums(returns - returns.mean(axis=0), 8))
    assert found.loss_probability == 1.0 and found.degradation[0] == pytest.approx(-1.0, abs=0.2)


def test_the_same_set_many_times_is_at_the_median_of_its_copies():
    copies = np.repeat(noise(9, 330, 1), 101, axis=1)
    found = probability_of_overfitting(*block_sums(copies, 10))
    assert (found.logits == 0.0).all() and found.probability == 1.0  # choosing among them gains nothing


def test_sets_that_never_trade_have_a_sharpe_ratio_of_nothing():
    returns = noise(10, 160, 3)
    returns[:, 0], returns[:, 1], returns[:, 2] = 0.0, np.abs(returns[:, 1]), 0.001
    found = probability_of_overfitting(*block_sums(returns, 8))
    assert found.probability == 0.0 and (found.in_sample > 0.0).all() and (found.in_sample < 10.0).all()
    constant = probability_of_overfitting(*block_sums(np.full((97, 2), 0.0137), 4))  # no deviation but rounding
    assert (constant.in_sample == 0.0).all()
    still = probability_of_overfitting(*block_sums(np.zeros((16, 2)), 4))
    assert (still.in_sample == 0.0).all() and isnan(still.degradation[0])


def test_returns_before_a_set_begins_do_not_count():
    returns = noise(11, 60, 4)
    returns[:13, 2] = nan
    totals, squares, counts = block_sums(pd.DataFrame(returns), 4)
    assert counts.tolist() == [[15] * 4, [15] * 4, [2, 15, 15, 15], [15] * 4]
    assert totals[2, 0] == pytest.approx(returns[13:15, 2].sum()) and squares[2, 0] == pytest.approx(
        (returns[13:15, 2] ** 2).sum()
    )
    assert block_sums(returns[:10], 4)[2].sum(axis=1)[0] == 10 and block_sums(returns[:10], 4)[2][0].tolist() == [2, 3, 2, 3]


def test_chunks_of_splits_change_nothing(monkeypatch):
    sums = block_sums(noise(12, 200, 30), 8)
    at_once = probability_of_overfitting(*sums)
    monkeypatch.setattr("toolkit.risk.overfitting.CELLS", 90)
    assert (probability_of_overfitting(*sums).logits == at_once.logits).all()


@pytest.mark.parametrize(
    ("sums", "sentence"),
    [
        ((np.ones((1, 4)), np.ones((1, 4)), np.ones(4)), "1 sets and 4 blocks"),
        ((np.ones((3, 5)), np.ones((3, 5)), np.ones(5)), "3 sets and 5 blocks"),
        ((np.ones((3, 22)), np.ones((3, 22)), np.ones(22)), "up to 20"),
        ((np.ones((3, 0)), np.ones((3, 0)), np.ones(0)), "3 sets and 0 blocks"),
        ((np.ones((3, 4)), np.ones((3, 6)), np.ones(4)), "shapes"),
        ((np.ones((3, 4)), np.ones((3, 4)), np.ones(3)), "shapes"),
        ((np.ones(4), np.ones(4), np.ones(4)), "shapes"),
        ((np.full((3, 4), nan), np.ones((3, 4)), np.ones(4)), "not finite"),
        ((np.ones((3, 4)), np.ones((3, 4)), -np.ones(4)), "counts"),
    ],
)
def test_sums_that_cannot_be_are_refused(sums, sentence):
    with pytest.raises(InvalidParameter, match=sentence):
        probability_of_overfitting(*sums)


@pytest.mark.parametrize(("shape", "blocks"), [((10, 3), 11), ((10, 3), 0), ((10,), 2)])
def test_returns_that_do_not_split_are_refused(shape, blocks):
    with pytest.raises(InvalidParameter, match="do not split"):
        block_sums(np.zeros(shape), blocks)


def test_expectation_of_two_by_hand():
    """Trials 2: quantile of 1/2 is 0, so that only Euler's constant times the quantile of 1 - 1 / (2 e) is left."""
    assert expected_maximum_sharpe(2, 4.0) == pytest.approx(2.0 * 0.5772156649 * statistics.NormalDist().inv_cdf(1 - 0.5 / e))
