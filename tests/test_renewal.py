"""How stored bars are renewed: with proof, once for all who ask, never past the budget; and how a past view comes back."""

import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tape import NYSE, At, Tape, utc

from toolkit.data import BarCache, MarketData
from toolkit.errors import BudgetSpent, DataUnavailable, InvalidParameter

EX = np.datetime64("2026-10-05", "ns")


def again(world) -> MarketData:
    """After a restart: nothing is left in memory."""
    clock, tape, market = world
    return MarketData(tape, BarCache(market.cache.directory), clock)


def last(bars) -> str:
    return str(bars.index[-1])[:16]


# --- the weekly audit


def test_once_a_week_the_tail_is_the_whole_history_at_the_same_number_of_requests(world):
    clock, tape, market = world
    starts = []
    for day in pd.date_range("2026-11-25", "2026-12-11", freq="B"):
        clock.time = day.tz_localize("UTC") + pd.Timedelta("21h30min")
        before = len(tape.asked)
        market.bars("AAPL")
        starts += [start for _, start in tape.asked[before:]]
    assert [start == "1990-01-01" for start in starts].count(True) == 3  # the first, and after 7 and 14 days
    assert market.bars("AAPL").provenance["AAPL"].revision == 0


def test_a_dividend_announced_months_late_is_found_by_the_audit_and_raises_the_revision(world):
    clock, tape, market = world
    before = market.bars("AAPL")
    tape.events = [(EX, 1.0, 0.5)]
    clock.time = utc("2026-11-30 21:30")
    assert len(market.bars("AAPL").actions) == 0  # older than the tail
    clock.time = utc("2026-12-03 21:30")
    after = market.bars("AAPL")
    assert after.events()[["split", "dividend"]].values.tolist() == [[1.0, 0.5]]
    assert after.provenance["AAPL"].revision == 1 and len(tape.asked) == 3
    assert np.array_equal(after.traded[:, :, : len(before)], before.traded)


def test_an_old_bar_that_was_rewritten_is_found_by_the_audit(world):
    clock, tape, market = world
    market.bars("AAPL")
    tape.missing = ("2026-09-10",)  # one that the source has lost is no contradiction
    clock.time = utc("2026-12-03 21:30")
    assert market.bars("AAPL").provenance["AAPL"].revision == 0
    tape.missing, tape.scale = (), 1.01
    clock.time = utc("2026-12-11 21:30")
    assert market.bars("AAPL").provenance["AAPL"].revision == 1


# --- past views


def test_a_view_of_the_past_is_as_it_was_before_the_source_rewrote_it(world):
    clock, tape, market = world
    seen = {}
    for instant, scale in (("2026-11-25 21:30", 1.0), ("2026-11-30 21:30", 1.01), ("2026-12-02 21:30", 1.02)):
        clock.time, tape.scale = utc(instant), scale
        seen[instant] = again(world).bars("AAPL")
    assert seen["2026-12-02 21:30"].provenance["AAPL"].revision == 2
    for instant, bars in seen.items():
        past = again(world).bars("AAPL", as_of=instant + "Z")
        assert past.fingerprint == bars.fingerprint and past.provenance["AAPL"] == bars.provenance["AAPL"]
    assert again(world).bars("AAPL", as_of="2026-11-29T00:00Z").fingerprint == seen["2026-11-25 21:30"].fingerprint
    early = again(world).bars("AAPL", as_of="2026-10-01T00:00Z")  # before the first fetch: as first fetched
    assert early.fingerprint == seen["2026-11-25 21:30"].until("2026-09-30").fingerprint


def test_a_provisional_bar_that_was_revised_overnight_is_kept_as_it_was_shown(world):
    clock, tape, market = world
    evening = market.bars("AAPL")
    original = tape.daily

    def revised(symbol):
        labels, block = original(symbol)
        block[3, labels == np.datetime64("2026-11-25")] *= 1.002
        return labels, block

    tape.daily = revised
    clock.time = utc("2026-11-27 14:31")
    morning = market.bars("AAPL")
    assert morning.close["AAPL"].iloc[-1] != evening.close["AAPL"].iloc[-1]
    assert morning.provenance["AAPL"].revision == 0
    assert again(world).bars("AAPL", as_of="2026-11-26T00:00Z").fingerprint == evening.fingerprint
    assert again(world).bars("AAPL", as_of="2026-11-27T14:31Z").fingerprint == morning.fingerprint


