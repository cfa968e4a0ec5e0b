"""When each bar was known, and what of frames, Series, arrays and other Bars was known then."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data.bars import Bars
from toolkit.data.intervals import dated
from toolkit.data.whole import nanoseconds
from toolkit.signals.causality.apart import apart
from toolkit.signals.causality.instants import Rows, column_of_times, instants

DAY = 86_400 * 10**9
Known = slice | np.ndarray | None


@dataclass(frozen=True)
class Horizon:
    """Nanoseconds for each of n bars: its label, and the bounds before which labels are known at it.

    A label without time zone counts as known at the end of its day for daily bars; one with a time zone when the bar is known,
    and before the next bar begins. What is labelled by when it happened and published later, has to be labelled by that.
    """

    n: int
    labels: np.ndarray
    naive: np.ndarray
    aware: np.ndarray
    _times: dict[int, tuple[Any, Rows | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, bars: Bars) -> Horizon:
        """The horizon of each of the bars."""
        labels, daily = nanoseconds(bars.index).view("i8"), dated(bars.interval)
        known = bars.whole.known[: len(bars)].astype("M8[ns]").view("i8") + int(daily and bool(bars.calendar))
        if not daily:
            known = np.minimum(known, np.append(labels[1:], known[-1:]))
        return cls(len(bars), labels, labels + DAY if daily else known, known)

    def rows(self, labels: Any, start: int, stop: int) -> Known:
        """Positions of the labels from bar `start` on that are known before bar `stop`; None if the labels are no times.

        labels: an Index; a frame, for its column of times; a container, for its keys or entries.
        """
        kept = self._times.get(id(labels))
        if kept is None:
            kept = self._times[id(labels)] = labels, times_of(labels)
        if kept[1] is None:
            return None
        times, aware, rising = kept[1]
        least = self.labels[start] if start else np.iinfo("i8").min
        bound = (self.aware if aware else self.naive)[stop - 1]
        if rising:
            return slice(int(np.searchsorted(times, least)), int(np.searchsorted(times, bound)))
        return np.flatnonzero((times >= least) & (times < bound))


def times_of(labels: Any) -> Rows | None:
    """The times of an index, of a column of a frame, or of what is listed; None if there are none."""
    if isinstance(labels, pd.Index):
        return instants(labels)
    if isinstance(labels, pd.DataFrame):
        return column_of_times(labels)
    return instants(pd.Index(list(labels), tupleize_cols=False))


def timed(value: Any, horizon: Horizon) -> bool:
    """Whether the value has labels in time, or one row for each bar."""
    if isinstance(value, np.ndarray | array):
        return horizon.n > 1 and horizon.n in np.shape(value)
    if isinstance(value, Bars):
        return True
    if not isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        return False
    axes = [value] if isinstance(value, pd.Index) else value.axes
    return any(of_times(axis, horizon) for axis in axes) or counted(axes[0], horizon) or by_column(value, horizon)


def of_times(axis: pd.Index, horizon: Horizon) -> bool:
    """Whether labels are times."""
    return horizon.rows(axis, 0, horizon.n) is not None


def by_column(value: Any, horizon: Horizon) -> bool:
    """Whether the rows of a frame are dated by one of its columns."""
    return isinstance(value, pd.DataFrame) and horizon.rows(value, 0, horizon.n) is not None


def counted(axis: pd.Index, horizon: Horizon) -> bool:
    """Whether an axis without labels has as many rows as there are bars."""
    return isinstance(axis, pd.RangeIndex) and len(axis) == horizon.n > 1


def cut(value: Any, horizon: Horizon, start: int, stop: int) -> Any:
    """What was known of a value for which `timed` is true, of bars from `start` to before `stop`.

    Tables are views: a copy may lie otherwise in memory, and then adds up to another last digit.
    """
    if isinstance(value, array):
        return value[start:stop]
    if isinstance(value, np.ndarray):
        return value[(slice(None),) * value.shape.index(horizon.n) + (slice(start, stop),)]
    if isinstance(value, Bars):
        rows = horizon.rows(value.index, start, stop)
        return apart(value, rows.stop) if not rows.start else value.rows(rows.start, rows.stop)  # type: ignore[union-attr]
    if isinstance(value, pd.Index):
        rows = horizon.rows(value, start, stop)
        return value[slice(start, stop) if rows is None else rows]
    shown: dict[int, Known] = {axis: horizon.rows(labels, start, stop) for axis, labels in enumerate(value.axes)}
    if all(rows is None for rows in shown.values()):
        shown = {0: horizon.rows(value, start, stop) if by_column(value, horizon) else slice(start, stop)}
    for axis, rows in shown.items():
        if rows is not None:
            value = value.iloc[rows] if axis == 0 else value.iloc[:, rows]
    return value
