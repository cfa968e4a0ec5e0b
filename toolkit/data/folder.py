"""The folder of a cache: which file systems it refuses, how its value files are named, and how they are found again."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from toolkit.data import barfile
from toolkit.data.barfile import ColumnFile
from toolkit.errors import CacheUnusable, CorruptValue

NETWORKS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "beegfs", "gpfs", "fuse.sshfs"}
MOUNTS = Path("/proc/self/mounts")
RESERVE_BYTES = 1_000_000


def file_system(path: Path, mounts: str) -> str:
    """Type of the file system that holds `path`, from the text of a mount table; empty if none is listed."""
    rows = [line.split()[1:3] for line in mounts.splitlines() if len(line.split()) > 2]
    places = [(point.replace("\\040", " "), kind) for point, kind in rows]
    above = [(len(point), kind) for point, kind in places if path.is_relative_to(point)]
    return max(above, default=(0, ""))[1]


def refuse_network(path: Path, mounts: str | None = None) -> None:
    """Raise CacheUnusable where `path` lies on a network file system (Linux): its locks do not hold between machines."""
    if mounts is None:
        mounts = MOUNTS.read_text(errors="replace") if sys.platform == "linux" else ""
    kind = file_system(path.resolve(), mounts)
    if kind in NETWORKS:
        what = f"cache folder {path} is on a network file system ({kind}), where SQLite's locks do not hold"
        raise CacheUnusable(what, "name a folder on a local disk: BarCache('/path/to/folder')")


def unusable(directory: Path, verb: str, error: Exception) -> CacheUnusable:
    """The error of a cache that cannot be opened, read or written."""
    what = f"cache folder {directory} cannot be {verb} ({type(error).__name__}: {error})"
    return CacheUnusable(what, "make it writable or free space, or name another: BarCache('/path/to/folder')")


def value_name(key: str) -> str:
    """A new name, relative to the index, for a value file of `key`; files of one key share its beginning."""
    return f"{value_group(key)}-{os.urandom(6).hex()}.val"


def value_group(key: str) -> str:
    """The beginning of the names of all value files of `key`."""
    digest = blake2b(key.encode(), digest_size=10).hexdigest()
    return f"{digest[:2]}/{digest[2:]}"


def mislaid(index: Path, key: str) -> bool:
    """Whether a value file of `key` lies in its place, for a key that the index does not know."""
    shelf, _, beginning = value_group(key).partition("/")
    with contextlib.suppress(OSError), os.scandir(index / shelf) as files:
        return any(file.name.startswith(beginning) for file in files)
    return False


def value_files(index: Path) -> Iterator[Path]:
    """Every value file below the folder of the index, unfinished ones (.tmp) too."""
    with os.scandir(index) as shelves:
        names = [shelf.name for shelf in shelves if len(shelf.name) == 2 and shelf.is_dir(follow_symlinks=False)]
    for name in names:
        with contextlib.suppress(FileNotFoundError), os.scandir(index / name) as files:
            yield from [Path(file.path) for file in files if file.is_file(follow_symlinks=False)]


def value_key(kind: str, name: str, part: str) -> str:
    """The key of a value file: kind "bars" or "was" (superseded), the name of a series, and a part of it, empty for all."""
    return f"{kind}:{name}@{part}" if part else f"{kind}:{name}"


def key_of(meta: Mapping[str, Any]) -> str:
    """The key under which a value file with this header belongs into the index; raises KeyError for foreign headers."""
    return value_key(meta["kind"], meta["name"], meta["part"])


def grouped(files: Iterable[Path]) -> dict[str, list[Path]]:
    """The files by the beginning that those of one key share."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(f"{path.parent.name}/{path.name.partition('-')[0]}", []).append(path)
    return groups


def newest_of(files: Iterable[Path]) -> dict[str, tuple[Path, Mapping[str, Any]]]:
    """By key, the newest of `files` with its header; files whose header cannot be read are passed over."""
    found: dict[str, tuple[Path, Mapping[str, Any]]] = {}
    for path in files:
        if path.suffix != ".val":
            continue
        with contextlib.suppress(CorruptValue, OSError, KeyError, ValueError, TypeError, AttributeError):
            meta = barfile.header(path)["meta"]
            key = key_of(meta)
            if key not in found or _order(meta) > _order(found[key][1]):
                found[key] = path, meta
    return found


def _order(meta: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(number) for number in str(meta["version"]).split("."))


def move(path: Path, folder: Path) -> None:
    """Move a file or folder into `folder` under a free name of its own; nothing happens if it is gone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / path.name
    while target.exists():
        target = folder / f"{os.urandom(4).hex()}-{path.name}"
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, target)


def remove(paths: Iterable[Path]) -> None:
    """Remove files, those that are gone already too."""
    for path in paths:
        path.unlink(missing_ok=True)


def opened(path: str) -> ColumnFile:
    """The column file at `path`, set aside if it is corrupt; raises CorruptValue."""
    try:
        return barfile.read(path)
    except CorruptValue:
        move(Path(path), Path(path).parents[2] / "quarantine")
        raise


def size(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def keep_reserve(folder: Path) -> None:
    """Hold a megabyte back, so that a full disk can still be cleared; nothing happens where there is no room."""
    path = folder / "reserve"
    with contextlib.suppress(OSError):
        if not path.exists():
            path.write_bytes(b"\0" * RESERVE_BYTES)


def free_reserve(folder: Path) -> None:
    """Give the reserve back to the file system."""
    (folder / "reserve").unlink(missing_ok=True)


class Shelf:
    """The values of an index that cannot be opened: found by their headers, read one by one, never written."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._scan()

    def _scan(self) -> None:
        self._files = newest_of(value_files(self._index)) if self._index.is_dir() else {}
        self._records: dict[str, str] = {}
        for key, (_, meta) in sorted(self._files.items()):  # the record in the newest part counts
            if key.startswith("bars:"):
                self._records["fresh:" + meta["name"]] = str(meta.get("record"))

    def __iter__(self) -> Iterator[str]:
        return iter([*self._files, *self._records])

    def __contains__(self, key: str) -> bool:
        return key in self._files or key in self._records

    def get(self, key: str) -> str | ColumnFile | None:
        """The record, or the file, whose checksum is compared as ever."""
        if key not in self._files:
            return self._records.get(key)
        if not self._files[key][0].exists():  # a writer elsewhere has replaced it
            self._scan()
        return barfile.read(self._files[key][0]) if key in self._files else None

    def delete(self, key: str) -> None:
        """Forget the key in memory."""
        self._files.pop(key, None)

    def close(self) -> None:
        """Nothing is open."""
