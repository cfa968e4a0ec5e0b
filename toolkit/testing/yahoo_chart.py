"""Bars in the form of Yahoo's v8 chart: split-adjusted single precision, events, adjusted close."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data import FIELDS, Bars, Calendar
from toolkit.data.adjust import EVENT

ZONES = {"XNYS": "America/New_York", "XLON": "Europe/London", "XTKS": "Asia/Tokyo", "24/7": "UTC"}
DAYS = {"1d": 1, "5d": 7, "1mo": 31, "3mo": 92, "6mo": 183, "1y": 366, "2y": 731, "5y": 1827, "10y": 3653}
SECONDS = {"1m": 60, "2m": 120, "5m": 300, "15m": 900, "30m": 1800, "60m": 3600, "1h": 3600}
KEPT = {"1m": 30, **dict.fromkeys(("2m", "5m", "15m", "30m"), 60), **dict.fromkeys(("60m", "1h"), 730)}
"""Days for which Yahoo keeps intraday bars; of minutes it serves 8 in one reply."""
MINUTES_A_REQUEST = 8


def chart(bars: Bars, symbol: str, query: Mapping[str, str], now: pd.Timestamp) -> dict[str, Any]:
    """What Yahoo answers at `now` (UTC) for `query` (period1 and period2, or range) from bars of the interval asked for.

    A bar that is still open at `now` shows its open in all four prices. Splits and dividends are known from the open of
    their ex-date on.
    """
    calendar = Calendar(bars.calendar or "XNYS")
    labels, block, at = _visible(bars, symbol, calendar, now)
    stamps = (calendar.opens[at] if bars.interval == "1d" else labels).astype("M8[s]").astype("i8")
    days = calendar.sessions[at]
    first, last = _period(query, now)
    kept = (stamps >= first) & (stamps <= last)
    events = _events(bars, symbol, calendar, days)
    later = _later(events, days)
    prices, volume = block[:4] / later, np.round(block[4] * later)
    result: dict[str, Any] = {"meta": _meta(symbol, bars, calendar, query, now), "indicators": {"quote": [{}]}}
    if bars.interval != "1d":
        result["meta"]["tradingPeriods"] = [[_hours(calendar, session)] for session in np.unique(at[kept])]
    if kept.any():
        result["timestamp"] = stamps[kept].tolist()
        result["indicators"]["quote"] = [dict(zip(FIELDS, [*_column(prices[:, kept]), [_whole(x) for x in volume[kept]]]))]
        if bars.interval == "1d":
            adjusted = prices[3] * _dividend_factor(days, prices[3], events, later)
            result["indicators"]["adjclose"] = [{"adjclose": _column(adjusted[kept])}]
    announced = _announced(events, calendar, first, last)
    if announced:
        result["events"] = announced
    return {"chart": {"result": [result], "error": None}}


def not_found() -> dict[str, Any]:
    """What Yahoo answers, with status 404, for a symbol that it does not know."""
    return _error("Not Found", "No data found, symbol may be delisted")


def refused(query: Mapping[str, str], now: pd.Timestamp) -> dict[str, Any] | None:
    """What Yahoo answers, with status 422, to intraday bars too old or too many; None where it would serve them."""
    interval = query.get("interval", "1d")
    first, last = _period(query, now)
    why = ""
    if interval == "1m" and last - first > MINUTES_A_REQUEST * 86_400:
        why = f"Only {MINUTES_A_REQUEST} days worth of 1m granularity data are allowed to be fetched per request."
    elif interval in KEPT and first < now.timestamp() - KEPT[interval] * 86_400:
        why = f"The requested range must be within the last {KEPT[interval]} days."
    what = f"{interval} data not available for startTime={first:.0f} and endTime={last:.0f}."
    return _error("Unprocessable Entity", f"{what} {why}") if why else None


def acted(bars: Bars, symbol: str, date: pd.Timestamp | str, split: float = 1.0, dividend: float = 0.0) -> Bars:
    """`bars` in which `symbol` has one more action: from `date` on it trades in new shares."""
    frames = {name: pd.DataFrame(dict(zip(FIELDS, bars.traded[:, k])), bars.index) for k, name in enumerate(bars.symbols)}
    table, index = bars.events(), bars.index.tz_localize(None)
    table["date"] = index[bars.actions["bar"]]
    at = int(index.searchsorted(pd.Timestamp(date)))
    frame = frames[symbol]
    frame.iloc[at:, :4] /= split
    frame.iloc[at:, 4] *= split
    new = pd.DataFrame({"date": [index[at]], "symbol": [symbol], "split": [split], "dividend": [dividend]})
    both = pd.concat([table, new]).groupby(["date", "symbol"], as_index=False).agg({"split": "prod", "dividend": "sum"})
    return Bars.from_frame(
        frames, actions=both, interval=bars.interval, calendar=bars.calendar, currency=bars.currency, anchor=bars.anchor
    )


def _error(code: str, description: str) -> dict[str, Any]:
    return {"chart": {"result": None, "error": {"code": code, "description": description}}}


def _labels(bars: Bars) -> np.ndarray:
    return bars.index.as_unit("ns").asi8.view("M8[ns]")


def _sessions(bars: Bars, calendar: Calendar) -> np.ndarray:
    """Position of the session of each bar."""
    labels = _labels(bars)
    return calendar.positions(labels) if bars.interval == "1d" else np.searchsorted(calendar.opens, labels, "right") - 1


def _visible(
    bars: Bars, symbol: str, calendar: Calendar, now: pd.Timestamp
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Labels, block (5, n) as traded, and sessions of all bars that have opened, from the first price on."""
    instant = now.tz_convert("UTC").tz_localize(None).to_datetime64()
    labels, at = _labels(bars), _sessions(bars, calendar)
    daily = bars.interval == "1d"
    opens = calendar.opens[at] if daily else labels
    ends = calendar.closes[at] if daily else labels + np.timedelta64(SECONDS[bars.interval], "s")
    block = np.array(bars.traded[:, bars.symbols.index(symbol)])
    kept = (opens <= instant) & (np.cumsum(np.isfinite(block[3])) > 0)
    block, running = block[:, kept], ends[kept] > instant
    block[:4, running], block[4, running] = block[0, running], 0.0
    return labels[kept], block, at[kept]


