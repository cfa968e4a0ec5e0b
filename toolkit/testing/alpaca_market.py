"""Bars in the form of Alpaca's market data: pages of bars as traded, and of corporate actions."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data import Bars

TIMEFRAMES = {"1Min": "1m", "2Min": "2m", "5Min": "5m", "15Min": "15m", "30Min": "30m", "1Hour": "1h", "1Day": "1d"}
SYMBOL = re.compile(r"[A-Z]{1,5}(\.[A-Z]{1,3})?")
# Of a day the time from midnight to the close; sessions that close early are over at the same time here.
LENGTHS = {interval: pd.Timedelta("16h" if interval == "1d" else interval) for interval in TIMEFRAMES.values()}
EASTERN = "America/New_York"
PROCESSED = pd.Timedelta(days=21)  # from the ex-date of a dividend to the day on which Alpaca pays it

Page = tuple[dict[str, Any], int]
"""The body of a reply, and its status."""


def bars_page(bars_by_interval: Mapping[str, Bars], query: Mapping[str, str], now: pd.Timestamp) -> Page:
    """One page of bars as traded, sorted by symbol, then time; a symbol without a bar in the range is not there at all."""
    symbols = sorted(set(query.get("symbols", "").split(",")))
    for symbol in symbols:
        if not SYMBOL.fullmatch(symbol):
            return {"message": f"invalid symbol: {symbol}"}, 400
    if query.get("adjustment", "raw") != "raw" or query.get("timeframe") not in TIMEFRAMES:
        return {"message": "invalid timeframe or adjustment"}, 400
    bars = bars_by_interval.get(TIMEFRAMES[query["timeframe"]])
    if bars is None:
        return {"bars": {}, "next_page_token": None}, 200
    found = [(symbol, at) for symbol in symbols for at in _places(bars, symbol, query, now).tolist()]
    kept, token = _paged(found, query, most=10_000, usual=1000)
    places: dict[str, list[int]] = {}
    for symbol, at in kept:
        places.setdefault(symbol, []).append(at)
    page = {symbol: _rows(bars, symbol, np.array(own), now) for symbol, own in places.items()}
    return {"bars": page, "next_page_token": token}, 200


def actions_page(bars_by_interval: Mapping[str, Bars], query: Mapping[str, str], now: pd.Timestamp) -> Page:
    """One page of splits and cash dividends by the day on which they are processed, which for a dividend is weeks late."""
    day = f"{now:%Y-%m-%d}"
    first, last = query.get("start", day), query.get("end", day)
    symbols, types = query.get("symbols", "").split(","), query.get("types", "").split(",")
    bars = next(iter(bars_by_interval.values()))
    rows = [(kind, row) for action in bars.actions for kind, row in _action(bars, action) if kind.removesuffix("s") in types]
    rows = [each for each in rows if each[1]["symbol"] in symbols and first <= each[1]["process_date"] <= last]
    rows.sort(key=lambda each: each[1]["process_date"])
    kept, token = _paged(rows, query, most=1000, usual=100)
    page: dict[str, list] = {}
    for kind, row in kept:
        page.setdefault(kind, []).append(row)
    return {"corporate_actions": page, "next_page_token": token}, 200


def _places(bars: Bars, symbol: str, query: Mapping[str, str], now: pd.Timestamp) -> np.ndarray:
    """Positions of the symbol's bars that a query asks for and that have begun at `now`; both its ends are included."""
    if symbol not in bars.symbols:
        return np.zeros(0, int)
    index = bars.index.tz_localize(EASTERN) if bars.interval == "1d" else bars.index
    first, last = pd.Timestamp(query.get("start", f"{now:%Y-%m-%d}")), pd.Timestamp(query.get("end", now))
    first, last = (each if each.tzinfo else each.tz_localize("UTC") for each in (first, last))
    priced = np.isfinite(bars.traded[3, bars.symbols.index(symbol)])
    return np.flatnonzero(priced & (index >= first) & (index <= min(last, now)))


def _rows(bars: Bars, symbol: str, at: np.ndarray, now: pd.Timestamp) -> list[dict[str, Any]]:
    """Bars at the positions `at`; one that is not over at `now` shows its open alone."""
    stamps = bars.index[at].tz_localize(EASTERN) if bars.interval == "1d" else bars.index[at]
    block = np.array(bars.traded[:, bars.symbols.index(symbol), at])
    block[:, (stamps + LENGTHS[bars.interval]) > now] *= [[1], [0], [0], [0], [0]]
    block[1:4] = np.where(block[3] == 0, block[0], block[1:4])
    texts = stamps.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        {"t": text, "o": o, "h": h, "l": low, "c": c, "v": int(v), "n": 1, "vw": c}
        for text, (o, h, low, c, v) in zip(texts, block.T.tolist())
    ]


def _action(bars: Bars, action: np.void) -> Iterable[tuple[str, dict[str, Any]]]:
    symbol, ex = bars.symbols[action["symbol"]], bars.index[action["bar"]]
    about = {"symbol": symbol, "ex_date": f"{ex:%Y-%m-%d}", "record_date": f"{ex:%Y-%m-%d}"}
    if action["split"] != 1.0:
        ratio = Fraction(float(action["split"])).limit_denominator(1000)
        kind = "forward_splits" if ratio > 1 else "reverse_splits"
        yield kind, {**about, "new_rate": ratio.numerator, "old_rate": ratio.denominator, "process_date": about["ex_date"]}
    if action["dividend"] > 0:
        paid = f"{ex + PROCESSED:%Y-%m-%d}"
        rate = float(action["dividend"])
        yield "cash_dividends", {**about, "rate": rate, "special": False, "foreign": False, "process_date": paid}


def _paged(rows: Sequence[Any], query: Mapping[str, str], most: int, usual: int) -> tuple[Sequence[Any], str | None]:
    """The rows of one page, and the token of the next."""
    start = int(base64.b64decode(query["page_token"])) if query.get("page_token") else 0
    end = start + min(int(query.get("limit", usual)), most)
    return rows[start:end], base64.b64encode(str(end).encode()).decode() if end < len(rows) else None
