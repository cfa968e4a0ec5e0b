"""The risk report: sums that must come out, references of others, and what it says when it cannot know."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import pytest
import quantstats
import skfolio
from hypothesis import given, settings
from hypothesis import strategies as st
from references import bars_of
from scipy import stats
from skfolio import RiskMeasure, measures

from conftest import random_bars
from toolkit import Bars
from toolkit.errors import InvalidParameter, InvalidSymbol, InvalidWindow
from toolkit.risk import Breach, Limit, breach_history, risk_report
from toolkit.risk.history import history_of
from toolkit.risk.report import MEASURES
from toolkit.signals.indicators import yang_zhang

BOOK = {"AAPL": 40_000.0, "GOOG": 10_000.0, "IBM": 30_000.0, "MSFT": -20_000.0}
weights_of_four = st.lists(st.floats(-2.0, 2.0), min_size=4, max_size=4).filter(lambda w: sum(map(abs, w)) > 0.1)


@pytest.fixture(scope="module")
def report(bundled):
    return risk_report(bundled, BOOK, 100_000.0, benchmark="IBM")


def returns_of(bundled: Bars) -> pd.DataFrame:
    """The last 504 returns of the four, by pandas."""
    return bundled.close[list(BOOK)].pct_change().iloc[-504:]


# ---------------------------------------------------------------------------------------------------------- exposure
def test_exposure_leverage_and_concentration_worked_out_by_hand(report):
    held = report.exposure
    assert (held.gross, held.net, held.long, held.short) == (100_000.0, 60_000.0, 80_000.0, 20_000.0)
    assert (held.leverage, held.largest) == (1.0, 0.4)
    assert held.herfindahl == pytest.approx(0.30) and held.effective == pytest.approx(1 / 0.30)
    assert report.positions["weight"].to_dict() == {"AAPL": 0.4, "GOOG": 0.1, "IBM": 0.3, "MSFT": -0.2}


@given(st.integers(1, 26))
def test_equal_positions_count_as_many_as_they_are(n):
    close = np.cumprod(1.0 + 0.01 * np.random.default_rng(0).standard_normal((n, 80)), axis=1)
    held = risk_report(bars_of(close), dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:n], -5.0), 100.0).exposure
    assert held.effective == pytest.approx(n) and held.net == -held.gross


def test_shares_count_at_the_last_traded_price(bundled):
    shares = risk_report(bundled, pd.Series({"IBM": 10.0, "MSFT": -3.0, "AAPL": 0.0}), 1e5, unit="shares")
    close = bundled.traded_frame("close").iloc[-1]
    assert shares.positions["dollars"].to_dict() == {"IBM": 10.0 * close["IBM"], "MSFT": -3.0 * close["MSFT"]}


# ------------------------------------------------------------------------------------------- correlation, volatility, beta
def test_correlation_is_that_of_pandas_and_its_first_component_that_of_a_decomposition(report, bundled):
    theirs = returns_of(bundled).corr()
    pd.testing.assert_frame_equal(report.correlation.matrix, theirs, rtol=1e-10)
    pairs = theirs.to_numpy()[np.triu_indices(4, 1)]
    assert report.correlation.average == pytest.approx(pairs.mean())
    assert report.correlation.first == pytest.approx(np.linalg.svd(theirs)[1][0] / 4)


def test_of_one_holding_no_correlation_is_told(report, bundled):
    alone = str(risk_report(bundled, {"IBM": 1_000.0}, 10_000.0, benchmark="IBM"))
    assert "  correlation " in str(report) and "  beta " in alone and "  correlation " not in alone
    told = [line.split()[0] for line in str(report).splitlines()]
    assert told.index("volatility") + 1 == told.index("correlation") == told.index("beta") - 1


def test_symbols_that_move_as_one_are_one_component():
    move = np.cumprod(1.0 + 0.01 * np.random.default_rng(0).standard_normal(100))
    linked = risk_report(bars_of(np.vstack([move, 3.0 * move, 7.0 * move])), {"A": 1.0, "B": 1.0, "C": 1.0}, 10.0).correlation
    assert linked.average == pytest.approx(1.0) and linked.first == pytest.approx(1.0)


def test_beta_is_the_slope_of_a_regression_by_scipy(report, bundled):
    returns = returns_of(bundled)
    for symbol in BOOK:
        assert report.beta[symbol] == pytest.approx(stats.linregress(returns["IBM"], returns[symbol]).slope, rel=1e-9)
    whole = (returns * report.weights).sum(axis=1)
    assert report.beta["portfolio"] == pytest.approx(stats.linregress(returns["IBM"], whole).slope, rel=1e-9)
    prices = bundled.close["IBM"].iloc[1000:]
    as_series = risk_report(bundled, BOOK, 1e5, benchmark=prices)
    pd.testing.assert_series_equal(as_series.beta, report.beta, rtol=1e-9)


def test_volatility_is_that_of_quantstats_by_closes_and_of_the_indicator_by_ranges(report, bundled):
    returns = returns_of(bundled)
    for symbol in BOOK:
        assert report.volatility.loc[symbol, "close"] == pytest.approx(
            quantstats.stats.volatility(returns[symbol], prepare_returns=False), rel=1e-9
        )
    whole = (returns * report.weights).sum(axis=1)
    assert report.volatility.loc["portfolio", "close"] == pytest.approx(
        quantstats.stats.volatility(whole, prepare_returns=False), rel=1e-9
    )
    ranged = yang_zhang(bundled, 63).iloc[-1]
    assert report.volatility["yang_zhang"].iloc[:4].to_dict() == pytest.approx(ranged[list(BOOK)].to_dict(), rel=1e-9)
    spread = report.weights * ranged[list(BOOK)]
    assert report.volatility.loc["portfolio", "yang_zhang"] == pytest.approx(math.sqrt(spread @ returns.corr() @ spread))


# ------------------------------------------------------------------------------------------------------- contributions
@settings(max_examples=30)
@given(weights=weights_of_four)
def test_components_sum_to_the_total(bundled, weights):
    report = risk_report(bundled, dict(zip(BOOK, weights)), 1.0)
    sums = report.contributions.xs("component", axis=1, level=1).sum()
    assert sums["volatility"] == pytest.approx(report.volatility.loc["portfolio", "close"], rel=1e-9)
    assert sums["normal_var"] == pytest.approx(report.tails.loc["normal", "VaR 95%"], rel=1e-9, abs=1e-12)
    assert sums["historical_cvar"] == pytest.approx(report.tails.loc["historical", "CVaR 95%"], rel=1e-9, abs=1e-12)


def test_contributions_are_those_of_skfolio_by_finite_differences(report, bundled):
    """skfolio's volatility is per bar, ours per year."""
    theirs = skfolio.Portfolio(returns_of(bundled), weights=report.weights)
    ours = report.contributions.xs("component", axis=1, level=1)
    deviation = theirs.contribution(RiskMeasure.STANDARD_DEVIATION) * math.sqrt(252)
    np.testing.assert_allclose(ours["volatility"], deviation, rtol=1e-4)
    np.testing.assert_allclose(ours["historical_cvar"], theirs.contribution(RiskMeasure.CVAR), rtol=1e-3, atol=1e-6)


