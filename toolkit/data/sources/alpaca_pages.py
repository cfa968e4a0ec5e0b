"""Pages of Alpaca's market data, read into histories: bars by symbol, splits and dividends by ex-date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data.adjust import EVENT
from toolkit.data.bars import Issue
from toolkit.data.calendar import Calendar
from toolkit.data.sources import History
from toolkit.data.sources.alpaca_wire import CURE
from toolkit.data.sources.synthetic import coarser
from toolkit.errors import DataUnavailable

EASTERN = "America/New_York"

Block = tuple[np.ndarray, np.ndarray]
"""Instants (naive UTC) and bars (5, n) of one symbol on one page."""
Blocks = dict[str, list[Block]]
Action = tuple[str, Mapping[str, Any]]
"""Kind and row of one corporate action."""
Events = tuple[np.ndarray, tuple[Issue, ...]]
"""What can be booked (EVENT), and issues for what cannot."""


def append_bars(blocks: Blocks, page: Mapping[str, Any], symbols: Sequence[str]) -> str:
    """Adds a page of bars to `blocks`; returns its last symbol, the only one whose bars may go on on the next page.

    Pages are sorted by symbol, then time (Alpaca's reference of the endpoint, parameter limit).
    """
    fresh: dict[str, Block] = {}
    try:
        for symbol, rows in (page["bars"] or {}).items():
            if symbol not in symbols:
                raise DataUnavailable(f"Alpaca answered with bars of {symbol}", CURE)
            stamps = pd.DatetimeIndex(pd.to_datetime([row["t"] for row in rows], utc=True, format="ISO8601")).as_unit("ns")
            block = np.array([[row[name] for row in rows] for name in "ohlcv"], float)
            fresh[symbol] = stamps.asi8.view("M8[ns]"), block
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable("bars", error) from error
    for symbol, own in fresh.items():  # a page counts whole or not at all
        blocks.setdefault(symbol, []).append(own)
    return max(fresh, default="")


def history_of(
    symbol: str, blocks: list[Block], events: Events, start: pd.Timestamp, end: pd.Timestamp, interval: str
) -> History:
    """The bars of regular hours; raises DataUnavailable if there is none."""
    exchange = Calendar("XNYS")
    labels = np.concatenate([np.zeros(0, "M8[ns]"), *(each for each, _ in blocks)])
    traded = np.concatenate([np.zeros((5, 0)), *(each for _, each in blocks)], axis=1)
    if interval == "1d":
        local = pd.DatetimeIndex(labels).tz_localize("UTC").tz_convert(EASTERN).tz_localize(None).normalize()
        labels = days = local.as_unit("ns").asi8.view("M8[ns]")
        kept = np.ones(len(labels), bool)
    else:
        at = np.maximum(np.searchsorted(exchange.opens, labels, "right") - 1, 0)
        kept, days = (labels >= exchange.opens[at]) & (labels < exchange.closes[at]), exchange.sessions[at]
    kept &= (days >= start.to_datetime64()) & (days <= end.to_datetime64())
    labels, traded = labels[kept], traded[:, kept]
    if len(labels) == 0:
        what = f"{symbol}: Alpaca sent no bar from {start:%Y-%m-%d} to {end:%Y-%m-%d}, and does not say why"
        raise DataUnavailable(what, "check the spelling, the feed and the range", symbol=symbol)
    if interval == "1h":
        if (labels[1:] <= labels[:-1]).any():  # what is put together can no longer be judged
            raise DataUnavailable(f"{symbol}: Alpaca sent bars doubled or out of order", CURE, symbol=symbol)
        labels, traded = coarser(labels, traded, exchange.opens, 60)
    return History(symbol, labels, traded, events[0], issues=events[1])


def events_of(symbol: str, rows: list[Action], start: pd.Timestamp, end: pd.Timestamp) -> Events:
    """Splits and dividends by ex-date from `start` to `end`, and an issue for what cannot be booked."""
    booked: dict[pd.Timestamp, tuple[float, float]] = {}
    issues: list[Issue] = []
    try:
        for kind, row in rows:
            if symbol not in (row.get("symbol"), row.get("source_symbol"), row.get("old_symbol")):
                continue
            ex = pd.Timestamp(row.get("ex_date") or row["effective_date"])
            if not start <= ex <= end:
                continue
            split, paid = booked.get(ex, (1.0, 0.0))
            if kind in ("forward_split", "reverse_split"):
                booked[ex] = split * float(row["new_rate"]) / float(row["old_rate"]), paid
            elif kind == "cash_dividend" and (row.get("currency") or "USD") == "USD":
                booked[ex] = split, paid + float(row["rate"])
            else:
                issues.append(Issue("ACTION_NOT_BOOKED", symbol, f"{kind} on {ex:%Y-%m-%d}: prices across it are not adjusted"))
        table = np.array([(ex.to_datetime64(), *booked[ex]) for ex in sorted(booked)], EVENT)
        if not ((table["split"] > 0) & np.isfinite(table["split"]) & (table["dividend"] >= 0)).all():
            raise ValueError(f"impossible among {table.tolist()}")
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        what = f"{symbol}: its actions at Alpaca cannot be read ({type(error).__name__}: {error})"
        raise DataUnavailable(what, CURE, symbol=symbol) from error
    return table, tuple(issues)


def actions_in(page: Mapping[str, Any]) -> list[Action]:
    """All rows of a page of corporate actions, each with its kind in the singular."""
    try:
        kinds = page["corporate_actions"] or {}
        return [(kind.removesuffix("s"), row) for kind, rows in kinds.items() for row in rows]
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable("actions", error) from error


def _unreadable(what: str, error: Exception) -> DataUnavailable:
    return DataUnavailable(f"Alpaca's page of {what} cannot be read ({type(error).__name__}: {error})", CURE)
