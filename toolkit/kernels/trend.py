"""Where prices are heading: directional movement, the stop and reverse, supertrend, midpoints of ranges.

What remembers passes over a bar without a usable high, low or close, as in `averages`.
"""

from __future__ import annotations

import numpy as np
from numba.core import types

from toolkit.kernels.averages import begun, sound, unbroken, wilder_next
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import absolute, column, fma, intrinsic, larger, mask, smaller, where
from toolkit.kernels.ranges import all_usable, range_from, three
from toolkit.kernels.windows import after, finite, prefill_range, window_range


@inline
def adx_bars(high, low, close, outs, state, span, steady):
    adx_out, plus_out, minus_out = outs
    alpha = 1.0 / span
    count, plus_dm, minus_dm, ranges = state[0], state[1], state[2], state[3]
    last_high, last_low, last, n_dx, average = state[4], state[5], state[6], state[7], state[8]
    for bar in range(close.size):
        tr, has_range, ok = range_from(high[bar], low[bar], close[bar], last, steady)
        up_move, down_move = larger(high[bar] - last_high, 0.0), larger(last_low - low[bar], 0.0)
        last_high, last_low = where(ok, high[bar], last_high), where(ok, low[bar], last_low)
        last = where(ok, close[bar], last)
        count = count if steady else count + where(has_range, 1.0, 0.0)
        has_dx = has_range if steady else has_range & (count >= span)
        keep = 1.0 - alpha if steady else where(has_dx, 1.0 - alpha, 1.0)
        plus_dm = fma(keep, plus_dm, where(has_range & (up_move > down_move), alpha * up_move, 0.0))
        minus_dm = fma(keep, minus_dm, where(has_range & (down_move > up_move), alpha * down_move, 0.0))
        ranges = fma(keep, ranges, where(has_range, alpha * tr, 0.0))
        scale, both = where(ranges > 0.0, 100.0 / ranges, 0.0), plus_dm + minus_dm
        dx = where(both > 0.0, 100.0 * (absolute(plus_dm - minus_dm) / both), 0.0)
        average, n_dx, known = wilder_next(dx, has_dx, n_dx, average, span, steady)
        adx_out[bar] = where(known, average, np.nan)
        plus_out[bar], minus_out[bar] = where(has_dx, plus_dm * scale, np.nan), where(has_dx, minus_dm * scale, np.nan)
    state[0], state[1], state[2], state[3] = count, plus_dm, minus_dm, ranges
    state[4], state[5], state[6], state[7], state[8] = last_high, last_low, last, n_dx, average


