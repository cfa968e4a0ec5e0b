"""Yahoo's wire without its content: requests, transport faults, compressed replies on connections that stay open."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import curl_cffi

from toolkit.errors import InvalidParameter

TRANSPORT_FAULTS = (
    *("429", "500", "503", "401", "html", "truncated", "short", "reset", "stall", "blank"),
    *("empty_result", "null_result", "not_found"),
)
STATUS = {"429": "Too Many Requests\r\n", "500": "Internal Server Error", "503": "Service Unavailable", "401": "Unauthorized"}
INSTEAD = {
    "html": "<html>Will be right back</html>",
    "blank": "",
    "empty_result": '{"chart":{"result":[],"error":null}}',
    "null_result": '{"chart":{"result":null,"error":null}}',
}
COOKIE = "A3=d=loopback; Max-Age=31557600; Domain=.yahoo.com; Path=/"
CRUMB = "abcDEF12345"


class Request(NamedTuple):
    """One request as it came in; `symbol` is empty where it is not about a chart."""

    path: str
    symbol: str
    query: dict[str, str]
    port: int
    accepts: str


@dataclass
class Fault:
    """A fault of `kind` that the next `times` charts (of `symbol`, if one is named) suffer."""

    kind: str
    times: int
    symbol: str | None
    retry_after: float | str | None


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


class Yahoo(Protocol):
    """What answers the requests."""

    latency: float
    log: list[Request]

    def due_fault(self, symbol: str) -> Fault | None:
        """The fault that a chart of `symbol` suffers now; it counts as used."""

    def answer(self, symbol: str, query: dict[str, str], fault: str | None) -> tuple[int, bytes, bytes]:
        """Status of a chart, its JSON plain and compressed, spoiled by a content fault if one is named."""

    def stall(self) -> None:
        """Return when the server is closed."""


class Server(ThreadingHTTPServer):
    """One thread a connection."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error of the server."""


def handler(yahoo: Yahoo) -> type[BaseHTTPRequestHandler]:
    """A handler of requests that asks `yahoo` what to answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *arguments: Any) -> None:
            """The log of requests is `YahooServer.log`."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            symbol = unquote(parts.path.rpartition("/")[2]) if parts.path.startswith("/v8/finance/chart/") else ""
            accepts = self.headers.get("Accept-Encoding", "")
            yahoo.log.append(Request(parts.path, symbol, query, self.client_address[1], accepts))
            if yahoo.latency:
                time.sleep(yahoo.latency)
            if symbol:
                self.answer_chart(symbol, query, "gzip" in accepts)
            elif parts.path.endswith("/getcrumb"):
                self.answer(200, CRUMB.encode(), "text/plain")
            else:
                self.answer(404, b"", "text/html", [("Set-Cookie", COOKIE)])

        def answer_chart(self, symbol: str, query: dict[str, str], compressed: bool) -> None:
            fault = yahoo.due_fault(symbol)
            status, plain, packed = yahoo.answer(symbol, query, fault.kind if fault is not None else None)
            if fault is not None and fault.kind in TRANSPORT_FAULTS and status == 200:
                return self.fail(fault, plain)
            if compressed and packed:
                return self.answer(status, packed, headers=[("Content-Encoding", "gzip")])
            return self.answer(status, plain)

        def fail(self, fault: Fault, body: bytes) -> None:
            if fault.kind in STATUS:
                headers = [] if fault.retry_after is None else [("Retry-After", str(fault.retry_after))]
                return self.answer(int(fault.kind), STATUS[fault.kind].encode(), "text/plain", headers)
            if fault.kind in INSTEAD:
                return self.answer(200, INSTEAD[fault.kind].encode())
            if fault.kind == "truncated":
                return self.answer(200, body[: len(body) // 2])
            if fault.kind == "short":
                self.answer(200, body[: len(body) // 2], length=len(body))
            if fault.kind == "stall":
                yahoo.stall()
            self.close_connection = True
            self.connection.close()

        def answer(
            self,
            status: int,
            content: bytes,
            kind: str = "application/json",
            headers: Sequence[tuple[str, str]] = (),
            length: int | None = None,
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content) if length is None else length))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

    return Handler
