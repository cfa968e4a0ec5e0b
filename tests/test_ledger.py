"""The ledger: one writer, whole transactions, an account that is the fold of its events."""

import gc
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from toolkit.errors import InvalidParameter, LedgerError, LedgerLocked, LedgerMismatch
from toolkit.execution.audit import verify
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Event, Intent, Order, Outcome, Position, order_id
from toolkit.kernels.account import UNIT

DAY = pd.Timestamp("2012-03-01")
BUY = Order(order_id("demo", "paper", "s|1", "IBM", "buy"), "s|1", "IBM", "buy", 10 * UNIT, 200.0, 10 * UNIT)


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger.open(tmp_path / "state", account="demo", mode="paper", cash=10_000.0)
    yield opened
    opened.close()


def bought(order=BUY):
    return Event(f"fill:{order.id}", "2012-03-02", "fill", "IBM", order.id, order.qty, -2_001 * UNIT, UNIT, 200.0)


def test_a_fill_read_back_rebuilds_the_account(ledger):
    ledger.plan("s|1", DAY, "bars", [Intent(BUY)], {})
    ledger.move(BUY.id, "SENDING")
    ledger.arrive(BUY.id)
    ledger.move(BUY.id, "ACCEPTED")
    assert [o.qty for o in ledger.account().waiting] == [10 * UNIT]
    ledger.settle(DAY, [bought()], [Position("IBM", 10 * UNIT, 200.0, 201.0)], [Outcome(BUY.id, "FILLED", 0)])
    ledger.close()
    again = Ledger.open(ledger.path.parent, account="demo", mode="paper", cash=1.0)
    account = again.account()
    assert account.cash == (10_000 - 2_001) * UNIT and account.positions["IBM"].qty == 10 * UNIT
    assert account.equity == 10_000 - 2_001 + 2_010 and account.waiting == () and account.session == DAY
    assert verify(again) == []
    again.close()


def test_a_standing_that_is_none_is_weakened_by_a_person_alone(ledger):
    with ledger.transaction() as db:
        db.execute("UPDATE account SET standing = 'HALU'")
    ledger.stand("REDUCE_ONLY", "on holiday", "ada")
    assert ledger.standing[0] == "HALU"
    ledger.stand("HALT", "a fall", "gate")
    assert ledger.standing == ("HALT", "a fall")


def test_nothing_of_a_transaction_that_fails_is_kept(ledger):
    twice = [bought(), bought()]
    ledger.plan("s|1", DAY, "bars", [Intent(BUY)], {})
    with pytest.raises(LedgerError, match="UNIQUE"):
        ledger.settle(DAY, twice, [], [])
    assert ledger.account().cash == 10_000 * UNIT and verify(ledger) == []


def test_what_is_read_once_is_read_again_after_any_change_and_after_none_that_was_taken_back(ledger):
    cash, asked = 10_000 * UNIT, "SELECT cash FROM account"
    reader = Ledger.read(ledger.path)
    for change in (1, 2):
        with ledger.transaction() as db:
            db.execute("UPDATE account SET cash = cash + 1")
            assert ledger.account().cash == cash + change  # its own, before it is written,
            assert reader.account().cash == cash + change - 1  # and nobody else's
        for one in (ledger, reader):
            assert one.account().cash == one.rows(asked)[0][0] == cash + change
    with pytest.raises(ZeroDivisionError), ledger.transaction() as db:
        db.execute("UPDATE account SET cash = 0")
        assert ledger.account().cash == 0 and 1 / 0
    assert ledger.account().cash == ledger.rows(asked)[0][0] == cash + 2
    assert verify(reader) == verify(reader)  # a snapshot begins and ends each time
    reader.close()


