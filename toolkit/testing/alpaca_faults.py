"""What can go wrong between an exchange and its client: FAULTS names the ways, `AlpacaServer.fault` queues them.

    alpaca.fault("504", method="POST", path="/v2/orders")           # booked, but the answer is lost
    alpaca.fault("reset-unbooked", method="POST", path="/v2/orders")  # lost before the exchange saw it
    alpaca.fault("duplicate", path="/stream")                        # of the stream: duplicate, reorder, lost, reset

The ways of TRANSPORT strike after the exchange has booked, with "-unbooked" before it; a refusal is never booked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit.testing.exchange import Exchange
from toolkit.testing.exchange_values import ExchangeOrder, Refusal

TRANSPORT = ("429", "500", "504", "html", "truncated", "short", "reset", "stall", "drip", "empty", "null")
UNBOOKED = "-unbooked"
STREAM = ("duplicate", "reorder", "lost", "reset")
REFUSALS: dict[str, tuple[dict[str, Any], int]] = {
    "401": ({"code": 40110000, "message": "request is not authorized"}, 401),
    "403": ({"message": "forbidden."}, 403),
    "422": ({"code": 42210000, "message": "unprocessable"}, 422),
}
Body = Any


def each_order(body: Body, change: Callable[[dict[str, Any]], None]) -> Body:
    for row in body if isinstance(body, list) else [body]:
        if isinstance(row, dict) and "client_order_id" in row:
            change(row)
    return body


def each_fill(body: Body, change: Callable[[dict[str, Any]], None]) -> Body:
    for row in body if isinstance(body, list) else [body]:
        if isinstance(row, dict) and row.get("activity_type") == "FILL":
            change(row)
    return body


def hidden(body: Body) -> Body:
    return [] if isinstance(body, list) else {"code": 40410000, "message": "order not found"}


CONTENT: dict[str, Callable[[Body], Body]] = {
    "hidden": hidden,  # the order is there, and not seen yet
    "duplicate": lambda body: [row for row in body for _ in range(2)] if isinstance(body, list) else body,
    "reorder": lambda body: body[::-1] if isinstance(body, list) else body,
    "strange-status": lambda body: each_order(body, lambda row: row.update(status="held_for_review")),
    "wrong-id": lambda body: each_order(body, lambda row: row.update(client_order_id=row["client_order_id"] + "-other")),
    "overfill": lambda body: each_fill(body, lambda row: row.update(qty=f"{float(row['qty']) * 1000:g}")),
    "negative-price": lambda body: each_fill(body, lambda row: row.update(price="-" + row["price"])),
}
"""What a whole reply says that it should not; "hidden" of a single order is a 404."""

AFTERWARDS: dict[str, Callable[[Exchange, ExchangeOrder], Any]] = {
    "rejected-later": lambda exchange, order: exchange.reject(order),
    "replaced": lambda exchange, order: exchange.replace(order),
}
"""What happens to the order of a reply once the reply is written."""

DURING = ("blocked", "cancel-race")
"""The account is blocked for this one request; an order that is cancelled fills if it can."""

FAULTS = (
    *TRANSPORT, *(kind + UNBOOKED for kind in TRANSPORT[1:]), *REFUSALS, *CONTENT, *AFTERWARDS, *DURING, "lost"
)  # fmt: skip


def during(kind: str, exchange: Exchange, ask: Callable[[], tuple[Body, int]], path: str) -> tuple[Body, int]:
    """The page of a request in which the account is blocked, or in which a cancellation loses the race."""
    if kind == "blocked":
        before, exchange.blocked = exchange.blocked, True
        try:
            return ask()
        finally:
            exchange.blocked = before
    order = exchange.orders.get(path.rsplit("/", 1)[1])
    if order is None:
        return ask()
    try:
        exchange.cancel(order, race=True)
    except Refusal as refusal:
        return refusal.body, refusal.status
    return None, 204
