"""What holding would have gone through."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pandas as pd

from toolkit.signals.indicators.performance import drawdown, rolling_sharpe

from .case import Case, One, rolling


def plain_drawdown(one: One) -> np.ndarray:
    close = one.close.tolist()
    return np.array([close[bar] / max(close[: bar + 1]) - 1.0 for bar in range(len(close))])


def ratio(values: list[float]) -> float:
    return math.sqrt(252.0) * statistics.mean(values) / statistics.stdev(values)


def plain_returns(one: One) -> np.ndarray:
    return np.concatenate([[np.nan], one.close[1:] / one.close[:-1] - 1.0])


def pandas_sharpe(one: One) -> np.ndarray:
    windows = pd.Series(one.close).pct_change().rolling(60)
    return (math.sqrt(252.0) * windows.mean() / windows.std()).to_numpy()


TABLE = {
    "drawdown": Case(
        drawdown(),
        {
            "definition": lambda one: (plain_drawdown(one),),
            "pandas": lambda one: ((pd.Series(one.close) / pd.Series(one.close).cummax() - 1.0).to_numpy(),),
        },
        window=0,
        power=0,
    ),
    "rolling_sharpe": Case(
        rolling_sharpe(60),
        {
            "definition": lambda one: (rolling(plain_returns(one), 60, ratio),),
            "pandas": lambda one: (pandas_sharpe(one),),
        },
        window=61,
        power=0,
    ),
}