def test_a_reader_sees_cash_and_positions_of_one_instant(ledger):
    reader, seen = Ledger.read(ledger.path), []
    ledger.plan("s|1", DAY, "bars", [Intent(BUY)], {})
    ledger.move(BUY.id, "SENDING")
    ledger.move(BUY.id, "ACCEPTED")

    def between(statement):
        if "FROM positions" in statement and not seen:
            seen.append(statement)
            ledger.settle(DAY, [bought()], [Position("IBM", 10 * UNIT, 200.0, 200.0)], [Outcome(BUY.id, "FILLED", 0)])

    reader._connection.set_trace_callback(between)
    first, then = reader.account(), reader.account()
    assert (first.cash, first.positions) == (10_000 * UNIT, {}) and len(first.waiting) == 1
    assert then.positions["IBM"].qty == 10 * UNIT and then.waiting == ()
    then.positions.clear()
    assert reader.account().positions["IBM"].qty == 10 * UNIT
    reader.close()


def test_a_block_inside_of_a_transaction_is_written_with_it_or_not_at_all(ledger):
    with pytest.raises(ZeroDivisionError), ledger.transaction():
        ledger.plan("s|1", DAY, "bars", [Intent(BUY)], {})
        assert ledger.status(BUY.id) == "PLANNED" and 1 / 0
    assert ledger.status(BUY.id) is None


def test_an_order_moves_only_where_it_may(ledger):
    ledger.plan("s|1", DAY, "bars", [Intent(BUY)], {})
    with pytest.raises(LedgerError, match="from PLANNED to FILLED"):
        ledger.move(BUY.id, "FILLED")
    with pytest.raises(LedgerError, match="1 orders that are not sent"):
        ledger.close_cycle("s|1")


