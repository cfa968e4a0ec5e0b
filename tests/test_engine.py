"""The engine: a replay from configuration to summary, and what goes wrong along the way."""

import datetime as dt
import logging
import os
import signal
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from conftest import SYMBOLS
from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.telemetry import PHASES, CycleRow, Telemetry
from toolkit.data import Calendar, ReplayClock, SampleSource
from toolkit.errors import (
    BudgetSpent,
    ConfigError,
    DataUnavailable,
    InvalidParameter,
    InvalidWindow,
    LedgerError,
    StrategyFailed,
    ToolkitError,
    Uncertified,
)
from toolkit.execution.audit import verify
from toolkit.execution.ledger import Ledger
from toolkit.signals.causality import certify

SPRING = {"start": dt.date(2012, 2, 1), "end": dt.date(2012, 4, 30)}


def close_of(day):
    return pd.Timestamp(f"{day} 21:20", tz="UTC")


def test_a_replay_of_the_bundled_prices_meets_no_denial_under_the_default_limits(values):
    values.pop("risk")
    engine = TradingEngine.from_values(**values)
    summary = engine.run_continuous()
    assert summary.cycles >= 250 and summary.denials == 0 and summary.orders > 20
    assert summary.ended == "all cycles done" and verify(engine.ledger) == []
    assert summary.final_equity == pytest.approx(engine.ledger.account().equity)


def test_every_cycle_leaves_a_row_whose_phases_sum_to_its_total(values):
    engine = TradingEngine.from_values(**values, **SPRING)
    engine.run_continuous()
    table = engine.telemetry.frame()
    assert len(table) == len(engine.clock) == 62 and engine.cycles_left == 0
    assert (table[list(PHASES)].sum(axis=1) - table["total_cycle_time"]).abs().max() < 1e-9
    assert table["cache_hit_rate"].between(0.0, 1.0).all()
    assert table["api_calls"].tolist() == [len(SYMBOLS)] + [0] * 61


def test_a_second_run_on_the_same_cache_asks_the_source_for_nothing(values):
    first = TradingEngine.from_values(**values, **SPRING)
    one = first.run_continuous()
    first.close()
    second = TradingEngine.from_values(**values, **SPRING)
    two = second.run_continuous()
    assert second.source.meter.calls == 0 and two.api_calls_per_cycle == 0.0
    assert (two.final_equity, two.fills) == (one.final_equity, one.fills)


def test_the_benchmark_holds_equal_parts_and_the_part_of_a_symbol_not_yet_listed_is_cash(values, bundled):
    engine = TradingEngine.from_values(**values, start=dt.date(2012, 2, 1), end=dt.date(2012, 6, 29))
    summary = engine.run_continuous()
    close = bundled.close.loc["2012-02-01":"2012-06-29"]
    returns = close.iloc[-1] / close.bfill().iloc[0] - 1.0  # FB from its listing on 2012-05-18
    assert close["FB"].isna().any() and summary.benchmark_return == pytest.approx(returns.mean(), rel=1e-12)


def test_a_preview_trades_nothing_and_says_what_the_next_cycle_does(values):
    engine = TradingEngine.from_values(**values)
    preview = engine.preview()
    assert engine.ledger.frame("intents").empty and not preview.done
    report = engine.run_cycle()
    assert {(o.id, o.qty) for o in preview.orders} == {(o.id, o.qty) for o in report.turn.orders} != set()
    assert engine.preview().done
    assert "no opinion yet" in preview.frame().loc["FB", "why"]
    assert "cut by MAX_POSITION" in preview.frame().loc["IBM", "why"]


def test_a_preview_and_its_cycle_go_by_the_same_losses(values):
    limits = {"max_order_share": 0.25, "max_turnover": 0.1, "daily_loss": 0.0, "max_drawdown": 0.03}
    when = {"start": dt.date(2008, 8, 1), "end": dt.date(2009, 2, 28), "operations": {"drawdown_halts": False}}
    engine, limited = TradingEngine.from_values(**values | when | {"risk": limits}), set()
    for _ in range(120):
        preview = engine.preview()
        done = engine.run_cycle().turn
        asked, traded = ([(o.id, o.qty, o.limit) for o in orders] for orders in (preview.orders, done.orders + done.cut))
        assert sorted(asked) == sorted(traded) and done.denials == () and not preview.denials
        limited |= {limit for _, _, limit in asked}
        engine.clock.advance()
    assert {"DAILY_LOSS", "MAX_DRAWDOWN", "MAX_TURNOVER_DAY"} <= limited


