"""Conditions: declared comparisons that are scored in one pass, streamed, or swept, and agree to the last bit."""

from __future__ import annotations

import copy
import itertools
import math
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import bars_of

from conftest import random_bars
from toolkit.errors import InvalidParameter, InvalidWindow
from toolkit.signals import (
    IndicatorSet,
    SignalGenerator,
    Strategy,
    above,
    atr,
    below,
    between,
    bollinger,
    crossed_above,
    crossed_below,
    ema,
    hold_between,
    macd,
    rsi,
    sma,
    strategy_name,
)
from toolkit.signals.conditions import UNKNOWN
from toolkit.signals.operands import Operand, bank

CROSS = above(lambda fast: sma(fast), lambda slow: sma(slow))
POOL = ["close", "open", "volume", sma(3), sma(8), ema(5), rsi(4), bollinger(6)["lower"], atr(3), 50.0, 49.5]
pairs = st.tuples(st.sampled_from(POOL[:-2]), st.sampled_from(POOL))
leaves = st.one_of(
    st.builds(lambda kind, pair: kind(*pair), st.sampled_from([above, below, crossed_above, crossed_below]), pairs),
    st.builds(lambda pair, high: between(*pair, high), pairs, st.sampled_from(POOL)),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(hold_between, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=5,
)


# ------------------------------------------------------------------------------------------------------------------ scores
def test_it_scores_what_pandas_compares_and_has_no_opinion_where_an_operand_is_unknown():
    bars = random_bars(3)
    fast, slow = bars.close.rolling(5).mean(), bars.close.rolling(20).mean()
    expected = (fast > slow).astype(float).where(fast.notna() & slow.notna())
    pd.testing.assert_frame_equal(above(sma(5), sma(20))(bars), expected)
    inside = ((bars.close >= bars.open) & (bars.close <= bars.high)).astype(float).where(bars.close.notna())
    pd.testing.assert_frame_equal(between("close", "open", "high")(bars), inside)


def test_one_word_computes_of_frames_and_declares_of_indicators():
    bars = random_bars(3)
    scores = above(sma(5), sma(20))(bars)
    computed = above(sma(bars.close, 5), sma(bars.close, 20))
    pd.testing.assert_frame_equal(scores == 1.0, computed)


def test_rows_are_one_nought_or_unknown():
    close = np.array([[1.0, 3.0, 2.0, np.nan, 3.0, 3.0]])
    rows = above("close", sma(2))(bars_of(close)), above("close", sma(2)).rows(bars_of(close))
    assert rows[1].dtype == np.int8 and rows[1].tolist() == [[UNKNOWN, 1, 0, UNKNOWN, UNKNOWN, 0]]
    np.testing.assert_array_equal(rows[0]["A"], [math.nan, 1.0, 0.0, math.nan, math.nan, 0.0])


def test_what_is_unknown_decides_nothing():
    """The tables of S. C. Kleene, Introduction to Metamathematics (1952), section 64; pandas' NA follows them too."""
    first, second = np.array(list(itertools.product([2.0, 1.0, math.nan], repeat=2))).T
    p, q = above("close", 1.5), above("open", 1.5)

    def verdict(condition):
        yes, no = condition.told({"close": first, "open": second, 1.5: 1.5}.__getitem__)
        return pd.Series(np.where(yes, True, np.where(no, False, None)), dtype="boolean")

    a, b = (pd.Series(np.where(np.isnan(x), None, x > 1.5), dtype="boolean") for x in (first, second))
    for found, expected in (verdict(p & q), a & b), (verdict(p | q), a | b), (verdict(~p), ~a):
        pd.testing.assert_series_equal(found, expected)


def test_between_is_neither_below_nor_above():
    bars = random_bars(1)
    inside = between("close", sma(4), sma(9))
    pd.testing.assert_frame_equal(inside(bars), (~below("close", sma(4)) & ~above("close", sma(9)))(bars), check_exact=True)


@given(
    st.lists(st.tuples(st.sampled_from([1.0, 2.0, math.nan]), st.sampled_from([1.0, 2.0, math.nan])), min_size=1, max_size=25)
)
def test_held_from_an_entry_to_an_exit_and_silent_while_either_may_be(pairs):
    inside, expected = 0.0, []
    for entry, leave in pairs:
        if leave == 2.0:
            inside = 0.0
        elif leave == 1.0 and entry == 2.0:
            inside = 1.0
        open_question = math.isnan(leave) or (leave == 1.0 and math.isnan(entry))
        expected.append(math.nan if open_question else inside)
    entries, exits = np.array(pairs).T[:, None]
    values = {"close": entries, "open": exits, 1.5: 1.5}
    yes, no = hold_between(above("close", 1.5), above("open", 1.5)).told(values.__getitem__)
    np.testing.assert_array_equal(np.where(yes, 1.0, np.where(no, 0.0, np.nan))[0], expected)


def test_a_crossing_of_averages_holds_until_they_cross_back():
    bars = random_bars(5, halts=False)
    fast, slow = sma(bars.close, 3), sma(bars.close, 8)
    crossing = hold_between(crossed_above(sma(3), sma(8)), crossed_below(sma(3), sma(8)))
    expected = hold_between(crossed_above(fast, slow), crossed_below(fast, slow)).where(slow.notna())
    pd.testing.assert_frame_equal(crossing(bars), expected)


@settings(max_examples=60)
@given(conditions, st.integers(0, 50))
def test_bar_by_bar_it_scores_as_at_once_to_the_last_bit(condition, seed):
    bars = random_bars(seed, n_symbols=3, n_bars=60)
    at_once, streamed = condition(bars), condition.strategy("streamed")(bars)
    pd.testing.assert_frame_equal(at_once, streamed, check_exact=True)
    assert at_once.to_numpy().tobytes() == streamed.to_numpy().tobytes()


@settings(max_examples=40)
@given(conditions, st.integers(0, 50), st.integers(0, 60))
def test_a_longer_history_changes_no_earlier_score(condition, seed, cut):
    bars = random_bars(seed, n_symbols=3, n_bars=60)
    past = bars.until(bars.index[cut - 1] if cut else "1990-01-01")
    assert condition.rows(past).tobytes() == condition.rows(bars)[:, :cut].tobytes()


def test_a_generator_keeps_its_scores_under_its_name():
    bars, condition = random_bars(2), CROSS.at(fast=3, slow=8)
    generator = SignalGenerator(condition)
    pd.testing.assert_frame_equal(generator.scores(bars), condition(bars))
    assert generator.name == strategy_name(condition) == "above(sma(3), sma(8))"
    assert SignalGenerator(condition.strategy()).name == "above(sma(3), sma(8))"
    pd.testing.assert_frame_equal(SignalGenerator(condition.strategy()).scores(bars), condition(bars))


# -------------------------------------------------------------------------------------------------------------- parameters
def test_free_parameters_are_those_of_its_functions():
    condition = CROSS & below(lambda span: rsi(span), lambda level: level)
    assert condition.parameters == ("fast", "slow", "span", "level")
    bound = condition.at(fast=5, slow=20, span=14, level=70)
    assert bound.parameters == () and bound == above(sma(5), sma(20)) & below(rsi(14), 70)
    assert (CROSS.leaves[0].a.parameters, CROSS.leaves[0].b.parameters) == (("fast",), ("slow",))
    assert CROSS.leaves[0].a.at(fast=5) == sma(5) and Operand("close").at() == "close"


def test_one_parameter_may_be_meant_for_several_operands_and_one_operand_for_several():
    condition = above("close", lambda span, width: bollinger(span, width)["upper"]) & above("close", lambda span: sma(span))
    assert condition.parameters == ("span", "width")
    assert str(condition) == "above(close, <span, width>) & above(close, <span>)"
    assert condition.at(span=20, width=2.0) == above("close", bollinger(20, 2.0)["upper"]) & above("close", sma(20))


def test_a_default_is_a_value_that_is_bound():
    conditions = [above("close", lambda window=window: sma(window)) for window in (5, 10)]
    assert [condition.parameters for condition in conditions] == [(), ()]
    bars = random_bars(1)
    pd.testing.assert_frame_equal(conditions[0](bars), above("close", sma(5))(bars))


def test_a_grid_of_numpy_binds_and_reads_as_one_of_python():
    assert str(CROSS.at(fast=np.int64(5), slow=np.int32(20))) == "above(sma(5), sma(20))"


def test_a_bank_of_operands_holds_their_values_in_order():
    for bars in random_bars(4), random_bars(4, n_symbols=1):
        wanted = ["close", sma(5), 3.0, macd(3, 6, 2)["signal"], ema(4).of(rsi(5)), sma(200)]
        rows = bank(wanted, bars)
        members = {"sma": sma(5), "signal": macd(3, 6, 2)["signal"], "smooth": ema(4).of(rsi(5)), "long": sma(200)}
        values = IndicatorSet(members)(bars)
        expected = [bars.close, values["sma"], bars.close * 0 + 3.0, values["signal"], values["smooth"], values["long"]]
        np.testing.assert_array_equal(rows[2], np.full_like(rows[2], 3.0))
        for place in (0, 1, 3, 4, 5):
            np.testing.assert_array_equal(rows[place].T, expected[place])


# ------------------------------------------------------------------------------------------------------------------ values
def test_a_condition_reads_as_it_is_written():
    entry = above(sma(5), sma(20)) & (below(rsi(14), 70) | between("close", 1, 2.5))
    written = "above(sma(5), sma(20)) & (below(rsi(14), 70) | between(close, 1, 2.5))"
    assert str(entry) == written
    assert str(~entry) == f"~({written})" and ~~entry == entry
    assert (
        str(hold_between(entry, ~crossed_below("close", sma(3)))) == f"hold_between({written}, ~crossed_below(close, sma(3)))"
    )
    assert str(CROSS) == "above(<fast>, <slow>)"
    names = {"above": above, "below": below, "between": between, "sma": sma, "rsi": rsi, "close": "close"}
    assert eval(written, names) == entry  # noqa: S307


def test_equal_conditions_are_one_key_and_survive_a_pickle():
    condition = hold_between(above(sma(5), sma(20)), below("close", 3))
    other = hold_between(above(sma(5), sma(20)), below("close", 3.0))
    assert condition == other and len({condition, other, above("close", "open")}) == 2
    assert pickle.loads(pickle.dumps(condition)) == condition == copy.deepcopy(condition)  # noqa: S301
    strategy = pickle.loads(pickle.dumps(condition.strategy()))  # noqa: S301
    bars = random_bars(1)
    pd.testing.assert_frame_equal(strategy(bars), condition(bars))


def test_leaves_are_the_comparisons_in_the_order_in_which_they_are_written():
    a, b, c = above("close", "open"), below(sma(3), 5), crossed_above("close", sma(3))
    assert hold_between(a & ~b, c | a).leaves == (a, b, c, a)
    assert between("close", 1, 2).leaves == (below("close", 1), above("close", 2))
    assert [leaf.kind for leaf in (a, b, c)] == ["above", "below", "crossed_above"]


def test_a_declared_strategy_says_what_it_reads():
    strategy = (above(sma(5), "open") & below(sma(5), rsi(3))).strategy("mine")
    assert isinstance(strategy, Strategy) and strategy.name == "mine"
    assert list(strategy.indicators.members) == ["sma(5)", "rsi(3)"]
    bars = random_bars(1)
    pd.testing.assert_frame_equal(above("close", "open").strategy()(bars), above("close", "open")(bars))


# ---------------------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: CROSS.at(fast=5), InvalidParameter, r"above\(<fast>, <slow>\) is given no slow; pass fast=..., slow=..."),
        (lambda: CROSS.at(fast=5, slow=9, length=3), InvalidParameter, "no parameter 'length'; its parameters are fast, slow"),
        (lambda: CROSS.at(fast=0, slow=9), InvalidWindow, "window is 0"),
        (lambda: CROSS.leaves[0].a.at(slow=3), InvalidParameter, "<fast> has no parameter 'slow'"),
        (lambda: above("close", "open").at(fast=3), InvalidParameter, "it has no free parameters"),
        (lambda: CROSS(random_bars(1)), InvalidParameter, r"free parameters; bind it with .at\(fast=..., slow=...\)"),
        (lambda: CROSS.strategy(), InvalidParameter, "free parameters"),
        (lambda: above("close", "open")(3), InvalidParameter, "is given a int; pass Bars"),
        (lambda: above(macd(), 0), InvalidParameter, r"several outputs; compare one of them, e.g. macd\(12, 26, 9\)\['line'\]"),
        (
            lambda: above("Close", 0),
            InvalidParameter,
            "an operand is 'Close'; pass a declared indicator, a number, one of open",
        ),
        (lambda: above("session_start", 0), InvalidParameter, "an operand is 'session_start'"),
        (lambda: above("close", math.nan), InvalidParameter, "an operand is nan"),
        (lambda: above("close", True), InvalidParameter, "an operand is True"),
        (lambda: above("close", [1]), InvalidParameter, "an operand is a list"),
        (lambda: above(1, 2), InvalidParameter, r"above\(1, 2\) compares two numbers"),
        (lambda: above("close", sma), InvalidParameter, r"function of prices, \(close, window\); write e.g. lambda fast"),
        (lambda: above("close", lambda: 3), InvalidParameter, r"a function of \(\)"),
        (lambda: above("close", lambda *windows: 3), InvalidParameter, r"a function of \(\*windows\)"),
        (lambda: above("close", lambda n: "x").at(n=1), InvalidParameter, "an operand is 'x'"),
        (lambda: above("close", lambda n: 1 / n).at(n=0), InvalidParameter, "<n> raised ZeroDivisionError at n=0"),
        (lambda: above("close", lambda n: sma).at(n=0), InvalidParameter, "<n> gave a function at n=0"),
        (lambda: above("close", "open") & True, InvalidParameter, "True is no declared condition"),
        (lambda: hold_between(above("close", "open"), pd.Series([True])), InvalidParameter, "a Series is no declared"),
        (lambda: (CROSS & CROSS).a, InvalidParameter, "is not a single comparison; look at those in .leaves"),
        (lambda: above("close", "open") and CROSS, InvalidParameter, "true at some bars and not at others; combine .* &"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_value(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
