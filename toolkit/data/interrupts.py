"""Ctrl-C waits until a write to disk is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Holds SIGINT back inside the block and delivers it after; a no-op outside of the main thread.

    Without this, stopping a notebook cell at a bad instant leaves a transaction of SQLite open, and every other process
    waits for it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[tuple] = []
    before = signal.signal(signal.SIGINT, lambda *arguments: received.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
        if received and callable(before):
            before(*received[0])
