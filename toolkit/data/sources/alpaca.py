"""Alpaca's bars as a source, through alpaca-py (`pip install 'toolkit[alpaca]'`): many symbols in one paged request.

What the wire tells, and what it does not:

* A symbol without a bar in the range is simply not in the reply, be it unknown, delisted before, not listed yet, or untraded
  on the feed (IEX sees a few percent of all trades). That is DataUnavailable. Only a text that Alpaca calls an invalid symbol
  (status 400, the whole request is refused) is UnknownSymbol; the request is made again without it.
* Intraday bars include extended hours, which are dropped here, and the closing auction lies in the minute of 16:00, after the
  session: only the daily bar has it. Hours are counted from midnight, across the open, so that 1h bars are made here of 30m.
* Corporate actions are found by the day on which they are processed, for a dividend weeks after its ex-date. So the actions
  of a year more are asked for. Alpaca promises no time at which an action appears.
* Old bars of a renamed company come under its present symbol (`asof` is left at its default, today).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import platformdirs

from toolkit.data.calendar import Calendar
from toolkit.data.clock import Clock, SystemClock
from toolkit.data.meter import Meter
from toolkit.data.pace import Pace
from toolkit.data.sources import History
from toolkit.data.sources.alpaca_pages import Action, Blocks, actions_in, append_bars, events_of, history_of
from toolkit.data.sources.alpaca_wire import CURE, Refused, Wire
from toolkit.errors import DataUnavailable, EmptyRange, InvalidParameter, ToolkitError, UnknownSymbol

FRAMES = {"1d": "1Day", "1m": "1Min", "2m": "2Min", "5m": "5Min", "15m": "15Min", "30m": "30Min", "1h": "30Min"}
# Without a subscription the last 15 minutes of all exchanges together are not served.
DELAYS = {"iex": pd.Timedelta("1min"), "sip": pd.Timedelta("16min")}
ROWS, ACTIONS = 10_000, 1000  # the most that Alpaca puts on a page
BOOKED = ("forward_split", "reverse_split", "cash_dividend")
UNBOOKED = ("stock_dividend", "spin_off", "unit_split")  # named as issues
LATE = pd.Timedelta(days=366)  # from an ex-date to the day on which it is processed, at most


class AlpacaSource:
    """Daily and intraday bars as traded, splits and cash dividends; `batch` symbols a request, pages of 10,000 bars.

    `key` and `secret` are read from APCA_API_KEY_ID and APCA_API_SECRET_KEY if not given; they appear in no message. `feed`
    is "iex" (free) or "sip". At most `rate` requests a minute, each within `timeout` seconds and counted by `meter`; what may
    pass is tried three times. Raises InvalidParameter without keys, DataUnavailable without alpaca-py.
    """

    batch = 100

    def __init__(
        self,
        key: str | None = None,
        secret: str | None = None,
        *,
        feed: str = "iex",
        url: str | None = None,
        rate: float = 180.0,
        timeout: float = 20.0,
        clock: Clock | None = None,
        shared: Path | None = None,
    ) -> None:
        if feed not in DELAYS:
            raise InvalidParameter(f"feed is {feed!r}", f"pass one of {', '.join(DELAYS)}")
        key = _checked_key("key", key or os.environ.get("APCA_API_KEY_ID"))
        secret = _checked_key("secret", secret or os.environ.get("APCA_API_SECRET_KEY"))
        if url is None and shared is None:
            shared = Path(platformdirs.user_cache_dir("toolkit")) / "alpaca.not_before"
        self.meter, self.feed = Meter(), feed
        self._clock: Clock = clock if clock is not None else SystemClock()
        self.pace = Pace(rate / 60.0, 20, self._clock, shared)
        wire = Wire(self.meter, self.pace, self._clock, timeout, (key, secret))
        self._bars_client, self._actions_client = _clients(key, secret, _checked_url(url), wire)

    @property
    def name(self) -> str:
        """With the feed: prices and volumes of one exchange are not those of all."""
        return f"alpaca-{self.feed}"

    @property
    def edition(self) -> str:
        return ""

    @property
    def delay(self) -> pd.Timedelta:
        return DELAYS[self.feed]

    def reach(self, interval: str) -> pd.Timedelta | None:
        if interval not in FRAMES:
            raise InvalidParameter(f"interval is {interval!r}", f"Alpaca serves {', '.join(FRAMES)}")
        return None

    def fetch(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> History:
        answer = self.fetch_many([symbol], start, end, interval)[symbol]
        if isinstance(answer, ToolkitError):
            raise answer
        return answer

    def fetch_many(
        self, symbols: Sequence[str], start: pd.Timestamp, end: pd.Timestamp, interval: str
    ) -> Mapping[str, History | ToolkitError]:
        self.reach(interval)
        answers: dict[str, History | ToolkitError] = {}
        wanted = list(symbols)
        while wanted:
            try:
                return answers | self._fetched(wanted, start, end, interval)
            except Refused as error:
                strange = re.search(r"invalid symbol[^:]*:\s*([A-Z0-9^.=-]+)", error.what)
                if strange is None or strange[1] not in wanted:
                    return answers | {symbol: _of(symbol, error) for symbol in wanted}
                wanted.remove(strange[1])
                cure = "Alpaca writes classes of shares with a dot, e.g. BRK.B"
                answers[strange[1]] = UnknownSymbol(f"{strange[1]}: Alpaca knows no such symbol", cure, symbol=strange[1])
            except DataUnavailable as error:
                return answers | {symbol: _of(symbol, error) for symbol in wanted}
        return answers

    def _fetched(
        self, symbols: list[str], start: pd.Timestamp, end: pd.Timestamp, interval: str
    ) -> dict[str, History | ToolkitError]:
        """An answer for each symbol; those whose bars had come when a later page failed are kept."""
        query = {"symbols": ",".join(symbols), "timeframe": FRAMES[interval], "adjustment": "raw", "feed": self.feed}
        query |= {**self._span(start, end, interval), "limit": str(ROWS), "sort": "asc"}
        actions = self._actions(symbols, start, end)
        blocks: Blocks = {}
        unsure = ""
        failure: DataUnavailable | None = None
        try:
            for page in self._pages(self._bars_client, "/stocks/bars", query):
                unsure = append_bars(blocks, page, symbols)
        except Refused:
            raise
        except DataUnavailable as error:
            failure = error
        answers: dict[str, History | ToolkitError] = {}
        for symbol in symbols:
            if failure is not None and (symbol == unsure or symbol not in blocks):
                answers[symbol] = _of(symbol, failure)
                continue
            try:
                events = events_of(symbol, actions, start, end)
                answers[symbol] = history_of(symbol, blocks.get(symbol, []), events, start, end, interval)
            except DataUnavailable as error:
                answers[symbol] = error
        return answers

    def _span(self, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> dict[str, str]:
        """First and last instant to ask for; both are included. Raises EmptyRange if there is no session between."""
        exchange = Calendar("XNYS")
        at = np.searchsorted(exchange.sessions, [start.to_datetime64(), end.to_datetime64() + np.timedelta64(1, "ns")])
        latest = self._clock.now() - self.delay if self.feed == "sip" else pd.Timestamp.max.tz_localize("UTC")
        if at[0] < at[1]:
            opened, closed = exchange.open_instant(int(at[0])), exchange.close_instant(int(at[1]) - 1)
            first = opened.normalize() if interval == "1d" else opened
            last = min(closed - pd.Timedelta(seconds=1), latest)
            if first <= last:
                return {name: f"{instant:%Y-%m-%dT%H:%M:%SZ}" for name, instant in (("start", first), ("end", last))}
        raise EmptyRange(f"there is no session from {start:%Y-%m-%d} to {end:%Y-%m-%d}", "widen the range")

    def _actions(self, symbols: list[str], start: pd.Timestamp, end: pd.Timestamp) -> list[Action]:
        query = {"symbols": ",".join(symbols), "types": ",".join(BOOKED + UNBOOKED), "limit": str(ACTIONS), "sort": "asc"}
        query |= {"start": f"{start:%Y-%m-%d}", "end": f"{end + LATE:%Y-%m-%d}"}
        pages = self._pages(self._actions_client, "/corporate-actions", query)
        return [action for page in pages for action in actions_in(page)]

    def _pages(self, client: Any, path: str, query: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        # alpaca-py would gather all pages as dictionaries, half a kilobyte a bar, and go round in a circle with the server.
        token, before = None, ""
        while token != before:
            page = client.get(path, {**query, "page_token": token})
            if not isinstance(page, dict):
                raise DataUnavailable(f"Alpaca sent a {type(page).__name__} for a page of {path}", CURE)
            yield page
            before, token = token or "", page.get("next_page_token")
            if token is None:
                return
        raise DataUnavailable(f"Alpaca sent the page {token!r} twice", CURE)


def _checked_key(name: str, value: str | None) -> str:
    """The value; the message never holds it."""
    if not value:
        cure = "set APCA_API_KEY_ID and APCA_API_SECRET_KEY, or pass key and secret"
        raise InvalidParameter(f"the {name} of Alpaca is missing", cure)
    if not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidParameter(f"the {name} of Alpaca holds a space or a sign that no key has", "copy it again")
    return value


def _checked_url(url: str | None) -> str | None:
    """The address; keys travel encrypted or not at all, except to this machine."""
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")):
            raise InvalidParameter(f"url is {url!r}", "pass an https address, or http to 127.0.0.1")
    return url


def _clients(key: str, secret: str, url: str | None, wire: Wire) -> tuple[Any, Any]:
    try:
        from alpaca.data.historical.corporate_actions import CorporateActionsClient
        from alpaca.data.historical.stock import StockHistoricalDataClient
    except ImportError as error:
        raise DataUnavailable("alpaca-py is not installed", "pip install 'toolkit[alpaca]'") from error
    kinds: tuple[Any, ...] = (StockHistoricalDataClient, CorporateActionsClient)
    clients = tuple(kind(key, secret, url_override=url) for kind in kinds)
    for client in clients:
        client._session = wire  # its own would try 429 and 504 again three times without a word, and wait for ever
    return clients[0], clients[1]


def _of(symbol: str, error: DataUnavailable) -> DataUnavailable:
    """The error that all of a batch share, as that of one symbol."""
    own = type(error)(f"{symbol}: {error.what}", error.cure, symbol=symbol)
    own.__cause__ = error
    return own
