"""A clock that is moved by hand: for notebooks and tests of what happens at a broker at given instants."""

from __future__ import annotations

import pandas as pd

from toolkit.data.clock import utc


class HandClock:
    """Stands at `time` (UTC) until `time` is set; sleeping moves it by as much, and durations are its own: 0 while it stands.

    >>> clock = HandClock("2012-03-01 21:00Z")
    >>> clock.sleep(90.0)
    >>> clock.now(), clock.monotonic()
    (Timestamp('2012-03-01 21:01:30+0000', tz='UTC'), 90.0)
    """

    namespace = "replay"  # what it stores is not taken for live data

    def __init__(self, time: pd.Timestamp | str) -> None:
        self.time = self._start = utc(time)

    def now(self) -> pd.Timestamp:
        return self.time

    def horizon(self) -> pd.Timestamp:
        return self.time

    def monotonic(self) -> float:
        return (self.time - self._start).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.time += pd.Timedelta(seconds=seconds)
