"""What every adapter of a broker has to pass: `class TestMine(BrokerConformance)` with a fixture `kit`, and nothing else.

The kit makes a broker whose other side is in the test's hand: it moves the market's time, breaks the wire, and says what the
other side has got. The account begins with cash and no shares, in the evening before a session. Words of a refusal are the
broker's own. `tests/test_conformance.py` has adapters that are wrong on purpose, and the claim that each of them breaks.

This folder is not in the package. An adapter of another repository takes this one file, which needs nothing but the toolkit and
pytest: copy it beside your tests, or run them with a clone on the path,

    PYTHONPATH=path/to/clone/tests pytest test_mine.py      # from conformance import BrokerConformance
"""

from __future__ import annotations

import math
import time
from typing import Protocol

import pandas as pd
import pytest

from toolkit.errors import BrokerRefused, BrokerUnavailable
from toolkit.execution.brokers import Broker
from toolkit.execution.brokers.values import Split
from toolkit.execution.orders import Order, order_id
from toolkit.kernels.account import UNIT

SLACK = 1.2  # of the deadline


class Kit(Protocol):
    """A broker, and the other side of its wire."""

    broker: Broker
    deadline: float  # seconds that a call of the broker may take
    symbols: tuple[str, str]  # two that are traded at every session
    strange: str  # one that the broker does not know
    split: tuple[str, Split]  # a symbol, and a split of it that is announced
    rows: int  # more than the broker tells in one answer

    def now(self) -> pd.Timestamp: ...

    def to_open(self) -> None:
        """On to just after the next open."""

    def to_close(self) -> None:
        """On to the evening after the next close."""

    def price(self, symbol: str) -> float:
        """The last price, dollars."""

    def open_price(self, symbol: str) -> float:
        """The price of the next open, dollars."""

    def booked(self) -> list[str]:
        """The client ids of all orders that arrived, one an order."""

    def shares(self) -> dict[str, int]:
        """Micro-shares held at the broker."""

    def cash(self) -> int:
        """Micro-dollars at the broker."""

    def requests(self) -> int:
        """Requests that arrived."""

    def lose_answer(self) -> None:
        """The next request is done, and the answer to it lost."""

    def lose_request(self) -> None:
        """The next request is lost before it is done."""

    def stall(self) -> None:
        """The next request is done, and the answer never ends."""

    def garble(self) -> None:
        """The answer to the next request is no answer."""

    def limit(self) -> None:
        """The next request is one too many a minute."""

    def rest(self) -> None:
        """The pause that the broker asked for is over."""

    def replace(self, order: str) -> str:
        """A person replaces the order by hand; the broker's id of the one that takes its place."""

    def part(self, symbol: str, shares: int) -> None:
        """At the next session that many fill, and no more."""

    def crowd(self, orders: int) -> list[str]:
        """So many orders of somebody else arrive, and wait; their client ids, oldest first."""

    def move(self, kind: str, cash: int, symbol: str | None = None) -> None:
        """The broker books a dividend (of the symbol), interest, a fee or a transfer: signed micro-dollars."""

    def permit(self, symbol: str, tradable: bool, shortable: bool, fractionable: bool) -> None:
        """That is what may be done with the symbol; `pytest.skip` where the broker has no such rule."""

    def stranger(self) -> Broker:
        """A broker with the wrong keys."""


def order(kit: Kit, n: int = 0, side: str = "buy", qty: int = 10 * UNIT, symbol: str = "", **more) -> Order:
    symbol = symbol or kit.symbols[0]
    name = order_id("demo", "broker-paper", f"conformance|{n}", symbol, side)
    return Order(name, f"conformance|{n}", symbol, side, qty, kit.price(symbol), **more)


