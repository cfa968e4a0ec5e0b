"""The tables of a ledger, the states of an order, and how values stand in the columns."""

from __future__ import annotations

import math

import pandas as pd

from toolkit.execution.orders import Event, Position

VERSION = 5
OLD = "trade it once to bring it forward, or look with the toolkit that wrote it"
# account.standing is what the account may do, peak the highest equity, day_equity that before the last session, close_equity
# that at its end, opened when the ledger was made, told the last halt (of standings) that a person was told of, drift the
# symbols (JSON) on which a broker's books differed at the last look, and under "" the micro-dollars by which its cash did;
# cycles.situation what a cycle was decided on (compressed JSON), booked the last event (its seq) that its equity is the fold
# of; intents.level the level as decided, intents.trigger the same in the shares of today, where a split came between; arrived
# is what the paper broker has, ours only to look up.
SCHEMA = """
CREATE TABLE account(name TEXT NOT NULL, mode TEXT NOT NULL, version INTEGER NOT NULL, epoch INTEGER NOT NULL,
                     cash INTEGER NOT NULL, session TEXT, standing TEXT NOT NULL DEFAULT 'ACTIVE',
                     why TEXT NOT NULL DEFAULT '', peak INTEGER, day_equity INTEGER, opened TEXT,
                     told INTEGER, drift TEXT, close_equity INTEGER) STRICT;
CREATE TABLE positions(symbol TEXT PRIMARY KEY, qty INTEGER NOT NULL, entry REAL, mark REAL, score REAL,
                       seen TEXT, peak REAL, out INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE cycles(key TEXT PRIMARY KEY, session TEXT NOT NULL, bars TEXT NOT NULL, status TEXT NOT NULL,
                    equity INTEGER, situation BLOB, booked INTEGER) STRICT;
CREATE TABLE intents(id TEXT PRIMARY KEY, cycle TEXT NOT NULL REFERENCES cycles(key), symbol TEXT NOT NULL,
                     side TEXT NOT NULL, qty INTEGER NOT NULL, reference REAL NOT NULL, wanted INTEGER NOT NULL,
                     cut_by TEXT NOT NULL, status TEXT NOT NULL, rest INTEGER NOT NULL, reason TEXT NOT NULL,
                     kind TEXT NOT NULL DEFAULT 'market', level REAL, day INTEGER NOT NULL DEFAULT 0,
                     trigger REAL, attempts INTEGER NOT NULL DEFAULT 0, looks INTEGER NOT NULL DEFAULT 0, sent TEXT,
                     broker_id TEXT) STRICT;
CREATE INDEX intents_by_status ON intents(status);
CREATE INDEX intents_by_cycle ON intents(cycle);
CREATE UNIQUE INDEX intents_by_broker_id ON intents(broker_id);
CREATE TABLE order_events(seq INTEGER PRIMARY KEY, id TEXT NOT NULL REFERENCES intents(id), before TEXT NOT NULL,
                          after TEXT NOT NULL, detail TEXT NOT NULL, at TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE verdicts(seq INTEGER PRIMARY KEY, id TEXT NOT NULL REFERENCES intents(id), stage TEXT NOT NULL,
                      code TEXT NOT NULL, measured TEXT NOT NULL, cap TEXT NOT NULL, at TEXT NOT NULL) STRICT;
CREATE TABLE standings(seq INTEGER PRIMARY KEY, before TEXT NOT NULL, after TEXT NOT NULL, why TEXT NOT NULL,
                       who TEXT NOT NULL, at TEXT NOT NULL) STRICT;
CREATE TABLE arrived(id TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT;
CREATE TABLE events(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, session TEXT NOT NULL, kind TEXT NOT NULL,
                    symbol TEXT, order_id TEXT REFERENCES intents(id), qty INTEGER NOT NULL, cash INTEGER NOT NULL,
                    fee INTEGER NOT NULL, price REAL, slip INTEGER NOT NULL DEFAULT 0,
                    reason TEXT NOT NULL DEFAULT '', broker_id TEXT NOT NULL DEFAULT '') STRICT;
"""
# Made where they are missing, so that a cycle costs the same after ten thousand others; without them the answers are the same.
INDEXES = (
    "CREATE INDEX IF NOT EXISTS cycles_by_session ON cycles(session)",
    "CREATE INDEX IF NOT EXISTS cycles_open ON cycles(key) WHERE status <> 'done'",
    "CREATE INDEX IF NOT EXISTS intents_by_sent ON intents(sent)",
    "CREATE INDEX IF NOT EXISTS events_by_session ON events(session, kind)",
)
KEEP_POSITION = """INSERT INTO positions VALUES (?,?,?,?,?,?,?,?) ON CONFLICT(symbol) DO UPDATE
SET (qty, entry, mark, score, seen, peak, out) = (excluded.qty, excluded.entry, excluded.mark, excluded.score, excluded.seen,
                                                  excluded.peak, excluded.out)"""
