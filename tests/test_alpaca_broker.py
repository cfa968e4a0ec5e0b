"""Alpaca as a broker, over real sockets on the loopback interface and through the real alpaca-py."""

import json
import logging
import math
import signal
import socket
import sys
import threading
import time
from dataclasses import replace

import pandas as pd
import pytest
from alpaca.common.enums import BaseURL
from alpaca.trading.enums import ActivityType, OrderStatus
from conformance import BrokerConformance, order
from pasted import pasted

from toolkit.data import Bars
from toolkit.errors import BrokerRefused, BrokerUnavailable, InvalidParameter
from toolkit.execution.brokers import Broker
from toolkit.execution.brokers.alpaca import AlpacaBroker
from toolkit.execution.brokers.alpaca_words import KINDS, WAITING, activity_of, holding_of, price_of, purse_of, report_of
from toolkit.execution.brokers.values import Split
from toolkit.execution.credentials import Secret
from toolkit.execution.orders import Order
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import AlpacaServer, Reply
from toolkit.testing.exchange import BUY, Ticket
from toolkit.testing.yahoo_server import SkippingClock

EVENING = pd.Timestamp("2012-11-20 22:00", tz="UTC")  # then Wednesday, Thanksgiving, half a Friday
SESSIONS = [("2012-11-21 14:31", "2012-11-21 22:00"), ("2012-11-23 14:31", "2012-11-23 22:00"), ("2012-11-26 14:31", "")]
CANARY_KEY, CANARY = "PKCANARYKEY123", "canary-secret-456"


class AlpacaKit:
    """The loopback Alpaca, as the conformance tests want it."""

    symbols, strange = ("IBM", "AAPL"), "ZZZZ"
    split = "AAPL", Split(pd.Timestamp("2005-02-28"), 2.0)
    rows = 501

    def __init__(self, server: AlpacaServer, bars: Bars) -> None:
        self.server, self.bars, self.clock = server, bars, SkippingClock(EVENING)
        self.deadline = 5.0
        self.broker = self.made(server.key, server.secret)

    def made(self, key: str, secret: str) -> AlpacaBroker:
        return AlpacaBroker(key, secret, url=self.server.url, clock=self.clock, deadline=self.deadline)

    def stranger(self) -> Broker:
        return self.made("PKWRONG", "wrong")

    def now(self) -> pd.Timestamp:
        return self.server.instant

    def _to(self, which: int) -> None:
        self.server.now = next(at for at in (pd.Timestamp(day[which], tz="UTC") for day in SESSIONS) if at > self.now())

    def to_open(self) -> None:
        self._to(0)

    def to_close(self) -> None:
        self._to(1)

    def price(self, symbol: str) -> float:
        return self._traded(symbol, 3, -1)

    def open_price(self, symbol: str) -> float:
        return self._traded(symbol, 0, 0)

    def _traded(self, symbol: str, field: int, shift: int) -> float:
        at = self.bars.index.searchsorted(self.now().tz_localize(None).normalize(), side="right") + shift
        return float(self.bars.select(symbol).traded[field, 0, at])

    def booked(self) -> list[str]:
        return [each.ticket.client for each in self.server.exchange.orders.values()]

    def shares(self) -> dict[str, int]:
        return self.server.exchange.account.shares

    def cash(self) -> int:
        return self.server.exchange.account.cash

    def requests(self) -> int:
        return len(self.server.log)

    def lose_answer(self) -> None:
        self.server.fault("reset")

    def lose_request(self) -> None:
        self.server.fault("reset-unbooked")

    def stall(self) -> None:
        self.server.fault("stall")
        self.deadline = self.broker.deadline = 0.5

    def garble(self) -> None:
        self.server.fault("html")

    def limit(self) -> None:
        self.server.fault("429", headers={"Retry-After": "60"})

    def rest(self) -> None:
        self.clock.sleep(60.0)

    def replace(self, order: str) -> str:
        exchange = self.server.exchange
        return exchange.replace(exchange.find(order)).id

    def part(self, symbol: str, shares: int) -> None:
        self.server.exchange.plan[symbol] = [shares]

    def crowd(self, orders: int) -> list[str]:
        names = [f"theirs-{n}" for n in range(orders)]
        for name in names:
            self.server.exchange.submit(Ticket("IBM", BUY, UNIT, "limit", "gtc", name, limit=0.01))
        return names

    def move(self, kind: str, cash: int, symbol: str | None = None) -> None:
        word = {"dividend": "DIV", "interest": "INT", "fee": "FEE", "transfer": "CSD" if cash > 0 else "CSW"}[kind]
        self.server.exchange.move(word, cash / UNIT, symbol)

    def permit(self, symbol: str, tradable: bool, shortable: bool, fractionable: bool) -> None:
        exchange = self.server.exchange
        exchange.short, exchange.whole_shares = shortable, not fractionable
        exchange.untradable = set() if tradable else {symbol}


