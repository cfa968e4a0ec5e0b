"""What a backtest came to: its curve, and everything that was ordered, traded and paid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from toolkit.data import Bars
from toolkit.execution.book import KINDS, LIMIT_NAMES, REASONS, TRADES
from toolkit.kernels.account import UNIT, Rules


@dataclass(frozen=True, eq=False, repr=False)
class BacktestResult:
    """Tables are made on first use; money in dollars, shares signed, fractions as fractions."""

    name: str
    bars: Bars
    scores: pd.DataFrame
    weights: pd.DataFrame
    opening: int  # micro-dollars
    first: int  # position of the first bar traded
    curve: np.ndarray  # equity in dollars, from `first` on
    placed: np.ndarray  # dtype placed_t
    log: np.ndarray  # dtype record_t
    waiting: np.ndarray  # dtype order_t, (n_symbols, slots), after the last bar
    rules: Rules

    @cached_property
    def equity(self) -> pd.Series:
        """Account value in dollars at each close from the first bar traded."""
        return pd.Series(self.curve, index=self.bars.index[self.first :], name="equity")

    @cached_property
    def records(self) -> pd.DataFrame:
        """Everything that moved cash or shares, and how orders ended: the account is the sum of it.

        shares and cash are signed, cash net of the fee; slippage is what the trade lost to it, in dollars.
        """
        log = self.log
        return pd.DataFrame(
            {
                "session": self.bars.index[log["bar"]],
                "symbol": np.array([*self.bars.symbols, ""], dtype=object)[log["symbol"]],
                "order": log["order"],
                "reason": named(REASONS, log["reason"]),
                "shares": log["qty"] / UNIT,
                "cash": log["cash"] / UNIT,
                "fee": log["fee"] / UNIT,
                "slippage": log["slip"] / UNIT,
                "price": log["price"],
            }
        )

    @cached_property
    def fills(self) -> pd.DataFrame:
        """The records of trades."""
        return self.records[np.isin(self.log["reason"], list(TRADES)) & (self.log["qty"] != 0)].reset_index(drop=True)

    @cached_property
    def orders(self) -> pd.DataFrame:
        """One row a wish: shares wanted and ordered, the limit that cut it, what was filled, and how it ended.

        status is FILLED, PARTIAL, WAITING, or the reason for which it was not filled; an order cut to nothing has id 0 and
        the limit as its status.
        """
        placed = self.placed
        last = np.full(int(placed["id"].max(initial=0)) + 1, -1)
        filled = np.zeros(len(last))
        of_orders = self.log[self.log["order"] > 0]
        np.add.at(filled, of_orders["order"], of_orders["qty"] / UNIT)
        last[of_orders["order"]] = of_orders["reason"]
        status = np.where(last < 0, "WAITING", named({**REASONS, -1: "WAITING"}, last))
        waits = self.waiting["id"][self.waiting["rest"] != 0]
        status[waits] = np.where(filled[waits] != 0.0, "PARTIAL", "WAITING")
        limits = named(LIMIT_NAMES, placed["limit"])
        return pd.DataFrame(
            {
                "session": self.bars.index[placed["bar"]],
                "symbol": np.array(self.bars.symbols, dtype=object)[placed["symbol"]],
                "order": placed["id"],
                "kind": named(KINDS, placed["kind"]),
                "level": placed["level"],
                "reference": placed["mark"],
                "wanted": placed["wanted"] / UNIT,
                "shares": placed["qty"] / UNIT,
                "limit": limits,
                "filled": np.where(placed["id"] > 0, filled[placed["id"]], 0.0),
                "status": np.where(placed["id"] > 0, status[placed["id"]], limits),
            }
        )


def named(names: dict[int, str], codes: np.ndarray) -> np.ndarray:
    """The names of codes, as objects."""
    table = np.full(max(names) - min(names) + 1, "", dtype=object)
    for code, name in names.items():
        table[code - min(names)] = name
    return table[codes - min(names)]
