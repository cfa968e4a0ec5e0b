"""What a backtest says of itself adds up to the micro-dollar, and reads well."""

import html
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from accounts import DEAR, FREE, OPEN, TIGHT, market, traded, wild
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import random_bars
from toolkit.cycle.backtest import backtest
from toolkit.cycle.benchmark import HeldEqually
from toolkit.cycle.trials import Trials
from toolkit.errors import InvalidSymbol
from toolkit.execution.costs import Costs, Exits, Policy
from toolkit.kernels.account import UNIT
from toolkit.risk.bootstrap import intervals
from toolkit.risk.overfitting import deflated_sharpe
from toolkit.signals.strategies import trend_and_rsi

FLAT = [(10, 10, 10, 10)] * 5


def micro(values):
    return np.rint(np.asarray(values) * UNIT).astype(np.int64)


def played(seed, **how):
    return backtest(wild(seed), random_bars(seed), **{"limits": OPEN, "costs": DEAR, "cash": 50_000.0, **how})


def test_a_result_computes_nothing_before_it_is_asked():
    fields = {
        "name",
        "bars",
        "scores",
        "weights",
        "opening",
        "first",
        "curve",
        "placed",
        "log",
        "waiting",
        "rules",
        "trials",
        "strategy",
    }
    result = played(0)
    assert set(vars(result)) == fields
    result.trades  # noqa: B018
    assert {"trades", "_marks"} == set(vars(result)) - fields


# ------------------------------------------------------------------------------------------------------------ laws
@settings(max_examples=20)
@given(seed=st.integers(0, 2**20), limits=st.sampled_from([OPEN, TIGHT]), whole=st.booleans(), first=st.integers(0, 150))
def test_cash_and_values_held_are_the_equity_at_every_close_to_the_micro_dollar(seed, limits, whole, first):
    bars = random_bars(seed)
    result = played(seed, limits=limits, policy=Policy(whole), start=bars.index[first])
    frame = result.to_frame()
    assert (micro(result.cash) + micro(result.values).sum(axis=1) == micro(result.equity)).all()
    assert frame.index.equals(bars.index[first:]) and frame["equity"].iloc[0] == frame["cash"].iloc[0] == 50_000.0
    splits = bars.events().set_index(["date", "symbol"])["split"]
    held, marks = dict.fromkeys(bars.symbols, 0.0), dict.fromkeys(bars.symbols, 0.0)
    for t in range(first, len(bars)):  # by hand: shares from the table of positions, prices from the bars
        held = result.positions.iloc[t - first]
        for n, symbol in enumerate(bars.symbols):
            close = bars.traded[3, n, t]
            marks[symbol] = close if close == close else marks[symbol] / splits.get((bars.index[t], symbol), 1.0)
            value = result.values[symbol].iloc[t - first]
            assert value == pytest.approx(held[symbol] * marks[symbol], abs=1e-6, rel=1e-12)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**20))
def test_positions_follow_from_fills_and_splits(seed):
    result = played(seed, exits=Exits(stop_loss=0.03))
    splits = result.bars.events().set_index(["date", "symbol"])["split"]
    held, fills = dict.fromkeys(result.bars.symbols, 0), dict(iter(result.fills.groupby("session")))
    for session in result.index:
        for symbol in held:
            held[symbol] = round(held[symbol] * splits.get((session, symbol), 1.0))
        for fill in fills.get(session, pd.DataFrame()).itertuples():
            held[fill.symbol] += round(fill.shares * UNIT)
        assert micro(result.positions.loc[session]).tolist() == list(held.values())


@settings(max_examples=15)
@given(seed=st.integers(0, 2**20))
def test_costs_are_the_sums_of_what_the_records_lost(seed):
    result = played(seed)
    records = result.records.groupby("reason")["cash"].sum()
    expected = {
        "commission": result.fills["fee"].sum(),
        "slippage": result.fills["slippage"].sum(),
        "borrow": -records.get("BORROW", 0.0),
        "interest": -records.get("INTEREST", 0.0),
    }
    assert result.costs.to_dict() == pytest.approx(expected, abs=1e-6)
    assert (result.costs >= 0.0).all() and (result.costs[["commission", "slippage", "borrow"]] > 0.0).all()


@pytest.mark.parametrize(("seed", "first"), [(0, 0), (1, 40), (2, 159)])
def test_the_benchmark_is_held_equally_bar_by_bar(seed, first):
    bars = random_bars(seed)
    late = bars.traded.copy()
    late[:, 1, :90] = np.nan  # listed late
    bars = replace(bars, traded=late, whole=None)
    result = backtest(wild(seed), bars, cash=50_000.0, start=bars.index[first])
    held = HeldEqually(bars.symbols, 50_000.0)
    expected = [held.value(row) for _, row in bars.close.iloc[first:].iterrows()]
    np.testing.assert_allclose(result.benchmark, expected, rtol=1e-13)


