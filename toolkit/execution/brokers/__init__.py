"""Where orders go: a broker on its wire, the desk that the cycle talks to, and the brokers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import pandas as pd

from toolkit.data import Bars
from toolkit.data.meter import Meter
from toolkit.execution.brokers.values import Activity, Answer, Asset, Holding, MarketClock, Outlook, Purse, Report, Split
from toolkit.execution.orders import Account, Fill, Order


class Broker(Protocol):
    """A broker as its adapter shows it; `tests/conformance.py` is what an adapter has to pass.

    Every call ends before its deadline: with a value, BrokerUnavailable (no answer that could be read; asking again may help)
    or BrokerRefused (the broker will not: keys, permissions). `submit` and `cancel` raise neither: what is not known is
    UNKNOWN, and an order that never left this machine ABSENT.
    Nothing is sent twice behind the caller's back. `meter` counts the requests. `live`: whether the money is real; of a broker
    that does not say it is taken for real. Real money is traded at Alpaca alone so far: at any other broker
    each order of it is denied (LIVE_NOT_ARMED).
    """

    name: str
    meter: Meter
    live: bool

    def submit(self, order: Order) -> Answer:
        """Hands an order in under its own id, once; market orders are for the next open.

        An id that the broker has already is ACCEPTED: it arrived earlier.
        """
        ...

    def cancel(self, order: str) -> Answer:
        """Asks for the cancellation of an order of ours; ACCEPTED is a promise to try, not the end of the order."""
        ...

    def find(self, order: str) -> Report | None:
        """The order with our id, the one that took its place if it was replaced; None if the broker does not know it."""
        ...

    def orders(self, since: pd.Timestamp) -> list[Report]:
        """Orders that wait, and all that arrived since, ours and others, oldest first."""
        ...

    def activities(self, since: pd.Timestamp) -> list[Activity]:
        """Fills and other changes of the account since, oldest first, each page read."""
        ...

    def ahead(
        self, since: pd.Timestamp | None = None, alone: Iterable[str] = (), symbols: Iterable[str] = ()
    ) -> AbstractContextManager[None]:
        """May ask at once what the block asks in this order: activities, orders and positions since, those `alone`, assets.

        `alone` are "clock" and "purse". Each answer, or what went wrong with it, is told where the block asks for it, and no
        question is sent twice. A broker whose answers take no time returns a context that does nothing.
        """
        ...

    def accepts(self, now: pd.Timestamp) -> pd.Timestamp:
        """From when on orders for the next open are taken: `now`, or later. No request."""
        ...

    def pause(self) -> float:
        """Seconds until the next order may be sent by the broker's pace; 0: at once. No request."""
        ...

    def positions(self) -> list[Holding]: ...

    def purse(self) -> Purse: ...

    def clock(self) -> MarketClock: ...

    def asset(self, symbol: str) -> Asset | None:
        """None if the broker does not know the symbol."""
        ...

    def splits(self, since: pd.Timestamp, until: pd.Timestamp) -> Mapping[str, Split]:
        """Announced splits of all symbols, with an ex-date from the one day of the exchange to the other, both included."""
        ...


class Desk(Protocol):
    """What the cycle needs: an account of which the ledger is the book, and a road for orders.

    The paper broker is one in itself; `BrokerDesk` makes one of any Broker. Asked the same twice, it answers the same.
    """

    @property
    def sure(self) -> bool:
        """Whether an order that is not found never arrived; a broker behind a wire may show it later."""
        ...

    @property
    def live(self) -> bool:
        """Whether the money is real: then nothing passes the gate but under the five conditions of `arming`."""
        ...

    @property
    def calls(self) -> int:
        """Requests made so far."""
        ...

    def allow(self, requests: int | None) -> None:
        """From now on at most `requests` more; None: as many as it takes."""
        ...

    def reconcile(self) -> list[str]:
        """Resolves what is unknown and books what happened meanwhile; what does not agree, as sentences."""
        ...

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

    def submit(self, order: Order) -> Answer:
        """Hands an order in; a second time with the same id changes nothing."""
        ...

    def find(self, order: str) -> Answer | None:
        """ACCEPTED or REJECTED, and the broker's own id; None if it is not known there."""
        ...

    def cancel(self, order: str) -> Answer:
        """Asks for the cancellation of an order."""
        ...

    def ending(self) -> set[str]:
        """Symbols of orders that were cancelled and may still fill: what replaces them waits."""
        ...

    def apart(self, bars: Bars) -> dict[str, str]:
        """Held symbols with a split that the account's books or the bars alone know, and which: they are not traded."""
        ...

    def splitting(self, session: pd.Timestamp) -> Mapping[str, str] | None:
        """Symbols that split between the close of a session and the fills of what is sent now, and how; None: nobody knows."""
        ...

    def outlook(self, symbols: Iterable[str]) -> Outlook:
        """What the broker says of itself and of these symbols, for the gate."""
        ...
