"""Straight lines and comovement over rolling windows: regression on time, correlation, covariance, beta.

All from distances to a pivot, the value where two blocks meet, see `comoments`.
"""

from __future__ import annotations

from toolkit.kernels.comoments import scattered_both
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, larger, root, smaller
from toolkit.kernels.windows import after, blank, finite, scatter


@Kernel
def line(inputs, outputs, memory, room, parameters, t, n):
    """Least squares of the values on bar numbers: slope, value of the line at the first bar of the window, r2.

    Bars are numbered from the pivot, hence 1, 2, ... in the head and ..., -1, 0 in the tail.
    """
    x, state = column(inputs[0], n), column(memory, room)
    slope, intercept, r2 = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    window = int(parameters[0])
    ring, weighted, squared = after(memory, 4), after(memory, 4 + window), after(memory, 4 + 2 * window)
    place, share, middle = t % window, 1.0 / window, 0.5 * (window - 1)
    of_time = 1.0 / (window * (window * window - 1.0) / 12.0)
    head, weighted_head, square_head, pivot = state[0], state[1], state[2], state[3]
    blank(column(ring, window), t)
    for bar in range(n):
        ring[place] = x[bar]
        place += 1
        distance = x[bar] - pivot
        head, square_head = head + distance, fma(distance, distance, square_head)
        weighted_head = fma(float(place), distance, weighted_head)
        if place < window:
            total, products, squares = ring[place] + head, weighted[place] + weighted_head, squared[place] + square_head
        else:
            pivot = x[bar]
            total = products = squares = 0.0
            for k in range(window - 1, -1, -1):
                distance = ring[k] - pivot
                total, squares = total + distance, fma(distance, distance, squares)
                products = fma(float(k + 1 - window), distance, products)
                ring[k], weighted[k], squared[k] = total, products, squares
            head, weighted_head, square_head, place = 0.0, 0.0, 0.0, 0
        together = fma(middle - place, total, products)
        rise = together * of_time
        slope[bar] = finite(rise)
        intercept[bar] = finite(pivot + fma(-middle, rise, share * total))
        r2[bar] = finite(smaller(1.0, rise * together / scatter(total, squares, share)))
    state[0], state[1], state[2], state[3] = head, weighted_head, square_head, pivot


@inline
def opened(memory, window, t):
    """(sums, pivot of x, pivot of y, tails) as the bar before has left them."""
    ring = after(memory, 7)
    tails = ring, after(ring, window), after(ring, 2 * window), after(ring, 3 * window), after(ring, 4 * window)
    blank(column(ring, window), t)
    return (memory[0], memory[1], memory[2], memory[3], memory[4]), memory[5], memory[6], tails


@inline
def closed(memory, sums, x_pivot, y_pivot):
    """Leaves them for the next bar."""
    memory[0], memory[1], memory[2], memory[3], memory[4] = sums
    memory[5], memory[6] = x_pivot, y_pivot


@Kernel
def correlation(inputs, outputs, memory, room, parameters, t, n):
    """Sum of products about the means, over the root of the sums of squares; 0 / 0, NaN, where either does not vary."""
    x, y, out = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n)
    window = int(parameters[0])
    place, (sums, x_pivot, y_pivot, tails) = t % window, opened(memory, window, t)
    for bar in range(n):
        both, sums, x_pivot, y_pivot, place = scattered_both(x[bar], y[bar], sums, x_pivot, y_pivot, place, tails, window)
        xx, yy, xy = both
        out[bar] = larger(-1.0, smaller(1.0, finite(xy / root(finite(xx * yy)))))
    closed(memory, sums, x_pivot, y_pivot)


@Kernel
def covariance(inputs, outputs, memory, room, parameters, t, n):
    """Sum of products about the means / (window - ddof)."""
    x, y, out = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n)
    window, scale = int(parameters[0]), 1.0 / (parameters[0] - parameters[1])
    place, (sums, x_pivot, y_pivot, tails) = t % window, opened(memory, window, t)
    for bar in range(n):
        both, sums, x_pivot, y_pivot, place = scattered_both(x[bar], y[bar], sums, x_pivot, y_pivot, place, tails, window)
        out[bar] = finite(both[2]) * scale
    closed(memory, sums, x_pivot, y_pivot)


@Kernel
def beta(inputs, outputs, memory, room, parameters, t, n):
    """Sum of products about the means, over the sum of squares of y; 0 / 0, NaN, where y does not vary."""
    x, y, out = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n)
    window = int(parameters[0])
    place, (sums, x_pivot, y_pivot, tails) = t % window, opened(memory, window, t)
    for bar in range(n):
        both, sums, x_pivot, y_pivot, place = scattered_both(x[bar], y[bar], sums, x_pivot, y_pivot, place, tails, window)
        out[bar] = finite(both[2] / finite(both[1]))
    closed(memory, sums, x_pivot, y_pivot)
