"""Tests of VaR: regions printed by Kupiec, ratios of scipy, and forecasts that are right or wrong by construction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from toolkit.errors import InvalidParameter
from toolkit.risk.tails import METHODS
from toolkit.risk.var_backtest import backtest_table, backtest_var, independent, unconditional, var_history

# P. Kupiec (1995), as printed by P. Jorion, Value at Risk (2nd ed., 2001), table 6-1: failures N that are not rejected with
# 95 % confidence lie strictly between the two, for T = 255, 510, 1000 bars. None: no lower bound is printed (at 255 bars and
# 1 % the ratio of no failure is 5.1, above the 3.84 of the other bounds).
REGIONS = {
    0.01: {255: (None, 7), 510: (1, 11), 1000: (4, 17)},
    0.025: {255: (2, 12), 510: (6, 21), 1000: (15, 36)},
    0.05: {255: (6, 21), 510: (16, 36), 1000: (37, 65)},
    0.075: {255: (11, 28), 510: (27, 51), 1000: (59, 92)},
    0.10: {255: (16, 36), 510: (38, 65), 1000: (81, 120)},
}


def judged(hits: np.ndarray, level: float = 0.95):
    """A back-test of a VaR of 1 where the `hits` lost 2 and all others nothing."""
    return backtest_var(np.where(hits, -2.0, 0.0), np.ones(len(hits)), level)


@pytest.mark.parametrize(("tail", "n"), [(tail, n) for tail, by in REGIONS.items() for n in by])
def test_the_counts_that_are_not_rejected_are_those_printed_by_kupiec(tail, n):
    low, high = REGIONS[tail][n]
    kept = [x for x in range(n // 4) if judged(np.arange(n) < x, 1.0 - tail).kupiec > 0.05]
    assert kept[-1] == high - 1
    assert low is None or kept[0] == low + 1


@pytest.mark.parametrize("seed", range(5))
def test_independence_is_the_likelihood_ratio_of_the_two_by_two_table(seed):
    rng = np.random.default_rng(seed)
    hits = rng.random(600) < np.where(np.arange(600) % 100 < 30, 0.2, 0.03)
    table = np.array([[(hits[1:] == b)[hits[:-1] == a].sum() for b in (False, True)] for a in (False, True)])
    theirs = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    assert independent(hits) == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-9)
    assert judged(hits).independence == pytest.approx(theirs.pvalue, rel=1e-9)


def test_coverage_has_two_degrees_of_freedom_and_is_the_sum_of_both():
    hits = np.random.default_rng(1).random(500) < 0.08
    both = unconditional(500, int(hits.sum()), 0.05) + independent(hits)
    assert judged(hits).coverage == pytest.approx(stats.chi2.sf(both, 2), rel=1e-9)


def test_the_right_number_in_one_cluster_passes_the_count_and_fails_independence():
    result = judged(np.arange(1000) < 50)
    assert result.kupiec == pytest.approx(1.0) and result.independence < 1e-6 and result.coverage < 1e-6


def test_no_loss_beyond_is_told_without_a_logarithm_of_nothing():
    result = judged(np.zeros(500, bool))
    assert result.exceeded == 0 and result.expected == pytest.approx(25.0)
    assert result.kupiec == pytest.approx(stats.chi2.sf(-2 * 500 * math.log(0.95), 1), rel=1e-9)
    assert judged(np.ones(50, bool)).kupiec < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_independent_normal_returns_reject_no_method_at_95_percent(method):
    returns = 0.01 * np.random.default_rng(11).standard_normal(2500)
    result = backtest_table(returns, (0.95,), 500).loc[(method, 0.95)]
    assert result["n"] > 1900 and result["kupiec"] > 0.01 and result["independence"] > 0.01


def test_after_a_change_of_volatility_the_filtered_var_is_right_and_the_normal_one_is_not():
    calm_then_wild = np.repeat([0.005, 0.02], [600, 300])
    returns = calm_then_wild * np.random.default_rng(4).standard_normal(900)
    by = {name: backtest_var(*var_history(returns, name, 0.95, 500), 0.95) for name in ("normal", "filtered")}
    assert by["normal"].kupiec < 1e-6 < 0.01 < by["filtered"].kupiec


def test_a_short_history_is_not_judged():
    table = backtest_table(np.full(100, 0.01), (0.95,), 250)
    assert (table["n"] == 0).all() and table["kupiec"].isna().all()


def test_forecasts_of_other_bars_are_refused():
    with pytest.raises(InvalidParameter, match="not the same finite bars"):
        backtest_var(np.zeros(5), np.zeros(4), 0.95)
    with pytest.raises(InvalidParameter, match="not the same finite bars"):
        backtest_var(np.zeros(2), np.array([0.1, np.nan]), 0.95)
