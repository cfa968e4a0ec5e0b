"""Yahoo's daily bars as a source, through the session of yfinance, as traded.

The chart is read as JSON rather than through `yfinance.download`, which makes one empty frame of ten kinds of failure,
keeps bad replies in its memory, and retries at once. So errors are told apart here at the level of HTTP.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import tenacity
from yfinance.data import YfData, new_session

from toolkit.data.adjust import EVENT, FIELDS
from toolkit.data.meter import Meter
from toolkit.data.sources import History
from toolkit.data.validate import cleaned
from toolkit.errors import DataUnavailable, InvalidParameter, UnknownSymbol

log = logging.getLogger(__name__)

CHART = "https://query2.finance.yahoo.com/v8/finance/chart/"
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
TRIES, LONGEST_WAIT = 3, 30.0
CURE = "ask again later; stored bars are kept"


class _Passing(DataUnavailable):
    """A failure that may be gone at the next try, after `wait` seconds if the server said so."""

    def __init__(self, what: str, symbol: str, wait: float = 0.0) -> None:
        super().__init__(what, CURE, symbol=symbol)
        self.wait = wait


class YahooSource:
    """Daily bars, splits and dividends from Yahoo; one `session` (curl_cffi) for all threads.

    Each request has `timeout` seconds; what may pass is tried three times with random pauses, through `sleep`.
    `meter` counts requests. Raises UnknownSymbol for a symbol that Yahoo does not know, DataUnavailable for the rest.
    """

    name = "yahoo"
    edition = ""
    delay = pd.Timedelta("20min")

    def __init__(
        self, session: Any = None, timeout: float = 10.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:  # fmt: skip
        self._session = session if session is not None else new_session()
        self._timeout, self._sleep = timeout, sleep
        self.meter = Meter()

    def reach(self, interval: str) -> pd.Timedelta | None:
        if interval != "1d":
            raise InvalidParameter(f"interval is {interval!r}", "pass '1d', '1wk' or '1mo'")
        return None

    def fetch(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> History:
        self.reach(interval)
        day = pd.Timedelta(days=1)
        query = {
            "period1": int((start - day).timestamp()),
            "period2": int((end + 2 * day).timestamp()),
            "interval": interval,
            "includePrePost": "false",
            "events": "div,splits,capitalGains",
        }
        patiently = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(TRIES),
            wait=_pause,
            retry=tenacity.retry_if_exception_type(_Passing),
            sleep=self._sleep,
            reraise=True,
        )
        return patiently(self._attempt, symbol, start, end, query)

    def _attempt(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, query: dict[str, Any]) -> History:
        reply = self._get(symbol, self._session.get, query)
        if reply.status_code in (401, 403):  # only then is the crumb worth its requests
            reply = self._get(symbol, YfData(session=self._session).get, query)
        return history_of(symbol, _checked(symbol, reply), start, end)

    def _get(self, symbol: str, get: Callable[..., Any], query: dict[str, Any]) -> Any:
        self.meter.count()
        try:
            return get(CHART + quote(symbol), params=query, timeout=self._timeout)
        except Exception as error:  # curl_cffi and yfinance share no base class for what can fail on the wire
            raise _Passing(f"{symbol}: Yahoo was not reached ({type(error).__name__}: {error})", symbol) from error


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.wait if isinstance(error, _Passing) else 0.0
    return min(max(asked, tenacity.wait_random_exponential(multiplier=0.5, max=8)(state)), LONGEST_WAIT)


def _checked(symbol: str, reply: Any) -> dict[str, Any]:
    """The one result in `reply`; raises for anything that is not a chart of `symbol`."""
    status = reply.status_code
    if status == 429 or status >= 500:
        raise _Passing(f"{symbol}: Yahoo answered {status}", symbol, _seconds(reply.headers.get("Retry-After")))
    try:
        chart = reply.json()["chart"]
        error, results = chart.get("error"), chart.get("result")
        if error and error.get("code") == "Not Found":
            raise UnknownSymbol(f"{symbol}: Yahoo does not know it", "check the spelling", symbol=symbol)
        if error or status >= 400:
            raise DataUnavailable(f"{symbol}: Yahoo answered {status}: {error}", CURE, symbol=symbol)
        result = results[0]
        other = str(result["meta"]["symbol"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        what = f"{symbol}: Yahoo answered {status} with what is no chart ({type(error).__name__}: {error})"
        raise _Passing(what, symbol) from error
    if other.upper() != symbol:
        raise _Passing(f"{symbol}: Yahoo answered with bars of {other}", symbol)
    return result


def _seconds(header: str | None) -> float:
    try:
        return float(header) if header else 0.0
    except ValueError:  # a date instead of a number
        return 0.0


def history_of(symbol: str, chart: dict[str, Any], start: pd.Timestamp, end: pd.Timestamp) -> History:
    """Bars as traded from a chart, whose prices are adjusted for later splits; raises DataUnavailable if malformed."""
    try:
        meta, zone = chart["meta"], chart["meta"]["exchangeTimezoneName"]
        days = _session_days(chart.get("timestamp") or [], zone)
        quotes = chart["indicators"]["quote"][0]
        block = np.array([[np.nan if x is None else x for x in quotes.get(name) or []] for name in FIELDS], float)
        events = _events(chart.get("events") or {}, zone)
        currency = str(meta["currency"])
        if block.shape != (len(FIELDS), len(days)):
            raise ValueError(f"{len(days)} dates for {block.shape} prices")
    except (ValueError, KeyError, TypeError, IndexError, ZeroDivisionError) as error:
        what = f"{symbol}: the chart cannot be read ({type(error).__name__}: {error})"
        raise _Passing(what, symbol) from error
    if len(days) == 0:
        raise _Passing(f"{symbol}: Yahoo sent a chart without a row", symbol)
    if zone not in EXCHANGES:
        raise DataUnavailable(
            f"{symbol}: no calendar for the zone {zone}", "bring the bars with Bars.from_frame", symbol=symbol
        )
    days, block, issues = cleaned(symbol, days, block)
    products = np.append(np.cumprod(events["split"][::-1])[::-1], 1.0)
    split = products[np.searchsorted(events["date"], days, "right")]
    traded = np.round(np.concatenate([block[:4] * split, np.round(block[4:] / split)]), 4)
    kept = (days >= start.to_datetime64()) & (days <= end.to_datetime64())
    inside = (events["date"] >= start.to_datetime64()) & (events["date"] <= end.to_datetime64())
    return History(symbol, days[kept], traded[:, kept], events[inside], EXCHANGES[zone], currency, issues)


def _session_days(stamps: list[int], zone: str) -> np.ndarray:
    local = pd.DatetimeIndex(np.array(stamps, "i8").astype("M8[s]")).tz_localize("UTC").tz_convert(zone)
    return local.tz_localize(None).normalize().as_unit("ns").asi8.view("M8[ns]")


def _events(events: dict[str, dict[str, Any]], zone: str) -> np.ndarray:
    """Splits and dividends by ex-date; amounts, which Yahoo divides by later splits, as they were paid."""
    splits: dict[np.datetime64, float] = {}
    paid: dict[np.datetime64, float] = {}
    for event in events.get("splits", {}).values():
        day = _session_days([event["date"]], zone)[0]
        splits[day] = splits.get(day, 1.0) * float(event["numerator"]) / float(event["denominator"])
    for event in [*events.get("dividends", {}).values(), *events.get("capitalGains", {}).values()]:
        day = _session_days([event["date"]], zone)[0]
        paid[day] = paid.get(day, 0.0) + float(event["amount"])
    table = np.zeros(len(splits | paid), EVENT)
    for k, day in enumerate(sorted(splits | paid)):
        later = np.prod([ratio for date, ratio in splits.items() if date >= day])
        table[k] = day, splits.get(day, 1.0), round(paid.get(day, 0.0) * float(later), 6)
    if not (np.isfinite(table["split"]) & (table["split"] > 0) & (table["dividend"] >= 0)).all():
        raise ValueError(f"impossible splits or dividends among {events}")
    return table
