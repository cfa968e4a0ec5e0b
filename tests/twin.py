"""A plain twin of one bar: the written conventions of the step, in dictionaries and whole numbers.

Money and shares are Python integers of micro-units, prices floats.  It is slow, and knows nothing of the compiled step but
its codes: whoever changes a convention changes it in both, or a test says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from toolkit.kernels import account as codes
from toolkit.kernels.account import LIMIT, MARKET, UNIT, Prices, Rules

INF, NAN = math.inf, math.nan
UNBOUNDED = 2**62  # micro-shares


class Record(NamedTuple):
    """What moved cash or shares, or why an order ended."""

    bar: int
    symbol: int
    order: int
    reason: int
    qty: int = 0
    cash: int = 0
    fee: int = 0
    slip: int = 0
    price: float = NAN

    @property
    def fill(self) -> bool:
        return self.qty != 0 and self.reason != codes.SPLIT


class Plan(NamedTuple):
    """What was decided at a close."""

    bar: int
    symbol: int
    id: int
    qty: int
    wanted: int
    limit: int
    kind: int
    level: float


@dataclass
class Order:
    id: int
    rest: int  # signed
    kind: int
    day: bool
    level: float
    why: int = codes.WAITING

    @property
    def side(self) -> int:
        return 1 if self.rest > 0 else -1


@dataclass
class Holding:
    qty: int = 0
    entry: float = 0.0
    peak: float = 0.0
    mark: float = NAN
    value: int = 0  # what the qty counts for at the last mark or fill
    score: float = 0.0
    taken: int = 0  # of this bar's volume
    inside: bool = False  # an order filled inside this bar
    out: int = 0  # 1: left by an exit, back when the score changes; above: the reason of a stop that goes on


def money(x: float) -> int:
    """To the nearest micro-dollar, ties to even."""
    return round(x)


def whole_lots(x: float, lot: int) -> int:
    """Towards zero."""
    return int(x) if lot == 1 else int(x / lot) * lot


@dataclass
class Twin:
    """An account, its log, and the five acts of a bar."""

    rules: Rules
    market: Prices
    cash: int
    records: list[Record] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    orders: int = 0
    equity: int = field(init=False)
    before: int = field(init=False)  # equity of the last close
    highest: int = field(init=False)  # of all closes, and the money at the start

    def __post_init__(self) -> None:
        n_symbols = len(self.market.open)
        self.held = {n: Holding() for n in range(n_symbols)}
        self.waiting: dict[tuple[int, int], Order] = {}  # by symbol and slot
        self.equity = self.before = self.highest = self.cash
        self.open, self.high, self.low, self.close, self.volume = (row.tolist() for row in self.market)

    # -------------------------------------------------------------------------------------------------- the books
    @property
    def long(self) -> int:
        return sum(max(h.value, 0) for h in self.held.values())

    @property
    def short(self) -> int:
        return sum(max(-h.value, 0) for h in self.held.values())

    def room(self) -> float:
        """What margin still carries: leverage times equity, less what is at risk."""
        return self.rules.leverage * (self.cash + self.long - self.short) - self.long - self.short

    def commission(self, size: int, price: float) -> int:
        r = self.rules
        return money(max(r.per_share * size, r.minimum * UNIT) + r.fee * (size * price) + r.per_order * UNIT)

    def paid(self, price: float, side: int, share: float) -> float:
        """A price after slippage, spread and impact, all against us."""
        r = self.rules
        moved = r.slippage + r.impact * share * share
        return price * (1.0 + side * moved) + side * r.half_spread

    def affordable(self, room: float, price: float) -> int:
        """Most lots that fit into the room with their commission; a dollar of commission costs `leverage` of room."""
        r, lever = self.rules, self.rules.leverage
        left = room - lever * r.per_order * UNIT
        by_share = left / (price * (1.0 + lever * r.fee) + lever * r.per_share)
        by_minimum = (left - lever * r.minimum * UNIT) / (price * (1.0 + lever * r.fee)) if r.minimum > 0 else INF
        size = whole_lots(max(min(by_share, by_minimum, UNBOUNDED), 0.0), r.lot)
        while size > 0 and money(size * price) + lever * self.commission(size, price) > room:
            size -= r.lot
        return size

    def trade(self, t: int, n: int, qty: int, met: float, paid: float, order: int, reason: int) -> None:
        """Shares against money; all of the position counts at the price of its last fill until the close."""
        h, fee = self.held[n], self.commission(abs(qty), paid)
        cash = -money(qty * paid) - fee
        self.cash += cash
        before, h.qty = h.qty, h.qty + qty
        if before * h.qty <= 0:  # opened, closed or turned round
            h.entry = h.peak = paid
        elif abs(h.qty) > abs(before):
            h.entry += (paid - h.entry) * (qty / h.qty)  # average
        h.taken += abs(qty)
        h.value = money(h.qty * paid)
        slip = money(abs(qty) * abs(paid - met))
        self.records.append(Record(t, n, order, reason, qty, cash, fee, slip, paid))

    def flow(self, t: int, n: int, reason: int, cash: int, price: float, qty: int = 0) -> None:
        """Money that no order moved; price: a dividend a share, a rate, or the ratio of a split."""
        self.cash += cash
        self.records.append(Record(t, n, 0, reason, qty, cash, price=price))

    def end(self, t: int, n: int, k: int, why: int) -> None:
        self.records.append(Record(t, n, self.waiting.pop((n, k)).id, why))

    # -------------------------------------------------------------------------------------------------- the acts
    def bar(self, t: int, actions: list[tuple[int, float, float]], scores: list[float], weights: list[float]) -> None:
        """One bar; actions are (symbol, split, dividend), scores and weights those of its close."""
        self.accrue(t)
        for n, split, dividend in actions:
            self.act(t, n, split, dividend)
        for closing in True, False:  # what reduces a position, then the rest; in the order of symbols, then of slots
            for n, k in sorted(self.waiting):
                if not closing or self.closing_part(self.waiting[n, k].rest, n):
                    self.settle(t, n, k, closing)
        for n in self.held:
            self.exit(t, n)
        for n, h in self.held.items():
            if self.close[n][t] > 0.0:
                h.mark = self.close[n][t]
            h.value = money(h.qty * h.mark) if h.qty else 0
            h.taken, h.inside = 0, False
        self.before, self.equity = self.equity, self.cash + self.long - self.short
        self.highest = max(self.highest, self.equity)
        self.decide(t, scores, weights)

    def accrue(self, t: int) -> None:
        """Interest on what was owed and the fee for what was borrowed since the last close."""
        r = self.rules
        if self.cash < 0 and r.interest > 0.0:
            self.flow(t, -1, codes.INTEREST, money(self.cash * r.interest), r.interest)
        for n, h in self.held.items():
            if h.qty < 0 and r.borrow > 0.0:
                self.flow(t, n, codes.BORROW, money(h.qty * h.mark * r.borrow), r.borrow)

    def act(self, t: int, n: int, split: float, dividend: float) -> None:
        """The dividend of the shares of the last close, then the split of shares, prices and orders."""
        h, lot = self.held[n], self.rules.lot
        if dividend != 0.0 and h.qty != 0:
            self.flow(t, n, codes.DIVIDEND, money(h.qty * dividend), dividend)
        if split == 1.0:
            return
        h.mark, h.entry, h.peak = h.mark / split, h.entry / split, h.peak / split
        exact = h.qty * split
        kept = money(exact) if lot == 1 else whole_lots(float(money(exact)), lot)  # first to the micro-share: 49 x 1/49 is 1
        if h.qty != 0:
            change, h.qty = kept - h.qty, kept
            in_lieu = money((exact - kept) * h.mark) if lot > 1 else 0  # a fractional account rounds instead
            self.flow(t, n, codes.SPLIT, in_lieu, split, change)
            h.value = money(kept * h.mark)
        for m, k in sorted(self.waiting):
            if m == n:
                order = self.waiting[n, k]
                order.rest, order.level = whole_lots(float(money(order.rest * split)), lot), order.level / split
                if order.rest == 0:
                    self.end(t, n, k, codes.SPLIT_AWAY)

    def closing_part(self, qty: int, n: int) -> int:
        """How much of `qty` reduces the position, unsigned."""
        held = self.held[n].qty
        return min(abs(qty), abs(held)) if qty * held < 0 else 0

    def meets(self, order: Order, n: int, t: int) -> float:
        """The price at which the bar meets an order, before slippage."""
        start, high, low = self.open[n][t], self.high[n][t], self.low[n][t]
        if order.kind == MARKET:
            return start
        falling = (order.kind == LIMIT) == (order.side > 0)  # buy limits and sell stops wait below the market
        if (start <= order.level) if falling else (start >= order.level):
            return start
        return order.level if ((low <= order.level) if falling else (high >= order.level)) else NAN

    def volume_left(self, n: int, t: int) -> int:
        """What the bar's volume still allows: never more than all of it, once volume matters at all."""
        r, volume = self.rules, self.volume[n][t]
        if r.volume_share == INF and not r.impact:
            return UNBOUNDED
        if not volume > 0.0:
            return 0  # unknown or none
        return max(whole_lots(min(r.volume_share, 1.0) * (volume * UNIT), r.lot) - self.held[n].taken, 0)

    def share_of(self, size: int, n: int, t: int) -> float:
        """Our part of the bar's volume, with this fill and those before it."""
        return (self.held[n].taken + size) / (self.volume[n][t] * UNIT) if self.rules.impact and size else 0.0

    def settle(self, t: int, n: int, k: int, closing: bool) -> None:
        """What the bar, its volume and the money allow of one order; its closing part first."""
        order = self.waiting[n, k]
        if not self.open[n][t] > 0.0:
            order.why = codes.HALTED
        elif math.isnan(met := self.meets(order, n, t)):
            order.why = codes.UNREACHED
        elif self.fill(t, n, k, met, closing):
            return
        if order.day and not closing:
            self.end(t, n, k, order.why)

    def fill(self, t: int, n: int, k: int, met: float, closing: bool) -> bool:
        """Fills what is possible at `met`; says whether the order is over."""
        order, h, side = self.waiting[n, k], self.held[n], self.waiting[n, k].side
        reduces = self.closing_part(order.rest, n)
        size = reduces if closing else abs(order.rest)
        size = min(size, self.volume_left(n, t))
        paid = self.paid(met, side, self.share_of(size, n, t))
        if order.kind == LIMIT:
            paid = min(paid, order.level) if side > 0 else max(paid, order.level)
        if not paid > 0.0:  # nothing would be left of the price
            order.why = codes.UNREACHED
            return False
        why = codes.VOLUME if size < abs(order.rest) else codes.WAITING
        if not closing and size > reduces:
            if side < 0 and not self.rules.short:
                size, why = reduces, codes.SHORT_NOT_ALLOWED
            elif size - reduces > (most := self.affordable(self.room(), paid)):
                size, why = reduces + most, codes.CUT
        order.why = why
        over = why in (codes.SHORT_NOT_ALLOWED, codes.CUT)
        if size > 0:
            whole = size == abs(order.rest)
            reason = codes.CUT if why == codes.CUT else codes.FILLED if whole else codes.PARTIAL
            self.trade(t, n, side * size, met, paid, order.id, reason)
            h.inside = met != self.open[n][t]
            order.rest -= side * size
        if order.rest == 0:
            del self.waiting[n, k]
            return True
        if over:
            self.end(t, n, k, why)
        return over

    def exit(self, t: int, n: int) -> None:
        """Stop, trailing stop or target: at the open first, then the stop before the target."""
        h, r, start = self.held[n], self.rules, self.open[n][t]
        if h.qty == 0 or min(r.stop_loss, r.trailing, r.take_profit) == INF or not start > 0.0:
            return
        side = 1 if h.qty > 0 else -1
        worst, best = (self.low[n][t], self.high[n][t]) if side > 0 else (self.high[n][t], self.low[n][t])
        fixed, trail = h.entry - side * r.stop_loss * h.entry, h.peak - side * r.trailing * h.peak
        stop, reason = (trail, codes.TRAILED) if side * trail > side * fixed else (fixed, codes.STOPPED)
        goal = h.entry * (1.0 + side * r.take_profit)
        met = NAN
        if h.out > 1:
            met, reason = start, h.out
        elif not h.inside and side * start <= side * stop:
            met = start
        elif not h.inside and side * start >= side * goal:
            met, reason = start, codes.TARGET
        elif side * worst <= side * stop:
            met = stop
        elif not h.inside and side * best >= side * goal:
            met, reason = goal, codes.TARGET
        if math.isnan(met):
            if not h.inside:
                h.peak = max(h.peak, best) if side > 0 else min(h.peak, best)
            return
        size = min(abs(h.qty), self.volume_left(n, t))
        if size > 0:
            paid = met if reason == codes.TARGET else self.paid(met, -side, self.share_of(size, n, t))
            self.trade(t, n, -side * size, met, max(paid, 0.0), 0, reason)
        else:
            self.flow(t, n, codes.VOLUME, 0, NAN)
            if reason == codes.TARGET:
                return
        h.out = 1 if reason == codes.TARGET or h.qty == 0 else reason
        if (n, 0) in self.waiting:
            self.end(t, n, 0, codes.EXITED)

    # -------------------------------------------------------------------------------------------------- deciding
    def decide(self, t: int, scores: list[float], weights: list[float]) -> None:
        """Differences to the targets of this close; what closes is never limited and makes room first."""
        r = self.rules
        sizes = r.max_order, r.max_order_share, r.max_position, r.max_gross, -r.min_cash, r.max_net, r.max_turnover
        bounded = min(*sizes, r.daily_loss, r.max_drawdown) < INF
        gross, net, room, asked = float(self.long + self.short), float(self.long - self.short), self.room(), []
        opened = 0.0
        for n, h in self.held.items():
            weight = weights[n] * r.size
            if self.asks(h, scores[n], weight):
                h.score, h.out = scores[n], 0
                wanted, limit = self.wish(h, weight)
                closing = self.closing_part(wanted, n)
                if closing == abs(wanted) or not bounded:
                    self.place(t, n, wanted, wanted, limit)
                else:
                    if (n, 0) in self.waiting:
                        self.end(t, n, 0, codes.REPLACED)
                    asked.append((n, wanted))
                gross, room = gross - closing * h.mark, room + closing * h.mark
                net += (closing if wanted > 0 else -closing) * h.mark
            elif bounded and (n, 0) in self.waiting:  # what waits keeps its place
                rest = self.waiting[n, 0].rest
                closing = self.closing_part(rest, n)
                taken = (abs(rest) - 2 * closing) * h.mark
                gross, net, room = gross + taken, net + rest * h.mark, room - taken
        for n, wanted in asked:
            h, side, closing = self.held[n], 1 if wanted > 0 else -1, self.closing_part(wanted, n)
            size, limit = self.carried(n, abs(wanted) - closing, side, gross, net, room, opened)
            self.place(t, n, side * (closing + size), wanted, limit)
            if size > 0:
                paid = max(self.paid(h.mark, side, 0.0), h.mark)
                gross, net, opened = gross + size * h.mark, net + side * size * h.mark, opened + size * h.mark
                room = room - size * paid - r.leverage * self.commission(size, paid)

    def asks(self, h: Holding, score: float, weight: float) -> bool:
        if not score >= -1.0 or math.isnan(weight) or not h.mark > 0.0 or (self.equity <= 0 and weight != 0.0):
            return False  # no opinion, never traded, or ruined: then there is nothing but the way out
        drift = abs(h.qty * h.mark - weight * self.equity)
        return score != h.score or (not h.out and self.rules.band < INF and drift > self.rules.band * self.equity)

    def wish(self, h: Holding, weight: float) -> tuple[int, int]:
        target = weight * self.equity / h.mark
        if target < 0.0 and not self.rules.short:
            return -h.qty, codes.SHORT_NOT_ALLOWED
        return whole_lots(target, self.rules.lot) - h.qty, codes.WITHIN

    def carried(self, n: int, wanted: int, side: int, gross: float, net: float, room: float, opened: float
                ) -> tuple[int, int]:  # fmt: skip
        """How many micro-shares the economic limits let open, and the last limit that cut."""
        r, h = self.rules, self.held[n]
        if side < 0 and not r.short:
            return 0, codes.SHORT_NOT_ALLOWED
        if self.highest - self.equity > r.max_drawdown * self.highest:
            return 0, codes.MAX_DRAWDOWN
        if r.daily_loss < INF and self.before - self.equity > r.daily_loss * self.before:
            return 0, codes.DAILY_LOSS
        stays = abs(h.qty) if side * h.qty > 0 else 0
        payable = INF
        if r.min_cash > -INF:
            payable = self.affordable(room - r.min_cash * self.equity, max(self.paid(h.mark, side, 0.0), h.mark))
        size, limit = wanted, codes.WITHIN
        for code, most in (
            (codes.MAX_ORDER_NOTIONAL, min(r.max_order * UNIT, r.max_order_share * self.equity) / h.mark),
            (codes.MAX_POSITION, r.max_position * self.equity / h.mark - stays),
            (codes.MAX_GROSS, (r.max_gross * self.equity - gross) / h.mark),
            (codes.MIN_CASH, payable),
            (codes.MAX_NET, (r.max_net * self.equity - side * net) / h.mark),
            (codes.MAX_TURNOVER_DAY, (r.max_turnover * self.equity - opened) / h.mark),
        ):
            if not size <= most:
                size, limit = whole_lots(max(most, 0.0), r.lot), code
        return size, limit

    def place(self, t: int, n: int, qty: int, wanted: int, limit: int) -> None:
        """An order in slot 0, instead of what waited there."""
        r, h, side = self.rules, self.held[n], 1 if qty > 0 else -1
        if (n, 0) in self.waiting:
            self.end(t, n, 0, codes.REPLACED)
        if qty == 0 and limit == codes.WITHIN:
            return
        kind, level = MARKET, NAN
        if r.kind != MARKET and not self.closing_part(qty, n):
            kind, ahead = r.kind, (side if qty else 0) * r.offset
            level = h.mark * (1.0 - ahead if kind == LIMIT else 1.0 + ahead)
        if qty != 0:
            self.submit(n, 0, qty, kind, bool(r.day), level)
        self.plans.append(Plan(t, n, self.orders if qty else 0, qty, wanted, limit, kind, level))

    def submit(self, n: int, k: int, qty: int, kind: int, day: bool, level: float) -> None:
        self.orders += 1
        self.waiting[n, k] = Order(self.orders, qty, kind, day, level)
