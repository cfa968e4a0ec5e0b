"""How the loopback Alpaca speaks HTTP: what a request and a reply are, and what a fault of transport does to one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

import pandas as pd

from toolkit.testing.alpaca_faults import TRANSPORT, UNBOOKED


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
    """A fault of `kind` that the next `times` requests suffer whose path holds `path`, after `skip` others."""

    kind: str
    times: int
    path: str
    headers: Mapping[str, str]
    skip: int
    method: str

    @property
    def way(self) -> str:
        """The kind, whether it strikes before or after the booking."""
        return self.kind.removesuffix(UNBOOKED)

    @property
    def unbooked(self) -> bool:
        return self.kind.endswith(UNBOOKED) or self.kind == "429"


class Answering(Protocol):
    """The server, as the wire sees it."""

    latency: float
    log: list[Request]
    closing: threading.Event

    @property
    def instant(self) -> pd.Timestamp: ...

    def due_fault(self, path: str, method: str) -> Fault | None: ...

    def answer(self, request: Request, key: str | None, secret: str | None, fault: Fault | None) -> Reply: ...


def speaking(alpaca: Answering) -> type[BaseHTTPRequestHandler]:
    """The handler that answers for a server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *arguments: Any) -> None:
            """The log of requests is the server's."""

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(alpaca.instant.to_pydatetime(warn=False), usegmt=True)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), self.client_address[1], body)
            alpaca.log.append(request)
            if alpaca.latency:
                time.sleep(alpaca.latency)
            fault = alpaca.due_fault(parts.path, self.command)
            reply = alpaca.answer(request, self.headers["APCA-API-KEY-ID"], self.headers["APCA-API-SECRET-KEY"], fault)
            content = b"" if reply.status == 204 else json.dumps(reply.body).encode()
            if fault is not None and fault.way in TRANSPORT:
                self.fail(fault, content)
            else:
                self.send(reply.status, content, reply.headers)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def fail(self, fault: Fault, body: bytes) -> None:
            if fault.way in ("429", "500", "504"):
                return self.send(int(fault.way), b'{"message": "fault"}', fault.headers)
            if fault.way == "html":
                return self.send(200, b"<html>Will be right back</html>", {"Content-Type": "text/html"})
            if fault.way in ("empty", "null"):
                return self.send(200, b"" if fault.way == "empty" else b"null")
            if fault.way == "truncated":
                return self.send(200, body[: len(body) // 2])
            if fault.way == "short":
                self.send(200, body[: len(body) // 2], length=len(body))
            if fault.way == "stall":
                alpaca.closing.wait(30)
            if fault.way == "drip":
                self.send(200, b"", {"Connection": "close"}, length=len(body))  # unsaid, it would spoil the next request, too
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
            try:
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()
            except OSError:  # the client asked for several things at once and has had enough
                self.close_connection = True

    return Handler
