"""A small exchange with one account: orders fill at the prices of daily bars, cash and shares are whole micro-units.

    exchange = Exchange(daily, cash=100_000.0, slippage_bps=5.0)
    exchange.turn(pd.Timestamp("2012-03-01 22:00", tz="UTC"))  # it is evening
    order = exchange.submit(Ticket("AAPL", BUY, 10 * UNIT, "market", "opg", "my-id"))
    exchange.turn(pd.Timestamp("2012-03-02 14:30", tz="UTC"))  # the next open
    assert order.status == "filled" and exchange.account.shares["AAPL"] == 10 * UNIT

Time moves by `turn` alone, from event to event: at midnight of an ex-date its dividend and split; at the open market orders
and what is for the open; at the close limits and stops inside the bar, what is for the close, and the end of day orders. An
order takes part in a session if it arrived two minutes before its open, one for the close ten minutes before it; a later one
waits for the next. What changes the account is an activity, what changes an order is told to `listeners`; nothing is random.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data import Bars
from toolkit.testing.exchange_account import ExchangeAccount
from toolkit.testing.exchange_checks import check
from toolkit.testing.exchange_tape import Tape
from toolkit.testing.exchange_values import (
    BUY,
    SELL,
    UNIT,
    Activity,
    ExchangeOrder,
    Happening,
    Refusal,
    Ticket,
    name,
)

__all__ = ["BUY", "SELL", "UNIT", "Exchange", "Refusal", "Ticket"]

CUTOFF, CLOSING = pd.Timedelta(minutes=2), pd.Timedelta(minutes=10)
MICROSECOND = pd.Timedelta(microseconds=1)
BEGINNING = pd.Timestamp(0, tz="UTC")
MANY = 2**62  # micro-shares


class Exchange:
    """Trades `bars` (daily, at traded prices) for an account that begins with `cash` dollars.

    Costs as in the toolkit's `Costs`: slippage_bps and fee_bps in basis points, per_share, minimum and per_order in dollars.
    May be set at any time: `volume_share`, the fraction of a bar's volume that fills at most; `plan`, by symbol the shares that
    fill in its next sessions, a number or a tuple of executions each; `untradable` symbols; `blocked`; `short`; `crosses`,
    whether an order may close a position and open the other side, which Alpaca refuses; `delay`, after
    which a new order is seen by lookups; `on_split`, "adjust" or "cancel" what waits. As strict as Alpaca is it with
    `auction_hours`, when orders for an auction come from 19:00 in New York on alone, and `wash_trades`, when an order may not
    meet one of our own; else the first wait and the second pass.
    """

    def __init__(
        self, bars: Bars, cash: float = 100_000.0, *, slippage_bps: float = 0.0, fee_bps: float = 0.0, per_share: float = 0.0,
        minimum: float = 0.0, per_order: float = 0.0, multiplier: int = 2, short: bool = False, whole_shares: bool = False,
        number: str = "PA3LOOPBACK0",
    ) -> None:  # fmt: skip
        self.tape = Tape(bars)
        self.account = ExchangeAccount(bars.symbols, cash, number)
        self.multiplier, self.short, self.whole_shares = multiplier, short, whole_shares
        self.crosses = False
        self.slippage, self.fee = slippage_bps / 10_000.0, fee_bps / 10_000.0
        self.per_share, self.minimum, self.per_order = per_share, minimum, per_order
        self.orders: dict[str, ExchangeOrder] = {}
        self.listeners: list[Callable[[Happening], None]] = []
        self.volume_share, self.delay = np.inf, pd.Timedelta(0)
        self.plan: dict[str, list[float | Sequence[float]]] = {}
        self.untradable: set[str] = set()
        self.blocked, self.on_split = False, "adjust"
        self.auction_hours, self.wash_trades = False, False
        self.lock = threading.RLock()
        self.at = self._stamp = BEGINNING
        self._taken: dict[str, int] = {}
        self._clients: dict[str, ExchangeOrder] = {}
        self._live: list[ExchangeOrder] = []

    # --- orders

    @property
    def buying_power(self) -> int:
        """Micro-dollars that orders to come may cost: what waits has its place."""
        waiting = sum(self.cost(order.ticket, order.rest) for order in self.waiting())
        return self.multiplier * self.account.equity - self.account.long - self.account.owed - waiting

    def submit(self, ticket: Ticket, replaces: str | None = None) -> ExchangeOrder:
        """Accepts an order, or raises Refusal; the id of a client is taken for ever."""
        with self.lock:
            number = len(self.orders)
            ticket = ticket._replace(client=ticket.client or name(self.account.number, "client", number))
            if self.find(ticket.client):
                raise Refusal(422, 40010001, "client_order_id must be unique")
            check(self, ticket)
            self._stamp = stamp = max(self.at, self._stamp + MICROSECOND)
            word = "new" if self.is_open else "accepted"
            identity = name(self.account.number, "order", number, ticket.client)
            order = ExchangeOrder(identity, ticket, self.at, stamp, stamp, word, replaces)
            self.orders[identity] = self._clients[ticket.client] = order
            self._live.append(order)
            self._tell("new", order)
            return order

    def cancel(self, order: ExchangeOrder, race: bool = False) -> None:
        """Cancels an order that waits, Refusal for another; with `race` it is promised, and the order may fill instead."""
        with self.lock:
            if not order.waits or order.status == "pending_cancel":
                raise Refusal(422, 42210000, f'order is already in "{order.status}" state')
            self._end(order, "pending_cancel" if race else "canceled", self.at)

    def replace(self, order: ExchangeOrder, changes: dict[str, Any] | None = None) -> ExchangeOrder:
        """A new order, with `changes` of its ticket, in the place of one that waits."""
        with self.lock:
            if not order.waits:
                raise Refusal(422, 42210000, f'order is already in "{order.status}" state')
            live, before, order.status = list(self._live), order.status, "replaced"
            try:
                new = self.submit(order.ticket._replace(**{"qty": order.rest, "client": "", **(changes or {})}), order.id)
            except Refusal:
                self._live, order.status = live, before
                raise
            order.replaced_by = new.id
            self._end(order, "replaced", self.at)
            return new

    def reject(self, order: ExchangeOrder) -> None:
        """The exchange thinks better of an order that it had accepted."""
        with self.lock:
            self._end(order, "rejected", self.at)

    def move(self, kind: str, dollars: float, symbol: str | None = None) -> Activity:
        """Cash that comes or goes for no trade: CSD, CSW, INT, FEE and the like; `dollars` are signed."""
        with self.lock:
            return self.account.book(kind, self.at, symbol, cash=round(dollars * UNIT), note=kind)

    def find(self, client: str) -> ExchangeOrder | None:
        """The order with a client's id."""
        return self._clients.get(client)

    def waiting(self, symbol: str | None = None) -> list[ExchangeOrder]:
        """Orders that may still fill, as they arrived; of all symbols, or of one."""
        self._live = [order for order in self._live if order.waits]
        return [order for order in self._live if symbol in {None, order.ticket.symbol}]

    def seen(self, order: ExchangeOrder) -> bool:
        """Whether lookups show the order already."""
        return order.arrived + self.delay <= self.at

    def opens(self, ticket: Ticket, qty: int) -> int:
        """The micro-shares of an order that open or add to a position."""
        held = self.account.shares.get(ticket.symbol, 0)
        return max(qty - max(-ticket.side * held, 0), 0)

    def cost(self, ticket: Ticket, qty: int) -> int:
        """Micro-dollars that they take, at the order's price or the last one."""
        price = ticket.limit or ticket.stop or self.account.mark[ticket.symbol]
        return round(self.opens(ticket, qty) * price) if price == price else 0

    def _tell(self, word: str, order: ExchangeOrder, fill: Activity | None = None) -> None:
        holding = self.account.shares.get(order.ticket.symbol, 0)
        for listener in self.listeners:
            listener(Happening(word, order, fill.at if fill else self.at, fill, holding))

    def _end(self, order: ExchangeOrder, word: str, at: pd.Timestamp) -> None:
        order.status, order.updated = word, at
        order.ended = None if order.waits else at
        self._tell(word, order)

    # --- time

    @property
    def is_open(self) -> bool:
        """Whether a session is under way."""
        return self.tape.is_open(self.at)

    def turn(self, now: pd.Timestamp) -> None:
        """Lets happen what happens up to `now`; earlier instants change nothing."""
        with self.lock:
            if self.at == BEGINNING:
                k = self.tape.last_close(now)
                self.at = self.tape.calendar.close_instant(k)
                self.account.mark = self.tape.marks(k)
                self.account.previous = dict(self.account.mark)
            acts = {"actions": self._actions, "open": self._open, "close": self._close}
            for at, k, what in self.tape.moments(self.at, now):
                self.at = at
                acts[what](k, at)
            self.at = max(self.at, now)

    def _actions(self, k: int, at: pd.Timestamp) -> None:
        for symbol, split, dividend in self.tape.actions(k):
            self.account.dividend(symbol, dividend, at)
            if split != 1.0:
                self.account.split(symbol, split, at, self.whole_shares)
                for order in self.waiting(symbol):
                    self._adjust(order, split, at)

    def _adjust(self, order: ExchangeOrder, split: float, at: pd.Timestamp) -> None:
        lot, ticket = UNIT if order.ticket.qty % UNIT == 0 else 1, order.ticket
        rest = int(round(order.rest * split) / lot) * lot
        if rest == 0 or self.on_split == "cancel":
            return self._end(order, "canceled", at)
        order.filled = round(order.filled * split)
        limit, stop = (level and level / split for level in (ticket.limit, ticket.stop))
        order.ticket = ticket._replace(qty=order.filled + rest, limit=limit, stop=stop)

    def _open(self, k: int, at: pd.Timestamp) -> None:
        self._taken.clear()
        prices = self.tape.prices(k)
        self.account.mark |= {symbol: own[0] for symbol, own in prices.items()}
        for order in self._due(at - CUTOFF):
            auction = order.ticket.tif == "opg"
            if auction or (order.ticket.kind == "market" and order.ticket.tif != "cls"):
                self._meet(order, prices, at, [0, 0, 0])
            if auction and order.waits:
                self._end(order, "canceled" if order.status == "pending_cancel" else "expired", at)

    def _close(self, k: int, at: pd.Timestamp) -> None:
        prices, begun = self.tape.prices(k), self.tape.calendar.open_instant(k) - CUTOFF
        self.account.mark |= {symbol: own[3] for symbol, own in prices.items()}
        self.account.previous = dict(self.account.mark)
        for order in self._due(at - CLOSING):
            auction, took_part = order.ticket.tif == "cls", order.arrived <= begun
            if auction or (order.ticket.kind != "market" and took_part):
                self._meet(order, prices, at, [3, 3, 3] if auction else [0, 1, 2])
            if order.waits and order.status == "pending_cancel":
                self._end(order, "canceled", at)
            elif order.waits and (auction or (order.ticket.tif == "day" and took_part)):
                self._end(order, "expired", at)

    # --- how an order becomes a fill

    def _due(self, cutoff: pd.Timestamp) -> list[ExchangeOrder]:
        """What arrived in time: first what reduces a position, then the rest, each as it arrived."""
        due = [order for order in self.waiting() if order.arrived <= cutoff]
        return sorted(due, key=lambda order: self.opens(order.ticket, order.rest) == order.rest)

    def _meet(self, order: ExchangeOrder, prices: dict[str, list[float]], at: pd.Timestamp, reach: list[int]) -> None:
        """Fills what price, volume and plan allow; `reach`: the fields that are the first, highest and lowest price."""
        symbol, side, own = order.ticket.symbol, order.ticket.side, prices.get(order.ticket.symbol)
        price = order.ticket.touched(*[own[field] for field in reach]) if own else None
        if own is None or price is None:
            return
        most = MANY if self.volume_share == np.inf else int(min(self.volume_share, 1.0) * (own[4] * UNIT))
        if order.ticket.qty % UNIT == 0:
            most -= most % UNIT
        planned = self.plan[symbol].pop(0) if self.plan.get(symbol) else np.inf
        for part in planned if isinstance(planned, Sequence) else [planned]:
            size = min(order.rest, most - self._taken.get(symbol, 0), MANY if part == np.inf else round(part * UNIT))
            if side < 0 and not self.short:
                size = min(size, self.account.shares.get(symbol, 0))
            if size > 0:
                paid, limit = price * (1.0 + side * self.slippage), order.ticket.limit
                self._trade(order, size, limit if limit is not None and side * (paid - limit) > 0.0 else paid, at)

    def _trade(self, order: ExchangeOrder, size: int, paid: float, at: pd.Timestamp) -> None:
        symbol, qty = order.ticket.symbol, order.ticket.side * size
        self.account.trade(symbol, qty, paid)
        self._taken[symbol] = self._taken.get(symbol, 0) + size
        order.filled, order.worth, order.updated = order.filled + size, order.worth + size * paid, at
        whole = order.rest == 0
        if whole or order.status != "pending_cancel":
            order.status = "filled" if whole else "partially_filled"
        order.ended = at if whole else None
        fill = self.account.book("FILL", at, symbol, qty, paid, -round(qty * paid), order)
        self._tell("fill" if whole else "partial_fill", order, fill)
        by_share = max(self.per_share * size, self.minimum * UNIT)
        if fee := round(by_share + self.fee * (size * paid) + self.per_order * UNIT):
            self.account.book("FEE", at, symbol, cash=-fee, note=f"commission of {fill.id}")
