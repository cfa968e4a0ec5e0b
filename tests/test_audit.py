"""Each thing that a ledger says twice is compared: tampering with one of the two is seen, and named."""

import datetime as dt
import shutil
import sqlite3

import pytest

from toolkit.cycle.engine import TradingEngine
from toolkit.execution import schema
from toolkit.execution.audit import snapshot, verify
from toolkit.execution.ledger import Ledger
from toolkit.kernels.account import UNIT

MAY = {"start": dt.date(2012, 5, 1), "end": dt.date(2012, 5, 31)}


@pytest.fixture
def traded(values):
    """The file of an account that has traded for a month."""
    engine = TradingEngine.from_values(**values, **MAY)
    engine.run_continuous()
    assert engine.ledger.rows("SELECT count(*) FROM events WHERE kind = 'fill'")[0][0] > 3
    engine.close()
    return engine.ledger.path


def tampered(path, *statements):
    """What verify says after somebody has written into the file."""
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()
    ledger = Ledger.read(path)
    try:
        return verify(ledger)
    finally:
        ledger.close()


def test_an_account_that_has_traded_holds_together(traded):
    assert tampered(traded) == []


ONE = "(SELECT id FROM intents WHERE status = 'FILLED' LIMIT 1)"


@pytest.mark.parametrize("statement, said", [
    ("UPDATE account SET cash = cash + 1", "micro-dollars, its events sum to"),
    ("UPDATE positions SET qty = qty + 1", "micro-shares held, events sum to"),
    ("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events WHERE kind = 'fill')", "micro-shares held"),
    ("UPDATE events SET cash = cash - 5000000, fee = fee WHERE kind = 'fill'", "make another sum"),
    ("UPDATE events SET symbol = 'XYZ' WHERE kind = 'fill'", "moved"),
    (f"UPDATE intents SET rest = 1 WHERE id = {ONE}", "is FILLED"),
    (f"UPDATE intents SET status = 'CUT' WHERE id = {ONE}", "is CUT, its events end at FILLED"),
    (f"UPDATE order_events SET after = 'CANCELED' WHERE after = 'FILLED' AND id = {ONE}", "its events end at CANCELED"),
    (f"DELETE FROM order_events WHERE after = 'SENDING' AND id = {ONE}", "went from 'SENDING' to 'ACCEPTED'"),
    (f"DELETE FROM verdicts WHERE id = {ONE}", "has 0 verdicts of its plan"),
    (f"UPDATE verdicts SET code = 'MAX_GROSS' WHERE id = {ONE}", "is PLANNED by its plan, the verdict says MAX_GROSS"),
    (f"UPDATE intents SET status = 'UNKNOWN' WHERE id = {ONE}", "is done, its order"),
    ("INSERT INTO arrived VALUES ('tk1-never', '')", "the paper broker has order tk1-never, which was never sent"),
    ("UPDATE events SET order_id = 'tk1-gone' WHERE kind = 'fill'", "refers to no intents"),
    ("INSERT INTO standings(before, after, why, who, at) VALUES ('ACTIVE', 'HALT', '', '', '')", "its last change was to HALT"),
])  # fmt: skip
def test_a_changed_column_is_seen_and_named(traded, statement, said):
    wrong = tampered(traded, statement)
    assert any(said in sentence for sentence in wrong), wrong


def test_a_broken_file_is_a_sentence_too(traded):
    raw = bytearray(traded.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 200] = bytes(200)
    traded.write_bytes(raw)
    ledger = Ledger.read(traded)
    try:
        assert verify(ledger) != []
    finally:
        ledger.close()


def test_two_orders_of_one_decision_are_seen(traded):
    columns = "cycle, symbol, side, qty, reference, wanted, cut_by, status, rest, reason"
    wrong = tampered(traded, f"INSERT INTO intents(id, {columns}) SELECT 'tk1-second', {columns} FROM intents WHERE id = {ONE}")
    assert any(sentence.startswith("decision ") and sentence.endswith("is there more than once") for sentence in wrong), wrong


def test_a_fill_of_held_shares_beyond_the_order_is_seen(values):
    engine = TradingEngine.from_values(**values, start=dt.date(2012, 2, 1), end=dt.date(2012, 6, 29))
    engine.run_continuous()
    sold = engine.ledger.rows("SELECT id FROM intents WHERE status = 'FILLED' AND side = 'sell' LIMIT 1")
    engine.close()
    wrong = tampered(engine.ledger.path, f"UPDATE intents SET qty = qty - {UNIT} WHERE id = '{sold[0][0]}'")
    assert any(sold[0][0] in sentence and "are not the" in sentence for sentence in wrong), wrong


