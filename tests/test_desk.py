"""An account at a broker: Alpaca's wire on the loopback server, through the real adapter, order by order like the backtest."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from street import Street
from tape import Moving

from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.parity import parity
from toolkit.cycle.revealed import Revealed
from toolkit.cycle.turn import situated, turn
from toolkit.errors import LedgerMismatch, ToolkitError
from toolkit.execution.audit import verify
from toolkit.execution.brokers.alpaca import AlpacaBroker
from toolkit.execution.brokers.desk import BrokerDesk
from toolkit.execution.brokers.news import book
from toolkit.execution.checks import Operations
from toolkit.execution.costs import Costs, Limits, Policy, rules
from toolkit.execution.gate import Gate
from toolkit.execution.ledger import Ledger
from toolkit.execution.lifecycle import cancel, resolve, send, send_planned
from toolkit.execution.orders import Account, Event, Intent, Order, Position, order_id
from toolkit.execution.schema import TABLES
from toolkit.execution.situation import Quotes, Situation, recorded, remembered
from toolkit.execution.standing import ACTIVE, HALT
from toolkit.kernels.account import UNIT
from toolkit.signals.causality import certify
from toolkit.signals.indicators import sma
from toolkit.testing.alpaca_server import AlpacaServer
from toolkit.testing.exchange import Ticket

FREE = Costs(fee_bps=0.0, slippage_bps=0.0)
ROOMY = Limits(max_position=0.25, max_gross=0.7, min_cash=0.05)


def at(server):
    """Makes desks at the server, which then lives by their clock."""

    def alpaca(ledger: Ledger, rules) -> BrokerDesk:
        server.clock = ledger._clock
        broker = AlpacaBroker(server.key, server.secret, url=server.url, clock=ledger._clock, rate=1e6)
        broker.accepts = lambda now: now  # one cycle a session: this exchange takes orders for the open at any hour
        return BrokerDesk(ledger, broker, ledger._clock)

    return alpaca


def crossing(bars):
    slow = sma(bars.close, 12)
    return (bars.close > slow).astype(float).where(slow.notna())


@pytest.fixture(scope="module")
def history(bundled):
    """Half a year with a split of AAPL, and dividends of IBM and MSFT."""
    bars = bundled.select(["AAPL", "IBM", "MSFT"]).since("2004-11-01").until(pd.Timestamp("2005-05-31"))
    assert (bars.actions["split"] != 1.0).any() and (bars.actions["dividend"] > 0.0).sum() >= 3
    return bars


def test_the_loop_at_alpaca_trades_as_the_backtest_does_to_the_micro_dollar(history):
    with AlpacaServer([history], now=pd.Timestamp("2004-11-01", tz="UTC"), limit=10**9) as server:
        found = parity(crossing, history, {"alpaca": at(server)}, costs=FREE, limits=ROOMY, policy=Policy(whole_shares=True),
                       progress=False)  # fmt: skip
        assert found.same, str(found)
        assert found.brokers[0].orders > 40 and found.brokers[0].trades > 40


def test_fractions_of_shares_trade_at_the_open_at_alpaca_as_in_the_backtest(history):
    with AlpacaServer([history], now=pd.Timestamp("2004-11-01", tz="UTC"), limit=10**9) as server:
        bars = history.until(pd.Timestamp("2005-02-07"))  # the dividend of a fraction is told in micro-dollars, rounded
        found = parity(crossing, bars, {"alpaca": at(server)}, costs=FREE, limits=ROOMY, policy=Policy(), progress=False)
        assert found.same and found.brokers[0].trades > 15, str(found)
        assert {o.ticket.tif for o in server.exchange.orders.values() if o.ticket.qty % UNIT} == {"day"}


@pytest.mark.parametrize("kind", ["504", "reset", "truncated", "html", "wrong-id"])
def test_replies_that_are_lost_after_the_order_was_booked_change_nothing(history, kind):
    bars = history.until(pd.Timestamp("2005-01-31"))
    with AlpacaServer([bars], now=pd.Timestamp("2004-11-01", tz="UTC"), limit=10**9) as server:
        server.fault(kind, times=5, path="/v2/orders", method="POST")
        found = parity(crossing, bars, {"alpaca": at(server)}, costs=FREE, limits=ROOMY, policy=Policy(whole_shares=True),
                       progress=False)  # fmt: skip
        assert found.same, str(found)
        assert sum(r.method == "POST" for r in server.log) == found.brokers[0].orders > 8  # nothing was sent twice


DAYS = pd.bdate_range("2005-03-01", "2005-03-18")
BUY = Order(order_id("d", "broker-paper", "k|1", "IBM", "buy"), "k|1", "IBM", "buy", 10 * UNIT, 90.0, 10 * UNIT)


def evening(day: str) -> pd.Timestamp:
    return pd.Timestamp(f"{day} 22:00", tz="UTC")


@pytest.fixture
def placed(history, tmp_path):
    """A desk in the evening of 2005-03-01, its server, and a clock that moves both."""
    clock = Moving("2005-03-01 22:00")
    with AlpacaServer([history], clock=clock, limit=10**9) as server:
        broker = AlpacaBroker(server.key, server.secret, url=server.url, clock=clock, rate=1e6)
        ledger = Ledger.open(tmp_path, account="d", mode="broker-paper", cash=100_000.0, clock=clock)
        yield BrokerDesk(ledger, broker, clock), ledger, server, clock
        ledger.close()


def ordered(desk: BrokerDesk, ledger: Ledger, order: Order = BUY) -> str:
    """Plans and sends one order; its state."""
    ledger.plan(order.cycle, pd.Timestamp("2005-03-01"), "bars", [Intent(order)], {})
    return send(order, ledger, desk)


def test_a_fill_is_booked_once_however_often_it_is_told(placed):
    desk, ledger, server, clock = placed
    assert ordered(desk, ledger) == "ACCEPTED"
    clock.time = evening("2005-03-02")
    for _ in range(3):
        assert desk.reconcile() == []
    assert ledger.account().positions["IBM"].qty == 10 * UNIT and ledger.status(BUY.id) == "FILLED"
    assert len(ledger.frame("events").query("kind == 'fill'")) == 1 and verify(ledger) == []
    assert ledger.account().cash == server.exchange.account.cash


def test_a_second_reconciliation_writes_nothing(placed):
    desk, ledger, server, clock = placed
    ordered(desk, ledger)
    clock.time = evening("2005-03-02")
    desk.reconcile()
    before = {table: len(ledger.frame(table)) for table in TABLES}
    desk.reconcile()
    assert {table: len(ledger.frame(table)) for table in TABLES} == before


def test_partial_fills_are_booked_one_by_one_and_the_rest_ends_with_the_order(placed):
    desk, ledger, server, clock = placed
    server.exchange.plan["IBM"] = [(3.0, 4.0)]
    ordered(desk, ledger)
    clock.time = evening("2005-03-02")
    desk.reconcile()
    fills = ledger.frame("events").query("kind == 'fill'")
    assert (fills["qty"] / UNIT).tolist() == [3.0, 4.0] and ledger.status(BUY.id) in {"CANCELED", "EXPIRED"}
    assert [e for e in ledger.frame("order_events")["after"]][-2:] == ["PARTIAL", ledger.status(BUY.id)]
    assert ledger.account().waiting == () and verify(ledger) == []


def test_a_fill_that_outruns_its_cancellation_is_booked(placed):
    desk, ledger, server, clock = placed
    ordered(desk, ledger)
    server.fault("cancel-race", method="DELETE")
    assert desk.cancel(BUY.id).status == "ACCEPTED"
    ledger.move(BUY.id, "CANCELED", "replaced")
    clock.time = evening("2005-03-02")
    desk.reconcile()
    assert ledger.status(BUY.id) == "FILLED" and ledger.account().positions["IBM"].qty == 10 * UNIT


def test_an_order_of_ours_that_the_ledger_never_planned_halts(placed):
    desk, ledger, server, clock = placed
    desk.submit(BUY)
    said = desk.reconcile()
    assert said[0].startswith(f"ORPHAN: buy 10 IBM ({BUY.id})") and ledger.standing[0] == HALT


def test_two_strategies_on_one_account_halt_each_other_and_are_told_to_part(placed, tmp_path):
    desk, ledger, server, clock = placed
    ordered(desk, ledger)
    second = Ledger.open(tmp_path / "second", account="e", mode="broker-paper", cash=100_000.0, clock=clock)
    other = BrokerDesk(second, desk.broker, clock)
    ordered(other, second, replace(BUY, id=order_id("e", "broker-paper", "k|1", "MSFT", "buy"), symbol="MSFT"))
    for each in (desk, other):
        assert any(line.startswith("ORPHAN: ") for line in each.reconcile())
        standing, why = each.ledger.standing
        assert standing == HALT and "one account carries one strategy: give the other an account of its own" in why
        assert "a second paper account" in why
    second.close()


def test_an_order_by_hand_is_named_and_left_alone_and_what_it_fills_is_booked(placed):
    desk, ledger, server, clock = placed
    server.exchange.submit(Ticket("MSFT", 1, 5 * UNIT, "market", "opg", "by-hand"))
    assert desk.reconcile() == ["EXTERNAL: buy 5 MSFT (accepted), left alone"] and ledger.standing[0] == ACTIVE
    clock.time = evening("2005-03-02")
    assert desk.reconcile() == []
    assert ledger.account().positions["MSFT"].qty == 5 * UNIT and ledger.account().cash == server.exchange.account.cash


@pytest.mark.parametrize("side, code", [(1, "MAX_POSITION"), (-1, "SELF_CROSS")])
def test_an_order_by_hand_that_waits_counts_in_exposure_and_is_not_traded_against(placed, side, code):
    desk, ledger, server, _ = placed
    server.exchange.short = True
    server.exchange.submit(Ticket("IBM", side, 200 * UNIT, "limit", "gtc", "by-hand", limit=80.0 if side > 0 else 120.0))
    desk.reconcile()
    found = situated(ledger, desk, Quotes({"IBM": 0}), pd.Timestamp("2005-03-01"), "k", ["IBM"])
    assert [(o.qty, o.reference) for o in found.others] == [(200 * UNIT, 80.0 if side > 0 else 120.0)]  # of a symbol never seen
    limits = Limits(max_position=0.16)
    gate = Gate(limits, rules(FREE, limits, Policy(whole_shares=True)))
    order = replace(BUY, qty=100 * UNIT, wanted=100 * UNIT, reference=80.0)  # 8% of equity, with 16% that wait
    (verdict,) = gate.review([order], found)
    assert verdict.code == code and gate.review([order], replace(found, others=()))[0].passed
    assert repr(remembered(json.loads(json.dumps(recorded(found, {}, {})))).others) == repr(found.others)


def test_the_exposure_of_an_order_by_hand_leaves_less_for_all_symbols_and_what_it_closes_makes_no_room():
    limits = Limits(max_gross=0.5)
    gate = Gate(limits, rules(FREE, limits, Policy(whole_shares=True)))
    account = Account("d", "broker-paper", 60_000 * UNIT, {"MSFT": Position("MSFT", 400 * UNIT, 100.0, 100.0)})
    order = Order("tk1-o", "k", "IBM", "buy", 50 * UNIT, 100.0, 50 * UNIT)
    seen = Situation(account, Quotes({"IBM": 0, "MSFT": 0}))
    for side, symbol, qty, price, passes in (
        ("buy", "AAPL", 49, 100.0, True), ("buy", "AAPL", 51, 100.0, False), ("sell", "MSFT", 400, 100.0, True),
        ("buy", "ZZZ", 1, float("nan"), False),  # at a price that nobody knows
    ):  # fmt: skip
        other = Order("by-hand", "", symbol, side, qty * UNIT, price)
        assert gate.review([order], replace(seen, others=(other,)))[0].passed == passes


def test_a_small_difference_freezes_the_symbol_and_a_large_one_halts(placed):
    desk, ledger, server, clock = placed
    for shares, day in ((5, "2005-03-02"), (50, "2005-03-03")):  # by hand, and the broker forgets to tell of it
        server.exchange.submit(Ticket("IBM", 1, shares * UNIT, "market", "opg", f"by-hand-{day}"))
        clock.time = evening(day)
        server.fault("hidden", path="/v2/account/activities", times=2)
        said = desk.reconcile()  # news may come a moment late: what is still so at a second look counts
        assert ledger.standing[0] == (ACTIVE if shares == 5 else HALT)
        desk.reconcile()
        if shares == 5:  # some $450 of $100,000
            assert (
                said[0] == "DRIFT: IBM 5 at the broker, 0 in the ledger"
                and said[1].startswith("CASH: -$4")
                and ledger.standing[0] == ACTIVE
            )
            assert desk.outlook(["IBM"]).frozen == {"IBM": "5 at the broker, 0 in the ledger"}
    assert ledger.standing[0] == HALT and "holdings differ: IBM 55 at the broker, 0 in the ledger" in ledger.standing[1]
    assert desk.reconcile() == [] and ledger.account().positions["IBM"].qty == 55 * UNIT  # told at last


def test_a_difference_of_seconds_halts_nothing_however_often_it_is_looked_at_and_one_of_a_minute_does(placed):
    desk, ledger, server, clock = placed
    server.exchange.account.hold("IBM", 50 * UNIT, 90.0)
    for _ in range(3):
        assert desk.reconcile() == ["DRIFT: IBM 50 at the broker, 0 in the ledger"] and ledger.standing[0] == ACTIVE
        clock.time += pd.Timedelta("20s")
    again = BrokerDesk(ledger, desk.broker, clock)  # another process remembers since when
    assert again.outlook(["IBM"]).frozen and ledger.standing[0] == ACTIVE
    again.reconcile()
    assert ledger.standing[0] == HALT


@pytest.mark.parametrize("kind, said", [("overfill", "10 were left"), ("negative-price", "a fill at -")])
def test_an_execution_that_cannot_be_is_none_of_its_order_and_halts(placed, kind, said):
    desk, ledger, server, clock = placed
    ordered(desk, ledger)
    clock.time = evening("2005-03-02")
    server.fault(kind, path="/v2/account/activities")
    try:
        desk.reconcile()
    except ToolkitError as error:
        assert kind == "negative-price" and "price" in str(error)
    else:
        assert ledger.standing[0] == HALT and said in ledger.standing[1]
    assert ledger.frame("events").query("kind == 'fill'")["order_id"].dropna().empty and ledger.status(BUY.id) != "FILLED"


def test_what_was_given_up_and_turns_up_is_cancelled_and_its_fills_are_booked(placed):
    desk, ledger, server, clock = placed
    ordered(desk, ledger, BUY)
    with ledger.transaction() as db:
        db.execute("UPDATE intents SET status = 'ABANDONED', broker_id = NULL")
        db.execute("UPDATE order_events SET after = 'ABANDONED' WHERE after = 'ACCEPTED'")
    desk.reconcile()
    assert server.exchange.find(BUY.id).status == "canceled" and ledger.status(BUY.id) in {"ACCEPTED", "CANCELED"}
    desk.reconcile()
    assert ledger.status(BUY.id) == "CANCELED"


def test_the_loss_of_a_day_begins_at_the_last_close_though_the_fills_of_the_open_are_booked_before_it_is_settled(
    placed, history
):
    desk, ledger, server, clock = placed
    desk.settle(history.until(pd.Timestamp("2005-03-01")))
    ordered(desk, ledger)
    clock.time = evening("2005-03-02")
    desk.reconcile()
    desk.settle(history.until(pd.Timestamp("2005-03-02")))
    day, close = ledger.rows("SELECT day_equity, close_equity FROM account")[0]
    assert day == 100_000 * UNIT and close == round(ledger.account().equity * UNIT) != day
    ledger.book([Event("broker:t", "2005-03-02", "transfer", None, None, 0, 500 * UNIT)], [])
    assert ledger.rows("SELECT day_equity, close_equity FROM account")[0] == (day + 500 * UNIT, close + 500 * UNIT)


def test_a_fill_that_was_told_before_its_order_was_found_becomes_the_orders(placed):
    desk, ledger, server, clock = placed
    server.exchange.plan["IBM"] = [(3.0, 4.0)]
    server.fault("reset", path="/v2/orders", method="POST")
    assert ordered(desk, ledger) == "UNKNOWN"
    clock.time = evening("2005-03-02")
    book(ledger, desk.broker.activities(evening("2005-03-01")))  # as if no list had the order yet
    assert ledger.account().positions["IBM"].qty == 7 * UNIT and set(ledger.frame("events")["order_id"].dropna()) == set()
    desk.reconcile()
    fills = ledger.frame("events").query("kind == 'fill'")
    assert set(fills["order_id"]) == {BUY.id} and ledger.account().positions["IBM"].qty == 7 * UNIT
    assert ledger.status(BUY.id) in {"CANCELED", "EXPIRED"} and ledger.account().cash == server.exchange.account.cash
    assert verify(ledger) == []


def test_an_order_is_absent_after_three_looks_and_ten_seconds_and_not_before(placed):
    desk, ledger, server, clock = placed
    server.fault("reset-unbooked", path="/v2/orders", method="POST")
    assert ordered(desk, ledger) == "UNKNOWN"
    for seconds, state in ((1, "UNKNOWN"), (1, "UNKNOWN"), (1, "UNKNOWN"), (8, "ABSENT")):
        clock.time += pd.Timedelta(seconds=seconds)
        resolve(ledger, desk, clock)
        assert ledger.status(BUY.id) == state
    assert send(BUY, ledger, desk) == "ACCEPTED" and len(server.exchange.orders) == 1


def test_requests_of_a_reconciliation_and_of_an_order_are_few(placed):
    desk, ledger, server, clock = placed
    ordered(desk, ledger)
    sent = desk.broker.meter.calls
    assert sent == 1
    desk.reconcile()
    assert desk.broker.meter.calls - sent <= 6
    desk.outlook(["IBM"])
    desk.outlook(["IBM"])
    assert desk.broker.meter.calls - sent <= 7


def test_an_account_that_the_broker_has_blocked_is_told_of(placed):
    desk, ledger, server, _ = placed
    server.exchange.blocked = True
    assert desk.outlook([]).blocked == "account blocked, trading blocked" and ledger.standing[0] == ACTIVE


def test_a_cancellation_that_was_lost_is_asked_for_again_and_what_replaces_the_order_waits(placed):
    desk, ledger, server, clock = placed
    ordered(desk, ledger)
    server.fault("504-unbooked", method="DELETE")
    key, day = "k|2", pd.Timestamp("2005-03-01")
    again = replace(BUY, id=order_id("d", "broker-paper", key, "IBM", "buy"), cycle=key)
    ledger.plan(key, day, "bars", [Intent(again)], {}, superseded=[BUY.id])
    cancel([BUY.id], desk)
    gate, look = Gate(Limits(), rules(FREE, Limits())), lambda symbols: Situation(ledger.account(), Quotes({"IBM": 0}))
    assert send_planned(ledger, desk, gate, key, look, clock) == ((), (), ())  # the first may still fill
    assert desk.reconcile()[0].startswith(f"CANCELED AGAIN: buy 10 IBM waits at the broker ({BUY.id})")
    assert server.exchange.find(BUY.id).status == "canceled" and desk.reconcile() == []
    assert [o.id for o in send_planned(ledger, desk, gate, key, look, clock)[0]] == [again.id]


def test_cash_that_differs_is_said_and_halts_at_the_second_look(placed):
    desk, ledger, server, clock = placed
    server.exchange.account.cash -= 5_000 * UNIT
    assert desk.reconcile() == []  # nothing was booked: cash is asked for when there is something to order,
    desk.outlook([])  # which sees the difference for the first time
    assert desk.reconcile() == ["CASH: -$5,000.00 at the broker against the ledger"]
    assert ledger.standing[0] == HALT and "cash differs: -$5,000.00" in ledger.standing[1]


def test_a_deposit_of_the_first_day_is_booked_once_and_is_no_gain(placed):
    desk, ledger, server, clock = placed
    server.exchange.move("CSD", 1_000.0)
    clock.time += pd.Timedelta(hours=1)
    desk.reconcile()  # it was there when the ledger began, as far as anyone can tell
    server.exchange.move("CSD", 500.0)
    clock.time = evening("2005-03-02")
    desk.reconcile()
    peak = ledger.rows("SELECT peak FROM account")[0][0]
    assert ledger.account().cash == 100_500 * UNIT == peak


def test_a_rest_that_the_broker_let_expire_is_decided_again(placed):
    desk, ledger, server, clock = placed
    server.exchange.plan["IBM"] = [3.0]
    ordered(desk, ledger)
    clock.time = evening("2005-03-02")
    desk.reconcile()
    assert ledger.status(BUY.id) in {"EXPIRED", "CANCELED"}
    assert ledger.rows("SELECT score FROM positions WHERE symbol = 'IBM'") == [(None,)]


# --- the broker's pace

OTHER = replace(BUY, id=order_id("d", "broker-paper", "k|1", "MSFT", "buy"), symbol="MSFT", reference=25.0)


@pytest.fixture
def hurried(history, tmp_path):
    """A desk whose broker knows what it needs for the gate and has no turn left: the next is a minute away."""
    clock = Moving("2005-03-01 22:00")
    with AlpacaServer([history], clock=clock, limit=10**9) as server:
        broker = AlpacaBroker(server.key, server.secret, url=server.url, clock=clock, rate=1.0)
        broker.accepts = lambda now: now
        ledger = Ledger.open(tmp_path, account="d", mode="broker-paper", cash=100_000.0, clock=clock)
        desk = BrokerDesk(ledger, broker, clock)
        desk.reconcile()
        desk.settle(history.until(pd.Timestamp("2005-03-01")))
        desk.outlook(["IBM", "MSFT"])
        while broker.pause() == 0.0:
            broker.clock()
        yield desk, ledger, server, clock
        ledger.close()


def handed_in(desk, ledger, clock, most=10.0):
    gate = Gate(ROOMY, rules(FREE, ROOMY), Operations(max_pause=most))
    seen = Quotes({"IBM": 0, "MSFT": 0})
    look = partial(situated, ledger, desk, seen, pd.Timestamp("2005-03-01"), "k|1")
    return send_planned(ledger, desk, gate, "k|1", look, clock)


def posts(server):
    return sum(r.method == "POST" for r in server.log)


def test_an_order_for_which_the_pace_has_no_turn_is_denied_and_never_of_unknown_fate(hurried):
    desk, ledger, server, clock = hurried
    ledger.plan("k|1", pd.Timestamp("2005-03-01"), "bars", [Intent(BUY), Intent(OTHER)], {})
    sent, denials, rejected = handed_in(desk, ledger, clock)
    assert (sent, rejected) == ((), ()) and [v.code for v in denials] == ["ORDER_RATE"] * 2
    assert str(denials[0]).endswith("measured 60.0 s to wait vs limit 10 s (operations.max_pause); go on in the next cycle")
    assert ledger.frame("intents")["status"].tolist() == ["DENIED"] * 2 and posts(server) == 0 and clock.pauses == []
    assert ledger.frame("intents")["reason"].str.contains("ORDER_RATE").all()
    ledger.close_cycle("k|1")
    assert verify(ledger) == []


def test_the_order_that_has_a_turn_goes_out_and_the_one_behind_it_is_denied(hurried):
    desk, ledger, server, clock = hurried
    ledger.plan("k|1", pd.Timestamp("2005-03-01"), "bars", [Intent(BUY), Intent(OTHER)], {})
    clock.time += pd.Timedelta("61s")
    sent, denials, _ = handed_in(desk, ledger, clock)
    assert [o.symbol for o in sent] == ["IBM"] and [(v.code, v.order.symbol) for v in denials] == [("ORDER_RATE", "MSFT")]
    assert ledger.frame("intents")["status"].tolist() == ["ACCEPTED", "DENIED"] and posts(server) == 1


def test_a_turn_that_is_near_enough_is_waited_for(hurried):
    desk, ledger, server, clock = hurried
    ledger.plan("k|1", pd.Timestamp("2005-03-01"), "bars", [Intent(BUY), Intent(OTHER)], {})
    sent, denials, _ = handed_in(desk, ledger, clock, most=61.0)
    assert len(sent) == 2 and denials == () and clock.pauses == pytest.approx([60.0, 60.0]) and posts(server) == 2
    assert ledger.frame("intents")["status"].tolist() == ["ACCEPTED"] * 2


def test_an_order_that_never_left_is_absent_and_goes_out_under_its_id_once_there_is_a_turn(hurried):
    desk, ledger, server, clock = hurried
    assert ordered(desk, ledger) == "ABSENT" and posts(server) == 0 and ledger.is_open("k|1")
    clock.time += pd.Timedelta("61s")
    sent, _, _ = handed_in(desk, ledger, clock)
    assert [o.id for o in sent] == [BUY.id] and posts(server) == 1 and verify(ledger) == []


def test_what_is_pulled_while_an_order_waits_for_its_turn_stops_it(hurried):
    """The look comes after the wait, and nothing waits behind the look: an order whose turn is 5 s away is given back."""
    desk, ledger, server, clock = hurried
    ledger.plan("k|1", pd.Timestamp("2005-03-01"), "bars", [Intent(BUY)], {})

    def look(symbols):
        seen = situated(ledger, desk, Quotes({"IBM": 0}), pd.Timestamp("2005-03-01"), "k|1", symbols)
        return replace(seen, kill="KILL in d: while it waited" if clock.pauses else "")

    _, denials, _ = send_planned(ledger, desk, Gate(ROOMY, rules(FREE, ROOMY), Operations(max_pause=61.0)), "k|1", look, clock)
    assert [v.code for v in denials] == ["KILL_SWITCH"] and posts(server) == 0 and len(clock.pauses) == 1
    desk.broker.clock()  # takes the turn
    clock.time += pd.Timedelta("55s")
    before = len(clock.pauses)
    answer = desk.submit(OTHER)
    assert (answer.status, posts(server)) == ("ABSENT", 0) and len(clock.pauses) == before


def test_the_gate_denies_for_the_pace_when_the_cycle_is_planned(hurried):
    desk, ledger, _, _ = hurried
    seen = situated(ledger, desk, Quotes({"IBM": 0}), pd.Timestamp("2005-03-01"), "k|1", ["IBM"])
    assert seen.pause == pytest.approx(60.0)
    assert [v.code for v in Gate(ROOMY, rules(FREE, ROOMY), Operations()).review([BUY], seen)] == ["ORDER_RATE"]


# --- real money


def real(server, ledger):
    broker = AlpacaBroker(server.key, server.secret, live=True, url=server.url, clock=ledger._clock, rate=1e6)
    broker.accepts = lambda now: now
    return BrokerDesk(ledger, broker, ledger._clock)


def test_real_money_that_is_handed_in_beside_the_configuration_is_denied(history, values):
    """Everything but the configuration's own broker: mode, account number, TK_LIVE, ledger, and no error."""
    market = Revealed(history, 30)
    with AlpacaServer([history], now=market.clock.now(), limit=10**9) as server:
        number = server.exchange.account.number
        server.clock = market.clock
        sure = {"mode": "live", "broker": {"account": number}, "allow_uncertified": False}
        config = checked_config({**values, "symbols": list(history.symbols), **sure})
        assert certify(crossing, history.tail(300), state=Path(values["state"]), progress=False).passed
        engine = TradingEngine(config, strategy=crossing, market=market, clock=market.clock, environment={"TK_LIVE": number},
                               broker=lambda ledger, rules: real(server, ledger))  # fmt: skip
        report = engine.run_cycle()
        assert {v.code for v in report.turn.denials} == {"LIVE_NOT_ARMED"} and len(report.turn.denials) == 3
        assert "0 of 5 conditions; missing: the configuration (the broker was handed in beside it" in str(report)
        assert "real money is traded at Alpaca alone so far" in str(report)
        assert report.orders == posts(server) == 0 and {v for v in engine.preview().denials} == set(history.symbols)
        engine.close()