def test_a_disk_that_is_full_at_a_commit_is_survived_and_nobody_is_told_to_move_the_ledger(ledger):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = ledger.path.with_name("ledger.sqlite-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, limits[1]))
    try:
        with pytest.raises(LedgerError, match="it may or may not have been written") as first:
            ledger.plan("s|1", DAY, "bars", [Intent(BUY)], {})
        with pytest.raises(LedgerError, match="make room or look at the disk") as second:
            ledger.account()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "move" not in f"{first.value} {second.value}"
    if ledger.cycle_status("s|1") is None:  # nobody knew, now it does
        ledger.plan("s|1", DAY, "bars", [Intent(BUY)], {})
    assert [o.id for o in ledger.orders_in("PLANNED")] == [BUY.id] and verify(ledger) == []


def test_the_same_order_cannot_be_planned_twice(ledger):
    ledger.plan("s|1", DAY, "bars", [Intent(BUY)], {})
    with pytest.raises(LedgerError):
        ledger.plan("s|2", DAY, "bars", [Intent(replace(BUY, qty=UNIT))], {})
    assert len(ledger.frame("intents")) == 1


@pytest.mark.parametrize("account, mode", [("other", "paper"), ("demo", "replay")])
def test_a_ledger_of_another_account_is_refused_and_untouched(ledger, account, mode):
    ledger.close()
    with pytest.raises(LedgerMismatch, match="account 'demo', mode 'paper'"):
        Ledger.open(ledger.path.parent, account=account, mode=mode, cash=1.0)
    assert Ledger.read(ledger.path).account().cash == 10_000 * UNIT


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger.open(tmp_path, account="demo", mode="paper", cash=1.0)
    with pytest.raises(LedgerError, match="there is no ledger"):
        Ledger.read(tmp_path / "none.sqlite")


def test_a_second_writer_is_refused_by_name_and_readers_are_not(ledger):
    code = (
        "import sys; from pathlib import Path; from toolkit.execution.ledger import Ledger\n"
        "print(Ledger.read(Path(sys.argv[1]) / 'ledger.sqlite').account().equity)\n"
        "Ledger.open(Path(sys.argv[1]), account='demo', mode='paper', cash=1.0)"
    )
    done = subprocess.run([sys.executable, "-c", code, ledger.path.parent], capture_output=True, text=True, timeout=60)
    assert done.stdout == "10000.0\n" and f"written by process {os.getpid()}" in done.stderr


def test_a_writer_that_was_taken_over_cannot_write(ledger):
    with sqlite3.connect(ledger.path) as other:
        other.execute("UPDATE account SET epoch = epoch + 1")
    with pytest.raises(LedgerLocked, match="taken over"):
        ledger.plan("s|1", DAY, "bars", [], {}, done=True)
    assert ledger.frame("cycles").empty


def test_ctrl_c_inside_a_transaction_waits_until_it_is_whole(ledger):
    with pytest.raises(KeyboardInterrupt), ledger.transaction() as db:
        db.execute("UPDATE positions SET qty = 0")
        os.kill(os.getpid(), signal.SIGINT)
        db.execute("INSERT INTO cycles VALUES ('k','2012-03-01','b','done',0,NULL,0)")
    assert ledger.cycle_status("k") == "done"
    ledger.plan("s|1", DAY, "bars", [], {}, done=True)  # no transaction was left open


def test_verify_sees_cash_shares_and_states_that_were_tampered_with(ledger):
    ledger.plan("s|1", DAY, "bars", [Intent(BUY)], {})
    with sqlite3.connect(ledger.path) as other:
        other.execute("UPDATE account SET cash = cash + 1")
        other.execute("INSERT INTO positions VALUES ('IBM', 1, 1.0, 1.0, 0.0, NULL, NULL, 0)")
        other.execute("UPDATE intents SET status = 'FILLED'")
    said = "\n".join(verify(ledger))
    assert "cash is 10000000001" in said and "IBM: 1 micro-shares" in said and "is FILLED" in said


@pytest.mark.parametrize("statement, said", [
    ("UPDATE account SET cash = cash + 1", "cash is 8000000001"),
    ("UPDATE account SET cash = 4611686018427387904", "cash is 46"),
    ("UPDATE positions SET qty = qty * 8", "80000000 micro-shares of IBM are held, its events sum to 10000000"),
    ("UPDATE events SET qty = -qty", "its events sum to -10000000"),
    ("DELETE FROM positions", "0 micro-shares of IBM are held"),
    ("INSERT INTO positions(symbol, qty) VALUES ('X', 1)", "1 micro-shares of X are held, its events sum to 0"),
])  # fmt: skip
def test_a_ledger_that_is_not_the_sum_of_its_events_is_not_opened_for_trading(ledger, statement, said):
    ledger.plan("s|1", DAY, "bars", [Intent(BUY)], {})
    fill = replace(bought(), cash=-2_000 * UNIT, fee=0)
    ledger.book([fill], [Position("IBM", 10 * UNIT, 200.0, 200.0)])
    ledger.close()
    with closing(sqlite3.connect(ledger.path)) as db, db:
        db.execute(statement)
    with pytest.raises(LedgerError, match=f"{said}.*nothing trades on it: see `toolkit ledger verify`"):
        Ledger.open(ledger.path.parent, account="demo", mode="paper", cash=1.0)
    with closing(Ledger.read(ledger.path)) as seen:
        assert verify(seen)


def test_a_page_that_was_overwritten_is_found_when_the_ledger_is_opened(ledger):
    ledger.close()
    with closing(sqlite3.connect(ledger.path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'order_events'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with ledger.path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with pytest.raises(LedgerError, match="restore a copy"):
        Ledger.open(ledger.path.parent, account="demo", mode="paper", cash=1.0)


def test_a_file_system_without_a_log_ahead_of_the_file_is_refused(ledger, monkeypatch):
    ledger.close()
    with closing(sqlite3.connect(ledger.path)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    connect = sqlite3.connect  # dotfile: no memory is shared, as on some network drives
    monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(f"{path}&vfs=unix-dotfile", **more))
    with pytest.raises(LedgerError, match="cannot be written ahead of .*use a local disk"):
        Ledger.open(ledger.path.parent, account="demo", mode="paper", cash=1.0)


def in_thread(act):
    """What `act` gives, or raises, in another thread."""
    with ThreadPoolExecutor(1) as one:
        return one.submit(act).result()


def test_a_ledger_is_used_in_the_thread_that_opened_it_and_closed_in_any(ledger):
    for use in (ledger.account, ledger.open_cycles, lambda: ledger.stand("HALT", "a fall", "gate")):
        with pytest.raises(LedgerError, match="opened in another thread; use it there"):
            in_thread(use)
    in_thread(ledger.close)
    again = Ledger.open(ledger.path.parent, account="demo", mode="paper", cash=1.0)
    assert again.standing[0] == "ACTIVE"
    with again.transaction(), pytest.raises(LedgerLocked, match="stop the loop there first"):
        in_thread(again.close)
    again.close()


def test_a_cell_takes_over_from_a_thread_that_opened_the_ledger(tmp_path):
    first = in_thread(lambda: Ledger.open(tmp_path, account="demo", mode="paper", cash=10.0))
    second = Ledger.open(tmp_path, account="demo", mode="paper", cash=10.0)
    assert second.account().cash == 10 * UNIT
    with pytest.raises(LedgerError, match="was closed"):
        first.account()
    second.close()


def test_a_read_only_ledger_does_not_write(ledger):
    reader = Ledger.read(ledger.path)
    with pytest.raises(LedgerError, match="reading only"):
        reader.plan("s|1", DAY, "bars", [], {}, done=True)


CHILD = """
import sys
from pathlib import Path
import pandas as pd
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Event, Intent, Order, Outcome, Position, order_id
ledger = Ledger.open(Path(sys.argv[1]), account="demo", mode="paper", cash=1e6)
held = ledger.account().positions.get("IBM", Position("IBM")).qty
for i in range(len(ledger.frame("cycles")), 10**6):
    key, day = f"s|{i}", pd.Timestamp("2012-03-01")
    if ledger.cycle_status(key) is None:
        o = Order(order_id("demo", "paper", key, "IBM", "buy"), key, "IBM", "buy", 1000, 1.0)
        ledger.plan(key, day, "b", [Intent(o)], {})
        ledger.move(o.id, "SENDING"); ledger.arrive(o.id); ledger.move(o.id, "ACCEPTED")
        held += 1000
        fill = Event("fill:" + o.id, "2012-03-02", "fill", "IBM", o.id, 1000, -1001, 1, 1.0)
        ledger.settle(day, [fill], [Position("IBM", held, 1.0, 1.0)], [Outcome(o.id, "FILLED", 0)])
        ledger.close_cycle(key)
        print(o.id, flush=True)
"""


def test_what_was_acknowledged_survives_sigkill_and_nothing_is_half_written(tmp_path):
    acknowledged: set[str] = set()
    for n in range(4):
        child = subprocess.Popen([sys.executable, "-c", CHILD, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(3 + 5 * n):
            acknowledged.add(child.stdout.readline().strip())
        child.send_signal(signal.SIGKILL)
        acknowledged |= {line.strip() for line in child.stdout if line.endswith("\n")}
        child.wait(timeout=30)
        ledger = Ledger.open(tmp_path, account="demo", mode="paper", cash=1.0)
        assert verify(ledger) == []
        assert acknowledged <= set(ledger.frame("events")["order_id"])
        for o in ledger.orders_in("PLANNED") + ledger.orders_in("SENDING") + ledger.orders_in("ACCEPTED"):
            assert o.id not in acknowledged
        ledger.close()


def test_commits_are_synced_and_written_ahead(ledger):
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: nothing acknowledged is lost with the power
    assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("cash", [0.0, -5.0, float("nan"), float("inf"), 1e13, "lots"])
def test_an_account_that_cannot_be_exact_is_refused(tmp_path, cash):
    with pytest.raises(InvalidParameter, match="cash is"):
        Ledger.open(tmp_path, account="demo", mode="paper", cash=cash)


def test_a_copy_to_an_impossible_place_is_a_sentence(ledger):
    with pytest.raises(LedgerError, match="cannot be written"):
        ledger.copy_to(Path("/proc/nowhere/ledger.sqlite"))


def test_a_ledger_that_was_dropped_without_closing_does_not_lock_its_own_process_out(tmp_path):
    Ledger.open(tmp_path, account="demo", mode="paper", cash=10.0)
    gc.collect()
    Ledger.open(tmp_path, account="demo", mode="paper", cash=10.0).close()


def test_a_ledger_of_another_version_is_named_when_it_is_read(ledger):
    ledger.close()
    with sqlite3.connect(ledger.path) as other:
        other.execute("UPDATE account SET version = 1")
    with pytest.raises(LedgerMismatch, match="is of version 1, not 5; trade it once"):
        Ledger.read(ledger.path)
