"""Leaks planted one by one are found, with their bar, symbol and size; what has none passes."""

import numpy as np
import pandas as pd
import pytest
from suspects import check, kinds, quiet, unit

from conftest import random_bars
from toolkit.data import Bars
from toolkit.errors import StrategyFailed
from toolkit.signals import indicators as ta
from toolkit.signals.causality import replayed
from toolkit.signals.causality.invariance import in_other_shares
from toolkit.signals.rules import above
from toolkit.signals.sets import IndicatorSet
from toolkit.signals.strategies import Strategy


def residual(y):
    x = np.arange(len(y)) - (len(y) - 1) / 2
    return y - y.mean() - x * (x @ y) / max(x @ x, 1.0)


# ---------------------------------------------------------------------------------------------------------------- leaks
LEAKS = {
    "tomorrow's return": lambda bars: unit(bars.close.pct_change(fill_method=None).shift(-1)),
    "tomorrow's open": lambda bars: unit(bars.open.shift(-1) - bars.close),
    "z-score of the whole sample": lambda bars: unit((bars.close - bars.close.mean()) / bars.close.std()),
    "centred window": lambda bars: unit(bars.close - bars.close.rolling(5, center=True).mean()),
    "bfill": lambda bars: unit(bars.close.diff()[bars.index.day_of_week == 4].reindex(bars.index).bfill()),
    "interpolation": lambda bars: unit(bars.close[::5].reindex(bars.index).interpolate().diff()),
    "weekly closes labelled by the begin of the week": lambda bars: unit(
        bars.close / bars.close.resample("W-MON", label="left", closed="left").last().reindex(bars.index, method="ffill") - 1
    ),
    "weekly closes brought back to days": lambda bars: unit(bars.close.resample("W").transform("last") / bars.close - 1),
    "rank over time": lambda bars: bars.close.rank(pct=True),
    "volume of tomorrow": lambda bars: unit(bars.volume.shift(-1) - bars.volume),
    "share of all volume": lambda bars: unit(bars.volume / bars.volume.sum() - 0.01),
    "distance to the lowest close of all": lambda bars: (bars.close - bars.close.min()) / bars.close.expanding().max(),
    "expanding from the end": lambda bars: unit(bars.close - bars.close[::-1].expanding().min()[::-1]),
    "Fourier smoothing": lambda bars: unit(bars.close - np.fft.irfft(np.fft.rfft(bars.close, axis=0)[:5], len(bars), axis=0)),
    "a fit to the whole history": lambda bars: unit(bars.close.apply(residual)),
    "the last row": lambda bars: unit(bars.close - bars.close.iloc[-1]),
}  # fmt: skip


@pytest.fixture(scope="module")
def market():
    bars = quiet()
    frame = {s: pd.DataFrame({f: bars.traded_frame(f)[s] for f in ("open", "high", "low", "close")}) for s in bars.symbols}
    rng = np.random.default_rng(3)
    return Bars.from_frame({s: each.assign(volume=rng.integers(1e5, 1e6, len(each)) * 1.0) for s, each in frame.items()})


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found(market, leak):
    certificate = check(LEAKS[leak], market)
    assert not certificate.passed
    assert certificate.kinds == ("FUTURE",)
    assert certificate.leaking.any()


def test_it_names_the_first_bar_the_symbol_and_the_size():
    bars = quiet(n_symbols=2, n_bars=40)

    def strategy(bars):
        scores = 0.0 * bars.close
        scores.iloc[:, 1] = (0.25 * (bars.close.index <= "2011-01-20") + 0.5 * (np.arange(len(bars)) < len(bars) - 3)).astype(
            float
        )
        return scores

    # the last three bars lack 0.5 that they get three bars later: the first bar is the first with that fate
    certificate = check(strategy, bars)
    leak = certificate.leaks[0]
    assert (leak.bar, leak.symbol, leak.then, leak.later, leak.kind) == ("2011-01-03", "S1", 0.25, 0.75, "FUTURE")
    assert leak.size == 0.5
    assert str(leak) == "FUTURE S1 2011-01-03: 0.25 when it was the last bar, 0.75 once later bars were known"
    assert certificate.leaking.tolist() == [[False] * 40, [True] * 37 + [False] * 3]


