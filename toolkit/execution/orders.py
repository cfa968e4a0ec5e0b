"""Orders, fills, positions and the account: frozen values that print well.

Quantities and cash are int64 micro-units (1e-6 share, 1e-6 dollar), prices are dollars a share as traded.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from hashlib import blake2b
from html import escape

import pandas as pd

from toolkit.errors import InvalidParameter
from toolkit.kernels.account import UNIT


def order_id(account: str, mode: str, cycle: str, symbol: str, side: str, leg: int = 0) -> str:
    """The client's order id: the same decision has the same id, whenever and however often it is computed.

    The quantity is not in it, so that a target computed again cannot become a second order.

    >>> order_id("demo", "replay", "trend|2012-03-01", "AAPL", "buy")
    'tk1-bti2pggw4pdre36wbvdsc37jzi'
    """
    text = "|".join((account, mode, cycle, symbol, side, str(leg)))
    return "tk1-" + base64.b32encode(blake2b(text.encode(), digest_size=20).digest()).decode().lower()[:26]


def micro_cash(cash: float) -> int:
    """Micro-dollars of an account's first transfer; beyond $9e9 sums of whole micro-dollars would not be exact.

    Raises InvalidParameter unless 0 < cash <= 9e9.
    """
    if not (isinstance(cash, (int, float)) and 0.0 < cash <= 9e9):
        raise InvalidParameter(f"cash is {cash!r}", "use dollars above 0 and up to 9e9")
    return round(cash * UNIT)


@dataclass(frozen=True)
class Order:
    """A market order for the next open."""

    id: str
    cycle: str
    symbol: str
    side: str  # "buy" or "sell"
    qty: int  # micro-shares, positive
    reference: float  # dollars: the close at which it was decided
    wanted: int = 0  # micro-shares before the economic limits
    limit: str = ""  # the limit that cut it, "" if none did

    @property
    def notional(self) -> float:
        """Dollars at the reference price."""
        return self.qty * self.reference / UNIT

    def __str__(self) -> str:
        cut = f" (cut from {self.wanted / UNIT:,g} by {self.limit})" if self.limit else ""
        return f"{self.side} {self.qty / UNIT:,g} {self.symbol} at the next open, ${self.notional:,.2f}{cut}"


@dataclass(frozen=True)
class Fill:
    """Shares that changed hands."""

    id: str
    order: str
    session: pd.Timestamp
    symbol: str
    qty: int  # micro-shares, negative for a sale
    price: float  # dollars a share, slippage included
    fee: int  # micro-dollars


@dataclass(frozen=True)
class Position:
    """What is held of one symbol, and the score at which the strategy last traded it."""

    symbol: str
    qty: int = 0  # micro-shares
    entry: float = float("nan")  # average price, dollars a share
    mark: float = float("nan")  # last price, dollars a share
    score: float = 0.0
    seen: pd.Timestamp | None = None  # last session of which a price or an action was booked

    @property
    def value(self) -> int:
        """Micro-dollars at the mark, rounded once."""
        return round(self.qty * self.mark) if self.qty else 0


@dataclass(frozen=True, repr=False)
class Account:
    """Cash and positions after the session that was settled last."""

    name: str
    mode: str
    cash: int  # micro-dollars
    positions: dict[str, Position] = field(default_factory=dict)
    session: pd.Timestamp | None = None  # None: nothing was settled yet
    waiting: tuple[Order, ...] = ()  # accepted, not filled

    @property
    def equity(self) -> float:
        """Dollars: cash and positions at their marks."""
        return (self.cash + sum(p.value for p in self.positions.values())) / UNIT

    def frame(self) -> pd.DataFrame:
        """One row a held symbol: shares, entry and mark in dollars, value in dollars, weight as a fraction of equity."""
        rows = [
            (p.symbol, p.qty / UNIT, p.entry, p.mark, p.value / UNIT, p.value / UNIT / self.equity)
            for p in self.positions.values()
            if p.qty
        ]
        return pd.DataFrame(rows, columns=["symbol", "shares", "entry", "mark", "value", "weight"]).set_index("symbol")

    def __repr__(self) -> str:
        return f"{self.name} ({self.mode}): equity ${self.equity:,.2f}, cash ${self.cash / UNIT:,.2f}"

    def _repr_html_(self) -> str:
        return f"<b>{escape(repr(self))}</b>{self.frame().round(4).to_html()}"


@dataclass(frozen=True)
class Event:
    """One change of the account: kind is transfer, fill, dividend or split; qty and cash are signed micro-units."""

    id: str
    session: str
    kind: str
    symbol: str | None
    order: str | None
    qty: int
    cash: int
    fee: int = 0
    price: float | None = None


@dataclass(frozen=True)
class Intent:
    """An order with the gate's verdict: status PLANNED, DENIED (by the gate) or CUT (nothing left after the limits)."""

    order: Order
    status: str = "PLANNED"
    reason: str = ""
