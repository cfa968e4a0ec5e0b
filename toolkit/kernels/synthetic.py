"""A market that never was: daily bars with regimes, clustered volatility, jumps and splits, and minutes that add up to them.

Every random number is a hash of (symbol, day, position): no state, so that threads, order and ranges change nothing. Prices
are dollars as traded, in whole cents. The options are those of money: a contracted multiply-add would round differently
from one processor to the next.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from toolkit.kernels.jit import EXACT, compiled

GOLDEN, ODD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1342543DE82EF95)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
MINUTES_TAG = np.uint64(0x6D696E7574657300)

TURBULENT = 2.2  # times the volatility of calm days
ALPHA, GAMMA, BETA = 0.04, 0.06, 0.89  # of the variance that follows; GAMMA only after a loss
OVERNIGHT = 0.2  # share of a day's variance between close and open
DRIFT = 0.11 / 252.0  # expected return a day
NANOS = 60_000_000_000


class Character(NamedTuple):
    """What makes one symbol different from another."""

    volatility: float  # a year, on calm days
    loading: float  # correlation with the market's move
    price: float  # dollars before the first day
    turnover: float  # dollars traded on a quiet day
    payout: float  # a quarter's dividend as a fraction of the price; 0.0 pays none


# ------------------------------------------------------------------------------------------------------ random numbers
@compiled(**EXACT)
def mixed(x):
    """A 64-bit hash. Source: G. Steele, D. Lea, C. Flood, Fast Splittable Pseudorandom Number Generators (2014)."""
    x = (x ^ (x >> np.uint64(30))) * FIRST
    x = (x ^ (x >> np.uint64(27))) * SECOND
    return x ^ (x >> np.uint64(31))


@compiled(**EXACT)
def stream_of(key, day):
    """Where the random numbers of one day begin."""
    return mixed(key + np.uint64(day) * ODD)


@compiled(**EXACT)
def uniform(stream, k):
    """The k-th number of a stream, between 0 and 1, never either."""
    return (np.float64(mixed(stream + np.uint64(k + 1) * GOLDEN) >> np.uint64(12)) + 0.5) * 2.0**-52


@compiled(**EXACT)
def normals(stream, k):
    """Two standard normal numbers from the k-th and the next. Source: G. Box, M. Muller, Ann. Math. Stat. 29 (1958)."""
    radius = math.sqrt(-2.0 * math.log(uniform(stream, k)))
    angle = 2.0 * math.pi * uniform(stream, k + 1)
    return radius * math.cos(angle), radius * math.sin(angle)


@compiled(**EXACT)
def cents(price):
    """The price in whole cents, one cent at least."""
    return max(np.rint(price * 100.0), 1.0) / 100.0


# ---------------------------------------------------------------------------------------------------------------- days
@compiled(**EXACT)
def market(key, days, factor, regime):
    """What all symbols share: `factor` (2, n_days) of the night and of the day, and `regime` (n_days), 1 on turbulent days."""
    state = 0
    for t in range(days.size):
        stream = stream_of(key, days[t])
        if uniform(stream, 0) < (0.008 if state == 0 else 0.04):
            state = 1 - state
        regime[t] = state
        factor[0, t], factor[1, t] = normals(stream, 1)


@compiled(**EXACT)
def jump(stream):
    """The log return of rare news; 0.0 on nearly all days."""
    if uniform(stream, 0) >= 0.004:
        return 0.0
    size = 0.02 + 0.06 * uniform(stream, 1)
    return size if uniform(stream, 2) < 0.45 else -size


@compiled(**EXACT)
def split_of(close, stream):
    """New shares for one old; 1.0 on nearly all days, likelier the further the price is from what people like to pay."""
    u, pick = uniform(stream, 3), uniform(stream, 4)
    if close < 0.5 or (close < 3.0 and u < 0.02):
        return 0.1
    if close < 90.0 or u >= 2e-4 * (close / 90.0) ** 2:
        return 1.0
    if close < 160.0:
        return 1.5 if pick < 0.4 else 2.0
    if close < 300.0:
        return 2.0 if pick < 0.6 else 4.0
    return 4.0 if pick < 0.6 else 7.0


@compiled(**EXACT)
def peak(move, width, u):
    """How far a Brownian path of standard deviation `width` that ends at `move` rises: its highest point, as a log return.

    Source: I. Karatzas, S. Shreve, Brownian Motion and Stochastic Calculus (1991), section 4.3.C, the bridge's maximum.
    """
    return 0.5 * (move + math.sqrt(move * move - 2.0 * width * width * math.log(u)))


@compiled(**EXACT)
def variance_after(variance, surprise, long_run):
    """GJR-GARCH(1,1). Source: L. Glosten, R. Jagannathan, D. Runkle, Journal of Finance 48 (1993)."""
    reaction = ALPHA + GAMMA if surprise < 0.0 else ALPHA
    constant = long_run * (1.0 - ALPHA - 0.5 * GAMMA - BETA)
    return min(constant + reaction * surprise * surprise + BETA * variance, 25.0 * long_run)


@compiled(**EXACT)
def shares(who, price, move, width, stream):
    """Volume of a day in shares: more when prices move, a whole number."""
    noise, _ = normals(stream, 9)
    dollars = who.turnover * math.exp(0.4 * noise) * (0.6 + 0.5 * abs(move) / width)
    return np.floor(dollars / price) + 10_000.0


@compiled(**EXACT)
def bar_of(start, move, width, stream, who, out):
    """Writes open, high, low, close and volume of a day that starts at `start` dollars and moves by `move`."""
    opens, close = cents(start), cents(start * math.exp(move))
    high = cents(start * math.exp(peak(move, width, uniform(stream, 7))))
    low = cents(start * math.exp(-peak(-move, width, uniform(stream, 8))))
    out[0], out[3] = opens, close
    out[1], out[2] = max(high, opens, close), min(low, opens, close)
    out[4] = shares(who, close, move, width, stream)


@compiled(**EXACT)
def halt_of(left, stream):
    """Sessions that a halt still lasts, this one included; a session lost by the provider counts as a halt of one."""
    u = uniform(stream, 12)
    if left > 1:
        return left - 1
    return 2 + int(8.0 * uniform(stream, 13)) if u < 0.0002 else int(u < 0.0007)


@compiled(**EXACT)
def daily(key, days, factor, regime, paying, who, traded, split, dividend, present):
    """Bars of all `days` (numbers since 1970) into `traded` (5, n_days), events beside them; `present` is 0 without a bar.

    A day with a split or a dividend always has its bar. The recursion runs from the first day on.
    """
    long_run = who.volatility * who.volatility / 252.0
    variance, close, left = long_run, who.price, 0
    for t in range(days.size):
        stream = stream_of(key, days[t])
        calm = math.sqrt(variance)
        width = calm * TURBULENT if regime[t] == 1 else calm
        night, day = normals(stream, 5)
        own = math.sqrt(1.0 - who.loading * who.loading)
        gap = math.sqrt(OVERNIGHT) * width * (who.loading * factor[0, t] + own * night) + jump(stream)
        within = math.sqrt(1.0 - OVERNIGHT) * width
        move = within * (who.loading * factor[1, t] + own * day)
        dividend[t] = cents(close * who.payout) if paying[t] == 1 and who.payout > 0.0 and close > 1.0 else 0.0
        split[t] = split_of(close, stream)
        start = (close - dividend[t]) / split[t] * math.exp(gap + DRIFT - 0.5 * width * width)
        bar_of(start, move, within, stream, who, traded[:, t])
        left = halt_of(left, stream)
        present[t] = left == 0 or dividend[t] > 0.0 or split[t] != 1.0
        variance = variance_after(variance, (gap + move) * calm / width, long_run)
        close = traded[3, t]


# ------------------------------------------------------------------------------------------------------------- minutes
@compiled(**EXACT)
def busy(k, n):
    """How lively minute `k` of `n` is: a U, twice as much at open and close as around noon, and more."""
    x = 2.0 * (k + 0.5) / n - 1.0
    return 0.55 + 1.35 * x * x


@compiled(**EXACT)
def bridge(stream, n, day, path):
    """`path[:n + 1]`: prices in cents between the minutes, from the day's open to its close, not yet inside of its range."""
    path[0], total = 0.0, 0.0
    for k in range(n):
        lively = busy(k, n)
        noise, _ = normals(stream, 8 * k)
        path[k + 1] = path[k] + lively * noise
        total += lively * lively
    wide, end, passed = 0.62 * (day[1] - day[2]) / math.sqrt(total), path[n], 0.0
    for k in range(n):
        path[k] = day[0] + wide * (path[k] - passed / total * end) + passed / total * (day[3] - day[0])
        lively = busy(k, n)
        passed += lively * lively
    path[n] = day[3]


