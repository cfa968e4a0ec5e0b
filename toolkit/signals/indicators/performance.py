"""What holding would have gone through. Prices, or the equity of an account."""

from __future__ import annotations

import math

from toolkit.kernels import performance, volatility
from toolkit.signals.declared import Formula, indicator
from toolkit.signals.panels import positive, whole


@indicator("close")
def drawdown() -> Formula:
    """Loss from the highest price so far, a fraction from -1 to 0; 0 at a new high. No warm-up.

    A bar without a price is NaN and passed over, and so are bars before the first price above 0.
    Source: C. R. Bacon, Practical Portfolio Performance Measurement and Attribution (2008), ch. 4.
    """
    return Formula(performance.drawdown, (), room=1, lookback=0)


@indicator("close")
def rolling_sharpe(window: int = 252, periods: float = 252.0) -> Formula:
    """Mean over standard deviation (ddof = 1) of `window` returns, times the root of `periods`; NaN for `window` bars.

    The returns are plain ones from close to close, with nothing taken off for a rate without risk. NaN where one of the
    window + 1 closes is no positive number, and where all returns are equal.
    Raises InvalidWindow for a window below 2, InvalidParameter unless `periods` is a number above 0.
    Source: W. F. Sharpe, The Sharpe ratio, Journal of Portfolio Management 21 (1994).
    """
    window, factor = whole("window", window, least=2), math.sqrt(positive("periods", periods))
    room, parameters = 4 + 2 * window, (window, 1.0, factor)
    return Formula(volatility.sharpe, parameters, room=room, lookback=window, reach=window + 1, align=window)
