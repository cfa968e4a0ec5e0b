"""The oracle speaks: one sound ledger, broken once for each limit."""

import ast
import json
import math
import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import oracle
import pytest
from ledger_machine import Walltime
from oracle import breaches

from conftest import random_bars
from toolkit.cycle.turn import situated, turn
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.brokers.values import Asset
from toolkit.execution.checks import Operations
from toolkit.execution.costs import Costs, Limits, Policy, rules
from toolkit.execution.gate import CURES, Gate
from toolkit.execution.ledger import Ledger

LIMITS = Limits(
    40_000.0, 0.40, 0.40, 0.9, 0.05, max_stale_sessions=1, max_net=0.9, max_turnover=0.9, daily_loss=0.05, max_drawdown=0.20,
)  # fmt: skip
OPERATIONS = Operations(50_000.0, 0.05, 0.40, 0.05, 4, 4, 1, 0.9, 10.0, 30.0, 0.98, 5)
COSTS = Costs()
FIRST, SECOND = "k30", "k31"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A ledger of two cycles: two buys, then a sale that closes and a buy."""
    folder, clock = tmp_path_factory.mktemp("sound"), Walltime()
    bars = random_bars(3, halts=False, actions=False)
    law = rules(COSTS, LIMITS, Policy(order_kind="limit", order_offset=0.01))
    with closing(Ledger.open(folder, account="o", mode="paper", cash=100_000.0, clock=clock)) as ledger:
        desk = PaperBroker(ledger, law)

        def look(seen, session, key, symbols):
            known = situated(ledger, desk, seen, session, key, symbols)
            return replace(known, buying_power=100_000.0, assets={s: Asset(s, True, True, True) for s in bars.symbols})

        for t, weights in ((30, {"S0": 0.3, "S1": 0.2}), (31, {"S0": 0.0, "S2": 0.2})):
            clock.sleep(86_400)
            ledger.stand("ACTIVE", "", "test")
            turn(bars.until(bars.index[t]), {s: float(w > 0) for s, w in weights.items()}, weights, key=f"k{t}", desk=desk,
                 ledger=ledger, gate=Gate(LIMITS, law, OPERATIONS), clock=clock, look=look)  # fmt: skip
    return folder


def broken(sound, tmp_path, statements=(), situation=None):
    """What the oracle says of a copy in which `statements` were carried out and the second cycle's situation was changed."""
    with closing(Ledger.read(sound)) as ledger:
        copy = ledger.copy_to(tmp_path / "ledger.sqlite")
    with closing(sqlite3.connect(copy)) as db, db:
        for statement in statements:
            assert db.execute(statement).rowcount > 0, statement
        if situation is not None:
            (packed,) = db.execute("SELECT situation FROM cycles WHERE key = ?", (SECOND,)).fetchone()
            kept = json.loads(zlib.decompress(packed))
            situation(kept)
            db.execute("UPDATE cycles SET situation = ? WHERE key = ?", (zlib.compress(json.dumps(kept).encode()), SECOND))
    with closing(Ledger.read(copy)) as ledger:
        return breaches(ledger, vars(LIMITS), vars(OPERATIONS), vars(COSTS))


def codes(said):
    return {each.split()[0] for each in said}


def test_of_a_sound_ledger_it_says_nothing(sound, tmp_path):
    assert broken(sound, tmp_path) == []
    with closing(Ledger.read(sound)) as ledger:
        sides = ledger.rows("SELECT cycle, symbol, side FROM intents ORDER BY rowid")
    assert sides == [(FIRST, "S0", "buy"), (FIRST, "S1", "buy"), (SECOND, "S0", "sell"), (SECOND, "S2", "buy")]


BUY = f"cycle = '{SECOND}' AND symbol = 'S2'"
ORDERS = {
    "NOT_FINITE": f"UPDATE intents SET reference = 9e999 WHERE {BUY}",
    "MAX_ORDER_NOTIONAL": f"UPDATE intents SET qty = 3 * qty WHERE {BUY}",
    "MAX_POSITION": f"UPDATE intents SET qty = 3 * qty WHERE {BUY}",
    "MAX_GROSS": f"UPDATE intents SET qty = 5 * qty WHERE {BUY}",
    "MAX_NET": f"UPDATE intents SET qty = 5 * qty WHERE {BUY}",
    "MIN_CASH": f"UPDATE intents SET qty = 5 * qty WHERE {BUY}",
    "MAX_TURNOVER_DAY": f"UPDATE intents SET qty = 5 * qty WHERE {BUY}",
    "BUYING_POWER": f"UPDATE intents SET qty = 6 * qty WHERE {BUY}",
    "PARENT_EXCEEDED": f"UPDATE intents SET qty = wanted + 1 WHERE {BUY}",
    "MAX_ORDER_QTY": f"UPDATE intents SET qty = 60000 * 1000000 WHERE {BUY}",
    "ADV_SHARE": f"UPDATE intents SET qty = 55000 * 1000000 WHERE {BUY}",
    "SHORT_NOT_ALLOWED": f"UPDATE intents SET side = 'sell' WHERE {BUY}",
    "PRICE_COLLAR": f"UPDATE intents SET level = 1.06 * reference WHERE {BUY}",
    "NO_SITUATION": f"UPDATE cycles SET situation = NULL WHERE key = '{SECOND}'",
    "NO_VERDICT": "UPDATE verdicts SET code = 'MAX_GROSS' WHERE stage = 'plan'",
    "HALT": "INSERT INTO standings VALUES (99, 'ACTIVE', 'HALT', 'x', 'x', '2012-01-04T00:00:00+00:00')",
    "MAX_ORDERS_SYMBOL_DAY": f"UPDATE intents SET symbol = 'S2' WHERE cycle = '{SECOND}'",
    "MAX_ORDERS_DAY": f"UPDATE cycles SET session = (SELECT session FROM cycles WHERE key = '{SECOND}')",
}


