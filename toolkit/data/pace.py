"""How fast a source may be asked: a token bucket that slows down when the server complains, and keeps the pauses it wants."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
from pathlib import Path

import pandas as pd

from toolkit.data.clock import Clock, SystemClock
from toolkit.errors import DataUnavailable, InvalidParameter

log = logging.getLogger(__name__)

CUT, FLOOR, GAIN = 0.6, 0.2, 0.1
"""Each congestion multiplies the rate by CUT, down to FLOOR requests a second; each answer adds GAIN."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
LEAST_PAUSE, BELIEVED = 1.0, 3600.0
IN_A_ROW = 5
PATIENCE = 30.0
LATER = 1e-3  # the end of a pause is known by the wall clock, turns are taken by the monotonic one


class Pace:
    """At most `rate` requests a second after a first `burst`; one for all threads of a source. Time is the `clock`'s alone.

    The instant before which the server wants no request is kept in the file `shared`, if one is named, for all processes.
    A circuit that opened because the network failed here is no news for the others and stays in this process.
    """

    def __init__(
        self,
        rate: float = 5.0,
        burst: int = 50,
        clock: Clock = SystemClock(),
        shared: Path | None = None,
        who: str = "Yahoo",
    ) -> None:
        if not (rate > 0 and burst >= 1):
            raise InvalidParameter(f"rate is {rate} a second, burst {burst}", "pass a rate above 0 and a burst of at least 1")
        self.rate = self._full = rate
        self._burst, self._clock, self._who = float(burst), clock, who
        self._tokens, self._at = self._burst, clock.monotonic()
        self._asked = self._broken = 0.0  # no request before these instants, UTC seconds
        self._complaints = self._failures = self._openings = 0
        self._shared = _Shared(shared)
        self._lock = threading.Lock()

    def wait(self, patience: float = PATIENCE) -> None:
        """Return when the next request may be made; raise DataUnavailable at once if that is over `patience` seconds away."""
        while True:
            pause = self._turn(patience)
            if pause <= 0.0:
                return
            self._clock.sleep(pause)
            patience -= pause
            if self._closed() <= 0.0:  # else the server has complained meanwhile, and this turn is void
                return

    def check(self, patience: float = PATIENCE) -> None:
        """Raise as `wait` would because of a pause that was asked for, without taking a turn."""
        closed = self._closed()
        if closed > patience:
            raise self._refused(closed)

    def due(self) -> float:
        """Seconds until the next request may be made, 0 if at once; takes no turn."""
        closed = self._closed()
        with self._lock:
            return self._until(closed)

    def answered(self) -> None:
        """A request was answered well: a little faster again, and the circuit closes."""
        with self._lock:
            self.rate = min(self._full, self.rate + GAIN)
            self._complaints = self._failures = self._openings = 0
            self._broken = 0.0

    def limited(self, seconds: float | None = None) -> None:
        """The server answered 429 or 503 and wants `seconds` of rest, at least 1 and at most an hour.

        It seldom says how long: then 5 seconds, doubled by each complaint in a row up to 300. A longer first rest would
        give up the whole batch for one refusal, a constant short one would hammer a server that has blocked us.
        Requests that were in flight when the first complaint came are the same congestion and slow down no further.
        """
        with self._lock:
            now = self._now()
            if now >= self._asked:
                self.rate = min(self._full, max(self.rate * CUT, FLOOR))
                self._complaints += 1
            rest = _doubled(self._complaints) if seconds is None else seconds
            self._asked = asked = max(self._asked, now + min(max(rest, LEAST_PAUSE), BELIEVED))
            self._failures = 0
        self._shared.write(asked, now)

    def failed(self) -> None:
        """A request was not answered; after five in a row none is made for 5 seconds, doubled up to 300 until one is."""
        with self._lock:
            now = self._now()
            self._failures += 1
            if self._failures >= IN_A_ROW and now >= self._broken:
                self._openings += 1
                self._broken = now + _doubled(self._openings)

    def _turn(self, patience: float) -> float:
        """Seconds until the turn that this call takes."""
        closed = self._closed()
        with self._lock:
            pause = self._until(closed)
            if pause > patience:
                raise self._refused(closed) if closed > patience else self._crowded(pause)
            self._tokens -= 1.0
            return pause

    def _until(self, closed: float) -> float:
        """Seconds until the next turn, where no request is to be made for `closed` seconds."""
        now = self._clock.monotonic()
        if now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self.rate)
            self._at = now
        if closed > 0.0 and self._at < now + closed:  # afterwards one by one: it was a burst that was too much
            self._at, self._tokens = now + closed + LATER, 1.0
        return self._at - now + max(0.0, 1.0 - self._tokens) / self.rate

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _closed(self) -> float:
        """Seconds for which no request is to be made, 0 if none."""
        now = self._now()
        return max(_ahead(instant, now) for instant in (self._asked, self._broken, self._shared.instant()))

    def _refused(self, closed: float) -> DataUnavailable:
        until = pd.Timestamp(self._now() + closed, unit="s")
        broken = self._broken > self._asked
        why = f"failed {self._failures} times in a row and is not asked" if broken else "asked to wait"
        return DataUnavailable(f"{self._who} {why} until {until:%H:%M:%S} UTC", "stored bars are kept")

    def _crowded(self, pause: float) -> DataUnavailable:
        what = f"{self._who} is asked {self.rate:.1f} times a second after its complaints, the next turn is {pause:.0f} s away"
        return DataUnavailable(what, "stored bars are kept; ask for fewer symbols at a time")


def _ahead(instant: float, now: float) -> float:
    """Seconds from `now` to `instant`; 0 for one that has passed, or so far ahead that a clock must have been wrong."""
    seconds = instant - now
    return seconds if 0.0 < seconds <= BELIEVED else 0.0


def _doubled(times: int) -> float:
    return min(FIRST_PAUSE * 2.0 ** min(max(times - 1, 0), 10), LONGEST_PAUSE)


class _Shared:
    """An instant (UTC seconds) in a small file that processes share; 0 where there is none or it cannot be read."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: tuple[tuple[int, int], float] = (0, 0), 0.0

    def instant(self) -> float:
        """What the file says; it is read again only when it has changed."""
        if self._path is None:
            return 0.0
        try:
            status = os.stat(self._path)
            version = status.st_ino, status.st_mtime_ns
            if version != self._known[0]:
                self._known = version, float(self._path.read_bytes()[:64])
        except (OSError, ValueError):
            return 0.0
        return self._known[1]

    def write(self, instant: float, now: float) -> None:
        """Let all processes know of `instant`, unless a later one is known already."""
        if self._path is None or now + _ahead(self.instant(), now) >= instant:
            return
        temporary = ""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
            with open(handle, "w") as file:
                file.write(repr(instant))
            os.replace(temporary, self._path)
        except OSError as error:
            log.warning("%s cannot be written (%s): other processes do not learn that they should wait", self._path, error)
            with contextlib.suppress(OSError):
                os.remove(temporary)