def test_a_marginal_contribution_is_what_one_more_percent_adds(report, bundled):
    more = risk_report(bundled, {**BOOK, "AAPL": 41_000.0}, 100_000.0)
    added = (more.measure("volatility") - report.measure("volatility")) / 0.01
    assert report.contributions.loc["AAPL", ("volatility", "marginal")] == pytest.approx(added, rel=0.01)


# -------------------------------------------------------------------------------------------------------------- stress
def test_the_worst_days_and_weeks_are_found_by_a_plain_search(report, bundled):
    close = bundled.close[list(BOOK)].loc["2004-08-19":]
    for bars in (1, 5, 21, 63):
        moves = (close / close.shift(bars) - 1.0) @ report.weights
        row = report.stress.loc[f"worst {bars} bar{'s' * (bars > 1)}"]
        assert row["return"] == pytest.approx(moves.min(), rel=1e-9) and row["end"] == moves.idxmin()
        assert close.index.get_loc(row["end"]) - close.index.get_loc(row["begin"]) == bars


def test_a_fall_on_the_last_bar_is_among_the_worst_windows():
    close = np.full((1, 90), 20.0)
    close[0, -1] = 10.0
    row = risk_report(bars_of(close), {"A": 10.0}, 10.0).stress.loc["worst 1 bar"]
    assert row["return"] == -0.5