@pytest.fixture
def kit(bundled):
    with AlpacaServer(bundled, EVENING) as server:
        yield AlpacaKit(server, bundled)


class TestAlpaca(BrokerConformance):
    """Alpaca keeps the protocol."""


# --- orders on the wire


def sent(kit: AlpacaKit, at: int = -1) -> dict:
    """What stood in a request."""
    return json.loads(kit.server.log[at].body)


def test_a_market_order_is_for_the_next_opening_auction_in_decimal_texts(kit):
    one = order(kit)
    kit.broker.submit(one)
    assert sent(kit) == {
        "symbol": "IBM", "qty": "10", "side": "buy", "type": "market", "time_in_force": "opg", "client_order_id": one.id,
    }  # fmt: skip


@pytest.mark.parametrize("kind, day, force", [("limit", True, "day"), ("limit", False, "gtc"), ("stop", False, "gtc")])
def test_orders_with_a_level_are_for_the_day_or_until_cancelled(kit, kind, day, force):
    assert kit.broker.submit(order(kit, kind=kind, level=150.25, day=day)).status == "ACCEPTED"
    told = sent(kit)
    assert (told["type"], told["time_in_force"], told[f"{kind}_price"]) == (kind, force, "150.25")
    assert all(isinstance(each, str) for each in told.values())


@pytest.mark.parametrize(
    "qty, text", [(1, "0.000001"), (1_500_000, "1.5"), (120_000_000, "120"), (10**12 + 1, "1000000.000001")]
)
def test_no_digit_of_a_quantity_is_lost(kit, qty, text):
    kit.broker.submit(order(kit, qty=qty, kind="limit", level=0.5, day=True))
    assert sent(kit)["qty"] == text


@pytest.mark.parametrize("kind", ["market", "limit", "stop"])
def test_a_fraction_of_a_share_goes_as_a_day_order(kit, kind):
    """Alpaca: fractional orders must be DAY orders; the opening auction takes whole shares."""
    kit.clock.sleep(2 * 3600.0)  # it is 19:00 in New York
    answer = kit.broker.submit(order(kit, qty=1_500_000, kind=kind, level=math.nan if kind == "market" else 150.0))
    assert answer.status == "ACCEPTED" and (sent(kit)["qty"], sent(kit)["time_in_force"]) == ("1.5", "day")


@pytest.mark.parametrize("hours, status", [(0.0, "REJECTED"), (1.9, "REJECTED"), (2.0, "ACCEPTED"), (16.4, "ACCEPTED"),
                                           (16.5, "REJECTED"), (18.0, "REJECTED")])  # fmt: skip
def test_a_fraction_at_the_market_is_not_handed_in_when_it_would_trade_at_once(kit, hours, status):
    kit.clock.sleep(3600.0 * hours)  # after 17:00 in New York
    answer = kit.broker.submit(order(kit, qty=1_500_000))
    assert answer.status == status and ("at once" in answer.detail) == (status == "REJECTED")


