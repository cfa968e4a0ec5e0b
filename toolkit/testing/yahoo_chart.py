"""Bars in the form of Yahoo's v8 chart: split-adjusted single precision, events, adjusted close; and spoiled ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data import FIELDS, Bars, Calendar
from toolkit.data.adjust import EVENT

ZONES = {"XNYS": "America/New_York", "XLON": "Europe/London", "XTKS": "Asia/Tokyo", "24/7": "UTC"}
DAYS = {"1d": 1, "5d": 7, "1mo": 31, "3mo": 92, "6mo": 183, "1y": 366, "2y": 731, "5y": 1827, "10y": 3653}


def chart(bars: Bars, symbol: str, query: Mapping[str, str], now: pd.Timestamp) -> dict[str, Any]:
    """What Yahoo answers at `now` (UTC) for `query` (period1 and period2, or range); only daily bars.

    A session that is open at `now` shows its open in all four prices. Splits and dividends are known from their ex-date
    on.
    """
    calendar = Calendar(bars.calendar or "XNYS")
    labels, block = _visible(bars, symbol, calendar, now)
    at = calendar.positions(labels)
    stamps = calendar.opens[at].astype("M8[s]").astype("i8")
    first, last = _period(query, now)
    kept = (stamps >= first) & (stamps <= last)
    events = _events(bars, symbol, labels)
    products = np.append(np.cumprod(events["split"][::-1])[::-1], 1.0)
    later = products[np.searchsorted(events["date"], labels, "right")]
    prices, volume = block[:4] / later, np.round(block[4] * later)
    fields = [*prices[:, kept].astype("f4").astype(float).tolist(), [_whole(x) for x in volume[kept]]]
    quote = {name: [None if x != x else x for x in column] for name, column in zip(FIELDS, fields)}
    dividend_factor = _dividend_factor(labels, prices[3], events, later)
    adjusted = (prices[3] * dividend_factor)[kept].astype("f4").astype(float).tolist()
    result: dict[str, Any] = {
        "meta": _meta(symbol, bars, calendar, query, now),
        "timestamp": stamps[kept].tolist(),
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": [None if x != x else x for x in adjusted]}]},
    }
    announced = _announced(events, calendar, later, labels, first, last)
    if announced:
        result["events"] = announced
    return {"chart": {"result": [result], "error": None}}


def not_found() -> dict[str, Any]:
    """What Yahoo answers, with status 404, for a symbol that it does not know."""
    error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
    return {"chart": {"result": None, "error": error}}


def _visible(bars: Bars, symbol: str, calendar: Calendar, now: pd.Timestamp) -> tuple[np.ndarray, np.ndarray]:
    """Session dates and block (5, n) as traded of all sessions that have opened, from the first price on."""
    labels = bars.index.as_unit("ns").asi8.view("M8[ns]")
    instant = now.tz_convert("UTC").tz_localize(None).to_datetime64()
    at = calendar.positions(labels)
    block = np.array(bars.traded[:, bars.symbols.index(symbol)])
    kept = (calendar.opens[at] <= instant) & (np.cumsum(np.isfinite(block[3])) > 0)
    labels, block, at = labels[kept], block[:, kept], at[kept]
    if len(at) and calendar.closes[at[-1]] > instant:
        block[:4, -1], block[4, -1] = block[0, -1], 0.0
    return labels, block


def _whole(volume: float) -> float | int:
    return volume if volume != volume else int(volume)


def _period(query: Mapping[str, str], now: pd.Timestamp) -> tuple[float, float]:
    if "period1" in query:
        return float(query["period1"]), float(query["period2"])
    span = DAYS.get(query.get("range", "1mo"), 100 * 366)
    return now.timestamp() - span * 86_400, now.timestamp()


def _events(bars: Bars, symbol: str, labels: np.ndarray) -> np.ndarray:
    own = bars.actions[bars.actions["symbol"] == bars.symbols.index(symbol)]
    events = np.zeros(len(own), EVENT)
    events["date"] = bars.index.as_unit("ns").asi8.view("M8[ns]")[own["bar"]]
    events["split"], events["dividend"] = own["split"], own["dividend"]
    return events[events["date"] <= labels[-1]] if len(labels) else events[:0]


def _dividend_factor(labels: np.ndarray, close: np.ndarray, events: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Yahoo's rule: closes before an ex-date are multiplied by 1 - dividend / close of the day before."""
    factor = np.ones(len(labels))
    for event in events[events["dividend"] > 0]:
        ex = int(np.searchsorted(labels, event["date"]))
        if ex:
            factor[:ex] *= 1 - event["dividend"] / (later[ex - 1] * close[ex - 1])
    return factor


