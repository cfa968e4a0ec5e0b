"""Bars on disk: durable parts of series by name, a freshness record for each, a journal of what was superseded."""

from __future__ import annotations

import atexit
import contextlib
import logging
import shutil
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from toolkit.data import barfile, folder
from toolkit.data.barfile import ColumnFile
from toolkit.data.freshness import Freshness, sealed, unsealed
from toolkit.data.index import Index
from toolkit.data.locks import held
from toolkit.errors import CacheUnusable, CorruptValue

log = logging.getLogger(__name__)

SCHEMA = 2  # of the headers and columns in value files
FLUSH_EVERY = 512  # counts are added to the index once in so many

Columns = Mapping[str, np.ndarray]
Meta = Mapping[str, Any]


class BarCache:
    """Durable bars by name, in parts, each series with a freshness record. Safe for threads and processes.

    `directory` defaults to the user's cache folder. Past `quota` bytes nothing more is stored, and nothing is deleted. What
    cannot be written is opened `readonly`, from its files alone. Raises CacheUnusable where neither is possible.
    """

    def __init__(
        self, directory: Path | str | None = None, quota: float | None = None, readonly: bool = False
    ) -> None:  # fmt: skip
        self.directory = Path(directory or self.default()).expanduser().absolute()
        self.quota = quota
        self._records: dict[str, Freshness] = {}
        self._lock = threading.RLock()
        self._counts = {"hits": 0, "misses": 0, "writes": 0, "corrupt": 0}
        self._flushed = dict(self._counts)
        folder.refuse_network(self.directory)
        if not readonly:
            self._prepare()
        self._index = Index(self.directory, readonly)
        atexit.register(_flushed, weakref.ref(self))

    @staticmethod
    def default() -> Path:
        """In the user's cache folder."""
        return Path(platformdirs.user_cache_dir("toolkit")) / "bars"

    def _prepare(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise folder.unusable(self.directory, "created", error) from error
        folder.keep_reserve(self.directory)

    @property
    def readonly(self) -> bool:
        """Whether nothing can be stored here."""
        return self._index.readonly

    # ------------------------------------------------------------------------------------------------------- reading
    def record(self, name: str, *, again: bool = False) -> Freshness | None:
        """The freshness record of `name`; from memory if it was read before, unless `again` asks for the disk."""
        with self._lock:
            found = None if again else self._records.get(name)
            if found is None:
                found = unsealed(self._index.get("fresh:" + name), name)
                self._records.pop(name, None)
                if found is not None:
                    self._records[name] = found
            self._counted("misses" if found is None else "hits")
            return found

    def files(self, name: str, parts: tuple[str, ...] = ("",)) -> tuple[ColumnFile, ...]:
        """The stored ones of the `parts` of `name`, in that order, as maps; a corrupt one is set aside and absent."""
        found = (self._file("bars", name, part) for part in parts)
        return tuple(file for file in found if file is not None)

    def journal(self, name: str, length: int) -> list[ColumnFile]:
        """The first `length` entries of what was superseded in `name`, the oldest first."""
        found = (self._file("was", name, f"{number:06d}") for number in range(length))
        return [file for file in found if file is not None]

    def _file(self, kind: str, name: str, part: str) -> ColumnFile | None:
        key = folder.value_key(kind, name, part)
        file = self._index.get(key)
        if file is None and folder.mislaid(self._index.place, key):
            self._index.mend()
            file = self._index.get(key)
        if file is None:
            return None
        if isinstance(file, ColumnFile):
            with contextlib.suppress(KeyError, TypeError):
                if folder.key_of(file.meta) == key:
                    if file.meta.get("schema") == SCHEMA:
                        return file
                    folder.move(Path(file.path), self.directory / "quarantine")
        self._index.drop(key, "it belongs to something else, or to another version of the toolkit")
        return None

    # ------------------------------------------------------------------------------------------------------- writing
    def put(
        self,
        name: str,
        record: Freshness,
        parts: Mapping[str, tuple[Columns, Meta]] | None = None,
        journal: tuple[int, Columns, Meta] | None = None,
    ) -> None:
        """Store the record of `name` with those `parts` that changed and, as `journal`, what they supersede.

        All of it or nothing. Raises CacheUnusable where it cannot be written, or past the quota.
        """
        values = {("bars", part): value for part, value in (parts or {}).items()}
        if journal is not None:
            values["was", f"{journal[0]:06d}"] = journal[1:]
        files = {}
        for (kind, part), (columns, meta) in values.items():
            own = {
                "version": "0",
                "schema": SCHEMA,
                **meta,
                "kind": kind,
                "name": name,
                "part": part,
                "record": sealed(record, name),
            }
            files[folder.key_of(own)] = barfile.encoded(columns, own)
        self._check_quota(sum(map(len, files.values())))
        self._index.commit(files, {"fresh:" + name: sealed(record, name)})
        with self._lock:
            self._records[name] = record
            self._counted("writes")

    def _check_quota(self, more: int) -> None:
        if self.quota is None or not more or (used := folder.size(self.directory) + more) <= self.quota:
            return
        what = f"cache folder {self.directory} would hold {used / 1e6:,.1f} MB, its quota is {self.quota / 1e6:,.1f} MB"
        raise CacheUnusable(what, "raise cache.quota_mb, or see `toolkit cache stats` for what to clear")

    @contextmanager
    def flight(self, name: str, patience: float = 60.0) -> Iterator[bool]:
        """Inside the block no other thread or process has the flight of `name`; False if it was not got in `patience` s."""
        locks = self.directory / "locks"
        if self.readonly or not locks.is_dir():
            yield False
            return
        with ExitStack() as flight:
            try:
                own = blake2b(name.encode(), digest_size=12).hexdigest()
                got = flight.enter_context(held(f"{locks}/{own}", patience=patience))
            except OSError as error:  # too many open files: better asked twice than not at all
                log.warning("no lock for %s (%s)", name, error)
                got = False
            yield got

    def forget(self, name: str) -> None:
        """Drop the record of `name`, so that its source is asked again; its bars stay."""
        with self._lock:
            self._records.pop(name, None)
            self._index.delete(["fresh:" + name])

    # -------------------------------------------------------------------------------------------------- looking after
    def names(self) -> list[str]:
        """Names of all stored series, sorted; raises UnsafeValue if the index holds a planted key."""
        return sorted({key.removeprefix("bars:").partition("@")[0] for key in self._index.keys("bars:")})

    def parts(self, name: str) -> list[ColumnFile]:
        """All stored parts of `name`, whatever its record says."""
        keys = [key for key in self._index.keys("bars:" + name) if key.partition("@")[0] == "bars:" + name]
        found = (self._file("bars", name, key.partition("@")[2]) for key in sorted(keys))
        return [file for file in found if file is not None]

    def _counted(self, what: str) -> None:
        self._counts[what] += 1
        if what == "writes" and sum(self._counts.values()) - sum(self._flushed.values()) >= FLUSH_EVERY:
            self.flush()  # never by a reader, who would wait for a writer

    def flush(self) -> None:
        """Add this process's counts to the totals in the index."""
        with self._lock:
            counts = self.stats()
            more = {"count:" + what: more for what, count in counts.items() if (more := count - self._flushed[what])}
            if more and not self.readonly:
                with contextlib.suppress(CacheUnusable):  # counts are no reason to fail
                    self._index.add(more)
                    self._flushed = counts

    def stats(self) -> dict[str, int]:
        """Counts of this process: records found (hits) and not found (misses), writes, corrupt values."""
        with self._lock:
            return {**self._counts, "corrupt": self._index.corrupt}

    def totals(self) -> dict[str, int]:
        """The same counts over all processes since the index was made."""
        self.flush()
        found = {what: self._index.get("count:" + what) for what in self._counts}
        return {what: count if isinstance(count, int) else 0 for what, count in found.items()}

    def clear(self, bars: bool = False, beginning: str = "") -> None:
        """Forget memory and freshness of all names with this `beginning`; with `bars`, move their files to a trash folder.

        Everything goes, planted keys too, where no beginning is given.
        """
        if self.readonly:
            what = f"cache folder {self.directory} was opened read-only"
            raise CacheUnusable(what, "open it where it may be written")
        folder.free_reserve(self.directory)
        with self._lock:
            self._records.clear()
            if bars and not beginning:
                self._index.wipe()
            else:
                kinds = ("fresh:", "bars:", "was:") if bars else ("fresh:",)
                self._index.delete(self._index.keys(*(kind + beginning for kind in kinds)), trash=bars)
        folder.keep_reserve(self.directory)

    def empty_trash(self) -> int:
        """Bytes of trash, quarantine and panels, which are removed for good: only that makes room."""
        places = [self.directory / place for place in ("trash", "quarantine", "panels")]
        removed = sum(map(folder.size, places))
        for place in places:
            shutil.rmtree(place, ignore_errors=True)
        return removed

    def verify(self) -> dict[str, str]:
        """Compare every checksum again: key of each value that is corrupt, with what is wrong. It is set aside."""
        self._index.mend()
        wrong = {}
        for key in self._index.keys("bars:", "was:"):
            file = self._index.get(key)
            if not isinstance(file, ColumnFile):
                wrong[key] = "it could not be opened, see the log"
                continue
            try:
                barfile.read(Path(file.path), again=True)
            except CorruptValue as error:
                wrong[key] = str(error.what)
                folder.move(Path(file.path), self.directory / "quarantine")
                self._index.drop(key, error.what)
        return wrong

    def leave(self) -> None:
        """Close the index of this thread, whose connection would stay open until the garbage of the process is collected."""
        self._index.close()

    def close(self) -> None:
        """Write the counts and close the index of this thread; arrays that were handed out stay valid."""
        self.flush()
        self._index.close()


def _flushed(cache: weakref.ref[BarCache]) -> None:
    """The counts of a process that ends are not lost."""
    if (living := cache()) is not None and living.directory.is_dir():
        living.flush()
