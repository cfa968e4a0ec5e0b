"""What becomes of stored bars when a source is asked again: kept bit for bit, joined with the tail, or replaced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from toolkit.data.bars import Issue
from toolkit.data.calendar import Calendar
from toolkit.data.freshness import complete
from toolkit.data.series import LONG_AGO, Series
from toolkit.data.sources import History
from toolkit.errors import DataUnavailable

OVERLAP, KEPT = 5, "NO_LONGER_SERVED"
# Sources serve split-adjusted single precision: agreement is a hundredth of a cent plus this fraction.
ROUNDING, TOLERANCE = 1e-4, 2e-4


def tail_start(series: Series) -> pd.Timestamp:
    """The session from which to fetch again: the last five settled bars come along, so that they can be compared."""
    return pd.Timestamp(series.history.labels[max(series.settled - OVERLAP, 0)]).normalize()


def joined(series: Series, tail: History) -> History | None:
    """The settled bars of `series`, bit for bit, with what follows in `tail`; None if the two disagree anywhere.

    They are compared where both have bars; a bar that was published once, and that the tail lacks, is kept.
    """
    old, settled = series.history, series.settled
    if settled == 0 or len(tail.labels) == 0 or (old.calendar, old.currency) != (tail.calendar, tail.currency):
        return None
    last = old.labels[settled - 1]
    if not _agree(old, settled, tail):
        return None
    last_day = last.astype("M8[D]")
    new = tail.labels > last
    later = np.concatenate([old.labels[settled:], tail.labels[new]])
    labels, rows = np.unique(later[::-1], return_index=True)  # of a provisional bar the newer version
    traded = np.concatenate([old.traded[:, settled:], tail.traded[:, new]], axis=1)[:, len(later) - 1 - rows]
    events = np.concatenate([old.events[old.events["date"] <= last_day], tail.events[tail.events["date"] > last_day]])
    lasting = tuple(issue for issue in old.issues if issue.code in (KEPT, "UNRELIABLE"))
    return replace(
        tail,
        issues=(*lasting, *(issue for issue in tail.issues if issue not in lasting)),
        labels=np.concatenate([old.labels[:settled], labels]),
        traded=np.concatenate([old.traded[:, :settled], traded], axis=1),
        events=events,
    )


def _agree(old: History, settled: int, tail: History) -> bool:
    """Whether prices and actions are the same where both have bars; False where there is nothing to compare."""
    start, last = int(np.searchsorted(old.labels[:settled], tail.labels[0])), old.labels[settled - 1]
    both = np.flatnonzero(tail.labels <= last)
    at = start + np.searchsorted(old.labels[start:settled], tail.labels[both])
    if len(both) == 0 or not np.array_equal(old.labels[at], tail.labels[both]):
        return False  # nothing to compare, or bars that the source has added since
    kept, again = old.traded[:4, at], tail.traded[:4, both]
    if (np.abs(kept - again) > ROUNDING + TOLERANCE * np.abs(kept)).any():
        return False
    first_day, last_day = tail.labels[0].astype("M8[D]"), last.astype("M8[D]")
    return _same_events(_between(old.events, first_day, last_day), _between(tail.events, first_day, last_day))


def replaced(series: Series, whole: History, asked_from: np.datetime64) -> History:
    """The restated history `whole`, with the bars of `series` before it and the actions before `asked_from`.

    The source no longer serves those. Nothing is kept across a change of calendar or currency.
    """
    old = series.history
    if (old.calendar, old.currency) != (whole.calendar, whole.currency):
        said = f"{old.currency} on {old.calendar} until now, {whole.currency} on {whole.calendar} from now on"
        return replace(whole, issues=(*whole.issues, Issue("ANOTHER_SERIES", old.symbol, said)))
    kept = int(np.searchsorted(old.labels[: series.settled], whole.labels[0]))
    if kept == 0:
        return whole
    message = f"{kept} bars before {whole.labels[0].astype('M8[D]')} are kept, the source has them no more"
    return replace(
        whole,
        labels=np.concatenate([old.labels[:kept], whole.labels]),
        traded=np.concatenate([old.traded[:, :kept], whole.traded], axis=1),
        events=np.concatenate([old.events[old.events["date"] < asked_from], whole.events[whole.events["date"] >= asked_from]]),
        issues=(*whole.issues, Issue(KEPT, old.symbol, message)),
    )


def check_whole(series: Series, whole: History) -> None:
    """Raise DataUnavailable where a restated history lacks what was settled: a reply that was cut short rewrites nothing."""
    old = series.history.labels[: series.settled]
    expected = old[old >= whole.labels[0]]
    lacking = len(expected) - int(np.isin(expected, whole.labels).sum())
    if lacking > max(3, 0.01 * len(expected)) or (len(old) and whole.labels[-1] < old[-1]):
        symbol, end = series.history.symbol, str(whole.labels[-1])[:10]
        what = f"{symbol}: a rewritten history lacks {lacking} settled bars and ends on {end}"
        raise DataUnavailable(what, "stored bars are kept; ask again later", symbol=symbol)


def shortened(series: Series, now: pd.Timestamp, delay: pd.Timedelta) -> Series | None:
    """`series` without what cannot be known at `now`, None if nothing is left; all of it is due to be compared."""
    history = series.history
    known, final = complete(history.labels, now, Calendar(history.calendar), delay, series.interval)
    if not known.any():
        return None
    kept = replace(history, labels=history.labels[known], traded=history.traded[:, known])
    return replace(series, history=kept, settled=int(final.sum()), audited_at=pd.Timestamp(LONG_AGO))


def _between(events: np.ndarray, first: np.datetime64, last: np.datetime64) -> np.ndarray:
    return events[(events["date"] >= first) & (events["date"] <= last)]


def _same_events(one: np.ndarray, other: np.ndarray) -> bool:
    if not np.array_equal(one["date"], other["date"]) or not np.allclose(one["split"], other["split"], rtol=TOLERANCE):
        return False
    return bool(np.allclose(one["dividend"], other["dividend"], rtol=TOLERANCE, atol=ROUNDING))
