"""One row a cycle: how long each phase took, what the caches answered, what was traded."""

from __future__ import annotations

import logging
import sqlite3
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from toolkit.cycle.run_times import Percentiles, TwoRuns
from toolkit.data import work

log = logging.getLogger(__name__)
Fetched = TypeVar("Fetched")
PHASES = ("data_fetch_time", "signal_generation_time", "risk_calculation_time", "execution_time")


@dataclass(frozen=True)
class CycleRow:
    """What one cycle leaves behind: times in seconds, money in dollars, the rest counts."""

    session: str = ""
    data_fetch_time: float = 0.0
    signal_generation_time: float = 0.0
    risk_calculation_time: float = 0.0
    execution_time: float = 0.0
    total_cycle_time: float = 0.0
    bars_hits: int = 0
    bars_misses: int = 0
    indicators_hits: int = 0
    indicators_misses: int = 0
    account_hits: int = 0
    account_misses: int = 0
    api_calls: int = 0
    orders: int = 0
    fills: int = 0
    denials: int = 0
    equity: float = 0.0
    benchmark: float = 0.0
    status: str = ""  # done, partial (a symbol failed), late, repeated, or failed and why

    @property
    def cache_hit_rate(self) -> float:
        """Fraction of the looks at bars, indicators and account that a cache answered; 0 if nobody looked."""
        hits, misses = ([getattr(self, f"{cache}_{what}") for cache in CACHES] for what in ("hits", "misses"))
        return sum(hits) / (sum(hits) + sum(misses)) if sum(hits) else 0.0


CACHES = "bars", "indicators", "account"
COLUMNS = tuple(f.name for f in fields(CycleRow))


def _empty(default: Any) -> list[str] | array:
    """A column of such values: of numbers 8 bytes each, of texts a reference to the one of its kind."""
    return [] if isinstance(default, str) else array("d" if isinstance(default, float) else "q")


class Telemetry:
    """Rows in memory and, where a path is given, in a SQLite file; a row that cannot be written never fails a cycle.

    `budget` is how many requests a cycle may make, for the figure; None where nobody limits them.
    """

    def __init__(self, path: Path | None = None, budget: int | None = None) -> None:
        self.budget = budget
        self._columns = {f.name: _empty(f.default) for f in fields(CycleRow)}  # a loop may run for years
        self._waits: dict[str, array] = {}  # seconds by symbol
        self._waited: Mapping[str, float] = {}  # for the next row
        self._db: sqlite3.Connection | None = None
        try:
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute("PRAGMA cache_size = -64")  # KiB: rows are only added
            types = ", ".join(f"{f.name} {'TEXT' if isinstance(f.default, str) else 'REAL'}" for f in fields(CycleRow))
            self._db.execute(f"CREATE TABLE IF NOT EXISTS cycles({types})")
            if "status" not in {name for _, name, *_ in self._db.execute("PRAGMA table_info(cycles)")}:  # of an earlier version
                self._db.execute("ALTER TABLE cycles ADD COLUMN status TEXT NOT NULL DEFAULT ''")
            self._db.execute("CREATE TABLE IF NOT EXISTS waits(cycle INTEGER, symbol TEXT, seconds REAL)")
            for row in self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM cycles"):
                self._keep(CycleRow(*row))
            for symbol, seconds in self._db.execute("SELECT symbol, seconds FROM waits ORDER BY rowid"):
                self._waits.setdefault(symbol, array("d")).append(seconds)
        except sqlite3.Error as error:
            log.warning("telemetry cannot be kept in %s (%s): it stays in memory", path, error)
            self._db = None

    def _keep(self, row: CycleRow) -> None:
        for column, value in zip(self._columns.values(), astuple(row)):
            if isinstance(column, array):
                column.append(value if column.typecode == "d" else int(value))
            else:
                column.append(sys.intern(str(value)))

    def fetched(self, fetch: Callable[[], Fetched]) -> Fetched:
        """What `fetch` returns; how long a source kept it waiting for each symbol is kept with the next row."""
        with work.watch() as watched:
            self._waited = watched.waits
            return fetch()

    def write(self, row: CycleRow, waits: Mapping[str, float] | None = None) -> int:
        """Keeps a row and returns its number, from 0; `waits`: seconds by symbol, if not those of the last `fetched`."""
        cycle, waited = len(self), self._waited if waits is None else waits
        self._waited = {}
        self._keep(row)
        for symbol, seconds in waited.items():
            self._waits.setdefault(symbol, array("d")).append(seconds)
        self._insert("cycles", [astuple(row)])
        self._insert("waits", [(cycle, symbol, seconds) for symbol, seconds in waited.items()])
        work.report(*(measured(row) if row.total_cycle_time > 0.0 else ({}, {})))
        return cycle

    def _insert(self, table: str, rows: Iterable[tuple]) -> None:
        if self._db is None:
            return
        try:
            for row in rows:
                self._db.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)
        except sqlite3.Error as error:
            log.warning("a row of telemetry was not written: %s", error)

    def frame(self) -> pd.DataFrame:
        """All rows, indexed by cycle from 0: the fields of CycleRow and cache_hit_rate as a fraction."""
        table = pd.DataFrame({name: np.array(c) if isinstance(c, array) else c for name, c in self._columns.items()})
        table["session"] = pd.to_datetime(table["session"])
        hits, misses = (sum(table[f"{cache}_{what}"] for cache in CACHES) for what in ("hits", "misses"))
        rate = np.where(hits > 0, hits / np.maximum(hits + misses, 1), 0.0)
        table.insert(COLUMNS.index("total_cycle_time") + 1, "cache_hit_rate", rate)
        return table.rename_axis("cycle")

    def percentiles(self) -> Percentiles:
        """p50, p95 and p99 of each phase and of the total, in seconds."""
        return Percentiles.of(self.frame())

    def slowest(self, n: int = 10) -> pd.DataFrame:
        """The `n` symbols that a source kept waiting longest, the longest first: `fetches` counted, the rest seconds.

        Columns fetches, median, longest. Symbols of one request waited equally long; a failure is a wait as well. Empty
        where no source was asked.
        """
        rows = [(symbol, len(waits), np.median(waits), max(waits)) for symbol, waits in sorted(self._waits.items())]
        table = pd.DataFrame(rows, columns=["symbol", "fetches", "median", "longest"]).set_index("symbol")
        return table.sort_values(["longest", "median"], ascending=False, kind="stable").head(n)

    def compare(self, other: Telemetry) -> TwoRuns:
        """This run against an earlier one: medians by phase, their ratio with its interval, and an alarm.

        Raises InvalidParameter for a run of fewer than 10 cycles.
        """
        return TwoRuns.of(other.frame(), self.frame())

    def plot(self, against: Telemetry | None = None, at_least: float = 1.25) -> Any:
        """A Figure: cache hits, phase times, their percentiles, requests and the budget, slowest symbols.

        With an earlier run to hold it `against` also what became slower, and the alarm at a ratio of `at_least`.
        """
        from toolkit.plots.telemetry import run_times

        two = None if against is None else self.compare(against)
        return run_times(self.frame(), self.percentiles(), self.slowest(), self.budget, two, at_least)

    def __len__(self) -> int:
        return len(self._columns["status"])

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def measured(row: CycleRow) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds and counts of a cycle under the names that `data.work` has for them."""
    seconds = (row.data_fetch_time, row.signal_generation_time, row.risk_calculation_time, row.execution_time)
    counts = {"hits": row.bars_hits, "misses": row.bars_misses, "calls": row.api_calls}
    return dict(zip(("fetch", "signals", "risk", "execution"), seconds)), counts
