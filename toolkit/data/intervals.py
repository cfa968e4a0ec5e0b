"""Lengths of bars: what is fetched, what is resampled from daily bars, and what belongs to one stored part."""

from __future__ import annotations

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter

DAILY, FIRST_YEAR = "1d", 1990
INTRADAY = ("1m", "2m", "5m", "15m", "30m", "1h")
RESAMPLED = {"1wk": "W", "1mo": "M"}
"""Intervals made from daily bars, with the period of numpy that they fill."""


def checked_interval(interval: str) -> str:
    """`interval` itself; raises InvalidParameter for one that is neither fetched nor resampled."""
    if interval in (DAILY, *INTRADAY, *RESAMPLED):
        return interval
    known = ", ".join((*INTRADAY, DAILY, *RESAMPLED))
    raise InvalidParameter(f"interval is {interval!r}", f"pass one of {known}")


def dated(interval: str) -> bool:
    """Whether bars are labelled by session dates: daily, weekly, monthly."""
    return interval == DAILY or interval in RESAMPLED


def length(interval: str) -> np.timedelta64:
    """How long an intraday bar lasts, m8[ns]."""
    return pd.Timedelta(interval).to_timedelta64().astype("m8[ns]")


def parts_of(labels: np.ndarray, interval: str) -> dict[str, slice]:
    """Name and rows of each stored part: one for all daily bars, one a calendar year (UTC) for intraday ones."""
    if interval == DAILY:
        return {"": slice(0, len(labels))}
    years = labels.astype("M8[Y]").astype("i8") + 1970
    cuts = [0, *(np.flatnonzero(np.diff(years)) + 1).tolist(), len(labels)]
    return {str(years[first]): slice(first, last) for first, last in zip(cuts, cuts[1:])}


def possible_parts(interval: str, last_year: int) -> tuple[str, ...]:
    """Names of all parts that bars up to `last_year` could have."""
    return ("",) if interval == DAILY else tuple(str(year) for year in range(FIRST_YEAR, last_year + 1))


def bars_per_year(interval: str) -> float:
    """Bars in a year of a stock exchange with 252 sessions of 6.5 hours."""
    if dated(interval):
        return {"1wk": 52.0, "1mo": 12.0}.get(interval, 252.0)
    return 252.0 * float(pd.Timedelta(hours=6.5) / pd.Timedelta(interval))
