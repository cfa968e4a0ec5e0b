"""A strategy over all of its bars in one compiled walk: the same step that the paper broker takes bar by bar."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from toolkit.cycle.result import BacktestResult
from toolkit.data import Bars
from toolkit.data.intervals import bars_per_year
from toolkit.errors import EmptyRange, InvalidParameter
from toolkit.execution.book import prices, read_only
from toolkit.execution.costs import UNLIMITED, Costs, Exits, Limits, Policy, rules
from toolkit.execution.orders import micro_cash
from toolkit.kernels.account import UNIT, new_book
from toolkit.kernels.portfolio import walk
from toolkit.risk.sizing import Sizing, check_weights, equal_weight
from toolkit.signals.generator import scored
from toolkit.signals.strategies import strategy_name


def backtest(strategy: Callable[[Bars], pd.DataFrame], bars: Bars, sizing: Sizing | None = None, *,
             limits: Limits | None = None, costs: Costs | None = None, cash: float = 100_000.0,
             policy: Policy | None = None, exits: Exits | None = None,
             start: pd.Timestamp | str | None = None) -> BacktestResult:  # fmt: skip
    """Trades `strategy` from `start` (default: the first bar) with `cash` dollars; earlier bars only warm it up.

    Decided at a close, filled at the next open or later, at traded prices, all symbols on one account. Without `sizing`
    symbols weigh the same; without `limits` nothing but the cash at the fill limits an order; without `costs` the default
    ones apply; `policy` says when and how it trades, `exits` when it gives up.
    Raises EmptyRange if there is no bar from `start` on, StrategyFailed if the strategy raises or has no opinion at all.
    """
    law = rules(costs or Costs(), limits or UNLIMITED, policy or Policy(), exits or Exits(),
                bars_per_year=bars_per_year(bars.interval))  # fmt: skip
    name = strategy_name(strategy)
    scores = scored(strategy, bars, name)
    weights = check_weights((sizing or equal_weight())(scores, bars), bars)
    first, opening = _position(bars, start), micro_cash(cash)
    if first >= len(bars):
        raise EmptyRange(f"there is no bar from {start} on", f"start before {bars.index[-1]:%Y-%m-%d}")
    columns = [read_only(frame.to_numpy(dtype=float).T) for frame in (scores, weights)]
    market, actions = prices(bars, 0, len(bars.symbols)), read_only(bars.actions)
    equity, placed, records = np.zeros(len(bars)), 2 * len(bars), 4 * len(bars)
    while True:
        book = new_book(len(bars.symbols), opening / UNIT, records, placed=placed)
        walk(first, len(bars), market, actions, *columns, book, law, equity)
        account = book.account[0]
        if account["records"] <= records and account["placed"] <= placed:
            break
        # the walk counts on beyond the end of its log: the second time all of it fits
        records, placed = int(account["records"]), int(account["placed"])
    return BacktestResult(
        name, bars, scores, weights, opening, first, equity[first:] / UNIT,
        book.placed[: account["placed"]], book.records[: account["records"]], book.orders, law,
    )  # fmt: skip


def _position(bars: Bars, start: pd.Timestamp | str | None) -> int:
    try:
        return 0 if start is None else int(bars.index.searchsorted(pd.Timestamp(start)))
    except (ValueError, TypeError) as error:
        raise InvalidParameter(f"start is {start!r}, which is no session date", "pass e.g. '2012-01-03'") from error