@pytest.mark.parametrize(
    "side, kind, level, price",
    [
        ("buy", "limit", 101.239, "101.23"), ("sell", "limit", 101.231, "101.24"), ("buy", "stop", 101.231, "101.24"),
        ("sell", "stop", 101.239, "101.23"), ("buy", "limit", 101.23, "101.23"), ("sell", "limit", 101.3, "101.30"),
        ("buy", "limit", 0.12349, "0.1234"), ("sell", "limit", 0.99991, "1.0000"), ("buy", "limit", 0.1 + 0.2, "0.3000"),
        ("buy", "limit", 0.00001, ""), ("buy", "limit", math.nan, ""), ("buy", "limit", math.inf, ""), ("buy", "stop", -5.0, "")
    ],
)  # fmt: skip
def test_levels_lie_on_the_grid_of_rule_612_and_never_worse_than_decided(side, kind, level, price):
    """SEC Rule 612: cents from a dollar on, hundredths of a cent below."""
    assert price_of(Order("i", "c", "IBM", side, UNIT, 100.0, kind=kind, level=level)) == price


def test_a_level_that_was_moved_to_the_grid_is_said(kit):
    answer = kit.broker.submit(order(kit, kind="limit", level=150.239))
    assert answer.status == "ACCEPTED" and "150.23" in answer.detail and sent(kit)["limit_price"] == "150.23"


# --- answers to orders


def refuse(kit: AlpacaKit, status: int, body: object) -> None:
    kit.server.routes["POST", "/v2/orders"] = lambda server, asked: Reply(body, status)


@pytest.mark.parametrize(
    "status, body, answer, detail",
    [
        (403, {"code": 40310000, "message": "insufficient buying power"}, "REJECTED", "40310000: insufficient buying power"),
        (422, {"code": 42210000, "message": "asset X is not active"}, "REJECTED", "42210000: asset X is not active"),
        (400, {"code": 40010000, "message": "request body format is invalid"}, "REJECTED", "40010000: request body"),
        (401, {"code": 40110000, "message": "request is not authorized"}, "REJECTED", "unauthorized: request is not"),
        (403, {"message": "forbidden."}, "REJECTED", "unauthorized: forbidden."),
        (404, {"message": "endpoint not found."}, "UNKNOWN", "404: endpoint not found."),
        (405, {"message": "no"}, "UNKNOWN", "405: no"),
        (403, "blocked by a proxy", "UNKNOWN", "Alpaca answered 403"),
        (301, {}, "UNKNOWN", "301"),
        (503, {"message": "maintenance"}, "UNKNOWN", "Alpaca answered 503"),
        (200, [], "UNKNOWN", "cannot be read"),
        (200, {"id": "5", "status": "new"}, "UNKNOWN", "cannot be read"),
        (422, {"code": 9.5, "message": ["odd"]}, "REJECTED", "422: ['odd']"),
    ],
)  # fmt: skip
def test_only_alpacas_own_no_is_a_rejection(kit, status, body, answer, detail):
    refuse(kit, status, body)
    told = kit.broker.submit(order(kit))
    assert told.status == answer and detail in told.detail and len(kit.server.log) == 1


@pytest.mark.parametrize("change", [{"client_order_id": "x"}, {"symbol": "MSFT"}, {"side": "sell"}, {"qty": "11"}])
def test_an_answer_that_repeats_another_order_is_unknown(kit, change):
    real = kit.server.routes["POST", "/v2/orders"]
    kit.server.routes["POST", "/v2/orders"] = lambda server, asked: Reply({**real(server, asked).body, **change})
    answer = kit.broker.submit(order(kit))
    assert answer.status == "UNKNOWN" and "another order" in answer.detail
    assert kit.broker.find(order(kit).id).status == "ACCEPTED"


