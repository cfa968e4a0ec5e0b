"""Where bars come from: one symbol at a time, as traded, with its splits and dividends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from toolkit.data.bars import Issue


@dataclass(frozen=True)
class History:
    """What a source knows of one symbol, checked: rising session dates `days` (M8[ns]), `traded` (5, n_bars) as traded.

    `events` (dtype EVENT) are sorted by date, one row a date; dividends are dollars a share held before that day's
    split.
    """

    symbol: str
    days: np.ndarray
    traded: np.ndarray
    events: np.ndarray
    calendar: str = "XNYS"
    currency: str = "USD"
    issues: tuple[Issue, ...] = ()


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
    def ends(self) -> pd.Timestamp | None:
        """Last session it will ever have, of a closed collection; None while new bars come."""

    @property
    def calls(self) -> int:
        """Requests made so far, retries included."""

    def fetch(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> History:
        """Bars labelled `start` to `end`, both included, as traded, and all actions within; called by many threads."""
