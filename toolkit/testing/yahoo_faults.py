"""What can be wrong inside of a chart that arrives whole: each function spoils the `chart` of a reply, by its name.

Rows are spoiled near the end, so that a fetch of the newest bars meets them, too. Faults of splits and dividends spoil
the last one that is listed; where there is none, the chart stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit.data import FIELDS

BAD, DAY = -4, 86_400
"""The row that is spoiled where one is."""


def _result(chart: dict[str, Any]) -> dict[str, Any]:
    return chart["result"][0]


def _quote(chart: dict[str, Any]) -> dict[str, list]:
    return _result(chart)["indicators"]["quote"][0]


def _columns(chart: dict[str, Any]) -> list[list]:
    """All columns with a value a row, timestamps excepted."""
    adjusted = _result(chart)["indicators"].get("adjclose", [])
    return [*_quote(chart).values(), *(each["adjclose"] for each in adjusted)]


def _row(chart: dict[str, Any], stamp: int, at: int = -1) -> None:
    """Append a copy of the row `at` with another `stamp`."""
    _result(chart)["timestamp"].append(stamp)
    for column in _columns(chart):
        column.append(column[at])


def _put(field: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(chart: dict[str, Any]) -> None:
        _quote(chart)[field][BAD] = value

    return spoil


def _times(factor: float) -> Callable[[dict[str, Any]], None]:
    def spoil(chart: dict[str, Any]) -> None:
        for field in FIELDS[:4]:
            _quote(chart)[field][BAD] *= factor

    return spoil


def _meta(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(chart: dict[str, Any]) -> None:
        _result(chart)["meta"][name] = value

    return spoil


def _nulls(rows: slice) -> Callable[[dict[str, Any]], None]:
    def spoil(chart: dict[str, Any]) -> None:
        for column in _columns(chart):
            column[rows] = [None] * len(column[rows])

    return spoil


def _high_below_low(chart: dict[str, Any]) -> None:
    quote = _quote(chart)
    quote["high"][BAD], quote["low"][BAD] = quote["low"][BAD] * 0.9, quote["high"][BAD] * 1.1


def _high_below_close(chart: dict[str, Any]) -> None:
    _quote(chart)["high"][BAD] = _quote(chart)["close"][BAD] * 0.99


def _low_above_open(chart: dict[str, Any]) -> None:
    _quote(chart)["low"][BAD] = _quote(chart)["open"][BAD] * 1.01


def _doubled(chart: dict[str, Any]) -> None:
    _row(chart, _result(chart)["timestamp"][-1])


def _conflicting(chart: dict[str, Any]) -> None:
    """The row before the last comes a second time; the first of the two is wrong."""
    stamps = _result(chart)["timestamp"]
    stamps.insert(-1, stamps[-2])
    for column in _columns(chart):
        column.insert(-2, column[-2] * 1.01)


def _many_conflicts(chart: dict[str, Any]) -> None:
    for at in (-2, -4, -6):
        _row(chart, _result(chart)["timestamp"][at], at)
        _quote(chart)["volume"][-1] *= 2


def _unsorted(chart: dict[str, Any]) -> None:
    for column in (_result(chart)["timestamp"], *_columns(chart)):
        column[BAD], column[BAD + 1] = column[BAD + 1], column[BAD]


def _future(chart: dict[str, Any]) -> None:
    _row(chart, _result(chart)["timestamp"][-1] + 7 * DAY)


def _weekend(chart: dict[str, Any]) -> None:
    """The last row once more, on the Saturday after the first Friday before it."""
    stamps = _result(chart)["timestamp"]
    friday = max(stamp for stamp in stamps[:-1] if (stamp // DAY + 4) % 7 == 5)
    at = stamps.index(friday) + 1
    stamps.insert(at, friday + DAY)
    for column in _columns(chart):
        column.insert(at, column[at - 1])


def _live(chart: dict[str, Any]) -> None:
    """The running quote as a row of its own; the day's row is still what it was in the morning."""
    result, quote = _result(chart), _quote(chart)
    _row(chart, result["meta"]["regularMarketTime"])
    for field in FIELDS[1:4]:
        quote[field][-2] = quote["open"][-2]
    quote["volume"][-2] = 0


def _ragged(chart: dict[str, Any]) -> None:
    _quote(chart)["close"].pop()


