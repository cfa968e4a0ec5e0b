"""Pre-trade limits: every order passes here when it is planned and again just before it is sent.

The economic limits are those of the compiled step, asked once more; the operational ones exist here alone.  A comparison
that cannot be made denies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.execution.book import LIMIT_NAMES, book_symbols, to_book
from toolkit.execution.costs import Limits
from toolkit.execution.orders import Account, Order
from toolkit.kernels.account import MAX_GROSS, MAX_ORDER_NOTIONAL, MAX_POSITION, MIN_CASH, UNIT, Rules, allowed

CURES = {
    "NOT_FINITE": "look at the bars of the symbol",
    "STALE_DATA": "fetch again, or wait until the symbol trades",
    "MAX_ORDER_NOTIONAL": "order less at once, or raise the limit",
    "MAX_POSITION": "hold less of it, or raise the limit",
    "MAX_GROSS": "sell first, or raise the limit",
    "MIN_CASH": "sell first, or lower the limit",
    "SHORT_NOT_ALLOWED": "sell at most what is held",
}


@dataclass(frozen=True)
class Verdict:
    """The gate's answer to one order; `code` is empty when it may pass."""

    order: Order
    code: str = ""
    measured: str = ""
    limit: str = ""

    @property
    def passed(self) -> bool:
        return not self.code

    def __str__(self) -> str:
        o = self.order
        if self.passed:
            return f"PASSED {o.symbol} {o.side} {o.qty / UNIT:g}"
        return (
            f"RISK_DENIED[{self.code}] {o.symbol} {o.side} {o.qty / UNIT:g}: "
            f"measured {self.measured} vs limit {self.limit}; {CURES[self.code]}"
        )


@dataclass(frozen=True)
class Gate:
    """The limits of one account."""

    limits: Limits
    rules: Rules

    def review(self, orders: Sequence[Order], account: Account, ages: Mapping[str, int]) -> list[Verdict]:
        """A verdict an order, sales first as they are sent; `ages`: sessions since each symbol's last traded bar.

        A symbol that is missing from `ages` is as old as can be.
        """
        symbols = book_symbols(account, sorted({o.symbol for o in orders} | set(account.positions)))
        book = to_book(account, symbols)
        equity = float(book.account[0]["equity"])
        sold = {o.symbol: o for o in orders if o.side == "sell"}
        gross, cash = float(book.account[0]["long"]), float(account.cash)
        for n, symbol in enumerate(symbols):
            rest = -sold[symbol].qty if symbol in sold else int(book.orders[n, 0]["rest"])
            value = rest * book.positions[n]["mark"] if rest else 0.0
            gross, cash = gross + value, cash - value
        verdicts = []
        for order in sorted(orders, key=lambda o: o.side == "buy"):
            verdict = self._fresh(order, ages) or self._economic(order, account, gross, cash, equity)
            if verdict.passed and order.side == "buy":
                value = order.qty * order.reference
                gross, cash = gross + value, cash - value * (1.0 + self.rules.slippage + self.rules.fee)
            verdicts.append(verdict)
        return verdicts

    def _fresh(self, order: Order, ages: Mapping[str, int]) -> Verdict | None:
        age, most = ages.get(order.symbol), self.limits.max_stale_sessions
        if age is not None and age <= most:
            return None
        measured = "no bar at all" if age is None else f"last bar {age} sessions ago"
        return Verdict(order, "STALE_DATA", measured, f"{most} (risk.max_stale_sessions)")

    def _economic(self, order: Order, account: Account, gross: float, cash: float, equity: float) -> Verdict:
        if not 0.0 < order.reference < np.inf or order.qty <= 0:
            return Verdict(order, "NOT_FINITE", f"{order.qty / UNIT:g} at {order.reference}", "a price and a quantity above 0")
        position = account.positions.get(order.symbol)
        held = position.qty if position else 0
        if order.side == "sell":
            if order.qty <= held:
                return Verdict(order)
            return Verdict(order, "SHORT_NOT_ALLOWED", f"{order.qty / UNIT:g} shares", f"{held / UNIT:g} held")
        most, reason = allowed(order.qty, held, order.reference, gross, cash, equity, self.rules)
        if most >= order.qty:
            return Verdict(order)
        return Verdict(order, LIMIT_NAMES[int(reason)], *self._measure(int(reason), order, held, gross, cash, equity))

    def _measure(self, reason: int, o: Order, held: int, gross: float, cash: float, equity: float) -> tuple[str, str]:
        value, rules = o.qty * o.reference, self.rules
        if reason == MAX_ORDER_NOTIONAL:
            most = min(rules.max_order, rules.max_order_share * equity / UNIT)
            return f"${value / UNIT:,.2f}", f"${most:,.2f} (risk.max_order_notional, risk.max_order_share)"
        if reason == MAX_POSITION:
            return f"{(held * o.reference + value) / equity:.2%}", f"{rules.max_position:.2%} (risk.max_position)"
        if reason == MAX_GROSS:
            return f"{(gross + value) / equity:.2%}", f"{rules.max_gross:.2%} (risk.max_gross)"
        if reason == MIN_CASH:
            left = (cash - value * (1.0 + rules.slippage + rules.fee)) / equity
            return f"{left:.2%} left", f"{rules.min_cash:.2%} (risk.min_cash)"
        return f"equity {equity / UNIT:g}", "an equity above 0"
