"""Where prices are heading."""

from __future__ import annotations

from typing import NamedTuple

from toolkit.kernels import trend
from toolkit.signals.declared import Formula, Values, indicator
from toolkit.signals.panels import whole


class Adx(NamedTuple):
    """0 to 100: the strength of the trend, and the upward and the downward part of the true range."""

    adx: Values
    plus_di: Values
    minus_di: Values


@indicator("high", "low", "close", into=Adx)
def adx(span: int = 14) -> Formula:
    """Average directional index with both directional indicators, 0 to 100; NaN for 2 * span - 1 and `span` bars.

    Wilder's averages (weight 1 / span). Those of movements and true ranges begin with the sum of the first span - 1
    movements, as TA-Lib has it (Wilder sums `span` of them), the index with the plain mean of its first `span` values.
    Where there was no range, or no movement, the indicators and the index are 0. A bar that lacks its high, low or close
    is passed over.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems (1978), p. 35.
    """
    span = whole("span", span)
    return Formula(trend.adx, (span,), room=9, lookback=span)
