"""Laws of windows that walk forward and of folds without a leak, over random sizes."""

from __future__ import annotations

from itertools import pairwise
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.cycle.splits import combinatorial_folds, purged_folds, walk_forward_windows
from toolkit.errors import InvalidParameter

sizes = st.integers(1, 40)


@st.composite
def folded(draw):
    """(bars, folds, horizon, embargo) that leave something to learn from."""
    folds, horizon, embargo = draw(st.integers(2, 8)), draw(st.integers(0, 6)), draw(st.integers(0, 6))
    return draw(st.integers(2 * folds * (2 * horizon + embargo + 1), 400)), folds, horizon, embargo


def test_ten_bars_by_hand():
    rolling = walk_forward_windows(10, train=4, test=3)
    assert rolling == [(slice(0, 4), slice(4, 7)), (slice(3, 7), slice(7, 10))]
    anchored = walk_forward_windows(10, train=4, test=2, anchored=True, step=3)
    assert anchored == [(slice(0, 4), slice(4, 6)), (slice(0, 7), slice(7, 9))]
    assert walk_forward_windows(pd.bdate_range("2020-01-01", periods=10), 4, 3) == rolling


@given(sizes, sizes, sizes, st.integers(0, 100), st.booleans())
def test_a_test_follows_its_train_at_once_and_never_overlaps_it(train, test, step, more, anchored):
    bars = np.arange(train + test + more)
    windows = walk_forward_windows(len(bars), train, test, anchored, step)
    for window in windows:
        seen, tried = bars[window.train], bars[window.test]
        assert seen[-1] + 1 == tried[0] and len(tried) == test
        assert seen[0] == 0 and len(seen) >= train if anchored else len(seen) == train
    assert all(late.test.start - early.test.start == step for early, late in pairwise(windows))
    assert len(bars) - windows[-1].test.stop < step


@given(sizes, sizes, st.integers(0, 100), st.booleans())
def test_tests_without_a_step_touch_each_other_and_share_no_bar(train, test, more, anchored):
    windows = walk_forward_windows(train + test + more, train, test, anchored)
    tried = np.concatenate([np.arange(one.test.start, one.test.stop) for one in windows])
    assert tried.tolist() == list(range(train, train + len(tried))) and train + len(tried) > train + more


@given(folded())
def test_tests_of_folds_are_every_bar_once_in_the_order_of_time(sizes):
    made = purged_folds(*sizes)
    assert np.concatenate([one.test for one in made]).tolist() == list(range(sizes[0]))
    lengths = [len(one.test) for one in made]
    assert len(made) == sizes[1] and max(lengths) - min(lengths) <= 1


@given(folded())
def test_a_bar_is_learned_from_exactly_if_its_label_overlaps_no_test_label_and_no_embargo_holds(sizes):
    """The rule bar by bar: the label of bar i spans i to i + horizon; the embargo runs on from the labels of a test."""
    bars, folds, horizon, embargo = sizes
    for one in purged_folds(bars, folds, horizon, embargo):
        free = {i for i in range(bars) if all(i + horizon < j or i > j + horizon + embargo for j in one.test)}
        assert set(one.train.tolist()) == free
        assert np.abs(one.train[:, None] - one.test).min() > horizon


@given(st.integers(3, 6), st.integers(1, 2), st.integers(0, 2), st.integers(0, 2))
def test_all_choices_of_folds_are_tested_and_purged_on_every_side(folds, tested, horizon, embargo):
    bars = folds * 12
    made = combinatorial_folds(bars, folds, tested, horizon, embargo)
    assert len(made) == comb(folds, tested)
    counts = np.bincount(np.concatenate([one.test for one in made]), minlength=bars)
    assert (counts == comb(folds - 1, tested - 1)).all()  # each bar in as many tests as choices hold its fold
    for one in made:
        free = {i for i in range(bars) if all(i + horizon < j or i > j + horizon + embargo for j in one.test)}
        assert set(one.train.tolist()) == free


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: walk_forward_windows(9, 5, 5), "train 5 and test 5 are more than the 9 bars"),
        (lambda: walk_forward_windows(9, 0, 5), "train is 0"),
        (lambda: walk_forward_windows(9, 2, 2.0), "test is 2.0"),
        (lambda: walk_forward_windows(9, 2, 2, step=0), "step is 0"),
        (lambda: walk_forward_windows(None, 2, 2), "bars is None"),
        (lambda: walk_forward_windows([], 1, 1), "more than the 0 bars"),
        (lambda: purged_folds(9, folds=1), "folds is 1"),
        (lambda: purged_folds(3, folds=4), "1 of 4 folds of 3 bars"),
        (lambda: purged_folds(9, horizon=-1), "horizon is -1"),
        (lambda: purged_folds(9, embargo=0.1), "embargo is 0.1"),
        (lambda: purged_folds(9, folds=3, horizon=9), "leave no bar to learn from"),
        (lambda: combinatorial_folds(9, folds=3, tested=3), "3 of 3 folds"),
    ],
)
def test_what_cannot_be_split_is_refused_with_its_value(call, sentence):
    with pytest.raises(InvalidParameter, match=sentence):
        call()
