"""Indicators against the table of references, published tables, and the laws that they all keep."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pandas as pd
import pytest
from every import OF_CLOSE
from hypothesis import given, settings
from hypothesis import strategies as st
from references import TABLE, One, bars_of

from conftest import random_bars
from toolkit.data.bars import Bars
from toolkit.signals import (
    atr,
    bollinger,
    cci,
    drawdown,
    ema,
    macd,
    momentum,
    money_flow_index,
    roc,
    rolling_std,
    rsi,
    session_vwap,
    sma,
    stochastic,
    stochastic_rsi,
    ultimate_oscillator,
    williams_r,
)  # fmt: skip

PAIRS = [(name, reference) for name, case in TABLE.items() for reference in case.references]
WINDOWED = ["sma", "bollinger", "rolling_std", "rolling_max", "rolling_min"]
REMEMBERING = ["ema", "rsi", "macd"]
anything = st.lists(
    st.one_of(st.floats(0.01, 1e6), st.just(5.0), st.sampled_from([math.nan, math.inf, -math.inf, 1e15, 1e-300, 1.7e308])),
    min_size=1,
    max_size=40,
)


def same(ours, theirs):
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize(("name", "reference"), PAIRS)
def test_an_indicator_is_the_quantity_that_others_compute(name, reference, bundled):
    case, bars = TABLE[name], bundled.tail(900)
    outputs = case.ours(bars)
    for symbol in bars.symbols:
        one = One(*[getattr(bars, field)[symbol].dropna().to_numpy().copy() for field in One._fields])
        expected = case.references[reference](one)
        assert len(outputs) == len(expected)
        for ours, theirs in zip(outputs, expected):
            atol = case.tolerance * np.nanmax(np.abs(theirs))
            np.testing.assert_allclose(ours[symbol].to_numpy()[-len(theirs) :], theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("name", list(TABLE))
def test_an_indicator_is_its_definition_on_a_coarse_grid_too(name):
    """Ticks of half a dollar: prices tie, extremes stand, closes lie on highs and lows, and some bars trade nothing."""
    case, rng = TABLE[name], np.random.default_rng(11)
    close = 50.0 + 0.5 * np.cumsum(rng.integers(-1, 2, 400))
    high, low = close + 0.5 * rng.integers(0, 3, 400), close - 0.5 * rng.integers(0, 3, 400)
    opens = np.clip(close + 0.5 * rng.integers(-1, 2, 400), low, high)
    one = One(opens, high, low, close, 1000.0 * rng.integers(1, 5, 400))
    index = pd.bdate_range("2001-01-01", periods=400, unit="ns")
    bars = Bars.from_frame(pd.DataFrame(one._asdict(), index=index), symbol="A")
    reference = next(iter(case.references.values()))
    with np.errstate(all="ignore"):
        expected = reference(one)
    for ours, theirs in zip(case.ours(bars), expected, strict=True):
        atol = case.tolerance * max(np.nanmax(np.abs(theirs)), 1.0)
        np.testing.assert_allclose(ours["A"].to_numpy()[-len(theirs) :], theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("calendar", ["XNYS", ""])
def test_a_session_vwap_begins_anew_with_each_session(calendar):
    """Half hours of three sessions; pandas' sums within groups beside it."""
    days = pd.DatetimeIndex(["2012-03-05", "2012-03-06", "2012-03-07"])
    index = pd.DatetimeIndex([day + pd.Timedelta(hours=14.5 + k / 2) for day in days for k in range(13)]).tz_localize("UTC")
    rng = np.random.default_rng(2)
    close = 50.0 + rng.normal(size=39)
    frame = pd.DataFrame({"open": close, "high": close + 1.0, "low": close - 1.0, "close": close,
                          "volume": 100.0 * rng.integers(1, 9, 39)}, index=index)  # fmt: skip
    bars = Bars.from_frame(frame, symbol="A", interval="30m", calendar=calendar)
    typical, of_day = (frame["high"] + frame["low"] + frame["close"]) / 3.0, index.date
    expected = (typical * frame["volume"]).groupby(of_day).cumsum() / frame["volume"].groupby(of_day).cumsum()
    np.testing.assert_allclose(session_vwap(bars)["A"], expected, rtol=1e-14)


