"""The study of a signal, against definitions written out in pandas, and against signals whose answer is known beforehand."""

import numpy as np
import pandas as pd
import pytest

from conftest import random_bars
from toolkit.data import Bars
from toolkit.errors import InvalidParameter, InvalidWindow
from toolkit.risk.study import (
    decay,
    forward_returns,
    quantile_of,
    rank_correlation,
    returns_by_quantile,
    signal_correlation,
    turnover,
)
from toolkit.signals import sma


def market(n_symbols=10, n_bars=240, seed=3, **more):
    return random_bars(seed, n_symbols, n_bars, **more)


def noise(bars, seed=1, holes=0.05):
    rng = np.random.default_rng(seed)
    scores = pd.DataFrame(rng.standard_normal(bars.close.shape), bars.index, list(bars.symbols))
    return scores.mask(rng.random(scores.shape) < holes)


# ------------------------------------------------------------------------------------------------------- forward returns
def test_a_forward_return_is_what_is_earned_from_the_next_open():
    price = pd.DataFrame(
        {"open": [10.0, 11.0, 12.0, 15.0], "high": 20.0, "low": 5.0, "close": [10.5, 11.5, 14.0, 16.1], "volume": 1.0},
        pd.bdate_range("2012-01-03", periods=4),
    )
    bars = Bars.from_frame(price, symbol="XYZ")
    assert np.allclose(forward_returns(bars)["XYZ"], [12 / 11 - 1, 15 / 12 - 1, np.nan, np.nan], equal_nan=True)
    assert np.allclose(forward_returns(bars, 2, "close")["XYZ"], [14 / 10.5 - 1, 0.4, np.nan, np.nan], equal_nan=True)


def test_a_forward_return_across_a_split_is_that_of_the_holder():
    days = pd.bdate_range("2012-01-03", periods=4)
    price = pd.DataFrame({"open": [100.0, 100, 50, 50], "close": [100.0, 100, 50, 55]}, days)
    price = price.assign(high=price.max(axis=1), low=price.min(axis=1), volume=1.0)
    split = pd.DataFrame({"date": [days[2]], "symbol": ["XYZ"], "split": [2.0], "dividend": [0.0]})
    bars = Bars.from_frame({"XYZ": price}, actions=split)
    assert np.allclose(forward_returns(bars, 1, "close")["XYZ"].iloc[:3], [0.0, 0.0, 0.1])


def test_a_halt_has_no_forward_return_on_either_side():
    bars = market(halts=False, actions=False)
    holed = bars.close.copy()
    later = forward_returns(bars, 1, "close")
    assert later.notna().sum().eq(len(holed) - 1).all()
    halted = market()
    missing = halted.close.isna()
    expected = missing | missing.shift(-3, fill_value=True)
    assert forward_returns(halted, 3, "close").isna().equals(expected)


# ------------------------------------------------------------------------------------------------------------- quantiles
def test_quantiles_of_a_bar_are_those_of_qcut():
    scores = noise(market(n_symbols=12))
    expected = scores.apply(lambda row: pd.qcut(row, 5, labels=False) + 1.0, axis=1)
    pd.testing.assert_frame_equal(quantile_of(scores, 5), expected)


def test_equal_scores_share_the_lower_quantile_as_in_qcut():
    row = [1.0, 2.0, 2.0, 4.0, 5.0, 6.0]
    scores = pd.DataFrame([row], columns=list("ABCDEF"))
    assert quantile_of(scores, 3).iloc[0].tolist() == [1, 1, 1, 2, 3, 3] == (pd.qcut(row, 3, labels=False) + 1).tolist()


def test_quantiles_of_a_symbol_are_those_of_qcut_in_its_own_past():
    scores = noise(market(n_symbols=2), holes=0.0)
    found = quantile_of(scores, 4, "symbol", window=40)
    assert found.iloc[:19].isna().all().all() and found.iloc[19:].notna().all().all()
    for at in range(39, len(scores)):
        past = scores.iloc[at - 39 : at + 1]
        assert found.iloc[at].tolist() == [pd.qcut(past[name], 4, labels=False).iloc[-1] + 1.0 for name in past]


@pytest.mark.parametrize("by", ["bar", "symbol", "value"])
def test_a_quantile_does_not_change_when_later_scores_become_known(by):
    scores = noise(market()).round(0) if by == "value" else noise(market())
    whole = quantile_of(scores, 5, by, window=50)
    for cut in (60, 100, 201):
        assert quantile_of(scores.iloc[:cut], 5, by, window=50).equals(whole.iloc[:cut])


def test_few_symbols_do_not_fill_the_quantiles_of_a_bar_and_the_error_says_what_does():
    scores = noise(market(n_symbols=3))
    with pytest.raises(InvalidParameter, match='3 symbols do not fill 5 quantiles; .*by="symbol"'):
        quantile_of(scores)
    with pytest.raises(InvalidParameter, match="the scores take .* values"):
        quantile_of(scores, by="value")
    with pytest.raises(InvalidParameter, match="by is 'symbols'"):
        quantile_of(scores, by="symbols")