@pytest.mark.parametrize("code", ORDERS)
def test_an_order_that_is_over_a_limit_is_found(sound, tmp_path, code):
    assert code in codes(broken(sound, tmp_path, [ORDERS[code], *MORE.get(code, [])]))


ADDED = """INSERT INTO intents(id, cycle, symbol, side, qty, reference, wanted, cut_by, status, rest, reason)
VALUES ('tk1-{0}', '{1}', 'S{0}', 'sell', 1, 50.0, 1, '', 'ACCEPTED', 1, '')"""
STEP = "INSERT INTO order_events(id, before, after, detail, at) VALUES ('tk1-{0}', '', '{1}', '', '2012-01-09')"
MANY = [s for n in range(5) for s in (ADDED.format(n, SECOND), STEP.format(n, "PLANNED"), STEP.format(n, "SENDING"))]
MORE = {"MAX_ORDERS_DAY": MANY}


def test_more_orders_than_a_cycle_may_have_are_found(sound, tmp_path):
    assert "MAX_ORDERS_CYCLE" in codes(broken(sound, tmp_path, MANY))


def quote(which, value):
    return lambda kept: kept["quotes"][which].update({"S2": value})


def put(name, value):
    return lambda kept: kept.update({name: value})


def other(side, kind="market"):
    order = ["tk1-other", "k", "S2", side, 1, 50.0, 1, "", kind, math.nan, False]
    return lambda kept: kept["today"][3].append(order)


SITUATIONS = {
    "STALE_DATA": quote(0, 2),
    "BAR_JUMP": quote(1, 0.5),
    "SYMBOL_FROZEN": quote(3, "holdings differ"),
    "SPLIT_DUE": put("splits", {"S2": "a split of 2 for 1"}),
    "SPLITS_UNKNOWN": put("splits", None),
    "UNIVERSE_PARTIAL": lambda kept: kept["quotes"][0].update({"S3": 9}),
    "HALT": put("standing", "HALT"),
    "REDUCE_ONLY": put("standing", "REDUCE_ONLY"),
    "KILL_SWITCH": put("kill", "KILL is there"),
    "LIVE_NOT_ARMED": put("unarmed", ["the token"]),
    "MARKET_CLOSED": put("clash", "the broker says closed"),
    "CLOCK_SKEW": put("skew", -31.0),
    "ORDER_RATE": put("pause", 11.0),
    "BUYING_POWER": put("buying_power", 100.0),
    "MAX_DRAWDOWN": put("peak", 200_000 * 10**6),
    "DAILY_LOSS": put("day_equity", 120_000 * 10**6),
    "DUPLICATE": other("buy"),
    "SELF_CROSS": other("sell"),
    "ASSET_UNKNOWN": lambda kept: kept["assets"].update({"S2": None}),
    "ASSET_NOT_TRADABLE": lambda kept: kept["assets"].update({"S2": ["S2", False, True, True]}),
    "ASSET_NOT_FRACTIONABLE": lambda kept: kept["assets"].update({"S2": ["S2", True, True, False]}),
}


@pytest.mark.parametrize("code", SITUATIONS)
def test_an_order_that_should_not_have_passed_is_found(sound, tmp_path, code):
    assert code in codes(broken(sound, tmp_path, (), SITUATIONS[code]))


def test_a_short_sale_of_what_cannot_be_borrowed_is_found(sound, tmp_path):
    def unshortable(kept):
        kept["assets"]["S2"] = ["S2", True, False, True]

    said = broken(sound, tmp_path, [ORDERS["SHORT_NOT_ALLOWED"]], unshortable)
    assert "ASSET_NOT_SHORTABLE" in codes(said)


def test_nothing_that_cannot_be_compared_passes(sound, tmp_path):
    for name in ("skew", "buying_power"):
        assert broken(sound, tmp_path, (), put(name, math.nan)) != []


@pytest.mark.parametrize("which, code", [(1, "BAR_JUMP"), (2, "ADV_SHARE")])
def test_an_opening_order_of_a_symbol_without_what_it_is_measured_by_is_found(sound, tmp_path, which, code):
    assert code in codes(broken(sound, tmp_path, (), lambda kept: kept["quotes"][which].pop("S2")))


def test_there_is_no_code_of_the_gate_that_the_oracle_does_not_know():
    assert set(CURES) <= {*ORDERS, *SITUATIONS, "MAX_ORDERS_CYCLE", "ASSET_NOT_SHORTABLE"}


def test_the_oracle_shares_no_code_with_the_gate():
    names = {
        name
        for node in ast.walk(ast.parse(Path(oracle.__file__).read_text()))
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in getattr(node, "names", ())])
    }
    assert names and not any(str(name).startswith("toolkit") for name in names)
