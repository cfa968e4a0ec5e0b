"""An order's way to the broker and back, so that no kill, lost reply or restart makes it two, or none.

The states and what leads from one to the next are drawn in the README.md beside this file.

The plan of a whole cycle is one transaction (TX1); each step of an order is one (TX2 before sending, TX3 after), and so is
whatever a settlement or a broker's news changes (TX4).  A cycle is done (TX5) when no order of it is PLANNED, SENDING, UNKNOWN
or ABSENT.  What is UNKNOWN is looked up by its id, never sent again blindly; what surely never left is ABSENT at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pandas as pd

from toolkit.data.clock import Clock, waiting
from toolkit.data.interrupts import deferred_interrupts
from toolkit.execution.brokers import Desk
from toolkit.execution.entries import situation_of
from toolkit.execution.gate import Gate, Verdict, opens
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account, Order, shares
from toolkit.execution.schema import UNSENT, UNSURE
from toolkit.execution.situation import Situation

log = logging.getLogger(__name__)
LOOKS = 3  # at least, until an order that is not found is absent,
PATIENCE = pd.Timedelta("10s")  # and this long after it was sent
TURNS = 3  # of waiting for the broker's pace: a look may take the turn itself
LATE = "its open had passed before it was sent"
PASSING = {
    "KILL_SWITCH", "HALT", "REDUCE_ONLY", "LIVE_NOT_ARMED", "ORDER_RATE", "CLOCK_SKEW", "MARKET_CLOSED", "STALE_DATA",
    "UNIVERSE_PARTIAL", "SYMBOL_FROZEN", "SPLITS_UNKNOWN", "BUYING_POWER",
}  # fmt: skip
"""Codes of denials that time, news or a person takes away within a session."""


def legs(ledger: Ledger, key: str) -> list[str]:
    """Keys of a cycle that was planned: its own, then one each time that something denied was planned again; else none."""
    found = [key] if ledger.cycle_status(key) else []
    while found and ledger.cycle_status(following := f"{key}+{len(found)}"):
        found.append(following)
    return found


def denied(ledger: Ledger, keys: Sequence[str]) -> dict[str, int]:
    """Symbols of a cycle whose every order was denied before it was sent, at last for a reason that passes; how many orders.

    Nothing of them ever reached a broker: another order of the same decision doubles nothing.
    """
    codes: dict[str, list[str]] = {}
    for symbol, status, code in ledger.rows(
        "SELECT i.symbol, i.status, (SELECT v.code FROM verdicts v WHERE v.id = i.id ORDER BY v.seq DESC LIMIT 1)"
        f" FROM intents i WHERE i.cycle IN ({','.join('?' * len(keys))}) ORDER BY i.rowid",
        *keys,
    ):
        codes.setdefault(symbol, []).append((status == "DENIED" and code) or "")
    return {symbol: len(found) for symbol, found in codes.items() if all(found) and found[-1] in PASSING}


def moved(ledger: Ledger, account: Account, key: str) -> dict[str, str]:
    """Symbols whose planned orders are of another size than would be asked for now, since what is held of them has changed.

    What an order replaces may fill before its cancellation works, and a hand may have traded. Of a cycle that an earlier
    toolkit planned nobody knows.
    """
    orders = ledger.orders_in(*UNSENT, cycle=key)
    kept = situation_of(ledger.rows("SELECT situation FROM cycles WHERE key = ?", key)[0][0]) if orders else None
    if kept is None:
        return {}
    was = {symbol: qty for symbol, qty, *_ in kept["account"][4]}
    now = {o.symbol: account.positions[o.symbol].qty if o.symbol in account.positions else 0 for o in orders}
    return {
        symbol: f"{shares(qty)} shares held, {shares(was.get(symbol, 0))} when the order was planned"
        for symbol, qty in now.items()
        if qty != was.get(symbol, 0)
    }


def send(order: Order, ledger: Ledger, desk: Desk) -> str:
    """Hands one order in and returns its next state; each step is in the ledger before the next is taken."""
    with deferred_interrupts():
        ledger.move(order.id, "SENDING")
        try:
            answer = desk.submit(order)
        except Exception as error:  # whatever went wrong, the order may have arrived
            log.warning("no answer to order %s (%s)", order.id, type(error).__name__)
            ledger.move(order.id, "UNKNOWN", type(error).__name__)
            return "UNKNOWN"
        ledger.move(order.id, answer.status, answer.detail, answer.broker_id)
        return answer.status


def resolve(ledger: Ledger, desk: Desk, clock: Clock) -> None:
    """Looks up each order whose fate is unknown."""
    for order in ledger.orders_in(*UNSURE):
        found = desk.find(order.id)
        if found is not None:
            ledger.move(order.id, found.status, f"found by its id {found.detail}".strip(), found.broker_id)
        elif desk.sure or _gone(ledger, order.id, clock.now()):
            ledger.move(order.id, "ABSENT", "not at the broker")
        else:
            ledger.move(order.id, "UNKNOWN", "not found yet")
            ledger.looked(order.id)


def _gone(ledger: Ledger, order: str, now: pd.Timestamp) -> bool:
    looks, sent = ledger.rows("SELECT looks, sent FROM intents WHERE id = ?", order)[0]
    return looks + 1 >= LOOKS and (sent is None or now - pd.Timestamp(sent) >= PATIENCE)


def close_others(ledger: Ledger, key: str) -> None:
    """Closes cycles other than `key` that a kill left open: what never arrived at the broker has missed its open."""
    for cycle in ledger.open_cycles():
        if cycle != key:
            for order in ledger.orders_in(*UNSENT, cycle=cycle):
                ledger.move(order.id, "ABANDONED", LATE)
            if not ledger.is_open(cycle):
                ledger.close_cycle(cycle)


def send_planned(ledger: Ledger, desk: Desk, gate: Gate, key: str, look: Callable[[Sequence[str]], Situation], clock: Clock
                 ) -> tuple[tuple[Order, ...], tuple[Verdict, ...], tuple[Order, ...]]:  # fmt: skip
    """Passes what is planned through the gate once more and hands it in: orders sent, denials, rejected orders."""
    sent: list[Order] = []
    denials: list[Verdict] = []
    rejected: list[Order] = []
    account = desk.account()
    planned = sorted(ledger.orders_in(*UNSENT, cycle=key), key=lambda o: opens(o, account) > 0)  # the gate's sequence
    for i, order in enumerate(planned):
        situation = look([order.symbol])
        if situation.accepts is not None and order.kind == "market" and situation.accepts > clock.now():
            log.info("orders for the next open are taken from %s on: %s waits", situation.accepts, order)
            continue
        if order.symbol in desk.ending():
            log.info("what it replaces has not ended at the broker: %s waits", order)
            continue
        for _ in range(TURNS):
            if 0.0 < situation.pause <= gate.operations.max_pause:
                waiting(clock).sleep(situation.pause)
                situation = look([order.symbol])  # the last look at the switches comes after the wait
        verdict = gate.review([order], situation, planned[i + 1 :])[0]
        if not verdict.passed:
            ledger.denied(order.id, verdict.code, verdict.measured, verdict.limit, str(verdict))
            denials.append(verdict)
        elif (status := send(order, ledger, desk)) != "ABSENT":
            (rejected if status == "REJECTED" else sent).append(order)
    return tuple(sent), tuple(denials), tuple(rejected)


def cancel(orders: Sequence[str], desk: Desk) -> None:
    """Asks for the end of orders that a plan has replaced; a fill that comes first is booked all the same."""
    for order in orders:
        try:
            desk.cancel(order)
        except Exception as error:
            log.warning("no answer to the cancellation of %s (%s)", order, type(error).__name__)
