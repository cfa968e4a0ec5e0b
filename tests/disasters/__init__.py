"""Disasters to the ledger and a paper cycle, each from a seed: kills, failed writes, power losses, interrupts, two writers.

    python -m tests.disasters [--scale 0.1] [--seed 1] [--by shim] [kills syscalls power interrupts writers]

Every campaign returns what it counted; `violations` says, with the seed and the trial, what must not happen.  They fork, so
begin them in a process that has no threads.  tests/test_disasters.py runs a slice of each.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # what it shares with the tests is beside this folder

from .interrupts import interrupts
from .kills import kills, naive
from .power import power
from .syscalls import syscalls
from .writers import writers

Campaign = Callable[..., Any]  # of scale, seed, folder, and where calls are traced what by
WHOLE: dict[str, Campaign] = {
    "kills": lambda scale, seed, folder: kills(many(10_000, scale), seed, folder),
    "syscalls": lambda scale, seed, folder, by="": syscalls(max(1, round(1.0 / scale)), seed, folder, by),
    "power": lambda scale, seed, folder, by="": power(many(10_000, scale), seed, folder, by=by),
    "interrupts": lambda scale, seed, folder: interrupts(many(10_000, scale), seed, folder),
    "writers": lambda scale, seed, folder: writers(many(1_000, scale), seed, folder),
}
# What must fail, so that the campaigns are known to see it: by campaign.
CONTROLS: dict[str, tuple[str, Campaign]] = {
    "kills": ("a loop without a journal", lambda scale, seed, folder: naive(max(60, many(1_000, scale)), seed, folder)),
    "power": (
        "synchronous = NORMAL",
        lambda scale, seed, folder, by="": power(max(50, many(1_000, scale)), seed, folder, "NORMAL", by),
    ),
}

TRACED = "syscalls", "power"


def many(whole: int, scale: float) -> int:
    return max(1, round(whole * scale))


def run(name: str, scale: float, seed: int, campaign: Campaign | None = None, by: str = "") -> Any:
    """The outcome of a campaign, on files in memory where there are any: none of these losses needs a real disk.

    `by` is what traces (strace or shim) where calls are traced.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        return (campaign or WHOLE[name])(scale, seed, Path(folder), *([by] if by and name in TRACED else []))


def rows(scale: float, seed: int) -> list[tuple[str, int, int]]:
    """(campaign, trials, violations) of each; 0 trials where this machine cannot run it."""
    outcomes = [(name, run(name, scale, seed)) for name in WHOLE]
    return [(name, outcome.trials, len(outcome.violations)) for name, outcome in outcomes]
