"""Orders over a limit, found in a ledger alone: arithmetic written a second time, in plain Python, by other roads.

The gate walks through a plan order by order and gives each its room. The oracle knows only what became of the plan: it adds up
the positions as they would be after it, and asks whether these, and each order that was sent, are within the limits given. It
imports nothing of the toolkit, and is handed plain numbers: what it shares with the gate is the ledger's tables.
"""

from __future__ import annotations

import json
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

MICRO = 1_000_000
CENT = 0.01  # of rounding in sums of money, dollars


class Tables(Protocol):
    """A ledger that can be asked."""

    def rows(self, query: str, *values: Any) -> list[Any]: ...


@dataclass(frozen=True)
class Sent:
    """An order as the ledger has it; quantities in micro-shares."""

    id: str
    cycle: str
    symbol: str
    side: str
    qty: int
    reference: float
    wanted: int
    kind: str
    level: float | None

    @property
    def signed(self) -> int:
        return self.qty if self.side == "buy" else -self.qty

    @property
    def dollars(self) -> float:
        return self.qty * self.reference / MICRO


class Case:
    """One cycle: the orders that were planned, those that were sent, and what it was decided on."""

    def __init__(self, ledger: Tables, key: str, situation: dict[str, Any]) -> None:
        self.key, self.known = key, situation
        rows = ledger.rows(
            "SELECT id, cycle, symbol, side, qty, reference, wanted, kind, level FROM intents WHERE cycle = ? AND id IN"
            " (SELECT id FROM order_events WHERE after = 'PLANNED') ORDER BY rowid", key,
        )  # fmt: skip
        self.orders = [Sent(*row) for row in rows]
        gone_out = {i for (i,) in ledger.rows("SELECT id FROM order_events WHERE after = 'SENDING'")}
        self.sent = [o for o in self.orders if o.id in gone_out]
        self.steps = ledger.rows(
            "SELECT e.seq, e.id, e.before, e.after FROM order_events e JOIN intents i ON i.id = e.id WHERE i.cycle = ?", key
        )
        gone = {i for (i,) in ledger.rows("SELECT id FROM order_events WHERE after = 'CANCELED' AND detail = ?", key)}
        _, _, self.cash, _, positions, waiting = situation["account"]
        self.held = {s: q for s, q, *_ in positions}
        self.marks = {s: mark for s, _, _, mark, *_ in positions if mark == mark}
        self.waiting = [Sent(o[0], o[1], o[2], o[3], o[4], o[5], o[6], o[8], o[9]) for o in waiting if o[0] not in gone]
        self.equity = (self.cash + sum(round(q * self.marks[s]) for s, q in self.held.items() if q)) / MICRO
        ages, self.jumps, self.volumes, self.suspect = situation["quotes"]
        self.ages: dict[str, int] = ages

    def opening(self, order: Sent) -> int:
        """Micro-shares of an order beyond what it closes."""
        held = self.held.get(order.symbol, 0)
        against = -held if (held < 0) == (order.side == "buy") else 0
        return order.qty - min(abs(against), order.qty) if held else order.qty

    def after(self, judged: list[Sent]) -> dict[str, int]:
        """Micro-shares of each symbol when all that was sent and waits has filled; an order speaks for its symbol alone.

        What was still to come when the last of those `judged` went out, and was given up only then, closes what it would have
        closed.
        """
        ids = {o.id for o in judged}
        last = max((seq for seq, i, _, state in self.steps if i in ids and state == "SENDING"), default=0)
        given_up = {
            i for seq, i, before, state in self.steps
            if seq > last and before == "PLANNED" and state in {"DENIED", "ABANDONED"}
        }  # fmt: skip
        later = [o for o in self.orders if o.id in given_up and o not in self.sent]
        spoken = {o.symbol for o in (*self.sent, *later)}
        total = Counter(self.held)
        for o in later:
            total[o.symbol] += (o.qty - self.opening(o)) * (1 if o.side == "buy" else -1)
        for o in (*self.sent, *(w for w in self.waiting if w.symbol not in spoken)):
            total[o.symbol] += o.signed
        return dict(total)

    def values(self, judged: list[Sent]) -> list[float]:
        """Dollars in each symbol then, negative where short."""
        return [qty * self.price(symbol) / MICRO for symbol, qty in self.after(judged).items() if qty]

    def price(self, symbol: str) -> float:
        """Dollars a share: that of its order, or its mark."""
        asked = [o.reference for o in (*self.sent, *self.waiting) if o.symbol == symbol]
        return self.marks.get(symbol, asked[0] if asked else math.nan)


