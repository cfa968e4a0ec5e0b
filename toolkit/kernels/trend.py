"""Where prices are heading: directional movement, the stop and reverse, supertrend, midpoints of ranges.

What remembers passes over a bar without a usable high, low or close, as in `averages`.
"""

from __future__ import annotations

import numpy as np
from numba.core import types

from toolkit.kernels.averages import begun, sound, unbroken
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import absolute, column, fma, intrinsic, larger, mask, smaller, where
from toolkit.kernels.ranges import ranged, smoothed, three, whole
from toolkit.kernels.windows import after, finite, standing, topped


@inline
def adx_bars(high, low, close, outs, state, span, steady):
    out, plus_out, minus_out = outs
    weight = 1.0 / span
    count, rises, falls, ranges = state[0], state[1], state[2], state[3]
    last_high, last_low, last, n_indices, average = state[4], state[5], state[6], state[7], state[8]
    for bar in range(close.size):
        size, moved, ok = ranged(high[bar], low[bar], close[bar], last, steady)
        up, down = larger(high[bar] - last_high, 0.0), larger(last_low - low[bar], 0.0)
        last_high, last_low = where(ok, high[bar], last_high), where(ok, low[bar], last_low)
        last = where(ok, close[bar], last)
        count = count if steady else count + where(moved, 1.0, 0.0)
        directed = moved if steady else moved & (count >= span)
        keep = 1.0 - weight if steady else where(directed, 1.0 - weight, 1.0)
        rises = fma(keep, rises, where(moved & (up > down), weight * up, 0.0))
        falls = fma(keep, falls, where(moved & (down > up), weight * down, 0.0))
        ranges = fma(keep, ranges, where(moved, weight * size, 0.0))
        scale, both = where(ranges > 0.0, 100.0 / ranges, 0.0), rises + falls
        index = where(both > 0.0, 100.0 * (absolute(rises - falls) / both), 0.0)
        average, n_indices, known = smoothed(index, directed, n_indices, average, span, steady)
        out[bar] = where(known, average, np.nan)
        plus_out[bar], minus_out[bar] = where(directed, rises * scale, np.nan), where(directed, falls * scale, np.nan)
    state[0], state[1], state[2], state[3] = count, rises, falls, ranges
    state[4], state[5], state[6], state[7], state[8] = last_high, last_low, last, n_indices, average


@Kernel
def adx(inputs, outputs, memory, room, parameters, t, n):
    """plus, minus = 100 * (rises, falls) / ranges; index = 100 * |plus - minus| / (plus + minus); adx = its Wilder average.

    rises, falls and ranges are Wilder averages that begin with the plain sum of `span` - 1 values, over `span`.
    """
    high, low, close = three(inputs, n)
    outs, state, span = three(outputs, n), column(memory, room), parameters[0]
    if t == 0:
        state[6] = state[6] + np.nan
    if begun(state[7], span) and whole(high, low, close):
        adx_bars(high, low, close, outs, state, span, True)
    else:
        adx_bars(high, low, close, outs, state, span, False)


@intrinsic
def perhaps(typing, test):
    """Whether the test may hold: of one symbol, whether it does; of eight, always, since asking costs more than it saves."""
    alone = test != mask

    def emit(context, builder, sig, args):
        return args[0] if alone else context.get_constant(types.boolean, True)

    return types.boolean(types.boolean if alone else mask), emit


@inline
def stop_bars(high, low, out, state, step, most, steady):
    count, side, stop, farthest, pace, last_high, last_low = (
        state[0], state[1], state[2], state[3], state[4], state[5], state[6],
    )  # fmt: skip
    for bar in range(high.size):
        ok = sound(high[bar], steady) & sound(low[bar], steady)
        if not steady:
            first, down = ok & (count == 1.0), last_low - low[bar]
            falls = (down > 0.0) & (down > high[bar] - last_high)
            side = where(first, where(falls, -1.0, 1.0), side)
            stop = where(first, where(falls, -last_high, last_low), stop)
            farthest = where(first, where(falls, -low[bar], high[bar]), farthest)
            pace = where(first, step, pace)
            last_high, last_low = where(first, high[bar], last_high), where(first, low[bar], last_low)
            count = count + where(ok, 1.0, 0.0)
        rising = side > 0.0
        near, far = where(rising, low[bar], -high[bar]), where(rising, high[bar], -low[bar])
        last_near, last_far = where(rising, last_low, -last_high), where(rising, last_high, -last_low)
        level, beyond, hit = side * stop, larger(far, last_far), ok & (near <= stop)
        quicker, reached = where(far > farthest, smaller(pace + step, most), pace), larger(far, farthest)
        onward = smaller(fma(quicker, reached - stop, stop), smaller(near, last_near))
        if perhaps(hit):
            turned = larger(farthest, beyond)
            level = where(hit, side * turned, level)
            onward = where(hit, -larger(fma(step, near - turned, turned), beyond), onward)
            quicker, reached, side = where(hit, step, quicker), where(hit, -near, reached), where(hit, -side, side)
        out[bar] = where(ok & (count > 1.0), level, np.nan)
        stop, farthest, pace = where(ok, onward, stop), where(ok, reached, farthest), where(ok, quicker, pace)
        last_high, last_low = where(ok, high[bar], last_high), where(ok, low[bar], last_low)
    state[0], state[1], state[2], state[3], state[4] = count, side, stop, farthest, pace
    state[5], state[6] = last_high, last_low


