"""A turn that is killed, repeated or answered badly still sends each order once."""

import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import random_bars
from toolkit.cycle.backtest import backtest
from toolkit.cycle.turn import plan, turn
from toolkit.data import FIELDS, Bars, ReplayClock
from toolkit.errors import LedgerError
from toolkit.execution.audit import verify
from toolkit.execution.brokers.cached import CachedBroker
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.brokers.values import Answer
from toolkit.execution.costs import CAREFUL, Costs, Limits, Policy, rules
from toolkit.execution.gate import Gate
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account, Position, order_id
from toolkit.execution.situation import quotes
from toolkit.kernels.account import UNIT
from toolkit.risk.sizing import equal_weight
from toolkit.signals.indicators import sma

LIMITS = Limits(
    max_order_notional=1e9, max_order_share=1.0, max_position=0.6, max_gross=1.0, min_cash=0.0, max_stale_sessions=99
)
WHOLE = Policy(whole_shares=True)
RULES = rules(Costs(), LIMITS, WHOLE)
ONE = {"S0": 1.0}


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger.open(tmp_path, account="t", mode="paper", cash=50_000.0)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def bars():
    return random_bars(3, n_symbols=1, halts=False, actions=False)


def go(bars, ledger, t, weight, broker=None, key=None):
    return turn(bars.until(bars.index[t]), ONE if weight else {"S0": 0.0}, {"S0": weight}, key=key or f"k{t}",
                desk=broker or PaperBroker(ledger, RULES), ledger=ledger, gate=Gate(LIMITS, RULES))  # fmt: skip


class DiesAtSubmit(PaperBroker):
    """A process that ends while it hands an order in."""

    def submit(self, order):
        raise KeyboardInterrupt


def test_an_order_whose_sending_was_interrupted_is_sent_once_by_the_same_cycle(bars, ledger):
    with pytest.raises(KeyboardInterrupt):
        go(bars, ledger, 10, 0.5, DiesAtSubmit(ledger, RULES))
    assert ledger.frame("intents")["status"].tolist() == ["SENDING"]
    assert len(go(bars, ledger, 10, 0.5).orders) == 1
    assert go(bars, ledger, 10, 0.5).repeated
    assert len(go(bars, ledger, 11, 0.5).fills) == 1 and verify(ledger) == []


def test_an_order_that_missed_its_open_is_abandoned_and_decided_again(bars, ledger):
    with pytest.raises(KeyboardInterrupt):
        go(bars, ledger, 10, 0.5, DiesAtSubmit(ledger, RULES))
    later = go(bars, ledger, 12, 0.5)
    assert ledger.frame("intents")["status"].tolist() == ["ABANDONED", "ACCEPTED"]
    assert len(later.orders) == 1 and later.fills == () and verify(ledger) == []


def test_a_denied_order_is_asked_for_again_at_the_next_close(bars, ledger):
    denied = turn(bars.until(bars.index[10]), ONE, {"S0": 0.5}, key="a", desk=PaperBroker(ledger, RULES), ledger=ledger,
                  gate=Gate(LIMITS, RULES), missing=200)  # fmt: skip
    assert [v.code for v in denied.denials] == ["STALE_DATA"] and denied.orders == ()
    assert len(go(bars, ledger, 11, 0.5).orders) == 1


@pytest.fixture(scope="module")
def halted(bars):
    """The market of `bars`, halted from bar 11 to bar 13."""
    block = bars.traded[:, 0].T.copy()
    block[11:14] = np.nan
    return Bars.from_frame(pd.DataFrame(block, index=bars.index, columns=list(FIELDS)), symbol="S0")


def test_a_new_decision_replaces_an_order_that_still_waits(halted, ledger):
    go(halted, ledger, 10, 0.5)
    assert go(halted, ledger, 12, 0.0).fills == ()
    assert ledger.frame("intents")["status"].tolist() == ["CANCELED"] and ledger.account().waiting == ()


