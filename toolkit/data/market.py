"""Prices on demand: from memory, from disk, or from the source, and never older than the exchange calendar allows."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pandas as pd

from toolkit.data.adjust import ANCHOR
from toolkit.data.arguments import checked_anchor, checked_count, checked_instant, checked_range, checked_ttl, cut, empty
from toolkit.data.bars import Bars, Issue
from toolkit.data.cache import BarCache
from toolkit.data.clock import Clock, SystemClock
from toolkit.data.fetch import in_parallel
from toolkit.data.intervals import DAILY, RESAMPLED, checked_interval
from toolkit.data.journal import as_it_was
from toolkit.data.panel import FROM_SYMBOLS, open_panel, panel_path, store_panel
from toolkit.data.renewal import Renewal
from toolkit.data.resample import resampled
from toolkit.data.series import Series, aligned, in_memory, laid_out
from toolkit.data.sources import BatchSource, Source
from toolkit.data.sources.named import source_of
from toolkit.data.store import Damaged, Served, Store
from toolkit.data.symbols import checked_symbols
from toolkit.data.work import count, phase
from toolkit.errors import (
    BudgetSpent,
    InvalidParameter,
    ToolkitError,
    UnknownSymbol,
)

log = logging.getLogger(__name__)

MANY = 200  # each map holds a file open, and a process may have a thousand of them


class MarketData:
    """Bars of a `source`, or of its name, through a cache; what is known at the clock's instant, never more.

    Freshness is judged at `clock.horizon()`, so that a replay fetches once; `ttl` (seconds) overrides it. Missing symbols
    are fetched by `n_jobs` threads. `max_size` assembled Bars stay in memory. `anchor` must lie in the past. Where the
    source's meter refuses more requests, `past_budget` says whether stored bars are served ("stale") or BudgetSpent is
    raised ("refuse"). Safe for threads.
    """

    def __init__(
        self,
        source: Source | str | None = None,
        cache: BarCache | None = None,
        clock: Clock | None = None,
        n_jobs: int = 8,
        ttl: float | None = None,
        max_size: int = 64,
        anchor: pd.Timestamp | str = ANCHOR,
        past_budget: str = "stale",
    ) -> None:
        self.source: Source = source_of(source or "sample") if source is None or isinstance(source, str) else source
        self.cache = cache if cache is not None else BarCache()
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.n_jobs, self.max_size = checked_count("n_jobs", n_jobs), checked_count("max_size", max_size)
        self.ttl, self.anchor = checked_ttl(ttl), checked_anchor(anchor, self.clock)
        if past_budget not in ("stale", "refuse"):
            raise InvalidParameter(f"past_budget is {past_budget!r}", "pass 'stale' or 'refuse'")
        self.past_budget = past_budget
        self._assembled: OrderedDict[tuple, tuple[tuple[str, ...], Bars]] = OrderedDict()  # the last versions of each question
        self._counts = {"hits": 0, "misses": 0, "stale": 0, "unknown": 0}
        self._before = self.source.meter.calls
        self._lock = threading.Lock()
        self._store = Store(self.source, self.cache, self.clock.namespace)

    @phase("fetch")
    def bars(
        self,
        symbols: str | Iterable[str],
        start: pd.Timestamp | str | None = None,
        end: pd.Timestamp | str | None = None,
        interval: str = DAILY,
        ttl: float | None = None,
        as_of: pd.Timestamp | str | None = None,
    ) -> Bars:
        """Bars of `symbols` from session `start` to session `end`, as far as known now; the same bits for every range.

        `as_of` (tz-aware) gives what was stored and known at that instant, before later restatements. A symbol that failed
        is left out and named in `issues`, as is one whose stored bars could not be renewed. Raises the symbol's own error if
        none succeeded, EmptyRange if there is no bar in the range.
        """
        wanted = checked_symbols(symbols)
        first, last = checked_range(start, end)
        life, now = self.ttl if ttl is None else checked_ttl(ttl), self.clock.now()
        now = now if as_of is None else min(now, checked_instant("as_of", as_of))
        served, failed, whole = self._found(wanted, checked_interval(interval), first, life, None if as_of is None else now)
        bars = cut(whole, None, last, now)
        if len(bars) == 0:
            raise empty(wanted, first, last, now, whole)
        issues = [Issue(error.code, symbol, str(error)) for symbol, error in failed.items()]
        issues += [issue for each in served.values() for issue in each.issues]
        return replace(bars, issues=(*bars.issues, *issues)) if issues else bars

    def _found(
        self, symbols: tuple[str, ...], interval: str, first: pd.Timestamp | None, ttl: float | None, as_of: pd.Timestamp | None
    ) -> tuple[dict[str, Served], dict[str, ToolkitError], Bars]:
        """What is served, what failed, and the bars; files that turn out to be damaged are fetched again, once."""
        stored = DAILY if interval in RESAMPLED else interval
        self._store.look()
        served, failed = self._serve(symbols, stored, ttl)
        try:
            return served, failed, self._together(served, failed, stored, interval, first, as_of)
        except Damaged:
            served, failed = self._serve(symbols, stored, ttl)
            return served, failed, self._together(served, failed, stored, interval, first, as_of)

    def _together(
        self, served: dict[str, Served], failed: dict[str, ToolkitError], stored: str, interval: str,
        first: pd.Timestamp | None, as_of: pd.Timestamp | None,
    ) -> Bars:  # fmt: skip
        if not served:
            raise next(iter(failed.values()))
        if as_of is None:
            return self._assemble(served, stored, interval, first)
        return self._shaped(self._past(served, stored, as_of), interval, first)

    def scan(
        self,
        symbols: str | Iterable[str],
        start: pd.Timestamp | str | None = None,
        end: pd.Timestamp | str | None = None,
        interval: str = DAILY,
    ) -> Iterator[Bars]:
        """The same bars symbol by symbol, intraday ones year by year, as maps of the files: memory holds one at a time.

        A symbol that failed is logged and passed over.
        """
        wanted, stored = checked_symbols(symbols), DAILY if checked_interval(interval) in RESAMPLED else interval
        first, last = checked_range(start, end)
        self._store.look()
        for at in range(0, len(wanted), 64):
            served, _ = self._serve(wanted[at : at + 64], stored, self.ttl)
            for symbol, each in served.items():
                for bars in self._chunks(symbol, each, stored):
                    bars = cut(self._shaped(bars, interval, None), first, last, self.clock.now())
                    if len(bars):
                        yield bars

    def _chunks(self, symbol: str, each: Served, interval: str) -> Iterator[Bars]:
        """One Bars a stored file; the factors of all are computed over the whole symbol, so that the bits are the same."""
        try:
            (series,) = self._loaded({symbol: each}, interval)
        except Damaged:
            each = self._serve((symbol,), interval, self.ttl)[0].get(symbol, each)
            (series,) = self._loaded({symbol: each}, interval)
        files = () if each.series is not None else self._store.files(symbol, interval, each.parts)
        if len(files) < 2:
            yield aligned([series], self.source.delay, self.anchor)
            return
        whole = laid_out([series], series.history.labels, series.history.traded[:, None], self.source.delay, self.anchor)
        start = 0
        for file in files:
            rows = len(file.columns["label"])
            yield whole.rows(start, start + rows, file.columns["traded"][:, None])
            start += rows

    # ------------------------------------------------------------------------------------------------ fresh or renewed
    def _serve(
        self, symbols: tuple[str, ...], interval: str, ttl: float | None
    ) -> tuple[dict[str, Served], dict[str, ToolkitError]]:
        life = None if ttl is None else pd.Timedelta(seconds=ttl)
        renewal = Renewal(self._store, interval, self._horizon(), life, self.past_budget == "refuse")
        answers: dict[str, Served | ToolkitError | None] = {symbol: renewal.remembered(symbol) for symbol in symbols}
        due = [symbol for symbol, answer in answers.items() if answer is None]
        stale = sum(self._store.record(symbol, interval) is not None for symbol in due)
        unknown = sum(isinstance(answer, UnknownSymbol) for answer in answers.values())
        with self._lock:
            self._counts["hits"] += len(symbols) - len(due) - unknown
            self._counts["misses"] += len(due)
            self._counts["stale"] += stale
            self._counts["unknown"] += unknown
        count(hits=len(symbols) - len(due) - unknown, misses=len(due), calls=0)
        if due:
            size = self.source.batch if isinstance(self.source, BatchSource) else 1
            groups = [due[at : at + size] for at in range(0, len(due), size)]
            answers |= dict(in_parallel(groups, renewal.fetched, renewal.renewed, self.n_jobs, self.cache.leave))
        served = {symbol: answer for symbol, answer in answers.items() if isinstance(answer, Served)}
        failed = {symbol: answer for symbol, answer in answers.items() if isinstance(answer, ToolkitError)}
        self._report(failed, len(symbols))
        return served, failed

    def _report(self, failed: dict[str, ToolkitError], asked: int) -> None:
        for error in failed.values():
            if isinstance(error, BudgetSpent) and self.past_budget == "refuse":
                raise error
        lost = [str(error) for error in failed.values()]
        if lost and len(lost) < asked:
            log.warning("no bars for %d of %d symbols: %s", len(lost), asked, "; ".join(lost))

    def _horizon(self) -> pd.Timestamp:
        # Adjusted prices need all actions up to the anchor: a replay that ends before it has the same bits as a longer one.
        return max(self.clock.horizon(), self.anchor.tz_localize("UTC") + pd.Timedelta(days=1))

    # -------------------------------------------------------------------------------------------------------- together
    def _assemble(self, served: dict[str, Served], stored: str, interval: str, first: pd.Timestamp | None) -> Bars:
        versions = tuple(each.version for each in served.values())
        key = (self._store.beginning, tuple(served), interval, first)
        with self._lock:
            known, bars = self._assembled.get(key, (None, None))
            if bars is not None and known == versions:
                self._assembled.move_to_end(key)
                return bars
        if interval == stored and first is None:
            bars = self._panel(served, stored, versions)
        else:
            bars = self._shaped(self._assemble(served, stored, stored, None), interval, first)
        with self._lock:
            self._assembled[key] = versions, bars
            self._assembled.move_to_end(key)
            while len(self._assembled) > self.max_size:
                self._assembled.popitem(last=False)
        return bars

    def _shaped(self, bars: Bars, interval: str, first: pd.Timestamp | None) -> Bars:
        bars = bars if interval == bars.interval else resampled(bars, interval)
        return bars if first is None else cut(bars, first, None, bars.known_at[-1])

    def _panel(self, served: dict[str, Served], interval: str, versions: tuple[str, ...]) -> Bars:
        if len(served) < FROM_SYMBOLS or any(each.series for each in served.values()):
            return aligned(self._loaded(served, interval), self.source.delay, self.anchor)
        names = [self._store.name(symbol, interval) for symbol in served]
        path = panel_path(self.cache.directory / "panels", [*names, *versions, str(self.anchor), str(self.source.delay)])
        bars = open_panel(path)
        if bars is None:
            bars = aligned(self._loaded(served, interval), self.source.delay, self.anchor)
            # What was fetched in this very call is seldom asked for by a process that does not have it in memory.
            if not self.cache.readonly and not any(each.renewed for each in served.values()):
                store_panel(path, bars, self.source.name)
        return bars

    def _loaded(self, served: dict[str, Served], interval: str) -> list[Series]:
        """All of the series; raises Damaged after the last one, so that all that are damaged are fetched again together."""
        several, damaged = [], None
        for symbol, each in served.items():
            try:
                series = each.series or self._store.series(symbol, interval, each.parts, each.version)
                several.append(series if each.series or len(served) <= MANY else in_memory(series))
            except Damaged as error:
                damaged = error
        if damaged is not None:
            raise damaged
        return several

    def _past(self, served: dict[str, Served], interval: str, time: pd.Timestamp) -> Bars:
        several, early = [], []
        for series in self._loaded(served, interval):
            symbol = series.history.symbol
            several.append(as_it_was(series, self._store.journal(symbol, interval, series.journal), time))
            if time < series.since:
                message = f"nothing was stored before {series.since:%Y-%m-%d %H:%M} UTC; shown as it was then"
                early.append(Issue("NOT_YET_STORED", symbol, message))
        bars = aligned(several, self.source.delay, self.anchor)
        return replace(bars, issues=(*bars.issues, *early))

    def stats(self) -> dict[str, float]:
        """Counts by symbol asked for: hits, misses (stale among them), unknown; api_calls; hit_rate, miss_rate as fractions."""
        with self._lock:
            counts = dict(self._counts)
        total = counts["hits"] + counts["misses"]
        rates = {name: counts[count] / max(total, 1) for name, count in (("hit_rate", "hits"), ("miss_rate", "misses"))}
        return {**counts, "api_calls": self.source.meter.calls - self._before, "total_requests": total, **rates}

    def close(self) -> None:
        """Writes the counts of the cache down."""
        self.cache.flush()

    def clear(self, bars: bool = False) -> None:
        """Forget memory and freshness, so that this source is asked again; with `bars`, move its stored bars to a trash."""
        with self._lock:
            self._assembled.clear()
        self._store.forget()
        self.cache.clear(bars, self._store.look() + "/")
