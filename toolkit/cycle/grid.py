"""The parameter sets of a sweep: which values each parameter takes, and which of them go together."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter
from toolkit.signals.conditions import Condition
from toolkit.signals.operands import plain

Given: TypeAlias = Mapping[str, Any] | pd.DataFrame | Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Grid:
    """Set i gives parameter k the value values[k][codes[k, i]]; codes: (n_parameters, n_sets)."""

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    codes: np.ndarray

    def __len__(self) -> int:
        return self.codes.shape[1]

    def at(self, i: int) -> dict[str, Any]:
        """The parameters of set i by name."""
        return {name: of[code] for name, of, code in zip(self.names, self.values, self.codes[:, i].tolist(), strict=True)}

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The values of each set, in the order of the names."""
        return zip(*([of[code] for code in codes] for of, codes in zip(self.values, self.codes.tolist(), strict=True)))

    def cut(self, first: int, last: int) -> Grid:
        """Sets `first` to `last` - 1."""
        return replace(self, codes=self.codes[:, first:last])

    def index(self, symbols: Sequence[str] = ()) -> pd.Index:
        """Labels of the sets, of each set with each symbol if there are any."""
        codes, levels, names = list(self.codes), list(self.values), list(self.names)
        if symbols:
            codes = [np.repeat(code, len(symbols)) for code in codes]
            codes.append(np.tile(np.arange(len(symbols)), len(self)))
            levels, names = [*levels, tuple(symbols)], [*names, "symbol"]
        if len(names) == 1:
            return pd.Index([levels[0][code] for code in codes[0]], name=names[0])
        return pd.MultiIndex(levels=[pd.Index(level) for level in levels], codes=codes, names=names)


def grid_of(given: Given, where: Callable[..., bool] | None = None) -> Grid:
    """All combinations of a mapping from names to values, or the rows of a frame or of a sequence of mappings.

    `where` is called with the parameters of each set and says whether to keep it. InvalidParameter for an empty grid.

    >>> grid = grid_of({"fast": [5, 10], "slow": [10, 20]}, where=lambda fast, slow: fast < slow)
    >>> [grid.at(i) for i in range(len(grid))]
    [{'fast': 5, 'slow': 10}, {'fast': 5, 'slow': 20}, {'fast': 10, 'slow': 20}]
    """
    grid = product(given) if isinstance(given, Mapping) else listed(given)
    if where is not None:
        try:
            keep = np.array([bool(where(**dict(zip(grid.names, row)))) for row in grid.rows()], dtype=bool)
        except Exception as error:  # it is foreign code
            what = f"where raised {type(error).__name__}: {error}"
            raise InvalidParameter(what, f"pass a function of {', '.join(grid.names)}") from error
        grid = replace(grid, codes=grid.codes[:, keep])
    if len(grid) == 0:
        raise InvalidParameter("the grid has no parameter set", "pass e.g. {'fast': [5, 10], 'slow': [20, 50]}")
    return grid


def product(given: Mapping[str, Any]) -> Grid:
    """Every value with every other."""
    values = tuple(distinct(str(name), each) for name, each in given.items())
    sizes = [len(each) for each in values]
    codes = np.indices(sizes).reshape(len(sizes), -1) if sizes else np.zeros((0, 0), dtype=int)
    return Grid(tuple(map(str, given)), values, codes)


def listed(given: pd.DataFrame | Sequence[Mapping[str, Any]]) -> Grid:
    """The sets as they stand."""
    table = given if isinstance(given, pd.DataFrame) else tabled(given)
    values, codes = [], np.zeros(table.shape[::-1], dtype=np.int64)
    for k, (name, column) in enumerate(table.items()):
        try:
            codes[k], found = pd.factorize(column, use_na_sentinel=False)
        except TypeError as error:
            raise untold(str(name), error) from error
        values.append(tuple(map(plain, found.tolist())))
    return Grid(tuple(map(str, table.columns)), tuple(values), codes)


def tabled(given: Any) -> pd.DataFrame:
    """A sequence of mappings as a frame; values stay the objects that they are."""
    if not isinstance(given, Sequence) or isinstance(given, str) or not all(isinstance(row, Mapping) for row in given):
        cure = "pass values by name, {'fast': [5, 10]}, a frame with a column a parameter, or a list of dicts"
        raise InvalidParameter(f"the grid is a {type(given).__name__}", cure)
    names = list(given[0]) if given else []
    for row in given:
        if set(row) != set(names):
            what = f"one set has {', '.join(map(str, row))}, the first {', '.join(map(str, names))}"
            raise InvalidParameter(what, "name the same parameters in each")
    return pd.DataFrame({name: pd.Series([row[name] for row in given], dtype=object) for name in names})


def distinct(name: str, given: Any) -> tuple[Any, ...]:
    """The values of a parameter, each once; a single one stands for itself."""
    several = isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping)
    try:
        return tuple(dict.fromkeys(map(plain, given if several else [given])))
    except TypeError as error:
        raise untold(name, error) from error


def untold(name: str, error: TypeError) -> InvalidParameter:
    return InvalidParameter(f"a value of {name} cannot be told apart from others: {error}", "pass tuples, not lists")


def check_taken(strategy: Callable[..., Any], name: str, names: Sequence[str]) -> None:
    """InvalidParameter unless the strategy takes parameters of these names, and needs no others."""
    known, needed, any_name = taken(strategy)
    for each in names:
        if each not in known and not any_name:
            near = difflib.get_close_matches(each, known, n=1)
            cure = f"it takes {', '.join(known)}" if known else "leave parameters free: above(lambda fast: sma(fast), sma(50))"
            cure = f"did you mean {near[0]!r}? {cure}" if near else cure
            raise InvalidParameter(f"{name} takes no parameter {each!r}", cure)
    missing = [each for each in needed if each not in names]
    if missing:
        raise InvalidParameter(f"the grid gives {name} no {missing[0]}", f"give values of {', '.join(needed)}")


def taken(strategy: Callable[..., Any]) -> tuple[list[str], list[str], bool]:
    """Names of the parameters of a strategy, those among them that it needs, and whether it takes any other name."""
    if isinstance(strategy, Condition):
        return list(strategy.parameters), list(strategy.parameters), False
    try:
        every = list(inspect.signature(strategy).parameters.values())
    except (TypeError, ValueError):
        what = f"the parameters of {strategy!r} are not known"
        raise InvalidParameter(what, "pass a function (bars, **parameters)") from None
    every = every[1:] if every and every[0].kind in {every[0].POSITIONAL_ONLY, every[0].POSITIONAL_OR_KEYWORD} else every
    named = [each for each in every if each.kind in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY}]
    needed = [each.name for each in named if each.default is each.empty]
    return [each.name for each in named], needed, any(each.kind == each.VAR_KEYWORD for each in every)
