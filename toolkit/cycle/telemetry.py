"""One row a cycle: how long each phase took, what the caches answered, what was traded."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

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
        hits = self.bars_hits + self.indicators_hits + self.account_hits
        looks = hits + self.bars_misses + self.indicators_misses + self.account_misses
        return hits / looks if looks else 0.0


COLUMNS = tuple(f.name for f in fields(CycleRow))


class Telemetry:
    """Rows in memory and, where a path is given, in a SQLite file; a row that cannot be written never fails a cycle.

    `budget` is how many requests a cycle may make, for the figure; None where nobody limits them.
    """

    def __init__(self, path: Path | None = None, budget: int | None = None) -> None:
        self.budget = budget
        self._rows: list[CycleRow] = []
        self._waits: list[tuple[int, str, float]] = []  # cycle, symbol, seconds
        self._waited: Mapping[str, float] = {}  # for the next row
        self._db: sqlite3.Connection | None = None
        try:
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = OFF")
            types = ", ".join(f"{f.name} {'TEXT' if isinstance(f.default, str) else 'REAL'}" for f in fields(CycleRow))
            self._db.execute(f"CREATE TABLE IF NOT EXISTS cycles({types})")
            if "status" not in {name for _, name, *_ in self._db.execute("PRAGMA table_info(cycles)")}:  # of an earlier version
                self._db.execute("ALTER TABLE cycles ADD COLUMN status TEXT NOT NULL DEFAULT ''")
            self._db.execute("CREATE TABLE IF NOT EXISTS waits(cycle INTEGER, symbol TEXT, seconds REAL)")
            self._rows += [CycleRow(*row) for row in self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM cycles")]
            self._waits += self._db.execute("SELECT cycle, symbol, seconds FROM waits ORDER BY rowid")
        except sqlite3.Error as error:
            log.warning("telemetry cannot be kept in %s (%s): it stays in memory", path, error)
            self._db = None

    def fetched(self, fetch: Callable[[], Fetched]) -> Fetched:
        """What `fetch` returns; how long a source kept it waiting for each symbol is kept with the next row."""
        with work.watch() as watched:
            self._waited = watched.waits
            return fetch()

    def write(self, row: CycleRow, waits: Mapping[str, float] | None = None) -> int:
        """Keeps a row and returns its number, from 0; `waits`: seconds by symbol, if not those of the last `fetched`."""
        cycle = len(self._rows)
        new = [(cycle, symbol, seconds) for symbol, seconds in (self._waited if waits is None else waits).items()]
        self._waited = {}
        self._rows.append(row)
        self._waits += new
        self._insert("cycles", [astuple(row)])
        self._insert("waits", new)
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
        table = pd.DataFrame([astuple(row) for row in self._rows], columns=list(COLUMNS))
        table["session"] = pd.to_datetime(table["session"])
        table.insert(COLUMNS.index("total_cycle_time") + 1, "cache_hit_rate", [r.cache_hit_rate for r in self._rows])
        return table.rename_axis("cycle")

    def percentiles(self) -> Percentiles:
        """p50, p95 and p99 of each phase and of the total, in seconds."""
        return Percentiles.of(self.frame())

    def slowest(self, n: int = 10) -> pd.DataFrame:
        """The `n` symbols that a source kept waiting longest, the longest first: `fetches` counted, the rest seconds.

        Columns fetches, median, longest. Symbols of one request waited equally long; a failure is a wait as well. Empty
        where no source was asked.
        """
        waits = pd.DataFrame(self._waits, columns=["cycle", "symbol", "seconds"]).groupby("symbol")["seconds"]
        table = waits.agg(fetches="count", median="median", longest="max")
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
        return len(self._rows)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def measured(row: CycleRow) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds and counts of a cycle under the names that `data.work` has for them."""
    seconds = (row.data_fetch_time, row.signal_generation_time, row.risk_calculation_time, row.execution_time)
    counts = {"hits": row.bars_hits, "misses": row.bars_misses, "calls": row.api_calls}
    return dict(zip(("fetch", "signals", "risk", "execution"), seconds)), counts
