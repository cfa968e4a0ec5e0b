"""How diskcache keeps our values: text keys, short texts, counts and column files; nothing is ever pickled.

diskcache unpickles values when it reads and keys when it iterates, which runs whatever a planted file says
(CVE-2025-69872). Here both are refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import diskcache
from diskcache.core import MODE_BINARY, MODE_RAW, UNKNOWN

from toolkit.data import folder
from toolkit.errors import CacheUnusable, UnsafeValue

LONGEST_TEXT = 16_384
GONE = object()
"""Stands for a value whose row was found and whose file was not; of no type that anybody looks for."""


class Written(NamedTuple):
    """A value file that lies in its place already: its name relative to the index, and its size."""

    name: str
    size: int


class BarDisk(diskcache.Disk):
    """Only text keys; values are short texts and counts in the index, or column files. The rest raises UnsafeValue."""

    def __init__(self, directory: str, **options: Any) -> None:
        super().__init__(directory, **options)
        self.discarded: list[str] = []

    def put(self, key: Any) -> tuple[str, bool]:
        if type(key) is not str:
            raise UnsafeValue(f"cache key {key!r} is a {type(key).__name__}", "use a text")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        if not raw or type(key) is not str:
            raise UnsafeValue("the index holds a key that is no text", "run `toolkit cache clear --bars`")
        return key

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, str | None, str | int | None]:
        if type(value) is Written:
            return value.size, MODE_BINARY, value.name, None
        if type(value) is int or (type(value) is str and len(value) <= LONGEST_TEXT):
            return 0, MODE_RAW, None, value
        raise UnsafeValue(f"value of {key!r} is a {type(value).__name__}", "store a short text or a column file")

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode == MODE_RAW and type(value) in (str, int):
            return value
        if mode != MODE_BINARY or not filename:
            raise UnsafeValue(f"the index holds a value of mode {mode}", "it is dropped and fetched again")
        if filename.startswith("/") or ".." in filename:
            raise UnsafeValue(f"the index points at {filename!r}, outside of the cache", "it is dropped and fetched again")
        try:
            return folder.opened(f"{self._directory}/{filename}")
        except FileNotFoundError:  # diskcache would take it for a missing value
            return GONE
        except OSError as error:  # too many open files, no permission: taken for a missing value, too
            what, cure = f"{filename} in the cache cannot be opened ({error})", "raise the limit, or mend the permissions"
            raise CacheUnusable(what, cure) from error

    def remove(self, file_path: str) -> None:
        self.discarded.append(file_path)  # it goes when its transaction is over: a kill between must lose nothing
