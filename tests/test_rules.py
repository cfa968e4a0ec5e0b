"""Events, states and scores: comparisons, crossings, what is held between them, and how far prices have come."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InvalidParameter, InvalidWindow
from toolkit.signals import (
    above,
    below,
    between,
    breakout,
    crossed_above,
    crossed_below,
    falling,
    hold_between,
    hold_for,
    hysteresis,
    momentum_12_1,
    rank,
    rising,
    sma,
    top_bottom,
    trend,
    vote,
    zscore_reversion,
)
from toolkit.testing.hostile import hostile_series

levels = st.lists(st.sampled_from([1.0, 2.0, 3.0, math.nan]), min_size=1, max_size=30)
flags = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


@given(levels, levels)
def test_a_crossing_is_above_now_and_not_above_when_both_were_last_known(a, b):
    known_before, expected = None, []
    for x, y in zip(a, b):
        expected.append(known_before is not None and x > y and known_before[0] <= known_before[1])
        if not math.isnan(x) and not math.isnan(y):
            known_before = x, y
    n = len(expected)
    assert crossed_above(pd.Series(a[:n]), pd.Series(b[:n])).tolist() == expected


@given(levels, levels)
def test_crossing_below_is_the_other_crossing_above(a, b):
    n = min(len(a), len(b))
    a, b = pd.Series(a[:n]), pd.Series(b[:n])
    assert crossed_below(a, b).tolist() == crossed_above(b, a).tolist()
    assert not (crossed_below(a, b) & crossed_above(a, b)).any()


def test_touching_a_level_is_no_crossing_until_it_is_left_on_the_other_side():
    assert crossed_above(pd.Series([1.0, 2.0, 2.0, 3.0, 2.0, 3.0]), 2.0).tolist() == [False, False, False, True, False, True]


def test_a_crossing_behind_bars_without_a_value_is_an_event_of_the_first_bar_after_them():
    values = pd.Series([1.0, math.nan, math.nan, 3.0, 3.0])
    assert crossed_above(values, 2.0).tolist() == [False, False, False, True, False]
    assert not crossed_above(values[1:], 2.0).any()  # nothing was known before


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


# ------------------------------------------------------------------------------------------------- comparisons and states
@given(levels, levels)
def test_comparisons_are_those_of_python_and_false_where_a_value_is_missing(a, b):
    n = min(len(a), len(b))
    x, y = pd.Series(a[:n]), pd.Series(b[:n])
    assert above(x, y).tolist() == [p > q for p, q in zip(a, b)]
    assert below(x, y).tolist() == [p < q for p, q in zip(a, b)]
    assert between(2.0, x, y).tolist() == [p <= 2.0 <= q for p, q in zip(a, b)]


@given(levels, st.integers(1, 4))
def test_rising_and_falling_are_runs_of_changes_of_one_sign(values, window):
    change = pd.Series(values).diff()
    for ours, change_of in (rising, change), (falling, -change):
        expected = (change_of > 0.0).astype(float).rolling(window).sum() == window
        assert ours(pd.Series(values), window).tolist() == expected.tolist()


@given(levels, st.integers(1, 4))
def test_a_breakout_closes_above_all_highs_of_the_bars_before(values, window):
    close = pd.Series(values)
    expected = close > close.shift(1).rolling(window).max()
    assert breakout(close, close, window).tolist() == expected.tolist()


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 5))
def test_held_for_so_many_bars_from_the_last_event_on(events, window):
    expected = [float(any(events[max(0, t - window + 1) : t + 1])) for t in range(len(events))]
    assert hold_for(pd.Series(events), window).tolist() == expected


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, math.nan]), min_size=1, max_size=30))
def test_hysteresis_remembers_which_of_two_levels_was_passed_last(values):
    def by_hand(enter, leave, sign):
        inside, scores = 0.0, []
        for value in values:
            inside = 1.0 if sign * value > sign * enter else 0.0 if sign * value < sign * leave else inside
            scores.append(math.nan if math.isnan(value) else inside)
        return scores

    series = pd.Series(values)
    np.testing.assert_array_equal(hysteresis(series, 3.0, 2.0), by_hand(3.0, 2.0, 1.0))
    np.testing.assert_array_equal(hysteresis(series, 2.0, 3.0), by_hand(2.0, 3.0, -1.0))


def test_arrays_come_back_as_arrays_of_their_shape():
    one, many = np.arange(4.0), np.arange(8.0).reshape(4, 2)
    assert above(one, 1.0).tolist() == [False, False, True, True]
    assert below(many, many[::-1]).tolist() == [[True, True]] * 2 + [[False, False]] * 2
    assert trend(many, 1, 2).shape == rising(many).shape == (4, 2)


# ---------------------------------------------------------------------------------------------------------------- scores
def test_twelve_months_less_the_last_one_by_pandas():
    close = pd.DataFrame(hostile_series(400))[["plain", "nan"]].abs()
    close.iloc[7, 0] = 0.0
    expected = close.shift(21) / close.shift(252) - 1.0
    expected.iloc[7 + 252, 0] = expected.iloc[7 + 21, 0] = math.nan
    pd.testing.assert_frame_equal(momentum_12_1(close), expected, check_exact=True)
    assert momentum_12_1(close[:250]).isna().all(axis=None) and momentum_12_1(close[:3]).shape == (3, 2)


def test_a_price_that_doubles_and_rests_for_a_month_has_a_momentum_of_one():
    close = pd.Series(np.concatenate([np.full(232, 10.0), np.full(21, 20.0)]))
    assert momentum_12_1(close).iloc[-1] == 0.0  # it doubled within the month that is left out
    assert momentum_12_1(pd.concat([close, pd.Series([20.0])])).iloc[-1] == 1.0


def test_reversion_is_against_the_zscore_and_full_at_its_width():
    close = pd.Series(100.0 + np.random.default_rng(4).normal(size=300))
    distance = (close - close.rolling(20).mean()) / close.rolling(20).std()
    np.testing.assert_allclose(zscore_reversion(close), (-distance / 2.0).clip(-1.0, 1.0), atol=1e-12)


def test_the_trend_is_the_sign_of_two_averages_apart():
    close = pd.Series([1.0, 2.0, 3.0, 3.0, 3.0, 1.0])
    assert trend(close, 1, 2)[1:].tolist() == [1.0, 1.0, 0.0, 0.0, -1.0]
    assert math.isnan(trend(close, 1, 2)[0])


# -------------------------------------------------------------------------------------------------------------- for all
RULES = {
    "above": lambda close: above(close, sma(close, 7)),
    "below": lambda close: below(close, sma(close, 7)),
    "between": lambda close: between(close, 99.0, close.shift(1)),
    "crossed_above": lambda close: crossed_above(close, sma(close, 3)),
    "crossed_below": lambda close: crossed_below(close, sma(close, 3)),
    "rising": lambda close: rising(close, 2),
    "falling": falling,
    "breakout": lambda close: breakout(close, close, 5),
    "hysteresis": lambda close: hysteresis(close, 100.5, 99.5),
    "hold_between": lambda close: hold_between(above(close, 101.0), below(close, 99.0)),
    "hold_for": lambda close: hold_for(above(close, 101.0), 4),
    "zscore_reversion": lambda close: zscore_reversion(close, 10),
    "momentum_12_1": lambda close: momentum_12_1(close, 12, 3),
    "trend": lambda close: trend(close, 4, 9),
    "rank": rank,
    "top_bottom": lambda close: top_bottom(close, 0.3, 0.3),
    "vote": lambda close: vote(trend(close, 4, 9), zscore_reversion(close, 10), weights=[0.3, 0.7]),
}


@pytest.mark.parametrize("name", RULES)
def test_a_longer_history_changes_no_earlier_value_however_hostile_the_prices(name):
    close = pd.DataFrame(hostile_series(240))
    whole = RULES[name](close)
    assert whole.index.equals(close.index) and whole.columns.equals(close.columns)
    for cut in [*range(1, 40, 3), 100, 101, 140, 141, 239]:
        assert RULES[name](close[:cut]).to_numpy().tobytes() == whole[:cut].to_numpy().tobytes()


@pytest.mark.parametrize("name", RULES)
def test_of_no_bars_there_is_nothing_and_of_one_bar_no_event(name):
    close = pd.DataFrame(hostile_series(240))
    assert RULES[name](close[:0]).shape == (0, 7)
    assert RULES[name](close[:1]).shape == (1, 7)


@pytest.mark.parametrize("name", RULES)
def test_no_rule_writes_into_its_input(name):
    close = pd.DataFrame(hostile_series(240))
    before = close.copy()
    RULES[name](close)
    pd.testing.assert_frame_equal(close, before, check_exact=True)


CLOSE = pd.Series([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: above(CLOSE, CLOSE[:2]), InvalidParameter, "a and b differ in kind or shape"),
        (lambda: between(CLOSE, 1.0, math.nan), InvalidParameter, "high is nan"),
        (lambda: above(CLOSE, sma(2)), InvalidParameter, r"b is sma\(2\), declared, and a is a Series"),
        (lambda: rising(CLOSE, 0), InvalidWindow, "window is 0"),
        (lambda: hold_for(CLOSE, 2), InvalidParameter, "events holds values other than True and False"),
        (lambda: hysteresis(CLOSE, 2.0, 2.0), InvalidParameter, "enter and leave are both 2.0"),
        (lambda: hysteresis(CLOSE, CLOSE, 2.0), InvalidParameter, "for levels that move"),
        (lambda: zscore_reversion(CLOSE, 2, 0.0), InvalidParameter, "width is 0.0"),
        (lambda: momentum_12_1(CLOSE, 21), InvalidWindow, "skip is 21, window is 21"),
        (lambda: trend(CLOSE, 20, 20), InvalidWindow, "fast is 20, slow is 20"),
        (lambda: breakout(CLOSE, "high"), InvalidParameter, "high is 'high'"),
        (lambda: rising("close"), InvalidParameter, "values is a str"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_value(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