BOOK_EVENT = """INSERT INTO events(id, session, kind, symbol, order_id, qty, cash, fee, price, slip, reason, broker_id)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"""
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
    2: """
ALTER TABLE account ADD COLUMN standing TEXT NOT NULL DEFAULT 'ACTIVE';
ALTER TABLE account ADD COLUMN why TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN peak INTEGER;
ALTER TABLE account ADD COLUMN day_equity INTEGER;
ALTER TABLE account ADD COLUMN opened TEXT;
ALTER TABLE account ADD COLUMN told INTEGER;
ALTER TABLE account ADD COLUMN drift TEXT;
ALTER TABLE cycles ADD COLUMN situation BLOB;
ALTER TABLE intents ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN looks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN sent TEXT;
ALTER TABLE intents ADD COLUMN broker_id TEXT;
ALTER TABLE order_events ADD COLUMN at TEXT NOT NULL DEFAULT '';
CREATE INDEX intents_by_status ON intents(status);
CREATE INDEX intents_by_cycle ON intents(cycle);
CREATE UNIQUE INDEX intents_by_broker_id ON intents(broker_id);
CREATE TABLE verdicts(seq INTEGER PRIMARY KEY, id TEXT NOT NULL REFERENCES intents(id), stage TEXT NOT NULL,
                      code TEXT NOT NULL, measured TEXT NOT NULL, cap TEXT NOT NULL, at TEXT NOT NULL) STRICT;
CREATE TABLE standings(seq INTEGER PRIMARY KEY, before TEXT NOT NULL, after TEXT NOT NULL, why TEXT NOT NULL,
                       who TEXT NOT NULL, at TEXT NOT NULL) STRICT;
CREATE TABLE arrived(id TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT;
INSERT INTO arrived SELECT id, '' FROM intents WHERE status NOT IN ('PLANNED','SENDING','UNKNOWN','DENIED','ABANDONED');
UPDATE account SET version = 3""",
    3: """
ALTER TABLE events ADD COLUMN broker_id TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN close_equity INTEGER;
UPDATE account SET version = 4""",
    # Nobody knows any more after which event a cycle was closed: all those up to its session's date are taken.
    4: """
ALTER TABLE cycles ADD COLUMN booked INTEGER;
UPDATE cycles SET booked = (SELECT max(seq) FROM events WHERE events.session <= cycles.session) WHERE equity IS NOT NULL;
UPDATE account SET version = 5""",
}
# Where an order may go from where it is; a denied or empty order never leaves its state.  ABSENT: looked for often enough, the
# broker does not have it.  What was given up may turn up after all, and a fill may outrun a cancellation.
NEXT = {
    "": {"PLANNED", "DENIED", "CUT"},
    "PLANNED": {"SENDING", "DENIED", "ABANDONED"},
    "SENDING": {"ACCEPTED", "REJECTED", "UNKNOWN", "ABSENT"},
    "UNKNOWN": {"ACCEPTED", "REJECTED", "ABSENT", "ABANDONED"},
    "ABSENT": {"SENDING", "ACCEPTED", "ABANDONED"},
    "ABANDONED": {"ACCEPTED"},
    "ACCEPTED": {"PARTIAL", "FILLED", "CUT", "CANCELED", "EXPIRED", "REJECTED"},
    "PARTIAL": {"FILLED", "CUT", "CANCELED", "EXPIRED"},
    "CANCELED": {"PARTIAL", "FILLED"},
    "EXPIRED": {"PARTIAL", "FILLED"},
}
UNSENT = "PLANNED", "ABSENT"  # surely not at the broker
UNSURE = "SENDING", "UNKNOWN"  # perhaps there
WAITING = "ACCEPTED", "PARTIAL"
TABLES = "events", "intents", "order_events", "cycles", "positions", "verdicts", "standings", "arrived"


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
    return e.id, e.session, e.kind, e.symbol, e.order, e.qty, e.cash, e.fee, e.price, e.slip, e.reason, e.broker_id
