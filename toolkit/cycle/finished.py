"""What a sweep has finished, kept from time to time, so that it goes on there after a kill.

A file of records: what part it is, a checksum, and its rows. A last record that is torn is left out and written over.
"""

from __future__ import annotations

import hashlib
import logging
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from toolkit.data.clock import Clock, SystemClock
from toolkit.data.locks import held

HEAD = struct.Struct("<8s4q16s")
MAGIC = b"TKSWEEP1"
EVERY = 1.0  # seconds; what is over before is not worth a file
log = logging.getLogger(__name__)


class Part(NamedTuple):
    """Accounts s0 to s1 - 1 with sets p0 to p1 - 1."""

    s0: int
    s1: int
    p0: int
    p1: int

    @property
    def size(self) -> int:
        return (self.s1 - self.s0) * (self.p1 - self.p0)

    @property
    def at(self) -> tuple[slice, slice]:
        return slice(self.s0, self.s1), slice(self.p0, self.p1)


class Finished:
    """The rows of a sweep, (n_accounts, n_sets, width), and which are there; a context that keeps what is not whole.

    path: None keeps nothing. What cannot be written is a logged warning: the sweep goes on.
    """

    def __init__(self, path: Path | None, shape: tuple[int, int, int], clock: Clock | None = None) -> None:
        self.path, self.clock = path, clock or SystemClock()
        self.rows, self.done = np.zeros(shape), np.zeros(shape[:2], dtype=bool)
        self._waiting: list[Part] = []
        self._end, self._since = 0, self.clock.monotonic()
        self._file: Any = None
        self._stack = ExitStack()
        if path is not None and path.exists():
            self._end = self._resume(path.read_bytes())

    def put(self, part: Part, rows: np.ndarray) -> None:
        """Takes the rows of a part; writes, at most once in a while, all that were taken since."""
        self.rows[part.at], self.done[part.at] = rows, True
        self._waiting.append(part)
        if self.path is not None and self.clock.monotonic() - self._since >= EVERY:
            self._write()

    def is_done(self, part: Part) -> bool:
        return bool(self.done[part.at].all())

    def __enter__(self) -> Finished:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is not None and self._file is not None:
                self._write()  # stopped on the way, and long enough to go on from here
        finally:
            with self._stack:
                if kind is None and self.path is not None and (self._file is not None or self._end):
                    self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        assert self.path is not None
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                if not self._stack.enter_context(held(self.path)):
                    raise BlockingIOError("another process is at the same sweep")
                self._file = self._stack.enter_context(self.path.open("r+b"))
                self._file.seek(self._end)
            for part in self._waiting:
                self._file.write(record(part, self.rows[part.at]))
            self._file.flush()
        except OSError as error:
            log.warning("the sweep cannot be resumed, %s is not written: %s", self.path, error)
            self._stack.close()
            self.path, self._file = None, None
        self._waiting, self._since = [], self.clock.monotonic()

    def _resume(self, content: bytes) -> int:
        """Takes the records that are whole; returns where the next one goes."""
        whole = 0
        for part, rows, end in records(content, self.rows.shape[2]):
            self.rows[part.at], self.done[part.at], whole = rows, True, end
        return whole


def record(part: Part, rows: np.ndarray) -> bytes:
    content = np.ascontiguousarray(rows).tobytes()
    return HEAD.pack(MAGIC, *part, hashlib.blake2b(repr(part).encode() + content, digest_size=16).digest()) + content


def records(content: bytes, width: int) -> Iterator[tuple[Part, np.ndarray, int]]:
    """Part, rows, and where it ends, of each record up to the first that is not whole."""
    at = 0
    while at + HEAD.size <= len(content):
        magic, s0, s1, p0, p1, digest = HEAD.unpack_from(content, at)
        part, first = Part(s0, s1, p0, p1), at + HEAD.size
        if magic != MAGIC or not (0 <= s0 < s1 and 0 <= p0 < p1):
            return
        at = first + 8 * width * part.size
        rows = content[first:at]
        if hashlib.blake2b(repr(part).encode() + rows, digest_size=16).digest() != digest:
            return
        yield part, np.frombuffer(rows).reshape(s1 - s0, p1 - p0, width), at
