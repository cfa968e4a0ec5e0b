"""Events and states: crossings and what is held between them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InvalidParameter
from toolkit.signals import crossed_above, crossed_below, hold_between

levels = st.lists(st.sampled_from([1.0, 2.0, 3.0, math.nan]), min_size=1, max_size=30)
flags = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


@given(levels, levels)
def test_a_crossing_is_above_now_and_not_above_before(a, b):
    n = min(len(a), len(b))
    expected = [False] + [a[t] > b[t] and a[t - 1] <= b[t - 1] for t in range(1, n)]
    assert crossed_above(pd.Series(a[:n]), pd.Series(b[:n])).tolist() == expected


@given(levels, levels)
def test_crossing_below_is_the_other_crossing_above(a, b):
    n = min(len(a), len(b))
    a, b = pd.Series(a[:n]), pd.Series(b[:n])
    assert crossed_below(a, b).tolist() == crossed_above(b, a).tolist()
    assert not (crossed_below(a, b) & crossed_above(a, b)).any()


def test_touching_a_level_is_no_crossing_until_it_is_left_on_the_other_side():
    assert crossed_above(pd.Series([1.0, 2.0, 2.0, 3.0, 2.0, 3.0]), 2.0).tolist() == [False, False, False, True, False, True]


def test_a_bar_without_a_value_hides_the_crossing():
    assert not crossed_above(pd.Series([1.0, math.nan, 3.0]), 2.0).any()


def test_a_frame_is_compared_with_a_frame_a_series_or_a_number():
    close = pd.DataFrame({"A": [1.0, 3.0], "B": [3.0, 1.0]}, index=pd.bdate_range("2020-01-01", periods=2))
    level = pd.Series([2.0, 2.0], index=close.index)
    for other in (2, 2.0, np.float64(2), level, close * 0.0 + 2.0):
        crossed = crossed_above(close, other)
        assert crossed["A"].tolist() == [False, True] and not crossed["B"].any()
        assert crossed.index.equals(close.index) and crossed.columns.equals(close.columns)
        assert set(crossed.dtypes) == {np.dtype(bool)}


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (pd.DataFrame({"A": [1.0, 2.0]}, index=[5, 6]), "different times"),
        (pd.DataFrame({"B": [1.0, 2.0]}), "different columns"),
        (pd.DataFrame({"A": ["x", "y"]}), "column 'A' of b holds string"),
        (math.nan, "b is nan"),
        ("70", "b is '70'"),
        (None, "b is None"),
    ],
)
def test_what_cannot_be_compared_is_refused(other, sentence):
    with pytest.raises(InvalidParameter, match=sentence):
        crossed_above(pd.DataFrame({"A": [1.0, 2.0]}), other)


@given(flags)
def test_held_from_an_entry_until_the_next_exit(pairs):
    expected, inside = [], 0.0
    for entry, leave in pairs:
        inside = 0.0 if leave else 1.0 if entry else inside
        expected.append(inside)
    entries, exits = (pd.Series(list(column)) for column in zip(*pairs))
    assert hold_between(entries, exits).tolist() == expected


def test_only_true_and_false_are_events():
    with pytest.raises(InvalidParameter, match="entries holds values other than True and False"):
        hold_between(pd.Series([0.5, 1.0]), pd.Series([False, True]))
