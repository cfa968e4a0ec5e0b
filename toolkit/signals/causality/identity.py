"""The name of what a strategy computes: a hash of its code, of all that it holds, and of the versions that it runs on.

Compiled code is hashed, not the text of a file: it is what runs, where a file may have been edited since it was read, and
functions of a notebook have none. Comments and line numbers so change nothing. What cannot be seen: data that a function reads
from files or from the network, and what it imports by a computed name.
"""

from __future__ import annotations

import copyreg
import dataclasses
import dis
import functools
import hashlib
import importlib.metadata
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path, PurePath
from types import BuiltinFunctionType, BuiltinMethodType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import numpy as np
import pandas as pd

from toolkit import kernels
from toolkit.data.bars import Bars
from toolkit.errors import InvalidParameter
from toolkit.kernels.jit import source_hash
from toolkit.signals.causality.captured import captured, home_of, inner_of, own

PACKAGES = "toolkit", "numpy", "pandas", "numba"
PLAIN = {type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented)}
# What a class holds that is no part of what it does, or differs from process to process.
ASIDE = re.compile(r"__(dict|weakref|doc|module|firstlineno|static_attributes|annotat\w+|match_args|dataclass_\w+)__|_abc_impl")

Made = tuple[str | bytes, Iterable[Any]]  # what a value is, and the values that it is made of


def identity(strategy: Callable) -> str:
    """32 hex digits that change with code, held values, parameters and versions; the same in every process.

    They cover the function and every function of the user's own that it calls, values closed over, globals that it reads,
    defaults, bound arguments, the state of an instance, and the versions of Python, toolkit, numpy, pandas and numba, with the
    sources of our kernels and signals. Raises InvalidParameter for what cannot be called.

    >>> from functools import partial
    >>> from toolkit.signals.strategies import trend_and_rsi
    >>> identity(trend_and_rsi) == identity(partial(trend_and_rsi)) != identity(partial(trend_and_rsi, fast=10))
    True
    """
    if not callable(strategy):
        raise InvalidParameter(f"a strategy is a {type(strategy).__name__}", "pass a function of bars, or a declared Strategy")
    ground = repr((versions(), sources()))
    return hashlib.blake2b(ground.encode() + Tree(home_of(strategy)).digest(strategy), digest_size=16).hexdigest()


def versions() -> dict[str, str]:
    """Versions that scores may depend on, by package."""
    return {"python": f"{sys.version_info.major}.{sys.version_info.minor}"} | {name: installed(name) for name in PACKAGES}


@functools.cache
def installed(name: str) -> str:
    """The version of a package."""
    return importlib.metadata.version(name)


@functools.cache
def sources() -> tuple[str, ...]:
    """Hashes of our own sources that scores are made by."""
    here = Path(__file__).parent
    return tuple(map(source_hash, (Path(str(kernels.__file__)).parent, here, here.parent, here.parent / "indicators")))


class Tree:
    """Digests of values, each over what it is and the digests of what it is made of."""

    def __init__(self, home: str) -> None:
        self.home = home
        self._known: dict[int, tuple[bytes, Any]] = {}  # by id, with the value, so that no other gets its id
        self._above: list[int] = []

    def digest(self, value: Any) -> bytes:
        """16 bytes; a value that holds itself is met again as `above`."""
        while isinstance(value, functools.partial) and not (value.args or value.keywords):
            value = value.func
        at = id(value)
        if at in self._known:
            return self._known[at][0]
        if at in self._above:
            return f"above {len(self._above) - self._above.index(at)}".encode()
        self._above.append(at)
        what, members = self._made(value)
        inner = [self.digest(member) for member in members]
        self._above.pop()
        digest = hashlib.blake2b(what if isinstance(what, bytes) else what.encode("utf-8", "surrogatepass"), digest_size=16)
        for each in sorted(inner) if isinstance(value, set | frozenset) else inner:
            digest.update(b"%d:" % len(each) + each)
        self._known[at] = digest.digest(), value
        return self._known[at][0]

    def _made(self, value: Any) -> Made:
        if type(value) in PLAIN:
            return f"{type(value).__name__} {value!r}", ()
        if isinstance(value, CodeType):
            return of_code(value)
        if isinstance(value, FunctionType):
            return self._of_function(value)
        if isinstance(value, type):
            return self._of_class(value)
        return of_callable(value) or of_table(value) or of_container(value) or of_object(value)

    def _of_function(self, function: FunctionType) -> Made:
        if own(function.__module__, self.home):
            return "function", (function.__code__, captured(function, self.home))
        if "<locals>" not in function.__qualname__:
            return named(function), ()
        held = captured(function, self.home)
        return named(function), (function.__code__, held.cells, held.defaults)

    def _of_class(self, owner: type) -> Made:
        if not own(owner.__module__, self.home):
            return named(owner), ()
        members = {name: value for name, value in sorted(vars(owner).items()) if not ASIDE.fullmatch(name)}
        return f"class {owner.__qualname__}", (owner.__bases__, members)