# --------------------------------------------------------------------------------------------------------- by hand
def test_exposure_adds_longs_and_shorts_and_nets_them():
    bars = random_bars(0, n_symbols=2, n_bars=4, halts=False, actions=False)
    weights = pd.DataFrame([[0.6, -0.3]] * 4, bars.index, list(bars.symbols))
    result = backtest(lambda b: np.sign(weights), bars, lambda s, b: weights, limits=OPEN, costs=FREE, cash=1e6)
    values = result.positions * bars.traded[3].T
    expected = values / result.equity.to_numpy()[:, None]
    np.testing.assert_allclose(result.holdings, expected, rtol=1e-9)
    np.testing.assert_allclose(result.exposure["gross"], expected["S0"] - expected["S1"], rtol=1e-9)
    np.testing.assert_allclose(result.exposure["net"], expected["S0"] + expected["S1"], rtol=1e-9)
    assert result.exposure["gross"].iloc[1] == pytest.approx(0.9, abs=0.05)


def test_turnover_is_half_of_what_was_traded_a_year():
    result = traded(market(FLAT), [0.5, 0.5, 0, 0, 0])  # half of the equity bought and sold within five bars
    assert result.turnover == pytest.approx((0.5 + 0.5) / 2 / 5 * 252)


def test_costs_by_hand():
    costs = Costs(per_order=2.0, fee_bps=0.0, slippage_bps=100.0)
    result = traded(market(FLAT), [0.5, 0.5, 0, 0, 0], costs=costs)  # 500 shares at 10.10 and at 9.90
    assert result.costs.to_dict() == {"commission": 4.0, "slippage": 100.0, "borrow": 0.0, "interest": 0.0}
    assert result.equity.iloc[-1] == 10_000 - 104


def test_borrow_and_interest_are_paid_a_bar():
    yearly = Costs(fee_bps=0.0, slippage_bps=0.0, borrow=2.52, interest=2.52)  # 1 % a bar
    assert traded(market(FLAT), [-0.5] * 5, costs=yearly).costs["borrow"] == 3 * 0.01 * 5_000
    lent = traded(market(FLAT), [2.0] * 5, costs=yearly)  # $10,000 borrowed; the interest is borrowed as well
    assert lent.costs["interest"] == pytest.approx(10_000 * (1.01**3 - 1))


def test_metrics_are_those_of_the_equity_with_intervals():
    result = played(3)
    pd.testing.assert_frame_equal(result.metrics, intervals(result.equity, periods_per_year=252.0))
    assert (result.metrics["low"] <= result.metrics["high"]).all()


def test_an_account_that_is_ruined_is_measured_up_to_its_ruin():
    rows = [(10, 10, 10, 10)] * 3 + [(25, 25, 25, 25)] + [(2, 2, 2, 2)] * 2
    result = traded(market(rows), [-1.0] * 6)
    assert result.lived.tolist() == [10_000, 10_000, 10_000, -5_000]
    assert result.metrics.at["total_return", "estimate"] == -1.5
    assert result.exposure["gross"].isna().tolist() == [False] * 3 + [True] + [False] * 2
    assert "nothing was left on 2012-01-05" in repr(result)


# ----------------------------------------------------------------------------------------------------------- trials
def test_a_sharpe_ratio_is_deflated_for_the_trials_of_the_project(tmp_path):
    trials, plain = Trials(tmp_path), replace(played(5), trials=None)
    assert plain.deflated_sharpe is None and "selection" not in repr(plain)
    trials.add("a sweep", np.linspace(-0.1, 0.1, 40), n_bars=160)
    counted = replace(plain, trials=trials)
    assert counted.deflated_sharpe.trials == 40
    expected = deflated_sharpe(plain.equity.pct_change().dropna(), 40, np.linspace(-0.1, 0.1, 40).var(ddof=1))
    assert counted.deflated_sharpe.probability == pytest.approx(expected)
    assert f"deflated for 40 trials: {expected:.2f}" in repr(counted)


