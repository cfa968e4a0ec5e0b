"""What sees and fails the calls of a process: strace where it is, otherwise the shim under SQLite.

Both have `missing`, `counted`, `failing` and `recorded`.
"""

from __future__ import annotations

from types import ModuleType

from . import shim, strace

TRACERS = {"strace": strace, "shim": shim}


def tracer(by: str = "") -> tuple[str, ModuleType]:
    """The one that is asked for, else the first that works here, with its name."""
    by = by or ("shim" if strace.missing() and not shim.missing() else "strace")
    return by, TRACERS[by]
