"""Alpaca as a broker, through alpaca-py (`pip install 'toolkit[alpaca]'`): its paper account, or the real one.

Every request is counted, made once and over before the deadline; orders carry our ids and decimal texts. What each answer to
an order means:

* 2xx that repeats our id, symbol, side and quantity: ACCEPTED. One that repeats something else: UNKNOWN.
* 422 "client_order_id must be unique": it arrived earlier, so it is looked up, and ACCEPTED if it is ours.
* Another 400, 401, 403 or 422 in Alpaca's form: REJECTED with its code and words; `unauthorized` in front where it is the keys.
* 429: not accepted, but not refused for good either: UNKNOWN, the same id is sent again once a lookup has found nothing.
* Everything else (no answer in time, 5xx, a page of a proxy): UNKNOWN.
* No request was made (our own pace, the budget of requests): ABSENT, it surely did not arrive.

Alpaca takes whole shares alone into the opening auction, and fractions as day orders alone: those go as such (`fields_of`).
A market order that arrives within two minutes before an open, or until 19:00 New York after it, Alpaca itself rejects; a
fraction, which it would trade at once while the exchange is open, keeps the same hours (`accepts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import pandas as pd

from toolkit.data.clock import Clock, SystemClock, utc, waiting
from toolkit.data.meter import Meter
from toolkit.data.pace import Pace
from toolkit.errors import BrokerRefused, BrokerUnavailable, InvalidParameter
from toolkit.execution.brokers.alpaca_pages import EPOCH, activities_of, asset_path, day_of, first_pages, orders_of, splits_page
from toolkit.execution.brokers.alpaca_wire import FINAL, Refused, Unsent, Wire
from toolkit.execution.brokers.alpaca_words import (
    EASTERN,
    activity_of,
    asset_of,
    clock_of,
    decimal,
    fields_of,
    flaw_of,
    holding_of,
    listed,
    price_of,
    purse_of,
    report_of,
    split_of,
)
from toolkit.execution.brokers.values import Activity, Answer, Asset, Holding, MarketClock, Purse, Report, Split
from toolkit.execution.credentials import SHOWN, Secret
from toolkit.execution.orders import Order
from toolkit.kernels.account import UNIT

LONGEST = 12.0  # seconds
LIVE_HOST, PAPER_HOST = "api.alpaca.markets", "paper-api.alpaca.markets"
ALONE = {"clock": "/clock", "purse": "/account"}
REPLACED = 20  # an order that was replaced more often has gone round in a circle


class AlpacaBroker:
    """The account behind a pair of keys; `live` is the one with real money, else Alpaca's paper account.

    `url` overrides the address. A call takes at most `deadline` seconds, all its requests together; at most `rate` requests a
    minute are made. Raises InvalidParameter for keys, an address or a deadline that cannot be, BrokerUnavailable without
    alpaca-py.
    """

    def __init__(
        self,
        key: str | Secret,
        secret: str | Secret,
        *,
        live: bool = False,
        url: str | None = None,
        clock: Clock = SystemClock(),
        deadline: float = 10.0,
        rate: float = 180.0,
    ) -> None:
        key, secret = Secret(key), Secret(secret)  # from here on no variable holds the texts
        for name, each in (("key", key), ("secret", secret)):
            if each.flaw:
                raise InvalidParameter(f"the {name} of Alpaca {each.flaw}", "copy it again")
        if not 0.0 < deadline <= LONGEST:
            raise InvalidParameter(f"deadline is {deadline!r}", f"pass seconds above 0 and up to {LONGEST:g}")
        self._clock = clock
        self.live, self.name, self.meter, self.deadline = live, "alpaca" if live else "alpaca-paper", Meter(), deadline
        self._wire = Wire(key, secret, self.meter, Pace(rate / 60.0, 60, waiting(clock), who="Alpaca"), clock)
        self._client = _client(live, _checked_url(url, live), self._wire)

    crosses = False  # "insufficient qty available for order": alpacahq/alpaca-trade-api-python#129, alpacahq/Alpaca-API#90

    def __repr__(self) -> str:
        return f"AlpacaBroker({self.name})"

    @property
    def skew(self) -> float:
        """Seconds by which Alpaca's clock was ahead of ours at the last answer, known to a second; NaN before the first."""
        return self._wire.skew

    def submit(self, order: Order) -> Answer:
        flaw = flaw_of(order)
        if not flaw and order.kind == "market" and order.qty % UNIT and self.accepts(now := self._clock.now()) > now:
            flaw = f"{decimal(order.qty)} shares would trade at once, not at the next open: hand them in from 19:00 New York on"
        if flaw:
            return Answer("REJECTED", flaw)
        try:
            with self._wire.within(self.deadline):
                return self._submitted(order)
        except Refused as error:
            return Answer("REJECTED" if error.status in FINAL else "UNKNOWN", error.reason)
        except Unsent as error:
            return Answer("ABSENT", error.what)
        except BrokerUnavailable as error:
            return Answer("UNKNOWN", error.what)

    def _submitted(self, order: Order) -> Answer:
        try:
            arrived = report_of(self._client.post("/orders", fields_of(order)))
        except Refused as error:
            if not error.doubled:
                raise
            return self._earlier(order)
        if not _ours(arrived, order) or arrived.qty != order.qty:
            return Answer("UNKNOWN", f"Alpaca answered with another order: {_said(arrived)}")
        if arrived.status == "REJECTED":
            return Answer("REJECTED", "rejected at once", arrived.broker_id)
        return Answer("ACCEPTED", _remark(arrived, order), arrived.broker_id)

    def _earlier(self, order: Order) -> Answer:
        """What became of an order whose id Alpaca has already."""
        try:
            arrived = self._looked_up(order.id)
        except (BrokerUnavailable, BrokerRefused) as error:
            return Answer("UNKNOWN", f"it arrived earlier, but the lookup failed: {error.what}")
        if arrived is None or not _ours(arrived, order):
            what = "is not found" if arrived is None else f"is that of {_said(arrived)}"
            return Answer("UNKNOWN", f"Alpaca has the id already, and it {what}")
        if arrived.status == "REJECTED":
            return Answer("REJECTED", "it arrived earlier and was rejected", arrived.broker_id)
        other = "" if arrived.qty == order.qty else f", for {decimal(arrived.qty)} shares"
        return Answer("ACCEPTED", f"it arrived earlier{other}", arrived.broker_id)

    def cancel(self, order: str) -> Answer:
        broker_id = ""
        try:
            with self._wire.within(self.deadline):
                report = self._found(order)
                if report is None:
                    return Answer("UNKNOWN", "Alpaca does not know the order, or not yet")
                broker_id = report.broker_id
                if not report.waits:
                    return Answer("REJECTED", f"the order is {report.said} already", broker_id)
                self._client.delete(f"/orders/{quote(broker_id, safe='')}")
                return Answer("ACCEPTED", "", broker_id)
        except Refused as error:
            return Answer("REJECTED" if error.status in FINAL else "UNKNOWN", error.reason, broker_id)
        except BrokerUnavailable as error:
            return Answer("UNKNOWN", error.what, broker_id)

    def find(self, order: str) -> Report | None:
        with self._wire.within(self.deadline):
            return self._found(order)

    def _found(self, order: str) -> Report | None:
        report = self._looked_up(order)
        for _ in range(REPLACED):
            if report is None or not report.replaced_by:
                return report
            later = report_of(self._client.get(f"/orders/{quote(report.replaced_by, safe='')}"))
            if later.broker_id != report.replaced_by or later.symbol != report.symbol:
                raise BrokerUnavailable(f"Alpaca was asked for {report.replaced_by} and sent {_said(later)}", "ask again later")
            report = later
        raise BrokerUnavailable(f"order {order} was replaced more than {REPLACED} times", "look at it at Alpaca")

    def _looked_up(self, order: str) -> Report | None:
        try:
            report = report_of(self._client.get("/orders:by_client_order_id", {"client_order_id": order}))
        except Refused as error:
            if error.unknown:
                return None
            raise
        if report.id != order:
            raise BrokerUnavailable(f"Alpaca was asked for {order} and sent {_said(report)}", "ask again later")
        return report

    def orders(self, since: pd.Timestamp) -> list[Report]:
        first = utc(since)
        with self._wire.within(self.deadline):
            found = {each.broker_id: each for each in orders_of(self._client.get, "open", EPOCH)}
            found |= {each.broker_id: each for each in orders_of(self._client.get, "all", first)}  # it shows what ended
        return sorted(found.values(), key=lambda each: (each.at, each.broker_id))

    def activities(self, since: pd.Timestamp) -> list[Activity]:
        first, day = utc(since), day_of(since)
        with self._wire.within(self.deadline):
            found = [activity_of(each) for each in activities_of(self._client.get, first)]
        kept = {each.id: each for each in found if each is not None and each.at >= (first if each.kind == "fill" else day)}
        return sorted(kept.values(), key=lambda each: (each.at, each.id))

    @contextmanager
    def ahead(
        self, since: pd.Timestamp | None = None, alone: Iterable[str] = (), symbols: Iterable[str] = ()
    ) -> Iterator[None]:
        asked = first_pages(since) if since is not None else []
        asked += [(ALONE[question], None) for question in alone]
        asked += [(asset_path(symbol), None) for symbol in symbols]
        with self._wire.ahead([partial(self._client.get, *each) for each in asked], self.deadline):
            yield

    def accepts(self, now: pd.Timestamp) -> pd.Timestamp:
        """Orders for the open are refused from 9:28 to 19:00 New York."""
        here = utc(now).tz_convert(EASTERN)
        first, last = (pd.Timestamp(f"{here:%Y-%m-%d} {hour}").tz_localize(EASTERN) for hour in ("09:28", "19:00"))
        return last.tz_convert("UTC") if first <= here < last else utc(now)

    def pause(self) -> float:
        return self._wire.pause

    def positions(self) -> list[Holding]:
        held = [holding_of(each) for each in listed(self._read("/positions"))]
        if len({each.symbol for each in held}) < len(held):
            raise BrokerUnavailable("Alpaca sent a position twice", "ask again later")
        return held

    def purse(self) -> Purse:
        return purse_of(self._read(ALONE["purse"]))

    def clock(self) -> MarketClock:
        return clock_of(self._read(ALONE["clock"]))

    def asset(self, symbol: str) -> Asset | None:
        try:
            asset = asset_of(self._read(asset_path(symbol)))
        except Refused as error:
            if error.unknown:
                return None
            raise
        if asset.symbol != symbol:
            raise BrokerUnavailable(f"Alpaca was asked for {symbol} and sent {asset.symbol}", "ask again later")
        return asset

    def splits(self, since: pd.Timestamp, until: pd.Timestamp) -> dict[str, Split]:
        with self._wire.within(self.deadline):
            told = [split_of(each) for each in listed(self._client.get(*splits_page(since, until)))]
        return {symbol: split for symbols, split in told for symbol in symbols if since <= split.day <= until}

    def _read(self, path: str) -> Any:
        with self._wire.within(self.deadline):
            return self._client.get(path)


