"""One SQLite file per account and mode: intents, order events, and the events of which the account is the fold.

Cash and quantities are integer micro-units.  One writer at a time (`flock` on a file of its own, and an epoch that every
transaction checks, so that a process that slept through a take-over cannot write).  Readers open it read-only.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from weakref import WeakValueDictionary, finalize

import pandas as pd

from toolkit.data.interrupts import deferred_interrupts
from toolkit.data.locks import take_lock
from toolkit.errors import LedgerError, LedgerLocked, LedgerMismatch
from toolkit.execution import schema
from toolkit.execution.orders import Account, Event, Intent, Order, Outcome, Position, micro_cash
from toolkit.execution.schema import NEXT, nan, null, text, time_of
from toolkit.kernels.account import UNIT

log = logging.getLogger(__name__)
_OPEN: WeakValueDictionary[Path, Ledger] = WeakValueDictionary()  # writers of this process: a cell run again takes over


class Ledger:
    """The writer of an account; `Ledger.read` opens one for looking only."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int | None, epoch: int) -> None:
        self.path, self._connection, self._lock, self._epoch = path, connection, lock, epoch
        self._closed = False
        # A ledger that is dropped without being closed lets go of its lock as well.
        self._release = finalize(self, os.close, lock) if lock is not None else None

    # ------------------------------------------------------------------------------------------------ opening, closing
    @classmethod
    def open(cls, folder: Path, *, account: str, mode: str, cash: float) -> Ledger:
        """The ledger in `folder`, created with a first transfer of `cash` dollars where there is none.

        Raises LedgerLocked if another process writes it, LedgerMismatch if it belongs to another account or mode,
        LedgerError if it cannot be created or read.
        """
        path, start = folder.resolve() / "ledger.sqlite", micro_cash(cash)
        if (earlier := _OPEN.get(path)) is not None:
            log.warning("%s was open in this process already: the earlier one is closed", path)
            earlier.close()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = take_lock(folder / "ledger.lock")
        except BlockingIOError as error:
            raise LedgerLocked(f"{path} is being written by {error}", "stop it, or look with Ledger.read") from error
        except OSError as error:
            raise LedgerError(f"{folder} cannot be written ({error})", "choose another state folder") from error
        ledger = None
        try:
            with deferred_interrupts():
                _OPEN[path] = ledger = cls(path, *_open_writer(path, account, mode, start, lock))
        except BaseException:
            if ledger is None:
                os.close(lock)
            else:
                ledger.close()
            raise
        return ledger

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """An existing ledger, read-only; any number of processes may read while one writes."""
        path = Path(path)
        if not path.is_file():
            raise LedgerError(f"there is no ledger at {path}", "run a cycle first, or check the path")
        opened = cls(path, _connect(path, read_only=True), None, -1)
        version = opened._db.execute("SELECT version FROM account").fetchone()[0]
        if version != schema.VERSION:
            opened.close()
            raise LedgerMismatch(f"{path} is of version {version}, not {schema.VERSION}", schema.OLD)
        return opened

    def close(self) -> None:
        """Lets go of file and lock; closing twice changes nothing."""
        if not self._closed:
            self._connection.close()
            if self._release is not None:
                self._release()
            self._lock, self._closed = None, True
            if _OPEN.get(self.path) is self:
                del _OPEN[self.path]

    @property
    def _db(self) -> sqlite3.Connection:
        if self._closed:
            raise LedgerError(f"{self.path} was closed", "open it again, or look with Ledger.read")
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, this writer's epoch checked first, Ctrl-C held back until it is whole."""
        if self._lock is None:
            raise LedgerError(f"{self.path} is open for reading only", "use Ledger.open to write")
        with deferred_interrupts():
            try:
                self._db.execute("BEGIN IMMEDIATE")
                (epoch,) = self._db.execute("SELECT epoch FROM account").fetchone()
                if epoch != self._epoch:
                    raise LedgerLocked(f"{self.path} was taken over (epoch {epoch}, ours {self._epoch})", "start again")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    cure = "open it again: what was asked may or may not have been written"
                    raise LedgerError(f"{self.path}: {error}", cure) from error
                raise

    # ---------------------------------------------------------------------------------------------------- the account
    def account(self) -> Account:
        """Cash, positions and accepted orders as of the last settled session."""
        name, mode, cash, session = self._db.execute("SELECT name, mode, cash, session FROM account").fetchone()
        rows = self._db.execute("SELECT symbol, qty, entry, mark, score, seen, peak, out FROM positions ORDER BY rowid")
        positions = {
            s: Position(s, qty, nan(e), nan(m), nan(score), time_of(seen), nan(peak), out)
            for s, qty, e, m, score, seen, peak, out in rows
        }
        waiting = self.orders_in("ACCEPTED", "PARTIAL")
        return Account(name, mode, cash, positions, time_of(session), tuple(waiting))

    @property
    def opening_cash(self) -> float:
        """Dollars of the first transfer."""
        return self._db.execute("SELECT cash FROM events WHERE id = 'transfer:0'").fetchone()[0] / UNIT

    def orders_in(self, *states: str, cycle: str | None = None) -> list[Order]:
        """Orders in these states, oldest first; `qty` is what still waits."""
        rows = self._db.execute(
            "SELECT id, cycle, symbol, side, rest, reference, wanted, cut_by, kind, coalesce(trigger, level), day FROM intents"
            f" WHERE status IN ({','.join('?' * len(states))}) AND (? IS NULL OR cycle = ?) ORDER BY rowid",
            (*states, cycle, cycle),
        )
        return [Order(*(*row, nan(level), bool(day))) for *row, level, day in rows]

    def status(self, order: str) -> str | None:
        """State of an order, None if it was never planned."""
        return (self._db.execute("SELECT status FROM intents WHERE id = ?", (order,)).fetchone() or (None,))[0]

    def cycle_status(self, key: str) -> str | None:
        """ "planned" or "done"; None if the cycle was never planned."""
        return (self._db.execute("SELECT status FROM cycles WHERE key = ?", (key,)).fetchone() or (None,))[0]

    def open_cycles(self) -> list[str]:
        """Keys of cycles that were planned and not finished, oldest first."""
        return [key for (key,) in self._db.execute("SELECT key FROM cycles WHERE status <> 'done' ORDER BY rowid")]

    # ------------------------------------------------------------------------------------------------- what is written
    def settle(self, session: pd.Timestamp, events: Iterable[Event], positions: Iterable[Position],
               orders: Iterable[Outcome]) -> None:  # fmt: skip
        """Books what happened up to `session`: events, the state of positions, and what became of orders."""
        with self.transaction() as db:
            rows = [schema.event_row(e) for e in events]
            db.executemany(schema.BOOK_EVENT, rows)
            db.execute("UPDATE account SET cash = cash + ?", (sum(row[6] for row in rows),))
            db.executemany(schema.KEEP_POSITION, map(schema.position_row, positions))
            for o in orders:
                values = (o.rest, o.why, null(o.level), o.order)
                db.execute("UPDATE intents SET rest = ?, reason = ?, trigger = ? WHERE id = ?", values)
                if o.status:
                    self._move(db, o.order, o.status, f"{text(session)} {o.why}".strip())
            db.execute("UPDATE account SET session = ?", (text(session),))

    def plan(self, key: str, session: pd.Timestamp, bars: str, intents: Sequence[Intent], scores: Mapping[str, float],
             superseded: Iterable[str] = (), done: bool = False) -> None:  # fmt: skip
        """Writes a cycle down before anything of it is sent; with `done` it is closed in the same breath."""
        with self.transaction() as db:
            db.execute("INSERT INTO cycles VALUES (?,?,?,?,NULL)", (key, text(session), bars, "planned"))
            for i in intents:
                o = i.order
                kind = (o.kind, null(o.level), int(o.day))
                row = (o.id, key, o.symbol, o.side, o.qty, o.reference, o.wanted, o.limit, "", o.qty, i.reason, *kind)
                db.execute("INSERT INTO intents VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,NULL)", row)
                self._move(db, o.id, i.status, i.reason)
            for order in superseded:
                db.execute("UPDATE intents SET reason = 'REPLACED' WHERE id = ?", (order,))
                self._move(db, order, "CANCELED", key)
            db.executemany("UPDATE positions SET score = ?, out = 0 WHERE symbol = ?", [(v, s) for s, v in scores.items()])
            for i in intents:
                if i.status == "DENIED":
                    self._forget(db, i.order.id)
            if done:
                self._close_cycle(db, key)

    def move(self, order: str, status: str, detail: str = "") -> None:
        """Takes an order to its next state; LedgerError if it cannot go there.

        What never reached the market is forgotten as a decision, so that the strategy is asked again.
        """
        with self.transaction() as db:
            self._move(db, order, status, detail)
            if status in {"ABANDONED", "REJECTED"}:
                self._forget(db, order)

    def _forget(self, db: sqlite3.Connection, order: str) -> None:
        db.execute("UPDATE positions SET score = NULL WHERE symbol = (SELECT symbol FROM intents WHERE id = ?)", (order,))

    def close_cycle(self, key: str) -> None:
        """Marks a cycle done, with the equity; LedgerError while an order of it is neither sent nor given up."""
        with self.transaction() as db:
            self._close_cycle(db, key)

    def _close_cycle(self, db: sqlite3.Connection, key: str) -> None:
        (open_,) = db.execute(
            "SELECT count(*) FROM intents WHERE cycle = ? AND status IN ('PLANNED','SENDING')", (key,)
        ).fetchone()
        if open_:
            raise LedgerError(f"cycle {key} has {open_} orders that are not sent", "run the cycle again to send them")
        equity = round(self.account().equity * UNIT)
        db.execute("UPDATE cycles SET status = 'done', equity = ? WHERE key = ?", (equity, key))

    def _move(self, db: sqlite3.Connection, order: str, status: str, detail: str) -> None:
        (before,) = db.execute("SELECT status FROM intents WHERE id = ?", (order,)).fetchone() or (None,)
        if before == status:
            return
        if before is None or status not in NEXT.get(before, ()):
            raise LedgerError(f"order {order} cannot go from {before} to {status}", "look at the events of the order")
        db.execute("UPDATE intents SET status = ? WHERE id = ?", (status, order))
        db.execute("INSERT INTO order_events(id, before, after, detail) VALUES (?,?,?,?)", (order, before, status, detail))

    # ---------------------------------------------------------------------------------------------- looking at it again
    def frame(self, table: str) -> pd.DataFrame:
        """One of the tables (events, intents, order_events, cycles, positions) in the order it was written."""
        if table not in {"events", "intents", "order_events", "cycles", "positions"}:
            raise LedgerError(f"there is no table {table!r}", "use events, intents, order_events, cycles or positions")
        return pd.read_sql_query(f"SELECT * FROM {table} ORDER BY rowid", self._db)

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file itself; empty if it is whole."""
        return [line for (line,) in self._db.execute("PRAGMA integrity_check") if line != "ok"]

    def copy_to(self, path: Path) -> Path:
        """A whole, consistent copy as one file, taken while the ledger is in use."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(path)) as target:
                self._db.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{path} cannot be written ({error})", "choose another folder") from error
        return path


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=5.0)
        db.execute("PRAGMA foreign_keys = ON")
        if not read_only:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
        db.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        raise LedgerError(f"{path} cannot be opened as a ledger ({error})", "restore a copy, or move it away") from error
    return db


