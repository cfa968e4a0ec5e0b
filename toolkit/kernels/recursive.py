"""Averages that remember everything, each older bar with less weight: ema, macd, Wilder's rsi and atr.

Panels as in `windows`. A bar without a usable price gives NaN, leaves the average as it was, and the next bar goes on
from there.
"""

from __future__ import annotations

import numpy as np
from numba.extending import intrinsic

from toolkit.kernels.jit import NUMERIC, compiled

# Beyond this a sum of prices may leave the range of a float, and an average that remembers everything would never heal.
LARGEST = 1e300


@intrinsic
def fma(typing, a, b, c):
    """a * b + c, rounded once on every machine: left to the compiler, the last bit would depend on the processor."""

    def emit(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return a(a, b, c), emit


@compiled(**NUMERIC)
def usable(value):
    """Whether the value is a number that an average may take in."""
    return abs(value) <= LARGEST


@compiled(**NUMERIC)
def average(value, span, memory, missing, state):
    """(missing, state) after one more value: a sum while any is missing, the plain mean of `span`, then exponential."""
    if missing == 0:
        return missing, fma(memory, state, (1.0 - memory) * value)  # type: ignore[call-arg]
    missing -= 1
    state += value
    return missing, state / span if missing == 0 else state


@compiled(**NUMERIC)
def ema(x, span, out):
    """Exponential average: 2 / (span + 1) of the newest value, the rest of the average before."""
    memory = 1.0 - 2.0 / (span + 1.0)
    for row in range(x.shape[0]):
        missing, state = span, 0.0
        for bar in range(x.shape[1]):
            value = x[row, bar]
            out[row, bar] = np.nan
            if usable(value):
                missing, state = average(value, span, memory, missing, state)
                if missing == 0:
                    out[row, bar] = state


@compiled(**NUMERIC)
def macd(x, fast, slow, signal, line, smooth_line, histogram):
    """line = ema(fast) - ema(slow), smooth_line = ema(line, signal), histogram = line - smooth_line."""
    fast_memory, slow_memory = 1.0 - 2.0 / (fast + 1.0), 1.0 - 2.0 / (slow + 1.0)
    signal_memory = 1.0 - 2.0 / (signal + 1.0)
    for row in range(x.shape[0]):
        no_fast, no_slow, no_signal = fast, slow, signal
        quick = calm = smooth = 0.0
        for bar in range(x.shape[1]):
            value = x[row, bar]
            line[row, bar] = smooth_line[row, bar] = histogram[row, bar] = np.nan
            if not usable(value):
                continue
            no_fast, quick = average(value, fast, fast_memory, no_fast, quick)
            no_slow, calm = average(value, slow, slow_memory, no_slow, calm)
            if no_fast or no_slow:
                continue
            gap = quick - calm
            line[row, bar] = gap
            no_signal, smooth = average(gap, signal, signal_memory, no_signal, smooth)
            if no_signal == 0:
                smooth_line[row, bar] = smooth
                histogram[row, bar] = gap - smooth


@compiled(**NUMERIC)
def rsi(x, window, out):
    """100 * gains / (gains + losses), both Wilder averages of the changes; 50 where there are neither."""
    memory = 1.0 - 1.0 / window
    for row in range(x.shape[0]):
        no_gains, no_losses = window, window
        gains = losses = 0.0
        last = np.nan
        for bar in range(x.shape[1]):
            value = x[row, bar]
            out[row, bar] = np.nan
            if not usable(value):
                continue
            change = value - last
            last = value
            if change != change:
                continue
            no_gains, gains = average(max(change, 0.0), window, memory, no_gains, gains)
            no_losses, losses = average(max(-change, 0.0), window, memory, no_losses, losses)
            if no_gains == 0:
                moved = gains + losses
                out[row, bar] = 100.0 * (gains / moved) if moved > 0.0 else 50.0


@compiled(**NUMERIC)
def atr(high, low, close, span, out):
    """Wilder average of the true range, which begins at the second bar: it needs a close before."""
    memory = 1.0 - 1.0 / span
    for row in range(close.shape[0]):
        missing, state = span, 0.0
        last = np.nan
        for bar in range(close.shape[1]):
            top, bottom, value = high[row, bar], low[row, bar], close[row, bar]
            out[row, bar] = np.nan
            if not (usable(top) and usable(bottom) and usable(value)):
                continue
            if last == last:
                true_range = max(top, last) - min(bottom, last)
                missing, state = average(true_range, span, memory, missing, state)
            last = value
            if missing == 0:
                out[row, bar] = state
