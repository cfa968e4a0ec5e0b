"""Labels read as times, where it is sure that they are: dates in every usual form, and nothing that only may be one."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

Rows = tuple[np.ndarray, bool, bool]  # nanoseconds, whether they have a time zone, whether they rise
ISO = re.compile(
    r"(1[89]|20|21)\d\d-[01]\d-[0-3]\d([T ][0-2]\d:[0-5]\d(:[0-5]\d([.,]\d+)?)?(?P<zone> ?(Z|[+-]\d\d(:?\d\d)?))?)?"
)
COMPACT = re.compile(r"(1[89]|20|21)\d\d[01]\d[0-3]\d")
EARLIEST, LATEST = 18_000_101, 21_991_231  # whole numbers that may be dates, yyyymmdd
NAMES = {"date", "datetime", "day", "session", "time", "timestamp", "ts"}  # of a column that dates the rows of a frame


def instants(index: pd.Index) -> Rows | None:
    """The times of an index, of the first level that has times where there are several; None if they are none.

    Dates and instants, periods and intervals at their end, categories of these, text in ISO 8601, whole numbers yyyymmdd.
    """
    if isinstance(index, pd.MultiIndex):
        levels = (instants(index.get_level_values(n)) for n in range(index.nlevels))
        return next((times for times in levels if times is not None), None)
    if isinstance(index, pd.CategoricalIndex):
        return instants(index.astype(index.categories.dtype))
    if isinstance(index, pd.IntervalIndex):
        return None if (ends := instants(index.right)) is None else (ends[0] - (index.closed in {"left", "neither"}), *ends[1:])
    if isinstance(index, pd.PeriodIndex):
        index = index.end_time
    elif index.inferred_type in {"date", "datetime"}:
        index = pd.DatetimeIndex(index)
    elif index.inferred_type in {"string", "integer"} and not isinstance(index, pd.RangeIndex):
        index = written(index)
    if not isinstance(index, pd.DatetimeIndex):
        return None
    times = index.as_unit("ns").asi8
    return times, index.tz is not None, bool((np.diff(times) >= 0).all())


def written(index: pd.Index) -> pd.Index:
    """Text and whole numbers as times if each of them is a date; the index itself if not."""
    if not len(index):
        return index
    form, zone = "%Y%m%d", False
    if index.inferred_type == "integer":
        if index.min() < EARLIEST or index.max() > LATEST:
            return index
    elif not all(COMPACT.fullmatch(str(index[at])) for at in (0, -1)):
        iso = [ISO.fullmatch(str(index[at])) for at in (0, -1)]
        if not all(iso):
            return index
        form, zone = "ISO8601", any(match["zone"] for match in iso if match)
    try:
        return pd.DatetimeIndex(pd.to_datetime(index.astype(str), format=form, utc=zone))
    except ValueError:  # one of them is none
        return index


def column_of_times(frame: pd.DataFrame) -> Rows | None:
    """The times of the column that dates the rows of a long frame: the first one named so that holds times."""
    named: list[Any] = [name for name in frame.columns if str(name).lower() in NAMES]
    columns = (instants(pd.Index(frame[name])) for name in named if frame.columns.get_indexer_for([name]).size == 1)
    return next((times for times in columns if times is not None), None)