@compiled(**EXACT)
def fit(n, day, path):
    """Bends what lies above open and close up to the day's high, what lies below down to its low; then whole cents."""
    top, bottom = max(day[0], day[3]), min(day[0], day[3])
    highest, lowest = top, bottom
    for k in range(n + 1):
        highest, lowest = max(highest, path[k]), min(lowest, path[k])
    up = min((day[1] - top) / (highest - top), 3.0) if highest > top else 0.0
    down = min((bottom - day[2]) / (bottom - lowest), 3.0) if lowest < bottom else 0.0
    for k in range(n + 1):
        price = path[k]
        if price > top:
            price = top + (price - top) * up
        elif price < bottom:
            price = bottom - (bottom - price) * down
        path[k] = min(max(np.rint(price), day[2]), day[1])


@compiled(**EXACT)
def trades(stream, n, day, path, opens, labels, out):
    """Writes the minutes that traded, in cents and relative volumes; returns how many. The first and the last always do."""
    halted = uniform(stream, 8 * n) < 0.002
    begin = 1 + int(uniform(stream, 8 * n + 1) * (n - 2))
    end = min(begin + 5 + int(115.0 * uniform(stream, 8 * n + 2)), n - 1) if halted else begin
    wick = 0.4 * (day[1] - day[2]) / math.sqrt(np.float64(n))
    row = 0
    for k in range(n):
        inner = 0 < k < n - 1
        if inner and (begin <= k < end or uniform(stream, 8 * k + 2) < 0.001):
            continue
        a, b, lively = path[k], path[k + 1], busy(k, n)
        above = np.floor(-math.log(uniform(stream, 8 * k + 3)) * wick * lively)
        beneath = np.floor(-math.log(uniform(stream, 8 * k + 4)) * wick * lively)
        noise, _ = normals(stream, 8 * k + 5)
        labels[row] = opens + k * NANOS
        out[0, row], out[3, row] = a, b
        out[1, row], out[2, row] = min(max(a, b) + above, day[1]), max(min(a, b) - beneath, day[2])
        out[4, row] = lively * math.exp(0.5 * noise)
        row += 1
    return row


