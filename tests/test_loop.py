"""The loop: when a cycle is due, what ends it, what a failure does to it; and what watches over the account."""

import logging
import os
import signal
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from tape import Moving, Tape

from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.loop import at_home, following, wake
from toolkit.data import Calendar, SampleSource
from toolkit.errors import DataUnavailable, InvalidParameter, StrategyFailed
from toolkit.execution.brokers.values import Answer
from toolkit.execution.ledger import Ledger
from toolkit.execution.standing import ACTIVE, HALT, REDUCE_ONLY, kill, lift

NIGHT = "2026-11-25 21:31"  # the day before Thanksgiving, after the close
TWENTY = pd.Timedelta("20min")


def at(text):
    return pd.Timestamp(text, tz="UTC")


def trend(bars):
    return (bars.close > bars.close.shift(3)).astype(float).where(bars.close.shift(3).notna())


def always(bars):
    return trend(bars) * 0.0 + 1.0


@pytest.fixture
def started(values, tmp_path):
    """Starts an engine in real time, on a clock that moves when it sleeps and prices that follow it."""
    engines = []

    def start(time=NIGHT, strategy=trend, **more):
        clock = Moving(time)
        options = {"environment": {}} | {name: more.pop(name) for name in ("on_halt", "environment") if name in more}
        config = checked_config({**values, "symbols": ["AAA", "BBB"], "mode": "paper", **more})
        engine = TradingEngine(config, strategy=strategy, source=Tape(clock), clock=clock, **options)
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        engine.close()


def test_cycles_follow_the_sessions_over_a_holiday_an_early_close_and_a_weekend(started):
    engine = started()
    ran = []
    engine.run_continuous(
        5, until="2026-12-01 22:00Z", on_cycle=lambda report: ran.append((engine.clock.now(), report.session))
    )
    planned = engine.ledger.frame("cycles")["session"].tolist()
    assert planned == [f"2026-11-{day}T00:00:00" for day in (25, 27, 30)] + ["2026-12-01T00:00:00"]
    assert not any(now.day in (26, 28, 29) for now, _ in ran)  # Thanksgiving and the weekend: nothing is due
    closes = {now for now, session in ran if session == pd.Timestamp("2026-11-27")}
    assert at("2026-11-27 18:25") in closes  # 18:00 is the early close, 20 minutes the delay, 5 the grid


def test_ticks_lie_on_a_grid_however_long_a_cycle_takes():
    every = pd.Timedelta("5min")
    assert following(at("2012-03-01 21:20"), every) == at("2012-03-01 21:25")
    assert following(at("2012-03-01 21:24:59.9"), every) == at("2012-03-01 21:25")
    assert following(at("2012-03-11 06:59"), pd.Timedelta("1h")) == at("2012-03-11 07:00")  # the clocks change: UTC does not


@pytest.mark.parametrize("year", [2012, 2013])
def test_the_loop_wakes_once_after_each_open_and_each_close_of_a_year(year):
    days = Calendar("XNYS").sessions_between(f"{year}-01-01", f"{year}-12-31")
    now, woken = at(f"{year}-01-01"), []
    while (now := wake(now, "XNYS", TWENTY)) < at(f"{year + 1}-01-01"):
        woken.append(now)
    assert len(woken) == 2 * len(days)  # both changes of the clocks and all early closes among them


def test_a_cycle_that_takes_longer_than_the_interval_skips_ticks_and_says_so(started, caplog):
    def slow(bars):
        engine.clock.sleep(750.0)  # the work itself
        return trend(bars)

    engine = started(strategy=slow)
    with caplog.at_level(logging.WARNING):
        engine.run_continuous(5, cycles=2)
    assert "took 750.0 s: 2 ticks were skipped" in caplog.text


def test_a_stop_file_ends_the_loop_between_two_cycles_and_is_gone_afterwards(started):
    engine = started()

    def stop(report):
        (engine.folder / "STOP").touch()

    summary = engine.run_continuous(5, on_cycle=stop)
    assert summary.ended == "stopped by a STOP file" and summary.cycles == 1 and not (engine.folder / "STOP").exists()


def test_a_loop_in_real_time_says_first_where_its_stop_file_would_be(values, capsys):
    with closing(TradingEngine(checked_config(values | {"mode": "paper"}))) as engine:
        (engine.folder / "STOP").touch()
        assert engine.run_continuous().ended == "stopped by a STOP file"
        assert capsys.readouterr().out == f"a file STOP in {engine.folder} ends the loop\n"
    with closing(TradingEngine(checked_config(values))) as replay:
        replay.run_continuous(cycles=1)
    assert capsys.readouterr().out == ""


