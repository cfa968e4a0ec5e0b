"""What a stretch of code cost: each layer says what it is doing, and whoever watches reads it off afterwards.

    with watch() as work:
        bars = market.bars(symbols)
    work.seconds, work.counts, work.waits

Where nobody watches, a word costs a microsecond or two and nothing is kept. `phase` and `waiting` decorate functions as well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from toolkit.data.clock import Clock, SystemClock

PHASES = ("fetch", "kernels", "signals", "risk", "execution")  # what takes seconds
Result = TypeVar("Result")


class Work:
    """Seconds by phase, counts by name, and by symbol the longest wait for its source; what was not measured is not there.

    Time in a phase within a phase belongs to the inner one, and only the thread that began to watch is timed: the
    seconds add up to no more than `total`. Counts and waits come from other threads as well, where they were `carried`.
    """

    def __init__(self, clock: Clock) -> None:
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.waits: dict[str, float] = {}
        self.total = 0.0
        self.monotonic = clock.monotonic
        self._thread, self._lock = threading.get_ident(), threading.Lock()
        self._within: list[str] = []
        self._measured: set[str] = set()  # since the last report
        self._lap = self._begun = self.monotonic()

    def enter(self, phase: str) -> None:
        """From now on time belongs to `phase`."""
        if threading.get_ident() == self._thread:
            self._charge()
            self._within.append(phase)

    def leave(self) -> None:
        """From now on time belongs to what was going on before."""
        if threading.get_ident() == self._thread:
            self._charge()
            self._within.pop()

    def count(self, name: str, n: int) -> None:
        """`n` more of `name`; 0 says that they are counted."""
        with self._lock:
            self.counts[name] = self.counts.get(name, 0) + n
            self._measured.add(name)

    def waited(self, symbol: str, seconds: float) -> None:
        """The answer for `symbol` took `seconds`."""
        with self._lock:
            self.waits[symbol] = max(seconds, self.waits.get(symbol, 0.0))

    def report(self, seconds: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """What somebody else has measured of the time since the last report; what a layer measured itself goes before it."""
        with self._lock:
            for name in seconds.keys() - self._measured:
                self.seconds[name] = self.seconds.get(name, 0.0) + seconds[name]
            for name in counts.keys() - self._measured:
                self.counts[name] = self.counts.get(name, 0) + counts[name]
            self._measured.clear()

    def close(self) -> None:
        """Sets the total."""
        self.total = self.monotonic() - self._begun

    def _charge(self) -> None:
        now = self.monotonic()
        if self._within:
            phase = self._within[-1]
            self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._lap
            self._measured.add(phase)
        self._lap = now


_watching: ContextVar[tuple[Work, ...]] = ContextVar("watching", default=())


@contextmanager
def watch(clock: Clock = SystemClock()) -> Iterator[Work]:
    """The work of the block, whole once the block is left; blocks may lie within each other, and threads watch apart."""
    work = Work(clock)
    token = _watching.set((*_watching.get(), work))
    try:
        yield work
    finally:
        _watching.reset(token)
        work.close()


@contextmanager
def phase(name: str) -> Iterator[None]:
    """The block is work of one of PHASES."""
    watching = _watching.get()
    for work in watching:
        work.enter(name)
    try:
        yield
    finally:
        for work in watching:
            work.leave()


def count(**counts: int) -> None:
    """So many more `hits`, `misses` (symbols looked for in the cache) or `calls` (requests to a source)."""
    for work in _watching.get():
        for name, n in counts.items():
            work.count(name, n)


@contextmanager
def waiting(*symbols: str) -> Iterator[None]:
    """The block asks a source for the symbols; those of one request wait equally long, and a failure is a wait as well."""
    begun = [(work, work.monotonic()) for work in _watching.get()]
    try:
        yield
    finally:
        for work, start in begun:
            for symbol in symbols:
                work.waited(symbol, work.monotonic() - start)


def report(seconds: Mapping[str, float], counts: Mapping[str, int]) -> None:
    """Tells those who watch what a part has measured that keeps a record of its own; see Work.report."""
    for work in _watching.get():
        work.report(seconds, counts)


def carried(function: Callable[..., Result]) -> Callable[..., Result]:
    """The function, watched in whatever thread it runs by those who watch now."""
    watching = _watching.get()

    def call(*args: object) -> Result:
        token = _watching.set(watching)
        try:
            return function(*args)
        finally:
            _watching.reset(token)

    return call
