"""Bars leave for other tools whole, inert and with their origin, and come back bit for bit."""

import gzip
import json
import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from conftest import SYMBOLS, random_bars
from toolkit.data import FIELDS, BarCache, Bars, MarketData, ReplayClock
from toolkit.data.export import export, export_folder
from toolkit.data.sources.files import FolderSource
from toolkit.data.sources.synthetic import SyntheticSource
from toolkit.errors import InvalidParameter, InvalidSymbol

SINCE, UNTIL = pd.Timestamp("1990-01-01"), pd.Timestamp("2030-01-01")
KINDS = ["csv", "csv.gz", "parquet"]


def read(path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    texts = pd.read_csv(path, dtype=str, parse_dates=[0])
    return texts.assign(**{name: texts[name].to_numpy(dtype=float) for name in texts.columns[2:]})


def intraday(interval: str) -> Bars:
    """Two synthetic symbols around a half day, with a split of our own."""
    frames = {}
    for symbol in ("AAA", "^BBB"):
        history = SyntheticSource(4).fetch(symbol, pd.Timestamp("2012-11-21"), pd.Timestamp("2012-11-26"), interval)
        index = pd.DatetimeIndex(history.labels, tz="UTC")
        frames[symbol] = pd.DataFrame(history.traded.T, columns=FIELDS, index=index)
    actions = pd.DataFrame({"date": ["2012-11-23 14:30"], "symbol": "AAA", "split": 1.5, "dividend": 0.1})
    return Bars.from_frame(frames, interval=interval, actions=actions)


# --- one long table


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_table_holds_every_bar_as_traded_and_its_adjusted_close(bundled, tmp_path, kind):
    table = read(export(bundled, tmp_path / f"prices.{kind}"))
    assert list(table.columns) == ["date", "symbol", *FIELDS, "adjusted_close", "split", "dividend"]
    assert len(table) == 12_154  # rows of the bundled file, see data/README.md
    for k, symbol in enumerate(SYMBOLS):
        own, priced = table[table["symbol"] == symbol], np.isfinite(bundled.traded[3, k])
        assert np.array_equal(own["date"].to_numpy("M8[ns]"), bundled.index[priced].to_numpy())
        assert np.array_equal(own[list(FIELDS)].to_numpy().T, bundled.traded[:, k, priced])
        assert np.array_equal(own["adjusted_close"], bundled.adjusted[3, k, priced])
    splits = table[table["split"] != 1.0]
    assert [(str(d.date()), s, r) for d, s, r in zip(splits["date"], splits["symbol"], splits["split"])] == [
        ("2000-06-21", "AAPL", 2.0),
        ("2005-02-28", "AAPL", 2.0),
        ("2003-02-18", "MSFT", 2.0),
    ]


def test_intraday_bars_carry_the_instant_in_utc(tmp_path):
    text = export(intraday("1h"), tmp_path / "hours.csv").read_text().splitlines()
    assert text[0].startswith("time,symbol,open") and text[1].startswith("2012-11-21T14:30:00Z,AAA,")


def test_an_action_on_a_day_without_a_price_is_not_lost(tmp_path):
    bars = random_bars(3)
    halted = replace(bars, traded=np.where(np.arange(160) == bars.actions["bar"][0], np.nan, bars.traded))
    table = read(export(halted, tmp_path / "prices.csv"))
    assert ((table["split"] != 1.0) | (table["dividend"] != 0.0)).sum() == (
        (bars.actions["split"] != 1.0) | (bars.actions["dividend"] != 0.0)
    ).sum()


def test_two_actions_that_fall_on_one_bar_are_both_felt(tmp_path):
    bars = random_bars(1, n_symbols=1, halts=False, actions=False)
    rows = np.zeros(2, bars.actions.dtype)
    rows["bar"], rows["split"], rows["dividend"] = 50, [2.0, 1.0], [0.0, 0.25]
    table = read(export(replace(bars, actions=rows), tmp_path / "prices.csv"))
    assert table.loc[50, ["split", "dividend"]].tolist() == [2.0, 0.5]  # a quarter on each of two shares


@pytest.mark.parametrize("symbol", ["=X", "+X", "-X", "@X", "\tX", "\rX"])
def test_a_spreadsheet_finds_no_formula(tmp_path, symbol):
    bars = replace(random_bars(1, n_symbols=2), symbols=(symbol, "^GSPC"))
    cells = set(pd.read_csv(export(bars, tmp_path / "prices.csv"))["symbol"])
    assert cells == {f"'{symbol}".replace("\r", " "), "^GSPC"}
    assert set(read(export(bars, tmp_path / "prices.parquet"))["symbol"]) == {symbol, "^GSPC"}


def test_a_parquet_file_says_where_its_prices_come_from(bundled, tmp_path):
    path = export(bundled.select(["AAPL", "IBM"]), tmp_path / "prices.parquet")
    metadata = json.loads(pyarrow.parquet.read_schema(path).metadata[b"PANDAS_ATTRS"])["toolkit"]
    own = bundled.provenance["IBM"]
    assert metadata["provenance"]["IBM"] == {
        "source": "sample",
        "fetched_at": own.fetched_at.isoformat(),
        "revision": own.revision,
    }
    assert sorted(metadata["provenance"]) == ["AAPL", "IBM"]
    assert (metadata["calendar"], metadata["currency"], metadata["anchor"]) == ("XNYS", "USD", "2013-03-01T00:00:00")
    assert pd.read_parquet(path).attrs["toolkit"] == metadata


def test_the_same_bars_make_the_same_packed_file(tmp_path):
    first = export(random_bars(1), tmp_path / "a.csv.gz").read_bytes()
    assert export(random_bars(1), tmp_path / "b.csv.gz").read_bytes() == first
    assert gzip.decompress(first).startswith(b"date,symbol")


# --- a folder


@pytest.mark.parametrize("kind", KINDS)
def test_daily_bars_come_back_bit_for_bit_through_a_folder(bundled, tmp_path, kind):
    paths = export_folder(bundled, tmp_path / "prices", kind)
    assert [path.name for path in paths] == [f"{symbol}.{kind}" for symbol in SYMBOLS]
    clock = ReplayClock([pd.Timestamp("2013-03-02", tz="UTC")])
    again = MarketData(FolderSource(tmp_path / "prices"), BarCache(tmp_path / "cache"), clock).bars(SYMBOLS)
    assert np.array_equal(again.traded, bundled.traded, equal_nan=True)
    assert np.array_equal(again.adjusted, bundled.adjusted, equal_nan=True)
    assert np.array_equal(again.actions, bundled.actions) and again.index.equals(bundled.index)


@pytest.mark.parametrize("interval", ["1m", "30m"])
@pytest.mark.parametrize("kind", KINDS)
def test_intraday_bars_come_back_bit_for_bit_through_a_folder(tmp_path, kind, interval):
    bars = intraday(interval)
    paths = export_folder(bars, tmp_path, kind)
    assert paths[1] == tmp_path / interval / f"^BBB.{kind}"
    for k, symbol in enumerate(bars.symbols):
        history = FolderSource(tmp_path).fetch(symbol, SINCE, UNTIL, interval)
        priced = np.isfinite(bars.traded[3, k])
        assert np.array_equal(history.labels, bars.index[priced].tz_localize(None).to_numpy("M8[ns]"))
        assert np.array_equal(history.traded, bars.traded[:, k, priced])
    events = FolderSource(tmp_path).fetch("AAA", SINCE, UNTIL, interval).events
    assert events.tolist() == [(pd.Timestamp("2012-11-23").value, 1.5, 0.1)]


@pytest.mark.parametrize("seed", range(4))
def test_prices_with_all_their_digits_and_odd_splits_come_back(tmp_path, seed):
    bars = random_bars(seed)
    export_folder(bars, tmp_path)
    for k, symbol in enumerate(bars.symbols):
        history = FolderSource(tmp_path).fetch(symbol, SINCE, UNTIL, "1d")
        at = np.searchsorted(bars.index.to_numpy("M8[ns]"), history.labels)
        assert np.array_equal(history.traded, bars.traded[:, k, at], equal_nan=True)
        own = bars.actions[bars.actions["symbol"] == k]
        felt = own[(own["split"] != 1.0) | (own["dividend"] != 0.0)]
        assert np.array_equal(history.events["split"], felt["split"])
        assert np.array_equal(history.events["dividend"], felt["dividend"])


# --- what cannot be written


@pytest.mark.parametrize("name", ["prices", "prices.xlsx", "prices.csv.bz2"])
def test_an_unknown_ending_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(InvalidParameter, match="csv.gz, .parquet"):
        export(random_bars(1), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_kind_or_interval_that_a_folder_does_not_hold_is_refused(tmp_path):
    with pytest.raises(InvalidParameter, match="xlsx"):
        export_folder(random_bars(1), tmp_path, "xlsx")
    with pytest.raises(InvalidParameter, match="1wk"):
        export_folder(replace(random_bars(1), interval="1wk"), tmp_path)
    with pytest.raises(InvalidSymbol):
        export_folder(replace(random_bars(1, n_symbols=1), symbols=("../X",)), tmp_path / "inner")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "occupied").touch()
    with pytest.raises(InvalidParameter, match="occupied"):
        export(random_bars(1), tmp_path / "occupied" / "prices.csv")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = export(random_bars(1), tmp_path / "prices.csv")
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # as on a full disk
    try:
        with pytest.raises(InvalidParameter, match="cannot be written"):
            export(random_bars(2), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None
import pandas as pd
from toolkit.data import Bars, FIELDS
from toolkit.data.export import export
from toolkit.data.sources.files import FolderSource
bars = Bars.from_frame(pd.DataFrame(1.0, columns=FIELDS, index=pd.to_datetime(["2012-01-03"])), symbol="A")
for ask in (
    lambda: export(bars, sys.argv[1] + "/prices.parquet"),
    lambda: FolderSource(sys.argv[1]).fetch("S0", pd.Timestamp("2000"), pd.Timestamp("2020"), "1d"),
):
    try:
        ask()
    except Exception as error:
        print(type(error).__name__, "|", error)
"""


def test_without_pyarrow_parquet_says_what_to_install(tmp_path):
    export_folder(random_bars(1, n_symbols=1), tmp_path, "parquet")
    command = [sys.executable, "-c", WITHOUT_PYARROW, str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert [line.partition(" | ")[0] for line in answer] == ["InvalidParameter", "DataUnavailable"]
    assert all("pip install 'toolkit[parquet]'" in line for line in answer)
