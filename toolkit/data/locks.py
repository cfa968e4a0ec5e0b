"""One owner at a time, across processes; the kernel lets go of the lock when its owner dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def take_lock(path: Path) -> int:
    """A file descriptor that holds `path` exclusively until it is closed; BlockingIOError names the owner's process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(descriptor, 100, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise BlockingIOError(f"process {owner}") from error
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def held(path: Path | str, *, shared: bool = False, patience: float = 0.0) -> Iterator[bool]:
    """Holds `path` inside the block, exclusively or `shared`; False if others held it for `patience` seconds.

    Threads of one process exclude each other as processes do.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _locked(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, patience)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int, patience: float) -> bool:
    waited, pause = 0.0, 0.001
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if waited >= patience:
                return False
            time.sleep(pause)
            waited, pause = waited + pause, min(2.0 * pause, 0.02)
