"""When each bar was known, and what of frames, Series, arrays and other Bars was known then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data.bars import Bars
from toolkit.data.intervals import dated
from toolkit.data.whole import nanoseconds

DAY = 86_400 * 10**9
Rows = tuple[np.ndarray, bool, bool]  # nanoseconds, whether they have a time zone, whether they rise


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

    def rows(self, index: pd.Index, start: int, stop: int) -> slice | np.ndarray | None:
        """Positions of the labels from bar `start` on that are known before bar `stop`; None if the labels are no times."""
        kept = self._times.get(id(index))
        if kept is None:
            kept = self._times[id(index)] = index, instants(index)
        if kept[1] is None:
            return None
        times, aware, rising = kept[1]
        least = self.labels[start] if start else np.iinfo("i8").min
        bound = (self.aware if aware else self.naive)[stop - 1]
        if rising:
            return slice(int(np.searchsorted(times, least)), int(np.searchsorted(times, bound)))
        return np.flatnonzero((times >= least) & (times < bound))


def instants(index: pd.Index) -> Rows | None:
    """The times of an index, of the first level that has times where there are several; None if they are none."""
    if isinstance(index, pd.MultiIndex):
        levels = (instants(index.get_level_values(n)) for n in range(index.nlevels))
        return next((times for times in levels if times is not None), None)
    if isinstance(index, pd.PeriodIndex):
        index = index.end_time
    elif index.inferred_type in {"date", "datetime"}:
        index = pd.DatetimeIndex(index)
    if not isinstance(index, pd.DatetimeIndex):
        return None
    times = index.as_unit("ns").asi8
    return times, index.tz is not None, bool((np.diff(times) >= 0).all())


def timed(value: Any, horizon: Horizon) -> bool:
    """Whether the value has labels in time, or one row for each bar."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0 and horizon.n > 1 and horizon.n in (value.shape[0], value.shape[-1])
    if isinstance(value, Bars):
        return True
    if not isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        return False
    axes = [value] if isinstance(value, pd.Index) else value.axes
    return any(of_times(axis, horizon) for axis in axes) or counted(axes[0], horizon)


def of_times(axis: pd.Index, horizon: Horizon) -> bool:
    """Whether labels are times."""
    return horizon.rows(axis, 0, horizon.n) is not None


def counted(axis: pd.Index, horizon: Horizon) -> bool:
    """Whether an axis without labels has as many rows as there are bars."""
    return isinstance(axis, pd.RangeIndex) and len(axis) == horizon.n > 1


def cut(value: Any, horizon: Horizon, start: int, stop: int) -> Any:
    """What was known of a value for which `timed` is true, of bars from `start` to before `stop`."""
    if isinstance(value, np.ndarray):
        return value[start:stop] if value.shape[0] == horizon.n else value[..., start:stop]
    if isinstance(value, Bars):
        rows = horizon.rows(value.index, start, stop)
        return value._first(rows.stop) if not rows.start else value.rows(rows.start, rows.stop)  # type: ignore[union-attr]
    if isinstance(value, pd.Index):
        rows = horizon.rows(value, start, stop)
        return value[slice(start, stop) if rows is None else rows]
    for axis, labels in enumerate(value.axes):
        rows = slice(start, stop) if axis == 0 and counted(labels, horizon) else horizon.rows(labels, start, stop)
        if rows is not None:
            value = value.iloc[rows] if axis == 0 else value.iloc[:, rows]
    return value
