"""One bar of a cash account: actions, settle, mark, decide.  Arrays in, arrays changed in place.

Arrays of bars, scores and weights are (n_symbols, n_bars); `t` is the bar.  No fastmath: a contracted multiply-add would
round differently in a backtest and at the paper broker.
"""

import numpy as np

from toolkit.kernels.account import (
    CUT,
    DIVIDEND,
    FILLED,
    LARGEST,
    NOT_FINITE,
    SHORT_NOT_ALLOWED,
    SPLIT,
    WITHIN,
    affordable,
    allowed,
    commission,
    lots,
    micro,
    worse,
)  # fmt: skip
from toolkit.kernels.jit import EXACT, compiled, inline


# --------------------------------------------------------------------------------------------- what moves, and its trace
@inline
def record(t, n, order, reason, qty, cash, fee, price, book):
    """Moves `qty` micro-shares and `cash` micro-dollars (net of `fee`) and writes it down: nothing else touches either."""
    account = book.account[0]
    account.cash += cash
    book.positions[n].qty += qty
    i = account.records
    account.records += 1
    if i < book.records.size:
        r = book.records[i]
        r.bar, r.symbol, r.order, r.reason, r.qty, r.cash, r.fee, r.price = t, n, order, reason, qty, cash, fee, price


@inline
def fill(t, n, qty, price, order, reason, book, rules):
    """Books a trade of `qty` signed micro-shares at `price`, commission included."""
    p = book.positions[n]
    fee = commission(abs(qty), price, rules)
    before, after = p.qty, p.qty + qty
    if before == 0:
        p.entry = price
    elif after > before:
        p.entry += (price - p.entry) * (qty / after)  # average price of what is held
    record(t, n, order, reason, qty, -micro(qty * price) - fee, fee, price, book)


@inline
def place(n, qty, book):
    """Puts a market order for the next open into slot 0 of symbol n, or empties it when qty is 0."""
    account, o = book.account[0], book.orders[n, 0]
    account.waiting += np.int64(qty != 0) - np.int64(o.rest != 0)
    o.rest = qty
    if qty != 0:
        account.orders += 1
        o.id = account.orders


# ------------------------------------------------------------------------------------------------------- the four acts
@inline
def act(t, n, split, dividend, book, rules):
    """1. A dividend on the shares of the previous close, then the split of shares, prices and waiting orders."""
    account, p = book.account[0], book.positions[n]
    if p.qty != 0 and dividend != 0.0:
        record(t, n, 0, DIVIDEND, 0, micro(p.qty * dividend), 0, dividend, book)
    if split == 1.0:
        return
    p.mark, p.entry = p.mark / split, p.entry / split
    if p.qty != 0:
        exact = p.qty * split
        kept = micro(exact) if rules.lot == 1 else lots(exact, rules.lot)
        in_lieu = micro((exact - kept) * p.mark) if rules.lot != 1 else np.int64(0)
        record(t, n, 0, SPLIT, kept - p.qty, in_lieu, 0, split, book)
    o = book.orders[n, 0]
    if o.rest != 0:
        o.rest = lots(o.rest * split, rules.lot)
        account.waiting -= np.int64(o.rest == 0)


@inline
def settle(t, prices, book, rules):
    """2. Fills waiting orders at the open: first the sales, then the purchases, each in the order of symbols.

    A symbol without a price does not trade, its order waits.  What the cash does not carry is cut.
    """
    account = book.account[0]
    if account.waiting == 0:
        return
    for side in (-1, 1):
        for n in range(book.positions.size):
            o, p = book.orders[n, 0], book.positions[n]
            price = worse(prices.open[n, t], side, rules)
            if o.rest * side <= 0 or not (price > 0.0):
                continue
            size, reason = side * o.rest, FILLED
            most = p.qty if side < 0 else affordable(np.float64(account.cash), price, rules)
            if size > most:
                size, reason = most, CUT
            if size > 0:
                fill(t, n, side * size, price, o.id, reason, book, rules)
            elif reason == CUT:
                record(t, n, o.id, CUT, 0, 0, 0, price, book)
            o.rest = 0
            account.waiting -= 1


