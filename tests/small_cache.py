"""A small series for the tests of the cache, and ways to spoil what is on disk."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.data import BarCache
from toolkit.data.freshness import Freshness

NAME = "live/tape/1d/AAPL"
NOON = pd.Timestamp("2026-11-25 12:00", tz="UTC")


def record(version: str = "0.0.0", parts: tuple[str, ...] = ("",)) -> Freshness:
    return Freshness("final", NOON, NOON, 0, version, parts)


def columns(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    days = np.arange("2012-01-02", "2012-03-02", dtype="M8[D]").astype("M8[ns]")
    return {"label": days, "traded": rng.random((5, len(days))), "split": np.zeros(0)}


def put(cache: BarCache, seed: int = 1, name: str = NAME, version: str = "0.0.0") -> None:
    """Store a daily series of these random prices."""
    cache.put(name, record(version), {"": (columns(seed), {"version": version})})


def stored(cache: BarCache, name: str = NAME):
    """The prices that are stored under `name`, None if there are none."""
    files = cache.files(name)
    return files[0].columns["traded"] if files else None


def value_file(cache: BarCache, name: str = NAME) -> Path:
    """Where the bars of `name` lie."""
    return Path(BarCache(cache.directory).files(name)[0].path)


def spoil(path: Path) -> None:
    """Flip a bit; the file is another one then, as after a copy from a bad disk."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.unlink()
    path.write_bytes(content)


def index_sql(cache: BarCache, statement: str, values: tuple = ()) -> None:
    """Change the index behind the cache's back."""
    database = sqlite3.connect(os.path.join(cache.directory, "index", "cache.db"))
    database.execute(statement, values)
    database.commit()
    database.close()
