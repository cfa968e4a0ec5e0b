"""What the broker has and the ledger has not is booked once, after it was shown; what an event tells is not booked twice."""

import pandas as pd
import pytest

from toolkit.data import ReplayClock
from toolkit.errors import LedgerError
from toolkit.execution import adoption
from toolkit.execution.audit import verify
from toolkit.execution.brokers.alpaca import AlpacaBroker
from toolkit.execution.brokers.desk import BrokerDesk
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Event, Intent, Order, Position, order_id
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import AlpacaServer
from toolkit.testing.exchange import BUY, Ticket

EVENING, MORNING = pd.Timestamp("2012-11-20 22:00", tz="UTC"), pd.Timestamp("2012-11-21 14:31", tz="UTC")


class Books:
    """The broker's books and ours."""

    def __init__(self, server, folder):
        self.server, self.clock = server, ReplayClock([EVENING, MORNING])
        self.broker = AlpacaBroker(server.key, server.secret, url=server.url, clock=self.clock)
        self.ledger = Ledger.open(folder, account="a", mode="broker-paper", cash=100_000.0, clock=self.clock)
        self.desk = BrokerDesk(self.ledger, self.broker, self.clock)

    @property
    def there(self):
        return self.server.exchange.account

    def proposed(self):
        return adoption.proposed(self.ledger, self.broker, self.desk)

    def held(self, symbol):
        return self.ledger.account().positions[symbol]


@pytest.fixture
def books(bundled, tmp_path, pauses):
    with AlpacaServer(bundled, EVENING) as server:
        both = Books(server, tmp_path / "state")
        yield both
        both.ledger.close()


def test_books_that_agree_leave_nothing_to_adopt(books):
    found = books.proposed()
    assert not found and adoption.book(books.ledger, found) == [] and "there is nothing to adopt" in str(found)


def test_shares_and_cash_are_shown_in_full_and_then_agree(books):
    books.there.hold("IBM", 10 * UNIT, 180.5)
    books.there.hold("AAPL", 2_500_000, 500.25)
    books.there.cash += 123_456_789
    found = books.proposed()
    assert found.frame()["booked"].to_dict() == {"AAPL": 2.5, "IBM": 10.0} and found.cash == 123_456_789
    assert "IBM" in str(found) and "book 2.5 at $500.25" in str(found) and "cash: book $123.46" in str(found)
    assert books.ledger.frame("events")["kind"].tolist() == ["transfer"]  # shown, not booked
    events = adoption.book(books.ledger, found)
    assert {e.kind for e in events} == {"adoption"} and len(events) == 3
    assert (books.held("IBM").qty, books.held("IBM").entry) == (10 * UNIT, 180.5)
    assert books.ledger.account().cash == books.there.cash
    assert verify(books.ledger) == [] and not books.proposed()


def test_the_equity_after_it_is_the_brokers(books):
    books.there.hold("IBM", 10 * UNIT, 180.5)
    adoption.book(books.ledger, books.proposed())
    assert books.ledger.account().equity == books.broker.purse().equity / UNIT


def test_what_was_shown_cannot_be_booked_a_second_time(books):
    books.there.hold("IBM", 10 * UNIT, 180.5)
    found = books.proposed()
    adoption.book(books.ledger, found)
    with pytest.raises(LedgerError, match="event 2 was booked since event 1"):
        adoption.book(books.ledger, found)
    assert books.held("IBM").qty == 10 * UNIT


def test_ids_do_not_repeat_however_often_the_same_shares_come_and_go(books):
    for qty in (10, 0, 10, 0, 10):
        books.there.hold("IBM", qty * UNIT, 180.5)
        adoption.book(books.ledger, books.proposed())
    names = books.ledger.frame("events")["id"]
    assert names.is_unique and len(names) == 6 and books.held("IBM").qty == 10 * UNIT and verify(books.ledger) == []


def test_what_was_shown_is_not_booked_after_something_else_was(books):
    books.there.hold("IBM", 10 * UNIT, 180.5)
    found = books.proposed()
    books.ledger.book([Event("fee:1", "2012-11-20", "fee", None, None, 0, -UNIT)], [])
    with pytest.raises(LedgerError, match="look again"):
        adoption.book(books.ledger, found)
    assert "IBM" not in books.ledger.account().positions


def test_a_fill_that_the_broker_tells_of_is_booked_as_one_and_not_adopted(books):
    books.server.exchange.submit(Ticket("IBM", BUY, 10 * UNIT, "market", "opg", "by hand"))
    books.server.now = MORNING
    books.clock.advance()
    found = books.proposed()
    assert not found and books.held("IBM").qty == 10 * UNIT
    assert books.ledger.frame("events")["kind"].tolist() == ["transfer", "fill"] and verify(books.ledger) == []


def test_shares_that_are_gone_leave_the_ledger_and_keep_the_average_of_the_others(books):
    books.ledger.book(
        [Event("adoption:0:IBM", "2012-11-19", "adoption", "IBM", None, 10 * UNIT, 0, 0, 170.0)],
        [Position("IBM", 10 * UNIT, 170.0, 190.0)],
    )
    books.there.hold("IBM", 4 * UNIT, 170.0)
    found = books.proposed()
    assert found.frame().loc["IBM", "booked"] == -6.0
    adoption.book(books.ledger, found)
    assert (books.held("IBM").qty, books.held("IBM").entry) == (4 * UNIT, 170.0)
    books.there.hold("IBM", 0, 0.0)
    adoption.book(books.ledger, books.proposed())
    assert books.held("IBM").qty == 0 and verify(books.ledger) == [] and not books.proposed()


def test_nothing_is_adopted_while_an_order_is_of_unknown_fate(books):
    order = Order(order_id("a", "broker-paper", "k", "IBM", "buy"), "k", "IBM", "buy", UNIT, 190.0, UNIT)
    books.ledger.plan("k", EVENING.tz_localize(None), "bars", [Intent(order)], {})
    books.ledger.move(order.id, "SENDING")
    with pytest.raises(LedgerError, match="is of unknown fate; run a cycle first"):
        books.proposed()


def test_an_account_that_changes_while_it_is_looked_at_is_not_adopted(books):
    class Moving:
        """A broker whose holdings are sold between two looks."""

        def __init__(self, broker):
            self.broker, self.purse, self.left = broker, broker.purse, 2

        def positions(self):
            self.left -= 1
            return self.broker.positions() if self.left else []

    books.there.hold("IBM", 10 * UNIT, 180.5)
    with pytest.raises(LedgerError, match="changed while it was looked at"):
        adoption.proposed(books.ledger, Moving(books.broker), books.desk)


def test_a_person_who_looks_at_what_there_is_to_adopt_halts_nothing(books):
    books.there.hold("IBM", 100 * UNIT, 180.5)
    books.desk.reconcile()
    books.clock.sleep(1.0)  # to the next morning
    assert books.proposed() and books.ledger.standing[0] == "ACTIVE"
    books.desk.reconcile()
    assert books.ledger.standing[0] == "HALT"
