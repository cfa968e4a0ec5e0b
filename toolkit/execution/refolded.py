"""The account folded again, event by event, and compared with the figures that were written down on the way.

A situation is the account as it was when a cycle was decided; equities are the account at a close. Shares, cash and average
prices are made of the events, marks are those of the situations, and the closes are in the order of the cycles.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from toolkit.errors import LedgerError
from toolkit.execution import entries, folding, schema
from toolkit.execution.orders import Account, Event, Position, order_id, shares

MIDNIGHT = "T00:00:00"  # how the label of a daily session ends
NAMED = re.compile(r"(fill|dividend|split|borrow|interest):(.*):\d+:(\d{4}-\d\d-\d\dT.*)")  # an event of the paper broker
TOLD = "broker:", "adoption:"  # how events of a broker's account are named
LEG = re.compile(r"\+\d+$")
UNREADABLE = KeyError, TypeError, ValueError, IndexError, LedgerError


class Row(NamedTuple):
    """A cycle, and what was kept of its situation: the account, highest equity and that of the close before."""

    cycle: Any
    sent: bool  # whether it had an order for the broker
    account: Account | None = None
    peak: int = 0
    day: int = 0

    @property
    def close(self) -> int | None:
        """Micro-dollars at the close that was decided; None where a later one may have ended the cycle."""
        return worth(self.account) if self.account else None if self.sent else self.cycle.equity


@dataclass(frozen=True)
class Written:
    """The tables of a ledger, its row of the account, and the cycles with their situations."""

    account: Account
    stated: Any
    tables: Mapping[str, list[Any]]
    rows: list[Row] = field(default_factory=list)

    @property
    def ours(self) -> bool:
        """Whether our paper broker wrote it: what settles there does so at a close, and nothing else is ever booked."""
        return self.account.mode in {"replay", "paper"} and not any(e.id.startswith(TOLD) for e in self.tables["events"])

    @property
    def lifted(self) -> bool:
        """Whether a person let it trade again, which begins the drawdown anew."""
        return any(change.after == "ACTIVE" for change in self.tables["standings"])

    def between(self, one: str, other: str) -> bool:
        """Whether a session may lie between two, which was settled too late to be decided and has no cycle."""
        if not (one.endswith(MIDNIGHT) and other.endswith(MIDNIGHT)):
            return one != other
        open_ = (
            "1111111" if any(np.datetime64(r.cycle.session[:10]).astype(int) % 7 in {2, 3} for r in self.rows) else "1111100"
        )
        return bool(np.busday_count(np.datetime64(one[:10]) + 1, np.datetime64(other[:10]), weekmask=open_) > 0)


def differences(account: Account, stated: Any, tables: Mapping[str, list[Any]]) -> Iterator[str]:
    """What does not follow from the events, as sentences; `stated`: the row of the account as it is written."""
    written = Written(account, stated, tables)
    sent = {o.cycle for o in tables["intents"] if o.status not in {"DENIED", "CUT"} or o.attempts}
    for cycle in tables["cycles"]:
        try:
            kept = entries.situation_of(cycle.situation)
            row = Row(cycle, cycle.key in sent)
            written.rows.append(row if kept is None else row._replace(**_kept(kept)))
        except UNREADABLE as error:
            yield f"cycle {cycle.key}: its situation cannot be read ({type(error).__name__})"
            written.rows.append(Row(cycle, True))
    for check in CHECKS:
        yield from check(written)


def _kept(kept: Mapping[str, Any]) -> dict[str, Any]:
    name, mode, cash, session, positions, _ = kept["account"]
    held = {s: Position(s, q, e, m, x, schema.time_of(seen), peak, out) for s, q, e, m, x, seen, peak, out in positions}
    account = Account(name, mode, cash, held, schema.time_of(session))
    return {"account": account, "peak": kept["peak"], "day": kept["day_equity"]}


def worth(account: Account) -> int:
    """Micro-dollars: cash and positions at their marks, those without one left out, as the ledger sums them."""
    return account.cash + sum(p.value for p in account.positions.values() if p.mark == p.mark)


def folded(held: Position, event: Any) -> Position:
    """The position after a row of the events; a split of ours says its exact ratio, of which lots may hold less."""
    if event.kind == "split" and NAMED.fullmatch(event.id) and event.price and held.qty + event.qty:
        return replace(held, qty=held.qty + event.qty, entry=held.entry / event.price)
    moved = Event(event.id, event.session, event.kind, event.symbol, None, event.qty, event.cash, event.fee, event.price)
    return folding.after(held, moved)


def _near(one: float, other: float) -> bool:
    return one == other or (one != one and other != other) or abs(one - other) <= 1e-9 * abs(other)


def _history(w: Written) -> Iterator[str]:
    """Each situation has the shares, cash and average prices that the events had made by then; so has the account today."""
    held, cash, events = dict[str, Position](), 0, iter(w.tables["events"])
    for row in [row for row in w.rows if row.account]:
        then = row.account
        assert then is not None
        theirs = {s: p.qty for s, p in then.positions.items() if p.qty}
        while then.cash != cash or theirs != {s: p.qty for s, p in held.items() if p.qty}:
            event = next(events, None)
            if event is None:
                yield f"cycle {row.cycle.key} was decided on shares and cash that the events never made"
                return
            cash += event.cash
            if event.symbol is not None and event.qty:
                held[event.symbol] = folded(held.get(event.symbol, Position(event.symbol)), event)
        yield from _averages(held, then, f"in the situation of cycle {row.cycle.key}")
    since = list(events)
    for event in since:
        if event.symbol is not None and event.qty:
            held[event.symbol] = folded(held.get(event.symbol, Position(event.symbol)), event)
    yield from _averages(held, w.account, "held")
    yield from _marks(w, {event.symbol for event in since if event.kind in {"split", "adoption"}})


def _averages(held: Mapping[str, Position], account: Account, where: str) -> Iterator[str]:
    for symbol, position in account.positions.items():
        mine = held.get(symbol, Position(symbol))
        if mine.qty == position.qty and not _near(position.entry, mine.entry):
            yield f"{symbol}: an average price of {position.entry} {where}, its events make {mine.entry}"


def _marks(w: Written, moved: set[str | None]) -> Iterator[str]:
    """Marks are those of the last cycle, if it was decided at the last close that was settled."""
    last = w.rows[-1].account if w.rows else None
    if last is None or last.session != w.account.session:
        return
    for symbol, then in last.positions.items():
        now = w.account.positions.get(symbol)
        if symbol not in moved and now is not None and now.seen == then.seen and not _near(now.mark, then.mark):
            yield f"{symbol}: marked at {now.mark}, at {then.mark} when cycle {w.rows[-1].cycle.key} was decided"


def _decisions(w: Written) -> Iterator[str]:
    """An order is named after its decision, at the close of which it was decided, and is as large as was wanted or was cut."""
    cycles, counts = {row.cycle.key: row for row in w.rows}, Counter[tuple[str, str]]()
    for o in w.tables["intents"]:
        decision = LEG.sub("", o.cycle)
        legs = range(counts[decision, o.symbol] + 1)
        counts[decision, o.symbol] += 1
        if o.id not in {order_id(w.account.name, w.account.mode, decision, o.symbol, o.side, leg) for leg in legs}:
            yield f"order {o.id} is not named after {w.account.name} ({w.account.mode}), {decision}, {o.side} {o.symbol}"
        if o.wanted and (o.qty > o.wanted or (not o.cut_by and o.qty != o.wanted)):
            cut = o.cut_by or "nothing"
            yield f"order {o.id} is for {shares(o.qty)}, {shares(o.wanted)} were wanted and {cut} cut it"
        row = cycles.get(o.cycle)
        position = row.account.positions.get(o.symbol) if row is not None and row.account else None
        if position is not None and o.reference != position.mark:
            yield f"order {o.id} was decided at {o.reference}, the situation of its cycle has {o.symbol} at {position.mark}"


def _events(w: Written) -> Iterator[str]:
    """What the paper broker booked is named after what it is; dividends are those of the shares that were held.

    No order is filled before the close at which it was decided.
    """
    began, held = {row.cycle.key: row.cycle.session for row in w.rows}, Counter[str]()
    orders = {o.id: began.get(o.cycle, "") for o in w.tables["intents"]}
    for e in w.tables["events"]:
        said = NAMED.fullmatch(e.id)
        if said and said.groups() != (e.kind, e.order_id or e.symbol or "", e.session):
            yield f"event {e.id} is a {e.kind} of {e.order_id or e.symbol} in {e.session}"
        if said and e.kind == "dividend" and not abs(e.cash - held[e.symbol] * (e.price or 0.0)) <= 1.0 + 1e-9 * abs(e.cash):
            yield f"event {e.id} moved {e.cash} micro-dollars, at {e.price} on {shares(held[e.symbol])} shares"
        if e.symbol is not None:
            held[e.symbol] += e.qty
        if e.kind == "fill" and e.session[:10] < orders.get(e.order_id, "")[:10]:
            yield f"event {e.id} of {e.session} fills an order that was decided at {orders[e.order_id]}"


def _sessions(w: Written) -> Iterator[str]:
    """The account is settled to the newest session that was decided or marked."""
    settled = w.stated.session
    if settled is None:
        return
    newest = max((row.cycle.session for row in w.rows if row.account or not row.sent), default="")
    marked = max((p.seen for p in w.account.positions.values() if p.seen is not None), default=None)
    for session in (newest, schema.text(marked) or ""):
        if session > settled:
            yield f"the account is settled to {settled}, {session} was decided or marked"
            return


def _closes(w: Written) -> Iterator[str]:
    """Each close follows the one before, and a cycle ends with that by which its orders were sent or given up."""
    if not w.ours:
        return
    before, over = None, _over(w)
    for n, row in enumerate(w.rows):
        if before and before.cycle.session == row.cycle.session and before.account:
            before = before._replace(cycle=row.cycle)
        elif before and row.account and not w.lifted and before.close not in {None, row.day}:
            late = w.between(before.cycle.session, row.cycle.session)
            if not late:
                yield f"cycle {before.cycle.key} ended with {before.close}, the next was decided after a close of {row.day}"
        if row.account and row.cycle.equity not in {None, row.close}:
            ends = [row, *_until(w.rows, n, over.get(row.cycle.key, ""))] if row.sent else [row]
            sessions = [one.cycle.session for one in ends]
            closes = {x for one in ends for x in (one.close, one.day)}
            if ends[-1] is w.rows[-1]:
                closes |= {w.stated.close_equity, w.stated.day_equity}
                sessions.append(w.stated.session or sessions[-1])
            unseen = row.sent and any(w.between(*pair) for pair in pairwise(sessions))
            if row.cycle.equity not in closes and not unseen:
                yield f"cycle {row.cycle.key} ended with {row.cycle.equity}, it was decided on an account of {row.close}"
        before = row


def _over(w: Written) -> dict[str, str]:
    """The day on which the last order of a cycle was sent or given up."""
    cycles, found = {o.id: o.cycle for o in w.tables["intents"]}, dict[str, str]()
    for step in w.tables["order_events"]:
        if step.before in {*schema.UNSENT, *schema.UNSURE} and (cycle := cycles.get(step.id)) is not None:
            found[cycle] = max(found.get(cycle, ""), step.at[:10])
    return found


def _until(rows: list[Row], n: int, day: str) -> Iterator[Row]:
    """The cycles after row n, to the first one after a day."""
    for row in rows[n + 1 :]:
        yield row
        if row.cycle.session[:10] > day:
            return


def _equities(w: Written) -> Iterator[str]:
    """The account's own equities are those of its last closes, and the highest is the highest of all."""
    s = w.stated
    if not w.ours or s.session is None:
        return
    if s.close_equity not in {None, worth(w.account)}:
        yield f"the last close had an equity of {s.close_equity}, the account is worth {worth(w.account)}"
    if w.lifted:
        return
    earlier = [row for row in w.rows if row.cycle.session < s.session]
    today = [row.day for row in w.rows if row.cycle.session == s.session and row.account]
    if not today and earlier and not w.between(earlier[-1].cycle.session, s.session):
        today = [close for close in [earlier[-1].close] if close is not None]
    if today and s.day_equity not in {None, today[-1]}:
        yield f"the close before had an equity of {today[-1]}, the account says {s.day_equity}"
    yield from _highest(w)


