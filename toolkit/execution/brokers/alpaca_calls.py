"""A request in a thread of its own: what it comes to, how its connection is cut when its time is over, which way it takes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
import urllib3.connection
from requests.adapters import HTTPAdapter
from requests.utils import default_headers

from toolkit.data.clock import SystemClock
from toolkit.execution.credentials import Secret

WATCH = SystemClock()  # sockets wait in the machine's time, whatever the clock of the account shows


class Call:
    """One request, shared by the thread that makes it and the one that waits; over when done, or at its deadline."""

    def __init__(self, method: str, url: str, options: Mapping[str, Any], seconds: float) -> None:
        self.method, self.url, self.options, self.seconds = method, url, options, seconds
        self.until = WATCH.monotonic() + seconds
        self.done, self.over = threading.Event(), False
        self.status, self.text, self.failure = 0, "", ""  # 0: there is no answer
        self.headers: dict[str, str] = {}
        self.connections: list[Any] = []

    def end(self) -> None:
        """Nothing is sent or read for it any more."""
        if self.done.is_set():
            return
        self.over = True
        for connection in self.connections:
            with suppress(OSError, AttributeError, TypeError):  # closed, or not connected yet
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def check(self) -> None:
        if self.over:
            raise TimeoutError("not in time")


@dataclass
class Early:
    """Requests that a thread makes before it asks for their answers: what still makes them, and those that were made."""

    asks: Iterator[Callable[[], object]]
    seconds: float
    calls: list[Call] = field(default_factory=list)
    begins: bool = False

    @property
    def under_way(self) -> int:
        return sum(not call.done.is_set() for call in self.calls)

    def taken(self, method: str, url: str, options: Mapping[str, Any]) -> Call | None:
        """The call that was made for this request, once; where there is none, no further ones are made."""
        for call in self.calls:
            if (call.method, call.url, call.options) == (method, url, options):
                self.calls.remove(call)
                return call
        self.asks = iter(())
        return None


class Own(threading.local):
    """Of one thread: until when its requests have to be over, and those that it made early."""

    until: float
    early: Early | None = None


class Current(threading.local):
    """The call that this thread makes."""

    call: Call | None = None


CURRENT = Current()


class Cuttable:
    """A connection that the call which uses it can cut, from the moment before it is made."""

    def connect(self) -> None:
        call = CURRENT.call
        if call is not None:
            call.connections.append(self)
        super().connect()  # type: ignore[misc]
        if call is not None:
            call.check()

    def request(self, *arguments: Any, **options: Any) -> None:
        call = CURRENT.call
        if call is not None:
            call.connections.append(self)
            call.check()
        super().request(*arguments, **options)  # type: ignore[misc]


class PlainConnection(Cuttable, urllib3.connection.HTTPConnection):
    """To this machine."""


class TlsConnection(Cuttable, urllib3.connection.HTTPSConnection):
    """To Alpaca."""


class PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = PlainConnection


class TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = TlsConnection


POOLS = {"http": PlainPool, "https": TlsPool}


class Adapter(HTTPAdapter):
    """Connections that can be cut."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager


class Road:
    """The way to each server, by the proxy and under the authorities that `requests` finds in the environment, once a server.

    It goes there without `requests`, which would look for both again, and for cookies and redirects, at each request.
    """

    def __init__(self, key: Secret, secret: Secret) -> None:
        self._key, self._secret = key, secret
        self._pools, self._lock = dict[str, urllib3.HTTPConnectionPool](), threading.Lock()

    def reply(self, call: Call) -> urllib3.BaseHTTPResponse:
        """The answer, its body still to be read. A redirect is an answer like another, and no cookie is kept.

        The keys take the place of those that alpaca-py believes in.
        """
        address, body, query = urlsplit(call.url), None, call.options.get("params")
        headers = {**default_headers(), **call.options.get("headers", {})}
        if "json" in call.options:
            body, headers["Content-Type"] = json.dumps(call.options["json"], allow_nan=False).encode(), "application/json"
        server = f"{address.scheme}://{address.netloc}"
        with self._lock:  # the first requests come several at once, and share their connections
            if server not in self._pools:
                self._pools[server] = pool_to(server)
        return self._pools[server].urlopen(
            call.method, address.path + (f"?{urlencode(query, doseq=True)}" if query else ""), body,
            {**headers, "APCA-API-KEY-ID": self._key.reveal(), "APCA-API-SECRET-KEY": self._secret.reveal()},
            retries=False, redirect=False, assert_same_host=False, timeout=call.seconds, preload_content=False,
            decode_content=False,
        )  # fmt: skip


def pool_to(server: str) -> urllib3.HTTPConnectionPool:
    """Connections to a server as `requests` would make them. What is not encrypted stays on this machine: no proxy is asked."""
    url, adapter, session = f"{server}/", Adapter(), requests.Session()
    session.trust_env = server.startswith("https:")
    settings = session.merge_environment_settings(url, {}, None, None, None)
    asked = requests.Request("GET", url).prepare()
    pool = adapter.get_connection_with_tls_context(asked, settings["verify"], settings["proxies"])
    adapter.cert_verify(pool, url, settings["verify"], None)
    return pool
