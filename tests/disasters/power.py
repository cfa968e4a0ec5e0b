"""Power losses: a ledger's life is written down call by call, and its files are rebuilt as each instant may have left them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from toolkit.errors import ToolkitError
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.ledger import Ledger

from .tracing import tracer
from .world import GROWN, NEWS, RULES, World, open_ledger, play, world

FILES = {
    name + end for name, ends in (("ledger.sqlite", ("", "-wal")), ("ledger.sqlite.new", ("", "-journal"))) for end in ends
}
ENDINGS = "dropped", "kept", "half"  # what became of writes that were not synced
SESSIONS, AT_ONCE = 40, 4  # of a life, and after how many of them the ledger is closed and opened again


@dataclass(frozen=True)
class Power:
    """States rebuilt, commits acknowledged, states that had lost one, states that could not be read; why none was tried.

    `traced` says by what the calls were written down.
    """

    trials: int
    acknowledged: int
    lost: int
    spoiled: int
    traced: str
    skipped: str
    violations: tuple[str, ...]


def power(n: int, seed: int, folder: Path, synchronous: str = "FULL", by: str = "") -> Power:
    """Cuts the power of `n` instants of a ledger's life; what was acknowledged must be there, and the file whole.

    With `synchronous` NORMAL, as many applications have it, acknowledged commits are lost: the control.
    """
    by, seen = tracer(by)
    if skipped := seen.missing():
        return Power(0, 0, 0, 0, "", skipped, ())
    place, market = folder / "life", world(seed, SESSIONS)
    said, made = seen.recorded(lambda writable: live(market, place, synchronous, writable))
    steps = list(calls(made, place))
    marks = sum(1 for step in steps if step[0] == "acknowledged")
    if said[-1:] != ["done"] or marks < SESSIONS:
        return Power(0, marks, 0, 0, by, "", (f"power(seed={seed}): the life ended in {said[-1:]}, {marks} commits",))
    lost, spoiled, trial, violations, rng = 0, 0, 0, list[str](), np.random.default_rng(seed)
    endings = ENDINGS * (n // (len(steps) * len(ENDINGS)) + 1)
    chosen = np.zeros((len(steps), len(endings)), dtype=bool)
    chosen.flat[rng.choice(chosen.size, n, replace=False)] = True
    disk, acknowledged = Disk(), None
    for number, step in enumerate(steps):
        acknowledged = disk.take(step) or acknowledged
        for ending, here in zip(endings, chosen[number]):
            if here:
                trial += 1
                problem, missed = after_the_loss(disk.left(ending, rng), acknowledged, folder / "after")
                lost, spoiled = lost + missed, spoiled + (bool(problem) and not missed)
                if problem:
                    violations.append(f"power(seed={seed}) call {number} of {len(steps)}, unsynced writes {ending}: {problem}")
    return Power(trial, marks, lost, spoiled, by, "", tuple(violations))


def live(market: World, place: Path, synchronous: str, writable: int) -> None:
    for until in range(AT_ONCE, SESSIONS + 1, AT_ONCE):
        ledger = open_ledger(place, lambda counts: acknowledge(writable, counts))
        ledger._connection.execute(f"PRAGMA synchronous = {synchronous}")
        play(market, ledger, PaperBroker(ledger, RULES), until)
        ledger.close()
    os.write(writable, b'"done"\n')


def acknowledge(writable: int, counts: list[int]) -> None:
    os.write(writable, (str(counts) + "\n").encode())


# ------------------------------------------------------------------------------------------------------ what was called
def calls(made: list[tuple], place: Path) -> Iterator[tuple]:
    """(kind, name of a file in `place`, and content and offset, or length) of the calls that matter; any sync does."""
    for kind, path, *values in made:
        if kind == "rename":
            yield kind, path.name, values[0].name
        elif kind in {"fsync", "fdatasync", "acknowledged"} or path.parent == place.resolve() and path.name in FILES:
            yield kind, path.name, *values


@dataclass
class File:
    """What is surely on the disk, and what was written since the last sync, in order."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple] = field(default_factory=list)

    def content(self, kept: list[bool]) -> bytes:
        content = bytearray(self.synced)
        for change, stays in zip(self.pending, kept):
            if stays:
                changed(content, change)
        return bytes(content)


def changed(content: bytearray, change: tuple) -> None:
    kind, _, *values = change
    if kind == "ftruncate":
        content[values[0] :] = bytes(max(0, values[0] - len(content)))
    else:
        data, offset = values
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data


class Disk:
    """Files by name; one that was removed is gone for sure once something was synced after, a new one is another file.

    So is a new name: until then the file may still have the old one.
    """

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.moved: dict[str, str] = {}  # from the new name to the old one
        self.removed: dict[str, File] = {}

    def take(self, step: tuple) -> list[int] | None:
        """The next call; what it acknowledged, if it did."""
        kind, name = step[:2]
        if kind == "acknowledged":
            return step[2]
        if kind == "unlink":
            if name in self.files:
                self.removed[name] = self.files.pop(name)
        elif kind == "rename":
            self.files[step[2]] = self.files.pop(name)
            self.moved[step[2]] = name
        elif kind in {"fsync", "fdatasync"}:
            self.removed.clear()
            self.moved.clear()
            if name in self.files:
                file = self.files[name]
                file.synced, file.pending = bytearray(file.content([True] * len(file.pending))), []
        else:
            file = self.files.setdefault(name, File())
            if kind != "openat":
                file.pending.append(step)
        return None

    def left(self, ending: str, rng: np.random.Generator) -> dict[str, bytes]:
        """The files after a loss of power at this instant."""
        files = dict(self.files)
        if ending == "dropped" or (ending == "half" and rng.random() < 0.5):
            files = self.removed | {self.moved.get(name, name): file for name, file in files.items()}
        kept = {"dropped": lambda _: False, "kept": lambda _: True, "half": lambda _: rng.random() < 0.5}[ending]
        return {name: file.content([kept(change) for change in file.pending]) for name, file in files.items()}


# ------------------------------------------------------------------------------------------------------ what is left of it
def after_the_loss(files: dict[str, bytes], acknowledged: list[int] | None, place: Path) -> tuple[str, bool]:
    """What is wrong with a ledger opened after the loss, and whether it is that acknowledged rows are missing."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name, content in files.items():
        (place / name).write_bytes(content)
    try:
        ledger = Ledger.open(place, account="t", mode="paper", cash=50_000.0)
    except ToolkitError as error:
        return f"it cannot be opened: {error}", False
    try:
        there, spoiled = ledger.rows(GROWN)[0], ledger.damage()
    except (sqlite3.Error, ToolkitError) as error:
        return f"it cannot be read: {error}", False
    finally:
        ledger.close()
    short = [f"{table} {n} of {told}" for table, n, told in zip(NEWS, there, acknowledged or there) if n < told]
    return ", ".join(short + spoiled), bool(short)