def test_an_order_rejected_in_the_answer_or_earlier_is_rejected(kit):
    real, one = kit.server.routes["POST", "/v2/orders"], order(kit)
    kit.server.routes["POST", "/v2/orders"] = lambda server, asked: Reply({**real(server, asked).body, "status": "rejected"})
    assert kit.broker.submit(one).status == "REJECTED"
    kit.server.routes["POST", "/v2/orders"] = real
    kit.server.exchange.reject(kit.server.exchange.find(one.id))
    assert kit.broker.submit(one)[:2] == ("REJECTED", "it arrived earlier and was rejected")


def test_an_id_that_is_taken_is_accepted_only_where_it_is_ours(kit):
    one = order(kit)
    kit.broker.submit(one)
    fewer = kit.broker.submit(replace(one, qty=5 * UNIT))
    assert fewer.status == "ACCEPTED" and fewer.detail == "it arrived earlier, for 10 shares"
    other = kit.broker.submit(replace(one, symbol="AAPL"))
    assert other.status == "UNKNOWN" and "that of buy 10 IBM" in other.detail
    for fault in ("500", "hidden", "401"):
        kit.server.fault(fault, method="GET")
        assert kit.broker.submit(one).status == "UNKNOWN", fault
    assert kit.booked() == [one.id]


def test_a_pause_that_alpaca_asks_for_is_kept(kit):
    kit.limit()
    assert kit.broker.submit(order(kit)).detail.startswith("429: not accepted")
    requests = kit.requests()
    assert kit.broker.pause() > 10.0
    unsent = kit.broker.submit(order(kit))
    assert unsent.status == "ABSENT" and unsent.detail.startswith("not sent: Alpaca asked to wait until 22:01:00")
    with pytest.raises(BrokerUnavailable, match="not sent"):
        kit.broker.purse()
    assert kit.requests() == requests == kit.broker.meter.calls
    kit.rest()
    assert kit.broker.pause() < 0.01 and kit.broker.submit(order(kit)).status == "ACCEPTED"


def test_an_order_beyond_the_budget_of_requests_is_absent_and_not_unknown(kit):
    kit.broker.meter.allow(0)
    assert kit.broker.submit(order(kit)).status == "ABSENT" and kit.requests() == 0
    kit.broker.meter.allow(None)
    kit.broker.submit(order(kit))
    kit.broker.meter.allow(1)
    doubled = kit.broker.submit(order(kit))  # Alpaca has the id, and the lookup is one request too many
    assert doubled.status == "UNKNOWN" and kit.booked() == [order(kit).id]


def test_a_lookup_at_a_wrong_address_is_not_an_absent_order(kit):
    for body in ({"message": "endpoint not found."}, "Not Found"):
        kit.server.routes["GET", "/v2/orders:by_client_order_id"] = lambda server, asked, body=body: Reply(body, 404)
        with pytest.raises((BrokerUnavailable, BrokerRefused), match="404"):
            kit.broker.find("tk1-a")


def test_an_order_that_replaces_itself_ends_the_search(kit):
    one = order(kit)
    kit.broker.submit(one)
    real = kit.server.routes["GET", "/v2/orders:by_client_order_id"]
    ring = lambda server, asked: {**real(server, asked._replace(query={"client_order_id": one.id})).body}  # noqa: E731
    looped = lambda server, asked: Reply({**(body := ring(server, asked)), "replaced_by": body["id"]})  # noqa: E731
    kit.server.routes["GET", "/v2/orders:by_client_order_id"] = kit.server.routes["GET", "/v2/orders/[^/:]+"] = looped
    with pytest.raises(BrokerUnavailable, match="replaced more than 20 times"):
        kit.broker.find(one.id)


# --- Alpaca's words

