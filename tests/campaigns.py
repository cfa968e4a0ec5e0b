"""Many small disasters to a cache, each from a seed: corrupted files, killed writers, a full disk, crowds, Ctrl-C.

    python -m tests.campaigns [--scale 0.1] [corruptions kills full_disk crowd interrupts]

Every campaign returns what it counted; `violations` says, with the seed and the number of the trial, what must not happen.
`make soak` runs them whole, tests/test_campaigns.py a slice. They fork, so begin them in a process that has no threads.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
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
from collections.abc import Callable, Iterator, Sequence
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
# Sixteen symbols come from a panel, fifteen from their files.
QUESTIONS = [(DAILY, "1d", None), (DAILY[:15], "1d", None), (HOURLY, "1h", None), ([RESTATED], "1d", BEFORE)]
DEADLINE = 30.0  # seconds after which a process counts as hung
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
    return in_turn([act])[0]


def in_turn(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each of `acts` returns, one after the other from a process of their own; a text for one that ended it otherwise.

    Those that come after such a one have another process.
    """

    def say(writable: int) -> None:
        for act in acts:
            os.write(writable, json.dumps(act()).encode() + b"\n")

    (child, readable), answers, ended = forked(say), list[Any](), ""
    try:
        for line in lines(readable):
            answer = json.loads(line)
            if isinstance(answer, dict) and "raised" in answer:
                ended = answer["raised"]
            else:
                answers.append(answer)
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        ended = "hung"
    os.close(readable)
    status = os.waitpid(child, 0)[1]
    if ended or len(answers) < len(acts):
        answers = [*answers[: len(acts) - 1], ended or f"crashed with status {status}"]
    rest = acts[len(answers) :]
    return answers + in_turn(rest) if rest else answers


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


# ----------------------------------------------------------------------------------------------------------------- kills
@dataclass(frozen=True)
class Kills:
    """Writers killed, series acknowledged before, value files that no key refers to out of all at the end."""

    trials: int
    acknowledged: int
    files: int
    orphans: int
    violations: tuple[str, ...]


def filled(version: int, name: str) -> dict[str, tuple[dict[str, np.ndarray], dict[str, Any]]]:
    """Two parts that say which version of `name` they are in every number, as does their header."""
    labels = np.arange(600 + version % 7).astype("M8[D]").astype("M8[ns]")
    traded = np.full((5, len(labels)), float(version) + sum(map(ord, name)))
    return {part: ({"label": labels, "traded": traded}, {"version": f"0.{version}.0"}) for part in ("2025", "2026")}


def fresh(version: int) -> Freshness:
    return Freshness("final", NOW, NOW, 0, f"0.{version}.0", ("2025", "2026"))


def version_of(cache: BarCache, name: str, again: bool = True) -> int | None:
    """The version that is stored of `name`, None if there is none; ValueError where its parts do not belong together."""
    record = cache.record(name, again=again)
    if record is None:
        return None
    files, version = cache.files(name, record.parts), int(record.version.split(".")[1])
    expected = filled(version, name)
    for part, file in zip(record.parts, files):
        columns, _ = expected[part]
        if file.meta["version"] != record.version or not np.array_equal(file.columns["traded"], columns["traded"]):
            raise ValueError(f"{name}@{part} holds {file.meta['version']} where the record says {record.version}")
    if len(files) != 2:
        raise ValueError(f"{name} has {len(files)} parts of 2")
    return version


def kills(n: int, seed: int, folder: Path) -> Kills:
    """Kill a process that writes series at a random instant, `n` times: what it acknowledged is there, whole."""
    place, acknowledged, violations = folder / "kills", dict[str, int](), list[str]()
    counted = 0
    BarCache(place).close()
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        child, readable = forked(lambda writable, number=number: write_for_ever(place, number, writable))
        select.select([readable], [], [], DEADLINE)  # its first acknowledgement
        select.select([], [], [], 0.03 * rng.random())
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for line in lines(readable):
            name, version = json.loads(line)
            acknowledged[name], counted = version, counted + 1
        os.close(readable)
        answer = isolated(lambda: found_after(place, acknowledged))
        if answer != []:
            violations.append(f"kills(seed={seed}) trial {number}: {answer}")
    files, orphans = isolated(lambda: unreferred(place))
    if orphans > 0.01 * files:
        violations.append(f"kills(seed={seed}): {orphans} of {files} files are orphans")
    return Kills(n, counted, files, orphans, tuple(violations))


