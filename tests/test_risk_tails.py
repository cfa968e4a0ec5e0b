"""VaR, CVaR, drawdowns and volatility, against four libraries that others keep; where a convention differs, it is said."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pandas as pd
import pytest
import quantstats
from arch.univariate import ConstantMean, EWMAVariance, ZeroMean
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import integrate, stats
from skfolio import measures

from toolkit.errors import InvalidParameter, InvalidWindow
from toolkit.risk.drawdowns import drawdown_table, drawdowns_of
from toolkit.risk.student import fit_t, t_quantile, t_shortfall
from toolkit.risk.tails import METHODS, forecasts, historical, next_bar, tail_table
from toolkit.risk.volatility import ewma_deviation

LEVELS = (0.95, 0.99)
some_returns = arrays(float, st.integers(60, 300), elements=st.floats(-0.2, 0.2).map(lambda x: round(x, 6)))


def fat(n: int = 504, seed: int = 0) -> np.ndarray:
    """Returns of a t with four degrees of freedom."""
    return 0.0005 + 0.01 * np.random.default_rng(seed).standard_t(4, n)


@settings(max_examples=60)
@given(some_returns, st.sampled_from([0.9, 0.95, 0.975, 0.99]))
def test_historical_var_and_cvar_are_those_of_skfolio(returns, level):
    var, cvar = next_bar(returns, "historical", level, len(returns))
    assert var == pytest.approx(measures.value_at_risk(returns, beta=level), abs=1e-12)
    assert cvar == pytest.approx(measures.cvar(returns, beta=level), abs=1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_historical_var_is_one_of_the_returns_where_numpys_default_lies_between_two(level):
    returns = fat()
    losses, var = np.sort(-returns), next_bar(returns, "historical", level)[0]
    at = int(np.searchsorted(losses, var))
    assert var == np.quantile(-returns, level, method="inverted_cdf")
    assert losses[at] == var and losses[at - 1] <= np.quantile(-returns, level) <= losses[at + 1]


@pytest.mark.parametrize("level", LEVELS)
def test_normal_var_and_cvar_are_those_of_quantstats(level):
    """quantstats writes losses below 0, ours are above."""
    returns = pd.Series(fat(), index=pd.bdate_range("2020-01-01", periods=504))
    var, cvar = next_bar(returns.to_numpy(), "normal", level)
    assert var == pytest.approx(-quantstats.stats.value_at_risk(returns, confidence=level, prepare_returns=False), rel=1e-12)
    assert cvar == pytest.approx(-quantstats.stats.cvar(returns, confidence=level, prepare_returns=False), rel=1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_cornish_fisher_cvar_is_the_mean_of_its_var_over_the_tail(level):
    returns = fat(seed=5)
    s, k = stats.skew(returns), stats.kurtosis(returns)

    def bent(u: float) -> float:
        z = stats.norm.ppf(u)
        return z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36

    mean, deviation = returns.mean(), returns.std(ddof=1)
    var, cvar = next_bar(returns, "cornish_fisher", level)
    tail = 1.0 - level
    assert var == pytest.approx(-(mean + deviation * bent(tail)), rel=1e-12)
    assert cvar == pytest.approx(-(mean + deviation * integrate.quad(bent, 0.0, tail)[0] / tail), rel=1e-6)


def test_cornish_fisher_says_nothing_where_it_turns_quantiles_round():
    """All of the mass at 0 but a few large gains: the bent quantile would fall as the normal one rises."""
    returns = np.zeros(200)
    returns[:6] = 0.3
    assert all(map(math.isnan, next_bar(returns, "cornish_fisher", 0.95)))
    assert all(map(math.isfinite, next_bar(fat(), "cornish_fisher", 0.95)))


@pytest.mark.parametrize("freedom", [1.05, 2.0, 3.3, 10.0, 100.0, 400.0])
@pytest.mark.parametrize("tail", [0.001, 0.01, 0.05, 0.3, 0.975])
def test_quantiles_of_t_are_those_of_scipy(freedom, tail):
    assert t_quantile(tail, freedom) == pytest.approx(stats.t.ppf(tail, freedom), rel=1e-11)


def test_the_shortfall_of_t_is_the_mean_of_its_quantiles_to_thirty_digits():
    at = mpmath.mpf(stats.t.ppf(0.05, 3))
    density = lambda x: 6 * mpmath.sqrt(3) / (mpmath.pi * (3 + x**2) ** 2)  # noqa: E731 - t with 3 degrees, in closed form
    exact = mpmath.quad(lambda x: x * density(x), [-mpmath.inf, at]) / 0.05
    assert t_shortfall(0.05, 3.0) == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize("freedom", [2.5, 4.0, 12.0])
def test_the_fitted_t_is_the_one_scipy_finds(freedom):
    returns = 0.001 + 0.01 * np.random.default_rng(3).standard_t(freedom, 800)
    found, middle, scale = stats.t.fit(returns)
    ours = [float(each[0]) for each in fit_t(returns[None, :])]
    assert ours == pytest.approx([middle, scale, found], rel=1e-2)
    here, there = (stats.t.logpdf(returns, f, m, s).sum() for m, s, f in (ours, (middle, scale, found)))
    assert here >= there - 1e-4


def test_a_t_fitted_to_normal_returns_gives_the_normal_var():
    returns = stats.norm.ppf((np.arange(2000) + 0.5) / 2000) * 0.01
    both = [next_bar(returns, name, 0.99, 2000) for name in ("student", "normal")]
    np.testing.assert_allclose(*both, rtol=0.01)


@pytest.mark.parametrize("level", LEVELS)
def test_filtered_var_is_made_of_the_residuals_of_arch(level):
    """arch seeds its average otherwise (backcast); after 75 bars a seed weighs less than one percent."""
    returns = fat(1500) * np.repeat([0.5, 2.0, 1.0], 500)
    fitted = ZeroMean(100 * returns, volatility=EWMAVariance(0.94)).fit(disp="off")
    residuals = (fitted.resid / fitted.conditional_volatility)[-504:]
    ahead = math.sqrt(fitted.forecast(horizon=1).variance.to_numpy()[-1, 0]) / 100
    var, cvar = next_bar(returns, "filtered", level)
    assert var == pytest.approx(ahead * measures.value_at_risk(residuals, beta=level), rel=1e-6)
    assert cvar == pytest.approx(ahead * measures.cvar(residuals, beta=level), rel=1e-6)


def test_the_deviation_expected_of_each_bar_is_the_conditional_volatility_of_arch():
    returns = fat(1000)
    theirs = ConstantMean(100 * returns, volatility=EWMAVariance(0.94)).fix([0.0]).conditional_volatility / 100
    np.testing.assert_allclose(ewma_deviation(returns)[300:-1], theirs[300:], rtol=1e-8)


def test_the_expected_deviation_of_three_returns_worked_out_by_hand():
    """Variances 1, 0.94 + 0.06 * 9 = 1.48 and 0.94 * 1.48 + 0.06 * 4 = 1.6312, each of the bar after."""
    found = ewma_deviation(np.array([1.0, -3.0, 2.0]))
    assert math.isnan(found[0]) and found[1:] == pytest.approx(np.sqrt([1.0, 1.48, 1.6312]))


@pytest.mark.parametrize("method", METHODS)
def test_a_forecast_knows_no_later_return(method):
    returns = fat(900)
    whole = forecasts(returns, method, 0.95, 250)[0]
    for cut in (400, 601, 880):
        known = forecasts(returns[:cut], method, 0.95, 250)[0]
        np.testing.assert_allclose(known, whole[: len(known)], rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_losses_scale_with_the_position_and_cvar_is_the_larger(method):
    returns = fat()
    var, cvar = next_bar(returns, method, 0.99, 400)
    assert cvar >= var > 0.0
    np.testing.assert_allclose(next_bar(2.0 * returns, method, 0.99, 400), (2.0 * var, 2.0 * cvar), rtol=1e-4)


def test_what_never_moves_loses_nothing_and_too_little_history_says_nothing():
    still = tail_table(np.zeros(300), 200)
    assert (still.drop(index="cornish_fisher") == 0.0).all(axis=None)
    assert tail_table(fat(59)).isna().all(axis=None)
    assert tail_table(fat(60)).drop(index="filtered").notna().all(axis=None)
    with pytest.raises(InvalidParameter, match="method 'lucky' is not known"):
        forecasts(fat(), "lucky")
    with pytest.raises(InvalidParameter, match="level is 5"):
        forecasts(fat(), "normal", 5)
    with pytest.raises(InvalidWindow, match="window is 10"):
        forecasts(fat(), "normal", 0.95, 10)


@settings(max_examples=50)
@given(some_returns)
def test_drawdowns_are_those_of_skfolio_compounded(returns):
    """skfolio adds returns up unless told to compound them; ours compound, as money does."""
    falls = measures.get_drawdowns(returns, compounded=True)
    ours = drawdowns_of(np.cumprod(np.concatenate([[1.0], 1.0 + returns])))
    assert ours.deepest == pytest.approx(-falls.min(), abs=1e-12)
    assert ours.cdar == pytest.approx(measures.cdar(falls, beta=0.95), abs=1e-12)
    assert ours.ulcer == pytest.approx(measures.ulcer_index(falls), abs=1e-12)


def test_the_ulcer_index_is_that_of_quantstats_but_for_its_divisor():
    """quantstats divides by n - 1, Martin and we by n."""
    returns = pd.Series(fat(), index=pd.bdate_range("2020-01-01", periods=504))
    ours = drawdowns_of(np.cumprod(np.concatenate([[1.0], 1.0 + returns.to_numpy()]))).ulcer
    assert ours == pytest.approx(quantstats.stats.ulcer_index(returns) * math.sqrt(503 / 504), rel=1e-9)


def test_a_drawdown_lasts_from_its_peak_until_the_peak_is_reached_again():
    curve = pd.Series([100.0, 120.0, 90.0, 108.0, 120.0, 130.0, 117.0], index=pd.bdate_range("2020-01-01", periods=7))
    table = drawdown_table(curve)
    assert table["depth"].tolist() == pytest.approx([0.25, 0.1])
    assert table["bars"].tolist() == [3, 1]
    assert table.loc[0, ["peak", "trough", "recovered"]].tolist() == [curve.index[1], curve.index[2], curve.index[4]]
    assert table["recovered"].isna().tolist() == [False, True]
    assert drawdowns_of(curve.to_numpy())[:3] == pytest.approx((0.25, 3, 0.1))


def test_ten_returns_worked_out_by_hand():
    """Of ten, 15 % are one and a half: CVaR is (10 + 8 / 2) / 1.5 percent, VaR the second largest loss."""
    rows = np.array([[-0.10, -0.08, -0.01, 0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06]])
    var, cvar = historical(rows, 0.85)
    assert var[0] == pytest.approx(0.08) and cvar[0] == pytest.approx(0.14 / 1.5)