@settings(max_examples=20)
@given(
    steps=st.lists(st.tuples(st.integers(1, 40), st.sampled_from([1.0, 1.0, 1.0, 1.05]), st.booleans()), min_size=1, max_size=8)
)
def test_every_past_answer_can_be_asked_for_again(tmp_path_factory, steps):
    folder, clock, scale = tmp_path_factory.mktemp("bars"), At("2026-10-01 21:30"), 1.0
    tape, seen = Tape(clock), []
    market = MarketData(tape, BarCache(folder), clock)
    for hours, factor, restart in steps:
        clock.time += pd.Timedelta(hours=hours)
        scale *= factor
        tape.scale = scale
        if restart:
            market = MarketData(tape, BarCache(folder), clock)
        seen.append((clock.time, market.bars(["AAPL", "MSFT"]).fingerprint))
    for time, fingerprint in seen:
        assert market.bars(["AAPL", "MSFT"], as_of=time).fingerprint == fingerprint


@settings(max_examples=20)
@given(hours=st.lists(st.integers(1, 120), min_size=1, max_size=10), interval=st.sampled_from(["1d", "30m"]))
def test_law_5_fetched_in_any_steps_with_restarts_the_bars_are_those_of_one_fetch(tmp_path_factory, hours, interval):
    folder, clock = tmp_path_factory.mktemp("bars"), At("2026-10-01 14:00")
    tape = Tape(clock, days=60)
    for step in hours:
        clock.time += pd.Timedelta(hours=step)
        stepwise = MarketData(tape, BarCache(folder / "steps"), clock).bars(["AAPL", "MSFT"], "2026-09-10", interval=interval)
    once = MarketData(tape, BarCache(folder / "once"), clock).bars(["AAPL", "MSFT"], "2026-09-10", interval=interval)
    assert stepwise.fingerprint == once.fingerprint


def test_a_published_bar_that_the_source_has_lost_overnight_is_kept(world):
    clock, tape, market = world
    evening = market.bars("AAPL")
    tape.missing = ("2026-11-25",)
    clock.time = utc("2026-11-27 14:31")
    assert market.bars("AAPL").fingerprint == evening.fingerprint
    clock.time = utc("2026-11-27 18:21")
    bars = market.bars("AAPL")
    assert last(bars)[:10] == "2026-11-27" and bars.until("2026-11-25").fingerprint == evening.fingerprint


# --- intraday


def test_a_minute_is_served_when_it_is_over_and_published_and_fetched_once(world):
    clock, tape, market = world
    story = [
        ("2026-11-27 14:30", 1, "2026-11-25 20:59"),  # cold, at the open
        ("2026-11-27 14:50", 0, "2026-11-25 20:59"),
        ("2026-11-27 14:51", 1, "2026-11-27 14:30"),  # the first minute is out
        ("2026-11-27 14:51:59", 0, "2026-11-27 14:30"),
        ("2026-11-27 14:53", 1, "2026-11-27 14:32"),
        ("2026-11-27 18:20", 1, "2026-11-27 17:59"),  # early close
        ("2026-11-28 12:00", 0, "2026-11-27 17:59"),
        ("2026-11-30 14:30", 1, "2026-11-27 17:59"),  # settled
    ]
    for instant, requests, newest in story:
        clock.time = utc(instant)
        before = tape.meter.calls
        bars = market.bars("AAPL", interval="1m")
        assert (tape.meter.calls - before, last(bars)) == (requests, newest), instant
    assert (bars.volume["AAPL"] == 1e6).all(), "a minute that was not over was stored"
    assert tape.asked[-1][1] == "2026-11-25"  # from the last settled session on


