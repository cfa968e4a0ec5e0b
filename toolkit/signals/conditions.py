"""Conditions said but not yet computed: comparisons of declared indicators that can be scored, streamed and swept.

`above(sma(5), sma(20))` of `rules` declares one; `&`, `|`, `~` and `hold_between` put them together. What is unknown decides
nothing (Kleene's logic, as that of SQL): False & unknown is False, True | unknown is True, all else with unknown is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter
from toolkit.signals.events import latched
from toolkit.signals.formula import Indicator
from toolkit.signals.indicators import sma
from toolkit.signals.operands import Bound, Operand, bank, check_names
from toolkit.signals.panels import is_bars
from toolkit.signals.sets import IndicatorSet
from toolkit.signals.strategies import Row, Strategy

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

UNKNOWN = np.int8(-128)  # no opinion, in `Condition.rows`
COMPARISONS = "above", "below", "crossed_above", "crossed_below"

Verdict = tuple[np.ndarray, np.ndarray]  # where it holds and where it does not; where neither, it is unknown
Latch = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # `events.latched`, or the same bar by bar


@dataclass(frozen=True, repr=False)
class Condition:
    """A condition on indicators, fields and numbers; without free parameters it is a strategy, called with Bars.

    Scores are 1.0 where it holds, 0.0 where not, and NaN where an unknown operand leaves that open: no opinion, a position
    survives. kind: one of COMPARISONS, of two operands, or between, and, or, not, hold_between, of conditions.
    Made by `above`, `below`, `between`, `crossed_above`, `crossed_below` and `hold_between`, and by `&`, `|` and `~`. It can be
    pickled, if its functions can.
    """

    kind: str
    parts: tuple[Any, ...]

    # ------------------------------------------------------------------------------------------------------ put together
    def __and__(self, other: Condition) -> Condition:
        return joined("and", self, other)

    def __or__(self, other: Condition) -> Condition:
        return joined("or", self, other)

    def __invert__(self) -> Condition:
        return self.parts[0] if self.kind == "not" else Condition("not", (self,))

    def __bool__(self) -> bool:
        raise InvalidParameter(f"{self} is true at some bars and not at others", "combine conditions with &, | and ~")

    # -------------------------------------------------------------------------------------------------------- parameters
    @cached_property
    def leaves(self) -> tuple[Condition, ...]:
        """Its comparisons, each of operands `a` and `b`, in the order in which they are written."""
        if self.kind in COMPARISONS:
            return (self,)
        return tuple(leaf for part in self.parts for leaf in part.leaves)

    @property
    def a(self) -> Operand:
        """The first operand of a comparison."""
        return self._operands()[0]

    @property
    def b(self) -> Operand:
        """The second operand of a comparison."""
        return self._operands()[1]

    def _operands(self) -> tuple[Operand, Operand]:
        if self.kind not in COMPARISONS:
            raise InvalidParameter(f"{self} is not a single comparison", "look at those in .leaves")
        return self.parts

    @cached_property
    def operands(self) -> tuple[Operand, ...]:
        """What it compares, each once."""
        return tuple(dict.fromkeys(side for leaf in self.leaves for side in leaf.parts))

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of its free parameters, in the order in which they are written."""
        return tuple(dict.fromkeys(name for side in self.operands for name in side.parameters))

    def at(self, **values: Any) -> Condition:
        """The condition with these values of its parameters; InvalidParameter for a name too few or too many."""
        check_names(str(self), self.parameters, values)
        return self._at(values)

    def _at(self, values: Mapping[str, Any]) -> Condition:
        if self.kind in COMPARISONS:
            return compared(self.kind, *(side.bound(values) for side in self.parts))
        return replace(self, parts=tuple(part._at(values) for part in self.parts))

    # ----------------------------------------------------------------------------------------------------------- values
    def told(self, value: Callable[[Bound], Any], latch: Latch = latched) -> Verdict:
        """Where it holds and where not, of the values of its operands: arrays of one shape, bars along the last axis."""
        if self.kind in COMPARISONS:
            a, b = value(self.parts[0].what), value(self.parts[1].what)
            yes, no = (a > b, a <= b) if self.kind.endswith("above") else (a < b, a >= b)
            if self.kind.startswith("crossed"):
                crossed = yes & latch(no, yes)[0]
                return crossed, (yes | no) & ~crossed
            return yes, no
        verdicts = [part.told(value, latch) for part in self.parts]
        (yes, no), (also, nor) = verdicts[0], verdicts[-1]
        if self.kind == "hold_between":  # from yes to also: what may be an exit is no entry
            _, inside = latch(yes & nor, also)
            known = also | ((yes | no) & nor)
            return inside & known, known & ~inside
        if self.kind == "not":
            return no, yes
        if self.kind == "between":  # neither below nor above
            return no & nor, yes | also
        return (yes & also, no | nor) if self.kind == "and" else (yes | also, no & nor)

    def rows(self, bars: Bars) -> np.ndarray:
        """1 where it holds, 0 where not, UNKNOWN where that is open: int8, (n_symbols, n_bars), bars side by side.

        All indicators are computed in one pass over the bars. Raises InvalidParameter while parameters are free.
        """
        self._check_bound()
        if not is_bars(bars):
            cure = "pass Bars, e.g. of Bars.from_frame(frame, symbol='XYZ')"
            raise InvalidParameter(f"{self} is given a {type(bars).__name__}", cure)
        wanted = [side.what for side in self.operands]
        yes, no = self.told(dict(zip(wanted, bank(wanted, bars), strict=True)).__getitem__)  # type: ignore[arg-type]
        rows = yes.astype(np.int8)
        rows[~(yes | no)] = UNKNOWN
        return rows

    def __call__(self, bars: Bars) -> pd.DataFrame:
        """Scores (n_bars, n_symbols): 1.0, 0.0, or NaN for no opinion."""
        rows = self.rows(bars)
        scores = np.where(rows == UNKNOWN, np.nan, rows)
        return pd.DataFrame(scores.T, index=bars.index, columns=pd.Index(bars.symbols), copy=False)

    def strategy(self, name: str | None = None) -> Strategy:
        """The same as a declared strategy, bar by bar, with the same scores to the last bit; by default named as it reads."""
        self._check_bound()
        members: dict[str, Indicator] = {}
        for side in self.operands:
            if isinstance(side.what, Indicator) and members.setdefault(str(side), side.what) != side.what:
                raise InvalidParameter(f"{self} has two different indicators {side}", "give their functions different names")
        rule = BarByBar(self)
        return Strategy(name or str(self), IndicatorSet(members or {str(sma(1)): sma(1)}), rule, memory=rule.latches)

    def _check_bound(self) -> None:
        if self.parameters:
            cure = f"bind it with .at({', '.join(f'{name}=...' for name in self.parameters)}), or sweep it"
            raise InvalidParameter(f"{self} has free parameters", cure)

    # --------------------------------------------------------------------------------------------------------- how it reads
    @property
    def __name__(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        if self.kind == "between":
            low, high = self.parts
            return f"between({low.a}, {low.b}, {high.b})"
        if self.kind in {"and", "or"}:
            inner = [f"({part})" if part.kind in {"and", "or"} and part.kind != self.kind else str(part) for part in self.parts]
            return (" & " if self.kind == "and" else " | ").join(inner)
        if self.kind == "not":
            return f"~({self.parts[0]})" if self.parts[0].kind in {"and", "or"} else f"~{self.parts[0]}"
        return f"{self.kind}({', '.join(map(str, self.parts))})"


@dataclass(frozen=True)
class BarByBar:
    """A condition as the rule of a declared strategy; its latches are the memory."""

    condition: Condition

    @property
    def latches(self) -> int:
        """How many of its parts remember the bar before."""
        return count(self.condition)

    def __call__(self, now: Row, before: Row, held: np.ndarray, memory: np.ndarray | None = None) -> Any:
        was, states = iter(() if memory is None else memory > 0.0), []

        def value(what: Bound) -> Any:
            return what if isinstance(what, float) else now[str(what)]

        def latch(entry: np.ndarray, leave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            state = next(was)
            states.append((state | entry) & ~leave)
            return state, states[-1]

        yes, no = self.condition.told(value, latch)
        scores = np.where(yes, 1.0, np.where(no, 0.0, np.nan))
        return scores if memory is None else (scores, np.array(states, dtype=np.float64))


def count(condition: Condition) -> int:
    """Parts of a condition that remember: crossings, and what is held between two others."""
    if condition.kind in COMPARISONS:
        return int(condition.kind.startswith("crossed"))
    return int(condition.kind == "hold_between") + sum(map(count, condition.parts))


def compared(kind: str, a: Any, b: Any) -> Condition:
    """The comparison of two operands; InvalidParameter for anything that is none, and where both are numbers."""
    parts = tuple(Operand(getattr(side, "what", side)) for side in (a, b))
    if all(isinstance(side.what, float) for side in parts):
        raise InvalidParameter(f"{kind}({parts[0]}, {parts[1]}) compares two numbers", "compare an indicator or a field")
    return Condition(kind, parts)


def joined(kind: str, *parts: Any) -> Condition:
    """Conditions put together; InvalidParameter for anything that is none."""
    for part in parts:
        if not isinstance(part, Condition):
            cure = "pass declared conditions, e.g. above(sma(5), sma(20)), or frames alone"
            given = repr(part) if isinstance(part, Real | str | None) else f"a {type(part).__name__}"
            raise InvalidParameter(f"{given} is no declared condition", cure)
    return Condition(kind, parts)
