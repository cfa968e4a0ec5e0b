"""Rules: from indicators to events and states, bar by bar, without a look ahead."""

from __future__ import annotations

from numbers import Real

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter
from toolkit.signals.panels import Prices, labelled, panel, same_labels


def crossed_above(a: Prices, b: pd.Series | pd.DataFrame | float) -> Prices:
    """True at the bars where `a` is above `b` and was not at the bar before; where either bar has a NaN, False.

    `b` is a number, a Series of the same times (one level for all symbols), or a frame with the labels of `a`.
    Raises InvalidParameter where the labels differ: nothing is aligned in silence.

    >>> crossed_above(pd.Series([1.0, 2.0, 3.0, 4.0]), 2).tolist()
    [False, False, True, False]
    """
    upper, lower = operands(a, b)
    return labelled(crossing(upper, lower), a)


def crossed_below(a: Prices, b: pd.Series | pd.DataFrame | float) -> Prices:
    """True at the bars where `a` is below `b` and was not at the bar before; as `crossed_above`."""
    upper, lower = operands(a, b)
    return labelled(crossing(-upper, -lower), a)


def hold_between(entries: Prices, exits: Prices) -> Prices:
    """1.0 from the bar of an entry until the bar before the next exit, else 0.0; an exit wins over an entry of its bar.

    Raises InvalidParameter where the labels differ or the values are not booleans.

    >>> entries, exits = pd.Series([False, True, False, False, True]), pd.Series([True, False, False, True, True])
    >>> hold_between(entries, exits).tolist()
    [0.0, 1.0, 1.0, 0.0, 0.0]
    """
    opened, closed = operands(entries, exits, "entries", "exits")
    for name, rows in ("entries", opened), ("exits", closed):
        if not np.isin(rows, (0.0, 1.0)).all():
            raise InvalidParameter(f"{name} holds values other than True and False", "pass the result of a comparison")
    return labelled(held(opened > 0.0, closed > 0.0).astype(np.float64), entries)


def held(entries: np.ndarray, exits: np.ndarray) -> np.ndarray:
    """Whether the last event so far, along the last axis, was an entry; boolean arrays (n_symbols, n_bars)."""
    bars = np.arange(1, entries.shape[-1] + 1)
    entered = np.maximum.accumulate(np.where(entries, bars, 0), axis=-1)
    left = np.maximum.accumulate(np.where(exits, bars, 0), axis=-1)
    return entered > left


def crossing(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Whether `upper` rose above `lower` at a bar, along the last axis."""
    crossed = np.zeros(upper.shape, dtype=bool)
    crossed[:, 1:] = (upper[:, :-1] <= lower[:, :-1]) & (upper[:, 1:] > lower[:, 1:])
    return crossed


def operands(
    a: pd.Series | pd.DataFrame, b: pd.Series | pd.DataFrame | float, first: str = "a", second: str = "b"
) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays of one shape (n_symbols, n_bars); InvalidParameter where their labels differ."""
    rows = panel(a, first)
    if isinstance(b, Real) and not np.isnan(float(b)):
        return rows, np.broadcast_to(np.float64(b), rows.shape)
    if not isinstance(b, pd.Series | pd.DataFrame):
        raise InvalidParameter(f"{second} is {b!r}", "pass a number, a Series or a frame")
    if not same_labels(a.index, b.index):
        raise InvalidParameter(f"{first} and {second} have different times", f"bring {second} to the times of {first} first")
    if isinstance(b, pd.DataFrame) and not (isinstance(a, pd.DataFrame) and same_labels(a.columns, b.columns)):
        raise InvalidParameter(f"{first} and {second} have different columns", f"select the columns of {first} first")
    return rows, np.broadcast_to(panel(b, second), rows.shape)
