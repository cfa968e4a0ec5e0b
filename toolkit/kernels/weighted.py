"""Rolling means with weights: by age (wma, and hma made of three of them) and by volume (vwma).

Windows are split where blocks meet, as in `windows`. The values of the block at hand lie in the places of `tails` that no
window will ask for again; when the block is complete, its own tails take their place.
"""

from __future__ import annotations

from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, where
from toolkit.kernels.windows import blank, finite


@inline
def climb(value, tails, place, plain, rising):
    """(sum of the window with weights 1 to `window`, oldest first; sums of the block so far: plain, with weights 1, 2, ...).

    In the window, the weights of the block at hand are higher by the count of bars that the block before gives to it.
    """
    window = tails.size
    tails[place] = value
    plain = plain + value
    rising = fma(place + 1.0, value, rising)
    if place + 1 < window:
        total = fma(window - place - 1.0, plain, rising) + tails[place + 1]
    else:
        total = rising
        plain = rising = 0.0
        for k in range(window - 1, -1, -1):
            plain = plain + tails[k]
            rising = rising + plain
            tails[k] = rising
        plain = rising = 0.0
    return total, plain, rising


@inline
def repeated(value, last, count):
    """Bars for which the value has been what it is."""
    return where(value == last, count + 1.0, 1.0)


@inline
def averaged(total, window, value, equal):
    """The sum of `climb` over that of the weights; of equal values exactly that value, so that averages of them agree."""
    return where(equal >= window, value, finite(total * (2.0 / (window * (window + 1.0)))))


@Kernel
def wma(inputs, outputs, memory, room, parameters, t, n):
    """(1 * oldest + 2 * next + ... + window * newest) / (1 + 2 + ... + window)."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    window, tails = parameters[0], state[4:]
    place = t % tails.size
    plain, rising, last, equal = state[0], state[1], state[2], state[3]
    blank(tails, t)
    for bar in range(n):
        equal, last = repeated(x[bar], last, equal), x[bar]
        total, plain, rising = climb(last, tails, place, plain, rising)
        out[bar] = averaged(total, window, last, equal)
        place = place + 1 if place + 1 < tails.size else 0
    state[0], state[1], state[2], state[3] = plain, rising, last, equal


@Kernel
def hma(inputs, outputs, memory, room, parameters, t, n):
    """wma(2 * wma(x, half) - wma(x, window), smooth)."""
    x, out, state = column(inputs[0], n), column(outputs[0], n), column(memory, room)
    window, half, smooth = parameters[0], parameters[1], parameters[2]
    short, long = state[10 : 10 + int(half)], state[10 + int(half) : 10 + int(half) + int(window)]
    last_part = state[10 + int(half) + int(window) :]
    a, b, c = t % short.size, t % long.size, t % last_part.size
    plain_a, rising_a, plain_b, rising_b, plain_c, rising_c = state[0], state[1], state[2], state[3], state[4], state[5]
    last, equal, last_gap, equal_gap = state[6], state[7], state[8], state[9]
    blank(state[10:], t)
    for bar in range(n):
        equal, last = repeated(x[bar], last, equal), x[bar]
        total, plain_a, rising_a = climb(last, short, a, plain_a, rising_a)
        quick = averaged(total, half, last, equal)
        total, plain_b, rising_b = climb(last, long, b, plain_b, rising_b)
        gap = fma(2.0, quick, -averaged(total, window, last, equal))
        equal_gap, last_gap = repeated(gap, last_gap, equal_gap), gap
        total, plain_c, rising_c = climb(gap, last_part, c, plain_c, rising_c)
        out[bar] = averaged(total, smooth, gap, equal_gap)
        a = a + 1 if a + 1 < short.size else 0
        b = b + 1 if b + 1 < long.size else 0
        c = c + 1 if c + 1 < last_part.size else 0
    state[0], state[1], state[2], state[3], state[4], state[5] = plain_a, rising_a, plain_b, rising_b, plain_c, rising_c
    state[6], state[7], state[8], state[9] = last, equal, last_gap, equal_gap


@Kernel
def vwma(inputs, outputs, memory, room, parameters, t, n):
    """Sum of price * volume over the sum of volume; of equal prices exactly that price; NaN where nothing is traded."""
    x, volume, out, state = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n), column(memory, room)
    window = int(parameters[0])
    worth_tails, volume_tails, place = state[4 : 4 + window], state[4 + window :], t % window
    worth, traded, last, equal = state[0], state[1], state[2], state[3]
    blank(state[4:], t)
    for bar in range(n):
        value, units = x[bar], volume[bar]
        equal, last = repeated(value, last, equal), value
        worth_tails[place], volume_tails[place] = value * units, units
        worth, traded = worth + value * units, traded + units
        place += 1
        if place < window:
            total, weight = worth_tails[place] + worth, volume_tails[place] + traded
        else:
            total = weight = 0.0
            for k in range(window - 1, -1, -1):
                total, weight = total + worth_tails[k], weight + volume_tails[k]
                worth_tails[k], volume_tails[k] = total, weight
            worth, traded, place = 0.0, 0.0, 0
        mean = finite(total / weight)
        out[bar] = where((equal >= parameters[0]) & (mean == mean), value, mean)
    state[0], state[1], state[2], state[3] = worth, traded, last, equal
