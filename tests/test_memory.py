"""The memory of scores: what it keeps, what it forgets, what it counts, and what it refuses to keep."""

from __future__ import annotations

import contextlib
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from conftest import random_bars
from toolkit.data import ReplayClock
from toolkit.data.bars import NO_WHOLE
from toolkit.errors import InvalidParameter, StrategyFailed
from toolkit.signals import IndicatorSet, SignalGenerator, above, trend_and_rsi
from toolkit.signals.indicators import atr, sma

BARS = [random_bars(seed, n_bars=60) for seed in range(4)]


def counted():
    """A strategy that writes down which bars it was asked about."""
    asked = []

    def strategy(bars):
        asked.append(bars.fingerprint)
        return bars.close * 0.0

    return strategy, asked


def clock(*seconds: float) -> ReplayClock:
    start = pd.Timestamp("2013-01-02 21:00", tz="UTC")
    return ReplayClock([start + pd.Timedelta(seconds=second) for second in seconds])


def test_bars_seen_before_are_not_computed_again():
    strategy, asked = counted()
    generator = SignalGenerator(strategy)
    first, second = generator.scores(BARS[0]), generator.scores(BARS[0])
    pd.testing.assert_frame_equal(first, second)
    assert len(asked) == 1
    assert generator.stats() == {
        "hits": 1, "misses": 1, "total_requests": 2, "size": 1, "hit_rate": 0.5, "miss_rate": 0.5
    }  # fmt: skip


def test_equal_bars_of_another_object_are_the_same_bars_and_one_more_bar_is_not():
    strategy, asked = counted()
    generator = SignalGenerator(strategy)
    generator.scores(random_bars(9, n_bars=60))
    generator.scores(random_bars(9, n_bars=60))
    assert len(asked) == 1
    generator.scores(random_bars(9, n_bars=60).until("2011-02-01"))
    assert len(asked) == 2


def hashed(bars) -> bool:
    """Whether fingerprints of the bars were made."""
    return "chain" in vars(bars.whole)


def test_nothing_is_hashed_for_bars_that_come_again_or_are_like_none_before():
    generator = SignalGenerator(lambda bars: bars.close * 0.0)
    bars = random_bars(11, n_bars=60)
    for known in (bars, bars.until(bars.index[-1]), bars):
        generator.scores(known)
    assert not hashed(bars) and generator.stats()["hits"] == 2
    other = random_bars(12, n_bars=60)
    generator.scores(other)
    assert hashed(bars) and not hashed(other)  # of what was there before, the fingerprint alone is kept


@pytest.mark.parametrize("asked", [atr, IndicatorSet({"a": atr()}), above(sma(3), sma(9))])
def test_nothing_is_hashed_to_see_that_bars_are_bars(asked):
    bars = random_bars(14, n_bars=60)
    asked(bars)
    assert not hashed(bars)


def test_bars_that_differ_in_an_old_price_alone_are_others():
    strategy, asked = counted()
    generator = SignalGenerator(strategy)
    bars = random_bars(13, n_bars=60)
    traded = bars.traded.copy()
    traded[3, 0, 7] += 0.01
    for known in (bars, replace(bars, traded=traded, whole=NO_WHOLE), bars):
        generator.scores(known)
    assert len(asked) == 2 and generator.stats()["hits"] == 1


def test_the_least_recently_used_goes_first():
    strategy, asked = counted()
    generator = SignalGenerator(strategy, max_size=2)
    for number in (0, 1, 0, 2, 0, 1):
        generator.scores(BARS[number])
    assert asked == [BARS[number].fingerprint for number in (0, 1, 2, 1)]
    assert generator.stats()["size"] == 2


def test_scores_live_for_their_time_on_the_clock_that_was_given():
    strategy, asked = counted()
    time = clock(0, 29, 30, 31)
    generator = SignalGenerator(strategy, clock=time, ttl=30)
    counts = []
    for _ in range(4):
        generator.scores(BARS[0])
        counts.append(len(asked))
        time.advance()
    assert counts == [1, 1, 2, 2]


def test_clearing_forgets_the_scores_and_keeps_the_counts():
    strategy, asked = counted()
    generator = SignalGenerator(strategy)
    generator.scores(BARS[0])
    generator.clear_cache()
    generator.scores(BARS[0])
    assert len(asked) == 2 and generator.stats()["misses"] == 2


def test_what_a_reader_does_to_the_scores_stays_with_the_reader():
    generator = SignalGenerator(lambda bars: bars.close * 0.0)
    for _ in range(2):
        mine = generator.scores(BARS[0])
        mine.iloc[:, :] = 7.0
    assert generator.scores(BARS[0]).max().max() == 0.0


def test_many_threads_asking_at_once_compute_once():
    asked, second, together = [], threading.Barrier(2), threading.Barrier(8)

    def strategy(bars):
        asked.append(bars.fingerprint)
        with contextlib.suppress(threading.BrokenBarrierError):
            second.wait(timeout=0.2)  # passes only if a second thread computes at the same time
        return bars.close * 0.0

    generator = SignalGenerator(strategy)

    def ask(_: int) -> pd.DataFrame:
        together.wait(timeout=30)
        return generator.scores(BARS[1])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
    assert len(asked) == 1
    assert generator.stats()["hits"] == 7 and generator.stats()["misses"] == 1


def test_a_strategy_that_fails_is_a_miss_and_is_asked_again():
    def strategy(bars):
        raise RuntimeError("no model")

    generator = SignalGenerator(strategy)
    for _ in range(2):
        with pytest.raises(StrategyFailed, match="RuntimeError: no model"):
            generator.scores(BARS[0])
    assert generator.stats()["misses"] == 2 and generator.stats()["size"] == 0


def wrong_value(bars, value):
    scores = bars.close * 0.0
    scores.iloc[7, 2] = value
    return scores


@pytest.mark.parametrize("value", [1.5, -1.0000001, np.inf])
def test_a_score_out_of_range_is_named_by_bar_and_symbol(value):
    bars = random_bars(2, n_bars=60, halts=False)
    with pytest.raises(InvalidParameter, match=rf"scored S2 {value} at 2011-01-12") as caught:
        SignalGenerator(functools.partial(wrong_value, value=value)).scores(bars)
    assert caught.value.symbol == "S2"


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    [
        (lambda bars: None, "returned a NoneType"),
        (lambda bars: bars.close.to_numpy(), "returned a ndarray"),
        (lambda bars: bars.close.iloc[1:], r"shape \(59, 4\), bars have \(60, 4\)"),
        (lambda bars: bars.close.iloc[::-1] * 0.0, "other labels"),
        (lambda bars: bars.close[["S1", "S0", "S2", "S3"]] * 0.0, "other labels"),
        (lambda bars: bars.close.map(str), "column 'S0' of scores holds string"),
    ],
)
def test_what_is_no_frame_of_scores_is_refused(strategy, sentence):
    with pytest.raises(InvalidParameter, match=sentence):
        SignalGenerator(strategy).scores(random_bars(2, n_bars=60, halts=False))


def test_sizes_and_times_that_cannot_be_are_refused():
    with pytest.raises(InvalidParameter, match="max_size is 0"):
        SignalGenerator(trend_and_rsi, max_size=0)
    with pytest.raises(InvalidParameter, match="ttl is -1"):
        SignalGenerator(trend_and_rsi, ttl=-1)
