"""Rolling windows of any values: ranks, median and quantiles."""

from __future__ import annotations

from numbers import Real

from toolkit.errors import InvalidParameter
from toolkit.kernels import ordering
from toolkit.signals.declared import Formula, indicator
from toolkit.signals.panels import whole


def ranked(window: int, unit: float) -> Formula:
    return Formula(ordering.rank, (window, unit), room=1 + window, lookback=window - 1, reach=window)


@indicator("close")
def rolling_rank(window: int) -> Formula:
    """Rank of the value among the last `window` bars, 1 for the lowest to `window`; NaN for the first window - 1 bars.

    Equal values share the mean of their ranks, as pandas has it by default.
    Source: M. G. Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945).
    """
    return ranked(whole("window", window), 1.0)


@indicator("close")
def percentile_rank(window: int) -> Formula:
    """`rolling_rank` / window: a fraction, 1 / window for the lowest of the last `window` bars, 1 for the highest.

    NaN for the first window - 1 bars. Equal values share the mean of their ranks, as pandas has it by default.
    Source: M. G. Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945).
    """
    window = whole("window", window)
    return ranked(window, float(window))


def sorted_at(window: int, quantile: float) -> Formula:
    return Formula(ordering.quantile, (window, quantile), room=2 * window, lookback=window - 1, reach=window)


@indicator("close")
def rolling_median(window: int) -> Formula:
    """Median of the last `window` bars, halfway between the two middle ones of an even count; NaN for the first window - 1.

    Source: J. W. Tukey, Exploratory Data Analysis (1977), ch. 7.
    """
    return sorted_at(whole("window", window), 0.5)


@indicator("close")
def rolling_quantile(window: int, quantile: float) -> Formula:
    """Quantile of the last `window` bars, on the straight line between two neighbours; NaN for the first window - 1 bars.

    quantile: a fraction, 0.0 for the minimum to 1.0 for the maximum; it falls at quantile * (window - 1) of the values in
    order, counted from 0, as in numpy and pandas. Raises InvalidParameter unless it lies between 0 and 1.
    Source: R. J. Hyndman, Y. Fan, Sample quantiles in statistical packages, The American Statistician 50 (1996), type 7.
    """
    window = whole("window", window)
    if isinstance(quantile, bool) or not isinstance(quantile, Real) or not 0.0 <= quantile <= 1.0:
        raise InvalidParameter(f"quantile is {quantile!r}, it must be a fraction between 0 and 1", "pass e.g. quantile=0.9")
    return sorted_at(window, float(quantile))
