"""How many requests a source makes, and at most how many it may."""

from __future__ import annotations

import math
import threading

from toolkit.data.work import count
from toolkit.errors import BudgetSpent


class Meter:
    """Counts the requests of a source, retries included, and refuses those past an allowance. Thread-safe.

    >>> meter = Meter()
    >>> meter.allow(1)
    >>> meter.count(), meter.calls
    (None, 1)
    >>> meter.count()
    Traceback (most recent call last):
    ...
    toolkit.errors.BudgetSpent: the allowance of 1 requests is spent; raise max_api_calls_per_cycle, or wait for the next cycle
    """

    def __init__(self) -> None:
        self.calls = 0
        self._until: int | None = None
        self._allowance = 0
        self._lock = threading.Lock()

    def allow(self, requests: int | None) -> None:
        """From now on at most `requests` more; None: as many as it takes."""
        with self._lock:
            self._until = None if requests is None else self.calls + requests
            self._allowance = requests or 0

    @property
    def left(self) -> float:
        """Requests that may still be made."""
        with self._lock:
            return math.inf if self._until is None else self._until - self.calls

    def count(self) -> None:
        """One request is about to be made; raises BudgetSpent where it may not."""
        with self._lock:
            if self._until is not None and self.calls >= self._until:
                what = f"the allowance of {self._allowance} requests is spent"
                raise BudgetSpent(what, "raise max_api_calls_per_cycle, or wait for the next cycle")
            self.calls += 1
        count(calls=1)
