"""Pre-trade limits: every order passes here when it is planned and again just before it is sent.

The economic limits are those of the compiled step, asked once more; the operational ones (`checks`) exist here alone.  A
comparison that cannot be made denies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from toolkit.execution.book import LIMIT_NAMES, book_symbols, to_book
from toolkit.execution.checks import Asked, Operations, denial
from toolkit.execution.costs import Limits
from toolkit.execution.orders import Account, Order, shares
from toolkit.execution.situation import Situation
from toolkit.kernels.account import (
    DAILY_LOSS,
    MAX_DRAWDOWN,
    MAX_GROSS,
    MAX_NET,
    MAX_ORDER_NOTIONAL,
    MAX_POSITION,
    MAX_TURNOVER_DAY,
    MIN_CASH,
    SHORT_NOT_ALLOWED,
    UNIT,
    Rules,
    allowed,
    commission,
    free,
    reducing,
    worse,
)  # fmt: skip

CENT = 0.01 * UNIT  # for rounding: the step has cut to the same sums, added up in another order
CURES = {
    "NOT_FINITE": "look at the bars of the symbol",
    "STALE_DATA": "fetch again, or wait until the symbol trades",
    "MAX_ORDER_NOTIONAL": "order less at once, or raise the limit",
    "MAX_POSITION": "hold less of it, or raise the limit",
    "MAX_GROSS": "sell first, or raise the limit",
    "MIN_CASH": "sell first, or lower the limit",
    "SHORT_NOT_ALLOWED": "sell at most what is held, or allow shorts",
    "KILL_SWITCH": "find out why, then `toolkit resume`",
    "HALT": "find out why, then `toolkit resume`",
    "REDUCE_ONLY": "positions may be closed; `toolkit resume` lifts it",
    "LIVE_NOT_ARMED": "see `toolkit arm`",
    "MARKET_CLOSED": "compare the calendar with the broker's notices",
    "CLOCK_SKEW": "set this machine's clock",
    "SYMBOL_FROZEN": "look at its bars, orders and holding, it goes on when they agree",
    "SPLIT_DUE": "it is decided again at the next close",
    "SPLITS_UNKNOWN": "the next cycle asks again",
    "DUPLICATE": "wait until the other order has ended",
    "SELF_CROSS": "cancel the other order first",
    "PARENT_EXCEEDED": "report it: more was about to be sent than was decided",
    "ASSET_UNKNOWN": "take the symbol out of the universe",
    "ASSET_NOT_TRADABLE": "wait, or take the symbol out of the universe",
    "ASSET_NOT_FRACTIONABLE": "set whole_shares: true",
    "ASSET_NOT_SHORTABLE": "sell at most what is held",
    "PRICE_COLLAR": "bring the level nearer to the last price",
    "BAR_JUMP": "look for a split or a bad bar; it is traded again after the next bar",
    "MAX_ORDER_QTY": "order less at once, or raise the limit",
    "ADV_SHARE": "order less at once, or raise the limit",
    "MAX_ORDERS_CYCLE": "trade fewer symbols, or raise the limit",
    "MAX_ORDERS_DAY": "go on in the next session, or raise the limit",
    "MAX_ORDERS_SYMBOL_DAY": "go on in the next session, or raise the limit",
    "ORDER_RATE": "go on in the next cycle",
    "DAILY_LOSS": "positions may be closed; it ends with the next session",
    "MAX_DRAWDOWN": "find out why, then `toolkit resume`",
    "UNIVERSE_PARTIAL": "fetch again, or wait",
    "MAX_TURNOVER_DAY": "go on in the next session, or raise the limit",
    "MAX_NET": "buy and sell more evenly, or raise the limit",
    "BUYING_POWER": "sell first, or bring money",
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
            return f"PASSED {o.symbol} {o.side} {shares(o.qty)}"
        return (
            f"RISK_DENIED[{self.code}] {o.symbol} {o.side} {shares(o.qty)}: "
            f"measured {self.measured} vs limit {self.limit}; {CURES[self.code]}"
        )


def opens(order: Order, account: Account) -> int:
    """Micro-shares of the order that open a position or add to one."""
    position = account.positions.get(order.symbol)
    return order.qty - abs(int(reducing(order.signed, position.qty if position else 0)))


class Planned(NamedTuple):
    """Micro-dollars when the orders that passed before have filled."""

    gross: float
    low: float  # net exposure; it is not one number where the fate of an order is not known
    high: float
    room: float  # see kernels.account.free
    turnover: float  # opened in this session
    equity: float
    before: float  # equity of the close before
    highest: float


@dataclass(frozen=True)
class Gate:
    """The limits of one account."""

    limits: Limits
    rules: Rules
    operations: Operations = Operations()

    def review(self, orders: Sequence[Order], situation: Situation, later: Sequence[Order] = ()) -> list[Verdict]:
        """A verdict an order, those that only close first, as they fill.

        `later`: orders of the same plan that follow; what they close makes room already. What a denied order would have closed
        makes none: the others are reviewed again without it. Of orders of unknown fate, and of others, counts what they open.
        """
        verdicts = self._reviewed(orders, situation, later)
        while any(denied := [v for v in verdicts if not v.passed]) and len(denied) < len(verdicts):
            again = self._reviewed([v.order for v in verdicts if v.passed], situation, later)
            if all(v.passed for v in again):
                break
            verdicts = [*denied, *again]
        return sorted(verdicts, key=lambda v: opens(v.order, situation.account) > 0)

    def _reviewed(self, orders: Sequence[Order], situation: Situation, later: Sequence[Order]) -> list[Verdict]:
        account = situation.account
        known = {o.id for o in (*orders, *later, *account.waiting)}
        symbols = book_symbols(account, sorted({o.symbol for o in (*orders, *later)} | set(account.positions)))
        book = to_book(account, symbols, past=situation.past)
        state, asked = book.account[0], {o.symbol: o.signed for o in (*orders, *later)}
        gross, net, room = state["long"] + state["short"], state["long"] - state["short"], free(state, self.rules)
        for symbol, p, slots in zip(symbols, book.positions, book.orders, strict=True):
            waits = [asked[symbol]] if symbol in asked else [int(rest) for rest in slots["rest"] if rest]
            for rest in waits:
                closing = int(reducing(rest, int(p["qty"])))
                opening = 0 if symbol in asked else abs(rest - closing)  # those asked for take their place one by one
                value = (opening - abs(closing)) * p["mark"] if opening or closing else 0.0
                gross, room = gross + value, room - value
                moved = closing if symbol in asked else rest
                net += moved * p["mark"] if moved else 0.0
        low = high = float(net)
        for order in (*situation.today.unsure, *situation.others):
            if order.id not in known:  # perhaps it never fills: what it opens counts, what it closes makes no room
                opening, whole = opens(order, account), order.qty * order.reference
                value = opening * order.reference if opening else 0.0
                gross, room = gross + value, room - value
                low, high = (low, high + whole) if order.side == "buy" else (low - whole, high)
        equities = (float(state[name]) for name in Planned._fields[4:])
        done, planned, committed, verdicts = Planned(float(gross), low, high, float(room), *equities), 0, 0.0, []
        for order in sorted(orders, key=lambda o: opens(o, account) > 0):
            opening = opens(order, account)
            verdict = self._operational(Asked(order, opening, planned, committed, self.limits.max_stale_sessions), situation)
            verdict = verdict or self._economic(order, opening, situation, done)
            if verdict.passed:
                planned += 1
            if verdict.passed and opening:
                done, committed = self._with(done, order, opening), committed + order.notional
            verdicts.append(verdict)
        return verdicts

    def _operational(self, asked: Asked, situation: Situation) -> Verdict | None:
        order = asked.order
        if not 0.0 < order.reference < np.inf or order.qty <= 0:
            return Verdict(order, "NOT_FINITE", f"{shares(order.qty)} at {order.reference}", "a price and a quantity above 0")
        found = denial(asked, situation, self.operations)
        return Verdict(order, *found) if found else None

    def _with(self, done: Planned, order: Order, opening: int) -> Planned:
        value = opening * order.reference
        moved = value if order.side == "buy" else -value
        return done._replace(
            gross=done.gross + value, low=done.low + moved, high=done.high + moved,
            room=done.room - self._taken(order, opening), turnover=done.turnover + value,
        )  # fmt: skip

    def _taken(self, order: Order, opening: int) -> float:
        """Micro-dollars of room that the opening part takes."""
        side, rules = 1 if order.side == "buy" else -1, self.rules
        paid = max(float(worse(order.reference, side, 0.0, rules)), order.reference)
        return opening * paid + rules.leverage * int(commission(opening, paid, rules))

    def _economic(self, o: Order, opening: int, situation: Situation, done: Planned) -> Verdict:
        account, side = situation.account, 1 if o.side == "buy" else -1
        position = account.positions.get(o.symbol)
        if not opening:
            return Verdict(o)
        held = 0 if opening < o.qty or position is None else abs(position.qty)  # on the side that the order takes
        held += sum(opens(other, account) for other in situation.others if (other.symbol, other.side) == (o.symbol, o.side))
        gross, low, high, room, turnover, *equities = done
        net = high if side > 0 else low
        sums = gross - CENT, net - side * CENT, room + CENT, turnover - CENT
        most, reason = allowed(opening, held, side, o.reference, *sums, *equities, self.rules)
        if most >= opening:
            return Verdict(o)
        return Verdict(o, LIMIT_NAMES[int(reason)], *self._measure(int(reason), o, opening, held, side, done))

    def _measure(self, reason: int, o: Order, opening: int, held: int, side: int, done: Planned) -> tuple[str, str]:
        value, rules, equity = opening * o.reference, self.rules, done.equity
        if reason == MAX_ORDER_NOTIONAL:
            most = min(rules.max_order, rules.max_order_share * equity / UNIT)
            return f"${value / UNIT:,.2f}", f"${most:,.2f} (risk.max_order_notional, risk.max_order_share)"
        if reason == MAX_POSITION:
            return f"{(held * o.reference + value) / equity:.2%}", f"{rules.max_position:.2%} (risk.max_position)"
        if reason == MAX_GROSS:
            return f"{(done.gross + value) / equity:.2%}", f"{rules.max_gross:.2%} (risk.max_gross)"
        if reason == MIN_CASH:
            return f"{(done.room - self._taken(o, opening)) / equity:.2%} left", f"{rules.min_cash:.2%} (risk.min_cash)"
        if reason == MAX_NET:
            net = done.high if side > 0 else done.low
            return f"{(net + side * value) / equity:.2%}", f"{rules.max_net:.2%} (risk.max_net)"
        if reason == MAX_TURNOVER_DAY:
            return f"{(done.turnover + value) / equity:.2%}", f"{rules.max_turnover:.2%} (risk.max_turnover)"
        if reason == DAILY_LOSS:
            return f"{1.0 - equity / done.before:.2%} since the session before", f"{rules.daily_loss:.2%} (risk.daily_loss)"
        if reason == MAX_DRAWDOWN:
            fell = f"{1.0 - equity / done.highest:.2%} below the highest equity"
            return fell, f"{rules.max_drawdown:.2%} (risk.max_drawdown)"
        if reason == SHORT_NOT_ALLOWED:
            owned = o.qty - opening
            return f"{shares(o.qty)} shares", f"{shares(owned)} held (risk.allow_short)"
        return f"equity {equity / UNIT:g}", "an equity above 0"
