"""Rules: from indicators to events, states and scores, bar by bar, without a look ahead.

Series, frames or arrays in, the same kind out, labels kept. A comparison of what is not known is False: `~above(a, b)` is true
where `a` is NaN, `below(a, b)` is not. Called with declared operands, `above(sma(5), sma(20))`, comparisons and `hold_between`
declare a Condition (`conditions`), which does tell what is unknown from what is not so.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter
from toolkit.signals.conditions import Condition, compared, joined
from toolkit.signals.declared import check_together
from toolkit.signals.events import crossing, held
from toolkit.signals.indicators import rolling_max, sma, zscore
from toolkit.signals.indicators.momentum import below as check_below
from toolkit.signals.operands import Operand
from toolkit.signals.panels import Prices, labelled, panel, positive, whole


def above(a: Any, b: Any) -> Any:
    """True at the bars where `a` is above `b`; False where either is NaN.

    One of them is a Series, frame or array, the other the same with the same labels, a number, or a Series beside a frame (one
    level for all symbols). Raises InvalidParameter where labels differ: nothing is aligned in silence.

    >>> above(pd.Series([1.0, 2.0, 3.0]), 2).tolist()
    [False, False, True]
    >>> above(sma(5), sma(20)) & above("close", lambda trend: sma(trend))
    above(sma(5), sma(20)) & above(close, <trend>)
    """
    return compare("above", a, b, np.greater)


def below(a: Any, b: Any) -> Any:
    """True at the bars where `a` is below `b`; False where either is NaN. As `above`."""
    return compare("below", a, b, np.less)


def between(value: Any, low: Any, high: Any) -> Any:
    """True at the bars where low <= value <= high; False where any of them is NaN. As `above`.

    >>> between(pd.Series([1.0, 2.0, 3.0, 4.0]), 2, 3).tolist()
    [False, True, True, False]
    """
    if not any(map(is_data, (value, low, high))):
        return Condition("between", (compared("below", value, low), compared("above", value, high)))
    (inside, floor, ceiling), like = together(value=value, low=low, high=high)
    return labelled((floor <= inside) & (inside <= ceiling), like)


def crossed_above(a: Any, b: Any) -> Any:
    """True at the bars where `a` is above `b` and was not at the last bar before at which both were known; else False.

    So a crossing over bars without a value is an event of the first bar after them. As `above`.

    >>> crossed_above(pd.Series([1.0, 2.0, 3.0, 4.0]), 2).tolist()
    [False, False, True, False]
    """
    return compare("crossed_above", a, b, crossing)


def crossed_below(a: Any, b: Any) -> Any:
    """True at the bars where `a` is below `b` and was not at the last bar before at which both were known; else False."""
    return compare("crossed_below", a, b, lambda upper, lower: crossing(lower, upper))


def rising(values: Prices, window: int = 1) -> Prices:
    """True at the bars where each of the last `window` values is above the one before it; False where one of them is NaN.

    >>> rising(pd.Series([1.0, 2.0, 3.0, 3.0]), 2).tolist()
    [False, False, True, False]
    """
    return labelled(runs(panel(values, "values"), whole("window", window), np.greater), values)


def falling(values: Prices, window: int = 1) -> Prices:
    """True at the bars where each of the last `window` values is below the one before it; False where one of them is NaN."""
    return labelled(runs(panel(values, "values"), whole("window", window), np.less), values)


def breakout(close: Prices, high: Prices, window: int = 20) -> Prices:
    """True at the bars that close above the highest high of the `window` bars before; False where one of them is NaN.

    Source: R. D. Donchian, High finance in copper, Financial Analysts Journal 16 (1960), on closes beyond a channel.

    >>> breakout(pd.Series([1.0, 2.0, 3.0, 4.0]), pd.Series([1.0, 3.0, 3.0, 3.0]), 2).tolist()
    [False, False, False, True]
    """
    window = whole("window", window)
    (price, _), like = together(close=close, high=high)
    before = np.full(price.shape, np.nan)
    before[:, 1:] = np.broadcast_to(panel(rolling_max(high, window)), price.shape)[:, :-1]
    return labelled(price > before, like)


def hold_between(entries: Any, exits: Any) -> Any:
    """1.0 from the bar of an entry until the bar before the next exit, else 0.0; an exit wins over an entry of its bar.

    Of declared conditions: a Condition, with no opinion at a bar where it is unknown whether to leave, or, without an exit,
    whether to enter. Raises InvalidParameter where the labels differ or the values are not booleans.

    >>> entries, exits = pd.Series([False, True, False, False, True]), pd.Series([True, False, False, True, True])
    >>> hold_between(entries, exits).tolist()
    [0.0, 1.0, 1.0, 0.0, 0.0]
    """
    if isinstance(entries, Condition) or isinstance(exits, Condition):
        return joined("hold_between", entries, exits)
    (opened, closed), like = together(entries=entries, exits=exits)
    return labelled(held(flags("entries", opened), flags("exits", closed)).astype(np.float64), like)


def hold_for(events: Prices, window: int) -> Prices:
    """1.0 at the bar of an event and at those after it, `window` bars in all, else 0.0; an event meanwhile begins anew.

    Raises InvalidParameter where values are not booleans.

    >>> hold_for(pd.Series([False, True, False, False, False]), 2).tolist()
    [0.0, 1.0, 1.0, 0.0, 0.0]
    """
    happened, window = flags("events", panel(events, "events")), whole("window", window)
    bars = np.arange(happened.shape[1])
    last = np.maximum.accumulate(np.where(happened, bars, -window), axis=1)
    return labelled((bars - last < window).astype(np.float64), events)


def hysteresis(values: Prices, enter: float, leave: float) -> Prices:
    """1.0 from a rise above `enter` until a fall below `leave`, else 0.0; with enter < leave, from a fall to a rise.

    At a bar without a value it is NaN, no opinion, and the state goes on after it. Raises InvalidParameter for levels that are
    equal or no numbers.

    >>> hysteresis(pd.Series([50.0, 71.0, 60.0, 49.0, 60.0]), enter=70, leave=50).tolist()
    [0.0, 1.0, 1.0, 0.0, 0.0]
    """
    for name, level in ("enter", enter), ("leave", leave):
        if not is_number(level):
            raise InvalidParameter(f"{name} is {level!r}", "pass a number; for levels that move, hold_between(above(...), ...)")
    if enter == leave:
        raise InvalidParameter(f"enter and leave are both {enter}", "leave a band between them, or use above")
    rows = panel(values, "values")
    opened, closed = (rows > enter, rows < leave) if enter > leave else (rows < enter, rows > leave)
    return labelled(np.where(np.isnan(rows), np.nan, held(opened, closed)), values)


# --------------------------------------------------------------------------------------------------------------- scores
def zscore_reversion(prices: Prices, window: int = 20, width: float = 2.0) -> Prices:
    """Against the distance from the mean of `window` bars: 1.0 from `width` deviations below on, 0.0 at it, -1.0 above.

    In between in proportion; NaN where the z-score is. Source: E. P. Chan, Algorithmic Trading (2013), ch. 3.
    """
    distance = panel(zscore(prices, window)) / positive("width", width)
    return labelled(np.clip(0.0 - distance, -1.0, 1.0), prices)


def momentum_12_1(prices: Prices, window: int = 252, skip: int = 21) -> Prices:
    """Return from the price `window` bars ago to that `skip` bars ago, a fraction; NaN where one is missing or not positive.

    Of daily bars, the return over a year without its last month, which tends to revert. Raises InvalidWindow unless
    skip < window.
    Source: N. Jegadeesh, S. Titman, Returns to Buying Winners and Selling Losers, Journal of Finance 48 (1993).
    """
    window, skip = whole("window", window), whole("skip", skip, 0)
    check_below("skip", skip, "window", window)
    rows = panel(prices)
    gained = np.full(rows.shape, np.nan)
    ago, since = rows[:, : max(rows.shape[1] - window, 0)], rows[:, window - skip : max(rows.shape[1] - skip, 0)]
    known = (ago > 0.0) & (since > 0.0)
    gained[:, window:] = np.divide(since, ago, out=np.full(ago.shape, np.nan), where=known) - 1.0
    return labelled(gained, prices)


def trend(prices: Prices, fast: int = 50, slow: int = 200) -> Prices:
    """1.0 where the `fast` simple average is above the `slow` one, -1.0 below, 0.0 where equal, NaN where one is not known.

    Raises InvalidWindow unless fast < slow.
    Source: J. J. Murphy, Technical Analysis of the Financial Markets (1999), ch. 9.
    """
    check_below("fast", whole("fast", fast), "slow", whole("slow", slow))
    return labelled(np.sign(panel(sma(prices, fast)) - panel(sma(prices, slow))), prices)


# ------------------------------------------------------------------------------------------------------------- operands
def compare(kind: str, a: Any, b: Any, of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Any:
    """The comparison of data, under its labels; the Condition of what is declared."""
    if not (is_data(a) or is_data(b)):
        return compared(kind, a, b)
    rows, like = together(a=a, b=b)
    return labelled(of(*rows), like)


def together(**values: Any) -> tuple[list[np.ndarray], Any]:
    """Arrays of one shape (n_symbols, n_bars), and the first that has labels; InvalidParameter where labels differ."""
    first, like = next((name, value) for name, value in values.items() if is_data(value))
    shape, rows = panel(like, first).shape, []
    for name, value in values.items():
        if is_data(value):
            check_together(first, like, name, value)
        elif isinstance(value, Real | str | None) and not is_number(value):
            raise InvalidParameter(f"{name} is {value!r}", "pass a number, a Series or a frame")
        elif not is_number(value):
            cure = f"compute it as {first} is, e.g. sma(close, 20), or declare both"
            raise InvalidParameter(f"{name} is {Operand(value)}, declared, and {first} is a {type(like).__name__}", cure)
        rows.append(np.broadcast_to(panel(value, name) if is_data(value) else np.float64(value), shape))
    return rows, like


def is_data(value: Any) -> bool:
    """Whether the value is computed, not declared."""
    return isinstance(value, pd.Series | pd.DataFrame | np.ndarray)


def is_number(value: Any) -> bool:
    """Whether the value is a number, and not NaN."""
    return isinstance(value, Real) and not np.isnan(float(value))


def flags(name: str, rows: np.ndarray) -> np.ndarray:
    """The rows as booleans; InvalidParameter for other values."""
    if not ((rows == 0.0) | (rows == 1.0)).all():
        raise InvalidParameter(f"{name} holds values other than True and False", "pass the result of a comparison")
    return rows > 0.0


def runs(rows: np.ndarray, window: int, of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Whether each of the last `window` bars compares so with the one before it."""
    broken = np.ones(rows.shape, dtype=bool)
    broken[:, 1:] = ~of(rows[:, 1:], rows[:, :-1])
    bars = np.arange(rows.shape[1])
    return bars - np.maximum.accumulate(np.where(broken, bars, -1), axis=1) >= window
