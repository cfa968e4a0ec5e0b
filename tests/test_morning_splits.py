"""What is sent on a later day than it was decided: no order of a symbol goes out that splits before it fills."""

import pandas as pd
import pytest
from splitting import DAYS, EX, at_alpaca, engine, made

from toolkit.execution.audit import verify
from toolkit.execution.standing import ACTIVE
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import AlpacaServer, Reply
from toolkit.testing.clocks import HandClock

PLACE = "/v2/corporate_actions/announcements"
BOUGHT = {"A": DAYS[EX - 1], "B": DAYS[EX - 1]}


@pytest.fixture
def world(tmp_path):
    """An engine that buys A and B at the close before a reverse split of A, its server and its clock."""
    bars, clock = made(0.1, 2.0), HandClock(f"{DAYS[EX - 2]:%Y-%m-%d} 11:00Z")
    with AlpacaServer(bars, clock=clock, limit=10**9) as server:
        own = engine(bars, clock, at_alpaca(server, clock), tmp_path, BOUGHT)
        own.run_cycle()
        yield own, server, clock
        own.close()


def asked(server):
    return [request.query for request in server.log if request.path == PLACE]


def test_a_symbol_that_splits_this_morning_is_not_ordered_and_is_decided_again_at_the_next_close(world):
    own, server, clock = world
    clock.time = pd.Timestamp(f"{DAYS[EX]:%Y-%m-%d} 11:00Z")
    report = own.run_cycle()
    assert [o.symbol for o in report.turn.orders] == ["B"]
    said = (
        "RISK_DENIED[SPLIT_DUE] A buy 4,995: measured a split of 0.1 for 1 of 2012-01-24 vs limit no split between its close "
        "and its fill; it is decided again at the next close"
    )
    assert [str(v) for v in report.turn.denials] == [said] and said in str(report)
    assert [(q["ca_types"], q["date_type"], q["since"], q["until"]) for q in asked(server)] == [
        ("split", "ex_date", "2012-01-24", "2012-01-24")
    ]
    own.run_cycle()
    assert len(asked(server)) == 1 and not own.run_cycle().turn.denied  # that morning it is left alone
    clock.time = pd.Timestamp(f"{DAYS[EX + 1]:%Y-%m-%d} 11:00Z")
    assert [(o.symbol, o.qty, o.reference) for o in own.run_cycle().turn.orders] == [("A", 499 * UNIT, 20.0)]
    clock.time = pd.Timestamp(f"{DAYS[EX + 2]:%Y-%m-%d} 11:00Z")
    assert own.run_cycle().equity == 100_000.0 and server.exchange.account.shares["A"] == 499 * UNIT
    assert own.ledger.standing[0] == ACTIVE and verify(own.ledger) == []


def test_an_order_that_was_planned_before_midnight_is_denied_after_it(world):
    own, server, clock = world
    clock.time = pd.Timestamp(f"{DAYS[EX - 1]:%Y-%m-%d} 22:30Z")  # orders for the open are taken from 19:00 in New York on
    assert [o.symbol for o in own.run_cycle().turn.unsent] == ["A", "B"] and asked(server) == []
    clock.time = pd.Timestamp(f"{DAYS[EX]:%Y-%m-%d} 05:30Z")
    report = own.run_cycle()
    assert [o.symbol for o in report.turn.orders] == ["B"] and [v.code for v in report.turn.denials] == ["SPLIT_DUE"]
    assert len(asked(server)) == 1 and own.ledger.rows("SELECT status FROM intents WHERE symbol = 'A'") == [("DENIED",)]
    assert verify(own.ledger) == []


def test_in_the_evening_of_the_close_nothing_is_asked(world):
    own, server, clock = world
    clock.time = pd.Timestamp(f"{DAYS[EX]:%Y-%m-%d} 00:30Z")  # 19:30 in New York, the day before
    assert [o.symbol for o in own.run_cycle().turn.orders] == ["A", "B"] and asked(server) == []


def test_where_nothing_is_to_be_sent_nothing_is_asked(world):
    own, server, clock = world
    for day in DAYS[EX - 2 : EX]:
        clock.time = pd.Timestamp(f"{day:%Y-%m-%d} 12:00Z")
        assert own.run_cycle().turn.orders == ()
    assert asked(server) == []


def test_on_a_weekend_the_days_up_to_the_session_of_the_fill_are_asked_for(tmp_path):
    bars, clock = made(0.1, 2.0), HandClock("2012-01-20 23:00Z")
    with AlpacaServer(bars, clock=clock, limit=10**9) as server:
        own = engine(bars, clock, at_alpaca(server, clock), tmp_path, {"B": pd.Timestamp("2012-01-20")})
        clock.time = pd.Timestamp("2012-01-22 01:00Z")  # Saturday, 20:00 in New York
        assert [o.symbol for o in own.run_cycle().turn.orders] == ["B"]
        assert [(q["since"], q["until"]) for q in asked(server)] == [("2012-01-21", "2012-01-23")]
        own.close()


BODIES = {
    "no list": {"message": "soon"},
    "no rate": [{"initiating_symbol": "B", "target_symbol": "B", "ex_date": "2012-01-24", "old_rate": "1", "new_rate": "none"}],
    "no day": [{"initiating_symbol": "B", "target_symbol": "B", "ex_date": None, "old_rate": "1", "new_rate": "2"}],
    "no symbol": [{"initiating_symbol": "", "target_symbol": None, "ex_date": "2012-01-24", "old_rate": "1", "new_rate": "2"}],
    "zero": [{"initiating_symbol": "B", "target_symbol": "B", "ex_date": "2012-01-24", "old_rate": "0", "new_rate": "2"}],
}


@pytest.mark.parametrize("way", ["html", "reset", "422", "404", *BODIES])
def test_without_an_answer_that_can_be_read_nothing_is_sent_until_there_is_one(world, way):
    own, server, clock = world
    clock.time = pd.Timestamp(f"{DAYS[EX]:%Y-%m-%d} 11:00Z")
    route = server.routes["GET", PLACE]
    if way in BODIES or way == "404":
        server.routes["GET", PLACE] = lambda server, request: Reply(BODIES.get(way, {}), 404 if way == "404" else 200)
    else:
        server.fault(way, path=PLACE)
    report = own.run_cycle()
    assert {v.code for v in report.turn.denials} == {"SPLITS_UNKNOWN"} and report.turn.orders == () and len(asked(server)) == 1
    server.routes["GET", PLACE] = route
    report = own.run_cycle()
    assert [o.symbol for o in report.turn.orders] == ["B"] and own.ledger.standing[0] == ACTIVE
