"""The file of a ledger: opened for one writer or for readers, made where there is none, brought forward, copied, checked."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from toolkit.errors import LedgerError, LedgerMismatch
from toolkit.execution import schema
from toolkit.execution.orders import micro_cash

AT_BROKERS = "broker-paper", "live"  # modes of accounts that somebody else keeps

UNSOUND = "nothing trades on it: see `toolkit ledger verify`, and restore a copy"
# Codes of SQLite of a disk that is full or fails, or of a file that another holds: none says that the file is damaged.
TROUBLE = {
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM,
}  # fmt: skip


def cure(error: sqlite3.Error) -> str:
    """What to do about an error of SQLite; a ledger that only cannot be reached stays where it is."""
    trouble = getattr(error, "sqlite_errorcode", 0) & 0xFF in TROUBLE
    return "make room or look at the disk, then open it again where it is" if trouble else "restore a copy"


def connect(path: Path, read_only: bool) -> sqlite3.Connection:
    """A connection with the ledger's settings, which any thread may close; LedgerError if the file is none."""
    mode = "ro" if read_only else "rwc"
    db = None
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=5.0,
                             check_same_thread=False)  # fmt: skip
        db.execute("PRAGMA foreign_keys = ON")
        if not read_only:
            (journal,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
            if journal != "wal":
                raise LedgerError(f"{path} cannot be written ahead of (its journal is {journal!r})", "use a local disk")
            db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA cache_size = -512")  # KiB; a loop reads what is new
        db.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        if db is not None:
            db.close()
        raise LedgerError(f"{path} cannot be opened as a ledger ({error})", cure(error)) from None
    except LedgerError:
        if db is not None:
            db.close()
        raise
    return db


def rolled_back(db: sqlite3.Connection) -> bool:
    """Ends a transaction that failed before its COMMIT; False where the connection is of no use any more."""
    try:
        if db.in_transaction:
            db.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    return True


@contextmanager
def _or_closed(db: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Closes the connection where the block fails; what SQLite says becomes a LedgerError."""
    try:
        yield
    except sqlite3.Error as error:
        db.close()
        raise LedgerError(f"{path} cannot be read as a ledger ({error})", cure(error)) from None
    except BaseException:
        db.close()
        raise


def reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads; LedgerError for a file that cannot be read, LedgerMismatch for another version."""
    db = connect(path, read_only=True)
    with _or_closed(db, path):
        *_, version = _owner(db)
        if version != schema.VERSION:
            raise LedgerMismatch(f"{path} is of version {version}, not {schema.VERSION}", schema.OLD)
    return db


def take_over(path: Path, account: str, mode: str, cash: float, at: str) -> tuple[sqlite3.Connection, int]:
    """A writer's connection and its epoch, which fences off every earlier writer.

    `cash`: dollars of a new account, made `at`; 0 or less in a broker's alone. Raises InvalidParameter where that cannot be,
    LedgerMismatch for another account or mode, LedgerError for a file that cannot be read or written.
    """
    if not path.exists():
        _create(path, account, mode, micro_cash(cash, owing=mode in AT_BROKERS), at)
    db = connect(path, read_only=False)
    with _or_closed(db, path):
        db.execute("BEGIN IMMEDIATE")
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise LedgerError(f"{path} is empty", "restore a copy; or move it away to begin a new account")
        found = _owner(db)
        while found[:2] == (account, mode) and found[2] in schema.UPGRADES:
            for statement in schema.UPGRADES[found[2]].split(";"):
                db.execute(statement)
            found = _owner(db)
        if found != (account, mode, schema.VERSION):
            theirs, ours = (f"account {n!r}, mode {m!r}, version {v}" for n, m, v in (found, (account, mode, schema.VERSION)))
            raise LedgerMismatch(f"{path} is of {theirs}, asked for {ours}", "name the matching account, or another folder")
        if wrong := unsound(db):
            raise LedgerError(f"{path} is not the account of its events: {wrong}", UNSOUND)
        for statement in schema.INDEXES:
            db.execute(statement)
        db.execute("UPDATE account SET epoch = epoch + 1")
        (epoch,) = db.execute("SELECT epoch FROM account").fetchone()
        db.execute("COMMIT")
    return db, epoch


def _create(path: Path, account: str, mode: str, start: int, at: str) -> None:
    """A new ledger, whole and on disk under another name before it has its own: a file that is there is a ledger."""
    new = path.with_name(path.name + ".new")
    try:
        for left in (new, path.with_name(new.name + "-journal")):  # of an earlier attempt
            left.unlink(missing_ok=True)
        with closing(sqlite3.connect(new, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            for statement in schema.SCHEMA.split(";"):
                db.execute(statement)
            db.execute(
                "INSERT INTO account(name, mode, version, epoch, cash, peak, opened) VALUES (?,?,?,0,?,?,?)",
                (account, mode, schema.VERSION, start, start, at),
            )
            db.execute(
                "INSERT INTO events(id, session, kind, qty, cash, fee) VALUES ('transfer:0','','transfer',0,?,0)", (start,)
            )
            db.execute("COMMIT")
        os.replace(new, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, sqlite3.Error) as error:
        raise LedgerError(f"{path} cannot be made ({error})", "choose another state folder, or make room") from None


def _owner(db: sqlite3.Connection) -> tuple[str, str, int]:
    found = db.execute("SELECT name, mode, version FROM account").fetchone()
    if found is None:
        raise LedgerError("the ledger holds no account", "restore a copy")
    return found


def unsound(db: sqlite3.Connection) -> str:
    """Why nothing may trade on a ledger, "" if it may: the file is broken, or cash and holdings are not the sums of its events.

    It takes 0.2 s for 100,000 orders; `audit.verify` asks for everything.
    """
    (whole,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if whole != "ok":
        return whole
    ((cash, folded),) = db.execute("SELECT cash, (SELECT coalesce(sum(cash), 0) FROM events) FROM account")
    if cash != folded:
        return f"cash is {cash} micro-dollars, its events sum to {folded}"
    found = db.execute(
        "SELECT symbol, sum(held), sum(folded) FROM (SELECT symbol, qty held, 0 folded FROM positions UNION ALL"
        " SELECT symbol, 0, qty FROM events WHERE symbol IS NOT NULL) GROUP BY symbol HAVING sum(held) <> sum(folded)"
    ).fetchone()
    return f"{found[1]} micro-shares of {found[0]} are held, its events sum to {found[2]}" if found else ""


def damage(db: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with the file itself; empty if it is whole."""
    return [line for (line,) in db.execute("PRAGMA integrity_check") if line != "ok"]


def copied(db: sqlite3.Connection, path: Path) -> Path:
    """A whole, consistent copy as one file, taken while the ledger is in use; LedgerError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as target:
            db.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
    except (OSError, sqlite3.Error) as error:
        raise LedgerError(f"{path} cannot be written ({error})", "choose another folder") from error
    return path
