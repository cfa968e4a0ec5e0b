"""What a source has rewritten is not lost: superseded bars are kept, and any past view can be made again from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data.barfile import ColumnFile
from toolkit.data.calendar import Calendar
from toolkit.data.freshness import complete
from toolkit.data.series import Series, columns_of, events_in, series_of

Entry = tuple[int, dict[str, np.ndarray], dict[str, Any]]


def superseded(old: Series, new: Series, delay: pd.Timedelta) -> Entry | None:
    """The journal entry for replacing `old` by `new`: all of it if it was restated, else what must be undone.

    That is provisional rows that changed, actions, and bars that were due when `old` was fetched and came only now. None if
    `new` only adds what was not known then.
    """
    restated = old.provenance.revision != new.provenance.revision
    rows = np.arange(len(old.history.labels)) if restated else _changed(old, new)
    known, _ = complete(
        new.history.labels, old.provenance.fetched_at, Calendar(new.history.calendar), delay, new.interval
    )  # fmt: skip
    late = np.setdiff1d(new.history.labels[known], old.history.labels)
    day = old.history.labels[-1].astype("M8[D]")
    same_events = np.array_equal(old.history.events, new.history.events[new.history.events["date"] <= day])
    if len(rows) == 0 and len(late) == 0 and same_events:
        return None
    columns, meta = columns_of(old)
    columns |= {"label": old.history.labels[rows], "traded": old.history.traded[:, rows], "late": late}
    until = new.provenance.fetched_at.isoformat()
    return old.journal, columns, {**meta, "whole": restated, "until": until}


def _changed(old: Series, new: Series) -> np.ndarray:
    before, after = old.history, new.history
    rows = np.arange(old.settled, len(before.labels))
    at = np.minimum(np.searchsorted(after.labels, before.labels[rows]), len(after.labels) - 1)
    gone = after.labels[at] != before.labels[rows]
    return rows[gone | (before.traded[:, rows] != after.traded[:, at]).any(axis=0)]


def as_it_was(series: Series, entries: Sequence[ColumnFile], time: pd.Timestamp) -> Series:
    """`series` as it was stored at `time`, by undoing what has superseded it since; its later bars are still there.

    For a time before the first fetch: as it was first fetched.
    """
    for entry in reversed(entries):
        if pd.Timestamp(entry.meta["until"]) <= time:
            break
        series = series_of([entry]) if entry.meta["whole"] else _undone(series, entry.columns, entry.meta)
    return series


def _undone(series: Series, columns: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> Series:
    history = series.history
    on_time = ~np.isin(history.labels, columns["late"])
    labels = np.union1d(history.labels[on_time], columns["label"])
    traded = np.empty((5, len(labels)))
    traded[:, np.searchsorted(labels, history.labels[on_time])] = history.traded[:, on_time]
    traded[:, np.searchsorted(labels, columns["label"])] = columns["traded"]
    restored = replace(history, labels=labels, traded=traded, events=events_in(columns))
    provenance = series.provenance._replace(fetched_at=pd.Timestamp(meta["fetched_at"]))
    return replace(series, history=restored, provenance=provenance, version=meta["version"])
