"""One turn of the wheel: settle what waits, decide at the close, pass the gate, send.

Replay and paper turn it with the paper broker, and a live broker turns the same.  A turn that is repeated, or resumed after
a kill at any point, sends each order once: the plan is in the ledger before anything is sent.

What the gate denied for a reason that passes (a switch, a clock, late data) is planned again by a later turn of the same
session, once the gate lets it pass: as a further leg, with ids and a row among the cycles (`key+1`, ...) of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from toolkit.data import Bars, Clock, SystemClock
from toolkit.data.work import phase
from toolkit.execution.arming import UNSEEN
from toolkit.execution.book import KINDS, LIMIT_NAMES, Past, book_symbols, read_only, to_book
from toolkit.execution.brokers import Desk
from toolkit.execution.brokers.values import Report
from toolkit.execution.gate import Gate, Verdict, opens
from toolkit.execution.ledger import Ledger
from toolkit.execution.lifecycle import cancel, close_others, denied, legs, moved, resolve, send_planned
from toolkit.execution.orders import Account, Fill, Intent, Order, order_id
from toolkit.execution.schema import UNSENT, UNSURE
from toolkit.execution.situation import Quotes, Situation, quotes, recorded, today
from toolkit.kernels.account import REPLACED, Rules
from toolkit.kernels.portfolio import decide

EQUITIES = "coalesce(peak, 0), coalesce(day_equity, 0)"  # the highest, and that of the close before, micro-dollars
HALTED = {"KILL_SWITCH", "HALT"}  # codes of denials that let nothing pass, whatever the order
Look = Callable[[Quotes, pd.Timestamp, str, Sequence[str]], Situation]
"""From quotes, session, cycle key and the symbols that are asked for to the situation of this instant."""


@dataclass(frozen=True)
class Plan:
    """What one close asks for: orders, those cut to nothing, the scores they answer to, and orders they replace."""

    orders: tuple[Order, ...] = ()
    cut: tuple[Order, ...] = ()
    scores: Mapping[str, float] | None = None
    superseded: tuple[str, ...] = ()


class Leg(NamedTuple):
    """Which decision is planned again, and for which symbols: the number of orders of each that were denied before."""

    key: str
    times: Mapping[str, int]


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
    issues: tuple[str, ...] = ()  # what does not agree with the broker's books
    unsent: tuple[Order, ...] = ()  # planned, not at the broker yet
    unsure: tuple[Order, ...] = ()  # of unknown fate
    denied: tuple[str, ...] = ()  # symbols that are tried again in this session, once what denied their orders has passed


def plan(scores: Mapping[str, float], weights: Mapping[str, float], account: Account, rules: Rules, key: str,
         symbols: Sequence[str], past: Past = Past(), leg: Leg | None = None) -> Plan:  # fmt: skip
    """Orders from this close's scores and weights; a symbol without either, or not of the `leg`, is left as it is.

    `past`: what the limits of losses and turnover go by.
    """
    of, times = leg or (key, {})
    if leg is not None:
        scores, weights = ({s: x for s, x in wished.items() if s in times} for wished in (scores, weights))
    names = book_symbols(account, symbols)
    book = to_book(account, names, len(account.waiting), past)
    column = [read_only(np.array([[x.get(s, np.nan)] for s in names], dtype=float)) for x in (scores, weights)]
    decide(0, *column, book, rules)
    orders: list[Order] = []
    cut: list[Order] = []
    for w in book.placed[: book.account[0]["placed"]]:
        symbol, side = names[w["symbol"]], "sell" if (w["qty"] or w["wanted"]) < 0 else "buy"
        name = order_id(account.name, account.mode, of, symbol, side, times.get(symbol, 0))
        sizes = abs(int(w["qty"])), abs(int(w["wanted"]))
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


def closing_first(wish: Plan, situation: Situation) -> Plan:
    """At a broker where no order may cross from one side to the other, those that would close alone.

    Their scores are forgotten, so that the next session decides about the other side.
    """
    account, halves = situation.account, dict[str, int]()
    for o in () if situation.crosses else wish.orders:
        if 0 < (beyond := opens(o, account)) < o.qty:
            halves[o.id] = o.qty - beyond
    if not halves:
        return wish
    orders = tuple(replace(o, qty=halves[o.id], limit="NO_CROSSING") if o.id in halves else o for o in wish.orders)
    again = {o.symbol: math.nan for o in orders if o.id in halves}
    return replace(wish, orders=orders, scores={**(wish.scores or {}), **again})


def judge(wish: Plan, situation: Situation, gate: Gate) -> list[Verdict]:
    """The gate's verdicts on a plan, in an account without the orders that the plan replaces."""
    kept = tuple(o for o in situation.account.waiting if o.id not in wish.superseded)
    return gate.review(wish.orders, replace(situation, account=replace(situation.account, waiting=kept)))