def _announced(
    events: np.ndarray, calendar: Calendar, later: np.ndarray, labels: np.ndarray, first: float, last: float
) -> dict[str, dict[str, Any]]:
    announced: dict[str, dict[str, Any]] = {}
    for event in events:
        stamp = int(calendar.opens[calendar.positions(np.array([event["date"]]))[0]].astype("M8[s]").astype("i8"))
        if not first <= stamp <= last:
            continue
        if event["split"] != 1.0:
            ratio = float(event["split"])
            parts = {"numerator": ratio, "denominator": 1.0, "splitRatio": f"{ratio:g}:1"}
            announced.setdefault("splits", {})[str(stamp)] = {"date": stamp, **parts}
        if event["dividend"] > 0:
            since = later[np.searchsorted(labels, event["date"])] * event["split"]
            amount = float(event["dividend"] / since)
            announced.setdefault("dividends", {})[str(stamp)] = {"date": stamp, "amount": amount}
    return announced


def _meta(symbol: str, bars: Bars, calendar: Calendar, query: Mapping[str, str], now: pd.Timestamp) -> dict[str, Any]:
    instant = now.tz_convert("UTC").tz_localize(None).to_datetime64()
    at = int(np.searchsorted(calendar.opens, instant, "right")) - 1
    opening, closing = (int(times[at].astype("M8[s]").astype("i8")) for times in (calendar.opens, calendar.closes))
    zone = ZONES.get(calendar.name, "America/New_York")
    period = {"timezone": "EST", "start": opening, "end": closing, "gmtoffset": -18_000}
    return {
        "currency": bars.currency,
        "symbol": symbol,
        "exchangeName": "NMS",
        "fullExchangeName": "NasdaqGS",
        "instrumentType": "EQUITY",
        "firstTradeDate": 0,
        "regularMarketTime": int(now.timestamp()),
        "hasPrePostMarketData": True,
        "gmtoffset": -18_000,
        "timezone": "EST",
        "exchangeTimezoneName": zone,
        "regularMarketPrice": 100.0,
        "priceHint": 2,
        "currentTradingPeriod": {"pre": period, "regular": period, "post": period},
        "dataGranularity": query.get("interval", "1d"),
        "range": query.get("range", ""),
        "validRanges": [*DAYS, "ytd", "max"],
    }


def _last(result: dict[str, Any], count: int, value: Any) -> None:
    for column in result["indicators"]["quote"][0].values():
        column[-count:] = [value] * count


def _empty(result: dict[str, Any]) -> None:
    del result["timestamp"]
    result["indicators"] = {"quote": [{}]}


def _nulls(result: dict[str, Any]) -> None:
    _last(result, 3, None)


def _doubled(result: dict[str, Any]) -> None:
    result["timestamp"].append(result["timestamp"][-1])
    for column in [*result["indicators"]["quote"][0].values(), result["indicators"]["adjclose"][0]["adjclose"]]:
        column.append(column[-1])


def _hundredfold(result: dict[str, Any]) -> None:
    for name in FIELDS[:4]:
        result["indicators"]["quote"][0][name][-5] *= 100


def _upside_down(result: dict[str, Any]) -> None:
    quote = result["indicators"]["quote"][0]
    quote["high"][-4], quote["low"][-4] = quote["low"][-4] * 0.9, quote["high"][-4] * 1.1


def _negative(result: dict[str, Any]) -> None:
    result["indicators"]["quote"][0]["close"][-4] *= -1


def _ragged(result: dict[str, Any]) -> None:
    result["indicators"]["quote"][0]["close"].pop()


def _wrong_symbol(result: dict[str, Any]) -> None:
    result["meta"]["symbol"] = "ZZZZ"


CONTENT_FAULTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "empty": _empty,
    "nulls": _nulls,
    "dup": _doubled,
    "x100": _hundredfold,
    "high_below_low": _upside_down,
    "negative": _negative,
    "ragged": _ragged,
    "wrong_symbol": _wrong_symbol,
}
"""What can be wrong inside of a chart that arrives whole; each function spoils one result."""
