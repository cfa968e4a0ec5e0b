"""Whatever goes wrong with an answer of Alpaca: at most one order an intent, no wait beyond the deadline, and no lie.

Each fault of the loopback Alpaca strikes a submission, a cancellation, a lookup and a look at the positions. What the adapter
then says is held against what the exchange has. The control is plain alpaca-py, which must fail.
"""

import time
from contextlib import contextmanager

import pandas as pd
import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import MarketOrderRequest

from toolkit.errors import BrokerRefused, BrokerUnavailable, InvalidParameter
from toolkit.execution.brokers.alpaca import LONGEST, AlpacaBroker
from toolkit.execution.orders import Order
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import FAULTS, AlpacaServer
from toolkit.testing.yahoo_server import SkippingClock

EVENING = pd.Timestamp("2012-11-20 22:00", tz="UTC")
SLOW = {"stall", "drip", "stall-unbooked", "drip-unbooked"}
SHORT, USUAL = 2.0, 5.0  # deadlines in seconds: the short one is for servers that keep us waiting
ORDER = Order("tk1-" + "a" * 26, "cycle", "IBM", "buy", 10 * UNIT, 190.0)
REST = 120.0  # seconds after which any pause that Alpaca asked for is over


class Desk:
    """A careful caller, whose waits are measured, in deadlines."""

    def __init__(self, server: AlpacaServer) -> None:
        self.server, self.clock, self.longest = server, SkippingClock(EVENING), 0.0
        self.broker = AlpacaBroker(server.key, server.secret, url=server.url, clock=self.clock, deadline=USUAL)

    def strike(self, fault: str, method: str) -> None:
        self.server.fault(fault, method=method)
        self.broker.deadline = SHORT if fault in SLOW else USUAL

    @property
    def patient(self) -> bool:
        """Whether no call took longer than 1.2 times its deadline, which is 12 s at most."""
        return self.longest <= 1.2

    def rest(self) -> None:
        """Lets the fault be over."""
        self.clock.sleep(REST)
        self.broker.deadline = USUAL

    @contextmanager
    def timed(self):
        began = time.perf_counter()
        try:
            yield
        finally:
            self.longest = max(self.longest, (time.perf_counter() - began) / self.broker.deadline)

    def submit(self):
        with self.timed():
            return self.broker.submit(ORDER)

    def cancel(self):
        with self.timed():
            return self.broker.cancel(ORDER.id)

    def asked(self, question):
        """The answer to a question, or the error that stands for none."""
        with self.timed():
            try:
                return question()
            except (BrokerUnavailable, BrokerRefused) as error:
                return error

    def settled(self) -> None:
        """Looks the order up until it is known, and sends it again under its id where it never arrived."""
        for _ in range(3):
            self.rest()
            found = self.asked(lambda: self.broker.find(ORDER.id))
            if found is None:
                self.submit()
            elif not isinstance(found, Exception):
                return

    @property
    def own(self) -> list:
        """The orders of the intent that the exchange has."""
        return [each for each in self.server.exchange.orders.values() if each.ticket.client == ORDER.id]


@pytest.fixture
def desk(bundled):
    with AlpacaServer(bundled, EVENING) as server:
        yield Desk(server)


def test_no_deadline_lets_a_call_take_fifteen_seconds():
    assert 1.2 * LONGEST < 15.0
    for wrong in (LONGEST + 0.1, 0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidParameter, match="deadline is"):
            AlpacaBroker("k", "s", deadline=wrong)


def test_there_are_at_least_twenty_faults():
    assert len(FAULTS) >= 20 and len(set(FAULTS)) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_submission_books_one_order_and_says_what_is_known(desk, fault):
    desk.strike(fault, "POST")
    answer = desk.submit()
    arrived = len(desk.own)
    assert answer.status in ("ACCEPTED", "REJECTED", "UNKNOWN") and (answer.detail or answer.status == "ACCEPTED")
    assert arrived == 1 or answer.status != "ACCEPTED"
    assert arrived == 0 or answer.status != "REJECTED"
    if answer.status == "UNKNOWN":
        desk.settled()
        assert len(desk.own) == 1
    assert desk.submit().status in ("ACCEPTED", "REJECTED")  # a second time is none
    assert len(desk.own) <= 1 and desk.patient


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("struck", ["GET", "DELETE"])
def test_a_cancellation_is_not_said_to_be_refused_or_accepted_unless_it_is(desk, struck, fault):
    desk.submit()
    desk.strike(fault, struck)
    answer = desk.cancel()
    [order] = desk.own
    waits = order.waits and order.status != "pending_cancel"
    assert not (answer.status == "ACCEPTED" and waits) and not (answer.status == "REJECTED" and order.status == "canceled")
    desk.rest()
    desk.cancel()
    assert len(desk.own) == 1 and not any(each.status in ("new", "accepted") for each in desk.server.exchange.orders.values())
    assert desk.patient


HIDING = {"hidden", "lost"}  # the exchange itself says less than it has


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lookup_tells_the_truth_or_nothing(desk, fault):
    desk.submit()
    desk.strike(fault, "GET")
    found = desk.asked(lambda: desk.broker.find(ORDER.id))
    if found is None:
        assert fault in HIDING
    elif not isinstance(found, Exception):
        assert (found.id, found.qty, found.filled) == (ORDER.id, ORDER.qty, 0)
        assert found.status == ("UNKNOWN" if fault == "strange-status" else "ACCEPTED")
    assert len(desk.own) == 1 and desk.patient


@pytest.mark.parametrize("fault", FAULTS)
def test_positions_are_all_of_them_or_none_at_all(desk, fault):
    desk.submit()
    desk.server.now = pd.Timestamp("2012-11-21 14:31", tz="UTC")
    desk.strike(fault, "GET")
    held = desk.asked(desk.broker.positions)
    if not isinstance(held, Exception) and fault not in HIDING:
        assert [(each.symbol, each.qty) for each in held] == [("IBM", ORDER.qty)]
    assert len(desk.own) == 1 and desk.patient


@pytest.mark.parametrize("fault", ["504", "429"])
def test_the_control_plain_alpaca_py_repeats_an_order_that_was_booked(desk, fault):
    """Its client repeats a POST three times after a 504 or 429; without an id of ours each is an order of its own."""
    client = TradingClient(desk.server.key, desk.server.secret, url_override=desk.server.url)
    client._retry_wait = 0  # else it would wait for 3 seconds between them
    desk.server.fault(fault, times=4, method="POST")
    request = MarketOrderRequest(symbol="IBM", qty=10, side=OrderSide.BUY, time_in_force=TimeInForce.OPG)
    with pytest.raises(APIError):
        client.submit_order(request)
    assert len(desk.server.log) == 4
    assert len(desk.server.exchange.orders) == (4 if fault == "504" else 0)


def test_the_control_plain_alpaca_py_takes_an_accepted_order_for_a_refused_one(desk):
    client = TradingClient(desk.server.key, desk.server.secret, url_override=desk.server.url)
    client._retry_wait = 0
    desk.server.fault("504", method="POST")
    request = MarketOrderRequest(
        symbol="IBM", qty=10, side=OrderSide.BUY, time_in_force=TimeInForce.OPG, client_order_id=ORDER.id
    )
    with pytest.raises(APIError, match="must be unique"):
        client.submit_order(request)
    assert len(desk.own) == 1
