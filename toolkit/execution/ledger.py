"""One SQLite file per account and mode: intents, order events, and the events of which the account is the fold.

Cash and quantities are integer micro-units.  One writer at a time (`flock` on a file of its own, and an epoch that every
transaction checks, so that a process that slept through a take-over cannot write).  Readers open it read-only.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary, finalize

import pandas as pd

from toolkit.data.clock import Clock, SystemClock
from toolkit.data.interrupts import deferred_interrupts
from toolkit.data.locks import take_lock
from toolkit.errors import LedgerError, LedgerLocked
from toolkit.execution import entries, ledgerfile, recall, schema
from toolkit.execution.orders import Account, Event, Intent, Order, Outcome, Position
from toolkit.kernels.account import UNIT

log = logging.getLogger(__name__)
_OPEN: WeakValueDictionary[Path, Ledger] = WeakValueDictionary()  # writers of this process: a cell run again takes over
STRICT = {"ACTIVE": 0, "REDUCE_ONLY": 1, "HALT": 2}  # any other text, of a damaged file, may become HALT or be lifted
_INHERITED: dict[Path, sqlite3.Connection | None] = {}  # of the process that we were forked from


class Ledger:
    """The writer of an account; `Ledger.read` opens one for looking only."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int | None, epoch: int, clock: Clock) -> None:
        self.path, self._lock, self._epoch, self._clock = path, lock, epoch, clock
        self._connection: sqlite3.Connection | None = connection  # None: given up, the next use opens another
        self._closed, self._inside, self._recall = False, False, recall.Recall()
        self._thread = threading.get_ident()
        # A ledger that is dropped without being closed lets go of its lock as well.
        self._release = finalize(self, os.close, lock) if lock is not None else None

    @classmethod
    def open(cls, folder: Path, *, account: str, mode: str, cash: float, clock: Clock | None = None) -> Ledger:
        """The ledger in `folder`, created with a first transfer of `cash` dollars where there is none.

        A broker's account may begin without cash, or with a debt; one that is there is opened whatever its cash is by now.
        Entries are stamped by `clock`. Raises LedgerLocked if another process writes it, LedgerMismatch if it belongs to
        another account or mode, LedgerError if it cannot be created or read.
        """
        path = folder.resolve() / "ledger.sqlite"
        if path in _INHERITED:
            raise LedgerLocked(f"{path} was open when this process was forked", "open it in a process that was started anew")
        if (earlier := _OPEN.get(path)) is not None:
            earlier.close()
            log.warning("%s was open in this process already: the earlier one is closed", path)
        with deferred_interrupts():
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                lock = take_lock(folder / "ledger.lock")
            except BlockingIOError as error:
                raise LedgerLocked(f"{path} is being written by {error}", "stop it, or look with Ledger.read") from None
            except OSError as error:
                raise LedgerError(f"{folder} cannot be written ({error})", "choose another state folder") from error
            try:
                used = clock or SystemClock()
                connection, epoch = ledgerfile.take_over(path, account, mode, cash, used.now().isoformat())
            except BaseException:
                os.close(lock)
                raise
            _OPEN[path] = ledger = cls(path, connection, lock, epoch, used)
        return ledger

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """An existing ledger, read-only; any number of processes may read while one writes."""
        path = Path(path) / "ledger.sqlite" if Path(path).is_dir() else Path(path)
        if not path.is_file():
            raise LedgerError(f"there is no ledger at {path}", "run a cycle first, or check the path")
        return cls(path, ledgerfile.reader(path), None, -1, SystemClock())

    def close(self) -> None:
        """Lets go of file and lock, whatever thread asks; closing twice changes nothing."""
        if self._inside and threading.get_ident() != self._thread:
            raise LedgerLocked(f"{self.path} is being written by another thread", "stop the loop there first")
        with deferred_interrupts():
            if not self._closed:
                if self._connection is not None:
                    self._connection.close()
                if self._release is not None:
                    self._release()
                self._lock, self._closed = None, True
                if _OPEN.get(self.path) is self:
                    del _OPEN[self.path]

    def _disown(self) -> None:
        """In a forked child: lets go of the lock, which would outlive its owner, and never touches the connection again.

        SQLite must not even close in a child what its parent opened: https://sqlite.org/howtocorrupt.html, section 2.6.
        """
        if not self._closed:
            _INHERITED[self.path] = self._connection  # kept, or it would be closed
            if self._release is not None:
                self._release()
            self._lock, self._closed = None, True

    @property
    def _db(self) -> sqlite3.Connection:
        if self._closed:
            raise LedgerError(f"{self.path} was closed", "open it again, or look with Ledger.read")
        if threading.get_ident() != self._thread:
            raise LedgerError(f"{self.path} was opened in another thread", "use it there, or open it again in this one")
        if self._connection is None:
            self._connection = ledgerfile.connect(self.path, read_only=False)
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, this writer's epoch checked first, Ctrl-C and SIGTERM held back until it is whole.

        A block inside of another is a part of it, and is written with it or not at all.
        Where COMMIT itself fails nobody knows whether it was written: LedgerError says so, and the connection is given up for
        a new one, which reads what is there.
        """
        db = self._db
        if self._lock is None:
            raise LedgerError(f"{self.path} is open for reading only", "use Ledger.open to write")
        if self._inside:
            yield db
            return
        with deferred_interrupts():
            committing, self._inside = False, True
            try:
                db.execute("BEGIN IMMEDIATE")
                (epoch,) = db.execute("SELECT epoch FROM account").fetchone()
                if epoch != self._epoch:
                    raise LedgerLocked(f"{self.path} was taken over (epoch {epoch}, ours {self._epoch})", "start again")
                yield db
                committing = True
                db.execute("COMMIT")
            except BaseException as error:
                unsure = self._abandon(db, committing)
                if isinstance(error, sqlite3.Error):
                    raise LedgerError(f"{self.path}: {error}", unsure) from None
                raise
            finally:
                self._inside = False

    def _abandon(self, db: sqlite3.Connection, committing: bool) -> str:
        """Ends a transaction that failed, and says what became of it; after a failed COMMIT the connection is given up."""
        if committing or not ledgerfile.rolled_back(db):
            with suppress(sqlite3.Error):
                db.close()
            self._connection = None
        unsure = "it may or may not have been written: look at the disk; the ledger is read again where it is"
        return unsure if committing else "nothing was written"

    def now(self) -> str:
        """This instant of the ledger's clock, ISO, UTC."""
        return self._clock.now().isoformat()

    def account(self) -> Account:
        """Cash, positions and accepted orders as of the last settled session."""
        with self._reading():
            found = self._recall.of(self._db, "account", lambda: recall.account_of(self._db, self._lock is not None))
        return replace(found, positions=dict(found.positions))  # whose owner may do with them what he likes

    @property
    def opening_cash(self) -> float:
        """Dollars of the first transfer."""
        for (cash,) in self._db.execute("SELECT cash FROM events WHERE id = 'transfer:0'"):
            return cash / UNIT
        raise LedgerError(f"{self.path} has no first transfer", "restore a copy, see `toolkit ledger verify`")

    def orders_in(self, *states: str, cycle: str | None = None) -> list[Order]:
        """Orders in these states, oldest first; `qty` is what still waits."""
        asked = "orders", states, cycle
        return list(self._recall.of(self._db, asked, lambda: recall.orders_in(self._db, states, cycle)))

    def status(self, order: str) -> str | None:
        """State of an order, None if it was never planned."""
        return (self._db.execute("SELECT status FROM intents WHERE id = ?", (order,)).fetchone() or (None,))[0]

    def cycle_status(self, key: str) -> str | None:
        """ "planned" or "done"; None if the cycle was never planned."""
        return (self._db.execute("SELECT status FROM cycles WHERE key = ?", (key,)).fetchone() or (None,))[0]

    def is_open(self, key: str) -> bool:
        """Whether an order of the cycle is neither at the broker for sure nor given up."""
        return entries.count_open(self._db, key) > 0

    @property
    def standing(self) -> tuple[str, str]:
        """ACTIVE, REDUCE_ONLY or HALT, and why."""
        return self._db.execute("SELECT standing, why FROM account").fetchone()

    def open_cycles(self) -> list[str]:
        """Keys of cycles that were planned and not finished, oldest first."""
        return [key for (key,) in self._db.execute("SELECT key FROM cycles WHERE status <> 'done' ORDER BY +rowid")]

    def settle(self, session: pd.Timestamp, events: Iterable[Event], positions: Iterable[Position],
               orders: Iterable[Outcome]) -> None:  # fmt: skip
        """Books what happened up to `session`: events, the state of positions, and what became of orders."""
        with self.transaction() as db:
            entries.settle(db, session, events, positions, orders, self.now())

    def book(self, events: Iterable[Event], positions: Iterable[Position], orders: Iterable[Outcome] = ()) -> None:
        """Books what a broker told; LedgerError, and nothing is booked, if an event of this id was."""
        with self.transaction() as db:
            entries.book(db, events, positions, orders, self.now())

    def plan(self, key: str, session: pd.Timestamp, bars: str, intents: Sequence[Intent], scores: Mapping[str, float],
             superseded: Iterable[str] = (), done: bool = False,
             situation: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        """Writes a cycle down before anything of it is sent; with `done` it is closed in the same breath."""
        with self.transaction() as db:
            entries.plan(db, key, session, bars, intents, scores, superseded, situation, self.now())
            if done:
                entries.close_cycle(db, key)

    def move(self, order: str, status: str, detail: str = "", broker_id: str = "", forget: bool = False) -> None:
        """Takes an order to its next state, LedgerError if it cannot go there; `forget`: so that it is decided again."""
        with self.transaction() as db:
            entries.move(db, order, status, detail, self.now())
            if forget:
                entries.forget(db, order)
            if broker_id:
                entries.name(db, order, broker_id, self.now())

    def denied(self, order: str, code: str, measured: str, cap: str, said: str) -> None:
        """Keeps the gate's verdict before sending, and gives the order up: DENIED if it never was sent, else ABANDONED."""
        with self.transaction() as db:
            db.execute(entries.VERDICT, (order, "send", code, measured, cap, self.now()))
            entries.move(db, order, "DENIED" if self.status(order) == "PLANNED" else "ABANDONED", said, self.now())

    def looked(self, order: str) -> None:
        """Counts a look at the broker that did not find an order."""
        with self.transaction() as db:
            db.execute("UPDATE intents SET looks = looks + 1 WHERE id = ?", (order,))

    def arrive(self, order: str) -> None:
        """The paper broker has the order; a second time changes nothing."""
        with self.transaction() as db:
            db.execute("INSERT INTO arrived VALUES (?,?) ON CONFLICT(id) DO NOTHING", (order, self.now()))

    def close_cycle(self, key: str) -> None:
        """Marks a cycle done, with the equity; LedgerError while an order of it is neither sent nor given up."""
        with self.transaction() as db:
            entries.close_cycle(db, key)

    def stand(self, standing: str, why: str, who: str) -> None:
        """ACTIVE, REDUCE_ONLY or HALT from now on, and why; what is no stricter than now keeps the first reason."""
        now, _ = self.standing
        if standing != now and (standing == "ACTIVE" or STRICT[standing] > STRICT.get(now, 1)):
            with self.transaction() as db:
                entries.stand(db, standing, why, who, self.now())

    def frame(self, table: str) -> pd.DataFrame:
        """One of the tables (schema.TABLES) in the order it was written."""
        if table not in schema.TABLES:
            raise LedgerError(f"there is no table {table!r}", f"use one of {', '.join(schema.TABLES)}")
        with self._reading():
            return pd.read_sql_query(f"SELECT * FROM {table} ORDER BY rowid", self._db)

    def rows(self, query: str, *values: object) -> list[tuple]:
        """The answer to a question in SQL."""
        with self._reading():
            if not query.startswith("SELECT"):  # BEGIN is no question
                return self._db.execute(query, values).fetchall()
            return list(self._recall.of(self._db, (query, values), lambda: self._db.execute(query, values).fetchall()))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, pd.errors.DatabaseError, ValueError) as error:
            raise LedgerError(f"{self.path} cannot be read ({error})", "restore a copy, see `toolkit ledger verify`") from None

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file itself; empty if it is whole."""
        return ledgerfile.damage(self._db)

    def copy_to(self, path: Path) -> Path:
        """A whole, consistent copy as one file, taken while the ledger is in use."""
        return ledgerfile.copied(self._db, path)


def _disown_all() -> None:
    for ledger in list(_OPEN.values()):
        ledger._disown()
    _OPEN.clear()


os.register_at_fork(after_in_child=_disown_all)
