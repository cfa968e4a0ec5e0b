"""A split while an order waits at the broker: it has another size afterwards, and what it fills is booked as it was filled."""

from dataclasses import replace

import pandas as pd
import pytest
from splitting import DAYS, EX, at_alpaca, engine, made
from street import Street

from toolkit.execution import entries
from toolkit.execution.adoption import book as adopt
from toolkit.execution.adoption import proposed
from toolkit.execution.audit import verify
from toolkit.execution.brokers.desk import BrokerDesk
from toolkit.execution.brokers.values import Activity
from toolkit.execution.ledger import Ledger
from toolkit.execution.lifecycle import send
from toolkit.execution.orders import Intent, Order, order_id
from toolkit.execution.standing import ACTIVE, HALT
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import AlpacaServer
from toolkit.testing.clocks import HandClock


def agree(ledger, account):
    held = {s: p.qty for s, p in ledger.account().positions.items() if p.qty}
    return held == account.shares and ledger.account().cash == account.cash and verify(ledger) == []


@pytest.mark.parametrize("on_split", ["adjust", "cancel"])
@pytest.mark.parametrize(
    "ratio, before, ordered, filled", [(2.0, 90.0, 111, 222), (0.1, 2.0, 4995, 499), (1.5, 90.0, 111, 166)]
)
@pytest.mark.parametrize("kind", ["market", "limit"])
def test_what_was_sent_on_the_eve_of_a_split_fills_in_the_shares_of_the_morning(
    tmp_path, kind, ratio, before, ordered, filled, on_split
):
    """Cycles at 19:30 in New York; the loopback Alpaca splits what waits, or cancels it."""
    bars, clock = made(ratio, before), HandClock("2012-01-21 00:30Z")
    more = {} if kind == "market" else {"order_kind": "limit", "order_offset": 0.0}
    with AlpacaServer(bars, clock=clock, limit=10**9) as server:
        server.exchange.on_split = on_split
        own, said = engine(bars, clock, at_alpaca(server, clock), tmp_path, {"A": DAYS[EX - 1]}, **more), []
        for day in DAYS[EX - 2 : EX + 4]:
            clock.time = pd.Timestamp(f"{day + pd.Timedelta('1D'):%Y-%m-%d} 00:30Z")
            report = own.run_cycle()
            said += [line for line in report.turn.issues if "theirs counts" in line]
            assert agree(own.ledger, server.exchange.account) and own.ledger.standing[0] == ACTIVE, report
        (state, qty, rest), *again = own.ledger.rows("SELECT status, qty, rest FROM intents ORDER BY rowid")
        assert qty == ordered * UNIT
        if on_split == "adjust":
            assert (state, rest, again) == ("FILLED", 0, []) and server.exchange.account.shares["A"] == filled * UNIT
            assert len(said) == 1 and f"is of {filled:,} at the broker, {ordered:,} here" in said[0]
        else:  # and decided again, in the shares of the day
            assert state == "CANCELED" and [row[0] for row in again] == ["FILLED"] and said == []
        own.close()


# --- a broker in the test's hand

NAME = order_id("d", "broker-paper", "k|1", "A", "buy")
BUY = Order(NAME, "k|1", "A", "buy", 111 * UNIT, 90.0, 111 * UNIT, kind="limit", level=90.0)


@pytest.fixture
def placed(tmp_path):
    """A limit order of 111 A that waits, its ledger, broker and clock; it is the evening of 2012-01-19."""
    clock = HandClock("2012-01-19 23:30Z")
    street = Street(clock, 100_000 * UNIT)
    ledger = Ledger.open(tmp_path, account="d", mode="broker-paper", cash=100_000.0, clock=clock)
    desk = BrokerDesk(ledger, street, clock)
    desk.reconcile()
    ledger.plan("k|1", pd.Timestamp("2012-01-19"), "bars", [Intent(BUY)], {})
    assert send(BUY, ledger, desk) == "ACCEPTED"
    yield desk, ledger, street, clock
    ledger.close()