def _empty(chart: dict[str, Any]) -> None:
    _result(chart).pop("timestamp", None)
    _result(chart)["indicators"] = {"quote": [{}]}


def _no_quote(chart: dict[str, Any]) -> None:
    del _result(chart)["indicators"]["quote"]


def _no_currency(chart: dict[str, Any]) -> None:
    del _result(chart)["meta"]["currency"]


def _no_adjusted(chart: dict[str, Any]) -> None:
    _result(chart)["indicators"].pop("adjclose", None)


def _error_beside(chart: dict[str, Any]) -> None:
    chart["error"] = {"code": "internal-error", "description": "an error beside a result"}


def _last(chart: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """The last listed event of `kind`."""
    listed = _result(chart).get("events", {}).get(kind, {})
    return listed[max(listed, key=int)] if listed else None


def _split_zero(chart: dict[str, Any]) -> None:
    if (split := _last(chart, "splits")) is not None:
        split["numerator"] = 0.0


def _negative_dividend(chart: dict[str, Any]) -> None:
    if (dividend := _last(chart, "dividends")) is not None:
        dividend["amount"] *= -1


def _rescale(chart: dict[str, Any], split: dict[str, Any], factor: float) -> None:
    """Multiply prices before the split by `factor`, and divide volumes."""
    quote = _quote(chart)
    for at, stamp in enumerate(_result(chart).get("timestamp", [])):
        if stamp < split["date"] and quote["close"][at] is not None:
            for field in FIELDS[:4]:
                quote[field][at] *= factor
            quote["volume"][at] = round(quote["volume"][at] / factor)


def _split_not_applied(chart: dict[str, Any]) -> None:
    """Listed, but prices, volumes and dividends are still those of the old shares."""
    if (split := _last(chart, "splits")) is not None:
        ratio = split["numerator"] / split["denominator"]
        _rescale(chart, split, ratio)
        for dividend in _result(chart)["events"].get("dividends", {}).values():
            if dividend["date"] <= split["date"]:
                dividend["amount"] *= ratio


def _split_twice(chart: dict[str, Any]) -> None:
    if (split := _last(chart, "splits")) is not None:
        _rescale(chart, split, split["denominator"] / split["numerator"])


def _split_unlisted(chart: dict[str, Any]) -> None:
    """Applied, but not listed: nothing in this one reply tells it."""
    listed = _result(chart).get("events", {}).get("splits", {})
    if listed:
        del listed[max(listed, key=int)]


def _split_unknown(chart: dict[str, Any]) -> None:
    """Neither listed nor applied: the price falls, and nothing says why."""
    _split_not_applied(chart)
    _split_unlisted(chart)


CONTENT_FAULTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "nulls": _nulls(slice(-3, None)),
    "null_row": _nulls(slice(BAD, BAD + 1)),
    "all_null": _nulls(slice(None)),
    "null_volume": _put("volume", None),
    "nan": _put("close", float("nan")),
    "infinity": _put("high", float("inf")),
    "huge": _put("high", 1e308),
    "zero": _put("open", 0.0),
    "negative": _put("close", -10.0),
    "negative_volume": _put("volume", -1),
    "text": _put("close", "n/a"),
    "x100": _times(100.0),
    "x001": _times(0.01),
    "high_below_low": _high_below_low,
    "high_below_close": _high_below_close,
    "low_above_open": _low_above_open,
    "dup": _doubled,
    "dup_conflict": _conflicting,
    "many_conflicts": _many_conflicts,
    "unsorted": _unsorted,
    "future": _future,
    "weekend": _weekend,
    "live_row": _live,
    "ragged": _ragged,
    "empty": _empty,
    "no_quote": _no_quote,
    "no_adjclose": _no_adjusted,
    "no_currency": _no_currency,
    "unknown_zone": _meta("exchangeTimezoneName", "Mars/Olympus_Mons"),
    "wrong_symbol": _meta("symbol", "ZZZZ"),
    "wrong_interval": _meta("dataGranularity", "1wk"),
    "error_beside": _error_beside,
    "split_zero": _split_zero,
    "negative_dividend": _negative_dividend,
    "split_not_applied": _split_not_applied,
    "split_twice": _split_twice,
    "split_unlisted": _split_unlisted,
    "split_unknown": _split_unknown,
}
