"""A market without end that anyone can have: no price in it is real, any symbol has bars, and a seed names all of them.

    market = MarketData(SyntheticSource(seed=7), cache, clock)
    market.bars(["AAA", "BBB"], interval="1m")

Symbols share a market factor (pairwise correlations near 0.3) and its calm and turbulent times; each has clustered
volatility, jumps, splits, quarterly dividends, halts and missing days. What it looks like depends on the seed and on its
name alone, never on who asks, when, in which order or for which range. Minutes add up exactly to the daily bar.
"""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
import pandas as pd

from toolkit.data.adjust import EVENT, FIELDS
from toolkit.data.calendar import Calendar
from toolkit.data.meter import Meter
from toolkit.data.sources import History
from toolkit.data.symbols import checked_symbol
from toolkit.errors import InvalidParameter
from toolkit.kernels import synthetic

BEGINNING = np.datetime64("2000-01-03", "ns")
MINUTE = np.timedelta64(1, "m")
MINUTES = {"1m": 1, "2m": 2, "5m": 5, "15m": 15, "30m": 30, "1h": 60}
VERSION = 1  # of the model: raised when the same seed gives other bars than before


class SyntheticSource:
    """Daily and intraday bars on the XNYS calendar from 2000-01-03 to any session that the calendar knows.

    Prices are whole cents. Its meter counts what was asked of it. Raises InvalidParameter for a seed that is no whole number.
    """

    name = "synthetic"
    delay = pd.Timedelta(0)

    def __init__(self, seed: int = 0) -> None:
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise InvalidParameter(f"seed is {seed!r}", "pass a whole number, e.g. seed=7")
        self.seed = seed
        self.meter = Meter()

    @property
    def edition(self) -> str:
        """The seed, and the version of the model: neither ever shares stored bars with another."""
        return f"{self.seed}.{VERSION}"

    def reach(self, interval: str) -> pd.Timedelta | None:
        if interval not in ("1d", *MINUTES):
            raise InvalidParameter(f"interval is {interval!r}", f"pass one of {', '.join(('1d', *MINUTES))}")
        return None

    def fetch(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> History:
        self.reach(interval)
        checked_symbol(symbol)
        self.meter.count()
        sessions = self._sessions[: np.searchsorted(self._sessions, end.to_datetime64(), "right")]
        traded, events, present = self._daily(symbol, sessions)
        kept = present & (sessions >= start.to_datetime64())
        inside = events[(events["date"] >= start.to_datetime64()) & (events["date"] <= end.to_datetime64())]
        if interval == "1d":
            return History(symbol, sessions[kept], traded[:, kept], inside)
        labels, bars = self._minutes(symbol, np.flatnonzero(kept), np.ascontiguousarray(traded[:, kept]))
        if interval != "1m":
            labels, bars = coarser(labels, bars, self._opens, MINUTES[interval])
        return History(symbol, labels, bars, inside)

    @cached_property
    def _first(self) -> int:
        return int(np.searchsorted(Calendar("XNYS").sessions, BEGINNING))

    @cached_property
    def _sessions(self) -> np.ndarray:
        return Calendar("XNYS").sessions[self._first :]

    @cached_property
    def _opens(self) -> np.ndarray:
        return Calendar("XNYS").opens[self._first :]

    @cached_property
    def _days(self) -> np.ndarray:
        return _frozen(self._sessions.astype("M8[D]").astype("i8"))

    @cached_property
    def _counts(self) -> np.ndarray:
        return _frozen(((Calendar("XNYS").closes[self._first :] - self._opens) // MINUTE).astype("i8"))

    @cached_property
    def _market(self) -> tuple[np.ndarray, np.ndarray]:
        """The factor (2, n_sessions) and the regime (n_sessions) that all symbols share."""
        factor, regime = np.empty((2, len(self._days))), np.empty(len(self._days), "i1")
        synthetic.market(_key(self.seed, ""), self._days, factor, regime)
        return _frozen(factor), _frozen(regime)

    def _daily(self, symbol: str, sessions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bars (5, n), events, and which of `sessions` have a bar."""
        n, key = len(sessions), _key(self.seed, symbol)
        factor, regime = self._market
        traded, split, dividend, present = np.empty((len(FIELDS), n)), np.empty(n), np.empty(n), np.empty(n, "i1")
        paying = _frozen(_paydays(sessions, key))
        synthetic.daily(key, self._days[:n], factor, regime, paying, _character(key), traded, split, dividend, present)
        acting = np.flatnonzero((split != 1.0) | (dividend > 0.0))
        events = np.zeros(len(acting), EVENT)
        events["date"], events["split"], events["dividend"] = sessions[acting], split[acting], dividend[acting]
        return traded, events, present == 1

    def _minutes(self, symbol: str, at: np.ndarray, traded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Minute bars of the sessions at positions `at`, whose daily bars are `traded`."""
        days, opens, counts = self._days[at], self._opens[at].view("i8"), self._counts[at]
        most = int(counts.sum())
        labels, bars = np.empty(most, "i8"), np.empty((len(FIELDS), most))
        path, day = np.empty(int(self._counts.max()) + 1), np.empty(len(FIELDS))
        inputs = (_frozen(array) for array in (days, opens, counts, traded))
        rows = synthetic.minutes(_key(self.seed, symbol), *inputs, path, day, labels, bars)
        return labels[:rows].view("M8[ns]"), bars[:, :rows]


def coarser(labels: np.ndarray, bars: np.ndarray, opens: np.ndarray, minutes: int) -> tuple[np.ndarray, np.ndarray]:
    """Intraday bars (5, n) put together to `minutes`, counted from the open of each session (`opens`, rising).

    A bar stands where anything traded in its time; the last of a session may be shorter. Labels must rise.
    """
    if len(labels) == 0:
        return labels, bars
    opening = opens[np.searchsorted(opens, labels, "right") - 1]
    width = minutes * MINUTE.astype("m8[ns]")
    begun = opening + (labels - opening) // width * width
    first = np.flatnonzero(np.append(True, begun[1:] != begun[:-1]))
    last = np.append(first[1:], len(labels)) - 1
    highs, lows = np.maximum.reduceat(bars[1], first), np.minimum.reduceat(bars[2], first)
    volumes = np.add.reduceat(bars[4], first)
    return begun[first], np.array([bars[0, first], highs, lows, bars[3, last], volumes])


def _key(seed: int, symbol: str) -> np.uint64:
    digest = hashlib.blake2b(f"{seed}/{symbol}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def _traits(key: np.uint64) -> np.ndarray:
    """Numbers from 0 to 1 that never change with a symbol."""
    digest = hashlib.blake2b(int(key).to_bytes(8, "little"), digest_size=64).digest()
    return np.frombuffer(digest, "<u8").astype(float) / 2.0**64


def _character(key: np.uint64) -> synthetic.Character:
    u = _traits(key)
    return synthetic.Character(
        volatility=0.14 + 0.22 * u[0],
        loading=0.46 + 0.22 * u[1],
        price=float(np.exp(3.0 + 2.0 * u[2])),
        turnover=float(np.exp(15.0 + 4.0 * u[3])),
        payout=0.003 + 0.007 * u[5] if u[4] < 0.6 else 0.0,
    )


def _paydays(sessions: np.ndarray, key: np.uint64) -> np.ndarray:
    """1 on one session a quarter: the first on or after a day of the month that belongs to the symbol."""
    u = _traits(key)
    months = sessions.astype("M8[M]")
    day = (sessions.astype("M8[D]") - months.astype("M8[D]")).astype("i8")
    due = (months.astype("i8") % 3 == int(3 * u[6])) & (day >= int(20 * u[7]))
    due[1:] &= ~(due[:-1] & (months[1:] == months[:-1]))
    return due.astype("i1")


def _frozen(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
