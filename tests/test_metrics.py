"""Metrics of an equity curve, against numbers worked out by hand and by pandas."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InvalidParameter
from toolkit.risk import metrics, performance

curves = st.lists(st.floats(1.0, 1e6), min_size=2, max_size=60).map(pd.Series)


def test_ten_percent_a_year_for_two_years():
    equity = pd.Series(100.0 * 1.1 ** (np.arange(505) / 252))
    assert metrics.total_return(equity) == pytest.approx(0.21)
    assert metrics.annual_return(equity) == pytest.approx(0.10)
    assert metrics.annual_return(equity, periods_per_year=504) == pytest.approx(0.21)


def test_the_ratios_of_four_returns_worked_out_by_hand():
    """Returns 2 %, -1 %, 3 %, -2 %: mean 0.5 %, sample deviation sqrt(17) / 3 * ... taken by `statistics`."""
    returns = [0.02, -0.01, 0.03, -0.02]
    equity = pd.Series(np.cumprod([100.0, *(1.0 + r for r in returns)]))
    mean, year = 0.005, math.sqrt(252)
    assert metrics.volatility(equity) == pytest.approx(statistics.stdev(returns) * year)
    assert metrics.sharpe(equity) == pytest.approx(mean / statistics.stdev(returns) * year)
    assert metrics.sharpe(equity, risk_free=0.252) == pytest.approx((mean - 0.001) / statistics.stdev(returns) * year)
    assert metrics.sortino(equity) == pytest.approx(mean / math.sqrt((0.0001 + 0.0004) / 4) * year)
    assert metrics.win_rate(metrics.returns(equity)) == 0.5


def test_drawdown_is_measured_from_the_highest_value_so_far():
    equity = pd.Series([100.0, 120.0, 90.0, 108.0, 130.0, 117.0], index=pd.bdate_range("2020-01-01", periods=6))
    assert metrics.drawdown(equity).tolist() == [0.0, 0.0, -0.25, -0.1, 0.0, -0.1]
    assert metrics.drawdown(equity).index.equals(equity.index)
    assert metrics.max_drawdown(equity) == -0.25
    assert metrics.calmar(equity) == pytest.approx((1.17 ** (252 / 5) - 1.0) / 0.25)


@given(curves)
def test_metrics_are_those_of_pandas(equity):
    summary, returns = performance(equity), equity.pct_change().dropna()
    assert summary.total_return == pytest.approx(equity.iloc[-1] / equity.iloc[0] - 1.0, abs=1e-12, rel=1e-12)
    assert summary.max_drawdown == pytest.approx((equity / equity.cummax() - 1.0).min(), abs=1e-12)
    if len(returns) > 1:
        assert summary.volatility == pytest.approx(returns.std() * math.sqrt(252), rel=1e-9, abs=1e-9)
    assert -1.0 <= summary.max_drawdown <= 0.0


def test_many_curves_at_once_are_each_of_them_alone():
    rng = np.random.default_rng(0)
    values = np.exp(np.cumsum(0.02 * rng.standard_normal((7, 300)), axis=1))
    values[3] = 5.0  # never moves: no ratio, and no word about it
    values[4] = np.sort(values[4])  # never falls
    at_once = np.stack(metrics.performance_of(values, values[:, 1:] / values[:, :-1] - 1.0, 0.02, 252.0), axis=1)
    alone = [performance(pd.Series(one), risk_free=0.02) for one in values]
    np.testing.assert_allclose(at_once, alone, rtol=1e-13)


@given(curves)
def test_a_curve_is_made_again_from_its_returns(equity):
    np.testing.assert_allclose(metrics.curve(metrics.returns(equity)), equity / equity.iloc[0], rtol=1e-8)


@given(curves, st.integers(-20, 20))
def test_metrics_do_not_depend_on_the_currency(equity, power):
    np.testing.assert_array_equal(performance(equity), performance(equity * 2.0**power))


def test_one_bar_has_no_rates_and_nothing_lost():
    assert metrics.total_return(pd.Series([5.0])) == 0.0 == metrics.max_drawdown(pd.Series([5.0]))
    summary = performance(pd.Series([5.0]))
    assert all(map(math.isnan, [summary.annual_return, summary.volatility, summary.sharpe, summary.sortino, summary.calmar]))


@pytest.mark.parametrize("growth", [1.0, 1.01, 1.0001])
def test_a_curve_without_risk_has_no_ratio(growth):
    summary = performance(pd.Series(100.0 * growth ** np.arange(50)))
    assert math.isnan(summary.sharpe) and math.isnan(summary.sortino) and math.isnan(summary.calmar)
    assert summary.volatility == pytest.approx(0.0, abs=1e-12)


def test_ruin_is_the_loss_of_everything():
    summary = performance(pd.Series([100.0, 50.0, 0.0]))
    assert summary.total_return == summary.annual_return == summary.max_drawdown == -1.0


def test_turnover_counts_half_of_all_changes_of_weight():
    """From cash into A (1 bought), half of A into B (1/2 sold, 1/2 bought), no opinion: (1 + 1) / 2 over 4 bars."""
    weights = pd.DataFrame({"A": [1.0, 0.5, np.nan, 0.5], "B": [np.nan, 0.5, 0.5, 0.5]})
    assert metrics.turnover(weights, periods_per_year=4) == 1.0
    assert math.isnan(metrics.turnover(weights.iloc[:0]))


def test_win_rate_is_the_share_of_profits_among_what_is_known():
    assert metrics.win_rate(pd.Series([5.0, -1.0, 0.0, math.nan, 2.0])) == 0.5
    assert math.isnan(metrics.win_rate(pd.Series([], dtype=float)))


@pytest.mark.parametrize(
    ("equity", "sentence"),
    [
        ([], "at least one bar"),
        ([0.0, 1.0], "equity is 0.0 at 2020-01-01"),
        ([1.0, math.nan, 1.0], "equity is nan at 2020-01-02"),
        ([1.0, math.inf], "equity is inf at 2020-01-02"),
        ([1.0, -2.0, 1.0], "equity is -2.0 at 2020-01-02"),
    ],
)
def test_a_curve_that_cannot_be_is_refused_with_its_bar(equity, sentence):
    curve = pd.Series(equity, index=pd.bdate_range("2020-01-01", periods=len(equity)), dtype=float)
    with pytest.raises(InvalidParameter, match=sentence):
        performance(curve)
    with pytest.raises(InvalidParameter, match="periods_per_year is 0"):
        metrics.volatility(pd.Series([1.0, 2.0]), periods_per_year=0)
