"""Bars: adjustment on a fixed anchor, history without look-ahead, people's own frames."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.data import FIELDS, Bars, Issue
from toolkit.data.adjust import EVENT, factors
from toolkit.errors import InvalidBars, InvalidParameter, InvalidSymbol

DAYS = pd.to_datetime(["2012-01-03", "2012-01-04", "2012-01-05", "2012-01-06"])


def frame(close, index=DAYS, volume=1000.0) -> pd.DataFrame:
    """Bars whose open, high and low are the close."""
    close = np.asarray(close, float)
    return pd.DataFrame({**{name: close for name in FIELDS[:4]}, "volume": volume}, index=index[: len(close)])


def actions(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["date", "symbol", "split", "dividend"])


def events(*rows) -> np.ndarray:
    return np.array(list(rows), EVENT)


# --- adjustment


def test_a_split_halves_what_came_before_it_and_leaves_the_rest():
    split = actions(("2012-01-05", "A", 2.0, 0.0))
    bars = Bars.from_frame(frame([100, 102, 50, 51]), symbol="A", actions=split)
    assert bars.close["A"].tolist() == [50, 51, 50, 51]
    assert bars.volume["A"].tolist() == [2000, 2000, 1000, 1000]
    assert bars.traded_frame("close")["A"].tolist() == [100, 102, 50, 51]


def test_a_split_after_the_anchor_changes_later_bars_alone():
    split = actions(("2012-01-05", "A", 2.0, 0.0))
    bars = Bars.from_frame(frame([100, 102, 50, 51]), symbol="A", actions=split, anchor="2012-01-04")
    assert bars.close["A"].tolist() == [100, 102, 100, 102]
    assert bars.volume["A"].tolist() == [1000, 1000, 500, 500]


@pytest.mark.parametrize("anchor", ["2012-01-01", "2012-01-05", "2020-01-01"])
def test_the_adjusted_return_over_an_ex_date_is_the_total_return(anchor):
    # shares bought at 100 become 2, worth 2 * 49, and pay 3 in cash: (98 + 3) / 100
    both = actions(("2012-01-05", "A", 2.0, 3.0))
    bars = Bars.from_frame(frame([90, 100, 49, 51]), symbol="A", actions=both, anchor=anchor)
    returns = bars.close["A"].pct_change()
    assert returns.iloc[2] == pytest.approx(0.01, rel=1e-12)
    assert returns.iloc[3] == pytest.approx(51 / 49 - 1, rel=1e-12)


def test_dividends_do_not_touch_volumes(bundled):
    ibm = bundled.select("IBM")
    assert np.array_equal(ibm.volume["IBM"], ibm.traded_frame("volume")["IBM"])


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 39), st.sampled_from([1.0, 2.0, 1.5, 7.0, 0.1]), st.sampled_from([0.0, 0.31])),
                unique_by=lambda row: row[0], max_size=8), st.integers(0, 39), st.integers(-5, 45))  # fmt: skip
def test_factors_multiply_up_to_the_product_of_all_actions_between_bar_and_anchor(rows, bar, anchor):
    days = np.arange("2012-01-01", "2012-02-10", dtype="M8[D]").astype("M8[ns]")
    close = 20.0 + np.arange(40.0)
    table = events(*((days[at], split, paid) for at, split, paid in sorted(rows)))
    scale = factors(days, close, table, pd.Timestamp("2012-01-01") + pd.Timedelta(days=anchor))
    expected = 1.0
    for at, split, paid in rows:
        g = close[at] / (split * close[at] + paid)
        expected *= g if bar < at <= anchor else 1 / g if anchor < at <= bar else 1.0
    assert scale[0, bar] == pytest.approx(expected, rel=1e-12)


def test_factors_are_bit_identical_however_much_history_there_is_on_the_far_side(bundled):
    """What lies beyond the range on the side away from the anchor never enters; neither does a later action."""
    days, close = bundled.index.to_numpy(), bundled.traded[3, 4]
    own = bundled.actions[bundled.actions["symbol"] == 4]
    table = events(*zip(days[own["bar"]], own["split"], own["dividend"]))
    anchor = pd.Timestamp("2008-01-02")
    whole = factors(days, close, table, anchor)
    for start in (0, 1, 500, 1500):
        for stop in (2100, 3000, 3270):
            cut = factors(days[start:stop], close[start:stop], table, anchor)
            assert np.array_equal(cut, whole[:, start:stop])


def test_a_halt_on_the_ex_date_takes_the_first_price_after_it():
    paid = actions(("2012-01-04", "A", 1.0, 5.0))
    bars = Bars.from_frame(frame([100, np.nan, 95, 96]).assign(volume=[1, np.nan, 1, 1]), symbol="A", actions=paid)
    assert bars.close["A"].iloc[0] == pytest.approx(100 * 95 / 100)


def test_rebased_prices_end_at_the_traded_ones(bundled):
    rebased = bundled.until("2003-01-02").rebased()
    last = rebased.traded_frame("close").iloc[-1]
    assert np.allclose(rebased.close.iloc[-1], last, rtol=1e-12, equal_nan=True)


# --- history


def test_history_has_the_bits_of_bars_that_were_built_from_it_alone(bundled):
    table = bundled.events()
    frames = {
        symbol: pd.DataFrame(bundled.traded[:, k].T, bundled.index, list(FIELDS)) for k, symbol in enumerate(bundled.symbols)
    }
    whole = Bars.from_frame(frames, actions=table, calendar="XNYS", anchor="2000-03-01")
    for session in ("2000-06-20", "2000-06-21", "2004-11-15", "2012-05-18"):
        short = {symbol: own.loc[:session] for symbol, own in frames.items()}
        alone = Bars.from_frame(short, actions=table[table["date"] <= session], calendar="XNYS", anchor="2000-03-01")
        seen = whole.until(session)
        assert seen.fingerprint == alone.fingerprint
        assert np.array_equal(seen.adjusted, alone.adjusted, equal_nan=True)
        assert np.array_equal(seen.actions, alone.actions)


def test_a_bar_shows_at_its_close_and_not_a_second_earlier(bundled):
    close = pd.Timestamp("2012-11-23 18:00", tz="UTC")  # an early close
    assert str(bundled.until(close).index[-1].date()) == "2012-11-23"
    assert str(bundled.until(close - pd.Timedelta("1s")).index[-1].date()) == "2012-11-21"


def test_a_zone_of_the_instant_does_not_matter(bundled):
    local = pd.Timestamp("2012-11-23 13:00", tz="America/New_York")
    assert bundled.until(local).fingerprint == bundled.until(local.tz_convert("Asia/Tokyo")).fingerprint


def test_without_a_calendar_a_day_is_known_at_the_next_midnight():
    bars = Bars.from_frame(frame([1, 2, 3, 4]), symbol="A")
    assert len(bars.until(pd.Timestamp("2012-01-04 23:59", tz="UTC"))) == 1
    assert len(bars.until(pd.Timestamp("2012-01-05", tz="UTC"))) == 2


def test_before_the_first_bar_there_is_nothing(bundled):
    nothing = bundled.until("1999-01-01")
    assert len(nothing) == 0 and nothing.close.shape == (0, 5) and "empty" in repr(nothing)


def test_views_share_memory_with_the_whole(bundled):
    seen = bundled.until("2006-01-03")
    assert np.shares_memory(seen.close.to_numpy(), bundled.field(3))
    assert np.shares_memory(seen.traded, bundled.traded)
    assert seen.until("2005-01-03").whole is bundled.whole


def test_nobody_can_make_adjusted_prices_writable_and_a_field_is_that_of_all(bundled):
    bars = bundled.until("2005-01-03").select(["AAPL", "IBM"])
    for place in (*range(5), -1):
        field = bars.field(place)
        assert np.array_equal(field, bars.traded[place] * bars.scale[int(place in (4, -1))], equal_nan=True)
        with pytest.raises(ValueError, match="WRITEABLE"):
            field.flags.writeable = True
    assert np.array_equal(bars.adjusted, [bars.field(place) for place in range(5)], equal_nan=True)


def test_nothing_can_be_written(bundled):
    with pytest.raises(ValueError, match="read-only"):
        bundled.close.to_numpy()[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        bundled.traded[0, 0, 0] = 1.0
    with pytest.raises(AttributeError):
        bundled.symbols = ()


def test_a_later_start_has_the_same_bits(bundled):
    late = bundled.since("2004-01-02")
    assert str(late.index[0].date()) == "2004-01-02"
    assert np.array_equal(late.adjusted, bundled.adjusted[:, :, -len(late) :], equal_nan=True)
    pd.testing.assert_frame_equal(
        late.events(), bundled.events().query("date >= '2004-01-02'").reset_index(drop=True), check_index_type=False
    )


def test_selecting_keeps_bits_and_actions(bundled):
    two = bundled.select(["MSFT", "AAPL"])
    assert two.symbols == ("MSFT", "AAPL")
    assert two.close["AAPL"].equals(bundled.close["AAPL"])
    assert set(two.events()["symbol"]) == {"AAPL", "MSFT"} and len(two.actions) == 38 + 5
    assert two.events()["date"].is_monotonic_increasing


# --- fingerprint


def changed(**edit) -> Bars:
    own = frame([10, 11, 12, 13])
    if "close" in edit:
        own.loc[DAYS[1], ["open", "high", "low", "close"]] = edit["close"]
    if "volume" in edit:
        own.loc[DAYS[1], "volume"] = edit["volume"]
    symbol = edit.get("symbol", "A")
    table = actions(("2012-01-05", symbol, edit.get("split", 2.0), edit.get("dividend", 0.1)))
    options = {name: edit[name] for name in ("calendar", "currency", "anchor") if name in edit}
    return Bars.from_frame(own, symbol=symbol, actions=table, **options)


@pytest.mark.parametrize(
    "edit",
    [
        {"close": np.nextafter(11.0, 12.0)},
        {"volume": 1001.0},
        {"split": 3.0},
        {"dividend": 0.1001},
        {"symbol": "B"},
        {"calendar": "XNYS"},
        {"currency": "EUR"},
        {"anchor": "2012-01-04"},
    ],
)
def test_every_change_shows_in_the_fingerprint(edit):
    assert changed(**edit).fingerprint != changed().fingerprint


def test_equal_bars_have_equal_fingerprints():
    assert changed().fingerprint == changed().fingerprint


def test_one_more_bar_leaves_the_chain_before_it_alone():
    longer = Bars.from_frame(frame([10, 11, 12, 13]), symbol="A")
    shorter = Bars.from_frame(frame([10, 11, 12]), symbol="A")
    assert longer.until(DAYS[2]).fingerprint == shorter.fingerprint != longer.fingerprint


# --- people's own frames


def test_columns_of_any_case_and_further_ones_are_taken():
    own = frame([1, 2]).rename(columns=str.title).assign(**{"Adj Close": 1.0})
    assert Bars.from_frame(own, symbol="A").close["A"].tolist() == [1, 2]


def test_several_symbols_come_as_a_mapping_or_as_two_levels_of_columns():
    frames = {"A": frame([1, 2, 3]), "B": frame([5, 6], DAYS[1:])}
    mapped = Bars.from_frame(frames)
    assert mapped.close.shape == (3, 2) and np.isnan(mapped.close.loc[DAYS[0], "B"])
    wide = pd.concat(frames, axis=1)
    for columns in (wide, wide.swaplevel(axis=1)):
        assert Bars.from_frame(columns).fingerprint == mapped.fingerprint


def test_events_can_be_put_in_again(bundled):
    one = bundled.select("AAPL")
    own = pd.DataFrame(one.traded[:, 0].T, one.index, list(FIELDS))
    again = Bars.from_frame(own, symbol="AAPL", actions=one.events(), calendar="XNYS")
    assert again.fingerprint == one.fingerprint


def test_hourly_bars_are_known_an_hour_after_they_open():
    hours = pd.date_range("2012-01-03 14:30", periods=4, freq="h", tz="UTC")
    bars = Bars.from_frame(frame([1, 2, 3, 4], hours), symbol="A", interval="1h")
    assert len(bars.until(pd.Timestamp("2012-01-03 16:30", tz="UTC"))) == 2
    with pytest.raises(InvalidParameter, match="tz-aware"):
        bars.until("2012-01-03")


def spoil(column, value) -> pd.DataFrame:
    own = frame([10, 11, 12, 13])
    own.loc[DAYS[2], column] = value
    return own


BAD = {
    "a negative price": (spoil("low", -1.0), "A: low on 2012-01-05.* is -1.0"),
    "a zero price": (spoil("close", 0.0), "A: close on 2012-01-05.* is 0.0"),
    "a part of a bar": (spoil("close", np.nan), "A: close on 2012-01-05.* is nan"),
    "infinity": (spoil("high", np.inf), "A: high on 2012-01-05.* is inf"),
    "a negative volume": (spoil("volume", -5.0), "A: volume on 2012-01-05.* is -5.0"),
    "high below low": (spoil(["high", "low"], [9.0, 11.0]), "A: high on 2012-01-05.* is 9.0.*below the low"),
    "high below close": (spoil("high", 12.0).assign(close=[10, 11, 12.5, 13]), "is below the open or close"),
    "low above open": (spoil(["low", "high"], [12.5, 13.0]), "A: low on 2012-01-05.* is 12.5.*above the open"),
    "doubled labels": (frame([1, 2], DAYS[[0, 0]]), "A: label 2012-01-03.* twice"),
    "unsorted labels": (frame([1, 2], DAYS[[1, 0]]), "A: label 2012-01-03.* out of order.*sort_index"),
    "zoned daily labels": (frame([1, 2], DAYS.tz_localize("UTC")), "time zone UTC.*tz_localize"),
    "times of day": (frame([1, 2], DAYS + pd.Timedelta("16h")), "16:00:00 is no date.*interval="),
    "no dates": (frame([1, 2]).reset_index(drop=True), "not dates"),
    "NaT": (frame([1, 2], pd.DatetimeIndex([DAYS[0], pd.NaT])), "NaT"),
    "no row": (frame([]), "no row"),
    "a missing column": (frame([1, 2]).drop(columns="volume"), "column 'volume' occurs 0 times"),
    "a doubled column": (frame([1, 2]).assign(Close=1.0), "column 'close' occurs 2 times"),
    "text": (frame([1, 2]).astype(object).replace(1.0, "one"), "could not convert.*numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_a_bar_is_refused_with_symbol_label_value_and_cure(name):
    own, said = BAD[name]
    with pytest.raises(InvalidBars, match=said) as caught:
        Bars.from_frame(own, symbol="A")
    assert caught.value.symbol == "A" and caught.value.cure


def test_a_row_without_any_value_is_a_halt():
    own = frame([10, np.nan, 12])
    own.loc[DAYS[1], "volume"] = np.nan
    assert Bars.from_frame(own, symbol="A").close["A"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("symbol", "cure"),
    [("BRK/B", "write 'BRK-B'"), ("../../x", "1 to 20 of"), ("aapl", "write 'AAPL'"), ("", "1 to 20 of"), ("A" * 21, "1 to")],
)  # fmt: skip
def test_what_is_no_symbol_is_refused(symbol, cure):
    with pytest.raises(InvalidSymbol, match=f"{re.escape(repr(symbol))}.*{cure}"):
        Bars.from_frame(frame([1, 2]), symbol=symbol)


def test_actions_of_a_symbol_without_prices_are_refused():
    with pytest.raises(InvalidBars, match="names a symbol that has no prices"):
        Bars.from_frame(frame([1, 2]), symbol="A", actions=actions(("2012-01-04", "B", 2.0, 0.0)))


def test_days_that_are_no_session_of_the_calendar_are_refused():
    with pytest.raises(InvalidBars, match="2012-01-07 is no session of XNYS"):
        Bars.from_frame(frame([1], pd.to_datetime(["2012-01-07"])), symbol="A", calendar="XNYS")


def test_a_frame_without_a_name_is_asked_for_one():
    with pytest.raises(InvalidParameter, match="symbol='AAPL'"):
        Bars.from_frame(frame([1, 2]))


def test_what_a_source_says_cannot_run_in_the_page(bundled):
    noisy = replace(bundled, issues=(Issue("STALE", "AAPL", "<script>alert(1)</script>"),))
    assert "<script>" not in noisy._repr_html_()


def test_the_page_shows_symbols_range_and_source(bundled):
    page = bundled._repr_html_()
    for text in ("AAPL, FB, GOOG, IBM, MSFT", "2000-03-01 to 2013-03-01", "3,270 x 1d", "sample, revision 0", "XNYS, USD"):
        assert text in page
