"""What a function carries beside its arguments: cells, globals that it reads, defaults; and whose code is whose."""

from __future__ import annotations

import builtins
import dis
import functools
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

GLOBAL_READS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
INSTALLED = "site-packages", "dist-packages"


class Captured(NamedTuple):
    """Values by their names in the source."""

    cells: dict[str, Any]
    reads: dict[str, Any]  # globals; what is read of an own module, also one in a cell, stands as module.name
    defaults: dict[str, Any]
    attributes: dict[str, Any]  # those that were set on the function itself


def captured(function: FunctionType, home: str) -> Captured:
    """What the function holds; `home` is the package of the strategy, whose modules are looked into."""
    cells = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # assigned later
            continue
    values: dict[str, Any] = {}
    for name in names_read(function.__code__):
        for place in function.__globals__, vars(builtins):
            if name in place:
                values[name] = place[name]
                break
    values |= {name: sys.modules[name] for name in names_imported(function.__code__) if name in sys.modules}
    reads = dict(values)
    for name, value in (cells | values).items():
        if isinstance(value, ModuleType) and own(value.__name__, home):
            inside = names_inside(function.__code__, vars(value))
            reads |= {f"{name}.{inner}": vars(value)[inner] for inner in inside}
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    given = function.__defaults__ or ()
    defaults = dict(zip(names[len(names) - len(given) :], given, strict=True)) | (function.__kwdefaults__ or {})
    plain = {name: value for name, value in vars(function).items() if name != "__wrapped__"}
    return Captured(cells, reads, defaults, plain)


@functools.lru_cache(maxsize=512)
def names_read(code: CodeType) -> tuple[str, ...]:
    """Globals that the code reads, and the functions, lambdas and comprehensions inside it.

    Where it calls `globals()`, any text in it may be the name of one.
    """
    names = [str(each.argval) for part in parts(code) for each in dis.get_instructions(part) if each.opname in GLOBAL_READS]
    return tuple(dict.fromkeys(names + texts(code) * ("globals" in names)))


@functools.lru_cache(maxsize=512)
def names_imported(code: CodeType) -> tuple[str, ...]:
    """Modules that the code imports when it runs."""
    return tuple(dict.fromkeys(str(each.argval) for part in parts(code) for each in dis.get_instructions(part)
                               if each.opname == "IMPORT_NAME"))  # fmt: skip


def names_inside(code: CodeType, members: dict[str, Any]) -> list[str]:
    """Members of a module that the code may mean: attributes are named alike whatever they are attributes of."""
    names = [name for part in parts(code) for name in part.co_names]
    names += texts(code) * bool({"getattr", "vars"} & set(names))
    return sorted({name for name in names if name in members and not name.startswith("__")})


def texts(code: CodeType) -> list[str]:
    """Texts that the code holds."""
    return [each for part in parts(code) for each in part.co_consts if isinstance(each, str)]


def parts(code: CodeType) -> Iterator[CodeType]:
    """The code and all that is nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from parts(constant)


def home_of(strategy: Any) -> str:
    """The package that the strategy is written in."""
    plain = unwrapped(strategy)
    module = getattr(plain, "__module__", None) if isinstance(plain, FunctionType) else type(plain).__module__
    return (module or "").partition(".")[0]


def unwrapped(value: Any) -> Any:
    """The function inside partials, bound methods, memories (lru_cache) and compiled functions."""
    while True:
        inner = getattr(value, "func", None) if isinstance(value, functools.partial) else inner_of(value)
        if inner is None:
            return value
        value = inner


def inner_of(value: Any) -> FunctionType | functools.partial | None:
    """The function of what only looks like one: a bound method, `lru_cache`, numba's dispatcher."""
    if isinstance(value, FunctionType | type | ModuleType):
        return None
    for name in "__func__", "py_func", "__wrapped__":
        inner = getattr(value, name, None)
        if isinstance(inner, FunctionType | functools.partial):
            return inner
    return None


def own(module: str | None, home: str) -> bool:
    """Whether a module is the user's: neither ours, nor Python's, nor installed, unless the strategy itself is from there."""
    if module is None:
        return True
    top = module.partition(".")[0]
    if top in {"toolkit", "builtins"} or top in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return top in {home, "__main__"} or file is None or not any(f"/{folder}/" in file for folder in INSTALLED)
