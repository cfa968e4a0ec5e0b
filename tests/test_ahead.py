"""What does not depend on each other is asked at once, and nothing else changes: what is counted, told, and in which order."""

import signal
import threading
import time
from contextlib import nullcontext
from itertools import product

import pandas as pd
import pytest
from pasted import pasted
from street import Street
from tape import Moving

from toolkit.errors import BrokerRefused, BrokerUnavailable
from toolkit.execution.audit import verify
from toolkit.execution.brokers.alpaca import AlpacaBroker
from toolkit.execution.brokers.alpaca_calls import Call
from toolkit.execution.brokers.desk import BrokerDesk
from toolkit.execution.credentials import Secret
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Intent, Order, order_id
from toolkit.execution.standing import ACTIVE
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import AlpacaServer
from toolkit.testing.yahoo_server import SkippingClock

EVENING = pd.Timestamp("2012-11-20 22:00", tz="UTC")
NEWS = ["/v2/account/activities", "/v2/orders", "/v2/orders", "/v2/positions"]
CANARY_KEY, CANARY = "PKCANARYKEY123", "canary-secret-456"


@pytest.fixture
def server(bundled):
    with AlpacaServer(bundled, EVENING) as server:
        yield server


@pytest.fixture
def broker(server):
    return AlpacaBroker(server.key, server.secret, url=server.url, clock=SkippingClock(EVENING), deadline=5.0)


def looked(broker):
    """The questions of a reconciliation, in its order."""
    with broker.ahead(EVENING):
        return broker.activities(EVENING), broker.orders(EVENING), broker.positions()


def asked(server):
    return sorted(request.path for request in server.log)


def together(server, number):
    """From now on no answer comes before `number` requests are there."""
    gate = threading.Barrier(number)
    for at, route in list(server.routes.items()):
        server.routes[at] = lambda server, request, route=route: (gate.wait(5), route(server, request))[1]


def waiting_threads():
    return [each for each in threading.enumerate() if each.name == "alpaca"]


# --- at the wire


def test_the_news_of_a_reconciliation_are_asked_for_at_once(server, broker):
    together(server, 4)
    assert looked(broker) == ([], [], [])
    assert asked(server) == NEWS and broker.meter.calls == 4


class Log(list):
    """A log of requests that knows how many have no answer yet, and how many that were at most."""

    there = most = 0

    def append(self, request):
        super().append(request)
        self.there += 1
        self.most = max(self.most, self.there)


def test_purse_clock_and_assets_are_asked_for_at_once_and_at_most_four_at_a_time(server, broker):
    server.log, server.latency, plain = Log(), 0.02, server.answer

    def answer(*asked):
        reply = plain(*asked)
        server.log.there -= 1
        return reply

    server.answer, symbols = answer, list(server.exchange.tape.bars.symbols)[:6]
    with broker.ahead(alone=("clock", "purse"), symbols=symbols):
        assert broker.clock().next_open and broker.purse().number
        assert [broker.asset(symbol).symbol for symbol in symbols] == symbols
    assert server.log.most == 4 and len(server.log) == broker.meter.calls == 2 + len(symbols)


def test_a_symbol_that_the_broker_does_not_know_is_asked_for_once_among_others(server, broker):
    symbols = ["AAPL", "ZZZZ", "IBM", "YYYY", "MSFT", "XXXX"]
    with broker.ahead(symbols=symbols):
        assert [broker.asset(symbol) is None for symbol in symbols] == [False, True] * 3
    assert len(server.log) == broker.meter.calls == len(symbols)


def test_in_another_order_than_was_said_none_is_made_twice(server, broker):
    symbols = list(server.exchange.tape.bars.symbols)
    server.latency = 0.02  # no answer is there when the last is asked for first
    with broker.ahead(alone=("clock", "purse"), symbols=symbols):
        assert [broker.asset(symbol).symbol for symbol in symbols[::-1]] == symbols[::-1]
        assert broker.clock().next_open and broker.purse().number
    assert len(server.log) == broker.meter.calls == 2 + len(symbols)


def test_the_same_question_a_second_time_is_a_request_of_its_own(server, broker):
    with broker.ahead(EVENING):
        broker.positions()
        broker.positions()
    assert asked(server).count("/v2/positions") == 2