DOCUMENTED = {  # the example of an order in Alpaca's reference
    "id": "61e69015-8549-4bfd-b9c3-01e75843f47d", "client_order_id": "eb9e2aaa-f71a-4f51-b5b4-52a6c565dad4",
    "created_at": "2021-03-16T18:38:01.942282Z", "updated_at": "2021-03-16T18:38:01.942282Z",
    "submitted_at": "2021-03-16T18:38:01.937734Z", "filled_at": None, "expired_at": None, "canceled_at": None,
    "failed_at": None, "replaced_at": None, "replaced_by": None, "replaces": None,
    "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415", "symbol": "AAPL", "asset_class": "us_equity", "notional": "500",
    "qty": None, "filled_qty": "0", "filled_avg_price": None, "order_class": "", "order_type": "market", "type": "market",
    "side": "buy", "time_in_force": "day", "limit_price": None, "stop_price": None, "status": "accepted",
    "extended_hours": False, "legs": None, "trail_percent": None, "trail_price": None, "hwm": None,
}  # fmt: skip
OVER = {"canceled": "CANCELED", "expired": "EXPIRED", "replaced": "CANCELED", "rejected": "REJECTED"}


def test_every_status_that_alpaca_py_knows_is_one_of_ours():
    for word in (each.value for each in OrderStatus):
        report = report_of({**DOCUMENTED, "qty": "10", "filled_qty": "3", "status": word})
        expected = OVER.get(word, "UNKNOWN" if word == "filled" else "PARTIAL")
        assert (report.status, report.said, report.filled) == (expected, word, 3 * UNIT)
        assert report.waits == (word not in OVER)
        if word not in OVER:
            assert report_of({**DOCUMENTED, "qty": "10", "filled_qty": "10", "status": word}).status == "FILLED"
    assert {each.value for each in OrderStatus} == WAITING | set(OVER) | {"filled"}


def test_a_new_word_counts_as_open():
    report = report_of({**DOCUMENTED, "status": "held_for_review"})
    assert (report.status, report.said, report.waits) == ("UNKNOWN", "held_for_review", True)


def test_the_documented_order_is_read():
    report = report_of(DOCUMENTED)
    assert (report.qty, report.filled, report.status, report.symbol) == (0, 0, "ACCEPTED", "AAPL")
    assert report.at == pd.Timestamp("2021-03-16 18:38:01.937734", tz="UTC")


def test_every_activity_that_alpaca_py_knows_has_a_kind():
    kinds = {"fill", "dividend", "split", "fee", "interest", "borrow", "transfer"}
    assert set(KINDS) <= {each.value for each in ActivityType} and set(KINDS.values()) <= kinds


FILLED = {  # the examples of activities in Alpaca's reference
    "activity_type": "FILL", "cum_qty": "1", "id": "20190524113406977::8efc7b9a-8b2b-4000-9955-d36e7db0df74",
    "leaves_qty": "0", "price": "1.63", "qty": "1", "side": "buy", "symbol": "LPCN",
    "transaction_time": "2019-05-24T15:34:06.977Z", "order_id": "904837e3-3b76-47ec-b432-046db621571b", "type": "fill",
}  # fmt: skip
PAID = {
    "activity_type": "DIV", "id": "20190801011955195::5f596936-6f23-4cef-bdf1-3806aae57dbf", "date": "2019-08-01",
    "net_amount": "1.02", "symbol": "T", "qty": "2", "per_share_amount": "0.51",
}  # fmt: skip


def test_the_documented_activities_are_read():
    fill, dividend = activity_of(FILLED), activity_of(PAID)
    assert (fill.kind, fill.qty, fill.cash, fill.price, fill.fee) == ("fill", UNIT, -1_630_000, 1.63, 0)
    assert fill.broker_id == FILLED["order_id"] and fill.at == pd.Timestamp("2019-05-24 15:34:06.977", tz="UTC")
    assert (dividend.kind, dividend.qty, dividend.cash, dividend.symbol) == ("dividend", 0, 1_020_000, "T")
    assert dividend.at == pd.Timestamp("2019-08-01", tz="America/New_York")
    assert activity_of({**FILLED, "side": "sell_short"}).qty == -UNIT
    assert activity_of({**FILLED, "side": "BUY"}).qty == fill.qty
    with pytest.raises(BrokerUnavailable, match="side is 'bought'"):
        activity_of({**FILLED, "side": "bought"})


