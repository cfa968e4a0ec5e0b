"""The files of SQLite seen and failed from inside its process, where there is no strace: the same functions as in strace.py.

In the library that Python's sqlite3 is linked with, a copy of the default VFS becomes the default; the files that it opens have
io methods of their own for write, sync and truncate, everything else (locks, shared memory, reads) is passed through untouched.
See https://sqlite.org/vfs.html.

What Python itself does is not SQLite's: renames and removals are seen as audit events, and `os.fsync` is replaced (syncs of
folders).  Not seen, other than by strace: the lock file, the file of the shared memory (which no recovery reads), and the sync
of a folder that is part of SQLite's sync of a new file.  A process is killed before the call.
"""

from __future__ import annotations

import _sqlite3
import base64
import ctypes
import errno
import json
import os
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p, cast
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .world import ended

FULL, CREATE = 13, 4  # SQLITE_FULL, SQLITE_OPEN_CREATE
IOERR = {"pwrite64": 778, "fsync": 1290, "fdatasync": 1034, "ftruncate": 1546, "unlink": 2570}  # SQLITE_IOERR_WRITE, ...


class Methods(ctypes.Structure):
    """sqlite3_io_methods; the rest are xFileSize to xUnfetch."""

    _fields_ = [
        ("version", c_int),
        *((name, c_void_p) for name in ("close", "read", "write", "truncate", "sync")),
        ("rest", c_void_p * 13),
    ]


class Vfs(ctypes.Structure):
    """sqlite3_vfs; the rest are xAccess to xNextSystemCall."""

    _fields_ = [
        *((name, c_int) for name in ("version", "file_size", "longest_path")),
        *(("next", c_void_p), ("name", c_char_p), ("data", c_void_p)),
        *(("open", c_void_p), ("delete", c_void_p), ("rest", c_void_p * 14)),
    ]


OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
Before = Callable[..., int]  # told a call and what it is called with; the errno that it fails with, 0: it is made

KEPT: list[Any] = []  # what SQLite points to, for as long as the process lives


@cache
def missing() -> str:
    """Why nothing can be seen here; empty if it can."""
    try:
        library()
    except (AttributeError, OSError) as error:
        return f"the SQLite of Python's sqlite3 cannot be reached ({error})"
    with TemporaryDirectory() as folder:
        _, steps = recorded(lambda _: made(Path(folder) / "probe"))
    written = any(step[0] == "pwrite64" for step in steps)
    return "" if written else "Python's sqlite3 does not open its files with the SQLite that can be reached"


