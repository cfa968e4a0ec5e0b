"""Rolling windows: straight lines through values, and two series against each other."""

from __future__ import annotations

from typing import NamedTuple

from toolkit.kernels import regression
from toolkit.signals.declared import Formula, Values, indicator
from toolkit.signals.panels import whole


class LinearRegression(NamedTuple):
    """Units of the input: `slope` a bar, `intercept` at the first bar of the window; `r2` is a fraction."""

    slope: Values
    intercept: Values
    r2: Values


@indicator("close", into=LinearRegression)
def linear_regression(window: int) -> Formula:
    """Least-squares line through the values of the last `window` bars; NaN for the first window - 1 bars.

    The line goes from `intercept`, its value at the first bar of the window, to intercept + slope * (window - 1) at this
    bar. r2 is the part of the variance that it explains; where all values are equal that is 0 / 0, NaN, the slope is 0 and
    the intercept is the value. Raises InvalidWindow if the window is below 2.
    Source: N. R. Draper, H. Smith, Applied Regression Analysis (1998), ch. 1.
    """
    window = whole("window", window, least=2)
    return Formula(regression.line, (window,), room=4 + 3 * window, lookback=window - 1, reach=window, align=window)


@indicator("x", "y")
def rolling_correlation(window: int) -> Formula:
    """Pearson's correlation of x and y over `window` bars, -1 to 1; NaN for the first window - 1 bars.

    NaN where a window holds a value of either that is not finite, and where either does not vary: a constant has no
    correlation. Values beyond 1e77, whose fourth powers are not finite, give NaN. Raises InvalidWindow if the window is
    below 2.
    Source: K. Pearson, Notes on regression and inheritance in the case of two parents, Proc. R. Soc. 58 (1895).
    """
    window = whole("window", window, least=2)
    return Formula(regression.correlation, (window,), room=7 + 5 * window, lookback=window - 1, reach=window, align=window)


@indicator("x", "y")
def rolling_covariance(window: int, ddof: int = 1) -> Formula:
    """Covariance of x and y over `window` bars with window - ddof in the denominator, in units of x times units of y.

    NaN for the first window - 1 bars, and where a window holds a value of either that is not finite. Raises InvalidWindow if
    the window is not longer than ddof.
    Source: H. Markowitz, Portfolio selection, The Journal of Finance 7 (1952).
    """
    ddof = whole("ddof", ddof, least=0)
    window = whole("window", window, least=ddof + 1)
    room = 7 + 5 * window
    return Formula(regression.covariance, (window, ddof), room=room, lookback=window - 1, reach=window, align=window)


@indicator("x", "y")
def rolling_beta(window: int) -> Formula:
    """Beta of x to y over `window` bars: covariance of x and y over the variance of y; NaN for the first window - 1 bars.

    x is usually the return of an asset, y that of the market (TA-Lib's BETA is given prices, market first, and takes the
    returns itself). NaN where y does not vary. Raises InvalidWindow if the window is below 2.
    Source: W. F. Sharpe, A simplified model for portfolio analysis, Management Science 9 (1963).
    """
    window = whole("window", window, least=2)
    return Formula(regression.beta, (window,), room=7 + 5 * window, lookback=window - 1, reach=window, align=window)
