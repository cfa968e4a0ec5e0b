"""The laws that the README promises, each a test that can fail.  (5, range independence, stands in test_market.)"""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import random_bars
from toolkit.cycle.backtest import backtest
from toolkit.cycle.engine import TradingEngine, last_row
from toolkit.cycle.turn import turn
from toolkit.data import Bars
from toolkit.execution.audit import verify
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.costs import Costs, Exits, Limits, Policy, rules
from toolkit.execution.gate import Gate
from toolkit.execution.ledger import Ledger
from toolkit.kernels.account import UNIT
from toolkit.risk.sizing import equal_weight, inverse_volatility, volatility_target
from toolkit.signals.indicators import sma
from toolkit.signals.strategies import trend_and_rsi

LOOSE = Limits(
    max_order_notional=1e9, max_order_share=1.0, max_position=0.6, max_gross=1.0, min_cash=0.0, max_stale_sessions=99
)
FREE = Costs(fee_bps=0.0, slippage_bps=0.0)
FRICTION = Costs(per_share=0.005, minimum=1.0, fee_bps=2.0, slippage_bps=5.0, borrow=0.05, interest=0.06)


def above_average(bars: Bars) -> pd.DataFrame:
    """Held while above the mean of five bars; no opinion before, and none while halted."""
    mean = sma(bars.close, 5)
    return (bars.close > mean).astype(float).where(mean.notna())


def held_always(bars: Bars) -> pd.DataFrame:
    return bars.close.notna().astype(float)


# ------------------------------------------------------------------------------------------------- 1. no look-ahead
@pytest.mark.parametrize("sizing", [equal_weight(), inverse_volatility(window=21), volatility_target(window=21)])
def test_law_1_scores_and_weights_of_the_past_do_not_change_when_the_future_comes(bundled, sizing):
    scores = trend_and_rsi(bundled)
    weights = sizing(scores, bundled)
    for session in bundled.index[[60, 700, 1501, 2999, 3080, 3269]]:
        past = bundled.until(session)
        then = trend_and_rsi(past)
        pd.testing.assert_frame_equal(then, scores.loc[:session], check_exact=True)
        pd.testing.assert_frame_equal(sizing(then, past), weights.loc[:session], check_exact=True)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**20), cut=st.integers(10, 159))
def test_law_1_a_backtest_of_the_past_is_the_past_of_the_backtest(seed, cut):
    bars = random_bars(seed)
    trade = partial(
        backtest, above_average, sizing=equal_weight(), costs=FRICTION, limits=LOOSE, policy=Policy(whole_shares=True)
    )
    whole, part = trade(bars), trade(bars.until(bars.index[cut]))
    pd.testing.assert_series_equal(part.equity, whole.equity.iloc[: cut + 1], check_exact=True)
    pd.testing.assert_frame_equal(part.records, whole.records.iloc[: len(part.records)], check_exact=True)


# -------------------------------------------------------------------------------------------------------- 2. two roads
@settings(max_examples=20)
@given(seed=st.integers(0, 2**20), short=st.booleans())
def test_law_2_without_friction_the_step_is_the_textbook_formula(seed, short):
    bars = random_bars(seed, halts=False, actions=False)
    close = bars.close.to_numpy()
    opens = np.vstack([bars.traded[0].T[:1], close[:-1]])
    frames = {
        s: pd.DataFrame({"open": opens[:, n], "high": np.maximum(opens, close)[:, n], "low": np.minimum(opens, close)[:, n],
                         "close": close[:, n], "volume": 1e6}, index=bars.index)
        for n, s in enumerate(bars.symbols)
    }  # fmt: skip
    flat = Bars.from_frame(frames)
    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet(np.ones(5), len(flat))[:, :4] * (rng.choice([-1.0, 1.0], (len(flat), 4)) if short else 1.0)
    weights = pd.DataFrame(drawn, index=flat.index, columns=list(flat.symbols))
    limits = Limits(allow_short=True, leverage=2.0) if short else None
    result = backtest(
        held_always, flat, lambda scores, bars: weights, costs=FREE, limits=limits, policy=Policy(band=0.0), cash=1e9
    )
    returns = flat.close.pct_change().fillna(0.0)
    formula = 1e9 * (1.0 + (weights.shift(1).fillna(0.0) * returns).sum(axis=1)).cumprod()
    np.testing.assert_allclose(result.equity, formula, rtol=1e-12)


