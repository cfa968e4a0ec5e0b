"""Moving bars between rows of a panel and tiles of eight lanes, calling a kernel by its address, and flushing denormals.

A tile holds the same bars of eight rows, bar after bar, eight numbers side by side: what `lanes` computes with.  Eight rows
by eight bars are turned by 24 shuffles in registers.  Addresses are integers; the drivers in `program` see to their bounds.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types

from toolkit.kernels.jit import inline
from toolkit.kernels.lanes import DOUBLE, VECTOR, WIDTH, intrinsic

INT64, INT32 = ir.IntType(64), ir.IntType(32)
BYTES = 8 * WIDTH  # of one bar of a tile


def turned(builder, rows):
    """The transpose of eight vectors: exchanged by ones, by twos, by fours."""
    for width in 1, 2, 4:
        turned_rows = list(rows)
        for i in range(WIDTH):
            if i & width:
                continue
            both = rows[i], rows[i + width]
            for j, offset in (i, 0), (i + width, width):
                picks = [k - width + WIDTH + offset if k & width else k + offset for k in range(WIDTH)]
                turned_rows[j] = builder.shuffle_vector(*both, ir.Constant(ir.VectorType(INT32, WIDTH), picks))
        rows = turned_rows
    return rows


def at(builder, address, kind=VECTOR):
    return builder.inttoptr(address, kind.as_pointer())


def moved(builder, get, put):
    """Eight vectors from one place to another, turned; `get` and `put` give address and alignment of the k-th."""
    rows = []
    for k in range(WIDTH):
        address, align = get(k)
        rows.append(builder.load(at(builder, address), align=align))
    for k, row in enumerate(turned(builder, rows)):
        address, align = put(k)
        builder.store(row, at(builder, address), align=align)


def places(builder, tile, base, offsets):
    """The addresses of the eight bars of a tile, and those of the eight rows, `offsets` bytes behind `base`."""
    table = at(builder, offsets, INT64)
    return (
        lambda k: (builder.add(tile, INT64(BYTES * k)), BYTES),
        lambda k: (builder.add(base, builder.load(builder.gep(table, [INT64(k)]))), 8),
    )


@intrinsic
def pack(typing, tile, base, offsets):
    """Eight bars of eight rows into a tile."""

    def emit(context, builder, sig, args):
        bars, rows = places(builder, *args)
        moved(builder, rows, bars)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@intrinsic
def unpack(typing, tile, base, offsets):
    """Eight bars of a tile out to eight rows."""

    def emit(context, builder, sig, args):
        bars, rows = places(builder, *args)
        moved(builder, bars, rows)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@intrinsic
def get(typing, address):
    """The float64 at an address."""
    return types.float64(types.int64), lambda context, builder, sig, args: builder.load(at(builder, args[0], DOUBLE), align=8)


@intrinsic
def put(typing, address, value):
    """Writes a float64 to an address."""

    def emit(context, builder, sig, args):
        builder.store(args[1], at(builder, args[0], DOUBLE), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64), emit


@intrinsic
def call(typing, kernel, inputs, outputs, memory, room, parameters, t, n):
    """Calls the kernel at an address; see `jit.Kernel`."""

    def emit(context, builder, sig, args):
        pointer = ir.IntType(8).as_pointer()
        kinds = [pointer, pointer, pointer, INT64, pointer, INT64, INT64]
        function = builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), kinds).as_pointer())
        values = [builder.inttoptr(a, pointer) if kind is pointer else a for a, kind in zip(args[1:], kinds, strict=True)]
        builder.call(function, values)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8), emit


# ------------------------------------------------------------------------------------------------------------- denormals
# An average of zeros decays into numbers so small that the processor computes them fifteen times slower, for ever. The mode
# in which it takes them for zero belongs to the thread.
FLUSH = {"x86_64": 0x8040, "aarch64": 1 << 24}


def processor(context) -> str:
    triple = context.codegen()._tm.triple
    return "aarch64" if triple.startswith(("aarch64", "arm64")) else triple.split("-")[0]


@intrinsic
def floating_mode(typing):
    """The floating-point mode of this thread."""

    def emit(context, builder, sig, args):
        if processor(context) == "aarch64":
            read = cgutils.get_or_insert_function(builder.module, ir.FunctionType(INT64, []), "llvm.aarch64.get.fpcr")
            return builder.call(read, [])
        place = cgutils.alloca_once(builder, INT32)
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
        store = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse.stmxcsr")
        builder.call(store, [builder.bitcast(place, ir.IntType(8).as_pointer())])
        return builder.zext(builder.load(place), INT64)

    return types.int64(), emit


@intrinsic
def set_floating_mode(typing, mode):
    def emit(context, builder, sig, args):
        if processor(context) == "aarch64":
            kind = ir.FunctionType(ir.VoidType(), [INT64])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.set.fpcr"), args)
            return context.get_dummy_value()
        place = cgutils.alloca_once_value(builder, builder.trunc(args[0], INT32))
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
        load = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse.ldmxcsr")
        builder.call(load, [builder.bitcast(place, ir.IntType(8).as_pointer())])
        return context.get_dummy_value()

    return types.void(types.int64), emit


@intrinsic
def flush_bits(typing):
    return types.int64(), lambda context, builder, sig, args: INT64(FLUSH[processor(context)])


@inline
def flush():
    """Takes denormals for zero in this thread from here on; returns the mode before, for `set_floating_mode`."""
    before = floating_mode()
    set_floating_mode(before | flush_bits())
    return before
