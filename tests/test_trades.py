"""Round trips against arithmetic done by hand, a plain loop over fills, and the account that they have to add up to."""

import numpy as np
import pandas as pd
import pytest
from accounts import DEAR, OPEN, TIGHT, market, traded, wild
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import random_bars
from toolkit.cycle.backtest import backtest
from toolkit.cycle.trades import round_trips
from toolkit.execution.costs import Exits, Policy
from toolkit.kernels import account as step
from toolkit.kernels.account import UNIT, record_t

RANGES = [(10, 10, 10, 10), (10, 11, 9, 10.5), (10.5, 12, 10, 11), (11, 13, 8, 12), (12, 12, 12, 12)]


def only(trades):
    assert len(trades) == 1
    return trades.iloc[0]


# ---------------------------------------------------------------------------------------------------------- by hand
def test_a_long_trip_is_measured_from_fill_to_fill():
    bars = market(RANGES)
    trade = only(traded(bars, [0.5, 0.5, 0, 0, 0]).trades)  # 500 shares bought at 10, sold at the open of bar 3
    assert (trade["symbol"], trade["side"], trade["reason"]) == ("A", "long", "SIGNAL")
    assert (trade["entered"], trade["left"], trade["bars"]) == (bars.index[1], bars.index[3], 2)
    assert (trade["shares"], trade["entry"], trade["exit"]) == (500.0, 10.0, 11.0)
    assert (trade["profit"], trade["return"]) == (500.0, pytest.approx(0.1))
    assert (trade["worst"], trade["best"]) == (pytest.approx(-0.1), pytest.approx(0.2))  # 9 and 12; 8 and 13 came later


def test_a_short_trip_is_its_mirror():
    trade = only(traded(market(RANGES), [-0.5, -0.5, 0, 0, 0]).trades)
    assert (trade["side"], trade["shares"], trade["entry"], trade["exit"]) == ("short", 500.0, 10.0, 11.0)
    assert (trade["profit"], trade["return"]) == (-500.0, pytest.approx(-0.1))
    assert (trade["worst"], trade["best"]) == (pytest.approx(-0.2), pytest.approx(0.1))


def test_of_the_bar_that_it_was_left_in_only_the_open_and_the_exit_count():
    rows = [(10, 10, 10, 10), (10, 10, 10, 10), (12, 15, 8, 9), (9, 9, 9, 9)]
    trade = only(
        traded(market(rows), [0.5] * 4, exits=Exits(stop_loss=0.15)).trades
    )  # whether 15 came before 8.5, nobody knows
    assert (trade["worst"], trade["best"]) == (pytest.approx(-0.15), pytest.approx(0.2))


def test_a_stop_ends_the_excursion_at_its_price():
    trade = only(traded(market(RANGES), [0.5] * 5, exits=Exits(stop_loss=0.15)).trades)  # 8.5; bar 3 falls to 8
    assert (trade["bars"], trade["exit"], trade["reason"]) == (2, 8.5, "STOP_LOSS")
    assert (trade["worst"], trade["best"]) == (pytest.approx(-0.15), pytest.approx(0.2))


def test_in_and_out_within_one_bar_was_held_at_no_close():
    trade = only(traded(market(RANGES), [0.5] * 5, exits=Exits(stop_loss=0.05)).trades)  # 9.5; bar 1 falls to 9
    assert (trade["bars"], trade["entered"], trade["exit"]) == (0, trade["left"], 9.5)
    assert (trade["worst"], trade["best"]) == (pytest.approx(-0.05), 0.0)


def test_an_open_trip_is_valued_at_its_mark_and_has_not_been_left():
    trade = only(traded(market(RANGES), [0.5] * 5).trades)
    assert pd.isna(trade["left"]) and np.isnan(trade["exit"]) and trade["reason"] == ""
    assert (trade["bars"], trade["profit"]) == (4, 1_000.0)  # 500 x (12 - 10)
    assert (trade["worst"], trade["best"]) == (pytest.approx(-0.2), pytest.approx(0.3))  # 8 and 13


def test_a_split_and_a_dividend_on_the_way_leave_shares_and_prices_of_the_last_day():
    rows = [(10, 10, 10, 10), (10, 11, 9, 10), (5, 5.25, 4.75, 5), (6, 6, 6, 6)]
    trade = only(traded(market(rows, [(2, 2.0, 0.5)]), [0.1, 0.1, 0, 0]).trades)  # 100 shares at 10, 200 at 6
    assert (trade["shares"], trade["entry"], trade["exit"]) == (200.0, 5.0, 6.0)
    assert (trade["carry"], trade["profit"], trade["return"]) == (50.0, 250.0, pytest.approx(0.25))
    assert (trade["worst"], trade["best"]) == (pytest.approx(-0.1), pytest.approx(0.2))  # 4.5, and the exit at 6


