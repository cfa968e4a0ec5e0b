"""Where bars come from: as traded, with splits and dividends; one symbol at a time, or many in one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from toolkit.data.bars import Issue
from toolkit.data.meter import Meter
from toolkit.errors import ToolkitError


@dataclass(frozen=True)
class History:
    """What a source sent of one symbol; MarketData validates it, so a source passes on what it got.

    `labels` (M8[ns]) are session dates, or of intraday bars their opening instants, UTC. `traded` is (5, n_bars) in the
    order of FIELDS, as traded, NaN where the source sent nothing. `events` (dtype EVENT) are sorted by date, one row a date;
    dividends are cash a share held before that day's split. `last` is the last session that the source will ever have of this
    symbol, None while new bars come.
    """

    symbol: str
    labels: np.ndarray
    traded: np.ndarray
    events: np.ndarray
    calendar: str = "XNYS"
    currency: str = "USD"
    issues: tuple[Issue, ...] = ()
    last: pd.Timestamp | None = None


class Source(Protocol):
    """What the cache asks of a source. It raises UnknownSymbol, or DataUnavailable when asking again may help."""

    @property
    def name(self) -> str:
        """Shown in `provenance` and part of every cache key."""

    @property
    def edition(self) -> str:
        """Part of every cache key: changes when bars stored from this source no longer hold; empty for a live one."""

    @property
    def delay(self) -> pd.Timedelta:
        """From the close of a bar to its publication."""

    @property
    def meter(self) -> Meter:
        """Counts each request just before it is made."""

    def reach(self, interval: str) -> pd.Timedelta | None:
        """How far back from now it serves `interval`; None: as far as there are bars. InvalidParameter if it has none."""

    def fetch(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> History:
        """Bars of the sessions `start` to `end`, both included, and all actions within; called by many threads."""


@runtime_checkable
class BatchSource(Source, Protocol):
    """A source that answers for many symbols in one request, of at most `batch` symbols."""

    @property
    def batch(self) -> int:
        """Symbols in one request."""

    def fetch_many(
        self, symbols: Sequence[str], start: pd.Timestamp, end: pd.Timestamp, interval: str
    ) -> Mapping[str, History | ToolkitError]:
        """For each symbol what `fetch` would return, or the error that it would raise."""