def test_a_turn_without_an_engine_moves_no_real_money(history, tmp_path):
    clock = Moving("2005-03-01 22:00")
    with AlpacaServer([history], clock=clock, limit=10**9) as server:
        ledger = Ledger.open(tmp_path, account="d", mode="live", cash=100_000.0, clock=clock)
        bars = history.until(pd.Timestamp("2005-03-01"))
        done = turn(bars, {"IBM": 1.0}, {"IBM": 0.2}, key="k", desk=real(server, ledger), ledger=ledger, clock=clock,
                    gate=Gate(ROOMY, rules(FREE, ROOMY)))  # fmt: skip
        assert [v.code for v in done.denials] == ["LIVE_NOT_ARMED"] and posts(server) == 0
        ledger.close()


@pytest.mark.parametrize("mode", ["paper", "broker-paper", "replay"])
def test_no_ledger_but_a_live_one_takes_a_broker_with_real_money(history, tmp_path, mode):
    with AlpacaServer([history], now=evening("2005-03-01")) as server:
        ledger = Ledger.open(tmp_path, account="d", mode=mode, cash=100_000.0)
        with pytest.raises(LedgerMismatch, match=f"of mode '{mode}', and alpaca has real money"):
            real(server, ledger)
        ledger.close()


def test_a_broker_that_does_not_say_whether_its_money_is_real_is_taken_for_real(tmp_path):
    street = Street(Moving("2005-03-01 22:00"), 100_000 * UNIT)
    del street.live
    for mode in ("live", "paper"):
        ledger = Ledger.open(tmp_path / mode, account="d", mode=mode, cash=100_000.0, clock=street.time)
        if mode == "live":
            desk = BrokerDesk(ledger, street, street.time)
            assert len(situated(ledger, desk, Quotes(), pd.Timestamp("2005-03-01"), "k", []).unarmed) == 5
        else:
            with pytest.raises(LedgerMismatch):
                BrokerDesk(ledger, street, street.time)
        ledger.close()
