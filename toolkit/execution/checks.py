"""The operational limits of the gate: what only a loop can know.  Each check measures one thing and denies what is not within.

Comparisons fail closed: what cannot be compared is denied.  The order of CHECKS is the order in which they are asked; the first
that denies has the word.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from toolkit.errors import InvalidParameter
from toolkit.execution.costs import check_fractions, check_numbers
from toolkit.execution.orders import Order, price_said, shares
from toolkit.execution.situation import Situation
from toolkit.execution.standing import ACTIVE, HALT, REDUCE_ONLY
from toolkit.kernels.account import UNIT

FIVE = 5  # conditions of live trading


@dataclass(frozen=True)
class Operations:
    """Operational limits of a loop; none unless named.  Those marked (R) let pass what only closes.

    max_order_qty: shares; collar: distance of a limit or stop from the last close, a fraction; bar_jump: last close against the
    one before, a fraction (R); adv_share: fraction of the median volume of 20 bars (R); orders_cycle, orders_day,
    orders_symbol_day: counts; fresh_share: fraction of the universe with a bar of the last session (R); max_pause: seconds to
    wait for the broker's pace; max_skew: seconds between the clocks; buying_power: fraction of the broker's that an order may
    take (R); error_streak: cycles that may fail, or orders that may be rejected, in a row before the account halts, at least 1;
    drawdown_halts: whether it halts beyond the economic limit max_drawdown, so that nothing is sold either.
    """

    max_order_qty: float = math.inf
    collar: float = math.inf
    bar_jump: float = math.inf
    adv_share: float = math.inf
    orders_cycle: float = math.inf
    orders_day: float = math.inf
    orders_symbol_day: float = math.inf
    fresh_share: float = 0.0
    max_pause: float = 10.0
    max_skew: float = math.inf
    buying_power: float = math.inf
    error_streak: float = math.inf
    drawdown_halts: bool = False

    def __post_init__(self) -> None:
        check_numbers(self)
        check_fractions(self, 10.0, "adv_share")
        check_fractions(self, 1.0, "collar")
        if not (self.error_streak == math.inf or (self.error_streak >= 1 and self.error_streak == int(self.error_streak))):
            raise InvalidParameter(f"Operations.error_streak is {self.error_streak}", "use a whole number from 1 on, or inf")


PAPER = Operations(10_000.0, 0.05, 0.40, 0.05, 50, 500, 20, 0.9, 10.0, 30.0, 0.98, 5, True)
LIVE = Operations(1_000.0, 0.03, 0.40, 0.01, 10, 50, 4, 0.9, 10.0, 30.0, 0.98, 3, True)


class Asked(NamedTuple):
    """One order before the gate: micro-shares that open or add, and those already planned of this cycle."""

    order: Order
    opening: int
    planned: int  # orders of this cycle that passed before it
    committed: float  # dollars that they take
    oldest: int  # sessions that the last traded bar may lie back


class Denial(NamedTuple):
    """Why an order does not pass."""

    code: str
    measured: str
    limit: str


Check = Callable[[Asked, Situation, Operations], Denial | None]


def _switch(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    return Denial("KILL_SWITCH", s.kill, "no switch pulled") if s.kill else None


def _stands(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    if s.standing == ACTIVE or (s.standing == REDUCE_ONLY and not asked.opening):
        return None
    if s.standing in {HALT, REDUCE_ONLY}:
        return Denial(s.standing, s.why, ACTIVE)
    return Denial(HALT, f"the standing {s.standing!r}, which is none: see `toolkit ledger verify`", ACTIVE)


def _armed(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    if not s.unarmed:
        return None
    return Denial(
        "LIVE_NOT_ARMED", f"{FIVE - len(s.unarmed)} of {FIVE} conditions; missing: {', '.join(s.unarmed)}", f"all {FIVE}"
    )


def _clock(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    if s.clash:
        return Denial("MARKET_CLOSED", s.clash, "a broker and a calendar that agree")
    if not abs(s.skew) <= o.max_skew:
        return Denial("CLOCK_SKEW", f"{s.skew:.1f} s", f"{o.max_skew:g} s (operations.max_skew)")
    return None


def _frozen(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    why = s.quotes.suspect.get(asked.order.symbol)
    return Denial("SYMBOL_FROZEN", why, "a symbol without open questions") if why else None


def _split(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    """An order that is sent on a later day than it was decided may fill in other shares than it counts."""
    if s.splits is None:
        return Denial("SPLITS_UNKNOWN", "no answer about splits since its close", "the broker's answer")
    why = s.splits.get(asked.order.symbol)
    return Denial("SPLIT_DUE", why, "no split between its close and its fill") if why else None


def _repeated(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    order = asked.order
    for other in (*s.today.unsure, *s.account.waiting, *s.others):
        if other.symbol != order.symbol or other.id == order.id:
            continue
        doubt = other in s.today.unsure
        if other.side != order.side:
            return Denial("SELF_CROSS", f"{other.side} {shares(other.qty)} waits ({other.id})", "no open order against it")
        if doubt or (other.kind == order.kind == "market" and other not in s.others):
            return Denial("DUPLICATE", f"{other.id} {'of unknown fate' if doubt else 'waits'}", "one order a side")
    sent = s.today.sent.get((order.symbol, order.side), 0)
    if not sent + order.qty <= max(order.wanted, order.qty):
        return Denial("PARENT_EXCEEDED", f"{shares(sent + order.qty)} shares", f"{shares(order.wanted)} decided")
    return None


def _asset(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    if s.assets is None:
        return None
    asset, order = s.assets.get(asked.order.symbol), asked.order
    if asset is None:
        return Denial("ASSET_UNKNOWN", "not known to the broker", "an asset of the broker")
    if not asset.tradable:
        return Denial("ASSET_NOT_TRADABLE", "not tradable", "tradable")
    if order.qty % UNIT and not asset.fractionable:
        return Denial("ASSET_NOT_FRACTIONABLE", f"{shares(order.qty)} shares", "whole shares")
    if order.side == "sell" and asked.opening and not asset.shortable:
        return Denial("ASSET_NOT_SHORTABLE", f"{shares(asked.opening)} shares short", "what is held")
    return None


def _size(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    order = asked.order
    if not order.qty / UNIT <= o.max_order_qty and asked.opening:
        return Denial("MAX_ORDER_QTY", f"{shares(order.qty)} shares", f"{o.max_order_qty:,.0f} (operations.max_order_qty)")
    volume = s.quotes.volumes.get(order.symbol, 0.0)
    if asked.opening and not asked.opening / UNIT <= o.adv_share * volume and o.adv_share < math.inf:
        measured = f"{shares(asked.opening)} shares of {volume:,.0f}"
        return Denial("ADV_SHARE", measured, f"{o.adv_share:.2%} (operations.adv_share)")
    return None


def _price(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    order = asked.order
    jump = s.quotes.jumps.get(order.symbol, math.nan)
    if asked.opening and o.bar_jump < math.inf and not 1.0 / (1.0 + o.bar_jump) <= jump <= 1.0 + o.bar_jump:
        measured = f"{jump:.2f}:1 in one bar" if jump == jump else "no two closes to compare"
        return Denial("BAR_JUMP", measured, f"{o.bar_jump:.0%} (operations.bar_jump)")
    if order.kind != "market" and not abs(order.level / order.reference - 1.0) <= o.collar:
        moved = order.level / order.reference - 1.0
        away = f"{order.kind} {price_said(order.level)} is {moved:+.1%} of {price_said(order.reference)}"
        return Denial("PRICE_COLLAR", away, f"{o.collar:.1%} (operations.collar)")
    return None


def _counts(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    symbol, today = asked.order.symbol, s.today
    for code, number, most, name in (
        ("MAX_ORDERS_CYCLE", asked.planned + 1, o.orders_cycle, "orders_cycle"),
        ("MAX_ORDERS_DAY", today.orders + asked.planned + 1, o.orders_day, "orders_day"),
        ("MAX_ORDERS_SYMBOL_DAY", today.by_symbol.get(symbol, 0) + 1, o.orders_symbol_day, "orders_symbol_day"),
    ):
        if not number <= most:
            return Denial(code, f"order {number}", f"{most:g} (operations.{name})")
    if not s.pause <= o.max_pause:
        return Denial("ORDER_RATE", f"{s.pause:.1f} s to wait", f"{o.max_pause:g} s (operations.max_pause)")
    return None


def _stale(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    age = s.quotes.ages.get(asked.order.symbol)
    if age is not None and age <= asked.oldest:
        return None
    measured = "no bar at all" if age is None else f"last bar {age} sessions ago"
    return Denial("STALE_DATA", measured, f"{asked.oldest} (risk.max_stale_sessions)")


def _market(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    if asked.opening and not s.quotes.fresh >= o.fresh_share:
        return Denial("UNIVERSE_PARTIAL", f"{s.quotes.fresh:.0%} fresh", f"{o.fresh_share:.0%} (operations.fresh_share)")
    return None


def _power(asked: Asked, s: Situation, o: Operations) -> Denial | None:
    taken = asked.committed + asked.order.notional
    if asked.opening and o.buying_power < math.inf and not taken <= o.buying_power * s.buying_power:
        most = f"${o.buying_power * s.buying_power:,.2f} (operations.buying_power)"
        return Denial("BUYING_POWER", f"${taken:,.2f}", most)
    return None


CHECKS: tuple[Check, ...] = (
    _switch, _stands, _armed, _clock, _frozen, _split, _repeated, _asset, _price, _size, _counts, _stale, _market, _power,
)  # fmt: skip


def denial(asked: Asked, situation: Situation, operations: Operations) -> Denial | None:
    """The first check that denies, None if all pass."""
    for check in CHECKS:
        if (found := check(asked, situation, operations)) is not None:
            return found
    return None
