"""The exchange calendar, against what the exchange announced."""

import numpy as np
import pandas as pd
import pytest

from toolkit.data import Calendar
from toolkit.errors import DataUnavailable, InvalidParameter

NYSE = Calendar("XNYS")


def test_closed_days_are_those_that_the_exchange_announced():
    closed = ["2001-09-12", "2004-06-11", "2012-10-29", "2012-10-30", "2018-12-05", "2025-01-09"]
    assert (NYSE.positions(np.array(closed, "M8[ns]")) == -1).all()
    opened = ["2001-09-17", "2012-10-31", "2025-01-10"]
    assert (NYSE.positions(np.array(opened, "M8[ns]")) >= 0).all()


@pytest.mark.parametrize(
    ("session", "close"),
    [
        ("2026-11-25", "2026-11-25 21:00"),  # 16:00 in winter
        ("2026-11-27", "2026-11-27 18:00"),  # 13:00, the day after Thanksgiving
        ("2026-12-24", "2026-12-24 18:00"),
        ("2026-03-06", "2026-03-06 21:00"),  # the last session before daylight saving
        ("2026-03-09", "2026-03-09 20:00"),  # the first one after it
    ],
)
def test_closes_follow_early_ends_and_daylight_saving(session, close):
    assert NYSE.closes_between(session, session) == [pd.Timestamp(close, tz="UTC")]


def test_a_year_has_the_number_of_sessions_that_the_exchange_had():
    assert len(NYSE.sessions_between("2012-01-01", "2012-12-31")) == 250
    assert len(NYSE.sessions_between("2008-01-01", "2008-12-31")) == 253


def test_a_bar_is_known_from_the_close_plus_the_delay_on():
    close, delay = pd.Timestamp("2026-11-25 21:00", tz="UTC"), pd.Timedelta("20min")
    second = pd.Timedelta("1s")
    before = NYSE.sessions[NYSE.last_known(close + delay - second, delay)]
    at = NYSE.sessions[NYSE.last_known(close + delay, delay)]
    assert (str(before)[:10], str(at)[:10]) == ("2026-11-24", "2026-11-25")


def test_past_the_end_of_the_records_nothing_is_called_fresh():
    with pytest.raises(DataUnavailable, match="update exchange_calendars"):
        NYSE.last_known(pd.Timestamp("2200-01-01", tz="UTC"), pd.Timedelta(0))


def test_an_unknown_calendar_is_refused_with_an_example():
    with pytest.raises(InvalidParameter, match="'XXXX' is not known"):
        _ = Calendar("XXXX").sessions


def test_round_the_clock_markets_have_every_day():
    assert len(Calendar("24/7").sessions_between("2024-01-01", "2024-12-31")) == 366