def sent(ledger: Tables) -> int:
    """Orders that went out: those whose limits `breaches` goes through."""
    return int(ledger.rows("SELECT count(DISTINCT id) FROM order_events WHERE after = 'SENDING'")[0][0])


def breaches(ledger: Tables, limits: Mapping[str, Any], operations: Mapping[str, Any], costs: Mapping[str, Any]) -> list[str]:
    """What is over a limit, as sentences that begin with its code; empty if the gate kept its word.

    The numbers have the names of `Limits`, `Operations` and `Costs`: `vars(limits)` gives them.
    """
    return _all(ledger, *(SimpleNamespace(**each) for each in (limits, operations, costs)))


def situation_of(packed: bytes | None) -> dict[str, Any] | None:
    """What a cycle was decided on, as the ledger keeps it: packed JSON."""
    return None if packed is None else json.loads(zlib.decompress(packed))


def _all(ledger: Tables, limits: Any, operations: Any, costs: Any) -> list[str]:
    said = list(_of_the_ledger(ledger, limits, operations))
    for key, packed in ledger.rows("SELECT key, situation FROM cycles ORDER BY rowid"):
        situation = situation_of(packed)
        if situation is None:
            orders = ledger.rows("SELECT count(*) FROM intents WHERE cycle = ? AND status NOT IN ('CUT')", key)[0][0]
            said += [f"NO_SITUATION {key}: {orders} orders, and nothing says on what they were decided"] * (orders > 0)
            continue
        case = Case(ledger, key, situation)
        for order in case.orders:
            said += [
                f"{code} {order.id} {order.side} {order.symbol}: {what}"
                for code, what in _of_an_order(case, order, limits, operations)
            ]
        if case.sent:
            said += [f"{code} {key}: {what}" for code, what in _of_a_cycle(case, limits, operations, costs)]
    return said


def over(measured: float, limit: float) -> bool:
    """Whether a limit does not hold; what cannot be compared does not."""
    return not measured <= limit


def _of_an_order(case: Case, o: Sent, limits: Any, operations: Any) -> Iterator[tuple[str, str]]:
    known, opening = case.known, case.opening(o)
    if not (0 < o.reference < math.inf and o.qty > 0):
        yield "NOT_FINITE", f"{o.qty} at {o.reference}"
        return
    yield from _of_the_state(case, opening)
    if o.symbol in case.suspect:
        yield "SYMBOL_FROZEN", case.suspect[o.symbol]
    splits = known.get("splits", {})  # an earlier ledger kept none
    if splits is None:
        yield "SPLITS_UNKNOWN", "nobody knows"
    elif o.symbol in splits:
        yield "SPLIT_DUE", splits[o.symbol]
    age = case.ages.get(o.symbol)
    if age is None or over(age, limits.max_stale_sessions):
        yield "STALE_DATA", f"{age} sessions"
    if o.kind != "market" and (o.level is None or over(abs(o.level - o.reference), operations.collar * o.reference + 1e-9)):
        yield "PRICE_COLLAR", f"{o.level} at {o.reference}"
    yield from _of_others(case, o)
    yield from _of_the_asset(case, o, opening)
    if not opening:
        return
    dollars, equity = opening * o.reference / MICRO, case.equity
    if over(dollars, min(limits.max_order_notional, limits.max_order_share * equity) + CENT):
        yield "MAX_ORDER_NOTIONAL", f"${dollars:,.2f} of ${equity:,.2f}"
    if over(o.qty / MICRO, operations.max_order_qty):
        yield "MAX_ORDER_QTY", f"{o.qty / MICRO} shares"
    total = abs(case.held.get(o.symbol, 0) + o.signed) * o.reference / MICRO
    if over(total, limits.max_position * equity + CENT):
        yield "MAX_POSITION", f"${total:,.2f} of ${equity:,.2f}"
    if o.side == "sell" and not limits.allow_short:
        yield "SHORT_NOT_ALLOWED", f"{opening / MICRO} shares short"
    if operations.adv_share < math.inf and over(opening / MICRO, operations.adv_share * case.volumes.get(o.symbol, 0.0)):
        yield "ADV_SHARE", f"{opening / MICRO} shares of {case.volumes.get(o.symbol)}"
    jump = case.jumps.get(o.symbol, math.nan)
    most = 1.0 + operations.bar_jump
    if most < math.inf and (over(jump, most) or over(1.0, jump * most)):
        yield "BAR_JUMP", f"{jump}:1"
    fresh = [a == 0 for a in case.ages.values()]
    if fresh and over(operations.fresh_share, sum(fresh) / len(fresh)):
        yield "UNIVERSE_PARTIAL", f"{sum(fresh)} of {len(fresh)}"
    if over(known["peak"] / MICRO - equity, limits.max_drawdown * known["peak"] / MICRO + CENT) and known["peak"]:
        yield "MAX_DRAWDOWN", f"${equity:,.2f} of ${known['peak'] / MICRO:,.2f}"
    day = known["day_equity"] / MICRO
    if day and over(day - equity, limits.daily_loss * day + CENT):
        yield "DAILY_LOSS", f"${equity:,.2f} of ${day:,.2f}"


