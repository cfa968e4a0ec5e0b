"""The paper broker: orders wait in the ledger and fill at the next bar's open through the compiled step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from toolkit.data import Bars
from toolkit.errors import LedgerError
from toolkit.execution.book import book_symbols, last_seen, owned, positions_of, prices, read_only, to_book
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account, Event, Fill, Order, Position
from toolkit.kernels.account import CUT, DIVIDEND, FILLED, SPLIT, Rules
from toolkit.kernels.portfolio import advance

KINDS = {FILLED: "fill", CUT: "fill", DIVIDEND: "dividend", SPLIT: "split"}


class PaperBroker:
    """A broker that lives in the account's own ledger: what it accepts and fills is there, or did not happen."""

    def __init__(self, ledger: Ledger, rules: Rules) -> None:
        self.ledger, self.rules = ledger, rules

    def account(self) -> Account:
        return self.ledger.account()

    def forget(self) -> None:
        """Nothing is remembered here."""

    def submit(self, order: Order) -> str:
        return "ACCEPTED"  # the caller's next entry in the ledger is the acceptance

    def find(self, order: str) -> str | None:
        status = self.ledger.status(order)
        return None if status in {None, "PLANNED", "SENDING", "UNKNOWN"} else status

    def settle(self, bars: Bars) -> list[Fill]:
        """Actions, fills at the open and marks of every bar after the last settled one, in one transaction."""
        done = settlement(self.ledger.account(), bars, self.rules)
        if done is None:
            return []
        self.ledger.settle(bars.index[-1], done.events, done.positions, done.orders)
        return [
            Fill(e.id, e.order, pd.Timestamp(e.session), e.symbol, e.qty, e.price, e.fee)
            for e in done.events
            if e.kind == "fill" and e.qty and e.order and e.symbol and e.price is not None
        ]

    def after(self, bars: Bars) -> Account:
        """The account as `settle` would leave it; nothing is written."""
        account = self.ledger.account()
        done = settlement(account, bars, self.rules)
        if done is None:
            return account
        rest = {order: rest for order, status, rest in done.orders if status == "ACCEPTED"}
        return replace(
            account,
            cash=account.cash + sum(e.cash for e in done.events),
            positions=account.positions | {p.symbol: p for p in done.positions},
            session=bars.index[-1],
            waiting=tuple(replace(o, qty=rest[o.id]) for o in account.waiting if o.id in rest),
        )


@dataclass(frozen=True)
class Settlement:
    """What the bars since the last settlement did: events, positions, and (order, status, rest) of what waited."""

    events: list[Event]
    positions: list[Position]
    orders: list[tuple[str, str, int]]


def settlement(account: Account, bars: Bars, rules: Rules) -> Settlement | None:
    """Takes the account through the bars it has not seen; None if there are none.

    A fresh account starts at the last bar: what was before is not its past.  LedgerError if the bars end before it.
    """
    if account.session is not None and account.session > bars.index[-1]:
        what = f"bars end on {bars.index[-1]:%Y-%m-%d}, the account is settled to {account.session:%Y-%m-%d}"
        raise LedgerError(what, "a settled session is not traded again: fetch newer bars, or check the clock")
    first = len(bars) - 1 if account.session is None else bars.index.searchsorted(account.session, side="right")
    if first >= len(bars):
        return None
    symbols = book_symbols(account, bars.symbols)
    begin = arrears(account, bars, first)
    start = min(first, *begin.values()) if begin else first
    begins = np.array([begin.get(symbol, first) for symbol in symbols])
    market = prices(bars, start, len(symbols), begins, first)
    due = bars.actions[bars.actions["bar"] >= begins[bars.actions["symbol"]]]
    book = to_book(account, symbols, records=2 * len(symbols) + len(due))
    events: list[Event] = []
    outcome: dict[str, str] = {}
    for t in range(start, len(bars)):
        book.account["records"] = 0
        advance(t - start, market, read_only(due[due["bar"] == t]), book, rules)
        for number, r in enumerate(book.records[: book.account[0]["records"]]):
            events.append(_event(r, symbols, bars.index[t], account.waiting, number))
            if r["order"]:
                outcome[account.waiting[-1 - r["order"]].id] = "CUT" if r["reason"] == CUT else "FILLED"
    orders = []
    for order in account.waiting:
        rest = int(abs(book.orders[symbols.index(order.symbol), 0]["rest"]))
        # nothing left without a fill: a reverse split left less than a lot of it
        orders.append((order.id, outcome.get(order.id, "ACCEPTED" if rest else "CUT"), rest))
    return Settlement(events, positions_of(book, symbols, account, bars), orders)


def arrears(account: Account, bars: Bars, first: int) -> dict[str, int]:
    """Where to begin with symbols whose bars came late: just after the last session that was booked of each.

    Their actions and marks are booked then, with the session that they belong to; orders fill from bar `first` on.
    """
    late, mine = {}, owned(account)
    for n, symbol in enumerate(bars.symbols):
        position = account.positions.get(symbol)
        if symbol in mine and position is not None and position.seen is not None:
            begin = int(bars.index.searchsorted(position.seen, side="right"))
            if begin < first and last_seen(bars, n, begin, first) is not None:
                late[symbol] = begin
    return late


def _event(r: np.void, symbols: tuple[str, ...], session: pd.Timestamp, waiting: tuple[Order, ...], number: int) -> Event:
    symbol, kind = symbols[r["symbol"]], KINDS[int(r["reason"])]
    order = waiting[-1 - r["order"]].id if r["order"] else None
    name, day = f"fill:{order}" if order else f"{kind}:{symbol}:{number}", session.isoformat()
    amounts = int(r["qty"]), int(r["cash"]), int(r["fee"]), float(r["price"])
    return Event(f"{name}:{day}", day, kind, symbol, order, *amounts)
