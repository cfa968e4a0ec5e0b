"""Two sides timed in turn in one run, and the row that says how they compare."""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Row:
    """One measurement: medians in seconds, ratio = peer / ours with its 95% interval; met if the low end reaches the target."""

    name: str
    ours_s: float
    peer: str
    peer_s: float
    ratio: float
    low: float
    high: float
    target: float
    met: bool
    unit: str = "s"  # of both sides

    def __str__(self) -> str:
        said = f"{self.name}: {self.shown(self.ours_s)}, {self.peer} {self.shown(self.peer_s)}"
        verdict = "met" if self.met else "NOT MET"
        return f"{said}, ratio {self.ratio:.3g} [{self.low:.3g}, {self.high:.3g}], target {self.target:g}: {verdict}"

    def shown(self, value: float) -> str:
        """The value with its unit, seconds as milli- or microseconds."""
        if self.unit != "s":
            return f"{value:.2g} {self.unit}"
        return f"{1e3 * value:.2f} ms" if value >= 1e-3 else f"{1e6 * value:.2f} us"


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def repeated(call: Callable[[], object], times: int) -> float:
    """Seconds of one call, over several."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def row(name: str, ours: list[float], peer: str, theirs: list[float], target: float) -> Row:
    """The row of paired rounds; the interval is a bootstrap over rounds, drawn together."""
    a, b = np.array(ours), np.array(theirs)
    drawn = np.random.default_rng(0).integers(0, len(a), (2000, len(a)))
    low, high = np.quantile(np.median(b[drawn], axis=1) / np.median(a[drawn], axis=1), [0.025, 0.975])
    ratio = float(np.median(b) / np.median(a))
    return Row(
        name, float(np.median(a)), peer, float(np.median(b)), ratio, float(low), float(high), target, bool(low >= target)
    )


def limit(name: str, value: float, peer: str, allowed: float, unit: str) -> Row:
    """The row of a value that must not exceed what is allowed."""
    ratio = allowed / value if value else float("inf")
    return Row(name, value, peer, allowed, ratio, ratio, ratio, 1.0, value <= allowed, unit)


def interleaved(
    name: str, ours: Callable[[], float], peer: str, theirs: Callable[[], float], target: float, rounds: int
) -> Row:
    """Both sides in turn, `rounds` times; each callable returns its own seconds."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return row(name, [a for a, _ in pairs], peer, [b for _, b in pairs], target)


def report(rows: list[Row], args: argparse.Namespace) -> int:
    """Prints the rows and writes them as JSON where asked to; 0 if every target was met."""
    for each in rows:
        print(each)
    if args.json:
        versions = {name: version(name) for name in ("pandas", "numpy", "numba", "diskcache", "yfinance")}
        machine = {"machine": platform.machine(), "system": platform.platform(), "python": platform.python_version()}
        args.json.write_text(json.dumps({"rows": [asdict(r) for r in rows], "versions": versions, **machine}, indent=1))
    return 0 if all(each.met for each in rows) else 1


def options(description: str) -> argparse.Namespace:
    """--quick and --json, the same for every benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a few rounds only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE")
    return parser.parse_args()
