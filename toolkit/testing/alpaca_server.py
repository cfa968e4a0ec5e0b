"""An Alpaca on the loopback interface: the real alpaca-py talks to it over real sockets.

    with AlpacaServer([daily, minutes], now=pd.Timestamp("2012-06-01 21:00", tz="UTC")) as alpaca:
        source = AlpacaSource(alpaca.key, alpaca.secret, url=alpaca.url)

It answers market data: bars of many symbols and corporate actions, page by page, for the keys it was given, and counts the
requests of each minute. With daily bars it trades, too: `exchange` is the other side (see `alpaca_trading`), `stream` its
websocket, and setting `now` lets happen what happens until then. `latency` in seconds and `limit` may be set while it runs,
faults are queued with `fault` (see `alpaca_faults`), and `log` names every request. More of Alpaca's wire is a function from
server and request to a reply, put into `routes`:

    alpaca.routes["GET", "/v2/clock"] = lambda server, request: Reply({"timestamp": f"{server.instant}"})
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http.server import ThreadingHTTPServer
from typing import Any

import pandas as pd

from toolkit.data import Bars, Clock
from toolkit.errors import InvalidParameter
from toolkit.testing.alpaca_bodies import event_body
from toolkit.testing.alpaca_faults import AFTERWARDS, CONTENT, DURING, FAULTS, REFUSALS, STREAM, during
from toolkit.testing.alpaca_market import actions_page, bars_page
from toolkit.testing.alpaca_stream import PLACE, TradeUpdates
from toolkit.testing.alpaca_trading import ROUTES, served
from toolkit.testing.alpaca_wire import Fault, Reply, Request, speaking
from toolkit.testing.exchange import Exchange

__all__ = ["FAULTS", "AlpacaServer", "Reply", "Request"]

Route = Callable[["AlpacaServer", Request], Reply]


class AlpacaServer:
    """Serves `bars` (one Bars an interval) as Alpaca would at the instant `now`; None: at the machine's time.

    A context manager that listens on 127.0.0.1 alone. `limit` requests a minute are allowed. Without an `exchange` it trades
    its daily bars for an account of 100,000 dollars, if it has any. With a `clock` it moves to its instant at each request.
    """

    def __init__(
        self, bars: Bars | Iterable[Bars], now: pd.Timestamp | None = None, latency: float = 0.0, limit: int = 200,
        exchange: Exchange | None = None, clock: Clock | None = None,
    ) -> None:  # fmt: skip
        several = [bars] if isinstance(bars, Bars) else list(bars)
        self.bars = {each.interval: each for each in several}
        self._exchange = Exchange(self.bars["1d"]) if exchange is None and "1d" in self.bars else exchange
        self._stream: TradeUpdates | None = None
        self.clock = clock
        self.now, self.latency, self.limit = clock.now() if clock and now is None else now, latency, limit
        self.key, self.secret = "PKLOOPBACK", "loopback-secret"
        self.routes: dict[tuple[str, str], Route] = {  # by method and a pattern of the whole path
            ("GET", "/v2/stocks/bars"): lambda server, asked: Reply(*bars_page(server.bars, asked.query, server.instant)),
            ("GET", "/v1/corporate-actions"): lambda server, asked: Reply(
                *actions_page(server.bars, asked.query, server.instant)
            ),
        }
        for (method, pattern), route in ROUTES.items() if self._exchange else ():
            self.routes[method, pattern] = partial(_trading, route)
        self.log: list[Request] = []
        self.closing = threading.Event()
        self._faults: list[Fault] = []
        self._minutes: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), speaking(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> AlpacaServer:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._stream is not None:
            self._stream.close()

    @property
    def url(self) -> str:
        """What to pass as url of AlpacaSource, or as url_override of a client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def now(self) -> pd.Timestamp | None:
        """The time it is here, None for the machine's; to set it lets happen what happens until then."""
        return self._now

    @now.setter
    def now(self, now: pd.Timestamp | None) -> None:
        self._now = now
        if self._exchange is not None:
            self._exchange.turn(self.instant)

    @property
    def exchange(self) -> Exchange:
        """The other side of the orders."""
        if self._exchange is None:
            raise InvalidParameter(f"bars are of {', '.join(self.bars)}", "pass daily bars, interval '1d', to trade them")
        return self._exchange

    @property
    def stream(self) -> TradeUpdates:
        """The websocket `trade_updates`, which listens from the first look at it on."""
        if self._stream is None:
            stream = self._stream = TradeUpdates(lambda: (self.key, self.secret), lambda: self._due_word(PLACE))
            self.exchange.listeners.append(lambda happening: stream.tell(event_body(happening)))
        return self._stream

    @property
    def instant(self) -> pd.Timestamp:
        """The time it is here, UTC."""
        return pd.Timestamp.now("UTC") if self._now is None else self._now.tz_convert("UTC")

    def fault(
        self, kind: str, times: int = 1, path: str = "", headers: Mapping[str, str] | None = None, skip: int = 0,
        method: str = "",
    ) -> None:  # fmt: skip
        """Let the next `times` requests whose path holds `path` fail in one of the ways of FAULTS, after `skip` others.

        `method` is any if it is empty; the events of the stream have the path "/stream", which has to be named.
        """
        known = STREAM if path == PLACE else FAULTS
        if kind not in known:
            raise InvalidParameter(f"fault {kind!r} is not known", f"pass one of {', '.join(known)}")
        with self._lock:
            self._faults.append(Fault(kind, times, path, headers or {}, skip, method))

    def heal(self) -> None:
        """Forget all faults that have not struck yet."""
        with self._lock:
            self._faults.clear()

    def due_fault(self, path: str, method: str = "GET") -> Fault | None:
        """The fault that a request of `path` suffers now; it counts as used."""
        with self._lock:
            for fault in self._faults:
                meant = fault.path == PLACE if path == PLACE else fault.path in path
                if fault.times <= 0 or not meant or fault.method not in ("", method):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                return fault
        return None

    def _due_word(self, path: str) -> str | None:
        fault = self.due_fault(path)
        return fault.kind if fault else None

    def answer(self, request: Request, key: str | None, secret: str | None, fault: Fault | None = None) -> Reply:
        """The reply to one request: keys, then the limit, then the route, and the faults of what is booked and said."""
        if (key, secret) != (self.key, self.secret):
            return Reply({"message": "unauthorized."}, 401)
        if self.clock is not None and self.clock.now() != self._now:
            self.now = self.clock.now()
        minute = int(self.instant.timestamp()) // 60
        with self._lock:
            self._minutes[minute] += 1
            left = self.limit - self._minutes[minute]
        about = {"X-RateLimit-Limit": self.limit, "X-RateLimit-Remaining": max(left, 0), "X-RateLimit-Reset": 60 * (minute + 1)}
        headers = {name: str(value) for name, value in about.items()}
        if left < 0:
            return Reply({"message": "too many requests."}, 429, headers)
        reply = self._faulty(request, fault) if fault else self._routed(request)
        return Reply(reply.body, reply.status, {**headers, **reply.headers})

    def _routed(self, request: Request) -> Reply:
        for (method, pattern), route in self.routes.items():
            if method == request.method and re.fullmatch(pattern, request.path):
                return route(self, request)
        return Reply({"message": "endpoint not found."}, 404)

    def _faulty(self, request: Request, fault: Fault) -> Reply:
        """What is booked and said under a fault; those of transport are left to the handler."""
        if fault.unbooked or fault.kind in REFUSALS:
            return Reply(*REFUSALS.get(fault.kind, ({"message": "fault"}, 200)), fault.headers)
        if fault.kind in DURING:
            with self.exchange.lock:
                return Reply(*during(fault.kind, self.exchange, lambda: self._page(request), request.path))
        reply = self._routed(request)
        if fault.kind in CONTENT:
            absent = fault.kind == "hidden" and not isinstance(reply.body, list)
            return Reply(CONTENT[fault.kind](reply.body), 404 if absent else reply.status)
        order = self.exchange.orders.get(reply.body.get("id", "")) if fault.kind in AFTERWARDS else None
        if order is not None:
            AFTERWARDS[fault.kind](self.exchange, order)
        return reply

    def _page(self, request: Request) -> tuple[Any, int]:
        reply = self._routed(request)
        return reply.body, reply.status


def _trading(route: Any, server: AlpacaServer, request: Request) -> Reply:
    return Reply(*served(server.exchange, route, (request.path, request.query, request.body), server.instant))