@compiled(**EXACT)
def settle(rows, day, out):
    """Makes the minutes add up: somewhere the day's high and low, everywhere whole shares, together the day's volume."""
    high, low, total = 0, 0, 0.0
    for row in range(rows):
        high = row if out[1, row] > out[1, high] else high
        low = row if out[2, row] < out[2, low] else low
        total += out[4, row]
    out[1, high], out[2, low] = day[1], day[2]
    spare, passed, before = day[4] - rows, 0.0, 0.0
    for row in range(rows):
        passed += out[4, row]
        sold = spare if row == rows - 1 else min(np.floor(spare * (passed / total)), spare)
        out[4, row] = 1.0 + sold - before
        before = sold
        for field in range(4):
            out[field, row] = out[field, row] / 100.0


@compiled(**EXACT)
def minutes(key, days, opens, counts, traded, path, day, labels, out):
    """Minute bars of `days` whose daily bars are `traded` (5, n_days) into `labels` and `out` (5, ...); returns how many.

    `opens` are instants in nanoseconds, `counts` minutes of each session; `path` and `day` are scratch of (largest count
    + 1) and 5. Each day is made from its own bar alone: first open, highest high, lowest low, last close and the sum
    of the volumes are exactly that bar's.
    """
    row = 0
    for t in range(days.size):
        stream, n = stream_of(key ^ MINUTES_TAG, days[t]), counts[t]
        for field in range(4):
            day[field] = np.rint(traded[field, t] * 100.0)
        day[4] = traded[4, t]
        bridge(stream, n, day, path)
        fit(n, day, path)
        rows = trades(stream, n, day, path, opens[t], labels[row:], out[:, row:])
        settle(rows, day, out[:, row:])
        row += rows
    return row
