"""What no source may hand on: each impossible row has its code, what was dropped is said, and what is right stays untouched."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from toolkit.data import Issue, SampleSource
from toolkit.data.adjust import EVENT
from toolkit.data.sources import History
from toolkit.data.validate import validated
from toolkit.errors import DataUnavailable

SINCE, TODAY = pd.Timestamp("1990-01-01"), pd.Timestamp("2013-03-01")


def events(*rows) -> np.ndarray:
    return np.array([(np.datetime64(day), split, dividend) for day, split, dividend in rows], EVENT)


def sent(close, rows=None, acting=()) -> History:
    """Daily bars from 2012-01-01 on with these closes; `rows` picks and repeats them."""
    close = np.asarray(close, float)
    days = (np.datetime64("2012-01-01") + np.arange(len(close))).astype("M8[ns]")
    block = np.array([close, close * 1.01, close * 0.99, close, np.full(len(close), 1e6)])
    if rows is not None:
        days, block = days[rows], block[:, rows]
    return History("A", days, block, events(*acting))


def spoiled(field: int, at: int, value: float, n: int = 10) -> History:
    history = sent(np.full(n, 10.0))
    history.traded[field, at] = value
    return history


def checked(history: History) -> tuple[list[float], list[str]]:
    """Closes that are left, and codes."""
    good = validated(history, "A", "1d")
    assert (np.diff(good.labels) > np.timedelta64(0)).all() and good.traded.shape == (5, len(good.labels))
    return good.traded[3].tolist(), [issue.code for issue in good.issues]


# --- what is right


@pytest.mark.parametrize("symbol", ["AAPL", "FB", "GOOG", "IBM", "MSFT"])
def test_thirteen_years_of_real_bars_pass_untouched(symbol):
    history = SampleSource().fetch(symbol, SINCE, TODAY, "1d")
    assert validated(history, symbol, "1d") is history


def test_instants_are_labels_of_intraday_bars_alone():
    history = sent([10.0, 11.0])
    minutes = replace(history, labels=history.labels + np.timedelta64(14 * 60 + 30, "m"))
    assert validated(minutes, "A", "1m") is minutes
    with pytest.raises(DataUnavailable, match="2012-01-01T14:30:00.* is no date"):
        validated(minutes, "A", "1d")


def test_issues_of_the_source_come_first():
    history = replace(sent([10.0, np.nan, 10.0]), issues=(Issue("SPLIT_SUSPECT", "A", "look"),))
    assert [issue.code for issue in validated(history, "A", "1d").issues] == ["SPLIT_SUSPECT", "NULL_ROW"]


def test_a_check_of_ten_years_takes_well_under_a_millisecond():
    history = SampleSource().fetch("IBM", pd.Timestamp("2003-01-01"), TODAY, "1d")
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        validated(history, "IBM", "1d")
        seconds.append(time.perf_counter() - began)
    assert len(history.labels) > 2500 and min(seconds) < 1e-3


# --- rows that are dropped


@pytest.mark.parametrize("field", range(5))
def test_a_row_with_a_missing_field_is_dropped(field):
    assert checked(spoiled(field, 4, np.nan)) == ([10.0] * 9, ["NULL_ROW"])


@pytest.mark.parametrize("value", [0.0, -10.0, np.inf, -np.inf, 1e308, 1.1e7])
@pytest.mark.parametrize("field", range(4))
def test_an_impossible_price_is_dropped(field, value):
    assert checked(spoiled(field, 4, value)) == ([10.0] * 9, ["BAD_PRICE"])


@pytest.mark.parametrize("value", [-1.0, np.inf])
def test_an_impossible_volume_is_dropped(value):
    assert checked(spoiled(4, 4, value)) == ([10.0] * 9, ["BAD_PRICE"])


def test_no_volume_is_possible():
    assert checked(spoiled(4, 4, 0.0)) == ([10.0] * 10, [])


@pytest.mark.parametrize(("field", "value"), [(1, 9.5), (2, 10.5), (0, 10.5), (3, 9.5)])
def test_a_high_or_low_that_contradicts_is_dropped(field, value):
    assert checked(spoiled(field, 4, value)) == ([10.0] * 9, ["BAD_OHLC"])


def test_a_high_that_misses_the_close_by_rounding_is_widened():
    history = sent([10.0, 11.0])
    history.traded[1, 0] = 10.0 * (1 - 1e-5)
    good = validated(history, "A", "1d")
    assert good.traded[1, 0] == 10.0 and good.issues == ()
    assert history.traded[1, 0] < 10.0  # what was sent is not written to


def test_a_price_in_cents_is_dropped_and_a_crash_is_not():
    # AAPL fell by 51.9 % on 2000-09-29
    kept = [53.5, 25.75, 24.25, 22.31, 23.62, 22.25]
    assert checked(sent([53.5, 25.75, 24.25, 22.31, 2231.0, 23.62, 22.25])) == (kept, ["JUMP"])


@pytest.mark.parametrize("at", [0, 1, 4, 8, 9])
@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_jump_is_seen_at_either_end_too(at, factor):
    close = np.full(10, 10.0)
    close[at] *= factor
    assert checked(sent(close)) == ([10.0] * 9, ["JUMP"])


def test_a_jump_is_seen_among_three_bars_and_two_cannot_tell():
    assert checked(sent([10.0, 10.0, 1000.0])) == ([10.0, 10.0], ["JUMP"])
    assert checked(sent([10.0, 1000.0])) == ([10.0, 1000.0], [])


def test_a_split_of_fifty_is_no_jump():
    close = [500.0, 505.0, 10.0, 10.1, 10.2]
    assert checked(sent(close, acting=[("2012-01-03", 50.0, 0.0)])) == (close, [])
    assert checked(sent(close[:2] + [1000.0] + close[2:], acting=[("2012-01-04", 50.0, 0.0)]))[1] == []


# --- labels


def test_rows_out_of_order_are_sorted_and_named():
    assert checked(sent([10.0, 11.0, 12.0, 13.0], rows=[0, 2, 1, 3])) == ([10.0, 11.0, 12.0, 13.0], ["OUT_OF_ORDER"])


def test_a_row_that_came_twice_counts_once():
    assert checked(sent([10.0, 11.0, 12.0], rows=[0, 1, 1, 1, 2])) == ([10.0, 11.0, 12.0], ["DUPLICATE"])


def test_of_differing_rows_of_a_day_the_last_is_kept():
    history = sent([10.0, 11.0, 12.0])
    history = replace(history, labels=history.labels[[0, 1, 1]])
    assert checked(history) == ([10.0, 12.0], ["DUP_CONFLICT"])


def test_a_good_row_is_kept_where_the_last_of_its_day_is_bad():
    history = sent([10.0, 11.0, np.nan])
    history = replace(history, labels=history.labels[[0, 1, 1]])
    assert checked(history) == ([10.0, 11.0], ["NULL_ROW"])


def test_equal_and_differing_rows_are_told_apart():
    history = sent([10.0, 11.0, 11.0, 12.0, 13.0, 13.0])
    history = replace(history, labels=history.labels[[0, 1, 1, 1, 2, 2]])
    assert checked(history) == ([10.0, 12.0, 13.0], ["DUPLICATE", "DUP_CONFLICT"])


def test_more_than_two_conflicts_are_refused():
    history = sent(np.arange(10.0, 18.0), rows=[0, 1, 2, 3, 4, 5, 6, 7])
    with pytest.raises(DataUnavailable, match="3 labels came with differing rows: 2012-01-01, 2012-01-02, 2012-01-03"):
        validated(replace(history, labels=history.labels[[0, 0, 1, 1, 2, 2, 3, 4]]), "A", "1d")


# --- what the issues say


def test_an_issue_counts_and_dates_what_was_dropped():
    history = sent(np.full(300, 10.0))
    history.traded[3, [5, 7]] = np.nan
    (issue,) = validated(history, "A", "1d").issues
    assert str(issue) == "NULL_ROW A: 2 bars with missing fields dropped: 2012-01-06, 2012-01-08"


def test_it_says_so_when_the_newest_bar_was_dropped():
    (issue,) = validated(spoiled(3, 9, -10.0), "A", "1d").issues
    assert issue.message.endswith("2012-01-10; the newest is among them, bars end on 2012-01-09")


def test_many_bad_rows_make_a_symbol_unreliable():
    history = sent(np.full(300, 10.0))
    history.traded[0, ::75] = -1.0
    assert checked(history)[1] == ["BAD_PRICE", "UNRELIABLE"]
    assert "4 of 300 bars (1.3%)" in validated(history, "A", "1d").issues[1].message
    assert checked(spoiled(0, 4, -1.0))[1] == ["BAD_PRICE"]  # one of ten says little
    history = sent(np.full(1000, 10.0))
    history.traded[0, ::250] = -1.0
    assert checked(history)[1] == ["BAD_PRICE"]  # four of a thousand do, too


# --- what is refused


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"symbol": "B"}, "bars of B were sent"),
        ({"labels": np.array(["2012-01-01", "2012-01-02"], "M8[s]")}, r"labels are datetime64\[s\]"),
        ({"labels": np.array([1, 2])}, "labels are int64"),
        ({"labels": ["2012-01-01", "2012-01-02"]}, "labels are list"),
        ({"labels": pd.DatetimeIndex(["2012-01-01", "2012-01-02"])}, "labels are datetime64"),
        ({"labels": np.array(["2012-01-01", "NaT"], "M8[ns]")}, "a label is NaT"),
        ({"labels": np.array(["2012-01-01", "2012-01-02T21:00"], "M8[ns]")}, "2012-01-02T21:00:00.* is no date"),
        ({"traded": np.ones((2, 5))}, r"traded has shape \(2, 5\)"),
        ({"traded": np.ones((5, 3))}, r"traded has shape \(5, 3\)"),
        ({"traded": np.ones((5, 2), "f4")}, "traded are float32"),
        ({"traded": np.full((5, 2), None)}, "traded are object"),
        ({"labels": np.zeros(0, "M8[ns]"), "traded": np.ones((5, 0))}, "no bar was sent"),
        ({"traded": np.full((5, 2), np.nan)}, "no usable bar"),
        ({"events": np.zeros(1)}, "events are float64"),
        ({"events": events(("2012-01-01", 0.0, 0.0))}, "cannot be"),
        ({"events": events(("2012-01-01", -2.0, 0.0))}, "cannot be"),
        ({"events": events(("2012-01-01", np.nan, 0.0))}, "cannot be"),
        ({"events": events(("2012-01-01", np.inf, 0.0))}, "cannot be"),
        ({"events": events(("2012-01-01", 1.0, -0.5))}, "cannot be"),
        ({"events": events(("2012-01-01", 1.0, np.nan))}, "cannot be"),
        ({"events": events(("NaT", 1.0, 0.5))}, "an? ex-date is NaT"),
        ({"events": events(("2012-01-01T14:30", 1.0, 0.5))}, "the ex-date 2012-01-01T14:30.* is no date"),
        ({"events": events(("2012-01-01", 2.0, 0.0), ("2012-01-01", 3.0, 0.0))}, "two different splits"),
        ({"events": events(("2012-01-01", 1.0, 0.2), ("2012-01-01", 1.0, 0.3))}, "two different .*dividends on 2012-01-01"),
    ],
)
def test_what_cannot_be_mended_is_refused(change, match):
    with pytest.raises(DataUnavailable, match=match) as caught:
        validated(replace(sent([10.0, 11.0]), **change), "A", "1d")
    assert caught.value.symbol == "A"


def test_events_are_sorted_and_one_row_a_date():
    days = ("2012-01-02", 1.0, 0.5), ("2012-01-01", 2.0, 0.0), ("2012-01-02", 3.0, 0.0)
    good = validated(replace(sent([10.0, 11.0]), events=events(*days)), "A", "1d")
    assert good.events.tolist() == events(("2012-01-01", 2.0, 0.0), ("2012-01-02", 3.0, 0.5)).tolist()
    assert good.issues == ()


def test_an_event_that_came_twice_counts_once():
    twice = events(("2012-01-01", 2.0, 0.5), ("2012-01-01", 2.0, 0.5))
    good = validated(replace(sent([10.0, 11.0]), events=twice), "A", "1d")
    assert good.events.tolist() == twice[:1].tolist()
    assert [issue.code for issue in good.issues] == ["DUP_ACTION"]
