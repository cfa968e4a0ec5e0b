"""A Yahoo on the loopback interface: the real yfinance and curl_cffi talk to it over real sockets.

    with YahooServer(bars, now=pd.Timestamp("2012-06-01 21:00", tz="UTC")) as yahoo:
        source = YahooSource(session=yahoo.session())

It answers the v8 chart, the cookie and the crumb. `latency` in seconds, `now`, and `bars` may be set while it runs,
faults are queued with `fault`, and `log` names every request.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import curl_cffi
import pandas as pd

from toolkit.data import Bars
from toolkit.errors import InvalidParameter
from toolkit.testing.yahoo_chart import CONTENT_FAULTS, chart, not_found

TRANSPORT_FAULTS = ("429", "500", "401", "html", "truncated", "short", "reset", "blank", "empty_result", "not_found")
COOKIE = "A3=d=loopback; Max-Age=31557600; Domain=.yahoo.com; Path=/"
CRUMB = "abcDEF12345"


class Request(NamedTuple):
    """One request as it came in; `symbol` is empty where it is not about a chart."""

    path: str
    symbol: str
    query: dict[str, str]
    port: int


@dataclass
class Fault:
    """A fault of `kind` that the next `times` charts (of `symbol`, if one is named) suffer."""

    kind: str
    times: int
    symbol: str | None
    retry_after: float


class LoopbackSession(curl_cffi.requests.Session):
    """A session that keeps the real *.yahoo.com names but resolves every name to loopback; other hosts are refused."""

    def __init__(self, port: int) -> None:
        resolve = {curl_cffi.CurlOpt.RESOLVE: [f"*:{port}:127.0.0.1"]}
        super().__init__(impersonate="chrome", curl_options=resolve)
        self._port = port

    def request(self, method: Any, url: str, *arguments: Any, **options: Any) -> Any:
        parts = urlsplit(url)
        if not f".{parts.hostname}".endswith(".yahoo.com"):
            raise InvalidParameter(f"url {url} is not Yahoo's", "a loopback session talks to *.yahoo.com alone")
        local = urlunsplit(("http", f"{parts.hostname}:{self._port}", parts.path or "/", parts.query, ""))
        return super().request(method, local, *arguments, **options)


class YahooServer:
    """Serves `bars` as Yahoo would at the instant `now`; a context manager that listens on 127.0.0.1 alone."""

    def __init__(self, bars: Bars, now: pd.Timestamp, latency: float = 0.0) -> None:
        self.bars, self.now, self.latency = bars, now, latency
        self.log: list[Request] = []
        self._faults: list[Fault] = []
        self._bodies: dict[tuple, str] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> YahooServer:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_address[1]

    def session(self) -> LoopbackSession:
        """A session for YahooSource or for `yfinance.Ticker(symbol, session=...)`."""
        return LoopbackSession(self.port)

    @property
    def charts(self) -> list[str]:
        """Symbols of all charts that were asked for, in order."""
        return [request.symbol for request in self.log if request.symbol]

    def fault(self, kind: str, times: int = 1, symbol: str | None = None, retry_after: float = 0.0) -> None:
        """Let the next `times` charts fail: one of TRANSPORT_FAULTS or CONTENT_FAULTS."""
        if kind not in (*TRANSPORT_FAULTS, *CONTENT_FAULTS):
            known = ", ".join((*TRANSPORT_FAULTS, *CONTENT_FAULTS))
            raise InvalidParameter(f"fault {kind!r} is not known", f"pass one of {known}")
        with self._lock:
            self._faults.append(Fault(kind, times, symbol, retry_after))

    def heal(self) -> None:
        """Forget all faults that have not struck yet."""
        with self._lock:
            self._faults.clear()

    def due_fault(self, symbol: str) -> Fault | None:
        """The fault that a chart of `symbol` suffers now; it counts as used."""
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and fault.symbol in (None, symbol):
                    fault.times -= 1
                    return fault
        return None

    def body(self, symbol: str, query: dict[str, str], fault: str | None) -> str:
        """The chart as JSON text, spoiled by a content fault if one is named."""
        key = (id(self.bars), self.now, symbol, tuple(sorted(query.items())))
        if key not in self._bodies:
            self._bodies[key] = json.dumps(chart(self.bars, symbol, query, self.now))
        if fault not in CONTENT_FAULTS:
            return self._bodies[key]
        spoiled = json.loads(self._bodies[key])
        CONTENT_FAULTS[fault](spoiled["chart"]["result"][0])
        return json.dumps(spoiled)


def _handler(yahoo: YahooServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *arguments: Any) -> None:
            """The log of requests is `YahooServer.log`."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            symbol = unquote(parts.path.rpartition("/")[2]) if parts.path.startswith("/v8/finance/chart/") else ""
            yahoo.log.append(Request(parts.path, symbol, query, self.client_address[1]))
            if yahoo.latency:
                time.sleep(yahoo.latency)
            if symbol:
                self.answer_chart(symbol, query)
            elif parts.path.endswith("/getcrumb"):
                self.answer(200, CRUMB, "text/plain")
            else:
                self.answer(404, "", "text/html", [("Set-Cookie", COOKIE)])

        def answer_chart(self, symbol: str, query: dict[str, str]) -> None:
            fault = yahoo.due_fault(symbol)
            kind = fault.kind if fault is not None else None
            if symbol not in yahoo.bars.symbols or kind == "not_found":
                return self.answer(404, json.dumps(not_found()))
            if fault is not None and kind in TRANSPORT_FAULTS:
                return self.fail(fault, yahoo.body(symbol, query, None))
            return self.answer(200, yahoo.body(symbol, query, kind))

        def fail(self, fault: Fault, body: str) -> None:
            if fault.kind in ("429", "500", "401"):
                headers = [("Retry-After", f"{fault.retry_after:g}")] if fault.kind == "429" else []
                return self.answer(int(fault.kind), "Too Many Requests\r\n", "text/plain", headers)
            if fault.kind == "html":
                return self.answer(200, "<html>Will be right back</html>", "text/html")
            if fault.kind == "truncated":
                return self.answer(200, body[: len(body) // 2])
            if fault.kind == "blank":
                return self.answer(200, "")
            if fault.kind == "empty_result":
                return self.answer(200, json.dumps({"chart": {"result": [], "error": None}}))
            if fault.kind == "short":
                self.answer(200, body[: len(body) // 2], length=len(body))
            self.close_connection = True
            self.connection.close()

        def answer(
            self,
            status: int,
            body: str,
            kind: str = "application/json",
            headers: Sequence[tuple[str, str]] = (),
            length: int | None = None,
        ) -> None:
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content) if length is None else length))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

    return Handler
