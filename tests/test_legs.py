"""What the gate denied is planned again in the same session once the reason has passed: once, and nothing else is."""

from dataclasses import replace

import pandas as pd
import pytest
from tape import Moving, Tape

from conftest import random_bars
from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.incident import replay
from toolkit.cycle.turn import situated, turn
from toolkit.execution.audit import verify
from toolkit.execution.book import LIMIT_NAMES
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.brokers.values import Answer
from toolkit.execution.checks import Operations
from toolkit.execution.costs import Costs, Limits, Policy, rules
from toolkit.execution.gate import CURES, Gate
from toolkit.execution.ledger import Ledger
from toolkit.execution.lifecycle import PASSING
from toolkit.execution.orders import order_id
from toolkit.execution.schema import TABLES
from toolkit.execution.standing import kill, unlinked

LIMITS = Limits(
    max_order_notional=1e9, max_order_share=1.0, max_position=0.6, max_gross=1.0, min_cash=0.0, max_stale_sessions=99
)
RULES = rules(Costs(), LIMITS, Policy(whole_shares=True))
BARS = random_bars(3, n_symbols=2, halts=False, actions=False)
WANTED = {"S0": 0.4, "S1": 0.3}


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger.open(tmp_path, account="t", mode="paper", cash=50_000.0)
    yield opened
    opened.close()


def go(ledger, t=10, broker=None, operations=Operations(), late=False, seen=lambda found: found, rules=RULES):
    """The turn of bar `t`; `seen` changes what the gate looks at."""
    desk = broker or PaperBroker(ledger, RULES)
    return turn(BARS.until(BARS.index[t]), dict.fromkeys(WANTED, 1.0), WANTED, key=f"k{t}", desk=desk, ledger=ledger,
                gate=Gate(LIMITS, rules, operations), late=late,
                look=lambda *asked: seen(situated(ledger, desk, *asked)))  # fmt: skip


def killed(found):
    return replace(found, kill="a switch")


def states(ledger):
    return ledger.rows("SELECT cycle, symbol, status FROM intents ORDER BY rowid")


def written(ledger):
    return {table: len(ledger.frame(table)) for table in TABLES}


def test_what_a_switch_denied_is_sent_once_when_it_is_lifted_and_fills_at_the_same_open(ledger, tmp_path):
    assert {v.code for v in go(ledger, seen=killed).denials} == {"KILL_SWITCH"}
    again = go(ledger)
    assert [o.symbol for o in again.orders] == ["S0", "S1"] and not again.repeated and again.denied == ()
    assert [o.id for o in again.orders] == [order_id("t", "paper", "k10", s, "buy", 1) for s in ("S0", "S1")]
    third = go(ledger)
    assert third.repeated and third.orders == () and go(ledger).repeated
    assert states(ledger) == [
        ("k10", "S0", "DENIED"),
        ("k10", "S1", "DENIED"),
        ("k10+1", "S0", "ACCEPTED"),
        ("k10+1", "S1", "ACCEPTED"),
    ]
    free = Ledger.open(tmp_path / "free", account="t", mode="paper", cash=50_000.0)  # nobody ever stopped this one
    go(free)
    ours, theirs = ([(f.symbol, f.qty, f.price, f.fee) for f in go(each, 11).fills] for each in (ledger, free))
    assert ours == theirs and len(ours) == 2 and ledger.account().cash == free.account().cash
    free.close()
    assert verify(ledger) == []


def test_while_a_denial_stands_nothing_more_is_written(ledger):
    first = go(ledger, seen=killed)
    before = written(ledger)
    for _ in range(5):
        looked = go(ledger, seen=killed)
        assert looked.repeated and looked.denied == first.denied == ("S0", "S1") and looked.orders == looked.denials == ()
    assert written(ledger) == before


def test_only_what_passes_by_now_is_planned_again_and_the_rest_when_it_does(ledger):
    go(ledger, seen=killed)
    frozen = go(ledger, seen=lambda found: replace(found, quotes=replace(found.quotes, suspect={"S0": "a split?"})))
    assert [o.symbol for o in frozen.orders] == ["S1"] and frozen.denials == () and frozen.denied == ("S0",)
    assert [o.symbol for o in go(ledger).orders] == ["S0"]
    assert states(ledger)[2:] == [("k10+1", "S1", "ACCEPTED"), ("k10+2", "S0", "ACCEPTED")]
    assert ledger.frame("intents")["id"].tolist()[-1] == order_id("t", "paper", "k10", "S0", "buy", 1)
    assert go(ledger).repeated and verify(ledger) == []


