"""A cache with a spoilt file, thousands of times: what is then served is right, fetched again, or said to be missing.

`serve` reads all that is to be had of a cache as a fresh process would, and compares it with the truth, which is a formula.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from forks import in_turn, isolated
from tape import At

from toolkit.data import BarCache, Calendar, History, MarketData, barfile
from toolkit.data.adjust import EVENT
from toolkit.data.meter import Meter
from toolkit.errors import ToolkitError

DAILY, HOURLY, RESTATED = [f"D{number:02d}" for number in range(16)], ["H0", "H1"], "D03"
BEFORE, NOW = pd.Timestamp("2026-02-04 22:00", tz="UTC"), pd.Timestamp("2026-02-12 22:00", tz="UTC")
# Sixteen symbols come from a panel, fifteen from their files.
QUESTIONS = [(DAILY, "1d", None), (DAILY[:15], "1d", None), (HOURLY, "1h", None), ([RESTATED], "1d", BEFORE)]
TOGETHER = 50  # spoilt caches that one process serves in turn: to fork it costs as much as to serve one


# --------------------------------------------------------------------------------------------------- what must be served
@functools.cache
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
    traded = np.array([close, close + 1.0, close - 1.0, close, np.full(len(close), 1e6)])
    labels.flags.writeable = traded.flags.writeable = False  # all who ask share them
    return labels, traded


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


def market_at(place: Path, now: pd.Timestamp) -> MarketData:
    clock = At(now)
    return MarketData(Truth(clock), BarCache(place), clock, n_jobs=32)


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
    for symbols, interval, as_of in QUESTIONS:  # what is right is computed once, not in every child
        for symbol in symbols:
            truth(symbol, interval, as_of or NOW)
    templates = [folder / "living", folder / "closed"]
    for template in templates:
        said = isolated(lambda template=template: furnish(template))
        if said != "furnished":
            raise RuntimeError(said)
    counts, violations = Counter[str](), list[str]()
    for first in range(0, n, TOGETHER):
        copies = {folder / f"copy{number}": number for number in range(first, min(first + TOGETHER, n))}
        spoilt = []
        for place, number in copies.items():
            shutil.copytree(templates[number % 2], place, copy_function=copied)
            spoilt.append(spoil(place, np.random.default_rng([seed, number])))
        answers = in_turn([lambda place=place: [serve(place), serve(place)] for place in copies])
        for (place, number), what, answer in zip(copies.items(), spoilt, answers, strict=True):
            ending = judged(answer)
            counts[ending] += 1
            if ending == "violation":
                violations.append(f"corruptions(seed={seed}) trial {number}, {what}: {answer}")
            shutil.rmtree(place)
    return Corruptions(n, counts["unnoticed"], counts["fetched again"], counts["typed error"], tuple(violations))


def copied(source: str, target: str) -> None:
    """A copy of a file of the cache; for those that are never changed in place, another link to it."""
    (os.link if source.endswith((".val", ".panel", "reserve")) else shutil.copyfile)(source, target)


def furnish(place: Path) -> str:
    """Daily and hourly series in two years, a journal and panels; "living" leaves the index as a kill would."""
    for now in (BEFORE, BEFORE, NOW, NOW):  # a panel is stored when it is asked for again
        market = market_at(place, now)
        market.bars(DAILY)
        market.bars(HOURLY, interval="1h")
    assert len(list(place.glob("panels/*.panel"))) == 2
    if place.name == "closed":
        market.cache.close()
    assert serve(place) == {"wrong": [], "errors": [], "calls": 0, "corrupt": 0}
    return "furnished"


def spoil(place: Path, rng: np.random.Generator) -> str:
    """Change one random file, the index more often than others; says what was done."""
    every = sorted(Path(below, name) for below, _, names in os.walk(place) for name in names)
    index = [path for path in every if path.name.startswith("cache.db")]
    path = pick(index if rng.random() < 0.4 else every, rng)
    content, kind = (
        bytearray(path.read_bytes()),
        pick(("flip", "flip", "overwrite", "truncate", "append", "remove", "swap"), rng),
    )
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
        content = bytearray(pick([other for other in every if other.suffix == path.suffix], rng).read_bytes())
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
    for symbols, interval, as_of in QUESTIONS:
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
    return np.array_equal(bars.index.values, labels) and np.array_equal(own, traded)


def judged(answer: Any) -> str:
    if not isinstance(answer, list):
        return "violation"
    first, second = answer
    # What the journal has lost cannot be had again: only then may the past be refused for good.
    healthy = not second["corrupt"] and all(str(BEFORE) in error or "NOT_YET_STORED" in error for error in second["errors"])
    if first["wrong"] or second["wrong"] or not healthy:
        return "violation"
    return "typed error" if first["errors"] else "fetched again" if first["calls"] else "unnoticed"
