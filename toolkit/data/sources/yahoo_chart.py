"""What a chart of Yahoo's says: bars as traded, splits and dividends, from prices that are adjusted for later splits.

Yahoo rewrites history at each split, and sometimes lists one without having done so, or does it twice. So each listed
split is judged by what the prices do across it, and what was really done is undone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from toolkit.data.adjust import EVENT, FIELDS
from toolkit.data.bars import Issue
from toolkit.data.calendar import Calendar
from toolkit.data.sources import History
from toolkit.errors import DataUnavailable

EXCHANGES = {
    "America/New_York": "XNYS",
    "America/Toronto": "XTSE",
    "Europe/London": "XLON",
    "Europe/Paris": "XPAR",
    "Europe/Berlin": "XETR",
    "Asia/Tokyo": "XTKS",
    "Asia/Hong_Kong": "XHKG",
    "UTC": "24/7",
}
STEPS = {"1m": 60, "2m": 120, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600}
HALF_HOUR = 1800
FAR = 2**33  # in the year 2242
CURE = "ask again later; stored bars are kept"
# A split below this is not seen among ordinary gaps: of 12,149 nights in the bundled prices, 5 would make an applied 5:4
# split look like a mistake and 29 hide one; for 3:2 it is 1 and 3, for 2:1 and beyond the one before 2000-09-29 (AAPL).
SEEN = math.log(1.25)
FITS = math.log(1.3)
MISTAKES = {
    0: ("SPLIT_NOT_APPLIED", "has not been applied to the prices before it"),
    2: ("SPLIT_APPLIED_TWICE", "has been applied twice"),
}
SUSPECT = np.array([ratio for n in (2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 1.5) for ratio in (n, 1.0 / n)])
SUSPECT_WITHIN, NEWEST = 0.02, 5


class Passing(DataUnavailable):
    """A failure that may be gone at the next try."""

    def __init__(self, what: str, symbol: str) -> None:
        super().__init__(what, CURE, symbol=symbol)


class NoRows(Passing):
    """A chart without a row."""


class Rows(NamedTuple):
    """One chart as sent: opening seconds (n,), prices and volumes (5, n) in the order of FIELDS, events by their seconds."""

    stamps: np.ndarray
    block: np.ndarray
    splits: frozenset[tuple[int, float]]
    paid: frozenset[tuple[str, int, float]]
    zone: str
    currency: str
    live: int


def rows_of(symbol: str, chart: dict[str, Any], interval: str) -> Rows:
    """`chart` as arrays; raises Passing if malformed or of another interval, NoRows if empty."""
    try:
        meta, quotes = chart["meta"], chart["indicators"]["quote"][0]
        zone, currency, granularity = str(meta["exchangeTimezoneName"]), meta["currency"], meta["dataGranularity"]
        stamps = np.array(chart.get("timestamp") or [], "i8")
        block = np.array([quotes.get(name) or [] for name in FIELDS], float)  # None is NaN
        if block.shape != (len(FIELDS), len(stamps)):
            raise ValueError(f"{len(stamps)} dates for {block.shape} prices")
        events, live = chart.get("events") or {}, int(meta.get("regularMarketTime") or 0)
        if (np.abs(stamps) > FAR).any() or live > FAR:
            raise ValueError("dates that are no seconds since 1970")
        if not isinstance(currency, str) or not currency:
            raise ValueError(f"currency is {currency!r}")
        splits, paid = _splits(events), _paid(events)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, ZeroDivisionError, OverflowError) as error:
        raise Passing(f"{symbol}: the chart cannot be read ({type(error).__name__}: {error})", symbol) from error
    if granularity not in ((interval, "60m") if interval == "1h" else (interval,)):
        raise Passing(f"{symbol}: Yahoo answered with bars of {granularity} instead of {interval}", symbol)
    if zone not in EXCHANGES:
        cure = "bring the bars with Bars.from_frame"
        raise DataUnavailable(f"{symbol}: no calendar for the zone {zone}", cure, symbol=symbol)
    if len(stamps) == 0:
        raise NoRows(f"{symbol}: Yahoo sent a chart without a row", symbol)
    return Rows(stamps, block, splits, paid, zone, currency, live)


def _splits(events: dict[str, Any]) -> frozenset[tuple[int, float]]:
    listed = (events.get("splits") or {}).values()
    splits = frozenset((int(each["date"]), float(each["numerator"]) / float(each["denominator"])) for each in listed)
    if not all(math.isfinite(ratio) and ratio > 0 for _, ratio in splits):
        raise ValueError(f"impossible splits {sorted(splits)}")
    return splits


def _paid(events: dict[str, Any]) -> frozenset[tuple[str, int, float]]:
    kinds = ("dividends", "capitalGains")
    paid = frozenset(
        (kind, int(each["date"]), float(each["amount"])) for kind in kinds for each in (events.get(kind) or {}).values()
    )
    if not all(math.isfinite(amount) and amount >= 0 for _, _, amount in paid):
        raise ValueError(f"impossible dividends {sorted(paid)}")
    return paid


def history_of(
    symbol: str, pieces: Sequence[Rows], start: pd.Timestamp, end: pd.Timestamp, interval: str, now: pd.Timestamp
) -> History:
    """Bars as traded of the sessions `start` to `end`, from charts that follow each other; rows in the order sent.

    Rows after `now` (naive UTC) cannot be, and are passed on for MarketData to name.
    """
    zone, currency = pieces[-1].zone, pieces[-1].currency
    stamps, block = np.concatenate([rows.stamps for rows in pieces]), np.concatenate([rows.block for rows in pieces], axis=1)
    labels, days = stamps.astype("M8[s]").astype("M8[ns]"), _days(stamps, zone)
    opened = stamps, days
    if interval == "1d":
        labels, kept = days, _not_before_live(stamps, days, pieces[-1].live)
    else:
        kept, days = _regular(labels, Calendar(EXCHANGES[zone]), STEPS[interval])
    labels, days, block = labels[kept], days[kept], block[:, kept]
    order = slice(None) if (labels[1:] >= labels[:-1]).all() else np.argsort(labels, kind="stable")
    splits = _splits_by_day(frozenset().union(*(rows.splits for rows in pieces)), opened, zone)
    times, issues = judged(symbol, days[order], block[:, order], splits)
    traded = _traded(days, block, splits["date"], splits["split"] ** times)
    issues += _suspicious(symbol, days[order], traded[:, order], splits)
    events = _events(splits, times, frozenset().union(*(rows.paid for rows in pieces)), opened, zone)
    first, last, today = start.to_datetime64(), end.to_datetime64(), now.to_datetime64()
    wanted = (days >= first) & ((days <= last) | (days > today))
    inside = (events["date"] >= first) & (events["date"] <= last)
    return History(symbol, labels[wanted], traded[:, wanted], events[inside], EXCHANGES[zone], currency, tuple(issues))


def _days(stamps: np.ndarray, zone: str) -> np.ndarray:
    return _days_of(stamps.tobytes(), zone)


@lru_cache(maxsize=16)
def _days_of(stamps: bytes, zone: str) -> np.ndarray:
    """Local dates of seconds since 1970 (i8); symbols of one exchange have the same ones."""
    local = pd.DatetimeIndex(np.frombuffer(stamps, "M8[s]")).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    days = local.to_numpy().astype("M8[D]").astype("M8[ns]")
    days.flags.writeable = False
    return days


def _days_at(seconds: list[int], opened: tuple[np.ndarray, np.ndarray], zone: str) -> np.ndarray:
    """Local dates of events, most of which are dated by the opening of a bar; of those, `opened` has seconds and dates."""
    wanted, (stamps, days) = np.array(seconds, "i8"), opened
    at = np.minimum(np.searchsorted(stamps, wanted), len(stamps) - 1)
    return days[at] if np.array_equal(stamps[at], wanted) else _days(wanted, zone)


def _not_before_live(stamps: np.ndarray, days: np.ndarray, live: int) -> np.ndarray:
    """Which daily rows to keep: the last row may be the running quote, which replaces the row of the same day."""
    if stamps[-1] != live:
        return np.ones(len(stamps), bool)
    return (days != days[-1]) | (stamps == live)


def _regular(labels: np.ndarray, calendar: Calendar, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Which intraday rows open within a session, and the session of each; not a last one that is the running quote."""
    at = np.maximum(np.searchsorted(calendar.opens, labels, "right") - 1, 0)
    since = (labels - calendar.opens[at]).astype("m8[s]").astype("i8")
    inside = (since >= 0) & (labels < calendar.closes[at])
    # Sessions with a lunch break begin anew at a half hour.
    running = since[-1] % min(step, HALF_HOUR) != 0
    if len(labels) > 1:
        running |= 0 < (labels[-1] - labels[-2]).astype("m8[s]").astype("i8") < step
    inside[-1] &= not running
    return inside, calendar.sessions[at]


