"""How far and how steadily prices have moved, and where they lie in what went before."""

from __future__ import annotations

import math
from typing import NamedTuple

from toolkit.errors import InvalidWindow
from toolkit.kernels import averages, chained, oscillators
from toolkit.kernels import momentum as changes
from toolkit.signals.declared import Formula, Values, indicator
from toolkit.signals.panels import whole


class Macd(NamedTuple):
    """Price units: `line`, its average `signal`, and `histogram`, the line less the signal."""

    line: Values
    signal: Values
    histogram: Values


class Ppo(NamedTuple):
    """Percent of the slow average: `line`, its average `signal`, and `histogram`, the line less the signal."""

    line: Values
    signal: Values
    histogram: Values


class Stochastic(NamedTuple):
    """0 to 100: where the close lies in its range, `k`, and the mean of that, `d`."""

    k: Values
    d: Values


class Aroon(NamedTuple):
    """0 to 100: `up` and `down`, how lately the highest high and the lowest low were; `oscillator`, up less down."""

    up: Values
    down: Values
    oscillator: Values


def below(name: str, value: int, other: str, most: int) -> None:
    """Raises InvalidWindow unless value < most."""
    if value >= most:
        raise InvalidWindow(f"{name} is {value}, {other} is {most}", f"choose {name} below {other}")


@indicator("close", into=Macd)
def macd(fast: int = 12, slow: int = 26, signal: int = 9) -> Formula:
    """Convergence and divergence of two averages: line = ema(fast) - ema(slow), signal = ema(line, signal).

    Each average is seeded by itself, with the plain mean of its first values, so that the line is the difference of our
    `ema`s to the last bit (TA-Lib starts the fast one later; both agree once the seeds have faded). The line begins at
    the `slow`-th price, the signal and histogram `signal` - 1 prices later. Raises InvalidWindow unless fast < slow.
    Source: G. Appel, The Moving Average Convergence-Divergence Trading Method (1979).
    """
    fast, slow, signal = whole("fast", fast), whole("slow", slow), whole("signal", signal)
    below("fast", fast, "slow", slow)
    return Formula(averages.macd, (fast, slow, signal), room=6, lookback=slow - 1, warmup=slow + signal - 2)


@indicator("close")
def rsi(window: int = 14) -> Formula:
    """Relative strength index, 0 to 100; NaN until `window` changes of the price are known.

    Wilder's averages of gains and losses (weight 1 / window), seeded with the plain means of the first `window`
    changes. After a bar without a price the change is taken from the last one known. Where the price has never moved
    it is 50, no strength on either side (TA-Lib says 0, which would read as oversold).
    Source: J. W. Wilder, New Concepts in Technical Trading Systems (1978), p. 65.
    """
    window = whole("window", window)
    return Formula(changes.rsi, (window,), room=4, lookback=window)


@indicator("close", into=Ppo)
def ppo(fast: int = 12, slow: int = 26, signal: int = 9) -> Formula:
    """Percentage price oscillator: macd over its slow average, in percent, as its name says.

    line = 100 * (ema(fast) - ema(slow)) / ema(slow), signal = ema(line, signal). Seeds and warm-up are those of `macd`.
    Where the slow average is 0 there is no line, and the signal passes over. Raises InvalidWindow unless fast < slow.
    Source: G. Appel, Technical Analysis: Power Tools for Active Investors (2005); StockCharts ChartSchool for the signal.
    """
    fast, slow, signal = whole("fast", fast), whole("slow", slow), whole("signal", signal)
    below("fast", fast, "slow", slow)
    return Formula(chained.ppo, (fast, slow, signal), room=6, lookback=slow - 1, warmup=slow + signal - 2)


@indicator("close")
def momentum(window: int = 10) -> Formula:
    """Price less the price `window` bars ago, in price units; NaN for the first `window` bars, or where one is missing.

    Source: J. J. Murphy, Technical Analysis of the Financial Markets (1999), ch. 10.
    """
    window = whole("window", window)
    # No reach: a difference is sooner done bar after bar than as eight stretches (1.7 us against 2.2 us for 2,520 bars).
    return Formula(changes.momentum, (window,), room=window, lookback=window)


@indicator("close")
def roc(window: int = 10) -> Formula:
    """Rate of change over `window` bars, as a fraction; NaN for the first `window` bars, or where one price is missing.

    0.02 is a rise by 2 percent. NaN where the price `window` bars ago was 0.
    Source: J. J. Murphy, Technical Analysis of the Financial Markets (1999), ch. 10.

    >>> roc(pd.Series([50.0, 40.0, 51.0]), 2).tolist()
    [nan, nan, 0.02]
    """
    window = whole("window", window)
    return Formula(changes.roc, (window,), room=window, lookback=window)


