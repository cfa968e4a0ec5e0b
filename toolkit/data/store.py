"""What one source's symbols have in the cache, under names of their own."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from toolkit.data.barfile import ColumnFile
from toolkit.data.bars import Issue
from toolkit.data.cache import BarCache
from toolkit.data.freshness import Freshness
from toolkit.data.intervals import DAILY, possible_parts
from toolkit.data.journal import superseded
from toolkit.data.series import Series, changed_parts, series_of
from toolkit.data.sources import Source
from toolkit.errors import CacheUnusable, DataUnavailable

log = logging.getLogger(__name__)


class Damaged(DataUnavailable):
    """Stored bars that were whole when they were recorded, and are not now."""


class Served(NamedTuple):
    """A symbol's bars: version and parts that are stored; the `series` itself where it could not be, or was `renewed` just now.

    Intraday bars that are stored are never kept in memory.
    """

    version: str
    parts: tuple[str, ...]
    issues: tuple[Issue, ...] = ()
    series: Series | None = None
    renewed: bool = False


class Store:
    """What one source's symbols have in the cache, under names of their own; what cannot be written stays in memory."""

    def __init__(self, source: Source, cache: BarCache, namespace: str) -> None:
        self.source, self.cache, self.namespace = source, cache, namespace
        self._kept: dict[str, tuple[Freshness, Series, Issue]] = {}
        self.beginning = ""

    def look(self) -> str:
        """The beginning of all names of this source, looked at once a question: of a folder it changes with its files."""
        edition = f"-{self.source.edition}" if self.source.edition else ""
        self.beginning = f"{self.namespace}/{self.source.name}{edition}"
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

    def on_disk(self, symbol: str, interval: str, last_year: int) -> Series | None:
        """What is stored of the symbol, by its record or, without one, by the names that parts up to `last_year` have."""
        record = self.cache.record(self.name(symbol, interval))
        parts = record.parts if record is not None and record.version else possible_parts(interval, last_year)
        files = self.files(symbol, interval, parts)
        return series_of(files) if files else None

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
        unsaved = name in self._kept  # then `stored` was never on disk: all parts are written, over what lies there
        if unsaved:
            stored = self.on_disk(symbol, series.interval, record.fetched_at.year + 1)
            journal, since = (0, pd.NaT) if stored is None else (stored.journal, stored.since)
            series = replace(series, journal=journal, since=since)
        entry = None if stored is None else superseded(stored, series, self.source.delay)
        if entry is not None:
            series = replace(series, journal=entry[0] + 1)
        changed, parts = changed_parts(series, None if unsaved else stored)
        record = replace(record, version=series.version, parts=parts)
        try:
            self.cache.put(name, record, changed, entry)
            self._kept.pop(name, None)
        except CacheUnusable as error:
            log.warning("%s: %s", symbol, error)
            self._kept[name] = record, series, Issue(error.code, symbol, str(error))
        kept, issues = self.kept(symbol, series.interval)
        if kept is None and series.interval == DAILY:  # years of minutes are left to their maps
            kept = series_of([ColumnFile(*changed[parts[0]])])  # as it would be read back
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