def test_a_reason_that_does_not_pass_is_denied_once_a_session_whatever_comes(ledger):
    small = Operations(max_order_qty=1.0)
    assert {v.code for v in go(ledger, operations=small).denials} == {"MAX_ORDER_QTY"}
    assert go(ledger, operations=small).denied == () and go(ledger).repeated
    assert len(states(ledger)) == 2
    assert len(go(ledger, 11).orders) == 2  # the next close decides anew


def test_codes_that_pass_are_codes_of_the_gate_and_none_of_an_economic_limit():
    assert PASSING.issubset(CURES)
    assert not PASSING & {*LIMIT_NAMES.values(), "MAX_ORDERS_DAY", "DUPLICATE", "BAR_JUMP"}


def test_a_denied_order_takes_no_place_in_the_counts_of_the_day(ledger):
    counted, bounded = Operations(orders_day=2, orders_symbol_day=1, orders_cycle=2), RULES._replace(max_turnover=0.75)
    go(ledger, operations=counted, rules=bounded, seen=killed)
    assert len(go(ledger, operations=counted, rules=bounded).orders) == 2


def test_what_a_switch_stopped_while_orders_went_out_follows_when_it_is_lifted(ledger):
    looks = []

    def at_the_third(found):
        looks.append(found)
        return killed(found) if len(looks) > 2 else found

    first = go(ledger, seen=at_the_third)
    assert [o.symbol for o in first.orders] == ["S0"] and [v.order.symbol for v in first.denials] == ["S1"]
    assert ledger.rows("SELECT reason FROM intents WHERE status = 'DENIED'")[0][0] == str(first.denials[0])
    again = go(ledger)
    assert [o.symbol for o in again.orders] == ["S1"] and states(ledger)[-1] == ("k10+1", "S1", "ACCEPTED")
    assert len(ledger.frame("arrived")) == 2 and verify(ledger) == []


def test_a_ledger_in_which_more_than_a_denied_order_was_planned_again_does_not_hold_together(ledger):
    go(ledger, seen=killed)
    go(ledger)
    assert verify(ledger) == []
    with ledger.transaction() as db:
        db.execute("UPDATE intents SET status = 'FILLED' WHERE cycle = 'k10' AND symbol = 'S0'")
    assert "decision k10 S0 was planned again, another order of it was not denied" in verify(ledger)


class Rejects(PaperBroker):
    def submit(self, order):
        return Answer("REJECTED", "no")


class Dies(PaperBroker):
    def submit(self, order):
        raise KeyboardInterrupt


def test_what_a_broker_rejected_is_not_tried_again_in_the_session(ledger):
    assert len(go(ledger, broker=Rejects(ledger, RULES)).rejected) == 2
    assert go(ledger).repeated and len(states(ledger)) == 2


def test_what_was_sent_once_is_not_planned_again_however_it_ended(ledger):
    with pytest.raises(KeyboardInterrupt):
        go(ledger, broker=Dies(ledger, RULES))
    stopped = go(ledger, seen=killed)  # S0 was not found: it is absent, and denied; S1 never left
    assert [state for _, _, state in states(ledger)] == ["ABANDONED", "DENIED"] and stopped.denied == ("S1",)
    assert [o.symbol for o in go(ledger).orders] == ["S1"] and go(ledger).repeated


def test_a_process_that_dies_in_a_further_leg_goes_on_there_and_sends_it_once(ledger):
    go(ledger, seen=killed)
    with pytest.raises(KeyboardInterrupt):
        go(ledger, broker=Dies(ledger, RULES))
    assert ledger.open_cycles() == ["k10+1"]
    assert len(go(ledger).orders) == 2 and go(ledger).repeated and ledger.open_cycles() == []
    assert len(ledger.frame("arrived")) == 2 and len(states(ledger)) == 4 and verify(ledger) == []


