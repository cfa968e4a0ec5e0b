"""Prices on demand: what is asked of the source and when, and that the answer never depends on the road to it."""

import gc
import logging
import os
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tape import NYSE, At, utc

from toolkit.data import BarCache, MarketData, ReplayClock, SampleSource
from toolkit.errors import (
    DataUnavailable,
    EmptyRange,
    InvalidParameter,
    InvalidRange,
    InvalidSymbol,
    MixedBars,
    UnknownSymbol,
)

SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


def last(bars) -> str:
    return str(bars.index[-1])[:10]


# --- what is asked, and when


def test_a_second_run_on_the_same_cache_asks_nothing(tmp_path):
    first = MarketData(SampleSource(), BarCache(tmp_path)).bars(SYMBOLS)
    source = SampleSource()
    again = MarketData(source, BarCache(tmp_path))
    assert again.bars(SYMBOLS).fingerprint == first.fingerprint
    assert source.meter.calls == 0 and again.stats()["api_calls"] == 0 and again.stats()["hit_rate"] == 1.0


def test_requests_of_a_week_around_thanksgiving(world):
    clock, tape, market = world
    story = [
        ("2026-11-25 21:30", 1, "2026-11-25"),  # cold, in the evening: everything
        ("2026-11-25 23:00", 0, "2026-11-25"),
        ("2026-11-26 18:00", 0, "2026-11-25"),  # the holiday
        ("2026-11-27 14:29", 0, "2026-11-25"),
        ("2026-11-27 14:31", 1, "2026-11-25"),  # the next session is open: Wednesday is final now
        ("2026-11-27 17:00", 0, "2026-11-25"),  # an open session is never stored
        ("2026-11-27 18:19", 0, "2026-11-25"),
        ("2026-11-27 18:21", 1, "2026-11-27"),  # 20 minutes after the early close
        ("2026-11-28 12:00", 0, "2026-11-27"),  # the weekend
        ("2026-11-29 12:00", 0, "2026-11-27"),
        ("2026-11-30 14:30", 1, "2026-11-27"),
        ("2026-11-30 21:20", 1, "2026-11-30"),
    ]
    for instant, requests, end in story:
        clock.time = utc(instant)
        before = tape.meter.calls
        bars = market.bars("AAPL")
        assert (tape.meter.calls - before, last(bars)) == (requests, end), instant
        stored = market.cache.files("live/tape/1d/AAPL")[0].columns
        assert str(stored["label"][-1])[:10] == end and (stored["traded"][4] == 1e6).all(), "half a bar was stored"
    assert market.stats() == {
        "hits": 7, "misses": 5, "stale": 4, "unknown": 0, "api_calls": 5, "total_requests": 12,
        "hit_rate": 7 / 12, "miss_rate": 5 / 12,
    }  # fmt: skip


def test_a_refresh_asks_for_the_last_five_settled_bars_and_keeps_their_bits(world):
    clock, tape, market = world
    before = market.bars("AAPL")
    clock.time = utc("2026-12-01 21:30")
    after = market.bars("AAPL")
    # settled when fetched on Wednesday evening: up to Tuesday 24; five of those begin on Wednesday 18
    assert tape.asked == [("AAPL", "1990-01-01"), ("AAPL", "2026-11-18")]
    assert np.array_equal(after.traded[:, :, : len(before)], before.traded)
    assert after.fingerprint != before.fingerprint == after.until(before.index[-1]).fingerprint


def test_small_differences_keep_the_stored_bits_and_large_ones_refetch_all(world):
    clock, tape, market = world
    before = market.bars("AAPL")
    tape.scale = 1.0001
    clock.time = utc("2026-11-27 18:21")
    after = market.bars("AAPL")
    assert np.array_equal(after.traded[:, :, : len(before) - 1], before.traded[:, :, :-1])
    assert after.provenance["AAPL"].revision == 0
    tape.scale = 1.01
    clock.time = utc("2026-11-30 21:20")
    restated = market.bars("AAPL")
    assert restated.provenance["AAPL"].revision == 1
    assert np.allclose(restated.traded[3, 0, 0], before.traded[3, 0, 0] * 1.01)
    assert tape.asked[-2:] == [("AAPL", "2026-11-19"), ("AAPL", "1990-01-01")]


