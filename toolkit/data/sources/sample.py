"""The bundled real prices as a source: five symbols, 2000 to 2013, without a network."""

from __future__ import annotations

import hashlib
import threading
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

import toolkit
from toolkit.data.adjust import ANCHOR, EVENT, FIELDS
from toolkit.data.frames import events_of
from toolkit.data.meter import Meter
from toolkit.data.sources import History
from toolkit.errors import DataUnavailable, InvalidParameter, UnknownSymbol

FOLDER = Path(toolkit.__file__).resolve().parent.parent / "data"


class SampleSource:
    """Reads stocks.csv.gz and actions.csv in `folder`; its meter counts what was asked of it.

    Raises DataUnavailable where the files are missing.
    """

    name = "sample"
    delay = pd.Timedelta(0)

    def __init__(self, folder: Path | str = FOLDER) -> None:
        self.folder = Path(folder)
        self.meter = Meter()
        self._lock = threading.Lock()

    def _content(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            cure = "run from a checkout of the repository, or rebuild the files with data/build.py"
            what = f"bundled prices {self.folder / name} cannot be read ({error.strerror})"
            raise DataUnavailable(what, cure) from error

    @cached_property
    def edition(self) -> str:
        """Digest of both files: edited prices are never mixed with what the cache holds of the old ones."""
        both = self._content("stocks.csv.gz") + self._content("actions.csv")
        return hashlib.blake2b(both, digest_size=4).hexdigest()

    @cached_property
    def _stocks(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        self._content("stocks.csv.gz")
        rows = pd.read_csv(self.folder / "stocks.csv.gz", parse_dates=["Date"])
        columns = [name.capitalize() for name in FIELDS]
        return {
            str(symbol): (own["Date"].to_numpy("M8[ns]"), np.ascontiguousarray(own[columns].to_numpy(float).T))
            for symbol, own in rows.groupby("Ticker")
        }

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """What this source holds."""
        return tuple(self._stocks)

    @cached_property
    def _events(self) -> dict[str, np.ndarray]:
        self._content("actions.csv")
        actions = pd.read_csv(self.folder / "actions.csv", parse_dates=["date"])
        return dict(zip(self.symbols, events_of(actions, self.symbols)))

    def reach(self, interval: str) -> pd.Timedelta | None:
        if interval != "1d":
            raise InvalidParameter(f"interval is {interval!r}", "the bundled prices are daily: pass '1d', '1wk' or '1mo'")
        return None

    def fetch(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> History:
        with self._lock:
            self.meter.count()
            stocks, events = self._stocks, self._events
        self.reach(interval)
        if symbol not in stocks:
            cure = f"use one of {', '.join(stocks)}, or another source"
            raise UnknownSymbol(f"{symbol}: not among the bundled prices", cure, symbol=symbol)
        days, traded = stocks[symbol]
        first, last = start.to_datetime64(), end.to_datetime64()
        kept = slice(int(np.searchsorted(days, first)), int(np.searchsorted(days, last, "right")))
        own = events[symbol]
        inside = own[(own["date"] >= first) & (own["date"] <= last)]
        return History(symbol, days[kept], traded[:, kept], inside.astype(EVENT), last=ANCHOR)
