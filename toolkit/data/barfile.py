"""Column files: arrays and what they are, in one checksummed file that is read as a read-only memory map.

Layout: 8 bytes of magic, 16 of checksum, 8 of header length, then the header (JSON) and the columns, each aligned to 64
bytes. The checksum (BLAKE2b) covers everything behind itself. It is compared at the first open of a file in a process:
files are written once under a name of their own and never changed in place, so a later open of the same (path, inode,
size, time of change) needs no second look, as long as no newer file under the same beginning (`NAME-...`) was opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import CorruptValue, InvalidParameter

MAGIC = b"TKBARS\x01\n"
FRONT = 32
ALIGN = 64
KINDS = ("<f8", "<i8", "<M8[ns]")

REMEMBERED = 50_000
# Headers of the files whose checksum this process has compared, with (path, inode, size, time of change): the last of those
# that share the beginning of their names, since it supersedes the others.
_verified: dict[tuple[str, str], tuple[tuple[str, int, int, int], dict[str, Any]]] = {}


@dataclass(frozen=True)
class ColumnFile:
    """Named arrays (read-only views on the file) and `meta`, which is JSON; `path` is empty for what is not on disk."""

    columns: Mapping[str, np.ndarray]
    meta: Mapping[str, Any]
    path: str = ""


def encoded(columns: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> bytes:
    """The content of a column file; raises InvalidParameter for a column that is not float64, int64 or M8[ns]."""
    places, parts, offset = [], [], 0
    for name, column in columns.items():
        array = np.ascontiguousarray(column)
        if array.dtype.str not in KINDS:
            raise InvalidParameter(f"column {name!r} is {array.dtype}", f"convert it to one of {', '.join(KINDS)}")
        places.append([name, array.dtype.str, offset, list(array.shape)])
        parts.append(array.tobytes() + b"\0" * (-array.nbytes % ALIGN))
        offset += len(parts[-1])
    header = json.dumps({"columns": places, "meta": meta, "bytes": offset}, separators=(",", ":")).encode()
    header += b" " * (-(FRONT + len(header)) % ALIGN)
    body = b"".join([len(header).to_bytes(8, "little"), header, *parts])
    return MAGIC + hashlib.blake2b(body, digest_size=16).digest() + body


def write(path: Path | str, content: bytes, *, sync: bool = True) -> None:
    """Put `content` at `path` whole or not at all; on the disk before this returns, unless it can be made again."""
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read(path: Path | str, *, again: bool = False) -> ColumnFile:
    """The columns at `path` as views on a read-only map; raises CorruptValue for anything but what was written.

    `again` compares the checksum even if this process has done so before.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        status = os.fstat(descriptor)
        if status.st_size < FRONT:
            raise _corrupt(path, f"has {status.st_size} bytes")
        content = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    seen = (str(path), status.st_ino, status.st_size, status.st_mtime_ns)
    folder, name = os.path.split(path)
    place = str(folder), str(name).rpartition("-")[0] or str(name)
    before, found = _verified.get(place, (None, {}))
    if again or before != seen:
        _verify(path, content)
        if len(_verified) >= REMEMBERED:
            _verified.clear()
        found = _header(path, content)
        _verified[place] = seen, found
    base = found["base"]
    columns = {name: _view(content, base + offset, kind, shape) for name, kind, offset, shape in found["columns"]}
    return ColumnFile(columns, found["meta"], str(path))


def _header(path: Path | str, content: mmap.mmap) -> dict[str, Any]:
    try:
        length = int.from_bytes(content[24:FRONT], "little")
        header = json.loads(content[FRONT : FRONT + length])
        header["base"] = base = FRONT + length
        if len(content) != base + header["bytes"] or not {kind for _, kind, *_ in header["columns"]} <= set(KINDS):
            raise ValueError(f"{len(content)} bytes for columns {header['columns']}")
        if any(offset + prod(shape) * 8 > header["bytes"] for *_, offset, shape in header["columns"]):
            raise ValueError(f"columns {header['columns']} beyond the end")
        return {"base": base, "columns": header["columns"], "meta": header["meta"]}
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(path, f"has a header that cannot be read ({error})") from error


def header(path: Path) -> dict[str, Any]:
    """The header at `path`, whose checksum is not compared; raises CorruptValue if it cannot be read."""
    with open(path, "rb") as file:
        front = file.read(FRONT)
        length = int.from_bytes(front[24:], "little")
        if front[:8] != MAGIC or length > os.fstat(file.fileno()).st_size:
            raise _corrupt(path, f"starts with {front[:8]!r}")
        try:
            return json.loads(file.read(length))
        except ValueError as error:
            raise _corrupt(path, f"has a header that cannot be read ({error})") from error


def _verify(path: Path | str, content: mmap.mmap) -> None:
    if content[:8] != MAGIC:
        raise _corrupt(path, f"starts with {bytes(content[:8])!r}")
    with memoryview(content) as view, view[24:] as body:
        found = hashlib.blake2b(body, digest_size=16).digest()
    if found != content[8:24]:
        raise _corrupt(path, f"has checksum {found.hex()}, not {content[8:24].hex()}")


def _view(content: mmap.mmap, offset: int, kind: str, shape: list[int]) -> np.ndarray:
    return np.frombuffer(content, kind, count=prod(shape), offset=offset).reshape(shape)


def _corrupt(path: Path | str, why: str) -> CorruptValue:
    return CorruptValue(f"column file {path} {why}", "it is set aside and fetched again")