def test_the_cached_account_is_forgotten_the_moment_an_order_goes_out(bars, ledger):
    clock = ReplayClock(pd.date_range("2012-01-03", periods=3, freq="20s", tz="UTC"))
    broker = CachedBroker(PaperBroker(ledger, RULES), clock)
    go(bars, ledger, 10, 0.5, broker)
    asked = broker.misses
    assert broker.account().waiting and broker.misses == asked + 1
    assert broker.account().waiting and broker.misses == asked + 1 and broker.hits >= 1
    clock.sleep(20)
    broker.account()
    assert broker.misses == asked + 1  # 20 s later it is still good,
    clock.sleep(20)
    broker.account()
    assert broker.misses == asked + 2  # 40 s later it is not


def test_ages_count_sessions_since_the_last_price():
    bars = random_bars(1, n_symbols=2)
    close = bars.traded[3]
    expected = {s: int(np.argmax(~np.isnan(close[n, ::-1]))) + 2 for n, s in enumerate(bars.symbols)}
    assert quotes(bars, missing=2).ages == expected


CHILD = Path(__file__).with_name("paper_loop.py")


def test_paper_killed_at_random_instants_trades_exactly_as_the_backtest(tmp_path):
    bars = random_bars(7)
    tested = backtest(strategy, bars, equal_weight(), limits=LIMITS, policy=WHOLE, cash=50_000.0)
    command, rng = [sys.executable, CHILD, tmp_path, "7"], random.Random(7)
    kills = 0
    for _ in range(5):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(rng.randrange(1, 25)):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        kills += child.wait(timeout=60) == -signal.SIGKILL
        child.stdout.close()
    assert kills > 0
    subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
    ledger = Ledger.read(tmp_path / "ledger.sqlite")
    fills = ledger.frame("events").query("kind == 'fill' and qty != 0")
    assert verify(ledger) == [] and ledger.account().equity == tested.equity.iloc[-1]
    assert (fills["qty"] / UNIT).tolist() == tested.fills["shares"].tolist()
    assert fills["price"].tolist() == tested.fills["price"].tolist()


def strategy(bars):
    mean = sma(bars.close, 5)
    return (bars.close > mean).astype(float).where(mean.notna())


class Answers(PaperBroker):
    """A broker that answers as told, and says that it does not know or does know an order."""

    reply, known, sure = "ACCEPTED", None, False

    def submit(self, order):
        return Answer(self.reply)

    def find(self, order):
        return self.known and Answer(self.known)


def test_an_unknown_answer_is_looked_up_by_id_and_stops_nothing(bars, ledger):
    broker = Answers(ledger, RULES)
    broker.reply = "UNKNOWN"
    go(bars, ledger, 10, 0.5, broker)
    assert ledger.frame("intents")["status"].tolist() == ["UNKNOWN"] and ledger.open_cycles() == ["k10"]
    go(bars, ledger, 11, 0.5, broker)
    assert ledger.frame("intents")["status"].tolist() == ["UNKNOWN"]  # nobody knows it yet, and nothing was sent again
    broker.known = "ACCEPTED"
    ledger.arrive(ledger.frame("intents")["id"].iloc[0])
    go(bars, ledger, 12, 0.5, broker)
    assert ledger.frame("intents")["status"].tolist() == ["FILLED"] and verify(ledger) == []


def test_a_rejected_order_is_not_counted_as_sent_and_is_asked_for_again(bars, ledger):
    broker = Answers(ledger, RULES)
    broker.reply = "REJECTED"
    first = go(bars, ledger, 10, 0.5, broker)
    assert first.orders == () and [o.symbol for o in first.rejected] == ["S0"]
    broker.reply = "ACCEPTED"
    assert len(go(bars, ledger, 11, 0.5, broker).orders) == 1


def test_an_order_that_the_broker_has_already_is_not_handed_in_again(bars, ledger):
    with pytest.raises(KeyboardInterrupt):
        go(bars, ledger, 10, 0.5, DiesAtSubmit(ledger, RULES))
    has_it = DiesAtSubmit(ledger, RULES)
    has_it.find = lambda order: Answer("ACCEPTED")
    assert go(bars, ledger, 10, 0.5, has_it).orders == ()  # its submit would raise
    assert ledger.frame("intents")["status"].tolist() == ["ACCEPTED"]