@Kernel
def adx(inputs, outputs, memory, room, parameters, t, n):
    """plus, minus = 100 * (plus_dm, minus_dm) / ranges; dx = 100 * |plus - minus| / (plus + minus); adx = its Wilder average.

    plus_dm, minus_dm and true ranges are Wilder averages that begin with the plain sum of `span` - 1 values, over `span`.
    """
    high, low, close = three(inputs, n)
    outs, state, span = three(outputs, n), column(memory, room), parameters[0]
    if t == 0:
        state[6] = state[6] + np.nan
    if begun(state[7], span) and all_usable(high, low, close):
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
def sar_bars(high, low, out, state, step, maximum, steady):
    count, side, stop, extreme, acceleration, last_high, last_low = (
        state[0], state[1], state[2], state[3], state[4], state[5], state[6],
    )  # fmt: skip
    for bar in range(high.size):
        ok = sound(high[bar], steady) & sound(low[bar], steady)
        if not steady:
            first, down_move = ok & (count == 1.0), last_low - low[bar]
            falling = (down_move > 0.0) & (down_move > high[bar] - last_high)
            side = where(first, where(falling, -1.0, 1.0), side)
            stop = where(first, where(falling, -last_high, last_low), stop)
            extreme = where(first, where(falling, -low[bar], high[bar]), extreme)
            acceleration = where(first, step, acceleration)
            last_high, last_low = where(first, high[bar], last_high), where(first, low[bar], last_low)
            count = count + where(ok, 1.0, 0.0)
        rising = side > 0.0
        near, far = where(rising, low[bar], -high[bar]), where(rising, high[bar], -low[bar])
        last_near, last_far = where(rising, last_low, -last_high), where(rising, last_high, -last_low)
        sar, bound, hit = side * stop, larger(far, last_far), ok & (near <= stop)
        next_acceleration = where(far > extreme, smaller(acceleration + step, maximum), acceleration)
        next_extreme = larger(far, extreme)
        next_stop = smaller(fma(next_acceleration, next_extreme - stop, stop), smaller(near, last_near))
        if perhaps(hit):
            reversal = larger(extreme, bound)
            sar = where(hit, side * reversal, sar)
            next_stop = where(hit, -larger(fma(step, near - reversal, reversal), bound), next_stop)
            next_acceleration, next_extreme = where(hit, step, next_acceleration), where(hit, -near, next_extreme)
            side = where(hit, -side, side)
        out[bar] = where(ok & (count > 1.0), sar, np.nan)
        stop, extreme = where(ok, next_stop, stop), where(ok, next_extreme, extreme)
        acceleration = where(ok, next_acceleration, acceleration)
        last_high, last_low = where(ok, high[bar], last_high), where(ok, low[bar], last_low)
    state[0], state[1], state[2], state[3], state[4] = count, side, stop, extreme, acceleration
    state[5], state[6] = last_high, last_low


@Kernel
def parabolic_sar(inputs, outputs, memory, room, parameters, t, n):
    """stop += acceleration * (extreme - stop), never past the lows of this bar and the one before; hit, it turns to `extreme`.

    Each new extreme adds `step` to the acceleration, up to a maximum. Told for a rise. In a fall all prices are mirrored:
    `near` is the side on which the stop is, `far` the other one.
    """
    high, low, out, state = column(inputs[0], n), column(inputs[1], n), column(outputs[0], n), column(memory, room)
    if begun(state[0], 2.0) and unbroken(high) and unbroken(low):
        sar_bars(high, low, out, state, parameters[0], parameters[1], True)
    else:
        sar_bars(high, low, out, state, parameters[0], parameters[1], False)


@inline
def supertrend_bars(high, low, close, outs, state, span, width, steady):
    line, direction = outs
    count, average, last, floor, ceiling, side = state[0], state[1], state[2], state[3], state[4], state[5]
    for bar in range(close.size):
        tr, has_range, ok = range_from(high[bar], low[bar], close[bar], last, steady)
        average, count, known = wilder_next(tr, has_range, count, average, span, steady)
        centre, half_width = 0.5 * (high[bar] + low[bar]), width * average
        raised, lowered = larger(centre - half_width, floor), smaller(centre + half_width, ceiling)
        floor = where(known, where(last < floor, centre - half_width, raised), floor)
        ceiling = where(known, where(last > ceiling, centre + half_width, lowered), ceiling)
        last = where(ok, close[bar], last)
        new_side = where(side > 0.0, where(close[bar] < floor, -1.0, 1.0), where(close[bar] > ceiling, 1.0, -1.0))
        side = where(known, new_side, side)
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
    if begun(state[0], span) and all_usable(high, low, close):
        supertrend_bars(high, low, close, outs, state, span, width, True)
    else:
        supertrend_bars(high, low, close, outs, state, span, width, False)


@inline
def midpoints(high, low, out, memory, window, t):
    """(highest high + lowest low) / 2 of each window; memory: 2 + 2 * window items."""
    rings, place = after(memory, 2), t % window
    prefill_range(memory, window, t)
    heads = memory[0], memory[1]
    for bar in range(out.size):
        highest, lowest, heads, place = window_range(high[bar], low[bar], heads, place, rings, window)
        out[bar] = finite(0.5 * (highest + lowest))
    memory[0], memory[1] = heads


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
