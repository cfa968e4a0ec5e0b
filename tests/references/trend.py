"""Where prices are heading."""

from __future__ import annotations

import math

import numpy as np
import talib

from toolkit.signals.indicators.trend import adx, ichimoku, parabolic_sar, supertrend

from .case import Case, One, Outputs, smoothed
from .volatility import plain_atr, true_ranges


def wilder_sums(values: np.ndarray, span: int) -> np.ndarray:
    """Wilder's running sums, total - total / span + value, of which TA-Lib's first holds span - 1 values."""
    total, sums = math.fsum(values[: span - 1]), []
    for value in values[span - 1 :]:
        total += value - total / span
        sums.append(total)
    return np.array(sums)


def plain_adx(one: One, span: int = 14) -> Outputs:
    up, down = np.diff(one.high), -np.diff(one.low)
    ranges = wilder_sums(true_ranges(one), span)
    plus = 100.0 * wilder_sums(np.where((up > down) & (up > 0.0), up, 0.0), span) / ranges
    minus = 100.0 * wilder_sums(np.where((down > up) & (down > 0.0), down, 0.0), span) / ranges
    strength = smoothed(100.0 * abs(plus - minus) / (plus + minus), span, 1.0 / span)
    return tuple(np.concatenate([np.full(span, np.nan), line]) for line in (strength, plus, minus))


def talib_adx(one: One) -> Outputs:
    prices = one.high, one.low, one.close
    return talib.ADX(*prices, 14), talib.PLUS_DI(*prices, 14), talib.MINUS_DI(*prices, 14)


def plain_sar(one: One, step: float = 0.02, most: float = 0.2) -> np.ndarray:
    """Wilder's rules, said once for a rise and once for a fall."""
    high, low = one.high.tolist(), one.low.tolist()
    rising = not low[0] - low[1] > max(high[1] - high[0], 0.0)
    stop, farthest, pace = (low[0], high[1], step) if rising else (high[0], low[1], step)
    stops = [math.nan]
    for bar in range(1, len(high)):
        before = max(bar - 1, 1)
        highest, lowest = max(high[before], high[bar]), min(low[before], low[bar])
        if rising and low[bar] <= stop:
            rising, stop, pace, turn = False, max(farthest, highest), step, low[bar]
        elif not rising and high[bar] >= stop:
            rising, stop, pace, turn = True, min(farthest, lowest), step, high[bar]
        else:
            turn = max(farthest, high[bar]) if rising else min(farthest, low[bar])
            pace = min(pace + step, most) if turn != farthest else pace
        stops.append(stop)
        farthest = turn
        stop += pace * (farthest - stop)
        stop = min(stop, lowest) if rising else max(stop, highest)
    return np.array(stops)


def plain_supertrend(one: One, span: int = 10, width: float = 3.0) -> Outputs:
    reach = width * plain_atr(one, span)
    middle = (one.high + one.low) / 2.0
    line, direction = np.full(len(reach), np.nan), np.full(len(reach), np.nan)
    floor, ceiling, rising = -math.inf, math.inf, True
    for bar in range(span, len(reach)):
        before = one.close[bar - 1]
        if middle[bar] - reach[bar] > floor or before < floor:
            floor = middle[bar] - reach[bar]
        if middle[bar] + reach[bar] < ceiling or before > ceiling:
            ceiling = middle[bar] + reach[bar]
        rising = one.close[bar] >= floor if rising else one.close[bar] > ceiling
        line[bar], direction[bar] = (floor, 1.0) if rising else (ceiling, -1.0)
    return line, direction


def talib_supertrend(one: One) -> Outputs:
    line, direction = talib.SUPERTREND(one.high, one.low, one.close, 10, 3.0)
    return line, np.where(np.isnan(line), np.nan, direction)


def plain_midpoint(one: One, window: int) -> np.ndarray:
    bars = range(window, len(one.high) + 1)
    middles = [(max(one.high[bar - window : bar]) + min(one.low[bar - window : bar])) / 2.0 for bar in bars]
    return np.concatenate([np.full(window - 1, np.nan), middles])


def lines_of(midpoint) -> Outputs:
    conversion, base = midpoint(9), midpoint(26)
    return conversion, base, (conversion + base) / 2.0, midpoint(52)


TABLE = {
    "adx": Case(
        adx(14),
        {"definition": plain_adx, "TA-Lib": talib_adx},
        window=0,
        power=0,
        note="Wilder's sums begin with `span` values, TA-Lib's and ours with span - 1",
    ),
    "parabolic_sar": Case(
        parabolic_sar(),
        {"definition": lambda one: (plain_sar(one),), "TA-Lib": lambda one: (talib.SAR(one.high, one.low),)},
        window=0,
    ),
    "supertrend": Case(
        lambda bars: (supertrend(bars).line,),
        {"definition": lambda one: plain_supertrend(one)[:1], "TA-Lib": lambda one: talib_supertrend(one)[:1]},
        window=0,
    ),
    "supertrend, direction": Case(
        lambda bars: (supertrend(bars).direction,),
        {"definition": lambda one: plain_supertrend(one)[1:], "TA-Lib": lambda one: talib_supertrend(one)[1:]},
        window=0,
        power=0,
        tolerance=0.0,
        note="TA-Lib has 0 before the first value, we NaN",
    ),
    "ichimoku": Case(
        ichimoku(),
        {
            "definition": lambda one: lines_of(lambda window: plain_midpoint(one, window)),
            "TA-Lib": lambda one: lines_of(lambda window: talib.MIDPRICE(one.high, one.low, window)),
        },
        window=52,
        tolerance=0.0,
        note="TA-Lib has the midpoints; the spans stand where they are known, not `base` bars later",
    ),
}
