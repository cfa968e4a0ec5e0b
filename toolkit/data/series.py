"""One symbol's stored history: as columns of a file, joined with a freshly fetched tail, aligned with others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data.adjust import EVENT
from toolkit.data.barfile import ColumnFile
from toolkit.data.bars import Bars, Issue, Provenance, scaled
from toolkit.data.calendar import Calendar
from toolkit.data.freshness import last_settled
from toolkit.data.sources import History, Source
from toolkit.errors import DataUnavailable, MixedBars

OVERLAP = 5
# Sources serve split-adjusted single precision: agreement is a hundredth of a cent plus this fraction.
ROUNDING, TOLERANCE = 1e-4, 2e-4


@dataclass(frozen=True)
class Series:
    """A history with its provenance; its first `settled` bars were final when fetched and are not replaced singly."""

    history: History
    settled: int
    provenance: Provenance
    version: str = ""


def recorded(history: History, now: pd.Timestamp, source: Source, revision: int) -> Series:
    """What may be stored of `history` at `now`: sessions whose bars are known; days that are no session are dropped."""
    calendar = Calendar(history.calendar)
    at = calendar.positions(history.labels)
    strange = int((at < 0).sum())
    known = calendar.last_known(now, source.delay)
    kept = (at >= 0) & (at <= known)
    if not kept.any():
        raise DataUnavailable(
            f"{history.symbol}: {source.name} has no complete bar yet", "ask again later", symbol=history.symbol
        )
    issues = list(history.issues)
    if strange:
        issues.append(Issue("NOT_A_SESSION", history.symbol, f"{strange} bars on days without a session dropped"))
    lacking = int(at[kept][-1] - at[kept][0]) + 1 - int(kept.sum())
    if lacking:
        issues.append(Issue("GAP", history.symbol, f"{lacking} sessions without a bar"))
    settled = int((at[kept] <= last_settled(now, calendar, source.delay)).sum())
    stored = replace(history, labels=history.labels[kept], traded=history.traded[:, kept], issues=tuple(issues))
    version = f"{revision}.{now.as_unit('ns').value}.{len(stored.labels)}"
    return Series(stored, settled, Provenance(source.name, now, revision), version)


def columns_of(series: Series, interval: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns and header under which `series` is stored."""
    history, provenance = series.history, series.provenance
    columns = {"label": history.labels, "traded": history.traded}
    columns |= {name: np.ascontiguousarray(history.events[name]) for name in ("date", "split", "dividend")}
    meta = {
        "symbol": history.symbol,
        "interval": interval,
        "source": provenance.source,
        "revision": provenance.revision,
        "fetched_at": provenance.fetched_at.isoformat(),
        "calendar": history.calendar,
        "currency": history.currency,
        "settled": series.settled,
        "version": series.version,
        "issues": [[issue.code, issue.message] for issue in history.issues],
    }
    return columns, meta


def series_of(file: ColumnFile) -> Series:
    """The series that `columns_of` laid out, as views on the file."""
    meta, columns = file.meta, file.columns
    events = np.zeros(len(columns["date"]), EVENT)
    for name in ("date", "split", "dividend"):
        events[name] = columns[name]
    symbol = meta["symbol"]
    issues = tuple(Issue(code, symbol, message) for code, message in meta["issues"])
    history = History(
        symbol, columns["label"], columns["traded"], events, meta["calendar"], meta["currency"], issues
    )  # fmt: skip
    provenance = Provenance(meta["source"], pd.Timestamp(meta["fetched_at"]), meta["revision"])
    return Series(history, meta["settled"], provenance, meta["version"])


def tail_start(series: Series) -> pd.Timestamp:
    """From where to fetch again: the last five settled bars, so that they can be compared."""
    return pd.Timestamp(series.history.labels[max(series.settled - OVERLAP, 0)])


def joined(series: Series, tail: History) -> History | None:
    """The settled bars of `series`, bit for bit, with what follows in `tail`; None if the two disagree.

    They are compared where both have bars; a settled bar that the tail lacks is kept.
    """
    old, settled = series.history, series.settled
    if settled == 0 or (old.calendar, old.currency) != (tail.calendar, tail.currency):
        return None
    start = max(settled - OVERLAP, 0)
    first, last = old.labels[start], old.labels[settled - 1]
    both = np.flatnonzero((tail.labels >= first) & (tail.labels <= last))
    at = start + np.searchsorted(old.labels[start:settled], tail.labels[both])
    if len(both) == 0 or not np.array_equal(old.labels[at], tail.labels[both]):
        return None  # nothing to compare, or a gap that the source has filled since
    kept, again = old.traded[:4, at], tail.traded[:4, both]
    if (np.abs(kept - again) > ROUNDING + TOLERANCE * np.abs(kept)).any():
        return None
    if not _same_events(_between(old.events, first, last), _between(tail.events, first, last)):
        return None
    new = tail.labels > last
    events = np.concatenate([old.events[old.events["date"] <= last], tail.events[tail.events["date"] > last]])
    return replace(
        tail,
        labels=np.concatenate([old.labels[:settled], tail.labels[new]]),
        traded=np.concatenate([old.traded[:, :settled], tail.traded[:, new]], axis=1),
        events=events,
    )


def _between(events: np.ndarray, first: np.datetime64, last: np.datetime64) -> np.ndarray:
    return events[(events["date"] >= first) & (events["date"] <= last)]


def _same_events(one: np.ndarray, other: np.ndarray) -> bool:
    if not np.array_equal(one["date"], other["date"]) or not np.allclose(one["split"], other["split"], rtol=TOLERANCE):
        return False
    return bool(np.allclose(one["dividend"], other["dividend"], rtol=TOLERANCE, atol=ROUNDING))


def aligned(several: Sequence[Series], interval: str, delay: pd.Timedelta, anchor: pd.Timestamp) -> Bars:
    """One Bars over all sessions from the first to the last stored bar of any of the series; NaN where one has no bar.

    Raises MixedBars for more than one calendar or currency.
    """
    histories = [series.history for series in several]
    for word in ("calendar", "currency"):
        values = {getattr(history, word): history.symbol for history in histories}
        if len(values) > 1:
            what = ", ".join(f"{symbol} has {word} {value}" for value, symbol in values.items())
            raise MixedBars(what, f"ask for symbols of one {word} at a time", symbol=histories[-1].symbol)
    calendar = Calendar(histories[0].calendar)
    first, last = min(history.labels[0] for history in histories), max(history.labels[-1] for history in histories)
    index = calendar.sessions_between(first, last)
    traded = np.full((5, len(histories), len(index)), np.nan)
    for k, history in enumerate(histories):
        traded[:, k, np.searchsorted(index.to_numpy(), history.labels)] = history.traded
    scale, actions = scaled(index.to_numpy(), traded[3], [history.events for history in histories], anchor)
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
