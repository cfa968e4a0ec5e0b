"""People's own files as a source: what they say arrives, what cannot be is named with file, column and row."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from toolkit.data import BarCache, MarketData, ReplayClock
from toolkit.data.sources import Source, files
from toolkit.data.sources.files import FolderSource
from toolkit.errors import BudgetSpent, DataUnavailable, InvalidParameter, InvalidSymbol, UnknownSymbol

SINCE, UNTIL = pd.Timestamp("1990-01-01"), pd.Timestamp("2030-01-01")
DAYS = """Date,Open,High,Low,Close,Volume
2012-01-03,10.1,11,9.5,10.5,1000
2012-01-04,10.5,12,10.25,11.75,1100
2012-01-05,11.5,11.9,11,11.25,900
"""
MINUTES = """time,open,high,low,close,volume
2012-01-03T14:30:00Z,10,11,9,10.5,100
2012-01-03 09:31:00-05:00,10.5,11,10,10.75,50
2012-07-03 09:30:00-04:00,10.75,11,10,11,50
"""


def folder(path: Path, **files: str) -> FolderSource:
    """A source on `path` with files written: name with __ for / and _csv for .csv."""
    for name, text in files.items():
        place = path / name.replace("__", "/").replace("_csv", ".csv")
        place.parent.mkdir(exist_ok=True, parents=True)
        place.write_text(text)
    return FolderSource(path)


def daily(source: FolderSource, symbol: str = "AAPL"):
    return source.fetch(symbol, SINCE, UNTIL, "1d")


def days(*texts: str) -> list[np.datetime64]:
    return [np.datetime64(text, "ns") for text in texts]


# --- what arrives


def test_a_file_a_symbol_in_any_case_of_columns(tmp_path):
    history = daily(folder(tmp_path, AAPL_csv=DAYS))
    assert history.labels.tolist() == np.array(days("2012-01-03", "2012-01-04", "2012-01-05")).tolist()
    assert history.traded[:, 0].tolist() == [10.1, 11.0, 9.5, 10.5, 1000.0]
    assert (history.calendar, history.currency, history.issues) == ("XNYS", "USD", ())
    assert history.last == pd.Timestamp("2012-01-05")


@pytest.mark.parametrize("name", ["date", "Datetime", "TIMESTAMP", "index", "", "Unnamed: 0", "time"])
def test_the_column_of_dates_has_one_of_several_names(tmp_path, name):
    assert len(daily(folder(tmp_path, AAPL_csv=DAYS.replace("Date", name))).labels) == 3


@pytest.mark.parametrize("how", ["columns", "index"])
def test_parquet_with_dates_as_a_column_or_as_the_index(tmp_path, how):
    frame = pd.read_csv(folder(tmp_path, AAPL_csv=DAYS).folder / "AAPL.csv", parse_dates=["Date"])
    expected = daily(FolderSource(tmp_path)).traded
    (tmp_path / "AAPL.csv").unlink()
    (frame if how == "columns" else frame.set_index("Date")).to_parquet(tmp_path / "AAPL.parquet")
    assert np.array_equal(daily(FolderSource(tmp_path)).traded, expected)


def test_only_the_sessions_asked_for_and_the_end_of_all(tmp_path):
    history = folder(tmp_path, AAPL_csv=DAYS).fetch("AAPL", pd.Timestamp("2012-01-04"), pd.Timestamp("2012-01-04"), "1d")
    assert history.labels.tolist() == np.array(days("2012-01-04")).tolist()
    assert history.last == pd.Timestamp("2012-01-05")


def test_intraday_instants_become_utc_through_both_halves_of_the_year(tmp_path):
    history = folder(tmp_path, **{"1m__AAPL_csv": MINUTES}).fetch("AAPL", SINCE, UNTIL, "1m")
    expected = days("2012-01-03T14:30", "2012-01-03T14:31", "2012-07-03T13:30")
    assert history.labels.tolist() == np.array(expected).tolist() and history.last == pd.Timestamp("2012-07-03")


def test_the_session_of_an_instant_is_that_of_the_exchange(tmp_path):
    # Sydney opens at 23:00 UTC of the day before in summer
    text = MINUTES.splitlines()[0] + "\n2012-01-03T23:00:00Z,10,11,9,10.5,100\n2012-01-04T23:00:00Z,10,11,9,10.5,100\n"
    folder(tmp_path, **{"1m__CBA_csv": text})
    source = FolderSource(tmp_path, calendar="XASX", currency="AUD")
    history = source.fetch("CBA", pd.Timestamp("2012-01-04"), pd.Timestamp("2012-01-04"), "1m")
    assert history.labels.tolist() == np.array(days("2012-01-03T23:00")).tolist()
    assert (history.calendar, history.currency, history.last) == ("XASX", "AUD", pd.Timestamp("2012-01-05"))


def test_an_empty_row_is_a_halt_and_a_blank_line_is_nothing(tmp_path):
    text = DAYS.replace("10.5,12,10.25,11.75,1100", ",,,,") + "\n\n"
    history = daily(folder(tmp_path, AAPL_csv=text))
    assert np.isnan(history.traded[:, 1]).all() and history.traded.shape == (5, 3)


def test_it_does_not_judge_prices_order_or_sessions(tmp_path):
    text = "date,open,high,low,close,volume\n2012-01-08,5,4,6,-1,inf\n2012-01-03,1,1,1,1,1\n2012-01-03,2,2,2,2,2\n"
    history = daily(folder(tmp_path, AAPL_csv=text))  # a Sunday; validation is the layer's
    assert history.traded[:, 0].tolist() == [5, 4, 6, -1, np.inf] and len(history.labels) == 3


# --- actions


def rows(events: np.ndarray) -> list[tuple]:
    return [(str(date)[:10], split, paid) for date, split, paid in zip(events["date"], events["split"], events["dividend"])]


SPLITS = """date,open,high,low,close,volume,split,dividend
2012-01-03,10,11,9,10,1000,,
2012-01-04,5,6,4,5,1100,2,0
2012-01-05,5,6,4,5,900,0,0.25
"""
ACTIONS = "date,symbol,split,dividend\n2012-01-04,AAPL,2,\n2012-01-05,AAPL,,0.25\n2012-01-05,IBM,,7\n"
EXPECTED = [("2012-01-04", 2.0, 0.0), ("2012-01-05", 1.0, 0.25)]


@pytest.mark.parametrize(
    "files",
    [{"AAPL_csv": SPLITS}, {"AAPL_csv": DAYS, "actions_csv": ACTIONS}, {"AAPL_csv": SPLITS, "actions_csv": ACTIONS}],
    ids=["columns", "table", "both"],
)
def test_actions_come_from_columns_or_from_a_table_and_are_booked_once(tmp_path, files):
    assert rows(daily(folder(tmp_path, **files)).events) == EXPECTED


@pytest.mark.parametrize("files", [{"AAPL_csv": SPLITS}, {"actions_csv": ACTIONS}], ids=["daily file", "table"])
def test_minutes_know_the_splits_of_their_days(tmp_path, files):
    source = folder(tmp_path, **{"1m__AAPL_csv": MINUTES, **files})
    assert rows(source.fetch("AAPL", SINCE, UNTIL, "1m").events) == EXPECTED


def test_only_the_actions_of_the_range_are_given(tmp_path):
    source = folder(tmp_path, AAPL_csv=SPLITS)
    assert rows(source.fetch("AAPL", pd.Timestamp("2012-01-05"), UNTIL, "1d").events) == EXPECTED[1:]


@pytest.mark.parametrize(
    "line, complaint",
    [("2012-01-04,AAPL,3,", "two actions"), ("2012-01-04,AAPL,-2,", "cannot be"), ("2012-01-04,AAPL,,inf", "inf")],
)
def test_actions_that_contradict_are_refused(tmp_path, line, complaint):
    source = folder(tmp_path, AAPL_csv=SPLITS, actions_csv=f"date,symbol,split,dividend\n{line}\n")
    with pytest.raises(DataUnavailable, match=complaint):
        daily(source)


# --- what cannot be read

WRONG = {
    "no number": (DAYS.replace("11.75", "n/a?"), r"AAPL.csv: column 'close', line 3: 'n/a\?' is no number"),
    "no date": (DAYS.replace("2012-01-04", "soon"), r"AAPL.csv: column 'Date', line 3: 'soon' is no date"),
    "american date": (
        DAYS.replace("2012-01-04", "01/04/2012"),
        r"line 3: '01/04/2012' is no date or time; write dates as 2012",
    ),
    "missing date": (DAYS.replace("2012-01-04", ""), r"line 3: nan is no date"),
    "year 9999": (DAYS.replace("2012-01-04", "9999-01-04"), r"line 3: '9999-01-04' is no date"),
    "a time": (DAYS.replace("2012-01-04", "2012-01-04 16:00"), r"line 3: 2012-01-04 16:00 is no date"),
    "a zone": (DAYS.replace("2012-01-04", "2012-01-04 00:00:00-05:00"), r"line 3: .* has a time zone; label by session date"),
    "missing column": (DAYS.replace("Close", "Last"), r"AAPL.csv: column 'close' is missing among Date, Open, High"),
    "no dates": (DAYS.replace("Date", "Day"), r"none of the columns Day, .* holds dates"),
    "doubled column": (DAYS.replace("Volume", "close"), r"the columns 'Close', 'close' mean the same"),
    "doubled name": (DAYS.replace("Volume", "Close"), r"the columns 'Close', 'Close.1' mean the same"),
    "ragged": (DAYS.replace("1100", "1100,7"), r"AAPL.csv cannot be read \(ParserError"),
    "only a header": (DAYS.splitlines()[0] + "\n", r"AAPL.csv: there is no row"),
    "empty": ("", r"AAPL.csv cannot be read \(EmptyDataError"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_malformed_file_is_named_with_column_and_line(tmp_path, kind):
    text, complaint = WRONG[kind]
    with pytest.raises(DataUnavailable, match=complaint) as caught:
        daily(folder(tmp_path, AAPL_csv=text))
    assert not isinstance(caught.value, UnknownSymbol)


def test_lines_are_counted_as_an_editor_counts_them_blank_ones_too(tmp_path):
    with pytest.raises(DataUnavailable, match="line 5: 'x' is no number"):
        daily(folder(tmp_path, AAPL_csv=DAYS.replace("\n2012-01-04", "\n\n\n2012-01-04").replace("11.75", "x")))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00nonsense", b"\x1f\x8b broken", b""], ids=["bytes", "gzip", "nothing"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_bytes_that_are_no_table_end_in_one_kind_of_error(tmp_path, suffix, content):
    (tmp_path / f"AAPL{suffix}").write_bytes(content)
    with pytest.raises(DataUnavailable, match=r"AAPL\.(csv|parquet)"):
        daily(FolderSource(tmp_path))


def test_a_file_that_changes_while_it_is_read_is_not_believed(tmp_path):
    source = folder(tmp_path, AAPL_csv=DAYS)
    found = source._file("AAPL", "1d")
    edit(tmp_path / "AAPL.csv")
    with pytest.raises(DataUnavailable, match="AAPL.csv was written to while it was read; ask again"):
        files._read(found, "AAPL")


@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_naive_instants_are_refused_with_what_to_do(tmp_path, zone):
    source = folder(tmp_path, **{"1h__AAPL_csv": MINUTES.replace("2012-01-03 09:31:00-05:00", "2012-01-03 14:31:00")})
    with pytest.raises(DataUnavailable, match=r"line 3: 2012-01-03 14:31:00 has no time zone; .*tz_localize"):
        source.fetch("AAPL", SINCE, UNTIL, "1h")
    index = pd.DatetimeIndex(["2012-01-03 09:30", "2012-01-03 10:30"], tz=zone, name="time")
    (tmp_path / "1h" / "IBM.parquet").parent.mkdir(exist_ok=True)
    pd.DataFrame(1.0, columns=["open", "high", "low", "close", "volume"], index=index).to_parquet(
        tmp_path / "1h" / "IBM.parquet"
    )
    if zone is None:
        with pytest.raises(DataUnavailable, match="row 1: .* has no time zone"):
            source.fetch("IBM", SINCE, UNTIL, "1h")
    else:
        assert source.fetch("IBM", SINCE, UNTIL, "1h").labels[0] == np.datetime64("2012-01-03T14:30", "ns")


def test_a_missing_folder_is_said(tmp_path):
    source = FolderSource(tmp_path / "nowhere")
    for ask in (lambda: daily(source), lambda: source.edition, lambda: source.symbols):
        with pytest.raises(DataUnavailable, match="nowhere does not exist"):
            ask()


def test_a_symbol_without_a_file_names_some_that_have_one(tmp_path):
    source = folder(tmp_path, AAPL_csv=DAYS, ibm_csv=DAYS, actions_csv=ACTIONS)
    with pytest.raises(UnknownSymbol, match="XOM: no 1d file .* use one of AAPL"):
        daily(source, "XOM")
    with pytest.raises(UnknownSymbol, match="rename ibm.csv: file names are symbols, in upper case"):
        daily(source, "IBM")
    with pytest.raises(UnknownSymbol, match="add AAPL.csv"):
        source.fetch("AAPL", SINCE, UNTIL, "1h")


def test_two_files_of_one_symbol_are_refused(tmp_path):
    source = folder(tmp_path, AAPL_csv=DAYS)
    (tmp_path / "AAPL.csv.gz").touch()
    with pytest.raises(DataUnavailable, match="both AAPL.csv and AAPL.csv.gz are there"):
        daily(source)


@pytest.mark.parametrize("symbol", ["../AAPL", "1m/AAPL", "/etc/passwd", "..", "", "aapl", "AAPL\0"])
def test_no_symbol_leads_out_of_the_folder(tmp_path, symbol):
    folder(tmp_path, AAPL_csv=DAYS, inner__1m__AAPL_csv=MINUTES)
    with pytest.raises(InvalidSymbol):
        daily(FolderSource(tmp_path / "inner"), symbol)


@pytest.mark.parametrize("interval", ["1wk", "2d", "..", "1m/../..", ""])
def test_no_interval_leads_out_of_the_folder(tmp_path, interval):
    with pytest.raises(InvalidParameter):
        folder(tmp_path, AAPL_csv=DAYS).fetch("AAPL", SINCE, UNTIL, interval)


# --- a source like any other


def test_symbols_are_those_of_all_intervals(tmp_path):
    source = folder(
        tmp_path, **{"AAPL_csv": DAYS, "1m__IBM_csv": MINUTES, "actions_csv": ACTIONS, "notes_csv": "", "BRK.B_csv": DAYS}
    )
    (tmp_path / "^GSPC.parquet").touch()
    (tmp_path / ".AAPL.csv.1.tmp").touch()
    assert source.symbols == ("AAPL", "BRK.B", "IBM", "^GSPC")


def edit(path: Path) -> None:
    path.write_text(DAYS.replace("10.5", "10.6"))  # as many bytes as before


def edit_and_set_the_time_back(path: Path) -> None:
    before = path.stat()
    edit(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by_a_twin(path: Path) -> None:
    before = path.stat()
    twin = path.with_suffix(".new")
    edit(twin)
    os.utime(twin, ns=(before.st_atime_ns, before.st_mtime_ns))
    twin.rename(path)


@pytest.mark.parametrize(
    "change",
    [
        edit,
        edit_and_set_the_time_back,
        replace_by_a_twin,
        Path.unlink,
        lambda path: path.rename(path.with_name("MSFT.csv")),
        lambda path: path.with_name("actions.csv").write_text(ACTIONS),
        lambda path: folder(path.parent, **{"1m__AAPL_csv": MINUTES}),
    ],
    ids=["edit", "edit with the old time", "replace", "remove", "rename", "actions", "minutes"],
)
def test_every_change_of_the_folder_is_another_edition(tmp_path, change):
    source = folder(tmp_path, AAPL_csv=DAYS)
    before = source.edition
    daily(source)
    assert source.edition == before  # reading changes nothing
    change(tmp_path / "AAPL.csv")
    assert source.edition != before


def test_an_edited_file_is_never_mixed_with_what_the_cache_holds(tmp_path):
    source: Source = folder(tmp_path / "prices", AAPL_csv=DAYS)
    clock = ReplayClock([pd.Timestamp("2012-01-06", tz="UTC")])
    market = MarketData(source, BarCache(tmp_path / "cache"), clock, anchor="2012-01-03")
    assert market.bars("AAPL").traded[3, 0].tolist() == [10.5, 11.75, 11.25]
    edit_and_set_the_time_back(tmp_path / "prices" / "AAPL.csv")
    assert market.bars("AAPL").traded[3, 0].tolist() == [10.6, 11.75, 11.25]


def test_another_calendar_or_currency_is_another_edition(tmp_path):
    folder(tmp_path, AAPL_csv=DAYS)
    sources = [FolderSource(tmp_path), FolderSource(tmp_path, "XLON"), FolderSource(tmp_path, currency="GBP")]
    assert len({source.edition for source in sources}) == 3


def test_fetches_are_counted_and_can_be_capped(tmp_path):
    source = folder(tmp_path, AAPL_csv=DAYS)
    source.meter.allow(1)
    daily(source)
    with pytest.raises(BudgetSpent):
        daily(source)
    assert source.meter.calls == 1