def _ours(report: Report, order: Order) -> bool:
    return (report.id, report.symbol, report.side) == (order.id, order.symbol, order.side)


def _remark(report: Report, order: Order) -> str:
    """What is not as usual in a good answer."""
    if report.status == "UNKNOWN":
        return f"its status is {report.said!r}, which is new to us"
    return "" if order.kind == "market" or float(price_of(order)) == order.level else f"at {price_of(order)}, on Alpaca's grid"


def _said(report: Report) -> str:
    return f"{report.side} {decimal(report.qty)} {report.symbol}, id {report.id}"


def _checked_url(url: str | None, live: bool) -> str | None:
    """The address; keys travel encrypted or not at all, except to this machine, and real money has an address of its own."""
    if url is None:
        return None
    parts = urlsplit(url)
    here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.username is not None or parts.password is not None:
        raise InvalidParameter("url holds a name or password", "keys come from the environment or the keyring alone")
    if not here and (parts.scheme != "https" or parts.hostname != (LIVE_HOST if live else PAPER_HOST)):
        cure = f"pass https://{LIVE_HOST if live else PAPER_HOST}, http to 127.0.0.1, or none"
        raise InvalidParameter(f"url is {url!r} {'with' if live else 'without'} real money", cure)
    return url


def _client(live: bool, url: str | None, wire: Wire) -> Any:
    """An alpaca-py client that holds no key and goes by our wire; on its own it could only be refused."""
    try:
        from alpaca.trading.client import TradingClient
    except ImportError:
        raise BrokerUnavailable("alpaca-py is not installed", "pip install 'toolkit[alpaca]'") from None
    client: Any = TradingClient(SHOWN, SHOWN, paper=not live, raw_data=True, url_override=url)
    client._session, client._retry_codes = wire, []
    return client
