"""What a row of the table of truth is, and the plain Python that several references are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.data.bars import Bars
from toolkit.signals.declared import Indicator, of_fields

Outputs = tuple[np.ndarray, ...]


class One(NamedTuple):
    """The bars of one symbol, (n_bars,) each."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray


class Case(NamedTuple):
    """`what` is declared, or maps Bars to a tuple of frames; a reference maps the bars of one symbol to a tuple of arrays."""

    what: Indicator | Callable[[Bars], tuple[pd.DataFrame, ...]]
    references: dict[str, Callable[[One], Outputs]]
    window: int  # bars that the value of a bar depends on; 0 for averages that remember everything
    power: int = 1  # the value scales with this power of the price (volumes by its inverse)
    tolerance: float = 1e-12  # relative to the largest value
    note: str = ""

    def ours(self, bars: Bars) -> tuple[pd.DataFrame, ...]:
        """Our outputs of the bars."""
        if not isinstance(self.what, Indicator):
            return self.what(bars)
        outputs = of_fields(self.what, bars)
        return tuple(outputs) if isinstance(outputs, tuple) else (outputs,)


def rolling(close: np.ndarray, window: int, function: Callable[[list[float]], float]) -> np.ndarray:
    """The function of each window, straight from the definition; NaN where one of its values is not finite."""
    values = np.full(len(close), np.nan)
    for end in range(window, len(close) + 1):
        held = close[end - window : end].tolist()
        if all(map(math.isfinite, held)):
            values[end - 1] = function(held)
    return values


def exact_mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def smoothed(values: Iterable[float], span: int, weight: float) -> np.ndarray:
    """Plain mean of the first `span` values, then average += weight * (value - average); NaN is passed over."""
    averages, seed, average = [], [], math.nan
    for value in values:
        if not math.isfinite(value):
            averages.append(math.nan)
            continue
        if len(seed) < span:
            seed.append(value)
            average = math.fsum(seed) / span if len(seed) == span else math.nan
        else:
            average += weight * (value - average)
        averages.append(average)
    return np.array(averages)
