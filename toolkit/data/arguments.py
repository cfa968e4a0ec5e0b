"""What may be asked of MarketData: spans of sessions, counts, times to live, each refused with its value and a cure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from toolkit.data import calendar
from toolkit.data.bars import Bars
from toolkit.data.clock import Clock, SystemClock
from toolkit.data.intervals import dated
from toolkit.data.whole import nanoseconds
from toolkit.errors import DataUnavailable, EmptyRange, InvalidParameter, InvalidRange

DAY = pd.Timedelta("24h")
EARLIEST, LATEST = pd.Timestamp(calendar.START), pd.Timestamp("2200-01-01")


def cut(bars: Bars, first: pd.Timestamp | None, last: pd.Timestamp | None, now: pd.Timestamp) -> Bars:
    """The bars of the sessions `first` to `last`, both included, as far as they are known at `now`."""
    bars = bars.until(now)
    if dated(bars.interval):
        bars = bars if first is None else bars.since(first)
        return bars if last is None else bars.until(last)
    sessions = calendar.Calendar(bars.calendar)
    days = sessions.sessions[sessions.sessions_of(nanoseconds(bars.index), bars.interval)]
    start = 0 if first is None else int(days.searchsorted(first.to_datetime64()))
    stop = len(bars) if last is None else int(days.searchsorted(last.to_datetime64(), "right"))
    return bars if (start, stop) == (0, len(bars)) else bars.rows(start, max(start, stop))


def checked_count(name: str, value: int) -> int:
    """`value` itself, a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidParameter(f"{name} is {value!r}", "pass a whole number of at least 1")
    return value


def checked_ttl(ttl: float | None) -> float | None:
    """`ttl` itself, seconds of at least 0 or None."""
    if ttl is not None and (isinstance(ttl, bool) or not (isinstance(ttl, (int, float)) and 0.0 <= ttl < math.inf)):
        raise InvalidParameter(f"ttl is {ttl!r}", "pass seconds of at least 0, or None for the exchange's calendar")
    return ttl


def checked_anchor(anchor: pd.Timestamp | str, clock: Clock) -> pd.Timestamp:
    """The session date, which must lie in the past of a clock that is live."""
    (day, _) = checked_range(anchor, None)
    if day is None or not EARLIEST <= day <= LATEST:
        raise InvalidParameter(f"anchor is {anchor!r}", f"pass a session date after {EARLIEST:%Y-%m-%d}")
    if clock.namespace == SystemClock.namespace and day.tz_localize("UTC") + DAY > clock.now():
        raise InvalidParameter(f"anchor {day:%Y-%m-%d} is not in the past", "choose a day that is over")
    return day


def checked_range(
    start: pd.Timestamp | str | None, end: pd.Timestamp | str | None
) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """Both as session dates; raises InvalidRange for what is no date, has a time zone, or is out of order."""
    bounds = []
    for name, value in (("start", start), ("end", end)):
        try:
            bound = None if value is None else pd.Timestamp(value)
        except (ValueError, TypeError) as error:
            raise InvalidRange(f"{name} is {value!r}, which is no date", "pass e.g. '2012-01-03'") from error
        if bound is not None and (bound is pd.NaT or bound.tzinfo is not None):
            raise InvalidRange(f"{name} is {value!r}", "pass a session date without time zone, e.g. '2012-01-03'")
        bounds.append(bound if bound is None else min(max(bound, EARLIEST), LATEST).as_unit("ns"))
    first, last = bounds
    if first is not None and last is not None and first > last:
        raise InvalidRange(f"start {first:%Y-%m-%d} is after end {last:%Y-%m-%d}", "swap them")
    return first, last


def checked_instant(name: str, time: pd.Timestamp | str) -> pd.Timestamp:
    """The instant in UTC; raises InvalidParameter for what is none, or has no time zone."""
    cure = f"pass e.g. {name}='2026-11-20T21:00Z'"
    try:
        instant = pd.Timestamp(time)
    except (ValueError, TypeError) as error:
        raise InvalidParameter(f"{name} is {time!r}, which is no time", cure) from error
    if instant is pd.NaT or instant.tzinfo is None:
        raise InvalidParameter(f"{name} is {time!r}, which has no time zone", cure)
    return instant.tz_convert("UTC")


def empty(
    symbols: Sequence[str], first: object, last: object, now: pd.Timestamp, whole: Bars
) -> DataUnavailable:  # fmt: skip
    """The error of a range without a bar, which says where `whole` has some."""
    span = f"from {str(first)[:10] if first else 'the beginning'} to {str(last)[:10] if last else 'now'}"
    what = f"{', '.join(symbols[:8])}: no bar {span} is known at {now:%Y-%m-%d %H:%M} UTC"
    have = f"there are bars from {whole.index[0]:%Y-%m-%d} to {whole.index[-1]:%Y-%m-%d}" if len(whole) else "there are no bars"
    return EmptyRange(what, f"widen the range: {have}")
