"""Indicators said but not yet computed: a formula, the fields that it reads, and how its outputs are named.

`sma(close, 20)` computes, `sma(20)` declares. What is declared can read other fields or other indicators, `ema(9).of(rsi(14))`,
and be computed together with others in one pass, or bar by bar: see `sets`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from toolkit.data.calendar import Calendar
from toolkit.data.intervals import dated
from toolkit.errors import InvalidParameter, InvalidWindow
from toolkit.kernels.jit import Kernel
from toolkit.kernels.program import Program, Step, block
from toolkit.signals.panels import labelled, panel, same_labels

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

FIELDS = "open", "high", "low", "close", "volume", "session_start"
MOST_ROOM = 2**25  # 2 GB for eight symbols
Values: TypeAlias = pd.Series | pd.DataFrame | np.ndarray


@dataclass(frozen=True)
class Formula:
    """What a kernel needs for one choice of windows.

    room: items of memory; lookback: bars before the first value; reach: bars after which nothing older is felt, None where
    an average remembers everything; align: blocks of windows begin at multiples of it; into: NamedTuple of several outputs.
    """

    kernel: Kernel
    parameters: tuple[float, ...]
    room: int
    lookback: int
    reach: int | None = None
    align: int = 1
    into: type | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.into._fields if self.into is not None else ("",)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Indicator:
    """A declared indicator: what it is called, its formula, and what it reads: names of fields, or other indicators."""

    name: str
    formula: Formula
    inputs: tuple[str | Indicator, ...]

    def __str__(self) -> str:
        return self.name

    def of(self, *inputs: str | Indicator) -> Indicator:
        """The same formula of other fields or of other indicators of one output.

        InvalidParameter for a field that bars lack, or another count of inputs.
        """
        if len(inputs) != len(self.inputs):
            raise InvalidParameter(f"{self.name} reads {len(self.inputs)} inputs, {len(inputs)} are given", "name each")
        for each in inputs:
            if isinstance(each, Indicator) and each.formula.into is not None:
                raise InvalidParameter(f"{each.name} has several outputs", "pass an indicator of one output")
            if not isinstance(each, Indicator) and each not in FIELDS:
                raise InvalidParameter(f"{each!r} is neither a field nor an indicator", f"fields are {', '.join(FIELDS)}")
        return replace(self, name=f"{self.name} of {', '.join(map(str, inputs))}", inputs=inputs)


def indicator(*inputs: str, into: type | None = None) -> Callable[[Callable[..., Formula]], Callable[..., Any]]:
    """Decorator of a function from windows to a formula: called with data first it computes, without it declares.

    inputs: ("close",) takes a Series, a frame, or an array (n_bars,) or (n_bars, n_symbols); several fields take Bars;
    names that are no fields ("x", "y") take a Series, frame or array each.
    """

    def decorate(function: Callable[..., Formula]) -> Callable[..., Any]:
        of_bars = len(inputs) > 1 and set(inputs) <= set(FIELDS)
        data = ("bars",) if of_bars else inputs
        signature = inspect.signature(function)
        declared = functools.lru_cache(maxsize=512, typed=True)(lambda *a, **k: declare(*a, **k))

        def declare(*arguments: Any, **options: Any) -> Indicator:
            try:
                shown = signature.bind(*arguments, **options)
            except TypeError as error:
                what = f"{function.__name__}{call.__signature__} cannot be called so: {error}"  # type: ignore[attr-defined]
                raise InvalidParameter(what, "pass data first, then windows; or windows alone, to declare") from None
            shown.apply_defaults()
            formula = function(*shown.args, **shown.kwargs)
            name = f"{function.__name__}({', '.join(f'{value!r}' for value in shown.arguments.values())})"
            return Indicator(name, replace(formula, into=into), inputs)

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            given = [options.pop(name) for name in data if name in options]
            if not given and arguments and is_data(arguments[0]):
                given, arguments = list(arguments[: len(data)]), arguments[len(data) :]
            try:
                what = declared(*arguments, **options)
            except TypeError as error:
                if "unhashable" not in str(error):
                    raise
                what = declare(*arguments, **options)
            if not given:
                return what
            return of_fields(what, given[0]) if of_bars else of_prices(what, data, given)

        before = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in data]
        call.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*before, *signature.parameters.values()], return_annotation=inspect.Signature.empty
        )
        return call

    return decorate


def is_data(value: object) -> bool:
    """Whether the value is meant as prices or bars: whatever is no window."""
    return not isinstance(value, Real | str | None)


def of_prices(what: Indicator, names: tuple[str, ...], given: list[Any]) -> Any:
    """The indicator of Series, frames or arrays with the same labels, under these labels."""
    if len(given) != len(names):
        raise InvalidParameter(f"{what.name} needs {' and '.join(names)}", f"pass {len(names)} Series, frames or arrays")
    first, rows = given[0], [panel(each, name) for name, each in zip(names, given, strict=True)]
    for name, other in zip(names[1:], given[1:], strict=True):
        if type(other) is not type(first) or other.shape != first.shape:
            raise InvalidParameter(f"{names[0]} and {name} differ in kind or shape", "pass two of a kind, with the same labels")
        if isinstance(first, pd.Series | pd.DataFrame) and not same_labels(first.index, other.index):
            raise InvalidParameter(f"{names[0]} and {name} have different times", f"bring {name} to the times of {names[0]}")
        if isinstance(first, pd.DataFrame) and not same_labels(first.columns, other.columns):
            raise InvalidParameter(f"{names[0]} and {name} have different columns", f"select the columns of {names[0]}")
    return wrapped(what, values(what, rows), first)


def of_fields(what: Indicator, bars: Bars) -> Any:
    """The indicator of the fields of Bars, as frames."""
    if not hasattr(bars, "fingerprint"):
        raise InvalidParameter(f"{what.name} is given a {type(bars).__name__}", "pass Bars: it reads several fields")
    return wrapped(what, values(what, [field(bars, str(name)) for name in what.inputs]), bars.close)


def field(bars: Bars, name: str) -> np.ndarray:
    """A field of Bars (n_symbols, n_bars), read-only; `session_start` is 1.0 at the first bar of each session, else 0.0.

    Without a calendar a day in UTC is a session.
    """
    if name != "session_start":
        return panel(getattr(bars, name), name)
    labels = bars.index.as_unit("ns").asi8.view("M8[ns]")
    if dated(bars.interval):
        session = np.arange(len(labels))
    elif bars.calendar:
        session = Calendar(bars.calendar).sessions_of(labels, bars.interval)
    else:
        session = labels.astype("M8[D]").astype(np.int64)
    starts = (np.diff(session, prepend=-2) != 0).astype(np.float64)
    return np.broadcast_to(starts, (len(bars.symbols), len(labels)))


def values(what: Indicator, rows: list[np.ndarray]) -> np.ndarray:
    """Outputs (n_outputs, n_symbols, n_bars) of float64 rows (n_symbols, n_bars), one for each input."""
    if what.formula.lookback >= rows[0].shape[1]:
        return np.full((len(what.formula.outputs), *rows[0].shape), np.nan)
    program = alone(what.formula, len(rows))
    if len(rows[0]) == 1:
        return program.row(*[row[0] for row in rows])[:, None]
    out = block(len(what.formula.outputs), *rows[0].shape)
    program.run(rows, out)
    return out


def wrapped(what: Indicator, block: np.ndarray, like: Any) -> Any:
    """The outputs under the labels of `like`, in the NamedTuple of the indicator where there are several."""
    into = what.formula.into
    return labelled(block[0], like) if into is None else into(*[labelled(rows, like) for rows in block])


@functools.lru_cache(maxsize=512)
def alone(formula: Formula, n_inputs: int) -> Program:
    """The program of one formula that reads fields; InvalidWindow if no memory would hold its windows."""
    check_room(formula)
    slots = tuple(range(n_inputs + len(formula.outputs)))
    step = Step(formula.kernel, slots[:n_inputs], slots[n_inputs:], formula.parameters, formula.room)
    return Program(n_inputs, [step], formula.reach, formula.align)


def check_room(formula: Formula) -> None:
    """Raises InvalidWindow where the windows are beyond the memory of any history."""
    if formula.room > MOST_ROOM:
        windows = ", ".join(f"{p:g}" for p in formula.parameters)
        what = f"{formula.kernel.name} with {windows} would carry {formula.room:,} numbers"
        raise InvalidWindow(f"{what} for each symbol", f"choose shorter windows, together below {MOST_ROOM:,} numbers")
