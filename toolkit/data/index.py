"""The index of the cache: diskcache over value files, made again from their headers when it breaks."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import diskcache

from toolkit.data import barfile, folder
from toolkit.data.barfile import ColumnFile
from toolkit.data.disk import GONE, BarDisk, Written
from toolkit.data.folder import Shelf
from toolkit.data.freshness import Freshness, sealed, unsealed
from toolkit.data.interrupts import deferred_interrupts
from toolkit.data.locks import held
from toolkit.errors import CacheUnusable, UnsafeValue

log = logging.getLogger(__name__)

REFUSED = (PermissionError, sqlite3.OperationalError)
BUSY = 5.0  # seconds that a write waits for other writers
# What diskcache raises for a row of which bytes were changed by accident.
UNREADABLE = (UnsafeValue, ValueError, TypeError, OverflowError, KeyError, MemoryError, AttributeError)
# What SQLite says of a sound index that cannot be used now; anything else means that it is broken.
PASSING = ("locked", "busy", "full", "readonly", "unable to open", "interrupted", "disk I/O")

Value = str | int | ColumnFile
Result = TypeVar("Result")


class Index:
    """Texts, counts and column files by key in `directory`, which must exist; safe for threads and processes.

    What cannot be written is opened `readonly`, from its files. `corrupt` counts values that could not be trusted.
    """

    def __init__(self, directory: Path, readonly: bool = False) -> None:
        self.directory, self.readonly, self.corrupt = directory, readonly, 0
        self.place, self._writing = directory / "index", directory / "locks" / "writing"
        self._database = str(self.place / "cache.db")
        self._lock = threading.RLock()
        self._open()

    def _open(self) -> None:
        if not self.readonly:
            try:
                self._writing.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._cache: Any = self._connected()
                self._inode = self._seen()
                if any(self._writing.parent.glob("busy-*")) or self._empty():
                    self._sweep()
                return
            except (OSError, sqlite3.Error, diskcache.Timeout) as error:
                if not self.place.is_dir() or not isinstance(error, REFUSED):
                    raise folder.unusable(self.directory, "opened", error) from error
                log.warning("%s cannot be written (%s): opened read-only", self.directory, error)
        self.readonly, self._inode = True, self._seen()
        self._cache = Shelf(self.place)

    def _empty(self) -> bool:
        try:
            return not any(True for _ in self._cache)
        except UnsafeValue:  # planted: whoever asks for the keys is told
            return False

    def _connected(self) -> diskcache.Cache:
        try:
            return _diskcache(self.place)
        except sqlite3.DatabaseError as error:
            if _passing(error):
                raise
            return self._made_again(error)

    def _made_again(self, error: Exception) -> diskcache.Cache:
        with held(self._writing, patience=BUSY):
            if self._seen() != getattr(self, "_inode", self._seen()):
                return _diskcache(self.place)  # another process has made it again meanwhile
            log.warning("the index of %s cannot be read (%s): made again from its files", self.directory, error)
            self.corrupt += 1
            for name in ("cache.db", "cache.db-wal", "cache.db-shm"):
                folder.move(self.place / name, self.directory / "quarantine")
            cache = _diskcache(self.place)
            self._adopt(cache, folder.value_files(self.place), partly=True)
            return cache

    def _adopt(self, cache: diskcache.Cache, files: Iterable[Path], partly: bool = False) -> None:
        """Take up the newest value files of keys that the index lacks: listed in a record, or of a whole series without one.

        The rest is of a write that was killed; `partly` takes it up as well.
        """
        newest = folder.newest_of(files)
        records: dict[str, Freshness] = {}
        for key, (path, meta) in newest.items():
            name = meta["name"]
            record = unsealed(meta.get("record"), name)
            known = unsealed(cache.get("fresh:" + name), name)
            parts = known.parts if known else record.parts if record else ()
            whole = all((own := folder.value_key("bars", name, part)) in newest or own in cache for part in parts)
            if meta["kind"] == "was" or partly or (whole and meta["part"] in parts):
                cache.set(key, Written(str(path.relative_to(self.place)), path.stat().st_size))
                if known is None and record and whole and meta["kind"] == "bars":
                    records[name] = max(record, records.get(name, record), key=lambda each: each.fetched_at)
            else:
                folder.remove([path])
        for name, record in records.items():
            cache.set("fresh:" + name, sealed(record, name))

    def mend(self) -> None:
        """Remove what a killed writer left, and take up again what the index has lost."""
        self._written("mended", self._sweep)

    def _sweep(self) -> None:
        with held(self._writing) as alone:
            if not alone or self.readonly:
                return  # somebody writes, and his files may not be in the index yet
            groups = folder.grouped(folder.value_files(self.place))
            try:
                keys = {folder.value_group(key): key for key in self._cache} if groups else {}
            except UnsafeValue as error:
                log.warning("%s cannot be mended: %s", self.directory, error)
                return
            self._adopt(self._cache, [path for group in groups.keys() - keys.keys() for path in groups[group]])
            for group in groups.keys() & keys.keys():
                with contextlib.suppress(*UNREADABLE):
                    if len(groups[group]) > 1 and isinstance(found := self._cache.get(keys[group]), ColumnFile):
                        folder.remove(path for path in groups[group] if str(path) != found.path)
            folder.remove(path for several in groups.values() for path in several if path.suffix == ".tmp")
            folder.remove(self._writing.parent.glob("busy-*"))

    def _seen(self) -> tuple[int, int]:
        try:
            status = os.stat(self._database)
            return status.st_dev, status.st_ino
        except OSError:
            return 0, 0

    def _tried(self, verb: str, act: Callable[[], Result]) -> Result:
        """What `act` returns; the index is made again where SQLite finds it broken, and opened again where it is gone."""
        with self._lock:
            if self._seen() != self._inode:
                log.warning("%s was deleted or replaced: opened again", self.directory)
                self._cache.close()
                self._open()
            try:
                try:
                    return act()
                except sqlite3.DatabaseError as error:
                    if _passing(error) or self.readonly:
                        raise
                    self._cache.close()
                    self._cache = self._made_again(error)
                    self._inode = self._seen()
                    return act()
            except (OSError, sqlite3.Error, diskcache.Timeout) as error:
                raise folder.unusable(self.directory, verb, error) from error

    def _written(self, verb: str, act: Callable[[], object]) -> None:
        with deferred_interrupts():
            self._tried(verb, act)

    def get(self, key: str) -> Value | None:
        """The value of `key`; None if there is none, or if it cannot be trusted: it is then dropped, and said."""

        def act() -> Value | None:
            # Another process may replace a value between the SELECT and the open of the file.
            for _ in range(5):
                value = self._cache.get(key)
                if value is not GONE:
                    return value
            raise UnsafeValue("its file is gone", "it is fetched again")

        try:
            return self._tried("read", act)
        except UNREADABLE as error:
            self.drop(key, str(error))
            return None

    def drop(self, key: str, why: str) -> None:
        """Forget the value of `key`, which cannot be trusted, count it and say so."""
        self.corrupt += 1
        log.warning("%s in the cache cannot be trusted (%s): dropped, fetched again", key, why)
        with contextlib.suppress(CacheUnusable, *UNREADABLE):
            self._written("cleared", partial(self._cache.delete, key))
            self._cache.disk.discarded.clear()  # the file may be another key's, and is found again if it is this one's

    def keys(self, *beginnings: str) -> list[str]:
        """All keys with one of these beginnings; raises UnsafeValue if the index holds a planted key."""
        return self._tried("read", lambda: [key for key in self._cache if key.startswith(beginnings)])

    def commit(self, files: Mapping[str, bytes], texts: Mapping[str, str]) -> None:
        """Store all of it or nothing: the files first, then all rows in one transaction. Raises CacheUnusable."""
        with deferred_interrupts():
            try:
                self._commit(files, texts)
            except OSError as error:
                raise folder.unusable(self.directory, "written", error) from error

    def _commit(self, files: Mapping[str, bytes], texts: Mapping[str, str]) -> None:
        self._tried("written", lambda: None)  # opens again what was deleted or replaced
        if self.readonly:
            raise PermissionError("it was opened read-only")
        self._writing.parent.mkdir(mode=0o700, exist_ok=True)
        written: dict[str, Written] = {}
        # Texts: a Path would intern names that never come again.
        mark = f"{self._writing.parent}/busy-{os.getpid()}-{threading.get_ident()}"
        with held(self._writing, shared=True, patience=BUSY) as allowed:
            if not allowed:
                raise BlockingIOError("another process is mending it")
            open(mark, "ab").close()
            for key, content in files.items():
                written[key] = Written(folder.value_name(key), len(content))
                path = f"{self.place}/{written[key].name}"
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                barfile.write(path, content)
            self._tried("written", lambda: self._listed({**written, **texts}))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(mark)  # where a commit raises, nobody knows whether it is done: `mend` finds out

    def _listed(self, values: Mapping[str, str | Written]) -> None:
        self._cache.disk.discarded.clear()  # left by a transaction that was rolled back
        with self._cache.transact():
            for key, value in values.items():
                self._cache.set(key, value)
        self._discard()

    def _discard(self, trash: bool = False) -> None:
        names = [] if self.readonly else self._cache.disk.discarded
        while names:
            path = f"{self.place}/{names.pop()}"
            if trash:
                folder.move(Path(path), self.directory / "trash")
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def add(self, counts: Mapping[str, int]) -> None:
        """Add to the counts kept under these keys."""

        def act() -> None:
            with self._cache.transact():
                for key, count in counts.items():
                    self._cache.incr(key, count)

        self._written("written", act)

    def delete(self, keys: Iterable[str], trash: bool = False) -> None:
        """Forget `keys`; their files are removed, or moved to the trash folder."""
        for key in keys:
            self._written("cleared", partial(self._cache.delete, key))
        self._discard(trash)

    def wipe(self) -> None:
        """Forget everything, planted keys too; all files are moved to the trash folder."""
        self._written("cleared", lambda: self._cache.clear())
        self._discard(trash=True)

    def close(self) -> None:
        """Close the connection of this thread."""
        self._cache.close()


def _diskcache(place: Path) -> diskcache.Cache:
    return diskcache.Cache(str(place), BUSY, BarDisk, eviction_policy="none", cull_limit=0, size_limit=2**50, statistics=0)


def _passing(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and any(word in str(error) for word in PASSING)