def _column(values: np.ndarray) -> list:
    """Single precision as JSON holds it, None for NaN."""
    single = values.astype("f4").astype(object)
    single[np.isnan(values)] = None
    return single.tolist()


def _whole(volume: float) -> int | None:
    return None if volume != volume else int(volume)


def _period(query: Mapping[str, str], now: pd.Timestamp) -> tuple[float, float]:
    if "period1" in query:
        return float(query["period1"]), float(query["period2"])
    span = DAYS.get(query.get("range", "1mo"), 100 * 366)
    return now.timestamp() - span * 86_400, now.timestamp()


def _events(bars: Bars, symbol: str, calendar: Calendar, days: np.ndarray) -> np.ndarray:
    own = bars.actions[bars.actions["symbol"] == bars.symbols.index(symbol)]
    events = np.zeros(len(own), EVENT)
    events["date"] = calendar.sessions[_sessions(bars, calendar)[own["bar"]]]
    events["split"], events["dividend"] = own["split"], own["dividend"]
    return events[events["date"] <= days[-1]] if len(days) else events[:0]


def _later(events: np.ndarray, days: np.ndarray) -> np.ndarray:
    """New shares for one of each day, by the splits after it."""
    products = np.append(np.cumprod(events["split"][::-1])[::-1], 1.0)
    return products[np.searchsorted(events["date"], days, "right")]


def _dividend_factor(days: np.ndarray, close: np.ndarray, events: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Yahoo's rule: closes before an ex-date are multiplied by 1 - dividend / close of the day before."""
    factor = np.ones(len(days))
    for event in events[events["dividend"] > 0]:
        ex = int(np.searchsorted(days, event["date"]))
        if ex:
            factor[:ex] *= 1 - event["dividend"] / (later[ex - 1] * close[ex - 1])
    return factor


def _announced(events: np.ndarray, calendar: Calendar, first: float, last: float) -> dict[str, dict[str, Any]]:
    announced: dict[str, dict[str, Any]] = {}
    for k, event in enumerate(events):
        stamp = int(calendar.opens[calendar.positions(events["date"][k : k + 1])[0]].astype("M8[s]").astype("i8"))
        if not first <= stamp <= last:
            continue
        ratio, dividend = float(event["split"]), float(event["dividend"])
        if ratio != 1.0:
            parts = {"numerator": ratio, "denominator": 1.0, "splitRatio": f"{ratio:g}:1"}
            announced.setdefault("splits", {})[str(stamp)] = {"date": stamp, **parts}
        if dividend > 0:
            amount = dividend / float(np.prod(events["split"][k:]))
            announced.setdefault("dividends", {})[str(stamp)] = {"date": stamp, "amount": amount}
    return announced


def _meta(symbol: str, bars: Bars, calendar: Calendar, query: Mapping[str, str], now: pd.Timestamp) -> dict[str, Any]:
    instant = now.tz_convert("UTC").tz_localize(None).to_datetime64()
    at = int(np.searchsorted(calendar.opens, instant, "right")) - 1
    hours = _hours(calendar, at)
    return {
        "currency": bars.currency,
        "symbol": symbol,
        "exchangeName": "NMS",
        "fullExchangeName": "NasdaqGS",
        "instrumentType": "EQUITY",
        "firstTradeDate": 0,
        "regularMarketTime": int(min(now.timestamp(), hours["end"])),
        "hasPrePostMarketData": True,
        "gmtoffset": -18_000,
        "timezone": "EST",
        "exchangeTimezoneName": ZONES.get(calendar.name, "America/New_York"),
        "regularMarketPrice": 100.0,
        "priceHint": 2,
        "currentTradingPeriod": {"pre": hours, "regular": hours, "post": hours},
        "dataGranularity": {"60m": "1h"}.get(bars.interval, bars.interval),
        "range": query.get("range", ""),
        "validRanges": [*DAYS, "ytd", "max"],
    }


def _hours(calendar: Calendar, session: int) -> dict[str, Any]:
    opening, closing = (int(times[session].astype("M8[s]").astype("i8")) for times in (calendar.opens, calendar.closes))
    return {"timezone": "EST", "start": opening, "end": closing, "gmtoffset": -18_000}