def test_intraday_bars_lie_in_years_and_only_the_last_is_written_again(world):
    clock, tape, market = world
    clock.time, tape.days = utc("2027-01-05 22:00"), 10
    market.bars("AAPL", interval="30m")
    name = market._store.name("AAPL", "30m")
    assert market.cache.record(name).parts == ("2026", "2027")
    before = [file.path for file in market.cache.files(name, ("2026", "2027"))]
    clock.time = utc("2027-01-06 22:00")
    assert last(market.bars("AAPL", interval="30m")) == "2027-01-06 20:30"
    after = [file.path for file in market.cache.files(name, ("2026", "2027"))]
    assert after[0] == before[0] and after[1] != before[1]


def test_old_minutes_that_the_source_no_longer_serves_are_kept_and_marked(world):
    clock, tape, market = world
    tape.days = 10
    first = market.bars("AAPL", interval="30m")
    clock.time, tape.scale = utc("2026-12-03 22:00"), 1.01  # rewritten, and the oldest are out of reach
    after = again(world).bars("AAPL", interval="30m")
    assert after.index[0] == first.index[0] and after.provenance["AAPL"].revision == 1
    assert [issue.code for issue in after.issues] == ["NO_LONGER_SERVED"]
    assert np.array_equal(after.traded[:, :, :20], first.traded[:, :, :20])


def test_a_split_scales_the_minutes_before_its_session(world):
    clock, tape, market = world
    tape.events = [(np.datetime64("2026-11-25", "ns"), 4.0, 0.0)]
    bars = market.bars("AAPL", interval="30m")
    ratio = (bars.close["AAPL"] / bars.traded_frame("close")["AAPL"]).round(9)
    later = bars.index >= pd.Timestamp("2026-11-25 14:30", tz="UTC")
    assert set(ratio[later]) == {4.0} and set(ratio[~later]) == {1.0}  # the anchor lies in 2013


def test_a_scan_gives_the_bars_of_a_fetch_symbol_by_symbol_as_maps(world):
    clock, tape, market = world
    clock.time, tape.days = utc("2027-01-05 22:00"), 10
    tape.events = [(np.datetime64("2026-12-30", "ns"), 2.0, 0.25)]
    for interval in ("1d", "30m"):
        whole = {symbol: market.bars(symbol, interval=interval) for symbol in ("AAPL", "MSFT")}
        pieces = {"AAPL": [], "MSFT": []}
        for bars in market.scan(["AAPL", "MSFT"], interval=interval):
            pieces[bars.symbols[0]].append(bars)
        assert [len(each) for each in pieces.values()] == ([1, 1] if interval == "1d" else [2, 2])
        for symbol, bars in whole.items():
            assert np.array_equal(np.concatenate([each.adjusted for each in pieces[symbol]], axis=2), bars.adjusted)
            assert sum(len(each.actions) for each in pieces[symbol]) == len(bars.actions)
    assert not pieces["AAPL"][0].traded.flags.owndata


def test_an_interval_that_the_source_does_not_have_is_refused(tmp_path):
    with pytest.raises(InvalidParameter, match="'1m'.*bundled prices are daily"):
        MarketData(cache=BarCache(tmp_path)).bars("AAPL", interval="1m")


# --- the budget


def test_past_the_budget_stored_bars_are_served_with_their_age(world):
    clock, tape, market = world
    market.bars(["AAPL", "MSFT"])
    clock.time = utc("2026-11-30 21:30")
    tape.meter.allow(1)
    bars = market.bars(["AAPL", "MSFT"])
    (issue,) = bars.issues
    assert issue.code == "STALE" and "2 sessions ago" in issue.message and "allowance of 1 requests is spent" in issue.message
    assert tape.meter.calls == 3
    tape.meter.allow(None)
    assert market.bars(["AAPL", "MSFT"]).issues == ()


def test_past_the_budget_the_answer_is_refused_where_that_was_asked_for(world):
    clock, tape, market = world
    strict = MarketData(tape, market.cache, clock, past_budget="refuse")
    strict.bars(["AAPL", "MSFT"])
    clock.time = utc("2026-11-30 21:30")
    tape.meter.allow(1)
    with pytest.raises(BudgetSpent, match="max_api_calls_per_cycle"):
        strict.bars(["AAPL", "MSFT"])


