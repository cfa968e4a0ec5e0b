"""Whether a ledger holds together: the account is the fold of its events, and orders moved only where they may."""

from __future__ import annotations

from toolkit.execution.ledger import Ledger
from toolkit.execution.schema import NEXT


def verify(ledger: Ledger) -> list[str]:
    """What does not hold together, as sentences; an empty list is a sound ledger."""
    wrong = ledger.damage()
    events, account = ledger.frame("events"), ledger.account()
    if account.cash != (folded := int(events["cash"].sum())):
        wrong.append(f"cash is {account.cash} micro-dollars, its events sum to {folded}")
    shares = events.groupby("symbol")["qty"].sum().to_dict()
    held = {symbol: p.qty for symbol, p in account.positions.items()}
    for symbol in sorted(shares.keys() | held.keys()):
        if shares.get(symbol, 0) != held.get(symbol, 0):
            wrong.append(f"{symbol}: {held.get(symbol, 0)} micro-shares held, events sum to {shares.get(symbol, 0)}")
    state: dict[str, str] = {}
    for order, before, after in ledger.frame("order_events")[["id", "before", "after"]].itertuples(index=False):
        if state.get(order, "") != before or after not in NEXT.get(before, ()):
            wrong.append(f"order {order} went from {before!r} to {after!r}")
        state[order] = after
    for order, status in ledger.frame("intents")[["id", "status"]].itertuples(index=False):
        if state.get(order) != status:
            wrong.append(f"order {order} is {status}, its events end at {state.get(order)}")
    return wrong
