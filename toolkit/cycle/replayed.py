"""A cycle beside itself: what was kept of it, what came out again, and where the two differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import pandas as pd

from toolkit.execution.orders import untypeset

NOTHING = "nothing"  # on the side on which there is none


class Difference(NamedTuple):
    """One value that came out otherwise: the stage, what it is of, as it was kept, and as it is now."""

    stage: str
    what: str
    kept: Any
    again: Any

    def __str__(self) -> str:
        return f"{self.stage}: {self.what} was {self.kept}, it is {self.again}"


def differing(stage: str, kept: Mapping[str, Any], again: Mapping[str, Any]) -> list[Difference]:
    """Values that are not the same to the bit; NaN is NaN, and what is missing on one side differs.

    >>> differing("scores", {"IBM": 0.5, "FB": float("nan")}, {"IBM": 0.25, "FB": float("nan")})
    [Difference(stage='scores', what='IBM', kept=0.5, again=0.25)]
    """
    names = [*kept, *(name for name in again if name not in kept)]
    pairs = [(name, kept.get(name, NOTHING), again.get(name, NOTHING)) for name in names]
    return [Difference(stage, name, one, two) for name, one, two in pairs if one != two and not (one != one and two != two)]


@dataclass(frozen=True, repr=False)
class Replayed:
    """One cycle done again. `compared` names the stages that could be looked at; `note` says what is to be known beside."""

    cycle: str
    session: pd.Timestamp
    compared: tuple[str, ...]
    found: tuple[Difference, ...] = ()
    orders: int = 0  # planned, denied and cut
    note: str = ""

    @property
    def same(self) -> bool:
        """Whether every bit that was compared came out again."""
        return not self.found

    @property
    def differences(self) -> pd.DataFrame:
        """One row a difference: stage, what, kept, again."""
        return pd.DataFrame(list(self.found), columns=list(Difference._fields))

    def _lines(self) -> list[str]:
        n = len(self.found)
        told = "the same, bit for bit" if self.same else f"NOT THE SAME in {n} place{'s' * (n > 1)}"
        head = f"cycle {self.cycle} of {self.session:%Y-%m-%d} again: {told}"
        lines = [head, f"compared: {', '.join(self.compared)}; {self.orders} orders"]
        return lines + ([f"note: {self.note}"] if self.note else [])

    def __repr__(self) -> str:
        return "\n".join([*self._lines(), *(f"  {each}" for each in self.found)])

    def _repr_html_(self) -> str:
        head, *rest = map(escape, self._lines())
        table = "" if self.same else self.differences.to_html(index=False)
        return untypeset(f"<b>{head}</b>{''.join(f'<br>{line}' for line in rest)}{table}")
