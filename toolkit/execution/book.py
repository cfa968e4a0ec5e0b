"""Between the values that people see and the arrays that the compiled step changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from toolkit.data import Bars
from toolkit.execution.orders import Account, Position
from toolkit.kernels.account import (
    CUT,
    MAX_GROSS,
    MAX_ORDER_NOTIONAL,
    MAX_POSITION,
    MIN_CASH,
    NOT_FINITE,
    SHORT_NOT_ALLOWED,
    WITHIN,
    Book,
    Prices,
    new_book,
)  # fmt: skip

LIMIT_NAMES = {
    WITHIN: "",
    CUT: "CASH_AT_OPEN",
    NOT_FINITE: "NOT_FINITE",
    MAX_ORDER_NOTIONAL: "MAX_ORDER_NOTIONAL",
    MAX_POSITION: "MAX_POSITION",
    MAX_GROSS: "MAX_GROSS",
    MIN_CASH: "MIN_CASH",
    SHORT_NOT_ALLOWED: "SHORT_NOT_ALLOWED",
}


def read_only(values: np.ndarray) -> np.ndarray:
    """A contiguous view that may not be written to: the one kind of input the kernels are compiled for."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def prices(bars: Bars, start: int, n_symbols: int, begins: np.ndarray | None = None, first: int = 0) -> Prices:
    """Traded prices of the bars from `start` on, each (n_symbols, n_bars); symbols beyond those of `bars` are NaN.

    With `begins`, symbol n is NaN before bar begins[n], and no symbol has an open before bar `first`.
    """
    block = bars.traded[:, :, start:]
    if begins is not None and start < first:
        block = block.copy()
        block[0, :, : first - start] = np.nan
        for n in range(block.shape[1]):
            block[:, n, : begins[n] - start] = np.nan
    if n_symbols > block.shape[1]:
        missing = np.full((block.shape[0], n_symbols - block.shape[1], block.shape[2]), np.nan)
        block = np.concatenate([block, missing], axis=1)
    return Prices(*(read_only(field) for field in block))


def owned(account: Account) -> set[str]:
    """Symbols that the account holds or waits for."""
    return {s for s, p in account.positions.items() if p.qty} | {order.symbol for order in account.waiting}


def book_symbols(account: Account, symbols: Sequence[str]) -> tuple[str, ...]:
    """The symbols asked for, then others that the account owns."""
    return tuple(symbols) + tuple(sorted(owned(account) - set(symbols)))


def to_book(account: Account, symbols: Sequence[str], records: int = 0) -> Book:
    """The account as arrays; waiting orders carry ids of -1, -2, ... in the order of the account."""
    book = new_book(len(symbols), 0.0, records)
    state, row = book.account[0], {s: n for n, s in enumerate(symbols)}
    long = 0.0
    for n, symbol in enumerate(symbols):
        p = account.positions.get(symbol)
        if p is not None:
            book.positions[n] = (p.qty, p.entry, p.mark, p.score, 0, WITHIN)
            long += p.value
    for i, order in enumerate(account.waiting):
        book.orders[row[order.symbol], 0] = (-1 - i, order.qty if order.side == "buy" else -order.qty)
    state["cash"], state["long"], state["waiting"] = account.cash, long, len(account.waiting)
    state["equity"] = account.cash + long
    return book


def last_seen(bars: Bars, n: int, begin: int, end: int) -> int | None:
    """Last bar in [begin, end) at which symbol n has a price or an action; None if there is none."""
    priced = begin + np.flatnonzero(~np.isnan(bars.traded[3, n, begin:end]))
    acts = bars.actions["bar"][(bars.actions["symbol"] == n) & (bars.actions["bar"] >= begin) & (bars.actions["bar"] < end)]
    found = [int(part[-1]) for part in (priced, acts) if len(part)]
    return max(found, default=None)


def positions_of(book: Book, symbols: Sequence[str], before: Account, bars: Bars) -> list[Position]:
    """What the book holds now, as values; symbols never seen with a price are left out."""
    found = []
    for n, (symbol, p) in enumerate(zip(symbols, book.positions, strict=True)):
        old = before.positions.get(symbol, Position(symbol))
        begin = 0 if old.seen is None else int(bars.index.searchsorted(old.seen))
        at = last_seen(bars, n, begin, len(bars)) if n < len(bars.symbols) else None
        if not math.isnan(p["mark"]):
            entry = float(p["entry"]) if p["qty"] else math.nan
            seen = old.seen if at is None else bars.index[at]
            found.append(replace(old, qty=int(p["qty"]), entry=entry, mark=float(p["mark"]), seen=seen))
    return found
