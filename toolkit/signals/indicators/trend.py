"""Where prices are heading. A bar that lacks its high, low or close is NaN and passed over, if not said otherwise."""

from __future__ import annotations

from typing import NamedTuple

from toolkit.errors import InvalidParameter
from toolkit.kernels import trend
from toolkit.signals.declared import Formula, Values, indicator
from toolkit.signals.panels import positive, whole


class Adx(NamedTuple):
    """0 to 100: how strong the trend is, and the share of upward and of downward movement in the true range."""

    adx: Values
    plus_di: Values
    minus_di: Values


@indicator("high", "low", "close", into=Adx)
def adx(span: int = 14) -> Formula:
    """Average directional index, NaN for the first 2 * span - 1 bars, and directional indicators, NaN for `span` bars.

    Wilder's averages (weight 1 / span): the index is seeded with the plain mean of its first `span` values; those of
    movements and ranges begin with the sum of span - 1 of them over `span`, as in TA-Lib (Wilder sums `span`). Without
    any range the directional indicators are 0; without any movement the index is.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems (1978), section IV.
    """
    span = whole("span", span)
    return Formula(trend.adx, (span,), room=9, lookback=span, warmup=2 * span - 1)


@indicator("high", "low")
def parabolic_sar(acceleration: float = 0.02, maximum: float = 0.2) -> Formula:
    """Stop and reverse level in price units; NaN for the first bar.

    The stop follows a rise from below and a fall from above; hit, it turns to the other side, to the farthest price since
    the last turn. It starts as in TA-Lib: falling if the second bar moved further down than up, from the extreme of the
    first (Wilder takes the direction from the trade at hand). Raises InvalidParameter unless 0 < acceleration <= maximum.
    Source: J. W. Wilder, New Concepts in Technical Trading Systems (1978), section II.
    """
    acceleration, maximum = positive("acceleration", acceleration), positive("maximum", maximum)
    if acceleration > maximum:
        what = f"acceleration is {acceleration!r}, above the maximum of {maximum!r}"
        raise InvalidParameter(what, "pass e.g. acceleration=0.02, maximum=0.2")
    return Formula(trend.parabolic_sar, (acceleration, maximum), room=7, lookback=1)


class Supertrend(NamedTuple):
    """`line` in price units, a floor under a rise or a ceiling above a fall; `direction` 1.0 or -1.0."""

    line: Values
    direction: Values


@indicator("high", "low", "close", into=Supertrend)
def supertrend(span: int = 10, width: float = 3.0) -> Formula:
    """Trailing line `width` average true ranges from the middle of the bar; NaN for the first `span` bars.

    The range is `atr(span)`. It starts as a rise, as in TA-Lib. Raises InvalidParameter unless the width is a number above 0.
    Source: O. Seban; as defined and started by TA-Lib 0.8, SUPERTREND.
    """
    span, width = whole("span", span), positive("width", width)
    return Formula(trend.supertrend, (span, width), room=6, lookback=span)


class Ichimoku(NamedTuple):
    """Price units; the cloud lies between `span_a` and `span_b`."""

    conversion: Values
    base: Values
    span_a: Values
    span_b: Values


@indicator("high", "low", into=Ichimoku)
def ichimoku(conversion: int = 9, base: int = 26, span_b: int = 52) -> Formula:
    """Midpoints between the highest high and the lowest low of three windows; span_a is midway between the first two.

    Every line stands at the bar at which it is known. A chart draws both spans `base` bars later: that shift is left to
    the plot. The lagging span, the close drawn `base` bars earlier, would be look-ahead and is left out. NaN for the
    first window - 1 bars, and where the window holds a high or low that is not finite.
    Source: G. Hosoda, Ichimoku Kinko Hyo (1969); in English N. Elliott, Ichimoku Charts (2007).
    """
    windows = whole("conversion", conversion), whole("base", base), whole("span_b", span_b)
    room, lookback = 6 + 2 * sum(windows), min(windows) - 1
    warmup = max(windows) - 1  # extremes: no block is felt
    return Formula(trend.ichimoku, windows, room=room, lookback=lookback, reach=max(windows), warmup=warmup)
