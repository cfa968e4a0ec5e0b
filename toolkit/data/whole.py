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
        self._digests = [hashlib.blake2b(name.encode(), digest_size=16).digest()]  # of the first bars, as far as known

    def follow(self, earlier: Whole) -> None:
        """Takes over the digests of the leading bars that `earlier` holds bit for bit: one more bar then costs one digest."""
        if "chain" not in vars(earlier) or earlier._name != self._name:
            return
        n = min(len(self._labels), len(earlier._labels))
        same = self._labels[:n] == earlier._labels[:n]
        for ours, theirs in (self._traded, earlier._traded), (self._scale, earlier._scale):
            same &= (ours[:, :, :n].view("i8") == theirs[:, :, :n].view("i8")).all(axis=(0, 1))
        n = n if same.all() else int(same.argmin())
        ours, theirs = (actions[actions["bar"] < n] for actions in (self._actions, earlier._actions))
        if np.array_equal(ours, theirs):
            self._digests = earlier.chain[: n + 1]

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
        digests, n, k = self._digests, len(self._labels), self._traded.shape[1]
        start = len(digests) - 1
        panels = self._traded[:, :, start:].reshape(5 * k, -1), self._scale[:, :, start:].reshape(2 * k, -1)
        rows = np.concatenate(panels).T.copy()
        rows[np.isnan(rows)] = np.nan  # one NaN for all
        acting: dict[int, list[bytes]] = {}
        for bar, symbol, split, dividend in self._actions.tolist():
            acting.setdefault(bar, []).append(repr((symbol, split, dividend)).encode())
        for bar in range(start, n):
            digest = hashlib.blake2b(digests[-1], digest_size=16)
            digest.update(self._labels[bar].tobytes())
            digest.update(rows[bar - start])
            for action in acting.get(bar, ()):
                digest.update(action)
            digests.append(digest.digest())
        return digests


def nanoseconds(index: pd.DatetimeIndex) -> np.ndarray:
    """Labels as naive UTC nanoseconds, M8[ns]."""
    return index.as_unit("ns").asi8.view("M8[ns]")
