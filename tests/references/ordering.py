"""Rolling ranks, medians and quantiles."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pandas as pd

from toolkit.signals.indicators import ordering as ours

from .case import Case, rolling


def rank(values: list[float]) -> float:
    """Mean of the places that values equal to the newest have in the sorted window."""
    return statistics.fmean(place for place, value in enumerate(sorted(values), 1) if value == values[-1])


def quantile(values: list[float], fraction: float) -> float:
    ordered, place = sorted(values), fraction * (len(values) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


TABLE = {
    "rolling_rank": Case(
        ours.rolling_rank(20),
        {
            "definition": lambda one: (rolling(one.close, 20, rank),),
            "pandas": lambda one: (pd.Series(one.close).rolling(20).rank().to_numpy(),),
        },
        window=20,
        power=0,
        tolerance=0.0,
    ),
    "percentile_rank": Case(
        ours.percentile_rank(20),
        {
            "definition": lambda one: (rolling(one.close, 20, lambda values: rank(values) / 20.0),),
            "pandas": lambda one: (pd.Series(one.close).rolling(20).rank(pct=True).to_numpy(),),
        },
        window=20,
        power=0,
        tolerance=0.0,
    ),
    "rolling_median": Case(
        ours.rolling_median(20),
        {
            "definition": lambda one: (rolling(one.close, 20, statistics.median),),
            "pandas": lambda one: (pd.Series(one.close).rolling(20).median().to_numpy(),),
        },
        window=20,
        tolerance=1e-15,
    ),
    "rolling_median, odd": Case(
        ours.rolling_median(5),
        {
            "definition": lambda one: (rolling(one.close, 5, statistics.median),),
            "pandas": lambda one: (pd.Series(one.close).rolling(5).median().to_numpy(),),
        },
        window=5,
        tolerance=0.0,
    ),
    "rolling_quantile": Case(
        ours.rolling_quantile(20, 0.9),
        {
            "definition": lambda one: (rolling(one.close, 20, lambda values: quantile(values, 0.9)),),
            "numpy": lambda one: (rolling(one.close, 20, lambda values: float(np.quantile(values, 0.9))),),
            "pandas": lambda one: (pd.Series(one.close).rolling(20).quantile(0.9).to_numpy(),),
        },
        window=20,
        tolerance=1e-15,
    ),
}
