"""The rule of freshness around holidays, early closes, daylight saving and the turn of the year."""

import numpy as np
import pandas as pd
import pytest

from toolkit.data import Calendar
from toolkit.data.freshness import Freshness, audit_due, bar_state, complete, freshness, newest, sealed, unknown, unsealed

NYSE, DELAY = Calendar("XNYS"), pd.Timedelta("20min")


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def at(label: str) -> np.datetime64:
    return np.datetime64(label, "ns")


# Last stored session, instant of the fetch, then state and end of validity. New York is UTC-5 in winter, UTC-4 in summer.
TABLE = [
    ("2026-11-25", "2026-11-25 21:20", "provisional", "2026-11-27 14:30"),  # over Thanksgiving to Friday's open
    ("2026-11-25", "2026-11-26 18:00", "provisional", "2026-11-27 14:30"),  # on the holiday
    ("2026-11-25", "2026-11-27 14:31", "final", "2026-11-27 18:20"),  # to the early close
    ("2026-11-27", "2026-11-27 18:20", "provisional", "2026-11-30 14:30"),  # over the weekend
    ("2026-11-27", "2026-11-29 12:00", "provisional", "2026-11-30 14:30"),  # a Sunday
    ("2026-03-06", "2026-03-06 21:30", "provisional", "2026-03-09 13:30"),  # clocks go forward
    ("2026-03-06", "2026-03-09 13:30", "final", "2026-03-09 20:20"),
    ("2026-10-30", "2026-10-30 20:30", "provisional", "2026-11-02 14:30"),  # clocks go back
    ("2026-12-31", "2026-12-31 21:20", "provisional", "2027-01-04 14:30"),  # New Year on a Friday
    ("2026-11-24", "2026-11-25 21:10", "final", "2026-11-25 21:20"),  # closed, not yet published
    ("2026-11-24", "2026-11-25 21:20", "missing", "2026-11-25 21:25"),  # published, not yet here
    ("2026-11-24", "2026-11-27 14:30", "missing", "2026-11-27 18:20"),  # a gap: wait for the next session
]


@pytest.mark.parametrize(("stored", "now", "state", "until"), TABLE)
def test_a_series_is_fresh_until_something_newer_can_exist(stored, now, state, until):
    found = freshness(at(stored), utc(now), NYSE, DELAY)
    assert (found.state, found.valid_until) == (state, utc(until))


def test_waiting_for_a_late_bar_doubles_up_to_two_hours_and_ends_at_the_next_open():
    now, waits, misses = utc("2026-11-25 21:20"), [], 0
    for _ in range(7):
        found = freshness(at("2026-11-24"), now, NYSE, DELAY, "1d", misses)
        waits.append((found.valid_until - now).total_seconds() / 60)
        misses = found.misses
    assert waits == [5, 10, 20, 40, 80, 120, 120]
    assert freshness(at("2026-11-24"), utc("2026-11-27 14:00"), NYSE, DELAY, "1d", 9).valid_until == utc("2026-11-27 14:30")


@pytest.mark.parametrize(
    ("fetched", "state"),
    [
        ("2026-11-25 21:19", "partial"),
        ("2026-11-25 21:20", "provisional"),
        ("2026-11-27 14:29", "provisional"),
        ("2026-11-27 14:30", "final"),
    ],
)
def test_a_bar_is_partial_then_provisional_then_final(fetched, state):
    assert bar_state(at("2026-11-25"), utc(fetched), NYSE, DELAY, "1d") == state


def test_only_final_bars_are_settled():
    days = np.array(["2026-11-24", "2026-11-25", "2026-11-27"], "M8[ns]")
    assert [each.tolist() for each in complete(days, utc("2026-11-26 18:00"), NYSE, DELAY, "1d")] == [
        [True, True, False],
        [True, False, False],
    ]
    assert complete(days, utc("2026-11-27 14:30"), NYSE, DELAY, "1d")[1].tolist() == [True, True, False]


def test_a_closed_collection_never_becomes_stale():
    ends = pd.Timestamp("2013-03-01")
    assert freshness(at("2013-03-01"), utc("2026-11-25 21:20"), NYSE, DELAY, ends=ends).holds(utc("2100-01-01"))