@inline
def mark(t, prices, book):
    """3. Values at the close, a halted symbol at its last price.  Sums of whole numbers below 2**53 are exact."""
    account, long = book.account[0], 0.0
    for n in range(book.positions.size):
        p = book.positions[n]
        close = prices.close[n, t]
        if close == close:
            p.mark = close
        if p.qty != 0:
            long += np.rint(p.qty * p.mark)
    account.long = long
    account.equity = account.cash + long


@inline
def asks(p, score, weight, equity, rules):
    """Whether the policy trades now: a changed score, or a drift beyond the band.  NaN is no opinion."""
    if score != score or weight != weight or not (p.mark > 0.0 and 0.0 < equity < np.inf):
        return False
    if score != p.score:
        return True
    return rules.band < np.inf and abs(p.qty * p.mark - weight * equity) > rules.band * equity


@compiled(**EXACT)
def decide(t, scores, weights, book, rules):
    """4. Orders from this close to the targets `weight * equity`, within the limits; they wait for the next open.

    Sales go first and are never limited, since each reduces a position.  `wanted` keeps what was asked for before the
    limits, `limit` the one that cut it.
    """
    account = book.account[0]
    equity, gross, cash = account.equity, account.long, np.float64(account.cash)
    for n in range(book.positions.size):
        p, o = book.positions[n], book.orders[n, 0]
        p.wanted, p.limit = 0, WITHIN
        weight = weights[n, t]
        if asks(p, scores[n, t], weight, equity, rules):
            p.score = scores[n, t]
            target = max(weight, 0.0) * equity / p.mark
            if weight < 0.0:
                p.limit = SHORT_NOT_ALLOWED
            if target < LARGEST:
                p.wanted = max(lots(target, rules.lot), 0) - p.qty
            else:
                p.limit = NOT_FINITE
            place(n, min(p.wanted, 0), book)
            if p.limit != WITHIN:
                record(t, n, 0, p.limit, 0, 0, 0, p.mark, book)
        value = o.rest * p.mark if o.rest != 0 else 0.0  # sales placed here, and orders that wait since earlier
        gross, cash = gross + value, cash - value
    for n in range(book.positions.size):
        p = book.positions[n]
        if p.wanted <= 0:
            continue
        size, p.limit = allowed(p.wanted, p.qty, p.mark, gross, cash, equity, rules)
        place(n, size, book)
        if p.limit != WITHIN:
            record(t, n, 0, p.limit, 0, 0, 0, p.mark, book)
        price = worse(p.mark, 1.0, rules)
        gross, cash = gross + size * p.mark, cash - size * price - commission(size, price, rules) * np.int64(size > 0)


# ------------------------------------------------------------------------------------------------------------ the loops
@compiled(**EXACT)
def advance(t, prices, actions, book, rules):
    """Acts 1 to 3 of bar t; `actions` are those of this bar alone."""
    for i in range(actions.size):
        a = actions[i]
        act(t, a.symbol, a.split, a.dividend, book, rules)
    settle(t, prices, book, rules)
    mark(t, prices, book)


@compiled(**EXACT)
def walk(t0, t1, prices, actions, scores, weights, book, rules, equity):
    """Bars t0 to t1 - 1, one after the other: the definition of a backtest.  `actions` are sorted by bar."""
    i = 0
    while i < actions.size and actions[i].bar < t0:
        i += 1
    for t in range(t0, t1):
        j = i
        while j < actions.size and actions[j].bar == t:
            j += 1
        advance(t, prices, actions[i:j], book, rules)
        decide(t, scores, weights, book, rules)
        equity[t] = book.account[0].equity
        i = j
