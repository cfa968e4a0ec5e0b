"""Rolling means with weights: by age (wma, and hma made of three of them) and by volume (vwma).

Windows are split where blocks meet, and a ring serves both blocks, as in `windows`.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import column, fma, where
from toolkit.kernels.windows import after, finite, prefill, run_length, window_sum


@inline
def weighted(value, equal, head, weighted_head, place, ring, window):
    """(mean, head, weighted_head, place): mean of the window with weights 1 for its oldest value to `window` for this one.

    The heads are sums of the block at hand, plain and with weights 1, 2, ...; in the window all of these are higher by as
    many bars as the block before gives to it. Of equal values it is exactly that value: averages of a flat price agree.
    """
    ring[place] = value
    place += 1
    head, weighted_head = head + value, fma(float(place), value, weighted_head)
    total = weighted_head
    if place < window:
        total = fma(float(window - place), head, weighted_head) + ring[place]
    else:
        head = weighted_head = 0.0
        for k in range(window - 1, -1, -1):
            head = head + ring[k]
            weighted_head = weighted_head + head
            ring[k] = weighted_head
        head, weighted_head, place = 0.0, 0.0, 0
    inverse_weights = 2.0 / (window * (window + 1.0))
    return finite(where(equal >= float(window), value, total * inverse_weights)), head, weighted_head, place


@Kernel
def wma(inputs, outputs, memory, room, parameters, t, n):
    """(1 * oldest + 2 * next + ... + window * newest) / (1 + 2 + ... + window)."""
    x, out, window = column(inputs[0], n), column(outputs[0], n), int(parameters[0])
    ring, place = after(memory, 4), t % window
    last, equal, head, weighted_head = memory[0], memory[1], memory[2], memory[3]
    prefill(ring, window, np.nan, t)
    for bar in range(n):
        equal, last = run_length(x[bar], last, equal), x[bar]
        out[bar], head, weighted_head, place = weighted(last, equal, head, weighted_head, place, ring, window)
    memory[0], memory[1], memory[2], memory[3] = last, equal, head, weighted_head


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
    slow_memory = after(memory, 4)
    fast_memory = after(slow_memory, 2 + window)
    hull_memory = after(fast_memory, 2 + half)
    slow_place, fast_place, hull_place = t % window, t % half, t % smooth
    last, equal, last_lead, equal_leads = memory[0], memory[1], memory[2], memory[3]
    prefill(after(slow_memory, 2), window, np.nan, t)
    for bar in range(n):
        equal, last = run_length(x[bar], last, equal), x[bar]
        slow, slow_place = stage(last, equal, slow_place, slow_memory, window)
        fast, fast_place = stage(last, equal, fast_place, fast_memory, half)
        lead = fma(2.0, fast, -slow)
        equal_leads, last_lead = run_length(lead, last_lead, equal_leads), lead
        out[bar], hull_place = stage(lead, equal_leads, hull_place, hull_memory, smooth)
    memory[0], memory[1], memory[2], memory[3] = last, equal, last_lead, equal_leads


@inline
def volume_weighted(price, volume, out, memory, window, t):
    """Sum of price * volume / sum of volume, of the windows of all bars; memory: 4 + 2 * window items."""
    flows, volumes, place = after(memory, 4), after(memory, 4 + window), t % window
    flow_head, volume_head, last, equal = memory[0], memory[1], memory[2], memory[3]
    prefill(flows, 2 * window, np.nan, t)
    for bar in range(out.size):
        value = price[bar]
        equal, last = run_length(value, last, equal), value
        flow, flow_head, _ = window_sum(value * volume[bar], flow_head, place, flows, window)
        traded, volume_head, place = window_sum(volume[bar], volume_head, place, volumes, window)
        average = finite(flow / traded)
        out[bar] = where((equal >= float(window)) & (average == average), value, average)
    memory[0], memory[1], memory[2], memory[3] = flow_head, volume_head, last, equal


@Kernel
def vwma(inputs, outputs, memory, room, parameters, t, n):
    """Sum of price * volume over the sum of volume; of equal prices exactly that price; NaN where nothing is traded."""
    price, volume, out = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n)
    volume_weighted(price, volume, out, memory, int(parameters[0]), t)