def test_a_place_in_the_home_folder_is_written_as_a_shell_takes_it():
    assert at_home(Path.home() / "desk" / "state") == "~/desk/state" and at_home(Path("/desk")) == "/desk"


def test_the_summary_ends_with_why_the_last_cycle_traded_nothing(started):
    engine = started("2026-11-27 14:40")  # after the open in New York
    summary = engine.run_continuous(cycles=1)
    assert summary.orders == 0 and summary.notes[0].startswith("UNCERTIFIED") and len(summary.notes) == 2
    assert (
        str(summary)
        .splitlines()[-1]
        .endswith("the next open has passed: nothing was planned, run between a close and the next open")
    )


def test_sigterm_ends_the_loop_and_what_it_meant_before_is_restored(started):
    engine = started()
    before = signal.getsignal(signal.SIGTERM)
    summary = engine.run_continuous(5, on_cycle=lambda report: os.kill(os.getpid(), signal.SIGTERM))
    assert summary.ended == "stopped by SIGTERM" and signal.getsignal(signal.SIGTERM) is before


def test_sigterm_inside_a_transaction_waits_until_it_is_whole(started):
    engine = started()
    engine.run_cycle()
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(InterruptedError))
    try:
        with pytest.raises(InterruptedError), engine.ledger.transaction() as db:
            os.kill(os.getpid(), signal.SIGTERM)
            db.execute("UPDATE account SET why = 'whole'")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert engine.ledger.standing == (ACTIVE, "whole")


def broken(bars):
    raise ValueError("a bug")


def test_a_streak_of_failures_halts_the_account_tells_a_person_and_leaves_a_row_a_cycle(started):
    told = []
    engine = started(strategy=broken, on_halt=told.append)
    with pytest.raises(StrategyFailed):
        engine.run_continuous(5)
    assert engine.ledger.standing[0] == HALT and len(told) == 1 and "5 cycles failed in a row" in told[0]
    assert engine.telemetry.frame()["status"].tolist() == ["failed: STRATEGY"] * 5
    assert "5 of 5 cycles FAILED" in str(engine.summary())


def test_one_failure_among_cycles_stops_nothing(started):
    def sometimes(bars):
        if len(engine.telemetry) == 2:
            raise ValueError("once")
        return trend(bars)

    engine = started(strategy=sometimes)
    engine.run_continuous(5, cycles=4)
    assert engine.telemetry.frame()["status"].str.split(":").str[0].tolist() == ["done", "repeated", "failed", "done"]
    assert engine.ledger.standing[0] == ACTIVE


def test_a_halted_account_settles_and_sends_nothing_until_a_person_lifts_it(started):
    engine = started()
    engine.halt("by a test")
    report = engine.run_cycle()
    assert report.orders == 0 and {v.code for v in report.turn.denials} == {"HALT"} and "HALT: by a test" in str(report)
    engine.close()
    again = started("2026-11-27 18:25")
    assert again.run_cycle().orders == 0  # a restart lifts nothing
    assert lift(again.ledger, again.folder, "anna") == ["HALT: by a test"]
    again.clock.time = at("2026-11-30 21:25")
    assert again.run_cycle().orders > 0
    assert again.ledger.frame("standings")["who"].tolist() == ["engine", "anna"]


@pytest.mark.parametrize("where", ["account", "all", "environment"])
def test_a_switch_acts_before_the_next_order(started, where):
    engine = started(environment={"TK_HALT": "maintenance"} if where == "environment" else {})
    if where != "environment":
        kill(engine.folder if where == "account" else engine.folder.parent, "fire")
    report = engine.run_cycle()
    assert {v.code for v in report.turn.denials} == {"KILL_SWITCH"} and report.orders == 0
    assert ("maintenance" if where == "environment" else "fire") in str(report)


@pytest.mark.parametrize("given", [None, {}, {"TK_ALPACA_KEY": "k"}])
def test_the_environment_of_the_process_stops_an_account_that_was_given_another(started, monkeypatch, given):
    monkeypatch.setenv("TK_HALT", "maintenance")
    report = started(environment=given).run_cycle()
    assert {v.code for v in report.turn.denials} == {"KILL_SWITCH"} and report.orders == 0


def test_who_watches_and_raises_ends_no_loop_halts_nothing_and_is_said_once(started, caplog):
    engine = started(operations={"error_streak": 2})

    def broken(report):
        raise RuntimeError("the panel could not be drawn")

    assert engine.run_continuous(5, cycles=6, on_cycle=broken).ended == "all cycles done"
    assert engine.ledger.standing[0] == ACTIVE and caplog.text.count("on_cycle raised") == 1


