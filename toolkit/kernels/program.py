"""Kernels put together: which field goes where, which output feeds which kernel, all in one pass over the bars."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba.core import types

from toolkit.kernels import drive
from toolkit.kernels.jit import Kernel
from toolkit.kernels.lanes import WIDTH, lanes

Ints = tuple[int, ...]
MOST_FIELDS = 5  # of a row that is run alone
FEW = 2  # rows that are faster one by one than as two of eight lanes
WORTH_A_THREAD = 2_000_000  # bars times kernels, about a millisecond: below, handing work over gains too little
LARGE = 4 << 20  # bytes of output that no cache holds until somebody reads them
BLOCKS = 4  # a thread: one that is held up leaves its next block to the others


def block(n_outputs: int, n_rows: int, n_bars: int) -> np.ndarray:
    """Memory for outputs, (n_outputs, n_rows, n_bars), float64, of no value yet; each row begins at a multiple of 64 bytes.

    Rows lie a little apart where that takes it, and never at a multiple of a page, where they would share a place in caches.
    """
    width = -(-n_bars // WIDTH) * WIDTH
    width += WIDTH if width % 512 == 0 and n_rows > 1 else 0
    space = np.empty(n_outputs * n_rows * width + WIDTH)
    begin = -(space.ctypes.data // 8) % WIDTH
    return space[begin : begin + n_outputs * n_rows * width].reshape(n_outputs, n_rows, width)[:, :, :n_bars]


class Step(NamedTuple):
    """A kernel, the slots that it reads and writes, its parameters, and the items of memory that it carries on."""

    kernel: Kernel
    inputs: Ints
    outputs: Ints
    parameters: tuple[float, ...] = ()
    room: int = 0


class Program:
    """Steps over `n_fields` fields (slots 0 to n_fields - 1); their outputs take the next slots, in order.

    reach: bars after which nothing older is felt, None where an average remembers everything. align: blocks of windows
    begin at multiples of it.
    """

    def __init__(self, n_fields: int, steps: Iterable[Step], reach: int | None = None, align: int = 1) -> None:
        self.n_fields, self.steps, self.reach, self.align = n_fields, tuple(steps), reach, align
        written = [slot for step in self.steps for slot in step.outputs]
        if written != list(range(n_fields, n_fields + len(written))):
            raise ValueError(f"{n_fields} fields and outputs into slots {written}")
        self.n_outputs = len(written)
        self.room = sum(step.room for step in self.steps)
        self.n_slots = sum(len(s.inputs) + len(s.outputs) for s in self.steps)
        self._work = WIDTH * (self.room + (n_fields + self.n_outputs) * drive.CHUNK + 1) + 2 * drive.CHUNK
        self._unused = MOST_FIELDS - n_fields
        self._kept = threading.local()
        self._last_cut = -1, (0, 0)
        self._aside = 2 * WIDTH + self.n_slots + 3 * (n_fields + self.n_outputs)

    def plan(self, kind: types.Type) -> np.ndarray:
        """The steps as `drive` reads them, with the kernels for items of this kind."""
        slots_at = drive.HEAD + drive.COLUMNS * len(self.steps)
        head = [len(self.steps), self.n_fields, self.n_outputs, self.room, slots_at, self.n_slots]
        table: list[int] = []
        slot, memory, parameter = 0, 0, slots_at + self.n_slots
        for s in self.steps:
            table += [s.kernel.address(kind), slot, len(s.inputs), memory, s.room, parameter]
            slot, memory, parameter = slot + len(s.inputs + s.outputs), memory + s.room, parameter + len(s.parameters)
        slots = [slot for s in self.steps for slot in s.inputs + s.outputs]
        parameters = np.array([p for s in self.steps for p in s.parameters], dtype=np.float64)
        return np.concatenate([np.array(head + table + slots, dtype=np.int64), parameters.view(np.int64)])

    @cached_property
    def wide(self) -> np.ndarray:
        return self.plan(lanes)

    @cached_property
    def single(self) -> np.ndarray:
        return self.plan(types.float64)

    def run(self, fields: Sequence[np.ndarray], out: Sequence[np.ndarray] | np.ndarray, wanted: Sequence[int] | None = None,
            threads: int | None = None) -> None:  # fmt: skip
        """Writes the outputs, or those `wanted`, by number, into `out`: float64 (n_rows, n_bars) each, as the fields are.

        Bars lie side by side in memory, rows may lie apart. threads: None for as many as there are processors, where the work
        is worth it.
        """
        chosen = range(self.n_outputs) if wanted is None else wanted
        if fields[0].shape[0] > FEW or self.n_fields > MOST_FIELDS:
            self._panel(fields, out, chosen, threads)
            return
        for i in range(fields[0].shape[0]):
            every = self.row(*[field[i] for field in fields])
            for block, output in zip(out, chosen, strict=True):
                block[i] = every[output]

    def row(self, *fields: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """All outputs (n_outputs, n_bars) of one row of float64 fields (n_bars,), contiguous; not checked, for speed."""
        n_bars = fields[0].size
        if out is None:
            out = np.empty((self.n_outputs, n_bars))
        work, aside = self._scratch()
        segment, warm = self._cut(n_bars)
        if segment:
            drive.stretches(self.wide, *fields, *fields[:1] * self._unused, out, segment, warm, work, aside)
        elif n_bars:
            drive.row(self.single, *fields, *fields[:1] * self._unused, out, work, aside)
        return out

    def _scratch(self) -> tuple[np.ndarray, np.ndarray]:
        """Memory, tiles and addresses of one run, kept for the next one on this thread."""
        try:
            return self._kept.scratch
        except AttributeError:
            self._kept.scratch = np.empty(self._work), np.empty(self._aside, np.int64)
            return self._kept.scratch

    def _cut(self, n_bars: int) -> tuple[int, int]:
        """Length of the eight stretches of one row that run side by side, and of their warm-up; 0 where that gains nothing."""
        if self.reach is None:
            return 0, 0
        known, cut = self._last_cut
        if n_bars != known:
            unit = math.lcm(self.align, WIDTH)
            warm = -(-self.reach // unit) * unit
            segment = -(-n_bars // (WIDTH * unit)) * unit
            able = 3 * (segment + warm) <= n_bars
            found = (segment, warm) if able else (0, 0)
            self._last_cut = n_bars, found
            return found
        return cut

    def _panel(self, fields: Sequence[np.ndarray], out: Sequence[np.ndarray] | np.ndarray, wanted: Sequence[int],
               threads: int | None) -> None:  # fmt: skip
        n_rows, n_bars = fields[0].shape
        slots = [*range(self.n_fields), *[self.n_fields + o for o in wanted]]
        sides = np.array([(s, a.ctypes.data, a.strides[0]) for s, a in zip(slots, [*fields, *out], strict=True)])

        written = sides[self.n_fields :]
        past_cache = 8 * n_rows * n_bars * len(out) > LARGE and not (written[:, 1:] % 64).any()

        def share(first: int, last: int) -> None:
            work, aside = self._scratch()
            drive.panel(self.wide, sides, n_rows, n_bars, first, last, past_cache, work, aside)

        ample = n_rows * n_bars * len(self.steps) >= WORTH_A_THREAD
        share_out(share, -(-n_rows // WIDTH), threads if threads is not None else processors() if ample else 1)


def share_out(share, groups: int, threads: int) -> None:
    """Calls share(first, last) for blocks of all groups, on this thread and others."""
    if threads <= 1 or groups < 2:
        return share(0, groups)
    edges = np.linspace(0, groups, min(threads * BLOCKS, groups) + 1).astype(int).tolist()
    blocks = iter(zip(edges[:-1], edges[1:], strict=True))  # a built-in iterator: each block is handed out once

    def work() -> None:
        for first, last in blocks:
            share(first, last)

    others = [pool().submit(work) for _ in range(threads - 1)]
    work()
    for other in others:
        other.result()
    return None


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_pools: dict[int, ThreadPoolExecutor] = {}


def pool() -> ThreadPoolExecutor:
    """The threads of this process; a forked child makes its own."""
    if os.getpid() not in _pools:
        _pools[os.getpid()] = ThreadPoolExecutor(max(processors(), 2), thread_name_prefix="toolkit-kernels")
    return _pools[os.getpid()]
