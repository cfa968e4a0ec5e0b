"""What the broker's account has and the ledger has not: shown first, then booked once, as events of the kind `adoption`.

The ledger of a broker's account begins with the cash that is there; shares that were there before, and whatever was traded by
hand, it does not know.  The account is halted or its symbols are frozen until somebody says that they belong to it.  News
of the broker come first (`BrokerDesk.reconcile`): what is an event there is booked as one, and only what no event tells is
adopted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd

from toolkit.errors import LedgerError
from toolkit.execution import folding
from toolkit.execution.brokers import Broker
from toolkit.execution.brokers.desk import BrokerDesk
from toolkit.execution.brokers.values import Holding, Purse
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Event, Position, shares
from toolkit.execution.schema import UNSURE
from toolkit.kernels.account import UNIT

MOVING = "adopt when the exchange is closed and no order is on its way"


class Adopted(NamedTuple):
    """Shares of one symbol: micro-shares in the ledger and at the broker, the broker's average and last price in dollars."""

    symbol: str
    here: int
    there: int
    entry: float
    price: float

    @property
    def moved(self) -> int:
        """Micro-shares to be booked, signed."""
        return self.there - self.here

    @property
    def worth(self) -> str:
        """What they are worth, in words."""
        known = self.price == self.price
        return (
            f"worth ${self.moved * self.price / UNIT:,.2f}" if known else "without a price: they count as $0 until one is known"
        )


@dataclass(frozen=True, repr=False)
class Adoption:
    """What would be booked in an account of which the last event is number `seq`; it is good as long as that is the last."""

    number: str  # of the broker's account
    seq: int
    holdings: tuple[Adopted, ...]
    cash: int  # micro-dollars that the broker has more, signed

    def __bool__(self) -> bool:
        return bool(self.holdings or self.cash)

    def frame(self) -> pd.DataFrame:
        """One row a symbol: shares in the ledger, at the broker and to be booked, entry and price in dollars."""
        rows = [(a.symbol, a.here / UNIT, a.there / UNIT, a.moved / UNIT, a.entry, a.price) for a in self.holdings]
        return pd.DataFrame(rows, columns=["symbol", "ledger", "broker", "booked", "entry", "price"]).set_index("symbol")

    def __repr__(self) -> str:
        lines = [f"account {self.number} at the broker"]
        lines += [
            f"  {a.symbol:<8} {shares(a.there):>16} at the broker {shares(a.here):>16} in the ledger: book {shares(a.moved)}"
            f" at ${a.entry:,.2f}, {a.worth}"
            for a in self.holdings
        ]
        lines += [f"  cash: book ${self.cash / UNIT:,.2f}"] if self.cash else []
        return "\n".join(lines if self else [*lines, "  agrees with the ledger: there is nothing to adopt"])


def proposed(ledger: Ledger, broker: Broker, desk: BrokerDesk) -> Adoption:
    """What there is to adopt, after the broker's news are booked; nothing of it is written.

    Raises LedgerError where an order's fate is unknown, or where the broker's account changes while it is looked at.
    """
    before = _amounts(broker.positions(), broker.purse())
    desk.reconcile(watched=True)
    unsure = ledger.orders_in(*UNSURE)
    if unsure:
        raise LedgerError(f"order {unsure[0].id} is of unknown fate", "run a cycle first, which looks it up")
    holdings, purse = broker.positions(), broker.purse()
    if _amounts(holdings, purse) != before:
        raise LedgerError("the broker's account changed while it was looked at", MOVING)
    account = ledger.account()
    theirs = {h.symbol: h for h in holdings}
    found = []
    for symbol in sorted(theirs.keys() | account.positions.keys()):
        ours = account.positions.get(symbol, Position(symbol))
        there = theirs.get(symbol, Holding(symbol, 0, ours.mark, ours.mark))
        if there.qty != ours.qty:
            found.append(Adopted(symbol, ours.qty, there.qty, there.entry, there.price))
    return Adoption(purse.number, _last(ledger), tuple(found), purse.cash - account.cash)


def book(ledger: Ledger, adoption: Adoption) -> list[Event]:
    """Books it and returns the events; LedgerError, and nothing is booked, if the ledger has moved on since it was shown.

    The ids hold the number of the event before, so that no adoption can be booked a second time.
    """
    if (last := _last(ledger)) != adoption.seq:
        raise LedgerError(f"event {last} was booked since event {adoption.seq}", "look again at what there is to adopt")
    day = pd.Timestamp(ledger.now()).tz_convert("America/New_York").normalize().tz_localize(None).isoformat()
    name = f"adoption:{adoption.seq}"
    held, events, positions = ledger.account().positions, [], []
    for a in adoption.holdings:
        price = a.entry if a.entry > 0.0 else None
        event = Event(f"{name}:{a.symbol}", day, "adoption", a.symbol, None, a.moved, 0, 0, price)
        before = held.get(a.symbol, Position(a.symbol))
        events.append(event)  # what it was bought at is no price of today
        positions.append(replace(folding.after(before, event), mark=a.price if a.price == a.price else before.mark))
    if adoption.cash:
        events.append(Event(f"{name}:cash", day, "adoption", None, None, 0, adoption.cash))
    ledger.book(events, positions)
    return events


def _amounts(holdings: Sequence[Holding], purse: Purse) -> tuple[dict[str, int], int]:
    """What no tick of the market changes."""
    return {h.symbol: h.qty for h in holdings}, purse.cash


def _last(ledger: Ledger) -> int:
    return ledger.rows("SELECT max(seq) FROM events")[0][0]
