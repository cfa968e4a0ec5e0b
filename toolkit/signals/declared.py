"""How an indicator is called: `sma(close, 20)` computes, `sma(20)` declares.

What is declared can read other fields or other indicators, `ema(9).of(rsi(14))`, and be computed together with others in one
pass, or bar by bar: see `sets`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from toolkit.data.calendar import Calendar
from toolkit.data.intervals import dated
from toolkit.data.work import phase
from toolkit.errors import InvalidParameter
from toolkit.kernels.program import Program, Step, block
from toolkit.signals.formula import FIELDS, Formula, Indicator
from toolkit.signals.panels import is_bars, labelled, panel, same_labels

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

Values: TypeAlias = pd.Series | pd.DataFrame | np.ndarray
Given = tuple[list[Any], tuple[Any, ...], dict[str, Any]]  # data, then windows


def indicator(*inputs: str, into: type | None = None) -> Callable[[Callable[..., Formula]], Callable[..., Any]]:
    """Decorator of a function from windows to a formula: called with data first it computes, without it declares.

    inputs: ("close",) takes a Series, a frame, or an array (n_bars,) or (n_bars, n_symbols), or the closes of Bars; several
    fields take Bars, or each field so; names that are no fields ("x", "y") take a Series, frame or array each.
    """

    def decorate(function: Callable[..., Formula]) -> Callable[..., Any]:
        several = len(inputs) > 1 and set(inputs) <= set(FIELDS)
        data = ("bars",) if several else inputs
        signature = inspect.signature(function)
        usage = f"{function.__name__}({', '.join([*data, *map(shown, signature.parameters.values())])})"

        @functools.lru_cache(maxsize=512, typed=True)
        def kept(*arguments: Any, **options: Any) -> Indicator:
            return declare(*arguments, **options)

        def declare(*arguments: Any, **options: Any) -> Indicator:
            bound = bind(signature, usage, arguments, options)
            formula = function(*bound.args, **bound.kwargs)
            name = f"{function.__name__}({', '.join(map(repr, bound.arguments.values()))})"
            return Indicator(name, replace(formula, into=into), inputs)

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            given, windows, named = apart(inputs, data, usage, arguments, options)
            try:
                what = kept(*windows, **named)
            except TypeError as error:
                if "unhashable" not in str(error):
                    raise
                what = declare(*windows, **named)
            if not given:
                return what
            if len(given) == 1 and is_bars(given[0]):
                return of_fields(what, given[0])
            return of_prices(what, inputs, given)

        first = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in data]
        whole = signature.replace(
            parameters=[*first, *signature.parameters.values()], return_annotation=inspect.Signature.empty
        )
        call.__signature__ = whole  # type: ignore[attr-defined]
        declares = f"{function.__name__}({', '.join(map(shown, signature.parameters.values()))})"
        call.__doc__ = (
            f"{inspect.cleandoc(function.__doc__ or '')}\n\n`{declares}`, without data, declares it for an IndicatorSet.\n"
        )
        return call

    return decorate


def shown(parameter: inspect.Parameter) -> str:
    """A parameter as one writes it."""
    return parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"


def apart(
    inputs: tuple[str, ...], data: tuple[str, ...], usage: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> Given:
    """Data, and the windows that follow, by place and by name."""
    named, n = dict(options), 0
    while n < len(arguments) and n < len(inputs) and is_data(arguments[n]):
        n += 1
    for names in data, inputs[n:]:
        if names and all(name in named for name in names):
            return [*arguments[:n], *(named.pop(name) for name in names)], arguments[n:], named
    if n:
        n = 1 if is_bars(arguments[0]) else len(inputs)
        given = arguments[:n]
        if n > 1 and not all(map(is_data, given)) and data != inputs:
            cure = f"pass Bars, e.g. of Bars.from_frame(frame, symbol='XYZ'), or {', '.join(inputs)} one by one"
            raise InvalidParameter(f"{usage} reads several fields, it is given a {type(given[0]).__name__}", cure)
        return list(given), arguments[n:], named
    if any(map(is_data, arguments)):
        raise InvalidParameter(f"{usage} has its data first, it is given {arguments[0]!r}", "put windows after the data")
    return [], arguments, named


def is_data(value: object) -> bool:
    """Whether the value is meant as prices or bars: whatever is no window."""
    return not isinstance(value, Real | str | None)


def bind(
    signature: inspect.Signature, usage: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> inspect.BoundArguments:
    """The windows by name; InvalidParameter for one that is unknown, missing, or too many."""
    unknown = [name for name in options if name not in signature.parameters]
    if unknown:
        raise InvalidParameter(f"{usage} has no parameter {unknown[0]!r}", "name it as it is named there, or pass it by place")
    try:
        bound = signature.bind(*arguments, **options)
    except TypeError as error:
        raise InvalidParameter(f"{usage}: {error}", "pass data first, then windows; or windows alone, to declare") from None
    bound.apply_defaults()
    return bound


# ------------------------------------------------------------------------------------------------------------ computing
def of_prices(what: Indicator, names: tuple[str, ...], given: list[Any]) -> Any:
    """The indicator of Series, frames or arrays with the same labels, under the labels of the first.

    A Series beside a frame of the same times is one for all symbols.
    """
    if len(given) != len(names):
        raise InvalidParameter(f"{what} needs {' and '.join(names)}", f"pass {len(names)} Series, frames or arrays")
    rows = [panel(each, name) for name, each in zip(names, given, strict=True)]
    for i in range(1, len(rows)):
        check_together(names[0], given[0], names[i], given[i])
        rows[i] = np.broadcast_to(rows[i], rows[0].shape)
    return wrapped(what, values(what, rows), given[0])


def check_together(name: str, first: Any, other_name: str, other: Any) -> None:
    """Raises InvalidParameter unless the other has the labels of the first, or is a Series of its times."""
    one_for_all = isinstance(first, pd.DataFrame) and isinstance(other, pd.Series)
    if (type(other) is not type(first) or other.shape != first.shape) and not (one_for_all and len(other) == len(first)):
        cure = "pass two of a kind, with the same labels"
        raise InvalidParameter(f"{name} and {other_name} differ in kind or shape", cure)
    if isinstance(first, pd.Series | pd.DataFrame) and not same_labels(first.index, other.index):
        raise InvalidParameter(f"{name} and {other_name} have different times", f"bring {other_name} to the times of {name}")
    if isinstance(first, pd.DataFrame) and not one_for_all and not same_labels(first.columns, other.columns):
        raise InvalidParameter(f"{name} and {other_name} have different columns", f"select the columns of {name}")


def of_fields(what: Indicator, bars: Bars) -> Any:
    """The indicator of the fields of Bars, as frames."""
    unread = [name for name in what.fields if name not in FIELDS]
    if unread:
        raise InvalidParameter(f"{what} does not say what {unread[0]} is", f"pass two frames, e.g. bars.{FIELDS[1]}")
    return wrapped(what, values(what, [field(bars, str(name)) for name in what.inputs]), bars.close)


def field(bars: Bars, name: str) -> np.ndarray:
    """A field of Bars (n_symbols, n_bars), read-only; `session_start` is 1.0 at the first bar of each session, else 0.0.

    Without a calendar a day in UTC is a session.
    """
    if name != "session_start":
        return bars.field(FIELDS.index(name))
    labels = bars.index.as_unit("ns").asi8.view("M8[ns]")
    if dated(bars.interval):
        session = np.arange(len(labels))
    elif bars.calendar:
        session = Calendar(bars.calendar).sessions_of(labels, bars.interval)
    else:
        session = labels.astype("M8[D]").astype(np.int64)
    starts = (np.diff(session, prepend=-2) != 0).astype(np.float64)
    return np.broadcast_to(starts, (len(bars.symbols), len(labels)))


@phase("kernels")
def values(what: Indicator, rows: list[np.ndarray]) -> np.ndarray:
    """Outputs (n_outputs, n_symbols, n_bars) of float64 rows (n_symbols, n_bars), one for each input."""
    n_outputs, shape = len(what.places), rows[0].shape
    if what.formula.lookback >= shape[1]:
        return np.full((n_outputs, *shape), np.nan)
    program = alone(what.formula, len(rows))
    if shape[0] == 1:
        return program.row(*[row[0] for row in rows])[:, None]
    out = block(n_outputs, *shape)
    program.run(rows, out)
    return out


def wrapped(what: Indicator, outputs: np.ndarray, like: Any) -> Any:
    """The outputs under the labels of `like`, in the NamedTuple of the indicator where there are several."""
    into = what.into
    return labelled(outputs[0], like) if into is None else into(*[labelled(rows, like) for rows in outputs])


@functools.lru_cache(maxsize=512)
def alone(formula: Formula, n_inputs: int) -> Program:
    """The program of one formula that reads fields, all of its outputs."""
    formula.check_room()
    slots = tuple(range(n_inputs + formula.n_outputs))
    step = Step(formula.kernel, slots[:n_inputs], slots[n_inputs:], formula.parameters, formula.room)
    return Program(n_inputs, [step], formula.reach, formula.align)
