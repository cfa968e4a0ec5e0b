"""What a sweep came to: a row of metrics for each parameter set, and how much of the best one is selection."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from toolkit.cycle.backtest import backtest
from toolkit.cycle.grid import Grid, check_taken
from toolkit.cycle.result import BacktestResult
from toolkit.cycle.trials import DeflatedSharpe
from toolkit.data.bars import Bars
from toolkit.errors import InvalidParameter
from toolkit.execution.costs import Costs, Exits, Limits, Policy
from toolkit.kernels import leap
from toolkit.kernels.account import UNIT
from toolkit.risk.metrics import ratio, returns
from toolkit.risk.overfitting import (
    Overfitting,
    expected_maximum_sharpe,
    moments,
    probabilistic_sharpe,
    probability_of_overfitting,
)  # fmt: skip
from toolkit.risk.sizing import Sizing
from toolkit.signals.conditions import Condition
from toolkit.signals.strategies import strategy_name

METRICS = (
    "total_return", "annual_return", "volatility", "sharpe", "max_drawdown", "fills", "orders", "fees", "turnover",
)  # fmt: skip
COLUMNS = pd.Index(METRICS)  # made once: an index of strings takes longer than a sweep of ten sets
LARGEST_IS_BEST = "total_return", "annual_return", "sharpe", "max_drawdown"


@dataclass(frozen=True, eq=False)
class Sums:
    """Numbers of many curves: rows (..., width) as the kernels leave them, of `n_bars` bars in blocks that begin at `edges`."""

    rows: np.ndarray
    edges: np.ndarray
    n_bars: int
    periods_per_year: float
    cash: float  # dollars

    @property
    def counts(self) -> np.ndarray:
        """Returns in each block; the first bar has none."""
        counts = np.diff(self.edges, append=self.n_bars)
        counts[:1] -= 1
        return counts

    @property
    def totals(self) -> np.ndarray:
        """Sums of returns, (..., n_blocks)."""
        return self.rows[..., leap.COLUMNS : leap.COLUMNS + len(self.edges)]

    @property
    def squares(self) -> np.ndarray:
        """Sums of squared returns, (..., n_blocks)."""
        return self.rows[..., leap.COLUMNS + len(self.edges) :]

    def sharpes(self, among: np.ndarray | None = None) -> np.ndarray:
        """Sharpe ratios per bar, over all blocks or those `among` marks; NaN without a deviation, and after ruin."""
        if among is None:
            return self._spread()[1]
        totals, squares = (part[..., among].sum(axis=-1) for part in (self.totals, self.squares))
        return spread(totals, squares, int(self.counts[among].sum()), self._whole)[1]

    @property
    def _whole(self) -> np.ndarray:
        return self.rows[..., leap.DRAWDOWN] > -1.0

    def metrics(self) -> dict[str, np.ndarray]:
        """The columns of a sweep by name."""
        rows, year, n = self.rows, self.periods_per_year, max(self.n_bars - 1, 0)
        total = rows[..., leap.TOTAL_RETURN]
        deviation, sharpe = self._spread()
        with np.errstate(over="ignore"):
            annual = np.maximum(1.0 + total, 0.0) ** (year / n) - 1.0 if n else np.full(total.shape, np.nan)
        traded = rows[..., leap.TRADED] / UNIT
        values = (
            total, annual, deviation * np.sqrt(year), sharpe * np.sqrt(year), rows[..., leap.DRAWDOWN],
            rows[..., leap.FILLS].astype(np.int64), rows[..., leap.ORDERS].astype(np.int64), rows[..., leap.FEES] / UNIT,
            traded / (2.0 * self.cash) * year / max(self.n_bars, 1),
        )  # fmt: skip
        return dict(zip(METRICS, values, strict=True))

    def _spread(self) -> tuple[np.ndarray, np.ndarray]:
        return spread(self.rows[..., leap.TOTAL], self.rows[..., leap.SQUARES], self.n_bars - 1, self._whole)


def spread(total: np.ndarray, squares: np.ndarray, n: int, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Deviation (ddof = 1) and Sharpe ratio per bar, from sums of n returns; NaN where they are not `whole`: after ruin."""
    if n < 2:
        return np.full(total.shape, np.nan), np.full(total.shape, np.nan)
    with np.errstate(invalid="ignore"):
        deviation = np.where(whole, np.sqrt(np.maximum(squares - total * total / n, 0.0) / (n - 1)), np.nan)
    return deviation, ratio(total / n, deviation, 1.0)


@dataclass(frozen=True)
class Again:
    """One backtest under the settings of a sweep, which has counted it."""

    strategy: Callable[..., pd.DataFrame]
    bars: Bars
    sizing: Sizing | float | None
    costs: Costs | None
    limits: Limits | None
    policy: Policy | None
    exits: Exits | None
    cash: float
    start: pd.Timestamp | str | None

    def __call__(self, parameters: dict[str, Any]) -> BacktestResult:
        own, bars = dict(parameters), self.bars
        if "symbol" in own:
            bars = bars.select(own.pop("symbol"))
        check_taken(self.strategy, strategy_name(self.strategy), tuple(own))
        bound = self.strategy.at(**own) if isinstance(self.strategy, Condition) else functools.partial(self.strategy, **own)
        sizing = self.sizing if self.sizing is None or callable(self.sizing) else functools.partial(fixed, size=self.sizing)
        return backtest(
            bound, bars, sizing, costs=self.costs, limits=self.limits, policy=self.policy, exits=self.exits,
            cash=self.cash, start=self.start, state=False,
        )  # fmt: skip