def test_an_unknown_symbol_is_remembered_for_a_day():
    now = utc("2026-11-25 12:00")
    found = unknown(now)
    assert found.holds(now + pd.Timedelta("23h59min")) and not found.holds(now + pd.Timedelta("24h"))


def test_a_plain_time_to_live_overrides_the_calendar():
    found = freshness(at("2026-11-25"), utc("2026-11-25 21:20"), NYSE, DELAY)
    minute = pd.Timedelta("60s")
    assert found.holds(utc("2026-11-25 21:20:59"), minute) and not found.holds(utc("2026-11-25 21:21"), minute)


def test_a_record_survives_its_json():
    found = freshness(at("2026-11-25"), utc("2026-11-25 21:20"), NYSE, DELAY, "1d", 3)
    assert Freshness.from_record(found.record()) == found


# Last stored bar, instant of the fetch, interval, then state and end of validity.
INTRADAY = [
    ("2026-11-25 14:29", "2026-11-25 14:51", "1m", "missing", "2026-11-25 14:52"),
    ("2026-11-25 14:30", "2026-11-25 14:51", "1m", "provisional", "2026-11-25 14:52"),
    ("2026-11-25 20:59", "2026-11-25 21:20", "1m", "provisional", "2026-11-27 14:30"),  # over the holiday to the open
    ("2026-11-25 20:59", "2026-11-27 14:40", "1m", "final", "2026-11-27 14:51"),  # the first minute is not out yet
    ("2026-11-25 20:30", "2026-11-25 21:20", "1h", "provisional", "2026-11-27 14:30"),  # the last hour is half an hour
    ("2026-11-25 19:30", "2026-11-25 21:19", "1h", "provisional", "2026-11-25 21:20"),
    ("2026-11-27 17:30", "2026-11-27 18:20", "1h", "provisional", "2026-11-30 14:30"),  # early close at 13:00
    ("2026-03-06 20:59", "2026-03-09 13:50", "1m", "final", "2026-03-09 13:51"),  # clocks have gone forward
]


@pytest.mark.parametrize(("stored", "now", "interval", "state", "until"), INTRADAY)
def test_an_intraday_series_is_fresh_until_its_next_bar_is_out(stored, now, interval, state, until):
    found = freshness(at(stored), utc(now), NYSE, DELAY, interval)
    assert (found.state, found.valid_until) == (state, utc(until))


def test_the_newest_minute_walks_through_the_day_and_rests_at_night():
    walk = [("2026-11-25 14:50:59", "2026-11-24T20:59"), ("2026-11-25 14:51", "2026-11-25T14:30"),
            ("2026-11-25 21:19", "2026-11-25T20:58"), ("2026-11-25 21:20", "2026-11-25T20:59"),
            ("2026-11-26 17:00", "2026-11-25T20:59"), ("2026-11-27 18:20", "2026-11-27T17:59")]  # fmt: skip
    assert [str(newest(utc(now), NYSE, DELAY, "1m")[0])[:16] for now, _ in walk] == [label for _, label in walk]


def test_a_market_that_never_closes_settles_an_hour_after_its_day():
    always, delay = Calendar("24/7"), pd.Timedelta("5min")
    found = freshness(at("2026-11-25"), utc("2026-11-26 00:05"), always, delay)
    assert (found.state, found.valid_until) == ("provisional", utc("2026-11-26 01:00"))
    found = freshness(at("2026-11-25"), utc("2026-11-26 01:00"), always, delay)
    assert (found.state, found.valid_until) == ("final", utc("2026-11-27 00:05"))


def test_a_record_is_void_if_one_character_of_it_changed():
    text = sealed(freshness(at("2026-11-25"), utc("2026-11-25 21:20"), NYSE, DELAY), "A")
    assert unsealed(text, "A") is not None and unsealed(text, "B") is None
    for place in range(len(text)):
        assert unsealed(text[:place] + "7" + text[place + 1 :], "A") is None or text[place] == "7"
    for other in (None, "", 7, "x" * 40, text[1:]):
        assert unsealed(other, "A") is None


def test_all_of_a_history_is_compared_once_a_week():
    monday = utc("2026-11-23 21:20")
    assert not audit_due(monday, utc("2026-11-30 21:19")) and audit_due(monday, utc("2026-11-30 21:20"))
