"""Daily bars as a tape: when something happens in a session, and at which prices; `k` is a session's place in the calendar."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from toolkit.data import Bars, Calendar
from toolkit.data.clock import utc64
from toolkit.errors import InvalidParameter
from toolkit.testing.exchange_values import EASTERN


class Tape:
    """The sessions of `bars` (daily), whose calendar is that of New York if they name none."""

    def __init__(self, bars: Bars) -> None:
        if bars.interval != "1d":
            raise InvalidParameter(f"bars are of {bars.interval}", "an exchange trades daily bars, interval '1d'")
        self.bars, self.calendar = bars, Calendar(bars.calendar or "XNYS")

    def last_close(self, now: pd.Timestamp) -> int:
        """The last session that is over at `now`."""
        return int(np.searchsorted(self.calendar.closes, utc64(now), "right")) - 1

    def is_open(self, now: pd.Timestamp) -> bool:
        """Whether a session is under way."""
        return int(np.searchsorted(self.calendar.opens, utc64(now), "right")) - 1 > self.last_close(now)

    def moments(self, since: pd.Timestamp, now: pd.Timestamp) -> Iterator[tuple[pd.Timestamp, int, str]]:
        """Midnight of New York, open and close of each session, after `since` and up to `now`."""
        for k in range(self.last_close(since) + 1, len(self.calendar.closes)):
            midnight = pd.Timestamp(self.calendar.sessions[k]).tz_localize(EASTERN).tz_convert("UTC")
            opens, closes = self.calendar.open_instant(k), self.calendar.close_instant(k)
            for at, what in (midnight, "actions"), (opens, "open"), (closes, "close"):
                if at > now:
                    return
                if at > since:
                    yield at, k, what

    def prices(self, k: int) -> dict[str, list[float]]:
        """Open, high, low, close and volume in the session of the symbols that trade."""
        row = self._row(k)
        block = self.bars.traded[:, :, row].T.tolist() if row >= 0 else []
        return {symbol: own for symbol, own in zip(self.bars.symbols, block) if own[0] > 0.0}

    def actions(self, k: int) -> list[tuple[str, float, float]]:
        """Symbol, new shares for one old (1: none) and dollars a share of each action with this ex-date."""
        row = self._row(k)
        rows = self.bars.actions[self.bars.actions["bar"] == row].tolist() if row >= 0 else []
        return [(self.bars.symbols[symbol], split, dividend) for _, symbol, split, dividend in rows]

    def splits(self) -> list[tuple[str, float, pd.Timestamp]]:
        """Symbol, new shares for one old and ex-date of each split of the tape."""
        rows = self.bars.actions[self.bars.actions["split"] != 1.0].tolist()
        return [(self.bars.symbols[symbol], split, self.bars.index[bar]) for bar, symbol, split, _ in rows]

    def marks(self, k: int) -> dict[str, float]:
        """The last close of each symbol up to the session, NaN before its first."""
        close = self.bars.traded[3, :, : np.searchsorted(self.bars.index, self.calendar.sessions[k], "right")]
        last = [np.flatnonzero(np.isfinite(own))[-1:] for own in close]
        return {symbol: float(own[at[0]]) if len(at) else np.nan for symbol, own, at in zip(self.bars.symbols, close, last)}

    def _row(self, k: int) -> int:
        row = int(np.searchsorted(self.bars.index, self.calendar.sessions[k]))
        return row if row < len(self.bars) and self.bars.index[row] == self.calendar.sessions[k] else -1
