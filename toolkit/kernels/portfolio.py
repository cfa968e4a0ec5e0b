"""One bar of a cash account: actions, settle, exits, mark, decide.  Arrays in, arrays changed in place.

Arrays of bars, scores and weights are (n_symbols, n_bars); `t` is the bar, `n` the symbol.  No fastmath: a contracted
multiply-add would round differently in a backtest and at the paper broker.
"""

import numpy as np

from toolkit.kernels.account import (
    BORROW,
    DIVIDEND,
    INTEREST,
    LARGEST,
    LIMIT,
    MARKET,
    NOT_FINITE,
    REPLACED,
    SHORT_NOT_ALLOWED,
    SPLIT,
    SPLIT_AWAY,
    WITHIN,
    allowed,
    commission,
    count,
    free,
    limited,
    lots,
    micro,
    reducing,
    sign,
    worse,
)  # fmt: skip
from toolkit.kernels.jit import EXACT, compiled, inline
from toolkit.kernels.orders import end, exits, record, settle


# ----------------------------------------------------------------------------------------------------------- 1. actions
@inline
def accrue(t, book, rules):
    """What borrowed shares and borrowed money cost since the last close."""
    account = book.account[0]
    if rules.interest > 0.0 and account.cash < 0:
        record(t, -1, 0, INTEREST, 0, micro(account.cash * rules.interest), 0, 0, rules.interest, book)
    if rules.borrow > 0.0 and account.short > 0.0:
        for n in range(book.positions.size):
            p = book.positions[n]
            if p.qty < 0:
                record(t, n, 0, BORROW, 0, micro(p.qty * p.mark * rules.borrow), 0, 0, rules.borrow, book)


@inline
def act(t, n, split, dividend, book, rules):
    """A dividend on the shares of the previous close (shorts pay), then the split of shares, prices and waiting orders."""
    p = book.positions[n]
    if p.qty != 0 and dividend != 0.0:
        record(t, n, 0, DIVIDEND, 0, micro(p.qty * dividend), 0, 0, dividend, book)
    if split == 1.0:
        return
    account, before = book.account[0], p.mark
    p.mark, p.entry, p.peak = p.mark / split, p.entry / split, p.peak / split
    if p.qty != 0:
        count(account, p.qty, before, -1)
        exact = p.qty * split
        kept = micro(exact) if rules.lot == 1 else lots(np.float64(micro(exact)), rules.lot)
        in_lieu = micro((exact - kept) * p.mark) if rules.lot != 1 else np.int64(0)
        count(account, kept, p.mark, 1)
        account.held -= np.int64(kept == 0)
        record(t, n, 0, SPLIT, kept - p.qty, in_lieu, 0, 0, split, book)
    for k in range(book.orders.shape[1]):
        o = book.orders[n, k]
        if o.rest != 0:
            rest = lots(np.float64(micro(o.rest * split)), rules.lot)
            o.level /= split
            if rest == 0:
                end(t, n, k, SPLIT_AWAY, book)
            o.rest = rest


# -------------------------------------------------------------------------------------------------------------- 4. mark
@inline
def mark(t, prices, book):
    """Values at the close, a halted symbol at its last price.  Sums of whole numbers below 2**53 are exact."""
    account = book.account[0]
    long = short = 0.0
    for n in range(book.positions.size):
        p = book.positions[n]
        p.taken = p.fresh = 0
        close = prices.close[n, t]
        if close == close:
            p.mark = close
        if p.qty > 0:
            long += np.rint(p.qty * p.mark)
        elif p.qty < 0:
            short -= np.rint(p.qty * p.mark)
    account.long, account.short = long, short
    equity = account.cash + long - short
    account.before, account.equity, account.highest = account.equity, equity, max(account.highest, equity)


# ------------------------------------------------------------------------------------------------------------ 5. decide
@inline
def asks(p, score, weight, equity, rules):
    """Whether the policy trades now: a changed score, or a drift beyond the band.  An unknown score is no opinion."""
    if not (score >= -1.0) or weight != weight or not (p.mark > 0.0 and equity < np.inf):
        return False
    if not equity > 0.0 and weight != 0.0:
        return False  # in ruin there is nothing but the way out
    if score != p.score:
        return True
    return rules.band < np.inf and p.out == 0 and abs(p.qty * p.mark - weight * equity) > rules.band * equity


@inline
def wish(p, weight, equity, rules):
    """Micro-shares to the target `weight * equity`, and the limit that forbids it (WITHIN if none does)."""
    target = weight * equity / p.mark
    if not abs(target) < LARGEST:
        return np.int64(0), NOT_FINITE
    if target < 0.0 and not rules.short:
        return -p.qty, SHORT_NOT_ALLOWED
    return lots(target, rules.lot) - p.qty, WITHIN


