"""The tables of a ledger, the states of an order, and how values stand in the columns."""

from __future__ import annotations

import math

import pandas as pd

from toolkit.execution.orders import Event, Position

VERSION = 2
OLD = "trade it once to bring it forward, or look with the toolkit that wrote it"
# intents.level is the level as decided, intents.trigger the same in the shares of today, where a split came between.
SCHEMA = """
CREATE TABLE account(name TEXT NOT NULL, mode TEXT NOT NULL, version INTEGER NOT NULL, epoch INTEGER NOT NULL,
                     cash INTEGER NOT NULL, session TEXT) STRICT;
CREATE TABLE positions(symbol TEXT PRIMARY KEY, qty INTEGER NOT NULL, entry REAL, mark REAL, score REAL,
                       seen TEXT, peak REAL, out INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE cycles(key TEXT PRIMARY KEY, session TEXT NOT NULL, bars TEXT NOT NULL, status TEXT NOT NULL,
                    equity INTEGER) STRICT;
CREATE TABLE intents(id TEXT PRIMARY KEY, cycle TEXT NOT NULL REFERENCES cycles(key), symbol TEXT NOT NULL,
                     side TEXT NOT NULL, qty INTEGER NOT NULL, reference REAL NOT NULL, wanted INTEGER NOT NULL,
                     cut_by TEXT NOT NULL, status TEXT NOT NULL, rest INTEGER NOT NULL, reason TEXT NOT NULL,
                     kind TEXT NOT NULL DEFAULT 'market', level REAL, day INTEGER NOT NULL DEFAULT 0,
                     trigger REAL) STRICT;
CREATE TABLE order_events(seq INTEGER PRIMARY KEY, id TEXT NOT NULL REFERENCES intents(id), before TEXT NOT NULL,
                          after TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE TABLE events(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, session TEXT NOT NULL, kind TEXT NOT NULL,
                    symbol TEXT, order_id TEXT REFERENCES intents(id), qty INTEGER NOT NULL, cash INTEGER NOT NULL,
                    fee INTEGER NOT NULL, price REAL, slip INTEGER NOT NULL DEFAULT 0,
                    reason TEXT NOT NULL DEFAULT '') STRICT;
"""
KEEP_POSITION = """INSERT INTO positions VALUES (?,?,?,?,?,?,?,?) ON CONFLICT(symbol) DO UPDATE
SET (qty, entry, mark, score, seen, peak, out) = (excluded.qty, excluded.entry, excluded.mark, excluded.score, excluded.seen,
                                                  excluded.peak, excluded.out)"""
BOOK_EVENT = """INSERT INTO events(id, session, kind, symbol, order_id, qty, cash, fee, price, slip, reason)
VALUES (?,?,?,?,?,?,?,?,?,?,?)"""
# From each earlier version to the next: a ledger is brought forward when it is opened for writing.
UPGRADES = {
    1: """
ALTER TABLE positions ADD COLUMN peak REAL;
ALTER TABLE positions ADD COLUMN out INTEGER NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN kind TEXT NOT NULL DEFAULT 'market';
ALTER TABLE intents ADD COLUMN level REAL;
ALTER TABLE intents ADD COLUMN day INTEGER NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN trigger REAL;
ALTER TABLE events ADD COLUMN slip INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN reason TEXT NOT NULL DEFAULT '';
UPDATE positions SET peak = entry;
UPDATE account SET version = 2""",
}
# Where an order may go from where it is; a denied or empty order never leaves its state.
NEXT = {
    "": {"PLANNED", "DENIED", "CUT"},
    "PLANNED": {"SENDING", "ABANDONED"},
    "SENDING": {"ACCEPTED", "REJECTED", "UNKNOWN"},
    "UNKNOWN": {"ACCEPTED", "REJECTED", "ABANDONED"},
    "ACCEPTED": {"PARTIAL", "FILLED", "CUT", "CANCELED", "EXPIRED"},
    "PARTIAL": {"FILLED", "CUT", "CANCELED", "EXPIRED"},
}


def text(session: pd.Timestamp | None) -> str | None:
    """A session or instant as it stands in the ledger: ISO, sortable."""
    return None if session is None else pd.Timestamp(session).isoformat()


def null(x: float) -> float | None:
    return None if math.isnan(x) else x


def time_of(session: str | None) -> pd.Timestamp | None:
    return None if session is None else pd.Timestamp(session)


def nan(x: float | None) -> float:
    return math.nan if x is None else x


def position_row(p: Position) -> tuple:
    """A position as a row of its table."""
    return p.symbol, p.qty, null(p.entry), null(p.mark), null(p.score), text(p.seen), null(p.peak), p.out


def event_row(e: Event) -> tuple:
    """An event as a row of its table."""
    return e.id, e.session, e.kind, e.symbol, e.order, e.qty, e.cash, e.fee, e.price, e.slip, e.reason