def test_gaps_are_opens_over_the_close_before(report, bundled):
    frame = (bundled.open / bundled.close.shift() - 1.0)[list(BOOK)].loc["2004-08-20":]
    assert report.stress.loc["largest gap", "return"] == pytest.approx((frame @ report.weights).min(), rel=1e-9)
    at_once = (frame * report.weights).min().sum()
    assert report.stress.loc["every gap at once", "return"] == pytest.approx(at_once, rel=1e-9)


def test_shocks_follow_from_deviations_and_beta(report, bundled):
    each = report.weights * returns_of(bundled).std().to_numpy()
    stress = report.stress["return"]
    daily = report.volatility.loc["portfolio", "close"] / math.sqrt(252)
    assert stress["3 sigma"] == pytest.approx(-3.0 * daily) and stress["5 sigma"] == pytest.approx(-5.0 * daily)
    assert stress["correlation to one, 3 sigma"] == pytest.approx(-3.0 * abs(each.sum()))
    assert stress["against every position, 3 sigma"] == pytest.approx(-3.0 * np.abs(each).sum())
    assert stress["benchmark -20%"] == pytest.approx(-0.2 * report.beta["portfolio"])


def test_for_long_positions_correlation_to_one_is_the_worst_that_a_deviation_can_do(bundled):
    stress = risk_report(bundled, {name: abs(value) for name, value in BOOK.items()}, 1e5).stress["return"]
    assert stress["correlation to one, 3 sigma"] == stress["against every position, 3 sigma"] < stress["3 sigma"]


# ------------------------------------------------------------------------------------------------ liquidity, drawdown
def test_a_tenth_of_the_volume_takes_ten_days_for_a_day_of_volume():
    close = np.full((2, 90), 20.0)
    bars = bars_of(close, volume=1000.0)  # 20,000 dollars a day
    days = risk_report(bars, {"A": 20_000.0, "B": -2_000.0}, 1e5, participation=0.1).liquidity["days"]
    assert days.to_dict() == pytest.approx({"A": 10.0, "B": 1.0})


def test_what_does_not_trade_cannot_be_left():
    bars = bars_of(np.full((1, 90), 20.0), volume=0.0)
    assert risk_report(bars, {"A": 1.0}, 10.0).measure("days_to_exit") == math.inf


def test_drawdowns_are_of_the_account_where_its_curve_is_known(report, bundled):
    curve = pd.Series([100.0, 50.0, 80.0], index=bundled.index[-3:])
    told = risk_report(bundled, BOOK, 80.0, curve=curve)
    assert told.drawdowns.deepest == 0.5 and told.measure("drawdown") == pytest.approx(0.2)
    weights = returns_of(bundled).shape[0]
    assert report.drawdowns.deepest >= 0.0 and len(report.equity_curve) > weights
    assert report.drawdowns.deepest == pytest.approx(-measures.get_drawdowns(report.returns, compounded=True).min(), rel=1e-9)


# ---------------------------------------------------------------------------------------------------------------- limits
def test_headroom_is_the_limit_less_the_value(bundled):
    limits = [Limit("leverage", 1.5), Limit("largest", 0.3), Limit("var_95", 0.05)]
    room = risk_report(bundled, BOOK, 100_000.0, limits=limits).headroom
    assert room.loc["leverage"].tolist()[:3] == [1.0, 1.5, 0.5]
    assert room["breached"].to_dict() == {"leverage": False, "largest": True, "var_95": False}
    assert room.loc["largest", "used"] == pytest.approx(0.4 / 0.3)