def _splits_by_day(
    listed: frozenset[tuple[int, float]], opened: tuple[np.ndarray, np.ndarray], zone: str
) -> np.ndarray:  # fmt: skip
    """Splits as EVENT rows sorted by date; one that is listed twice for a day counts once."""
    by_day: dict[np.datetime64, float] = {}
    listed_on = _days_at([stamp for stamp, _ in listed], opened, zone)
    for day, ratio in {(day, ratio) for day, (_, ratio) in zip(listed_on, listed)}:
        by_day[day] = by_day.get(day, 1.0) * ratio
    splits = np.zeros(len(by_day), EVENT)
    for k, day in enumerate(sorted(by_day)):
        splits[k] = day, by_day[day], 0.0
    return splits


def judged(symbol: str, days: np.ndarray, block: np.ndarray, splits: np.ndarray) -> tuple[np.ndarray, list[Issue]]:
    """How often Yahoo has applied each of `splits` (dtype EVENT) to the prices before it: 1, or 0 or 2 with an issue.

    `days` (sorted) and `block` as served. Across a split by r the price moves by about 1 where it was applied, by 1/r where
    not, by r where twice. The rule is once; the others must lie within 30% and twice as near (as logarithms). Where no
    price is on one side of the split, or r is within a quarter of 1, it was once.
    """
    if len(splits) == 0:
        return np.ones(0), []
    priced = np.flatnonzero((block[[0, 3]] > 0).all(axis=0) & np.isfinite(block[[0, 3]]).all(axis=0))
    opens, close = np.log(block[0, priced]), np.log(block[3, priced])
    times, issues = np.ones(len(splits)), []
    for k, (date, ratio) in enumerate(zip(splits["date"], splits["split"].tolist())):
        at = int(np.searchsorted(days[priced], date))
        if not 0 < at < len(priced) or abs(math.log(ratio)) < SEEN:
            continue
        moved = _beside(opens[at : at + 3]) - _beside(close[max(at - 3, 0) : at][::-1])
        found = _applied(moved, ratio)
        what = f"the split {ratio:g}:1 of {str(date)[:10]}"
        if found is None:
            message = f"{what} fits no price: they move by {math.exp(moved):.3g} across it; taken as applied once"
            issues.append(Issue("SPLIT_SUSPECT", symbol, message))
        elif found != 1:
            times[k] = found
            issues.append(Issue(MISTAKES[found][0], symbol, f"{what} {MISTAKES[found][1]}, which is undone here"))
    return times, issues


