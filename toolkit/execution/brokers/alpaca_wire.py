"""The road to Alpaca's trading servers: each request is counted, made once, and over before its deadline.

It stands in for the requests session of an alpaca-py client, whose own would repeat a POST after 429 and 504 and wait for ever.
A request is made in a thread of its own, for which the caller waits until the deadline and not longer, whatever name server,
connection, header or body keeps it; the connection is then cut, so that nothing is sent late. The keys are in that thread
alone: no traceback of the caller's passes where they are.
"""

from __future__ import annotations

import json
import math
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Any

import pandas as pd
import requests
import urllib3.connection
from requests.adapters import HTTPAdapter

from toolkit.data.clock import Clock, SystemClock
from toolkit.data.meter import Meter
from toolkit.data.pace import Pace
from toolkit.data.sources.alpaca_wire import Answer, rest_wanted, whole_body
from toolkit.errors import BrokerRefused, BrokerUnavailable, DataUnavailable
from toolkit.execution.credentials import Secret

CURE = "look the order up before anything is sent again"
KEYS = "check the keys, and whether they are those of a paper account"
FINAL = {400, 401, 403, 422}
"""Statuses with which Alpaca itself says no; a 404 or 405 to an order is rather that of a proxy or of a wrong address."""
PASSING = {408, 425}
UNREADABLE = object()
WATCH = SystemClock()  # sockets wait in the machine's time, whatever the clock of the account shows


class Unsent(BrokerUnavailable):
    """The request was not made."""


class Refused(BrokerRefused):
    """Alpaca's no: the status, Alpaca's own code (0 if it gave none) and its words."""

    def __init__(self, status: int, number: int, words: str) -> None:
        super().__init__(f"Alpaca answered {status}: {words}", KEYS if status in (401, 403) else "mend the request")
        self.status, self.number, self.words = status, number, words

    @property
    def unauthorized(self) -> bool:
        """Whether it is about the keys: a 403 about an order has a code, e.g. 40310000 for too little buying power."""
        return self.status == 401 or (self.status == 403 and not self.number)

    @property
    def unknown(self) -> bool:
        """Whether Alpaca says that it knows no such thing; a 404 without its code is one for the address."""
        return self.status == 404 and self.number == 40410000

    @property
    def doubled(self) -> bool:
        """Whether it has an order with this id already."""
        return self.status == 422 and "client_order_id" in self.words and "unique" in self.words

    @property
    def reason(self) -> str:
        return "unauthorized: " + self.words if self.unauthorized else f"{self.number or self.status}: {self.words}"


