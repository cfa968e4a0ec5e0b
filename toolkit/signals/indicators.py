"""Technical indicators: Series or frame in (n_bars, or n_bars x n_symbols), the same kind out, labels kept.

Values are float64 in the unit of the input unless said otherwise. For all of them:

* No value knows a later bar, and one more bar at the end changes no earlier value, not even in its last bit.
* Over a window, a value that is not finite makes NaN of the windows that hold it, and of no other. Averages that
  remember (ema, macd, rsi, atr) give NaN at a bar without a price, keep their state, and go on at the next bar.
* A window longer than the history gives NaN throughout.
* InvalidWindow is raised for a window that is not a whole number of at least 1, InvalidParameter for text, two equal
  columns, or times that are not rising.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter, InvalidWindow
from toolkit.kernels import recursive, windows
from toolkit.signals.panels import Prices, labelled, panel, whole

if TYPE_CHECKING:
    from toolkit.data.bars import Bars


class Macd(NamedTuple, Generic[Prices]):
    """Price units: `line`, its average `signal`, and `histogram`, the line less the signal."""

    line: Prices
    signal: Prices
    histogram: Prices


class Bollinger(NamedTuple, Generic[Prices]):
    """Price units: the mean, and a number of deviations below and above it."""

    lower: Prices
    middle: Prices
    upper: Prices


def sma(close: Prices, window: int) -> Prices:
    """Simple moving average; NaN for the first window - 1 bars. Equal prices have exactly themselves as mean.

    Source: J. J. Murphy, Technical Analysis of the Financial Markets (1999), ch. 9.

    >>> sma(pd.Series([1.0, 2.0, 6.0]), 2).tolist()
    [nan, 1.5, 4.0]
    """
    x, window = panel(close), whole("window", window)
    out = np.empty(x.shape)
    windows.mean(x, reach(window, x), out, scratch(window, x))
    return labelled(out, close)


def rolling_std(x: Prices, window: int, ddof: int = 1) -> Prices:
    """Standard deviation over `window` bars with window - ddof in the denominator; NaN for the first window - 1 bars.

    Equal values give exactly 0. Values beyond 1e154, whose squares are not finite, give NaN. Raises InvalidWindow if
    the window is not longer than ddof.
    Source: T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for computing the sample variance (1983), for the pivot.
    """
    ddof = whole("ddof", ddof, least=0)
    rows, window = panel(x, "x"), whole("window", window, least=ddof + 1)
    out = np.empty(rows.shape)
    windows.deviation(rows, reach(window, rows), ddof, out, scratch(window, rows), scratch(window, rows))
    return labelled(out, x)


def rolling_max(x: Prices, window: int) -> Prices:
    """Largest value of the last `window` bars, this one included; NaN for the first window - 1 bars.

    Source: R. D. Donchian, High finance in copper, Financial Analysts Journal 16 (1960), where it is the upper channel.
    """
    return extreme(x, window, 1.0)


def rolling_min(x: Prices, window: int) -> Prices:
    """Smallest value of the last `window` bars, this one included; NaN for the first window - 1 bars.

    Source: R. D. Donchian, High finance in copper, Financial Analysts Journal 16 (1960), where it is the lower channel.
    """
    return extreme(x, window, -1.0)


def ema(close: Prices, span: int) -> Prices:
    """Exponential moving average, 2 / (span + 1) of it the newest price; NaN until `span` prices are known.

    Seeded with the plain mean of the first `span` prices (pandas' ewm starts from the first price instead).
    Source: J. J. Murphy, Technical Analysis of the Financial Markets (1999), ch. 9.

    >>> ema(pd.Series([1.0, 3.0, None, 6.0]), 2).tolist()
    [nan, 2.0, nan, 4.666666666666667]
    """
    x, span = panel(close), whole("span", span)
    out = np.empty(x.shape)
    recursive.ema(x, reach(span, x), out)
    return labelled(out, close)


def macd(close: Prices, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd:
    """Convergence and divergence of two averages: line = ema(fast) - ema(slow), signal = ema(line, signal).

    Each average is seeded by itself, with the plain mean of its first values, so that the line is the difference of our
    `ema`s to the last bit (TA-Lib starts the fast one later; both agree once the seeds have faded). The line begins at
    the `slow`-th price, the signal and histogram `signal` - 1 prices later. Raises InvalidWindow unless fast < slow.
    Source: G. Appel, The Moving Average Convergence-Divergence Trading Method (1979).
    """
    x = panel(close)
    fast, slow, signal = whole("fast", fast), whole("slow", slow), whole("signal", signal)
    below("fast", fast, "slow", slow)
    line, average, histogram = np.empty(x.shape), np.empty(x.shape), np.empty(x.shape)
    recursive.macd(x, reach(fast, x), reach(slow, x), reach(signal, x), line, average, histogram)
    return Macd(labelled(line, close), labelled(average, close), labelled(histogram, close))


def rsi(close: Prices, window: int = 14) -> Prices:
    """Relative strength index, 0 to 100; NaN until `window` changes of the price are known.

    Wilder's averages of gains and losses (weight 1 / window), seeded with the plain means of the first `window`
    changes. After a bar without a price the change is taken from the last one known. Where the price has never moved
    it is 50, no strength on either side (TA-Lib says 0, which would read as oversold).
    Source: J. W. Wilder, New Concepts in Technical Trading Systems (1978), p. 65.
    """
    x, window = panel(close), whole("window", window)
    out = np.empty(x.shape)
    recursive.rsi(x, reach(window, x), out)
    return labelled(out, close)


def bollinger(close: Prices, window: int = 20, width: float = 2.0) -> Bollinger:
    """Bands `width` standard deviations around the simple moving average; NaN for the first window - 1 bars.

    The deviation is the population's (ddof = 0), as its author has it.
    Raises InvalidParameter unless the width is a number above 0.
    Source: J. Bollinger, Bollinger on Bollinger Bands (2001), ch. 7.
    """
    x, window = panel(close), whole("window", window)
    if not 0.0 < width < np.inf:
        raise InvalidParameter(f"width is {width!r}, it must be a number above 0", "pass e.g. width=2.0")
    middle, spread = np.empty(x.shape), np.empty(x.shape)
    tails = scratch(window, x)
    windows.mean(x, reach(window, x), middle, tails)
    windows.deviation(x, reach(window, x), 0, spread, tails, scratch(window, x))
    spread *= width
    return Bollinger(labelled(middle - spread, close), labelled(middle, close), labelled(middle + spread, close))


def atr(bars: Bars, span: int = 14) -> pd.DataFrame:
    """Average true range in price units, shape (n_bars, n_symbols); NaN for the first `span` bars of a symbol.

    Wilder's smoothing (weight 1 / span), seeded with the plain mean of the first `span` true ranges; the first bar has
    none, since there is no close before it. A bar that lacks its high, low or close is passed over.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems (1978), p. 21.
    """
    high, low, close = panel(bars.high, "high"), panel(bars.low, "low"), panel(bars.close)
    span = whole("span", span)
    out = np.empty(close.shape)
    recursive.atr(high, low, close, reach(span, close), out)
    return labelled(out, bars.close)


def extreme(x: Prices, window: int, sign: float) -> Prices:
    """Rolling maximum for sign 1.0, minimum for -1.0."""
    rows, window = panel(x, "x"), whole("window", window)
    out = np.empty(rows.shape)
    windows.extreme(rows, reach(window, rows), sign, out, scratch(window, rows), scratch(window, rows))
    return labelled(out, x)


def below(name: str, value: int, other: str, most: int) -> None:
    """Raises InvalidWindow unless value < most."""
    if value >= most:
        raise InvalidWindow(f"{name} is {value}, {other} is {most}", f"choose {name} below {other}")


def reach(window: int, x: np.ndarray) -> int:
    """The window, at most one bar more than there are: no kernel then meets a number beyond int64."""
    return min(window, x.shape[1] + 1)


def scratch(window: int, x: np.ndarray) -> np.ndarray:
    """Room for the tails of one block."""
    return np.empty(min(window, x.shape[1]))