def write_for_ever(place: Path, number: int, writable: int) -> None:
    cache, version = BarCache(place), 1000 * number
    with cache.flight("live/crowd/1h/K0"), cache.flight("live/crowd/1h/K1"):
        while True:
            version += 1
            name = f"live/crowd/1h/K{version % 12}"
            cache.put(name, fresh(version), filled(version, name), (0, *filled(version, name)["2025"]))
            os.write(writable, json.dumps([name, version]).encode() + b"\n")


def found_after(place: Path, acknowledged: dict[str, int]) -> list[str]:
    """What is wrong with the cache once its writer was killed."""
    cache, wrong = BarCache(place), []
    for name in {*cache.names(), *acknowledged}:
        try:
            version = version_of(cache, name)
            if version is None or version < acknowledged.get(name, 0):
                wrong.append(f"{name}: {version} after {acknowledged.get(name)} was acknowledged")
        except ValueError as error:
            wrong.append(str(error))
    for name in ("K0", "K1"):
        with cache.flight(f"live/crowd/1h/{name}", patience=0.0) as got:
            wrong += [] if got else [f"the flight of {name} is still held"]
    with held(place / "locks" / "writing") as got:
        wrong += [] if got else ["the cache is still held by a writer"]
    return wrong + [f"{count} corrupt values" for count in [cache.stats()["corrupt"]] if count]


def unreferred(place: Path) -> tuple[int, int]:
    """Value files after opening once more, and those among them that no key refers to."""
    cache = BarCache(place)
    named = {cache._index.get(key).path for key in cache._index.keys("bars:", "was:")}
    every = {str(path) for path in value_files(place / "index")}
    return len(every), len(every - named)


# ------------------------------------------------------------------------------------------------------------- full disk
@dataclass(frozen=True)
class FullDisk:
    """What was full (a `tmpfs`, or where none can be mounted the `limit` of a file's size), and what went on all the same."""

    kind: str
    stored_before: int
    violations: tuple[str, ...]


def full_disk(folder: Path, mounting: bool = True) -> FullDisk:
    """Fill a file system of 6 MB with series until one is refused: all else must go on, and clearing must make room.

    Where no file system can be mounted, or without `mounting`, files may grow to 4 KB only until the cache is cleared.
    """
    place = folder / "full"
    place.mkdir()
    answer = isolated(lambda: filled_up(place, mounting))
    if not isinstance(answer, list):
        return FullDisk("", 0, (f"full_disk: {answer}",))
    return FullDisk(answer[0], answer[1], tuple(answer[2]))


def filled_up(place: Path, mounting: bool) -> list[Any]:
    """Runs in a process of its own, whose mounts and limits nobody else sees."""
    kind = "tmpfs" if mounting and mounted(place) else "limit"
    cache, wrong, stored = BarCache(place / "bars"), [], 0
    market = MarketData(Truth(At(NOW)), cache, At(NOW))
    market.bars("D00")
    if kind == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    for number in range(1000):
        try:
            cache.put(f"live/crowd/1h/F{number}", fresh(number), filled(number, f"live/crowd/1h/F{number}"))
        except CacheUnusable:
            break
        stored += 1
    else:
        wrong.append("full_disk: a thousand series were stored on a full disk")
    for number in range(stored):
        if version_of(cache, f"live/crowd/1h/F{number}") != number:
            wrong.append(f"full_disk: F{number} cannot be read any more")
    for symbol in ("D00", "D01"):
        bars = market.bars(symbol)
        if not right(bars, symbol, "1d", NOW) or (symbol == "D01" and not bars.issues):
            wrong.append(f"full_disk: {symbol} is served as {bars} with {bars.issues}")
    if kind == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    cache.clear(bars=True)
    cache.empty_trash()
    for number in range(3):
        try:
            cache.put(f"live/crowd/1h/F{number}", fresh(number), filled(number, f"live/crowd/1h/F{number}"))
        except CacheUnusable as error:
            wrong.append(f"full_disk: after clear(bars=True) and empty_trash(): {error}")
    return [kind, stored, wrong]


