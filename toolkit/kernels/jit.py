"""The one way a kernel is compiled here: options, and a cache on disk that notices every edit.

Numba's cache looks at the file of a kernel alone. A function that it calls from another file may change and the old machine
code goes on running, so the folder of the cache carries the hash of everything in `kernels/`.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numba
import platformdirs
from numba.core import types

from toolkit.kernels.lanes import lanes

log = logging.getLogger(__name__)

# No fastmath, not even contraction: it would round differently after inlining, so that a backtest would part from paper, and
# a stream from its batch. Without `_nrt` (reference counts) a bar costs nanoseconds instead of microseconds, and a kernel
# that allocates does not compile.
EXACT: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False}
INLINE: dict[str, Any] = {**EXACT, "forceinline": True}


def source_hash(folder: Path) -> str:
    """Hex digest over names and contents of all Python files in `folder`."""
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def cache_folder() -> str:
    """Folder for compiled kernels of exactly these sources; a temporary one, said in the log, where none can be written."""
    folder = Path(platformdirs.user_cache_dir("toolkit")) / "kernels" / source_hash(Path(__file__).parent)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        log.warning("compiled kernels cannot be kept in %s (%s): they are compiled again in each process", folder, error)
        return tempfile.mkdtemp(prefix="toolkit-kernels-")
    return str(folder)


FOLDER = cache_folder()
LOCK = threading.RLock()


@contextmanager
def kept() -> Iterator[None]:
    """Numba keeps the machine code of what is declared inside in the folder of exactly these sources."""
    settings: Any = numba.config
    with LOCK:  # threads that compile at once would restore each other's folder
        before, settings.CACHE_DIR = settings.CACHE_DIR, FOLDER
        try:
            yield
        finally:
            settings.CACHE_DIR = before


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """Decorator: `numba.njit` with `options`, machine code kept."""

    def decorate(function: Callable) -> Any:
        with kept():
            return numba.njit(cache=True, **options)(function)

    return decorate


inline = compiled(**INLINE)  # a part of a kernel: it costs no call


class Kernel:
    """An indicator as a C function of `n` bars, compiled on first use, once for float64 and once for eight lanes.

    The function is written once: `kernel(inputs, outputs, memory, room, parameters, t, n)` where inputs[i] and outputs[i]
    point to n bars each, memory to `room` items that are carried from call to call (all zero before the first bar),
    parameters to numbers, and t is the count of bars before. How the n of a history are cut into calls changes no bit.
    """

    def __init__(self, function: Callable) -> None:
        self.function, self.name, self.__module__ = function, function.__name__, function.__module__

    def __reduce__(self) -> str:
        return self.name  # a global of its module: what was compiled stays here

    def address(self, kind: types.Type) -> int:
        """Where the machine code for items of this kind begins."""
        return self._single if kind == types.float64 else self._lanes

    @cached_property
    def _single(self) -> int:
        return self._compiled(types.float64)

    @cached_property
    def _lanes(self) -> int:
        return self._compiled(lanes)

    def _compiled(self, kind: types.Type) -> int:
        item, count = types.CPointer(kind), types.int64
        several = types.CPointer(item)
        signature = types.void(several, several, item, count, types.CPointer(types.float64), count, count)
        cfunc: Any = numba.cfunc
        with kept():
            return cfunc(signature, cache=True, error_model="numpy", _nrt=False)(self.function).address

    def __repr__(self) -> str:
        return f"Kernel({self.__module__}.{self.name})"
