"""Moving averages of prices, in price units."""

from __future__ import annotations

import math

from toolkit.errors import InvalidWindow
from toolkit.kernels import adaptive, averages, chained, weighted, windows
from toolkit.signals.declared import Formula, indicator
from toolkit.signals.panels import whole


@indicator("close")
def sma(window: int) -> Formula:
    """Simple moving average; NaN for the first window - 1 bars. Equal prices have exactly themselves as mean.

    Source: J. J. Murphy, Technical Analysis of the Financial Markets (1999), ch. 9.

    >>> sma(pd.Series([1.0, 2.0, 6.0]), 2).tolist()
    [nan, 1.5, 4.0]
    """
    window = whole("window", window)
    return Formula(windows.mean, (window,), room=3 + window, lookback=window - 1, reach=window, align=window)


@indicator("close")
def wma(window: int) -> Formula:
    """Weighted moving average, weights falling evenly from `window` for the newest price to 1; NaN for window - 1 bars.

    Equal prices have exactly themselves as mean.
    Source: J. J. Murphy, Technical Analysis of the Financial Markets (1999), ch. 9.

    >>> wma(pd.Series([1.0, 4.0, 7.0]), 2).tolist()
    [nan, 3.0, 6.0]
    """
    window = whole("window", window)
    return Formula(weighted.wma, (window,), room=4 + window, lookback=window - 1, reach=window, align=window)


@indicator("close")
def hma(window: int) -> Formula:
    """Hull's average, wma(2 * wma(window / 2) - wma(window), sqrt(window)), both windows rounded down, at least 1.

    NaN for the first window + smooth - 2 bars, smooth being that root: 18 bars for a window of 16. It may leave the range
    of its prices. Equal prices have exactly themselves as mean.
    Source: A. Hull, How to reduce lag in a moving average (2005), alanhull.com.
    """
    window = whole("window", window)
    half, smooth = max(window // 2, 1), math.isqrt(window)
    windows_of = window, half, smooth
    room, last = 10 + sum(windows_of), window + smooth - 2
    return Formula(weighted.hma, windows_of, room=room, lookback=last, reach=last + 1, align=math.lcm(*windows_of))


@indicator("close", "volume")
def vwma(window: int) -> Formula:
    """Mean of the closes of `window` bars, each weighted by its volume; NaN for window - 1 bars and where none is traded.

    Equal prices have exactly themselves as mean.
    Source: B. Dormeier, Investing with Volume Analysis (2011).
    """
    window = whole("window", window)
    return Formula(weighted.vwma, (window,), room=4 + 2 * window, lookback=window - 1, reach=window, align=window)


@indicator("close")
def ema(span: int) -> Formula:
    """Exponential moving average, 2 / (span + 1) of it the newest price; NaN until `span` prices are known.

    Seeded with the plain mean of the first `span` prices (pandas' ewm starts from the first price instead).
    Source: J. J. Murphy, Technical Analysis of the Financial Markets (1999), ch. 9.

    >>> ema(pd.Series([1.0, 3.0, None, 6.0]), 2).tolist()
    [nan, 2.0, nan, 4.666666666666667]
    """
    span = whole("span", span)
    return Formula(averages.ema, (span,), room=2, lookback=span - 1)


@indicator("close")
def dema(span: int) -> Formula:
    """Double exponential average, 2 * ema - ema of ema: less lag, at times beyond its prices; NaN for 2 * (span - 1) bars.

    Each average is seeded with the plain mean of its own first `span` values. A bar without a price is passed over.
    Source: P. Mulloy, Smoothing data with faster moving averages, Stocks & Commodities 12 (1994), no. 1.
    """
    span = whole("span", span)
    return Formula(chained.dema, (span,), room=4, lookback=2 * (span - 1))


@indicator("close")
def tema(span: int) -> Formula:
    """Triple exponential average, 3 * ema - 3 * ema of ema + ema of ema of ema; NaN for 3 * (span - 1) bars.

    Each average is seeded with the plain mean of its own first `span` values. A bar without a price is passed over.
    Source: P. Mulloy, Smoothing data with less lag, Stocks & Commodities 12 (1994), no. 2.
    """
    span = whole("span", span)
    return Formula(chained.tema, (span,), room=6, lookback=3 * (span - 1))


@indicator("close")
def trix(span: int = 15) -> Formula:
    """Change, as a fraction, of the triple smoothed ema of ema of ema from bar to bar; NaN for 3 * (span - 1) + 1 bars.

    Each average is seeded with the plain mean of its own first `span` values. After a bar without a price the change is
    taken from the last average known. NaN where that average was 0. Charts print it in percent; its author smooths
    logarithms of prices, charts and TA-Lib the prices, as here.
    Source: J. Hutson, Good Trix, Stocks & Commodities 1 (1983), no. 5.
    """
    span = whole("span", span)
    return Formula(chained.trix, (span,), room=6, lookback=3 * (span - 1) + 1)


@indicator("close")
def kama(window: int = 10, fast: int = 2, slow: int = 30) -> Formula:
    """Kaufman's adaptive average, an ema whose span lies between `fast` and `slow`; NaN until `window` changes are known.

    Its weight is (efficiency * (2 / (fast + 1) - 2 / (slow + 1)) + 2 / (slow + 1)) ** 2, where the efficiency is how far
    the price has come in `window` changes over the length of its path, 1 where it has not moved. It begins with the price
    before its first value. A bar without a price is passed over. Raises InvalidWindow unless fast < slow.
    Source: P. J. Kaufman, Smarter Trading (1995).
    """
    window, fast, slow = whole("window", window), whole("fast", fast), whole("slow", slow)
    if fast >= slow:
        raise InvalidWindow(f"fast is {fast}, slow is {slow}", "choose fast below slow")
    room = 2 + 3 * window + (1 + window.bit_length()) * adaptive.BLOCK
    return Formula(adaptive.kama, (window, fast, slow), room=room, lookback=window)
