"""What is true at a bar, and since when: boolean arrays (n_symbols, n_bars), bars along the last axis."""

from __future__ import annotations

import numpy as np


def held(entries: np.ndarray, exits: np.ndarray) -> np.ndarray:
    """Whether the last event so far, along the last axis, was an entry; an exit wins over an entry of its bar."""
    out = 2 * np.arange(1, entries.shape[-1] + 1, dtype=np.int32)  # an event is its bar, twice, and one more for an entry
    last = np.maximum.accumulate(np.where(exits, out, np.where(entries, out + 1, 0)), axis=-1)
    return (last & 1).astype(bool)


def latched(entries: np.ndarray, exits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether the last event was an entry: before the bar (False at the first), and with it."""
    after = held(entries, exits)
    before = np.zeros_like(after)
    before[..., 1:] = after[..., :-1]
    return before, after


def crossing(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Whether `upper` is above `lower` at a bar, and was not at the last one before it at which both were known."""
    over = upper > lower
    was_not, _ = latched(upper <= lower, over)
    return over & was_not
