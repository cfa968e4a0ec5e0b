"""The account at an exchange: cash and shares in whole micro-units, prices of what it holds, and its history."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from toolkit.testing.exchange_values import EASTERN, UNIT, Activity, ExchangeOrder, name

MILLISECOND = pd.Timedelta(milliseconds=1)


class ExchangeAccount:
    """Begins with `cash` dollars; what changes it is an activity in `activities`, whose ids sort as they happened."""

    def __init__(self, symbols: Iterable[str], cash: float, number: str) -> None:
        self.number, self.cash = number, round(cash * UNIT)
        self.shares: dict[str, int] = {}
        self.entry: dict[str, float] = {}
        self.mark = dict.fromkeys(symbols, np.nan)
        self.previous = dict(self.mark)
        self.activities: list[Activity] = []

    @property
    def long(self) -> int:
        """Micro-dollars held long at the last prices."""
        return sum(round(qty * self.mark[symbol]) for symbol, qty in self.shares.items() if qty > 0)

    @property
    def owed(self) -> int:
        """Micro-dollars sold short at the last prices."""
        return -sum(round(qty * self.mark[symbol]) for symbol, qty in self.shares.items() if qty < 0)

    @property
    def equity(self) -> int:
        """Micro-dollars."""
        return self.cash + self.long - self.owed

    def book(
        self, kind: str, at: pd.Timestamp, symbol: str | None = None, qty: int = 0, price: float | None = None, cash: int = 0,
        order: ExchangeOrder | None = None, note: str = "",
    ) -> Activity:  # fmt: skip
        """Adds the cash, and writes a line of history that begins with the time in New York; shares are moved by `hold`."""
        if self.activities:
            at = max(at, self.activities[-1].at + MILLISECOND)
        stamp = f"{at.tz_convert(EASTERN):%Y%m%d%H%M%S}{at.microsecond // 1000:03d}"
        identity = f"{stamp}::{name(self.number, 'activity', len(self.activities), kind, symbol)}"
        filled, left = (order.filled, order.rest) if order else (0, 0)
        self.cash += cash
        self.activities.append(Activity(identity, kind, at, symbol, qty, price, cash, order, filled, left, note))
        return self.activities[-1]

    def hold(self, symbol: str, qty: int, entry: float) -> None:
        """The position from now on: signed micro-shares, and what one cost on average."""
        self.shares[symbol], self.entry[symbol] = qty, entry
        if qty == 0:
            del self.shares[symbol], self.entry[symbol]

    def trade(self, symbol: str, qty: int, paid: float) -> None:
        """Signed micro-shares more; the average price of a position is that of what opened and added to it."""
        before = self.shares.get(symbol, 0)
        after, entry = before + qty, self.entry.get(symbol, paid)
        if np.sign(before) != np.sign(after):
            entry = paid
        elif abs(after) > abs(before):
            entry += (paid - entry) * (qty / after)
        self.hold(symbol, after, entry)

    def dividend(self, symbol: str, dollars: float, at: pd.Timestamp) -> None:
        """Dollars a share to what is held; who is short pays."""
        held = self.shares.get(symbol, 0)
        if held and dollars:
            self.book("DIV", at, symbol, held, dollars, round(held * dollars), note=f"Cash DIV @ {dollars}")

    def split(self, symbol: str, ratio: float, at: pd.Timestamp, whole: bool) -> None:
        """New shares for one old; with `whole` shares what is left of one is paid in cash."""
        self.mark[symbol] /= ratio
        self.previous[symbol] /= ratio
        held = self.shares.get(symbol, 0)
        if not held:
            return
        exact = held * ratio
        kept = int(round(exact) / UNIT) * UNIT if whole else round(exact)
        self.hold(symbol, kept, self.entry[symbol] / ratio)
        self.book("SPLIT", at, symbol, kept - held, note=f"{ratio:g} for 1")
        if whole and (in_lieu := round((exact - kept) * self.mark[symbol])):
            self.book("CIL", at, symbol, cash=in_lieu, note="cash in lieu of fractional shares")
