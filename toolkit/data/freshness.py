"""When stored daily bars are as new as they can be: pure functions of the exchange calendar and a source's delay.

A bar of session s, with close C(s) and publication delay D, is *partial* before C(s) + D and never stored; then
*provisional*, since sources revise overnight, until the next session opens; then *final*. A series is *stale* as soon
as a session that it lacks has been published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from toolkit.data.calendar import Calendar

PARTIAL, PROVISIONAL, FINAL = "partial", "provisional", "final"
MISSING, UNKNOWN = "missing", "unknown"

NEVER = pd.Timestamp("2200-01-01", tz="UTC")
UNKNOWN_FOR = pd.Timedelta("24h")
FIRST_RETRY, LAST_RETRY = pd.Timedelta("5min"), pd.Timedelta("2h")


@dataclass(frozen=True)
class Freshness:
    """State of a stored series, and until when nothing newer can exist; `misses` counts fetches that lacked a bar."""

    state: str
    valid_until: pd.Timestamp
    fetched_at: pd.Timestamp
    misses: int = 0
    version: str = ""

    def holds(self, now: pd.Timestamp, ttl: pd.Timedelta | None = None) -> bool:
        """Whether the series need not be fetched at `now`; `ttl` after the last fetch, where it is given."""
        return now < (self.valid_until if ttl is None else self.fetched_at + ttl)

    def record(self) -> dict[str, str | int]:
        """As JSON holds it."""
        times = {"valid_until": self.valid_until.isoformat(), "fetched_at": self.fetched_at.isoformat()}
        return {"state": self.state, **times, "misses": self.misses, "version": self.version}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Freshness:
        """What `record` gave; KeyError or ValueError for anything else."""
        times = pd.Timestamp(record["valid_until"]), pd.Timestamp(record["fetched_at"])
        return cls(str(record["state"]), *times, int(record["misses"]), str(record["version"]))


def bar_state(session: int, fetched_at: pd.Timestamp, calendar: Calendar, delay: pd.Timedelta) -> str:
    """PARTIAL, PROVISIONAL or FINAL: what a bar of the session at position `session` was when it was fetched."""
    if fetched_at < calendar.close_instant(session) + delay:
        return PARTIAL
    return PROVISIONAL if fetched_at < calendar.open_instant(session + 1) else FINAL


def last_settled(fetched_at: pd.Timestamp, calendar: Calendar, delay: pd.Timedelta) -> int:
    """Position of the last session whose bar was FINAL when fetched; -1 if there is none."""
    session = calendar.last_known(fetched_at, delay)
    return session if session < 0 or bar_state(session, fetched_at, calendar, delay) == FINAL else session - 1


def freshness(
    stored: int, now: pd.Timestamp, calendar: Calendar, delay: pd.Timedelta, ends: pd.Timestamp | None, misses: int = 0
) -> Freshness:
    """Freshness of a series fetched at `now` whose last bar is the session at position `stored`.

    `misses` counts earlier fetches in a row that lacked the due bar. A bar that is still lacking when it should be
    final is a gap and waits for the next session; one that is not yet final is asked for again after 5 minutes, doubled
    up to 2 hours.
    """
    due = calendar.last_known(now, delay)
    if ends is not None and ends <= pd.Timestamp(calendar.sessions[stored]):
        return Freshness(FINAL, NEVER, now)
    state = bar_state(due, now, calendar, delay) if due >= 0 else PARTIAL
    if stored < due and state == PROVISIONAL:
        pause = min(FIRST_RETRY * 2**misses, LAST_RETRY)
        return Freshness(MISSING, min(now + pause, calendar.open_instant(due + 1)), now, misses + 1)
    if state == PROVISIONAL:
        return Freshness(PROVISIONAL, calendar.open_instant(due + 1), now)
    return Freshness(FINAL if stored >= due else MISSING, calendar.close_instant(due + 1) + delay, now)


def unknown(now: pd.Timestamp) -> Freshness:
    """A symbol that the source does not know, not asked for again within a day."""
    return Freshness(UNKNOWN, now + UNKNOWN_FOR, now)