@pytest.mark.parametrize(
    "word, amount, qty, expected",
    [
        ("FEE", "-0.03", None, ("fee", 0, -30_000, 30_000)), ("INT", "-1.5", None, ("interest", 0, -1_500_000, 0)),
        ("CSD", "1000", None, ("transfer", 0, 1_000_000_000, 0)), ("SPLIT", None, "30", ("split", 30_000_000, 0, 0)),
        ("DIVNRA", "-0.15", "2", ("dividend", 0, -150_000, 0)), ("JNLS", None, "-5", ("transfer", -5_000_000, 0, 0)),
        ("NEWTYPE", "7", None, ("transfer", 0, 7_000_000, 0)),
    ],
)  # fmt: skip
def test_what_is_no_trade_moves_cash_or_shares(word, amount, qty, expected):
    told = activity_of({"activity_type": word, "id": "1", "date": "2026-01-02", "net_amount": amount, "qty": qty})
    assert (told.kind, told.qty, told.cash, told.fee) == expected
    assert activity_of({**PAID, "status": "canceled"}) is None


@pytest.mark.parametrize("value", ["", "abc", "NaN", "Infinity", "1e40", None, True, [], {}, "sNaN", "1" * 400])
def test_a_number_that_is_none_is_no_answer(value):
    for read, told in ((activity_of, {**FILLED, "price": value}), (report_of, {**DOCUMENTED, "qty": "1", "filled_qty": value})):
        if value is None and read is report_of:
            continue  # an order that has not filled has no filled quantity
        with pytest.raises(BrokerUnavailable, match="cannot be read"):
            read(told)


@pytest.mark.parametrize("told", [None, [], "text", 5, {}, {**DOCUMENTED, "id": 5}, {**DOCUMENTED, "submitted_at": "soon"}])
def test_what_is_no_order_is_no_answer(told):
    with pytest.raises(BrokerUnavailable, match="cannot be read"):
        report_of(told)


def test_a_short_position_is_negative_with_either_sign():
    told = {"symbol": "IBM", "side": "short", "avg_entry_price": "190.5", "current_price": None}
    for qty in ("10", "-10"):
        held = holding_of({**told, "qty": qty})
        assert (held.qty, held.entry) == (-10 * UNIT, 190.5) and math.isnan(held.price)


def test_why_an_account_may_not_trade_is_said():
    told = {"account_number": "1", "status": "ACTIVE", "cash": "1", "equity": "1", "buying_power": "2", "currency": "USD"}
    told |= dict.fromkeys(("account_blocked", "trading_blocked", "trade_suspended_by_user"), False)
    assert purse_of(told).blocked == ""
    assert purse_of({name: each for name, each in told.items() if name != "trading_blocked"}).blocked == "trading blocked"
    blocked = purse_of({**told, "trading_blocked": True, "status": "SUBMITTED", "currency": "EUR"}).blocked
    assert blocked == "trading blocked, its status is SUBMITTED, its currency is EUR"


# --- lists, page by page


def test_more_orders_than_a_page_holds_are_all_told(kit):
    exchange = kit.server.exchange
    for n in range(1001):
        exchange.submit(Ticket("IBM", BUY, UNIT, "limit", "gtc", f"theirs-{n}", limit=0.01))
    found = kit.broker.orders(EVENING)
    assert [each.id for each in found] == [f"theirs-{n}" for n in range(1001)]


