"""Sessions of an exchange as three sorted arrays, taken once from exchange_calendars."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache

import exchange_calendars
import numpy as np
import pandas as pd
from exchange_calendars.errors import InvalidCalendarName

from toolkit.data.clock import utc64
from toolkit.data.intervals import DAILY, length
from toolkit.errors import DataUnavailable, InvalidParameter

START = "1990-01-01"
SETTLING = np.timedelta64(1, "h")

_building = threading.Lock()


def _schedule(name: str) -> tuple[np.ndarray, ...]:
    with _building:  # threads that ask at once would each build it, a tenth of a second of work
        return _built(name)


@lru_cache
def _built(name: str) -> tuple[np.ndarray, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.Pandas4Warning)  # of exchange_calendars 4.13 on pandas 3.1
        exchange = _exchange(name)
    columns = (exchange.sessions, exchange.opens, exchange.closes)
    sessions, opens, closes = (pd.DatetimeIndex(column).as_unit("ns").asi8.view("M8[ns]") for column in columns)
    settled = closes + SETTLING
    settled[:-1] = np.maximum(settled[:-1], opens[1:])
    for array in (sessions, opens, closes, settled):
        array.flags.writeable = False
    return sessions, opens, closes, settled


def _exchange(name: str) -> exchange_calendars.ExchangeCalendar:
    try:
        return exchange_calendars.get_calendar(name, start=START)
    except InvalidCalendarName as error:
        raise InvalidParameter(f"calendar {name!r} is not known", "pass e.g. 'XNYS' or '24/7'") from error
    except ValueError:  # some exchanges are recorded from later years on only
        return exchange_calendars.get_calendar(name)


@dataclass(frozen=True)
class Calendar:
    """Sessions of one exchange from 1990 to about a year ahead, by its ISO 10383 code.

    >>> Calendar("XNYS").closes_between("2012-11-23", "2012-11-26")  # the day after Thanksgiving closes early
    [Timestamp('2012-11-23 18:00:00+0000', tz='UTC'), Timestamp('2012-11-26 21:00:00+0000', tz='UTC')]
    """

    name: str = "XNYS"

    @property
    def sessions(self) -> np.ndarray:
        """Session dates, naive midnights, M8[ns]."""
        return _schedule(self.name)[0]

    @property
    def opens(self) -> np.ndarray:
        """Opening instants, naive UTC, M8[ns]."""
        return _schedule(self.name)[1]

    @property
    def closes(self) -> np.ndarray:
        """Closing instants, naive UTC, M8[ns]."""
        return _schedule(self.name)[2]

    @property
    def settled(self) -> np.ndarray:
        """Instants from which a session's bars are revised no more: its next open, an hour after its close at least."""
        return _schedule(self.name)[3]

    def sessions_of(self, labels: np.ndarray, interval: str) -> np.ndarray:
        """Position of the session that each bar belongs to (`labels` as in Bars, naive M8[ns]); -1 outside of sessions."""
        if interval == DAILY:
            return self.positions(labels)
        at = np.searchsorted(self.opens, labels, "right") - 1
        return np.where((at >= 0) & (labels < self.closes[np.maximum(at, 0)]), at, -1)

    def ends_of(self, labels: np.ndarray, interval: str, sessions: np.ndarray | None = None) -> np.ndarray:
        """Instant at which each bar ends, naive UTC M8[ns]; the last bar of a session ends with it.

        `sessions` are the positions of the bars' sessions, where they are known already.
        """
        close = self.closes[self.sessions_of(labels, interval) if sessions is None else sessions]
        return close if interval == DAILY else np.minimum(labels + length(interval), close)

    def at_opens(self, events: np.ndarray) -> np.ndarray:
        """`events` with their `date` (sessions) replaced by the opening instants, as intraday bars are labelled."""
        moved, at = events.copy(), np.searchsorted(self.sessions, events["date"])
        moved["date"] = self.opens[np.minimum(at, len(self.opens) - 1)]
        return moved

    def positions(self, dates: np.ndarray) -> np.ndarray:
        """Positions of `dates` (M8[ns]) among the sessions; -1 for a date that is no session."""
        at = np.searchsorted(self.sessions, dates)
        found = self.sessions[np.minimum(at, len(self.sessions) - 1)] == dates
        return np.where(found, at, -1)

    def last_known(self, now: pd.Timestamp, delay: pd.Timedelta) -> int:
        """Position of the last session whose bar is known at `now`: close + delay <= now; -1 before the first.

        Raises DataUnavailable past the last session on record, where nothing could ever become stale.
        """
        at = int(np.searchsorted(self.closes, utc64(now - delay), "right")) - 1
        if at >= len(self.closes) - 1:
            raise DataUnavailable(
                f"calendar {self.name} ends on {str(self.sessions[-1])[:10]}, before {now}", "update exchange_calendars"
            )
        return at

    def open_instant(self, position: int) -> pd.Timestamp:
        """Opening of the session at `position`, tz-aware UTC."""
        return pd.Timestamp(self.opens[position], tz="UTC")

    def close_instant(self, position: int) -> pd.Timestamp:
        """Close of the session at `position`, tz-aware UTC."""
        return pd.Timestamp(self.closes[position], tz="UTC")

    def sessions_between(self, start: pd.Timestamp | str, end: pd.Timestamp | str) -> pd.DatetimeIndex:
        """Session dates from `start` to `end`, both included."""
        return pd.DatetimeIndex(self.sessions[self._between(start, end)])

    def closes_between(self, start: pd.Timestamp | str, end: pd.Timestamp | str) -> list[pd.Timestamp]:
        """Closes of the sessions from `start` to `end`, both included, tz-aware UTC."""
        return list(pd.DatetimeIndex(self.closes[self._between(start, end)]).tz_localize("UTC"))

    def _between(self, start: pd.Timestamp | str, end: pd.Timestamp | str) -> slice:
        first = np.searchsorted(self.sessions, pd.Timestamp(start).to_datetime64(), "left")
        last = np.searchsorted(self.sessions, pd.Timestamp(end).to_datetime64(), "right")
        return slice(int(first), int(last))
