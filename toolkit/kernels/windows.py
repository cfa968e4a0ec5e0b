"""Rolling windows over panels: mean, deviation, maximum and minimum.

A panel is float64, C-contiguous, shape (n_symbols, n_bars), and arrives as a read-only view. `out` has its shape;
scratch arrays hold min(window, n_bars) values. A window that holds a value that is not finite gives NaN, and only such
a window does; a window longer than the data gives NaN throughout.

All of them split a window where two blocks meet (blocks of `window` bars, counted from the first bar): the tail of the
block on the left plus the head of the block on the right. Nothing is ever subtracted, so nothing outside of a window is
felt inside of it, there is no drift, and one more bar at the end changes no earlier value.
Source: M. van Herk, A fast algorithm for local minimum and maximum filters, Pattern Recognition Letters 13 (1992).
"""

from __future__ import annotations

import math

import numpy as np

from toolkit.kernels.jit import NUMERIC, compiled


@compiled(**NUMERIC)
def finite(value):
    """The value, NaN where it is not finite."""
    return value if value - value == 0.0 else np.nan


@compiled(**NUMERIC)
def blank(out, n_bars):
    """NaN in the first `n_bars` bars of every row."""
    for row in range(out.shape[0]):
        for bar in range(min(n_bars, out.shape[1])):
            out[row, bar] = np.nan


@compiled(**NUMERIC)
def level(values, end, window, means):
    """The value itself wherever a window around the block boundary `end` holds nothing else."""
    pivot = values[end - 1]
    start, stop = end - 1, end
    while start > end - window and values[start - 1] == pivot:
        start -= 1
    while stop < min(end + window - 1, values.size) and values[stop] == pivot:
        stop += 1
    for bar in range(start + window - 1, stop):
        means[bar] = finite(pivot)


@compiled(**NUMERIC)
def mean(x, window, out, tails):
    """Plain mean. A window of equal values has exactly that mean: two averages of a flat price never seem to cross."""
    blank(out, window - 1)
    n_bars, share = x.shape[1], 1.0 / window
    for row in range(x.shape[0]):
        values, means = x[row], out[row]
        for end in range(window, n_bars + 1, window):
            left, right, heads = (
                values[end - window : end],
                values[end : end + window - 1],
                means[end : end + window - 1],
            )
            total = 0.0
            for k in range(window - 1, -1, -1):
                total += left[k]
                tails[k] = total
            means[end - 1] = finite(total * share)
            total = 0.0
            for k in range(right.size):
                total += right[k]
                heads[k] = finite((tails[k + 1] + total) * share)
            level(values, end, window, means)


@compiled(**NUMERIC)
def root(variance):
    """Square root; 0 where rounding left a variance below zero, NaN where it is not finite."""
    return 0.0 if variance < 0.0 else math.sqrt(finite(variance))


@compiled(**NUMERIC)
def deviation(x, window, ddof, out, tails, square_tails):
    """Standard deviation with `window - ddof` in the denominator; exactly 0 for equal values.

    Squares are taken about the value where the blocks meet. It lies in every window that the split serves, so that the
    cancellation is at most window + 1 roundings, whatever the level of the prices.
    """
    blank(out, window - 1)
    n_bars, share, scale = x.shape[1], 1.0 / window, 1.0 / (window - ddof)
    for row in range(x.shape[0]):
        values, widths = x[row], out[row]
        for end in range(window, n_bars + 1, window):
            left, right, heads = (
                values[end - window : end],
                values[end : end + window - 1],
                widths[end : end + window - 1],
            )
            pivot = values[end - 1]
            total = squares = 0.0
            for k in range(window - 1, -1, -1):
                distance = left[k] - pivot
                total += distance
                squares += distance * distance
                tails[k], square_tails[k] = total, squares
            widths[end - 1] = root((squares - total * total * share) * scale)
            total = squares = 0.0
            for k in range(right.size):
                distance = right[k] - pivot
                total += distance
                squares += distance * distance
                both = tails[k + 1] + total
                heads[k] = root((square_tails[k + 1] + squares - both * both * share) * scale)


@compiled(**NUMERIC)
def extreme(x, window, sign, out, tails, doubts):
    """Maximum for sign 1.0, minimum for sign -1.0.

    No comparison sees a NaN, hence the doubt beside the extreme: 0, or NaN once a value was not finite.
    """
    blank(out, window - 1)
    n_bars = x.shape[1]
    for row in range(x.shape[0]):
        values, extremes = x[row], out[row]
        for end in range(window, n_bars + 1, window):
            left, right = values[end - window : end], values[end : end + window - 1]
            heads = extremes[end : end + window - 1]
            most, doubt = -np.inf, 0.0
            for k in range(window - 1, -1, -1):
                value = sign * left[k]
                most = value if value > most else most
                doubt += value - value
                tails[k], doubts[k] = most, doubt
            extremes[end - 1] = sign * most + doubt
            most, doubt = -np.inf, 0.0
            for k in range(right.size):
                value = sign * right[k]
                most = value if value > most else most
                doubt += value - value
                heads[k] = sign * (most if most > tails[k + 1] else tails[k + 1]) + (doubt + doubts[k + 1])
