"""Between labelled prices and the arrays of the kernels: coerce once, check once, put the labels back."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd

from toolkit.data.bars import columns_of
from toolkit.errors import InvalidParameter, InvalidWindow

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

Prices = TypeVar("Prices", pd.Series, pd.DataFrame, np.ndarray)

LONGEST = 2**53  # bars of a window: longer than any history, and still a whole number as a float
NUMBERS = {"floating", "integer", "mixed-integer-float", "decimal", "boolean", "empty"}


def whole(name: str, value: int, least: int = 1) -> int:
    """The count of bars as an int; InvalidWindow if it is not a whole number of at least `least`."""
    try:
        bars = -1 if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        bars = -1
    if bars < least:
        raise InvalidWindow(
            f"{name} is {value!r}, it must be a whole number of at least {least}", f"pass e.g. {name}={max(20, least)}"
        )
    return min(bars, LONGEST)


def positive(name: str, value: float) -> float:
    """The value as a float; InvalidParameter unless it is a number above 0."""
    try:
        number = -1.0 if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    except OverflowError:
        number = math.inf
    if not 0.0 < number < math.inf:
        raise InvalidParameter(f"{name} is {value!r}, it must be a number above 0", f"leave {name} out for its default")
    return number


def is_bars(value: object) -> bool:
    """Whether the value is Bars; its class is asked, since the fingerprint itself hashes every bar."""
    return hasattr(type(value), "fingerprint")


def panel(prices: pd.Series | pd.DataFrame | np.ndarray, name: str = "close") -> np.ndarray:
    """Read-only float64 array, shape (n_symbols, n_bars), bars side by side; one row for one dimension. No copy if possible.

    Raises InvalidParameter for anything but numbers under a column each, in the order of time.
    """
    if isinstance(prices, np.ndarray):
        if isinstance(prices, np.ma.MaskedArray) or prices.dtype.names:
            raise InvalidParameter(f"{name} is a masked or structured array", "pass plain numbers, NaN where one is missing")
        prices = np.asarray(prices)
        if prices.ndim not in (1, 2):
            raise InvalidParameter(f"{name} has {prices.ndim} dimensions", "pass an array (n_bars,) or (n_bars, n_symbols)")
        values = prices if prices.dtype == np.float64 and prices.dtype.isnative else numbers(pd.DataFrame(prices), name)
    else:
        check_labels(prices, name)
        values = prices.to_numpy()
        if values.dtype != np.float64 or not values.dtype.isnative:
            values = numbers(prices, name)
    rows = values.T if values.ndim == 2 else values.reshape(1, -1)
    if not (rows.flags.aligned and rows.strides[1] == rows.itemsize):
        rows = np.array(rows, np.float64, order="C")
    rows = rows.view()
    rows.flags.writeable = False
    return rows


def check_labels(prices: pd.Series | pd.DataFrame, name: str) -> None:
    """Raises InvalidParameter unless each symbol has one column and times rise."""
    if isinstance(prices, pd.DataFrame):
        if not prices.columns.is_unique:
            doubled = prices.columns[prices.columns.duplicated()][0]
            raise InvalidParameter(f"{name} has two columns {doubled!r}", "give each symbol one column")
    elif not isinstance(prices, pd.Series):
        raise InvalidParameter(f"{name} is a {type(prices).__name__}", "pass a Series, or a DataFrame with one column a symbol")
    index = prices.index
    if isinstance(index, pd.DatetimeIndex) and not (index.is_monotonic_increasing and index.is_unique):
        raise InvalidParameter(f"the times of {name} are not rising", "sort_index() and drop doubled times first")


def numbers(prices: pd.Series | pd.DataFrame, name: str) -> np.ndarray:
    """Float64 values, column by column; missing ones are NaN. Text is refused even where it reads as a number."""
    frame = prices.to_frame() if isinstance(prices, pd.Series) else prices
    values = np.empty(frame.shape, order="F")
    for place, (label, column) in enumerate(frame.items()):
        kind = pd.api.types.infer_dtype(column)
        try:
            if kind not in NUMBERS:
                raise TypeError(kind)
            values[:, place] = column.to_numpy(np.float64, na_value=np.nan)
        except (TypeError, ValueError, OverflowError):
            raise InvalidParameter(
                f"column {label!r} of {name} holds {kind} values ({column.dtype}), not numbers",
                "convert it, e.g. with pd.to_numeric",
            ) from None
    return values[:, 0] if isinstance(prices, pd.Series) else values


def labelled(rows: np.ndarray, like: Prices) -> Prices:
    """The rows under the labels of `like`, as a frame, a Series, or an array; no copy."""
    if isinstance(like, np.ndarray):
        return rows.T if like.ndim == 2 else rows[0]
    if isinstance(like, pd.DataFrame):
        return pd.DataFrame(rows.T, index=like.index, columns=like.columns, copy=False)
    return pd.Series(rows[0], index=like.index, name=like.name, copy=False)


def named_as(frame: pd.DataFrame, bars: Bars) -> bool:
    """Whether the columns are the symbols of the bars, in their order."""
    return frame.columns.is_(columns_of(bars.symbols)) or tuple(frame.columns) == tuple(bars.symbols)


def same_labels(a: pd.Index, b: pd.Index) -> bool:
    """Whether two indexes hold the same labels in the same order."""
    return a is b or a.equals(b)
