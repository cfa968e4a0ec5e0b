"""Ctrl-C and SIGTERM at random instants of work on a ledger and on a cache."""

from __future__ import annotations

import os
import random
import select
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from campaigns import filled, found_after, fresh, write_until_told
from forks import forked, isolated, lines

from toolkit.data import BarCache
from toolkit.errors import CacheUnusable
from toolkit.execution.ledger import _OPEN

from .world import LostReplies, World, faults, open_ledger, play, world

N_BARS, LONGEST = 20, 1.0  # sessions of a world; seconds that another process may wait
SIGNALS = signal.SIGINT, signal.SIGTERM


@dataclass(frozen=True)
class Interrupts:
    """Signals sent to work on a ledger and on a cache, worlds traded to their end, the longest that another waited."""

    trials: int
    ledger: int
    cache: int
    worlds: int
    longest_s: float
    violations: tuple[str, ...]


def interrupts(n: int, seed: int, folder: Path) -> Interrupts:
    """Interrupts a process `n` times, two of three in a ledger: no transaction stays open, and another writes in a second."""
    in_cache = n // 3
    markets = [world(1000 * seed + number, N_BARS) for number in range(6)]
    place, done = folder / "ledgers", list[int]()
    slow, said = trials(n - in_cache, seed, lambda *ends: trade(markets, place, *ends), lambda _: write_ledger(place), done)
    for number in range(max(done, default=0)):
        said += [f"world {number}: {fault}" for fault in faults(markets[number % len(markets)], place / str(number))]
    more, others = in_a_cache(in_cache, seed + 1, folder / "cache")
    violations = tuple(f"interrupts(seed={seed}): {violation}" for violation in said + others)
    return Interrupts(n, n - in_cache, in_cache, max(done, default=0), max(slow, more), violations)


def trials(n: int, seed: int, work: Callable[[int, int], None], write: Callable[[int], None], done: list[int]
           ) -> tuple[float, list[str]]:  # fmt: skip
    """Signals to a process that does `work`; each time it says how it was interrupted, and this process does `write`."""
    rng, longest, violations = np.random.default_rng(seed), 0.0, list[str]()
    go_on, going = os.pipe()
    child, readable = forked(lambda writable: heeding_both(lambda: work(go_on, writable)))
    said: Iterator[str] = lines(readable)
    try:
        for number in range(n):
            if (begins := next(said, "it is gone")) != "writing":
                violations.append(f"trial {number}: {begins}")
                break
            select.select([], [], [], 0.006 * rng.random())
            kind = SIGNALS[int(rng.integers(2))]
            if not insist(child, kind, readable):
                violations.append(f"trial {number}: {kind.name} is not heard any more")
                break
            answer, _, counted = next(said, "it is gone").partition(" ")
            if answer != "interrupted":
                violations.append(f"trial {number}, {kind.name}: {answer} {counted}")
            done += [int(counted)] if counted.isdigit() else []
            begun = time.perf_counter()
            try:
                write(number)
            except (CacheUnusable, sqlite3.Error) as error:
                violations.append(f"trial {number}, {kind.name}: another process: {error}")
            longest = max(longest, time.perf_counter() - begun)
            os.write(going, b"!")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for descriptor in (readable, go_on, going):
            os.close(descriptor)
    return longest, violations + ([f"another process waited {longest:.1f} s"] if longest > LONGEST else [])


def insist(child: int, kind: signal.Signals, readable: int) -> bool:
    """Sends a signal until it is answered: Python drops what a handler raises inside a finalizer; False if it never is."""
    for _ in range(5):
        os.kill(child, kind)
        if select.select([readable], [], [], 1.0)[0]:
            return True
    return False


def heeding_both(work: Callable[[], None]) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    work()


def trade(markets: list[World], place: Path, go_on: int, writable: int) -> None:
    """Trades one world after the other until it is killed."""
    number, ledger = 0, None
    while True:
        try:
            os.write(writable, b"writing\n")
            while True:
                if ledger is None:
                    ledger = open_ledger(place / str(number))
                play(markets[number % len(markets)], ledger, LostReplies(ledger, random.Random(number)))
                ledger.close()
                ledger, number = None, number + 1
        except KeyboardInterrupt:
            os.write(writable, f"{state_left()} {number}\n".encode())
            os.read(go_on, 1)
            if ledger is not None and ledger._closed:
                ledger = None


def state_left() -> str:
    """How the ledgers of this process were left by an interrupt."""
    try:
        return "open_transaction" if any(opened._connection.in_transaction for opened in _OPEN.values()) else "interrupted"
    except sqlite3.ProgrammingError:
        return "half_closed"


def write_ledger(place: Path) -> None:
    """Another process takes the lock of the database that was made last, where there is one, and lets go of it."""
    made = max(place.glob("*/ledger.sqlite"), key=lambda path: int(path.parent.name), default=None)
    if made is not None:
        with closing(sqlite3.connect(made, timeout=LONGEST, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                db.execute("UPDATE account SET epoch = epoch")
            db.execute("COMMIT")


def in_a_cache(n: int, seed: int, place: Path) -> tuple[float, list[str]]:
    name, other = "live/crowd/1h/other", BarCache(place)

    def put(number: int) -> None:
        other.put(name, fresh(number), filled(number, name))

    slow, said = trials(n, seed, lambda *ends: write_until_told(place, *ends), put, [])
    other.close()
    answer = isolated(lambda: found_after(place, {}))
    return slow, said + ([f"the cache afterwards: {answer}"] if answer != [] else [])
