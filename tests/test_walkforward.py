"""What is chosen is chosen on the past alone, and what is reported was traded after the choice."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import random_bars
from toolkit.cycle.backtest import backtest as counted_backtest
from toolkit.cycle.splits import purged_folds, walk_forward_windows
from toolkit.cycle.sweep import sweep
from toolkit.cycle.trials import Trials
from toolkit.cycle.walkforward import cross_validate, walk_forward
from toolkit.data import Bars
from toolkit.errors import InvalidParameter
from toolkit.risk.metrics import returns, sharpe
from toolkit.signals.indicators import sma
from toolkit.signals.rules import above

CROSSOVER = above(lambda fast: sma(fast), lambda slow: sma(slow))
PAIRS = {"fast": [2, 3, 5], "slow": [8, 13]}
PARAMETERS = list(PAIRS)
backtest = partial(counted_backtest, state=False)
quiet = partial(walk_forward, state=False, progress=False)


def changed_after(bars: Bars, cut: int, seed: int) -> Bars:
    """The same bars up to `cut`, others from there on."""
    factor = np.exp(0.1 * np.random.default_rng(seed).standard_normal((len(bars.symbols), len(bars) - cut)))
    traded = bars.traded.copy()
    traded[:4, :, cut:] *= factor
    return Bars(bars.symbols, bars.index, traded, bars.scale, bars.actions)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**20), cut=st.integers(60, 159), anchored=st.booleans())
def test_what_comes_after_a_window_changes_nothing_in_it(seed, cut, anchored):
    bars = random_bars(seed, n_symbols=2)
    before = quiet(CROSSOVER, PAIRS, bars, 50, 20, anchored=anchored)
    after = quiet(CROSSOVER, PAIRS, changed_after(bars, cut, seed), 50, 20, anchored=anchored)
    for i, window in enumerate(walk_forward_windows(bars, 50, 20, anchored)):
        if window.train.stop <= cut:
            columns = [*PARAMETERS, "in_sample"]
            pd.testing.assert_series_equal(after.windows.loc[i, columns], before.windows.loc[i, columns], check_exact=True)
        if window.test.stop <= cut:
            pd.testing.assert_series_equal(after.windows.loc[i], before.windows.loc[i], check_exact=True)
    known = before.equity.index < bars.index[cut]
    pd.testing.assert_series_equal(after.equity[known], before.equity[known], check_exact=True)


@pytest.mark.parametrize("anchored", [False, True])
def test_each_window_is_the_best_of_a_sweep_and_the_backtest_of_what_followed(anchored):
    bars, cash, pieces = random_bars(3), 100_000.0, []
    found = quiet(CROSSOVER, PAIRS, bars, 60, 25, anchored=anchored)
    for row, window in zip(found.windows.to_dict("records"), walk_forward_windows(bars, 60, 25, anchored), strict=True):
        start, test = bars.index[window.train.start], bars.index[window.test.start]
        seen = bars.until(bars.index[window.train.stop - 1])
        pairs = [(f, s) for f in PAIRS["fast"] for s in PAIRS["slow"]]
        ratios = [sharpe(backtest(CROSSOVER.at(fast=f, slow=s), seen, start=start).equity) for f, s in pairs]
        assert (row["fast"], row["slow"]) == pairs[int(np.argmax(ratios))]
        np.testing.assert_allclose(row["in_sample"], max(ratios), rtol=1e-12)
        then = bars.until(bars.index[window.test.stop - 1])
        curve = backtest(CROSSOVER.at(fast=row["fast"], slow=row["slow"]), then, start=test, cash=cash).equity
        assert (row["train_start"], row["test_start"], row["test_end"]) == (start, test, curve.index[-1])
        np.testing.assert_allclose(row["out_of_sample"], sharpe(curve), rtol=1e-12)
        pieces.append(curve)
        cash = float(curve.iloc[-1])
    pd.testing.assert_series_equal(found.equity, pd.concat(pieces), check_exact=True)
    assert "windows" in repr(found)
    assert "<table" in found._repr_html_()


def test_a_plain_function_walks_forward_too():
    def averaged(bars: Bars, window: int) -> pd.DataFrame:
        return (bars.close > bars.close.rolling(window).mean()).astype(float)

    found = quiet(averaged, {"window": [3, 8]}, random_bars(4, n_symbols=1), 60, 40, metric="total_return")
    assert set(found.windows["window"]) <= {3, 8}
    assert len(found.equity) == 80


def test_a_walk_is_one_trial_and_walking_again_is_no_other(tmp_path):
    bars = random_bars(5)
    for _ in range(2):
        walk_forward(CROSSOVER, PAIRS, bars, 60, 40, state=tmp_path, progress=False)
    assert Trials(tmp_path).count == 1


def test_windows_that_do_not_fit_and_metrics_that_cannot_be_chosen_by_are_refused():
    with pytest.raises(InvalidParameter, match="more than the 160 bars"):
        quiet(CROSSOVER, PAIRS, random_bars(5), 150, 20)
    with pytest.raises(InvalidParameter, match="choose by one of"):
        quiet(CROSSOVER, PAIRS, random_bars(5), 50, 20, metric="fees")


# -------------------------------------------------------------------------------------------------- cross-validation
def test_the_ratio_of_a_fold_is_that_of_the_returns_in_it_under_the_best_of_all_others():
    bars = random_bars(9, n_bars=300)
    found = cross_validate(CROSSOVER, PAIRS, bars, folds=4, horizon=5, embargo=3, state=False)
    pairs = [(f, s) for f in PAIRS["fast"] for s in PAIRS["slow"]]
    every = [returns(backtest(CROSSOVER.at(fast=f, slow=s), bars).equity).reindex(bars.index) for f, s in pairs]
    tested = []
    for row, fold in zip(found.folds.to_dict("records"), purged_folds(300, 4, 5, 3), strict=True):
        inner = [each.iloc[fold.train].mean() / each.iloc[fold.train].std() for each in every]
        best = int(np.argmax(inner))
        assert (row["fast"], row["slow"]) == pairs[best]
        outside = every[best].iloc[fold.test].dropna()
        np.testing.assert_allclose(row["in_sample"], inner[best] * 252**0.5, rtol=1e-12)
        np.testing.assert_allclose(row["out_of_sample"], outside.mean() / outside.std() * 252**0.5, rtol=1e-11)
        tested.append(outside)
    whole = pd.concat(tested)
    np.testing.assert_allclose(found.sharpe, whole.mean() / whole.std() * 252**0.5, rtol=1e-11)
    assert "4 folds" in repr(found)


def test_cross_validation_counts_its_sets_as_the_sweep_that_it_is(tmp_path):
    bars = random_bars(9)
    cross_validate(CROSSOVER, PAIRS, bars, folds=3, state=tmp_path)
    assert Trials(tmp_path).count == len(sweep(CROSSOVER, PAIRS, bars, state=False))
