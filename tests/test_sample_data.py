"""The bundled prices: what the package says, what the actions say, and that the two agree."""

import hashlib
import re
import runpy
import shutil

import numpy as np
import pandas as pd
import pytest

from toolkit.data import BarCache, Calendar, MarketData, SampleSource
from toolkit.data.sources.sample import FOLDER
from toolkit.errors import DataUnavailable, UnknownSymbol

WIDEST = pd.Timestamp("1990-01-01"), pd.Timestamp("2026-01-01")


@pytest.fixture(scope="module")
def packaged() -> pd.DataFrame:
    """The rows as the package prints them."""
    return pd.read_csv(FOLDER / "stocks.csv.gz", parse_dates=["Date"])


@pytest.fixture(scope="module")
def actions() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "actions.csv")


def test_the_file_is_the_one_of_the_package():
    # licenses/datasets.json of bokeh_sampledata 2026.1
    digest = "5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd"
    assert hashlib.sha256((FOLDER / "stocks.csv.gz").read_bytes()).hexdigest() == digest
    assert digest in (FOLDER / "README.md").read_text()


def test_rows_are_those_of_the_readme(packaged):
    assert len(packaged) == 12_154
    table = re.findall(r"^\| ([A-Z]+) \| (\S+) \| (\S+) \| ([\d,]+) \|", (FOLDER / "README.md").read_text(), re.M)
    assert len(table) == 5
    for symbol, first, last, rows in table:
        own = packaged[packaged["Ticker"] == symbol]
        assert (str(own["Date"].iloc[0].date()), str(own["Date"].iloc[-1].date())) == (first, last)
        assert len(own) == int(rows.replace(",", ""))


def test_every_row_is_a_session_of_new_york_and_no_session_is_missing(packaged):
    calendar = Calendar("XNYS")
    for _, own in packaged.groupby("Ticker"):
        dates = pd.DatetimeIndex(own["Date"])
        assert list(dates) == list(calendar.sessions_between(dates[0], dates[-1]))


def test_the_three_splits_are_found_on_their_days(actions):
    splits = actions[actions["split"] != 1]
    # company filings: AAPL two for one in 2000 and 2005, MSFT in 2003
    assert splits[["date", "symbol", "split"]].values.tolist() == [
        ["2000-06-21", "AAPL", 2.0],
        ["2005-02-28", "AAPL", 2.0],
        ["2003-02-18", "MSFT", 2.0],
    ]


def test_dividends_are_found_with_their_announced_amounts(actions):
    paid = actions[actions["dividend"] > 0]
    assert paid.groupby("symbol").size().to_dict() == {"AAPL": 3, "IBM": 52, "MSFT": 37}
    assert paid[paid["symbol"] == "AAPL"]["dividend"].tolist() == [2.65] * 3
    microsoft = paid[paid["symbol"] == "MSFT"].set_index("date")["dividend"]
    # the first dividend ever, the first after the split, the special one of $3.00 with the ordinary $0.08
    assert microsoft[["2003-02-19", "2003-10-15", "2004-11-15"]].tolist() == [0.08, 0.16, 3.08]
    ibm = paid[paid["symbol"] == "IBM"]["dividend"].tolist()
    assert (ibm[0], ibm[-1]) == (0.13, 0.85)
    assert np.all(np.diff(ibm) >= 0)  # it was raised every year and never cut


def test_our_adjusted_closes_are_those_of_the_publisher_up_to_a_scale(bundled, packaged):
    for symbol, own in packaged.groupby("Ticker"):
        published = own["Adj Close"].to_numpy()
        ours = bundled.close[symbol].dropna().to_numpy()
        scaled = published * (ours[-1] / published[-1])
        assert np.abs(ours - scaled).max() < 0.005, symbol


def test_building_again_from_the_package_gives_the_committed_files(tmp_path):
    package = tmp_path / "bokeh_sampledata" / "_data"
    package.mkdir(parents=True)
    shutil.copy(FOLDER / "stocks.csv.gz", package)
    runpy.run_path(str(FOLDER / "build.py"))["main"](tmp_path, tmp_path)
    for name in ("stocks.csv.gz", "actions.csv"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_building_from_another_package_is_refused(tmp_path):
    (tmp_path / "_data").mkdir()
    (tmp_path / "_data" / "stocks.csv.gz").write_bytes(b"something else")
    with pytest.raises(SystemExit, match="use bokeh_sampledata 2026.1"):
        runpy.run_path(str(FOLDER / "build.py"))["main"](tmp_path, tmp_path)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(DataUnavailable, match=re.escape(str(tmp_path / "stocks.csv.gz"))):
        SampleSource(tmp_path).fetch("AAPL", *WIDEST, "1d")


def test_an_unknown_symbol_is_named_with_what_there_is():
    with pytest.raises(UnknownSymbol, match="XOM.*AAPL, FB, GOOG, IBM, MSFT"):
        SampleSource().fetch("XOM", *WIDEST, "1d")


def test_edited_prices_are_not_mixed_with_what_the_cache_holds(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("stocks.csv.gz", "actions.csv"):
        shutil.copy(FOLDER / name, folder)
    cache = BarCache(tmp_path / "cache")
    before = MarketData(SampleSource(folder), cache).bars("AAPL")
    (folder / "actions.csv").write_text("date,symbol,split,dividend\n")
    after = MarketData(SampleSource(folder), cache).bars("AAPL")
    assert len(before.actions) == 5 and len(after.actions) == 0
