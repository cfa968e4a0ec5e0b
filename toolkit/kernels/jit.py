"""The one way a kernel is compiled here: options, and a cache on disk that notices every edit.

Numba's cache looks at the file of a kernel alone. A function that it calls from another file may change and the old machine
code goes on running, so the folder of the cache carries the hash of everything in `kernels/`.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import platformdirs

log = logging.getLogger(__name__)

# No flag that drops NaN or reorders sums: contraction to a fused multiply-add and the sign of zero only.
NUMERIC: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}
# Money: no contraction, since it would round differently after inlining. Without `_nrt` (reference counts) a bar costs
# nanoseconds instead of microseconds, and a kernel that allocates does not compile.
MONEY: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False}


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


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """Decorator: `numba.njit` with `options`, machine code kept in the folder of exactly these sources."""

    def decorate(function: Callable) -> Any:
        settings: Any = numba.config
        before, settings.CACHE_DIR = settings.CACHE_DIR, FOLDER
        try:
            return numba.njit(cache=True, **options)(function)
        finally:
            settings.CACHE_DIR = before

    return decorate
