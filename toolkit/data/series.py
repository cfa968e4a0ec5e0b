"""One symbol's stored history: as columns of files, and aligned with others."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data.adjust import EVENT
from toolkit.data.barfile import ColumnFile
from toolkit.data.bars import Bars, Issue, Provenance, scaled
from toolkit.data.calendar import Calendar
from toolkit.data.clock import utc64
from toolkit.data.freshness import complete
from toolkit.data.intervals import DAILY, parts_of
from toolkit.data.sources import History, Source
from toolkit.errors import DataUnavailable, MixedBars

LONG_AGO = "1970-01-01T00:00Z"


@dataclass(frozen=True)
class Series:
    """A history with its provenance; its first `settled` bars were final when fetched and are not replaced singly.

    At `audited_at` all of it was compared with the source's; `journal` counts what was superseded in it `since` its start.
    """

    history: History
    interval: str
    settled: int
    provenance: Provenance
    audited_at: pd.Timestamp
    version: str = ""
    journal: int = 0
    since: pd.Timestamp = pd.NaT


def recorded(
    history: History, interval: str, now: pd.Timestamp, source: Source, revision: int, audited_at: pd.Timestamp
) -> Series:
    """What may be stored of `history` at `now`: bars that are known; those outside of sessions are dropped and named."""
    calendar = Calendar(history.calendar)
    at = calendar.sessions_of(history.labels, interval)
    inside = at >= 0
    labels, at = history.labels[inside], at[inside]
    known, final = complete(labels, now, calendar, source.delay, interval, at)
    future = calendar.opens[at] > utc64(now) + np.timedelta64(2, "D")  # the next session may have been asked for
    if not known.any():
        what = f"{history.symbol}: {source.name} has no complete bar yet"
        raise DataUnavailable(what, "ask again later", symbol=history.symbol)
    issues = [*history.issues]
    if len(labels) < len(history.labels):
        strange = history.labels[~inside]
        message = f"{len(strange)} bars outside of sessions dropped: {str(strange[0])[:16]}"
        issues.append(Issue("NOT_A_SESSION", history.symbol, message))
    if future.any():
        issues.append(Issue("FUTURE_BAR", history.symbol, f"{future.sum()} bars of sessions to come dropped"))
    sessions = at[known]  # rising, as labels are
    lacking = int(sessions[-1] - sessions[0]) - int((sessions[1:] != sessions[:-1]).sum())
    if lacking:
        issues.append(Issue("GAP", history.symbol, f"{lacking} sessions without a bar"))
    kept = inside.copy()
    kept[inside] = known
    traded = np.ascontiguousarray(history.traded[:, kept])  # a copy: the source may use its own again
    stored = replace(history, labels=labels[known], traded=traded, issues=tuple(issues))
    content = zlib.crc32(traded.tobytes(), zlib.crc32(stored.events.tobytes()))
    version = f"{revision}.{now.as_unit('ns').value}.{len(stored.labels)}.{content}"
    return Series(stored, interval, int(final.sum()), Provenance(source.name, now, revision), audited_at, version)


def columns_of(series: Series, rows: slice = slice(None)) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns and header under which those `rows` of `series` are stored."""
    history, provenance = series.history, series.provenance
    columns = {"label": history.labels[rows], "traded": history.traded[:, rows]}
    columns |= {name: np.ascontiguousarray(history.events[name]) for name in ("date", "split", "dividend")}
    meta = {
        "symbol": history.symbol,
        "interval": series.interval,
        "source": provenance.source,
        "revision": provenance.revision,
        "fetched_at": provenance.fetched_at.isoformat(),
        "audited_at": series.audited_at.isoformat(),
        "calendar": history.calendar,
        "currency": history.currency,
        "last": None if history.last is None else history.last.isoformat(),
        "rows": len(history.labels),
        "settled_until": int(history.labels[series.settled - 1].astype("i8")) if series.settled else 0,
        "version": series.version,
        "journal": series.journal,
        "since": (series.provenance.fetched_at if series.since is pd.NaT else series.since).isoformat(),
        "issues": [[issue.code, issue.message] for issue in history.issues],
    }
    return columns, meta


