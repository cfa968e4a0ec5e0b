"""Declared indicators: said once, computed together, alone, nested, or bar by bar, and the memory of their values."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import random_bars
from toolkit import TradingEngine, backtest
from toolkit.errors import InvalidParameter, InvalidWindow, StrategyFailed
from toolkit.signals import (
    IndicatorSet,
    SignalGenerator,
    Strategy,
    adx,
    atr,
    bollinger,
    ema,
    macd,
    rolling_beta,
    rsi,
    sma,
    stochastic,
    trend_and_rsi,
)

MEMBERS = {"fast": sma(5), "slow": sma(20), "rsi": rsi(14), "lines": macd(), "range": atr(7), "smooth": ema(9).of(rsi(14))}
AVERAGES = IndicatorSet({"quick": sma(5), "calm": sma(20), "base": sma(50), "strength": rsi(14)})


def trending(now, before, held):
    """The rule of `trend_and_rsi`, one bar at a time."""
    entries = (now["quick"] > now["calm"]) & (now["close"] > now["base"]) & (now["strength"] < 70.0)
    exits = (now["quick"] < now["calm"]) | (now["strength"] > 80.0)
    known = np.isfinite(now["base"] + now["strength"])
    return np.where(known, np.where(exits, 0.0, np.where(entries, 1.0, held)), np.nan)


TREND = Strategy("trend", AVERAGES, trending)


def test_an_indicator_without_data_is_declared_and_says_what_it_is():
    assert str(sma(5)) == "sma(5)" and sma(5) == sma(window=5) and sma(5) != sma(6)
    assert str(ema(9).of(rsi(14))) == "ema(9) of rsi(14)"
    assert str(bollinger(width=1.5)) == "bollinger(20, 1.5)"
    with pytest.raises(InvalidWindow, match="window is 0"):
        sma(0)
    with pytest.raises(InvalidParameter, match="missing a required argument: 'window'"):
        sma()
    with pytest.raises(InvalidParameter, match="reads several fields, it is given a Series; pass Bars"):
        atr(pd.Series([1.0, 2.0]), 14)
    with pytest.raises(InvalidParameter, match=r"sma.close, window. has no parameter 'period'"):
        sma(pd.Series([1.0, 2.0]), period=2)
    with pytest.raises(InvalidParameter, match=r"has its data first, it is given 14"):
        sma(14, pd.Series([1.0, 2.0]))


def test_fields_can_be_passed_one_by_one_as_series_frames_or_arrays():
    bars = random_bars(3)
    expected = atr(bars, 7)
    pd.testing.assert_frame_equal(atr(bars.high, bars.low, bars.close, 7), expected, check_exact=True)
    pd.testing.assert_frame_equal(atr(high=bars.high, low=bars.low, close=bars.close, span=7), expected, check_exact=True)
    arrays = [frame["S1"].to_numpy() for frame in (bars.high, bars.low, bars.close)]
    np.testing.assert_array_equal(atr(*arrays, 7), expected["S1"])
    pd.testing.assert_frame_equal(rsi(bars), rsi(bars.close), check_exact=True)


def test_a_market_is_one_series_for_all_symbols():
    returns = random_bars(3, halts=False).close.pct_change()
    market = returns.mean(axis=1)
    beta = rolling_beta(returns, market, 20)
    pd.testing.assert_series_equal(beta["S2"], rolling_beta(returns["S2"], market, 20), check_exact=True)


def test_one_output_of_several_can_be_declared_and_read_by_others():
    bars = random_bars(3)
    signal = macd()["signal"]
    values = IndicatorSet({"signal": signal, "smooth": sma(3).of(signal), "all": macd()}).compute(bars)
    pd.testing.assert_frame_equal(values["signal"], macd(bars.close).signal, check_exact=True)
    pd.testing.assert_frame_equal(values["smooth"], sma(macd(bars.close).signal, 3), check_exact=True)
    pd.testing.assert_frame_equal(values["all"].line, macd(bars.close).line, check_exact=True)
    assert str(signal) == "macd(12, 26, 9)['signal']" and sma(3).of(signal).warmup == 35
    with pytest.raises(InvalidParameter, match="no output 'line'; use it as it is"):
        rsi()["line"]


def test_what_is_declared_travels_to_other_processes():
    members = IndicatorSet(MEMBERS, max_size=3)
    travelled = pickle.loads(pickle.dumps(members))  # noqa: S301
    assert travelled.members == members.members
    bars = random_bars(3)
    pd.testing.assert_frame_equal(travelled.compute(bars)["smooth"], members.compute(bars)["smooth"], check_exact=True)


def test_all_members_are_known_after_the_lookback():
    bars = random_bars(3, halts=False)
    members = IndicatorSet({**MEMBERS, "trend": adx(14), "oscillator": stochastic()})
    frames = [f for value in members.compute(bars).values() for f in (value if isinstance(value, tuple) else (value,))]
    known = np.isfinite(np.stack([frame["S0"] for frame in frames])).all(axis=0)
    assert np.argmax(known) == members.lookback == 33


@settings(max_examples=20)
@given(seed=st.integers(0, 2**20), n_symbols=st.integers(1, 11), n_bars=st.integers(1, 120))
def test_a_set_gives_what_each_indicator_gives_alone(seed, n_symbols, n_bars):
    bars = random_bars(seed, n_symbols=n_symbols, n_bars=max(n_bars, 9)).tail(n_bars)
    expected = {
        "fast": sma(bars.close, 5), "slow": sma(bars.close, 20), "rsi": rsi(bars.close, 14), "range": atr(bars, 7),
        "smooth": ema(rsi(bars.close, 14), 9),
    }  # fmt: skip
    lazily, together = IndicatorSet(MEMBERS)(bars), IndicatorSet(MEMBERS).compute(bars)
    for values in lazily, together:
        for name, frame in expected.items():
            pd.testing.assert_frame_equal(values[name], frame, check_exact=True)
        for ours, alone in zip(values["lines"], macd(bars.close), strict=True):
            pd.testing.assert_frame_equal(ours, alone, check_exact=True)


def test_what_two_members_share_is_computed_once():
    from toolkit.signals.sets import programmed

    program, wanted = programmed((rsi(14), ema(9).of(rsi(14)), ema(5).of(rsi(14))))
    assert len(program.steps) == 3 and wanted == [0, 1, 2]


def test_values_can_go_into_memory_that_is_handed_in():
    bars, members = random_bars(3), IndicatorSet(MEMBERS)
    out = members.space(bars)
    values = members.compute(bars, out)
    assert np.shares_memory(values["slow"], out)
    with pytest.raises(InvalidParameter, match=r"pass a writable float64 array of shape \(8, 4, 160\)"):
        members.compute(bars, out[:, :, :50])


def test_values_are_yours_to_change_and_the_memory_is_not():
    bars, members = random_bars(3), IndicatorSet(MEMBERS)
    frame = members(bars)["fast"]
    frame.iloc[:] = 7.0
    assert not (members(bars)["fast"] == 7.0).any().any()


def test_values_of_bars_seen_before_are_kept_and_counted_until_cleared():
    bars, members = random_bars(3), IndicatorSet(MEMBERS, max_size=2)
    first = members(bars).rows("fast")
    assert members.compute(random_bars(3)).rows("fast") is first
    assert members.stats()["hits"] == 1 and members.stats()["misses"] == 1
    members.clear_cache()
    assert members(bars).rows("fast") is not first
    assert members.stats()["total_requests"] == 3 and members.stats()["size"] == 1


def test_a_history_that_is_too_short_for_a_member_gives_it_nan_alone():
    values = IndicatorSet({"long": sma(10**12), "short": sma(3)}).compute(random_bars(1, n_bars=30, halts=False))
    assert values["long"].isna().all().all() and values["short"].iloc[2:].notna().all().all()


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"a": 5}, "'a' is a int, not an indicator"),
        ({"a": sma}, "'a' is a function, not an indicator"),
        ({"close": sma(5)}, "a member is named 'close', as a field of bars"),
        ({"beta": rolling_beta(5)}, "rolling_beta.5. does not say what it reads"),
        ({}, "members are {}"),
        ([sma(5)], "name declared indicators"),
    ],
)
def test_what_is_no_declared_indicator_is_refused(members, sentence):
    with pytest.raises(InvalidParameter, match=sentence):
        IndicatorSet(members)


def test_what_an_indicator_cannot_read_is_refused():
    with pytest.raises(InvalidParameter, match="'price' is neither a field nor an indicator"):
        sma(5).of("price")
    with pytest.raises(InvalidParameter, match="macd.12, 26, 9. has several outputs"):
        sma(5).of(macd())
    with pytest.raises(InvalidParameter, match="a Series is neither a field nor an indicator"):
        sma(5).of(pd.Series([1.0]))
    with pytest.raises(InvalidParameter, match="a set of indicators is given a DataFrame; pass Bars"):
        IndicatorSet(MEMBERS).compute(random_bars(1).close)
    with pytest.raises(InvalidParameter, match="indicators is a dict"):
        Strategy("wrong", MEMBERS, trending)
    with pytest.raises(InvalidParameter, match="atr.14. reads 3 inputs, 1 are given"):
        atr(14).of("close")
    with pytest.raises(InvalidParameter, match="no member 'x'"):
        IndicatorSet(MEMBERS)(random_bars(1))["x"]


def test_members_can_read_any_field():
    bars = random_bars(2)
    values = IndicatorSet({"turnover": sma(5).of("volume"), "top": sma(5).of("high")}).compute(bars)
    pd.testing.assert_frame_equal(values["top"], sma(bars.high, 5), check_exact=True)
    pd.testing.assert_frame_equal(values["turnover"], sma(bars.volume, 5), check_exact=True)


def test_bar_by_bar_gives_what_the_whole_gives():
    bars = random_bars(8, n_symbols=9)
    values, ticker = IndicatorSet(MEMBERS).compute(bars), IndicatorSet(MEMBERS).stream(9)
    for t in range(len(bars)):
        bar = dict(zip(("open", "high", "low", "close", "volume"), bars.adjusted[:, :, t], strict=True))
        peeked, now = ticker.peek(bar), ticker.push(bar)
        np.testing.assert_array_equal(now["smooth"], values["smooth"].iloc[t])
        np.testing.assert_array_equal(peeked["lines"].signal, values["lines"].signal.iloc[t])
        if t == 40:
            kept = ticker.snapshot()
            ticker = IndicatorSet(MEMBERS).stream(9)
            ticker.restore(kept)
    for other in IndicatorSet(MEMBERS).stream(10), IndicatorSet({**MEMBERS, "slow": sma(21)}).stream(9):
        with pytest.raises(InvalidParameter, match="other members or symbols"):
            ticker.restore(other.snapshot())


def test_a_stream_goes_on_from_bars_and_says_what_a_bar_lacks():
    bars = random_bars(8)
    values, ticker = IndicatorSet(MEMBERS).compute(bars), IndicatorSet(MEMBERS).stream(bars.until(bars.index[-2]))
    last = dict(zip(("open", "high", "low", "close", "volume"), bars.adjusted[:, :, -1], strict=True))
    np.testing.assert_array_equal(ticker.push(last)["smooth"], values["smooth"].iloc[-1])
    assert repr(ticker) == "Ticker(fast, slow, rsi, lines, range, smooth: 4 symbols, 160 bars)"
    with pytest.raises(InvalidParameter, match="the bar has no high; pass close, high, low by name"):
        ticker.push({"close": last["close"], "low": last["low"]})
    with pytest.raises(InvalidParameter, match=r"pass numbers of shape \(4,\)"):
        ticker.push({**last, "close": 5.0})
    for universe in 0, 2.5, "AAPL", True, None:
        with pytest.raises(InvalidParameter, match="pass a number of at least 1, or Bars"):
            IndicatorSet(MEMBERS).stream(universe)


# -------------------------------------------------------------------------------------------------- declared strategies
def test_a_declared_strategy_scores_as_the_plain_function_does(bundled):
    """Two roads to one rule: frames over the whole history, and one bar after the other."""
    pd.testing.assert_frame_equal(TREND(bundled), trend_and_rsi(bundled), check_exact=True)
    ours, plain = backtest(TREND, bundled, cash=1e5), backtest(trend_and_rsi, bundled, cash=1e5)
    pd.testing.assert_series_equal(ours.equity, plain.equity, check_exact=True)


def test_the_engine_asks_a_declared_strategy_for_new_bars_alone(values):
    asked = []

    def watched(now, before, held):
        asked.append(now["close"])
        return trending(now, before, held)

    engine = TradingEngine.from_values(**values, strategy=Strategy("trend", AVERAGES, watched))
    engine.run_continuous()
    plain = TradingEngine.from_values(**{**values, "account": "plain"}, strategy=trend_and_rsi)
    plain.run_continuous()
    assert engine.telemetry.frame()["equity"].tolist() == plain.telemetry.frame()["equity"].tolist()
    assert len(asked) == len(engine.bars())


def test_bars_that_do_not_go_on_from_the_ones_before_are_scored_afresh():
    generator = SignalGenerator(TREND)
    bars, other = random_bars(1, n_bars=120), random_bars(2, n_bars=120)
    generator.scores(bars.until(bars.index[99]))
    pd.testing.assert_frame_equal(generator.scores(other), TREND(other), check_exact=True)
    pd.testing.assert_frame_equal(generator.scores(bars), TREND(bars), check_exact=True)
    pd.testing.assert_frame_equal(generator.scores(bars.until(bars.index[80])), TREND(bars).iloc[:81], check_exact=True)


def test_scores_that_were_handed_out_do_not_change_when_bars_are_added():
    generator, bars = SignalGenerator(TREND), random_bars(1, n_bars=200)
    early = generator.scores(bars.until(bars.index[99]))
    before = early.copy()
    generator.scores(bars)
    pd.testing.assert_frame_equal(early, before, check_exact=True)
    early.iloc[:] = 0.5
    pd.testing.assert_frame_equal(generator.scores(bars), TREND(bars), check_exact=True)


@pytest.mark.parametrize(
    ("rule", "error", "sentence"),
    [
        (lambda now, before, held: held[:1], InvalidParameter, "scored shape"),
        (lambda now, before, held: held + 1.5, InvalidParameter, "scored S0 1.5 at 2011-01-03"),
        (
            lambda now, before, held: now["nothing"],
            StrategyFailed,
            "bad asked for .nothing. at 2011.*there are open, high",
        ),
        (lambda now, before, held: held * np.nan, StrategyFailed, "no score for any of 90 bars"),
    ],
)
def test_a_rule_that_fails_is_named_with_its_bar_and_is_asked_again(rule, error, sentence):
    generator = SignalGenerator(Strategy("bad", AVERAGES, rule))
    for _ in range(2):
        with pytest.raises(error, match=sentence):
            generator.scores(random_bars(1, n_bars=90))


def test_the_first_bar_has_nothing_before_it_and_held_is_the_last_opinion():
    seen = []

    def rule(now, before, held):
        seen.append((before["lines"].signal.copy(), held))
        return np.where(len(seen) % 2 == 1, held + 0.01, np.nan)

    Strategy("watch", IndicatorSet({"lines": macd(2, 4, 3)}), rule)(random_bars(1, n_symbols=2, n_bars=10))
    assert np.isnan(seen[0][0]).all() and np.isfinite(seen[9][0]).all()
    assert [float(held[0]) for _, held in seen[:5]] == [0.0, 0.01, 0.01, 0.02, 0.02]
