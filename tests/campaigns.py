"""Many small disasters to a cache, each from a seed: corrupted files, killed writers, a full disk, crowds, Ctrl-C.

    python -m tests.campaigns [--scale 0.1] [corruptions kills full_disk crowd interrupts]

Every campaign returns what it counted; `violations` says, with the seed and the number of the trial, what must not happen.
`make soak` runs them whole, tests/test_campaigns.py a slice. They fork, so begin them in a process that has no threads.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))

from forks import DEADLINE, forked, isolated, lines
from spoilt import NOW, Truth, corruptions, right
from tape import At

from toolkit.data import BarCache, MarketData
from toolkit.data.folder import value_files
from toolkit.data.freshness import Freshness
from toolkit.data.locks import held
from toolkit.errors import CacheUnusable


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
