"""Prices weighed with the volume that was traded at them; volumes in shares. The typical price is (high + low + close) / 3.

Running totals and averages are NaN at a bar without prices or volume and pass over it; windows that hold one are NaN.
"""

from __future__ import annotations

from toolkit.kernels import volume
from toolkit.signals.declared import Formula, indicator
from toolkit.signals.panels import whole


@indicator("close", "volume")
def obv() -> Formula:
    """On-balance volume, shares: running total of the volume, added when the close rises, taken off when it falls.

    No warm-up: the first bar counts as a rise, as in TA-Lib. The level depends on where the history begins.
    Source: J. E. Granville, Granville's New Key to Stock Market Profits (1963).
    """
    return Formula(volume.obv, (), room=2, lookback=0)


@indicator("high", "low", "close", "volume")
def accumulation_distribution() -> Formula:
    """Accumulation and distribution, shares: running total of volume * ((close - low) - (high - close)) / (high - low).

    No warm-up. A bar without a range adds nothing. The level depends on where the history begins.
    Source: M. Chaikin, as in S. B. Achelis, Technical Analysis from A to Z (2001).
    """
    return Formula(volume.accumulation_distribution, (), room=1, lookback=0)


@indicator("high", "low", "close", "volume")
def chaikin_money_flow(window: int = 20) -> Formula:
    """Share of the volume that was accumulated over `window` bars, -1 to 1; NaN for the first window - 1 bars.

    What a bar accumulates is said at `accumulation_distribution`. NaN where nothing was traded (TA-Lib: 0).
    Source: M. Chaikin, as in StockCharts ChartSchool, Chaikin Money Flow.
    """
    window = whole("window", window)
    room = 2 + 2 * window
    return Formula(volume.chaikin_money_flow, (window,), room=room, lookback=window - 1, reach=window, align=window)


@indicator("high", "low", "close", "volume")
def money_flow_index(window: int = 14) -> Formula:
    """Part of the money that was traded at rising typical prices, 0 to 100; NaN for the first `window` bars.

    Money is typical price times volume; where that price stands still to 14 digits, it counts for neither side. Where it
    has never moved it is 50, as for `rsi` (TA-Lib says 0, and that too where less than one unit of money was traded).
    Source: G. Quong, A. Soudack, Volume-weighted RSI: money flow, Stocks & Commodities 7 (1989).
    """
    window = whole("window", window)
    room, reach = 3 + 2 * window, window + 1
    return Formula(volume.money_flow_index, (window,), room=room, lookback=window, reach=reach, align=window)


@indicator("close", "volume")
def force_index(span: int = 13) -> Formula:
    """Exponential average of (close - close before) * volume, price units times shares; NaN for the first `span` bars.

    Weight 2 / (span + 1), seeded with the plain mean of the first `span` values; span=1 gives the raw values.
    Source: A. Elder, Trading for a Living (1993), ch. 42.
    """
    span = whole("span", span)
    return Formula(volume.force_index, (span,), room=3, lookback=span)


@indicator("high", "low", "close", "volume")
def vwap(window: int = 20) -> Formula:
    """Mean of the typical prices of `window` bars, weighted with their volumes; NaN for the first window - 1 bars.

    NaN where nothing was traded. A typical price that stands still is met exactly.
    Source: S. A. Berkowitz, D. E. Logue, E. A. Noser, The total cost of transactions on the NYSE, Journal of Finance 43
    (1988), of single trades.
    """
    window = whole("window", window)
    room = 4 + 2 * window
    return Formula(volume.vwap, (window,), room=room, lookback=window - 1, reach=window, align=window)


@indicator("high", "low", "close", "volume", "session_start")
def session_vwap() -> Formula:
    """Mean of the typical prices since the session began, weighted with their volumes; no warm-up.

    It starts anew at the first bar of each session of the calendar that the bars hold (without a calendar, of each day in
    UTC); with daily bars, at every bar. NaN until something is traded. Source: see `vwap`.
    """
    return Formula(volume.session_vwap, (), room=3, lookback=0)
