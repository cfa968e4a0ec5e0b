"""What a broker tells becomes events of the ledger, each once: fills, splits, payments, and what a split made of an order.

A broker splits what waits as well, and its report alone says what it has made of an order: that is an event of kind split, with
the order and without shares. What was filled before it counts in the shares of today (`folding.scaled`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from toolkit.execution import folding
from toolkit.execution.brokers.values import Activity, Report
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Event, Outcome, Position, shares
from toolkit.execution.schema import WAITING, nan
from toolkit.execution.standing import HALT
from toolkit.kernels.account import UNIT

DAY = pd.Timedelta("1D")
ALONE = ": booked without an order"
ENDS = {"CANCELED", "EXPIRED", "REJECTED"}
NEVER = {"DENIED", "CUT", "REJECTED"}  # what never waited at the broker
ASKED = """SELECT id, symbol, side, qty, rest, status, coalesce(trigger, level), sent,
(SELECT json_group_array(json_array(session, price)) FROM events
 WHERE session >= date(intents.sent, '-1 day') AND kind = 'split' AND order_id = intents.id)
FROM intents WHERE """  # by the index of sessions: what is sent has no older events


class Placed(NamedTuple):
    """An order of ours: micro-shares that were ordered and that wait now, and the splits since: session, new shares for one."""

    id: str
    symbol: str
    side: str
    qty: int
    rest: int
    status: str
    level: float
    sent: str
    splits: tuple[tuple[str, float], ...]

    @property
    def size(self) -> int:
        """All of it in the shares of today."""
        return folding.scaled(self.qty, self.splits)

    @property
    def slack(self) -> int:
        """Micro-shares that may be lost where fractions of what waits were dropped."""
        return UNIT if self.splits else 0


def placed(ledger: Ledger, condition: str, value: str) -> list[Placed]:
    """Our orders that meet a condition."""
    rows = ledger.rows(ASKED + condition, value)
    return [
        Placed(*(*row, nan(level), sent or "", tuple(map(tuple, json.loads(splits))))) for *row, level, sent, splits in rows
    ]


def among(ledger: Ledger, reports: Sequence[Report]) -> dict[str, Placed]:
    """Our orders among those of the broker, by id."""
    ids = json.dumps([report.id for report in reports])
    return {order.id: order for order in placed(ledger, "id IN (SELECT value FROM json_each(?))", ids)}


def resize(ledger: Ledger, reports: Sequence[Report], told: Sequence[Activity]) -> list[str]:
    """Orders of another size at the broker than here were split there: theirs counts. What changed, as sentences."""
    known, said = among(ledger, reports), list[str]()
    for report in reports:
        order = known.get(report.id)
        if order is None or order.status in NEVER or report.symbol != order.symbol or report.qty in {0, order.size}:
            continue
        fills = ledger.rows("SELECT session, abs(qty) FROM events WHERE kind = 'fill' AND order_id = ?", order.id)
        ratio = report.qty / order.size
        for day in _days(ledger, order, told, fills):
            splits = (*order.splits, (day, ratio))
            filled = sum(folding.scaled(qty, splits, session) for session, qty in fills)
            if filled <= report.filled + UNIT:  # else it was filled after the split
                break
        if order.status == "FILLED" and abs(report.qty - filled) > UNIT:
            continue  # whatever that is, it is no split of what waited
        rest = 0 if order.status == "FILLED" else max(report.qty - filled, 0)
        event = Event(f"resized:{order.id}:{len(order.splits)}", day, "split", order.symbol, order.id, 0, 0, 0, ratio)
        ledger.book([event], [], [Outcome(order.id, "", rest, "", order.level / ratio)])
        size = f"{shares(report.qty)} at the broker, {shares(order.size)} here"
        said.append(f"SPLIT: order {order.id} to {order.side} {order.symbol} is of {size}; theirs counts")
    return said


def _days(ledger: Ledger, order: Placed, told: Sequence[Activity], fills: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Days from which on the size may have changed, the likeliest first: that of a split, after the fills, before them."""
    sent = folding.day_of(pd.Timestamp(order.sent or 0)).isoformat()
    asked = "SELECT session FROM events WHERE kind = 'split' AND qty <> 0 AND symbol = ?"
    days = [session for (session,) in ledger.rows(asked, order.symbol)]
    days += [folding.day_of(a.at).isoformat() for a in told if a.kind == "split" and a.symbol == order.symbol]
    yield from [day for day in sorted(days, reverse=True) if day > sent][:1]
    yield from [(pd.Timestamp(max(fills)[0]) + DAY).isoformat()] if fills else []
    yield sent