def _of_the_state(case: Case, opening: int) -> Iterator[tuple[str, str]]:
    known = case.known
    if known["standing"] == "HALT" or (known["standing"] == "REDUCE_ONLY" and opening):
        yield known["standing"], known["why"]
    if known["kill"]:
        yield "KILL_SWITCH", known["kill"]
    if known["unarmed"]:
        yield "LIVE_NOT_ARMED", ", ".join(known["unarmed"])
    if known["clash"]:
        yield "MARKET_CLOSED", known["clash"]


def _of_others(case: Case, o: Sent) -> Iterator[tuple[str, str]]:
    """Against orders that wait or are in doubt, and what was decided."""
    unsure = [Sent(u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[8], u[9]) for u in case.known["today"][3]]
    for other in (*unsure, *case.waiting):
        if other.symbol == o.symbol and other.id != o.id:
            if other.side != o.side:
                yield "SELF_CROSS", other.id
            elif other in unsure or other.kind == o.kind == "market":
                yield "DUPLICATE", other.id
    if sum(each.qty for each in case.orders if (each.symbol, each.side) == (o.symbol, o.side)) > o.wanted:
        yield "PARENT_EXCEEDED", f"{o.qty} of {o.wanted} micro-shares"


def _of_the_asset(case: Case, o: Sent, opening: int) -> Iterator[tuple[str, str]]:
    if case.known["assets"] is None:
        return
    asset = case.known["assets"].get(o.symbol)
    if asset is None:
        yield "ASSET_UNKNOWN", o.symbol
        return
    _, tradable, shortable, fractionable = asset
    if not tradable:
        yield "ASSET_NOT_TRADABLE", o.symbol
    if o.qty % MICRO and not fractionable:
        yield "ASSET_NOT_FRACTIONABLE", f"{o.qty / MICRO} shares"
    if o.side == "sell" and opening and not shortable:
        yield "ASSET_NOT_SHORTABLE", f"{opening / MICRO} shares"


def _of_a_cycle(case: Case, limits: Any, operations: Any, costs: Any) -> Iterator[tuple[str, str]]:
    if over(abs(case.known["skew"]), operations.max_skew):
        yield "CLOCK_SKEW", f"{case.known['skew']} s"
    if over(case.known["pause"], operations.max_pause):
        yield "ORDER_RATE", f"{case.known['pause']} s to wait"
    if over(len(case.sent), operations.orders_cycle):
        yield "MAX_ORDERS_CYCLE", f"{len(case.sent)} orders"
    opened = [(o, case.opening(o)) for o in case.sent if case.opening(o)]
    if not opened:
        return
    gross, equity = sum(map(abs, case.values([o for o, _ in opened]))), case.equity
    if over(gross, limits.max_gross * equity + CENT):
        yield "MAX_GROSS", f"${gross:,.2f} of ${equity:,.2f}"
    for side, sign in ("buy", 1), ("sell", -1):
        pushing = [o for o, _ in opened if o.side == side]
        if pushing and over(sign * (net := sum(case.values(pushing))), limits.max_net * equity + CENT):
            yield "MAX_NET", f"${net:,.2f} of ${equity:,.2f}"
    extra = sum(_extra(o, n, limits, costs) for o, n in opened)
    left = limits.leverage * equity - gross - extra
    if over(limits.min_cash * equity, left + CENT):
        yield "MIN_CASH", f"${left:,.2f} left of ${equity:,.2f}"
    taken, most = sum(o.dollars for o, _ in opened), case.known["buying_power"]
    if operations.buying_power < math.inf and over(taken, operations.buying_power * most + CENT):
        yield "BUYING_POWER", f"${taken:,.2f} of ${most:,.2f}"