# --- what cannot be stored, or is damaged


def test_what_cannot_be_stored_is_served_from_memory_and_fetched_once(world, tmp_path):
    clock, tape, market = world
    market.bars("AAPL")
    market.cache.close()
    shelf = MarketData(tape, BarCache(market.cache.directory, readonly=True), clock)
    assert shelf.bars("AAPL").issues == () and tape.meter.calls == 1
    for _ in range(2):
        bars = shelf.bars("MSFT")
        assert [issue.code for issue in bars.issues] == ["CACHE_UNUSABLE"] and tape.meter.calls == 2


def test_a_damaged_file_is_fetched_again_in_the_same_call(world):
    clock, tape, market = world
    before = market.bars(["AAPL", "MSFT"])
    for symbol in ("AAPL", "MSFT"):
        (file,) = market.cache.files(market._store.name(symbol, "1d"))
        shutil.copy(__file__, file.path)
    after = again(world).bars(["AAPL", "MSFT"])
    assert np.array_equal(after.traded, before.traded) and tape.meter.calls == 4


def test_a_lost_part_is_fetched_again_as_far_as_the_source_has_it(world):
    clock, tape, market = world
    clock.time, tape.days = utc("2027-01-05 22:00"), 10
    before = market.bars("AAPL", interval="30m")
    first, _ = market.cache.files(market._store.name("AAPL", "30m"), ("2026", "2027"))
    shutil.copy(__file__, first.path)
    assert np.array_equal(again(world).bars("AAPL", interval="30m").traded, before.traded)


# --- what must never mix


def test_a_split_while_nobody_asked_for_longer_than_the_source_reaches_back_is_not_lost(world):
    clock, tape, market = world
    clock.time, tape.days = utc("2026-11-02 22:00"), 7
    market.bars("AAPL", interval="30m")
    tape.events = [(np.datetime64("2026-11-04", "ns"), 4.0, 0.0)]
    clock.time = utc("2026-11-18 22:00")
    bars = market.bars("AAPL", interval="30m")
    assert bars.events()["split"].tolist() == [4.0]
    ratio = (bars.close["AAPL"] / bars.traded_frame("close")["AAPL"]).dropna().round(9)
    assert ratio.iloc[0] == 1.0 and ratio.iloc[-1] == 4.0  # the anchor lies in 2013


def test_two_revisions_never_mix_in_one_series_after_a_write_that_failed(world):
    clock, tape, market = world
    clock.time, tape.days = utc("2027-01-05 22:00"), 20
    first = market.bars("AAPL", interval="30m")
    market.cache.quota, tape.scale, clock.time = 1, 1.5, utc("2027-01-06 22:00")
    assert [issue.code for issue in market.bars("AAPL", interval="30m").issues][-1] == "CACHE_UNUSABLE"
    market.cache.quota, clock.time = None, utc("2027-01-07 22:00")
    bars = market.bars("AAPL", interval="30m")
    assert again(world).bars("AAPL", interval="30m").fingerprint == bars.fingerprint
    both = first.index.intersection(bars.index)[10:]
    ratio = bars.traded_frame("close").loc[both] / first.traded_frame("close").loc[both]
    served = both >= clock.time - pd.Timedelta(days=20)
    assert np.allclose(ratio[served], 1.5)
    assert again(world).bars("AAPL", interval="30m", as_of="2027-01-05T23:00Z").fingerprint == first.fingerprint


def test_a_rewritten_history_that_was_cut_short_rewrites_nothing(world):
    clock, tape, market = world
    before = market.bars("AAPL")
    tape.scale, clock.time = 1.5, utc("2026-12-07 22:00")
    tape.missing = tuple(str(day)[:10] for day in NYSE.sessions_between("2026-09-02", "2026-12-31"))
    bars = market.bars("AAPL")
    assert bars.fingerprint == before.fingerprint
    assert [issue.code for issue in bars.issues] == ["STALE"] and "lacks 59 settled bars" in bars.issues[0].message