def named(value: Any) -> str:
    """Name and version of what is not the user's."""
    module = getattr(value, "__module__", None) or ""
    top = sys.modules.get(module.partition(".")[0])
    return f"{module}.{getattr(value, '__qualname__', value)} {getattr(top, '__version__', '')}"


def of_code(code: CodeType) -> Made:
    """Instructions and constants, without names of files, numbers of lines, and the text that says what a function does."""
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return repr((counts, names, code.co_code, code.co_exceptiontable)), (code.co_consts[documented(code) :],)


def documented(code: CodeType) -> bool:
    """Whether the first constant is a text that no instruction reads, as the docstring of a function is."""
    first = code.co_consts[:1]
    read = any(each.arg == 0 for each in dis.get_instructions(code) if each.opcode in dis.hasconst)
    return bool(first) and (first[0] is None or isinstance(first[0], str)) and not read


def of_callable(value: Any) -> Made | None:
    """Methods, partials and wrappers; modules."""
    if isinstance(value, ModuleType):
        return f"module {value.__name__} {getattr(value, '__version__', '')}", ()
    if isinstance(value, MethodType):
        return "method", (value.__func__, value.__self__)
    if isinstance(value, BuiltinFunctionType | BuiltinMethodType):
        of_module = value.__self__ is None or isinstance(value.__self__, ModuleType)
        return f"builtin {value.__qualname__}", () if of_module else (value.__self__,)
    if isinstance(value, functools.partial):
        return "partial", (value.func, value.args, dict(sorted(value.keywords.items())))
    if isinstance(value, property | functools.cached_property):
        return "property", (getattr(value, "fget", None) or getattr(value, "func", None), getattr(value, "fset", None))
    inner = inner_of(value)
    return None if inner is None else ("wrapper", (inner,))


def of_table(value: Any) -> Made | None:
    """Arrays, frames and Bars: all of their bits and labels."""
    if isinstance(value, Bars):
        return f"bars {value.fingerprint}", ()
    if isinstance(value, np.dtype):
        return f"dtype {value}", ()
    if isinstance(value, np.ndarray | np.generic):
        kind = f"{type(value).__name__} {value.dtype} {value.shape} "
        if value.dtype.hasobject:
            return kind, value.ravel().tolist()
        return kind.encode() + value.tobytes(), ()
    if isinstance(value, pd.DataFrame) and value.dtypes.nunique() == 1 and isinstance(value.dtypes.iloc[0], np.dtype):
        return "block", (value.index, value.columns, value.to_numpy())
    if isinstance(value, pd.DataFrame):
        return "frame", (value.index, value.columns, [value.iloc[:, n].array for n in range(value.shape[1])])
    if isinstance(value, pd.Series):
        return "series", (value.index, value.name, value.array)
    if isinstance(value, pd.MultiIndex):
        return "levels", (list(value.names), [value.get_level_values(n) for n in range(value.nlevels)])
    if isinstance(value, pd.Index):
        return "index", (value.name, value.array)
    if isinstance(value, pd.api.extensions.ExtensionArray):
        return f"values {value.dtype}", (np.asarray(value) if is_numeric(value) else np.asarray(value, object),)
    return None


def is_numeric(array: pd.api.extensions.ExtensionArray) -> bool:
    """Whether the array has plain numbers or instants, so that its bits say all."""
    dtype = array.dtype.numpy_dtype if isinstance(array, pd.arrays.NumpyExtensionArray) else array.dtype
    return isinstance(dtype, np.dtype) and not dtype.hasobject


def of_container(value: Any) -> Made | None:
    """Tuples, lists, dicts and sets, their subclasses too."""
    kind = f"{type(value).__name__} {len(value)}" if isinstance(value, tuple | list | dict | set | frozenset) else ""
    if isinstance(value, MappingProxyType):
        return "proxy", (dict(value),)
    if isinstance(value, memoryview):
        return f"memory {value.format} {value.shape}", (value.tobytes(),)
    if isinstance(value, dict):
        return kind, (part for item in value.items() for part in item)
    return (kind, value) if kind else None


def of_object(value: Any) -> Made:
    """Any other object: its class and its state, as it would be pickled; of what cannot be pickled the class alone."""
    if isinstance(value, Enum):
        return f"enum {value.name}", (type(value),)
    if isinstance(value, PurePath):
        return f"path {value}", ()
    if dataclasses.is_dataclass(value):
        return "dataclass", (type(value), [getattr(value, field.name) for field in dataclasses.fields(value)])
    try:
        with warnings.catch_warnings(action="ignore"):
            reduce = copyreg.dispatch_table.get(type(value))
            reduced = value.__reduce_ex__(4) if reduce is None else reduce(value)
    except Exception:  # locks, open files and iterators: foreign code decides what it raises
        return "object", (type(value),)
    if isinstance(reduced, str):
        return f"global {reduced}", (type(value),)
    made, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    return "object", (type(value), made, arguments, state, list(items or ()), list(pairs or ()))
