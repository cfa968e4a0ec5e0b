"""A broker in front of a broker: the account is asked for once in a while, not at every look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pandas as pd

from toolkit.data import Bars
from toolkit.data.clock import Clock
from toolkit.execution.brokers import Desk
from toolkit.execution.brokers.values import Answer, Outlook
from toolkit.execution.orders import Account, Fill, Order


class CachedBroker:
    """Keeps the account for `keep` seconds of the clock, and forgets it the moment an order goes out or bars settle."""

    def __init__(self, broker: Desk, clock: Clock, keep: float = 30.0) -> None:
        self.broker, self.clock, self._kept = broker, clock, pd.Timedelta(seconds=keep)
        self.hits = self.misses = 0
        self._account: Account | None = None
        self._until = clock.now()

    def account(self) -> Account:
        now = self.clock.now()
        if self._account is not None and now < self._until:
            self.hits += 1
        else:
            self.misses += 1
            self._account, self._until = self.broker.account(), now + self._kept
        return replace(self._account, positions=dict(self._account.positions))

    def forget(self) -> None:
        """The next look asks the broker."""
        self._account = None

    def settle(self, bars: Bars) -> list[Fill]:
        self.forget()
        return self.broker.settle(bars)

    def after(self, bars: Bars) -> Account:
        return self.broker.after(bars)

    @property
    def calls(self) -> int:
        return self.broker.calls

    def allow(self, requests: int | None) -> None:
        self.broker.allow(requests)

    def reconcile(self) -> list[str]:
        self.forget()
        return self.broker.reconcile()

    def submit(self, order: Order) -> Answer:
        self.forget()
        return self.broker.submit(order)

    def find(self, order: str) -> Answer | None:
        return self.broker.find(order)

    def cancel(self, order: str) -> Answer:
        self.forget()
        return self.broker.cancel(order)

    def ending(self) -> set[str]:
        return self.broker.ending()

    def apart(self, bars: Bars) -> dict[str, str]:
        return self.broker.apart(bars)

    def splitting(self, session: pd.Timestamp) -> Mapping[str, str] | None:
        return self.broker.splitting(session)

    def outlook(self, symbols: Iterable[str]) -> Outlook:
        return self.broker.outlook(symbols)

    @property
    def live(self) -> bool:
        return self.broker.live

    @property
    def sure(self) -> bool:
        return self.broker.sure
