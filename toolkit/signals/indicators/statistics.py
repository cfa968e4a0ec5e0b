"""Rolling windows of any values: moments and extremes."""

from __future__ import annotations

import math

from toolkit.kernels import moments, windows
from toolkit.signals.declared import Formula, indicator
from toolkit.signals.panels import whole


@indicator("close")
def rolling_std(window: int, ddof: int = 1) -> Formula:
    """Standard deviation over `window` bars with window - ddof in the denominator; NaN for the first window - 1 bars.

    Equal values give exactly 0. Values beyond 1e154, whose squares are not finite, give NaN. Raises InvalidWindow if
    the window is not longer than ddof.
    Source: T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for computing the sample variance (1983), for the pivot.
    """
    ddof = whole("ddof", ddof, least=0)
    window = whole("window", window, least=ddof + 1)
    room = 3 + 2 * window
    return Formula(moments.deviation, (window, ddof), room=room, lookback=window - 1, reach=window, align=window)


@indicator("close")
def rolling_variance(window: int, ddof: int = 1) -> Formula:
    """Variance over `window` bars, in squared units of the input; all else as for `rolling_std`.

    Source: T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for computing the sample variance (1983), for the pivot.
    """
    ddof = whole("ddof", ddof, least=0)
    window = whole("window", window, least=ddof + 1)
    room = 3 + 2 * window
    return Formula(moments.variance, (window, ddof), room=room, lookback=window - 1, reach=window, align=window)


@indicator("close")
def zscore(window: int, ddof: int = 1) -> Formula:
    """How many standard deviations the value lies above the mean of its window; NaN for the first window - 1 bars.

    The window ends with the value itself; window - ddof is in the denominator of the deviation, as in `rolling_std`.
    Where all values are equal it is 0 / 0, NaN. Raises InvalidWindow if the window is below 2 or not longer than ddof.
    Source: E. P. Chan, Algorithmic Trading (2013), ch. 2.
    """
    ddof = whole("ddof", ddof, least=0)
    window = whole("window", window, least=max(2, ddof + 1))
    room = 3 + 2 * window
    return Formula(moments.zscore, (window, ddof), room=room, lookback=window - 1, reach=window, align=window)


@indicator("close")
def rolling_skew(window: int) -> Formula:
    """Skewness over `window` bars, a pure number, without bias in normal samples; NaN for the first window - 1 bars.

    G1 = sqrt(w (w - 1)) / (w - 2) * m3 / m2**1.5, with the moments m2, m3 about the mean; pandas and Excel have the same.
    Where all values are equal it is 0 / 0, NaN (pandas says 0). Values beyond 1e77, whose fourth powers are not finite,
    give NaN. Raises InvalidWindow if the window is below 3.
    Source: D. N. Joanes, C. A. Gill, Comparing measures of sample skewness and kurtosis, The Statistician 47 (1998).
    """
    window = whole("window", window, least=3)
    factor = window * math.sqrt(window - 1) / (window - 2)
    room = 5 + 4 * window
    return Formula(moments.skew, (window, factor), room=room, lookback=window - 1, reach=window, align=window)


@indicator("close")
def rolling_kurtosis(window: int) -> Formula:
    """Excess kurtosis over `window` bars, a pure number, 0 for a normal law; NaN for the first window - 1 bars.

    G2 = (w - 1) / ((w - 2) (w - 3)) * ((w + 1) m4 / m2**2 - 3 (w - 1)), without bias in normal samples; pandas and Excel
    have the same. Where all values are equal it is 0 / 0, NaN (pandas says -3). Values beyond 1e77, whose fourth powers are
    not finite, give NaN. Raises InvalidWindow if the window is below 4.
    Source: D. N. Joanes, C. A. Gill, Comparing measures of sample skewness and kurtosis, The Statistician 47 (1998).
    """
    window = whole("window", window, least=4)
    rest = (window - 2) * (window - 3)
    factor, normal = window * (window + 1) * (window - 1) / rest, 3 * (window - 1) ** 2 / rest
    room = 5 + 4 * window
    return Formula(moments.kurtosis, (window, factor, normal), room=room, lookback=window - 1, reach=window, align=window)


def extreme(window: int, sign: float) -> Formula:
    """Rolling maximum for sign 1.0, minimum for -1.0."""
    window = whole("window", window)
    return Formula(windows.extreme, (window, sign), room=1 + window, lookback=window - 1, reach=window, align=window)


@indicator("close")
def rolling_max(window: int) -> Formula:
    """Largest value of the last `window` bars, this one included; NaN for the first window - 1 bars.

    Source: R. D. Donchian, High finance in copper, Financial Analysts Journal 16 (1960), where it is the upper channel.
    """
    return extreme(window, 1.0)


@indicator("close")
def rolling_min(window: int) -> Formula:
    """Smallest value of the last `window` bars, this one included; NaN for the first window - 1 bars.

    Source: R. D. Donchian, High finance in copper, Financial Analysts Journal 16 (1960), where it is the lower channel.
    """
    return extreme(window, -1.0)


def age(window: int, sign: float) -> Formula:
    """Bars since the rolling maximum for sign 1.0, since the minimum for -1.0."""
    window = whole("window", window)
    return Formula(windows.age, (window, sign), room=2 + 2 * window, lookback=window - 1, reach=window, align=window)


@indicator("close")
def rolling_argmax(window: int) -> Formula:
    """Bars since the largest value of the last `window` bars, 0 to window - 1; NaN for the first window - 1 bars.

    0 is this bar; of several equal ones the latest counts. (TA-Lib's MAXINDEX numbers bars from the first of the history.)
    Source: T. S. Chande, A time price oscillator, Technical Analysis of Stocks & Commodities 13:9 (1995), for Aroon.
    """
    return age(window, 1.0)


@indicator("close")
def rolling_argmin(window: int) -> Formula:
    """Bars since the smallest value of the last `window` bars, 0 to window - 1; all else as for `rolling_argmax`.

    Source: T. S. Chande, A time price oscillator, Technical Analysis of Stocks & Commodities 13:9 (1995), for Aroon.
    """
    return age(window, -1.0)