# ------------------------------------------------------------------------------------------------------- as printed
def test_a_result_reads_in_a_few_lines():
    result = traded(market(FLAT), [0.5, 0.5, 0, np.nan, 0], costs=Costs(per_order=2.0, fee_bps=0.0, slippage_bps=100.0))
    first, *rest = repr(result).splitlines()
    assert first.endswith(": A; 5 bars, 2012-01-02 to 2012-01-06")
    said = {line[:13].strip(): line[13:] for line in rest}
    assert said["equity"] == "$10,000.00 to $9,896.00, -1.0%; the same symbols held equally +0.0%"
    # 5,000 of 9,948 at two of five closes; 5,050 of 10,000 bought, 4,950 of 9,948 sold
    assert said["exposure"] == "gross 20.1% of equity on average, net 20.1%; turnover 25.27 a year"
    assert said["trades"] == "1, 0 of them open; of the closed ones 0.0% won, median 2 bars"
    assert said["orders"] == "2: 2 FILLED"
    assert said["costs"] == "$104.00: commission $4.00, slippage $100.00, borrow $0.00, interest $0.00"
    assert said["no opinion"] == "1 of 5 scores are NaN: no position changed for them"


def test_a_notebook_shows_the_last_trades_and_names_are_escaped():
    bars = market([(10, 10, 10, 10), (11, 11, 11, 11)] * 8)
    result = replace(traded(bars, [0.5, 0.0] * 8), name="<lambda> & co")
    shown = result._repr_html_()
    assert "<b>&lt;lambda&gt; &amp; co: A;" in shown and "<lambda>" not in shown and "mathjax_ignore" in shown
    assert "the last 5 of 8 trades" in shown and shown.count("<td>A</td>") == 5
    last = result.trades.iloc[-1]
    assert f"<td>{last['entered']:%Y-%m-%d}</td>" in shown and "<td>open</td>" in shown
    assert all(html.escape(line[13:]) in shown for line in repr(result).splitlines()[1:])


def test_a_backtest_that_never_traded_says_so():
    result = traded(market(FLAT), [0.0] * 5)
    assert len(result.fills) == len(result.trades) == len(result.orders) == 0
    assert re.search(r"trades +none\n +orders +none", repr(result)) and "trades</p>" not in result._repr_html_()
    assert result.turnover == 0.0 and result.costs.sum() == 0.0
    assert result.to_frame()["equity"].tolist() == [10_000.0] * 5


def test_one_bar_is_enough():
    result = traded(market(FLAT[:1]), [0.5])
    assert "1 bar, 2012-01-02" in repr(result) and result.to_frame().shape == (1, 6)
    assert "return unknown, volatility unknown, Sharpe unknown" in repr(result) and "1 WAITING" in repr(result)


def test_tables_are_as_typed_without_rows_as_with_them():
    none, some = traded(market(FLAT), [0.0] * 5), traded(market(FLAT), [0.5, 0, 0, 0, 0])
    for name in ("records", "fills", "orders", "trades"):
        assert getattr(none, name).dtypes.equals(getattr(some, name).dtypes)


# ----------------------------------------------------------------------------------------------------- on the price
def test_prices_and_trades_of_a_symbol_are_in_the_shares_of_the_last_bar():
    rows = [(20, 20, 20, 20), (20, 20, 20, 20), (10, 10, 10, 10), (12, 12, 12, 12), (6, 6, 6, 6)]
    result = traded(market(rows, [(2, 2.0, 0.0), (4, 2.0, 0.0)]), [0.5, 0.5, 0, 0, 0])
    close, trades = result.on_price()
    assert close.name == "A" and close.tolist() == [5, 5, 5, 6, 6]
    assert result.trades[["entry", "exit"]].iloc[0].tolist() == [10, 12]  # left between the splits
    assert trades[["entry", "exit"]].iloc[0].tolist() == [5, 6]


def test_the_symbol_with_most_trips_is_drawn_unless_another_is_named():
    result = played(7)
    assert result.on_price()[0].name == result.trades["symbol"].value_counts().idxmax()
    assert set(result.on_price("S2")[1]["symbol"]) == {"S2"}


def test_a_symbol_that_was_not_traded_is_refused():
    for ask in (traded(market(FLAT), [0.5] * 5).on_price, traded(market(FLAT), [0.5] * 5).plot):
        with pytest.raises(InvalidSymbol, match="symbol 'MSFT' is not among A; pass one of them"):
            ask("MSFT")


def test_a_backtest_is_a_trial_once_with_its_sharpe_ratio_a_bar(bundled, tmp_path):
    bars = bundled.since("2010-01-01")
    first, again = (backtest(trend_and_rsi, bars, state=tmp_path) for _ in range(2))
    other = backtest(trend_and_rsi, bars, costs=Costs(fee_bps=50.0), state=tmp_path)
    returns = [r.equity.pct_change().iloc[1:] for r in (first, other)]
    ratios = [r.mean() / r.std() for r in returns]
    assert other.trials.count == 2 and again.deflated_sharpe.trials == 2
    assert other.trials.variance == pytest.approx(np.var(ratios, ddof=1))
    assert backtest(trend_and_rsi, bars, state=False).deflated_sharpe is None
