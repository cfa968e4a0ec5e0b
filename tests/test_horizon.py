"""What is labelled in time is cut to what was known: by the label, by its time zone, and never one row more."""

import numpy as np
import pandas as pd
import pytest

from conftest import random_bars
from toolkit.data import Bars
from toolkit.signals.causality.horizon import Horizon, cut, timed

BARS = random_bars(1, n_symbols=1, n_bars=30, halts=False, actions=False)
DAYS = pd.date_range(BARS.index[0], BARS.index[-1] + pd.Timedelta("10D"))


def known(index, bars=BARS, stop=10, start=0):
    """The labels that are known before bar `stop`."""
    rows = Horizon.of(bars).rows(index, start, stop)
    return None if rows is None else list(index[rows])


def with_calendar(bundled):
    return bundled.until("2012-11-30")  # a Friday


def test_a_day_is_known_at_its_bar_and_the_next_one_is_not():
    for stop in range(1, 31):
        assert known(DAYS, stop=stop)[-1] == BARS.index[stop - 1]
    assert known(DAYS, start=4)[0] == BARS.index[4]


def test_an_hour_of_a_day_without_time_zone_is_known_at_the_end_of_that_day():
    hours = pd.date_range(BARS.index[0], BARS.index[-1], freq="h")
    assert known(hours)[-1] == BARS.index[9] + pd.Timedelta("23h")


def test_without_a_calendar_a_label_with_time_zone_is_known_until_midnight():
    assert known(DAYS.tz_localize("UTC"))[-1] == BARS.index[9].tz_localize("UTC")
    hours = pd.date_range(BARS.index[0], BARS.index[-1], freq="h", tz="UTC")
    assert known(hours)[-1] == (BARS.index[9] + pd.Timedelta("23h")).tz_localize("UTC")


def test_with_a_calendar_a_label_with_time_zone_is_known_up_to_the_close(bundled):
    bars = with_calendar(bundled)
    hours = pd.date_range("2012-11-29", "2012-12-04", freq="h", tz="America/New_York")
    last = known(hours, bars, stop=len(bars))[-1]
    assert last == bars.known_at[-1].floor("h").tz_convert("America/New_York")
    assert last >= pd.Timestamp("2012-11-30 16:00", tz="America/New_York")
    assert known(hours, bars, stop=len(bars) - 1)[-1] < pd.Timestamp("2012-11-29 18:00", tz="America/New_York")


def test_a_month_as_a_period_is_known_at_its_end():
    months = pd.period_range("2010-12", "2011-04", freq="M")
    stop = int(np.argmax(BARS.index >= "2011-01-31")) + 1  # the bar of the last day of January
    assert known(months, stop=stop) == [pd.Period("2010-12"), pd.Period("2011-01")]
    assert known(months, stop=stop - 1) == [pd.Period("2010-12")]


def test_labels_out_of_order_are_found_one_by_one():
    backwards = DAYS[::-1]
    assert sorted(known(backwards)) == known(DAYS) and sorted(known(backwards, start=3)) == known(DAYS, start=3)


def test_a_level_in_time_and_dates_count_and_names_do_not():
    long = pd.MultiIndex.from_product([["A", "B"], DAYS])
    assert {day for _, day in known(long)} == set(known(DAYS))
    assert known(pd.Index([day.date() for day in DAYS]))[-1] == BARS.index[9].date()
    assert known(pd.Index(["A", "B"])) is None and known(pd.RangeIndex(30)) is None


def test_minutes_are_known_before_the_next_bar_begins_and_at_the_end_of_the_last():
    index = pd.DatetimeIndex(["2024-01-02 14:30", "2024-01-02 14:35", "2024-01-03 14:30"], tz="UTC")
    frame = pd.DataFrame({name: [1.0] * 3 for name in ("open", "high", "low", "close", "volume")}, index=index)
    bars = Bars.from_frame(frame, symbol="X", interval="5m")
    minutes = pd.date_range("2024-01-02 14:00", "2024-01-04", freq="min", tz="UTC")
    assert [known(minutes, bars, n)[-1].strftime("%d %H:%M") for n in (1, 2, 3)] == ["02 14:34", "02 14:39", "03 14:34"]
    assert [known(minutes.tz_localize(None), bars, n)[-1].strftime("%d %H:%M") for n in (1, 2, 3)] == [
        "02 14:34", "02 14:39", "03 14:34",
    ]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), [
    (np.zeros((30, 4)), True), (np.zeros((4, 30)), True), (np.zeros((4, 5)), False), (np.float64(3.0), False),
    (np.array(3.0), False), (pd.Series(range(30)), True), (pd.Series(range(29)), False), (pd.Series([1], ["A"]), False),
    (DAYS, True), (BARS, True), ("2011-01-03", False),
], ids=lambda value: type(value).__name__)  # fmt: skip
def test_what_has_times_or_a_row_for_each_bar_is_cut(value, expected):
    assert timed(value, Horizon.of(BARS)) is expected


def test_bars_and_arrays_are_cut_to_the_same_bars():
    horizon = Horizon.of(BARS)
    assert cut(BARS, horizon, 0, 10).fingerprint == BARS.rows(0, 10).fingerprint
    assert cut(BARS, horizon, 5, 10).fingerprint == BARS.rows(5, 10).fingerprint
    values = BARS.close.to_numpy()
    assert (cut(values, horizon, 5, 10) == values[5:10]).all() and (cut(values.T, horizon, 5, 10) == values.T[:, 5:10]).all()


TEXTS = [f"{day:%Y-%m-%d}" for day in DAYS]
AS_TIMES = {
    "text": TEXTS, "compact": [text.replace("-", "") for text in TEXTS],
    "numbers": [int(text.replace("-", "")) for text in TEXTS],
    "instants": [f"{text}T00:00:00+00:00" for text in TEXTS], "minutes": [f"{text} 00:00" for text in TEXTS],
}  # fmt: skip


@pytest.mark.parametrize("form", AS_TIMES)
def test_dates_that_are_written_are_dates(form):
    labels = pd.Index(AS_TIMES[form])
    for stop in 1, 10, 30:
        assert known(labels, stop=stop) == AS_TIMES[form][: len(known(DAYS, stop=stop))]


@pytest.mark.parametrize("labels", [
    ["AAPL", "2011-01-03"], ["2011-01-03", "AAPL"], ["2011-01-03", "soon", "2011-01-04"], ["2011-13-01"], ["20111301"],
    ["01/03/2011"],
    [20110103, 7], [20111301], [2011, 2012], [20110103.5], [], ["2011"],
], ids=str)  # fmt: skip
def test_what_may_be_no_date_is_none(labels):
    assert known(pd.Index(labels)) is None


def test_a_column_of_dates_is_looked_for_by_its_name_and_read_only_if_it_holds_dates():
    horizon = Horizon.of(BARS)
    for name in "date", "Date", "timestamp":
        long = pd.DataFrame({"symbol": ["A"] * len(DAYS), name: DAYS})
        assert timed(long, horizon) and list(cut(long, horizon, 0, 10)[name]) == known(DAYS)
    assert not timed(pd.DataFrame({"listed": DAYS}), horizon)  # a fact of each row, not when the row was known
    assert not timed(pd.DataFrame({"date": ["soon", "later"]}), horizon)
