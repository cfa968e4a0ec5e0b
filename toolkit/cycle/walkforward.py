"""Parameters chosen on one stretch of history and tried on another: walk-forward windows, and purged cross-validation."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from toolkit.cycle.backtest import kept_in
from toolkit.cycle.grid import Given
from toolkit.cycle.result import BacktestResult
from toolkit.cycle.splits import purged_folds, walk_forward_windows
from toolkit.cycle.sweep import check_given, named, sweep
from toolkit.cycle.swept import LARGEST_IS_BEST, Again, spread
from toolkit.cycle.trials import Trials
from toolkit.data.bars import Bars
from toolkit.data.intervals import bars_per_year
from toolkit.errors import InvalidParameter
from toolkit.execution.costs import Costs, Exits, Limits, Policy
from toolkit.risk.metrics import Performance, performance, returns, sharpe_of
from toolkit.risk.sizing import Sizing
from toolkit.signals.causality.identity import identity
from toolkit.signals.conditions import Condition
from toolkit.signals.strategies import strategy_name


@dataclass(frozen=True, eq=False, repr=False)
class WalkForward:
    """What was chosen in each window, and what it earned on the bars that followed.

    windows: a row each: train_start, train_end, test_start, test_end (sessions, both included), the parameters chosen, and
    the metric in_sample and out_of_sample. equity: dollars at the closes of all test windows, one after the other; each begins
    without positions, with what the one before was worth at its last close.
    """

    name: str
    metric: str
    windows: pd.DataFrame
    equity: pd.Series
    backtests: tuple[BacktestResult, ...]
    periods_per_year: float
    kind: str = "rolling"  # or "anchored"

    @property
    def performance(self) -> Performance:
        """Metrics of the equity out of sample."""
        return performance(self.equity, periods_per_year=self.periods_per_year)

    @property
    def efficiency(self) -> float:
        """Mean metric out of sample over the mean in sample: 1 where the choice kept its promise; NaN where it made none.

        Source: R. Pardo, The Evaluation and Optimization of Trading Strategies (2008), ch. 11 (walk-forward efficiency).
        """
        inner, outer = self.means
        return outer / inner if inner > 0.0 else math.nan

    @property
    def means(self) -> tuple[float, float]:
        """The metric in and out of sample, both over the windows that have it on both sides: one that never traded has none."""
        both = self.windows[["in_sample", "out_of_sample"]].dropna().mean()
        return float(both["in_sample"]), float(both["out_of_sample"])

    def plot(self, ax: Any = None) -> Any:
        """Axes with the equity out of sample, window by window."""
        from toolkit.plots.sweep import stitched

        return stitched(self.equity, self.windows["test_start"].tolist(), f"{self.name}, {self.kind}", ax)

    def __repr__(self) -> str:
        inner, outer = self.means
        what = f"{len(self.windows)} {self.kind} windows, {len(self.equity):,} bars out of sample"
        said = f"WalkForward({self.name}: {what}; mean {self.metric}"
        return f"{said} {inner:.2f} in sample, {outer:.2f} out of sample; Sharpe of the whole {self.performance.sharpe:.2f})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.windows._repr_html_()}"


def walk_forward(strategy: Condition | Callable[..., pd.DataFrame], grid: Given, bars: Bars, train: int, test: int, *,
                 anchored: bool = False, metric: str = "sharpe", sizing: Sizing | float | None = None,
                 costs: Costs | None = None, limits: Limits | None = None, policy: Policy | None = None,
                 exits: Exits | None = None, cash: float = 100_000.0, where: Callable[..., bool] | None = None,
                 state: Path | str | Literal[False] | None = None, n_jobs: int | None = None,
                 progress: bool = True) -> WalkForward:  # fmt: skip
    """Chooses the best set on `train` bars, trades it on the next `test`, moves on by `test`; `anchored`: train only grows.

    Bars before a window warm indicators up and are not traded; bars after it are not seen. What a window holds at its end is
    valued at its last close, without the cost of selling it. All else as in `sweep`; all of it counts as one trial, that of the
    whole out of sample.
    """
    check_given(strategy, bars)
    if metric not in LARGEST_IS_BEST:
        raise InvalidParameter(f"metric is {metric!r}", f"choose by one of {', '.join(LARGEST_IS_BEST)}")
    rows, found, money, year = [], [], cash, bars_per_year(bars.interval)
    again = Again(strategy, bars, sizing, costs, limits, policy, exits, cash, None)
    for window in walk_forward_windows(bars, train, test, anchored):
        first, last, end = window.train.start, window.train.stop, window.test.stop
        swept = sweep(
            strategy, grid, bars.rows(0, last), sizing=sizing, costs=costs, limits=limits, policy=policy, exits=exits,
            cash=cash, start=bars.index[first], where=where, state=False, n_jobs=n_jobs, progress=progress,
        )  # fmt: skip
        chosen = swept.best(metric)
        traded = replace(again, bars=bars.rows(0, end), start=bars.index[last], cash=money)(chosen)
        found.append(traded)
        money = float(traded.curve[-1])
        spans = {"train_start": first, "train_end": last - 1, "test_start": last, "test_end": end - 1}
        outer = getattr(performance(traded.equity, periods_per_year=year), metric)
        labels = {name: bars.index[at] for name, at in spans.items()}
        rows.append(labels | chosen | {"in_sample": swept.frame[metric].max(), "out_of_sample": outer})
    result = WalkForward(
        strategy_name(strategy), metric, pd.DataFrame(rows), pd.concat([f.equity for f in found]), tuple(found), year,
        "anchored" if anchored else "rolling",
    )  # fmt: skip
    keep = kept_in(state)
    if keep is not None:
        told = (identity(strategy), bars.fingerprint, train, test, anchored, metric, swept.grid.names, swept.grid.values)
        said = repr((told, swept.grid.codes.tolist(), named(sizing), costs, limits, policy, exits, cash)).encode()
        ratio = float(sharpe_of(returns(result.equity).to_numpy()))
        Trials(keep, year).add(hashlib.blake2b(said, digest_size=16).hexdigest(), [ratio], len(result.equity))
    return result


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """Sharpe ratios a year of what was chosen without a fold: folds has a row each, test_start, test_end, the parameters, and
    the ratio in_sample (all bars but the fold and what was purged) and out_of_sample (the fold).
    """

    name: str
    folds: pd.DataFrame
    sharpe: float  # a year, of all folds together, each under its own choice

    def __repr__(self) -> str:
        inner, outer = self.folds["in_sample"].mean(), self.folds["out_of_sample"].mean()
        said = f"mean Sharpe {inner:.2f} in sample, {outer:.2f} out of sample; {self.sharpe:.2f} over all folds"
        return f"CrossValidation({self.name}: {len(self.folds)} folds; {said})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.folds._repr_html_()}"


def cross_validate(strategy: Condition | Callable[..., pd.DataFrame], grid: Given, bars: Bars, folds: int = 5, *,
                   horizon: int = 0, embargo: int = 0, sizing: Sizing | float | None = None, costs: Costs | None = None,
                   limits: Limits | None = None, policy: Policy | None = None, exits: Exits | None = None,
                   cash: float = 100_000.0, where: Callable[..., bool] | None = None,
                   state: Path | str | Literal[False] | None = None, n_jobs: int | None = None,
                   progress: bool = True) -> CrossValidation:  # fmt: skip
    """For each fold the set with the best Sharpe ratio on all other bars, and its ratio on the fold.

    Each set is traded once over all bars, and its returns are divided into folds. Bars within `horizon` of a fold (as long as
    positions are held, or labels look ahead) are purged, and `embargo` more after it. All else, and how trials count, as in
    `sweep`.
    """
    cut = purged_folds(bars, folds, horizon, embargo)
    member = np.zeros((2, len(cut), len(bars)), dtype=bool)  # of train, of test
    for k, fold in enumerate(cut):
        member[0, k, fold.train] = member[1, k, fold.test] = True
    edges = np.flatnonzero(np.r_[True, (member[..., 1:] != member[..., :-1]).any(axis=(0, 1))])
    swept = sweep(
        strategy, grid, bars, sizing=sizing, costs=costs, limits=limits, policy=policy, exits=exits, cash=cash, where=where,
        blocks=edges.tolist(), state=state, n_jobs=n_jobs, progress=progress,
    )  # fmt: skip
    rows, chosen, year = [], [], math.sqrt(swept.sums.periods_per_year)
    for train, test, fold in zip(*member[..., edges], cut, strict=True):
        ratios = swept.sums.sharpes(train)[0]
        if np.isnan(ratios).all():
            what = f"no set of {swept.name} trades outside of {bars.index[fold.test[0]]} to {bars.index[fold.test[-1]]}"
            raise InvalidParameter(what, "widen the grid, or take more folds")
        best = int(np.nanargmax(ratios))
        chosen.append((best, test))
        span = {"test_start": bars.index[fold.test[0]], "test_end": bars.index[fold.test[-1]]}
        inner, outer = ratios[best] * year, swept.sums.sharpes(test)[0, best] * year
        rows.append(span | swept.at(best) | {"in_sample": inner, "out_of_sample": outer})
    totals, squares = (
        sum(part[0, best, test].sum() for best, test in chosen) for part in (swept.sums.totals, swept.sums.squares)
    )
    whole = spread(np.array(totals), np.array(squares), len(bars) - 1, np.array(True))[1]
    return CrossValidation(swept.name, pd.DataFrame(rows), float(whole) * year)
