"""What is stored of a source's symbols, and how it is renewed: the tail with proof, or all of it again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.data import calendar
from toolkit.data.barfile import ColumnFile
from toolkit.data.bars import Issue
from toolkit.data.cache import BarCache
from toolkit.data.calendar import Calendar
from toolkit.data.fetch import asked
from toolkit.data.freshness import MISSING, UNKNOWN, Freshness, audit_due, freshness, unknown
from toolkit.data.intervals import possible_parts
from toolkit.data.journal import superseded
from toolkit.data.series import Series, changed_parts, joined, recorded, replaced, series_of, tail_start
from toolkit.data.sources import History, Source
from toolkit.errors import BudgetSpent, CacheUnusable, DataUnavailable, ToolkitError, UnknownSymbol

log = logging.getLogger(__name__)

# Every symbol is stored whole from here on, whatever range was asked for: no answer can depend on earlier questions.
BEGINNING = pd.Timestamp(calendar.START)


class Damaged(DataUnavailable):
    """Stored bars that were whole when they were recorded, and are not now."""


class Served(NamedTuple):
    """A symbol's bars: version and parts that are stored, or the `series` itself where it could not be; `renewed` just now?"""

    version: str
    parts: tuple[str, ...]
    issues: tuple[Issue, ...] = ()
    series: Series | None = None
    renewed: bool = False


class Store:
    """What one source's symbols have in the cache, under names of their own; what cannot be written stays in memory."""

    def __init__(self, source: Source, cache: BarCache, namespace: str) -> None:
        self.source, self.cache, self._namespace = source, cache, namespace
        self._kept: dict[str, tuple[Freshness, Series, Issue]] = {}
        self.beginning = ""

    def look(self) -> str:
        """The beginning of all names of this source, looked at once a question: of a folder it changes with its files."""
        edition = f"-{self.source.edition}" if self.source.edition else ""
        self.beginning = f"{self._namespace}/{self.source.name}{edition}"
        return self.beginning

    def name(self, symbol: str, interval: str) -> str:
        """Under which the symbol is stored."""
        return f"{self.beginning}/{interval}/{symbol}"

    def record(self, symbol: str, interval: str, *, again: bool = False) -> Freshness | None:
        """The freshness record; from memory unless `again`."""
        name = self.name(symbol, interval)
        kept = self._kept.get(name)
        return self.cache.record(name, again=again) if kept is None else kept[0]

    def kept(self, symbol: str, interval: str) -> tuple[Series | None, tuple[Issue, ...]]:
        """The series that could not be stored, with the reason; None and nothing if there is none."""
        kept = self._kept.get(self.name(symbol, interval))
        return (None, ()) if kept is None else (kept[1], (kept[2],))

    def files(self, symbol: str, interval: str, parts: tuple[str, ...]) -> tuple[ColumnFile, ...]:
        """The stored files of the symbol."""
        return self.cache.files(self.name(symbol, interval), parts)

    def series(self, symbol: str, interval: str, parts: tuple[str, ...], version: str) -> Series:
        """The stored series; raises Damaged if a file is gone, of another version, or not to be trusted.

        Its record is dropped then, so that it is fetched again.
        """
        files = self.files(symbol, interval, parts)
        if len(files) == len(parts) and files[-1].meta["version"] == version:
            return series_of(files)
        self.cache.forget(self.name(symbol, interval))
        what = f"{symbol}: the files of version {version} are not all in the cache"
        raise Damaged(what, "ask again: it is fetched anew", symbol=symbol)

    def journal(self, symbol: str, interval: str, length: int) -> list[ColumnFile]:
        """What was superseded; raises DataUnavailable if some of it is gone, since a past view would be wrong."""
        entries = self.cache.journal(self.name(symbol, interval), length)
        if len(entries) == length:
            return entries
        what = f"{symbol}: {length - len(entries)} of {length} superseded versions in the cache could not be trusted"
        raise DataUnavailable(what, "ask without as_of; the present bars are whole", symbol=symbol)

    def remains(self, symbol: str, interval: str) -> list[ColumnFile]:
        """The journal of a symbol whose bars are lost: as many entries as there are."""
        entries: list[ColumnFile] = []
        while len(more := self.cache.journal(self.name(symbol, interval), len(entries) + 1)) > len(entries):
            entries = more
        return entries

    def put(self, symbol: str, record: Freshness, series: Series, stored: Series | None) -> Served:
        """Store the series, and what it supersedes."""
        name = self.name(symbol, series.interval)
        entry = None if stored is None else superseded(stored, series)
        if entry is not None:
            series = replace(series, journal=entry[0] + 1)
        changed, parts = changed_parts(series, stored)
        record = replace(record, version=series.version, parts=parts)
        try:
            self.cache.put(name, record, changed, entry)
            self._kept.pop(name, None)
        except CacheUnusable as error:
            log.warning("%s: %s", symbol, error)
            self._kept[name] = record, series, Issue(error.code, symbol, str(error))
        kept, issues = self.kept(symbol, series.interval)
        return Served(record.version, parts, issues, kept)

    def put_unknown(self, symbol: str, interval: str, record: Freshness) -> None:
        """Remember that the source does not know the symbol."""
        try:
            self.cache.put(self.name(symbol, interval), record)
        except CacheUnusable as error:
            log.warning("%s: %s", symbol, error)

    def forget(self) -> None:
        """Nothing stays in memory."""
        self._kept.clear()


