"""An Alpaca on the loopback interface: the real alpaca-py talks to it over real sockets.

    with AlpacaServer([daily, minutes], now=pd.Timestamp("2012-06-01 21:00", tz="UTC")) as alpaca:
        source = AlpacaSource(alpaca.key, alpaca.secret, url=alpaca.url)

It answers market data: bars of many symbols and corporate actions, page by page, for the keys it was given, and counts the
requests of each minute. `now`, `latency` in seconds and `limit` may be set while it runs, faults are queued with `fault`,
and `log` names every request. More of Alpaca's wire is a function from server and request to a reply, put into `routes`:

    alpaca.routes["GET", "/v2/clock"] = lambda server, request: Reply({"timestamp": f"{server.instant}"})
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pandas as pd

from toolkit.data import Bars
from toolkit.errors import InvalidParameter
from toolkit.testing.alpaca_market import actions_page, bars_page

FAULTS = ("429", "500", "504", "html", "truncated", "short", "reset", "stall", "drip")


class Request(NamedTuple):
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    port: int
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What goes back; `body` becomes JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """A fault of `kind` that the next `times` requests whose path holds `path` suffer, after `skip` others."""

    kind: str
    times: int
    path: str
    headers: Mapping[str, str]
    skip: int


Route = Callable[["AlpacaServer", Request], Reply]


class AlpacaServer:
    """Serves `bars` (one Bars an interval) as Alpaca would at the instant `now`; None: at the machine's time.

    A context manager that listens on 127.0.0.1 alone. `limit` requests a minute are allowed.
    """

    def __init__(
        self, bars: Bars | Iterable[Bars], now: pd.Timestamp | None = None, latency: float = 0.0, limit: int = 200
    ) -> None:  # fmt: skip
        several = [bars] if isinstance(bars, Bars) else list(bars)
        self.bars = {each.interval: each for each in several}
        self.now, self.latency, self.limit = now, latency, limit
        self.key, self.secret = "PKLOOPBACK", "loopback-secret"
        self.routes: dict[tuple[str, str], Route] = {  # by method and a pattern of the whole path
            ("GET", "/v2/stocks/bars"): lambda server, asked: Reply(*bars_page(server.bars, asked.query, server.instant)),
            ("GET", "/v1/corporate-actions"): lambda server, asked: Reply(
                *actions_page(server.bars, asked.query, server.instant)
            ),
        }
        self.log: list[Request] = []
        self.closing = threading.Event()
        self._faults: list[Fault] = []
        self._minutes: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
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

    @property
    def url(self) -> str:
        """What to pass as url of AlpacaSource, or as url_override of a client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def instant(self) -> pd.Timestamp:
        """The time it is here, UTC."""
        return pd.Timestamp.now("UTC") if self.now is None else self.now.tz_convert("UTC")

    def fault(
        self, kind: str, times: int = 1, path: str = "", headers: Mapping[str, str] | None = None, skip: int = 0
    ) -> None:  # fmt: skip
        """Let the next `times` requests whose path holds `path` fail in one of the ways of FAULTS, after `skip` others."""
        if kind not in FAULTS:
            raise InvalidParameter(f"fault {kind!r} is not known", f"pass one of {', '.join(FAULTS)}")
        with self._lock:
            self._faults.append(Fault(kind, times, path, headers or {}, skip))

    def heal(self) -> None:
        """Forget all faults that have not struck yet."""
        with self._lock:
            self._faults.clear()

    def due_fault(self, path: str) -> Fault | None:
        """The fault that a request of `path` suffers now; it counts as used."""
        with self._lock:
            for fault in self._faults:
                if fault.times <= 0 or fault.path not in path:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                return fault
        return None

    def answer(self, request: Request, key: str | None, secret: str | None) -> Reply:
        """The reply to one request without faults: keys, then the limit, then the route."""
        if (key, secret) != (self.key, self.secret):
            return Reply({"message": "unauthorized."}, 401)
        minute = int(self.instant.timestamp()) // 60
        with self._lock:
            self._minutes[minute] += 1
            left = self.limit - self._minutes[minute]
        about = {"X-RateLimit-Limit": self.limit, "X-RateLimit-Remaining": max(left, 0), "X-RateLimit-Reset": 60 * (minute + 1)}
        headers = {name: str(value) for name, value in about.items()}
        if left < 0:
            return Reply({"message": "too many requests."}, 429, headers)
        for (method, pattern), route in self.routes.items():
            if method == request.method and re.fullmatch(pattern, request.path):
                reply = route(self, request)
                return Reply(reply.body, reply.status, {**headers, **reply.headers})
        return Reply({"message": "endpoint not found."}, 404, headers)


def _handler(alpaca: AlpacaServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *arguments: Any) -> None:
            """The log of requests is `AlpacaServer.log`."""

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(alpaca.instant.to_pydatetime(warn=False), usegmt=True)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), self.client_address[1], body)
            alpaca.log.append(request)
            if alpaca.latency:
                time.sleep(alpaca.latency)
            fault = alpaca.due_fault(parts.path)
            reply = alpaca.answer(request, self.headers["APCA-API-KEY-ID"], self.headers["APCA-API-SECRET-KEY"])
            content = json.dumps(reply.body).encode()
            if fault is None:
                self.send(reply.status, content, reply.headers)
            else:
                self.fail(fault, content)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def fail(self, fault: Fault, body: bytes) -> None:
            if fault.kind in ("429", "500", "504"):
                return self.send(int(fault.kind), b'{"message": "fault"}', fault.headers)
            if fault.kind == "html":
                return self.send(200, b"<html>Will be right back</html>", {"Content-Type": "text/html"})
            if fault.kind == "truncated":
                return self.send(200, body[: len(body) // 2])
            if fault.kind == "short":
                self.send(200, body[: len(body) // 2], length=len(body))
            if fault.kind == "stall":
                alpaca.closing.wait(30)
            if fault.kind == "drip":
                self.send(200, b"", length=len(body))
                self.drip(body)
            self.close_connection = True
            self.connection.close()

        def drip(self, body: bytes) -> None:
            """A byte now and then: no single wait of the client is ever long."""
            for at in range(len(body)):
                if alpaca.closing.wait(0.02):
                    return
                try:
                    self.wfile.write(body[at : at + 1])
                    self.wfile.flush()
                except OSError:  # the client has had enough
                    return

        def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None, length: int | None = None) -> None:
            self.send_response(status)
            about = {"Content-Type": "application/json", "Content-Length": str(len(body) if length is None else length)}
            for name, value in {**about, **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

    return Handler
