"""Clocks: the machine's, and one that stands still."""

import pandas as pd
import pytest

from toolkit.data import ReplayClock, SystemClock
from toolkit.errors import InvalidParameter

INSTANTS = list(pd.date_range("2012-01-03 21:00", periods=3, freq="D", tz="UTC"))


def test_a_replay_stands_at_each_instant_and_is_done_after_the_last():
    clock, seen = ReplayClock(INSTANTS), []
    while not clock.done:
        seen.append(clock.now())
        clock.sleep(300)
    assert seen == INSTANTS and len(clock) == 3
    assert not clock.advance() and clock.now() == INSTANTS[-1]


def test_the_horizon_of_a_replay_is_its_last_instant_from_the_start():
    assert ReplayClock(INSTANTS).horizon() == INSTANTS[-1]


def test_the_system_clock_has_no_horizon_beyond_now():
    clock = SystemClock()
    before = clock.now()
    assert before <= clock.horizon() <= clock.now()
    assert str(before.tz) == "UTC"


def test_other_zones_are_converted():
    clock = ReplayClock([pd.Timestamp("2012-01-03 16:00", tz="America/New_York")])
    assert clock.now() == pd.Timestamp("2012-01-03 21:00", tz="UTC")


@pytest.mark.parametrize(
    ("instants", "said"),
    [
        ([], "empty"),
        ([pd.Timestamp("2012-01-03 21:00")], "no time zone"),
        (["2012-13-03 21:00Z"], "'2012-13-03 21:00Z' is no instant"),
        (INSTANTS[::-1], "sort them"),
        ([INSTANTS[0], INSTANTS[0]], "each one once"),
    ],
)
def test_instants_that_make_no_replay_are_refused(instants, said):
    with pytest.raises(InvalidParameter, match=said):
        ReplayClock(instants)
