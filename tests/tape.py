"""A live source of random prices in twenty lines, and a clock that stands where it is put."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from toolkit.data import Calendar, History
from toolkit.data.adjust import EVENT
from toolkit.data.intervals import length
from toolkit.data.meter import Meter
from toolkit.errors import UnknownSymbol

NYSE = Calendar("XNYS")
DAYS = NYSE.sessions_between("2026-09-01", "2026-12-31").to_numpy()


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


class At:
    """A live clock that stands where it is put."""

    namespace = "live"

    def __init__(self, when):
        self.time = when if isinstance(when, pd.Timestamp) else utc(when)

    def now(self):
        return self.time

    horizon = now

    def monotonic(self):
        return 0.0

    def sleep(self, seconds):
        raise AssertionError("nobody should wait")


class Moving(At):
    """A live clock that moves when somebody sleeps, and writes down for how long."""

    def __init__(self, text):
        super().__init__(text)
        self.start, self.pauses = self.time, []

    def monotonic(self):
        return (self.time - self.start).total_seconds()

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.time += pd.Timedelta(seconds=seconds)


@dataclass
class Tape:
    """Shows what has opened by the clock's instant, an open bar with half its volume; `scale` rewrites all of history.

    `events` are announced as they stand there; prices come as traded and know nothing of them. Intraday bars reach back
    `days` days.
    """

    clock: At
    name: str = "tape"
    edition: str = ""
    delay: pd.Timedelta = pd.Timedelta("20min")
    meter: Meter = field(default_factory=Meter)
    asked: list = field(default_factory=list)
    error: Exception | None = None
    scale: float = 1.0
    missing: tuple = ()
    events: list = field(default_factory=list)
    currency: dict = field(default_factory=dict)
    days: int = 30

    def reach(self, interval):
        return None if interval == "1d" else pd.Timedelta(days=self.days)

    def fetch(self, symbol, start, end, interval):
        self.meter.count()
        self.asked.append((symbol, str(start)[:10]))
        if self.error is not None:
            raise self.error
        if symbol.startswith("NO"):
            raise UnknownSymbol(f"{symbol}: unknown", "check it", symbol=symbol)
        if symbol.startswith("BUG"):
            raise KeyError("surprise")
        labels, block = self.daily(symbol) if interval == "1d" else self.intraday(symbol, interval)
        now, ends = self.clock.now().tz_localize(None).to_datetime64(), NYSE.ends_of(labels, interval)
        block[4, ends > now] /= 2
        days = pd.DatetimeIndex(labels).normalize()
        begun = labels <= now if interval != "1d" else NYSE.opens[NYSE.positions(labels)] <= now
        kept = begun & (days >= start) & (days <= end) & ~days.isin(pd.to_datetime(list(self.missing)))
        table = np.array([row for row in self.events if row[0] >= start.to_datetime64()], EVENT)
        return History(symbol, labels[kept], block[:, kept], table, "XNYS", self.currency.get(symbol, "USD"))

    def daily(self, symbol):
        return DAYS, walk(sum(map(ord, symbol)), len(DAYS), self.scale)

    def intraday(self, symbol, interval):
        step, now = length(interval), self.clock.now().tz_localize(None)
        at = np.flatnonzero((NYSE.sessions >= (now - pd.Timedelta(days=self.days)).normalize()) & (NYSE.opens <= now))
        grids = [np.arange(NYSE.opens[k], NYSE.closes[k], step) for k in at]
        blocks = [walk(sum(map(ord, symbol)) * 100_000 + k, len(grid), self.scale) for k, grid in zip(at, grids)]
        return np.concatenate(grids), np.concatenate(blocks, axis=1)


def walk(seed: int, n: int, scale: float) -> np.ndarray:
    """(5, n): bars of a random walk about 100 dollars, in cents."""
    rng = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(0.01 * rng.standard_normal(n))), 2) * scale
    return np.array([close, close * 1.01, close * 0.99, close, np.full(n, 1e6)])
