"""Bars on disk: diskcache as the index, column files as values, nothing ever pickled.

diskcache unpickles values when it reads and keys when it iterates, which runs whatever a planted file says
(CVE-2025-69872). Here both are refused. Nothing expires or is evicted by the index: bars are durable, and how fresh
they are is a record of its own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import diskcache
import numpy as np
import platformdirs
from diskcache.core import MODE_BINARY, MODE_RAW, UNKNOWN

from toolkit.data import barfile
from toolkit.data.barfile import ColumnFile
from toolkit.data.freshness import Freshness
from toolkit.data.interrupts import deferred_interrupts
from toolkit.errors import CacheUnusable, CorruptValue, UnsafeValue

log = logging.getLogger(__name__)

LONGEST_TEXT = 16_384
# Bytes of the index that were changed by accident make SQLite and diskcache raise any of these.
UNREADABLE = (UnsafeValue, sqlite3.DatabaseError, ValueError, TypeError, OverflowError, KeyError, MemoryError)


class BarDisk(diskcache.Disk):
    """Only text keys; values are short texts in the index or column files. Everything else raises UnsafeValue."""

    def put(self, key: Any) -> tuple[str, bool]:
        if type(key) is not str:
            raise UnsafeValue(f"cache key {key!r} is a {type(key).__name__}", "use a text")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        if not raw or type(key) is not str:
            raise UnsafeValue("the index holds a key that is no text", "run `toolkit cache clear --bars`")
        return key

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, str | None, str | None]:
        if type(value) is str and len(value) <= LONGEST_TEXT:
            return 0, MODE_RAW, None, value
        if type(value) is not bytes or not value.startswith(barfile.MAGIC):
            cure = "store a short text or an encoded column file"
            raise UnsafeValue(f"value of {key!r} is a {type(value).__name__}", cure)
        name, full = self.filename()
        for attempt in range(10):  # another process may remove the folder while it is empty
            try:
                os.makedirs(os.path.dirname(full), exist_ok=True)
                barfile.write(Path(full), value)
                break
            except FileNotFoundError:
                if attempt == 9:
                    raise
        return len(value), MODE_BINARY, name, None

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> str | ColumnFile:
        if mode == MODE_RAW and type(value) is str:
            return value
        if mode != MODE_BINARY or not filename:
            raise UnsafeValue(f"the index holds a value of mode {mode}", "it is dropped and fetched again")
        path = Path(self._directory, filename)
        if not path.resolve().is_relative_to(Path(self._directory).resolve()):
            what = f"the index points at {filename!r}, outside of the cache"
            raise UnsafeValue(what, "it is dropped and fetched again")
        try:
            return barfile.read(path)
        except CorruptValue:
            _move(path, Path(self._directory).parent / "quarantine")
            raise
        except FileNotFoundError:
            raise
        except OSError as error:  # too many open files, no permission: diskcache would take it for a missing value
            cure = "raise the limit, or mend the permissions; nothing was dropped"
            raise CacheUnusable(f"{path} cannot be opened ({error})", cure) from error


class Entry(NamedTuple):
    """What the cache holds of one series: its freshness record and its bars, each None if absent."""

    record: Freshness | None
    bars: ColumnFile | None


class BarCache:
    """Durable bars by name, each with a freshness record; an LRU of `max_size` opened series in memory. Thread-safe.

    `directory` defaults to the user's cache folder. Raises CacheUnusable where it cannot be created or written.
    """

    def __init__(self, directory: Path | str | None = None, max_size: int = 1024) -> None:
        self.directory = Path(directory or Path(platformdirs.user_cache_dir("toolkit")) / "bars").expanduser()
        self._max_size = max_size
        self._opened: OrderedDict[str, Entry] = OrderedDict()
        self._lock = threading.RLock()
        self._counts = {"hits": 0, "misses": 0, "corrupt": 0, "writes": 0}
        self._index = self._open()

    def _open(self) -> diskcache.Cache:
        place = self.directory / "index"
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                return _index(place)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                log.warning("index of %s cannot be read (%s): set aside, bars are fetched again", self.directory, error)
                self._counts["corrupt"] += 1
                _move(place, self.directory / "quarantine")
                return _index(place)
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise self._unusable("opened", error) from error

    def _unusable(self, verb: str, error: Exception) -> CacheUnusable:
        what = f"cache folder {self.directory} cannot be {verb} ({type(error).__name__}: {error})"
        return CacheUnusable(what, "make it writable or free space, or name another: BarCache('/path/to/folder')")

    def entry(self, name: str, *, again: bool = False) -> Entry:
        """Record and bars of `name`; from memory if they were opened before, unless `again` asks for the disk."""
        with self._lock:
            found = self._opened.get(name)
            if found is not None and not again:
                self._opened.move_to_end(name)
                self._counts["hits"] += 1
                return found
            record = _freshness(self._read("fresh:" + name))
            known = found.record.version if found is not None and found.record is not None else None
            if found is not None and record is not None and record.version == known:
                found = Entry(record, found.bars)
            else:
                found = Entry(record, self._bars(name))
            self._counts["misses" if found == (None, None) else "hits"] += 1
            self._remember(name, found)
            return found

    def _remember(self, name: str, entry: Entry) -> None:
        self._opened[name] = entry
        self._opened.move_to_end(name)
        while len(self._opened) > self._max_size:
            self._opened.popitem(last=False)

    def _read(self, key: str) -> str | ColumnFile | None:
        # diskcache reports a miss when another process replaces a value between its SELECT and the open of the file.
        try:
            for _ in range(5):
                value = self._index.get(key)
                if value is not None or key not in self._index:
                    return value
            log.warning("%s is in the index of the cache, but its file is gone: dropped, fetched again", key)
            self._counts["corrupt"] += 1
        except sqlite3.OperationalError as error:
            raise self._unusable("read", error) from error
        except UNREADABLE as error:
            log.warning("%s in the cache cannot be trusted (%s): dropped, fetched again", key, error)
            self._counts["corrupt"] += 1
        self._drop(key)
        return None

    def _bars(self, name: str) -> ColumnFile | None:
        bars = self._read("bars:" + name)
        if isinstance(bars, ColumnFile) and bars.meta.get("name") == name:
            return bars
        if bars is not None:
            log.warning("the file of %s in the cache belongs to something else: dropped, fetched again", name)
            self._counts["corrupt"] += 1
            self._drop("bars:" + name)
        return None

    def _drop(self, key: str) -> None:
        with deferred_interrupts(), contextlib.suppress(sqlite3.Error, diskcache.Timeout):
            self._index.delete(key)

    def put(
        self,
        name: str,
        record: Freshness,
        columns: Mapping[str, np.ndarray] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Store the record of `name` and, where `columns` are given, its bars before it; raises CacheUnusable."""
        with self._lock:
            bars = self.entry(name).bars
            try:
                with deferred_interrupts():
                    if columns is not None:
                        self._set("bars:" + name, barfile.encoded(columns, {"name": name, **(meta or {})}))
                        bars = self._bars(name)
                    self._set("fresh:" + name, _sealed(record))
            except (OSError, sqlite3.Error, diskcache.Timeout) as error:
                raise self._unusable("written", error) from error
            self._counts["writes"] += 1
            self._remember(name, Entry(record, bars))
            return self._opened[name]

    def _set(self, key: str, value: str | bytes) -> None:
        if not self._index.set(key, value):
            raise sqlite3.OperationalError("the index refused the value")

    def names(self) -> list[str]:
        """Names of all stored series; raises UnsafeValue if the index holds a planted key."""
        with self._lock:
            return [key.removeprefix("bars:") for key in self._index if key.startswith("bars:")]

    def stats(self) -> dict[str, int]:
        """Counts of this process: hits, misses, corrupt, writes; and opened series in memory."""
        with self._lock:
            return {**self._counts, "opened": len(self._opened)}

    def clear(self, bars: bool = False, beginning: str = "") -> None:
        """Forget memory and freshness of all names with this `beginning`; with `bars`, move their files to a trash folder.

        Everything goes, planted keys too, where no beginning is given.
        """
        with self._lock:
            self._opened.clear()
            if bars:
                self._trash(beginning)
            if bars and not beginning:
                with deferred_interrupts():
                    self._index.clear()
                return
            kinds = ("fresh:" + beginning, "bars:" + beginning) if bars else ("fresh:" + beginning,)
            for key in [key for key in self._index if key.startswith(kinds)]:
                self._drop(key)

    def _trash(self, beginning: str) -> None:
        with contextlib.suppress(UnsafeValue):  # what was planted goes without a copy
            for name in self.names():
                bars = self._bars(name) if name.startswith(beginning) else None
                if bars is not None:
                    _move(Path(bars.path), self.directory / "trash")

    def verify(self) -> dict[str, str]:
        """Compare every checksum again: name of each series that is corrupt, with what is wrong. It is set aside."""
        wrong = {}
        with self._lock:
            for name in self.names():
                opened = self._bars(name)
                if opened is None:
                    wrong[name] = "it could not be opened, see the log"
                else:
                    with contextlib.suppress(CorruptValue):
                        barfile.read(Path(opened.path), again=True)
                        continue
                    wrong[name] = f"the checksum of {opened.path} does not match"
                    _move(Path(opened.path), self.directory / "quarantine")
                    self._counts["corrupt"] += 1
                    self._drop("bars:" + name)
                self._opened.pop(name, None)
        return wrong

    def close(self) -> None:
        """Close the index of this thread; arrays that were handed out stay valid."""
        self._index.close()


def _index(place: Path) -> diskcache.Cache:
    return diskcache.Cache(
        str(place), disk=BarDisk, eviction_policy="none", cull_limit=0, size_limit=2**50, statistics=0, timeout=60
    )  # fmt: skip


def _sealed(record: Freshness) -> str:
    """The record as JSON behind its checksum: one changed digit of a year would keep stale bars fresh for ever."""
    text = json.dumps(record.record())
    return blake2b(text.encode(), digest_size=8).hexdigest() + text


def _freshness(text: Any) -> Freshness | None:
    try:
        record = Freshness.from_record(json.loads(text[16:])) if isinstance(text, str) else None
        return record if record is not None and _sealed(record) == text else None
    except (ValueError, TypeError, KeyError):
        return None


def _move(path: Path, folder: Path) -> None:
    """Move a file or folder into `folder` under a free name of its own."""
    folder.mkdir(mode=0o700, exist_ok=True)
    number = sum(1 for _ in folder.iterdir())
    while (target := folder / f"{number:06d}-{path.name}").exists():
        number += 1
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, target)
