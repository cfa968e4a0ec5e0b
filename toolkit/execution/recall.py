"""What a ledger is asked again and again: read once, until anything in its file has changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from toolkit.execution.orders import Account, Order, Position
from toolkit.execution.schema import WAITING, nan, time_of

Answer = TypeVar("Answer")
MANY = 256  # answers


class Recall:
    """Answers of one connection, by question; forgotten with the first change of the file, by it or by another connection.

    Inside of a transaction nothing is kept: it may be rolled back.
    """

    def __init__(self) -> None:
        self._at: tuple[object, ...] = ()
        self._kept: dict[Hashable, Any] = {}

    def of(self, db: sqlite3.Connection, question: Hashable, ask: Callable[[], Answer]) -> Answer:
        """The answer that is kept, or the one that `ask` gives now."""
        if db.in_transaction:
            return ask()
        at = db, db.total_changes, db.execute("PRAGMA data_version").fetchone()
        if at != self._at or len(self._kept) >= MANY:
            self._at, self._kept = at, {}
        if question not in self._kept:
            self._kept[question] = ask()
        return self._kept[question]


def account_of(db: sqlite3.Connection, writer: bool) -> Account:
    """The account as of one instant, which a reader has to hold still."""
    if writer or db.in_transaction:
        return account_in(db)
    db.execute("BEGIN")
    try:
        return account_in(db)
    finally:
        db.execute("COMMIT")


def account_in(db: sqlite3.Connection) -> Account:
    """Cash, positions and accepted orders as of the last settled session."""
    asked = "name, mode, cash, session, (SELECT coalesce(max(seq), 0) FROM events)"
    name, mode, cash, session, booked = db.execute(f"SELECT {asked} FROM account").fetchone()
    rows = db.execute("SELECT symbol, qty, entry, mark, score, seen, peak, out FROM positions ORDER BY rowid")
    positions = {
        s: Position(s, qty, nan(e), nan(m), nan(score), time_of(seen), nan(peak), out)
        for s, qty, e, m, score, seen, peak, out in rows
    }
    return Account(name, mode, cash, positions, time_of(session), tuple(orders_in(db, WAITING)), booked)


def orders_in(db: sqlite3.Connection, states: Sequence[str], cycle: str | None = None) -> list[Order]:
    """Orders in these states, oldest first; `qty` is what still waits."""
    rows = db.execute(
        "SELECT id, cycle, symbol, side, rest, reference, wanted, cut_by, kind, coalesce(trigger, level), day FROM intents"
        f" WHERE status IN ({','.join('?' * len(states))}) AND (? IS NULL OR cycle = ?) ORDER BY rowid",
        (*states, cycle, cycle),
    )
    return [Order(*(*row, nan(level), bool(day))) for *row, level, day in rows]
