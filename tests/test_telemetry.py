"""What a run tells of itself: percentiles, slow symbols, two runs with a verdict, and all of it in one figure."""

import re
import sqlite3
import threading
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from conftest import SYMBOLS
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.run_times import COLUMNS, Percentiles
from toolkit.cycle.telemetry import CycleRow, Telemetry
from toolkit.data.work import waiting, watch
from toolkit.errors import DataUnavailable, InvalidParameter
from toolkit.plots import fingerprint

ROW = CycleRow(session="2012-03-01", data_fetch_time=0.001, signal_generation_time=0.002, risk_calculation_time=0.0005,
               execution_time=0.004, total_cycle_time=0.0075, bars_hits=4, bars_misses=1, api_calls=1, equity=1e5,
               benchmark=1e5)  # fmt: skip


def run(seconds, column="signal_generation_time", **fields):
    """Telemetry with these seconds in one phase and in the total beside 5.5 ms of others."""
    kept = Telemetry(budget=fields.pop("budget", None))
    for each in seconds:
        kept.write(replace(ROW, **{column: each, "total_cycle_time": 0.0055 + each}, **fields))
    return kept


def noisy(seed, middle, n=200):
    return np.random.default_rng(seed).gamma(20.0, middle / 20.0, n)


# ------------------------------------------------------------------------------------------------------------ percentiles
def test_percentiles_are_those_of_numpy_by_phase_and_for_the_total():
    seconds = noisy(0, 0.002)
    table = run(seconds).percentiles().frame
    np.testing.assert_allclose(table.loc["signals"], np.percentile(seconds, [50, 95, 99]))
    np.testing.assert_allclose(table.loc["total"], np.percentile(seconds + 0.0055, [50, 95, 99]))
    assert list(table.index) == list(COLUMNS) and table.loc["execution"].tolist() == [0.004] * 3


def test_percentiles_of_no_cycle_are_nan():
    assert Telemetry().percentiles().frame.isna().all().all()


def test_a_cycle_that_failed_counts_neither_as_fast_nor_for_those_who_watch():
    kept, whole = run([0.002] * 20), run([0.002] * 20)
    with watch() as work:
        kept.write(CycleRow(session="2012-03-02", status="failed: DATA_UNAVAILABLE"))
    assert (work.seconds, work.counts) == ({}, {}) and len(kept) == 21
    assert repr(kept.percentiles()) == repr(whole.percentiles())
    assert kept.compare(whole).cycles == (20, 20)


def unmarked(text):
    """The text without its marked values and without the names of percentiles and intervals."""
    return re.sub(r"≈(\[[^\]]*\]|[\d.e+-]+( ?(ns|µs|ms|s|x))?)|\bp\d\d\b|95 %", "", text)


def test_every_number_that_varies_is_marked_in_text_and_html():
    one, two = run(noisy(0, 0.002)), run(noisy(1, 0.004))
    for shown in (one.percentiles(), two.compare(one)):
        assert set(re.findall(r"\d+", unmarked(repr(shown)))) == {"200"}
        assert set(re.findall(r"\d+", unmarked(shown._repr_html_()))) == {"200"}
        assert re.sub(r"<[^>]*>", "", shown._repr_html_()).count("≈") == repr(shown).count("≈") > 0


def test_percentiles_print_one_line_a_phase():
    lines = repr(Percentiles.of(run([0.002] * 3).frame())).splitlines()
    assert lines[0] == "3 cycles" and lines[2] == "  signals: p50 ≈2 ms, p95 ≈2 ms, p99 ≈2 ms"


# --------------------------------------------------------------------------------------------------------------- two runs
def test_constant_runs_have_the_exact_ratio_and_a_point_for_an_interval():
    table = run([0.006] * 30).compare(run([0.002] * 20)).frame
    np.testing.assert_allclose(table.loc["signals"], [0.002, 0.006, 3.0, 3.0, 3.0])
    np.testing.assert_allclose(table.loc["execution"], [0.004, 0.004, 1.0, 1.0, 1.0])


