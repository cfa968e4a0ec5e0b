"""The ways to run kernels: over tiles of eight rows, over one row, and over one more bar of a universe.

They run the same steps on the same numbers in the same order and differ only in how the bars arrive, hence the same bits.
A plan is one array of integers: the counts of HEAD, COLUMNS numbers a step, the slots, and the bits of the parameters. Slots
are numbered through, fields first, then the outputs of all steps in their order.
"""

from __future__ import annotations

import numpy as np

from toolkit.kernels.jit import EXACT, compiled, inline
from toolkit.kernels.lanes import WIDTH
from toolkit.kernels.tiles import (
    BYTES,
    call,
    flush,
    get,
    ordered,
    pack,
    put,
    restore,
    to_read,
    to_write,
    unpack,
    unpack_past_cache,
)

STEPS, FIELDS, OUTPUTS, ROOM, SLOTS, N_SLOTS, HEAD = 0, 1, 2, 3, 4, 5, 6  # SLOTS: where they begin
# Of a step: its kernel, the first of its slots, inputs among them, its memory's begin and items, where its parameters begin.
ADDRESS, SLOT, INPUTS, MEMORY, ITEMS, PARAMETER, COLUMNS = 0, 1, 2, 3, 4, 5, 6
CHUNK = 32  # bars in a tile: a few fields and outputs of it lie in the first cache
STRETCH = 128  # bars of one row between two looks whether all of them are sound


@inline
def advance(plan, places, memory, item, t, n):
    """Every step once, over n bars; places[j] is the address of the j-th slot, an item of memory has `item` bytes."""
    for i in range(plan[STEPS]):
        step = plan[HEAD + COLUMNS * i : HEAD + COLUMNS * (i + 1)]
        first = places.ctypes.data + 8 * step[SLOT]
        call(
            step[ADDRESS], first, first + 8 * step[INPUTS], memory + item * step[MEMORY], step[ITEMS],
            plan.ctypes.data + 8 * step[PARAMETER], t, n,
        )  # fmt: skip


@inline
def aligned(base, offsets, begins, n_bars, n, aside):
    """Whether eight whole bars at a time can be moved. A row that lies outside of its bars is led `aside`."""
    whole = n % WIDTH == 0
    for lane in range(WIDTH):
        if begins[lane] + n <= 0 or begins[lane] >= n_bars:
            offsets[lane] = aside - base
        else:
            whole = whole and begins[lane] >= 0 and begins[lane] + n <= n_bars
    return whole


@inline
def load(tile, base, offsets, begins, n_bars, n, nothing):
    """n bars of eight rows into a tile; NaN, of which `nothing` is made, before the first bar and after the last."""
    if aligned(base, offsets, begins, n_bars, n, nothing):
        for bar in range(0, n, WIDTH):
            to_read(base + 8 * (bar + CHUNK), offsets.ctypes.data)
            pack(tile + BYTES * bar, base + 8 * bar, offsets.ctypes.data)
        return
    for lane in range(WIDTH):
        for bar in range(n):
            inside = 0 <= begins[lane] + bar < n_bars
            put(tile + BYTES * bar + 8 * lane, get(base + offsets[lane] + 8 * bar) if inside else np.nan)


@inline
def store(tile, base, offsets, begins, n_bars, n, dump, past_cache):
    """n bars of a tile out to eight rows; what would lie after the last bar goes to the dump."""
    if aligned(base, offsets, begins, n_bars, n, dump):
        for bar in range(0, n, WIDTH):
            if past_cache:
                unpack_past_cache(tile + BYTES * bar, base + 8 * bar, offsets.ctypes.data)
            else:
                to_write(base + 8 * (bar + 2 * CHUNK), offsets.ctypes.data)
                unpack(tile + BYTES * bar, base + 8 * bar, offsets.ctypes.data)
        return
    for lane in range(WIDTH):
        for bar in range(max(min(n, n_bars - begins[lane]), 0)):
            put(base + offsets[lane] + 8 * bar, get(tile + BYTES * bar + 8 * lane))


@inline
def bars_to(bar, warm, edge, length):
    """Bars of the next tile: not across the end of the warm-up nor of the last row, and eight by eight."""
    n = min(CHUNK, (warm if bar < warm else edge if bar < edge else length) - bar)
    return n - n % WIDTH if n > WIDTH else n