@Kernel
def parabolic_sar(inputs, outputs, memory, room, parameters, t, n):
    """stop += pace * (farthest - stop), never past the lows of this bar and the one before; hit, it turns to `farthest`.

    Told for a rise. In a fall all prices are mirrored: `near` is the side on which the stop is, `far` the other one.
    """
    high, low, out, state = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n), column(memory, room)
    if begun(state[0], 2.0) and unbroken(high) and unbroken(low):
        stop_bars(high, low, out, state, parameters[0], parameters[1], True)
    else:
        stop_bars(high, low, out, state, parameters[0], parameters[1], False)


@inline
def supertrend_bars(high, low, close, outs, state, span, width, steady):
    line, direction = outs
    count, average, last, floor, ceiling, side = state[0], state[1], state[2], state[3], state[4], state[5]
    for bar in range(close.size):
        size, taken, ok = ranged(high[bar], low[bar], close[bar], last, steady)
        average, count, known = smoothed(size, taken, count, average, span, steady)
        centre, reach = 0.5 * (high[bar] + low[bar]), width * average
        raised, lowered = larger(centre - reach, floor), smaller(centre + reach, ceiling)
        floor = where(known, where(last < floor, centre - reach, raised), floor)
        ceiling = where(known, where(last > ceiling, centre + reach, lowered), ceiling)
        last = where(ok, close[bar], last)
        turned = where(side > 0.0, where(close[bar] < floor, -1.0, 1.0), where(close[bar] > ceiling, 1.0, -1.0))
        side = where(known, turned, side)
        line[bar] = where(known, where(side > 0.0, floor, ceiling), np.nan)
        direction[bar] = where(known, side, np.nan)
    state[0], state[1], state[2], state[3], state[4], state[5] = count, average, last, floor, ceiling, side


@Kernel
def supertrend(inputs, outputs, memory, room, parameters, t, n):
    """floor, ceiling = (high + low) / 2 -+ width * atr, held as long as only worse ones come and no close was beyond.

    The line is the floor in a rise, until a close below it; then the ceiling, until a close above it.
    """
    high, low, close = three(inputs, n)
    outs, state = (column(outputs[0], n), column(outputs[1], n)), column(memory, room)
    span, width = parameters[0], parameters[1]
    if t == 0:
        state[2], state[3], state[4], state[5] = state[2] + np.nan, state[3] - np.inf, state[4] + np.inf, state[5] + 1.0
    if begun(state[0], span) and whole(high, low, close):
        supertrend_bars(high, low, close, outs, state, span, width, True)
    else:
        supertrend_bars(high, low, close, outs, state, span, width, False)


@inline
def midpoints(high, low, out, memory, window, t):
    """(highest high + lowest low) / 2 of each window; memory: 2 + 2 * window items."""
    state, highs, lows, place = column(memory, 2), after(memory, 2), after(memory, 2 + window), t % window
    high_head, low_head = state[0], state[1]
    if t == 0:
        high_head, low_head = high_head - np.inf, low_head - np.inf
        for k in range(window):
            highs[k], lows[k] = np.inf, np.inf
    for bar in range(out.size):
        most, high_head, _ = topped(standing(high[bar]), high_head, place, highs, window)
        least, low_head, place = topped(standing(-low[bar]), low_head, place, lows, window)
        out[bar] = finite(0.5 * (most - least))
    state[0], state[1] = high_head, low_head


@Kernel
def ichimoku(inputs, outputs, memory, room, parameters, t, n):
    """Midpoints of three windows; span_a is the middle of the first two, conversion and base, span_b the third."""
    high, low = column(inputs[0], n), column(inputs[1], n)
    conversion, base = column(outputs[0], n), column(outputs[1], n)
    span_a, span_b = column(outputs[2], n), column(outputs[3], n)
    short, middle, long = int(parameters[0]), int(parameters[1]), int(parameters[2])
    midpoints(high, low, conversion, memory, short, t)
    midpoints(high, low, base, after(memory, 2 + 2 * short), middle, t)
    midpoints(high, low, span_b, after(memory, 4 + 2 * short + 2 * middle), long, t)
    for bar in range(n):
        span_a[bar] = 0.5 * (conversion[bar] + base[bar])
