"""Every write and sync of one whole cycle fails (EIO, ENOSPC) or is the last thing that its process does (SIGKILL)."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from toolkit.errors import ToolkitError
from toolkit.execution.brokers.paper import PaperBroker

from .tracing import tracer
from .world import RULES, World, ended, faults, open_ledger, play, teller, world

KINDS = "EIO", "ENOSPC", "KILL"
N_BARS = 12  # the ledger stands before the last two: one decides, at the other what was decided fills


@dataclass(frozen=True)
class Syscalls:
    """Points of failure, how many of them surfaced as typed errors, killed the process, or were borne; why none was tried.

    `traced` says by what the calls were failed.
    """

    trials: int
    typed_errors: int
    killed: int
    borne: int
    traced: str
    skipped: str
    violations: tuple[str, ...]


def syscalls(step: int, seed: int, folder: Path, by: str = "") -> Syscalls:
    """Each `step`-th of the points: afterwards a fresh process finishes, and it is as if nothing had happened.

    A ledger is begun anew (half of the points) or goes on from the last cycles but two; then it is closed.
    """
    by, calls = tracer(by)
    if skipped := calls.missing():
        return Syscalls(0, 0, 0, 0, "", skipped, ())
    market, endings, violations, trials = world(seed, N_BARS), Counter[str](), list[str](), 0
    begun = folder / "begun"
    ended(lambda writable: some(market, begun, writable, N_BARS - 2))
    for template in (begun, None):
        for name, many in counted(calls, market, template, folder / "trial").items():
            for kind in KINDS:
                for when in range(1, many + 1):
                    trials += 1
                    if trials % step:
                        continue
                    how, said = point(calls, market, template, folder / "trial", (name, kind, when))
                    endings[how] += 1
                    where = f"syscalls(seed={seed}), {'begun' if template else 'new'} ledger, {name} {when} {kind}"
                    violations += [f"{where}: {fault}" for fault in said]
    counts = (endings[how] for how in ("typed", "killed", "borne"))
    return Syscalls(endings.total(), *counts, by, "", tuple(violations))


def some(market: World, place: Path, writable: int, until: int, again: bool = False) -> None:
    """Trades as far as `until` and closes, with `again` a second time if it failed; says what was acknowledged, and its end."""
    try:
        ledger = open_ledger(place, teller(writable))
        play(market, ledger, PaperBroker(ledger, RULES), until)
        ledger.close()
    except ToolkitError as error:
        os.write(writable, json.dumps(f"typed {error}").encode() + b"\n")
        if again:
            some(market, place, writable, until)
    else:
        os.write(writable, b'"done"\n')


def copied(template: Path | None, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    if template is not None:
        shutil.copytree(template, place)
    return place


def last_of(template: Path | None) -> int:
    return N_BARS if template is not None else 7  # the first that has orders to settle


def counted(calls: ModuleType, market: World, template: Path | None, folder: Path) -> Counter[str]:
    """How often each call is made in an undisturbed run."""
    place = copied(template, folder)
    said, many = calls.counted(lambda writable: some(market, place, writable, last_of(template)))
    assert said[-1] == "done", said
    return many


def point(
    calls: ModuleType, market: World, template: Path | None, folder: Path, failure: tuple[str, str, int]
) -> tuple[str, list[str]]:
    """How a process ended in which one call fails, and what is wrong afterwards; where the disk was full, it goes on itself."""
    place, kind = copied(template, folder), failure[1]
    full = kind == "ENOSPC"
    said, ending = calls.failing(lambda writable: some(market, place, writable, last_of(template), again=full), *failure)
    acknowledged = max((line for line in said if isinstance(line, list)), default=None)
    again, _ = ended(lambda writable: some(market, place, writable, N_BARS))
    found = faults(market, place, acknowledged) if again[-1:] == ["done"] else [f"a fresh process ended with {again[-1:]}"]
    if ending == signal.SIGKILL and kind == "KILL":
        return "killed", found
    typed = any(isinstance(line, str) and line.startswith("typed") for line in said)
    if said[-1:] != ["done"] and (full or not typed):
        found.append(f"it ended by {ending}, saying {said[-1:]}")
    return "typed" if typed else "borne", found
