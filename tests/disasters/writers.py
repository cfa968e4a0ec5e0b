"""Two writers of one ledger: a process that slept through a take-over, and a forked child that outlives its owner."""

from __future__ import annotations

import os
import random
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from forks import DEADLINE, forked, lines

from toolkit.errors import LedgerError, LedgerLocked
from toolkit.execution.ledger import Ledger

from .world import LostReplies, World, ended, faults, heard, open_ledger, play, teller, world

N_BARS, FREE = 12, 1.0  # sessions of a trial; seconds after the death of its owner within which a ledger is free


@dataclass(frozen=True)
class Writers:
    """Trials of each kind, what others were refused, the longest wait for a free ledger, and what must not happen."""

    trials: int
    zombies: int
    orphans: int
    refusals: int
    slowest_s: float
    violations: tuple[str, ...]


def writers(n: int, seed: int, folder: Path) -> Writers:
    """Sets two writers on one ledger `n` times, zombies and orphans in turn; what a non-owner commits is a violation."""
    markets = [world(1000 * seed + number, N_BARS) for number in range(8)]
    refusals, slowest, violations = 0, 0.0, list[str]()
    for number in range(n):
        rng, place, market = np.random.default_rng([seed, number]), folder / str(number), markets[number % len(markets)]
        refused, waited, said = (orphan if number % 2 else zombie)(market, place, rng)
        refusals, slowest = refusals + refused, max(slowest, waited)
        if waited > FREE:
            said.append(f"the ledger was free after {waited:.1f} s")
        violations += [f"writers(seed={seed}) trial {number}: {fault}" for fault in said]
    return Writers(n, n - n // 2, n // 2, refusals, slowest, tuple(violations))


def zombie(market: World, place: Path, rng: np.random.Generator) -> tuple[int, float, list[str]]:
    """The owner stops before one of its transactions; its lock file is lost, another takes over; it wakes and goes on.

    While the lock file is there, nobody takes over.
    """
    stop_at, luck, many = int(rng.integers(1, 40)), random.Random(int(rng.integers(2**32))), int(rng.integers(1, N_BARS))
    owner, readable = forked(lambda writable: sleeper(market, place, stop_at, luck, writable))
    stopped = os.WIFSTOPPED(os.waitpid(owner, os.WUNTRACED)[1])
    refused, said = ended(lambda _: refused_or_raise(place))[0] == [], list[str]()
    if not refused:
        said.append("a second writer came in beside the lock")
    (place / "ledger.lock").unlink()
    answers, _ = ended(lambda writable: take_over(market, place, luck, many, writable))
    before = grown(place)
    if answers[-1:] != ["done"]:
        said.append(f"taking over ended in {answers[-1:]}")
    if stopped:
        os.kill(owner, signal.SIGCONT)
        os.waitpid(owner, 0)
    acknowledged = [line for line in heard(readable) if line != "awake"]
    after = grown(place)
    if acknowledged[-1:] != ["LedgerLocked"] or after != before:
        said.append(f"the sleeper wrote on: {acknowledged[-1:]}, {before} rows became {after}")
    return int(refused) + 1, 0.0, said + finished(market, place, luck)


def sleeper(market: World, place: Path, stop_at: int, luck: random.Random, writable: int) -> None:
    ledger, left = open_ledger(place), [stop_at]

    def note(counts: list[int]) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif left[0] < 0:
            teller(writable)(counts)

    ledger.note = note
    try:
        play(market, ledger, LostReplies(ledger, luck))
        for _ in range(stop_at + 1):  # where the world ends before its writer has stopped
            ledger.looked("")
    except LedgerLocked:
        os.write(writable, b'"LedgerLocked"\n')


def take_over(market: World, place: Path, luck: random.Random, many: int, writable: int) -> None:
    ledger = open_ledger(place)
    play(market, ledger, LostReplies(ledger, luck), many)
    os.write(writable, b'"done"\n')


def refused_or_raise(place: Path) -> None:
    try:
        open_ledger(place)
    except LedgerLocked:
        return
    raise AssertionError("opened")


def grown(place: Path) -> list[tuple]:
    ledger = Ledger.read(place)
    try:
        return ledger.rows("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM order_events), epoch FROM account")
    finally:
        ledger.close()


def finished(market: World, place: Path, luck: random.Random) -> list[str]:
    """A last process trades the world to its end: how that differs from the backtest."""
    answers, _ = ended(lambda writable: take_over(market, place, luck, N_BARS, writable))
    return faults(market, place) if answers[-1:] == ["done"] else [f"it could not be finished: {answers[-1:]}"]


# ------------------------------------------------------------------------------------------------------------- orphans
def orphan(market: World, place: Path, rng: np.random.Generator) -> tuple[int, float, list[str]]:
    """The owner forks a child and is killed; the child has its ledger, writes into it and opens it: it must be refused."""
    ready, luck = int(rng.integers(0, N_BARS)), random.Random(int(rng.integers(2**32)))
    go_on, going = os.pipe()
    owner, readable = forked(lambda writable: parent(market, place, ready, luck, go_on, writable))
    said, found = lines(readable), list[str]()
    answers = [next(said) for _ in range(2)]  # while its owner lives
    select.select([], [], [], 0.005 * rng.random())
    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    begun = time.perf_counter()
    taken, _ = ended(lambda writable: os.write(writable, b'"open"\n' if open_ledger(place) else b""))
    waited = time.perf_counter() - begun
    if taken != ["open"]:
        found.append(f"the orphan keeps the ledger: {taken}")
    before = grown(place)
    os.write(going, b"!")
    answers += list(said)  # and after its death
    for descriptor in (readable, go_on, going):
        os.close(descriptor)
    if answers != ["refused"] * 4 or grown(place) != before:
        found.append(f"a forked child wrote: {answers}")
    return answers.count("refused"), waited, found + finished(market, place, luck)


def parent(market: World, place: Path, ready: int, luck: random.Random, go_on: int, writable: int) -> None:
    ledger = open_ledger(place)
    play(market, ledger, LostReplies(ledger, luck), ready)
    if not os.fork():
        for _ in range(2):
            os.write(writable, attempt(lambda: ledger.stand("HALT", "by a child", "a child")))
            os.write(writable, attempt(lambda: open_ledger(place)))
            select.select([go_on], [], [], DEADLINE)
        os._exit(0)
    play(market, ledger, LostReplies(ledger, luck))
    select.select([], [], [], DEADLINE)


def attempt(act) -> bytes:
    try:
        act()
    except LedgerError:
        return b"refused\n"
    return b"wrote\n"