def test_a_snapshot_does_not_see_what_is_written_meanwhile(tmp_path):
    writer = Ledger.open(tmp_path, account="demo", mode="paper", cash=100.0)
    reader = Ledger.read(tmp_path)
    with snapshot(reader):
        assert reader.standing == ("ACTIVE", "")
        writer.stand("HALT", "why", "who")
        assert reader.standing == ("ACTIVE", "")
    assert reader.standing == ("HALT", "why") and verify(reader) == []
    writer.close()
    reader.close()


def test_every_state_of_an_order_is_reached_by_a_step_that_is_allowed():
    reached = set().union(*schema.NEXT.values())
    assert set(schema.NEXT) - {""} <= reached


UNCUT = "(SELECT id FROM intents WHERE status = 'FILLED' AND cut_by = '' LIMIT 1)"
HELD = "(SELECT symbol FROM positions WHERE qty <> 0 LIMIT 1)"
DECIDED = "(SELECT min(rowid) FROM cycles WHERE situation IS NOT NULL)"
FILL = "(SELECT min(seq) FROM events WHERE kind = 'fill')"
DIVIDEND = "(SELECT min(seq) FROM events WHERE kind = 'dividend')"


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """The file of an account that has traded for a year: dividends were paid, and shares are held at its end."""
    folder = tmp_path_factory.mktemp("year")
    values = {"mode": "replay", "account": "year", "state": str(folder), "symbols": ["AAPL", "GOOG", "IBM", "MSFT"]}
    engine = TradingEngine.from_values(**values, allow_uncertified=True, start=dt.date(2012, 3, 1), end=dt.date(2013, 3, 1))
    engine.run_continuous()
    kinds = {kind for (kind,) in engine.ledger.rows("SELECT kind FROM events")}
    assert kinds >= {"fill", "dividend"} and engine.ledger.rows("SELECT count(*) FROM positions WHERE qty <> 0")[0][0]
    engine.close()
    assert tampered(engine.ledger.path) == []
    return engine.ledger.path


@pytest.mark.parametrize("statement, said", [
    (f"UPDATE positions SET entry = entry * 1.01 WHERE symbol = {HELD}", "an average price of"),
    (f"UPDATE positions SET mark = mark * 1.1 WHERE symbol = {HELD}", "the account is worth"),
    (f"UPDATE cycles SET equity = equity + 1000000000 WHERE rowid = {DECIDED}", "it was decided on an account of"),
    ("DELETE FROM cycles WHERE rowid = (SELECT min(rowid) FROM cycles WHERE situation IS NULL)", "cycles: rows are missing"),
    (f"UPDATE events SET session = '2019-01-02T00:00:00' WHERE seq = {FILL}", "in 2019-01-02T00:00:00"),
    (f"UPDATE events SET symbol = 'XYZ' WHERE seq = {DIVIDEND}", "is a dividend of XYZ"),
    (f"UPDATE events SET price = price * 2 WHERE seq = {DIVIDEND}", "shares"),
    (f"UPDATE intents SET qty = qty * 2 WHERE id = {UNCUT}", "were wanted and"),
    (f"UPDATE intents SET reference = reference * 2 WHERE id = {ONE}", "the situation of its cycle has"),
    (f"UPDATE intents SET attempts = attempts + 1 WHERE id = {ONE}", "was sent 2 times"),
    (f"UPDATE cycles SET situation = x'00' WHERE rowid = {DECIDED}", "its situation cannot be read"),
    (f"UPDATE cycles SET situation = (SELECT max(situation) FROM cycles WHERE rowid <> {DECIDED}) WHERE rowid = {DECIDED}", ""),
    (f"DELETE FROM arrived WHERE id = {ONE}", "the paper broker does not have it"),
    ("UPDATE account SET standing = 'HALT'", "no change of its standing was written"),
    ("UPDATE account SET peak = 1", "a highest equity of"),
    ("UPDATE account SET day_equity = 1", "the close before had an equity of"),
    ("UPDATE account SET close_equity = 1", "the last close had an equity of 1,"),
    ("UPDATE account SET session = '2013-02-28T00:00:00'", "the account is settled to 2013-02-28"),
    ("UPDATE account SET mode = 'live'", "is not named after year (live)"),
])  # fmt: skip
def test_a_row_that_the_events_do_not_make_is_seen_and_named(year, tmp_path, statement, said):
    wrong = tampered(shutil.copy(year, tmp_path / "ledger.sqlite"), statement)
    assert wrong and any(said in sentence for sentence in wrong), wrong
