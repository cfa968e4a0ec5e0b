"""A broker in memory whose other side is in the test's hand: it keeps books of its own and fills when it is told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import pandas as pd

from toolkit.data.clock import Clock
from toolkit.data.meter import Meter
from toolkit.execution.brokers.values import Activity, Answer, Asset, Holding, MarketClock, Purse, Report, Split
from toolkit.execution.orders import Order

DAY = pd.Timedelta("1D")


@dataclass
class Street:
    """A `Broker` without a wire; `on_arrival` is called with each order that comes in, the first time or not."""

    time: Clock
    cash: int  # micro-dollars

    def __post_init__(self) -> None:
        self.name, self.meter, self.live = "street", Meter(), False
        self.opening = self.cash
        self.book: dict[str, Report] = {}  # by client id, in the order of arrival
        self.told: list[Activity] = []
        self.holdings: dict[str, int] = {}
        self.prices: dict[str, float] = {}
        self.announced: dict[str, Split] = {}
        self.hidden: set[str] = set()  # orders that are not shown
        self.posts: Counter[str] = Counter()
        self.on_arrival: Callable[[Order], None] = lambda order: None

    # --------------------------------------------------------------------------------------------- what an adapter shows
    def submit(self, order: Order) -> Answer:
        self.on_arrival(order)
        self.posts[order.id] += 1
        if order.id not in self.book:
            name = f"b{len(self.book)}"
            self.book[order.id] = Report(
                order.id, name, order.symbol, order.side, order.qty, 0, "ACCEPTED", "new", self.time.now()
            )
        return Answer("ACCEPTED", "", self.book[order.id].broker_id)

    def cancel(self, order: str) -> Answer:
        found = self.book.get(order)
        if found is None or not found.waits:
            return Answer("REJECTED", "not open")
        self.end(order, "CANCELED")
        return Answer("ACCEPTED")

    def ahead(self, *questions: object, **more: object) -> nullcontext:
        return nullcontext()

    def find(self, order: str) -> Report | None:
        return None if order in self.hidden else self.book.get(order)

    def orders(self, since: pd.Timestamp) -> list[Report]:
        return [r for r in self.book.values() if (r.waits or r.at >= since) and r.id not in self.hidden]

    def activities(self, since: pd.Timestamp) -> list[Activity]:
        return [a for a in self.told if a.at >= since]

    def accepts(self, now: pd.Timestamp) -> pd.Timestamp:
        return now

    def pause(self) -> float:
        return 0.0

    def positions(self) -> list[Holding]:
        return [Holding(s, q, self.prices.get(s, 1.0), self.prices.get(s, 1.0)) for s, q in self.holdings.items() if q]

    def purse(self) -> Purse:
        return Purse("1", self.cash, self.cash, max(self.cash, 0))

    def clock(self) -> MarketClock:
        now = self.time.now()
        return MarketClock(now, False, now + DAY, now + 2 * DAY)

    def asset(self, symbol: str) -> Asset:
        return Asset(symbol, True, True, True)

    def splits(self, since: pd.Timestamp, until: pd.Timestamp) -> dict[str, Split]:
        return {symbol: split for symbol, split in self.announced.items() if since <= split.day <= until}

    # ------------------------------------------------------------------------------------------------- the other side
    def waiting(self) -> list[Report]:
        return [r for r in self.book.values() if r.waits]

    def fill(self, order: str, qty: int, price: float, fee: int = 0) -> None:
        """`qty` micro-shares of the order trade at `price`; its holding, cash and activity follow."""
        r = self.book[order]
        assert r.waits and 0 < qty <= r.qty - r.filled
        done, signed = r.filled + qty, qty if r.side == "buy" else -qty
        self.book[order] = replace(r, filled=done, status="FILLED" if done == r.qty else "PARTIAL")
        self.tell("fill", r.symbol, signed, -round(signed * price) - fee, fee, price, r.broker_id)

    def tell(self, kind: str, symbol: str | None, qty: int, cash: int, fee: int = 0, price: float | None = None,
             broker_id: str = "") -> None:  # fmt: skip
        """One activity, booked here and told from now on."""
        self.cash += cash
        if symbol is not None:
            self.holdings[symbol] = self.holdings.get(symbol, 0) + qty
        self.told.append(Activity(f"a{len(self.told)}", kind, self.time.now(), symbol, broker_id, qty, cash, fee, price))

    def end(self, order: str, status: str) -> None:
        self.book[order] = replace(self.book[order], status=status, said=status.lower())
