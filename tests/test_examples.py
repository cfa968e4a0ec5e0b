"""The example strategies: on prices that one can follow by eye, and their declared twins to the last bit."""

from __future__ import annotations

import functools
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
    SignalGenerator,
    atr,
    below,
    bollinger,
    bollinger_reversion,
    breakout_with_atr,
    cross_sectional_momentum,
    declared_bollinger_reversion,
    declared_breakout_with_atr,
    declared_trend_and_rsi,
    hold_between,
    strategy_name,
    trend_and_rsi,
)

TREND = {"fast": 3, "slow": 8, "trend": 12, "rsi": 5}
BANDS = {"window": 8, "width": 1.2}
BREAKOUT = {"window": 6, "span": 5, "stop": 1.5}
TWINS = {
    "trend_and_rsi": (functools.partial(trend_and_rsi, **TREND), declared_trend_and_rsi(**TREND)),
    "bollinger_reversion": (functools.partial(bollinger_reversion, **BANDS), declared_bollinger_reversion(**BANDS)),
    "bollinger_reversion, short": (
        functools.partial(bollinger_reversion, **BANDS, short=True),
        declared_bollinger_reversion(**BANDS, short=True),
    ),
    "breakout_with_atr": (functools.partial(breakout_with_atr, **BREAKOUT), declared_breakout_with_atr(**BREAKOUT)),
}
MOMENTUM = functools.partial(cross_sectional_momentum, window=40, skip=5, top=0.3, bottom=0.3)
PLAIN = {name: plain for name, (plain, _) in TWINS.items()} | {"cross_sectional_momentum": MOMENTUM}
seeds = st.integers(0, 10_000)


@pytest.mark.parametrize("name", TWINS)
@settings(max_examples=25)
@given(seed=seeds)
def test_a_declared_twin_scores_the_same_to_the_last_bit(name, seed):
    plain, declared = TWINS[name]
    bars = random_bars(seed, n_symbols=3, n_bars=90)
    expected, found = plain(bars), declared(bars)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert found.to_numpy().tobytes() == expected.to_numpy().tobytes()


@pytest.mark.parametrize("name", PLAIN)
@settings(max_examples=15)
@given(seed=seeds, cut=st.integers(1, 120))
def test_no_score_knows_a_later_bar(name, seed, cut):
    bars = random_bars(seed, n_symbols=4, n_bars=120)
    whole, past = PLAIN[name](bars), PLAIN[name](bars.until(bars.index[cut - 1]))
    pd.testing.assert_frame_equal(past, whole.iloc[:cut], check_exact=True)


@pytest.mark.parametrize("name", TWINS)
def test_a_strategy_that_is_advanced_is_one_that_is_computed_afresh(name):
    bars, (_, declared) = random_bars(7), TWINS[name]
    generator = SignalGenerator(declared)
    for bar in (*range(40, 160, 7), 159):
        scores = generator.scores(bars.until(bars.index[bar]))
    pd.testing.assert_frame_equal(scores, declared(bars), check_exact=True)


@pytest.mark.parametrize("name", PLAIN)
def test_no_score_depends_on_the_unit_of_the_prices(name):
    close = 100.0 + np.cumsum(np.random.default_rng(5).normal(size=(3, 200)), axis=1)
    prices = close, close + 1.0, close - 1.0
    here, there = (PLAIN[name](bars_of(*(price * unit for price in prices))) for unit in (1.0, 2.0**-7))
    pd.testing.assert_frame_equal(here, there, check_exact=True)


@pytest.mark.parametrize("name", PLAIN)
def test_every_side_is_taken_sometimes_and_no_bars_have_no_scores(name):
    bars = random_bars(11, n_bars=400)
    sides = {1.0, 0.0, -1.0} if name in {"bollinger_reversion, short", "cross_sectional_momentum"} else {1.0, 0.0}
    assert set(np.unique(PLAIN[name](bars).stack().dropna())) == sides
    none = bars.until("1990-01-01")
    assert PLAIN[name](none).shape == (0, 4) and PLAIN[name](bars.until(bars.index[0])).isna().all(axis=None)


