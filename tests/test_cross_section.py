"""Symbols against each other at one bar, and several scores together."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InvalidParameter
from toolkit.signals import rank, top_bottom, vote

values = st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, math.inf, math.nan]), min_size=1, max_size=9)
scores = st.lists(st.tuples(*[st.one_of(st.floats(-1.0, 1.0), st.just(math.nan))] * 3), min_size=1, max_size=9)


def row(numbers) -> pd.DataFrame:
    return pd.DataFrame([numbers], columns=[f"S{n}" for n in range(len(numbers))])


@given(values)
def test_a_rank_is_the_share_beaten_less_the_share_that_beats_it(numbers):
    known = [value for value in numbers if not math.isnan(value)]
    others = max(len(known) - 1, 1)
    expected = [
        math.nan if math.isnan(value) else (sum(k < value for k in known) - sum(k > value for k in known)) / others
        for value in numbers
    ]
    np.testing.assert_array_equal(rank(row(numbers)).iloc[0], expected)


@given(values, st.sampled_from([0.0, 0.1, 0.25, 0.5]), st.sampled_from([0.0, 0.2, 0.5]))
def test_at_the_top_are_those_whose_middle_place_lies_in_the_fraction(numbers, top, bottom):
    known = [value for value in numbers if not math.isnan(value)]
    expected = []
    for value in numbers:
        over = sum(k > value for k in known) + (sum(k == value for k in known)) / 2
        under = sum(k < value for k in known) + (sum(k == value for k in known)) / 2
        chosen = 1.0 if over < top * len(known) else -1.0 if under < bottom * len(known) else 0.0
        expected.append(math.nan if math.isnan(value) else chosen)
    np.testing.assert_array_equal(top_bottom(row(numbers), top, bottom).iloc[0], expected)


@pytest.mark.parametrize(
    ("n", "top", "chosen"), [(5, 0.2, 1), (5, 0.3, 1), (5, 0.09, 0), (10, 0.3, 3), (3, 0.5, 1), (3, 1.0, 3)]
)
def test_fractions_are_rounded_to_whole_symbols(n, top, chosen):
    assert (top_bottom(row(range(n)), top=top) == 1.0).sum(axis=1).item() == chosen


def test_nobody_is_at_the_top_and_at_the_bottom():
    halves = top_bottom(row(range(7)), 0.5, 0.5).iloc[0]
    assert halves.tolist() == [-1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0]


def test_what_happens_to_one_bar_is_no_matter_of_another():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.integers(0, 5, size=(40, 6)).astype(float), index=pd.bdate_range("2020-01-01", periods=40))
    shuffled = frame.to_numpy()[rng.permutation(40)]
    for rule in rank, top_bottom:
        together, apart = rule(shuffled), np.concatenate([rule(each[None]) for each in shuffled])
        assert together.tobytes() == apart.tobytes()


@given(scores)
def test_a_vote_is_the_mean_of_those_that_do_not_abstain(rows):
    table, weights = np.array(rows), np.array([2.0, 1.0, 0.5])
    series = [pd.Series(column) for column in table.T]
    heard = np.where(np.isnan(table), 0.0, weights)
    with np.errstate(invalid="ignore"):
        expected = (heard * np.nan_to_num(table)).sum(axis=1) / heard.sum(axis=1)
    found = vote(*series, weights=weights)
    np.testing.assert_allclose(found, expected, atol=1e-15)
    assert not (found.abs() > 1.0).any()
    np.testing.assert_array_equal(found, vote(*series, weights=weights * 2.0**1000))  # only their proportions count


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.001, 1.0))
def test_a_unanimous_vote_is_never_beyond_its_members(a, b, c):
    full = pd.Series([1.0, -1.0])
    assert vote(full, full, full, weights=[a, b, c]).tolist() == [1.0, -1.0]


def test_equal_weights_are_the_default():
    assert vote(pd.Series([1.0, 0.5]), pd.Series([0.0, math.nan])).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: top_bottom(row([1.0]), 0.7, 0.7), "top is 0.7, bottom is 0.7"),
        (lambda: top_bottom(row([1.0]), 20), "top is 20"),
        (lambda: top_bottom(row([1.0]), math.nan), "top is nan"),
        (lambda: vote(), "a vote is of nothing"),
        (lambda: vote(row([1.0]), 0.5), "a vote is of DataFrame, float"),
        (lambda: vote(row([1.0]), row([1.0, 2.0])), "score 1 and score 2 differ in kind or shape"),
        (lambda: vote(row([1.0]), weights=[1.0, 2.0]), r"weights are \[1.0, 2.0\]"),
        (lambda: vote(row([1.0]), weights=[0.0]), "numbers of at least 0, one of them above"),
        (lambda: vote(row([1.0]), weights=[-1.0]), "numbers of at least 0"),
        (lambda: vote(row([1.0]), weights=3), "weights are 3"),
        (lambda: rank([1.0, 2.0]), "values is a list"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_value(call, sentence):
    with pytest.raises(InvalidParameter, match=sentence):
        call()
