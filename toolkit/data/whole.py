"""What is computed once for a Bars and shared by every shorter view that `until` cuts from it."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
import pandas as pd

from toolkit.data.calendar import Calendar
from toolkit.data.intervals import DAILY, dated, length


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
        adjusted = self._traded * self._scale[[0, 0, 0, 0, 1]]
        adjusted.flags.writeable = False
        return adjusted

    @cached_property
    def known(self) -> np.ndarray:
        """Instants from which bars are known, naive UTC, M8[ns]."""
        if self._calendar:
            ends = Calendar(self._calendar).ends_of(self._labels, DAILY if dated(self._interval) else self._interval)
        else:
            ends = self._labels + (np.timedelta64(1, "D") if dated(self._interval) else length(self._interval))
        return ends + self._delay.to_timedelta64()

    @cached_property
    def chain(self) -> list[bytes]:
        """n_bars + 1 digests: of the name alone, then after each bar over the one before and all that the bar holds."""
        digests = [hashlib.blake2b(self._name.encode(), digest_size=16).digest()]
        n = len(self._labels)
        k = self._traded.shape[1]
        rows = np.concatenate([self._traded.reshape(5 * k, n), self._scale.reshape(2 * k, n)]).T.copy()
        rows[np.isnan(rows)] = np.nan  # one NaN for all
        acting: dict[int, list[bytes]] = {}
        for bar, symbol, split, dividend in self._actions.tolist():
            acting.setdefault(bar, []).append(repr((symbol, split, dividend)).encode())
        for bar in range(n):
            digest = hashlib.blake2b(digests[-1], digest_size=16)
            digest.update(self._labels[bar].tobytes())
            digest.update(rows[bar])
            for action in acting.get(bar, ()):
                digest.update(action)
            digests.append(digest.digest())
        return digests


def nanoseconds(index: pd.DatetimeIndex) -> np.ndarray:
    """Labels as naive UTC nanoseconds, M8[ns]."""
    return index.as_unit("ns").asi8.view("M8[ns]")
