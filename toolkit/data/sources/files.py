"""A folder of people's own prices as a source: one CSV or Parquet file a symbol.

    folder/AAPL.csv            daily: date, open, high, low, close, volume, and if there are any split and dividend
    folder/MSFT.parquet        the same; columns in any case and order, others are ignored
    folder/actions.csv         date, symbol, split, dividend: instead of the two columns, or beside them
    folder/1m/AAPL.csv.gz      intraday: a sub-folder an interval, opening instants with their time zone

Prices are as traded. A split is new shares for one old, a dividend dollars a share held before that day's split; an empty
cell, or 0, is none. An empty row is a halt.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.data.adjust import FIELDS
from toolkit.data.calendar import Calendar
from toolkit.data.frames import events_of
from toolkit.data.meter import Meter
from toolkit.data.sources import History
from toolkit.data.symbols import PATTERN, checked_symbol
from toolkit.errors import DataUnavailable, InvalidBars, InvalidParameter, UnknownSymbol

INTRADAY = ("1m", "2m", "5m", "15m", "30m", "1h")
SUFFIXES = (".csv", ".csv.gz", ".parquet")
LABELS = ("date", "datetime", "timestamp", "time", "index", "unnamed: 0", "")
ACTIONS = "actions"
EARLIEST_LATEST = pd.Timestamp("1700-01-01", tz="UTC"), pd.Timestamp("2200-01-01", tz="UTC")
LOCALISE = "label by opening instant: frame.tz_localize('America/New_York'), or write 2012-01-03T14:30:00Z"


_State = tuple[int, int, int]  # size and times, in nanoseconds, of the content and of the entry in the folder


class _File(NamedTuple):
    """A file as it was found: any edit changes `state`."""

    path: Path
    state: _State


@dataclass(frozen=True)
class _Table:
    """What a file holds; `path` is for messages."""

    path: Path
    frame: pd.DataFrame

    def wrong(self, what: str, cure: str) -> DataUnavailable:
        return DataUnavailable(f"{self.path}: {what}", cure)

    def row(self, wrong: pd.Series) -> str:
        """Where the first wrong row is, as an editor counts the lines of a CSV file."""
        at = int(wrong.index[np.argmax(wrong.to_numpy())])
        return f"row {at + 1}" if self.path.suffix == ".parquet" else f"line {at + 2}"

    def column(self, *names: str) -> pd.Series | None:
        """The one column that has one of these names, in any case; None if there is none."""
        # pandas calls the second of two columns `close` close.1
        plain = [re.sub(r"\.\d+$", "", str(column)).strip().lower() for column in self.frame.columns]
        found = [k for k, name in enumerate(plain) if name in names]
        if len(found) > 1:
            several = ", ".join(repr(str(self.frame.columns[k])) for k in found)
            raise self.wrong(f"the columns {several} mean the same", "keep one of them")
        return self.frame.iloc[:, found[0]] if found else None

    def numbers(self, name: str) -> np.ndarray | None:
        """A column as float64, NaN where it is empty."""
        column = self.column(name)
        if column is None:
            return None
        try:
            return column.to_numpy(dtype=float, na_value=np.nan)
        except (ValueError, TypeError) as error:
            wrong = pd.to_numeric(column, errors="coerce").isna() & column.notna()
            where = f", {self.row(wrong)}: {column[wrong].iloc[0]!r} is no number" if wrong.any() else f": {error}"
            raise self.wrong(f"column {name!r}{where}", "correct the cell, or empty the row for a halt") from error

    def labels(self, interval: str) -> np.ndarray:
        """Session dates, or of intraday bars opening instants, naive UTC; M8[ns]. A date must have no time."""
        column = self.column(*LABELS)
        if column is None:
            cure = "name the column date (daily) or time (intraday)"
            raise self.wrong(f"none of the columns {', '.join(map(str, self.frame.columns))} holds dates", cure)
        stamps = self._stamps(column, aware=interval != "1d")
        wrong = stamps != stamps.dt.normalize()
        if interval == "1d" and wrong.any():
            what = f"column {column.name!r}, {self.row(wrong)}: {column[wrong].iloc[0]} is no date"
            raise self.wrong(what, "label daily bars by session date, or move the file to a sub-folder, e.g. 1h")
        return stamps.dt.tz_localize(None).to_numpy("M8[ns]")

    def _stamps(self, column: pd.Series, aware: bool) -> pd.Series:
        """The column as UTC; every cell must have a time zone if `aware`, and none otherwise."""
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            zoned = pd.Series(isinstance(column.dtype, pd.DatetimeTZDtype), column.index)
            stamps = pd.to_datetime(column, utc=True)
        else:
            text = column.astype("string").str.strip()
            zoned = text.str.contains(r"[Zz]$|:\d\d(?:\.\d+)?\s?[+-]\d\d(?::?\d\d)?$", na=False)
            stamps = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
        wrong = ~stamps.between(*EARLIEST_LATEST)
        if wrong.any():
            what = f"column {column.name!r}, {self.row(wrong)}: {column[wrong].iloc[0]!r} is no date or time"
            raise self.wrong(what, "write dates as 2012-01-03, instants as 2012-01-03T14:30:00Z")
        strange = zoned != aware
        if strange.any():
            shown = f"column {column.name!r}, {self.row(strange)}: {column[strange].iloc[0]}"
            cure = LOCALISE if aware else "label by session date: frame.tz_localize(None), or move the file to a sub-folder"
            raise self.wrong(f"{shown} has {'no' if aware else 'a'} time zone", cure)
        return stamps


class FolderSource:
    """Bars of the files in `folder`, read anew at each fetch; its meter counts them. `calendar` is an ISO 10383 code.

    Every edit of a file changes `edition`, so that nothing stored of it is taken for what it says now. Raises
    DataUnavailable for a folder or file that cannot be read, with file, column and row; UnknownSymbol without a file.
    """

    name = "folder"
    delay = pd.Timedelta(0)

    def __init__(self, folder: Path | str, calendar: str = "XNYS", currency: str = "USD") -> None:
        self.folder = Path(folder).expanduser().resolve()
        self.calendar, self.currency = calendar, currency
        self.meter = Meter()

    @property
    def edition(self) -> str:
        """Digest of place, names, sizes and times of all files; computed at each access, one system call a file."""
        listed = [(interval, self._listed(interval)) for interval in ("1d", *INTRADAY)]
        state = (str(self.folder), self.calendar, self.currency, listed)
        return hashlib.blake2b(repr(state).encode(), digest_size=8).hexdigest()

    @property
    def symbols(self) -> tuple[str, ...]:
        """All that the folder holds, at any interval, sorted."""
        stems = {_stem(name) for interval in ("1d", *INTRADAY) for name, _ in self._listed(interval)}
        return tuple(sorted(stem for stem in stems if PATTERN.fullmatch(stem)))

    def reach(self, interval: str) -> pd.Timedelta | None:
        if interval not in ("1d", *INTRADAY):
            raise InvalidParameter(f"interval is {interval!r}", f"pass one of {', '.join(('1d', *INTRADAY))}")
        return None

    def fetch(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> History:
        self.reach(interval)
        file = self._file(checked_symbol(symbol), interval)
        self.meter.count()
        table = _read(file, symbol)
        labels, traded = table.labels(interval), _prices(table)
        if len(labels) == 0:
            raise table.wrong("there is no row", "write at least one bar")
        exchange = Calendar(self.calendar)
        days = labels if interval == "1d" else _session_dates(labels, exchange)
        first, last = start.to_datetime64(), end.to_datetime64()
        kept = (days >= first) & (days <= last)
        events = self._events(symbol, table, days, interval)
        inside = events[(events["date"] >= first) & (events["date"] <= last)]
        return History(
            symbol, labels[kept], traded[:, kept], inside, exchange.name, self.currency, last=pd.Timestamp(days.max())
        )

    def _place(self, interval: str) -> Path:
        return self.folder if interval == "1d" else self.folder / interval

    def _listed(self, interval: str) -> list[tuple[str, _State]]:
        """Names and states of the files of an interval, sorted; a missing sub-folder has none."""
        files, place = [], self._place(interval)
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.endswith(SUFFIXES) and not entry.name.startswith("."):
                        with contextlib.suppress(FileNotFoundError):  # removed since, or a link to nowhere
                            files.append((entry.name, _state(entry.stat())))
        except FileNotFoundError:
            if interval == "1d":
                raise DataUnavailable(f"folder {place} does not exist", "name a folder with one file a symbol") from None
        except OSError as error:
            raise DataUnavailable(f"folder {place} cannot be listed ({error.strerror})", "mend its permissions") from error
        return sorted(files)

    def _found(self, stem: str, interval: str) -> list[_File]:
        """The files of that name; `stem` is a checked symbol or one of ours, so that no path leads elsewhere."""
        files = []
        for suffix in SUFFIXES:
            path = self._place(interval) / f"{stem}{suffix}"
            with contextlib.suppress(FileNotFoundError):
                files.append(_File(path, _state(os.stat(path))))
        return files

    def _file(self, symbol: str, interval: str) -> _File:
        found = self._found(symbol, interval)
        if len(found) == 1:
            return found[0]
        if found:
            several = " and ".join(file.path.name for file in found)
            raise DataUnavailable(f"{symbol}: both {several} are there", "keep one of them", symbol=symbol)
        names = [name for name, _ in self._listed(interval)]
        similar = [name for name in names if _stem(name).upper() == symbol]
        held = [_stem(name) for name in names if PATTERN.fullmatch(_stem(name))]
        cure = f"use one of {', '.join(held[:8])}{', ...' * (len(held) > 8)}" if held else f"add {symbol}.csv"
        cure = f"rename {similar[0]}: file names are symbols, in upper case" if similar else cure
        raise UnknownSymbol(f"{symbol}: no {interval} file in {self.folder}", cure, symbol=symbol)

    def _events(self, symbol: str, table: _Table, days: np.ndarray, interval: str) -> np.ndarray:
        """Splits and dividends from the columns of the symbol's files and from the table of actions, each once."""
        rows = [_acting(table, days)]
        rows += [_actions(_read(file, symbol), symbol) for file in self._found(ACTIONS, "1d")]
        for file in self._found(symbol, "1d") if interval != "1d" else ():
            daily = _read(file, symbol)
            rows.append(_acting(daily, daily.labels("1d")))
        together = pd.concat(rows).drop_duplicates(["date", "split", "dividend"])
        try:
            return events_of(together.assign(symbol=symbol), (symbol,))[0]
        except InvalidBars as error:
            cure = f"correct {ACTIONS}.csv, or the columns split and dividend"
            raise DataUnavailable(f"{symbol}, {table.path}: {error.what}", cure, symbol=symbol) from error


