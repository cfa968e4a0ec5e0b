"""What a ledger recalls is what is in its file, whoever has changed it."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Position
from toolkit.kernels.account import UNIT

HELD = Position("IBM", 10 * UNIT, 200.0, 201.0)


@pytest.fixture
def ledger(tmp_path):
    with closing(Ledger.open(tmp_path, account="a", mode="paper", cash=1000.0)) as opened:
        yield opened


def asked(ledger: Ledger, *looks) -> int:
    """How many statements the looks make, beside those that ask whether the file has changed."""
    seen: list[str] = []
    ledger._connection.set_trace_callback(seen.append)
    for look in looks:
        look()
    ledger._connection.set_trace_callback(None)
    return sum(not statement.startswith("PRAGMA data_version") for statement in seen)


def test_a_second_look_reads_nothing(ledger):
    looks = (ledger.account, lambda: ledger.orders_in("PLANNED"), lambda: ledger.rows("SELECT count(*) FROM events"))
    assert asked(ledger, *looks) == 5  # three of them for the account
    assert asked(ledger, *looks) == 0


def test_a_write_of_its_own_is_seen(ledger):
    assert ledger.account().positions == {}
    ledger.book([], [HELD])
    assert ledger.account().positions["IBM"].qty == 10 * UNIT


def test_a_write_of_another_connection_is_seen(ledger):
    ledger.book([], [HELD])
    assert ledger.account().positions["IBM"].qty == 10 * UNIT
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("UPDATE positions SET qty = 7")
    assert ledger.account().positions["IBM"].qty == 7


def test_a_reader_sees_what_the_writer_writes(ledger):
    with closing(Ledger.read(ledger.path)) as reader:
        assert reader.rows("SELECT count(*) FROM positions") == [(0,)]
        ledger.book([], [HELD])
        assert reader.rows("SELECT count(*) FROM positions") == [(1,)]


def test_what_is_rolled_back_is_not_recalled(ledger):
    with pytest.raises(ZeroDivisionError), ledger.transaction():
        ledger.book([], [HELD])
        assert ledger.account().positions["IBM"].qty == 10 * UNIT  # inside, it is there
        raise ZeroDivisionError
    assert ledger.account().positions == {}


def test_a_block_inside_a_transaction_is_written_with_it(ledger):
    with ledger.transaction():
        ledger.book([], [HELD])
        with closing(Ledger.read(ledger.path)) as reader:
            assert reader.account().positions == {}
        ledger.book([], [replace(HELD, qty=5)])
    with closing(Ledger.read(ledger.path)) as reader:
        assert reader.account().positions["IBM"].qty == 5


def test_lists_are_the_askers_own(ledger):
    ledger.rows("SELECT 1").clear()
    assert ledger.rows("SELECT 1") == [(1,)]
