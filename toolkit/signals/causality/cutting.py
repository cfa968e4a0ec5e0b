"""A strategy as it would have been at an earlier bar: what it holds beside its bars is cut at the same time.

A function that closes over a second frame is handed shortened bars in vain if the frame goes on. So it is copied with other
cells, globals, defaults and attributes, and so are the user's own functions that it calls, and what is kept in containers and
instances. What changes when it is called (lists, dicts, the memory of `lru_cache`) is as it was before the first call.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from toolkit.data.bars import Bars
from toolkit.signals.causality.captured import captured, home_of, inner_of, names_inside, names_read, own
from toolkit.signals.causality.horizon import Horizon, cut, timed

DEEPEST = 3  # containers and instances inside each other


class Cutting:
    """Copies of a strategy that know no more than was known at a bar; the strategy itself if it holds nothing of the kind."""

    def __init__(self, strategy: Callable, bars: Bars) -> None:
        self.strategy, self.always = strategy, False
        self._horizon, self._home = Horizon.of(bars), home_of(strategy)
        self._pristine: dict[int, tuple[Any, Any]] = {}  # by id: what holds others, and what it held at first
        first = Copy(self._horizon, self._home, 0, len(bars), self._pristine)
        first.of_strategy(strategy)
        self.names = tuple(dict.fromkeys(first.found))  # of what is cut
        self._remembers = first.remembers

    def at(self, start: int, stop: int) -> Callable:
        """The strategy that knows the bars from `start` to before `stop` alone."""
        if not (self.names or self._remembers or self.always):
            return self.strategy
        return Copy(self._horizon, self._home, start, stop, self._pristine).of_strategy(self.strategy)


class Copy:
    """One copy: each function, cell, container and instance once."""

    def __init__(self, horizon: Horizon, home: str, start: int, stop: int, pristine: dict[int, tuple[Any, Any]]) -> None:
        self._horizon, self._home, self._span, self._pristine = horizon, home, (start, stop), pristine
        self._made: dict[int, Any] = {}
        self._spaces: dict[int, dict[str, Any]] = {}
        self.found: list[str] = []
        self.remembers = False

    def of_strategy(self, strategy: Any) -> Any:
        """The copy of a function, a partial, a method, or an instance that is called."""
        if isinstance(strategy, functools.partial | FunctionType | MethodType) or inner_of(strategy) is not None:
            return self.of(strategy, "")
        call = inner_of(getattr(strategy, "__call__", None))  # noqa: B004, the method is wanted
        mine = call is not None and own(type(strategy).__module__, self._home)
        return MethodType(self.of(call, ""), self.of(strategy, "self")) if mine else strategy

    def of(self, value: Any, name: str, depth: int = 0) -> Any:
        """The value as it was known; itself if there is nothing to cut."""
        if id(value) in self._made:
            return self._made[id(value)]
        if timed(value, self._horizon):
            self.found.append(name)
            made = cut(value, self._horizon, *self._span)
        elif isinstance(value, FunctionType):
            return self._function(value) if own(value.__module__, self._home) or "<locals>" in value.__qualname__ else value
        elif isinstance(value, functools.partial):
            arguments = [self.of(each, name, depth) for each in value.args]
            named = {key: self.of(each, key, depth) for key, each in value.keywords.items()}
            made = functools.partial(self.of(value.func, name, depth), *arguments, **named)
        elif isinstance(value, MethodType) and isinstance(value.__func__, FunctionType):
            made = MethodType(self.of(value.__func__, name), self.of(value.__self__, name, depth))
        elif hasattr(value, "cache_clear") and (inner := inner_of(value)) is not None and own(inner.__module__, self._home):
            self.remembers = True
            made = self._function(inner)
        else:
            return self._inside(value, name, depth)
        self._made[id(value)] = made
        return made

    def _inside(self, value: Any, name: str, depth: int) -> Any:
        """Containers, and instances of the user's own classes."""
        if depth >= DEEPEST or isinstance(value, type | ModuleType):
            return value
        if isinstance(value, tuple) and value:
            parts = [self.of(each, name, depth + 1) for each in value]
            changed = any(new is not old for new, old in zip(parts, value, strict=True))
            return value if not changed else tuple(parts) if type(value) is tuple else type(value)(*parts)
        if type(value) in {list, dict, set}:
            made = self._made[id(value)] = type(value)()
            held = self._first(value, value)
            if isinstance(made, dict):
                made.update({key: self.of(each, f"{name}[{key!r}]", depth + 1) for key, each in held.items()})
            elif isinstance(made, list):
                made.extend(self.of(each, name, depth + 1) for each in held)
            else:
                made.update(held)
            return made
        if hasattr(value, "__dict__") and own(type(value).__module__, self._home) and type(value).__module__ != "builtins":
            made = self._made[id(value)] = copy.copy(value)
            held = self._first(value, vars(value))
            vars(made).update({key: self.of(each, f"{name}.{key}", depth + 1) for key, each in held.items()})
            return made
        return value

    def _first(self, owner: Any, held: Any) -> Any:
        """What the owner held when it was first met."""
        if id(owner) not in self._pristine:
            self._pristine[id(owner)] = owner, copy.copy(held)
        return self._pristine[id(owner)][1]

    def _function(self, function: FunctionType) -> FunctionType:
        if id(function) in self._made:
            return self._made[id(function)]
        space = self._space(function.__globals__)
        cells = tuple(self._cell(cell) for cell in function.__closure__ or ())
        made = FunctionType(function.__code__, space, function.__name__, None, cells)
        self._made[id(function)] = made
        held = captured(function, self._home)
        for name, old, new in zip(function.__code__.co_freevars, function.__closure__ or (), cells, strict=True):
            if name in held.cells:
                new.cell_contents = self._read(function, name, old.cell_contents)
        if function.__defaults__:
            made.__defaults__ = tuple(self.of(each, f"a default of {function.__name__}") for each in function.__defaults__)
        if function.__kwdefaults__:
            made.__kwdefaults__ = {key: self.of(each, key) for key, each in function.__kwdefaults__.items()}
        vars(made).update({key: self.of(each, f"{function.__name__}.{key}") for key, each in held.attributes.items()})
        if own(function.__module__, self._home):
            for name in names_read(function.__code__):
                if name in function.__globals__:
                    space[name] = self._read(function, name, function.__globals__[name])
        return made

    def _read(self, function: FunctionType, name: str, value: Any) -> Any:
        """What a function reads by a name; a module of the user's with what the function may mean of it."""
        if not (isinstance(value, ModuleType) and own(value.__name__, self._home)):
            return self.of(value, name)
        made = self._made.get(id(value))
        if made is None:
            made = self._made[id(value)] = ModuleType(value.__name__)
            vars(made).update(vars(value))
        for inner in names_inside(function.__code__, vars(value)):
            vars(made)[inner] = self.of(vars(value)[inner], f"{name}.{inner}")
        return made

    def _space(self, names: dict[str, Any]) -> dict[str, Any]:
        if id(names) not in self._spaces:
            self._spaces[id(names)] = dict(names)
        return self._spaces[id(names)]

    def _cell(self, cell: CellType) -> CellType:
        return self._made.setdefault(id(cell), CellType())