def test_what_cannot_be_measured_is_not_within_its_limit():
    report = risk_report(random_bars(0, n_bars=30), {"S0": 5.0}, 10.0, limits=[Limit("var_99", 0.5), Limit("beta", 2.0)])
    assert report.headroom["breached"].tolist() == [True, True]


def test_a_breach_lasts_from_the_first_bar_above_to_the_first_within():
    index = pd.bdate_range("2020-01-01", periods=7)
    measures = pd.DataFrame({"gross": [0.9, 1.1, 1.3, 1.2, 1.0, 1.0, 1.1], "net": 0.5}, index=index)
    found = breach_history(measures, [Limit("gross", 1.0), Limit("net", 0.5)])
    assert found == (Breach("gross", index[1], index[4], 1.3, 1.0), Breach("gross", index[6], None, 1.1, 1.0))
    with pytest.raises(InvalidParameter, match="no column 'beta'"):
        breach_history(measures, [Limit("beta", 1.0)])


# -------------------------------------------------------------------------------------------------- history and honesty
def test_a_halted_symbol_is_marked_at_its_last_price_and_said_so():
    close = np.array([[10.0] * 50 + [np.nan, np.nan, 12.0] + [12.0] * 40, np.linspace(5.0, 6.0, 93)])
    report = risk_report(bars_of(close), {"A": 5.0, "B": 5.0}, 10.0)
    jumps = report.history.returns[0]
    assert jumps[51] == pytest.approx(0.2) and np.count_nonzero(jumps) == 1
    assert "A was halted in 2 bars, marked at its last price" in report.issues


def test_a_symbol_that_is_halted_when_the_youngest_is_listed_has_its_price_from_before():
    close = np.array([[10.0] * 20 + [np.nan] * 3 + [11.0] * 70, [np.nan] * 21 + [5.0] * 72])
    report = risk_report(bars_of(close), {"A": 5.0, "B": 5.0}, 10.0)
    assert report.history.prices[:, 0].tolist() == [10.0, 5.0] and report.returns[1] == pytest.approx(0.05)


def test_the_youngest_symbol_cuts_the_history_and_is_named(bundled):
    report = risk_report(bundled, {**BOOK, "FB": 1_000.0}, 1e5)
    assert len(report.returns) == 195
    assert any("195 returns are known of all symbols, FB came last" in issue for issue in report.issues)
    assert (report.backtest["n"] == 0).all() and report.tails.notna().all(axis=None)


def test_the_past_of_a_report_does_not_know_its_future(bundled):
    earlier = bundled.until("2010-06-30")
    alone = Bars.from_frame({name: values_of(earlier, name) for name in earlier.symbols if name != "FB"}, calendar="XNYS")
    one, two = (risk_report(bars, BOOK, 1e5) for bars in (earlier.select(list(BOOK)), alone.select(list(BOOK))))
    np.testing.assert_allclose(one.returns[-5:], (bundled.close[list(BOOK)].pct_change().loc[:"2010-06-30"] @ one.weights)[-5:])
    assert one.exposure == two.exposure


def values_of(bars: Bars, symbol: str) -> pd.DataFrame:
    return pd.DataFrame({name: bars.traded_frame(name)[symbol] for name in ("open", "high", "low", "close", "volume")})


def test_two_holdings_of_equal_weights_have_equal_risk_in_any_account(bundled, report):
    larger = risk_report(bundled, {name: 8.0 * value for name, value in BOOK.items()}, 800_000.0, benchmark="IBM")
    pd.testing.assert_frame_equal(larger.tails, report.tails)
    pd.testing.assert_frame_equal(larger.stress, report.stress)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"holdings": {"XYZ": 1.0}}, InvalidSymbol, "'XYZ' is held and not among AAPL"),
        ({"holdings": {"IBM": np.nan}}, InvalidParameter, "the holding of IBM is nan"),
        ({"holdings": {"IBM": "ten"}}, InvalidParameter, "the holding of IBM is 'ten'"),
        ({"equity": 0.0}, InvalidParameter, "equity is 0.0"),
        ({"equity": np.nan}, InvalidParameter, "equity is nan"),
        ({"unit": "lots"}, InvalidParameter, "unit is 'lots'"),
        ({"benchmark": "SPY"}, InvalidSymbol, "benchmark 'SPY' is not among"),
        ({"limits": [Limit("luck", 1.0)]}, InvalidParameter, "limit of 'luck' is not known"),
        ({"participation": 0.0}, InvalidParameter, "participation is 0.0"),
        ({"window": 20}, InvalidWindow, "window is 20"),
    ],
)
def test_values_that_cannot_be_are_refused_with_a_sentence(bundled, change, error, sentence):
    arguments = {"bars": bundled, "holdings": BOOK, "equity": 1e5, **change}
    with pytest.raises(error, match=sentence):
        risk_report(**arguments)


