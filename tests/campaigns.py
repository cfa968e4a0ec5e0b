"""Many small disasters to a cache, each from a seed: corrupted files, killed writers, a full disk, crowds, Ctrl-C.

    python -m tests.campaigns [--scale 0.1] [corruptions kills full_disk crowd interrupts]

Every campaign returns what it counted; `violations` says, with the seed and the number of the trial, what must not happen.
`make soak` runs them whole, tests/test_campaigns.py a slice. They fork, so begin them in a process that has no threads.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data import BarCache, Calendar, History, MarketData, barfile
from toolkit.data.adjust import EVENT
from toolkit.data.folder import value_files
from toolkit.data.freshness import Freshness
from toolkit.data.locks import held
from toolkit.data.meter import Meter
from toolkit.errors import CacheUnusable, ToolkitError

DAILY, HOURLY, RESTATED = [f"D{number:02d}" for number in range(16)], ["H0", "H1"], "D03"
BEFORE, NOW = pd.Timestamp("2026-02-04 22:00", tz="UTC"), pd.Timestamp("2026-02-12 22:00", tz="UTC")
DEADLINE = 30.0  # seconds after which a process counts as hung


# --------------------------------------------------------------------------------------------------- what must be served
def truth(symbol: str, interval: str, now: pd.Timestamp) -> tuple[np.ndarray, np.ndarray]:
    """Labels and bars (5, n) that exist at `now`; D03 was restated between BEFORE and NOW."""
    calendar = Calendar("XNYS")
    first = np.datetime64("2025-08-01" if interval == "1d" else "2025-11-17")
    kept = (calendar.sessions >= first) & (calendar.closes <= now.tz_localize(None).to_datetime64())
    labels = calendar.sessions[kept]
    if interval != "1d":
        grids = [np.arange(*day, np.timedelta64(1, "h")) for day in zip(calendar.opens[kept], calendar.closes[kept])]
        labels = np.concatenate(grids)
    phase = labels.astype("M8[s]").astype("i8") / 1e6 + sum(map(ord, symbol))
    close = np.round((100.0 + 5.0 * np.sin(phase)) * (1.01 if symbol == RESTATED and now == NOW else 1.0), 2)
    return labels, np.array([close, close + 1.0, close - 1.0, close, np.full(len(close), 1e6)])


class Truth:
    """A source of what must be served."""

    name, edition, delay = "truth", "", pd.Timedelta("20min")

    def __init__(self, clock: At) -> None:
        self.clock, self.meter = clock, Meter()

    def reach(self, interval: str) -> pd.Timedelta | None:
        return None if interval == "1d" else self.clock.now() - pd.Timestamp("2025-11-17", tz="UTC")

    def fetch(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> History:
        self.meter.count()
        labels, traded = truth(symbol, interval, self.clock.now())
        kept = (labels >= start.to_datetime64()) & (labels < (end + pd.Timedelta("1D")).to_datetime64())
        return History(symbol, labels[kept], traded[:, kept], np.zeros(0, EVENT))


class At:
    """A live clock that stands where it is put."""

    namespace = "live"

    def __init__(self, time: pd.Timestamp) -> None:
        self.time = time

    def now(self) -> pd.Timestamp:
        return self.time

    horizon = now

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody should wait")


def market_at(place: Path, now: pd.Timestamp) -> MarketData:
    clock = At(now)
    return MarketData(Truth(clock), BarCache(place), clock, n_jobs=32)


# ------------------------------------------------------------------------------------------------------------- processes
def forked(act: Callable[[int], None]) -> tuple[int, int]:
    """Process that runs `act` with a descriptor to write to, and the one to read from; it ends without any tidying up."""
    readable, writable = os.pipe()
    child = os.fork()
    if child:
        os.close(writable)
        return child, readable
    try:
        os.close(readable)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        logging.disable(logging.CRITICAL)
        barfile._verified.clear()
        act(writable)
    except BaseException:
        os.write(writable, json.dumps({"raised": traceback.format_exc()[-2000:]}).encode() + b"\n")
    finally:
        os._exit(0)


def lines(readable: int, deadline: float = DEADLINE) -> Iterator[str]:
    """What comes, line by line, until the other end is closed; TimeoutError where nothing comes for `deadline` seconds."""
    rest = b""
    while select.select([readable], [], [], deadline)[0]:
        more = os.read(readable, 65536)
        if not more:
            return
        *whole, rest = (rest + more).split(b"\n")
        yield from (line.decode() for line in whole)
    raise TimeoutError


def isolated(act: Callable[[], Any]) -> Any:
    """What `act` returns, from a process of its own; a text that says how it ended otherwise."""
    child, readable = forked(lambda writable: os.write(writable, json.dumps(act()).encode() + b"\n") and None)
    try:
        answers = [json.loads(line) for line in lines(readable)]
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        answers = ["hung"]
    os.close(readable)
    status = os.waitpid(child, 0)[1]
    answer = answers[0] if answers else f"crashed with status {status}"
    return answer["raised"] if isinstance(answer, dict) and "raised" in answer else answer


# ----------------------------------------------------------------------------------------------------------- corruptions
@dataclass(frozen=True)
class Corruptions:
    """Trials by how they ended: nothing to notice, fetched again, said in a typed error; and what must not happen."""

    trials: int
    unnoticed: int
    fetched_again: int
    typed_errors: int
    violations: tuple[str, ...]


def corruptions(n: int, seed: int, folder: Path) -> Corruptions:
    """Spoil a random file of a cache `n` times; what is then served must be right, and the second time without a word."""
    templates = [folder / "living", folder / "closed"]
    for template in templates:
        said = isolated(lambda template=template: furnish(template))
        if said != "furnished":
            raise RuntimeError(said)
    counts, violations = Counter[str](), list[str]()
    for number in range(n):
        rng, place = np.random.default_rng([seed, number]), folder / "copy"
        shutil.copytree(templates[number % 2], place)
        what = spoil(place, rng)
        answer = isolated(lambda: [serve(place), serve(place)])
        ending = judged(answer)
        counts[ending] += 1
        if ending == "violation":
            violations.append(f"corruptions(seed={seed}) trial {number}, {what}: {answer}")
        shutil.rmtree(place)
    return Corruptions(n, counts["unnoticed"], counts["fetched again"], counts["typed error"], tuple(violations))


def furnish(place: Path) -> str:
    """Daily and hourly series in two years, a journal and panels; "living" leaves the index as a kill would."""
    for now in (BEFORE, NOW):
        market = market_at(place, now)
        market.bars(DAILY)
        market.bars(HOURLY, interval="1h")
    if place.name == "closed":
        market.cache.close()
    assert serve(place) == {"wrong": [], "errors": [], "calls": 0, "corrupt": 0}
    return "furnished"


def spoil(place: Path, rng: np.random.Generator) -> str:
    """Change one random file, the index more often than others; says what was done."""
    every = sorted(path for path in place.rglob("*") if path.is_file())
    index = [path for path in every if path.name.startswith("cache.db")]
    path = pick(index if rng.random() < 0.4 else every, rng)
    content, kind = bytearray(path.read_bytes()), pick(("flip", "flip", "overwrite", "truncate", "append", "remove", "swap"), rng)
    at = int(rng.integers(len(content) + 1))
    if kind == "flip" and content:
        for spot in rng.integers(len(content), size=rng.integers(1, 5)):
            content[spot] ^= 1 << int(rng.integers(8))
    elif kind == "overwrite":
        content[at : at + 4096] = rng.bytes(min(len(content) - at, int(rng.integers(1, 4097))))
    elif kind == "truncate":
        del content[at:]
    elif kind == "append":
        content += rng.bytes(int(rng.integers(1, 4097)))
    elif kind == "swap":
        content = bytearray(pick(every, rng).read_bytes())
    path.unlink()
    if kind != "remove":
        path.write_bytes(content)
    return f"{kind} {path.relative_to(place)} at {at}"


def pick(several: Any, rng: np.random.Generator) -> Any:
    return several[int(rng.integers(len(several)))]


def serve(place: Path) -> dict[str, Any]:
    """Everything that is to be had, read as by a fresh process: what was wrong, which typed errors came, what it took."""
    barfile._verified.clear()
    wrong, errors, market = [], [], None
    try:
        market = market_at(place, NOW)
    except ToolkitError as error:
        return {"wrong": [], "errors": [str(error)], "calls": 0, "corrupt": 0}
    for symbols, interval, as_of in ((DAILY, "1d", None), (HOURLY, "1h", None), ([RESTATED], "1d", BEFORE)):
        try:
            bars = market.bars(symbols, interval=interval, as_of=as_of)
        except ToolkitError as error:
            errors.append(f"{interval} {as_of}: {error}")
            continue
        named = {issue.symbol for issue in bars.issues}
        for symbol in symbols:
            if symbol in named:
                errors.append(str(bars.issues))
            elif symbol not in bars.symbols:
                wrong.append(f"{symbol} is absent without a word")
            elif not right(bars, symbol, interval, as_of or NOW):
                wrong.append(f"{symbol} {interval} as of {as_of}")
    return {"wrong": wrong, "errors": errors, "calls": market.source.meter.calls, "corrupt": market.cache.stats()["corrupt"]}


def right(bars: Any, symbol: str, interval: str, now: pd.Timestamp) -> bool:
    labels, traded = truth(symbol, interval, now)
    own = bars.traded[:, bars.symbols.index(symbol)]
    return np.array_equal(bars.index.as_unit("ns").asi8, labels.astype("i8")) and np.array_equal(own, traded)


def judged(answer: Any) -> str:
    if not isinstance(answer, list):
        return "violation"
    first, second = answer
    # What the journal has lost cannot be had again: only then may the past be refused for good.
    healthy = not second["corrupt"] and all(str(BEFORE) in error for error in second["errors"])
    if first["wrong"] or second["wrong"] or not healthy:
        return "violation"
    return "typed error" if first["errors"] else "fetched again" if first["calls"] else "unnoticed"
