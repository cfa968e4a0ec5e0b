"""Rolling means with weights: by age (wma, and hma made of three of them) and by volume (vwma).

Windows are split where blocks meet, and a ring serves both blocks, as in `windows`.
"""

from __future__ import annotations

from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, where
from toolkit.kernels.windows import after, blank, finite, summed


@inline
def repeated(value, last, count):
    """Bars for which the value has been what it is."""
    return where(value == last, count + 1.0, 1.0)


@inline
def weighted(value, equal, plain, rising, place, ring, window):
    """(mean, plain, rising, place): the mean of the window with weights 1 for its oldest value to `window` for this one.

    plain and rising are sums of the block at hand, rising with weights 1, 2, ...; in the window all of these are higher by
    as many bars as the block before gives to it. Of equal values it is exactly that value: averages of a flat price agree.
    """
    ring[place] = value
    place += 1
    plain, rising = plain + value, fma(float(place), value, rising)
    total = rising
    if place < window:
        total = fma(float(window - place), plain, rising) + ring[place]
    else:
        plain = rising = 0.0
        for k in range(window - 1, -1, -1):
            plain = plain + ring[k]
            rising = rising + plain
            ring[k] = rising
        plain, rising, place = 0.0, 0.0, 0
    share = 2.0 / (window * (window + 1.0))
    return finite(where(equal >= float(window), value, total * share)), plain, rising, place


@Kernel
def wma(inputs, outputs, memory, room, parameters, t, n):
    """(1 * oldest + 2 * next + ... + window * newest) / (1 + 2 + ... + window)."""
    x, out, window = column(inputs[0], n), column(outputs[0], n), int(parameters[0])
    ring, place = after(memory, 4), t % window
    last, equal, plain, rising = memory[0], memory[1], memory[2], memory[3]
    blank(column(ring, window), t)
    for bar in range(n):
        equal, last = repeated(x[bar], last, equal), x[bar]
        out[bar], plain, rising, place = weighted(last, equal, plain, rising, place, ring, window)
    memory[0], memory[1], memory[2], memory[3] = last, equal, plain, rising


@inline
def stage(value, equal, place, memory, window):
    """(mean, place) as in `weighted`, whose two sums lie in front of the ring."""
    average, memory[0], memory[1], place = weighted(value, equal, memory[0], memory[1], place, after(memory, 2), window)
    return average, place


@Kernel
def hma(inputs, outputs, memory, room, parameters, t, n):
    """wma(2 * wma(x, half) - wma(x, window), smooth)."""
    x, out = column(inputs[0], n), column(outputs[0], n)
    window, half, smooth = int(parameters[0]), int(parameters[1]), int(parameters[2])
    long = after(memory, 4)
    short = after(long, 2 + window)
    final = after(short, 2 + half)
    a, b, c, last, equal, last_lead, equal_leads = t % window, t % half, t % smooth, memory[0], memory[1], memory[2], memory[3]
    blank(column(after(long, 2), window), t)
    for bar in range(n):
        equal, last = repeated(x[bar], last, equal), x[bar]
        slow, a = stage(last, equal, a, long, window)
        quick, b = stage(last, equal, b, short, half)
        lead = fma(2.0, quick, -slow)
        equal_leads, last_lead = repeated(lead, last_lead, equal_leads), lead
        out[bar], c = stage(lead, equal_leads, c, final, smooth)
    memory[0], memory[1], memory[2], memory[3] = last, equal, last_lead, equal_leads


@Kernel
def vwma(inputs, outputs, memory, room, parameters, t, n):
    """Sum of price * volume over the sum of volume; of equal prices exactly that price; NaN where nothing is traded."""
    x, volume, out = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n)
    window = int(parameters[0])
    worths, volumes, place = after(memory, 4), after(memory, 4 + window), t % window
    worth_head, volume_head, last, equal = memory[0], memory[1], memory[2], memory[3]
    blank(column(worths, 2 * window), t)
    for bar in range(n):
        value = x[bar]
        equal, last = repeated(value, last, equal), value
        worth, worth_head, _ = summed(value * volume[bar], worth_head, place, worths, window)
        traded, volume_head, place = summed(volume[bar], volume_head, place, volumes, window)
        average = finite(worth / traded)
        out[bar] = where((equal >= float(window)) & (average == average), value, average)
    memory[0], memory[1], memory[2], memory[3] = worth_head, volume_head, last, equal