def book(ledger: Ledger, told: Sequence[Activity]) -> None:
    """Each activity that is new becomes an event: position, cash, order and event in one transaction.

    A fill of an order that is not known by this name gets its order when that turns up (`entries.name`). One that its order
    cannot have had is booked without it, so that our books are the broker's, and halts: once, since it is booked.
    """
    ids = json.dumps([f"broker:{activity.id}" for activity in told])
    known = set(ledger.rows("SELECT id FROM events WHERE id IN (SELECT value FROM json_each(?))", ids))
    positions = ledger.account().positions
    for activity in told:
        if (f"broker:{activity.id}",) in known:
            continue
        held = positions.get(activity.symbol or "", Position(activity.symbol or ""))
        event = folding.event_of(activity, None, held)
        found = placed(ledger, "broker_id = ?", activity.broker_id) if activity.kind == "fill" else []
        order = found[0] if found else None
        problem = impossible(activity, event.session, order)
        if problem:
            event = _without(event)
        elif order:
            event = replace(event, order=order.id)
        moved = [folding.after(held, event)] if event.symbol and event.qty else []
        with ledger.transaction():
            ledger.book([event], moved, [_outcome(order, event)] if order and not problem else [])
            if problem:
                ledger.stand(HALT, f"{problem} ({activity.id})", "reconciliation")
            if problem and order and order.status in WAITING:  # what is left of it, if anything, is cancelled there
                ledger.move(order.id, "CANCELED", "filled otherwise than ordered", forget=True)
        known.add((event.id,))
        positions |= {position.symbol: position for position in moved}


def impossible(activity: Activity, session: str, order: Placed | None) -> str:
    """Why the order cannot have been filled so, "" if it can."""
    if activity.kind != "fill":
        return ""
    if not (activity.price is not None and activity.price > 0.0):
        return f"the broker told of a fill at {activity.price}, which is not booked"
    if order is None:
        return ""
    side, qty = "buy" if activity.qty > 0 else "sell", abs(activity.qty)
    if (activity.symbol, side) != (order.symbol, order.side):
        moved, meant = f"{side} {shares(qty)} {activity.symbol}", f"{order.side} {order.symbol}"
        return f"the broker filled {moved} of {order.id}, which is to {meant}{ALONE}"
    if folding.scaled(qty, order.splits, session) > order.rest + order.slack:
        return f"the broker filled {shares(qty)} of {order.id}, {shares(order.rest)} were left{ALONE}"
    return ""


def _without(event: Event) -> Event:
    """The event of a fill that no order had; one without a price moves nothing: what it moved there shows as a difference."""
    if event.price is not None and event.price > 0.0:
        return replace(event, broker_id="")  # no order takes it later
    return replace(event, kind="transfer", qty=0, cash=0, fee=0, price=None, broker_id="")


def _outcome(order: Placed, event: Event) -> Outcome:
    rest = max(order.rest - folding.scaled(abs(event.qty), order.splits, event.session), 0)
    ended = order.status not in WAITING  # a fill that outran a cancellation: what is left stays cancelled
    return Outcome(order.id, ("" if ended else "PARTIAL") if rest else "FILLED", rest)


def end(ledger: Ledger, reports: Sequence[Report]) -> None:
    """Orders that ended without being filled whole, once all that was filled of them is booked."""
    waiting = {o.id: o for o in ledger.orders_in(*WAITING)}
    known = among(ledger, reports) if waiting else {}
    for report in reports:
        order, left = waiting.get(report.id), report.qty - report.filled
        if order is None:
            continue
        if 0 < abs(left - order.qty) < known[order.id].slack:  # the broker's own way of rounding what it has split
            ledger.book([], [], [Outcome(order.id, "FILLED" if report.status == "FILLED" else "", left)])
        elif left != order.qty:
            continue
        if report.status in ENDS:
            status = "CANCELED" if report.status == "REJECTED" and report.filled else report.status
            ledger.move(order.id, status, report.said, forget=True)
