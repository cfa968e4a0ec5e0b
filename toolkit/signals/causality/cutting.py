"""A strategy as it would have been at an earlier bar: what it holds beside its bars is cut at the same time.

A function that closes over a second frame is handed shortened bars in vain if the frame goes on. So it is copied with other
cells, globals, defaults and attributes, and so are the user's own functions that it calls, and what is kept in containers and
instances. What changes when it is called (lists, dicts, the memory of `lru_cache`) is as it was before the first call. What
is large and tells no times stays whole, and is named.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Mapping
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from toolkit.data.bars import Bars
from toolkit.signals.causality import containers
from toolkit.signals.causality.captured import captured, home_of, inner_of, names_inside, names_read, own, unwrapped
from toolkit.signals.causality.horizon import Horizon, cut, timed

DEEPEST = 8  # containers and instances inside each other


class Cutting:
    """Copies of a strategy that know no more than was known at a bar; the strategy itself if it holds nothing of the kind.

    names: of what is cut; uncut: of what is large, held too, and not cut, each with its size.
    """

    def __init__(self, strategy: Callable, bars: Bars) -> None:
        self.strategy, self.always = strategy, False
        self._horizon, self._home = Horizon.of(bars), home_of(strategy)
        self._pristine: Pristine = {}
        first = Copy(self._horizon, self._home, 0, len(bars), self._pristine, naming=True)
        first.of_strategy(strategy)
        self.names, self.uncut = tuple(dict.fromkeys(first.found)), tuple(dict.fromkeys(first.uncut))
        self._remembers = first.remembers

    def at(self, start: int, stop: int) -> Callable:
        """The strategy that knows the bars from `start` to before `stop` alone."""
        return self.copied(start, stop) if self.names or self._remembers or self.always else self.strategy

    def copied(self, start: int, stop: int) -> Callable:
        """The same, as a copy also where there is nothing to cut, so that the strategy keeps nothing of its calls."""
        return Copy(self._horizon, self._home, start, stop, self._pristine).of_strategy(self.strategy)


Pristine = dict[int, tuple[Any, Any]]  # by id: what holds others, and what it held at first


class Copy:
    """One copy: each function, cell, container and instance once."""

    def __init__(self, horizon: Horizon, home: str, start: int, stop: int, pristine: Pristine, naming: bool = False) -> None:
        self._horizon, self._home, self._span, self._pristine = horizon, home, (start, stop), pristine
        self._made: dict[int, Any] = {}
        self._spaces: dict[int, dict[str, Any]] = {}
        self.found: list[str] = []
        self.uncut: list[str] = []
        self.remembers, self._naming = False, naming

    def of_strategy(self, strategy: Any) -> Any:
        """The copy of a function, a partial, a method, or an instance that is called."""
        if isinstance(strategy, functools.partial | FunctionType | MethodType) or inner_of(strategy) is not None:
            return self.of(strategy, "")
        call = inner_of(getattr(strategy, "__call__", None))  # noqa: B004, the method is wanted
        mine = isinstance(call, FunctionType) and own(type(strategy).__module__, self._home)
        return MethodType(self.of(call, ""), self.of(strategy, "self")) if mine else strategy

    def of(self, value: Any, name: str, depth: int = 0) -> Any:
        """The value as it was known; itself if there is nothing to cut."""
        if id(value) in self._made:
            return self._made[id(value)]
        if timed(value, self._horizon):
            self.found.append(name)
            made = cut(value, self._horizon, *self._span)
        elif isinstance(value, FunctionType):
            return self._function(value) if mine(value, self._home) or "<locals>" in value.__qualname__ else value
        elif isinstance(value, functools.partial):
            arguments = [self.of(each, name or f"argument {at}", depth) for at, each in enumerate(value.args, 1)]
            named = {key: self.of(each, key, depth) for key, each in value.keywords.items()}
            made = functools.partial(self.of(value.func, name, depth), *arguments, **named)
        elif isinstance(value, MethodType) and isinstance(value.__func__, FunctionType):
            made = MethodType(self.of(value.__func__, name), self.of(value.__self__, name, depth))
        elif hasattr(value, "cache_clear") and (inner := inner_of(value)) is not None and mine(unwrapped(inner), self._home):
            self.remembers = True
            made = self.of(inner, name, depth)
        elif depth < DEEPEST and containers.is_container(value):
            return self._entries(value, name, depth)
        elif depth < DEEPEST and (isinstance(value, containers.OPEN) or mine(type(value), self._home)):
            return self._instance(value, name, depth)
        else:
            return self._left(value, name)
        self._made[id(value)] = made
        return made

    # ------------------------------------------------------------------------------------------ containers and instances
    def _entries(self, value: Any, name: str, depth: int) -> Any:
        """A container with those of its entries that were known; of an unchanging one itself if all were."""
        made = containers.emptied(value)
        if made is not None:
            self._made[id(value)] = made
        held, plain = self._first(value, lambda: (containers.as_it_is(value), containers.of_atoms(value)))
        known = containers.known(held, self._horizon, *self._span)
        if known is not None:
            self.found.append(name)
        entries, untouched = (held if known is None else known), len(held)
        if not plain:
            entries, untouched = self._each(entries, name, depth)
        if known is None and untouched > containers.FEW:
            self._left(value, name)
        if made is None and known is None and (plain or all(map(operator.is_, listed(entries), listed(held)))):
            return value
        return containers.filled(value, made, entries)

    def _each(self, held: Any, name: str, depth: int) -> tuple[Any, int]:
        """The entries one by one, and how many of them had nothing in them to cut or to name."""
        untouched, known = 0, []
        keys = list(held) if isinstance(held, Mapping) else None
        for at, each in enumerate(listed(held)):
            before = len(self.found) + len(self.uncut)
            known.append(self.of(each, f"{name}[{keys[at]!r}]" if keys else name, depth + 1))
            untouched += before == len(self.found) + len(self.uncut)
        return (known if keys is None else dict(zip(keys, known, strict=True))), untouched

    def _instance(self, value: Any, name: str, depth: int) -> Any:
        """An instance as it was at first, with what it held cut, and with its methods where these hold something."""
        made = self._made[id(value)] = copy.copy(value)
        if made is value:  # there is one alone, as of an Enum
            return value
        held = self._first(value, lambda: containers.attributes(value))
        inside = getattr(made, "__dict__", {})
        inside.clear()
        for key, each in held.items():
            known = self.of(each, f"{name}.{key}" if name else key, depth + 1)
            if key in getattr(value, "__dict__", {}):
                inside[key] = known
            else:
                object.__setattr__(made, key, known)
        for owner in reversed(type(value).__mro__):
            self._class(owner)
            methods = {key: each for key, each in vars(owner).items() if isinstance(each, FunctionType) and key[:2] != "__"}
            for key, method in methods.items() if hasattr(made, "__dict__") and mine(owner, self._home) else ():
                if self._holds(method) and key not in held:
                    inside[key] = MethodType(self._function(method), made)
        return made

    def _holds(self, function: FunctionType) -> bool:
        """Whether a function reads anything that is another one in its copy."""
        made = self._function(function)
        names = [name for name in names_read(function.__code__) if name in function.__globals__]
        cells = zip(function.__closure__ or (), made.__closure__ or (), strict=True)
        return any(made.__globals__[name] is not function.__globals__[name] for name in names) or any(a != b for a, b in cells)

    def _class(self, owner: type) -> None:
        """Names what is large in a class of the user's: a class is not copied."""
        if self._naming and id(owner) not in self._made and mine(owner, self._home):
            self._made[id(owner)] = owner
            for key, each in vars(owner).items():
                self._left(each, f"{owner.__name__}.{key}")

    def _left(self, value: Any, name: str) -> Any:
        """The value as it is, named if it is large."""
        if not self._naming:
            return value
        if isinstance(value, type):
            self._class(value)
        elif size := containers.sized(value):
            self.uncut.append(f"{name} ({size})" if name else size)
        return value

    def _first(self, owner: Any, held: Callable[[], Any]) -> Any:
        """What the owner held when it was first met."""
        if id(owner) not in self._pristine:
            self._pristine[id(owner)] = owner, held()
        return self._pristine[id(owner)][1]

    # ---------------------------------------------------------------------------------------------------------- functions
    def _function(self, function: FunctionType) -> FunctionType:
        if id(function) in self._made:
            return self._made[id(function)]
        space, first = self._space(function.__globals__)
        cells = tuple(self._made.setdefault(id(cell), CellType()) for cell in function.__closure__ or ())
        made = FunctionType(function.__code__, space, function.__name__, None, cells)
        self._made[id(function)] = made
        held = self._first(function, lambda: captured(function, self._home))
        for name, old, new in zip(function.__code__.co_freevars, function.__closure__ or (), cells, strict=True):
            if name in held.cells:
                new.cell_contents = self._read(function, name, self._first(old, functools.partial(held.cells.get, name)))
        if function.__defaults__:
            made.__defaults__ = tuple(self.of(each, f"a default of {function.__name__}") for each in function.__defaults__)
        if function.__kwdefaults__:
            made.__kwdefaults__ = {key: self.of(each, key) for key, each in function.__kwdefaults__.items()}
        vars(made).update({key: self.of(each, f"{function.__name__}.{key}") for key, each in held.attributes.items()})
        if mine(function, self._home):
            for name in names_read(function.__code__):
                if name in first:
                    space[name] = self._read(function, name, first[name])
        return made

    def _read(self, function: FunctionType, name: str, value: Any) -> Any:
        """What a function reads by a name; a module of the user's with what the function may mean of it."""
        if not (isinstance(value, ModuleType) and own(value.__name__, self._home)):
            return self.of(value, name)
        held = self._first(value, lambda: dict(vars(value)))
        made = self._made.get(id(value))
        if made is None:
            made = self._made[id(value)] = ModuleType(value.__name__)
            vars(made).update(held)
        for inner in names_inside(function.__code__, held):
            vars(made)[inner] = self.of(held[inner], f"{name}.{inner}")
        return made

    def _space(self, names: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Globals of a copy, and what they were at first."""
        first = self._first(names, lambda: dict(names))
        return self._spaces.setdefault(id(names), dict(first)), first


def listed(held: Any) -> list[Any]:
    """The entries of a container, of a mapping its values."""
    return list(held.values() if isinstance(held, Mapping) else held)


def mine(value: Any, home: str) -> bool:
    """Whether a function or class is the user's own."""
    module = getattr(value, "__module__", None)
    return module != "builtins" and own(module, home)
