"""The paper broker: orders wait in the ledger and fill at the next bar's open through the compiled step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from toolkit.data import Bars
from toolkit.execution.book import book_symbols, positions_of, prices, read_only, to_book
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

    A fresh account starts at the last bar: what was before is not its past.
    """
    first = len(bars) - 1 if account.session is None else bars.index.searchsorted(account.session, side="right")
    if first >= len(bars):
        return None
    symbols = book_symbols(account, bars.symbols)
    book = to_book(account, symbols, records=4 * len(symbols))
    market = prices(bars, first, len(symbols))
    due = bars.actions[bars.actions["bar"] >= first]
    events: list[Event] = []
    outcome: dict[str, str] = {}
    for t in range(len(bars) - first):
        book.account["records"] = 0
        advance(t, market, read_only(due[due["bar"] == first + t]), book, rules)
        for r in book.records[: book.account[0]["records"]]:
            events.append(_event(r, symbols, bars.index[first + t], account.waiting))
            if r["order"]:
                outcome[account.waiting[-1 - r["order"]].id] = "CUT" if r["reason"] == CUT else "FILLED"
    orders = []
    for order in account.waiting:
        rest = int(abs(book.orders[symbols.index(order.symbol), 0]["rest"]))
        # nothing left without a fill: a reverse split left less than a lot of it
        orders.append((order.id, outcome.get(order.id, "ACCEPTED" if rest else "CUT"), rest))
    return Settlement(events, positions_of(book, symbols, account), orders)


def _event(r: np.void, symbols: tuple[str, ...], session: pd.Timestamp, waiting: tuple[Order, ...]) -> Event:
    symbol, kind = symbols[r["symbol"]], KINDS[int(r["reason"])]
    order = waiting[-1 - r["order"]].id if r["order"] else None
    name, day = f"fill:{order}" if order else f"{kind}:{symbol}", session.isoformat()
    amounts = int(r["qty"]), int(r["cash"]), int(r["fee"]), float(r["price"])
    return Event(f"{name}:{day}", day, kind, symbol, order, *amounts)
