"""Ctrl-C and SIGTERM wait until a write to disk, or an order on its way, is whole."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

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
    before: dict[signal.Signals, Any] = {}
    holding = True

    def heed(number: int, frame: FrameType | None) -> None:
        # Where another signal breaks into the exchange of handlers this one stays behind, and hands on.
        if holding:
            received.append((number, frame))
        else:
            deliver(number, frame)

    def deliver(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        elif handler != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    try:
        for number in HELD_BACK:
            before[number] = signal.getsignal(number)
            signal.signal(number, heed)
        yield
    finally:
        holding = False
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if received:
            deliver(*received[0])