def test_a_fraction_of_a_share_is_paid_out_to_the_trip():
    rows = [(10, 10, 10, 10), (10, 10, 10, 10), (30, 30, 30, 30), (36, 36, 36, 36)]
    whole = Policy(whole_shares=True)
    trade = only(traded(market(rows, [(2, 1 / 3, 0.0)]), [0.5, 0.5, 0, 0], policy=whole).trades)
    assert trade["carry"] == pytest.approx(20.0)  # 500 / 3 = 166 and 2/3, at 30
    assert trade["profit"] == pytest.approx(166 * 36 + 20 - 5_000)


def test_a_reverse_split_can_leave_nothing_of_a_trip():
    rows = [(9000, 9000, 9000, 9000)] * 2 + [(18000, 18000, 18000, 18000)] * 2
    whole = Policy(whole_shares=True)
    trade = only(traded(market(rows, [(2, 0.5, 0.0)]), [1, 1, 1, 1], policy=whole).trades)
    assert (trade["reason"], trade["bars"], trade["profit"], trade["carry"]) == ("SPLIT", 1, 0.0, 9_000.0)
    assert np.isnan(trade["exit"]) and trade["worst"] == trade["best"] == 0.0


def test_an_order_that_turns_a_position_round_ends_one_trip_and_begins_another():
    bars = market(RANGES)
    first, second = traded(bars, [0.5, 0.5, -0.5, -0.5, -0.5]).trades.itertuples()
    assert (first.side, first.left, second.side, second.entered) == ("long", bars.index[3], "short", bars.index[3])
    assert first.exit == second.entry == 11.0


def log_of(rows):
    """Records of (bar, symbol, reason, shares, price, cash, fee in dollars)."""
    log = np.zeros(len(rows), record_t)
    for record, (bar, symbol, reason, shares, price, cash, fee) in zip(log, rows):
        record["bar"], record["symbol"], record["reason"], record["price"] = bar, symbol, reason, price
        record["qty"], record["cash"], record["fee"] = shares * UNIT, cash * UNIT, fee * UNIT
    return log


def test_partial_entries_and_exits_are_averaged_to_one_of_each():
    bars = market([(10, 10, 10, 10), (12, 12, 12, 12), (13, 13, 13, 13), (9, 9, 9, 9)])
    log = log_of([(0, 0, step.PARTIAL, 100, 10.0, -1001, 1), (1, 0, step.FILLED, 300, 12.0, -3601, 1),
                  (2, 0, step.FILLED, -100, 13.0, 1299, 1), (3, 0, step.FILLED, -300, 9.0, 2699, 1)])  # fmt: skip
    trade = only(round_trips(log, bars, np.array([9.0])))
    assert (trade["shares"], trade["entry"], trade["exit"], trade["fees"]) == (400.0, 11.5, 10.0, 4.0)
    assert (trade["profit"], trade["return"]) == (-604.0, pytest.approx(-604 / 4600))


def test_dividends_and_borrow_fees_belong_to_the_trip_and_interest_to_nobody():
    bars = market([(10, 10, 10, 10)] * 4)
    log = log_of([(0, 0, step.FILLED, -100, 10.0, 1000, 0), (1, 0, step.DIVIDEND, 0, 0.25, -25, 0),
                  (1, 0, step.BORROW, 0, 0.01, -3, 0), (2, -1, step.INTEREST, 0, 0.01, -7, 0),
                  (2, 0, step.UNREACHED, 0, np.nan, 0, 0)])  # fmt: skip
    trade = only(round_trips(log, bars, np.array([9.0])))
    assert (trade["carry"], trade["fees"], trade["profit"]) == (-28.0, 0.0, 100.0 - 28.0)


def test_trips_stand_in_the_order_of_their_first_fills():
    bars = random_bars(1, n_symbols=3, n_bars=5, halts=False, actions=False)
    log = log_of([(0, 2, step.FILLED, 1, 5.0, -5, 0), (0, 1, step.FILLED, 1, 5.0, -5, 0), (1, 2, step.FILLED, -1, 5.0, 5, 0),
                  (2, 0, step.FILLED, 1, 5.0, -5, 0), (2, 2, step.FILLED, -1, 5.0, 5, 0)])  # fmt: skip
    trades = round_trips(log, bars, np.full(3, 5.0))
    assert trades["symbol"].tolist() == ["S2", "S1", "S0", "S2"]
    assert trades["side"].tolist() == ["long", "long", "long", "short"]


def test_no_fill_is_no_trip_and_the_columns_stay():
    bars = market(RANGES)
    trades = traded(bars, [0.0] * 5).trades
    assert len(trades) == 0
    full = traded(bars, [0.5] * 5).trades
    assert list(trades) == list(full) and trades.dtypes.tolist() == full.dtypes.tolist()