def test_the_interval_is_that_of_the_plain_bootstrap_where_cycles_are_independent():
    before, after = noisy(2, 0.002), noisy(3, 0.003)
    low, high = run(after).compare(run(before)).frame.loc["signals", ["low", "high"]]

    rng = np.random.default_rng(4)
    first, second = (np.median(rng.choice(run, (2000, len(run))), axis=1) for run in (before, after))
    np.testing.assert_allclose([low, high], np.quantile(second / first, [0.025, 0.975]), rtol=0.03)


def test_intervals_hold_the_true_ratio_about_as_often_as_they_say():
    held = 0
    for seed in range(40):
        table = run(noisy(2 * seed, 0.003, 80)).compare(run(noisy(2 * seed + 1, 0.002, 80))).frame
        held += table.loc["signals", "low"] <= 1.5 <= table.loc["signals", "high"]
    assert held >= 30  # of 40 intervals of 90 % fewer hold once in a thousand times (binomial)


def test_the_alarm_names_the_phases_that_became_slower_and_no_others():
    two = run(noisy(5, 0.012)).compare(run(noisy(6, 0.002)))
    alarm = two.alarm(at_least=1.25)
    assert alarm and alarm.slower == ("signals", "total")
    assert str(alarm) == "ALARM: signals, total at least 1.25x slower"
    assert two.alarm(at_least=4.0).slower == ("signals",)


def test_the_low_end_of_the_interval_has_to_clear_the_bar():
    two = run(noisy(7, 0.003)).compare(run(noisy(8, 0.002)))
    middle, low = two.frame.loc["signals", ["ratio", "low"]]
    assert low < middle
    assert not two.alarm(at_least=middle) and two.alarm(at_least=low * 0.999)
    assert str(two.alarm(at_least=2.0)) == "no alarm: no phase is shown to be 2x slower"


def test_a_run_that_became_faster_and_a_phase_of_microseconds_raise_no_alarm():
    assert not run(noisy(9, 0.002)).compare(run(noisy(10, 0.012))).alarm()
    tiny = run([9e-6] * 20).compare(run([1e-6] * 20))
    assert tiny.frame.loc["signals", "low"] > 8.0 and not tiny.alarm()
    assert tiny.alarm(by=0.0).slower == ("signals",)


def test_a_slow_spell_counts_as_one_and_widens_the_interval():
    spells = np.repeat(noisy(11, 0.002, 10), 20)
    mixed = np.random.default_rng(12).permutation(spells)
    clustered, shuffled = (run(each).compare(run([0.002] * 50)).frame.loc["signals"] for each in (spells, mixed))
    assert clustered["high"] - clustered["low"] > 1.5 * (shuffled["high"] - shuffled["low"])


def test_a_phase_that_took_no_time_before_has_no_ratio():
    two = run([0.002] * 20).compare(run([0.0] * 20))
    assert np.isnan(two.frame.loc["signals", ["ratio", "low", "high"]].to_numpy(float)).all()
    assert two.alarm().slower == ("total",)


def test_nine_cycles_and_an_alarm_at_one_are_refused():
    with pytest.raises(InvalidParameter, match="the earlier run has 9 cycles that were timed; let it run for at least 10"):
        run([0.002] * 10).compare(run([0.002] * 9))
    with pytest.raises(InvalidParameter, match="at_least is 1.0"):
        run([0.002] * 10).compare(run([0.002] * 10)).alarm(at_least=1.0)


# ---------------------------------------------------------------------------------------------------------------- waits
def test_the_slowest_symbols_come_first_and_survive_a_restart(tmp_path):
    kept = Telemetry(tmp_path / "t.sqlite")
    kept.write(ROW, {"IBM": 0.2, "AAPL": 0.1, "MSFT": 0.05})
    kept.write(ROW)
    kept.write(ROW, {"AAPL": 0.7})
    kept.close()
    table = Telemetry(tmp_path / "t.sqlite").slowest(2)
    assert table.index.tolist() == ["AAPL", "IBM"] and table["fetches"].tolist() == [2, 1]
    np.testing.assert_allclose(table.loc["AAPL", ["median", "longest"]].to_numpy(float), [0.4, 0.7])
    assert Telemetry().slowest().empty