def test_more_fills_than_a_page_holds_are_all_told(kit):
    kit.broker.submit(order(kit, qty=250 * UNIT))
    kit.server.exchange.plan["IBM"] = [[1.0] * 250]
    kit.to_open()
    requests = kit.requests()
    told = kit.broker.activities(EVENING)
    assert sum(each.qty for each in told) == 250 * UNIT and len({each.id for each in told}) == 250
    assert kit.requests() - requests == 3


def test_a_page_that_comes_again_and_again_is_an_error(kit):
    body = [{**FILLED, "id": str(n)} for n in range(100)]
    kit.server.routes["GET", "/v2/account/activities(/[A-Z]+)?"] = lambda server, asked: Reply(body)
    orders = [{**DOCUMENTED, "id": str(n)} for n in range(500)]
    kit.server.routes["GET", "/v2/orders"] = lambda server, asked: Reply(orders)
    for ask in (kit.broker.activities, kit.broker.orders):
        with pytest.raises(BrokerUnavailable, match="twice"):
            ask(EVENING)


def test_dividends_fees_and_deposits_are_told_and_add_up(kit):
    """IBM paid 0.85 dollars a share to whoever held it before 2013-02-06."""
    kit.broker.submit(order(kit))
    before = kit.cash()
    kit.to_close()
    kit.server.exchange.move("CSD", 500.0)
    kit.server.exchange.move("FEE", -0.03)
    kit.server.now = pd.Timestamp("2013-02-08 22:00", tz="UTC")
    told = kit.broker.activities(EVENING)
    assert {each.kind for each in told} == {"fill", "transfer", "fee", "dividend"}
    [dividend] = [each for each in told if each.kind == "dividend"]
    assert (dividend.symbol, dividend.cash) == ("IBM", 8_500_000)
    assert sum(each.cash for each in told) == kit.cash() - before


def test_orders_of_others_are_told_under_their_ids(kit):
    kit.server.exchange.submit(Ticket("AAPL", BUY, UNIT, "market", "opg", "by-hand"))
    assert [each.id for each in kit.broker.orders(EVENING)] == ["by-hand"]


# --- time