def changed_parts(series: Series, stored: Series | None) -> tuple[dict[str, tuple], tuple[str, ...]]:
    """Columns and header of those parts of `series` that differ from what is `stored`, and the names of all parts."""
    parts = parts_of(series.history.labels, series.interval)
    first = 0  # rows before this one are in their files already, bit for bit
    if stored is not None and stored.provenance.revision == series.provenance.revision:
        first = stored.settled
    changed = {name: columns_of(series, rows) for name, rows in parts.items() if rows.stop > first}
    if not changed:  # the last one always: its header speaks for the series
        name = list(parts)[-1]
        changed[name] = columns_of(series, parts[name])
    return changed, tuple(parts)


def series_of(files: Sequence[ColumnFile]) -> Series:
    """The series whose parts lie in `files`, in order; views where there is one file. The last header speaks for all.

    Where a part is missing, all of it is due to be compared with the source's.
    """
    columns, meta = files[-1].columns, files[-1].meta
    labels, traded = columns["label"], columns["traded"]
    if len(files) > 1:
        labels = np.concatenate([file.columns["label"] for file in files])
        traded = np.concatenate([file.columns["traded"] for file in files], axis=1)
    return Series(
        _history(labels, traded, columns, meta),
        meta["interval"],
        int(np.searchsorted(labels.astype("i8"), meta["settled_until"], "right")),
        Provenance(meta["source"], pd.Timestamp(meta["fetched_at"]), meta["revision"]),
        pd.Timestamp(meta["audited_at"] if len(labels) == meta["rows"] else LONG_AGO),
        meta["version"],
        meta["journal"],
        pd.Timestamp(meta["since"]),
    )


def _history(labels: np.ndarray, traded: np.ndarray, columns: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> History:
    issues = tuple(Issue(code, meta["symbol"], message) for code, message in meta["issues"])
    last = None if meta["last"] is None else pd.Timestamp(meta["last"])
    return History(meta["symbol"], labels, traded, events_in(columns), meta["calendar"], meta["currency"], issues, last)


def in_memory(series: Series) -> Series:
    """The series without its maps."""
    history = series.history
    return replace(series, history=replace(history, labels=history.labels.copy(), traded=history.traded.copy()))


def events_in(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The table of actions (EVENT) that lies in these columns."""
    events = np.zeros(len(columns["date"]), EVENT)
    for name in ("date", "split", "dividend"):
        events[name] = columns[name]
    return events


def aligned(several: Sequence[Series], delay: pd.Timedelta, anchor: pd.Timestamp) -> Bars:
    """One Bars over all labels that any of the series has (daily: over all sessions between); NaN where one has no bar.

    Raises MixedBars for more than one calendar or currency.
    """
    histories, interval = [series.history for series in several], several[0].interval
    for word in ("calendar", "currency"):
        values = {getattr(history, word): history.symbol for history in histories}
        if len(values) > 1:
            what = ", ".join(f"{symbol} has {word} {value}" for value, symbol in values.items())
            raise MixedBars(what, f"ask for symbols of one {word} at a time", symbol=histories[-1].symbol)
    calendar = Calendar(histories[0].calendar)
    if interval == DAILY:
        first, last = min(history.labels[0] for history in histories), max(history.labels[-1] for history in histories)
        labels = calendar.sessions_between(first, last).to_numpy()
    else:
        labels = np.unique(np.concatenate([history.labels for history in histories]))
    traded = np.full((5, len(histories), len(labels)), np.nan)
    for k, history in enumerate(histories):
        traded[:, k, np.searchsorted(labels, history.labels)] = history.traded
    return laid_out(several, labels, traded, delay, anchor)


def laid_out(
    several: Sequence[Series], labels: np.ndarray, traded: np.ndarray, delay: pd.Timedelta, anchor: pd.Timestamp
) -> Bars:
    """Bars of `traded` (5, n_symbols, n_bars), the prices of `several` at `labels`."""
    histories, interval = [series.history for series in several], several[0].interval
    calendar, index, pivot = Calendar(histories[0].calendar), pd.DatetimeIndex(labels), anchor
    events = [history.events for history in histories]
    if interval != DAILY:
        index, pivot = (
            index.tz_localize("UTC"),
            pd.Timestamp(calendar.opens[np.searchsorted(calendar.sessions, anchor.to_datetime64())]),
        )
        events = [calendar.at_opens(own) for own in events]
    scale, actions = scaled(labels, traded[3], events, pivot)
    return Bars(
        tuple(history.symbol for history in histories),
        index,
        traded,
        scale,
        actions,
        interval,
        calendar.name,
        histories[0].currency,
        anchor,
        delay,
        {series.history.symbol: series.provenance for series in several},
        tuple(issue for history in histories for issue in history.issues),
    )