def _extra(o: Sent, opening: int, limits: Any, costs: Any) -> float:
    """Dollars that an opening order takes beyond its value: slippage, spread and commission."""
    n, side = opening / MICRO, 1 if o.side == "buy" else -1
    paid = max(o.reference * (1 + side * costs.slippage_bps / 10_000) + side * costs.half_spread, o.reference)
    fee = max(costs.per_share * n, costs.minimum) + costs.fee_bps / 10_000 * n * paid + costs.per_order
    return n * (paid - o.reference) + limits.leverage * fee


def _of_the_ledger(ledger: Tables, limits: Any, operations: Any) -> Iterator[str]:
    """Verdicts, counts and turnover of a session, and the standing at each instant at which an order was sent."""
    verdicts = dict(ledger.rows("SELECT id, code FROM verdicts WHERE stage = 'plan'"))
    denied = dict(ledger.rows("SELECT id, min(at) FROM verdicts WHERE stage = 'send' GROUP BY id"))
    standings = ledger.rows("SELECT at, before, after FROM standings ORDER BY seq")
    orders: dict[str, int] = defaultdict(int)
    by_symbol: dict[tuple[str, str], int] = defaultdict(int)
    turnover: dict[str, float] = defaultdict(float)
    seen: set[str] = set()
    for at, *row, session, packed in ledger.rows(
        "SELECT e.at, i.id, i.cycle, i.symbol, i.side, i.qty, i.reference, i.wanted, i.kind, i.level,"
        " c.session, c.situation FROM order_events e JOIN intents i ON i.id = e.id JOIN cycles c ON c.key = i.cycle"
        " WHERE e.after = 'SENDING' ORDER BY e.seq"
    ):
        o = Sent(*row)
        if verdicts.get(o.id) != "":
            yield f"NO_VERDICT {o.id} was sent, its plan says {verdicts.get(o.id)!r}"
        if denied.get(o.id, at) < at:
            yield f"NO_VERDICT {o.id} was denied and sent after that"
        situation = situation_of(packed)
        case = Case(ledger, o.cycle, situation) if situation else None
        opening = case.opening(o) if case else o.qty
        stood = _stood(standings, at)
        if "ACTIVE" not in stood and (opening or "REDUCE_ONLY" not in stood):
            code = "HALT" if stood == {"HALT"} else "REDUCE_ONLY"
            yield f"{code} {o.id} was sent while the account was {', '.join(sorted(stood))}"
        if o.id in seen:
            continue  # sent again under its id
        seen.add(o.id)
        orders[session] += 1
        by_symbol[session, o.symbol] += 1
        turnover[session] += opening * o.reference / MICRO
        if over(orders[session], operations.orders_day):
            yield f"MAX_ORDERS_DAY {o.id} is order {orders[session]} of {session}"
        if over(by_symbol[session, o.symbol], operations.orders_symbol_day):
            yield f"MAX_ORDERS_SYMBOL_DAY {o.id} is order {by_symbol[session, o.symbol]} in {o.symbol} of {session}"
        if case and opening and over(turnover[session], limits.max_turnover * case.equity + CENT):
            yield f"MAX_TURNOVER_DAY {o.id}: ${turnover[session]:,.2f} of ${case.equity:,.2f} on {session}"


def _stood(standings: list[tuple[str, str, str]], at: str) -> set[str]:
    """What the account may have been allowed at an instant: where it changed at that very instant, both."""
    now = {"ACTIVE"}
    for changed, before, after in standings:
        if changed < at:
            now = {after}
        elif changed == at:
            now |= {before, after}
    return now