# ---------------------------------------------------------------------------------------------------- returns by quantile
def alphalens_means(scores, later, n):
    """Mean forward return by quantile as alphalens has it: qcut by date, then a mean over all factor values of a quantile."""
    long = pd.DataFrame({"factor": scores.stack(), "later": later.stack()}).dropna()
    quantile = long.groupby(level=0)["factor"].transform(lambda day: pd.qcut(day, n, labels=False) + 1)
    return long.groupby(quantile)["later"].agg(["mean", "count"])


@pytest.mark.parametrize("horizon", [1, 5])
def test_means_by_quantile_are_those_of_alphalens(horizon):
    bars = market(halts=False)
    scores = noise(bars, holes=0.0)
    table = returns_by_quantile(scores, bars, horizon, 5, entry="close", samples=50)
    expected = alphalens_means(scores, forward_returns(bars, horizon, "close"), 5)
    assert np.allclose(table["mean"].iloc[:5], expected["mean"], rtol=1e-12, atol=1e-15)
    assert table["count"].iloc[:5].tolist() == expected["count"].tolist()
    assert table.loc["top - bottom", "mean"] == pytest.approx(expected["mean"].iloc[-1] - expected["mean"].iloc[0])
    assert table.attrs["horizon"] == horizon and table.attrs["block"] >= horizon


def test_a_signal_of_two_values_has_two_groups():
    bars = market(n_symbols=3)
    scores = (bars.close > sma(bars.close, 10)).astype(float).where(bars.close.notna())
    table = returns_by_quantile(scores, bars, by="value", samples=50)
    later = forward_returns(bars)
    expected = [later.where(scores == value).stack().mean() for value in (0.0, 1.0)]
    assert table.index.tolist() == [0.0, 1.0, "top - bottom"]
    assert np.allclose(table["mean"], [*expected, expected[1] - expected[0]])


