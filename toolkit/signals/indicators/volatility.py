"""How far prices swing: ranges in price units, and volatilities as fractions of the price by the year.

A volatility of 0.2 is 20 % a year of `periods` bars: 252 for daily bars, 252 * 78 for five minutes of a New York session.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

from toolkit.errors import InvalidParameter
from toolkit.kernels import ranges, volatility
from toolkit.kernels.jit import Kernel
from toolkit.signals.declared import Formula, Values, indicator
from toolkit.signals.panels import positive, whole


@indicator("high", "low", "close")
def true_range() -> Formula:
    """True range in price units, from the close before to the farther of high and low; NaN for the first bar of a symbol.

    A bar that lacks its high, low or close is NaN; the next range reaches back to the last close known.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems (1978), p. 21.
    """
    return Formula(ranges.true_range, (), room=1, lookback=1)


@indicator("high", "low", "close")
def atr(span: int = 14) -> Formula:
    """Average true range in price units, shape (n_bars, n_symbols); NaN for the first `span` bars of a symbol.

    Wilder's smoothing (weight 1 / span), seeded with the plain mean of the first `span` true ranges; the first bar has
    none, since there is no close before it. A bar that lacks its high, low or close is passed over.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems (1978), p. 21.
    """
    span = whole("span", span)
    return Formula(ranges.atr, (span,), room=3, lookback=span)


@indicator("high", "low", "close")
def natr(span: int = 14) -> Formula:
    """Average true range as a fraction of the close (TA-Lib's is in percent); NaN for the first `span` bars. See `atr`.

    Source: J. Forman, Cross-market evaluations with normalized average true range, Stocks & Commodities 24 (2006).
    """
    span = whole("span", span)
    return Formula(ranges.natr, (span,), room=3, lookback=span)


class Keltner(NamedTuple):
    """Price units: an average price, and a number of average true ranges below and above it."""

    lower: Values
    middle: Values
    upper: Values


@indicator("high", "low", "close", into=Keltner)
def keltner(span: int = 20, atr_span: int = 10, width: float = 2.0) -> Formula:
    """Channel `width * atr(atr_span)` around the exponential average of (high + low + close) / 3.

    NaN until both are known, for max(span - 1, atr_span) bars. Keltner himself has plain means over ten bars, of that price
    and of high - low; L. B. Raschke made this form common. Each average is seeded by itself, with the plain mean
    of its first values (TA-Lib seeds the range at the bar of the slower one; both agree once the seeds have faded).
    Raises InvalidParameter unless the width is a number above 0.
    Source: C. W. Keltner, How to Make Money in Commodities (1960).
    """
    span, atr_span, width = whole("span", span), whole("atr_span", atr_span), positive("width", width)
    return Formula(ranges.keltner, (span, atr_span, width), room=5, lookback=max(span - 1, atr_span))


@indicator("close")
def close_to_close(window: int = 20, periods: float = 252.0) -> Formula:
    """Volatility from closes alone, a fraction by the year: standard deviation (ddof = 1) of `window` logarithmic returns.

    NaN for the first `window` bars, and where one of the window + 1 closes is no positive number.
    Raises InvalidWindow for a window below 2, InvalidParameter unless `periods` is a number above 0.
    Source: J. C. Hull, Options, Futures, and Other Derivatives, chapter on the Black-Scholes-Merton model.
    """
    window, factor = whole("window", window, least=2), math.sqrt(positive("periods", periods))
    room, parameters = 4 + 2 * window, (window, 1.0, factor)
    return Formula(volatility.close_to_close, parameters, room=room, lookback=window, reach=window + 1, align=window)


def mean_square(kernel: Kernel, window: int, parameters: tuple[float, ...]) -> Formula:
    """Of the estimators that take one term from each bar."""
    return Formula(kernel, (window, *parameters), room=1 + window, lookback=window - 1, reach=window, align=window)


@indicator("high", "low")
def parkinson(window: int = 20, periods: float = 252.0) -> Formula:
    """Volatility from highs and lows, a fraction by the year; NaN for the first window - 1 bars.

    For a price without drift; what happens between close and open is not seen. The mean is taken about zero (ddof = 0).
    Raises InvalidParameter unless `periods` is a number above 0.
    Source: M. Parkinson, The extreme value method for estimating the variance of the rate of return, Journal of Business
    53 (1980).
    """
    factor = positive("periods", periods) / (4.0 * math.log(2.0))
    return mean_square(volatility.parkinson, whole("window", window), (factor,))


@indicator("open", "high", "low", "close")
def garman_klass(window: int = 20, periods: float = 252.0) -> Formula:
    """Volatility from all four prices, a fraction by the year; NaN for the first window - 1 bars.

    For a price without drift; what happens between close and open is not seen. The mean is taken about zero (ddof = 0).
    In the practical form, without the small cross term: weights 1/2 and 2 log(2) - 1.
    Raises InvalidParameter unless `periods` is a number above 0.
    Source: M. B. Garman, M. J. Klass, On the estimation of security price volatilities from historical data, Journal of
    Business 53 (1980).
    """
    parameters = positive("periods", periods), 2.0 * math.log(2.0) - 1.0
    return mean_square(volatility.garman_klass, whole("window", window), parameters)


@indicator("open", "high", "low", "close")
def rogers_satchell(window: int = 20, periods: float = 252.0) -> Formula:
    """Volatility from all four prices whatever the drift, a fraction by the year; NaN for the first window - 1 bars.

    What happens between close and open is not seen. The mean is taken about zero (ddof = 0).
    Raises InvalidParameter unless `periods` is a number above 0.
    Source: L. C. G. Rogers, S. E. Satchell, Estimating variance from high, low and closing prices, Annals of Applied
    Probability 1 (1991).
    """
    return mean_square(volatility.rogers_satchell, whole("window", window), (positive("periods", periods),))


@indicator("open", "high", "low", "close")
def yang_zhang(window: int = 20, periods: float = 252.0) -> Formula:
    """Volatility from all four prices and the jump from the close before, a fraction by the year; NaN for `window` bars.

    Variance of the jumps, plus k times that from open to close (ddof = 1 both), plus (1 - k) times that of Rogers and
    Satchell; k = 0.34 / (1.34 + (window + 1) / (window - 1)), the authors' choice.
    Raises InvalidWindow for a window below 2, InvalidParameter unless `periods` is a number above 0.
    Source: D. Yang, Q. Zhang, Drift-independent volatility estimation based on high, low, open, and close prices, Journal
    of Business 73 (2000).
    """
    window, periods = whole("window", window, least=2), positive("periods", periods)
    parameters = window, periods, 0.34 / (1.34 + (window + 1) / (window - 1))
    room, reach = 8 + 5 * window, window + 1
    return Formula(volatility.yang_zhang, parameters, room=room, lookback=window, reach=reach, align=window)


@indicator("close")
def ewma_volatility(decay: float = 0.94, periods: float = 252.0) -> Formula:
    """Volatility from closes, a fraction by the year, with weights that decay: variance = decay * variance + (1 - decay) * r^2.

    r is the logarithmic return, its mean taken for zero. Seeded with the first r^2: NaN for the first bar, and little worth
    for about 1 / (1 - decay) more. A bar without a positive price is passed over; the next return reaches back to the last.
    Raises InvalidParameter unless 0 < decay < 1 and `periods` is a number above 0.
    Source: J. P. Morgan and Reuters, RiskMetrics Technical Document, 4th ed. (1996), section 5.2, where decay is 0.94 for days.
    """
    if isinstance(decay, bool) or not isinstance(decay, Real) or not 0.0 < decay < 1.0:
        raise InvalidParameter(f"decay is {decay!r}, it must be a number between 0 and 1", "pass e.g. decay=0.94")
    factor = math.sqrt(positive("periods", periods))
    return Formula(volatility.ewma_volatility, (float(decay), factor), room=3, lookback=1)
