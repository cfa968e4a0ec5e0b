"""How far prices swing."""

from __future__ import annotations

from toolkit.kernels import ranges
from toolkit.signals.declared import Formula, indicator
from toolkit.signals.panels import whole


@indicator("high", "low", "close")
def atr(span: int = 14) -> Formula:
    """Average true range in price units, shape (n_bars, n_symbols); NaN for the first `span` bars of a symbol.

    Wilder's smoothing (weight 1 / span), seeded with the plain mean of the first `span` true ranges; the first bar has
    none, since there is no close before it. A bar that lacks its high, low or close is passed over.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems (1978), p. 21.
    """
    span = whole("span", span)
    return Formula(ranges.atr, (span,), room=3, lookback=span)
