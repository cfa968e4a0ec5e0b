"""Prices on demand: from memory, from disk, or from the source, and never older than the exchange calendar allows."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from toolkit.data import calendar
from toolkit.data.adjust import ANCHOR
from toolkit.data.barfile import ColumnFile
from toolkit.data.bars import Bars, Issue
from toolkit.data.cache import BarCache, Entry
from toolkit.data.calendar import Calendar
from toolkit.data.clock import Clock, SystemClock
from toolkit.data.fetch import fetch_all
from toolkit.data.freshness import MISSING, UNKNOWN, Freshness, freshness, unknown
from toolkit.data.series import Series, aligned, columns_of, joined, recorded, series_of, tail_start
from toolkit.data.sources import Source
from toolkit.data.sources.sample import SampleSource
from toolkit.data.symbols import checked_symbols
from toolkit.errors import (
    CacheUnusable,
    DataUnavailable,
    EmptyRange,
    InvalidParameter,
    InvalidRange,
    ToolkitError,
    UnknownSymbol,
)

log = logging.getLogger(__name__)

# Every symbol is stored whole from here on, whatever range was asked for: no answer can depend on earlier questions.
BEGINNING = pd.Timestamp(calendar.START)


class Served(NamedTuple):
    """A symbol's bars as they lie in the cache, and what is wrong with them."""

    file: ColumnFile
    issues: tuple[Issue, ...] = ()