@inline
def place(t, n, qty, wanted, limit, book, rules):
    """Puts an order of `qty` into slot 0 in place of what waits there; writes down what was wanted, and what cut it."""
    account, p, o = book.account[0], book.positions[n], book.orders[n, 0]
    if o.rest != 0:
        end(t, n, 0, REPLACED, book)
    if qty == 0 and limit == WITHIN:
        return
    kind, level = MARKET, np.nan
    if rules.kind != MARKET and reducing(qty, p.qty) == 0:  # what closes a position does not wait for a price
        kind, ahead = rules.kind, np.float64(sign(qty)) * rules.offset
        level = p.mark * (1.0 - ahead) if kind == LIMIT else p.mark * (1.0 + ahead)
    if qty != 0:
        account.orders += 1
        account.waiting += 1
        o.id, o.rest, o.kind, o.day, o.why, o.level = account.orders, qty, kind, np.int64(rules.day), 0, level
    i = account.placed
    account.placed += 1
    if i < book.placed.size:
        w = book.placed[i]
        w.bar, w.symbol, w.id, w.qty, w.wanted, w.limit = t, n, account.orders if qty != 0 else 0, qty, wanted, limit
        w.kind, w.day, w.level, w.mark = kind, np.int64(rules.day), level, p.mark


@inline
def choose(t, scores, weights, book, rules):
    """5. Orders from this close to the targets, within the limits; they wait for the next bar.

    What reduces a position is never limited and makes room first.
    """
    account = book.account[0]
    equity, gross, room = account.equity, account.long + account.short, free(account, rules)
    net, turnover = account.long - account.short, account.turnover
    bounded, asked = limited(rules), np.int64(0)
    for n in range(book.positions.size):
        p, o = book.positions[n], book.orders[n, 0]
        weight = weights[n, t] * rules.size
        p.wanted = 0
        if asks(p, scores[n, t], weight, equity, rules):
            p.score, p.out = scores[n, t], 0
            p.wanted, limit = wish(p, weight, equity, rules)
            closing = reducing(p.wanted, p.qty)
            if closing == p.wanted or not bounded:
                place(t, n, p.wanted, p.wanted, limit, book, rules)
                p.wanted = 0
            elif o.rest != 0:
                end(t, n, 0, REPLACED, book)
            asked += np.int64(p.wanted != 0)
            value = abs(closing) * p.mark
            gross, room = gross - value, room + value
            if bounded:
                net += closing * p.mark
        elif bounded and o.rest != 0:  # an order that waits has its place
            closing = reducing(o.rest, p.qty)
            value = (abs(o.rest - closing) - abs(closing)) * p.mark
            gross, net, room = gross + value, net + o.rest * p.mark, room - value
    if asked == 0:
        return
    for n in range(book.positions.size):
        p = book.positions[n]
        if p.wanted == 0:
            continue
        closing = reducing(p.wanted, p.qty)
        opening, side = abs(p.wanted - closing), sign(p.wanted)
        size, limit = allowed(
            opening, abs(p.qty + closing), side, p.mark, gross, net, room, turnover, equity, account.before, account.highest,
            rules,
        )  # fmt: skip
        place(t, n, closing + side * size, p.wanted, limit, book, rules)
        price = max(worse(p.mark, side, 0.0, rules), p.mark)
        if size > 0:
            value = size * p.mark
            gross, net, turnover = gross + value, net + side * value, turnover + value
            room = room - size * price - rules.leverage * commission(size, price, rules)


@compiled(**EXACT)
def decide(t, scores, weights, book, rules):
    """`choose`, for a caller that turns one bar at a time."""
    choose(t, scores, weights, book, rules)


# ------------------------------------------------------------------------------------------------------------- the loop
@inline
def step(t, prices, scores, weights, book, rules):
    """Acts 2 to 5 of bar t."""
    settle(t, prices, book, rules)
    exits(t, prices, book, rules)
    mark(t, prices, book)
    choose(t, scores, weights, book, rules)


@compiled(**EXACT)
def advance(t, prices, actions, book, rules):
    """Acts 1 to 4 of bar t; `actions` are those of this bar alone."""
    accrue(t, book, rules)
    for i in range(actions.size):
        a = actions[i]
        act(t, a.symbol, a.split, a.dividend, book, rules)
    settle(t, prices, book, rules)
    exits(t, prices, book, rules)
    mark(t, prices, book)


@compiled(**EXACT)
def revise(t, prices, actions, book, rules):
    """Acts 1 and 4 of a bar that was settled before some of its prices came: their actions and marks, and nothing else."""
    for i in range(actions.size):
        a = actions[i]
        act(t, a.symbol, a.split, a.dividend, book, rules)
    mark(t, prices, book)


@compiled(**EXACT)
def walk(t0, t1, prices, actions, scores, weights, book, rules, equity):
    """Bars t0 to t1 - 1, one after the other: the definition of a backtest.  `actions` are sorted by bar."""
    i = 0
    while i < actions.size and actions[i].bar < t0:
        i += 1
    for t in range(t0, t1):
        accrue(t, book, rules)
        while i < actions.size and actions[i].bar == t:
            act(t, actions[i].symbol, actions[i].split, actions[i].dividend, book, rules)
            i += 1
        step(t, prices, scores, weights, book, rules)
        equity[t] = book.account[0].equity
