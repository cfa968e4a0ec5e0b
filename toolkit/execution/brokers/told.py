"""What a broker tells becomes events of the ledger, each once."""

from __future__ import annotations

import json
from collections.abc import Sequence

from toolkit.execution import folding
from toolkit.execution.brokers.values import Activity
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Outcome, Position, shares
from toolkit.execution.schema import WAITING


def book(ledger: Ledger, told: Sequence[Activity]) -> list[str]:
    """Each activity that is new becomes an event: position, cash, order and event in one transaction; what cannot be, as said.

    A fill of an order that is not known by this name gets its order when that turns up (`entries.name`).
    """
    ids = json.dumps([f"broker:{activity.id}" for activity in told])
    known = set(ledger.rows("SELECT id FROM events WHERE id IN (SELECT value FROM json_each(?))", ids))
    positions, problems = ledger.account().positions, list[str]()
    for activity in told:
        if (f"broker:{activity.id}",) in known:
            continue
        order = order_of(ledger, activity)
        problem = impossible(activity, order)
        if problem:
            problems.append(problem)
            continue
        held = positions.get(activity.symbol or "", Position(activity.symbol or ""))
        event = folding.event_of(activity, order[0] if order else None, held)
        moved = [folding.after(held, event)] if event.symbol and event.qty else []
        outcomes = []
        if order:
            rest = order[1] - abs(activity.qty)
            ended = order[2] not in WAITING  # a fill that outran a cancellation: what is left stays cancelled
            outcomes.append(Outcome(order[0], ("" if ended else "PARTIAL") if rest else "FILLED", rest))
        ledger.book([event], moved, outcomes)
        known.add((event.id,))
        positions |= {position.symbol: position for position in moved}
    return problems


def order_of(ledger: Ledger, activity: Activity) -> tuple[str, int, str] | None:
    """Our id of the order that was filled, the micro-shares of it that wait, and its state."""
    if activity.kind != "fill":
        return None
    rows = ledger.rows("SELECT id, rest, status FROM intents WHERE broker_id = ?", activity.broker_id)
    return rows[0] if rows else None


def impossible(activity: Activity, order: tuple[str, int, str] | None) -> str:
    if activity.kind != "fill":
        return ""
    if not (activity.price is not None and activity.price > 0.0):
        return f"the broker told of a fill at {activity.price} ({activity.id})"
    if order and abs(activity.qty) > order[1]:
        return f"the broker filled {shares(abs(activity.qty))} of {order[0]}, {shares(order[1])} were left"
    return ""