# ------------------------------------------------------------------------------------------------------------ laws
@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**20),
    limits=st.sampled_from([OPEN, TIGHT]),
    policy=st.sampled_from([Policy(), Policy(whole_shares=True), Policy(order_kind="limit", order_offset=0.005)]),
    exits=st.sampled_from([Exits(), Exits(stop_loss=0.03, take_profit=0.05), Exits(trailing=0.04)]),
)
def test_profits_of_trips_and_interest_are_what_the_account_gained_to_the_micro_dollar(seed, limits, policy, exits):
    bars = random_bars(seed)
    result = backtest(wild(seed), bars, limits=limits, costs=DEAR, policy=policy, exits=exits, cash=50_000.0)
    profits = int(result.trades["profit"].mul(UNIT).round().sum())
    interest = int(result.records.loc[result.records["reason"] == "INTEREST", "cash"].mul(UNIT).round().sum())
    assert profits + interest == round(result.equity.iloc[-1] * UNIT) - 50_000 * UNIT
    assert interest <= 0 and len(result.trades) > 20
    assert result.trades["fees"].sum() == pytest.approx(result.costs["commission"], abs=1e-6)


def by_loop(result):
    """The trips of a backtest, fill by fill and bar by bar, in prices of the first bar's shares."""
    bars, found, ahead = result.bars, [], result.bars.events()
    for n, symbol in enumerate(bars.symbols):
        own = result.records[(result.records["symbol"] == symbol) & (result.records["shares"] != 0.0)]
        splits = ahead[ahead["symbol"] == symbol].set_index("date")["split"].groupby(level=0).prod()
        grown = [float(splits.loc[:session].prod()) for session in bars.index]
        held, trip = 0, None
        for r in own.itertuples():
            t, qty = bars.index.get_loc(r.session), round(r.shares * UNIT)
            if held == 0:
                trip = {"symbol": symbol, "start": t, "sign": np.sign(qty), "in": [], "out": [], "stop": None}
                found.append(trip)
            if r.reason != "SPLIT":
                trip["in" if np.sign(qty) == trip["sign"] else "out"].append((qty / grown[t], r.price * grown[t]))
            held += qty
            if held == 0:
                trip["stop"], trip["reason"] = t, r.reason
        for trip in (trip for trip in found if trip["symbol"] == symbol):
            stop = trip["stop"] if trip["stop"] is not None else len(bars)
            seen = [(bars.traded[k, n, t] * grown[t]) for t in range(trip["start"], stop) for k in (1, 2)]
            if trip["stop"] is not None and stop > trip["start"] and trip["reason"] != "SPLIT":
                seen.append(bars.traded[0, n, stop] * grown[stop])
            seen += [price for _, price in trip["out"]]
            entry = sum(q * p for q, p in trip["in"]) / sum(q for q, _ in trip["in"])
            moves = [trip["sign"] * (price / entry - 1.0) for price in seen if price == price]
            trip |= {"bars": stop - trip["start"], "worst": min(0.0, *moves), "best": max(0.0, *moves), "entry": entry}
    return found


@settings(max_examples=10)
@given(seed=st.integers(0, 2**20), exits=st.sampled_from([Exits(), Exits(stop_loss=0.02, take_profit=0.03)]))
def test_holding_time_and_excursions_are_those_of_a_loop_over_bars(seed, exits):
    result = backtest(wild(seed), random_bars(seed), limits=TIGHT, costs=DEAR, exits=exits, cash=50_000.0)
    expected = pd.DataFrame(by_loop(result))
    trades = result.trades.sort_values(["symbol", "entered"], kind="stable")
    assert trades["symbol"].tolist() == expected["symbol"].tolist()
    assert trades["bars"].tolist() == expected["bars"].tolist()
    np.testing.assert_allclose(trades["worst"], expected["worst"], atol=1e-12)
    np.testing.assert_allclose(trades["best"], expected["best"], atol=1e-12)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**20))
def test_a_closed_trip_earned_its_prices_its_carry_and_paid_its_fees(seed):
    trades = backtest(wild(seed), random_bars(seed), limits=OPEN, costs=DEAR, cash=50_000.0).trades
    closed = trades[trades["left"].notna()]
    side = np.where(closed["side"] == "long", 1.0, -1.0)
    gained = side * closed["shares"] * (closed["exit"] - closed["entry"]) + closed["carry"] - closed["fees"]
    np.testing.assert_allclose(closed["profit"], gained, atol=1e-3)  # shares are whole millionths after a split
    moved = side * (closed["exit"] / closed["entry"] - 1.0)
    assert (closed["worst"] <= moved + 1e-12).all() and (moved <= closed["best"] + 1e-12).all()
