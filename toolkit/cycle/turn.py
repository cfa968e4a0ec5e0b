"""One turn of the wheel: settle what waits, decide at the close, pass the gate, send.

Replay and paper turn it with the paper broker, and a live broker turns the same.  A turn that is repeated, or resumed after
a kill at any point, sends each order once: the plan is in the ledger before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.data import Bars
from toolkit.execution.book import KINDS, LIMIT_NAMES, book_symbols, read_only, to_book
from toolkit.execution.brokers import Broker
from toolkit.execution.gate import Gate, Verdict
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account, Fill, Intent, Order, order_id
from toolkit.kernels.account import REPLACED, Rules
from toolkit.kernels.portfolio import decide


@dataclass(frozen=True)
class Plan:
    """What one close asks for: orders, those cut to nothing, the scores they answer to, and orders they replace."""

    orders: tuple[Order, ...] = ()
    cut: tuple[Order, ...] = ()
    scores: Mapping[str, float] | None = None
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Turn:
    """What happened: fills since the last turn, orders handed in, and what became of those that were not.

    `repeated`: the cycle had run before. `late`: the open had passed at which its orders would fill. Both send nothing.
    """

    fills: tuple[Fill, ...]
    orders: tuple[Order, ...] = ()
    denials: tuple[Verdict, ...] = ()
    cut: tuple[Order, ...] = ()
    rejected: tuple[Order, ...] = ()
    repeated: bool = False
    late: bool = False


def ages(bars: Bars, missing: int = 0) -> dict[str, int]:
    """Sessions since the last traded bar of each symbol, `missing` more if Bars itself ends that many sessions early."""
    traded = ~np.isnan(bars.traded[3])
    last = traded.shape[1] - 1 - np.argmax(traded[:, ::-1], axis=1)
    return {
        s: int(len(bars) - 1 - i) + missing for s, i, ever in zip(bars.symbols, last, traded.any(axis=1), strict=True) if ever
    }


def plan(scores: Mapping[str, float], weights: Mapping[str, float], account: Account, rules: Rules, key: str,
         symbols: Sequence[str]) -> Plan:  # fmt: skip
    """Orders from this close's scores and weights; a symbol without either is left as it is."""
    names = book_symbols(account, symbols)
    book = to_book(account, names, records=len(account.waiting))
    column = [read_only(np.array([[x.get(s, np.nan)] for s in names], dtype=float)) for x in (scores, weights)]
    decide(0, *column, book, rules)
    orders: list[Order] = []
    cut: list[Order] = []
    for w in book.placed[: book.account[0]["placed"]]:
        symbol, side = names[w["symbol"]], "sell" if (w["qty"] or w["wanted"]) < 0 else "buy"
        name, sizes = order_id(account.name, account.mode, key, symbol, side), (abs(int(w["qty"])), abs(int(w["wanted"])))
        kind = KINDS[int(w["kind"])], float(w["level"]), bool(w["day"])
        order = Order(name, key, symbol, side, sizes[0], float(w["mark"]), sizes[1], LIMIT_NAMES[int(w["limit"])], *kind)
        (orders if w["id"] else cut).append(order)
    replaced = [r for r in book.records[: book.account[0]["records"]] if r["reason"] == REPLACED]
    asked = {
        s: float(p["score"])
        for s, p in zip(names, book.positions, strict=True)
        if s in account.positions and p["score"] == p["score"] and p["score"] != account.positions[s].score
    }
    return Plan(tuple(orders), tuple(cut), asked, tuple(account.waiting[-1 - r["order"]].id for r in replaced))


def judge(wish: Plan, account: Account, gate: Gate, old: Mapping[str, int]) -> list[Verdict]:
    """The gate's verdicts on a plan, in an account without the orders that the plan replaces."""
    kept = replace(account, waiting=tuple(o for o in account.waiting if o.id not in wish.superseded))
    return gate.review(wish.orders, kept, old)


