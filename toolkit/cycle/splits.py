"""What may be learned from and what it is tried on: windows that walk forward, and folds without a leak between them.

Positions count bars from 0; slices and arrays of them index the bars. The label of a bar is what follows from it over the
next `horizon` bars, so that the labels of bars as near as that share information.
"""

from __future__ import annotations

from collections.abc import Sized
from itertools import combinations
from typing import NamedTuple

import numpy as np

from toolkit.errors import InvalidParameter
from toolkit.signals.panels import whole


class Window(NamedTuple):
    """Bars to choose on, and the bars that follow them, to try the choice on."""

    train: slice
    test: slice


class Fold(NamedTuple):
    """Positions to learn from and positions to be tested on, both sorted."""

    train: np.ndarray
    test: np.ndarray


def walk_forward_windows(bars: int | Sized, train: int, test: int, anchored: bool = False,
                         step: int | None = None) -> list[Window]:  # fmt: skip
    """Windows of `train` bars, each followed by `test` bars, moved on by `step` (default `test`: every bar tested once).

    `bars` is their number, or what has that length. Anchored, every train begins at the first bar and grows. Fewer bars than
    `test` at the end are in no test. InvalidParameter where not even one window fits.

    >>> walk_forward_windows(7, train=3, test=2)
    [Window(train=slice(0, 3, None), test=slice(3, 5, None)), Window(train=slice(2, 5, None), test=slice(5, 7, None))]
    """
    n_bars, train, test = length(bars), whole("train", train), whole("test", test)
    step = test if step is None else whole("step", step)
    if train + test > n_bars:
        raise InvalidParameter(f"train {train} and test {test} are more than the {n_bars} bars", "shorten them, or load more")
    starts = range(0, n_bars - train - test + 1, step)
    return [
        Window(slice(0 if anchored else start, start + train), slice(start + train, start + train + test)) for start in starts
    ]


def purged_folds(bars: int | Sized, folds: int = 5, horizon: int = 0, embargo: int = 0) -> list[Fold]:
    """Each of `folds` stretches of time as a test once, with all other bars to learn from whose labels do not overlap its own.

    Bars within `horizon` of a test bar are purged, and another `embargo` bars after a test, where what happened in it lingers.
    InvalidParameter for fewer bars than folds, or where nothing would be left to learn from.
    Source: M. López de Prado, Advances in Financial Machine Learning (2018), sections 7.4.1 and 7.4.2.

    >>> [fold.train.tolist() for fold in purged_folds(9, folds=3, horizon=1, embargo=1)]
    [[5, 6, 7, 8], [0, 1, 8], [0, 1, 2, 3, 4]]
    """
    return combinatorial_folds(bars, folds, 1, horizon, embargo)


def combinatorial_folds(bars: int | Sized, folds: int = 6, tested: int = 2, horizon: int = 0, embargo: int = 0) -> list[Fold]:
    """Every choice of `tested` among `folds` stretches as a test, purged as in `purged_folds`: 15 for 2 of 6.

    Source: López de Prado (2018), section 12.4 (combinatorial purged cross-validation).
    """
    n_bars, folds, tested = length(bars), whole("folds", folds, least=2), whole("tested", tested)
    horizon, embargo = whole("horizon", horizon, least=0), whole("embargo", embargo, least=0)
    if folds > n_bars or tested >= folds:
        raise InvalidParameter(f"{tested} of {folds} folds of {n_bars} bars cannot be tested", "take fewer folds or more bars")
    stretch = np.arange(n_bars) * folds // n_bars
    made = [fold(np.isin(stretch, chosen), horizon, embargo) for chosen in combinations(range(folds), tested)]
    if any(len(one.train) == 0 for one in made):
        raise InvalidParameter(
            f"horizon {horizon} and embargo {embargo} leave no bar to learn from, {folds} folds of {n_bars} bars",
            "shorten them, or take fewer folds",
        )
    return made


def fold(test: np.ndarray, horizon: int, embargo: int) -> Fold:
    """The fold of a mask of test bars: no test bar is within `horizon` of a train bar, nor within `embargo` more before it."""
    bar, tests = np.arange(len(test)), np.flatnonzero(test)
    before = np.searchsorted(tests, bar)
    since = bar - np.concatenate([[-len(test) - horizon - embargo], tests])[before]
    until = np.concatenate([tests, [2 * len(test) + horizon]])[before] - bar
    return Fold(np.flatnonzero((since > horizon + embargo) & (until > horizon)), tests)


def length(bars: int | Sized) -> int:
    """Number of bars, of a number or of what has a length."""
    return len(bars) if isinstance(bars, Sized) else whole("bars", bars, least=0)
