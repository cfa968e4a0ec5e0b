"""A sweep is many backtests at once: each row is the backtest of its parameters, however the work is cut."""

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from killed_sweep import GRID, STOPS_AT, slowly

from conftest import random_bars
from toolkit.cycle import finished, task
from toolkit.cycle import sweep as sweeps
from toolkit.cycle.backtest import backtest as counted_backtest
from toolkit.cycle.finished import Finished, Part, record
from toolkit.cycle.grid import grid_of
from toolkit.cycle.sweep import sweep
from toolkit.cycle.trials import Trials
from toolkit.data import Bars
from toolkit.errors import EmptyRange, InvalidParameter, StrategyFailed
from toolkit.execution.costs import CAREFUL, Costs, Exits, Limits, Policy
from toolkit.risk.metrics import performance, returns
from toolkit.risk.overfitting import deflated_sharpe, probability_of_overfitting
from toolkit.risk.sizing import inverse_volatility
from toolkit.signals.indicators import rsi, sma
from toolkit.signals.rules import above, below, crossed_above, crossed_below, hold_between

CROSSOVER = above(lambda fast: sma(fast), lambda slow: sma(slow))
PAIRS = {"fast": [2, 3, 5], "slow": [8, 13]}
LIMITS = Limits(max_order_notional=30_000.0, max_position=0.3, min_cash=0.05, volume_share=0.01)
MARGIN = replace(CAREFUL, leverage=1.5, allow_short=True, max_gross=1.4, max_position=1.0, max_order_share=1.0)
backtest = partial(counted_backtest, state=False)
here = partial(sweep, state=False)


def long_and_short(bars: Bars, window: int, size: float = 1.0) -> pd.DataFrame:
    """Long above the average, short below: scores of `size` either way."""
    return size * np.sign(bars.close - sma(bars.close, window))


STRATEGIES = {
    "one comparison": (CROSSOVER, PAIRS),
    "the other way round": (below(lambda fast: sma(fast), lambda slow: sma(slow)), PAIRS),
    "a price above its average": (above("close", lambda window: sma(window)), {"window": [3, 7, 500]}),
    "a level": (below(lambda window: rsi(window), lambda level: level), {"window": [3, 5], "level": [30.0, 60.0]}),
    "both of two": (CROSSOVER & above("close", lambda slow: sma(slow)), PAIRS),
    "a state between two events": (
        hold_between(crossed_above("close", lambda slow: sma(slow)), crossed_below("close", lambda fast: sma(fast))), PAIRS,
    ),
    "a function": (long_and_short, {"window": [3, 9], "size": [1.0, 0.4]}),
}  # fmt: skip
WORLDS = {
    "as it comes": {},
    "limits and a cap on volume": {"limits": LIMITS},
    "exits": {"exits": Exits(stop_loss=0.03, take_profit=0.05, trailing=0.04)},
    "every bar, whole shares": {"policy": Policy(band=0.0, whole_shares=True)},
    "limit orders of a day": {"policy": Policy(order_kind="limit", order_offset=0.002, time_in_force="day")},
    "margin and short": {"limits": MARGIN, "costs": Costs(borrow=0.02, interest=0.05, per_share=0.01, minimum=1.0)},
    "sized by risk": {"sizing": inverse_volatility(window=21)},
    "all the cash": {"sizing": 1.25},
    "from a day on": {"start": "2011-03-01"},
}


def fixed(size: float, scores: pd.DataFrame, bars: Bars) -> pd.DataFrame:
    return scores * size


def expected(strategy, bars: Bars, parameters: dict, world: dict) -> dict[str, float]:
    """What the backtest of one set comes to."""
    bound = strategy.at(**parameters) if hasattr(strategy, "at") else partial(strategy, **parameters)
    sizing = world.get("sizing")
    sizing = partial(fixed, sizing) if isinstance(sizing, float) else sizing
    try:
        found = backtest(bound, bars, **{**world, "sizing": sizing})
    except StrategyFailed:  # no score at all: a sweep has a row without trades for it
        return {"total_return": 0.0, "max_drawdown": 0.0, "sharpe": np.nan, "volatility": 0.0, "fills": 0, "orders": 0}
    summary = performance(found.equity)
    return {
        "total_return": summary.total_return,
        "annual_return": summary.annual_return,
        "volatility": summary.volatility,
        "sharpe": summary.sharpe,
        "max_drawdown": summary.max_drawdown,
        "fills": len(found.fills),
        "orders": (found.placed["id"] > 0).sum(),
        "fees": found.log["fee"].sum() / 1e6,
    }


