"""How an order becomes a fill: what a bar reaches, its volume allows and the money carries; the only definition of it.

Arrays of bars are (n_symbols, n_bars); `t` is the bar, `n` the symbol, `k` the slot.  No fastmath: a contracted multiply-add
would round differently in a backtest and at the paper broker.
"""

import numpy as np

from toolkit.kernels.account import (
    CUT,
    EXITED,
    FILLED,
    HALTED,
    LIMIT,
    MARKET,
    PARTIAL,
    SHORT_NOT_ALLOWED,
    STOPPED,
    TARGET,
    TRAILED,
    UNIT,
    UNREACHED,
    VOLUME,
    affordable,
    commission,
    count,
    free,
    lots,
    micro,
    reducing,
    sign,
    worse,
)  # fmt: skip
from toolkit.kernels.jit import inline


@inline
def record(t, n, order, reason, qty, cash, fee, slip, price, book):
    """Moves `qty` micro-shares and `cash` micro-dollars (net of `fee`) and writes it down: nothing else touches either."""
    account = book.account[0]
    account.cash += cash
    if n >= 0:
        book.positions[n].qty += qty
    i = account.records
    account.records += 1
    if i < book.records.size:
        r = book.records[i]
        r.bar, r.symbol, r.order, r.reason, r.qty, r.cash = t, n, order, reason, qty, cash
        r.fee, r.slip, r.price = fee, slip, price


@inline
def trade(t, n, qty, price, paid, order, reason, book, rules):
    """Books `qty` signed micro-shares, met at `price` and `paid` after slippage: the only place where money meets shares."""
    account, p = book.account[0], book.positions[n]
    fee, value = commission(abs(qty), paid, rules), micro(qty * paid)
    before, after = p.qty, p.qty + qty
    count(account, before, p.mark, -1)
    count(account, after, paid, 1)
    p.mark = paid
    if sign(before) != sign(after):  # opened, closed or turned round
        account.held += np.int64(after != 0) - np.int64(before != 0)
        p.entry, p.peak = paid, paid
    elif abs(after) > abs(before):
        p.entry += (paid - p.entry) * (qty / after)  # average price of what is held
    p.taken += abs(qty)
    account.fills += 1
    account.fees += fee
    account.traded += abs(value)
    record(t, n, order, reason, qty, -value - fee, fee, micro(qty * (paid - price)), paid, book)


@inline
def end(t, n, k, why, book):
    """Ends the order in slot k unfilled, with its reason."""
    account, o = book.account[0], book.orders[n, k]
    record(t, n, o.id, why, 0, 0, 0, 0, np.nan, book)
    o.rest = 0
    account.waiting -= 1


@inline
def liquid(t, n, prices, book, rules):
    """Micro-shares that the bar's volume still allows us; an unknown volume allows none."""
    if rules.volume_share == np.inf and rules.impact == 0.0:
        return np.int64(2**62)
    most = min(rules.volume_share, 1.0) * (prices.volume[n, t] * UNIT)
    return max(lots(most, rules.lot) - book.positions[n].taken, np.int64(0)) if most > 0.0 else np.int64(0)


@inline
def part(t, n, size, prices, book, rules):
    """Our share of the bar's volume with this fill, which moves the price where `impact` says so."""
    if not (rules.impact > 0.0 and size > 0):
        return 0.0
    return (book.positions[n].taken + size) / (prices.volume[n, t] * UNIT)


@inline
def touched(kind, side, level, start, high, low):
    """Price at which an order meets this bar, NaN if it does not; where the open gapped through, the open."""
    if kind == MARKET:
        return start
    reach = (low if side > 0 else high) if kind == LIMIT else (high if side > 0 else low)
    ahead = side if kind == LIMIT else -side
    if ahead * (start - level) <= 0.0:
        return start
    return level if ahead * (reach - level) <= 0.0 else np.nan


@inline
def settle(t, prices, book, rules):
    """2. Fills waiting orders: first what reduces a position, then the rest, each in the order of symbols, then of slots."""
    if book.account[0].waiting == 0:
        return
    for closing in (True, False):
        for n in range(book.positions.size):
            for k in range(book.orders.shape[1]):
                rest = book.orders[n, k].rest
                if rest != 0 and not (closing and reducing(rest, book.positions[n].qty) == 0):
                    settle_one(t, n, k, closing, prices, book, rules)