def test_the_waits_of_a_fetch_go_with_the_next_row_alone_and_those_of_a_failure_too():
    kept = Telemetry()

    @waiting("IBM")
    def failing():
        raise DataUnavailable("the source did not answer", "ask again later")

    assert kept.fetched(waiting("AAPL")(lambda: 7)) == 7
    kept.write(ROW)
    with pytest.raises(DataUnavailable):
        kept.fetched(failing)
    kept.write(CycleRow(status="failed: DATA_UNAVAILABLE"))
    kept.write(ROW)
    assert kept.slowest()["fetches"].to_dict() == {"AAPL": 1, "IBM": 1}


def test_a_file_from_before_there_were_waits_is_read_and_goes_on(tmp_path):
    Telemetry(tmp_path / "t.sqlite").write(ROW)
    with sqlite3.connect(tmp_path / "t.sqlite") as db:
        db.execute("DROP TABLE waits")
    again = Telemetry(tmp_path / "t.sqlite")
    assert len(again) == 1 and again.slowest().empty
    assert again.write(ROW, {"IBM": 0.2}) == 1 and again.slowest().index.tolist() == ["IBM"]


def test_a_row_that_finds_no_room_is_read_all_the_same_and_is_written_with_the_next_that_does(tmp_path, caplog):
    kept = Telemetry(tmp_path / "t.sqlite")
    kept.write(ROW)
    kept._db.execute("PRAGMA max_page_count = 1")
    for n in range(200):
        kept.write(replace(ROW, orders=n), {"IBM": 0.1})
    assert "full" in caplog.text and len(kept) == 201
    assert kept.frame()["orders"].tolist() == [0, *range(200)] and kept.slowest()["fetches"].tolist() == [200]
    before = len(Telemetry(tmp_path / "t.sqlite"))
    kept._db.execute("PRAGMA max_page_count = 10000")
    assert before < 201 and kept.write(ROW) == 201
    again = Telemetry(tmp_path / "t.sqlite")
    assert len(again) == 202 and again.frame().equals(kept.frame()) and again.slowest().equals(kept.slowest())


def test_a_row_that_no_database_can_hold_is_left_out_alone_and_numbers_of_numpy_are_numbers(tmp_path, caplog):
    kept = Telemetry(tmp_path / "t.sqlite")
    kept.write(replace(ROW, orders=2**63))
    kept.write(replace(ROW, status="\udcff"))
    kept.write(replace(ROW, orders=np.int64(3), equity=np.float32(2.0)), {"IBM": np.float32(0.5)})
    assert caplog.text.count("left out") == 2 and len(kept) == 1
    again = Telemetry(tmp_path / "t.sqlite")
    assert again.frame()[["orders", "equity"]].to_numpy().tolist() == [[3, 2.0]] and again.slowest()["longest"].tolist() == [
        0.5
    ]


def test_a_row_that_waits_is_written_at_the_end_and_reading_after_it_makes_no_file(tmp_path, caplog):
    kept = Telemetry(tmp_path / "t.sqlite")
    kept._unwritten.append((tuple(vars(ROW).values()), []))  # Ctrl-C came between
    kept.close()
    assert len(Telemetry(tmp_path / "t.sqlite")) == 1 and len(kept.frame()) == 1
    (tmp_path / "t.sqlite").unlink()
    assert kept.frame().empty and "cannot be read" in caplog.text and not (tmp_path / "t.sqlite").exists()


def test_who_looks_on_from_another_thread_sees_each_row_once(tmp_path):
    kept, over, seen = Telemetry(tmp_path / "t.sqlite"), threading.Event(), []

    def look():
        while not over.is_set():
            seen.append(kept.frame()["orders"].tolist())

    watcher = threading.Thread(target=look)
    watcher.start()
    for n in range(200):
        kept.write(replace(ROW, orders=n))
    over.set()
    watcher.join()
    assert all(orders == list(range(len(orders))) for orders in seen) and kept.frame()["orders"].tolist() == list(range(200))


