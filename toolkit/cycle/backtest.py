"""A strategy over all of its bars in one compiled walk: the same step that the paper broker takes bar by bar."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from numbers import Real
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from toolkit.cycle.result import BacktestResult
from toolkit.cycle.trials import Trials
from toolkit.data import Bars
from toolkit.data.intervals import bars_per_year
from toolkit.data.places import state_folder
from toolkit.data.work import phase
from toolkit.errors import EmptyRange, InvalidParameter
from toolkit.execution.book import prices, read_only
from toolkit.execution.costs import Costs, Exits, Limits, Policy, economics, rules
from toolkit.execution.orders import check_size, micro_cash
from toolkit.kernels.account import UNIT, new_book
from toolkit.kernels.portfolio import walk
from toolkit.risk.metrics import sharpe_of
from toolkit.risk.sizing import Sizing, equal_weight, sized
from toolkit.signals.generator import scored
from toolkit.signals.strategies import strategy_name


def backtest(strategy: Callable[[Bars], pd.DataFrame], bars: Bars, sizing: Sizing | None = None, *,
             limits: Limits | None = None, costs: Costs | None = None, cash: float = 100_000.0,
             policy: Policy | None = None, exits: Exits | None = None, start: pd.Timestamp | str | None = None,
             state: Path | str | Literal[False] | None = None) -> BacktestResult:  # fmt: skip
    """Trades `strategy` from `start` (default: the first bar) with `cash` dollars; earlier bars only warm it up.

    Decided at a close, filled at the next open or later, at traded prices, all symbols on one account. Without `sizing`
    symbols weigh the same, 0.95 of equity together; without `limits` nothing but the cash at the fill limits an order; without
    `costs` the default ones apply; `policy` says when and how it trades, `exits` when it gives up. The backtest is counted as a
    trial in `state` (default: the state folder of the project; False counts nothing), so that its Sharpe ratio can be deflated.
    Raises EmptyRange if there is no bar from `start` on, StrategyFailed if the strategy raises or has no opinion at all.
    """
    if not isinstance(bars, Bars):
        raise InvalidParameter(f"bars is a {type(bars).__name__}", "pass Bars, e.g. Bars.from_frame(frame, symbol='XYZ')")
    bounds, charges, when, exit_at = economics(limits, costs, policy, exits)
    law = rules(charges, bounds, when, exit_at, bars_per_year=bars_per_year(bars.interval))
    name = strategy_name(strategy)
    scores = scored(strategy, bars, name)
    weights = sized(checked_sizing(sizing), scores, bars)
    first, opening = position(bars, start), micro_cash(cash)
    columns = [read_only(frame.to_numpy(dtype=float).T) for frame in (scores, weights)]
    market, actions = prices(bars, 0, len(bars.symbols)), read_only(bars.actions)
    every = len(bars.symbols) if law.band < np.inf else 2
    equity, placed, records = np.zeros(len(bars)), every * len(bars), 2 * every * len(bars)
    while True:
        book = new_book(len(bars.symbols), opening / UNIT, records, placed=placed)
        with phase("kernels"):
            walk(first, len(bars), market, actions, *columns, book, law, equity)
        account = book.account[0]
        if account["records"] <= records and account["placed"] <= placed:
            break
        # the walk counts on beyond the end of its log: the second time all of it fits
        records, placed = int(account["records"]), int(account["placed"])
    peak = first + int(np.argmax(equity[first:]))
    check_size(float(equity[peak]), bars.index[peak])
    keep = kept_in(state)
    trials = None if keep is None else counted(equity[first:], bars, keep)
    return BacktestResult(
        name, bars, scores, weights, opening, first, equity[first:] / UNIT,
        book.placed[: account["placed"]], book.records[: account["records"]], book.orders, law, trials, strategy,
    )  # fmt: skip


def checked_sizing(sizing: Sizing | None) -> Sizing:
    """The sizing, equal weights for none; InvalidParameter for what cannot be called."""
    if sizing is not None and not callable(sizing):
        raise InvalidParameter(f"sizing is {sizing!r}", "pass a function (scores, bars) -> weights, e.g. equal_weight(0.5)")
    return equal_weight() if sizing is None else sizing


def counted(equity: np.ndarray, bars: Bars, folder: Path) -> Trials:
    """The trials of the project, this curve among them: the same curve of the same bars is the same trial."""
    trials = Trials(folder, bars_per_year(bars.interval))
    lived = equity[: np.argmax(equity <= 0.0)] if (equity <= 0.0).any() else equity
    key = blake2b(equity.tobytes() + bars.fingerprint.encode(), digest_size=16).hexdigest()
    trials.add(key, sharpe_of(lived[1:] / lived[:-1] - 1.0), len(equity))
    return trials


def position(bars: Bars, start: pd.Timestamp | str | None) -> int:
    """Position of the first bar traded; EmptyRange if there is none."""
    try:
        if isinstance(start, Real):
            raise TypeError("a number is no date")
        first = 0 if start is None else int(bars.index.searchsorted(pd.Timestamp(start)))
    except (ValueError, TypeError) as error:
        raise InvalidParameter(f"start is {start!r}, which is no session date", "pass e.g. '2012-01-03'") from error
    if first >= len(bars):
        cure = f"start before {bars.index[-1]:%Y-%m-%d}" if len(bars) else "load some bars"
        raise EmptyRange(f"there is no bar{'' if start is None else f' from {start} on'}", cure)
    return first


def kept_in(state: Path | str | Literal[False] | None) -> Path | None:
    """The folder of the project's state; None where nothing is kept."""
    if state is False:
        return None
    return state_folder() if state is None else Path(state)