def _open_writer(path: Path, account: str, mode: str, start: int, lock: int) -> tuple[sqlite3.Connection, int, int]:
    db = _connect(path, read_only=False)
    try:
        db.execute("BEGIN IMMEDIATE")
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in schema.SCHEMA.split(";"):
                db.execute(statement)
            db.execute("INSERT INTO account VALUES (?,?,?,0,?,NULL)", (account, mode, schema.VERSION, start))
            db.execute(
                "INSERT INTO events(id, session, kind, qty, cash, fee) VALUES ('transfer:0','','transfer',0,?,0)",
                (start,),
            )
        found = db.execute("SELECT name, mode, version FROM account").fetchone()
        while found[:2] == (account, mode) and found[2] in schema.UPGRADES:
            for statement in schema.UPGRADES[found[2]].split(";"):
                db.execute(statement)
            found = db.execute("SELECT name, mode, version FROM account").fetchone()
        if found != (account, mode, schema.VERSION):
            theirs, ours = (f"account {n!r}, mode {m!r}, version {v}" for n, m, v in (found, (account, mode, schema.VERSION)))
            raise LedgerMismatch(f"{path} is of {theirs}, asked for {ours}", "name the matching account, or another folder")
        db.execute("UPDATE account SET epoch = epoch + 1")
        (epoch,) = db.execute("SELECT epoch FROM account").fetchone()
        db.execute("COMMIT")
    except sqlite3.Error as error:
        db.close()
        raise LedgerError(f"{path} cannot be read as a ledger ({error})", "restore a copy, or move it away") from error
    except BaseException:
        db.close()
        raise
    return db, lock, epoch
