"""Where time comes from: a clock is an argument, and nothing else in the toolkit reads the time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter


class Clock(Protocol):
    """What the loop and the cache ask of a clock."""

    namespace: str
    """Part of every cache key, so that what a replay stored is never taken for live data."""

    def now(self) -> pd.Timestamp:
        """This instant, tz-aware UTC."""

    def horizon(self) -> pd.Timestamp:
        """The latest instant this clock will ever show, as far as it knows; freshness is judged by it, UTC."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment, for durations."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""


class SystemClock:
    """The machine's clock; the horizon is now."""

    namespace = "live"

    def now(self) -> pd.Timestamp:
        return pd.Timestamp.now("UTC")

    def horizon(self) -> pd.Timestamp:
        return self.now()

    def monotonic(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ReplayClock:
    """A clock that stands still at the given instants, one after the other; sleeping moves it to the next.

    Past the last instant it stays there and is `done`. Instants must be tz-aware and rising.

    >>> clock = ReplayClock(pd.date_range("2012-01-03 21:00", periods=2, freq="D", tz="UTC"))
    >>> clock.advance(), clock.advance(), clock.done
    (True, False, True)
    """

    namespace = "replay"

    def __init__(self, instants: Iterable[pd.Timestamp]) -> None:
        self._instants = [utc(instant) for instant in instants]
        if not self._instants:
            raise InvalidParameter("instants is empty", "give the replay at least one instant")
        for earlier, later in zip(self._instants, self._instants[1:]):
            if not earlier < later:
                raise InvalidParameter(f"instants go from {earlier} to {later}", "sort them, each one once")
        self._at, self._done = 0, False

    def __len__(self) -> int:
        return len(self._instants)

    @property
    def left(self) -> int:
        """Instants that were not left behind yet, the present one included."""
        return 0 if self._done else len(self._instants) - self._at

    @property
    def done(self) -> bool:
        """True once the last instant has been left behind."""
        return self._done

    def advance(self) -> bool:
        """Move to the next instant; False if there is none."""
        self._done = self._at + 1 == len(self._instants)
        self._at += not self._done
        return not self._done

    def now(self) -> pd.Timestamp:
        return self._instants[self._at]

    def horizon(self) -> pd.Timestamp:
        return self._instants[-1]

    def monotonic(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        self.advance()


def waiting(clock: Clock) -> Clock:
    """The clock to wait by for others: the machine's in place of a replay's, which a pause must not move on."""
    return SystemClock() if isinstance(clock, ReplayClock) else clock


def utc(time: pd.Timestamp | str) -> pd.Timestamp:
    """A tz-aware instant in UTC; raises InvalidParameter for what is none, or has no time zone."""
    try:
        instant = pd.Timestamp(time)
    except (ValueError, TypeError) as error:
        raise InvalidParameter(f"time {time!r} is no instant", "pass e.g. '2012-01-03 21:00Z'") from error
    if instant.tzinfo is None:
        cure = "pass e.g. pd.Timestamp('2012-01-03 21:00', tz='UTC')"
        raise InvalidParameter(f"time {instant} has no time zone", cure)
    return instant.tz_convert("UTC")


def utc64(time: pd.Timestamp) -> np.datetime64:
    """A tz-aware instant as naive UTC nanoseconds, as the arrays of a calendar hold it."""
    return np.datetime64(time.as_unit("ns").value, "ns")