class Wire:
    """Requests over kept-alive connections; thread-safe.

    `skew` is by how many seconds Alpaca's clock was ahead of ours at the last answer, NaN before it.
    """

    def __init__(self, key: Secret, secret: Secret, meter: Meter, pace: Pace, clock: Clock) -> None:
        self._keys, self._meter, self._pace, self._clock = (key, secret), meter, pace, clock
        self.skew = math.nan
        self._local = threading.local()
        self._session = requests.Session()
        self._session.auth = Header(key, secret)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, Adapter())

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """All requests of this thread inside the block together take at most so long."""
        self._local.until = WATCH.monotonic() + seconds
        try:
            yield
        finally:
            del self._local.until

    def request(self, method: str, url: str, **options: Any) -> Answer:
        """A whole, good answer; raises Refused, Unsent, or BrokerUnavailable where it is not known what became of it."""
        self._admit()
        call = Call(method, url, options, max(self._left(), 1e-3))
        try:
            threading.Thread(target=self._perform, args=(call,), name="alpaca", daemon=True).start()
            call.done.wait(call.seconds)
        except RuntimeError as error:  # the system has no thread left
            call.failure = str(error)
        finally:
            call.end()
        if call.status == 0:
            self._pace.failed()
            raise BrokerUnavailable(f"Alpaca did not answer {method} ({call.failure or 'not in time'})", CURE)
        if method == "DELETE" and call.status in (200, 202):
            raise BrokerUnavailable(f"Alpaca answered {call.status} where its yes is 204", CURE)
        return self._judged(call.status, call.headers, call.text)

    @property
    def pause(self) -> float:
        """Seconds until the next request may be made; 0: at once."""
        return self._pace.due()

    def _left(self) -> float:
        return self._local.until - WATCH.monotonic()

    def _admit(self) -> None:
        """Takes a turn and counts the request."""
        left = self._left()
        if left <= 0.0:
            raise Unsent("there was no time left for a request", CURE)
        try:
            self._pace.wait(left)
            self._meter.count()
            return
        except DataUnavailable as error:
            refused = error
        raise Unsent(f"not sent: {refused.what}", "wait for the next cycle, or raise max_api_calls_per_cycle")

    def _perform(self, call: Call) -> None:
        """Makes the request; what goes wrong is kept in words, since the error itself would hold the keys."""
        CURRENT.call = call
        try:
            with self._session.request(call.method, call.url, stream=True, timeout=call.seconds, **call.options) as reply:
                body = whole_body(reply, WATCH, WATCH.monotonic() + call.seconds)
            self.skew = skew_of(reply.headers, self._clock.now())
            call.text, call.headers = self._blotted(body.decode(errors="replace")), dict(reply.headers)
            call.status = reply.status_code  # last: with it the answer is whole
        except Exception as error:  # whatever a library makes of a broken answer: nothing is known of the request
            call.failure = self._blotted(f"{type(error).__name__}: {error}")[:200]
        finally:
            call.done.set()

    def _blotted(self, said: str) -> str:
        for key in self._keys:
            said = key.blot(said)
        return said

    def _judged(self, status: int, headers: Mapping[str, str], text: str) -> Answer:
        if status == 429:
            self._pace.limited(rest_wanted(headers))
            raise BrokerUnavailable("429: not accepted, there were too many requests", "wait, then send the same id again")
        value = read(text) if text else None
        if 200 <= status < 300 and value is not UNREADABLE:
            self._pace.answered()
            return Answer(status, text, value)
        if status in PASSING or status >= 500 or not isinstance(value, dict):
            self._pace.failed()
            raise BrokerUnavailable(f"Alpaca answered {status}{' with what is no JSON' * (value is UNREADABLE)}", CURE)
        self._pace.answered()
        words, number = self._blotted(str(value.get("message", value))), value.get("code")
        raise Refused(status, number if isinstance(number, int) else 0, words[:200])


def read(text: str) -> Any:
    """JSON as a value, UNREADABLE for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return UNREADABLE


class Call:
    """One request, shared by the thread that makes it and the one that waits; over when done, or at its deadline."""

    def __init__(self, method: str, url: str, options: Mapping[str, Any], seconds: float) -> None:
        self.method, self.url, self.options, self.seconds = method, url, options, seconds
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
    """To the loopback interface."""


class TlsConnection(Cuttable, urllib3.connection.HTTPSConnection):
    """To Alpaca."""


class PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = PlainConnection


class TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = TlsConnection


POOLS = {"http": PlainPool, "https": TlsPool}


class Adapter(HTTPAdapter):
    """Requests over connections that can be cut, each made once."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager


class Header(requests.auth.AuthBase):
    """Puts the keys on a request, in the place of those that alpaca-py believes in."""

    def __init__(self, key: Secret, secret: Secret) -> None:
        self._key, self._secret = key, secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["APCA-API-KEY-ID"] = self._key.reveal()
        request.headers["APCA-API-SECRET-KEY"] = self._secret.reveal()
        return request


def skew_of(headers: Mapping[str, str], now: pd.Timestamp) -> float:
    """Seconds by which the server's clock is ahead, known to a second; NaN if it did not say."""
    try:
        return (pd.Timestamp(parsedate_to_datetime(headers["Date"])) - now).total_seconds() + 0.5  # it says whole seconds
    except (KeyError, ValueError, TypeError):
        return math.nan