def _stem(name: str) -> str:
    return next((name.removesuffix(suffix) for suffix in reversed(SUFFIXES) if name.endswith(suffix)), name)


def _state(stat: os.stat_result) -> _State:
    """What changes with every edit: the change time also where somebody set the modification time back."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _read(file: _File, symbol: str) -> _Table:
    """The whole file; raises DataUnavailable if it cannot be read, or is written to while it is."""
    try:
        if file.path.suffix == ".parquet":
            frame = pd.read_parquet(file.path)
        else:
            # As text: which digits the parser of pandas keeps has changed from version to version.
            frame = pd.read_csv(file.path, dtype=str, encoding="utf-8-sig", skip_blank_lines=False)
        changed = _state(os.stat(file.path)) != file.state
    except ImportError as error:
        cure = "pip install 'toolkit[parquet]', or write a CSV file"
        raise DataUnavailable(f"{file.path} needs pyarrow, which is not installed", cure, symbol=symbol) from error
    except Exception as error:  # pandas, pyarrow, zlib and the file system share no base class for a spoiled file
        what = f"{file.path} cannot be read ({type(error).__name__}: {str(error)[:200]})"
        raise DataUnavailable(what, "write it again", symbol=symbol) from error
    if changed:
        raise DataUnavailable(f"{file.path} was written to while it was read", "ask again", symbol=symbol)
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    return _Table(file.path, frame.dropna(how="all"))


def _prices(table: _Table) -> np.ndarray:
    """(5, n_bars) in the order of FIELDS."""
    columns = {name: table.numbers(name) for name in FIELDS}
    for name, column in columns.items():
        if column is None:
            there = ", ".join(map(str, table.frame.columns))
            raise table.wrong(f"column {name!r} is missing among {there}", f"give {', '.join(FIELDS)}")
    return np.array(list(columns.values()))


def _acting(table: _Table, days: np.ndarray) -> pd.DataFrame:
    """Rows of the columns split and dividend that say something."""
    split, dividend = table.numbers("split"), table.numbers("dividend")
    split = np.ones(len(days)) if split is None else np.where(np.isnan(split) | (split == 0), 1.0, split)
    dividend = np.zeros(len(days)) if dividend is None else np.where(np.isnan(dividend), 0.0, dividend)
    rows = pd.DataFrame({"date": days, "split": split, "dividend": dividend})
    return rows[(split != 1.0) | (dividend != 0.0)]


def _actions(table: _Table, symbol: str) -> pd.DataFrame:
    names = table.column("symbol")
    if names is None:
        raise table.wrong("column 'symbol' is missing", "give date, symbol, split and dividend")
    own = _Table(table.path, table.frame[(names.astype("string").str.strip() == symbol).to_numpy(bool, na_value=False)])
    return _acting(own, own.labels("1d"))


def _session_dates(labels: np.ndarray, exchange: Calendar) -> np.ndarray:
    """The session that each instant belongs to, or that was the last to open before it."""
    return exchange.sessions[np.maximum(np.searchsorted(exchange.opens, labels, "right") - 1, 0)]