def test_what_was_kept_is_read_after_the_end_and_a_file_that_is_lost_by_then_is_said(tmp_path, caplog):
    kept = Telemetry(tmp_path / "t.sqlite")
    kept.write(replace(ROW, status="done"))
    whole = kept.frame()
    kept.close()
    assert kept.frame().equals(whole)
    kept.close()
    (tmp_path / "t.sqlite").write_bytes(b"no database, and long enough to be taken for one" * 100)
    assert kept.frame().empty and "cannot be read" in caplog.text
    assert kept.write(ROW) == 1 and len(kept.frame()) == 1


def test_a_row_that_is_written_tells_those_who_watch():
    with watch() as work:
        run([0.002] * 3)
    np.testing.assert_allclose([work.seconds[name] for name in ("fetch", "signals", "risk", "execution")],
                               [0.003, 0.006, 0.0015, 0.012])  # fmt: skip
    assert work.counts == {"hits": 12, "misses": 3, "calls": 3}


def test_a_watched_replay_tells_its_phases_its_hits_and_its_calls(values):
    engine = TradingEngine.from_values(**values)
    with watch() as work:
        engine.run_continuous(cycles=3)
    fetch, execution = engine.telemetry.frame()[["data_fetch_time", "execution_time"]].sum()
    assert {"fetch", "signals", "risk", "execution"} <= set(work.seconds) and sum(work.seconds.values()) <= work.total
    assert work.seconds["fetch"] == pytest.approx(fetch, rel=0.2) and work.seconds["execution"] <= execution * 1.001
    assert work.counts == {"hits": 2 * len(SYMBOLS), "misses": len(SYMBOLS), "calls": len(SYMBOLS)}


# --------------------------------------------------------------------------------------------------------------- the figure
def panels(fig):
    return {ax.get_title(loc="left"): ax for ax in fig.axes}


def test_the_figure_has_all_of_it_and_with_a_run_to_compare_the_verdict_as_a_title():
    one, two = run(noisy(0, 0.002), budget=50), run(noisy(1, 0.02), budget=50)
    two.write(ROW, {"IBM": 0.2, "AAPL": 0.1})
    titles = ["Cache hits", "Cycle time", "Half, 95 and 99 of a hundred cycles were faster", "Slowest symbols"]
    titles.append("Requests to the source: 201 in 201 cycles, at most 1 a cycle")
    assert list(panels(two.plot())) == titles
    assert list(panels(two.plot(against=one))) == [*titles, "ALARM: signals, total at least 1.25x slower"]
    plt.close("all")


def test_the_figure_draws_the_values_that_the_tables_hold():
    kept = run(noisy(0, 0.002), budget=50)
    kept.write(ROW, {"IBM": 0.2, "AAPL": 0.1})
    drawn = panels(kept.plot())
    spread = {line.get_label(): line for line in drawn["Half, 95 and 99 of a hundred cycles were faster"].get_lines()}
    np.testing.assert_allclose(spread["p95"].get_xdata(), kept.percentiles().frame["p95"] * 1e3)
    slow = drawn["Slowest symbols"]
    assert [bar.get_width() for bar in slow.patches] == [200.0, 100.0]
    assert [tick.get_text() for tick in slow.get_yticklabels()] == ["IBM", "AAPL"]
    asked = next(ax for title, ax in drawn.items() if title.startswith("Requests"))
    assert {line.get_label(): line.get_ydata()[0] for line in asked.get_lines()}["budget of 50 a cycle"] == 50


def test_a_run_without_cycles_waits_or_budget_can_be_drawn():
    assert len(Telemetry().plot().axes) == len(run([0.002]).plot().axes) == 5


def test_the_fingerprint_compares_counts_and_verdict_but_no_timing():
    slow, slower = (fingerprint(run([t] * 20).plot(against=run([0.002] * 20))) for t in (0.02, 0.04))
    assert slow == slower
    assert slow != fingerprint(run([0.002] * 20).plot(against=run([0.002] * 20)))
    assert slow != fingerprint(run([0.02] * 20, api_calls=2).plot(against=run([0.002] * 20)))
