"""The one road to Alpaca's servers: each request is counted, waits for its turn, has a deadline, and is repeated only here.

It stands in for the requests session of an alpaca-py client, which sees whole answers and our errors, never a 429 or 504.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import tenacity
import urllib3

from toolkit.data.clock import Clock
from toolkit.data.meter import Meter
from toolkit.data.pace import Pace
from toolkit.errors import DataUnavailable

TRIES = 3
LARGEST = 64_000_000  # bytes of an answer
CURE = "ask again later; stored bars are kept"


class Refused(DataUnavailable):
    """An answer that will be the same next time: a wrong key, a wrong parameter, an invalid symbol."""


class Passing(DataUnavailable):
    """A failure that may be gone at the next try."""


@dataclass(frozen=True)
class Answer:
    """A whole, good answer, as far as alpaca-py looks at one."""

    status_code: int
    text: str
    value: Any

    def raise_for_status(self) -> None:
        """It is good."""

    def json(self) -> Any:
        return self.value


class Wire:
    """Requests over kept-alive connections; thread-safe. `secrets` are blotted out of every message.

    Only GET is tried again (three times, with random pauses): whoever repeats an order must know what became of the first.
    """

    def __init__(self, meter: Meter, pace: Pace, clock: Clock, timeout: float, secrets: tuple[str, ...]) -> None:
        self._meter, self._pace, self._clock, self._timeout, self._secrets = meter, pace, clock, timeout, secrets
        self._session = requests.Session()

    def request(self, method: str, url: str, **options: Any) -> Answer:
        """The answer; raises Refused, Passing or BudgetSpent, all of them DataUnavailable."""
        patiently = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(TRIES if method == "GET" else 1),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=8),
            retry=tenacity.retry_if_exception_type(Passing),
            sleep=self._clock.sleep,
            reraise=True,
        )
        return patiently(self._once, method, url, options)

    def _once(self, method: str, url: str, options: Mapping[str, Any]) -> Answer:
        self._pace.wait()
        self._meter.count()
        try:
            until = self._clock.monotonic() + self._timeout
            reply = self._session.request(method, url, stream=True, timeout=self._timeout, **options)
            with reply:
                body = whole_body(reply.raw, self._clock, until)
        except (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException) as error:
            self._pace.failed()
            raise Passing(f"Alpaca was not reached ({type(error).__name__}: {self._clean(error)})", CURE) from None
        return self._judged(reply, body)

    def _judged(self, reply: requests.Response, body: bytes) -> Answer:
        status = reply.status_code
        if status == 429:
            self._pace.limited(rest_wanted(reply.headers))
            raise Passing("Alpaca answered 429: too many requests", CURE)
        if status >= 500:
            self._pace.failed()
            raise Passing(f"Alpaca answered {status}", CURE)
        try:
            value = json.loads(body) if body else None
        except ValueError as error:
            self._pace.failed()
            raise Passing(f"Alpaca answered {status} with what is no JSON ({type(error).__name__})", CURE) from None
        self._pace.answered()
        if status >= 300 or not isinstance(value, dict | list):
            said = value.get("message", value) if isinstance(value, dict) else value
            cure = "check the keys, and that the subscription includes the feed" if status in (401, 403) else CURE
            raise Refused(f"Alpaca answered {status}: {self._clean(said)}", cure)
        return Answer(status, body.decode(errors="replace"), value)

    def _clean(self, said: object) -> str:
        text = str(said)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:200]


def whole_body(reply: urllib3.BaseHTTPResponse, clock: Clock, until: float) -> bytes:
    """The bytes of a streamed reply that come before `until` on the monotonic `clock`.

    A server that sends one now and then does not hold us. Raises TimeoutError, or OSError past LARGEST.
    """
    parts, size = [], 0
    while part := reply.read1(65_536, decode_content=True):
        parts.append(part)
        size += len(part)
        if clock.monotonic() > until:
            raise TimeoutError("not whole in time")
        if size > LARGEST:
            raise OSError(f"more than {LARGEST:,} bytes")
    return b"".join(parts)


def rest_wanted(headers: Mapping[str, str]) -> float | None:
    """How long Alpaca wants to be left alone: Retry-After, else until X-RateLimit-Reset by its own clock; None if unsaid."""
    try:
        if "Retry-After" in headers:
            return max(0.0, float(headers["Retry-After"]))
        answered = parsedate_to_datetime(headers["Date"]).timestamp()
        return max(0.0, float(headers["X-RateLimit-Reset"]) - answered)
    except (KeyError, ValueError, TypeError):
        return None
