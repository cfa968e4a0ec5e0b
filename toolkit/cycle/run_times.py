"""How long the phases of a run took: percentiles of one run, and two runs side by side with a verdict.

Numbers print with the mark of what varies from run to run; a verdict prints without, so that a test can hold on to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from toolkit.cycle.durations import MARK, approximate
from toolkit.errors import InvalidParameter
from toolkit.risk.bootstrap import LEAST, block_length, resampled, tail_of

COLUMNS = {
    "data fetch": "data_fetch_time",
    "signals": "signal_generation_time",
    "risk": "risk_calculation_time",
    "execution": "execution_time",
    "total": "total_cycle_time",
}
SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, repr=False)
class Percentiles:
    """Seconds of each phase and of the total: columns p50, p95, p99, interpolated between cycles; NaN without a cycle.

    Cycles that failed were not timed and do not count.
    """

    frame: pd.DataFrame
    cycles: int

    @classmethod
    def of(cls, run: pd.DataFrame) -> Percentiles:
        """Percentiles of a run's telemetry, one row a cycle."""
        run = timed(run)
        table = run[list(COLUMNS.values())].quantile(list(SHARES.values())).T
        return cls(table.set_axis(list(COLUMNS)).set_axis(list(SHARES), axis=1), len(run))

    def _rows(self) -> Iterable[tuple[str, ...]]:
        return ((label, *map(approximate, row)) for label, row in zip(self.frame.index, self.frame.to_numpy().tolist()))

    def __repr__(self) -> str:
        return in_text(f"{self.cycles} cycles", list(SHARES), self._rows())

    def _repr_html_(self) -> str:
        return in_html(f"{self.cycles} cycles", list(SHARES), self._rows())


@dataclass(frozen=True)
class Alarm:
    """The phases that became slower; true if there is one."""

    slower: tuple[str, ...]
    at_least: float

    def __bool__(self) -> bool:
        return bool(self.slower)

    def __repr__(self) -> str:
        if self.slower:
            return f"ALARM: {', '.join(self.slower)} at least {self.at_least:g}x slower"
        return f"no alarm: no phase is shown to be {self.at_least:g}x slower"


@dataclass(frozen=True, repr=False)
class TwoRuns:
    """A run against an earlier one: `frame` has a row for each phase and for the total.

    Columns `before` and `after` are medians in seconds; `ratio` is after / before, above 1 for slower, and `low`, `high`
    hold it with 95 % confidence (stationary bootstrap over cycles, each run by itself). NaN where `before` took no time.
    """

    frame: pd.DataFrame
    cycles: tuple[int, int]  # before, after

    @classmethod
    def of(cls, before: pd.DataFrame, after: pd.DataFrame, samples: int = 1000) -> TwoRuns:
        """Two runs' telemetry, one row a cycle; InvalidParameter for a run of fewer than 10 cycles."""
        before, after = timed(before), timed(after)
        for name, run in (("earlier", before), ("later", after)):
            if len(run) < LEAST:
                cure = f"let it run for at least {LEAST}: fewer say nothing about their spread"
                raise InvalidParameter(f"the {name} run has {len(run)} cycles that were timed", cure)
        rows = [ratio(before[column].to_numpy(float), after[column].to_numpy(float), samples) for column in COLUMNS.values()]
        frame = pd.DataFrame(rows, index=list(COLUMNS), columns=["before", "after", "ratio", "low", "high"])
        return cls(frame, (len(before), len(after)))

    def alarm(self, at_least: float = 1.25, by: float = 0.0005) -> Alarm:
        """The phases whose median has become `at_least` times as long, even at the low end, and longer by `by` seconds.

        Runs of different hours met different loads of the machine: where it matters, let two engines take turns.
        Raises InvalidParameter unless at_least > 1.
        """
        if not at_least > 1.0:
            raise InvalidParameter(f"at_least is {at_least!r}, it must be a ratio above 1", "pass e.g. at_least=1.25")
        table = self.frame
        slower = (table["low"] >= at_least) & (table["after"] - table["before"] >= by)
        return Alarm(tuple(table.index[slower]), at_least)

    def _rows(self) -> Iterable[tuple[str, ...]]:
        for label, (before, after, middle, low, high) in zip(self.frame.index, self.frame.to_numpy().tolist()):
            spread = f"{MARK}[{low:.3g}, {high:.3g}]"
            yield label, approximate(before), approximate(after), f"{MARK}{middle:.3g}x", spread

    def _title(self) -> str:
        return f"{self.cycles[1]} cycles against {self.cycles[0]} earlier ones, medians"

    def __repr__(self) -> str:
        return in_text(self._title(), ["before", "after", "ratio", "95 % interval"], self._rows())

    def _repr_html_(self) -> str:
        return in_html(self._title(), ["before", "after", "ratio", "95 % interval"], self._rows())


def timed(run: pd.DataFrame) -> pd.DataFrame:
    """The rows of cycles that came to their end: one that failed leaves a row without times."""
    return run[run[COLUMNS["total"]] > 0.0]


def ratio(before: np.ndarray, after: np.ndarray, samples: int) -> tuple[float, float, float, float, float]:
    """Medians of both, the second over the first, and the ends of its 95 % interval.

    Cycles follow each other: they are drawn in blocks, so that a slow spell counts as one and not as many.
    Source: Politis and Romano (1994), as in `risk.bootstrap`.
    """
    drawn = []
    for seed, seconds in enumerate((before, after)):
        parts = resampled(seconds, block_length(seconds), samples, seed)
        drawn.append(np.concatenate([np.median(part, axis=1) for part in parts]))
    first, second = float(np.median(before)), float(np.median(after))
    if not (first > 0.0 and drawn[0].min() > 0.0):
        return first, second, np.nan, np.nan, np.nan
    tail = tail_of(0.95)
    low, high = np.quantile(drawn[1] / drawn[0], (tail, 1.0 - tail))
    return first, second, second / first, float(low), float(high)


def in_text(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A line a row, nothing aligned: how wide a measured number is varies as well."""
    lines = (f"  {label}: " + ", ".join(f"{head} {cell}" for head, cell in zip(heads, cells)) for label, *cells in rows)
    return "\n".join([title, *lines])


def in_html(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with the title above it."""
    head = "".join(f"<th>{escape(text)}</th>" for text in ("", *heads))
    body = "".join(
        f"<tr><th>{escape(label)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for label, *cells in rows
    )
    return f"<table><caption>{escape(title)}</caption><tr>{head}</tr>{body}</table>"