def turn(bars: Bars, scores: Mapping[str, float], weights: Mapping[str, float], *, key: str, broker: Broker,
         ledger: Ledger, gate: Gate, missing: int = 0, late: bool = False) -> Turn:  # fmt: skip
    """Settles up to the last bar, then plans and sends the cycle `key`; a cycle that is done is left alone.

    `late`: the open at which orders of this close would fill has passed, so none is sent.
    """
    fills = tuple(broker.settle(bars))
    look_up(ledger, broker)
    close_others(ledger, broker, "" if late else key)
    status = ledger.cycle_status(key)
    if status == "done" or late:
        return Turn(fills, repeated=status == "done", late=late and status != "done")
    denials: tuple[Verdict, ...] = ()
    cut: tuple[Order, ...] = ()
    old = ages(bars, missing)
    if status is None:
        account = broker.account()
        wish = plan(scores, weights, account, gate.rules, key, bars.symbols)
        verdicts = judge(wish, account, gate, old)
        denials, cut = tuple(v for v in verdicts if not v.passed), wish.cut
        intents = [Intent(v.order, "PLANNED" if v.passed else "DENIED", str(v) if v.code else "") for v in verdicts]
        intents += [Intent(o, "CUT", o.limit) for o in cut]
        idle = not any(i.status == "PLANNED" for i in intents)
        ledger.plan(key, bars.index[-1], bars.fingerprint, intents, wish.scores or {}, wish.superseded, done=idle)
        if intents:
            broker.forget()
        if idle:
            return Turn(fills, (), denials, cut)
    orders, more, rejected = send_planned(ledger, broker, gate, key, old)
    ledger.close_cycle(key)
    return Turn(fills, orders, denials + more, cut, rejected)


def send_planned(ledger: Ledger, broker: Broker, gate: Gate, key: str, old: Mapping[str, int]
                 ) -> tuple[tuple[Order, ...], tuple[Verdict, ...], tuple[Order, ...]]:  # fmt: skip
    """Passes what is planned through the gate once more and hands it in: orders sent, denials, rejected orders."""
    sent, denials, rejected = [], [], []
    planned = ledger.orders_in("SENDING", cycle=key) + ledger.orders_in("PLANNED", cycle=key)
    for i, order in enumerate(planned):
        verdict = gate.review([order], broker.account(), old, planned[i + 1 :])[0]
        if not verdict.passed:
            denials.append(verdict)
            give_up(order, ledger, str(verdict))
        elif send(order, ledger, broker) == "REJECTED":
            rejected.append(order)
        else:
            sent.append(order)
    return tuple(sent), tuple(denials), tuple(rejected)


def send(order: Order, ledger: Ledger, broker: Broker) -> str:
    """Hands one order in, unless the broker has it already; each step is in the ledger before the next is taken."""
    ledger.move(order.id, "SENDING")
    outcome = "ACCEPTED" if broker.find(order.id) else broker.submit(order)
    ledger.move(order.id, outcome)
    return outcome


def look_up(ledger: Ledger, broker: Broker) -> None:
    """Asks again for orders whose fate is unknown; what the broker has is accepted, and its fills come with settling."""
    for order in ledger.orders_in("UNKNOWN"):
        if broker.find(order.id):
            ledger.move(order.id, "ACCEPTED", "found by its id")


def give_up(order: Order, ledger: Ledger, reason: str) -> None:
    """Abandons an order that surely never arrived."""
    if ledger.status(order.id) == "SENDING":
        ledger.move(order.id, "UNKNOWN", reason)
    ledger.move(order.id, "ABANDONED", reason)


def close_others(ledger: Ledger, broker: Broker, key: str) -> None:
    """Closes cycles other than `key` that a kill left open: what never arrived at the broker missed its open."""
    for cycle in ledger.open_cycles():
        if cycle == key:
            continue
        for order in ledger.orders_in("SENDING", cycle=cycle) + ledger.orders_in("PLANNED", cycle=cycle):
            if broker.find(order.id):
                ledger.move(order.id, "SENDING")
                ledger.move(order.id, "ACCEPTED", "found by its id")
            else:
                give_up(order, ledger, "its open had passed before it was sent")
        ledger.close_cycle(cycle)
