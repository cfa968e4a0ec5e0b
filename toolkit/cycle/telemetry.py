"""One row a cycle: how long each phase took, what the caches answered, what was traded."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from toolkit.cycle.run_times import Percentiles, TwoRuns
from toolkit.data import work
from toolkit.data.interrupts import deferred_interrupts

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
KINDS: dict[str, Any] = {f.name: type(f.default) for f in fields(CycleRow)}
TYPES = ", ".join(f"{name} {'TEXT' if kind is str else 'REAL'}" for name, kind in KINDS.items())
SCHEMA = f"""
    CREATE TABLE IF NOT EXISTS cycles({TYPES});
    CREATE TABLE IF NOT EXISTS waits(cycle INTEGER, symbol TEXT, seconds REAL);
"""


class Telemetry:
    """Rows in a SQLite file, or in memory where no path is given; a row that cannot be written never fails a cycle.

    One that was not written waits in memory, is read as the others are, and is written with the next one. `budget` is how many
    requests a cycle may make, for the figure; None where nobody limits them.
    """

    def __init__(self, path: Path | None = None, budget: int | None = None) -> None:
        self.path, self.budget = path, budget
        self._db: sqlite3.Connection | None
        self._lock = threading.RLock()  # who looks on may be another thread than the loop
        self._waited: Mapping[str, float] = {}  # seconds by symbol, for the next row
        self._unwritten: list[tuple[tuple, list[tuple[int, str, float]]]] = []
        try:
            self._db = opened(path)
            [(self._written,)] = self._db.execute("SELECT count(status) FROM cycles")  # reads all pages, a damaged one too
        except sqlite3.Error as error:
            log.warning("telemetry cannot be kept in %s (%s): it stays in memory", path, error)
            self.path, self._db, self._written = None, opened(None), 0

    def fetched(self, fetch: Callable[[], Fetched]) -> Fetched:
        """What `fetch` returns; how long a source kept it waiting for each symbol is kept with the next row."""
        with work.watch() as watched:
            self._waited = watched.waits
            return fetch()

    def write(self, row: CycleRow, waits: Mapping[str, float] | None = None) -> int:
        """Keeps a row and returns its number, from 0; `waits`: seconds by symbol, if not those of the last `fetched`."""
        with self._lock:
            cycle, waited = len(self), self._waited if waits is None else waits
            self._waited = {}
            kept = tuple(kind(getattr(row, name)) for name, kind in KINDS.items())  # SQLite knows no scalars of numpy
            self._unwritten.append((kept, [(cycle, symbol, float(seconds)) for symbol, seconds in waited.items()]))
            self._store()
        work.report(*(measured(row) if row.total_cycle_time > 0.0 else ({}, {})))
        return cycle

    def _store(self) -> None:
        insert = f"INSERT INTO cycles({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
        stored = 0
        try:
            with deferred_interrupts(), self._open() as db:
                for row, waits in self._unwritten:
                    try:
                        db.execute(insert, row)
                        db.executemany("INSERT INTO waits VALUES (?, ?, ?)", waits)
                        stored += 1
                    except (ValueError, OverflowError) as error:
                        log.warning("a row of telemetry is left out, SQLite cannot hold it: %s", error)
                db.commit()
                self._written += stored
                self._unwritten.clear()
        except sqlite3.Error as error:
            log.warning("rows of telemetry wait to be written, %d now: %s", len(self._unwritten), error)

    def frame(self) -> pd.DataFrame:
        """All rows, indexed by cycle from 0: the fields of CycleRow and cache_hit_rate as a fraction."""
        rows = self._read(f"SELECT {', '.join(COLUMNS)} FROM cycles ORDER BY rowid", lambda row, waits: [row])
        table = pd.DataFrame(rows, columns=COLUMNS).astype(KINDS)
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
        waits = self._read("SELECT cycle, symbol, seconds FROM waits", lambda row, waits: waits)
        seconds = pd.DataFrame(waits, columns=["cycle", "symbol", "seconds"]).groupby("symbol")["seconds"]
        table = seconds.agg(fetches="count", median="median", longest="max")
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
        return self._written + len(self._unwritten)

    def _read(self, query: str, late: Callable[[tuple, list[tuple]], list[tuple]]) -> list[tuple]:
        """What was written, and what `late` makes of the rows that wait."""
        with self._lock:
            rows = []
            try:
                if self._db is not None:
                    rows = self._db.execute(query).fetchall()
                elif self.path is not None and self._written:
                    with closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)) as db:
                        rows = db.execute(query).fetchall()
            except sqlite3.Error as error:
                log.warning("telemetry cannot be read: %s", error)
            return rows + [each for row, waits in self._unwritten for each in late(row, waits)]

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = opened(self.path)
        return self._db

    def close(self) -> None:
        """Writes what waits, and gives the file back; it is opened again for whoever reads on."""
        with self._lock:
            if self._db is not None and self.path is not None:
                if self._unwritten:
                    self._store()
                self._db.close()
                self._db = None


def opened(path: Path | None) -> sqlite3.Connection:
    """The tables in a file, made where they are missing, or in memory."""
    db = sqlite3.connect(path or ":memory:", check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -64")  # KiB: rows are only added
    db.executescript(SCHEMA)
    if "status" not in {name for _, name, *_ in db.execute("PRAGMA table_info(cycles)")}:  # of an earlier version
        db.execute("ALTER TABLE cycles ADD COLUMN status TEXT NOT NULL DEFAULT ''")
    return db


def measured(row: CycleRow) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds and counts of a cycle under the names that `data.work` has for them."""
    seconds = (row.data_fetch_time, row.signal_generation_time, row.risk_calculation_time, row.execution_time)
    counts = {"hits": row.bars_hits, "misses": row.bars_misses, "calls": row.api_calls}
    return dict(zip(("fetch", "signals", "risk", "execution"), seconds)), counts