def test_a_past_that_is_told_anew_is_a_leak_though_the_last_bar_is_right():
    bars = quiet(n_symbols=1, n_bars=30)

    def repainted(bars):  # bar 5 scores 1 when it is the last, and in the end, but not when there are 20 bars
        scores = bars.close * 0.0 + 1.0
        if len(bars) == 20:
            scores.iloc[5] = 0.0
        return scores

    (leak,) = check(repainted, bars).leaks
    assert (leak.kind, leak.bar, leak.then, leak.later) == ("FUTURE", str(bars.index[5])[:10], 0.0, 1.0)


def test_the_last_bar_of_a_leak_into_the_last_bar_alone_is_found():
    bars = quiet(n_symbols=1, n_bars=30)

    def once(bars):
        scores = bars.close * 0.0
        if len(bars) == 30:
            scores.iloc[17] = 1.0
        return scores

    (leak,) = check(once, bars).leaks
    assert (leak.bar, leak.then, leak.later) == (str(bars.index[17])[:10], 0.0, 1.0)


# ---------------------------------------------------------------------------------------------------------------- level
LEVELS = {
    "a level of price": lambda bars: 1.0 * (bars.close > 100.0),
    "rank of symbols by price": lambda bars: bars.close.rank(axis=1) / len(bars.symbols),
    "index weighted by price": lambda bars: bars.close * 0.0 + unit(bars.close.sum(axis=1).diff()).to_numpy()[:, None],
    "a level of volume": lambda bars: 1.0 * (bars.volume > 5e5),
    "a move in dollars": lambda bars: unit(bars.close.diff() - 1.0),
}


@pytest.mark.parametrize("level", LEVELS)
def test_a_dependence_on_the_level_of_prices_is_found(market, level):
    certificate = check(LEVELS[level], market)
    assert certificate.kinds == ("LEVEL",) and not certificate.level_independent


@pytest.mark.parametrize("level", [2.0, 1000.0])
def test_a_level_is_found_from_far_above_and_from_far_below(level):
    assert kinds(lambda bars: 1.0 * (bars.close > level), quiet(n_symbols=1)) == {"LEVEL"}


@pytest.mark.parametrize("strategy", [
    lambda bars: unit(bars.close * bars.volume - (bars.close * bars.volume).rolling(5).mean()),
    lambda bars: np.log(bars.close).diff().clip(-1, 1),
    lambda bars: bars.close.pct_change(fill_method=None).rank(axis=1, pct=True),
    lambda bars: 1.0 * (bars.traded_frame("close") > 50.0),
], ids=["dollar volume", "log returns", "rank of returns", "price as traded"])  # fmt: skip
def test_what_does_not_depend_on_the_level_passes(market, strategy):
    assert check(strategy, market).passed


def test_other_shares_keep_dollars_and_returns_to_the_bit_and_change_levels_both_ways():
    bars = random_bars(4, n_symbols=9)
    for sign in 1, -1:
        other = in_other_shares(bars, sign)
        pd.testing.assert_frame_equal(other.close * other.volume, bars.close * bars.volume, check_exact=True)
        ratio = other.close / bars.close
        assert (np.exp2(np.round(np.log2(ratio.mean()))) == ratio.mean()).all() and (ratio.std() == 0.0).all()
        assert (ratio.mean() > 1).any() and (ratio.mean() < 1).any() and other.fingerprint != bars.fingerprint
        pd.testing.assert_frame_equal(other.traded_frame("close"), bars.traded_frame("close"), check_exact=True)


# -------------------------------------------------------------------------------------------------------------- history
def test_history_is_the_window_of_what_looks_back_a_window():
    bars = quiet(n_bars=160)
    assert check(lambda bars: unit(bars.close - bars.close.shift(12)), bars).history == 12
    declared = Strategy("up", IndicatorSet({"mean": ta.sma(17)}), lambda now, before, held: np.sign(now["close"] - now["mean"]))
    assert check(declared, bars).history == 16  # 17 closes, the bar's own among them


def test_what_never_forgets_says_so():
    bars = quiet(n_bars=160)
    certificate = check(lambda bars: (bars.close.diff() > 0).cumsum() / 1000.0, bars)
    assert certificate.passed and certificate.history is None and certificate.settled is None
    assert "all there is" in str(certificate)


def test_what_forgets_but_for_rounding_says_so():
    bars = quiet(n_bars=400)
    certificate = check(lambda bars: (bars.close / bars.close.rolling(20).mean() - 1.0).clip(-1, 1), bars)
    assert certificate.passed and certificate.history is None and certificate.settled == 19
    assert "19 bars, then its scores depend on where history starts by rounding alone" in str(certificate)


