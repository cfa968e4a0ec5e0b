"""What the transactions of a ledger write; each function is the inside of one, given its connection.

`at` is the instant of the entry, ISO.  TX1 `plan`, TX2 and TX3 `move`, TX4 `settle` and `book`, TX5 `close_cycle`; TX0 is
`ledgerfile.take_over`.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from toolkit.errors import LedgerError
from toolkit.execution import schema
from toolkit.execution.orders import Event, Intent, Outcome, Position
from toolkit.execution.schema import NEXT, null, text

INTENT = """INSERT INTO intents(id, cycle, symbol, side, qty, reference, wanted, cut_by, status, rest, reason, kind, level, day)
VALUES (?,?,?,?,?,?,?,?,'',?,?,?,?,?)"""
VERDICT = "INSERT INTO verdicts(id, stage, code, measured, cap, at) VALUES (?,?,?,?,?,?)"


def plan(db: sqlite3.Connection, key: str, session: pd.Timestamp, bars: str, intents: Sequence[Intent],
         scores: Mapping[str, float], superseded: Iterable[str], situation: Mapping[str, Any] | None,
         at: str) -> None:  # fmt: skip
    """TX1: a cycle with all its orders and verdicts, before the first byte of it is sent."""
    packed = None if situation is None else zlib.compress(json.dumps(situation, sort_keys=True).encode(), 1)
    row = key, text(session), bars, "planned", packed
    db.execute("INSERT INTO cycles(key, session, bars, status, situation) VALUES (?,?,?,?,?)", row)
    for i in intents:
        o = i.order
        kind = (o.kind, null(o.level), int(o.day))
        db.execute(INTENT, (o.id, key, o.symbol, o.side, o.qty, o.reference, o.wanted, o.limit, o.qty, i.reason, *kind))
        move(db, o.id, i.status, i.reason, at)
        if i.status != "CUT":
            db.execute(VERDICT, (o.id, "plan", i.code, i.measured, i.cap, at))
    for order in superseded:
        db.execute("UPDATE intents SET reason = 'REPLACED' WHERE id = ?", (order,))
        move(db, order, "CANCELED", key, at)
    db.executemany("UPDATE positions SET score = ?, out = 0 WHERE symbol = ?", [(null(v), s) for s, v in scores.items()])
    for i in intents:
        if i.status == "DENIED":
            forget(db, i.order.id)


def situation_of(packed: bytes | None) -> dict[str, Any] | None:
    """What `plan` kept of a cycle's situation; LedgerError where it cannot be read."""
    try:
        return None if packed is None else json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError) as error:
        raise LedgerError(f"the situation of a cycle cannot be read ({error})", "see `toolkit ledger verify`") from None


def move(db: sqlite3.Connection, order: str, status: str, detail: str, at: str) -> None:
    """TX2, TX3: an order's next state; LedgerError if it cannot go there."""
    (before,) = db.execute("SELECT status FROM intents WHERE id = ?", (order,)).fetchone() or (None,)
    if before == status:
        return
    if before is None or status not in NEXT.get(before, ()):
        raise LedgerError(f"order {order} cannot go from {before} to {status}", "look at the events of the order")
    db.execute("UPDATE intents SET status = ? WHERE id = ?", (status, order))
    row = order, before, status, detail, at
    db.execute("INSERT INTO order_events(id, before, after, detail, at) VALUES (?,?,?,?,?)", row)
    if status == "SENDING":
        db.execute("UPDATE intents SET attempts = attempts + 1, looks = 0, sent = ? WHERE id = ?", (at, order))
    if status == "DENIED":
        db.execute("UPDATE intents SET reason = ? WHERE id = ?", (detail, order))
    if status in {"ABANDONED", "REJECTED", "DENIED"}:
        forget(db, order)


def name(db: sqlite3.Connection, order: str, broker_id: str, at: str) -> None:
    """The broker's name of an order; fills of that name which were booked before it was known become the order's."""
    db.execute("UPDATE intents SET broker_id = ? WHERE id = ?", (broker_id, order))
    claimed = (
        "kind = 'fill' AND order_id IS NULL AND broker_id = ?1 AND"
        " (symbol, CASE WHEN qty > 0 THEN 'buy' ELSE 'sell' END) = (SELECT symbol, side FROM intents WHERE id = ?2)"
    )
    told = broker_id, order
    (filled,) = db.execute(f"SELECT coalesce(sum(abs(qty)), 0) FROM events WHERE {claimed}", told).fetchone()
    if filled:
        (rest,) = db.execute("SELECT rest FROM intents WHERE id = ?", (order,)).fetchone()
        db.execute(f"UPDATE events SET order_id = ?2 WHERE {claimed}", told)
        left = max(rest - filled, 0)
        _outcomes(db, [Outcome(order, "PARTIAL" if left else "FILLED", left)], "filled before it was found", at)


