"""Bars for other tools: one long table, or a folder of one file a symbol that FolderSource reads back bit for bit.

    export(bars, "prices.parquet")
    export_folder(bars, "prices/", kind="csv")

A file appears whole or not at all: it is written under another name and then renamed.
"""

from __future__ import annotations

import contextlib
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from toolkit.data.adjust import FIELDS
from toolkit.data.bars import Bars
from toolkit.data.symbols import checked_symbol
from toolkit.errors import InvalidParameter

KINDS = {".csv": "csv", ".csv.gz": "csv.gz", ".parquet": "parquet"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
FOLDER_INTERVALS = ("1d", "1m", "2m", "5m", "15m", "30m", "1h")


def export(bars: Bars, path: Path | str) -> Path:
    """Writes all bars to `path` (.csv, .csv.gz or .parquet) and returns it; an existing file is replaced.

    One row a bar, sorted by symbol, then time: date (or time, UTC), symbol, open, high, low, close and volume as traded,
    adjusted_close, split (1.0: none), dividend. Bars without a price are left out unless they hold an action. In a CSV
    file a symbol that a spreadsheet would take for a formula begins with an apostrophe; a Parquet file keeps source,
    fetched_at and revision of each symbol in its metadata. Raises InvalidParameter where it cannot be written.
    """
    place = Path(path).expanduser()
    kind = next((kind for suffix, kind in reversed(KINDS.items()) if place.name.endswith(suffix)), None)
    if kind is None:
        raise InvalidParameter(f"path {place} has none of the known endings", f"end it in {', '.join(KINDS)}")
    tables = [_table(bars, k) for k in range(len(bars.symbols))]
    _write(pd.concat(tables, ignore_index=True), place, kind, bars)
    return place


def export_folder(bars: Bars, folder: Path | str, kind: str = "csv") -> list[Path]:
    """Writes one file a symbol ("csv", "csv.gz" or "parquet") as FolderSource reads them, and returns their paths.

    Intraday bars go to a sub-folder named by their interval. Columns are those of `export`, which see. Raises
    InvalidParameter for another kind or interval, and where a file cannot be written.
    """
    if kind not in KINDS.values():
        raise InvalidParameter(f"kind is {kind!r}", f"pass one of {', '.join(KINDS.values())}")
    if bars.interval not in FOLDER_INTERVALS:
        what = f"interval is {bars.interval!r}, which a folder does not hold"
        raise InvalidParameter(what, "export the daily bars: weeks and months are made from them")
    place = Path(folder).expanduser()
    place = place if bars.interval == "1d" else place / bars.interval
    paths = []
    for k, symbol in enumerate(bars.symbols):
        paths.append(place / f"{checked_symbol(symbol)}.{kind}")
        _write(_table(bars, k), paths[-1], kind, bars)
    return paths


def _table(bars: Bars, k: int) -> pd.DataFrame:
    """Rows of the symbol at position `k`."""
    split, dividend = np.ones(len(bars)), np.zeros(len(bars))
    for bar, _, ratio, paid in bars.actions[bars.actions["symbol"] == k].tolist():
        # a later dividend on the same bar is paid on the shares that came of an earlier split
        split[bar], dividend[bar] = split[bar] * ratio, dividend[bar] + split[bar] * paid
    label = "date" if bars.interval == "1d" else "time"
    columns = {label: bars.index, "symbol": bars.symbols[k]}
    columns |= {name: bars.traded[i, k] for i, name in enumerate(FIELDS)}
    columns |= {"adjusted_close": bars.field(3)[k], "split": split, "dividend": dividend}
    said = np.isfinite(bars.traded[:, k]).any(axis=0) | (split != 1.0) | (dividend != 0.0)
    return pd.DataFrame(columns)[said]


def _write(table: pd.DataFrame, place: Path, kind: str, bars: Bars) -> None:
    def csv(path: Path) -> None:
        inert = table.assign(symbol=[_inert(symbol) for symbol in table["symbol"]])
        with open(path, "wb") as raw, _packed(raw) if kind == "csv.gz" else contextlib.nullcontext(raw) as file:
            inert.to_csv(file, index=False, date_format=None if bars.interval == "1d" else "%Y-%m-%dT%H:%M:%SZ")

    def parquet(path: Path) -> None:
        table.attrs = _about(bars, set(table["symbol"]))
        table.to_parquet(path, index=False, engine="pyarrow")

    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _renamed(place, parquet if kind == "parquet" else csv)
    except ImportError as error:
        cure = "pip install 'toolkit[parquet]', or export to .csv.gz"
        raise InvalidParameter(f"{place} needs pyarrow, which is not installed", cure) from error
    except OSError as error:
        raise InvalidParameter(f"{place} cannot be written ({error.strerror or error})", "choose another place") from error


def _renamed(place: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` write under another name, then puts the file where it belongs, on the disk."""
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, place)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _about(bars: Bars, symbols: set[str]) -> dict[str, object]:
    """What pandas keeps in the metadata of a Parquet file, under PANDAS_ATTRS."""
    provenance = {
        symbol: {"source": each.source, "fetched_at": each.fetched_at.isoformat(), "revision": each.revision}
        for symbol, each in bars.provenance.items()
        if symbol in symbols
    }
    anchor = bars.anchor.isoformat()
    about = {"interval": bars.interval, "calendar": bars.calendar, "currency": bars.currency, "anchor": anchor}
    return {"toolkit": {**about, "provenance": provenance}}


def _packed(raw: IO[bytes]) -> gzip.GzipFile:
    """Without name and time in its header: the same bars make the same bytes."""
    return gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)


def _inert(text: str) -> str:
    """A text cell that no spreadsheet takes for a formula, on one line."""
    return " ".join((f"'{text}" if text.startswith(FORMULA) else text).splitlines())