def test_after_the_open_nothing_is_planned_again_and_an_open_leg_is_given_up(ledger):
    go(ledger, seen=killed)
    passed = go(ledger, late=True)
    assert passed.orders == () and passed.denied == () and len(states(ledger)) == 2
    with pytest.raises(KeyboardInterrupt):
        go(ledger, broker=Dies(ledger, RULES))
    go(ledger, late=True)
    assert [state for *_, state in states(ledger)[2:]] == ["ABANDONED", "ABANDONED"] and ledger.open_cycles() == []


# --- the loop


def always(bars):
    return bars.close * 0.0 + 1.0


@pytest.fixture
def engine(values):
    clock = Moving("2026-11-25 21:31")  # after the close; the next open is on Friday
    config = checked_config({**values, "symbols": ["AAA", "BBB"], "mode": "paper"})
    made = TradingEngine(config, strategy=always, source=Tape(clock), clock=clock, environment={})
    yield made
    made.close()


def test_a_loop_looks_again_each_interval_and_trades_in_the_session_in_which_it_was_resumed(engine):
    kill(engine.folder, "fire")
    told = []

    def watched(report):
        told.append((f"{engine.clock.now():%d %H:%M}", report.orders, report.denials))
        if len(told) == 3:
            unlinked(engine.folder)

    engine.run_continuous(5, cycles=5, on_cycle=watched)
    assert told[:4] == [("25 21:31", 0, 2), ("25 21:35", 0, 0), ("25 21:40", 0, 0), ("25 21:45", 2, 0)]
    assert (
        told[4][0] == "27 14:35" and engine.ledger.status(order_id("demo", "paper", key(engine), "AAA", "buy", 1)) == "ACCEPTED"
    )


def key(engine):
    return engine.ledger.rows("SELECT key FROM cycles ORDER BY rowid")[0][0]


def test_a_report_and_a_preview_say_what_will_be_tried_again(engine):
    kill(engine.folder, "fire")
    engine.run_cycle()
    assert "denied before, tried again in the next cycle: AAA" in str(engine.run_cycle())
    halted = engine.preview()
    assert [o.symbol for o in halted.orders] == ["AAA", "BBB"] and not halted.done and "KILL_SWITCH" in halted.denials["AAA"]
    unlinked(engine.folder)
    free = engine.preview()
    assert free.denials == {} and "denied before: these orders are sent once the gate lets them pass" in free.notes
    sent = engine.run_cycle().turn.orders
    assert [(o.id, o.qty) for o in sent] == [(o.id, o.qty) for o in free.orders] and engine.preview().done


def test_a_further_leg_comes_out_again_bit_for_bit(engine):
    kill(engine.folder, "fire")
    engine.run_cycle()
    unlinked(engine.folder)
    engine.run_cycle()
    again = [replay(n, engine.ledger, engine.config, strategy=always, bars=engine.data_cache) for n in (1, 2)]
    assert [each.found for each in again] == [(), ()] and [each.orders for each in again] == [2, 2]


def test_a_halt_replaces_nothing_that_waits_and_its_cycle_comes_out_again(values):
    def growing(bars):
        return always(bars) * (0.05 if bars.index[-1] < pd.Timestamp("2026-11-27") else 1.0)

    clock = Moving("2026-11-25 21:31")
    limit = {"order_kind": "limit", "order_offset": 0.5, "operations": {"collar": 0.9}}
    config = checked_config({**values, **limit, "symbols": ["AAA"], "mode": "paper"})
    engine = TradingEngine(config, strategy=growing, source=Tape(clock), clock=clock, environment={})
    (first,) = engine.run_cycle().turn.orders
    clock.time = clock.time.normalize() + pd.Timedelta("2D 18:31:00")  # after the half day that follows Thanksgiving
    kill(engine.folder, "fire")
    assert engine.run_cycle().denials == 1 and engine.ledger.status(first.id) == "ACCEPTED"
    assert engine.run_cycle().denials == 0 and engine.ledger.status(first.id) == "ACCEPTED"
    unlinked(engine.folder)
    (second,) = engine.run_cycle().turn.orders
    assert second.qty > first.qty and engine.ledger.status(first.id) == "CANCELED" and verify(engine.ledger) == []
    again = [replay(n, engine.ledger, config, strategy=growing, bars=engine.data_cache) for n in (1, 2, 3)]
    assert [each.found for each in again] == [()] * 3
    engine.close()
