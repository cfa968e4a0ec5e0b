"""A strategy over all of its bars in one compiled walk: the same step that the paper broker takes bar by bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from toolkit.data import Bars
from toolkit.errors import EmptyRange, InvalidParameter
from toolkit.execution.book import LIMIT_NAMES, prices, read_only
from toolkit.execution.costs import Costs
from toolkit.execution.orders import micro_cash
from toolkit.kernels.account import DIVIDEND, FILLED, SPLIT, UNIT, Rules, new_book
from toolkit.kernels.portfolio import walk
from toolkit.risk.sizing import check_weights, equal_weight
from toolkit.signals.generator import scored
from toolkit.signals.strategies import strategy_name

Sizing = Callable[[pd.DataFrame, Bars], pd.DataFrame]
NAMES = {**LIMIT_NAMES, FILLED: "FILLED", DIVIDEND: "DIVIDEND", SPLIT: "SPLIT"}


@dataclass(frozen=True)
class Backtest:
    """Equity in dollars, one value a bar, and the records: everything that moved cash or shares, and every limit that cut."""

    equity: pd.Series
    records: pd.DataFrame

    @property
    def fills(self) -> pd.DataFrame:
        """Records of trades: shares signed, cash net of the fee in dollars."""
        return self.records[(self.records["reason"].isin(["FILLED", "CASH_AT_OPEN"])) & (self.records["shares"] != 0.0)]


def backtest(strategy: Callable[[Bars], pd.DataFrame], bars: Bars, sizing: Sizing | None = None,
             rules: Rules | None = None, cash: float = 100_000.0,
             start: pd.Timestamp | str | None = None) -> Backtest:  # fmt: skip
    """Trades `strategy` from `start` (default: the first bar) with `cash` dollars; earlier bars only warm it up.

    Decided at a close, filled at the next open at traded prices.  Without `sizing` symbols weigh the same; without `rules`
    the default costs apply and no limit but the cash.  Raises EmptyRange if there is no bar from `start` on.
    """
    rules = Rules(fee=Costs().fee_bps / 1e4, slippage=Costs().slippage_bps / 1e4) if rules is None else rules
    sizing = equal_weight() if sizing is None else sizing
    scores = scored(strategy, bars, strategy_name(strategy))
    weights = check_weights(sizing(scores, bars), bars)
    first, opening = _position(bars, start), micro_cash(cash) / UNIT
    if first >= len(bars):
        raise EmptyRange(f"there is no bar from {start} on", f"start before {bars.index[-1]:%Y-%m-%d}")
    columns = [read_only(frame.to_numpy(dtype=float).T) for frame in (scores, weights)]
    market, actions = prices(bars, 0, len(bars.symbols)), read_only(bars.actions)
    equity, room = np.zeros(len(bars)), 4 * len(bars)
    while True:
        book = new_book(len(bars.symbols), opening, room)
        walk(first, len(bars), market, actions, *columns, book, rules, equity)
        needed = int(book.account[0]["records"])
        if needed <= room:
            break
        room = needed  # the walk counts on beyond the end of its records: the second time all of them fit
    curve = pd.Series(equity[first:] / UNIT, index=bars.index[first:], name="equity")
    return Backtest(curve, _frame(book.records[:needed], bars))


def _position(bars: Bars, start: pd.Timestamp | str | None) -> int:
    try:
        return 0 if start is None else int(bars.index.searchsorted(pd.Timestamp(start)))
    except (ValueError, TypeError) as error:
        raise InvalidParameter(f"start is {start!r}, which is no session date", "pass e.g. '2012-01-03'") from error


def _frame(records: np.ndarray, bars: Bars) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "session": bars.index[records["bar"]],
            "symbol": np.asarray(bars.symbols, dtype=object)[records["symbol"]],
            "reason": [NAMES[int(r)] for r in records["reason"]],
            "shares": records["qty"] / UNIT,
            "cash": records["cash"] / UNIT,
            "fee": records["fee"] / UNIT,
            "price": records["price"],
        }
    )