@pytest.mark.parametrize("name", TWINS)
def test_twins_travel_between_processes(name):
    declared, bars = TWINS[name][1], random_bars(2)
    again = pickle.loads(pickle.dumps(declared))  # noqa: S301
    pd.testing.assert_frame_equal(again(bars), declared(bars), check_exact=True)


# ---------------------------------------------------------------------------------------------------------------- momentum
def test_months_are_begun_with_the_winners_of_the_year_before():
    index = pd.bdate_range("2020-01-06", periods=320)
    growth = {"A": 0.002, "B": 0.001, "C": 0.0, "D": -0.001, "E": -0.002}
    steps = np.arange(320.0)
    bars = bars_of(np.array([100.0 * np.exp(rate * steps) for rate in growth.values()]))
    scores = cross_sectional_momentum(bars, top=0.4, bottom=0.2)
    days = scores.index[scores.notna().all(axis=1)]
    months = bars.index.to_period("M")
    expected = [day for t, day in enumerate(bars.index) if t >= 252 and months[t] != months[t - 1]]
    assert list(days) == expected and len(days) == 3
    assert (scores.loc[days].to_numpy() == [1.0, 1.0, 0.0, 0.0, -1.0]).all()
    assert scores.isna().all(axis=1).sum() == len(index) - 3


def test_the_days_of_choosing_do_not_depend_on_where_history_begins():
    bars = random_bars(3, n_bars=300, halts=False)
    later = MOMENTUM(bars.tail(200))
    pd.testing.assert_frame_equal(later[50:], MOMENTUM(bars)[150:], check_exact=True)


def test_a_symbol_without_a_price_is_neither_chosen_nor_dropped():
    close = np.exp(np.cumsum(np.random.default_rng(1).normal(size=(5, 120)) / 50, axis=1))
    close[2, 60:90] = np.nan
    chosen = MOMENTUM(bars_of(close))
    day = next(day for t, day in enumerate(chosen.index) if 60 <= t < 90 and chosen.iloc[t].notna().any())
    assert chosen.loc[day].isna().tolist() == [False, False, True, False, False]


# --------------------------------------------------------------------------------------------------------------- Bollinger
def test_it_buys_below_the_lower_band_and_leaves_at_the_middle():
    close = np.concatenate([np.tile([100.0, 101.0], 10), [90.0, 92.0, 95.0, 99.5, 100.0, 101.0]])
    scores = bollinger_reversion(bars_of(close[None]))["A"]
    middle = pd.Series(close).rolling(20).mean()
    assert scores[:19].isna().all() and scores.iloc[19] == 0.0
    reached = next(t for t in range(21, 26) if close[t] >= middle[t])
    assert scores.iloc[20:].tolist() == [1.0] * (reached - 20) + [0.0] * (26 - reached) and reached < 25


def test_short_is_the_mirror_of_long():
    bars = random_bars(4, actions=False)
    mirrored = bars_of(200.0 - bars.close.to_numpy().T)
    both = bollinger_reversion(bars, 8, 1.2, short=True).to_numpy()
    other = bollinger_reversion(mirrored, 8, 1.2, short=True).to_numpy()
    np.testing.assert_array_equal(both, 0.0 - other)
    np.testing.assert_array_equal(np.maximum(both, 0.0), bollinger_reversion(bars, 8, 1.2))


def test_the_long_side_is_a_condition_of_one_line():
    bars = random_bars(9)
    bands = bollinger(8, 1.2)
    line = hold_between(below("close", bands["lower"]), ~below("close", bands["middle"]))
    pd.testing.assert_frame_equal(line(bars), bollinger_reversion(bars, 8, 1.2), check_exact=True)


