"""Checks of what a source sent: what cannot be is dropped and named, so that it never reaches a signal."""

from __future__ import annotations

import numpy as np

from toolkit.data.bars import Issue
from toolkit.errors import DataUnavailable

# Sources round open, high, low and close apart: within this fraction a high below the close is widened, not dropped.
ROUNDING = 2e-4
# No share moves by this factor against the median of its neighbours; a price in the wrong unit (cents, x100) does.
JUMP = 20.0
NEIGHBOURS = 5


def cleaned(symbol: str, days: np.ndarray, block: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[Issue, ...]]:
    """Rising days with a whole and possible bar each, from `days` and `block` (5, n_bars) in units without splits.

    Dropped, with an issue that counts them: NULL_ROW (any field missing), DUPLICATE (all but the last of a day),
    BAD_PRICE (not finite, not above 0, negative volume), BAD_OHLC (high or low contradict), JUMP (20 times off its
    neighbours). Raises DataUnavailable if nothing is left.
    """
    issues: list[Issue] = []

    def drop(wrong: np.ndarray, code: str, reason: str) -> None:
        nonlocal days, block
        if wrong.any():
            named = ", ".join(str(day)[:10] for day in days[wrong][:3])
            issues.append(Issue(code, symbol, f"{wrong.sum()} bars {reason} dropped: {named}"))
            days, block = days[~wrong], block[:, ~wrong]

    order = np.argsort(days, kind="stable")
    days, block = days[order], block[:, order]
    drop(np.isnan(block).any(axis=0), "NULL_ROW", "with missing fields")
    drop(np.append(days[1:] == days[:-1], False) if len(days) else np.zeros(0, bool), "DUPLICATE", "of a doubled day")
    possible = np.isfinite(block).all(axis=0) & (block[:4] > 0).all(axis=0) & (block[4] >= 0)
    drop(~possible, "BAD_PRICE", "with impossible values")
    drop(_contradicts(block), "BAD_OHLC", "whose high and low contradict their prices")
    drop(_jumps(block), "JUMP", "far off their neighbours")
    if len(days) == 0:
        raise DataUnavailable(f"{symbol}: no usable bar among what was sent", "ask again later", symbol=symbol)
    block = np.ascontiguousarray(block)
    block[1], block[2] = block[:4].max(axis=0), block[:4].min(axis=0)
    return days, block, tuple(issues)


def _contradicts(block: np.ndarray) -> np.ndarray:
    opens, high, low, close = block[:4]
    beyond = high < np.maximum(opens, close) * (1 - ROUNDING)
    beneath = low > np.minimum(opens, close) * (1 + ROUNDING)
    return beyond | beneath | (high < low)


def _jumps(block: np.ndarray) -> np.ndarray:
    n = block.shape[1]
    if n < NEIGHBOURS:
        return np.zeros(n, bool)
    around = np.lib.stride_tricks.sliding_window_view(block[3], NEIGHBOURS)
    first = np.clip(np.arange(n) - NEIGHBOURS // 2, 0, n - NEIGHBOURS)
    ratio = block[:4] / np.median(around, axis=1)[first]
    return ((ratio > JUMP) | (ratio < 1 / JUMP)).any(axis=0)


def validated(history, symbol, interval):
    """Stand-in until the real check is here."""
    if history.symbol != symbol:
        raise DataUnavailable(f"{symbol}: the source answered with bars of {history.symbol}", "ask again", symbol=symbol)
    return history
