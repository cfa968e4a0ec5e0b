"""The default strategy, on prices that one can follow by eye and on real ones; what any strategy may keep, and how it fails."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
import talib
from references import bars_of

from conftest import random_bars
from toolkit.data import Bars
from toolkit.errors import InvalidParameter, InvalidWindow, StrategyFailed
from toolkit.signals import IndicatorSet, SignalGenerator, Strategy, above, sma, strategy_name, trend_and_rsi

SMALL = functools.partial(trend_and_rsi, fast=2, slow=4, trend=6, rsi=5)


def by_the_book(close: pd.Series) -> list[float]:
    """The rules once more, bar by bar, on TA-Lib's indicators; for a symbol without halts."""
    prices = close.to_numpy().copy()
    fast, slow, trend = (talib.SMA(prices, window) for window in (5, 20, 50))
    strength, held, scores = talib.RSI(prices, 14), 0.0, []
    for bar, price in enumerate(prices):
        if np.isnan(trend[bar]):
            scores.append(np.nan)
            continue
        if fast[bar] < slow[bar] or strength[bar] > 80.0:
            held = 0.0
        elif fast[bar] > slow[bar] and price > trend[bar] and strength[bar] < 70.0:
            held = 1.0
        scores.append(held)
    return scores


def test_scores_on_real_prices_are_those_of_the_rules_read_aloud(bundled):
    scores = trend_and_rsi(bundled)
    for symbol in bundled.symbols:
        close = bundled.close[symbol].dropna()
        ours = scores[symbol][close.index]
        # The state before the average of `trend` bars is known counts too, but by then there is none: it needs that average.
        np.testing.assert_array_equal(ours, by_the_book(close))


def test_on_thirteen_years_it_trades_tens_of_times_a_symbol(bundled):
    scores = trend_and_rsi(bundled)
    entries = (scores.fillna(0.0).diff() > 0.0).sum()
    assert entries[["AAPL", "IBM", "MSFT", "GOOG"]].between(40, 100).all()
    assert set(np.unique(scores.stack().dropna())) == {0.0, 1.0}
    assert scores.mean().between(0.3, 0.7).all()


@pytest.mark.parametrize("seed", range(3))
def test_no_score_knows_a_later_bar(seed):
    bars = random_bars(seed)
    scores = SMALL(bars)
    for cut in range(1, len(bars), 3):
        past = bars.until(bars.index[cut - 1])
        pd.testing.assert_frame_equal(SMALL(past), scores.iloc[:cut], check_exact=True)


def test_it_buys_a_rise_that_pauses_and_leaves_when_it_turns():
    rise = 100.0 + np.cumsum(np.tile([1.0, 1.0, -0.8], 10))
    fall = rise[-1] - np.arange(1.0, 12.0)
    scores = SMALL(bars_of(np.concatenate([rise, fall])[None]))["A"]
    assert scores[:5].isna().all() and scores[5:].notna().all()
    assert scores.iloc[29] == 1.0
    assert (scores.iloc[33:] == 0.0).all()


def test_it_does_not_buy_into_an_overbought_rise():
    assert (SMALL(bars_of(100.0 + np.arange(40.0)[None]))["A"].dropna() == 0.0).all()


def test_a_halt_has_no_score_and_leaves_the_position():
    rise = 100.0 + np.cumsum(np.tile([1.0, 1.0, -0.8], 10))
    halted = np.insert(rise, 20, [np.nan, np.nan])
    scores, plain = SMALL(bars_of(halted[None]))["A"], SMALL(bars_of(rise[None]))["A"]
    assert plain.iloc[19] == 1.0
    assert scores.iloc[20:22].isna().all()
    assert scores.iloc[22] == scores.iloc[19] == 1.0
    assert scores.iloc[22:].notna().all()


def test_a_symbol_listed_late_warms_up_on_its_own(bundled):
    scores = trend_and_rsi(bundled)
    for symbol in bundled.symbols:
        listed = bundled.close[symbol].first_valid_index()
        first = bundled.index.get_loc(scores[symbol].first_valid_index())
        assert first - bundled.index.get_loc(listed) == 49


def test_scores_do_not_depend_on_the_unit_of_the_prices():
    close = 100.0 + np.cumsum(np.random.default_rng(5).normal(size=(2, 200)), axis=1)
    pd.testing.assert_frame_equal(SMALL(bars_of(close)), SMALL(bars_of(close * 2.0**-7)), check_exact=True)


def test_few_or_no_bars_give_no_opinion():
    bars = random_bars(1, n_bars=30)
    assert trend_and_rsi(bars).isna().to_numpy().all()
    none = bars.until("1990-01-01")
    assert len(none) == 0 and trend_and_rsi(none).shape == (0, 4)


def test_windows_that_make_no_sense_are_refused():
    bars = random_bars(1, n_bars=30)
    with pytest.raises(InvalidWindow, match="fast is 20, slow is 20"):
        trend_and_rsi(bars, fast=20)
    with pytest.raises(InvalidWindow, match="rsi is 0"):
        trend_and_rsi(bars, rsi=0)


def test_the_name_of_a_strategy_says_what_was_bound():
    class Mine:
        def __call__(self, bars: Bars) -> pd.DataFrame: ...

    assert strategy_name(trend_and_rsi) == "trend_and_rsi"
    assert strategy_name(SMALL) == "trend_and_rsi(fast=2, rsi=5, slow=4, trend=6)"
    assert strategy_name(functools.partial(SMALL, fast=3)) == "trend_and_rsi(fast=3, rsi=5, slow=4, trend=6)"
    assert strategy_name(Mine()) == "Mine"


