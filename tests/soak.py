"""Thousands of cycles of one loop in one process, a fifth of its fetches faulty: each ends in a status, and nothing grows.

    python -m tests.soak [--cycles 10000]

A paper account over the bundled years, on a clock that moves when the loop sleeps. Ten thousand cycles are twelve years, so the
history that a cycle works on grows from one year to thirteen. Memory is measured after the C library has given back what is
free (`malloc_trim`). Of 14 MB by which cycle 9,900 exceeded cycle 500 (5%), some 5 MB were in use (`mallinfo2`): history, and
half a megabyte of pages of SQLite. 8 MB are in arenas of the threads that fetch, each page with a piece of it.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime as dt
import gc
import logging
import os
import random
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.data import BarCache, SampleSource
from toolkit.errors import DataUnavailable
from toolkit.execution.audit import verify

SYMBOLS = ["AAPL", "IBM", "MSFT"]  # listed all the time
WINDOW = 20  # cycles over which the least is taken
SETTLED = 500  # cycles after which nothing may grow any more


class Moving:
    """A live clock that moves when somebody sleeps."""

    namespace = "live"

    def __init__(self, start: str) -> None:
        self.time = pd.Timestamp(start, tz="UTC")

    def now(self) -> pd.Timestamp:
        return self.time

    horizon = now

    def monotonic(self) -> float:
        return self.time.timestamp()

    def sleep(self, seconds: float) -> None:
        self.time += pd.Timedelta(seconds=seconds)


class Flaky(SampleSource):
    """The bundled prices up to the clock's instant, from a source that fails a fifth of the time."""

    def __init__(self, clock: Moving, seed: int) -> None:
        super().__init__()
        self.clock, self.rng, self.asked, self.failed = clock, random.Random(seed), 0, 0

    def fetch(self, symbol, start, end, interval="1d"):
        self.asked += 1
        if self.rng.random() < 0.2:
            self.failed += 1
            raise DataUnavailable(f"{symbol}: no answer", "try again", symbol=symbol)
        return super().fetch(symbol, start, min(end, self.clock.now().tz_localize(None).normalize()), interval)


@dataclass(frozen=True)
class Soaked:
    """What a soak leaves to be judged."""

    cycles: int
    without_status: int
    partial: int
    fetches: int
    faulty: int
    memory: float  # growth of the resident memory after the first 500 cycles, a fraction
    descriptors: int  # growth in number
    unsound: list[str]  # what does not hold together in the ledger
    ended: str


def resident() -> int:
    """Bytes of this process that lie in memory, without those that the C library merely keeps (glibc)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    """Descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def crowd(cache: BarCache, threads: int) -> None:
    """Lets as many threads as ever will have a connection at a time: SQLite keeps descriptors of closed ones for the next."""
    together = threading.Barrier(threads)

    def look(_: int) -> None:
        cache.record("live/nothing/1d/X")
        together.wait()
        cache.leave()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(look, range(threads)))


def soak(cycles: int, seed: int, folder: Path, progress: bool = False) -> Soaked:
    """Runs the loop; the folder holds state and cache. Its warnings, thousands by design, are not shown."""
    logging.getLogger("toolkit").setLevel(logging.ERROR)
    clock = Moving("2001-01-02 21:30")
    source = Flaky(clock, seed)
    config = checked_config({
        "symbols": SYMBOLS, "mode": "paper", "account": "soak", "allow_uncertified": True, "state": str(folder / "state"),
        "cache": {"directory": str(folder / "cache")}, "risk": {"max_drawdown": 0.99, "daily_loss": 0.99},
        "strategy": {"name": "trend_and_rsi"}, "anchor": dt.date(2000, 12, 29),
    })  # fmt: skip
    marks: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    with closing(TradingEngine(config, source=source, clock=clock, environment={})) as engine:
        crowd(engine.data_cache.cache, len(SYMBOLS))
        with tqdm(total=cycles, unit="cycle", disable=not progress) as bar:

            def after(report):
                bar.update()
                for end, seen in zip((min(SETTLED, cycles // 2), cycles), marks):
                    if end - WINDOW < report.cycle + 1 <= end:
                        seen.append((resident(), open_files()))

            summary = engine.run_continuous(5, cycles=cycles, on_cycle=after)
        status = engine.telemetry.frame()["status"]
        unsound = verify(engine.ledger)
    first, last = ([min(values) for values in zip(*seen)] for seen in marks)
    return Soaked(
        len(status), int((status == "").sum()), int((status == "partial").sum()), source.asked, source.failed,
        last[0] / first[0] - 1.0, last[1] - first[1], unsound, summary.ended,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="a soak of the loop")
    parser.add_argument("--cycles", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="toolkit-soak-") as folder:
        found = soak(args.cycles, args.seed, Path(folder), progress=True)
    print(found)
    return int(found.without_status > 0 or found.memory >= 0.05 or found.descriptors > 0 or bool(found.unsound))


if __name__ == "__main__":
    raise SystemExit(main())