def test_the_gate_is_asked_again_just_before_sending(bars, ledger):
    with pytest.raises(KeyboardInterrupt):
        go(bars, ledger, 10, 0.5, DiesAtSubmit(ledger, RULES))
    tight = replace(CAREFUL, max_order_notional=1.0)
    again = turn(bars.until(bars.index[10]), ONE, {"S0": 0.5}, key="k10", desk=PaperBroker(ledger, RULES), ledger=ledger,
                 gate=Gate(tight, rules(Costs(), tight, WHOLE)))  # fmt: skip
    assert again.orders == () and [v.code for v in again.denials] == ["MAX_ORDER_NOTIONAL"]
    assert ledger.frame("intents")["status"].tolist() == ["ABANDONED"]


def test_a_session_that_lies_behind_is_not_traded_again(bars, ledger):
    go(bars, ledger, 12, 0.5)
    with pytest.raises(LedgerError, match="settled to"):
        go(bars, ledger, 9, 0.5)
    assert len(ledger.frame("intents")) == 1


def test_a_cached_account_does_not_count_an_order_that_was_replaced(halted, ledger):
    broker = CachedBroker(PaperBroker(ledger, RULES), ReplayClock([pd.Timestamp("2012-01-03", tz="UTC")]))
    for t, score, weight in ((10, 1.0, 0.55), (12, 0.5, 0.5)):
        done = turn(halted.until(halted.index[t]), {"S0": score}, {"S0": weight}, key=f"k{t}", desk=broker, ledger=ledger,
                    gate=Gate(LIMITS, RULES))  # fmt: skip
        assert done.denials == () and len(done.orders) == 1
    assert ledger.frame("intents")["status"].tolist() == ["CANCELED", "ACCEPTED"]


def shares_split_and_dividend(late):
    """Two symbols; S0 splits 2:1 and pays 0.50 at bar 12, and its bars of 12 and 13 come `late` or in time."""
    index = pd.bdate_range("2011-01-03", periods=20)
    price = np.full(20, 100.0)
    split = np.where(np.arange(20) >= 12, 50.0, 100.0)
    frames = {s: pd.DataFrame({f: p for f in ("open", "high", "low", "close")} | {"volume": 1e6}, index=index)
              for s, p in (("S0", split), ("S1", price))}  # fmt: skip
    table = pd.DataFrame([(index[12], "S0", 2.0, 0.5)], columns=["date", "symbol", "split", "dividend"])
    whole = Bars.from_frame(frames, actions=table)
    holed = {s: f.copy() for s, f in frames.items()}
    holed["S0"].iloc[12:14] = np.nan
    return whole, Bars.from_frame(holed) if late else whole


@pytest.mark.parametrize("start", [10, 11], ids=["shares held", "order waiting"])
def test_a_split_and_dividend_whose_bars_come_late_are_booked_when_they_come(tmp_path, start):
    accounts = []
    for late in (False, True):
        whole, first_seen = shares_split_and_dividend(late)
        ledger = Ledger.open(tmp_path / str(late), account="t", mode="paper", cash=50_000.0)
        for t in range(start, 16):
            view = first_seen if t in (12, 13) else whole
            turn(view.until(view.index[t]), {"S0": 1.0}, {"S0": 0.5}, key=f"k{t}", desk=PaperBroker(ledger, RULES),
                 ledger=ledger, gate=Gate(LIMITS, RULES))  # fmt: skip
        accounts.append(ledger.account())
        assert verify(ledger) == []
        ledger.close()
    on_time, caught_up = accounts
    assert on_time.positions["S0"].qty == caught_up.positions["S0"].qty > 0
    assert on_time.cash == caught_up.cash and on_time.equity == caught_up.equity
    assert (on_time.equity > 50_000) == (start == 10)  # only who held before the ex-date is paid


def test_equity_below_zero_or_an_endless_weight_trades_nothing():
    for weight, cash in ((np.inf, 50_000), (1e300, 50_000), (0.5, -50_000)):
        account = Account("t", "paper", cash * UNIT, {"S0": Position("S0", 5 * UNIT, 10.0, 10.0)})
        wish = plan({"S0": 1.0}, {"S0": weight}, account, RULES, "k", ["S0"])
        assert wish.orders == ()


