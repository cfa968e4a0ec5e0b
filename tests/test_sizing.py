"""From scores to weights: shares worked out by hand, causality, caps."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from references import bars_of

from conftest import random_bars
from toolkit.errors import InvalidParameter, InvalidWindow
from toolkit.risk import cap_gross, cap_positions, equal_weight, inverse_volatility, volatility_target

SIZINGS = {
    "equal_weight": equal_weight(),
    "inverse_volatility": inverse_volatility(window=10),
    "volatility_target": volatility_target(window=10),
}
some_weights = arrays(float, (5, 3), elements=st.one_of(st.floats(-3, 3), st.just(np.nan)))


def all_long(bars):
    return bars.close * 0.0 + 1.0


def zigzag(*sizes: float) -> np.ndarray:
    """Prices that go up and down by the same factor: returns of +size and of the way back, in turns."""
    return np.array([[100.0 * (1.0 + size) ** (bar % 2) for bar in range(80)] for size in sizes])


def test_equal_weights_share_the_gross_among_what_is_listed_so_far():
    close = np.array([[1.0, 1.0, 1.0, 1.0], [np.nan, 2.0, np.nan, 2.0]])
    weights = equal_weight(0.8)(all_long(bars_of(close)), bars_of(close))
    assert weights["A"].tolist() == [0.8, 0.4, 0.4, 0.4]
    assert weights["B"].isna().tolist() == [True, False, True, False]


def test_inverse_volatility_gives_three_times_the_weight_to_a_third_of_the_volatility():
    moves = np.tile([1.0, -1.0], 40) * np.array([[0.01], [0.03]])
    bars = bars_of(100.0 * np.cumprod(1.0 + moves, axis=1))
    last = inverse_volatility(0.8, window=20)(all_long(bars), bars).iloc[-1]
    np.testing.assert_allclose(last, [0.6, 0.2], rtol=1e-12)


def test_a_target_of_volatility_is_met_where_all_symbols_move_as_one():
    bars = bars_of(np.vstack([zigzag(0.02), zigzag(0.02)]))
    weights = volatility_target(0.10, window=20, periods_per_year=250)(all_long(bars), bars)
    portfolio = (weights.shift(1) * bars.close.pct_change()).sum(axis=1, skipna=False)
    assert portfolio[-20:].std() * np.sqrt(250) == pytest.approx(0.10, rel=1e-9)


def test_a_target_of_volatility_never_asks_for_more_than_the_gross():
    bars = bars_of(zigzag(0.0001, 0.0002))
    weights = volatility_target(0.10, window=20, gross=0.9)(all_long(bars), bars)
    np.testing.assert_allclose(weights.abs().sum(axis=1)[30:], 0.9, rtol=1e-12)


@pytest.mark.parametrize("sizing", [inverse_volatility(window=20), volatility_target(window=20)])
def test_a_symbol_that_does_not_move_gets_nothing(sizing):
    bars = bars_of(np.vstack([zigzag(0.02), zigzag(0.0)]))
    weights = sizing(all_long(bars), bars).iloc[-1]
    assert weights["B"] == 0.0 and 0.0 < weights["A"] <= 0.95


@pytest.mark.parametrize("sizing", [inverse_volatility(window=20), volatility_target(window=20)])
def test_after_a_halt_the_last_known_volatility_holds(sizing):
    close = zigzag(0.02, 0.01)
    close[0, 50] = np.nan
    weights = sizing(all_long(bars_of(close)), bars_of(close))
    assert weights["A"][:20].isna().all() and np.isnan(weights["A"].iloc[50])
    assert weights["A"].drop(weights.index[50])[20:].notna().all()
    assert weights["A"].iloc[51] == pytest.approx(weights["A"].iloc[49], rel=0.1)


@pytest.mark.parametrize("name", SIZINGS)
def test_no_score_means_no_weight_and_the_sign_is_kept(name):
    bars = random_bars(3)
    scores = all_long(bars) * np.array([1.0, -1.0, 0.0, np.nan])
    weights = SIZINGS[name](scores, bars)
    assert weights["S3"].isna().all()
    known = weights[20:].where(bars.close.notna())
    assert (known["S0"].dropna() > 0).all() and (known["S1"].dropna() < 0).all() and (known["S2"].dropna() == 0).all()
    assert weights.index.equals(bars.index) and tuple(weights.columns) == bars.symbols


@pytest.mark.parametrize("name", SIZINGS)
@pytest.mark.parametrize("n_symbols", [1, 4, 12])
def test_no_weight_knows_a_later_bar(name, n_symbols):
    bars = random_bars(4, n_symbols=n_symbols, n_bars=60)
    whole = SIZINGS[name](all_long(bars), bars)
    for cut in range(1, 60):
        past = bars.until(bars.index[cut - 1])
        pd.testing.assert_frame_equal(SIZINGS[name](all_long(past), past), whole.iloc[:cut], check_exact=True)


@pytest.mark.parametrize("name", SIZINGS)
def test_full_scores_stay_within_the_gross(name):
    bars = random_bars(5)
    assert (SIZINGS[name](all_long(bars), bars).abs().sum(axis=1) <= 0.95 + 1e-12).all()


@given(some_weights, st.floats(0.01, 2))
@settings(max_examples=100)
def test_capped_positions_are_within_the_cap_and_the_others_untouched(values, most):
    weights = pd.DataFrame(values)
    capped = cap_positions(weights, most)
    assert not (capped.abs() > most).to_numpy().any()
    assert capped.isna().equals(weights.isna())
    pd.testing.assert_frame_equal(capped[weights.abs() <= most], weights[weights.abs() <= most])


@given(some_weights, st.floats(0.01, 2))
@settings(max_examples=100)
def test_capped_gross_keeps_proportions_and_touches_nothing_within(values, most):
    weights = pd.DataFrame(values)
    capped, gross = cap_gross(weights, most), weights.abs().sum(axis=1)
    assert (capped.abs().sum(axis=1) <= most * (1 + 1e-12)).all()
    assert capped.isna().equals(weights.isna())
    pd.testing.assert_frame_equal(capped[gross <= most], weights[gross <= most], check_exact=True)
    expected = weights[gross > most].mul(most / gross[gross > most], axis=0)
    pd.testing.assert_frame_equal(capped[gross > most], expected, rtol=1e-12, atol=1e-300)


def test_the_gross_of_a_bar_does_not_depend_on_how_many_bars_there_are():
    weights = pd.DataFrame(np.random.default_rng(8).uniform(0.1, 1.0, (40, 12)))
    whole = cap_gross(weights, 0.9)
    for bar in range(40):
        pd.testing.assert_frame_equal(cap_gross(weights[bar : bar + 1], 0.9), whole[bar : bar + 1], check_exact=True)


def test_a_sizing_travels_to_another_process():
    bars = random_bars(6)
    there = pickle.loads(pickle.dumps(inverse_volatility(window=10)))  # noqa: S301
    pd.testing.assert_frame_equal(there(all_long(bars), bars), SIZINGS["inverse_volatility"](all_long(bars), bars))


@pytest.mark.parametrize("gross", [0.0, -1.0, np.nan, np.inf, "0.95", None])
def test_a_gross_that_cannot_be_is_refused(gross):
    for sizing in (equal_weight, inverse_volatility, lambda gross: volatility_target(gross=gross)):
        with pytest.raises(InvalidParameter, match="gross is"):
            sizing(gross)
    with pytest.raises(InvalidParameter, match="most is"):
        cap_gross(pd.DataFrame({"A": [1.0]}), gross)


def test_other_bad_arguments_are_refused():
    bars = random_bars(7, n_bars=30)
    with pytest.raises(InvalidWindow, match="window is 1"):
        inverse_volatility(window=1)
    with pytest.raises(InvalidParameter, match="annual is -0.1"):
        volatility_target(annual=-0.1)
    with pytest.raises(InvalidParameter, match="scores and bars have different labels"):
        equal_weight()(all_long(bars).iloc[1:], bars)
