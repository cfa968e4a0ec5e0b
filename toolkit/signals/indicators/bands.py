"""Bands and channels around prices, in price units."""

from __future__ import annotations

from typing import NamedTuple

from toolkit.kernels import bands
from toolkit.signals.declared import Formula, Values, indicator
from toolkit.signals.panels import positive, whole


class Bollinger(NamedTuple):
    """Price units: the mean, and a number of deviations below and above it."""

    lower: Values
    middle: Values
    upper: Values


@indicator("close", into=Bollinger)
def bollinger(window: int = 20, width: float = 2.0) -> Formula:
    """Bands `width` standard deviations around the simple moving average; NaN for the first window - 1 bars.

    The deviation is the population's (ddof = 0), as its author has it.
    Raises InvalidParameter unless the width is a number above 0.
    Source: J. Bollinger, Bollinger on Bollinger Bands (2001), ch. 7.
    """
    window = whole("window", window)
    room, parameters = 6 + 3 * window, (window, positive("width", width))
    return Formula(bands.bollinger, parameters, room=room, lookback=window - 1, reach=window, align=window)


class Donchian(NamedTuple):
    """Price units: the lowest low, the highest high, and the middle between them."""

    lower: Values
    middle: Values
    upper: Values


@indicator("high", "low", into=Donchian)
def donchian(window: int = 20) -> Formula:
    """Channel from the lowest low to the highest high of the last `window` bars; NaN for the first window - 1 bars.

    The bar itself is included: a rule that buys a close above the channel compares it with the channel of the bar before.
    Source: R. D. Donchian, High finance in copper, Financial Analysts Journal 16 (1960).
    """
    window = whole("window", window)
    return Formula(bands.donchian, (window,), room=2 + 2 * window, lookback=window - 1, reach=window, align=window)
