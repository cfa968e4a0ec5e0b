"""One row a cycle: how long each phase took, what the caches answered, what was traded."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import pandas as pd

log = logging.getLogger(__name__)
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

    @property
    def cache_hit_rate(self) -> float:
        """Fraction of the looks at bars, indicators and account that a cache answered; 0 if nobody looked."""
        hits = self.bars_hits + self.indicators_hits + self.account_hits
        looks = hits + self.bars_misses + self.indicators_misses + self.account_misses
        return hits / looks if looks else 0.0


COLUMNS = tuple(f.name for f in fields(CycleRow))


class Telemetry:
    """Rows in memory and, where a path is given, in a SQLite file; a row that cannot be written never fails a cycle."""

    def __init__(self, path: Path | None = None) -> None:
        self._rows: list[CycleRow] = []
        self._db: sqlite3.Connection | None = None
        try:
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = OFF")
            types = ", ".join(f"{f.name} {'TEXT' if f.name == 'session' else 'REAL'}" for f in fields(CycleRow))
            self._db.execute(f"CREATE TABLE IF NOT EXISTS cycles({types})")
            self._rows += [CycleRow(*row) for row in self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM cycles")]
        except sqlite3.Error as error:
            log.warning("telemetry cannot be kept in %s (%s): it stays in memory", path, error)
            self._db = None

    def write(self, row: CycleRow) -> int:
        """Keeps a row and returns its number, from 0."""
        self._rows.append(row)
        if self._db is not None:
            try:
                self._db.execute(f"INSERT INTO cycles VALUES ({','.join('?' * len(COLUMNS))})", astuple(row))
            except sqlite3.Error as error:
                log.warning("a row of telemetry was not written: %s", error)
        return len(self._rows) - 1

    def frame(self) -> pd.DataFrame:
        """All rows, indexed by cycle from 0: the fields of CycleRow and cache_hit_rate as a fraction."""
        table = pd.DataFrame([astuple(row) for row in self._rows], columns=list(COLUMNS))
        table["session"] = pd.to_datetime(table["session"])
        table.insert(COLUMNS.index("total_cycle_time") + 1, "cache_hit_rate", [r.cache_hit_rate for r in self._rows])
        return table.rename_axis("cycle")

    def __len__(self) -> int:
        return len(self._rows)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