def test_paper_resumes_its_account_and_a_replay_opens_a_fresh_one(values):
    values |= {"mode": "paper", "account": "mine"}
    clocks = [ReplayClock([close_of(day)]) for day in ("2012-03-01", "2012-03-02")]
    config = checked_config(values)
    first = TradingEngine(config, clock=clocks[0])
    orders = first.run_cycle().orders
    first.close()
    second = TradingEngine(config, clock=clocks[1])
    report = second.run_cycle()
    assert orders > 0 and report.fills == orders
    assert second.folder.name == "paper-mine" and len(second.telemetry) == 2
    replays = {TradingEngine.from_values(**{**values, "mode": "replay"}).folder.name for _ in range(2)}
    assert len(replays) == 2


def test_ctrl_c_ends_the_loop_and_the_summary_still_comes(values):
    engine = TradingEngine.from_values(**values)

    def interrupt(report):
        if report.cycle == 4:
            os.kill(os.getpid(), signal.SIGINT)

    summary = engine.run_continuous(on_cycle=interrupt)
    assert summary.cycles == 5 and summary.ended == "stopped by hand" and verify(engine.ledger) == []


def test_caches_are_counted_and_cleared(values):
    engine = TradingEngine.from_values(**values)
    engine.run_cycle()
    stats = engine.get_cache_stats()
    assert stats["total_requests"] > 0 and stats["hit_rate"] + stats["miss_rate"] == pytest.approx(1.0)
    engine.preview()
    assert engine.signal_generator.stats()["hits"] == 1
    engine.data_cache.clear()
    engine.signal_generator.clear_cache()
    engine.preview()
    assert engine.source.meter.calls == 2 * len(SYMBOLS)


class Deaf(SampleSource):
    """A source that does not answer for IBM, or for nobody."""

    lost = {"IBM"}

    def fetch(self, symbol, start, end, interval="1d"):
        if symbol in self.lost:
            raise DataUnavailable(f"{symbol}: no answer", "try again", symbol=symbol)
        return super().fetch(symbol, start, end, interval)


def test_the_other_symbols_go_on_when_one_fails(values):
    engine = TradingEngine(checked_config(values), source=Deaf())
    report = engine.run_cycle()
    assert report.orders > 0 and "IBM: no answer" in str(report)
    one = replace(report, row=replace(report.row, orders=1, fills=0, denials=1, equity=1_000.0, total_cycle_time=0.0))
    assert str(one).split("\n")[0].endswith("equity $1,000.00, 0 fills, 1 order, 1 denial")  # no time where none was measured
    assert "IBM" not in {o.symbol for o in report.turn.orders}


def test_a_loop_in_which_nothing_works_gives_up_after_five_cycles(values, caplog):
    source = Deaf()
    source.lost = set(SYMBOLS)
    engine = TradingEngine(checked_config(values), source=source)
    with caplog.at_level(logging.WARNING), pytest.raises(DataUnavailable):
        engine.run_continuous()
    assert sum("cycle failed" in r.message for r in caplog.records) == 5
    assert engine.summary().cycles == 0 and "none" in str(engine.summary())