@inline
def settle_one(t, n, k, closing, prices, book, rules):
    """Fills what this bar, its volume and our money allow: of an order that turns a position round, first the closing part."""
    account, p, o = book.account[0], book.positions[n], book.orders[n, k]
    side, start = sign(o.rest), prices.open[n, t]
    price = touched(o.kind, side, o.level, start, prices.high[n, t], prices.low[n, t])
    reason = UNREACHED if start == start else HALTED
    if price > 0.0:
        size, reduces = min(side * o.rest, liquid(t, n, prices, book, rules)), abs(reducing(o.rest, p.qty))
        if closing:
            size = min(size, reduces)
        paid = worse(price, side, part(t, n, size, prices, book, rules), rules)
        if o.kind == LIMIT and side * (paid - o.level) > 0.0:
            paid = o.level  # a limit is never broken, not by slippage either
        reason = FILLED
        if size > reduces and not (side > 0 or rules.short):
            size, reason = reduces, SHORT_NOT_ALLOWED
        elif size > reduces:
            room = affordable(free(account, rules), paid, rules)
            if size - reduces > room:
                size, reason = reduces + room, CUT
        if not paid > 0.0:
            size, reason = np.int64(0), UNREACHED
        elif reason == FILLED and size < side * o.rest:
            reason = PARTIAL if size > 0 else VOLUME
        if size > 0:
            p.fresh = np.int64(price != start)
            filled = PARTIAL if reason == SHORT_NOT_ALLOWED else reason
            trade(t, n, side * size, price, paid, o.id, filled, book, rules)
            o.rest -= side * size
            account.waiting -= np.int64(o.rest == 0)
    if closing or o.rest == 0:
        return
    o.why = VOLUME if reason == PARTIAL else reason
    if reason in (CUT, SHORT_NOT_ALLOWED) or o.day:
        end(t, n, k, o.why, book)


@inline
def exits(t, prices, book, rules):
    """3. Stop-loss, trailing stop and take-profit inside the bar: the open comes first, then the worse of the two."""
    if book.account[0].held == 0 or min(rules.stop_loss, rules.take_profit, rules.trailing) == np.inf:
        return
    for n in range(book.positions.size):
        p, start = book.positions[n], prices.open[n, t]
        if p.qty == 0 or not start > 0.0:
            continue
        side, worst, best = 1.0, prices.low[n, t], prices.high[n, t]
        if p.qty < 0:
            side, worst, best = -1.0, best, worst
        fixed, trail = side * p.entry - rules.stop_loss * p.entry, side * p.peak - rules.trailing * p.peak
        stop, goal = side * max(fixed, trail), p.entry * (1.0 + side * rules.take_profit)
        price, reason = np.nan, STOPPED if fixed >= trail else TRAILED
        if p.out > 1:  # a stop that the volume did not let through: the rest goes at the open
            price, reason = start, p.out
        elif not p.fresh and side * (start - stop) <= 0.0:
            price = start
        elif not p.fresh and side * (start - goal) >= 0.0:
            price, reason = start, TARGET
        elif side * (worst - stop) <= 0.0:
            price = stop
        elif not p.fresh and side * (best - goal) >= 0.0:
            price, reason = goal, TARGET
        if price > 0.0:
            leave(t, n, side, price, reason, prices, book, rules)
        elif not p.fresh and side * (best - p.peak) > 0.0:
            p.peak = best


@inline
def leave(t, n, side, price, reason, prices, book, rules):
    """Gives up what the volume allows of a position; of a stop the rest follows, of a target it waits for its price."""
    p = book.positions[n]
    size = min(abs(p.qty), liquid(t, n, prices, book, rules))
    if size > 0:
        paid = price if reason == TARGET else worse(price, -side, part(t, n, size, prices, book, rules), rules)
        trade(t, n, -np.int64(side) * size, price, max(paid, 0.0), 0, reason, book, rules)
    else:
        record(t, n, 0, VOLUME, 0, 0, 0, 0, np.nan, book)
        if reason == TARGET:
            return
    p.out = 1 if reason == TARGET or p.qty == 0 else reason  # no way back before the score changes,
    if book.orders[n, 0].rest != 0:
        end(t, n, 0, EXITED, book)  # and what is left of the entry must not follow
