"""Where orders go: the protocol that every broker keeps, and the brokers."""

from __future__ import annotations

from typing import Protocol

from toolkit.data import Bars
from toolkit.execution.orders import Account, Fill, Order


class Broker(Protocol):
    """What the cycle needs of a broker; a broker may be asked the same thing twice and answers the same."""

    def settle(self, bars: Bars) -> list[Fill]:
        """Books what happened since the last settled session, up to the last bar, and returns the new fills."""
        ...

    def after(self, bars: Bars) -> Account:
        """The account as `settle` would leave it; nothing is written."""
        ...

    def account(self) -> Account:
        """Cash and positions after the last settled session, with the orders that wait."""
        ...

    def forget(self) -> None:
        """Drops what it remembers of the account: the ledger has changed, the next look asks again."""
        ...

    def submit(self, order: Order) -> str:
        """Hands an order in: "ACCEPTED", "REJECTED" or "UNKNOWN"; a second time with the same id changes nothing."""
        ...

    def find(self, order: str) -> str | None:
        """The broker's state of an order id, None if it never arrived."""
        ...