@pytest.mark.parametrize(
    "change, error, said",
    [
        ({"strategy": {"name": "magic"}}, ConfigError, "use one of trend_and_rsi"),
        ({"strategy": {"name": "trend_and_rsi", "parameters": {"fasst": 5}}}, ConfigError, "fasst"),
        ({"sizing": {"name": "equal_weight", "parameters": {"gros": 1}}}, ConfigError, "gros"),
        ({"start": dt.date(2013, 3, 1), "end": dt.date(2012, 3, 1)}, ConfigError, "no session from start 2013-03-01"),
        ({"state": "/proc/nowhere"}, LedgerError, "cannot be written"),
        ({"cache": {"directory": "/proc/nowhere"}}, ToolkitError, "/proc/nowhere"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(values, change, error, said):
    with pytest.raises(error, match=said):
        TradingEngine.from_values(**{**values, **change})


def test_a_window_of_zero_is_a_typed_error(values):
    values["strategy"] = {"name": "trend_and_rsi", "parameters": {"fast": 0}}
    engine = TradingEngine.from_values(**values)
    with pytest.raises(InvalidWindow, match="fast"):
        engine.run_cycle()


def test_telemetry_survives_a_restart_and_an_unwritable_place(tmp_path, caplog):
    row = CycleRow(session="2012-03-01", orders=3, bars_hits=4, bars_misses=1)
    kept = Telemetry(tmp_path / "t.sqlite")
    kept.write(row)
    kept.close()
    again = Telemetry(tmp_path / "t.sqlite").frame()
    assert again["orders"].tolist() == [3] and again["cache_hit_rate"].tolist() == [0.8]
    with caplog.at_level(logging.WARNING):
        lost = Telemetry(tmp_path / "none" / "t.sqlite")
        lost.write(row)
    assert len(lost.frame()) == 1 and "stays in memory" in caplog.text


def test_the_exported_ledger_is_a_whole_copy(values, tmp_path):
    engine = TradingEngine.from_values(**values, **SPRING)
    engine.run_continuous()
    copy = Ledger.read(engine.export(tmp_path / "out"))
    assert verify(copy) == [] and copy.account().cash == engine.ledger.account().cash


def test_a_resumed_account_is_summed_up_from_where_it_stood_and_its_benchmark_goes_on(values, caplog):
    config = checked_config(values | {"mode": "paper"})
    days = [close_of(day) for day in ("2012-03-01", "2012-03-02", "2012-03-05", "2012-03-06")]
    whole = TradingEngine(checked_config(values | {"mode": "paper", "account": "whole"}), clock=ReplayClock(days))
    whole.run_continuous()
    for part in (days[:2], days[2:]):
        engine = TradingEngine(config, clock=ReplayClock(part))
        before = engine.ledger.account().equity
        summary = engine.run_continuous()
        assert summary.cycles == 2 and summary.total_return == pytest.approx(summary.final_equity / before - 1.0)
        engine.close()
    assert engine.telemetry.frame()["equity"].tolist() == whole.telemetry.frame()["equity"].tolist()
    assert engine.telemetry.frame()["benchmark"].iloc[2] == pytest.approx(whole.telemetry.frame()["benchmark"].iloc[1])
    with caplog.at_level(logging.WARNING):
        fresh = checked_config(values | {"mode": "paper", "account": "new"})
        TradingEngine(fresh, clock=ReplayClock(days)).close()
        assert "ignored" not in caplog.text
        resumed = TradingEngine(checked_config(config.model_dump() | {"cash": 5e4}), clock=ReplayClock(days))
        resumed.close()
    assert "cash in the configuration is ignored" in caplog.text


def test_running_the_cell_that_makes_the_engine_twice_takes_over(values):
    config, clock = checked_config(values | {"mode": "paper"}), ReplayClock([close_of("2012-03-01")])
    first = TradingEngine(config, clock=clock)
    second = TradingEngine(config, clock=clock)
    assert second.run_cycle().orders > 0
    with pytest.raises(LedgerError, match="was closed"):
        first.run_cycle()
    second.close()
    with pytest.raises(LedgerError, match="was closed"):
        second.ledger.account()


def test_nothing_is_planned_once_the_next_open_has_passed(values):
    config = checked_config(values | {"mode": "paper"})
    afternoon = pd.Timestamp("2012-03-02 19:59", tz="UTC")  # the last known close is of March 1
    engine = TradingEngine(config, clock=ReplayClock([afternoon, close_of("2012-03-02")]))
    report = engine.run_cycle()
    assert report.orders == 0 and "next open has passed" in str(report) and engine.ledger.frame("intents").empty
    engine.clock.advance()
    assert engine.run_cycle().orders > 0


def test_a_symbol_taken_out_of_the_list_is_still_marked_and_paid_its_dividends(values):
    days = Calendar("XNYS").closes_between("2012-07-02", "2012-08-20")
    kept = TradingEngine(checked_config(values | {"mode": "paper", "account": "kept"}), clock=ReplayClock(days))
    left = {"symbols": [s for s in SYMBOLS if s != "AAPL"]}
    kept.run_continuous(cycles=27)  # to 2012-08-08; AAPL pays on the 9th
    assert kept.ledger.account().positions["AAPL"].qty > 0
    config = checked_config(values | left | {"mode": "paper", "account": "kept"})
    without = TradingEngine(config, clock=ReplayClock(days[27:]))
    without.run_continuous()
    account, paid = without.ledger.account(), without.ledger.frame("events").query("kind == 'dividend'")
    assert "AAPL" in set(paid["symbol"]) and account.positions["AAPL"].seen == account.session


def test_a_cycle_is_named_by_strategy_session_and_close_never_by_the_time_of_the_run(values, bundled):
    keys = []
    for time in ("21:20", "23:59"):
        clock = ReplayClock([pd.Timestamp(f"2012-11-23 {time}", tz="UTC")])
        engine = TradingEngine(checked_config(values), clock=clock)
        keys.append(engine.cycle_key(bundled.until("2012-11-23")))
    assert keys == ["trend_and_rsi()|2012-11-23|18:00"] * 2  # the day after Thanksgiving closes early


def test_bars_that_end_before_the_session_that_is_due_are_stale(values):
    engine = TradingEngine(checked_config(values), clock=ReplayClock([pd.Timestamp("2013-03-08 22:00", tz="UTC")]))
    report = engine.run_cycle()
    assert report.orders == 0 and (report.turn.late or {v.code for v in report.turn.denials} == {"STALE_DATA"})
    assert engine.missing(engine.data_cache.bars(SYMBOLS)) == 5


@pytest.mark.parametrize("bad", [{"interval_minutes": -5}, {"interval_minutes": "5"}, {"cycles": 0}, {"cycles": 2.5}])
def test_a_loop_with_an_impossible_rhythm_is_refused(values, bad):
    with pytest.raises(InvalidParameter, match=next(iter(bad))):
        TradingEngine.from_values(**values).run_continuous(**bad)


def test_a_broker_that_makes_no_desk_is_refused_before_a_ledger_is_opened(values):
    with pytest.raises(InvalidParameter, match="broker is a object; pass what makes a desk"):
        TradingEngine(checked_config(values), broker=object())
    TradingEngine(checked_config(values)).close()


def test_a_window_longer_than_the_history_is_said(values):
    values["strategy"] = {"name": "trend_and_rsi", "parameters": {"trend": 100_000}}
    with pytest.raises(StrategyFailed, match="no score for any of 3000 bars; shorten its windows"):
        TradingEngine.from_values(**values).run_cycle()


def test_a_strategy_that_raises_is_named_and_does_not_end_the_loop_at_once(values, caplog):
    def careless(bars):
        return bars.close["TYPO"]

    engine = TradingEngine.from_values(**values, strategy=careless)
    with caplog.at_level(logging.WARNING), pytest.raises(StrategyFailed, match="careless raised KeyError"):
        engine.run_continuous()
    assert sum("cycle failed" in r.message for r in caplog.records) == 5


def test_a_preview_says_what_the_gate_would_deny(values):
    engine = TradingEngine(checked_config(values), clock=ReplayClock([pd.Timestamp("2013-03-08 22:00", tz="UTC")]))
    assert "the next open has passed" in str(engine.preview()) and engine.ledger.frame("intents").empty
    engine.late = lambda bars: False  # as if the open were still to come
    why = engine.preview().frame()["why"]
    assert why.str.contains("RISK_DENIED.STALE_DATA").any() and engine.ledger.frame("intents").empty


def test_a_cycle_past_its_budget_of_requests_is_refused_where_the_configuration_says_so(values):
    engine = TradingEngine.from_values(**values, max_api_calls_per_cycle=3, past_budget="refuse")
    with pytest.raises(BudgetSpent, match="allowance of 3 requests"):
        engine.run_cycle()
    engine.run_cycle()  # what the first has fetched is stored
    assert engine.source.meter.calls == 5 and engine.data_cache.stats()["hit_rate"] > 0


def test_a_cycle_past_its_budget_goes_on_with_what_there_is_and_names_the_rest(values):
    engine = TradingEngine.from_values(**values, max_api_calls_per_cycle=3)
    report = engine.run_cycle()
    assert [issue.code for issue in report.issues] == ["BUDGET_SPENT"] * 2
    assert len(engine.run_cycle().issues) == 0 and engine.source.meter.calls == 5


def test_paper_refuses_a_strategy_without_a_certificate_and_trades_it_once_certified(values, bundled):
    values |= {"mode": "paper", "allow_uncertified": False}
    engine = TradingEngine(checked_config(values), clock=ReplayClock([close_of("2012-03-01")]))
    with pytest.raises(Uncertified, match="has no certificate.*toolkit certify"):
        engine.run_cycle()
    with pytest.raises(Uncertified):
        engine.run_continuous(cycles=1)
    assert len(engine.telemetry) == 0 and "UNCERTIFIED" in str(engine.preview())
    strategy = engine.signal_generator.strategy
    assert certify(strategy, bundled.since("2012-01-01"), state=Path(values["state"]), progress=False).passed
    report = engine.run_cycle()
    assert report.orders > 0 and "UNCERTIFIED" not in str(report) + str(engine.summary())


def test_a_strategy_that_takes_over_an_account_is_named_once_with_the_one_before(values, caplog):
    values |= {"mode": "paper"}
    clock = ReplayClock([close_of("2012-03-01"), close_of("2012-03-02"), close_of("2012-03-05")])
    first = TradingEngine(checked_config(values), clock=clock)
    assert "takes over" not in str(first.run_cycle())
    first.close()
    clock.sleep(60.0)
    tuned = {"strategy": {"name": "trend_and_rsi", "parameters": {"fast": 4}}}
    same = TradingEngine(checked_config(values | tuned), clock=clock)
    assert "takes over" not in str(same.run_cycle())
    same.close()
    clock.sleep(60.0)

    def other(bars):
        return bars.close * 0.0

    second = TradingEngine(checked_config(values), strategy=other, clock=clock)
    said = "other takes over: trend_and_rsi(fast=4) traded this account until 2012-03-02"
    assert said in str(second.preview()) and said in str(second.run_cycle()) and "account of its own" in caplog.text
    assert "takes over" not in str(second.run_cycle())
    second.close()


def test_paper_that_is_allowed_to_trade_uncertified_says_so_in_every_report(values):
    engine = TradingEngine(checked_config(values | {"mode": "paper"}), clock=ReplayClock([close_of("2012-03-01")]))
    for said in str(engine.preview()), str(engine.run_cycle()), str(engine.summary()), engine.summary()._repr_html_():
        assert "UNCERTIFIED" in said
    replay = TradingEngine.from_values(**values | {"account": "r", "start": dt.date(2012, 6, 1), "end": dt.date(2012, 6, 5)})
    assert "UNCERTIFIED" not in str(replay.run_cycle()) + str(replay.summary())


def test_a_certificate_that_found_a_leak_trades_nothing(values, bundled):
    def tomorrow(bars):
        return (bars.close.shift(-1) > bars.close).astype(float)

    certificate = certify(tomorrow, bundled.since("2012-06-01"), state=Path(values["state"]), progress=False)
    assert not certificate.passed
    config = checked_config(values | {"mode": "paper", "allow_uncertified": False})
    with pytest.raises(Uncertified, match="failed: FUTURE"):
        TradingEngine(config, strategy=tomorrow, clock=ReplayClock([close_of("2012-07-02")])).run_cycle()


def test_what_is_held_of_a_symbol_that_left_the_universe_is_said_in_every_report(values):
    values |= {"mode": "paper", "account": "mine"}
    days = [close_of("2012-03-01"), close_of("2012-03-02"), close_of("2012-03-05")]
    first = TradingEngine(checked_config(values), clock=ReplayClock(days[:2]))
    first.run_continuous(interval_minutes=1)
    held = [p.symbol for p in first.ledger.account().positions.values() if p.qty]
    first.close()
    rest = [s for s in SYMBOLS if s != held[0]]
    second = TradingEngine(checked_config(values | {"symbols": rest}), clock=ReplayClock(days[2:]))
    for said in str(second.preview()), str(second.run_cycle()):
        assert f"held beside the universe, left alone: {held[0]} " in said


def test_after_a_bounded_run_of_a_replay_the_last_cycle_can_be_asked_again_and_the_next_run_goes_on(values):
    with closing(TradingEngine.from_values(**values)) as engine:
        left = engine.cycles_left
        engine.run_continuous(cycles=3)
        last = engine.clock.now()
        assert engine.run_cycle().orders == 0 and engine.clock.now() == last and engine.cycles_left == left - 3
        engine.run_continuous(cycles=2)
        assert engine.clock.now() > last and engine.cycles_left == left - 5
        rows = engine.telemetry.frame()
        assert rows["session"].nunique() == 5 and len(rows) == 6