def test_another_threads_question_is_its_own(server, broker):
    with broker.ahead(EVENING):
        other = threading.Thread(target=broker.positions)
        other.start()
        other.join()
        broker.positions()
    assert asked(server).count("/v2/positions") == 2


def fails_at(server, broker, failing, ahead):
    """Which question fails first, and with which words."""
    server.heal()
    for path in failing:
        server.fault("500", path=path)
    with pytest.raises(BrokerUnavailable) as caught, ahead:
        at = "activities"
        broker.activities(EVENING)
        at = "orders"
        broker.orders(EVENING)
        at = "positions"
        broker.positions()
    return at, str(caught.value)


@pytest.mark.parametrize("failing", [("/orders", "/positions"), ("/positions", "/activities"), ("/positions",)])
def test_the_failure_that_comes_first_in_the_order_of_the_questions_is_told(server, broker, failing):
    alone = fails_at(server, broker, failing, nullcontext())
    assert fails_at(server, broker, failing, broker.ahead(EVENING)) == alone
    assert max(asked(server).count(path) for path in NEWS) <= 2 * 2  # none was made again


def test_the_wrong_keys_are_refused_with_the_same_sentence(server):
    said = []
    for ahead in (nullcontext(), None):
        broker = AlpacaBroker("PKWRONG", "wrong", url=server.url, clock=SkippingClock(EVENING))
        with pytest.raises(BrokerRefused) as caught, ahead or broker.ahead(EVENING):
            broker.activities(EVENING)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_past_the_allowance_none_is_made_and_the_question_in_its_turn_is_told(server, broker):
    broker.meter.allow(2)
    with pytest.raises(BrokerUnavailable, match="the allowance of 2 requests is spent"), broker.ahead(EVENING):
        broker.activities(EVENING)
        broker.orders(EVENING)  # of its two lists the second is one too many
    assert broker.meter.calls == len(server.log) == 2


def test_nothing_is_asked_ahead_while_the_broker_wants_a_rest(server, broker):
    server.fault("429", headers={"Retry-After": "3"})  # which is shorter than the deadline
    with pytest.raises(BrokerUnavailable, match="429"):
        broker.purse()
    with broker.ahead(EVENING, ("clock", "purse")):
        assert waiting_threads() == []
    assert broker.meter.calls == len(server.log) == 1


def test_where_the_allowance_is_nearly_spent_all_of_it_is_left_to_what_is_asked(server, broker):
    broker.meter.allow(8)
    with broker.ahead(EVENING):
        assert broker.meter.calls == 0
        broker.activities(EVENING)
    assert asked(server) == ["/v2/account/activities"]


def test_a_rest_that_an_answer_asks_for_is_kept_though_nobody_asked_for_the_answer(server, broker):
    server.fault("500", path="/activities")
    server.fault("429", path="/positions", headers={"Retry-After": "60"})
    with pytest.raises(BrokerUnavailable, match="500"), broker.ahead(EVENING):
        [positions] = [call for call in broker._wire._own.early.calls if "positions" in call.url]
        assert positions.done.wait(5)
        broker.activities(EVENING)
    assert broker.pause() > 50.0


def test_a_request_that_is_made_ahead_late_ends_with_the_call_that_waits_for_it(server, broker):
    wire, began = broker._wire, time.perf_counter()
    wire._at_leisure = lambda early: False
    with broker.ahead(EVENING), wire.within(0.6):
        call = Call("GET", f"{server.url}/v2/orders", {}, 5.0)
        wire._own.early.calls.append(call)
        with pytest.raises(BrokerUnavailable, match="not in time"):
            wire.request("GET", f"{server.url}/v2/orders")
    assert time.perf_counter() - began < 1.2 and call.over


def test_the_clocks_are_compared_when_the_clock_has_answered_however_long_the_purse_takes(server, tmp_path):
    clock = SkippingClock(EVENING)
    broker = AlpacaBroker(server.key, server.secret, url=server.url, clock=clock)
    ledger = Ledger.open(tmp_path, account="d", mode="paper", cash=100_000.0, clock=clock)
    desk, plain = BrokerDesk(ledger, broker, clock), broker.purse
    broker.purse = lambda: (clock.sleep(20.0), plain())[1]
    assert abs(desk.outlook(["IBM"]).skew) < 1.0
    ledger.close()


