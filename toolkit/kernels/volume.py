"""Prices weighed with the volume that was traded at them.

Running totals and averages pass over a bar without usable prices and volume; windows that hold one are NaN.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import begun, ema_bars, sound, unbroken, usable
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import absolute, column, every, fma, where
from toolkit.kernels.ranges import typical_price
from toolkit.kernels.weighted import volume_weighted
from toolkit.kernels.windows import after, finite, prefill, window_sum

# Of a price: the sum of three adjusted prices is rounded. As traded the same, they would seem to have moved.
ROUNDING = 1e-14


@inline
def four(inputs, n):
    return column(inputs[0], n), column(inputs[1], n), column(inputs[2], n), column(inputs[3], n)


@inline
def signed_volume(value, before, volume, signed):
    """The volume, signed by the change of the value, or times the change."""
    return where(value > before, volume, where(value < before, -volume, 0.0)) if signed else (value - before) * volume


@inline
def signed_volumes(close, volume, out, last, signed):
    """Puts `signed_volume` into `out`, NaN for a bar without close or volume; returns the last close known."""
    if every(usable(last)) and unbroken(close) and unbroken(volume):
        out[0] = signed_volume(close[0], last, volume[0], signed)
        for bar in range(1, close.size):
            out[bar] = signed_volume(close[bar], close[bar - 1], volume[bar], signed)
        return close[close.size - 1]
    for bar in range(close.size):
        ok = usable(close[bar]) & usable(volume[bar])
        out[bar] = where(ok, signed_volume(close[bar], last, volume[bar], signed), np.nan)
        last = where(ok, close[bar], last)
    return last


@inline
def running(out, total):
    """Puts running totals in the place of values, NaN where one is not usable; returns the last."""
    for bar in range(out.size):
        ok = usable(out[bar])
        total = total + where(ok, out[bar], 0.0)
        out[bar] = where(ok, total, np.nan)
    return total


@Kernel
def obv(inputs, outputs, memory, room, parameters, t, n):
    """Running total of the volume, signed by the change of the close; the first bar counts as a rise."""
    out, state = column(outputs[0], n), column(memory, room)
    last = state[1] - np.inf if t == 0 else state[1]
    state[1] = signed_volumes(column(inputs[0], n), column(inputs[1], n), out, last, True)
    state[0] = running(out, state[0])


@inline
def money_flow_volume(high, low, close, volume):
    """The volume times where the close lies in the range: -1 at the low, 1 at the high, 0 without a range."""
    height, above = high - low, (close - low) - (high - close)
    return where(height > 0.0, above / height, above - above) * volume


@Kernel
def accumulation_distribution(inputs, outputs, memory, room, parameters, t, n):
    """Running total of `money_flow_volume`."""
    high, low, close, volume = four(inputs, n)
    out, state = column(outputs[0], n), column(memory, room)
    for bar in range(n):
        out[bar] = money_flow_volume(high[bar], low[bar], close[bar], volume[bar])
    state[0] = running(out, state[0])


@Kernel
def chaikin_money_flow(inputs, outputs, memory, room, parameters, t, n):
    """Sum of `money_flow_volume` / sum of the volume, over a window; 0 / 0, NaN, where nothing was traded."""
    high, low, close, volume = four(inputs, n)
    out, state, window = column(outputs[0], n), column(memory, 2), int(parameters[0])
    flows, volumes, place = after(memory, 2), after(memory, 2 + window), t % window
    flow_head, volume_head = state[0], state[1]
    prefill(flows, window, np.nan, t)
    for bar in range(n):
        value = money_flow_volume(high[bar], low[bar], close[bar], volume[bar])
        flow, flow_head, _ = window_sum(value, flow_head, place, flows, window)
        traded, volume_head, place = window_sum(volume[bar], volume_head, place, volumes, window)
        out[bar] = finite(flow / traded)
    state[0], state[1] = flow_head, volume_head


@Kernel
def money_flow_index(inputs, outputs, memory, room, parameters, t, n):
    """100 * positive / (positive + negative), sums of typical price * volume where that price rose, fell; 50 for 0 / 0."""
    high, low, close, volume = four(inputs, n)
    out, state, window = column(outputs[0], n), column(memory, 3), int(parameters[0])
    positives, negatives, place = after(memory, 3), after(memory, 3 + window), t % window
    positive_head, negative_head, last = state[0], state[1], state[2]
    if t == 0:
        last = last + np.nan
    prefill(positives, window, np.nan, t)
    for bar in range(n):
        price = typical_price(high[bar], low[bar], close[bar])
        flow, change, noise = finite(price * volume[bar]), finite(price - last), ROUNDING * absolute(price)
        zero, last = (flow - flow) + (change - change), price  # NaN where either is
        rise, fall = where(change > noise, flow, zero), where(change < -noise, flow, zero)
        positive, positive_head, _ = window_sum(rise, positive_head, place, positives, window)
        negative, negative_head, place = window_sum(fall, negative_head, place, negatives, window)
        both = positive + negative
        out[bar] = finite(where(both == 0.0, 50.0, 100.0 * (positive / both)))
    state[0], state[1], state[2] = positive_head, negative_head, last


@Kernel
def force_index(inputs, outputs, memory, room, parameters, t, n):
    """ema of (close - close before) * volume."""
    out, state, span = column(outputs[0], n), column(memory, room), parameters[0]
    last = state[2] + np.nan if t == 0 else state[2]
    state[2] = signed_volumes(column(inputs[0], n), column(inputs[1], n), out, last, False)
    if begun(state[0], span) and unbroken(out):
        ema_bars(out, out, state, span, True)
    else:
        ema_bars(out, out, state, span, False)


@Kernel
def vwap(inputs, outputs, memory, room, parameters, t, n):
    """Sum of typical price * volume / sum of volume, over a window; a price that does not move is met exactly."""
    high, low, close, volume = four(inputs, n)
    out = column(outputs[0], n)
    for bar in range(n):
        out[bar] = typical_price(high[bar], low[bar], close[bar])
    volume_weighted(out, volume, out, memory, int(parameters[0]), t)


@inline
def session_bars(volume, session_start, out, state, steady):
    flow, traded, pivot = state[0], state[1], state[2]
    for bar in range(out.size):
        ok, fresh = sound(out[bar], steady) & sound(volume[bar], steady), session_start[bar] > 0.0
        flow, traded = where(fresh, 0.0, flow), where(fresh, 0.0, traded)
        pivot = where(ok & (traded == 0.0), out[bar], pivot)
        flow = where(ok, fma(volume[bar], out[bar] - pivot, flow), flow)
        traded = where(ok, traded + volume[bar], traded)
        out[bar] = where(ok & (traded > 0.0), pivot + flow / traded, np.nan)
    state[0], state[1], state[2] = flow, traded, pivot


@Kernel
def session_vwap(inputs, outputs, memory, room, parameters, t, n):
    """Sum of typical price * volume / sum of volume since the session began, summed from its first price."""
    high, low, close, volume = four(inputs, n)
    session_start, out, state = column(inputs[4], n), column(outputs[0], n), column(memory, room)
    for bar in range(n):
        out[bar] = typical_price(high[bar], low[bar], close[bar])
    if unbroken(out) and unbroken(volume):
        session_bars(volume, session_start, out, state, True)
    else:
        session_bars(volume, session_start, out, state, False)
