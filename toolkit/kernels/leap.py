"""Many backtests: the step without the bars in which nothing can happen, and what a curve of equity comes to.

`leap` gives the numbers of `walk` (a test holds them equal); a quiet bar costs a multiplication instead of a step.
"""

import numpy as np

from toolkit.kernels.jit import EXACT, compiled, inline
from toolkit.kernels.portfolio import accrue, act, mark, step

UNKNOWN = -128  # of a score in one byte: no opinion
TOTAL_RETURN, DRAWDOWN, TOTAL, SQUARES, FILLS, ORDERS, FEES, TRADED = 0, 1, 2, 3, 4, 5, 6, 7
COLUMNS = 8  # then a total of returns for each block, then a total of their squares


@compiled(**EXACT)
def special_bars(prices, actions, special):
    """`special[t]` is 1 where prices alone make bar t a bar to step: an action, no price, or a price after none."""
    special[:] = 0
    special[0] = 1
    for i in range(actions.size):
        special[actions[i].bar] = 1
    for n in range(prices.close.shape[0]):
        close, opens = prices.close[n], prices.open[n]
        for t in range(close.size):
            if not (close[t] > 0.0 and opens[t] > 0.0):
                special[t] = 1
                if t + 1 < close.size:
                    special[t + 1] = 1


@inline
def copied(source, target):
    for t in range(target.size):
        target[t] = source[t]


@compiled(**EXACT)
def busy_bars(scores, weights, special, busy):
    """`busy[t]` is 1 where bar t is special, or a score or whether a weight is known differs from the bar before."""
    copied(special, busy)
    for n in range(scores.shape[0]):
        score, weight = scores[n], weights[n]
        for t in range(1, busy.size):
            changed = score[t] != score[t - 1] or weight[t] != weight[t] or weight[t - 1] != weight[t - 1]
            busy[t] |= np.int8(changed)


@inline
def hold(t0, t1, prices, book, rules, curve, at):
    """Equity over bars without orders, halts and actions: `mark` along time, symbol by symbol."""
    account, part = book.account[0], curve[at : at + t1 - t0]
    part[:] = account.cash
    for n in range(book.positions.size):
        qty, close = book.positions[n].qty, prices.close[n, t0:t1]
        if qty != 0:
            for t in range(part.size):
                part[t] += np.rint(qty * close[t])
    if rules.max_drawdown != np.inf:  # or nobody asks for it
        for t in range(part.size):
            if part[t] > account.highest:
                account.highest = part[t]
    mark(t1 - 1, prices, book)
    if part.size > 1:
        account.before = part[part.size - 2]


@inline
def quiet(account, armed, rules):
    """Whether a bar without news changes nothing but marks."""
    if account.waiting > 0 or (armed and account.held > 0) or not account.equity > 0.0:
        return False
    return not (rules.borrow > 0.0 and account.short > 0.0) and not (rules.interest > 0.0 and account.cash < 0)


