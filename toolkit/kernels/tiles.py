"""Moving bars between rows of a panel and tiles of eight lanes, calling a kernel by its address, and flushing denormals.

A tile holds the same bars of eight rows, bar after bar, eight numbers side by side: what `lanes` computes with.  Eight rows
by eight bars are turned in registers.  Addresses are integers; the drivers in `program` see to their bounds.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types

from toolkit.kernels.lanes import DOUBLE, VECTOR, WIDTH, intrinsic

INT64, INT32 = ir.IntType(64), ir.IntType(32)
BYTES = 8 * WIDTH  # of one bar of a tile
HALF = ir.VectorType(DOUBLE, WIDTH // 2)


def exchanged(builder, rows, width):
    """One step of a transpose: blocks of `width` bars change places between rows that lie `width` apart."""
    turned = list(rows)
    for i in range(WIDTH):
        if i & width:
            continue
        for j, offset in (i, 0), (i + width, width):
            picks = [k - width + WIDTH + offset if k & width else k + offset for k in range(WIDTH)]
            turned[j] = builder.shuffle_vector(rows[i], rows[i + width], ir.Constant(ir.VectorType(INT32, WIDTH), picks))
    return turned


def at(builder, address, kind=VECTOR):
    return builder.inttoptr(address, kind.as_pointer())


def moved(builder, get, put, past_cache=False):
    """Eight vectors from one place to another, turned; `get` and `put` give address and alignment of the k-th.

    The blocks of four change places while they are loaded: a half row is joined to another one for free. Past the cache, what
    is written is not read first.
    """

    def half(k, side):
        address, align = get(k)
        return builder.load(at(builder, builder.add(address, INT64(BYTES // 2 * side)), HALF), align=min(align, BYTES // 2))

    whole = ir.Constant(ir.VectorType(INT32, WIDTH), list(range(WIDTH)))
    rows = [builder.shuffle_vector(half(i % 4, i // 4), half(i % 4 + 4, i // 4), whole) for i in range(WIDTH)]
    for k, row in enumerate(exchanged(builder, exchanged(builder, rows, 1), 2)):
        address, align = put(k)
        stored = builder.store(row, at(builder, address), align=align)
        if past_cache:
            stored.set_metadata("nontemporal", builder.module.add_metadata([INT32(1)]))


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
def unpack_past_cache(typing, tile, base, offsets):
    """The same where every row is at a multiple of 64 bytes there, and nobody will read it soon; `ordered` must follow."""

    def emit(context, builder, sig, args):
        bars, rows = places(builder, *args)
        moved(builder, bars, lambda k: (rows(k)[0], BYTES), past_cache=True)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@intrinsic
def ordered(typing):
    """Other threads see what was written past the cache before what is written from here on."""

    def emit(context, builder, sig, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit


def asked(writes):
    """Asks memory for the line at `base` of eight rows, to be read or to be written soon; no harm where there is none."""

    @intrinsic
    def ask(typing, base, offsets):
        def emit(context, builder, sig, args):
            pointer = ir.IntType(8).as_pointer()
            kind = ir.FunctionType(ir.VoidType(), [pointer, INT32, INT32, INT32])
            prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            for k in range(WIDTH):
                offset = builder.load(builder.gep(at(builder, args[1], INT64), [INT64(k)]))
                line = builder.inttoptr(builder.add(args[0], offset), pointer)
                builder.call(prefetch, [line, INT32(writes), INT32(3), INT32(1)])
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), emit

    return ask


to_read, to_write = asked(0), asked(1)


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
BYTE = ir.IntType(8).as_pointer()


def machine(triple: str) -> str:
    """The kind of processor in the name of a target."""
    return "aarch64" if triple.startswith(("aarch64", "arm64")) else triple.split("-")[0]


def read_mode(builder, kind):
    """The floating-point mode of the thread, 64 bits."""
    if kind == "aarch64":
        return builder.call(
            cgutils.get_or_insert_function(builder.module, ir.FunctionType(INT64, []), f"llvm.{kind}.get.fpcr"), []
        )
    place = cgutils.alloca_once(builder, INT32)
    store = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [BYTE]), "llvm.x86.sse.stmxcsr")
    builder.call(store, [builder.bitcast(place, BYTE)])
    return builder.zext(builder.load(place), INT64)


def write_mode(builder, kind, mode):
    """Sets the floating-point mode of the thread."""
    if kind == "aarch64":
        write = ir.FunctionType(ir.VoidType(), [INT64])
        builder.call(cgutils.get_or_insert_function(builder.module, write, f"llvm.{kind}.set.fpcr"), [mode])
        return
    place = cgutils.alloca_once_value(builder, builder.trunc(mode, INT32))
    load = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [BYTE]), "llvm.x86.sse.ldmxcsr")
    builder.call(load, [builder.bitcast(place, BYTE)])


@intrinsic
def flush(typing):
    """Takes denormals for zero in this thread from here on; returns the mode before, for `restore`."""

    def emit(context, builder, sig, args):
        kind = machine(context.codegen()._tm.triple)
        before = read_mode(builder, kind)
        write_mode(builder, kind, builder.or_(before, INT64(FLUSH[kind])))
        return before

    return types.int64(), emit


@intrinsic
def restore(typing, mode):
    """Goes back to a mode that `flush` returned."""

    def emit(context, builder, sig, args):
        write_mode(builder, machine(context.codegen()._tm.triple), args[0])
        return context.get_dummy_value()

    return types.void(types.int64), emit