def split(street, ratio, held=True):
    """Of what is held, and of the order, whose filled part and rest are rounded down to whole shares."""
    r = street.book[BUY.id]
    filled, rest = round(r.filled * ratio), int((r.qty - r.filled) * ratio / UNIT) * UNIT
    street.book[BUY.id] = replace(r, qty=filled + rest, filled=filled)
    if held:
        street.tell("split", "A", round(street.holdings["A"] * (ratio - 1.0)), 0)


def order_of(ledger):
    return ledger.rows("SELECT status, rest FROM intents")[0]


def whole(ledger, street):
    held = {s: p.qty for s, p in ledger.account().positions.items() if p.qty}
    assert held == {s: q for s, q in street.holdings.items() if q} and ledger.account().cash == street.cash
    assert verify(ledger) == []


@pytest.mark.parametrize("ratio", [2.0, 1.5, 0.1, 1.3])
@pytest.mark.parametrize("first", [1, 10, 100])
@pytest.mark.parametrize("looks", ["each day", "at the end", "in the night of the split"])
def test_an_order_that_was_filled_in_part_before_a_split_ends_filled(placed, ratio, first, looks):
    desk, ledger, street, clock = placed
    clock.time = pd.Timestamp("2012-01-20 14:30Z")
    street.fill(BUY.id, first * UNIT, 90.0)
    if looks == "each day":
        desk.reconcile()
    clock.time = pd.Timestamp("2012-01-24 05:00Z")
    split(street, ratio)
    rest = street.book[BUY.id].qty - street.book[BUY.id].filled
    if looks != "at the end":
        desk.reconcile()
        assert order_of(ledger) == ("PARTIAL", rest)
        assert ledger.account().waiting[0].level == pytest.approx(90.0 / ratio, rel=0.1)
        whole(ledger, street)
    clock.time = pd.Timestamp("2012-01-24 14:30Z")
    street.fill(BUY.id, UNIT, 90.0 / ratio)
    if rest > UNIT:
        street.fill(BUY.id, rest - UNIT, 90.0 / ratio)
    said = desk.reconcile()
    assert order_of(ledger) == ("FILLED", 0) and ledger.standing[0] == ACTIVE
    assert len(said) == (looks == "at the end") and desk.reconcile() == []
    whole(ledger, street)


def test_an_order_that_is_split_twice_counts_in_the_shares_of_today(placed):
    desk, ledger, street, clock = placed
    for day, ratio, size in (("20", 2.0, 222), ("23", 3.0, 666), ("24", 1 / 6, 111)):
        clock.time = pd.Timestamp(f"2012-01-{day} 05:00Z")
        split(street, ratio, held=False)
        assert len(desk.reconcile()) == 1 and order_of(ledger) == ("ACCEPTED", size * UNIT) and verify(ledger) == []
    street.fill(BUY.id, 111 * UNIT, 90.0)
    assert desk.reconcile() == [] and order_of(ledger) == ("FILLED", 0)
    whole(ledger, street)


def test_an_order_that_was_split_and_filled_before_it_was_found_is_that_of_its_fill(placed):
    desk, ledger, street, clock = placed
    with ledger.transaction() as db:  # as if no answer had come
        db.execute("UPDATE intents SET status = 'UNKNOWN', broker_id = NULL")
        db.execute("UPDATE order_events SET after = 'UNKNOWN' WHERE after = 'ACCEPTED'")
    street.hidden.add(BUY.id)
    clock.time = pd.Timestamp("2012-01-24 14:30Z")
    split(street, 2.0, held=False)
    street.fill(BUY.id, 222 * UNIT, 45.0)
    desk.reconcile()
    assert order_of(ledger) == ("UNKNOWN", 111 * UNIT) and ledger.account().positions["A"].qty == 222 * UNIT
    street.hidden.clear()
    for _ in range(2):
        desk.reconcile()
        assert order_of(ledger) == ("FILLED", 0) and ledger.standing[0] == ACTIVE
        whole(ledger, street)