def test_a_split_appends_one_action_and_leaves_stored_bars_alone(world):
    clock, tape, market = world
    before = market.bars("AAPL")
    tape.events = [(np.datetime64("2026-11-27", "ns"), 4.0, 0.0)]
    clock.time = utc("2026-11-27 18:21")
    after = market.bars("AAPL")
    assert after.provenance["AAPL"].revision == 0 and len(after.actions) == 1
    assert np.array_equal(after.adjusted[:, :, : len(before)], before.adjusted)


def test_a_late_split_refetches_all(world):
    clock, tape, market = world
    market.bars("AAPL")
    tape.events = [(np.datetime64("2026-11-20", "ns"), 4.0, 0.0)]
    clock.time = utc("2026-11-27 18:21")
    assert market.bars("AAPL").provenance["AAPL"].revision == 1


def test_a_bar_that_the_source_lost_stays_and_one_that_it_never_had_is_a_gap(world):
    clock, tape, market = world
    tape.missing = ("2026-11-10",)
    bars = market.bars("AAPL")
    assert bars.close["AAPL"].isna().sum() == 1 and [issue.code for issue in bars.issues] == ["GAP"]
    tape.missing = ("2026-11-10", "2026-11-20")
    clock.time = utc("2026-11-27 18:21")
    after = market.bars("AAPL")
    assert after.close["AAPL"].isna().sum() == 1 and after.provenance["AAPL"].revision == 0


def test_a_bar_that_is_late_is_asked_for_again_after_five_minutes(world):
    clock, tape, market = world
    tape.missing = ("2026-11-25",)
    for time in ("2026-11-25 21:30", "2026-11-25 21:34"):  # fetched, and then remembered
        clock.time = max(clock.time, utc(time))
        served = market.bars("AAPL")
        assert last(served) == "2026-11-24" and tape.meter.calls == 1
        assert [issue.code for issue in served.issues] == ["MISSING"]
    tape.missing = ()
    clock.time = utc("2026-11-25 21:36")
    served = market.bars("AAPL")
    assert last(served) == "2026-11-25" and tape.meter.calls == 2 and served.issues == ()


def test_a_time_to_live_overrides_the_calendar(world):
    clock, tape, market = world
    for instant, calls in (("21:30:00", 1), ("21:30:29", 1), ("21:30:30", 2)):
        clock.time = utc(f"2026-11-25 {instant}")
        market.bars("AAPL", ttl=30)
        assert tape.meter.calls == calls


def test_clear_asks_again_and_keeps_the_stored_bits(world):
    clock, tape, market = world
    before = market.bars("AAPL")
    market.clear()
    assert market.bars("AAPL").fingerprint == before.fingerprint
    assert tape.asked[-1] == ("AAPL", "2026-11-18")
    market.clear(bars=True)
    market.bars("AAPL")
    assert tape.asked[-1] == ("AAPL", "1990-01-01")


# --- failures


def test_one_unknown_symbol_stops_no_other_and_is_remembered_for_a_day(world, caplog):
    clock, tape, market = world
    with caplog.at_level(logging.WARNING):
        bars = market.bars(["AAPL", "NOPE", "MSFT", "BUGGY"])
    assert bars.symbols == ("AAPL", "MSFT")
    assert [(issue.code, issue.symbol) for issue in bars.issues] == [("UNKNOWN_SYMBOL", "NOPE"), ("DATA_UNAVAILABLE", "BUGGY")]
    assert "KeyError" in bars.issues[1].message
    assert sum("no bars for 2 of 4 symbols" in message for message in caplog.messages) == 1
    asked = len(tape.asked)
    clock.time += pd.Timedelta("23h")
    with pytest.raises(UnknownSymbol, match="NOPE"):
        market.bars("NOPE")
    assert len(tape.asked) == asked
    clock.time += pd.Timedelta("2h")
    with pytest.raises(UnknownSymbol):
        market.bars("NOPE")
    assert tape.asked[asked:] == [("NOPE", "1990-01-01")]


