"""Straight lines and comovement over rolling windows: regression on time, correlation, covariance, beta.

All from distances to a pivot, the value where two blocks meet, see `comoments`.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.comoments import window_products
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, larger, root, smaller
from toolkit.kernels.windows import after, finite, prefill, squares_about_mean


@Kernel
def line(inputs, outputs, memory, room, parameters, t, n):
    """Least squares of the values on bar numbers: slope, value of the line at the first bar of the window, r2.

    Bars are numbered from the pivot, hence 1, 2, ... in the head and ..., -1, 0 in the tail.
    """
    x, state = column(inputs[0], n), column(memory, room)
    slope, intercept, r2 = column(outputs[0], n), column(outputs[1], n), column(outputs[2], n)
    window = int(parameters[0])
    ring, product_tails, squared = after(memory, 4), after(memory, 4 + window), after(memory, 4 + 2 * window)
    place, inverse_window, middle = t % window, 1.0 / window, 0.5 * (window - 1)
    inverse_time_squares = 1.0 / (window * (window * window - 1.0) / 12.0)
    head, product_head, square_head, pivot = state[0], state[1], state[2], state[3]
    prefill(ring, window, np.nan, t)
    for bar in range(n):
        ring[place] = x[bar]
        place += 1
        distance = x[bar] - pivot
        head, square_head = head + distance, fma(distance, distance, square_head)
        product_head = fma(float(place), distance, product_head)
        if place < window:
            total, products, squares = ring[place] + head, product_tails[place] + product_head, squared[place] + square_head
        else:
            pivot = x[bar]
            total = products = squares = 0.0
            for k in range(window - 1, -1, -1):
                distance = ring[k] - pivot
                total, squares = total + distance, fma(distance, distance, squares)
                products = fma(float(k + 1 - window), distance, products)
                ring[k], product_tails[k], squared[k] = total, products, squares
            head, product_head, square_head, place = 0.0, 0.0, 0.0, 0
        products = fma(middle - place, total, products)
        trend = products * inverse_time_squares
        slope[bar] = finite(trend)
        intercept[bar] = finite(pivot + fma(-middle, trend, inverse_window * total))
        r2[bar] = finite(smaller(1.0, trend * products / squares_about_mean(total, squares, inverse_window)))
    state[0], state[1], state[2], state[3] = head, product_head, square_head, pivot


@inline
def load(memory, window, t):
    """(sums, pivot of x, pivot of y, tails) as the bar before has left them."""
    ring = after(memory, 7)
    tails = ring, after(ring, window), after(ring, 2 * window), after(ring, 3 * window), after(ring, 4 * window)
    prefill(ring, window, np.nan, t)
    return (memory[0], memory[1], memory[2], memory[3], memory[4]), memory[5], memory[6], tails


@inline
def store(memory, sums, x_pivot, y_pivot):
    """Leaves them for the next bar."""
    memory[0], memory[1], memory[2], memory[3], memory[4] = sums
    memory[5], memory[6] = x_pivot, y_pivot


@Kernel
def correlation(inputs, outputs, memory, room, parameters, t, n):
    """Sum of products about the means, over the root of the sums of squares; 0 / 0, NaN, where either does not vary."""
    x, y, out = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n)
    window = int(parameters[0])
    place, (sums, x_pivot, y_pivot, tails) = t % window, load(memory, window, t)
    for bar in range(n):
        products, sums, x_pivot, y_pivot, place = window_products(x[bar], y[bar], sums, x_pivot, y_pivot, place, tails, window)
        xx, yy, xy = products
        out[bar] = larger(-1.0, smaller(1.0, finite(xy / root(finite(xx * yy)))))
    store(memory, sums, x_pivot, y_pivot)


@Kernel
def covariance(inputs, outputs, memory, room, parameters, t, n):
    """Sum of products about the means / (window - ddof)."""
    x, y, out = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n)
    window, scale = int(parameters[0]), 1.0 / (parameters[0] - parameters[1])
    place, (sums, x_pivot, y_pivot, tails) = t % window, load(memory, window, t)
    for bar in range(n):
        products, sums, x_pivot, y_pivot, place = window_products(x[bar], y[bar], sums, x_pivot, y_pivot, place, tails, window)
        out[bar] = finite(products[2]) * scale
    store(memory, sums, x_pivot, y_pivot)


@Kernel
def beta(inputs, outputs, memory, room, parameters, t, n):
    """Sum of products about the means, over the sum of squares of y; 0 / 0, NaN, where y does not vary."""
    x, y, out = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n)
    window = int(parameters[0])
    place, (sums, x_pivot, y_pivot, tails) = t % window, load(memory, window, t)
    for bar in range(n):
        products, sums, x_pivot, y_pivot, place = window_products(x[bar], y[bar], sums, x_pivot, y_pivot, place, tails, window)
        out[bar] = finite(products[2] / finite(products[1]))
    store(memory, sums, x_pivot, y_pivot)