@pytest.mark.parametrize("window", [1023, 1024, 1100])
def test_long_windows_are_their_definition(window):
    """Up to 1,023 values their inverses are looked up, beyond they are divided."""
    x = 100.0 + np.random.default_rng(window).normal(size=1500)
    exact = [statistics.stdev(x[end - window : end]) for end in range(window, 1501, 50)]
    np.testing.assert_allclose(rolling_std(x, window)[window - 1 :: 50], exact, rtol=1e-14)


def test_where_nothing_moves_no_side_is_stronger():
    flat = bars_of(np.full((1, 90), 42.0))
    middle = {50.0: [rsi(flat), stochastic(flat).k, stochastic_rsi(flat).k, money_flow_index(flat), ultimate_oscillator(flat)],
              -50.0: [williams_r(flat)], 0.0: [cci(flat), drawdown(flat), roc(flat), momentum(flat)]}  # fmt: skip
    for value, frames in middle.items():
        for frame in frames:
            assert (frame.dropna() == value).all().all() and frame.notna().iloc[-1].all()


def test_rsi_is_the_published_table():
    """StockCharts ChartSchool, Relative Strength Index, sample spreadsheet (QQQQ, 14 periods); printed to cents."""
    close = pd.Series(
        [44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931, 46.0328, 45.6140,
         46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521, 45.7137, 46.4515, 45.7835, 45.3548,
         44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314]
    )  # fmt: skip
    printed = [70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38, 54.71, 50.42, 39.99, 41.46, 41.87, 45.46,
               37.30, 33.08, 37.77]  # fmt: skip
    np.testing.assert_allclose(rsi(close, 14).dropna(), printed, atol=0.005)


def test_ema_is_the_published_table():
    """StockCharts ChartSchool, Moving Averages, sample spreadsheet (INTC, 10 periods); printed to cents."""
    close = pd.Series(
        [22.2734, 22.1940, 22.0847, 22.1741, 22.1840, 22.1344, 22.2337, 22.4323, 22.2436, 22.2933, 22.1542, 22.3926, 22.3816,
         22.6109, 23.3558, 24.0519, 23.7530, 23.8324, 23.9516, 23.6338, 23.8225, 23.8722, 23.6537, 23.1870, 23.0976, 23.3260,
         22.6805, 23.0976, 22.4025, 22.1725]
    )  # fmt: skip
    printed = [22.22, 22.21, 22.24, 22.27, 22.33, 22.52, 22.80, 22.97, 23.13, 23.28, 23.34, 23.43, 23.51, 23.54, 23.47, 23.40,
               23.39, 23.26, 23.23, 23.08, 22.92]  # fmt: skip
    np.testing.assert_allclose(ema(close, 10).dropna(), printed, atol=0.0051)


@pytest.mark.parametrize("name", list(TABLE))
def test_more_history_changes_no_earlier_value(name):
    bars = random_bars(3, n_bars=120)
    whole = TABLE[name].ours(bars)
    for cut in range(1, 120):
        for frame, earlier in zip(whole, TABLE[name].ours(bars.until(bars.index[cut - 1])), strict=True):
            same(frame.to_numpy()[:cut], earlier)


@settings(max_examples=150)
@given(prices=anything, data=st.data())
@pytest.mark.parametrize("name", list(OF_CLOSE))
def test_more_history_changes_no_earlier_value_even_of_broken_prices(name, prices, data):
    cut = data.draw(st.integers(1, len(prices)))
    close = pd.Series(prices)
    same(OF_CLOSE[name](close)[:cut], OF_CLOSE[name](close[:cut]))