def mounted(place: Path) -> bool:
    """Whether a small tmpfs could be mounted at `place`, for this process alone (Linux, and only with the right to)."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts, private, recursive = 0x20000, 1 << 18, 1 << 14
    try:
        if libc.unshare(new_mounts) or libc.mount(b"none", b"/", None, recursive | private, None):
            return False
        return libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, b"size=6m") == 0
    except AttributeError:
        return False


# ----------------------------------------------------------------------------------------------------------------- crowd
@dataclass(frozen=True)
class Crowd:
    """Processes, how many of them were killed, and what the others did."""

    processes: int
    killed: int
    reads: int
    writes: int
    violations: tuple[str, ...]


def crowd(processes: int, operations: int, seed: int, folder: Path) -> Crowd:
    """Let processes read and write the same series while some are killed; who lives sees whole values and no error."""
    place, rng = folder / "crowd", np.random.default_rng(seed)
    BarCache(place).close()
    members = {}
    for number in range(processes):
        child, readable = forked(lambda writable, number=number: mingle(place, operations, [seed, number], writable))
        members[readable] = child
    doomed = {readable: rng.uniform(0.1, 0.7) for readable in list(members)[:: max(4, processes // 4)]}  # at this share of work
    reads = writes = killed = 0
    violations, running = list[str](), dict.fromkeys(members, b"")
    while running:
        ready, _, _ = select.select(list(running), [], [], DEADLINE)
        if not ready:
            violations.append(f"crowd(seed={seed}): {len(running)} processes hang")
            break
        for readable in ready:
            more = os.read(readable, 65536)
            *whole, rest = (running.pop(readable) + more).split(b"\n")
            if more:
                running[readable] = rest
            for line in whole:
                said = json.loads(line)
                share, reads_more, writes_more, errors = said if isinstance(said, list) else [0.0, 0, 0, [said["raised"]]]
                reads, writes = reads + reads_more, writes + writes_more
                violations += [f"crowd(seed={seed}): {error}" for error in errors]
                if share > doomed.get(readable, 2.0):
                    doomed.pop(readable)
                    os.kill(members[readable], signal.SIGKILL)
                    killed += 1
    for readable, child in members.items():
        os.kill(child, signal.SIGKILL) if readable in running else None
        os.close(readable)
        os.waitpid(child, 0)
    answer = isolated(lambda: found_after(place, {}))
    violations += [f"crowd(seed={seed}), afterwards: {answer}"] if answer != [] else []
    return Crowd(processes, killed, reads, writes, tuple(violations))


def mingle(place: Path, operations: int, seed: list[int], writable: int) -> None:
    """Random reads, writes and flights; says every hundred operations how far it is, what it did, and what went wrong."""
    cache, rng = BarCache(place), np.random.default_rng(seed)
    done, errors = [0, 0], list[str]()
    for number in range(1, operations + 1):
        name, act = f"live/crowd/1h/C{rng.integers(10)}", rng.random()
        try:
            if act < 0.05:
                version = int(rng.integers(1 << 30))
                cache.put(name, fresh(version), filled(version, name))
            elif act < 0.1:
                with cache.flight(name, patience=5.0):
                    read_whole(cache, name)
            else:
                read_whole(cache, name)
            done[act < 0.05] += 1
        except Exception as error:
            errors.append(f"{type(error).__name__} in operation {number} of {seed}: {error}")
        if number % 100 == 0 or number == operations:
            os.write(writable, json.dumps([number / operations, *done, errors]).encode() + b"\n")
            done, errors = [0, 0], []


def read_whole(cache: BarCache, name: str) -> None:
    """Read all parts of `name`, each of which must be one that somebody wrote; two parts may be of two writers."""
    record = cache.record(name, again=True)
    files = cache.files(name, record.parts) if record is not None else ()
    if record is not None and len(files) != 2:
        raise ValueError(f"{len(files)} of 2 parts, {cache.stats()['corrupt']} corrupt values")
    for file in files:
        traded = file.columns["traded"]
        if not (traded == float(file.meta["version"].split(".")[1]) + sum(map(ord, name))).all():
            raise ValueError(f"{file.path} holds something that nobody wrote")


# ------------------------------------------------------------------------------------------------------------ interrupts
@dataclass(frozen=True)
class Interrupts:
    """How often Ctrl-C came while a process wrote, and the longest that another then waited to write, in seconds."""

    trials: int
    longest_s: float
    violations: tuple[str, ...]


def interrupts(n: int, seed: int, folder: Path) -> Interrupts:
    """Interrupt a process that writes `n` times: no transaction stays open, so that another writes within a second."""
    place, rng = folder / "interrupts", np.random.default_rng(seed)
    BarCache(place).close()
    go_on, going = os.pipe()
    child, readable = forked(lambda writable: write_until_told(place, go_on, writable))
    said, violations, longest = lines(readable), list[str](), 0.0
    other = BarCache(place)
    for number in range(n):
        if next(said) != "writing":
            violations.append(f"interrupts(seed={seed}) trial {number}: the writer is lost")
            break
        select.select([], [], [], 0.006 * rng.random())
        os.kill(child, signal.SIGINT)
        if (answer := next(said)) != "interrupted":
            violations.append(f"interrupts(seed={seed}) trial {number}: {answer}")
            break
        begun = time.perf_counter()
        try:
            other.put("live/crowd/1h/other", fresh(number), filled(number, "live/crowd/1h/other"))
        except CacheUnusable as error:
            violations.append(f"interrupts(seed={seed}) trial {number}: {error}")
        longest = max(longest, time.perf_counter() - begun)
        os.write(going, b"!")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for descriptor in (readable, go_on, going):
        os.close(descriptor)
    if longest > 1.0:
        violations.append(f"interrupts(seed={seed}): another process waited {longest:.1f} s")
    answer = isolated(lambda: found_after(place, {}))
    violations += [f"interrupts(seed={seed}), afterwards: {answer}"] if answer != [] else []
    return Interrupts(n, longest, tuple(violations))


def write_until_told(place: Path, go_on: int, writable: int) -> None:
    cache, version, name = BarCache(place), 0, "live/crowd/1h/own"
    while True:
        try:
            os.write(writable, b"writing\n")
            while True:
                version += 1
                cache.put(name, fresh(version), filled(version, name))
        except KeyboardInterrupt:
            os.write(writable, b"interrupted\n")
            os.read(go_on, 1)


# ------------------------------------------------------------------------------------------------------------------ whole
WHOLE: dict[str, Callable[[float, Path], Any]] = {
    "corruptions": lambda scale, folder: corruptions(round(20_000 * scale), 1, folder),
    "kills": lambda scale, folder: kills(round(300 * scale), 2, folder),
    "full_disk": lambda scale, folder: full_disk(folder),
    "crowd": lambda scale, folder: crowd(16, round(10_000 * scale), 3, folder),
    "interrupts": lambda scale, folder: interrupts(round(2_000 * scale), 4, folder),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaigns", nargs="*", default=list(WHOLE), help=f"of {', '.join(WHOLE)}; all, if none is named")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the whole numbers of trials")
    args, violated = parser.parse_args(), False
    for name in args.campaigns:
        begun = time.perf_counter()
        # Corruptions copy a cache thousands of times; all else wants a disk that takes its time.
        memory = "/dev/shm" if name == "corruptions" and os.path.isdir("/dev/shm") else None
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            outcome = WHOLE[name](args.scale, Path(folder))
        counts = {each.name: getattr(outcome, each.name) for each in fields(outcome) if each.name != "violations"}
        said = ", ".join(
            f"{value:,.4g} {name}" if isinstance(value, float) else f"{value} {name}" for name, value in counts.items()
        )
        print(f"{name:12} {time.perf_counter() - begun:7.1f} s  {said}, {len(outcome.violations)} violations", flush=True)
        for violation in outcome.violations[:20]:
            print("   ", violation, file=sys.stderr)
        violated |= bool(outcome.violations)
    return 1 if violated else 0


if __name__ == "__main__":
    raise SystemExit(main())