def made(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE probe(x)")


def library() -> ctypes.CDLL:
    """SQLite as `_sqlite3` has it: the symbols of an extension module are its own and those of what it is linked with."""
    found = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    found.sqlite3_vfs_find.restype = POINTER(Vfs)
    found.sqlite3_vfs_find.argtypes = [c_char_p]
    found.sqlite3_vfs_register.argtypes = [POINTER(Vfs), c_int]
    return found


def counted(act: Callable[[int], None]) -> tuple[list, Counter[str]]:
    """What `act` said, undisturbed, and how often each call was made."""
    said, steps = recorded(act)
    return said, Counter(kind for kind, *_ in steps if kind not in {"acknowledged", "openat"})


def failing(act: Callable[[int], None], name: str, kind: str, when: int) -> tuple[list, int]:
    """What `act` said, whose n-th call `name` failed (EIO, ENOSPC) or was its last (KILL), and the signal that ended it."""
    left = [when]

    def before(call: str, *_: Any) -> int:
        left[0] -= call == name
        if call != name or left[0]:
            return 0
        if kind == "KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(errno, kind)

    def shimmed(writable: int) -> None:
        install(before)
        act(writable)

    return ended(shimmed)


def recorded(act: Callable[[int], None]) -> tuple[list, list[tuple]]:
    """What `act` said, and (call, path, values) of what was called and, as "acknowledged", what lists it said, in order."""

    def shimmed(writable: int) -> None:
        def before(*step: Any) -> int:
            os.write(writable, json.dumps({"step": step}, default=text).encode() + b"\n")
            return 0

        install(before)
        act(writable)

    lines, steps = ended(shimmed)[0], list[tuple]()
    for line in lines:
        if isinstance(line, list):
            steps.append(("acknowledged", Path(), line))
        elif isinstance(line, dict) and "step" in line:
            kind, path, *values = line["step"]
            if kind == "pwrite64":
                values[0] = base64.b64decode(values[0])
            steps.append((kind, Path(path), *(map(Path, values) if kind == "rename" else values)))
    return [line for line in lines if not (isinstance(line, dict) and "step" in line)], steps


def text(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else os.fspath(value)


# ---------------------------------------------------------------------------------------------------- inside the process
def install(before: Before) -> None:
    """For the rest of this process `before` is asked before each call that changes a file."""
    sqlite = library()
    vfs = sqlite.sqlite3_vfs_find(None).contents
    KEPT.append(copy := Vfs.from_buffer_copy(vfs))
    copy.version, copy.name = min(vfs.version, 3), b"shim"  # the version that Vfs goes as far as
    opened, paths, known = OPEN(vfs.open), dict[int, Path](), dict[int, Methods]()

    def xopen(_: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        path = Path(os.fsdecode(ctypes.string_at(name))) if name else None
        code = opened(ctypes.addressof(vfs), name, file, flags, out)
        methods = cast(file, POINTER(c_void_p))  # the first field of a file
        if methods[0] and path:
            paths[file] = path
            if methods[0] not in known:
                known[methods[0]] = watched(Methods.from_address(methods[0]), paths, before)
            methods[0] = ctypes.addressof(known[methods[0]])
            if flags & CREATE:
                before("openat", path)
        return code

    deleted = DELETE(vfs.delete)

    def xdelete(_: int, name: int, sync: int) -> int:
        path = Path(os.fsdecode(ctypes.string_at(name)))
        if before("unlink", path):
            return IOERR["unlink"]
        code = deleted(ctypes.addressof(vfs), name, sync)
        return IOERR["fsync"] if not code and sync and before("fsync", path.parent) else code

    copy.open, copy.delete = pointer(OPEN(xopen)), pointer(DELETE(xdelete))
    KEPT.append(known)
    sqlite.sqlite3_vfs_register(copy, 1)
    listen(before)


def watched(methods: Methods, paths: dict[int, Path], before: Before) -> Methods:
    """The io methods of a kind of file, with `before` asked before each write, truncation and sync."""
    write, truncate, sync = WRITE(methods.write), TRUNCATE(methods.truncate), SYNC(methods.sync)

    def failed(call: str, file: int, *values: Any) -> int:
        error = before(call, paths[file], *values)
        return FULL if error == errno.ENOSPC and call == "pwrite64" else IOERR[call] if error else 0

    def xwrite(file: int, content: int, size: int, offset: int) -> int:
        return failed("pwrite64", file, ctypes.string_at(content, size), offset) or write(file, content, size, offset)

    def xtruncate(file: int, size: int) -> int:
        return failed("ftruncate", file, size) or truncate(file, size)

    def xsync(file: int, flags: int) -> int:
        return failed("fdatasync", file) or sync(file, flags)

    ours = Methods.from_buffer_copy(methods)
    ours.version = min(methods.version, 3)  # as far as Methods goes
    ours.write, ours.truncate, ours.sync = pointer(WRITE(xwrite)), pointer(TRUNCATE(xtruncate)), pointer(SYNC(xsync))
    return ours


def pointer(callback: Any) -> int | None:
    KEPT.append(callback)
    return cast(callback, c_void_p).value


def listen(before: Before) -> None:
    """Asks `before` also before what Python renames, removes and syncs."""

    def may(call: str, *paths: Any) -> None:
        if error := before(call, *paths):
            raise OSError(error, os.strerror(error), *paths[:1])

    def heard(event: str, arguments: tuple) -> None:
        if event == "os.rename":  # os.replace as well
            may("rename", *arguments[:2])
        elif event == "os.remove":
            may("unlink", arguments[0])

    def fsync(descriptor: int, really: Callable[[int], None] = os.fsync) -> None:
        may("fsync", "")
        really(descriptor)

    sys.addaudithook(heard)
    os.fsync = fsync
