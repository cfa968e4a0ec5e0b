"""Eight numbers that are one value to Numba: a kernel written for a float64 compiles for eight symbols at once.

`lanes` has the arithmetic and the comparisons of a float64, each done in all eight lanes by one instruction of the processor
(four of them, two by two, on arm64); a comparison gives a `mask`.  Where a float64 would branch, a kernel says `where`.  Every
lane is rounded as a lone float64 is: nothing is contracted or reordered, and a multiply-add is one only where it says `fma`.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, extending, types
from numba.core.extending import lower_builtin, lower_cast, models, register_model
from numba.core.typeconv.rules import default_type_manager
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.np import arrayobj

intrinsic: Any = extending.intrinsic  # its annotation counts the typing context among the arguments of a call
WIDTH = 8
DOUBLE = ir.DoubleType()
VECTOR, BITS = ir.VectorType(DOUBLE, WIDTH), ir.VectorType(ir.IntType(1), WIDTH)


class LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="lanes")


class MaskType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="mask")


lanes, mask = LanesType(), MaskType()


@register_model(LanesType)
class LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, VECTOR)


@register_model(MaskType)
class MaskModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, BITS)


# ------------------------------------------------------------------------------------ a number becomes eight equal ones
def splat(builder, value, vector):
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), everywhere)


def bit(builder, value):
    """A truth value as one bit, whatever Numba holds it in."""
    return value if value.type.width == 1 else builder.trunc(value, ir.IntType(1))


default_type_manager.set_promote(types.float64, lanes)
default_type_manager.set_promote(types.boolean, mask)


@lower_cast(types.float64, lanes)
def number_to_lanes(context, builder, source, target, value):
    return splat(builder, value, VECTOR)


@lower_cast(types.boolean, mask)
@lower_cast(types.BooleanLiteral, mask)
def truth_to_mask(context, builder, source, target, value):
    return splat(builder, bit(builder, value), BITS)


# --------------------------------------------------------------------------------------------------------- the operators
def defined(function, result, argument, emit):
    """Types and code of a binary operator."""
    infer_global(function)(type(function.__name__, (ConcreteTemplate,), {"cases": [signature(result, argument, argument)]}))
    lower_builtin(function, argument, argument)(lambda context, builder, sig, args: emit(builder, *args))


for name, instruction in {"add": "fadd", "sub": "fsub", "mul": "fmul", "truediv": "fdiv"}.items():
    for function in getattr(operator, name), getattr(operator, f"i{name}"):
        defined(function, lanes, lanes, lambda builder, a, b, instruction=instruction: getattr(builder, instruction)(a, b))
for function, sign in {operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "=="}.items():
    defined(function, mask, lanes, lambda builder, a, b, sign=sign: builder.fcmp_ordered(sign, a, b))
defined(operator.ne, mask, lanes, lambda builder, a, b: builder.fcmp_unordered("!=", a, b))
defined(operator.and_, mask, mask, lambda builder, a, b: builder.and_(a, b))
defined(operator.or_, mask, mask, lambda builder, a, b: builder.or_(a, b))


@infer_global(operator.neg)
class Negation(ConcreteTemplate):
    cases = [signature(lanes, lanes)]


@lower_builtin(operator.neg, lanes)
def negated(context, builder, sig, args):
    return builder.fneg(args[0])


# --------------------------------------------------------------------- functions, of float64 and lanes alike, by one name
def common(*arguments):
    """`lanes` if any argument is, else float64."""
    return lanes if lanes in arguments or mask in arguments else types.float64


def llvm(name, builder, args):
    kind = args[0].type
    suffix = f"v{WIDTH}f64" if kind == VECTOR else "f64"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * len(args)), f"llvm.{name}.{suffix}"
    )
    return builder.call(function, args)


@intrinsic
def where(typing, test, a, b):
    """a where the test holds, else b; both are computed."""
    kind = common(test, a, b)
    truth = mask if kind is lanes else types.boolean

    def emit(context, builder, sig, args):
        return builder.select(args[0] if kind is lanes else bit(builder, args[0]), *args[1:])

    return kind(truth, kind, kind), emit


@intrinsic
def fma(typing, a, b, c):
    """a * b + c, rounded once on every machine: left to the compiler, the last bit would depend on the processor."""
    kind = common(a, b, c)
    return kind(kind, kind, kind), lambda context, builder, sig, args: llvm("fma", builder, args)


@intrinsic
def absolute(typing, a):
    kind = common(a)
    return kind(kind), lambda context, builder, sig, args: llvm("fabs", builder, args)


@intrinsic
def root(typing, a):
    """Square root; NaN below zero."""
    kind = common(a)
    return kind(kind), lambda context, builder, sig, args: llvm("sqrt", builder, args)


def choice(sign):
    """The larger or the smaller of two; the second where either is NaN."""

    @intrinsic
    def chosen(typing, a, b):
        kind = common(a, b)

        def emit(context, builder, sig, args):
            return builder.select(builder.fcmp_ordered(sign, *args), *args)

        return kind(kind, kind), emit

    return chosen


larger, smaller = choice(">"), choice("<")


@intrinsic
def every(typing, test):
    """Whether the test holds in every lane."""

    def emit(context, builder, sig, args):
        if test != mask:
            return args[0]
        whole = builder.bitcast(args[0], ir.IntType(WIDTH))
        return builder.icmp_unsigned("==", whole, ir.IntType(WIDTH)(2**WIDTH - 1))

    return types.boolean(mask if test == mask else types.boolean), emit


@intrinsic
def column(typing, pointer, size):
    """The `size` items at a pointer as an array."""
    width = 8 * (WIDTH if pointer.dtype == lanes else 1)

    def emit(context, builder, sig, args):
        address, n = args
        array = arrayobj.make_array(sig.return_type)(context, builder)
        step = context.get_constant(types.intp, width)
        data = builder.bitcast(address, array.data.type)
        arrayobj.populate_array(array, data=data, shape=[n], strides=[step], itemsize=step, meminfo=None)
        return array._getvalue()

    return types.Array(pointer.dtype, 1, "C")(pointer, types.int64), emit