def test_when_the_source_is_down_stored_bars_are_served_and_say_so(world):
    clock, tape, market = world
    before = market.bars("AAPL")
    clock.time = utc("2026-11-27 18:21")
    tape.error = DataUnavailable("the wire is cut", "wait")
    bars = market.bars("AAPL")
    assert bars.fingerprint == before.fingerprint
    assert [issue.code for issue in bars.issues] == ["STALE"] and "2026-11-25" in bars.issues[0].message
    with pytest.raises(DataUnavailable, match="the wire is cut"):
        market.bars("MSFT")
    tape.error = None
    assert last(market.bars("AAPL")) == "2026-11-27" and market.bars("AAPL").issues == ()


def test_a_symbol_that_vanished_keeps_its_history_and_says_so(world):
    clock, tape, market = world
    market.bars("AAPL")
    clock.time = utc("2026-11-27 18:21")
    tape.error = UnknownSymbol("AAPL: unknown", "check it", symbol="AAPL")
    for _ in range(2):
        assert last(market.bars("AAPL")) == "2026-11-25"
    assert tape.meter.calls == 2
    assert [issue.code for issue in market.bars("AAPL").issues] == ["UNKNOWN_SYMBOL"]


def test_two_currencies_are_not_mixed(world):
    _, tape, market = world
    tape.currency = {"MSFT": "EUR"}
    with pytest.raises(MixedBars, match="AAPL has currency USD, MSFT has currency EUR"):
        market.bars(["AAPL", "MSFT"])


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"symbols": []}, InvalidSymbol, "empty"),
        ({"symbols": ["AAPL", "AAPL"]}, InvalidSymbol, "twice"),
        ({"symbols": "../../x"}, InvalidSymbol, "not allowed"),
        ({"symbols": "BRK/B"}, InvalidSymbol, "write 'BRK-B'"),
        ({"symbols": "AAPL", "start": "2026-11-25", "end": "2026-11-24"}, InvalidRange, "after end"),
        ({"symbols": "AAPL", "start": "soon"}, InvalidRange, "no date"),
        ({"symbols": "AAPL", "end": "2026-11-24T16:00Z"}, InvalidRange, "without time zone"),
        ({"symbols": "AAPL", "end": "2025-01-01"}, EmptyRange, "no bar from the beginning to 2025-01-01"),
        ({"symbols": "AAPL", "start": "2026-12-05"}, EmptyRange, "from 2026-12-05 to now"),
        ({"symbols": "AAPL", "interval": "3m"}, InvalidParameter, "3m"),
    ],
)
def test_bad_questions_get_a_typed_error_with_value_and_cure(world, arguments, error, said):
    with pytest.raises(error, match=said) as caught:
        world[2].bars(**arguments)
    assert caught.value.cure


# --- the same answer on every road


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranges")


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sets(st.sampled_from(SYMBOLS), min_size=1), st.integers(0, 3200), st.integers(1, 400),
                          st.booleans()),
                min_size=1, max_size=4))  # fmt: skip
def test_a_bar_does_not_depend_on_the_range_the_order_or_restarts(folder, bundled, questions):
    source, clock = SampleSource(), ReplayClock([utc("2013-03-02")])
    market = MarketData(source, BarCache(folder), clock)
    for symbols, first, length, restart in questions:
        if restart:
            market = MarketData(source, BarCache(folder), clock)
        span = bundled.index[first], bundled.index[min(first + length, len(bundled) - 1)]
        expected = bundled.select(sorted(symbols)).since(span[0]).until(span[1])
        if np.isnan(expected.traded).all():
            continue
        found = market.bars(sorted(symbols), *span)
        assert np.array_equal(found.adjusted, expected.adjusted[:, :, -len(found) :], equal_nan=True)
        assert found.index[-1] == expected.index[-1]