class Renewal:
    """One answer to the question which bars there are at `now`, for symbols of one interval.

    Where the source's meter refuses a request, stored bars are served, or, if `strict`, BudgetSpent is the answer.
    """

    def __init__(self, store: Store, interval: str, now: pd.Timestamp, ttl: pd.Timedelta | None, strict: bool) -> None:
        self._store, self._interval, self._now, self._ttl, self._strict = store, interval, now, ttl, strict
        self._source = store.source
        reach = store.source.reach(interval)
        self._beginning = BEGINNING if reach is None else (now - reach).tz_localize(None).normalize()
        self._end = now.tz_localize(None).normalize() + pd.Timedelta(days=1)

    def remembered(self, symbol: str) -> Served | UnknownSymbol | None:
        """What the cache has if nothing newer can exist, in memory or on disk; None if the source is to be asked."""
        record = self._store.record(symbol, self._interval)
        if record is None or not record.holds(self._now, self._ttl):
            record = self._store.record(symbol, self._interval, again=True)
        if record is None or not record.holds(self._now, self._ttl):
            return None
        return self._as_recorded(symbol, record)

    def _as_recorded(self, symbol: str, record: Freshness) -> Served | UnknownSymbol:
        kept, issues = self._store.kept(symbol, self._interval)
        if record.state == UNKNOWN and not record.version:
            what = f"{symbol}: not known to {self._source.name} when it was asked less than a day ago"
            return UnknownSymbol(what, "check the spelling, or clear() to ask again", symbol=symbol)
        if record.state == UNKNOWN:
            issues += (Issue(UnknownSymbol.code, symbol, "no longer known to the source; stored bars are served"),)
        if record.state == MISSING and record.misses:
            due = f"{record.valid_until:%Y-%m-%d %H:%M} UTC"
            issues += (Issue("MISSING", symbol, f"the newest bar is due and has not come; asked again from {due}"),)
        return Served(record.version, record.parts, issues, kept)

    def renewed(self, symbols: Sequence[str]) -> Mapping[str, Served | ToolkitError]:
        """For each of `symbols` its bars as the source has them now, stored; or the error, where nothing is stored.

        No two threads or processes ask for a symbol at a time: who waits takes what the other has stored.
        """
        answers: dict[str, Served | ToolkitError] = {}
        with ExitStack() as flights:
            for symbol in sorted(symbols):
                flights.enter_context(self._store.cache.flight(self._store.name(symbol, self._interval)))
            due = []
            for symbol in symbols:
                found = self.remembered(symbol)
                if found is None:
                    due.append(symbol)
                else:
                    answers[symbol] = found
            stored = {symbol: self._stored(symbol) for symbol in due}
            for symbol, outcome in self._fetched(stored).items():
                if isinstance(outcome, Series):
                    answers[symbol] = self._put(symbol, outcome, stored[symbol])
                else:
                    answers[symbol] = self._failed(symbol, outcome, stored[symbol])
        return answers

    def _stored(self, symbol: str) -> Series | None:
        kept, _ = self._store.kept(symbol, self._interval)
        if kept is not None:
            return kept
        record = self._store.record(symbol, self._interval)
        parts = record.parts if record is not None and record.version else None
        files = self._store.files(symbol, self._interval, parts or possible_parts(self._interval, 1990, self._end.year))
        return series_of(files) if files else None

    def _fetched(self, stored: Mapping[str, Series | None]) -> dict[str, Series | ToolkitError]:
        starts = {symbol: self._start(series) for symbol, series in stored.items()}
        outcomes: dict[str, Series | ToolkitError] = {}
        restated = []
        for start in sorted(set(starts.values())):
            together = [symbol for symbol, own in starts.items() if own == start]
            for symbol, reply in asked(self._source, together, start, self._end, self._interval).items():
                series = stored[symbol]
                if isinstance(reply, ToolkitError):
                    outcomes[symbol] = reply
                elif series is not None and (whole := joined(series, reply)) is not None:
                    audited = self._now if start == self._beginning else series.audited_at
                    outcomes[symbol] = self._recorded(whole, series.provenance.revision, audited)
                elif start == self._beginning:
                    outcomes[symbol] = self._whole(symbol, series, reply)
                else:
                    restated.append(symbol)
        if restated:
            log.warning("%s has rewritten the history of %s: fetched again", self._source.name, ", ".join(restated))
            for symbol, reply in asked(self._source, restated, self._beginning, self._end, self._interval).items():
                outcomes[symbol] = reply if isinstance(reply, ToolkitError) else self._whole(symbol, stored[symbol], reply)
        return outcomes

    def _start(self, series: Series | None) -> pd.Timestamp:
        """The tail, or all of it: at first, once a week to compare every bar and action, and where nothing is settled."""
        if series is None or series.settled == 0 or audit_due(series.audited_at, self._now):
            return self._beginning
        return max(tail_start(series), self._beginning)

    def _whole(self, symbol: str, series: Series | None, reply: History) -> Series | ToolkitError:
        if series is None:
            past = self._store.remains(symbol, self._interval)
            new = self._recorded(reply, past[-1].meta["revision"] + 1 if past else 0, self._now)
            return replace(new, journal=len(past)) if isinstance(new, Series) else new
        if series.settled == 0:
            return self._recorded(reply, series.provenance.revision, self._now)
        return self._recorded(replaced(series, reply), series.provenance.revision + 1, self._now)

    def _recorded(self, history: History, revision: int, audited_at: pd.Timestamp) -> Series | ToolkitError:
        try:
            return recorded(history, self._interval, self._now, self._source, revision, audited_at)
        except ToolkitError as error:
            return error

    def _put(self, symbol: str, series: Series, stored: Series | None) -> Served:
        record = self._store.record(symbol, self._interval)
        history, exchange = series.history, Calendar(series.history.calendar)
        misses = 0 if record is None else record.misses
        series = series if stored is None else replace(series, journal=stored.journal)
        fresh = freshness(
            history.labels[-1], self._now, exchange, self._source.delay, self._interval, misses, history.last
        )  # fmt: skip
        served = self._store.put(symbol, fresh, series, stored)
        said = self._as_recorded(symbol, replace(fresh, version=served.version, parts=served.parts))
        return (said if isinstance(said, Served) else served)._replace(renewed=True)

    def _failed(self, symbol: str, error: ToolkitError, stored: Series | None) -> Served | ToolkitError:
        record = self._store.record(symbol, self._interval)
        if isinstance(error, UnknownSymbol):
            gone = unknown(self._now)
            if record is not None and record.version:
                gone = replace(gone, version=record.version, parts=record.parts)
            self._store.put_unknown(symbol, self._interval, gone)
        if stored is None or (self._strict and isinstance(error, BudgetSpent)):
            return error
        last = stored.history.labels[-1]
        sessions = int(np.searchsorted(Calendar(stored.history.calendar).closes, self._now.tz_localize(None).to_datetime64()))
        age = sessions - int(np.searchsorted(Calendar(stored.history.calendar).sessions, last, "right"))
        message = f"bars end on {str(last)[:10]}, {age} sessions ago; newer ones are due: {error}"
        log.warning("%s: %s", symbol, message)
        parts = record.parts if record is not None and record.version else ("",)
        return Served(stored.version, parts, (Issue("STALE", symbol, message),), stored)