class MarketData:
    """Bars of a `source` through a cache; what is known at the clock's instant, never more. Thread-safe.

    Freshness is judged at `clock.horizon()`, so that a replay fetches once; `ttl` (seconds) overrides it. Missing symbols
    are fetched by `n_jobs` threads. `max_size` assembled Bars stay in memory. `anchor` must lie in the past.
    """

    def __init__(
        self,
        source: Source | None = None,
        cache: BarCache | None = None,
        clock: Clock | None = None,
        n_jobs: int = 8,
        ttl: float | None = None,
        max_size: int = 64,
        anchor: pd.Timestamp | str = ANCHOR,
    ) -> None:
        self.source: Source = SampleSource() if source is None else source
        self.cache = cache if cache is not None else BarCache()
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.n_jobs, self.ttl, self.max_size, self.anchor = n_jobs, ttl, max_size, pd.Timestamp(anchor)
        if self.clock.namespace == SystemClock.namespace and self.anchor.tz_localize("UTC") >= self.clock.now():
            raise InvalidParameter(f"anchor {self.anchor:%Y-%m-%d} is not in the past", "choose a day that is over")
        self._assembled: OrderedDict[tuple, Bars] = OrderedDict()
        self._counts = {"hits": 0, "misses": 0, "stale": 0, "api_calls": 0}
        self._lock = threading.RLock()

    def bars(
        self,
        symbols: str | Iterable[str],
        start: pd.Timestamp | str | None = None,
        end: pd.Timestamp | str | None = None,
        interval: str = "1d",
        ttl: float | None = None,
    ) -> Bars:
        """Bars of `symbols` from session `start` to session `end`, as far as known now; the same bits for every range.

        A symbol that failed is left out and named in `issues`, as is one whose stored bars could not be renewed.
        Raises the symbol's own error if none succeeded, EmptyRange if there is no bar in the range.
        """
        wanted = checked_symbols(symbols)
        first, last = _range(start, end)
        if interval != "1d":
            raise InvalidParameter(f"interval is {interval!r}", "only daily bars are served: pass interval='1d'")
        with self._lock:
            served, failed = self._serve(wanted, interval, self.ttl if ttl is None else ttl)
            if not served:
                raise next(iter(failed.values()))
            whole = self._assemble(served, interval, first)
        bars = whole.until(self.clock.now())
        bars = bars if last is None else bars.until(last)
        if len(bars) == 0:
            raise _empty(wanted, first, last, self.clock.now())
        issues = [Issue(error.code, symbol, str(error)) for symbol, error in failed.items()]
        issues += [issue for each in served.values() for issue in each.issues]
        return replace(bars, issues=(*bars.issues, *issues)) if issues else bars

    def _serve(
        self, symbols: tuple[str, ...], interval: str, ttl: float | None
    ) -> tuple[dict[str, Served], dict[str, ToolkitError]]:
        now = self._horizon()
        life = None if ttl is None else pd.Timedelta(seconds=ttl)
        entries = {symbol: self._entry(symbol, interval, now, life) for symbol in symbols}
        due = [symbol for symbol, entry in entries.items() if not _fresh(entry, now, life)]
        self._counts["hits"] += len(symbols) - len(due)
        self._counts["misses"] += len(due)
        self._counts["stale"] += sum(entries[symbol].bars is not None for symbol in due)
        renewed = self._renew(due, entries, interval, now) if due else {}
        served: dict[str, Served] = {}
        failed: dict[str, ToolkitError] = {}
        for symbol in symbols:
            answer = renewed.get(symbol) or self._remembered(symbol, entries[symbol])
            if isinstance(answer, ToolkitError):
                failed[symbol] = answer
            else:
                served[symbol] = answer
        return served, failed

    def _horizon(self) -> pd.Timestamp:
        # Adjusted prices need all actions up to the anchor: a replay that ends before it has the same bits as a longer one.
        return max(self.clock.horizon(), self.anchor.tz_localize("UTC") + pd.Timedelta(days=1))

    def _name(self, symbol: str, interval: str) -> str:
        return f"{self._beginning}/{interval}/{symbol}"

    @property
    def _beginning(self) -> str:
        edition = f"-{self.source.edition}" if self.source.edition else ""
        return f"{self.clock.namespace}/{self.source.name}{edition}"

    def _entry(self, symbol: str, interval: str, now: pd.Timestamp, ttl: pd.Timedelta | None) -> Entry:
        name = self._name(symbol, interval)
        entry = self.cache.entry(name)
        return entry if _fresh(entry, now, ttl) else self.cache.entry(name, again=True)

    def _remembered(self, symbol: str, entry: Entry) -> Served | ToolkitError:
        if entry.record is None or entry.record.state != UNKNOWN:
            return self._unknown(symbol) if entry.bars is None else _served(symbol, entry.bars, entry.record)
        if entry.bars is None:
            return self._unknown(symbol)
        gone = Issue(UnknownSymbol.code, symbol, "no longer known to the source; stored bars are served")
        return Served(entry.bars, (gone,))

    def _unknown(self, symbol: str) -> UnknownSymbol:
        what = f"{symbol}: not known to {self.source.name} when it was asked less than a day ago"
        return UnknownSymbol(what, "check the spelling, or clear() to ask again", symbol=symbol)

    def _renew(
        self, due: list[str], entries: dict[str, Entry], interval: str, now: pd.Timestamp
    ) -> dict[str, Served | ToolkitError]:
        asked = self.source.meter.calls
        answers: dict[str, Served | ToolkitError] = {}
        stored = {symbol: series_of(file) for symbol in due if (file := entries[symbol].bars) is not None}
        fetched = fetch_all(due, lambda symbol: self._fetch(symbol, stored.get(symbol), interval, now), self.n_jobs)
        for symbol, outcome in fetched:
            entry = entries[symbol]
            if isinstance(outcome, Series):
                answers[symbol] = self._store(symbol, outcome, entry, interval, now)
            else:
                answers[symbol] = self._failed(symbol, outcome, entry, interval, now)
        self._counts["api_calls"] += self.source.meter.calls - asked
        lost = [answer for answer in answers.values() if isinstance(answer, ToolkitError)]
        if lost:
            log.warning("no bars for %d of %d symbols: %s", len(lost), len(due), "; ".join(map(str, lost)))
        return answers

    def _fetch(self, symbol: str, stored: Series | None, interval: str, now: pd.Timestamp) -> Series:
        end = now.tz_localize(None).normalize() + pd.Timedelta(days=1)
        if stored is not None and stored.settled:
            tail = self.source.fetch(symbol, tail_start(stored), end, interval)
            whole = joined(stored, tail)
            if whole is not None:
                return recorded(whole, now, self.source, stored.provenance.revision)
            log.warning("%s: %s has rewritten its history, fetching all of it again", symbol, self.source.name)
        revision = 0 if stored is None else stored.provenance.revision + 1
        return recorded(self.source.fetch(symbol, BEGINNING, end, interval), now, self.source, revision)

    def _store(self, symbol: str, series: Series, entry: Entry, interval: str, now: pd.Timestamp) -> Served:
        exchange = Calendar(series.history.calendar)
        at = int(exchange.positions(series.history.labels[-1:])[0])
        misses = entry.record.misses if entry.record is not None else 0
        record = freshness(at, now, exchange, self.source.delay, series.history.last, misses)
        columns, meta = columns_of(series, interval)
        try:
            stored = self.cache.put(self._name(symbol, interval), replace(record, version=series.version), columns, meta)
        except CacheUnusable as error:
            log.warning("%s: %s", symbol, error)
            return Served(ColumnFile(columns, meta), (Issue(error.code, symbol, str(error)),))
        return _served(symbol, stored.bars if stored.bars is not None else ColumnFile(columns, meta), record)

    def _failed(
        self, symbol: str, error: ToolkitError, entry: Entry, interval: str, now: pd.Timestamp
    ) -> Served | ToolkitError:
        if isinstance(error, UnknownSymbol):
            version = entry.record.version if entry.record is not None else ""
            try:
                self.cache.put(self._name(symbol, interval), replace(unknown(now), version=version))
            except CacheUnusable as unusable:
                log.warning("%s: %s", symbol, unusable)
        if entry.bars is None:
            return error
        last = str(entry.bars.columns["label"][-1])[:10]
        log.warning("%s: bars up to %s are served although newer ones are due: %s", symbol, last, error)
        return Served(entry.bars, (Issue("STALE", symbol, f"bars end on {last}, newer ones are due: {error}"),))

    def _assemble(self, served: dict[str, Served], interval: str, first: pd.Timestamp | None) -> Bars:
        versions = tuple(each.file.meta["version"] for each in served.values())
        key = (tuple(served), interval, versions, first)
        if key not in self._assembled:
            if first is None:
                several = [series_of(each.file) for each in served.values()]
                bars = aligned(several, interval, self.source.delay, self.anchor)
            else:
                bars = self._assemble(served, interval, None).since(first)
            self._assembled[key] = bars
        self._assembled.move_to_end(key)
        while len(self._assembled) > self.max_size:
            self._assembled.popitem(last=False)
        return self._assembled[key]

    def stats(self) -> dict[str, float]:
        """Counts by symbol asked for: hits, misses (stale among them), api_calls; hit_rate, miss_rate as fractions."""
        with self._lock:
            counts = dict(self._counts)
        total = counts["hits"] + counts["misses"]
        rates = {name: counts[count] / max(total, 1) for name, count in (("hit_rate", "hits"), ("miss_rate", "misses"))}
        return {**counts, "total_requests": total, **rates}

    def clear(self, bars: bool = False) -> None:
        """Forget memory and freshness, so that this source is asked again; with `bars`, move its stored bars to a trash."""
        with self._lock:
            self._assembled.clear()
            self.cache.clear(bars, self._beginning + "/")