def test_the_interval_of_a_mean_is_that_of_the_normal_law_where_nothing_depends_on_anything():
    rng = np.random.default_rng(5)
    bars, n = market(n_symbols=1, n_bars=2000, halts=False, actions=False), 2000
    scores = pd.DataFrame({"S0": rng.permutation(np.repeat([0.0, 1.0], n // 2))}, bars.index)
    wide, narrow = (returns_by_quantile(scores, bars, by="value", samples=4000, level=level) for level in (0.95, 0.8))
    later = forward_returns(bars)["S0"]
    for value in (0.0, 1.0):
        group = later[scores["S0"] == value].dropna()
        half = 1.960 * group.std() / np.sqrt(len(group))
        assert (wide.loc[value, "high"] - wide.loc[value, "low"]) / 2 == pytest.approx(half, rel=0.12)
        width = wide.loc[value, ["low", "high"]].diff().iloc[-1] / narrow.loc[value, ["low", "high"]].diff().iloc[-1]
        assert width == pytest.approx(1.960 / 1.282, rel=0.05)  # of the normal law: 95% over 80%


def test_the_same_seed_gives_the_same_interval_and_another_one_another():
    bars = market()
    first, again, other = (returns_by_quantile(noise(bars), bars, samples=100, seed=seed) for seed in (0, 0, 1))
    assert first.equals(again) and not first["low"].equals(other["low"]) and first["mean"].equals(other["mean"])


def test_less_than_ten_bars_have_a_mean_and_no_interval():
    bars = market(n_symbols=5, n_bars=9, halts=False, actions=False)
    table = returns_by_quantile(noise(bars, holes=0.0), bars, samples=20)
    assert table["mean"].notna().all() and table[["low", "high"]].isna().all().all()


def test_scores_of_other_bars_and_no_frame_are_refused():
    bars = market()
    with pytest.raises(InvalidParameter, match="scores and bars have different labels"):
        returns_by_quantile(noise(bars).iloc[:-1], bars)
    with pytest.raises(InvalidParameter, match="one is a Series"):
        decay(noise(bars)["S0"], bars)
    with pytest.raises(InvalidWindow, match="horizon is 0"):
        decay(noise(bars), bars, [0])


def test_no_opinion_at_all_is_no_mean_and_no_error():
    bars = market()
    silent = noise(bars) * np.nan
    assert returns_by_quantile(silent, bars, samples=20)["mean"].isna().all()
    assert decay(silent, bars, [1, 5], samples=20).isna().all().all()


def test_a_signal_that_speaks_once_in_a_sample_is_too_seldom_for_an_interval():
    bars = market(n_symbols=1, n_bars=120, halts=False, actions=False)
    scores = pd.DataFrame({"S0": np.where(np.arange(120) == 60, 1.0, 0.0)}, bars.index)  # one draw in three misses the one
    row = decay(scores, bars, [1], by="symbol", samples=100).loc[1]
    assert np.isfinite(row["ic"]) and np.isnan(row["low"]) and np.isnan(row["high"])
    table = returns_by_quantile(scores, bars, by="value", samples=100)
    assert np.isfinite(table.loc[0.0, "low"]) and np.isnan(table.loc[[1.0, "top - bottom"], "low"].tolist()).all()


# ----------------------------------------------------------------------------------------------------------------- decay
def test_across_symbols_the_coefficient_is_the_mean_of_spearmans_of_each_bar():
    bars = market()
    scores, later = noise(bars), forward_returns(bars, 3)
    pairs = [pd.DataFrame({"a": scores.loc[day], "b": later.loc[day]}).corr("spearman").iloc[0, 1] for day in bars.index]
    assert decay(scores, bars, [3], samples=20).loc[3, "ic"] == pytest.approx(np.nanmean(pairs), abs=1e-12)


def test_along_time_the_coefficient_is_the_mean_of_spearmans_of_each_symbol():
    bars = market(n_symbols=3)
    scores, later = noise(bars).round(1), forward_returns(bars, 3)  # rounded: with ties
    pairs = [pd.DataFrame({"a": scores[name], "b": later[name]}).corr("spearman").iloc[0, 1] for name in bars.symbols]
    assert decay(scores, bars, [3], by="symbol", samples=20).loc[3, "ic"] == pytest.approx(np.mean(pairs), abs=1e-12)
    assert rank_correlation(scores, later, "symbol") == pytest.approx(np.mean(pairs), abs=1e-12)


@pytest.mark.parametrize("by", ["bar", "symbol"])
def test_who_knew_the_next_week_knows_it_best_at_a_week_and_perfectly(by):
    bars = market(halts=False)
    oracle = forward_returns(bars, 5)
    found = decay(oracle, bars, [1, 5, 10, 42], by=by, samples=100)
    assert found.loc[5, ["ic", "low", "high"]].to_numpy() == pytest.approx(1.0)
    assert found["ic"].drop(5).max() < 0.85 and found.loc[42, "ic"] < 0.4


@pytest.mark.parametrize("by", ["bar", "symbol"])
def test_the_interval_of_noise_holds_zero_about_as_often_as_it_says(by):
    held = []
    for seed in range(40):
        bars = market(n_symbols=5, n_bars=300, seed=seed, halts=False, actions=False)
        row = decay(noise(bars, seed + 100), bars, [1], by=by, samples=200, level=0.9).loc[1]
        held.append(row["low"] < 0.0 < row["high"])
    assert 30 <= sum(held) <= 40  # 36 expected of 40; the chance of fewer than 30 is under one per cent


def test_slow_scores_and_overlapping_returns_do_not_make_noise_look_certain():
    held = []
    for seed in range(30):
        bars = market(n_symbols=6, n_bars=500, seed=seed, halts=False, actions=False)
        slow = noise(bars, seed + 900, holes=0.0).ewm(span=20).mean()
        row = decay(slow, bars, [5], samples=200, level=0.9).loc[5]
        held.append(row["low"] < 0.0 < row["high"])
    assert sum(held) >= 24  # 27 expected; with bars drawn one by one it is 15


def test_scores_that_rank_alike_have_the_same_coefficient():
    bars = market()
    scores = noise(bars)
    one, other = (decay(each, bars, [2], samples=50) for each in (scores, np.exp(3.0 * scores)))
    assert one.equals(other)


# -------------------------------------------------------------------------------------------------- turnover, correlation
def test_turnover_is_half_of_what_changes_and_no_opinion_changes_nothing():
    scores = pd.DataFrame({"A": [np.nan, 1.0, 1.0, np.nan, 0.0], "B": [0.0, 0.0, -1.0, -1.0, 1.0]})
    assert turnover(scores).tolist() == [0.0, 0.25, 0.25, 0.0, 0.75]


def test_signals_are_correlated_as_their_ranks_are():
    bars = market(n_symbols=3)
    one, other = noise(bars, 1), noise(bars, 2)
    matrix = signal_correlation({"one": one, "cubed": one**3, "against": -one, "other": other})
    assert matrix.loc["one", ["one", "cubed", "against"]].to_numpy() == pytest.approx([1.0, 1.0, -1.0])
    pairs = [pd.DataFrame({"a": one[name], "b": other[name]}).corr("spearman").iloc[0, 1] for name in bars.symbols]
    assert matrix.loc["other", "one"] == matrix.loc["one", "other"] == pytest.approx(np.mean(pairs), abs=1e-12)


def test_a_signal_that_never_differs_is_correlated_with_nothing():
    bars = market(n_symbols=3)
    assert np.isnan(signal_correlation({"flat": 0.0 * noise(bars), "other": noise(bars)}).loc["flat", "other"])
    with pytest.raises(InvalidParameter, match="there are no signals"):
        signal_correlation({})
