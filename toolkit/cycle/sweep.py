"""Many backtests of one strategy: a grid of parameters in, a frame of metrics out, on this machine or on a cluster."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import joblib
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from toolkit.cycle.backtest import kept_in, position
from toolkit.cycle.finished import Finished, Part
from toolkit.cycle.grid import Given, Grid, check_taken, grid_of
from toolkit.cycle.sent import received, send
from toolkit.cycle.swept import Again, Sums, Sweep
from toolkit.cycle.task import TOGETHER, Work, rows_of
from toolkit.cycle.trials import Trials
from toolkit.data.bars import Bars
from toolkit.data.intervals import bars_per_year
from toolkit.errors import InvalidParameter
from toolkit.execution.costs import Costs, Exits, Limits, Policy, economics, rules
from toolkit.execution.orders import micro_cash
from toolkit.risk.sizing import Sizing
from toolkit.signals.causality.identity import identity
from toolkit.signals.conditions import Condition
from toolkit.signals.strategies import strategy_name

BLOCKS = 16
PIECE = 10_000_000  # bars times symbols times sets of a compiled part: some 40 ms, below which threads gain nothing
CALLED = 16  # sets of a part, of a plain function


def sweep(strategy: Condition | Callable[..., pd.DataFrame], grid: Given, bars: Bars, *,
          sizing: Sizing | float | None = None, costs: Costs | None = None, limits: Limits | None = None,
          policy: Policy | None = None, exits: Exits | None = None, cash: float = 100_000.0, each_symbol: bool = False,
          start: pd.Timestamp | str | None = None, where: Callable[..., bool] | None = None,
          blocks: int | Sequence[int] = BLOCKS, state: Path | str | Literal[False] | None = None,
          folder: Path | str | None = None, n_jobs: int | None = None, progress: bool = True) -> Sweep:  # fmt: skip
    """A backtest for each parameter set: each row of `.frame` is that of `backtest` with these parameters.

    `strategy` is a declared condition with free parameters, `above(lambda fast: sma(fast), lambda slow: sma(slow))`, which runs
    compiled, fastest for one comparison (microseconds a set); or a function (bars, **parameters) -> scores, which runs at the
    speed of pandas, milliseconds a set. `grid` maps names to values (all combinations), or lists the sets, as a frame or as
    dicts; `where(**parameters)` keeps some. A number as `sizing` is the fraction of equity of a full score in every symbol
    (1.25: all the cash at the fill). With `each_symbol` every symbol has an account of its own, of `cash` dollars.

    Work worth it runs on all cores, on threads; inside `joblib.parallel_config(backend="dask")`, or "loky", there: bars
    travel as the path of a file in `folder` (default: a temporary one; workers on other machines need a shared one). Memory is
    320 bytes a row, and never an array of sets by bars: of a curve its sums in `blocks` stay, of equal length or beginning at
    these positions, from the first bar traded on. `state` is the folder of the project's state: a long sweep that was
    killed goes on from there when it is called again, and its sets are counted as trials; False keeps nothing.
    Raises InvalidParameter for an unknown or missing parameter, StrategyFailed if a function raises, EmptyRange without bars.
    """
    check_given(strategy, bars)
    sets, name = grid_of(grid, where), strategy_name(strategy)
    check_taken(strategy, name, sets.names)
    first = position(bars, start)
    year = bars_per_year(bars.interval)
    bounds, charges, when, exit_at = economics(limits, costs, policy, exits)
    law = rules(charges, bounds, when, exit_at, bars_per_year=year)
    n_bars = len(bars) - first
    edges = np.arange(blocks, dtype=np.int64) * n_bars // blocks if isinstance(blocks, int) else np.array(blocks, np.int64)
    work = Work(strategy, checked_sizing(sizing), law, micro_cash(cash), first, edges, each_symbol)
    keep = kept_in(state)
    key = "" if keep is None else key_of(work, sets, bars)
    n_accounts = len(bars.symbols) if each_symbol else 1
    parts = Parts(bars, sets, work, n_accounts)
    with Finished(keep and keep / "sweeps" / key, (n_accounts, len(sets), work.width)) as finished:
        run(parts, finished, folder, n_jobs, progress, name)
    again = Again(strategy, bars, sizing, costs, limits, policy, exits, cash, start)
    sums = Sums(finished.rows, edges, n_bars, year, float(cash))
    if keep is not None:
        Trials(keep, year).add(key_of(replace(work, edges=edges[:0]), sets, bars), sums.sharpes(), n_bars)  # however it is cut
    return Sweep(name, sets, bars.symbols if each_symbol else (), sums, again)


def check_given(strategy: Any, bars: Any) -> None:
    """InvalidParameter for a strategy that cannot be called, and for bars that are none."""
    if not callable(strategy):
        cure = "pass a function (bars, **parameters) -> scores, or a condition with free parameters"
        raise InvalidParameter(f"strategy is a {type(strategy).__name__}", cure)
    if not isinstance(bars, Bars):
        raise InvalidParameter(f"bars is a {type(bars).__name__}", "call sweep(strategy, grid, bars), in this order")


def checked_sizing(sizing: Any) -> Any:
    """A function, a number above 0, or None."""
    if sizing is None or callable(sizing):
        return sizing
    if isinstance(sizing, bool) or not isinstance(sizing, int | float) or not 0.0 < sizing <= 10.0:
        raise InvalidParameter(f"sizing is {sizing!r}", "pass a fraction of equity a symbol, e.g. 0.95, or equal_weight()")
    return float(sizing)


def key_of(work: Work, grid: Grid, bars: Bars) -> str:
    """Hex digest of all that the rows depend on."""
    digest = hashlib.blake2b(digest_size=16)
    told = (identity(work.strategy), bars.fingerprint, named(work.sizing), work.rules, work.cash, work.first, work.each_symbol)
    digest.update(repr((told, work.edges.tolist(), grid.names, grid.values)).encode() + grid.codes.tobytes())
    return digest.hexdigest()


def named(sizing: Sizing | float | None) -> str:
    """A sizing, the same in every process."""
    return identity(sizing) if callable(sizing) else repr(sizing)


# ------------------------------------------------------------------------------------------------------------- in parts
@dataclass(frozen=True, eq=False)
class Parts:
    """The sweep cut into parts that each compute their rows by themselves."""

    bars: Bars
    grid: Grid
    work: Work
    n_accounts: int

    def cut(self, at_least: int) -> list[Part]:
        """Parts of about one size, which depends on the work alone unless there would be fewer than `at_least`."""
        n_sets, n_symbols = len(self.grid), len(self.bars.symbols)
        if isinstance(self.work.strategy, Condition):
            wanted = -(-n_sets * n_symbols * (len(self.bars) - self.work.first) // PIECE)
        else:
            wanted = -(-n_sets * self.n_accounts // CALLED)
        wanted = max(wanted, at_least)
        of_accounts = even(self.n_accounts, wanted, TOGETHER)
        return [Part(*accounts, *sets) for accounts in of_accounts for sets in even(n_sets, -(-wanted // len(of_accounts)))]

    def rows(self, part: Part) -> np.ndarray:
        """In this process."""
        return rows_of(self.work, self.grid.cut(part.p0, part.p1), own(self.bars, self.work, part))


def even(n: int, pieces: int, whole: int = 1) -> list[tuple[int, int]]:
    """0 to n in at most so many pieces of nearly one length, a multiple of `whole` where it is longer."""
    size = -(-n // max(min(pieces, n), 1))
    size = -(-size // whole) * whole if size > whole else size
    return [(first, min(first + size, n)) for first in range(0, n, size)]


def own(bars: Bars, work: Work, part: Part) -> Bars:
    """The bars of the accounts of a part."""
    whole = not work.each_symbol or part.s1 - part.s0 == len(bars.symbols)
    return bars if whole else bars.select(bars.symbols[part.s0 : part.s1])


def distant(work: Work, grid: Grid, path: str, part: Part) -> np.ndarray:
    """The rows of a part in another process, which reads the bars once."""
    return rows_of(work, grid, own(received(path), work, part))


def run(parts: Parts, finished: Finished, folder: Path | str | None, n_jobs: int | None, progress: bool, name: str) -> None:
    """Computes all parts that are not finished: here, on threads, or where joblib's context says."""
    backend, jobs = joblib.parallel.get_active_backend(prefer="threads")
    away = not getattr(backend, "supports_sharedmem", False)
    jobs = backend.effective_n_jobs(n_jobs if n_jobs is not None else -1 if jobs in (None, 1) else jobs)
    todo = [part for part in parts.cut(2 * jobs if away else 1) if not finished.is_done(part)]
    if not away and (len(todo) == 1 or jobs == 1):
        alone = replace(parts, work=replace(parts.work, threads=jobs))
        made: Iterator[tuple[Part, np.ndarray]] = ((part, alone.rows(part)) for part in todo)
        return take(made, todo, finished, progress, name)
    with ExitStack() as stack:
        call: Callable[[Part], Any]
        if away:
            shared = stack.enter_context(tempfile.TemporaryDirectory(prefix="sweep-", dir=folder))
            path = str(send(parts.bars, Path(shared)))
            call = lambda part: joblib.delayed(labelled)(  # noqa: E731
                part, distant, parts.work, parts.grid.cut(part.p0, part.p1), path, part
            )
        else:
            call = lambda part: joblib.delayed(labelled)(part, parts.rows, part)  # noqa: E731
        pool = joblib.Parallel(n_jobs=jobs, prefer="threads", batch_size=1, return_as="generator_unordered")
        take(pool(map(call, todo)), todo, finished, progress, name)


def labelled(part: Part, compute: Callable[..., np.ndarray], *arguments: Any) -> tuple[Part, np.ndarray]:
    """Rows with the part that they are."""
    return part, compute(*arguments)


def take(made: Iterator[tuple[Part, np.ndarray]], todo: list[Part], finished: Finished, progress: bool, name: str) -> None:
    """Collects rows as they come, under a bar if it takes long."""
    total = sum(part.size for part in todo)
    quiet = not progress or len(todo) < 2
    with tqdm(total=total, desc=f"sweeping {name}", unit="set", leave=False, disable=quiet, delay=1.0) as bar:
        for part, rows in made:
            finished.put(part, rows)
            bar.update(part.size)
