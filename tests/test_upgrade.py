"""A ledger that an earlier version wrote goes on as if it had always been one of today.

`ledger_v2.sql` is a whole ledger of version 2, DDL and rows, as the toolkit of that version wrote it: a month of a paper
account with fills, a split, a dividend, an order denied and one cut at the open; its process died while it sent the last order.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from conftest import random_bars
from toolkit.cycle.engine import last_row
from toolkit.cycle.turn import turn
from toolkit.errors import LedgerMismatch
from toolkit.execution import schema
from toolkit.execution.audit import verify
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.costs import Costs, Limits, Policy, rules
from toolkit.execution.gate import Gate
from toolkit.execution.ledger import Ledger
from toolkit.kernels.account import UNIT
from toolkit.risk.sizing import equal_weight
from toolkit.signals.indicators import sma

DUMP = Path(__file__).with_name("ledger_v2.sql").read_text()
LIMITS = Limits(
    max_order_notional=1e9, max_order_share=1.0, max_position=0.6, max_gross=1.0, min_cash=0.0, max_stale_sessions=2
)
RULES = rules(Costs(), LIMITS, Policy(whole_shares=True))
FIRST, DENIED, LAST = 4, 8, 20  # bars that the old process traded, the one whose data were stale, the one in which it died
BARS = random_bars(3, n_symbols=2, n_bars=40)
SOLD = "tk1-f6kt6d4jcqz5wf3pfcw46xjvam"  # the order that was being sent


@pytest.fixture
def old(tmp_path):
    """The file as it was left, closed."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(DUMP)
        assert db.execute("SELECT version FROM account").fetchone() == (2,)
    return path


def arrived(path):
    """The old process came one step further: the order waits at the paper broker, the cycle is done."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE intents SET status = 'ACCEPTED' WHERE id = ?", (SOLD,))
        db.execute("INSERT INTO order_events VALUES (28, ?, 'SENDING', 'ACCEPTED', '')", (SOLD,))
        db.execute("UPDATE cycles SET status = 'done', equity = 69622049669 WHERE equity IS NULL")


def opened(folder):
    return Ledger.open(folder, account="old", mode="paper", cash=50_000.0)


def told(path):
    """Cash, holdings and what was filled of each order, read by sqlite3 alone."""
    with closing(sqlite3.connect(path)) as db:
        cash = db.execute("SELECT cash FROM account").fetchall()
        held = db.execute("SELECT symbol, qty, entry, mark, score, seen, peak, out FROM positions ORDER BY symbol").fetchall()
        orders = db.execute("SELECT id, cycle, symbol, side, qty, status, rest, reason FROM intents ORDER BY id").fetchall()
        events = db.execute(
            "SELECT id, session, kind, symbol, order_id, qty, cash, fee, price, slip, reason FROM events"
        ).fetchall()
    return cash, held, orders, events


def go(ledger, first, last):
    """The turns of some bars, as the old process took them."""
    done = []
    for t in range(first, last + 1):
        known = BARS.until(BARS.index[t])
        mean = sma(known.close, 5)
        scores = (known.close > mean).astype(float).where(mean.notna())
        done.append(turn(known, last_row(scores), last_row(equal_weight()(scores, known)), ledger=ledger,
                         key=f"cross|{BARS.index[t]:%Y-%m-%d}|21:00", desk=PaperBroker(ledger, RULES),
                         gate=Gate(LIMITS, RULES), missing=50 if t == DENIED else 0))  # fmt: skip
    return done


def columns(ledger):
    """Name, type, whether NULL is refused, and default of each column of each table, in their order."""
    tables = [name for (name,) in ledger.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return {
        name: ledger.rows(f"SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info('{name}')") for name in tables
    }


def indexes(ledger):
    return ledger.rows("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")


@pytest.mark.parametrize("further", [False, True], ids=["died while sending", "an order waits"])
def test_a_ledger_of_version_2_is_brought_forward_whole(old, further):
    if further:
        arrived(old)
    before = told(old)
    ledger = opened(old.parent)
    assert ledger.rows("SELECT version FROM account") == [(schema.VERSION,)] and verify(ledger) == []
    assert told(old) == before and ledger.account().cash == before[0][0][0] == sum(event[6] for event in before[3])
    assert {p.symbol: p.qty for p in ledger.account().positions.values()} == {"S0": 525 * UNIT, "S1": 848 * UNIT}
    assert [o.id for o in ledger.account().waiting] == [SOLD] * further
    assert ledger.standing == ("ACTIVE", "") and (SOLD in set(ledger.frame("arrived")["id"])) == further
    ledger.close()
    again = opened(old.parent)  # a second time nothing is left to do
    assert told(old) == before and verify(again) == []
    again.close()


def test_the_last_event_of_a_cycle_is_taken_to_be_that_of_its_session(old):
    """Which had been booked when a cycle was closed was not written yet."""
    arrived(old)
    ledger = opened(old.parent)
    sessions = dict(ledger.rows("SELECT seq, session FROM events"))
    closed = ledger.rows("SELECT session, booked FROM cycles WHERE equity IS NOT NULL ORDER BY rowid")
    assert closed and all(booked == max(n for n, day in sessions.items() if day <= session) for session, booked in closed)
    ledger.close()


def test_its_tables_are_those_of_a_new_ledger(old, tmp_path):
    brought, new = opened(old.parent), opened(tmp_path / "new")
    ours, theirs = columns(brought), columns(new)
    assert {name: sorted(map(str, rows)) for name, rows in ours.items()} == {
        n: sorted(map(str, rows)) for n, rows in theirs.items()
    }
    assert ours["positions"] == theirs["positions"] and ours["arrived"] == theirs["arrived"]  # written without their names
    assert indexes(brought) == indexes(new)
    brought.close()
    new.close()


@pytest.mark.parametrize("further", [False, True], ids=["died while sending", "an order waits"])
def test_it_trades_on_as_an_account_does_that_was_always_of_today(old, tmp_path, further):
    if further:
        arrived(old)
    ours, theirs = opened(old.parent), opened(tmp_path / "new")
    (resumed,) = go(ours, LAST, LAST)
    assert [o.id for o in resumed.orders] == [SOLD] * (not further) and resumed.repeated == further
    go(ours, LAST + 1, len(BARS) - 1)
    go(theirs, FIRST, len(BARS) - 1)
    assert verify(ours) == [] and len(ours.frame("intents")) > 9
    assert (ours.account().cash, ours.account().positions) == (theirs.account().cash, theirs.account().positions)
    assert told(ours.path)[2:] == told(theirs.path)[2:]
    ours.close()
    theirs.close()


def test_who_reads_it_or_takes_it_for_another_account_is_told_its_version(old):
    with pytest.raises(LedgerMismatch, match=f"is of version 2, not {schema.VERSION}; trade it once"):
        Ledger.read(old)
    with pytest.raises(LedgerMismatch, match="account 'old', mode 'paper', version 2"):
        Ledger.open(old.parent, account="other", mode="paper", cash=1.0)
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("SELECT version, epoch FROM account").fetchone() == (2, 1)
