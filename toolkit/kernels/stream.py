"""A program bar by bar: what the kernels carry on, for a whole universe, in one block of memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolkit.kernels import drive
from toolkit.kernels.lanes import WIDTH
from toolkit.kernels.program import Program


class Snapshot(NamedTuple):
    """All that a stream remembers: the bars so far, and the memory of its kernels (n_groups, room * 8)."""

    t: int
    memory: np.ndarray
    of: str  # the steps and the count of rows


class Stream:
    """The outputs of a program at one more bar of `n_rows` rows; bit for bit those of `Program.run`."""

    def __init__(self, program: Program, n_rows: int) -> None:
        self.program, self.n_rows, self.t = program, n_rows, 0
        n_groups = -(-n_rows // WIDTH)
        self._board = aligned(program.n_fields + program.n_outputs, n_groups * WIDTH)
        self._memory = aligned(n_groups, program.room * WIDTH)
        n = program.n_fields
        self._fields, self._results = self._board[:n, :n_rows], self._board[n:, :n_rows]
        self._spare_lanes, self._last_row = self._board[:n, n_rows:], self._board[:n, n_rows - 1 : n_rows]
        self.of = f"{n_rows} rows of {program.steps}"
        self._aside = np.empty(program.n_slots, np.int64)

    def push(self, fields: np.ndarray) -> np.ndarray:
        """Outputs (n_outputs, n_rows) at the next bar, of fields (n_fields, n_rows); a view, until the next bar."""
        outputs = self._outputs(fields, self._memory)
        self.t += 1
        return outputs

    def peek(self, fields: np.ndarray) -> np.ndarray:
        """What `push` would give, of a bar that is still forming; nothing is kept of it."""
        spare = aligned(*self._memory.shape)
        spare[:] = self._memory
        return self._outputs(fields, spare)

    def _outputs(self, fields: np.ndarray, memory: np.ndarray) -> np.ndarray:
        self._fields[:] = fields
        self._spare_lanes[:] = self._last_row  # a lane without a row repeats the last
        drive.tick(self.program.wide, self._board, memory, self.t, self._aside)
        return self._results

    def snapshot(self) -> Snapshot:
        """A copy of what the stream remembers."""
        return Snapshot(self.t, self._memory.copy(), self.of)

    def restore(self, snapshot: Snapshot) -> None:
        """Goes on from a snapshot of a stream of the same program and rows; ValueError for another."""
        if snapshot.of != self.of:
            raise ValueError(f"a snapshot of {snapshot.of}, the stream is of {self.of}")
        self.t = snapshot.t
        self._memory[:] = snapshot.memory


def aligned(rows: int, columns: int) -> np.ndarray:
    """Float64 zeros that begin at a multiple of 64 bytes, as tiles must."""
    space = np.zeros(rows * columns + WIDTH)
    begin = -(space.ctypes.data // 8) % WIDTH
    return space[begin : begin + rows * columns].reshape(rows, columns)
