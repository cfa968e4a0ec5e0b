"""The paper broker: orders wait in the ledger and fill at the next bar's open through the compiled step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from toolkit.data import Bars
from toolkit.errors import LedgerError
from toolkit.execution.book import (
    CASH_FLOWS,
    REASONS,
    TRADES,
    book_symbols,
    last_seen,
    owned,
    positions_of,
    prices,
    read_only,
    to_book,
)
from toolkit.execution.brokers.values import Answer, Outlook
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account, Event, Fill, Order, Outcome, Position, check_size
from toolkit.kernels.account import CUT, EXITED, HALTED, SHORT_NOT_ALLOWED, SPLIT_AWAY, UNREACHED, VOLUME, Book, Rules
from toolkit.kernels.portfolio import advance, revise

STATES = {
    CUT: "CUT", SHORT_NOT_ALLOWED: "CUT", SPLIT_AWAY: "CUT", EXITED: "CANCELED",
    HALTED: "EXPIRED", UNREACHED: "EXPIRED", VOLUME: "EXPIRED",
}  # fmt: skip


class PaperBroker:
    """A broker that lives in the account's own ledger: what it accepts and fills is there, or did not happen."""

    sure, live = True, False

    def __init__(self, ledger: Ledger, rules: Rules) -> None:
        self.ledger, self.rules = ledger, rules

    def account(self) -> Account:
        return self.ledger.account()

    def forget(self) -> None:
        """Nothing is remembered here."""

    @property
    def calls(self) -> int:
        return 0

    def allow(self, requests: int | None) -> None:
        """Nothing is asked for over a wire."""

    def reconcile(self) -> list[str]:
        """There are no other books to agree with."""
        return []

    def submit(self, order: Order) -> Answer:
        self.ledger.arrive(order.id)
        return Answer("ACCEPTED")

    def find(self, order: str) -> Answer | None:
        return Answer("ACCEPTED") if self.ledger.rows("SELECT 1 FROM arrived WHERE id = ?", order) else None

    def cancel(self, order: str) -> Answer:
        """The ledger has cancelled it already when it planned what replaces it."""
        return Answer("ACCEPTED")

    def ending(self) -> set[str]:
        return set()

    def apart(self, bars: Bars) -> dict[str, str]:
        """The step books the splits of the bars themselves."""
        return {}

    def splitting(self, session: pd.Timestamp) -> dict[str, str]:
        """What waits is split by the step, with the bars."""
        return {}

    def outlook(self, symbols: Iterable[str]) -> Outlook:
        return Outlook()

    def settle(self, bars: Bars) -> list[Fill]:
        """Actions, fills at the open and marks of every bar after the last settled one, in one transaction."""
        done = settlement(self.ledger.account(), bars, self.rules)
        if done is None:
            return []
        self.ledger.settle(bars.index[-1], done.events, done.positions, done.orders)
        return [
            Fill(e.id, e.order or "", pd.Timestamp(e.session), e.symbol, e.qty, e.price, e.fee, e.reason)
            for e in done.events
            if e.kind == "fill" and e.symbol and e.price is not None
        ]

    def after(self, bars: Bars) -> Account:
        """The account as `settle` would leave it; nothing is written."""
        account = self.ledger.account()
        done = settlement(account, bars, self.rules)
        if done is None:
            return account
        waits = {o.order: o for o in done.orders if o.status in {"", "PARTIAL"}}
        return replace(
            account,
            cash=account.cash + sum(e.cash for e in done.events),
            positions=account.positions | {p.symbol: p for p in done.positions},
            session=bars.index[-1],
            waiting=tuple(replace(o, qty=waits[o.id].rest, level=waits[o.id].level) for o in account.waiting if o.id in waits),
        )


@dataclass(frozen=True)
class Settlement:
    """What the bars since the last settlement did: events, positions, and what became of the orders that waited."""

    events: list[Event]
    positions: list[Position]
    orders: list[Outcome]


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
    market = prices(bars, start, len(symbols), begins)
    due = bars.actions[bars.actions["bar"] >= begins[bars.actions["symbol"]]]
    slots = len(account.waiting)
    book = to_book(account, symbols, records=4 * (len(symbols) + slots) + len(due) + 1)
    events: list[Event] = []
    ends: dict[int, int] = {}
    for t in range(start, len(bars)):
        book.account["records"] = 0
        turned = advance if t >= first else revise  # what was settled before is not settled, charged or stopped again
        turned(t - start, market, read_only(due[due["bar"] == t]), book, rules)
        check_size(float(book.account[0]["equity"]), bars.index[t])
        for number, r in enumerate(book.records[: book.account[0]["records"]]):
            if r["order"]:
                ends[int(r["order"])] = int(r["reason"])
            if r["qty"] or r["cash"]:
                events.append(_event(r, symbols, bars.index[t], account.waiting, number))
    return Settlement(events, positions_of(book, symbols, account, bars), outcomes(account, book, ends))


def outcomes(account: Account, book: Book, ends: dict[int, int]) -> list[Outcome]:
    """What became of each order that waited; `ends`: the reason of the last record of an order's id."""
    waits = {int(o["id"]): o for o in book.orders.ravel() if o["rest"]}
    found = []
    for i, order in enumerate(account.waiting):
        reason, waiting = ends.get(-1 - i), waits.get(-1 - i)
        if waiting is not None:
            status = "PARTIAL" if reason in TRADES else ""
            rest, why = abs(int(waiting["rest"])), REASONS.get(int(waiting["why"]), "") if waiting["why"] else ""
            found.append(Outcome(order.id, status, rest, why, float(waiting["level"])))
        elif reason in STATES and reason is not None:
            found.append(Outcome(order.id, STATES[reason], 0, REASONS[reason]))
        else:
            found.append(Outcome(order.id, "FILLED", 0))
    return found


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
    """A record of the step that moved shares or cash, as an event of the ledger."""
    reason, symbol = int(r["reason"]), symbols[r["symbol"]] if r["symbol"] >= 0 else None
    kind = CASH_FLOWS[reason].lower() if reason in CASH_FLOWS else "fill"
    order, day = waiting[-1 - r["order"]].id if r["order"] else None, session.isoformat()
    amounts = int(r["qty"]), int(r["cash"]), int(r["fee"]), float(r["price"]), int(r["slip"])
    name = f"{kind}:{order or symbol or ''}:{number}:{day}"
    return Event(name, day, kind, symbol, order, *amounts, "" if reason in CASH_FLOWS else REASONS[reason])