def test_an_older_file_put_back_under_a_newer_record_is_not_served(world):
    clock, tape, market = world
    market.bars("AAPL")
    name = market._store.name("AAPL", "1d")
    (old,) = market.cache.files(name)
    content = Path(old.path).read_bytes()
    clock.time = utc("2026-11-27 18:21")
    market.bars("AAPL")
    (new,) = market.cache.files(name)
    with open(new.path + "x", "wb") as file:
        file.write(content)
    shutil.move(new.path + "x", new.path)
    assert last(again(world).bars("AAPL"))[:10] == "2026-11-27"


def test_a_clock_that_was_ahead_freezes_nothing(world):
    clock, tape, market = world
    clock.time = utc("2026-12-30 22:00")
    market.bars("AAPL")
    clock.time = utc("2026-11-25 21:30")
    assert last(again(world).bars("AAPL"))[:10] == "2026-11-25"
    clock.time = utc("2026-11-27 18:21")
    assert last(again(world).bars("AAPL"))[:10] == "2026-11-27"


def test_another_currency_makes_another_series_and_the_old_one_stays_in_the_journal(world):
    clock, tape, market = world
    tape.days = 10
    before = market.bars("AAPL", interval="30m")
    tape.currency, clock.time = {"AAPL": "GBP"}, utc("2026-12-03 22:00")
    bars = market.bars("AAPL", interval="30m")
    assert bars.currency == "GBP" and bars.index[0] > before.index[0]
    assert "ANOTHER_SERIES" in [issue.code for issue in bars.issues]
    assert market.bars("AAPL", interval="30m", as_of="2026-11-25T22:00Z").fingerprint == before.fingerprint


def test_a_bar_that_came_late_is_absent_from_the_view_of_when_it_was_not_there(world):
    clock, tape, market = world
    tape.missing = ("2026-11-25",)
    early = market.bars("AAPL")
    tape.missing, clock.time = (), utc("2026-11-25 21:40")
    assert last(market.bars("AAPL"))[:10] == "2026-11-25"
    assert market.bars("AAPL", as_of="2026-11-25T21:31Z").fingerprint == early.fingerprint


def test_a_past_view_whose_superseded_bars_are_lost_is_refused_and_not_made_up(world):
    clock, tape, market = world
    market.bars("AAPL")
    tape.scale, clock.time = 1.01, utc("2026-11-30 21:30")
    market.bars("AAPL")
    (entry,) = market.cache.journal(market._store.name("AAPL", "1d"), 1)
    shutil.copy(__file__, entry.path)
    with pytest.raises(DataUnavailable, match="superseded versions in the cache could not be trusted"):
        again(world).bars("AAPL", as_of="2026-11-26T00:00Z")


def test_an_end_takes_in_all_bars_of_its_session(world):
    clock, tape, market = world
    bars = market.bars("AAPL", start="2026-11-23", end="2026-11-24", interval="30m")
    assert (str(bars.index[0])[:16], str(bars.index[-1])[:16]) == ("2026-11-23 14:30", "2026-11-24 20:30")
    assert len(bars) == 26


# --- one flight


def ask(folder, counter, symbols, barrier):
    """In a process of its own: each fetch is counted where all can see it."""
    clock = At("2026-11-25 21:30")

    class Counted(Tape):
        def fetch(self, *arguments):
            with counter.get_lock():
                counter.value += 1
            return super().fetch(*arguments)

    market = MarketData(Counted(clock), BarCache(folder), clock)
    barrier.wait(timeout=30)
    assert market.bars(symbols).symbols == tuple(symbols)