# ---------------------------------------------------------------------------------------------------------- memory of a rule
MEMBERS = IndicatorSet({"average": sma(3)})


def highest_so_far(now, before, held, memory):
    """Long at a new high; it remembers the highest close."""
    highest = np.fmax(memory[0], now["close"])
    return np.where(np.isnan(now["close"]), np.nan, now["close"] == highest), highest[None]


@pytest.mark.parametrize("seed", range(3))
def test_a_rule_is_handed_what_it_kept_at_the_bar_before(seed):
    bars = random_bars(seed)
    expected = (bars.close == bars.close.cummax()).astype(float).where(bars.close.notna())
    strategy = Strategy("highs", MEMBERS, highest_so_far, memory=1)
    pd.testing.assert_frame_equal(strategy(bars), expected, check_exact=True)
    generator = SignalGenerator(strategy)
    for bar in (50, 51, 100, 159):
        scores = generator.scores(bars.until(bars.index[bar]))
        pd.testing.assert_frame_equal(scores, expected[: bar + 1], check_exact=True)
    pd.testing.assert_frame_equal(generator.scores(bars.until(bars.index[20])), expected[:21], check_exact=True)


def test_what_a_rule_writes_into_its_arguments_is_forgotten():
    def careless(now, before, held, memory):
        scores = np.where(held > 1.0, 1.0, np.nan)
        scores[0] = 0.0
        memory[:], held[:] = 1e9, 1e9
        return scores, memory * 0.0

    scores = Strategy("careless", MEMBERS, careless, memory=1)(random_bars(1))
    assert (scores["S0"] == 0.0).all() and scores[["S1", "S2", "S3"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("rule", "error", "sentence"),
    [
        (lambda now, before, held, memory: held, StrategyFailed, r"it returned a ndarray, not \(scores, memory\)"),
        (lambda now, before, held, memory: (held, memory[:1]), InvalidParameter, r"kept shape \(1, 4\) at 2011-01-03"),
        (lambda now, before, held, memory: (held, held), InvalidParameter, r"kept shape \(4,\) .*return \(2, 4\)"),
        (lambda now, before, held: held, StrategyFailed, "raised TypeError at 2011-01-03"),
    ],
)
def test_a_memory_of_another_shape_is_refused(rule, error, sentence):
    with pytest.raises(error, match=sentence):
        Strategy("mine", MEMBERS, rule, memory=2)(random_bars(1))


@pytest.mark.parametrize("memory", [-1, 1.5, True, "2"])
def test_a_memory_is_a_count_of_numbers(memory):
    with pytest.raises(InvalidWindow, match="memory is"):
        Strategy("mine", MEMBERS, highest_so_far, memory=memory)


# -------------------------------------------------------------------------------------------------- strategies that fail
def test_a_rule_that_raises_is_named_with_its_bar_and_symbol():
    bars = random_bars(1, halts=False)

    def brittle(now, before, held):
        if (now["volume"] < 10.0).any():
            raise ArithmeticError("no market")
        return held

    frames = {name: frame_of(bars, name) for name in bars.symbols}
    frames["S2"].loc[bars.index[70], "volume"] = 1.0
    with pytest.raises(StrategyFailed, match=f"ArithmeticError at {bars.index[70]} for S2: no market") as failure:
        Strategy("mine", MEMBERS, brittle)(Bars.from_frame(frames))
    assert failure.value.symbol == "S2"


def frame_of(bars: Bars, symbol: str) -> pd.DataFrame:
    return pd.DataFrame({name: getattr(bars, name)[symbol] for name in ("open", "high", "low", "close", "volume")})


@pytest.mark.parametrize("bar", [159, 158, 100, 60])
def test_a_plain_strategy_that_raises_is_named_with_the_bar_from_which_on_it_does(bar):
    frames = {name: frame_of(random_bars(1, halts=False), name) for name in ("S0", "S1", "S2", "S3")}
    frames["S3"].iloc[bar, 4] = 1.0
    bars = Bars.from_frame(frames)

    def brittle(given: Bars) -> pd.DataFrame:
        if (given.volume < 10.0).any(axis=None):
            raise ArithmeticError("no market")
        return given.close * 0.0

    sentence = f"brittle raised ArithmeticError from {bars.index[bar]} on for S3: no market; call it on bars.rows"
    with pytest.raises(StrategyFailed, match=sentence) as failure:
        SignalGenerator(brittle).scores(bars)
    assert failure.value.symbol == "S3" and isinstance(failure.value.__cause__, ArithmeticError)


def test_a_strategy_that_always_raises_is_named_alone():
    def broken(given: Bars) -> pd.DataFrame:
        raise RuntimeError("no model")

    with pytest.raises(StrategyFailed, match="broken raised RuntimeError: no model; call it on these 160 bars to see why"):
        SignalGenerator(broken).scores(random_bars(1))
    for n in 0, 1:
        with pytest.raises(StrategyFailed, match=f"broken raised RuntimeError: no model; call it on these {n} bars"):
            SignalGenerator(broken).scores(random_bars(1, n_bars=n + 20).until(random_bars(1).index[0] if n else "1990-01-01"))


def test_the_result_of_a_comparison_is_a_score_of_one_or_nought():
    bars = random_bars(1)
    scores = SignalGenerator(lambda given: above(given.close, given.open)).scores(bars)
    pd.testing.assert_frame_equal(scores, (bars.close > bars.open).astype(float))
