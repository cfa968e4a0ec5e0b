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


def prices(bars: Bars, first: int, n_symbols: int) -> Prices:
    """Traded prices of the bars from `first` on, each (n_symbols, n_bars); symbols beyond those of `bars` are NaN."""
    block = bars.traded[:, :, first:]
    if n_symbols > block.shape[1]:
        missing = np.full((block.shape[0], n_symbols - block.shape[1], block.shape[2]), np.nan)
        block = np.concatenate([block, missing], axis=1)
    return Prices(*(read_only(field) for field in block))


def book_symbols(account: Account, symbols: Sequence[str]) -> tuple[str, ...]:
    """The symbols asked for, then others that the account holds or waits for: none is ever left out of a settlement."""
    known = [s for s, p in account.positions.items() if p.qty] + [o.symbol for o in account.waiting]
    return tuple(symbols) + tuple(sorted(set(known) - set(symbols)))


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


def positions_of(book: Book, symbols: Sequence[str], before: Account) -> list[Position]:
    """What the book holds now, as values; symbols never seen with a price are left out."""
    found = []
    for symbol, p in zip(symbols, book.positions, strict=True):
        old = before.positions.get(symbol, Position(symbol))
        if not math.isnan(p["mark"]):
            entry = float(p["entry"]) if p["qty"] else math.nan
            found.append(replace(old, qty=int(p["qty"]), entry=entry, mark=float(p["mark"])))
    return found