def test_processes_that_ask_at_once_cause_one_fetch_a_symbol(tmp_path):
    spawned = multiprocessing.get_context("fork")
    counter, barrier, symbols = spawned.Value("i", 0), spawned.Barrier(4), [f"S{number}" for number in range(10)]
    children = [spawned.Process(target=ask, args=(tmp_path, counter, symbols, barrier)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(timeout=60)
    assert [child.exitcode for child in children] == [0] * 4
    assert counter.value == 10


def test_a_failure_of_the_source_is_never_stored_as_data(world):
    clock, tape, market = world
    tape.error = DataUnavailable("the wire is cut", "wait")
    with pytest.raises(DataUnavailable):
        market.bars("AAPL")
    assert market.cache.names() == []
    tape.error = None
    assert last(market.bars("AAPL")) == "2026-11-25 00:00"


# --- what is compared, and what an answer depends on


@pytest.mark.parametrize("field", [0, 1, 2, 3])
def test_a_single_rewritten_price_within_the_overlap_raises_the_revision(world, field):
    clock, tape, market = world
    market.bars("AAPL")
    original = tape.daily

    def rewritten(symbol):
        labels, block = original(symbol)
        block[field, labels == np.datetime64("2026-11-20")] *= 1.004
        return labels, block

    tape.daily = rewritten
    clock.time = utc("2026-11-27 18:21")
    assert market.bars("AAPL").provenance["AAPL"].revision == 1


@pytest.mark.parametrize("day", ["2026-11-18", "2026-11-20", "2026-11-24"])  # first and last of the settled overlap
@pytest.mark.parametrize(("before", "after"), [((1.0, 0.5), (1.0, 0.6)), ((2.0, 0.0), (3.0, 0.0)), (None, (1.0, 0.5))])
def test_an_action_corrected_within_the_overlap_raises_the_revision(world, day, before, after):
    clock, tape, market = world
    tape.events = [] if before is None else [(np.datetime64(day, "ns"), *before)]
    market.bars("AAPL")
    tape.events = [(np.datetime64(day, "ns"), *after)]
    clock.time = utc("2026-11-27 18:21")
    bars = market.bars("AAPL")
    assert bars.provenance["AAPL"].revision == 1
    assert bars.events()[["split", "dividend"]].values.tolist() == [list(after)]


def test_an_action_on_the_last_settled_day_survives_the_next_tail(world):
    clock, tape, market = world
    tape.events = [(np.datetime64("2026-11-24", "ns"), 1.0, 0.5)]
    market.bars("AAPL")
    clock.time = utc("2026-11-27 18:21")
    bars = market.bars("AAPL")
    assert len(bars.actions) == 1 and bars.provenance["AAPL"].revision == 0


def test_an_action_alone_makes_another_version(world):
    clock, tape, market = world
    before = market.bars("AAPL")
    tape.events = [(EX, 1.0, 0.5)]
    market.clear(bars=True)
    assert market.bars("AAPL").fingerprint != before.fingerprint


def test_one_market_keeps_days_and_weeks_apart(world):
    clock, tape, market = world
    for _ in range(2):
        assert len(market.bars("AAPL", interval="1wk")) < 15 < len(market.bars("AAPL"))


def test_two_anchors_on_one_cache_have_panels_of_their_own(world):
    clock, tape, market = world
    universe = [f"S{number}" for number in range(16)]
    tape.events = [(EX, 2.0, 0.0)]
    market.bars(universe)
    for anchor, ratio in (("2013-03-01", 2.0), ("2026-11-02", 1.0)):
        for _ in range(2):
            own = MarketData(tape, BarCache(market.cache.directory), clock, anchor=anchor)
            bars = own.bars(universe)
            assert bars.close["S3"].iloc[-1] / bars.traded_frame("close")["S3"].iloc[-1] == ratio


def test_a_view_of_the_future_is_the_present(world):
    clock, tape, market = world
    assert market.bars("AAPL", as_of="2099-01-01T00:00Z").fingerprint == market.bars("AAPL").fingerprint


def test_a_dividend_known_later_is_absent_from_the_view_before(world):
    clock, tape, market = world
    early = market.bars("AAPL")
    tape.events = [(np.datetime64("2026-11-25", "ns"), 1.0, 0.5)]  # on the provisional day
    clock.time = utc("2026-11-27 14:31")
    assert len(market.bars("AAPL").actions) == 1
    assert market.bars("AAPL", as_of="2026-11-25T22:00Z").fingerprint == early.fingerprint
