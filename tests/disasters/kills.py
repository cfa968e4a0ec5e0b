"""kill -9 at random points of a paper cycle whose broker loses replies."""

from __future__ import annotations

import os
import random
import select
import signal
import sqlite3
import uuid
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from forks import DEADLINE, forked

from .world import LostReplies, World, ended, faults, heard, open_ledger, play, teller, world

LASTING = 0.03  # seconds, the longest that a timed kill waits


@dataclass(frozen=True)
class Kills:
    """Processes killed, the worlds they traded, orders and fills of these, and what must not happen."""

    trials: int
    worlds: int
    orders: int
    fills: int
    lost_replies: int
    violations: tuple[str, ...]


def kills(n: int, seed: int, folder: Path) -> Kills:
    """Kills a paper loop `n` times, at random instants and at random statements, and begins it again where it stood.

    A world that was traded to its end is compared with its backtest, and the next one begins.
    """
    killed, number, orders, fills, unanswered, violations = 0, 0, 0, 0, 0, list[str]()
    while killed < n:
        market, place = world(1000 * seed + number), folder / f"world{number}"
        acknowledged, trial, name = [0], 0, f"kills(seed={seed}) world {number}"
        while True:
            rng = np.random.default_rng([seed, number, trial])
            trial += 1
            said, ending = one(market, place, rng, last=killed >= n)
            acknowledged = max([acknowledged, *(line for line in said if isinstance(line, list))])
            if ending == signal.SIGKILL:
                killed += 1
            elif said[-1:] == ["done"]:
                break
            else:
                violations.append(f"{name} trial {trial}: ended by {ending}, saying {said[-1:]}")
                break
        violations += [f"{name} after {trial} trials: {fault}" for fault in faults(market, place, acknowledged)]
        orders, fills = orders + market.orders.total(), fills + market.fills.total()
        unanswered += unknowns(place)
        number += 1
    return Kills(killed, number, orders, fills, unanswered, tuple(violations))


def one(market: World, place: Path, rng: np.random.Generator, last: bool) -> tuple[list, int]:
    """One process that goes on with the loop and is killed, unless it is the last or ends before."""
    timed, luck = rng.random() < 0.5, random.Random(int(rng.integers(2**32)))
    statement, wait = int(rng.integers(1, 150)), LASTING * rng.random()

    def act(writable: int) -> None:
        ledger = open_ledger(place, teller(writable))
        os.write(writable, b'"open"\n')
        if not (timed or last):
            ledger._connection.set_trace_callback(countdown(statement))
        play(market, ledger, LostReplies(ledger, luck))
        ledger.close()
        os.write(writable, b'"done"\n')

    if last or not timed:
        return ended(act)
    child, readable = forked(act)
    if rng.random() < 0.9:  # else: perhaps while it opens the ledger
        select.select([readable], [], [], DEADLINE)
    select.select([], [], [], wait)
    os.kill(child, signal.SIGKILL)
    ending = os.WTERMSIG(os.waitpid(child, 0)[1])
    return heard(readable), ending


def countdown(n: int):
    """Counts statements of SQL, and kills the process before the last of them."""
    left = [n]

    def counted(_: str) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    return counted


def unknowns(place: Path) -> int:
    """Orders that were left without an answer, by a broken line or a kill."""
    with closing(sqlite3.connect(place / "ledger.sqlite")) as db:
        return db.execute("SELECT count(*) FROM order_events WHERE after = 'UNKNOWN' OR before = 'UNKNOWN'").fetchone()[0]


# --------------------------------------------------------------------------------------------------------- the control
@dataclass(frozen=True)
class Naive:
    """What the loop without a journal did under the same kills; `violations` must not be empty."""

    trials: int
    orders: int
    duplicated: int
    violations: tuple[str, ...]


def naive(n: int, seed: int, folder: Path) -> Naive:
    """A new id each time, handed in and then written down: the loop of most notebooks, killed `n` times."""
    place, killed, trial = folder / "naive.sqlite", 0, 0
    with closing(sqlite3.connect(place)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE broker(id TEXT PRIMARY KEY, cycle INTEGER)")
        db.execute("CREATE TABLE book(cycle INTEGER PRIMARY KEY)")
    while killed < n:
        rng = random.Random(1_000_003 * seed + trial)
        trial += 1
        _, ending = ended(lambda _, rng=rng: hand_in_for_ever(place, rng))
        killed += ending == signal.SIGKILL
    with closing(sqlite3.connect(place)) as db:
        arrived = Counter(cycle for (cycle,) in db.execute("SELECT cycle FROM broker"))
    twice = sorted(cycle for cycle, times in arrived.items() if times > 1)
    said = tuple(f"naive(seed={seed}): cycle {cycle} was ordered {arrived[cycle]} times" for cycle in twice)
    return Naive(killed, len(arrived), arrived.total() - len(arrived), said)


def hand_in_for_ever(place: Path, rng: random.Random) -> None:
    db = sqlite3.connect(place, isolation_level=None)
    db.set_trace_callback(countdown(rng.randrange(2, 12)))
    while True:
        (cycle,) = db.execute("SELECT coalesce(max(cycle), 0) + 1 FROM book").fetchone()
        db.execute("INSERT INTO broker VALUES (?, ?)", (str(uuid.UUID(int=rng.getrandbits(128))), cycle))
        if rng.random() >= 0.1:  # else the reply is lost: asked again, under a new id
            db.execute("INSERT INTO book VALUES (?)", (cycle,))
