"""Variance, deviation, z-score, skew and kurtosis of rolling windows, from sums of powers of the distance to a pivot.

The pivot lies in the window (see `comoments`), so that the mean is at most sqrt(window - 1) deviations away from it:
what cancels between the sums is bounded by the window, not by the level of the values.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.comoments import window_squares
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, root
from toolkit.kernels.windows import after, finite, prefill, squares_about_mean

VARIANCE, DEVIATION, ZSCORE = 0, 1, 2


@inline
def about_mean(inputs, outputs, memory, room, parameters, t, n, wanted):
    """The sum of squares about the mean of each window, made into what is wanted."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    window = int(parameters[0])
    means, squared, place = after(memory, 3), after(memory, 3 + window), t % window
    scale, head, square_head, pivot = 1.0 / (window - parameters[1]), state[0], state[1], state[2]
    prefill(means, window, np.nan, t)
    for bar in range(n):
        mean, squares, head, square_head, pivot, place = window_squares(
            x[bar], head, square_head, pivot, place, means, squared, window
        )
        variance = finite(squares) * scale
        if wanted == VARIANCE:
            out[bar] = variance
        elif wanted == DEVIATION:
            out[bar] = root(variance)
        else:
            out[bar] = finite(((x[bar] - pivot) - mean) / root(variance))
    state[0], state[1], state[2] = head, square_head, pivot


@Kernel
def variance(inputs, outputs, memory, room, parameters, t, n):
    """Sum of squares about the mean / (window - ddof)."""
    about_mean(inputs, outputs, memory, room, parameters, t, n, VARIANCE)


@Kernel
def deviation(inputs, outputs, memory, room, parameters, t, n):
    """Root of the variance; exactly 0 for equal values."""
    about_mean(inputs, outputs, memory, room, parameters, t, n, DEVIATION)


@Kernel
def zscore(inputs, outputs, memory, room, parameters, t, n):
    """(value - mean) / deviation, the distances taken from the pivot; 0 / 0, NaN, where all values are equal."""
    about_mean(inputs, outputs, memory, room, parameters, t, n, ZSCORE)


@inline
def rings_of(memory, window):
    """Four rings behind the five numbers that are carried."""
    return after(memory, 5), after(memory, 5 + window), after(memory, 5 + 2 * window), after(memory, 5 + 3 * window)


@inline
def window_powers(value, heads, pivot, place, rings, window):
    """(sums, heads, pivot, place): sums over the window of the first four powers of the distance to the pivot."""
    total_head, square_head, cube_head, fourth_head = heads
    ring, squared, cubed, fourth = rings
    ring[place] = value
    distance = value - pivot
    square = distance * distance
    total_head, square_head = total_head + distance, square_head + square
    cube_head, fourth_head = fma(square, distance, cube_head), fma(square, square, fourth_head)
    place += 1
    if place < window:
        total, squares = ring[place] + total_head, squared[place] + square_head
        cubes, fourths = cubed[place] + cube_head, fourth[place] + fourth_head
    else:
        pivot = value
        total = squares = cubes = fourths = 0.0
        for k in range(window - 1, -1, -1):
            distance = ring[k] - pivot
            square = distance * distance
            total, squares = total + distance, squares + square
            cubes, fourths = fma(square, distance, cubes), fma(square, square, fourths)
            ring[k], squared[k], cubed[k], fourth[k] = total, squares, cubes, fourths
        total_head, square_head, cube_head, fourth_head, place = 0.0, 0.0, 0.0, 0.0, 0
    return (total, squares, cubes, fourths), (total_head, square_head, cube_head, fourth_head), pivot, place


@Kernel
def skew(inputs, outputs, memory, room, parameters, t, n):
    """Third moment about the mean over the deviation cubed, times the factor that takes out the bias."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    window, factor = int(parameters[0]), parameters[1]
    rings, inverse_window, place = rings_of(memory, window), 1.0 / window, t % window
    heads, pivot = (state[0], state[1], state[2], state[3]), state[4]
    prefill(rings[0], window, np.nan, t)
    for bar in range(n):
        sums, heads, pivot, place = window_powers(x[bar], heads, pivot, place, rings, window)
        total, squares, cubes, _ = sums
        mean, second = total * inverse_window, squares_about_mean(total, squares, inverse_window)
        third = fma(mean * mean, 2.0 * total, fma(-3.0 * mean, squares, cubes))
        out[bar] = finite(factor * third / (second * root(second)))
    state[0], state[1], state[2], state[3], state[4] = heads[0], heads[1], heads[2], heads[3], pivot


@Kernel
def kurtosis(inputs, outputs, memory, room, parameters, t, n):
    """Fourth moment about the mean over the variance squared, times a factor, less what a normal law would have."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    window, factor, normal = int(parameters[0]), parameters[1], parameters[2]
    rings, inverse_window, place = rings_of(memory, window), 1.0 / window, t % window
    heads, pivot = (state[0], state[1], state[2], state[3]), state[4]
    prefill(rings[0], window, np.nan, t)
    for bar in range(n):
        sums, heads, pivot, place = window_powers(x[bar], heads, pivot, place, rings, window)
        total, squares, cubes, fourths = sums
        mean, second = total * inverse_window, squares_about_mean(total, squares, inverse_window)
        square = mean * mean
        two_terms = fma(-4.0 * mean, cubes, fourths)
        fourth = fma(-3.0 * square * mean, total, fma(6.0 * square, squares, two_terms))
        out[bar] = finite(factor * fourth / (second * second) - normal)
    state[0], state[1], state[2], state[3], state[4] = heads[0], heads[1], heads[2], heads[3], pivot
