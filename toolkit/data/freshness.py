"""When stored bars are as new as they can be: pure functions of the exchange calendar and a source's delay.

A bar that ends at E, with publication delay D, is *partial* before E + D and never stored; then *provisional*, since
sources revise overnight, until the session settles (its next open); then *final*. A series is *stale* as soon as a bar
that it lacks has been published.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data.calendar import Calendar
from toolkit.data.clock import utc64
from toolkit.data.intervals import DAILY, length

PARTIAL, PROVISIONAL, FINAL = "partial", "provisional", "final"
MISSING, UNKNOWN = "missing", "unknown"

NEVER = pd.Timestamp("2200-01-01", tz="UTC")
UNKNOWN_FOR = pd.Timedelta("24h")
FIRST_RETRY, LAST_RETRY = pd.Timedelta("5min"), pd.Timedelta("2h")
AUDIT_EVERY = pd.Timedelta("7D")


@dataclass(frozen=True)
class Freshness:
    """State of a stored series, and until when nothing newer can exist.

    `misses` counts fetches in a row that lacked a due bar; `parts` names the files that hold the bars, `version` what is in
    them.
    """

    state: str
    valid_until: pd.Timestamp
    fetched_at: pd.Timestamp
    misses: int = 0
    version: str = ""
    parts: tuple[str, ...] = ("",)

    def holds(self, now: pd.Timestamp, ttl: pd.Timedelta | None = None) -> bool:
        """Whether the series need not be fetched at `now`; `ttl` after the last fetch, where it is given."""
        return now < (self.valid_until if ttl is None else self.fetched_at + ttl)

    def record(self) -> dict[str, Any]:
        """As JSON holds it: instants in nanoseconds since 1970, UTC."""
        times = {"valid_until": self.valid_until.as_unit("ns").value, "fetched_at": self.fetched_at.as_unit("ns").value}
        return {"state": self.state, **times, "misses": self.misses, "version": self.version, "parts": list(self.parts)}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Freshness:
        """What `record` gave; KeyError, TypeError or ValueError for anything else."""
        until, fetched = (pd.Timestamp(int(record[name]), tz="UTC") for name in ("valid_until", "fetched_at"))
        parts = tuple(str(part) for part in record["parts"])
        return cls(str(record["state"]), until, fetched, int(record["misses"]), str(record["version"]), parts)


def sealed(record: Freshness, name: str) -> str:
    """The record of the series `name` as JSON behind a checksum of both.

    One changed digit of a year, or a row of another series, would keep stale bars fresh for ever.
    """
    text = json.dumps(record.record())
    return _checksum(text, name) + text


def unsealed(text: Any, name: str) -> Freshness | None:
    """The record that `sealed` wrote for `name`; None for anything else."""
    try:
        if not isinstance(text, str) or _checksum(text[16:], name) != text[:16]:
            return None
        return Freshness.from_record(json.loads(text[16:]))
    except (ValueError, TypeError, KeyError):
        return None


def _checksum(text: str, name: str) -> str:
    return blake2b(text.encode(), digest_size=8, salt=blake2b(name.encode(), digest_size=16).digest()).hexdigest()


def bar_state(label: np.datetime64, fetched_at: pd.Timestamp, calendar: Calendar, delay: pd.Timedelta, interval: str) -> str:
    """PARTIAL, PROVISIONAL or FINAL: what the bar at `label` was when it was fetched."""
    labels, at = np.array([label], "M8[ns]"), utc64(fetched_at)
    if at < calendar.ends_of(labels, interval)[0] + delay.to_timedelta64():
        return PARTIAL
    return PROVISIONAL if at < calendar.settled[calendar.sessions_of(labels, interval)[0]] else FINAL


def complete(
    labels: np.ndarray, now: pd.Timestamp, calendar: Calendar, delay: pd.Timedelta, interval: str,
    sessions: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Which bars of `labels` (all within sessions) are known at `now`, and which of them are final; two boolean arrays.

    `sessions` are the positions of their sessions, where they are known already.
    """
    at, sessions = utc64(now), calendar.sessions_of(labels, interval) if sessions is None else sessions
    known = calendar.ends_of(labels, interval, sessions) + delay.to_timedelta64() <= at
    return known, known & (calendar.settled[sessions] <= at)


def newest(now: pd.Timestamp, calendar: Calendar, delay: pd.Timedelta, interval: str) -> tuple[np.datetime64, pd.Timestamp]:
    """Label of the newest bar that is known at `now`, and the instant at which the one after it will be."""
    if interval == DAILY:
        session = calendar.last_known(now, delay)
        return calendar.sessions[session], calendar.close_instant(session + 1) + delay
    calendar.last_known(now, delay)  # raises past the end of the calendar
    bar, at = length(interval), utc64(now - delay)
    session = int(np.searchsorted(calendar.opens, at - bar, "right")) - 1
    opening, close = calendar.opens[session], calendar.closes[session]
    over = at >= close
    bars = -((opening - close) // bar) if over else (at - opening) // bar
    following = calendar.opens[session + 1] + bar if over else min(opening + (bars + 1) * bar, close)
    return opening + (bars - 1) * bar, pd.Timestamp(following, tz="UTC") + delay


@lru_cache(maxsize=16)
def _due(
    now: pd.Timestamp, calendar: Calendar, delay: pd.Timedelta, interval: str
) -> tuple[np.datetime64, pd.Timestamp, str, pd.Timestamp]:
    """What `newest` says, the state of that bar and when its session settles: the same for all symbols of an exchange."""
    due, following = newest(now, calendar, delay, interval)
    settled = pd.Timestamp(calendar.settled[calendar.sessions_of(np.array([due]), interval)[0]], tz="UTC")
    return due, following, bar_state(due, now, calendar, delay, interval), settled


def freshness(
    last: np.datetime64,
    now: pd.Timestamp,
    calendar: Calendar,
    delay: pd.Timedelta,
    interval: str = DAILY,
    misses: int = 0,
    ends: pd.Timestamp | None = None,
) -> Freshness:
    """Freshness of a series fetched at `now` whose newest bar has the label `last`.

    `misses` counts earlier fetches in a row that lacked the due bar, `ends` is the last session there will ever be. A bar
    that is still lacking when it should be final is a gap and waits for the next one; one that is not yet final is asked
    for again after 5 minutes, doubled up to 2 hours.
    """
    if ends is not None and ends.to_datetime64() <= last.astype("M8[D]"):
        return Freshness(FINAL, NEVER, now)
    due, following, state, settled = _due(now, calendar, delay, interval)
    if state == FINAL:
        return Freshness(FINAL if last >= due else MISSING, following, now)
    if last < due:
        pause = min(FIRST_RETRY * 2 ** min(misses, 10), LAST_RETRY)
        return Freshness(MISSING, min(now + pause, following, settled), now, misses + 1)
    return Freshness(PROVISIONAL, min(settled, following), now)


def unknown(now: pd.Timestamp) -> Freshness:
    """A symbol that the source does not know, not asked for again within a day."""
    return Freshness(UNKNOWN, now + UNKNOWN_FOR, now)


def audit_due(audited_at: pd.Timestamp, now: pd.Timestamp) -> bool:
    """Whether the whole history is to be compared with the source's, since a week has passed since the last time."""
    return now >= audited_at + AUDIT_EVERY