def test_an_order_that_ends_after_a_split_ends_here(placed):
    desk, ledger, street, clock = placed
    clock.time = pd.Timestamp("2012-01-20 14:30Z")
    street.fill(BUY.id, 10 * UNIT, 90.0)
    desk.reconcile()
    clock.time = pd.Timestamp("2012-01-24 05:00Z")
    split(street, 1.5)
    street.end(BUY.id, "CANCELED")
    desk.reconcile()
    assert order_of(ledger)[0] == "CANCELED" and ledger.standing[0] == ACTIVE
    whole(ledger, street)


FILLS = {
    "too much": dict(symbol="A", qty=222 * UNIT, said="the broker filled 222 of tk1-"),
    "another symbol": dict(symbol="B", qty=11 * UNIT, said="the broker filled buy 11 B of tk1-"),
    "the other side": dict(symbol="A", qty=-11 * UNIT, said="the broker filled sell 11 A of tk1-"),
}


@pytest.mark.parametrize("what", FILLS)
def test_a_fill_that_its_order_cannot_have_had_is_booked_without_it_and_halts_once(placed, what):
    desk, ledger, street, clock = placed
    symbol, qty, said = FILLS[what].values()
    clock.time = pd.Timestamp("2012-01-20 14:30Z")
    street.tell("fill", symbol, qty, -qty * 90, 0, 90.0, street.book[BUY.id].broker_id)
    for _ in range(3):
        desk.reconcile()
        assert ledger.standing[0] == HALT and ledger.standing[1].startswith(said) and "(a0)" in ledger.standing[1]
        whole(ledger, street)
    assert ledger.rows("SELECT order_id, broker_id FROM events WHERE kind = 'fill'") == [(None, "")]
    assert order_of(ledger) == ("CANCELED", BUY.qty) and not street.book[BUY.id].waits  # nobody knows what it is any more
    ledger.stand(ACTIVE, "looked at", "a person")
    desk.reconcile()
    assert ledger.standing[0] == ACTIVE and not proposed(ledger, street, desk)


def test_a_fill_without_a_price_halts_once_and_a_person_adopts_what_it_moved(placed):
    desk, ledger, street, clock = placed
    clock.time = pd.Timestamp("2012-01-20 14:30Z")
    street.tell("fill", "A", 11 * UNIT, -990 * UNIT, 0, -90.0, street.book[BUY.id].broker_id)
    desk.reconcile()
    assert ledger.standing == (HALT, "the broker told of a fill at -90.0, which is not booked (a0)")
    adopt(ledger, proposed(ledger, street, desk))
    ledger.stand(ACTIVE, "looked at", "a person")
    assert desk.reconcile() == [] and ledger.standing[0] == ACTIVE
    whole(ledger, street)


def test_an_order_that_is_found_late_takes_no_fill_of_another_symbol_or_side(placed):
    desk, ledger, street, _ = placed
    with ledger.transaction() as db:
        db.execute("UPDATE intents SET broker_id = NULL")
    name = street.book[BUY.id].broker_id
    for n, (symbol, qty) in enumerate((("A", 11), ("A", -5), ("B", 7))):
        street.told.append(Activity(f"x{n}", "fill", street.time.now(), symbol, name, qty * UNIT, -qty * 90 * UNIT, 0, 90.0))
    desk.reconcile()
    with ledger.transaction() as db:
        entries.name(db, BUY.id, name, ledger.now())
    assert ledger.rows("SELECT qty FROM events WHERE order_id = ?", BUY.id) == [(11 * UNIT,)]
    assert order_of(ledger) == ("PARTIAL", 100 * UNIT) and verify(ledger) == []
