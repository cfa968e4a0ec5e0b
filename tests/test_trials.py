"""The count of trials: across processes, torn lines and folders that cannot be written."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from toolkit.cycle.trials import DeflatedSharpe, Trials
from toolkit.data.locks import held
from toolkit.risk.overfitting import deflated_sharpe

RNG = np.random.default_rng(11)


@pytest.fixture
def trials(tmp_path):
    return Trials(tmp_path / "state")


def test_count_and_variance_are_those_of_all_sharpe_ratios_in_one_heap(trials):
    sweeps = [RNG.normal(0.01 * n, 0.03, size) for n, size in enumerate([1, 500, 40, 1])]
    for n, sharpes in enumerate(sweeps):
        trials.add(f"sweep {n}", sharpes, n_bars=2520)
    heap = np.concatenate(sweeps)
    assert trials.count == 542
    assert trials.variance == pytest.approx(np.var(heap, ddof=1), rel=1e-12)
    assert len(trials.path.read_text().splitlines()) == 4  # never one line a set


def test_the_same_key_again_is_no_new_trial_in_any_process(trials):
    trials.add("a", [0.1, 0.2], 100)
    before = trials.path.read_bytes()
    trials.add("a", [0.3, 0.4, 0.5], 100)
    again = f"from toolkit.cycle.trials import Trials; Trials({str(trials.path.parent)!r}).add('a', [9.0], 1)"
    subprocess.run([sys.executable, "-c", again], check=True)
    assert trials.path.read_bytes() == before and Trials(trials.path.parent).count == 2


def test_a_key_that_begins_like_another_is_another(trials):
    for key in ("a", "ab", "a\n", 'a"', "ä", ""):
        trials.add(key, [0.1], 10)
    assert trials.count == 6


def test_sharpe_ratios_that_do_not_exist_are_no_trials(trials):
    trials.add("flat", [np.nan], 10)
    assert trials.count == 0 and np.isnan(trials.variance)
    trials.add("some", [np.nan, 0.1, 0.3], 10)
    assert trials.count == 2 and trials.variance == pytest.approx(0.02)


def test_many_writers_lose_nothing_and_count_nothing_twice(trials):
    def write(n):
        Trials(trials.path.parent).add(f"key {n % 40}", [0.01 * (n % 40)] * 3, 10)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(120)))
    assert trials.count == 120  # 40 keys of 3
    assert len(trials.path.read_text().splitlines()) == 40


def test_processes_lose_nothing_either(trials):
    code = (
        "import sys; from toolkit.cycle.trials import Trials\n"
        "for n in range(30): Trials(sys.argv[1]).add(f'{sys.argv[2]}{n}', [0.1], 9)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, trials.path.parent, name]) for name in "abc"]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert trials.count == 90 == len(trials.path.read_text().splitlines())


def test_a_line_torn_at_any_place_is_not_counted_and_harms_no_other(trials):
    trials.add("a", [0.1, 0.2], 100)
    first = trials.path.read_bytes()
    trials.add("b", [0.3, 0.4, 0.5], 100)
    whole = trials.path.read_bytes()
    for cut in range(len(first), len(whole) + 1):
        trials.path.write_bytes(whole[:cut])
        ended = cut >= len(whole) - 1  # only the line's end is missing: everything is known
        assert trials.count == (5 if ended else 2)
        trials.add("c", [0.6], 100)
        assert trials.count == (6 if ended else 3)
        trials.add("b", [0.3, 0.4, 0.5], 100)
        assert trials.count == 6


def test_a_torn_line_that_is_longer_than_the_next_leaves_nothing_behind(trials):
    trials.add("a", [0.1], 10)
    first = trials.path.read_bytes()
    trials.add("long" * 100, [0.2], 10)
    trials.path.write_bytes(trials.path.read_bytes()[:-2])
    trials.add("b", [0.3], 10)
    assert trials.path.read_bytes().startswith(first) and len(trials.path.read_text().splitlines()) == 2
    assert trials.count == 2


@pytest.mark.parametrize(
    "row",
    [b"\xff\xfe", b"[]", b"12", b'{"key": "x"}', b"null",
     b'{"key": "x", "trials": -5, "mean": 0, "deviations": 0, "n_bars": 1, "periods_per_year": 252}',
     b'{"key": "x", "trials": 5, "mean": NaN, "deviations": 0, "n_bars": 1, "periods_per_year": 252}',
     b'{"key": "x", "trials": "5", "mean": 0, "deviations": 0, "n_bars": 1, "periods_per_year": 252}'],
)  # fmt: skip
def test_a_foreign_line_is_passed_over_and_said(trials, caplog, row):
    trials.add("a", [0.1], 100)
    trials.path.write_bytes(row + b"\n" + trials.path.read_bytes())
    trials.add("b", [0.2], 100)
    assert trials.count == 2 and "not counted: 1" in caplog.text


def test_a_folder_that_cannot_be_written_warns_once_and_counts_in_this_process(tmp_path, caplog):
    (tmp_path / "state").write_text("a file in the way")
    trials = Trials(tmp_path / "state")
    with caplog.at_level(logging.WARNING):
        trials.add("a", [0.1, 0.2], 100)
        trials.add("b", [0.4], 100)
    assert trials.count == 3 and trials.report(RNG.normal(0.0, 0.01, 100)).trials == 3
    assert caplog.text.count("cannot be written") == 1


def test_a_file_that_another_holds_for_ever_does_not_stop_a_backtest(trials, caplog, monkeypatch):
    monkeypatch.setattr("toolkit.cycle.trials.PATIENCE", 0.0)
    trials.path.parent.mkdir()
    with held(trials.path):
        trials.add("a", [0.1], 100)
    assert trials.count == 1 and "another process has held it" in caplog.text


def test_trials_on_other_bars_are_converted_by_the_root_of_time(tmp_path):
    """A daily Sharpe ratio of 0.1 is 0.2 on bars of four days (sqrt(4) = 2): with 0.2 there, they do not differ."""
    Trials(tmp_path, periods_per_year=252).add("daily", [0.1], 1000)
    Trials(tmp_path, periods_per_year=63).add("four days", [0.2], 250)
    assert Trials(tmp_path).variance == pytest.approx(0.0, abs=1e-30)
    Trials(tmp_path).add("more", [0.4], 1000)
    assert Trials(tmp_path).variance == pytest.approx(0.03)  # of 0.1, 0.1, 0.4
    assert Trials(tmp_path, periods_per_year=63).variance == pytest.approx(0.12)
    Trials(tmp_path, periods_per_year=63).add("sweep of four days", [0.2, 0.8], 250)
    assert Trials(tmp_path).variance == pytest.approx(0.027)  # of 0.1, 0.1, 0.4, 0.1, 0.4


def test_a_report_is_the_yearly_sharpe_and_its_deflated_value_for_all_trials(trials):
    returns = RNG.normal(0.001, 0.01, 1000)
    alone = trials.report(returns)
    assert alone.trials == 1 and alone.expected_maximum == 0.0 and alone.probability > 0.95
    trials.add("sweep", RNG.normal(0.0, 0.03, 1240), 1000)
    picked = trials.report(returns)
    assert picked.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * 252**0.5) == alone.sharpe
    assert picked.probability == deflated_sharpe(returns, 1240, trials.variance) < alone.probability
    assert str(picked).startswith(f"Sharpe {picked.sharpe:.2f}; deflated for 1,240 trials: {picked.probability:.2f} (prob")
    assert repr(alone) == str(alone) and "for 1 trial:" in str(alone)


def test_returns_without_a_sharpe_ratio_are_reported_as_nan(trials):
    nothing = trials.report(np.zeros(50))
    assert isinstance(nothing, DeflatedSharpe) and np.isnan(nothing.sharpe) and np.isnan(nothing.probability)
    assert np.isnan(trials.report(np.array([])).probability)