def test_a_replay_fetches_once_and_shows_each_bar_when_it_was_known(tmp_path, bundled):
    source = SampleSource()
    clock = ReplayClock(NYSE.closes_between("2012-11-19", "2012-11-27"))
    market = MarketData(source, BarCache(tmp_path), clock)
    seen = []
    while not clock.done:
        bars = market.bars(SYMBOLS)
        assert bars.fingerprint == bundled.until(clock.now()).fingerprint
        seen.append(last(bars))
        clock.advance()
    assert seen == [f"2012-11-{day}" for day in (19, 20, 21, 23, 26, 27)]
    assert source.meter.calls == 5


def test_what_a_replay_stored_is_not_taken_for_live_data(tmp_path):
    cache, source = BarCache(tmp_path), SampleSource()
    MarketData(source, cache, ReplayClock([utc("2012-06-01 21:00")])).bars("AAPL")
    MarketData(source, cache, At("2026-11-25 21:30")).bars("AAPL")
    assert source.meter.calls == 2 and sorted(name.split("/")[0] for name in cache.names()) == ["live", "replay"]


def test_a_longer_replay_fetches_what_the_shorter_one_had_not_reached(tmp_path):
    cache, source = BarCache(tmp_path), SampleSource()
    early, late = (
        MarketData(source, cache, ReplayClock([utc(instant)]), anchor="2012-01-03").bars("AAPL")
        for instant in ("2012-06-01 21:00", "2012-06-15 21:00")
    )
    assert source.meter.calls == 2
    assert (last(early), last(late)) == ("2012-06-01", "2012-06-15")
    assert late.until("2012-06-01").fingerprint == early.fingerprint


def test_the_anchor_can_be_chosen(tmp_path):
    clock = ReplayClock([utc("2013-03-02")])
    bars = MarketData(SampleSource(), BarCache(tmp_path), clock, anchor="2003-02-14").bars("MSFT")
    close, traded = bars.close["MSFT"], bars.traded_frame("close")["MSFT"]
    assert close["2003-02-14"] == traded["2003-02-14"] == 48.30
    assert close["2003-02-18"] == 2 * traded["2003-02-18"]


def test_threads_that_ask_at_once_cause_one_fetch(world):
    _, tape, market = world
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(market.bars("AAPL").fingerprint)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1 and tape.meter.calls == 1


def test_an_anchor_in_the_future_is_refused_live(tmp_path):
    with pytest.raises(InvalidParameter, match="2027-01-04 is not in the past"):
        MarketData(SampleSource(), BarCache(tmp_path), At("2026-11-25 21:30"), anchor="2027-01-04")


def test_clearing_one_source_leaves_what_others_stored_in_the_same_cache(tmp_path):
    cache = BarCache(tmp_path)
    live, replay = (
        MarketData(SampleSource(), cache),
        MarketData(SampleSource(), cache, ReplayClock([pd.Timestamp("2013-03-05 12:00", tz="UTC")])),
    )
    live.bars(["IBM"]), replay.bars(["IBM"])
    replay.clear(bars=True)
    live.bars(["IBM"]), replay.bars(["IBM"])
    assert (live.source.meter.calls, replay.source.meter.calls) == (1, 2)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are listed on Linux alone")
def test_threads_that_have_fetched_leave_no_connection_behind(tmp_path):
    gc.disable()  # which would close them some day
    try:
        for number in range(3):
            market = MarketData(SampleSource(), BarCache(tmp_path / str(number)))
            market.bars(["AAPL", "GOOG", "IBM", "MSFT"])
        names = [os.path.realpath(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")]
    finally:
        gc.enable()
    assert sum(name == str(tmp_path / "2" / "index" / "cache.db-wal") for name in names) == 1
