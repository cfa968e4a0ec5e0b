"""What was computed of bars that were seen before: least recently used out first, each for a time to live."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Generic, TypeVar

import pandas as pd

from toolkit.data.clock import Clock, SystemClock
from toolkit.errors import InvalidParameter
from toolkit.signals.panels import whole

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

Kept = TypeVar("Kept")


class Seen:
    """Bars as a key: the same if they are the same views, or else if their fingerprints are.

    So nothing is hashed for bars that come again, or that are like none before. `settle` lets go of the bars.
    """

    def __init__(self, bars: Bars) -> None:
        self._bars: Bars | None = bars
        self._fingerprint = ""
        last = bars.traded[:, :, -1:].tobytes()
        self._hash = hash((bars.symbols, len(bars), bars.interval, bars.index[-1] if len(bars) else None, last))

    @property
    def fingerprint(self) -> str:
        if self._bars is not None and not self._fingerprint:
            self._fingerprint = self._bars.fingerprint
        return self._fingerprint

    def settle(self) -> None:
        """From now on the fingerprint alone is kept."""
        self._fingerprint, self._bars = self.fingerprint, None

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Seen):
            return NotImplemented
        mine, theirs = self._bars, other._bars
        if mine is not None and theirs is not None and mine.whole is theirs.whole and len(mine) == len(theirs):
            return True
        return self.fingerprint == other.fingerprint


class Recent(Generic[Kept]):
    """The last `max_size` results, each for `ttl` seconds of `clock` (None: until displaced), by the bars they are of.

    Safe to share between threads: one computes, the others wait for its result.
    """

    def __init__(self, *, clock: Clock | None = None, max_size: int = 128, ttl: float | None = None) -> None:
        if ttl is not None and (not isinstance(ttl, Real) or not ttl >= 0):
            raise InvalidParameter(f"ttl is {ttl!r}, it must be seconds of at least 0", "pass ttl=None to keep results")
        self.clock = SystemClock() if clock is None else clock
        self.max_size, self.ttl = whole("max_size", max_size), ttl
        self._kept: OrderedDict[Seen, tuple[pd.Timestamp, Kept]] = OrderedDict()
        self._newest: Seen | None = None  # its bars are still held
        self._hits = self._misses = 0
        self._lock = threading.RLock()

    def get(self, bars: Bars, make: Callable[[], Kept]) -> Kept:
        """The result kept for the bars, or the one that `make` gives now; nothing is kept when it raises."""
        with self._lock:
            key, now = Seen(bars), self.clock.now()
            kept = self._kept.get(key)
            if kept is not None and self._fresh(kept[0], now):
                self._hits += 1
                self._kept.move_to_end(key)
                return kept[1]
            self._misses += 1
            made = make()
            if self._newest is not None and self._newest in self._kept:
                self._newest.settle()
            self._kept.pop(key, None)
            self._kept[key], self._newest = (now, made), key
            self._kept.move_to_end(key)
            while len(self._kept) > self.max_size:
                self._kept.popitem(last=False)
            return made

    def _fresh(self, since: pd.Timestamp, now: pd.Timestamp) -> bool:
        return self.ttl is None or 0 <= (now - since).total_seconds() < self.ttl

    def clear(self) -> None:
        """Forgets all results; the counts go on."""
        with self._lock:
            self._kept.clear()
            self._newest = None

    def stats(self) -> dict[str, float]:
        """Counts since the start (hits, misses, total_requests), size, and hit_rate, miss_rate [0..1], at first 0."""
        with self._lock:
            hits, misses, size = self._hits, self._misses, len(self._kept)
        total = hits + misses
        rates = {"hit_rate": hits / total, "miss_rate": misses / total} if total else {"hit_rate": 0.0, "miss_rate": 0.0}
        return {"hits": hits, "misses": misses, "total_requests": total, "size": size, **rates}