def superseded(wish: Plan, verdicts: Sequence[Verdict], account: Account) -> tuple[str, ...]:
    """Orders that the plan replaces: where a halt denies the successor, what waits at the broker is left as it is."""
    stopped = {v.order.symbol for v in verdicts if v.code in HALTED}
    kept = {o.id for o in account.waiting if o.symbol in stopped}
    return tuple(order for order in wish.superseded if order not in kept)


def decided(scores: Mapping[str, float], weights: Mapping[str, float], gate: Gate, key: str, symbols: Sequence[str],
            desk: Desk, around: Callable[[Sequence[str]], Situation], past: Past,
            leg: Leg | None) -> tuple[Plan, Situation, list[Verdict], Leg | None]:  # fmt: skip
    """A plan, what it was judged on, the verdicts, and the leg: of one, that alone is planned which passes by now."""
    while True:
        wish = plan(scores, weights, desk.account(), gate.rules, key, symbols, past, leg)
        situation = around([o.symbol for o in wish.orders])
        wish = closing_first(wish, situation)
        verdicts = judge(wish, situation, gate)
        passed = {v.order.symbol for v in verdicts if v.passed}
        if leg is None or passed == set(leg.times):
            return replace(wish, superseded=superseded(wish, verdicts, situation.account)), situation, verdicts, leg
        leg = leg._replace(times={s: n for s, n in leg.times.items() if s in passed})


@phase("execution")
def turn(bars: Bars, scores: Mapping[str, float], weights: Mapping[str, float], *, key: str, desk: Desk, ledger: Ledger,
         gate: Gate, clock: Clock = SystemClock(), look: Look | None = None, missing: int = 0, late: bool = False,
         suspect: Mapping[str, str] | None = None, config: str = "") -> Turn:  # fmt: skip
    """Resolves what is unknown, settles up to the last bar, then plans and sends the cycle `key`.

    Of one that is done only what was denied, and passes by now, is planned and sent.

    `look` gathers what the gate looks at, the account and the ledger's counts by default. `late`: the open at which orders of
    this close would fill has passed, so none is sent. `suspect`: symbols whose bars are doubtful, and why.
    `config`: a hash of the configuration, kept with the plan.
    """
    resolve(ledger, desk, clock)
    issues = tuple(desk.reconcile())
    first = key
    with _together(ledger, desk):
        fills, planned = tuple(desk.settle(bars)), legs(ledger, first)
        apart = desk.apart(bars)
        issues += tuple(f"SPLIT: {symbol}: {why}" for symbol, why in apart.items())
        key = planned[-1] if planned else first
        close_others(ledger, "" if late else key)
        status = ledger.cycle_status(key)
        again = {} if late or status != "done" else denied(ledger, planned)
        if late or (status == "done" and not again):
            done = status == "done"
            return _left(ledger, Turn(fills, repeated=done, late=late and not done, issues=issues), [] if late else planned)
        leg = Leg(first, again) if again else None
        key = f"{first}+{len(planned)}" if again else key
        apart = {**(suspect or {}), **apart}
        if status == "planned":  # before a kill, or while what it replaces waited: news may have come since
            apart = {**moved(ledger, desk.account(), key), **apart}
        around = partial(look or partial(situated, ledger, desk), quotes(bars, missing, apart), bars.index[-1], key)
        wish, verdicts = Plan(), list[Verdict]()
        if status != "planned":
            past = past_of(ledger, bars.index[-1], key)
            wish, situation, verdicts, leg = decided(scores, weights, gate, key, bars.symbols, desk, around, past, leg)
            if status == "done" and not verdicts:
                return _left(ledger, Turn(fills, repeated=True, issues=issues), planned)
            about = {"symbols": list(bars.symbols), "at": ledger.now(), "config": config} | ({"leg": leg} if leg else {})
            status = _planned(wish, verdicts, situation, scores, weights, about, bars, key, ledger, desk)
    denials, cut = tuple(v for v in verdicts if not v.passed), wish.cut
    cancel(wish.superseded, desk)
    if status == "done":
        return _left(ledger, Turn(fills, (), denials, cut, issues=issues), [*planned, key])
    orders, more, rejected = send_planned(ledger, desk, gate, key, around, clock)
    if not ledger.is_open(key):
        ledger.close_cycle(key)
    return _left(ledger, Turn(fills, orders, denials + more, cut, rejected, issues=issues), legs(ledger, first))


