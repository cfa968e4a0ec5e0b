"""Between the values that people see and the arrays that the compiled step changes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from toolkit.data import Bars
from toolkit.execution.orders import Account, Position
from toolkit.kernels import account as step
from toolkit.kernels.account import Book, Prices, new_book

KINDS = {step.MARKET: "market", step.LIMIT: "limit", step.STOP: "stop"}
LIMIT_NAMES = {
    step.WITHIN: "",
    step.NOT_FINITE: "NOT_FINITE",
    step.MAX_ORDER_NOTIONAL: "MAX_ORDER_NOTIONAL",
    step.MAX_POSITION: "MAX_POSITION",
    step.MAX_GROSS: "MAX_GROSS",
    step.MIN_CASH: "MIN_CASH",
    step.SHORT_NOT_ALLOWED: "SHORT_NOT_ALLOWED",
    step.MAX_NET: "MAX_NET",
    step.MAX_TURNOVER_DAY: "MAX_TURNOVER_DAY",
    step.DAILY_LOSS: "DAILY_LOSS",
    step.MAX_DRAWDOWN: "MAX_DRAWDOWN",
}
TRADES = {
    step.FILLED: "FILLED",
    step.PARTIAL: "PARTIAL",
    step.CUT: "CASH_AT_OPEN",
    step.STOPPED: "STOP_LOSS",
    step.TRAILED: "TRAILING_STOP",
    step.TARGET: "TAKE_PROFIT",
}
ENDS = {
    step.SHORT_NOT_ALLOWED: "SHORT_NOT_ALLOWED",
    step.HALTED: "HALTED",
    step.UNREACHED: "UNREACHED",
    step.VOLUME: "VOLUME",
    step.REPLACED: "REPLACED",
    step.EXITED: "EXITED",
    step.SPLIT_AWAY: "SPLIT_AWAY",
}
CASH_FLOWS = {step.DIVIDEND: "DIVIDEND", step.SPLIT: "SPLIT", step.BORROW: "BORROW", step.INTEREST: "INTEREST"}
REASONS = {**TRADES, **ENDS, **CASH_FLOWS}  # of records


class Past(NamedTuple):
    """Micro-dollars of equity at the close before, of the highest so far, 0 where it is not known, and of what opened since."""

    before: int = 0
    highest: int = 0
    turnover: float = 0.0


def read_only(values: np.ndarray) -> np.ndarray:
    """A contiguous view that may not be written to: the one kind of input the kernels are compiled for."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def prices(bars: Bars, start: int, n_symbols: int, begins: np.ndarray | None = None) -> Prices:
    """Traded prices of the bars from `start` on, each (n_symbols, n_bars); symbols beyond those of `bars` are NaN.

    With `begins`, symbol n is NaN before bar begins[n].
    """
    block = bars.traded[:, :, start:]
    if begins is not None and (begins > start).any():
        block = block.copy()
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


def to_book(account: Account, symbols: Sequence[str], records: int = 0, past: Past = Past()) -> Book:
    """The account as arrays; waiting orders carry ids of -1, -2, ... in the order of the account, a slot each."""
    row = {s: n for n, s in enumerate(symbols)}
    slots = max(Counter(order.symbol for order in account.waiting).values(), default=1)
    book = new_book(len(symbols), 0.0, records, slots, len(symbols))
    state = book.account[0]
    for p in account.positions.values():
        if p.symbol in row:
            kept = book.positions[row[p.symbol]]
            kept["qty"], kept["entry"], kept["mark"], kept["score"] = p.qty, p.entry, p.mark, p.score
            kept["peak"], kept["out"] = p.peak, p.out
            state["held"] += p.qty != 0
            state["long" if p.qty > 0 else "short"] += abs(p.value)
    filled = dict.fromkeys(symbols, 0)
    for i, order in enumerate(account.waiting):
        o = book.orders[row[order.symbol], filled[order.symbol]]
        kind = next(code for code, name in KINDS.items() if name == order.kind)
        o["id"], o["rest"], o["kind"], o["day"], o["level"] = -1 - i, order.signed, kind, order.day, order.level
        filled[order.symbol] += 1
    state["cash"], state["waiting"] = account.cash, len(account.waiting)
    state["equity"] = account.cash + state["long"] - state["short"]
    state["before"], state["highest"] = past.before or state["equity"], past.highest or state["equity"]
    state["turnover"] = past.turnover
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
            entry, peak = (float(p["entry"]), float(p["peak"])) if p["qty"] else (math.nan, math.nan)
            seen = old.seen if at is None else bars.index[at]
            now = replace(old, qty=int(p["qty"]), entry=entry, peak=peak, mark=float(p["mark"]), seen=seen, out=int(p["out"]))
            found.append(now)
    return found