# ---------------------------------------------------------------------------------------------------------------- breakout
def by_the_book(bars, symbol: str, window: int, span: int, stop: float) -> list[float]:
    """The rules once more, one bar after the other, for a symbol without halts."""
    close, high = bars.close[symbol].to_numpy(), bars.high[symbol].to_numpy()
    room, highest, scores = stop * atr(bars, span)[symbol].to_numpy(), None, []
    for t, price in enumerate(close):
        if highest is not None:
            highest = max(highest, price)
        elif t >= window and not math.isnan(room[t]) and price > high[t - window : t].max():
            highest = price
        if highest is not None and price < highest - room[t]:
            highest = None
        scores.append(math.nan if t < max(window, span) else float(highest is not None))
    return scores


@settings(max_examples=40)
@given(seed=seeds, window=st.integers(1, 9), span=st.integers(1, 9))
def test_it_enters_above_the_channel_and_leaves_so_many_ranges_below_the_highest_close(seed, window, span):
    bars = random_bars(seed, n_symbols=1, n_bars=120, halts=False)
    scores = breakout_with_atr(bars, window, span, 1.5)["S0"]
    np.testing.assert_array_equal(scores, by_the_book(bars, "S0", window, span, 1.5))


def test_the_stop_rises_with_the_price_and_never_falls():
    # Steps of 1 with highs and lows 0.5 around the close: true ranges of 1.5, the stop 2.1 of them below the highest close.
    close = np.concatenate([np.full(5, 100.0), 100.0 + np.arange(1.0, 11.0), [109.0, 108.0, 107.0, 106.0, 105.0]])
    bars = bars_of(close[None], close[None] + 0.5, close[None] - 0.5)
    scores = breakout_with_atr(bars, window=3, span=2, stop=2.1)["A"]
    assert scores.iloc[4] == 0.0 and scores.iloc[5] == 1.0
    # 110 - 2.1 * 1.5 = 106.85: at 107 it is still in, at 106 it is out.
    assert scores.iloc[15:].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0]


def test_a_halt_has_no_score_and_the_highest_close_is_remembered_across_it():
    close = np.concatenate([np.full(5, 100.0), 100.0 + np.arange(1.0, 11.0), [109.0, np.nan, np.nan, 108.0, 107.0, 100.0]])
    bars = bars_of(close[None], close[None] + 0.5, close[None] - 0.5)
    scores = breakout_with_atr(bars, window=3, span=2, stop=2.1)["A"]
    assert scores.iloc[16:18].isna().all() and scores.iloc[18] == 1.0 and scores.iloc[20] == 0.0


# ------------------------------------------------------------------------------------------------------------ names, errors
def test_names_say_the_parameters():
    assert strategy_name(declared_trend_and_rsi()) == "trend_and_rsi(fast=5, slow=20, trend=50, rsi=14)"
    assert strategy_name(declared_bollinger_reversion()) == "bollinger_reversion(window=20, width=2.0, short=False)"
    assert strategy_name(declared_breakout_with_atr()) == "breakout_with_atr(window=20, span=20, stop=3.0)"


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda bars: declared_trend_and_rsi(fast=20), InvalidWindow, "fast is 20, slow is 20"),
        (lambda bars: cross_sectional_momentum(bars, top=20), InvalidParameter, "top is 20"),
        (lambda bars: cross_sectional_momentum(bars, skip=300), InvalidWindow, "skip is 300, window is 252"),
        (lambda bars: bollinger_reversion(bars, width=0), InvalidParameter, "width is 0"),
        (lambda bars: breakout_with_atr(bars, stop=-1.0), InvalidParameter, "stop is -1.0"),
        (lambda bars: declared_breakout_with_atr(stop="3"), InvalidParameter, "stop is '3'"),
        (lambda bars: declared_breakout_with_atr(window=0), InvalidWindow, "window is 0"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_value(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(random_bars(1, n_bars=20))
