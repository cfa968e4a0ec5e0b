"""A split that the broker's books know before the bars do, or after them: no dollar is gained or lost, and nothing halts."""

import pandas as pd
import pytest
from splitting import DAYS, EX, at_alpaca, engine, made
from street import Street

from toolkit.execution.audit import verify
from toolkit.execution.brokers.values import Split
from toolkit.execution.splits import Basis, Move, basis
from toolkit.execution.standing import ACTIVE
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import AlpacaServer
from toolkit.testing.clocks import HandClock


def peak_and_day(ledger):
    return ledger.rows("SELECT peak, day_equity FROM account")[0]


@pytest.mark.parametrize("ratio, before, held", [(2.0, 90.0, 222), (0.1, 2.0, 499.5)])
def test_a_split_that_the_broker_books_before_the_bars_show_it_moves_no_equity(tmp_path, ratio, before, held):
    """Cycles at 06:00 in New York, which settle the close before: on the ex-date the shares are new and the close is old."""
    bars, clock = made(ratio, before), HandClock(f"{DAYS[EX - 4]:%Y-%m-%d} 11:00Z")
    with AlpacaServer(bars, clock=clock, limit=10**9) as server:
        own = engine(bars, clock, at_alpaca(server, clock), tmp_path, {"A": DAYS[0], "B": DAYS[EX - 1], "C": DAYS[EX - 1]})
        for day in DAYS[EX - 4 : EX + 3]:
            clock.time = pd.Timestamp(f"{day:%Y-%m-%d} 11:00Z")
            report = own.run_cycle()
            assert report.equity == server.exchange.account.equity / UNIT == 100_000.0
            assert peak_and_day(own.ledger) == (100_000 * UNIT, 100_000 * UNIT)
            told = [line for line in report.turn.issues if line.startswith("SPLIT: A: a split of ")]
            assert len(told) == (day == DAYS[EX]), report
            if told:
                assert "is in the broker's books and not in its bars" in told[0]
                assert [o.notional for o in report.turn.orders] == [9_950.0, 9_950.0] and not report.idle
                assert "SYMBOL_FROZEN" not in str(own.preview()) and own.preview().account.equity == 100_000.0
        assert server.exchange.account.shares["A"] == held * UNIT
        assert own.ledger.standing[0] == ACTIVE and verify(own.ledger) == []
        own.close()


def test_a_split_that_the_bars_show_before_the_broker_books_it_moves_no_equity_and_trades_nothing_of_it(tmp_path):
    bars, clock = made(0.1, 2.0), HandClock(f"{DAYS[EX - 3]:%Y-%m-%d} 23:30Z")
    street = Street(clock, 100_000 * UNIT)
    street.prices = {"A": 2.0, "B": 50.0, "C": 50.0}
    own = engine(bars, clock, street, tmp_path, {"A": DAYS[0], "B": DAYS[EX]}, sold={"A": DAYS[EX]})
    for t in range(EX - 3, EX + 3):
        day = f"{DAYS[t]:%Y-%m-%d}"
        if t == EX + 1:  # a day late
            clock.time = pd.Timestamp(f"{day} 05:00Z")
            street.tell("split", "A", -round(street.holdings["A"] * 0.9), 0)
            street.prices["A"] = 20.0
        clock.time = pd.Timestamp(f"{day} 14:30Z")
        for waits in street.waiting():
            street.fill(waits.id, waits.qty, street.prices[waits.symbol])
        clock.time = pd.Timestamp(f"{day} 23:30Z")
        report = own.run_cycle()
        assert report.equity == pytest.approx(100_000.0, abs=1e-6) and own.ledger.standing[0] == ACTIVE
        told = [
            line for line in report.turn.issues if line.startswith("SPLIT: A: a split of 0.1 for 1 of 2012-01-24 is in its")
        ]
        assert len(told) == (t == EX), report
        if t == EX:
            assert [o.symbol for o in report.turn.orders] == ["B"] and report.turn.orders[0].notional == 9_950.0
            assert [(v.code, v.order.symbol) for v in report.turn.denials] == [("SYMBOL_FROZEN", "A")]
        if t == EX + 1:
            assert [(o.symbol, o.side, o.reference) for o in report.turn.orders] == [("A", "sell", 20.0)]
    assert street.holdings["A"] == 0 and verify(own.ledger) == []
    own.close()


# --- which split is which

DAY = {n: pd.Timestamp(f"2012-01-{n:02d}") for n in range(1, 32)}
BOUGHT = Move(DAY[3], "fill", 100 * UNIT)
TWO = Split(DAY[10], 2.0)


def said(past, shown, first=1, last=20, seen=20):
    return basis(past, shown, DAY[first], DAY[last], DAY[seen])


@pytest.mark.parametrize("day", [9, 10, 11, 15])
def test_a_split_is_the_same_on_both_sides_whenever_it_was_told(day):
    assert said([BOUGHT, Move(DAY[day], "split", 100 * UNIT)], [TWO]) == Basis()


def test_a_split_that_is_told_after_more_was_bought_is_that_of_the_shares_before_it():
    assert said([BOUGHT, Move(DAY[10], "fill", 50 * UNIT), Move(DAY[11], "split", 100 * UNIT)], [TWO]) == Basis()


def test_a_split_with_cash_for_the_fraction_and_one_that_a_person_adopted_are_the_same():
    bought = Move(DAY[3], "fill", 111 * UNIT)
    assert said([bought, Move(DAY[10], "split", 55 * UNIT)], [Split(DAY[10], 1.5)]) == Basis()
    assert said([BOUGHT, Move(DAY[12], "adoption", 100 * UNIT)], [TWO]) == Basis()
    assert said([BOUGHT, Move(DAY[8], "adoption", 100 * UNIT)], [TWO]).factor == 2.0  # that came before it


def test_a_split_that_is_told_as_shares_that_go_and_others_that_come_is_one():
    assert said([BOUGHT, Move(DAY[10], "split", -100 * UNIT), Move(DAY[10], "split", 200 * UNIT)], [TWO]) == Basis()


def test_what_was_bought_on_the_ex_date_or_later_was_never_split():
    assert said([Move(DAY[10], "fill", UNIT)], [TWO]) == Basis()
    again = [BOUGHT, Move(DAY[10], "fill", -100 * UNIT), Move(DAY[10], "fill", 5 * UNIT)]
    assert said(again, [TWO]) == Basis()


def test_what_one_side_alone_knows_scales_the_close_to_the_shares_that_are_held():
    booked = [BOUGHT, Move(DAY[21], "split", 100 * UNIT)]
    assert said(booked, []).factor == 0.5  # the close is that of the day before
    assert said(booked, [], seen=20, last=22).factor == 0.5  # it has not traded since
    late = said(booked, [], seen=22, last=22)
    assert late.factor == 1.0 and "not in its bars" in late.said  # a close of a new share, of which the bars do not say so
    assert said([BOUGHT], [TWO]).factor == 2.0
    halted = said([BOUGHT], [TWO], seen=9)
    assert halted.factor == 1.0 and "not in the broker's books" in halted.said
    assert said([BOUGHT, Move(DAY[10], "split", 100 * UNIT)], [TWO], seen=9) == Basis(0.5)  # both know it, the close is old


def test_a_split_from_before_the_bars_is_no_difference():
    assert said([BOUGHT, Move(DAY[10], "split", 100 * UNIT)], [], first=9, last=30, seen=30) == Basis()