@indicator("high", "low", "close", into=Stochastic)
def stochastic(window: int = 14, smooth: int = 3, signal: int = 3) -> Formula:
    """Stochastic oscillator, 0 to 100: the close between the lowest low and the highest high of `window` bars.

    k is the plain mean of that over `smooth` bars (1 gives the fast stochastic), d the plain mean of k over `signal`
    bars. k is NaN for window + smooth - 2 bars, d for `signal` - 1 more (TA-Lib holds k back until d is known). Where
    highest and lowest are one price the close is in the middle, 50 (TA-Lib says 0, which would read as oversold).
    Source: G. C. Lane, Lane's stochastics, Stocks & Commodities 2 (1984), no. 3.
    """
    windows = whole("window", window), whole("smooth", smooth), whole("signal", signal)
    room, lookback = 4 + 2 * windows[0] + windows[1] + windows[2], windows[0] + windows[1] - 2
    warmup = lookback + windows[2] - 1
    return Formula(oscillators.stochastic, windows, room, lookback, reach=sum(windows), align=math.lcm(*windows), warmup=warmup)


@indicator("close", into=Stochastic)
def stochastic_rsi(span: int = 14, window: int = 14, smooth: int = 3, signal: int = 3) -> Formula:
    """Stochastic oscillator of the rsi over `span` bars, 0 to 100; `window`, `smooth` and `signal` as in `stochastic`.

    k is NaN for span + window + smooth - 2 bars, d for `signal` - 1 more. The rsi goes on after a bar without a price, the
    windows that hold that bar are NaN. 50 where the rsi did not move. smooth = 1 gives the authors' form, times 100.
    Source: T. S. Chande, S. Kroll, The New Technical Trader (1994).
    """
    span, windows = whole("span", span), (whole("window", window), whole("smooth", smooth), whole("signal", signal))
    room, lookback = 8 + 2 * windows[0] + windows[1] + windows[2], span + windows[0] + windows[1] - 2
    return Formula(oscillators.stochastic_rsi, (span, *windows), room, lookback, warmup=lookback + windows[2] - 1)


@indicator("high", "low", "close")
def williams_r(window: int = 14) -> Formula:
    """Williams' %R, -100 to 0: how far the close lies below the highest high, in the range of `window` bars.

    NaN for the first window - 1 bars. Where highest and lowest are one price it is -50 (TA-Lib says 0).
    Source: L. R. Williams, How I Made One Million Dollars Last Year Trading Commodities (1973).
    """
    window = whole("window", window)
    return Formula(oscillators.williams_r, (window,), 2 + 2 * window, window - 1, reach=window, align=window)


@indicator("high", "low", "close")
def cci(window: int = 20) -> Formula:
    """Commodity channel index, no unit: the typical price less its mean, over 0.015 of its mean distance from the mean.

    The typical price is the mean of high, low and close. NaN for the first window - 1 bars; 0 where it has not moved.
    Source: D. R. Lambert, Commodity channel index: tool for trading cyclic trends, Commodities 9 (1980), October.
    """
    window = whole("window", window)
    return Formula(oscillators.cci, (window,), window, window - 1, reach=window, align=window)


@indicator("high", "low", "close")
def ultimate_oscillator(short: int = 7, middle: int = 14, long: int = 28) -> Formula:
    """Ultimate oscillator, 0 to 100: buying pressure over true ranges, summed over three windows, weighted 4, 2 and 1.

    The first bar has no close before it: NaN for as many bars as the longest window. Where nothing has moved over one of
    the windows, its share is a half (TA-Lib says 0). Raises InvalidWindow unless short < middle < long.
    Source: L. R. Williams, The ultimate oscillator, Stocks & Commodities 3 (1985), no. 4.
    """
    windows = whole("short", short), whole("middle", middle), whole("long", long)
    below("short", short, "middle", middle)
    below("middle", middle, "long", long)
    room, longest = 7 + 2 * sum(windows), max(windows)
    align = math.lcm(*windows)
    return Formula(oscillators.ultimate_oscillator, windows, room, longest, reach=longest + 1, align=align)


@indicator("high", "low", into=Aroon)
def aroon(window: int = 25) -> Formula:
    """Aroon up and down, 0 to 100: 100 for a new extreme at this bar, 0 for one `window` bars ago; the latest of equals.

    Extremes are those of window + 1 bars; NaN for the first `window` bars.
    Source: T. S. Chande, A time price oscillator, Stocks & Commodities 13 (1995), no. 9.
    """
    window = whole("window", window)
    size = window + 1
    return Formula(oscillators.aroon, (window,), 4 + 4 * size, window, reach=size, align=size)