@inline
def groups(plan, sides, n_rows, n_bars, segment, warm, first, last, past_cache, work, aside):
    """Groups `first` to `last` of eight rows; with `segment`, of eight stretches of `segment` bars of one row each.

    sides (n_fields + n_targets, 3): slot, address of its first row, bytes from row to row. A stretch starts `warm` bars early
    and drops their outputs. work: memory of ROOM lanes, a tile a slot, two rows of CHUNK; aside: 2 * WIDTH + N_SLOTS integers.
    """
    offsets, begins, places = aside[:WIDTH], aside[WIDTH : 2 * WIDTH], aside[2 * WIDTH :]
    memory = (work.ctypes.data + BYTES - 1) // BYTES * BYTES
    tile, room = memory + BYTES * plan[ROOM], WIDTH * (plan[ROOM] + 1)
    nothing = work.ctypes.data + 8 * (work.size - 2 * CHUNK)
    work[work.size - 2 * CHUNK :] = np.nan
    for j in range(plan[N_SLOTS]):
        places[j] = tile + BYTES * CHUNK * plan[plan[SLOTS] + j]
    length = segment + warm if segment else n_bars
    edge = n_bars - ((n_bars - 1) // segment * segment if segment else 0) + warm  # where the last stretch ends
    for group in range(first, last):
        work[:room] = 0.0
        bar = 0
        while bar < length:
            n = bars_to(bar, warm, edge, length)
            for lane in range(WIDTH):
                begins[lane] = lane * segment - warm + bar
            for i in range(sides.shape[0]):
                if i == plan[FIELDS]:
                    advance(plan, places, memory, BYTES, bar, n)
                    if bar < warm:
                        break
                slot, base, stride = sides[i, 0], sides[i, 1], sides[i, 2]
                for lane in range(WIDTH):
                    row = group if segment else min(WIDTH * group + lane, n_rows - 1)
                    offsets[lane] = row * stride + 8 * begins[lane]
                if i < plan[FIELDS]:
                    load(tile + BYTES * CHUNK * slot, base, offsets, begins, n_bars, n, nothing)
                else:
                    store(tile + BYTES * CHUNK * slot, base, offsets, begins, n_bars, n, nothing + 8 * CHUNK, past_cache)
            bar += n


@compiled(**EXACT)
def panel(plan, sides, n_rows, n_bars, first, last, past_cache, work, aside):
    """Groups `first` to `last` of eight rows of a panel; see `groups`."""
    mode = flush()
    groups(plan, sides, n_rows, n_bars, 0, 0, first, last, past_cache, work, aside)
    ordered()
    restore(mode)


@compiled(**EXACT)
def stretches(plan, a, b, c, d, e, out, segment, warm, work, aside):
    """One row as eight stretches side by side, where nothing older than `warm` bars is felt; arrays as in `row`."""
    mode = flush()
    fields = a.ctypes.data, b.ctypes.data, c.ctypes.data, d.ctypes.data, e.ctypes.data
    n_sides = plan[FIELDS] + plan[OUTPUTS]
    sides = aside[: 3 * n_sides].reshape((n_sides, 3))
    for slot in range(n_sides):
        row = slot - plan[FIELDS]
        sides[slot, 0], sides[slot, 2] = slot, 0
        sides[slot, 1] = fields[slot] if row < 0 else out.ctypes.data + 8 * out.shape[1] * row
    groups(plan, sides, 1, a.size, segment, warm, 0, 1, False, work, aside[3 * n_sides :])
    restore(mode)


@compiled(**EXACT)
def row(plan, a, b, c, d, e, out, work, aside):
    """All bars of one row: the first FIELDS of a to e (n_bars each; the rest, any) into out (n_outputs, n_bars)."""
    mode = flush()
    work[: plan[ROOM]] = 0.0
    fields = a.ctypes.data, b.ctypes.data, c.ctypes.data, d.ctypes.data, e.ctypes.data
    for j in range(plan[N_SLOTS]):
        slot = plan[plan[SLOTS] + j]
        written = out.ctypes.data + 8 * out.shape[1] * (slot - plan[FIELDS])
        aside[j] = fields[slot] if slot < plan[FIELDS] else written
    bar = 0
    while bar < a.size:
        n = min(STRETCH, a.size - bar)
        advance(plan, aside, work.ctypes.data, 8, bar, n)
        for j in range(plan[N_SLOTS]):
            aside[j] += 8 * n
        bar += n
    restore(mode)


@compiled(**EXACT)
def tick(plan, board, memory, t, aside):
    """One bar of a universe: board (n_slots, n_groups * WIDTH) and memory (n_groups, ROOM * WIDTH), aligned; t bars before."""
    mode = flush()
    for j in range(plan[N_SLOTS]):
        aside[j] = board.ctypes.data + 8 * board.shape[1] * plan[plan[SLOTS] + j]
    for group in range(memory.shape[0]):
        advance(plan, aside, memory.ctypes.data + 8 * memory.shape[1] * group, BYTES, t, 1)
        for j in range(plan[N_SLOTS]):
            aside[j] += BYTES
    restore(mode)
