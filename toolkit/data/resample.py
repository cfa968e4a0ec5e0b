"""Weekly and monthly bars from daily ones, never fetched: each has the label of its period's last session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolkit.data.adjust import ACTION
from toolkit.data.bars import NO_WHOLE, Bars
from toolkit.data.calendar import Calendar
from toolkit.data.intervals import RESAMPLED
from toolkit.errors import InvalidParameter


def resampled(bars: Bars, interval: str) -> Bars:
    """`bars` (daily, with a calendar) by week or month; a period whose last session is not among them is left out.

    Traded prices are in the shares of the period's last day, and volumes too; adjusted ones use its factor, so that closes
    keep their total return. Labels are sessions, so a period is known when its last session is.
    """
    if interval not in RESAMPLED or bars.interval != "1d" or not bars.calendar:
        what = f"{bars.interval} bars of calendar {bars.calendar!r} cannot become {interval!r}"
        raise InvalidParameter(what, f"resample daily bars with a calendar to {' or '.join(RESAMPLED)}")
    labels = bars.index.as_unit("ns").asi8.view("M8[ns]")
    ends = _ends(labels, Calendar(bars.calendar), RESAMPLED[interval])
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(int)
    used = int(ends[-1]) + 1 if len(ends) else 0
    period = np.repeat(np.arange(len(ends)), ends - starts + 1)
    later = _later_splits(bars, period, used)
    prices, volume = bars.traded[:4, :, :used] / later, bars.traded[4, :, :used] * later
    traded = np.empty((5, len(bars.symbols), len(ends)))
    if len(ends):
        traded[0], traded[3] = _first(prices[0], starts), _last(prices[3], starts)
        traded[1] = np.fmax.reduceat(prices[1], starts, axis=1)
        traded[2] = np.fmin.reduceat(prices[2], starts, axis=1)
        traded[4] = np.add.reduceat(np.nan_to_num(volume), starts, axis=1)
        traded[4][np.isnan(traded[3])] = np.nan
    return replace(
        bars,
        index=bars.index[ends],
        traded=traded,
        scale=np.ascontiguousarray(bars.scale[:, :, ends]),
        actions=_actions(bars.actions, period),
        interval=interval,
        whole=NO_WHOLE,
    )


def _ends(labels: np.ndarray, calendar: Calendar, unit: str) -> np.ndarray:
    """Positions in `labels` of the sessions that end a period of the calendar."""
    sessions = calendar.sessions
    # numpy counts weeks from a Thursday (1970-01-01): three days on, they run from Monday to Sunday.
    periods = (sessions + np.timedelta64(3 if unit == "W" else 0, "D")).astype(f"M8[{unit}]")
    last = sessions[:-1][periods[1:] != periods[:-1]]
    return np.flatnonzero(np.isin(labels, last))


def _later_splits(bars: Bars, period: np.ndarray, used: int) -> np.ndarray:
    """(n_symbols, used): the shares that one share of each day has become at the end of its period."""
    later = np.ones((len(bars.symbols), used))
    for bar, symbol, split, _ in bars.actions.tolist():
        if bar < used and split != 1.0:
            start = int(np.searchsorted(period, period[bar]))
            later[symbol, start:bar] *= split
    return later


def _first(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The first value of each period that is not NaN, along the last axis; NaN if there is none."""
    at = np.where(np.isnan(values), values.shape[1], np.arange(values.shape[1]))
    return _picked(values, np.minimum.reduceat(at, starts, axis=1))


def _last(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    at = np.where(np.isnan(values), -1, np.arange(values.shape[1]))
    return _picked(values, np.maximum.reduceat(at, starts, axis=1))


def _picked(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    inside = (at >= 0) & (at < values.shape[1])
    found = np.take_along_axis(values, np.where(inside, at, 0), axis=1)
    return np.where(inside, found, np.nan)


def _actions(actions: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Actions by period: splits multiply, a dividend after a split counts for all the shares that came of one."""
    merged: dict[tuple[int, int], tuple[float, float]] = {}
    for bar, symbol, split, dividend in actions[actions["bar"] < len(period)].tolist():
        shares, paid = merged.get((int(period[bar]), symbol), (1.0, 0.0))
        merged[int(period[bar]), symbol] = shares * split, paid + shares * dividend
    rows = np.zeros(len(merged), ACTION)
    for k, ((bar, symbol), (split, dividend)) in enumerate(sorted(merged.items())):
        rows[k] = bar, symbol, split, dividend
    return rows