# ------------------------------------------------------------------------------------------------------------- printing
def test_the_page_shows_every_section_with_labels_for_people(bundled):
    limits = [Limit(name, 0.01) for name in MEASURES]
    breach = Breach("leverage", pd.Timestamp("2012-01-03"), None, 1.2, 1.0)
    report = risk_report(bundled, BOOK, 1e5, benchmark="IBM", limits=limits, breaches=[breach])
    tables = pd.read_html(io.StringIO(report._repr_html_()), index_col=0)
    assert [len(table) for table in tables[1:]] == [4, 5, 12, len(MEASURES), 1]
    assert list(tables[2].index) == ["Historical", "Normal", "Cornish-Fisher", "Student t", "Filtered historical"]
    assert "_" not in "".join(str(label) for table in tables for label in [*table.index, *table.columns])
    assert repr(report).startswith("Risk of AAPL, GOOG, IBM, MSFT in $100,000.00, 2013-03-01\n  exposure")
    assert "<script" not in report._repr_html_()


@pytest.mark.parametrize("n_bars", [0, 1, 2, 61, 100])
def test_nothing_held_and_short_histories_print_too(n_bars):
    bars = random_bars(1, n_bars=100, actions=False).until("2011-12-31")
    bars = bars.tail(n_bars) if n_bars else bars.until("2000-01-01")
    limits = [Limit(name, 1.0) for name in MEASURES]
    for holdings in ({}, {"S0": 5.0, "S1": -2.0}):
        report = risk_report(bars, holdings, 10.0, limits=limits)
        assert report.exposure.gross == sum(map(abs, holdings.values()))
        assert repr(report) and report._repr_html_() and len(report.headroom) == len(MEASURES)


def test_bars_of_an_hour_and_of_a_week_have_their_own_year():
    index = pd.date_range("2020-01-06 14:30", periods=200, freq="h", tz="UTC")
    close = pd.Series(100.0 * np.cumprod(1.0 + 0.001 * np.random.default_rng(0).standard_normal(200)), index=index)
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close)).assign(volume=100.0)
    hourly = risk_report(Bars.from_frame(frame, symbol="A", interval="1h"), {"A": 1e4}, 1e4)
    assert hourly.volatility.loc["A", "close"] == pytest.approx(close.pct_change().std() * math.sqrt(252 * 6.5), rel=1e-9)
    days = 1e4 / (0.1 * 100.0 * close.iloc[-21:].median() * 6.5)
    assert hourly.liquidity.loc["A", "days"] == pytest.approx(days, rel=1e-9)
    assert "2020-01" in repr(hourly) and hourly._repr_html_()


def test_a_covariance_is_that_of_pandas(bundled):
    history = history_of(bundled, tuple(BOOK), 252)
    np.testing.assert_allclose(history.covariance, bundled.close[list(BOOK)].pct_change().iloc[-252:].cov(), rtol=1e-9)


def test_a_portfolio_that_would_have_been_ruined_says_when_and_shows_no_drawdowns():
    close = np.array([[10.0] * 30 + [2.0] * 40])
    bars = bars_of(close)
    told = risk_report(bars, {bars.symbols[0]: 200.0}, 100.0)  # twice its equity, before a fall of 80%
    assert any(
        f"had lost everything on {bars.index[30]:%Y-%m-%d}: nothing is said of drawdowns" in each for each in told.issues
    )
    assert "of these weights: not known" in str(told) and "longest 0 bars" not in str(told)
