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

    @property
    def adjusted(self) -> np.ndarray:
        """(5, n_symbols, n_bars), read-only."""
        for place in range(len(FIELDS)):
            self.field(place)
        return read_only(self._room[0])

    def field(self, place: int) -> np.ndarray:
        """One of `adjusted`, (n_symbols, n_bars), read-only: most strategies read closes alone."""
        room, there = self._room
        if place not in there:
            np.multiply(self._traded[place], self._scale[int(place == VOLUME)], out=room[place])
            there.add(place)
        return read_only(room[place])

    @cached_property
    def _room(self) -> tuple[np.ndarray, set[int]]:
        """Memory of the adjusted fields, and those that are there: a field that nobody asks for takes none."""
        return np.empty(self._traded.shape), set()

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


def read_only(block: np.ndarray) -> np.ndarray:
    """A view that cannot be written."""
    view = block.view()
    view.flags.writeable = False
    return view


def nanoseconds(index: pd.DatetimeIndex) -> np.ndarray:
    """Labels as naive UTC nanoseconds, M8[ns]."""
    return index.as_unit("ns").asi8.view("M8[ns]")