@pytest.mark.parametrize("minutes", [0.0, 1e-12, 0.016, 10_081, 1e13, float("nan"), float("inf")])
def test_an_interval_that_no_grid_can_have_is_refused_before_the_first_cycle(started, minutes):
    with pytest.raises(InvalidParameter, match=r"use minutes from 1/60 \(a second\) to 10080 \(a week\)"):
        started().run_continuous(minutes, cycles=1)


@pytest.mark.parametrize("sessions", [3, 2, 1])
def test_a_loop_wakes_near_the_end_of_its_calendar(sessions):
    now = Calendar("XNYS").close_instant(len(Calendar("XNYS").opens) - sessions) + pd.Timedelta("1h")
    assert now <= wake(now, "XNYS", TWENTY) <= now + pd.Timedelta("5D")


def test_a_kill_file_that_appears_while_orders_go_out_lets_none_follow(started):
    engine = started(strategy=always)
    inner = engine.broker.broker
    submit = inner.submit

    def pulling(order):
        kill(engine.folder, "now")
        return submit(order)

    inner.submit = pulling
    report = engine.run_cycle()
    assert report.orders == 1 and [v.code for v in report.turn.denials] == ["KILL_SWITCH"]


def test_a_fall_from_the_highest_equity_halts_and_lifting_it_begins_anew(started):
    told = []
    engine = started(on_halt=told.append, risk={"max_drawdown": 0.2})
    with engine.ledger.transaction() as db:
        db.execute("UPDATE account SET peak = ?", (int(130_000e6),))
    engine.run_cycle()
    assert engine.ledger.standing[0] == HALT and "23.1% below its highest" in told[0]
    lift(engine.ledger, engine.folder, "anna")
    engine.run_cycle()
    assert engine.ledger.standing[0] == ACTIVE


def test_rejections_in_a_row_halt_and_do_not_halt_again_once_a_person_has_lifted_it(started):
    engine = started(strategy=always, operations={"error_streak": 2})
    engine.broker.broker.submit = lambda order: Answer("REJECTED", "no")
    engine.run_cycle()
    assert engine.ledger.standing == (HALT, "the broker rejected 2 orders in a row")
    engine.clock.time += pd.Timedelta("1min")
    lift(engine.ledger, engine.folder, "anna")
    engine.run_cycle()
    assert engine.ledger.standing[0] == ACTIVE


def test_reduce_only_lets_positions_be_closed_and_none_opened(started):
    engine = started(strategy=always)
    assert engine.run_cycle().orders == 2
    engine.clock.time = at("2026-11-27 18:25")
    assert engine.run_cycle().fills == 2
    engine.ledger.stand(REDUCE_ONLY, "by hand", "anna")
    engine.signal_generator.strategy = lambda bars: trend(bars) * 0.0 + (bars.symbols == ("x",))
    engine.signal_generator.clear_cache()
    engine.clock.time = at("2026-11-30 21:25")
    report = engine.run_cycle()
    assert {o.side for o in report.turn.orders} == {"sell"} and report.denials == 0


def test_a_hole_in_the_past_keeps_no_loop_awake_and_makes_no_cycle_partial(started):
    engine, statuses = started(time="2026-11-27 18:25"), []
    engine.source.missing = ("2026-10-14",)
    engine.run_continuous(5, until="2026-11-30 14:00Z", on_cycle=lambda report: statuses.append(report.row.status))
    assert statuses == ["done"] and {issue.code for issue in engine.bars().issues} == {"GAP"}


def test_a_newest_bar_that_has_not_come_is_asked_for_again(started):
    engine = started(time="2026-11-27 18:25")
    engine.source.missing = ("2026-11-27",)
    engine.run_continuous(5, cycles=3)
    assert engine.clock.now() == at("2026-11-27 18:35")


class Deaf(SampleSource):
    """A source without an answer for IBM."""

    def fetch(self, symbol, start, end, interval="1d"):
        if symbol == "IBM":
            raise DataUnavailable("IBM: no answer", "try again", symbol=symbol)
        return super().fetch(symbol, start, end, interval)


def test_a_cycle_in_which_a_symbol_failed_is_partial(values):
    engine = TradingEngine(checked_config(values), source=Deaf())
    assert engine.run_cycle().row.status == "partial"


def test_what_a_loop_says_of_a_ledger_is_there_for_readers_while_it_runs(started):
    engine = started()
    engine.halt("by a test")
    assert Ledger.read(Path(engine.folder)).standing == (HALT, "by a test")
