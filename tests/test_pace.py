"""The pace of requests: bursts, complaints, pauses that all processes keep, and a circuit; on a clock that is only slept."""

import threading
import time

import pandas as pd
import pytest

from toolkit.data.pace import Pace
from toolkit.errors import DataUnavailable, InvalidParameter
from toolkit.testing.yahoo_server import SkippingClock

START = pd.Timestamp("2013-03-01 21:30", tz="UTC")


def about(expected):
    return pytest.approx(expected, abs=0.01)


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock(START)


def instants(pace: Pace, clock: SkippingClock, n: int) -> list[float]:
    """Seconds since the start at which each of `n` requests may be made."""
    at = []
    for _ in range(n):
        pace.wait()
        at.append(clock.monotonic())
    return at


def test_after_the_burst_requests_come_at_the_rate(clock):
    assert instants(Pace(5.0, 3, clock), clock, 6) == about([0, 0, 0, 0.2, 0.4, 0.6])


def test_a_rest_fills_the_bucket_up_to_the_burst_and_no_further(clock):
    pace = Pace(5.0, 3, clock)
    instants(pace, clock, 3)
    clock.sleep(100.0)
    assert instants(pace, clock, 5) == about([100, 100, 100, 100.2, 100.4])


def test_the_pause_that_the_server_asks_for_is_kept_and_no_burst_follows(clock):
    pace = Pace(5.0, 50, clock)
    pace.limited(10.0)
    assert instants(pace, clock, 3) == about([10, 10 + 1 / 3, 10 + 2 / 3])  # at 0.6 of the rate


def test_complaints_in_flight_are_one_congestion(clock):
    pace = Pace(5.0, 50, clock)
    for _ in range(8):
        pace.limited(2.0)
    assert pace.rate == about(3.0)
    clock.sleep(2.0)
    pace.limited(2.0)
    assert pace.rate == about(1.8)


def test_the_rate_has_a_floor_and_answers_raise_it_to_the_configured_one(clock):
    pace = Pace(5.0, 50, clock)
    for _ in range(20):
        pace.limited(1.0)
        clock.sleep(1.0)
    assert pace.rate == about(0.2)
    pace.answered()
    assert pace.rate == about(0.3)
    for _ in range(100):
        pace.answered()
    assert pace.rate == 5.0


def test_a_complaint_without_a_time_costs_five_seconds_then_twice_as_many_until_one_is_answered(clock):
    pace, pauses = Pace(5.0, 50, clock), []
    for _ in range(3):
        before = clock.monotonic()
        pace.limited()
        pace.wait()
        pauses.append(clock.monotonic() - before)
    pace.answered()
    pace.limited()
    before = clock.monotonic()
    pace.wait()
    assert [*pauses, clock.monotonic() - before] == about([5, 10, 20, 5])


def test_a_pause_of_zero_is_taken_for_a_second(clock):
    pace = Pace(5.0, 50, clock)
    pace.limited(0.0)
    assert instants(pace, clock, 1) == about([1.0])


def test_a_long_pause_is_an_error_at_once_and_not_a_hang(clock):
    pace = Pace(5.0, 50, clock)
    pace.limited(120.0)
    for ask in (pace.wait, pace.check):
        with pytest.raises(DataUnavailable, match="Yahoo asked to wait until 21:32:00 UTC; stored bars are kept"):
            ask()
    assert clock.slept == []
    clock.sleep(100.0)
    assert instants(pace, clock, 1) == about([120.0])


def test_a_wait_for_a_turn_that_is_longer_than_patience_takes_no_turn(clock):
    pace = Pace(0.2, 1, clock)
    assert instants(pace, clock, 1) == [0.0]
    for _ in range(5):
        with pytest.raises(DataUnavailable, match="0.2 times a second"):
            pace.wait(patience=4.0)
    assert instants(pace, clock, 1) == about([5.0])


def test_a_complaint_during_the_wait_voids_the_turn(clock):
    pace = Pace(5.0, 1, clock)
    pace.wait()
    asleep = clock.sleep

    def interrupted(seconds: float) -> None:
        clock.sleep = asleep
        pace.limited(7.0)
        asleep(seconds)

    clock.sleep = interrupted
    assert instants(pace, clock, 1) == about([7.0])