def test_ids_differ_by_account_mode_cycle_symbol_side_and_leg():
    base = ("a", "paper", "k", "S0", "buy", 0)
    others = [("b", *base[1:]), ("a", "replay", *base[2:]), (*base[:2], "l", *base[3:]), (*base[:3], "S1", *base[4:]),
              (*base[:4], "sell", 0), (*base[:5], 1)]  # fmt: skip
    assert len({order_id(*parts) for parts in [base, *others]}) == 7


def test_an_order_that_the_cash_at_the_open_did_not_carry_ends_as_cut(ledger):
    index = pd.bdate_range("2011-01-03", periods=3)
    frame = pd.DataFrame(
        {"open": [10.0, 10.0, 30.0], "high": 30.0, "low": 10.0, "close": [10.0, 10.0, 30.0], "volume": 1e6}, index
    )
    gap = Bars.from_frame(frame, symbol="S0")
    everything = replace(CAREFUL, max_order_notional=1e9, max_order_share=1.0, max_position=1.0, min_cash=0.0)
    free = rules(Costs(fee_bps=0.0, slippage_bps=0.0), everything, WHOLE)
    for t in (1, 2):
        turn(gap.until(gap.index[t]), ONE, {"S0": 0.9}, key=f"k{t}", desk=PaperBroker(ledger, free), ledger=ledger,
             gate=Gate(everything, free))  # fmt: skip
    assert ledger.frame("intents")["status"].tolist() == ["CUT"]
    assert ledger.account().positions["S0"].qty == 1_666 * UNIT  # of 4,500 at ten dollars, 50,000 / 30 could be paid
    assert verify(ledger) == []


# ------------------------------------------------------------------------------------------------- bars that come late
def late_bars():
    """Two symbols; the bar of B on the fourth day is there only a day later."""
    index = pd.bdate_range("2012-01-02", periods=7)
    frame = lambda x: pd.DataFrame({"open": x, "high": x, "low": x, "close": x, "volume": np.multiply(x, 1e5)}, index=index)  # noqa: E731
    whole = Bars.from_frame({"A": frame([10.0] * 7), "B": frame([20.0, 20.0, 20.0, 21.0, 22.0, 22.0, 22.0])})
    gap = frame([20.0, 20.0, 20.0, np.nan, 22.0, 22.0, 22.0])
    return whole, Bars.from_frame({"A": frame([10.0] * 7), "B": gap})


@pytest.mark.parametrize("kind, band", [("market", float("inf")), ("limit", float("inf"))])
def test_a_bar_that_comes_late_charges_no_interest_again_and_ends_no_order(tmp_path, kind, band):
    whole, gap = late_bars()
    costs, limits = Costs(fee_bps=0.0, slippage_bps=0.0, interest=0.252, borrow=0.252), Limits(leverage=2.0)
    law = rules(costs, limits, Policy(order_kind=kind, time_in_force="day", band=band))
    wanted = {3: (1.0, 1.0), 4: (0.5, 1.0), 5: (1.0, 1.0)}  # two thirds of equity borrowed from the fourth day on
    ledgers = []
    for name, seen in ("whole", [whole] * 7), ("late", [gap] * 4 + [whole] * 3):
        ledger = Ledger.open(tmp_path / name, account="t", mode="paper", cash=10_000.0)
        for t in range(7):
            bars = seen[t].until(whole.index[t])
            a, b = wanted.get(t, (0.9, 0.8))
            scores = {"A": a, "B": b if not np.isnan(bars.traded[3, 1, -1]) else np.nan}
            turn(bars, scores, {"A": 0.8 * a, "B": 0.8 * b}, key=str(t), desk=PaperBroker(ledger, law), ledger=ledger,
                 gate=Gate(limits, law))  # fmt: skip
        ledgers.append(ledger)
    sides = [ledger.frame("events").query("kind == 'interest'")[["session"]].value_counts() for ledger in ledgers]
    for charges in sides:
        assert len(charges) > 0 and (charges == 1).all()
    ends = ledgers[1].frame("intents")
    assert not ((ends["status"] == "EXPIRED") & (ends["reason"] == "HALTED") & (ends["symbol"] == "A")).any()
    for ledger in ledgers:
        assert verify(ledger) == []
        ledger.close()
