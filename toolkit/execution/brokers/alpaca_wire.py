"""The road to Alpaca's trading servers: each request is counted, made once, and over before its deadline.

It stands in for the requests session of an alpaca-py client, whose own would repeat a POST after 429 and 504 and wait for ever.
A request is made in a thread of its own, for which the caller waits until the deadline and not longer, whatever name server,
connection, header or body keeps it; the connection is then cut, so that nothing is sent late. The keys are in that thread
alone: no traceback of the caller's passes where they are. Several such threads may be under way for one caller (`ahead`): he
counts, waits for and judges their requests himself, one after the other.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import pandas as pd

from toolkit.data.clock import Clock
from toolkit.data.meter import Meter
from toolkit.data.pace import Pace
from toolkit.data.sources.alpaca_wire import Answer, rest_wanted, whole_body
from toolkit.errors import BrokerRefused, BrokerUnavailable, DataUnavailable
from toolkit.execution.brokers.alpaca_calls import CURRENT, WATCH, Call, Early, Own, Road
from toolkit.execution.credentials import Secret

PASSWORD = re.compile(r"//[^/@\s]*@")  # before the address of a proxy
CURE = "look the order up before anything is sent again"
ASK = "ask again; is there a network, and is Alpaca up?"
KEYS = "check the keys, and whether they are those of a paper account"
FINAL = {400, 401, 403, 422}
"""Statuses with which Alpaca itself says no; a 404 or 405 to an order is rather that of a proxy or of a wrong address."""
PASSING = {408, 425}
UNREADABLE = object()
AT_ONCE = 4  # requests that are under way for one caller
BEGUN = Answer(202, "", None)


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


SOON = 0.1  # seconds that an order waits for its turn: what could stop it was looked at before


class Wire:
    """Requests over kept-alive connections; thread-safe.

    `skew` is by how many seconds Alpaca's clock was ahead of ours at the last answer, NaN before it.
    """

    def __init__(self, key: Secret, secret: Secret, meter: Meter, pace: Pace, clock: Clock) -> None:
        self._keys, self._meter, self._pace, self._clock = (key, secret), meter, pace, clock
        self.skew = math.nan
        self._own = Own()
        self._road = Road(key, secret)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """All requests of this thread inside the block together take at most so long."""
        self._own.until = WATCH.monotonic() + seconds
        try:
            yield
        finally:
            del self._own.until

    @contextmanager
    def ahead(self, asks: Iterable[Callable[[], object]], seconds: float) -> Iterator[None]:
        """Makes the requests of `asks` before the block asks for their answers, AT_ONCE at a time, each over in `seconds`.

        One that the block makes as well is answered by it, whatever that came to; any other is made as always, beside them, and
        ends the looking ahead. None is made twice, or while the pace wants a rest, or where the allowance is nearly spent; what
        nobody asked for is cut.
        """
        self._own.early = early = Early(iter(asks), seconds)
        try:
            self._begin(early)
            yield
        finally:
            self._own.early = None
            for call in early.calls:
                call.end()
                if call.status == 429:  # nobody asked for the answer, and a rest was asked for all the same
                    self._pace.limited(rest_wanted(call.headers))

    def _begin(self, early: Early) -> None:
        early.begins = True
        try:
            while self._at_leisure(early) and (ask := next(early.asks, None)) is not None:
                ask()
        except Unsent:
            early.asks = iter(())  # whoever asks for it is told
        finally:
            early.begins = False

    def _at_leisure(self, early: Early) -> bool:
        """Whether one more may be under way: no rest is wanted, and the allowance has room for pages that nobody foresees."""
        return early.under_way < AT_ONCE and self.pause == 0.0 and self._meter.left > 2 * AT_ONCE

    def request(self, method: str, url: str, **options: Any) -> Answer:
        """A whole, good answer; raises Refused, Unsent, or BrokerUnavailable where it is not known what became of it.

        BEGUN, and no more, while `ahead` begins requests.
        """
        early, call = self._own.early, None
        if early is not None and early.begins:
            self._admit(early.seconds)
            early.calls.append(begun := Call(method, url, options, early.seconds))
            self._start(begun)
            return BEGUN
        try:
            if early is not None:
                self._begin(early)
                call = early.taken(method, url, options)
            if call is None:
                self._admit(min(self._left(), SOON) if method == "POST" else self._left())
                call = Call(method, url, options, max(self._left(), 1e-3))
                self._start(call)
            call.done.wait(max(min(call.until - WATCH.monotonic(), self._left()), 0.0))
        finally:
            if call is not None:
                call.end()
        if call.status == 0:
            self._pace.failed()
            raise BrokerUnavailable(
                f"Alpaca did not answer {method} ({call.failure or 'not in time'})", ASK if method == "GET" else CURE
            )
        if method == "DELETE" and call.status in (200, 202):
            raise BrokerUnavailable(f"Alpaca answered {call.status} where its yes is 204", CURE)
        return self._judged(call.status, call.headers, call.text)

    @property
    def pause(self) -> float:
        """Seconds until the next request may be made; 0: at once."""
        return self._pace.due()

    def _left(self) -> float:
        return self._own.until - WATCH.monotonic()

    def _admit(self, left: float) -> None:
        """Takes a turn, which is at most `left` seconds away, and counts the request."""
        if left <= 0.0:
            raise Unsent("there was no time left for a request", CURE)
        try:
            self._pace.wait(left)
            self._meter.count()
            return
        except DataUnavailable as error:
            refused = error
        raise Unsent(f"not sent: {refused.what}", "wait for the next cycle, or raise max_api_calls_per_cycle")

    def _start(self, call: Call) -> None:
        try:
            threading.Thread(target=self._perform, args=(call,), name="alpaca", daemon=True).start()
        except RuntimeError as error:  # the system has no thread left
            call.failure = str(error)
            call.done.set()

    def _perform(self, call: Call) -> None:
        """Makes the request; what goes wrong is kept in words, since the error itself would hold the keys."""
        CURRENT.call = call
        try:
            with self._road.reply(call) as reply:
                body = whole_body(reply, WATCH, WATCH.monotonic() + call.seconds)
            call.check()  # where a connection was cut among its headers, they look whole and the body empty
            self.skew = skew_of(reply.headers, self._clock.now())
            call.text, call.headers = self._blotted(body.decode(errors="replace")), dict(reply.headers)
            call.status = reply.status  # last: with it the answer is whole
        except Exception as error:  # whatever a library makes of a broken answer: nothing is known of the request
            call.failure = PASSWORD.sub("//", self._blotted(f"{type(error).__name__}: {error}"))[:200]
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


def skew_of(headers: Mapping[str, str], now: pd.Timestamp) -> float:
    """Seconds by which the server's clock is ahead, known to a second; NaN if it did not say."""
    try:
        return (pd.Timestamp(parsedate_to_datetime(headers["Date"])) - now).total_seconds() + 0.5  # it says whole seconds
    except (KeyError, ValueError, TypeError):
        return math.nan