@contextmanager
def _together(ledger: Ledger, desk: Desk) -> Iterator[None]:
    """One transaction, so one wait for the disk, to settle and decide a close where the broker lives in the ledger."""
    try:
        with ledger.transaction() if desk.sure else nullcontext():
            yield
    except BaseException:
        desk.forget()  # what it remembers of the account was not written
        raise


def _planned(wish: Plan, verdicts: Sequence[Verdict], situation: Situation, scores: Mapping[str, float],
             weights: Mapping[str, float], about: dict[str, Any], bars: Bars, key: str, ledger: Ledger,
             desk: Desk) -> str:  # fmt: skip
    """Writes the plan down with what it was decided on; the status of its cycle, done where nothing is to be sent."""
    intents = [
        Intent(v.order, "PLANNED" if v.passed else "DENIED", str(v) if v.code else "", v.code, v.measured, v.limit)
        for v in verdicts
    ] + [Intent(o, "CUT", o.limit) for o in wish.cut]
    idle = not any(i.status == "PLANNED" for i in intents)
    kept = recorded(situation, scores, weights) | about if intents or wish.scores else None
    ledger.plan(key, bars.index[-1], bars.fingerprint, intents, wish.scores or {}, wish.superseded, idle, kept)
    if intents:
        desk.forget()
    return "done" if idle else "planned"


def _left(ledger: Ledger, done: Turn, planned: Sequence[str]) -> Turn:
    """With what is left to do, of the legs that were planned."""
    unsent, unsure = ledger.orders_in(*UNSENT), ledger.orders_in(*UNSURE)
    return replace(done, unsent=tuple(unsent), unsure=tuple(unsure), denied=tuple(denied(ledger, planned)))


def situated(ledger: Ledger, desk: Desk, seen: Quotes, session: pd.Timestamp, key: str, symbols: Sequence[str]) -> Situation:
    """What account, ledger and broker say now; an engine adds switches, and conditions without which no real money moves."""
    about = desk.outlook(symbols)
    standing, why, peak, day = ledger.rows(f"SELECT standing, why, {EQUITIES} FROM account")[0]
    account = desk.account()
    frozen = {**account.unpriced, **about.frozen}
    seen = replace(seen, suspect={**seen.suspect, **frozen}) if frozen else seen
    blocked = f"the broker has blocked the account: {about.blocked}" if about.blocked else ""
    unarmed = UNSEEN if getattr(desk, "live", True) is not False else None
    return Situation(
        account, seen, today(ledger, session, key), standing, why, blocked, unarmed, peak, day, about.pause,
        about.accepts, about.skew, "", about.buying_power, about.assets, about.crosses, account.booked,
        desk.splitting(session) if symbols else {}, _foreign(about.others, account),
    )  # fmt: skip


def _foreign(reports: Sequence[Report], account: Account) -> tuple[Order, ...]:
    """Orders of others as orders, at the last price of their symbols, or at their own; NaN where there is neither."""
    marks = {symbol: p.mark for symbol, p in account.positions.items() if p.mark == p.mark}
    return tuple(Order(r.id, "", r.symbol, r.side, r.qty - r.filled, marks.get(r.symbol, r.level)) for r in reports)


def past_of(ledger: Ledger, session: pd.Timestamp, key: str) -> Past:
    """What the limits of losses and turnover go by."""
    peak, day = ledger.rows(f"SELECT {EQUITIES} FROM account")[0]
    return Past(day, peak, today(ledger, session, key).turnover)


def last_row(frame: pd.DataFrame) -> dict[str, float]:
    """The last row as symbol -> value."""
    return dict(zip(frame.columns, frame.to_numpy()[-1].tolist(), strict=True))
