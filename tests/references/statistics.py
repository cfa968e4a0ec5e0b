"""Rolling statistics."""

from __future__ import annotations

import statistics

import pandas as pd
import talib

from toolkit.signals import rolling_max, rolling_min, rolling_std

from .case import Case, rolling

TABLE = {
    "rolling_std": Case(
        lambda bars: (rolling_std(bars.close, 20),),
        {
            "exact fractions": lambda one: (rolling(one.close, 20, statistics.stdev),),
            "pandas": lambda one: (pd.Series(one.close).rolling(20).std().to_numpy(),),
        },
        window=20,
        tolerance=1e-10,
        note="pandas slides its sums and loses digits, hence the tolerance; TA-Lib has ddof 0, pandas and we 1",
    ),
    "rolling_std, population": Case(
        lambda bars: (rolling_std(bars.close, 20, ddof=0),),
        {"TA-Lib": lambda one: (talib.STDDEV(one.close, 20),)},
        window=20,
    ),
    "rolling_max": Case(
        lambda bars: (rolling_max(bars.close, 20),),
        {
            "definition": lambda one: (rolling(one.close, 20, max),),
            "TA-Lib": lambda one: (talib.MAX(one.close, 20),),
            "pandas": lambda one: (pd.Series(one.close).rolling(20).max().to_numpy(),),
        },
        window=20,
        tolerance=0.0,
    ),
    "rolling_min": Case(
        lambda bars: (rolling_min(bars.close, 20),),
        {
            "definition": lambda one: (rolling(one.close, 20, min),),
            "TA-Lib": lambda one: (talib.MIN(one.close, 20),),
            "pandas": lambda one: (pd.Series(one.close).rolling(20).min().to_numpy(),),
        },
        window=20,
        tolerance=0.0,
    ),
}
