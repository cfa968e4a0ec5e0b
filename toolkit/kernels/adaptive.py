"""Kaufman's adaptive average: quick where prices go one way, slow where they go back and forth.

Its window counts prices, not bars: the last of them are kept in their order, and at a bar without a price the order of that
lane stays as it is. The length of their path is a sum of sums over 1, 2, 4, ... changes, so that nothing is subtracted and
nothing hangs on where a history begins. Several bars are taken together, for these sums go side by side.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.averages import begun, sound, unbroken
from toolkit.kernels.jit import Kernel, inline
from toolkit.kernels.lanes import absolute, column, fma, where
from toolkit.kernels.windows import after

BLOCK = 64  # bars taken together


@inline
def drop_oldest(values, size, n, ok):
    """Drops the n oldest of size + n values, in the lanes that are ok."""
    for k in range(size):
        values[k] = where(ok, values[k + n], values[k])


@inline
def path_length(ladder, out, window, n, ok):
    """Sums of the last `window` changes at n bars, made of the sums over as many changes as the window has binary digits.

    ladder: the m sums over m changes before the first of the bars, then room for BLOCK, for m = 1, 2, 4, ...
    """
    m, held = 1, 0
    while m <= window:
        sums, longer = after(ladder, m), after(ladder, 3 * m + BLOCK)
        if window & m:
            earlier = after(ladder, m - held)
            for bar in range(n):
                out[bar] = out[bar] + earlier[bar]
            held += m
        if 2 * m <= window:
            for bar in range(n):
                longer[bar] = sums[bar] + ladder[bar]
        drop_oldest(ladder, m, n, ok)
        ladder, m = after(ladder, m + BLOCK), 2 * m


@inline
def kama_bars(x, out, state, window, fast, slow, steady):
    """At most BLOCK bars; one, where it is not steady."""
    n, count, average = x.size, state[0], state[1]
    prices, ladder = after(state, 2), after(state, 2 + window + BLOCK)
    changes, newest, newer = after(ladder, 1), after(prices, window - 1), after(prices, window)
    ok = sound(x[0], steady)
    for bar in range(n):
        newer[bar] = where(ok, x[bar], newest[bar])
        changes[bar] = absolute(newer[bar] - newest[bar])
        out[bar] = 0.0
    path_length(ladder, out, window, n, ok)
    for bar in range(n):
        length, distance = out[bar], absolute(newer[bar] - prices[bar])
        efficiency = where(distance < length, distance / length, 1.0)
        constant = fma(efficiency, fast - slow, slow)
        out[bar] = constant * constant
    for bar in range(n):
        alpha, value, known = out[bar], newer[bar], ok & (steady | (count >= window + 0.0))
        average = where(ok, where(known, fma(1.0 - alpha, average, alpha * value), value), average)
        out[bar] = where(known, average, np.nan)
        count = count + where(ok, 1.0, 0.0)
    drop_oldest(prices, window, n, ok)
    state[0], state[1] = count, average


@Kernel
def kama(inputs, outputs, memory, room, parameters, t, n):
    """average += alpha * (x - average), alpha = (slow + efficiency * (fast - slow)) ** 2; it begins as the price.

    efficiency = how far the price has come in `window` changes / length of the path; 1 where it has not moved.
    """
    x, out, window = column(inputs[0], n), column(outputs[0], n), int(parameters[0])
    fast, slow = 2.0 / (parameters[1] + 1.0), 2.0 / (parameters[2] + 1.0)
    begin = 0
    while begin < n:
        end = min(begin + BLOCK, n) if t + begin >= window else begin + 1
        if begun(memory[0], window + 0.0) and unbroken(x[begin:end]):
            kama_bars(x[begin:end], out[begin:end], memory, window, fast, slow, True)
        else:
            for bar in range(begin, end):
                kama_bars(x[bar : bar + 1], out[bar : bar + 1], memory, window, fast, slow, False)
        begin = end