# ------------------------------------------------------------------------------------------------------------- declared
def test_a_rule_that_keeps_something_is_found():
    bars = quiet()

    def counting():
        calls = []

        def rule(now, before, held):
            calls.append(1)
            return np.full(len(held), len(calls) % 2 * 1.0)

        return rule

    def ahead():
        future, at = iter(np.sign(bars.close.diff().shift(-1)).to_numpy()), []

        def rule(now, before, held):
            at.append(next(future))
            return at[-1]

        return rule

    members = IndicatorSet({"mean": ta.sma(3)})
    for rule in counting(), ahead():
        assert check(Strategy("keeps", members, rule), bars).kinds == ("RANDOM",)


def test_a_rule_with_a_declared_memory_passes_and_one_that_leaves_chance_in_it_does_not():
    members = IndicatorSet({"mean": ta.sma(3)})

    def highest(now, before, held, memory):
        return np.sign(now["close"] - memory[0]), np.fmax(memory, now["close"])

    assert check(Strategy("highest", members, highest, memory=1), quiet()).passed
    rng = np.random.default_rng(1)
    noisy = Strategy("noisy", members, lambda now, before, held, memory: (held, rng.random(memory.shape)), memory=1)
    assert check(noisy, quiet()).kinds == ("RANDOM",)


def test_a_rule_that_looks_at_a_level_is_found():
    rule = Strategy("dear", IndicatorSet({"mean": ta.sma(3)}), lambda now, before, held: 1.0 * (now["mean"] > 50.0))
    assert check(rule, quiet()).kinds == ("LEVEL",)


def test_a_stream_that_parts_from_its_batch_is_found(monkeypatch):
    """The batch is made to look ahead by one bar, which is what no stream can do."""
    honest = replayed.values
    monkeypatch.setattr(replayed, "values", lambda s, bars: {k: np.roll(v, -1, axis=2) for k, v in honest(s, bars).items()})
    declared = Strategy("up", IndicatorSet({"mean": ta.sma(3)}), lambda now, before, held: np.sign(now["close"] - now["mean"]))
    certificate = check(declared, quiet())
    assert certificate.kinds == ("FUTURE",) and "indicator mean" in str(certificate)


def test_a_condition_is_certified_as_both_of_its_forms():
    certificate = check(above(ta.sma(3), ta.sma(9)), quiet(n_bars=160))
    assert certificate.passed and certificate.declared and certificate.history == 8


# ---------------------------------------------------------------------------------------------------- few and short bars
def test_a_few_bars_are_too_few_to_pass():
    bars = quiet(n_bars=40)
    certificate = check(lambda bars: unit(bars.close.shift(-1) - bars.close).fillna(0.0), bars.rows(0, 1))  # no leak can show
    assert certificate.kinds == ("SHORT",) and certificate.n_bars == 1
    certificate = check(lambda bars: unit(bars.close), bars.rows(0, 19))
    assert certificate.kinds == ("SHORT",) and certificate.history == 0
    assert str(certificate).startswith("TOO SHORT <lambda>: it scores too few bars to tell\n")
    assert (
        "  SHORT S0 2011-01-27: the last bar (19 bars from the first score on, 20 are needed)" in str(certificate).splitlines()
    )
    assert "TOO SHORT</b> &lt;lambda&gt;: it scores" in certificate._repr_html_()
    assert check(lambda bars: unit(bars.close), bars.rows(0, 20)).passed
    late = check(lambda bars: unit(bars.close)[bars.index > "2011-02-01"].reindex(bars.index), bars)
    assert late.kinds == ("SHORT",) and "(18 bars from the first score on, 20 are needed)" in str(late)
    with pytest.raises(StrategyFailed, match="no score for any of 0 bars"):
        check(lambda bars: bars.close * 0.0, bars.rows(0, 0))


def test_minute_bars_are_cut_at_the_instant():
    index = pd.date_range("2024-01-02 14:30", periods=78, freq="5min", tz="UTC")
    rng = np.random.default_rng(1)
    close = 50.0 + rng.standard_normal(78).cumsum() * 0.1
    frame = pd.DataFrame({"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1e4}, index=index)
    bars, second = Bars.from_frame(frame, symbol="X", interval="5m"), pd.DataFrame({"X": close[::-1]}, index=index)
    assert kinds(lambda bars: unit(second.shift(-1).reindex(bars.index) - second.reindex(bars.index)), bars) == {"FUTURE"}
    assert check(lambda bars: unit(second.diff().reindex(bars.index)), bars).passed
    assert check(lambda bars: unit(second.shift(-1).reindex(bars.index)), bars).leaks[0].bar == "2024-01-02 14:30"
