"""Limits of risk: how much room is left under each, and when one was broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter


class Limit(NamedTuple):
    """The most that a measure may be, in its unit: one of `report.MEASURES`, e.g. Limit("leverage", 1.0)."""

    measure: str
    most: float


class Breach(NamedTuple):
    """A measure above its limit from the bar `began` until `ended`, the first bar within it again (None: it lasts)."""

    measure: str
    began: pd.Timestamp
    ended: pd.Timestamp | None
    worst: float
    most: float


def within(value: float, most: float) -> bool:
    """Whether the limit holds; a value that is not known does not hold it."""
    return bool(value <= most)


def headroom(values: Mapping[str, float], limits: Iterable[Limit]) -> pd.DataFrame:
    """One row a limit: measure, value, limit, headroom (limit - value), used (value / limit), breached.

    NaN counts as breached: what cannot be measured is not within a limit.
    """
    rows = [
        (m, values[m], most, most - values[m], values[m] / most if most else np.nan, not within(values[m], most))
        for m, most in limits
    ]
    frame = pd.DataFrame(rows, columns=["measure", "value", "limit", "headroom", "used", "breached"])
    return frame.astype({"breached": bool}).set_index("measure")


def noted(
    breaches: Sequence[Breach], values: Mapping[str, float], limits: Iterable[Limit], label: pd.Timestamp
) -> list[Breach]:
    """The breaches with what the bar `label` adds: one begins, one lasts and may get worse, one ends."""
    open_at = {each.measure: at for at, each in enumerate(breaches) if each.ended is None}
    out = list(breaches)
    for measure, most in limits:
        value, at = values[measure], open_at.get(measure)
        if within(value, most):
            if at is not None:
                out[at] = out[at]._replace(ended=label)
        elif at is None:
            out.append(Breach(measure, label, None, value, most))
        elif not value <= out[at].worst:
            out[at] = out[at]._replace(worst=value)
    return out


def breach_history(measures: pd.DataFrame, limits: Sequence[Limit]) -> tuple[Breach, ...]:
    """Breaches in a history of measures: one row a bar, one column a measure that is limited."""
    missing = [limit.measure for limit in limits if limit.measure not in measures]
    if missing:
        raise InvalidParameter(f"measures have no column {missing[0]!r}", f"limit one of {', '.join(map(str, measures))}")
    breaches: list[Breach] = []
    names = [limit.measure for limit in limits]
    for label, row in zip(measures.index, measures[names].to_numpy(np.float64)):
        breaches = noted(breaches, dict(zip(names, row.tolist())), limits, label)
    return tuple(breaches)


def breach_table(breaches: Iterable[Breach]) -> pd.DataFrame:
    """One row a breach."""
    return pd.DataFrame(list(breaches), columns=list(Breach._fields))
