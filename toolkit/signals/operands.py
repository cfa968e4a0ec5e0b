"""What a declared comparison compares: indicators, fields, numbers, and functions of parameters that give one of these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.errors import InvalidParameter, ToolkitError
from toolkit.kernels.program import FEW, block
from toolkit.signals.declared import field, values
from toolkit.signals.formula import FIELDS, Indicator
from toolkit.signals.sets import check_members, computed

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

PRICES = FIELDS[:5]

Bound = Indicator | str | float  # an operand without free parameters


@dataclass(frozen=True, repr=False)
class Operand:
    """One side of a comparison: a declared indicator, a field of bars, a number, or a function of parameters to those."""

    what: Bound | Callable[..., Any]

    def __post_init__(self) -> None:
        what = checked(self.what)
        if callable(what) and not free(what):  # all of its parameters have defaults
            what = checked(what())
        object.__setattr__(self, "what", what)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of its free parameters: those of the function that have no default."""
        return free(self.what) if callable(self.what) else ()

    def at(self, **values: Any) -> Bound:
        """What it is for these values of its own parameters; InvalidParameter for a name too few or too many."""
        if values.keys() != set(self.parameters):
            check_names(str(self), self.parameters, values)
        return self.bound(values)

    def bound(self, values: Mapping[str, Any]) -> Bound:
        """As `at`, of values of which some may be meant for others."""
        if not callable(self.what):
            return self.what
        own = {name: plain(values[name]) for name in self.parameters}
        try:
            found = self.what(**own)
        except ToolkitError:
            raise
        except Exception as error:  # the function is foreign code
            what = f"{self} raised {type(error).__name__} at {shown(own)}: {error}"
            raise InvalidParameter(what, "try the function with these values") from error
        if callable(found):
            raise InvalidParameter(f"{self} gave a function at {shown(own)}", "return an indicator, a field or a number")
        return checked(found)

    def __repr__(self) -> str:
        if callable(self.what):
            return f"<{', '.join(self.parameters)}>"
        return repr(self.what).removesuffix(".0") if isinstance(self.what, float) else str(self.what)


def bank(wanted: Sequence[Bound], bars: Bars) -> np.ndarray:
    """The values of operands, float64 (n_operands, n_symbols, n_bars), bars side by side; of a number, the number throughout.

    Of many symbols all indicators are computed in one pass over the bars; of one or two it is faster one by one.
    """
    out = block(len(wanted), len(bars.symbols), len(bars))
    few = len(bars.symbols) <= FEW
    by_name = {name: field(bars, name) for name in fields_in(wanted)}
    rest = []
    for place, each in enumerate(wanted):
        if not isinstance(each, Indicator):
            out[place] = by_name[each] if isinstance(each, str) else each
        elif few and all(isinstance(name, str) for name in each.inputs):
            out[place] = values(replace(each, output=None), [by_name[str(name)] for name in each.inputs])[each.places[0]]
        else:
            rest.append(place)
    members = tuple(wanted[place] for place in rest)
    if members and len(rest) == len(wanted):
        computed(members, bars, out)  # type: ignore[arg-type]
    elif members:
        out[rest] = computed(members, bars)  # type: ignore[arg-type]
    return out


def fields_in(wanted: Iterable[Bound]) -> set[str]:
    """The fields that operands read, themselves or through indicators."""
    names = {each for each in wanted if isinstance(each, str)}
    return names.union(*(each.fields for each in wanted if isinstance(each, Indicator)))


def checked(what: Any) -> Any:
    """An operand; InvalidParameter for anything but an indicator of one output, a field, a number or a function."""
    if isinstance(what, Indicator):
        if what.into is not None:
            first = what.into._fields[0]  # type: ignore[attr-defined]
            raise InvalidParameter(f"{what} has several outputs", f"compare one of them, e.g. {what}[{first!r}]")
        check_members({"operand": what})
        return what
    if isinstance(what, Real) and not isinstance(what, bool | np.bool_) and not np.isnan(float(what)):
        return float(what)
    if isinstance(what, str) and what in PRICES:
        return what
    if callable(what) and not isinstance(what, type):
        return what
    given = repr(what) if isinstance(what, Real | str | None) else f"a {type(what).__name__}"
    cure = f"pass a declared indicator, a number, one of {', '.join(PRICES)}, or a function of parameters to one of these"
    raise InvalidParameter(f"an operand is {given}", cure)


def free(function: Callable[..., Any]) -> tuple[str, ...]:
    """The parameters of a function that have no default."""
    cure = "write e.g. lambda fast: sma(fast)"
    try:
        every = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InvalidParameter(f"the parameters of {function!r} are not known", cure) from None
    names = tuple(each.name for each in every if each.default is each.empty)
    if not every or not all(each.kind in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY} for each in every):
        raise InvalidParameter(f"an operand is a function of ({', '.join(map(str, every))})", f"name its parameters: {cure}")
    if set(names) & set(FIELDS):
        raise InvalidParameter(f"an operand is a function of prices, ({', '.join(names)})", cure)
    return names


def check_names(of: str, names: tuple[str, ...], values: Mapping[str, Any]) -> None:
    """Raises InvalidParameter unless there is a value for each name, and no other."""
    wrong = [name for name in values if name not in names]
    if wrong:
        cure = f"its parameters are {', '.join(names)}" if names else "it has no free parameters"
        raise InvalidParameter(f"{of} has no parameter {wrong[0]!r}", cure)
    missing = [name for name in names if name not in values]
    if missing:
        raise InvalidParameter(f"{of} is given no {missing[0]}", f"pass {', '.join(f'{name}=...' for name in names)}")


def plain(value: Any) -> Any:
    """A number of numpy as one of Python, so that names read alike."""
    return value.item() if isinstance(value, np.generic) else value


def shown(values: Mapping[str, Any]) -> str:
    """Values by name, as one writes them."""
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