def test_what_was_given_up_is_not_sent_late(kit, monkeypatch):
    """A name server that takes longer than the deadline: when it answers, nobody wants the order to go any more."""
    slow, real, looked = threading.Event(), socket.getaddrinfo, threading.Event()

    def lookup(*arguments, **options):
        slow.wait(10)
        looked.set()
        return real(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    broker = AlpacaBroker(kit.server.key, kit.server.secret, url=kit.server.url, deadline=0.3)
    assert broker.submit(order(kit)).status == "UNKNOWN"
    slow.set()
    assert looked.wait(5)
    for thread in [each for each in threading.enumerate() if each.name.startswith("alpaca")]:
        thread.join(5)
    assert kit.server.log == []


def test_all_requests_of_a_call_share_one_deadline(kit):
    one = order(kit)
    kit.broker.submit(one)
    kit.server.latency, kit.broker.deadline = 1.4, 2.0
    began = time.perf_counter()
    assert kit.broker.submit(one).status == "UNKNOWN"  # "must be unique" has come in time, the lookup has not
    assert time.perf_counter() - began <= 1.2 * 2.0


def test_an_interrupted_call_ends_at_once_and_shows_no_key(kit):
    kit.server.key, kit.server.secret = CANARY_KEY, CANARY
    broker = AlpacaBroker(Secret(CANARY_KEY), Secret(CANARY), url=kit.server.url, deadline=10.0)
    kit.server.fault("stall")
    main = threading.main_thread().ident
    threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    began = time.perf_counter()
    said = pasted(broker.purse, __file__)
    assert "KeyboardInterrupt" in said and time.perf_counter() - began < 5.0
    assert CANARY not in said and CANARY_KEY not in said


def test_the_skew_of_the_clocks_is_known_to_a_second(kit):
    assert math.isnan(kit.broker.skew)
    kit.broker.purse()
    assert abs(kit.broker.skew) <= 1.0
    kit.server.now = EVENING + pd.Timedelta(seconds=40)
    kit.broker.purse()
    assert kit.broker.skew == pytest.approx(40.0, abs=1.0)


def test_many_threads_book_an_order_once(kit):
    one, answers = order(kit), []
    threads = [threading.Thread(target=lambda: answers.append(kit.broker.submit(one))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.status for each in answers] == ["ACCEPTED"] * 8 and kit.booked() == [one.id]


def test_requests_share_a_connection(kit):
    for _ in range(5):
        kit.broker.purse()
    assert len({request.port for request in kit.server.log}) == 1


# --- keys


def everything_of(thing: object, seen: set[int]) -> str:
    """The reprs of an object, of its attributes, of theirs, and so on."""
    if id(thing) in seen or isinstance(thing, type):
        return ""
    seen.add(id(thing))
    own = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    own += list(thing.values()) if isinstance(thing, dict) else list(thing) if isinstance(thing, list | tuple | set) else []
    return repr(thing) + repr(own) + "".join(everything_of(each, seen) for each in own)


def test_the_keys_appear_nowhere(kit, caplog):
    kit.server.key, kit.server.secret = CANARY_KEY, CANARY
    said = []
    with caplog.at_level(logging.DEBUG):
        broker = AlpacaBroker(Secret(CANARY_KEY), Secret(CANARY), url=kit.server.url, clock=kit.clock, deadline=0.5)
        said += [repr(broker.submit(order(kit))), repr(broker.purse()), repr(broker)]
        for fault in ("500", "html", "truncated", "short", "reset", "stall", "401", "429"):
            kit.server.fault(fault)
            said.append(pasted(broker.purse, __file__))
            kit.clock.sleep(120.0)
        echo = {"code": 42210000, "message": f"no {CANARY_KEY}:{CANARY}"}
        kit.server.routes["GET", "/v2/account"] = lambda server, asked: Reply(echo, 422)
        said.append(pasted(broker.purse, __file__))
        refuse(kit, 422, echo)
        said.append(repr(broker.submit(order(kit, 1))))
        said.append(pasted(lambda: AlpacaBroker(Secret(CANARY_KEY), Secret(CANARY), url="http://evil.example"), __file__))
    said += [caplog.text, *(str(record.__dict__) for record in caplog.records), everything_of(broker, set())]
    text = "".join(said)
    assert text.count("no ***:***") >= 2 and len(said) > 15
    assert CANARY not in text and CANARY_KEY not in text


@pytest.mark.parametrize("key, secret", [("k y", "s"), ("k", "s\n"), ("", "s"), ("k", "")])
def test_a_key_that_cannot_be_is_refused(key, secret):
    with pytest.raises(InvalidParameter, match="of Alpaca (holds a space|is missing)"):
        AlpacaBroker(key, secret)


@pytest.mark.parametrize("url", ["http://api.alpaca.markets", "ftp://127.0.0.1", "http://127.0.0.1.evil.com", "127.0.0.1"])
def test_keys_never_travel_in_the_clear(url):
    with pytest.raises(InvalidParameter, match="real money|name or password"):
        AlpacaBroker("k", "s", url=url)


def test_paper_is_the_default_and_the_addresses_are_those_of_alpaca_py():
    paper, live = AlpacaBroker("k", "s"), AlpacaBroker("k", "s", live=True)
    assert (paper.name, live.name) == ("alpaca-paper", "alpaca")
    assert paper._client._base_url == BaseURL.TRADING_PAPER and live._client._base_url == BaseURL.TRADING_LIVE


def test_without_alpaca_py_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "alpaca.trading.client", None)
    with pytest.raises(BrokerUnavailable, match=r"pip install 'toolkit\[alpaca\]'"):
        AlpacaBroker("k", "s")
