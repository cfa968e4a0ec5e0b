"""Rolling windows of any values: deviation, extremes."""

from __future__ import annotations

from toolkit.kernels import windows
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
    room = 3 + 3 * window
    return Formula(windows.deviation, (window, ddof), room=room, lookback=window - 1, reach=window, align=window)


def extreme(window: int, sign: float) -> Formula:
    """Rolling maximum for sign 1.0, minimum for -1.0."""
    window = whole("window", window)
    return Formula(windows.extreme, (window, sign), room=1 + 2 * window, lookback=window - 1, reach=window, align=window)


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