def _beside(prices: np.ndarray) -> float:
    """The first of these logarithms, or the median where it is off by a factor of two: a bad row must not decide."""
    median = float(np.median(prices))
    return float(prices[0]) if abs(prices[0] - median) < math.log(2.0) else median


def _applied(moved: float, ratio: float) -> int | None:
    """0, 1 or 2, by the logarithm of the price's move across the split; None if neither fits and once is unlikely, too."""
    off, found = min((abs(moved + math.log(ratio)), 0), (abs(moved - math.log(ratio)), 2))
    if off < min(abs(moved) / 2, FITS):
        return found
    return None if off < abs(moved) else 1


def _traded(days: np.ndarray, block: np.ndarray, dates: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    products = np.append(np.cumprod(ratios[::-1])[::-1], 1.0)
    later = products[np.searchsorted(dates, days, "right")]
    with np.errstate(over="ignore", invalid="ignore"):  # what cannot be is refused later
        volume = np.where(block[4:] < 0, block[4:], np.round(block[4:] / later))
        return np.concatenate([_rounded(block[:4] * later), volume])


def _rounded(prices: np.ndarray) -> np.ndarray:
    """Prices to 1e-4, or as single precision allows: to 1e-3 from 800 on, 1e-2 from 8,000 on; 6 digits below 1."""
    units = np.select([prices >= 8_000, prices >= 800], [1e2, 1e3], 1e4)
    small = (prices > 0) & (prices < 1)
    units[small] = 10.0 ** (5 - np.floor(np.log10(prices[small])))
    return np.rint(prices * units) / units


def _suspicious(symbol: str, days: np.ndarray, traded: np.ndarray, splits: np.ndarray) -> list[Issue]:
    """An issue where prices moved by the ratio of a split between two of the newest sessions, and none is listed."""
    newest = np.flatnonzero(days[1:] != days[:-1])[-NEWEST:] + 1
    if len(newest) == 0:
        return []
    start = newest[0] - 1
    days, traded = days[start:], traded[:, start:]
    products = np.append(np.cumprod(splits["split"][::-1])[::-1], 1.0)
    opens, close = (traded[name] / products[np.searchsorted(splits["date"], days, "right")] for name in (0, 3))
    for at in newest - start:
        for price in (opens[at], close[at]):
            moved = price / close[at - 1] if close[at - 1] > 0 else np.nan
            if (np.abs(moved / SUSPECT - 1.0) < SUSPECT_WITHIN).any():
                what = f"from {close[at - 1]:g} to {price:g} on {str(days[at])[:10]}, the ratio of a split, but none is listed"
                return [Issue("SPLIT_SUSPECT", symbol, f"the price went {what}")]
    return []


def _events(
    splits: np.ndarray, times: np.ndarray, paid: frozenset[tuple[str, int, float]],
    opened: tuple[np.ndarray, np.ndarray], zone: str,
) -> np.ndarray:  # fmt: skip
    """Splits and dividends by ex-date; amounts, which Yahoo divides by later splits once it has applied them, as paid."""
    ordered = sorted(paid)
    paid_on = _days_at([stamp for _, stamp, _ in ordered], opened, zone)
    days = np.union1d(splits["date"], paid_on)
    amounts = [0.0] * len(days)
    for at, (_, _, amount) in zip(np.searchsorted(days, paid_on).tolist(), ordered):
        amounts[at] += amount
    events = np.zeros(len(days), EVENT)
    events["date"], events["split"] = days, 1.0
    events["split"][np.searchsorted(days, splits["date"])] = splits["split"]
    if len(splits):
        divided = splits["split"] ** np.minimum(times, 1)
        amounts = [amount * float(divided[splits["date"] >= day].prod()) for day, amount in zip(days, amounts)]
    events["dividend"] = [round(amount, 6) for amount in amounts]
    return events