def test_what_the_block_does_not_ask_for_is_cut_when_it_ends(server, broker):
    for path in ("/positions", "/orders"):
        server.fault("stall", times=2, path=path)
    server.fault("500", path="/activities")
    with pytest.raises(BrokerUnavailable, match="500"):
        looked(broker)
    for thread in waiting_threads():
        thread.join(5)
        assert not thread.is_alive()
    assert broker.pause() == 0.0 and broker.purse().number  # those that were cut do not count as failures


def test_an_interrupt_ends_all_of_them_at_once_and_shows_no_key(server):
    server.key, server.secret = CANARY_KEY, CANARY
    broker = AlpacaBroker(Secret(CANARY_KEY), Secret(CANARY), url=server.url, deadline=10.0)
    server.fault("stall", times=4)
    main, real = threading.main_thread().ident, server.due_fault

    def struck(path, method="GET"):
        fault = real(path, method)
        if server._faults[0].times == 0:
            signal.pthread_kill(main, signal.SIGINT)
        return fault

    server.due_fault = struck
    said = pasted(lambda: looked(broker), __file__)
    assert "KeyboardInterrupt" in said and CANARY not in said and CANARY_KEY not in said
    for thread in waiting_threads():
        thread.join(5)
        assert not thread.is_alive()


def test_connections_are_kept_for_the_next_reconciliation(server, broker):
    together(server, 4)
    for _ in range(3):
        looked(broker)
    assert len({request.port for request in server.log}) == 4


# --- whichever look is the older


class Looks(Street):
    """A street of which some lists are those of an earlier moment."""

    old: dict = {}

    def moment(self):
        return {"orders": dict(self.book), "activities": list(self.told), "positions": dict(self.holdings)}

    def orders(self, since):
        book = self.old.get("orders", self.book)
        return [report for report in book.values() if report.waits or report.at >= since]

    def activities(self, since):
        return [each for each in self.old.get("activities", self.told) if each.at >= since]

    def positions(self):
        now, self.holdings = self.holdings, self.old.get("positions", self.holdings)
        try:
            return super().positions()
        finally:
            self.holdings = now


BUY = Order(order_id("d", "paper", "k|1", "IBM", "buy"), "k|1", "IBM", "buy", 100 * UNIT, 90.0, 100 * UNIT)


def filled(street):
    street.fill(BUY.id, 100 * UNIT, 90.0)


def parts(street):
    street.fill(BUY.id, 40 * UNIT, 90.0)
    street.fill(BUY.id, 60 * UNIT, 91.0)


def ended(street):
    street.fill(BUY.id, 40 * UNIT, 90.0)
    street.end(BUY.id, "CANCELED")


def arrived(street):
    street.submit(BUY)
    street.fill(BUY.id, 100 * UNIT, 90.0)


OLDER = [set(each) - {""} for each in product(("", "activities"), ("", "orders"), ("", "positions"))]


@pytest.mark.parametrize("older", OLDER, ids=lambda each: "+".join(sorted(each)) or "none")
@pytest.mark.parametrize("happens, becomes", [(filled, "FILLED"), (parts, "FILLED"), (ended, "CANCELED"), (arrived, "FILLED")])
def test_whatever_falls_between_the_looks_the_next_one_agrees(tmp_path, happens, becomes, older):
    clock = Moving("2005-03-01 22:00")
    street = Looks(clock, 100_000 * UNIT)
    ledger = Ledger.open(tmp_path, account="d", mode="paper", cash=100_000.0, clock=clock)
    desk = BrokerDesk(ledger, street, clock)
    ledger.plan("k|1", pd.Timestamp("2005-03-01"), "bars", [Intent(BUY)], {})
    ledger.move(BUY.id, "SENDING")
    if happens is not arrived:
        street.submit(BUY)
        ledger.move(BUY.id, "ACCEPTED", broker_id=street.book[BUY.id].broker_id)
    else:
        ledger.move(BUY.id, "UNKNOWN")
    street.prices["IBM"] = 90.0
    assert desk.reconcile() == []
    before = street.moment()
    happens(street)
    street.old = {name: before[name] for name in older}
    desk.reconcile()
    assert ledger.standing[0] == ACTIVE
    street.old = {}
    assert desk.reconcile() == [] and desk.reconcile() == []
    assert ledger.standing[0] == ACTIVE and ledger.status(BUY.id) == becomes
    assert ledger.account().positions["IBM"].qty == street.holdings["IBM"] and ledger.account().cash == street.cash
    assert verify(ledger) == []
    ledger.close()
