"""How often something was tried: every backtest and every set of a sweep in a project folder is counted.

A Sharpe ratio that was picked from many is worth less than one that was not; by how much depends on how many there were and
how far they scattered. So each backtest and each sweep leaves one line in `trials.jsonl`: the number of its Sharpe ratios,
their mean and the sum of their squared deviations. Lines are only ever added, and a key counts once, however often it runs.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.data.locks import held
from toolkit.risk.metrics import positive
from toolkit.risk.overfitting import expected_maximum_sharpe, moments, probabilistic_sharpe

PATIENCE = 5.0  # seconds; a writer holds the file for about a millisecond
log = logging.getLogger(__name__)


class Line(NamedTuple):
    """One backtest or sweep: Sharpe ratios per bar of `trials` sets, their mean and the sum of squared deviations from it."""

    key: str
    trials: int
    mean: float
    deviations: float
    n_bars: int
    periods_per_year: float


@dataclass(frozen=True, repr=False)
class DeflatedSharpe:
    """A Sharpe ratio per year, and the probability that the true one is above 0 for the best of `trials`.

    `expected_maximum` per year is what the best of as many strategies without skill would have been expected to show.

    >>> DeflatedSharpe(sharpe=1.208, probability=0.371, trials=1240, expected_maximum=1.31)
    Sharpe 1.21; deflated for 1,240 trials: 0.37 (probability that the true Sharpe is above 0 after selection; luck alone: 1.31)
    """

    sharpe: float
    probability: float
    trials: int
    expected_maximum: float

    def __str__(self) -> str:
        counted = "1 trial" if self.trials == 1 else f"{self.trials:,} trials"
        meaning = f"probability that the true Sharpe is above 0 after selection; luck alone: {self.expected_maximum:.2f}"
        return f"Sharpe {self.sharpe:.2f}; deflated for {counted}: {self.probability:.2f} ({meaning})"

    __repr__ = __str__


class Trials:
    """The trials of a project, in `folder`/trials.jsonl; safe between processes, and never in the way of a backtest.

    What cannot be written or read is a logged warning, and what could not be written counts in this object all the same. Sharpe
    ratios are per bar of which there are `periods_per_year` in a year; trials on other bars are converted.
    """

    def __init__(self, folder: Path | str, periods_per_year: float = 252.0) -> None:
        self.path = Path(folder) / "trials.jsonl"
        self.periods_per_year = positive(periods_per_year)
        self._unwritten: dict[str, Line] = {}

    def add(self, key: str, sharpes: np.ndarray | Iterable[float], n_bars: int) -> None:
        """Count Sharpe ratios (per bar) on `n_bars` bars; nothing happens for a key that was counted before.

        NaN, of a set that never traded, is no trial.
        """
        ratios = np.atleast_1d(np.asarray(sharpes, dtype=np.float64)).ravel()
        ratios = ratios[np.isfinite(ratios)]
        if len(ratios) == 0:
            return
        mean = float(ratios.mean())
        scatter = float(((ratios - mean) ** 2).sum())
        line = Line(str(key), len(ratios), mean, scatter, int(n_bars), self.periods_per_year)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with held(self.path, patience=PATIENCE) as alone:
                if not alone:
                    raise BlockingIOError(f"another process has held it for {PATIENCE:.0f} s")
                append(self.path, line)
        except OSError as error:
            if not self._unwritten:
                log.warning("trials are not counted for good: %s cannot be written (%s)", self.path, error)
            self._unwritten[line.key] = line

    @property
    def count(self) -> int:
        """Number of all trials."""
        return self.summary()[0]

    @property
    def variance(self) -> float:
        """Variance (ddof = 1) of the Sharpe ratios, per bar, over all trials; NaN for fewer than two."""
        return self.summary()[1]

    def report(self, returns: pd.Series | np.ndarray) -> DeflatedSharpe:
        """The Sharpe ratio of `returns` (per bar) with its deflated value for all trials, of which this is one at least.

        NaN where the returns have no Sharpe ratio.
        """
        count, variance = self.summary()
        shape, year = moments(returns), math.sqrt(self.periods_per_year)
        maximum = expected_maximum_sharpe(max(count, 1), variance)
        return DeflatedSharpe(shape.sharpe * year, probabilistic_sharpe(shape, maximum), max(count, 1), maximum * year)

    def summary(self) -> tuple[int, float]:
        """Count and variance, read at once."""
        lines = self.lines()
        count = sum(line.trials for line in lines)
        if count < 2:
            return count, math.nan
        scales = [math.sqrt(line.periods_per_year / self.periods_per_year) for line in lines]
        mean = sum(line.trials * line.mean * scale for line, scale in zip(lines, scales)) / count
        within = sum(line.deviations * scale**2 for line, scale in zip(lines, scales))
        between = sum(line.trials * (line.mean * scale - mean) ** 2 for line, scale in zip(lines, scales))
        return count, (within + between) / (count - 1)

    def lines(self) -> list[Line]:
        """All that was counted, one a key, the first that was written."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            text = b""
        except OSError as error:
            log.warning("earlier trials are not counted: %s cannot be read (%s)", self.path, error)
            text = b""
        rows = settled(text).splitlines()
        known = list(readable(rows))
        if len(known) < len(rows):
            log.warning("lines of %s that cannot be read and are not counted: %d", self.path, len(rows) - len(known))
        return list({line.key: line for line in [*self._unwritten.values(), *reversed(known)]}.values())


def append(path: Path, line: Line) -> None:
    """Add `line` to a file that is held, unless its key is there; a torn last line goes."""
    text = json.dumps(line._asdict()).encode() + b"\n"
    beginning = json.dumps({"key": line.key}).encode()[:-1] + b","
    with open(path, "r+b") as file:
        before = file.read()
        kept = settled(before)
        if beginning in kept and any(readable(row for row in kept.splitlines() if row.startswith(beginning))):
            return
        file.seek(min(len(before), len(kept)))
        file.write(kept[len(before) :] + text)
        file.truncate()


def settled(text: bytes) -> bytes:
    """The text up to the end of its last line; a last line that is cut short never counted and goes."""
    last = text[text.rfind(b"\n") + 1 :]
    return text + b"\n" if any(readable([last])) else text[: len(text) - len(last)]


def readable(rows: Iterable[bytes]) -> Iterator[Line]:
    """The rows that are lines of ours; others are passed over."""
    for row in rows:
        try:
            line = Line(**json.loads(row))
            numbers = [line.trials, line.mean, line.deviations, line.n_bars, line.periods_per_year]
            sound = isinstance(line.key, str) and all(map(math.isfinite, numbers)) and line.trials >= 1
            sound = sound and line.deviations >= 0.0 and line.periods_per_year > 0.0
        except (ValueError, TypeError):
            continue
        if sound:
            yield line