@settings(max_examples=100)
@given(prices=anything, bad=st.integers(0, 39))
@pytest.mark.parametrize("name", WINDOWED)
def test_outside_of_its_window_a_broken_price_is_not_felt(name, prices, bad):
    close = pd.Series(prices)
    bad %= len(prices)
    broken = close.copy()
    broken[bad] = math.nan
    ours, healthy = OF_CLOSE[name](broken), OF_CLOSE[name](close)
    assert ours[bad : bad + 3].isna().all()
    same(ours.drop(range(bad, min(bad + 4, len(close)))), healthy.drop(range(bad, min(bad + 4, len(close)))))


@pytest.mark.parametrize("name", WINDOWED)
def test_a_huge_price_leaves_no_trace_after_its_window(name):
    close = random_bars(5, halts=False).close["S0"]
    spiked = close.copy()
    spiked.iloc[90] = 1e15
    same(OF_CLOSE[name](spiked)[94:], OF_CLOSE[name](close)[94:])


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", REMEMBERING)
def test_an_average_that_remembers_passes_over_a_bar_without_a_price(name, broken):
    close = random_bars(1, n_bars=80, halts=False).close["S0"].reset_index(drop=True)
    halted = pd.concat([close[:30], pd.Series([broken] * 3), close[30:]], ignore_index=True)
    ours = OF_CLOSE[name](halted)
    assert ours[30:33].isna().all()
    same(ours.drop([30, 31, 32]), OF_CLOSE[name](close))


def test_atr_passes_over_a_bar_without_a_price():
    close = np.array([[10.0, 11.0, 12.0, 11.0, 13.0, 12.0]])
    halted = np.insert(close, 3, np.nan, axis=1)
    same(np.delete(atr(bars_of(halted), 2).to_numpy(), 3), atr(bars_of(close), 2).to_numpy().ravel())


@settings(max_examples=60)
@given(power=st.integers(-40, 40), seed=st.integers(0, 99))
@pytest.mark.parametrize("name", list(TABLE))
def test_prices_in_another_unit_give_the_same_bits(name, power, seed):
    """Multiplying by a power of two is exact, so a rule cannot learn the level of adjusted prices from an indicator."""
    close = 100.0 + np.cumsum(np.random.default_rng(seed).normal(size=(1, 90)), axis=1)
    factor = 2.0**power
    other = bars_of(close * factor, volume=1e6 / factor)
    for ours, scaled in zip(TABLE[name].ours(bars_of(close)), TABLE[name].ours(other), strict=True):
        same(scaled, ours.to_numpy() * factor ** TABLE[name].power)


@settings(max_examples=60)
@given(price=st.floats(1e-6, 1e9), window=st.integers(2, 30))
def test_a_price_that_never_moves(price, window):
    flat = pd.Series([price] * 40)
    assert (sma(flat, window).dropna() == price).all()
    assert (rolling_std(flat, window).dropna() == 0.0).all()
    assert (rsi(flat, window).dropna() == 50.0).all()
    assert (bollinger(flat, window).upper.dropna() == price).all()


@settings(max_examples=60)
@given(st.lists(st.floats(0.01, 1e6), min_size=6, max_size=60))
def test_rsi_lies_between_0_and_100(prices):
    assert rsi(pd.Series(prices), 3).dropna().between(0.0, 100.0).all()
    assert (rsi(pd.Series(np.arange(1.0, 30.0)) * 0.1, 5).dropna() == 100.0).all()


def test_the_line_of_macd_is_the_difference_of_two_emas_to_the_bit():
    close = random_bars(2).close
    line = macd(close).line
    same(line, ema(close, 12) - ema(close, 26))


@pytest.mark.parametrize("name", list(OF_CLOSE))
def test_a_series_is_computed_like_the_column_of_a_frame(name):
    close = random_bars(5).close
    frame = OF_CLOSE[name](close)
    assert frame.index is close.index and frame.columns.equals(close.columns)
    for symbol in close:
        series = OF_CLOSE[name](close[symbol])
        assert series.name == symbol and series.index.equals(close.index)
        same(series, frame[symbol])