# -------------------------------------------------------------------------------------------------------- 3. same code
@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**20),
    restarts=st.sets(st.integers(1, 159), max_size=3),
    whole=st.booleans(),
    band=st.sampled_from([np.inf, 0.0, 0.02]),
)
def test_law_3_paper_with_restarts_equals_the_backtest_to_the_micro_unit(tmp_path_factory, seed, restarts, whole, band):
    bars, policy = random_bars(seed), Policy(whole_shares=whole, band=band)
    law = rules(FRICTION, LOOSE, policy)
    sizing, folder = equal_weight(), tmp_path_factory.mktemp("state")
    tested = backtest(above_average, bars, sizing, costs=FRICTION, limits=LOOSE, policy=policy, cash=50_000.0)
    open_ledger = lambda: Ledger.open(folder, account="law", mode="paper", cash=50_000.0)  # noqa: E731
    ledger, equity, denied = open_ledger(), [], 0
    for t, session in enumerate(bars.index):
        if t in restarts:
            ledger.close()
            ledger = open_ledger()
        known = bars.until(session)
        scores = above_average(known)
        done = turn(known, last_row(scores), last_row(sizing(scores, known)), key=str(session),
                    desk=PaperBroker(ledger, law), ledger=ledger, gate=Gate(LOOSE, law))  # fmt: skip
        equity.append(ledger.account().equity)
        denied += len(done.denials)
    moved = ledger.frame("events").query("kind != 'transfer'")
    expected = tested.records[(tested.records["shares"] != 0.0) | (tested.records["cash"] != 0.0)]
    assert denied == 0
    assert equity == tested.equity.tolist()
    assert [s[:10] for s in moved["session"]] == [f"{s:%Y-%m-%d}" for s in expected["session"]]
    assert moved["symbol"].tolist() == expected["symbol"].tolist()
    assert (moved["qty"] / UNIT).tolist() == expected["shares"].tolist()
    assert (moved["cash"] / UNIT).tolist() == expected["cash"].tolist()
    assert moved["price"].tolist() == expected["price"].tolist()
    assert verify(ledger) == []
    ledger.close()


def test_law_3_a_replay_of_the_engine_equals_the_backtest_of_its_strategy(values, bundled):
    engine = TradingEngine.from_values(**values, start=pd.Timestamp("2012-06-01").date())
    engine.run_continuous()
    costs, limits, policy, exits = engine.config.economics()
    tested = backtest(trend_and_rsi, bundled, equal_weight(), costs=costs, limits=limits, policy=policy, exits=exits,
                      cash=100_000.0, start="2012-06-01")  # fmt: skip
    replay = engine.telemetry.frame().set_index("session")["equity"]
    assert replay.tolist() == tested.equity.tolist()
    assert len(engine.ledger.frame("events").query("kind == 'fill'")) == len(tested.fills) > 20


# ----------------------------------------------------------------------------------------------------- 4. twice is once
def test_law_4_running_a_cell_twice_trades_once(values):
    engine = TradingEngine.from_values(**values)
    first, second = engine.run_cycle(), engine.run_cycle()
    assert first.orders > 0 and second.orders == 0 and second.turn.repeated
    assert len(engine.ledger.frame("intents")) == first.orders
    assert second.equity == first.equity


def test_law_4_the_account_is_the_fold_of_its_fills_and_actions(values):
    engine = TradingEngine.from_values(**values)
    engine.run_continuous()
    events, account = engine.ledger.frame("events"), engine.ledger.account()
    assert account.cash == events["cash"].sum()
    held = events.groupby("symbol")["qty"].sum()
    assert {s: p.qty for s, p in account.positions.items()} == held.reindex(list(account.positions), fill_value=0).to_dict()
    assert {"fill", "dividend"} <= set(events["kind"])


# ---------------------------------------------------------------------------------------------------- 6. conservation
def long_or_short(bars: Bars) -> pd.DataFrame:
    """Long above the mean of five bars, short below it."""
    return above_average(bars) * 2.0 - 1.0


@settings(max_examples=25)
@given(seed=st.integers(0, 2**20), whole=st.booleans(), short=st.booleans(), exits=st.booleans())
def test_law_6_cash_and_shares_change_only_by_recorded_events_and_value_by_prices(seed, whole, short, exits):
    bars = random_bars(seed)
    limits = replace(LOOSE, allow_short=short, leverage=1.5 if short else 1.0, max_gross=1.5)
    result = backtest(
        long_or_short if short else above_average, bars, equal_weight(), costs=FRICTION, limits=limits, policy=Policy(whole),
        exits=Exits(0.03, 0.05, 0.04) if exits else None, cash=50_000.0,
    )  # fmt: skip
    micro = lambda x: round(x * UNIT)  # noqa: E731
    cash, shares, marks = 50_000 * UNIT, dict.fromkeys(bars.symbols, 0), dict.fromkeys(bars.symbols, 0.0)
    by_session = dict(iter(result.records.groupby("session")))
    splits = bars.events().set_index(["date", "symbol"])["split"]
    trades = {"FILLED", "PARTIAL", "CASH_AT_OPEN", "STOP_LOSS", "TRAILING_STOP", "TAKE_PROFIT"}
    for t, session in enumerate(bars.index):
        for r in by_session.get(session, pd.DataFrame()).itertuples():
            cash += micro(r.cash)
            if r.symbol:
                shares[r.symbol] += micro(r.shares)
            assert r.reason in trades | {"SPLIT", "DIVIDEND", "BORROW", "INTEREST"} or r.cash == r.shares == 0.0
            if r.reason in trades and r.shares:  # the money of a trade is its shares at its price and the fee, nothing else
                assert micro(r.cash) == -round(micro(r.shares) * r.price) - micro(r.fee)
        for n, s in enumerate(bars.symbols):
            marks[s] /= splits.get((session, s), 1.0)
            close = bars.traded[3, n, t]
            marks[s] = close if close == close else marks[s]
        assert short or cash >= 0
        assert result.equity.iloc[t] == (cash + sum(round(shares[s] * marks[s]) for s in shares)) / UNIT