def test_five_failures_in_a_row_open_the_circuit_and_one_answer_closes_it(clock):
    pace = Pace(5.0, 50, clock)
    for _ in range(4):
        pace.failed()
    assert instants(pace, clock, 1) == [0.0]
    pace.failed()
    assert instants(pace, clock, 1) == about([5.0])
    pace.failed()
    assert instants(pace, clock, 1) == about([15.0])
    pace.answered()
    for _ in range(4):
        pace.failed()
    assert instants(pace, clock, 1) == about([15.2])  # the bucket fills again after a pause


def test_an_open_circuit_waits_five_minutes_at_most_and_says_so(clock):
    pace = Pace(5.0, 50, clock)
    for _ in range(4):
        pace.failed()
    for _ in range(9):
        pace.failed()
        clock.sleep(300.0)
    pace.failed()
    with pytest.raises(DataUnavailable, match="Yahoo failed 14 times in a row and is not asked until"):
        pace.wait()
    clock.sleep(300.0)
    pace.wait(1.0)


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 50), (-1.0, 50), (float("nan"), 50), (5.0, 0)])
def test_a_pace_at_which_nothing_moves_is_refused(clock, rate, burst):
    with pytest.raises(InvalidParameter, match="rate|burst"):
        Pace(rate, burst, clock)


# --- between processes


def test_another_process_keeps_the_pause_too(clock, tmp_path):
    shared = tmp_path / "folder" / "yahoo.not_before"
    first, second = Pace(5.0, 50, clock, shared), Pace(5.0, 50, clock, shared)
    second.wait()
    first.limited(20.0)
    assert instants(second, clock, 1) == about([20.0])
    assert [path.name for path in shared.parent.iterdir()] == ["yahoo.not_before"]


def test_each_new_pause_of_another_process_is_seen(clock, tmp_path):
    first, second = (Pace(5.0, 50, clock, tmp_path / "yahoo.not_before") for _ in range(2))
    for pause in (5.0, 7.0, 11.0):
        before = clock.monotonic()
        first.limited(pause)
        second.wait()
        assert clock.monotonic() - before == about(pause)


def test_a_shorter_pause_does_not_overwrite_a_longer_one(clock, tmp_path):
    shared = tmp_path / "yahoo.not_before"
    Pace(5.0, 50, clock, shared).limited(20.0)
    Pace(5.0, 50, clock, shared).limited(2.0)
    assert instants(Pace(5.0, 50, clock, shared), clock, 1) == about([20.0])


@pytest.mark.parametrize("content", [b"", b"soon", b"\xff\x00", b"nan", b"inf", b"-inf", b"1e400", b"1" * 5000])
def test_an_unreadable_file_is_no_pause(clock, tmp_path, content):
    shared = tmp_path / "yahoo.not_before"
    shared.write_bytes(content)
    assert instants(Pace(5.0, 50, clock, shared), clock, 1) == [0.0]


def test_a_time_more_than_an_hour_ahead_is_nonsense(clock, tmp_path):
    shared = tmp_path / "yahoo.not_before"
    shared.write_text(repr(START.timestamp() + 3601.0))
    assert instants(Pace(5.0, 50, clock, shared), clock, 1) == [0.0]
    shared.write_text(repr(START.timestamp() + 29.0) + "\n")
    assert instants(Pace(5.0, 50, clock, shared), clock, 1) == about([29.0])


def test_a_folder_that_cannot_be_written_leaves_the_pause_to_this_process(clock, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    pace = Pace(5.0, 50, clock, tmp_path / "file" / "yahoo.not_before")
    pace.limited(3.0)
    assert instants(pace, clock, 1) == about([3.0])
    assert "other processes do not learn" in caplog.text


def test_a_clock_that_was_set_back_a_day_does_not_pause_for_a_day(clock):
    pace = Pace(5.0, 50, clock)
    pace.limited(20.0)
    clock.start -= pd.Timedelta("1D")
    assert instants(pace, clock, 1) == [0.0]


# --- threads and cost


def test_threads_share_one_bucket(clock):
    pace, taken = Pace(5.0, 10, clock), []
    lock = threading.Lock()

    def ask() -> None:
        for _ in range(5):
            pace.wait()
            with lock:
                taken.append(clock.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 40 and clock.monotonic() >= (40 - 10) / 5.0 - 1e-9


def test_a_turn_that_is_free_costs_microseconds(clock, tmp_path):
    pace = Pace(5.0, 10**6, clock, tmp_path / "yahoo.not_before")
    pace.limited(1.0)
    clock.sleep(1e4)
    began = time.process_time()
    for _ in range(1000):
        pace.wait()
    assert time.process_time() - began < 0.5
