"""How far and how steadily prices have moved."""

from __future__ import annotations

from typing import NamedTuple

from toolkit.errors import InvalidWindow
from toolkit.kernels import averages, momentum
from toolkit.signals.declared import Formula, Values, indicator
from toolkit.signals.panels import whole


class Macd(NamedTuple):
    """Price units: `line`, its average `signal`, and `histogram`, the line less the signal."""

    line: Values
    signal: Values
    histogram: Values


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
    return Formula(averages.macd, (fast, slow, signal), room=6, lookback=slow - 1)


@indicator("close")
def rsi(window: int = 14) -> Formula:
    """Relative strength index, 0 to 100; NaN until `window` changes of the price are known.

    Wilder's averages of gains and losses (weight 1 / window), seeded with the plain means of the first `window`
    changes. After a bar without a price the change is taken from the last one known. Where the price has never moved
    it is 50, no strength on either side (TA-Lib says 0, which would read as oversold).
    Source: J. W. Wilder, New Concepts in Technical Trading Systems (1978), p. 65.
    """
    window = whole("window", window)
    return Formula(momentum.rsi, (window,), room=4, lookback=window)
