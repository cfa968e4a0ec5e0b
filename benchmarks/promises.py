"""What the original design promised, what each promise has to reach, and the table that says whether it is met."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.measure import Row, row

FEW, MANY = 5, 50
LATENCY = 0.05  # seconds an answer
BROKER, HERE = "account at the broker", "account kept here"
WHEN = "cold", "next day", "warm"
Key = tuple[str, int, str, str]
"""What was measured, number of symbols, where the account is, and cold, warm or next day."""


class Promise(NamedTuple):
    """A promise of the original design, what it claimed, and what is to be saved: a fraction, None where none was promised."""

    name: str
    claimed: str
    part: str
    size: int
    when: str
    reach: float | None
    where: str = BROKER
    unit: str = "s"

    @property
    def key(self) -> Key:
        return self.part, self.size, self.where, self.when


def promises() -> list[Promise]:
    """The rows of the table, in order: each promise in its cases, and what nobody promised but a reader asks."""
    fetch, indicators, risk = "data fetching time", "indicator calculation", "risk calculation"
    account, cycle, memory, cpu = "account and position calls", "whole cycle", "memory", "CPU time a warm cycle"
    few, many = f"{cycle}, {FEW} symbols", f"{cycle}, {MANY} symbols"
    seconds = "15-20 s to 3-5 s (-75 to -80%)"
    return [
        Promise(fetch, "-70 to -80%", "fetch", FEW, "cold", 0.80),
        Promise(fetch, "-70 to -80%", "fetch", MANY, "cold", 0.90),
        *(Promise(fetch, "-70 to -80%", "fetch", n, "warm", 0.99) for n in (FEW, MANY)),
        *(Promise(fetch, "", "fetch", n, "next day", None) for n in (FEW, MANY)),
        *(Promise(indicators, "-60 to -70%", "indicators", n, w, 0.98) for w in WHEN for n in (FEW, MANY)),
        *(Promise(risk, "-50%", "risk", n, "cold", 0.95) for n in (FEW, MANY)),
        *(Promise(account, "-80%", "account", n, "warm", 0.90, unit="calls") for n in (FEW, MANY)),
        *(Promise("all questions to the broker", "", "questions", n, "warm", None, unit="calls") for n in (FEW, MANY)),
        *(
            Promise(few, seconds, "cycle", FEW, *rest)
            for w in (BROKER, HERE)
            for rest in (("cold", 0.80, w), ("warm", 0.99, w))
        ),
        *(Promise(few, "", "cycle", FEW, "next day", None, w) for w in (BROKER, HERE)),
        *(Promise(many, "", "cycle", MANY, w, None) for w in WHEN),
        Promise(memory, "-30%", "peak", MANY, "warm", 0.50, unit="bytes"),
        Promise("memory beyond what the imports take", "", "beyond", MANY, "warm", None, unit="bytes"),
        *(Promise(cpu, "-40%", "cpu", n, "warm", 0.95) for n in (FEW, MANY)),
    ]


@dataclass(frozen=True)
class Kept:
    """One row: `row.ratio` is before / after, so that what was saved is 1 - 1 / ratio."""

    promise: Promise
    row: Row

    @property
    def verdict(self) -> str:
        """Met if the low end of the interval is; empty where nothing was promised."""
        return "" if self.promise.reach is None else "met" if self.row.met else "missed"

    def cells(self) -> dict[str, str]:
        """The row of the table."""
        promise, row = self.promise, self.row
        saved, low, high = (f"{1.0 / ratio - 1.0:+.1%}" if ratio else "" for ratio in (row.ratio, row.low, row.high))
        reach = "" if promise.reach is None else f"-{promise.reach:.0%}"
        return {"promise": promise.name, "case": row.name, "claimed": promise.claimed, "to reach": reach,
                "before": shown(row.peer_s, row.unit), "after": shown(row.ours_s, row.unit),
                "change": saved, "95% interval": f"{high} to {low}", "verdict": self.verdict}  # fmt: skip

    def record(self) -> dict[str, Any]:
        """As the JSON holds it."""
        promise = self.promise
        about = {"promise": promise.name, "claimed": promise.claimed, "to_reach": promise.reach, "verdict": self.verdict}
        return about | {"symbols": promise.size, "when": promise.when, "account": promise.where, **asdict(self.row)}


def kept(promise: Promise, pairs: list[tuple[float, float]]) -> Kept:
    """The row of a promise from pairs of ours and plain."""
    target = 1.0 if promise.reach is None else 1.0 / (1.0 - promise.reach)
    name = f"{promise.size} symbols, {promise.when}" + (f", {promise.where}" if promise.part == "cycle" else "")
    made = row(name, [a for a, _ in pairs], "plain engine", [b for _, b in pairs], target * (1.0 - 1e-12))
    return Kept(promise, replace(made, target=target, unit=promise.unit))


def shown(value: float, unit: str) -> str:
    """A quantity as a person reads it."""
    if unit == "bytes":
        return f"{value / 1e6:.1f} MB"
    if unit == "calls":
        return f"{value:.0f} calls"
    return f"{value:.2f} s" if value >= 1.0 else f"{1e3 * value:.3g} ms"


def table(rows: list[Kept]) -> pd.DataFrame:
    """One row a promise and case."""
    return pd.DataFrame([each.cells() for each in rows])


def written(rows: list[Kept], rounds: int, at: pd.Timestamp) -> dict[str, Any]:
    """What the JSON holds: the rows, when and on what they were made, and nothing that names the machine."""
    names = ("pandas", "numpy", "numba", "diskcache", "yfinance", "alpaca-py")
    return {
        "date": f"{at:%Y-%m-%d}", "command": "python -m benchmarks.before_after", "rounds": rounds,
        "latency_s": LATENCY, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(), "versions": {name: version(name) for name in names},
        "rows": [each.record() for each in rows],
    }  # fmt: skip
