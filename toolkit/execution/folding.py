"""What one event does to a position, and what the closes of bars do to all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from toolkit.data import Bars
from toolkit.errors import LedgerError
from toolkit.execution.brokers.values import Activity
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account, Event, Fill, Position
from toolkit.execution.splits import EASTERN, Basis


def after(position: Position, event: Event) -> Position:
    """The position after a fill, split or adoption; the average price moves only where something is added.

    A split keeps what the position cost, so its average price and best price move against the shares.
    """
    qty = position.qty + event.qty
    if event.kind == "split" and qty == 0:
        return replace(position, qty=0, entry=math.nan, peak=math.nan)
    if event.kind == "split":
        ratio = qty / position.qty if position.qty else 1.0
        return replace(position, qty=qty, entry=position.entry / ratio, mark=position.mark / ratio, peak=position.peak / ratio)
    if event.kind not in {"fill", "adoption"} or not event.qty or event.price is None:
        return replace(position, qty=qty)
    mark = event.price if math.isnan(position.mark) else position.mark
    return replace(position, qty=qty, entry=_entry(position, event.qty, event.price), peak=_peak(position, qty), mark=mark)


def _entry(position: Position, moved: int, price: float) -> float:
    qty = position.qty + moved
    if qty == 0:
        return math.nan
    if position.qty == 0 or (qty > 0) != (position.qty > 0):  # opened, or turned around
        return price
    if abs(qty) > abs(position.qty):
        return (position.qty * position.entry + moved * price) / qty
    return position.entry


def _peak(position: Position, qty: int) -> float:
    turned = position.qty == 0 or (qty > 0) != (position.qty > 0)
    return math.nan if qty == 0 or turned else position.peak


def marked(account: Account, bars: Bars, found: Mapping[str, Basis]) -> dict[str, Position]:
    """The positions of the symbols of `bars`, held or not, at their last closes, in the shares that are held (`found`).

    One that never traded is left out.
    """
    close, positions = bars.traded[3], {}
    for n, symbol in enumerate(bars.symbols):
        seen = np.flatnonzero(~np.isnan(close[n]))
        if len(seen):
            position, at = account.positions.get(symbol, Position(symbol)), seen[-1]
            mark = float(close[n, at]) * found.get(symbol, Basis()).factor
            positions[symbol] = replace(position, mark=mark, seen=bars.index[at])
    return positions


def first_marks(account: Account, prices: Mapping[str, float]) -> list[Position]:
    """The positions without a price of which there is one now."""
    return [replace(account.positions[s], mark=prices[s]) for s in account.unpriced if prices.get(s, math.nan) > 0.0]


def scaled(qty: int, splits: Iterable[tuple[str, float]], since: str = "") -> int:
    """Micro-shares of an order after its splits (session, new shares for one), those after the session `since`."""
    for session, ratio in splits:
        qty = round(qty * ratio) if session > since else qty
    return qty


def fills_since(ledger: Ledger, session: pd.Timestamp | None) -> list[Fill]:
    """The fills of sessions after this one; None: all of them."""
    rows = ledger.rows(
        "SELECT id, order_id, session, symbol, qty, price, fee, reason FROM events WHERE kind = 'fill' AND session > ?",
        "" if session is None else session.isoformat(),
    )
    return [Fill(i, o or "", pd.Timestamp(s), symbol, q, p, f, r) for i, o, s, symbol, q, p, f, r in rows]


def day_of(instant: pd.Timestamp) -> pd.Timestamp:
    """The exchange's date at an instant, tz-naive; a session is its own."""
    return (instant if instant.tz is None else instant.tz_convert(EASTERN).tz_localize(None)).normalize()


def event_of(activity: Activity, order: str | None, held: Position) -> Event:
    """An activity of the broker as an event of the ledger, under the session (the exchange's date) on which it happened.

    Of a dividend the price is dollars a share, of a split the new shares for one.
    """
    day = day_of(activity.at).isoformat()
    if activity.kind == "fill" and activity.symbol is None:
        raise LedgerError(f"the broker told of a fill without a symbol ({activity.id})", "look at the account there")
    reason = "FILLED" if activity.kind == "fill" else ""
    price = activity.price
    if price is None and held.qty and activity.kind in {"dividend", "split"}:
        price = activity.cash / held.qty if activity.kind == "dividend" else (held.qty + activity.qty) / held.qty
    amounts = activity.qty, activity.cash, activity.fee, price
    return Event(f"broker:{activity.id}", day, activity.kind, activity.symbol, order, *amounts, 0, reason, activity.broker_id)