def _highest(w: Written) -> Iterator[str]:
    first = w.tables["events"][0].cash if w.stated.opened is not None and w.tables["events"] else None
    highest, all_known, last = first, first is not None, ""
    ends = [(row.cycle.session, row.close, row.peak if row.account else None, f"cycle {row.cycle.key}") for row in w.rows]
    ends.append((w.stated.session, w.stated.close_equity, w.stated.peak, "the account"))
    for session, close, peak, whose in ends:
        all_known = all_known and close is not None and not (last and w.between(last, session))
        if highest is not None and close is not None:  # a ledger that was brought forward begins with the first that was kept
            highest = max(highest, close)
        if peak is not None and highest is not None and (peak < highest or (all_known and peak != highest)):
            yield f"{whose} has a highest equity of {peak}, the closes make {highest}"
        if peak is not None:
            highest, all_known = peak, True
        last = session


def _standings(w: Written) -> Iterator[str]:
    """Each change of standing begins where the one before led; an account begins ACTIVE."""
    standing = "ACTIVE"
    for change in w.tables["standings"]:
        if change.before != standing:
            yield f"the account was {standing}, its next change was from {change.before}"
        standing = change.after
    if not w.tables["standings"] and w.stated.standing != standing:
        yield f"the account is {w.stated.standing}, no change of its standing was written"


CHECKS: tuple[Callable[[Written], Iterator[str]], ...] = (
    _history, _decisions, _events, _sessions, _closes, _equities, _standings,
)  # fmt: skip
