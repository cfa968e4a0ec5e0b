"""The tables of a ledger, the states of an order, and how values stand in the columns."""

from __future__ import annotations

import math

import pandas as pd

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE account(name TEXT NOT NULL, mode TEXT NOT NULL, version INTEGER NOT NULL, epoch INTEGER NOT NULL,
                     cash INTEGER NOT NULL, session TEXT) STRICT;
CREATE TABLE positions(symbol TEXT PRIMARY KEY, qty INTEGER NOT NULL, entry REAL, mark REAL, score REAL,
                       seen TEXT) STRICT;
CREATE TABLE cycles(key TEXT PRIMARY KEY, session TEXT NOT NULL, bars TEXT NOT NULL, status TEXT NOT NULL,
                    equity INTEGER) STRICT;
CREATE TABLE intents(id TEXT PRIMARY KEY, cycle TEXT NOT NULL REFERENCES cycles(key), symbol TEXT NOT NULL,
                     side TEXT NOT NULL, qty INTEGER NOT NULL, reference REAL NOT NULL, wanted INTEGER NOT NULL,
                     cut_by TEXT NOT NULL, status TEXT NOT NULL, rest INTEGER NOT NULL, reason TEXT NOT NULL) STRICT;
CREATE TABLE order_events(seq INTEGER PRIMARY KEY, id TEXT NOT NULL REFERENCES intents(id), before TEXT NOT NULL,
                          after TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE TABLE events(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, session TEXT NOT NULL, kind TEXT NOT NULL,
                    symbol TEXT, order_id TEXT REFERENCES intents(id), qty INTEGER NOT NULL, cash INTEGER NOT NULL,
                    fee INTEGER NOT NULL, price REAL) STRICT;
"""
# Where an order may go from where it is; a denied or empty order never leaves its state.
NEXT = {
    "": {"PLANNED", "DENIED", "CUT"},
    "PLANNED": {"SENDING", "ABANDONED"},
    "SENDING": {"ACCEPTED", "REJECTED", "UNKNOWN"},
    "UNKNOWN": {"ACCEPTED", "REJECTED", "ABANDONED"},
    "ACCEPTED": {"FILLED", "CUT", "CANCELED", "EXPIRED"},
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