def _served(symbol: str, bars: ColumnFile, record: Freshness | None) -> Served:
    """The bars; with an issue while the one of a session that is over has not come yet."""
    if record is None or record.state != MISSING or not record.misses:
        return Served(bars)
    message = f"the newest bar is due and has not come; asked again from {record.valid_until:%Y-%m-%d %H:%M} UTC"
    return Served(bars, (Issue("MISSING", symbol, message),))


def _fresh(entry: Entry, now: pd.Timestamp, ttl: pd.Timedelta | None) -> bool:
    record: Freshness | None = entry.record
    if record is None or (entry.bars is None and record.state != UNKNOWN):
        return False
    return record.holds(now, ttl)


def _range(start: pd.Timestamp | str | None, end: pd.Timestamp | str | None) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    bounds = []
    for name, value in (("start", start), ("end", end)):
        try:
            bound = None if value is None else pd.Timestamp(value)
        except (ValueError, TypeError) as error:
            raise InvalidRange(f"{name} is {value!r}, which is no date", "pass e.g. '2012-01-03'") from error
        if bound is not None and (bound is pd.NaT or bound.tzinfo is not None):
            raise InvalidRange(f"{name} is {value!r}", "pass a session date without time zone, e.g. '2012-01-03'")
        bounds.append(bound)
    first, last = bounds
    if first is not None and last is not None and first > last:
        raise InvalidRange(f"start {first:%Y-%m-%d} is after end {last:%Y-%m-%d}", "swap them")
    return first, last


def _empty(symbols: tuple[str, ...], first: object, last: object, now: pd.Timestamp) -> DataUnavailable:
    span = f"from {str(first)[:10] if first else 'the beginning'} to {str(last)[:10] if last else 'now'}"
    return EmptyRange(f"{', '.join(symbols)}: no bar {span} is known at {now}", "widen the range")
