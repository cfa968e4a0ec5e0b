"""What is computed once for a Bars and shared by every shorter view that `until` cuts from it."""

from __future__ import annotations

from functools import cached_property
from weakref import WeakValueDictionary

import numpy as np
import pandas as pd

from toolkit.data.adjust import FIELDS
from toolkit.data.calendar import Calendar
from toolkit.data.chain import Held, agreed, extended, first
from toolkit.data.intervals import DAILY, dated, length

VOLUME = FIELDS.index("volume")
_LAST: WeakValueDictionary[tuple[str, int], Whole] = WeakValueDictionary()  # hashed last, by name and first label


class Whole:
    """Adjusted prices, known instants and the chain of fingerprints; what belongs to a bar needs no later one."""

    def __init__(
        self,
        name: str,
        index: pd.DatetimeIndex,
        traded: np.ndarray,
        scale: np.ndarray,
        actions: np.ndarray,
        interval: str,
        calendar: str,
        delay: pd.Timedelta,
    ) -> None:
        self._name, self._labels = name, nanoseconds(index)
        self._traded, self._scale, self._actions = traded, scale, actions
        self._interval, self._calendar, self._delay = interval, calendar, delay

    @cached_property
    def adjusted(self) -> np.ndarray:
        """(5, n_symbols, n_bars), read-only."""
        return fixed(self._traded * self._scale[[0, 0, 0, 0, 1]])

    def field(self, place: int) -> np.ndarray:
        """One of `adjusted`, (n_symbols, n_bars), read-only: most strategies read closes alone."""
        if "adjusted" in vars(self):
            return self.adjusted[place]
        place = range(len(FIELDS))[place]
        if place not in self._fields:  # whoever comes second computes the same
            self._fields[place] = fixed(self._traded[place] * self._scale[int(place == VOLUME)])
        return self._fields[place]

    @cached_property
    def _fields(self) -> dict[int, np.ndarray]:
        """Those of the adjusted fields that were asked for."""
        return {}

    @cached_property
    def known(self) -> np.ndarray:
        """Instants from which bars are known, naive UTC, M8[ns]."""
        if self._calendar:
            ends = Calendar(self._calendar).ends_of(self._labels, DAILY if dated(self._interval) else self._interval)
        else:
            ends = self._labels + (np.timedelta64(1, "D") if dated(self._interval) else length(self._interval))
        return ends + self._delay.to_timedelta64()

    @property
    def held(self) -> Held:
        """All that the bars hold, as fingerprints are made of it."""
        return Held(self._labels, self._traded, self._scale, self._actions)

    @cached_property
    def chain(self) -> list[bytes]:
        """n_bars + 1 digests: of the name alone, then after each bar over the one before and all that the bar holds.

        Bars that the last one of this name and beginning held as well, which is compared bit for bit, are not hashed again.
        """
        key = self._name, int(self._labels[0].astype("i8")) if len(self._labels) else 0
        earlier = _LAST.get(key)
        digests = [first(self._name)] if earlier is None else earlier.chain[: agreed(earlier.held, self.held) + 1]
        if earlier is None or len(digests) <= len(self._labels):
            digests, _LAST[key] = extended(digests, self.held), self
        return digests


def fixed(block: np.ndarray) -> np.ndarray:
    """The block, which nobody writes any more."""
    block.flags.writeable = False
    return block


def nanoseconds(index: pd.DatetimeIndex) -> np.ndarray:
    """Labels as naive UTC nanoseconds, M8[ns]."""
    return index.as_unit("ns").asi8.view("M8[ns]")
