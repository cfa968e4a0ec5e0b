"""The natural logarithm from additions and multiplications alone.

A C library's differs in the last bit from machine to machine, and takes one number at a time; this one gives the same bits
everywhere, and eight at once in the time of one.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from llvmlite import ir

from toolkit.kernels.jit import inline
from toolkit.kernels.lanes import VECTOR, WIDTH, common, fma, intrinsic, where

INT64 = ir.IntType(64)
DIGITS = 52  # binary ones of a float64, after the point
HALF = int(np.sqrt(0.5).view(np.int64))
# log 2 in two parts, the high one so short that its product with an exponent is exact.
LOG2_HIGH = float(Decimal(2).ln() // Decimal(2) ** -40 * Decimal(2) ** -40)
LOG2_LOW = float(Decimal(2).ln() - Decimal(LOG2_HIGH))


def parts(builder, number):
    """As integers: the bits of a positive number, its nearest power of two (by ratio), and the number of DIGITS."""
    several = number.type == VECTOR
    kind = ir.VectorType(INT64, WIDTH) if several else INT64
    half, digits = (ir.Constant(kind, [value] * WIDTH if several else value) for value in (HALF, DIGITS))
    bits = builder.bitcast(number, kind)
    return bits, builder.ashr(builder.sub(bits, half), digits), digits


@intrinsic
def exponent(typing, a):
    """k of a positive number between sqrt(1/2) * 2^k and sqrt(2) * 2^k."""
    kind = common(a)
    return kind(kind), lambda context, builder, sig, args: builder.sitofp(parts(builder, args[0])[1], args[0].type)


@intrinsic
def fraction(typing, a):
    """A positive number / 2^k with k its `exponent`."""
    kind = common(a)

    def emit(context, builder, sig, args):
        bits, power, digits = parts(builder, args[0])
        return builder.bitcast(builder.sub(bits, builder.shl(power, digits)), args[0].type)

    return kind(kind), emit


@inline
def log(value):
    """k log(2) + log(1 + f), where value = 2^k (1 + f) and log(1 + f) = 2 (s + s^3 / 3 + s^5 / 5 + ...), s = f / (2 + f).

    Summed up as f - (f^2 / 2 - s (f^2 / 2 + s^2 (2 / 3 + ...))): f is exact, the rest small. Within one unit of the last
    digit; -inf of 0, NaN below.
    """
    k, f = exponent(value), fraction(value) - 1.0
    half, s = 0.5 * f * f, f / (2.0 + f)
    square = s * s
    series = 2.0 / 21.0
    for n in range(19, 1, -2):
        series = fma(series, square, 2.0 / n)
    rest = half - fma(s, fma(series, square, half), k * LOG2_LOW)
    result = fma(k, LOG2_HIGH, f - rest)
    return where(value > 0.0, where(value < np.inf, result, value), where(value == 0.0, -np.inf, np.nan))