@compiled(**EXACT)
def leap(prices, actions, scores, weights, busy, book, rules, curve, edges, cuts):
    """`walk` without its quiet bars; returns the length of `curve`, from which bars without a position are left out.

    They change neither a drawdown nor a sum of returns. `edges` are bars at which blocks begin, `cuts` where in `curve`.
    """
    account, n_bars, eights = book.account[0], busy.size, busy[: busy.size // 8 * 8].view(np.int64)
    armed = min(rules.stop_loss, rules.take_profit, rules.trailing) < np.inf
    i = t = at = edge = 0
    while t < n_bars:
        while edge < edges.size and edges[edge] <= t:
            cuts[edge] = at
            edge += 1
        accrue(t, book, rules)
        while i < actions.size and actions[i].bar == t:
            act(t, actions[i].symbol, actions[i].split, actions[i].dividend, book, rules)
            i += 1
        step(t, prices, scores, weights, book, rules)
        curve[at] = account.equity
        t, at = t + 1, at + 1
        if rules.band < np.inf or not quiet(account, armed, rules):
            continue
        start = t
        while t < n_bars and busy[t] == 0:
            t += 8 if t % 8 == 0 and t + 8 <= n_bars and eights[t // 8] == 0 else 1
        if t == start:
            continue
        if account.held > 0:
            while edge < edges.size and edges[edge] <= t - 1:
                cuts[edge] = at + edges[edge] - start
                edge += 1
            hold(start, t, prices, book, rules, curve, at)
            at += t - start
        else:
            while edge < edges.size and edges[edge] <= t - 1:
                cuts[edge] = at
                edge += 1
            mark(t - 1, prices, book)
    return at


@compiled(**EXACT)
def drawdown(curve, start):
    """Lowest equity / highest equity before it, less 1."""
    peak, deepest = start, 1.0
    for equity in curve:
        if equity > peak:
            peak = equity
        elif equity < deepest * peak:
            deepest = equity / peak
    return deepest - 1.0


@compiled(**{**EXACT, "fastmath": {"reassoc", "nsz"}})
def returns(curve, first, last, before):
    """Sum and sum of squares of returns (statistics, not money: the order of summation is the compiler's)."""
    total = squares = 0.0
    if first < last:
        total = curve[first] / before - 1.0
        squares = total * total
    for t in range(first + 1, last):
        r = curve[t] / curve[t - 1] - 1.0
        total += r
        squares += r * r
    return total, squares


@compiled(**EXACT)
def summary(prices, actions, scores, weights, busy, cash, book, rules, curve, edges, cuts, out):
    """One backtest from `cash` micro-dollars to one row of numbers."""
    reset(book, cash)
    n = leap(prices, actions, scores, weights, busy, book, rules, curve, edges, cuts)
    account, blocks = book.account[0], edges.size
    out[TOTAL_RETURN], out[DRAWDOWN] = account.equity / cash - 1.0, drawdown(curve[:n], np.float64(cash))
    total = squares = 0.0
    for b in range(blocks):
        first, last = cuts[b], cuts[b + 1] if b + 1 < blocks else n
        one, two = returns(curve, first, last, curve[first - 1] if first > 0 else np.float64(cash))
        out[COLUMNS + b], out[COLUMNS + blocks + b] = one, two
        total, squares = total + one, squares + two
    out[TOTAL], out[SQUARES] = total, squares
    out[FILLS], out[ORDERS], out[FEES], out[TRADED] = account.fills, account.orders, account.fees, account.traded


@inline
def reset(book, cash):
    a = book.account[0]
    a.cash, a.equity, a.before, a.highest = cash, cash, cash, cash
    a.long = a.short = a.traded = a.turnover = 0.0
    a.waiting = a.held = a.orders = a.placed = a.records = a.fills = a.fees = 0
    for n in range(book.positions.size):
        p = book.positions[n]
        p.qty = p.taken = p.wanted = p.fresh = p.out = 0
        p.entry, p.peak, p.mark, p.score = 0.0, 0.0, np.nan, 0.0
        for k in range(book.orders.shape[1]):
            book.orders[n, k].rest = 0


@compiled(**EXACT)
def compared(a, b, special, scores, busy):
    """Scores of one symbol in one byte: 1 where a > b, 0 where not, UNKNOWN where either is; and the bars to step."""
    for t in range(a.size):
        score = np.int8(a[t] > b[t])
        scores[t] = score if a[t] == a[t] and b[t] == b[t] else np.int8(UNKNOWN)
    busy[0] = 1
    for t in range(1, a.size):
        busy[t] |= np.int8(scores[t] != scores[t - 1])


@compiled(**EXACT)
def sweep_compared(prices, actions, special, bank, first, second, cash, book, rules, scores, busy, curve, edges, cuts, out):
    """A row of `out` for each pair: long where bank[first] > bank[second]; bank: (n_rows, n_symbols, n_bars)."""
    for p in range(first.size):
        copied(special, busy)
        for n in range(scores.shape[0]):
            compared(bank[first[p], n], bank[second[p], n], special, scores[n], busy)
        summary(prices, actions, scores, scores, busy, cash, book, rules, curve, edges, cuts, out[p])


@compiled(**EXACT)
def sweep_scored(prices, actions, special, scores, weights, cash, book, rules, busy, curve, edges, cuts, out):
    """The row of `out` of one strategy."""
    busy_bars(scores, weights, special, busy)
    summary(prices, actions, scores, weights, busy, cash, book, rules, curve, edges, cuts, out)