def forget(db: sqlite3.Connection, order: str) -> None:
    """What never reached the market is forgotten as a decision, so that the strategy is asked again."""
    db.execute("UPDATE positions SET score = NULL WHERE symbol = (SELECT symbol FROM intents WHERE id = ?)", (order,))


def settle(db: sqlite3.Connection, session: pd.Timestamp, events: Iterable[Event], positions: Iterable[Position],
           orders: Iterable[Outcome], at: str) -> None:  # fmt: skip
    """TX4: what the bars up to `session` did to cash, positions and waiting orders."""
    before = _equity(db)
    rows = [schema.event_row(e) for e in events]
    db.executemany(schema.BOOK_EVENT, rows)
    db.execute("UPDATE account SET cash = cash + ?", (sum(row[6] for row in rows),))
    db.executemany(schema.KEEP_POSITION, map(schema.position_row, positions))
    _outcomes(db, orders, text(session) or "", at)
    now = _equity(db)  # the one before is that of the last close: a broker's fills of this session are booked by now
    change = "day_equity = coalesce(close_equity, ?), close_equity = ?, peak = max(coalesce(peak, ?), ?)"
    db.execute(f"UPDATE account SET {change}", (before, now, now, now))
    db.execute("UPDATE account SET session = ?", (text(session),))


def book(db: sqlite3.Connection, events: Iterable[Event], positions: Iterable[Position], orders: Iterable[Outcome],
         at: str) -> None:  # fmt: skip
    """TX4 of a broker that tells of executions: each of them once, whatever it is told again.

    Transfers, adoptions, and the first price of what came without one are neither gain nor loss: by as much as they change the
    equity at the marks, its highest and those of the closes move.
    """
    events = list(events)
    brought = not events or any(event.kind in {"transfer", "adoption"} for event in events)
    before = _equity(db) if brought else 0
    for event in events:
        row = schema.event_row(event)
        if db.execute(schema.BOOK_EVENT + " ON CONFLICT(id) DO NOTHING", row).rowcount:
            db.execute("UPDATE account SET cash = cash + ?", (event.cash,))
        else:
            raise LedgerError(f"{event.id} was booked before", "a broker's activity has one id for ever: nothing was booked")
    db.executemany(schema.KEEP_POSITION, map(schema.position_row, positions))
    if brought and (moved := _equity(db) - before):
        equities = "peak = peak + ?1, day_equity = day_equity + ?1, close_equity = close_equity + ?1"
        db.execute(f"UPDATE account SET {equities}", (moved,))
    _outcomes(db, orders, "", at)


def _outcomes(db: sqlite3.Connection, orders: Iterable[Outcome], day: str, at: str) -> None:
    for o in orders:
        values = (o.rest, o.why, o.why, null(o.level), o.order)  # a late fill takes away neither reason nor level
        change = "rest = ?, reason = CASE WHEN ? = '' THEN reason ELSE ? END, trigger = coalesce(?, trigger)"
        db.execute(f"UPDATE intents SET {change} WHERE id = ?", values)
        if o.status:
            move(db, o.order, o.status, f"{day} {o.why}".strip(), at)


def close_cycle(db: sqlite3.Connection, key: str) -> None:
    """TX5: a cycle is done, with the equity; LedgerError while an order of it is neither sent nor given up."""
    open_ = count_open(db, key)
    if open_:
        raise LedgerError(f"cycle {key} has {open_} orders that are not sent", "run the cycle again to send them")
    change = "status = 'done', equity = ?, booked = (SELECT max(seq) FROM events)"
    db.execute(f"UPDATE cycles SET {change} WHERE key = ?", (_equity(db), key))


def count_open(db: sqlite3.Connection, key: str) -> int:
    """Orders of a cycle that are neither at the broker for sure nor given up."""
    states = ",".join(f"'{state}'" for state in (*schema.UNSENT, *schema.UNSURE))
    return db.execute(f"SELECT count(*) FROM intents WHERE cycle = ? AND status IN ({states})", (key,)).fetchone()[0]


def stand(db: sqlite3.Connection, standing: str, why: str, who: str, at: str) -> None:
    """What the account may do from now on; lifting a halt begins the drawdown anew."""
    (before,) = db.execute("SELECT standing FROM account").fetchone()
    row = before, standing, why, who, at
    db.execute("INSERT INTO standings(before, after, why, who, at) VALUES (?,?,?,?,?)", row)
    db.execute("UPDATE account SET standing = ?, why = ?", (standing, why))
    if standing == "ACTIVE":
        db.execute("UPDATE account SET peak = ?, day_equity = ?", (_equity(db), _equity(db)))


def _equity(db: sqlite3.Connection) -> int:
    """Micro-dollars: cash and positions at their marks, each rounded once."""
    held = db.execute("SELECT qty, mark FROM positions WHERE qty <> 0 AND mark IS NOT NULL")
    return db.execute("SELECT cash FROM account").fetchone()[0] + sum(round(qty * mark) for qty, mark in held)
