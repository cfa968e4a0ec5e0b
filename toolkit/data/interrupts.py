"""Ctrl-C and SIGTERM wait until a write to disk, or an order on its way, is whole."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HELD_BACK = signal.SIGINT, signal.SIGTERM


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Holds SIGINT and SIGTERM back inside the block and delivers them after; a no-op outside of the main thread.

    Without this, stopping a notebook cell at a bad instant leaves a transaction of SQLite open, and every other process
    waits for it. Blocks may be nested: the outermost delivers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    before = {number: signal.signal(number, lambda *arguments: received.append(arguments)) for number in HELD_BACK}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if received:
            first, frame = received[0]
            handler = before[signal.Signals(first)]
            if callable(handler):
                handler(first, frame)
            elif handler != signal.SIG_IGN:
                os.kill(os.getpid(), first)
