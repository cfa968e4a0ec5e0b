"""What is kept in containers and instances: how much it is, whether it is labelled in time, and how it is put together anew."""

from __future__ import annotations

import copy
import datetime
from collections import UserDict, UserList, deque
from collections.abc import Iterable, Mapping, Sized
from itertools import compress
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from toolkit.signals.causality.horizon import Horizon

FEW = 64  # entries that are a setting, not a history
LISTED = list, tuple, set, frozenset, deque
ATOMS = {type(None), bool, int, float, complex, str, bytes, datetime.date, datetime.datetime, datetime.timedelta,
         pd.Timestamp, pd.Timedelta, pd.Period, np.float64, np.float32, np.int64, np.bool_, np.datetime64}  # fmt: skip
DATES = str, int, datetime.date, np.datetime64, np.integer, pd.Period  # types of labels that may be times
TABLES = np.ndarray, pd.DataFrame, pd.Series, pd.Index
OPEN = SimpleNamespace, UserDict, UserList  # of no module of the user's, and they hold what they are given


def is_container(value: Any) -> bool:
    """Whether the value holds others as its entries."""
    return isinstance(value, (dict, MappingProxyType, *LISTED))


def of_atoms(held: Any) -> bool:
    """Whether nothing can be inside the entries."""
    return all(type(each) in ATOMS for each in (held.values() if isinstance(held, Mapping) else held))


def known(held: Any, horizon: Horizon, start: int, stop: int) -> Any:
    """Of a container what was known of bars from `start` to before `stop`; None if neither labels nor count tell.

    They do where the keys of a dict or more than FEW entries are times, and where a sequence of more than FEW has as many
    entries as there are bars.
    """
    labelled = isinstance(held, Mapping) or (isinstance(held, LISTED) and len(held) > FEW)
    if labelled and len(held) and isinstance(next(iter(held)), DATES):
        rows = horizon.rows(held, start, stop)
        if rows is not None:
            return picked(held, rows)
    if isinstance(held, list | tuple | deque) and len(held) == horizon.n > FEW and not hasattr(held, "_fields"):
        return list(held)[start:stop] if isinstance(held, deque) else held[start:stop]
    return None


def picked(held: Any, rows: slice | np.ndarray) -> Any:
    """The entries at these positions: a dict of a mapping, a list of anything else."""
    if isinstance(rows, slice):
        chosen = np.zeros(len(held), bool)
        chosen[rows] = True
    else:
        chosen = np.isin(np.arange(len(held)), rows)
    if isinstance(held, Mapping):
        return dict(compress(held.items(), chosen.tolist()))
    return list(compress(held, chosen.tolist()))


def as_it_is(value: Any) -> Any:
    """A container of the same entries, which does not change with it."""
    return dict(value) if isinstance(value, MappingProxyType) else copy.copy(value)


def emptied(value: Any) -> Any:
    """A container of the same kind without entries, to be filled; None if it cannot be changed once made."""
    if isinstance(value, tuple | frozenset | MappingProxyType):
        return None
    if type(value) in {list, dict, set}:
        return type(value)()
    made = copy.copy(value)  # with its default factory, or its greatest length
    made.clear()
    return made


def filled(value: Any, made: Any, entries: Any) -> Any:
    """A container like `value`, with these entries; into `made` if it can be changed."""
    if made is None:
        if hasattr(value, "_fields"):
            return type(value)(*entries)
        return MappingProxyType(entries) if isinstance(value, MappingProxyType) else type(value)(entries)
    if isinstance(made, list | deque):
        made.extend(entries)
    else:
        made.update(entries)
    return made


def attributes(value: Any) -> dict[str, Any]:
    """What an instance holds by name, in its __dict__ and its __slots__."""
    slots = [name for owner in type(value).__mro__ for name in each_of(vars(owner).get("__slots__", ()))]
    held = {name: getattr(value, name) for name in slots if not name.startswith("__") and hasattr(value, name)}
    return held | getattr(value, "__dict__", {})


def each_of(slots: str | Iterable[str]) -> Iterable[str]:
    """The names of slots, of which one may stand alone."""
    return (slots,) if isinstance(slots, str) else slots


def sized(value: Any) -> str:
    """Kind and size of what has more than FEW entries, "list of 5,000"; "" for anything else.

    Text counts as one. Of what pandas makes of a frame (`loc`, `rolling`, `groupby`), the frame counts.
    """
    if isinstance(value, str | type):
        return ""
    if type(value).__module__.startswith("pandas.") and not isinstance(value, TABLES):
        measured = getattr(value, "obj", None)
    else:
        measured = value
    shape = measured.shape if isinstance(measured, TABLES) else (length(measured),)
    return f"{type(value).__name__} of {' x '.join(f'{n:,}' for n in shape)}" if max(shape, default=0) > FEW else ""


def length(value: Any) -> int:
    """Entries of what has some; 0 for what has none, or will not say."""
    try:
        return len(value) if isinstance(value, Sized) else 0
    except (TypeError, ValueError):  # a tensor without axes, a table that is not read yet
        return 0