def fixed(scores: pd.DataFrame, bars: Bars, size: float) -> pd.DataFrame:
    """The same fraction of equity in every symbol."""
    return scores * size


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """A row of `frame` for each parameter set (and symbol); money in dollars, fractions as fractions, ratios per year.

    Sharpe ratios and drawdowns are those of `metrics` on the equity from the first bar traded. `turnover` is what was bought
    and sold a year over twice the cash at the start.
    """

    name: str
    grid: Grid
    symbols: tuple[str, ...]  # with an account each; none: one account for all
    sums: Sums
    again: Again

    def __len__(self) -> int:
        return len(self.grid) * max(len(self.symbols), 1)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Metrics, indexed by the parameters, and by symbol where each has its own account."""
        metrics = {column: values.T.ravel() for column, values in zip(COLUMNS, self.sums.metrics().values(), strict=True)}
        return pd.DataFrame(metrics, index=self.grid.index(self.symbols), columns=COLUMNS, copy=False)

    def best(self, metric: str = "sharpe") -> dict[str, Any]:
        """The parameters (and symbol) with the largest metric; of sets that are equally good, the first.

        InvalidParameter where no set has that metric, e.g. a Sharpe ratio if none has traded.
        """
        if metric not in LARGEST_IS_BEST:
            raise InvalidParameter(f"metric is {metric!r}", f"choose by one of {', '.join(LARGEST_IS_BEST)}")
        values = self.frame[metric].to_numpy()
        if np.isnan(values).all():
            raise InvalidParameter(f"no set of {self.name} has a {metric}", "widen the grid, or load more history")
        return self.at(int(np.nanargmax(values)))

    def at(self, row: int) -> dict[str, Any]:
        """The parameters (and symbol) of a row of the frame."""
        i, n = divmod(row, max(len(self.symbols), 1))
        return {**self.grid.at(i), **({"symbol": self.symbols[n]} if self.symbols else {})}

    def backtest(self, **parameters: Any) -> BacktestResult:
        """The backtest of one set (and symbol), under the same costs, limits and policy."""
        return self.again(parameters)

    def probability_of_overfitting(self, symbol: str | None = None) -> Overfitting:
        """How often the best set in one half of history is below the median in the other; of one symbol, or of all rows."""
        if symbol is not None and symbol not in self.symbols:
            cure = f"choose one of {', '.join(self.symbols[:8])}" if self.symbols else "leave it out: there is one account"
            raise InvalidParameter(f"symbol is {symbol!r}", cure)
        own = slice(None) if symbol is None else [self.symbols.index(symbol)]
        blocks = len(self.sums.edges)
        totals, squares = (part[own].reshape(-1, blocks) for part in (self.sums.totals, self.sums.squares))
        return probability_of_overfitting(totals, squares, self.sums.counts)

    def deflated(self) -> DeflatedSharpe:
        """The Sharpe ratio of the best row, with the probability that the true one is above 0 after so many were tried."""
        ratios = self.sums.sharpes()
        tried = ratios[np.isfinite(ratios)]
        shape, year = moments(returns(self.backtest(**self.best()).equity)), np.sqrt(self.sums.periods_per_year)
        maximum = expected_maximum_sharpe(len(tried), float(tried.var(ddof=1)) if len(tried) > 1 else 0.0)
        return DeflatedSharpe(shape.sharpe * year, probabilistic_sharpe(shape, maximum), len(tried), maximum * year)

    def surface(self, x: str | None = None, y: str | None = None, metric: str = "sharpe") -> pd.DataFrame:
        """The metric with values of `x` as columns and of `y` as rows, averaged over all other parameters (and symbols)."""
        levels = list(self.frame.index.names)
        if metric not in METRICS:
            raise InvalidParameter(f"metric is {metric!r}", f"choose one of {', '.join(METRICS)}")
        x = levels[0] if x is None else x
        others = [name for name in levels if name != x]
        y = others[0] if y is None and others else y
        for name in (x, y):
            if name is not None and name not in levels:
                raise InvalidParameter(f"{name!r} is no parameter of this sweep", f"its parameters are {', '.join(levels)}")
        if x == y:
            raise InvalidParameter(f"x and y are both {x!r}", "choose two different parameters")
        if y is None:
            return self.frame[[metric]].T.rename_axis(None)
        return self.frame[metric].groupby(level=[y, x], sort=True).mean().unstack(x)

    def plot(self, x: str | None = None, y: str | None = None, metric: str = "sharpe", ax: Any = None) -> Any:
        """Axes with `surface` as a heat map, or as a line over a single parameter."""
        from toolkit.plots.sweep import heat_map

        return heat_map(self.surface(x, y, metric), metric, ax)

    def __repr__(self) -> str:
        on = f" x {len(self.symbols)} symbols" if self.symbols else ""
        said = f"Sweep({self.name}: {len(self.grid):,} sets{on}, {self.sums.n_bars:,} bars"
        if self.frame["sharpe"].isna().all():
            return f"{said}; none has a Sharpe ratio)"
        best = ", ".join(f"{name}={value!r}" for name, value in self.best().items())
        return f"{said}; best Sharpe {self.frame['sharpe'].max():.2f} at {best})"

    def _repr_html_(self) -> str:
        top = self.frame.nlargest(5, "sharpe")
        return f"<p>{escape(repr(self))}</p>{top._repr_html_()}"