def check(row: pd.Series, wanted: dict[str, float]) -> None:
    for name, value in wanted.items():
        if name in {"fills", "orders"}:
            assert row[name] == value, name
        else:  # a Sharpe ratio from sums of squares differs by rounding from one of deviations
            np.testing.assert_allclose(row[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("world", WORLDS, ids=str)
@pytest.mark.parametrize("name", STRATEGIES, ids=str)
def test_a_row_is_the_backtest_of_its_parameters(name, world):
    (strategy, grid), settings = STRATEGIES[name], WORLDS[world]
    for n_symbols in (1, 3):
        bars = random_bars(n_symbols, n_symbols=n_symbols)
        frame = here(strategy, grid, bars, **settings).frame
        sets = grid_of(grid)
        for i in range(len(sets)):
            check(frame.iloc[i], expected(strategy, bars, sets.at(i), settings))
    assert frame["fills"].sum() > 0


@pytest.mark.parametrize("world", WORLDS, ids=str)
@pytest.mark.parametrize("name", STRATEGIES, ids=str)
def test_each_symbol_alone_is_the_backtest_of_its_bars_alone(name, world):
    (strategy, grid), settings = STRATEGIES[name], WORLDS[world]
    bars, sets = random_bars(7, n_symbols=3), grid_of(grid)
    frame = here(strategy, grid, bars, each_symbol=True, **settings).frame
    assert frame.index.names == [*grid, "symbol"]
    for i in range(len(sets)):
        for symbol in bars.symbols:
            row = frame.loc[(*sets.at(i).values(), symbol)]
            check(row, expected(strategy, bars.select(symbol), sets.at(i), settings))


def test_symbols_listed_on_the_way_weigh_as_in_a_backtest():
    bars = random_bars(3, n_symbols=3)
    traded = bars.traded.copy()
    traded[:, 1, :70], traded[:, 2, :110] = np.nan, np.nan
    late = Bars(bars.symbols, bars.index, traded, bars.scale, bars.actions)
    frame = here(CROSSOVER, PAIRS, late).frame
    for pair in frame.index:
        check(frame.loc[pair], expected(CROSSOVER, late, dict(zip(PAIRS, pair)), {}))


def test_turnover_is_what_was_traded_over_twice_the_cash_a_year():
    bars = random_bars(2, n_bars=252)
    row = here(CROSSOVER, {"fast": 3, "slow": 8}, bars, cash=50_000.0).frame.iloc[0]
    log = backtest(CROSSOVER.at(fast=3, slow=8), bars, cash=50_000.0).fills
    # fills are booked at what was paid, so that a year of 252 bars turns over sum |cash before fees| / (2 x 50,000)
    traded = (log["cash"] + log["fee"]).abs().sum()
    np.testing.assert_allclose(row["turnover"], traded / 100_000.0, rtol=2e-3)  # the price itself, or with slippage


# ------------------------------------------------------------------------------------------------ however it is cut
@pytest.mark.parametrize("each_symbol", [False, True])
@pytest.mark.parametrize("name", STRATEGIES, ids=str)
def test_no_bit_depends_on_how_the_work_is_cut(name, each_symbol, monkeypatch):
    (strategy, grid), bars = STRATEGIES[name], random_bars(13, n_symbols=19 if each_symbol else 3)
    whole = here(strategy, grid, bars, each_symbol=each_symbol)
    monkeypatch.setattr(sweeps, "PIECE", 200)
    monkeypatch.setattr(sweeps, "CALLED", 1)
    monkeypatch.setattr(task, "BANK", 1)
    for n_jobs in (1, 2):
        parts = here(strategy, grid, bars, each_symbol=each_symbol, n_jobs=n_jobs, progress=False)
        np.testing.assert_array_equal(parts.sums.rows, whole.sums.rows)


def test_a_bank_never_holds_more_operands_than_there_is_room_for():
    places = np.array([[0, 0, 1, 1, 2, 2], [3, 4, 3, 4, 3, 4]])
    assert list(task.cuts(places, 5)) == [slice(0, 6)]
    assert list(task.cuts(places, 3)) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert list(task.cuts(places, 1)) == [slice(i, i + 1) for i in range(6)]


# -------------------------------------------------------------------------------------------------- what is kept of it
def windows_called(text: str) -> list[int]:
    return [int(line) for line in text.split()]


@pytest.mark.parametrize("torn", [0, 1, 100])
def test_a_sweep_that_was_killed_goes_on_where_it_was(tmp_path, capsys, torn):
    whole = sweep(slowly, GRID, random_bars(5), state=False).frame
    capsys.readouterr()
    script = Path(__file__).with_name("killed_sweep.py")
    process = subprocess.Popen([sys.executable, script, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) == STOPS_AT:
            break
    process.kill()  # SIGKILL
    process.communicate()
    assert process.returncode == -9
    (journal,) = (tmp_path / "sweeps").iterdir()
    size = journal.stat().st_size
    with journal.open("r+b") as file:
        file.truncate(size - torn)
    again = sweep(slowly, GRID, random_bars(5), state=tmp_path, n_jobs=1)
    finished_before = 32 if torn == 0 else 16  # of the two parts that were over, the last one lost its end
    assert windows_called(capsys.readouterr().out) == GRID["window"][finished_before:]
    pd.testing.assert_frame_equal(again.frame, whole, check_exact=True)
    assert not list((tmp_path / "sweeps").iterdir())


def test_what_follows_a_torn_record_is_written_over_it(tmp_path):
    path, rows = tmp_path / "sweep", np.arange(24.0).reshape(2, 3, 4)
    content = record(Part(0, 1, 0, 3), rows[:1]) + record(Part(1, 2, 0, 1), rows[1:, :1])
    path.write_bytes(content[:-1])
    clock = At(0.0)
    with pytest.raises(KeyboardInterrupt), Finished(path, rows.shape, clock) as finished:
        assert finished.is_done(Part(0, 1, 0, 3))
        assert not finished.done[1].any()
        clock.seconds = 2.0
        finished.put(Part(1, 2, 0, 2), rows[1:, :2])
        finished.put(Part(1, 2, 2, 3), rows[1:, 2:])  # not written yet when it is stopped
        raise KeyboardInterrupt
    again = Finished(path, rows.shape)
    np.testing.assert_array_equal(again.rows, rows)
    assert again.done.all()


class At:
    """A clock that is set by hand."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def monotonic(self) -> float:
        return self.seconds


def test_a_short_sweep_writes_nothing_but_its_trials(tmp_path):
    sweep(CROSSOVER, PAIRS, random_bars(1), state=tmp_path / "state")
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["trials.jsonl"]


def test_a_sweep_counts_its_sets_once_however_often_it_runs(tmp_path):
    bars = random_bars(1)
    for _ in range(2):
        found = sweep(CROSSOVER, PAIRS, bars, state=tmp_path)
    assert Trials(tmp_path).count == 6
    ratios = found.frame["sharpe"] / 252**0.5
    np.testing.assert_allclose(Trials(tmp_path).variance, ratios.var(), rtol=1e-12)
    sweep(CROSSOVER, PAIRS, bars, state=tmp_path, cash=50_000.0)
    assert Trials(tmp_path).count == 12


def test_a_sweep_that_cannot_write_goes_on(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(finished, "EVERY", 0.0)
    (tmp_path / "sweeps").write_text("a file where the folder should be")
    found = sweep(CROSSOVER, PAIRS, random_bars(1), state=tmp_path)
    assert len(found.frame) == 6
    assert "cannot be resumed" in caplog.text


# ---------------------------------------------------------------------------------------------------- what comes of it
def test_block_sums_are_those_of_the_returns_and_give_the_probability_of_overfitting():
    bars = random_bars(11, n_symbols=2, n_bars=330)
    found = here(CROSSOVER, PAIRS, bars, blocks=8)
    curves = [backtest(CROSSOVER.at(**found.grid.at(i)), bars).equity for i in range(len(found))]
    every = pd.concat([returns(curve) for curve in curves], axis=1)
    edges = found.sums.edges
    for b, first in enumerate(edges):
        last = edges[b + 1] if b + 1 < len(edges) else len(bars)
        block = every.loc[bars.index[max(first, 1)] : bars.index[last - 1]]
        assert found.sums.counts[b] == len(block)
        np.testing.assert_allclose(found.sums.totals[0, :, b], block.sum().to_numpy(), atol=1e-14)
        np.testing.assert_allclose(found.sums.squares[0, :, b], (block**2).sum().to_numpy(), atol=1e-14)
    # the same by the road of risk.overfitting, of returns that are cut as the blocks are
    counts, columns = found.sums.counts, np.split(every.to_numpy(), np.cumsum(found.sums.counts)[:-1])
    totals, squares = np.array([c.sum(axis=0) for c in columns]).T, np.array([(c**2).sum(axis=0) for c in columns]).T
    wanted = probability_of_overfitting(totals, squares, counts)
    assert found.probability_of_overfitting().probability == wanted.probability


def test_the_best_sharpe_is_deflated_by_all_that_were_tried():
    bars = random_bars(11, n_symbols=2, n_bars=330)
    found = here(CROSSOVER, PAIRS, bars)
    deflated, curve = found.deflated(), backtest(CROSSOVER.at(**found.best()), bars).equity
    ratios = found.frame["sharpe"] / 252**0.5
    assert deflated.trials == 6
    np.testing.assert_allclose(deflated.sharpe, ratios.max() * 252**0.5, rtol=1e-12)
    np.testing.assert_allclose(deflated.probability, deflated_sharpe(returns(curve), 6, ratios.var()), rtol=1e-9)


def test_the_best_of_each_symbol_can_be_traded_again():
    bars = random_bars(8, n_symbols=3)
    found = here(CROSSOVER, PAIRS, bars, each_symbol=True, sizing=1.25)
    best = found.best("total_return")
    assert found.backtest(**best).bars.symbols == (best["symbol"],)
    np.testing.assert_allclose(performance(found.backtest(**best).equity).total_return, found.frame["total_return"].max())
    assert 0.0 <= found.probability_of_overfitting(best["symbol"]).probability <= 1.0
    assert found.probability_of_overfitting().sets == 18


def test_a_surface_has_a_metric_over_two_parameters_averaged_over_the_others():
    found = here(CROSSOVER, PAIRS, random_bars(8, n_symbols=2), each_symbol=True)
    surface = found.surface("slow", "fast", "total_return")
    assert surface.loc[3, 13] == found.frame.loc[(3, 13), "total_return"].mean()
    assert (surface.index.name, surface.columns.name) == ("fast", "slow")
    assert "<table" in found._repr_html_()
    assert "6 sets x 2 symbols" in repr(found)


def test_a_plot_shows_the_surface_and_marks_its_best():
    ax = here(CROSSOVER, PAIRS, random_bars(8)).plot(metric="total_return")
    assert ax.get_images()[0].get_array().shape == (2, 3)
    assert "best" in ax.get_title(loc="left")
    line = here(above("close", lambda window: sma(window)), {"window": [3, 5, 8]}, random_bars(8)).plot()
    assert line.get_xlabel() == "window"


# ----------------------------------------------------------------------------------------------------------- bad input
BARS = random_bars(1)


def raising(bars: Bars, window: int) -> pd.DataFrame:
    if len(bars) > 100:
        raise ZeroDivisionError("by window")
    return bars.close * 0.0


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        ((CROSSOVER, {"fast": [2], "slwo": [5]}), {}, "did you mean 'slow'"),
        ((CROSSOVER, {"fast": [2]}), {}, "gives .* no slow"),
        ((long_and_short, {"window": [3], "depth": [1]}), {}, "no parameter 'depth'"),
        ((above("close", sma(3)), {"window": [3]}), {}, "leave parameters free"),
        ((CROSSOVER, {"fast": [], "slow": [5]}), {}, "no parameter set"),
        ((CROSSOVER, PAIRS), {"where": lambda fast, slow: fast > slow}, "no parameter set"),
        ((CROSSOVER, PAIRS), {"where": lambda fast: True}, "where raised TypeError"),
        ((CROSSOVER, {"fast": [0], "slow": [5]}), {}, "window is 0"),
        ((CROSSOVER, 5), {}, "the grid is a int"),
        ((CROSSOVER, [{"fast": 2, "slow": 3}, {"fast": 2}]), {}, "name the same"),
        ((CROSSOVER, {"fast": [[2]], "slow": [5]}), {}, "pass tuples"),
        ((CROSSOVER, PAIRS), {"sizing": -1.0}, "sizing is -1.0"),
        ((CROSSOVER, PAIRS), {"cash": -5.0}, "cash is -5.0"),
        ((CROSSOVER, PAIRS), {"start": "someday"}, "no session date"),
        ((5, PAIRS), {}, "strategy is a int"),
    ],
)
def test_what_cannot_be_swept_is_refused_with_the_cure(arguments, settings, said):
    with pytest.raises(InvalidParameter, match=said):
        here(*arguments, BARS, **settings)


def test_a_function_that_raises_is_named_with_its_parameters_and_the_bar():
    with pytest.raises(StrategyFailed, match=r"raising\(window=3\) raised ZeroDivisionError from 2011-05-23"):
        here(raising, {"window": [3]}, BARS)


def test_bars_without_a_bar_to_trade_are_refused_and_one_bar_earns_nothing():
    with pytest.raises(EmptyRange):
        here(CROSSOVER, PAIRS, BARS, start="2031-01-03")
    with pytest.raises(EmptyRange):
        here(CROSSOVER, PAIRS, BARS.rows(0, 0))
    alone = here(CROSSOVER, PAIRS, BARS.rows(20, 21)).frame
    assert (alone["total_return"] == 0.0).all()
    assert alone["sharpe"].isna().all()


def test_sets_can_be_listed_as_a_frame_or_kept_by_a_function():
    pairs = pd.DataFrame({"fast": [3, 2], "slow": [8, 13]})
    listed = here(CROSSOVER, pairs, BARS).frame
    assert listed.index.tolist() == [(3, 8), (2, 13)]
    kept = here(CROSSOVER, PAIRS, BARS, where=lambda fast, slow: (fast, slow) in {(3, 8), (2, 13)}).frame
    pd.testing.assert_frame_equal(listed.loc[kept.index], kept, check_exact=True)