class BrokerConformance:
    """The claims of the protocol `Broker`."""

    # --- an order's way

    def test_an_order_that_was_accepted_is_found_as_it_was_sent(self, kit):
        sent = order(kit)
        answer = kit.broker.submit(sent)
        found = kit.broker.find(sent.id)
        assert answer.status == "ACCEPTED" and kit.booked() == [sent.id]
        assert (found.id, found.symbol, found.side, found.qty) == (sent.id, sent.symbol, sent.side, sent.qty)
        assert (found.filled, found.status, found.waits, found.broker_id) == (0, "ACCEPTED", True, answer.broker_id)
        assert found.at.tzinfo is not None and found.said

    def test_submitting_twice_is_once(self, kit):
        sent = order(kit)
        first, second = kit.broker.submit(sent), kit.broker.submit(sent)
        assert first.status == second.status == "ACCEPTED" and first.broker_id == second.broker_id
        assert kit.booked() == [sent.id]

    def test_an_id_that_has_ended_is_not_used_again(self, kit):
        sent = order(kit)
        kit.broker.submit(sent)
        kit.broker.cancel(sent.id)
        kit.broker.submit(sent)
        assert kit.booked() == [sent.id] and not kit.broker.find(sent.id).waits

    def test_a_market_order_fills_at_the_next_open_and_the_books_agree(self, kit):
        sent, since, before, paid = order(kit), kit.now(), kit.cash(), kit.open_price(kit.symbols[0])
        answer = kit.broker.submit(sent)
        assert kit.broker.positions() == []
        kit.to_open()
        found = kit.broker.find(sent.id)
        assert (found.status, found.filled, found.waits) == ("FILLED", sent.qty, False)
        [held] = kit.broker.positions()
        assert {held.symbol: held.qty} == kit.shares() == {sent.symbol: sent.qty}
        assert held.entry == pytest.approx(paid, rel=0.01)
        told = kit.broker.activities(since)
        [fill] = [each for each in told if each.kind == "fill"]
        assert (fill.symbol, fill.qty, fill.broker_id) == (sent.symbol, sent.qty, answer.broker_id)
        assert fill.price == pytest.approx(paid, rel=0.01)
        assert fill.cash == -round(fill.qty * fill.price) and fill.at > since
        assert sum(each.cash for each in told) == kit.cash() - before == kit.broker.purse().cash - before

    def test_a_part_that_filled_stays_filled(self, kit):
        sent = order(kit)
        kit.broker.submit(sent)
        kit.part(sent.symbol, 3)
        since = kit.now()
        kit.to_close()
        found = kit.broker.find(sent.id)
        assert found.filled == 3 * UNIT and found.status in ("PARTIAL", "EXPIRED", "CANCELED")
        assert [each.qty for each in kit.broker.activities(since) if each.kind == "fill"] == [3 * UNIT]

    def test_what_is_bought_is_sold_again(self, kit):
        kit.broker.submit(order(kit))
        kit.to_close()
        sale = order(kit, 1, "sell", 4 * UNIT)
        since = kit.now()
        assert kit.broker.submit(sale).status == "ACCEPTED"
        kit.to_open()
        assert kit.shares() == {sale.symbol: 6 * UNIT} == {each.symbol: each.qty for each in kit.broker.positions()}
        [fill] = [each for each in kit.broker.activities(since) if each.kind == "fill"]
        assert fill.qty == -4 * UNIT and fill.cash > 0

    @pytest.mark.parametrize("kind, side", [("limit", 1.05), ("stop", 0.95)])
    def test_an_order_with_a_level_fills_once_it_is_reached(self, kit, kind, side):
        """A limit above the market and a stop below it are reached at once, at a price that is never worse than the limit."""
        level = round(kit.price(kit.symbols[0]) * side, 2)
        sent = order(kit, kind=kind, level=level, day=True)
        assert kit.broker.submit(sent).status == "ACCEPTED"
        kit.to_close()
        found = kit.broker.find(sent.id)
        [fill] = [each for each in kit.broker.activities(kit.now() - pd.Timedelta("3D")) if each.kind == "fill"]
        assert found.status == "FILLED" and (kind == "stop" or fill.price <= level)

    def test_a_limit_of_a_day_that_is_not_reached_ends_with_it(self, kit):
        sent = order(kit, kind="limit", level=round(kit.price(kit.symbols[0]) / 2, 2), day=True)
        kit.broker.submit(sent)
        kit.to_close()
        assert kit.broker.find(sent.id).status in ("EXPIRED", "CANCELED") and kit.shares() == {}

    def test_what_cannot_be_paid_is_rejected_with_a_reason(self, kit):
        answer = kit.broker.submit(order(kit, qty=10_000_000 * UNIT))
        assert answer.status == "REJECTED" and answer.detail and kit.booked() == []

    @pytest.mark.parametrize("kind", ["market", "limit"])
    def test_a_part_of_a_share_is_traded_to_the_last_digit_or_rejected(self, kit, kind):
        fields = {} if kind == "market" else {"kind": kind, "level": round(kit.price(kit.symbols[0]) * 1.05, 2), "day": True}
        sent = order(kit, qty=1_500_001, **fields)
        answer = kit.broker.submit(sent)
        if answer.status == "REJECTED":
            assert answer.detail and kit.booked() == []
            return
        assert answer.status == "ACCEPTED" and kit.broker.find(sent.id).qty == sent.qty
        kit.to_close()
        assert kit.broker.find(sent.id).filled == sent.qty and kit.shares() == {sent.symbol: sent.qty}
        [fill] = [each for each in kit.broker.activities(kit.now() - pd.Timedelta("3D")) if each.kind == "fill"]
        [held] = kit.broker.positions()
        assert fill.qty == held.qty == sent.qty

    # --- cancellation

    def test_a_cancelled_order_does_not_fill(self, kit):
        sent = order(kit)
        kit.broker.submit(sent)
        assert kit.broker.cancel(sent.id).status == "ACCEPTED"
        assert kit.broker.find(sent.id).status == "CANCELED"
        kit.to_open()
        assert kit.shares() == {}

    def test_an_order_that_has_filled_is_not_cancelled(self, kit):
        sent = order(kit)
        kit.broker.submit(sent)
        kit.to_open()
        answer = kit.broker.cancel(sent.id)
        assert answer.status == "REJECTED" and answer.detail and kit.broker.find(sent.id).status == "FILLED"

    def test_an_order_that_never_arrived_is_not_found_and_not_cancelled(self, kit):
        assert kit.broker.find("tk1-never") is None and kit.broker.cancel("tk1-never").status != "ACCEPTED"

    def test_an_order_that_was_replaced_is_found_as_the_one_in_its_place(self, kit):
        sent = order(kit)
        kit.broker.submit(sent)
        successor = kit.replace(sent.id)
        found = kit.broker.find(sent.id)
        assert found.broker_id == successor and found.waits
        [old] = [each for each in kit.broker.orders(kit.now() - pd.Timedelta("1D")) if each.id == sent.id]
        assert not old.waits and old.replaced_by == successor
        assert kit.broker.cancel(sent.id).status == "ACCEPTED" and not kit.broker.find(sent.id).waits

    # --- lists

    def test_orders_that_wait_are_told_however_old_and_others_since_an_instant(self, kit):
        waits = order(kit, 0, kind="limit", level=round(kit.price(kit.symbols[0]) / 2, 2))
        done = order(kit, 1, symbol=kit.symbols[1])
        kit.broker.submit(waits)
        kit.broker.submit(done)
        kit.to_close()
        since = kit.now()
        late = order(kit, 2)
        kit.broker.submit(late)
        assert [each.id for each in kit.broker.orders(since)] == [waits.id, late.id]
        every = kit.broker.orders(since - pd.Timedelta("7D"))
        assert [each.id for each in every] == [waits.id, done.id, late.id]
        assert [each.status for each in every] == ["ACCEPTED", "FILLED", "ACCEPTED"]

    def test_activities_are_told_alike_each_time_and_not_before_the_instant(self, kit):
        kit.broker.submit(order(kit))
        since = kit.now()
        kit.to_close()
        told = kit.broker.activities(since)
        assert told == kit.broker.activities(since) and len({each.id for each in told}) == len(told) > 0
        assert [each.at for each in told] == sorted(each.at for each in told)
        assert not any(each.kind == "fill" for each in kit.broker.activities(kit.now()))

    def test_more_orders_than_one_answer_holds_are_all_told(self, kit):
        since, names = kit.now(), kit.crowd(kit.rows)
        assert len(names) == kit.rows
        assert [each.id for each in kit.broker.orders(since)] == names
        assert [each.id for each in kit.broker.orders(since + pd.Timedelta("1D"))] == names  # they wait

    def test_more_activities_than_one_answer_holds_are_all_told(self, kit):
        since, before = kit.now() - pd.Timedelta("1D"), kit.broker.purse().cash
        for n in range(kit.rows):
            kit.move("transfer", (n + 1) * 10_000)
        told = kit.broker.activities(since)
        assert sorted(each.cash for each in told) == [(n + 1) * 10_000 for n in range(kit.rows)]
        assert len({each.id for each in told}) == kit.rows
        assert kit.broker.purse().cash - before == sum(each.cash for each in told)

    @pytest.mark.parametrize(
        "kind, cash", [("dividend", 12_500_000), ("interest", 120_000), ("fee", -30_000), ("transfer", -5_000_000)]
    )
    def test_cash_that_comes_or_goes_for_no_trade_is_told_as_what_it_is(self, kit, kind, cash):
        since, symbol = kit.now() - pd.Timedelta("1D"), kit.symbols[0] if kind == "dividend" else None
        kit.move(kind, cash, symbol)
        [told] = kit.broker.activities(since)
        assert (told.kind, told.cash, told.qty, told.broker_id) == (kind, cash, 0, "")
        assert told.symbol == symbol and told.fee == (-cash if kind == "fee" else 0)

    # --- the account and the market

    def test_purse_clock_and_assets_are_in_our_units(self, kit):
        purse, clock = kit.broker.purse(), kit.broker.clock()
        assert purse.number and purse.cash == purse.equity == kit.cash() and purse.blocked == ""
        assert all(isinstance(each, int) for each in (purse.cash, purse.equity, purse.buying_power))
        assert clock.now.tz_convert("UTC") == kit.now() and not clock.is_open and clock.now < clock.next_open < clock.next_close
        asset = kit.broker.asset(kit.symbols[0])
        assert asset.symbol == kit.symbols[0] and asset.tradable and kit.broker.asset(kit.strange) is None

    def test_a_split_is_told_of_the_days_among_which_its_ex_date_is(self, kit):
        symbol, split = kit.split
        day = pd.Timedelta("1D")
        assert kit.broker.splits(split.day, split.day)[symbol] == split
        assert kit.broker.splits(split.day - 7 * day, split.day + 7 * day)[symbol] == split
        assert symbol not in kit.broker.splits(split.day - 7 * day, split.day - day)
        assert symbol not in kit.broker.splits(split.day + day, split.day + 7 * day)

    @pytest.mark.parametrize(
        "tradable, shortable, fractionable",
        [(True, True, True), (True, True, False), (True, False, True), (True, False, False), (False, False, False)],
    )
    def test_what_may_be_done_with_a_symbol_is_told_as_it_is(self, kit, tradable, shortable, fractionable):
        kit.permit(kit.symbols[0], tradable, shortable, fractionable)
        asset = kit.broker.asset(kit.symbols[0])
        assert asset.tradable is tradable
        if tradable:
            assert (asset.shortable, asset.fractionable) == (shortable, fractionable)

    def test_the_money_of_a_test_is_not_real_and_the_broker_has_a_name(self, kit):
        assert kit.broker.live is False and kit.broker.name

    def test_when_orders_are_taken_and_how_long_to_rest_is_said_without_a_request(self, kit):
        for _ in range(3):
            now = kit.now()
            first = kit.broker.accepts(now)
            assert isinstance(first, pd.Timestamp) and first.tzinfo is not None and now <= first <= now + pd.Timedelta("7D")
            assert kit.broker.accepts(first) == first
            assert 0.0 <= kit.broker.pause() < math.inf
            kit.to_open()
        assert kit.requests() == kit.broker.meter.calls == 0

    def test_what_is_asked_ahead_is_told_as_if_it_were_not(self, kit):
        kit.broker.submit(order(kit))
        since, symbols = kit.now(), [*kit.symbols, kit.strange]
        kit.to_close()

        def answers():
            news = kit.broker.activities(since), kit.broker.orders(since), kit.broker.positions()
            return *news, kit.broker.purse(), kit.broker.clock(), [kit.broker.asset(symbol) for symbol in symbols]

        alone, calls = answers(), kit.broker.meter.calls
        with kit.broker.ahead(since, ("purse", "clock"), symbols):
            assert answers() == alone
        assert kit.broker.meter.calls == kit.requests() and kit.broker.meter.calls - calls <= calls

    def test_an_error_in_what_was_asked_ahead_leaves_nothing_behind(self, kit):
        with pytest.raises(ZeroDivisionError), kit.broker.ahead(kit.now(), ("purse", "clock"), kit.symbols):
            raise ZeroDivisionError
        assert kit.broker.purse().cash == kit.cash() and kit.broker.positions() == []

    # --- what goes wrong

    @pytest.mark.parametrize("way", ["lose_answer", "stall", "garble"])
    def test_an_answer_that_is_lost_is_unknown_and_the_order_is_found(self, kit, way):
        sent = order(kit)
        getattr(kit, way)()
        assert kit.broker.submit(sent).status == "UNKNOWN"
        assert kit.broker.find(sent.id).qty == sent.qty
        assert kit.broker.submit(sent).status == "ACCEPTED" and kit.booked() == [sent.id]

    @pytest.mark.parametrize("way", ["lose_request", "limit"])
    def test_an_order_that_was_lost_on_its_way_is_sent_again_under_its_id(self, kit, way):
        sent = order(kit)
        getattr(kit, way)()
        assert kit.broker.submit(sent).status == "UNKNOWN" and kit.booked() == []
        kit.rest()
        assert kit.broker.find(sent.id) is None
        assert kit.broker.submit(sent).status == "ACCEPTED" and kit.booked() == [sent.id]

    @pytest.mark.parametrize("way", ["lose_answer", "lose_request", "garble", "stall", "limit"])
    def test_a_cancellation_without_an_answer_is_unknown(self, kit, way):
        sent = order(kit)
        kit.broker.submit(sent)
        getattr(kit, way)()
        assert kit.broker.cancel(sent.id).status == "UNKNOWN" and kit.booked() == [sent.id]

    READS = {
        "find": lambda broker, symbol: broker.find("tk1-x"),
        "orders": lambda broker, symbol: broker.orders(pd.Timestamp("2012-01-01", tz="UTC")),
        "activities": lambda broker, symbol: broker.activities(pd.Timestamp("2012-01-01", tz="UTC")),
        "positions": lambda broker, symbol: broker.positions(),
        "purse": lambda broker, symbol: broker.purse(),
        "clock": lambda broker, symbol: broker.clock(),
        "asset": lambda broker, symbol: broker.asset(symbol),
        "splits": lambda broker, symbol: broker.splits(pd.Timestamp("2012-11-21"), pd.Timestamp("2012-11-23")),
    }

    @pytest.mark.parametrize("way", ["lose_answer", "garble", "stall", "limit"])
    @pytest.mark.parametrize("read", READS)
    def test_no_answer_is_never_an_empty_one(self, kit, read, way):
        getattr(kit, way)()
        began = time.perf_counter()
        with pytest.raises(BrokerUnavailable):
            self.READS[read](kit.broker, kit.symbols[0])
        assert time.perf_counter() - began <= SLACK * kit.deadline

    def test_with_the_wrong_keys_it_is_refused(self, kit):
        stranger = kit.stranger()
        for read in self.READS.values():
            with pytest.raises(BrokerRefused):
                read(stranger, kit.symbols[0])
        answers = stranger.submit(order(kit)), stranger.cancel("tk1-x")
        assert all(each.status == "REJECTED" and each.detail for each in answers) and kit.booked() == []

    # --- counting

    def test_every_request_is_counted(self, kit):
        sent = order(kit)
        kit.broker.submit(sent)
        kit.broker.submit(sent)
        kit.lose_answer()
        kit.broker.cancel(sent.id)
        for read in self.READS.values():
            read(kit.broker, kit.symbols[0])
        assert kit.broker.meter.calls == kit.requests() > len(self.READS)

    def test_past_the_allowance_nothing_is_sent(self, kit):
        kit.broker.meter.allow(0)
        assert kit.broker.submit(order(kit)).status == "ABSENT" and kit.broker.cancel("tk1-x").status == "UNKNOWN"
        for read in self.READS.values():
            with pytest.raises(BrokerUnavailable, match="allowance"):
                read(kit.broker, kit.symbols[0])
        assert kit.requests() == 0 and kit.booked() == []

    @pytest.mark.parametrize(
        "wrong", [{"qty": 0}, {"qty": -UNIT}, {"side": "hold"}, {"kind": "limit", "level": math.nan}, {"kind": "iceberg"}]
    )
    def test_what_is_no_order_is_rejected_before_the_wire(self, kit, wrong):
        answer = kit.broker.submit(order(kit, **wrong))
        assert answer.status == "REJECTED" and answer.detail and kit.requests() == 0
