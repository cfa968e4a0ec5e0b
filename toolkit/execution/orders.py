"""Orders, fills, positions and the account: frozen values that print well.

Quantities and cash are int64 micro-units (1e-6 share, 1e-6 dollar), prices are dollars a share as traded.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from hashlib import blake2b
from html import escape
from numbers import Real
from typing import NamedTuple

import pandas as pd

from toolkit.errors import InvalidParameter
from toolkit.kernels.account import UNIT

LARGEST = 9e9  # dollars: beyond, sums of whole micro-dollars in float64 are not exact


def order_id(account: str, mode: str, cycle: str, symbol: str, side: str, leg: int = 0) -> str:
    """The client's order id: the same decision has the same id, whenever and however often it is computed.

    The quantity is not in it, so that a target computed again cannot become a second order.

    >>> order_id("demo", "replay", "trend|2012-03-01", "AAPL", "buy")
    'tk1-bti2pggw4pdre36wbvdsc37jzi'
    """
    text = "|".join((account, mode, cycle, symbol, side, str(leg)))
    return "tk1-" + base64.b32encode(blake2b(text.encode(), digest_size=20).digest()).decode().lower()[:26]


def micro_cash(cash: float, owing: bool = False) -> int:
    """Micro-dollars of an account's first transfer; beyond $9e9 sums of whole micro-dollars would not be exact.

    Raises InvalidParameter unless 0 < cash <= 9e9; of an account that may be `owing`, unless -9e9 <= cash <= 9e9.
    """
    known = isinstance(cash, Real) and not isinstance(cash, bool) and abs(float(cash)) <= LARGEST
    if not (known and (owing or cash > 0.0)):
        raise InvalidParameter(f"cash is {cash!r}", f"use dollars {'from -9e9' if owing else 'above 0'} and up to 9e9")
    return round(float(cash) * UNIT)


def check_size(equity: float, session: pd.Timestamp) -> None:
    """Refuses an account beyond what its whole micro-dollars can carry; equity in micro-dollars."""
    if not equity <= LARGEST * UNIT:
        what = f"equity reached ${equity / UNIT:,.0f} on {session:%Y-%m-%d}, sums are exact up to $9e9 alone"
        raise InvalidParameter(what, "begin with less cash, or look for a price that jumped")


def shares(qty: int) -> str:
    """Micro-shares in shares, all digits and no more.

    >>> shares(1_234_567_891_234), shares(5_000_000)
    ('1,234,567.891234', '5')
    """
    return f"{qty / UNIT:,.6f}".rstrip("0").rstrip(".")


def counted(n: int, what: str) -> str:
    """So many of what is named in the singular.

    >>> counted(1, "order"), counted(1234, "fill")
    ('1 order', '1,234 fills')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def untypeset(html: str) -> str:
    """HTML in which dollars stay dollars: notebooks set what stands between two of them as mathematics."""
    return f'<div class="tex2jax_ignore mathjax_ignore">{html}</div>'


def price_said(price: float) -> str:
    """Dollars with at least the cents, and four digits of what is below a dollar.

    >>> price_said(1234.5), price_said(0.00123)
    ('1,234.50', '0.00123')
    """
    return f"{price:,.2f}" if abs(price) >= 1.0 else f"{price:.4g}"


@dataclass(frozen=True)
class Order:
    """An order for the next bar, or for later ones while it waits."""

    id: str
    cycle: str
    symbol: str
    side: str  # "buy" or "sell"
    qty: int  # micro-shares, positive
    reference: float  # dollars: the close at which it was decided
    wanted: int = 0  # micro-shares before the economic limits
    limit: str = ""  # the limit that cut it, "" if none did
    kind: str = "market"  # or "limit", "stop"
    level: float = float("nan")  # dollars a share at which a limit or stop trades
    day: bool = False  # whether it dies with the next bar

    @property
    def signed(self) -> int:
        """Micro-shares, negative for a sale."""
        return self.qty if self.side == "buy" else -self.qty

    @property
    def notional(self) -> float:
        """Dollars at the reference price."""
        return self.qty * self.reference / UNIT

    def __str__(self) -> str:
        cut = f" (cut from {shares(self.wanted)} by {self.limit})" if self.limit else ""
        when = "at the next open" if self.kind == "market" else f"{self.kind} {price_said(self.level)}{' for a day' * self.day}"
        return f"{self.side} {shares(self.qty)} {self.symbol} {when}, ${self.notional:,.2f}{cut}"


@dataclass(frozen=True)
class Fill:
    """Shares that changed hands; `order` is empty where an exit inside the bar traded, `reason` says which."""

    id: str
    order: str
    session: pd.Timestamp
    symbol: str
    qty: int  # micro-shares, negative for a sale
    price: float  # dollars a share, slippage included
    fee: int  # micro-dollars
    reason: str = "FILLED"


@dataclass(frozen=True)
class Position:
    """What is held of one symbol, and the score at which the strategy last traded it."""

    symbol: str
    qty: int = 0  # micro-shares
    entry: float = float("nan")  # average price, dollars a share
    mark: float = float("nan")  # last price, dollars a share
    score: float = 0.0
    seen: pd.Timestamp | None = None  # last session of which a price or an action was booked
    peak: float = float("nan")  # best price since the entry, dollars a share
    out: int = 0  # 1: left by a stop or target, it stays out until its score changes; above: a stop that goes on

    @property
    def value(self) -> int:
        """Micro-dollars at the mark, rounded once; 0 as long as no price is known."""
        return round(self.qty * self.mark) if self.qty and self.mark == self.mark else 0


@dataclass(frozen=True, repr=False)
class Account:
    """Cash and positions after the session that was settled last."""

    name: str
    mode: str
    cash: int  # micro-dollars
    positions: dict[str, Position] = field(default_factory=dict)
    session: pd.Timestamp | None = None  # None: nothing was settled yet
    waiting: tuple[Order, ...] = ()  # accepted, not filled
    booked: int = field(default=0, compare=False)  # the last event that it is the fold of, by its number

    @property
    def worth(self) -> int:
        """Micro-dollars: cash and positions at their marks."""
        return self.cash + sum(p.value for p in self.positions.values())

    @property
    def equity(self) -> float:
        """The same in dollars."""
        return self.worth / UNIT

    @property
    def unpriced(self) -> dict[str, str]:
        """The symbols of shares that came without a price (a spin-off, a transfer), and what there is to say of them."""
        held = [p for p in self.positions.values() if p.qty and p.mark != p.mark]
        return {p.symbol: f"{shares(p.qty)} shares are held, no price of them is known: they count as $0" for p in held}

    def weight(self, symbol: str) -> float:
        """The value of what is held of a symbol as a fraction of equity; NaN where there is none."""
        return self.positions[symbol].value / self.worth if self.worth else float("nan")

    def frame(self) -> pd.DataFrame:
        """One row a held symbol: shares, entry and mark in dollars, value in dollars, weight as a fraction of equity."""
        held = [p for p in self.positions.values() if p.qty]
        rows = [(p.symbol, p.qty / UNIT, p.entry, p.mark, p.value / UNIT, self.weight(p.symbol)) for p in held]
        return pd.DataFrame(rows, columns=["symbol", "shares", "entry", "mark", "value", "weight"]).set_index("symbol")

    def __repr__(self) -> str:
        return f"{self.name} ({self.mode}): equity ${self.equity:,.2f}, cash ${self.cash / UNIT:,.2f}"

    def _repr_html_(self) -> str:
        return untypeset(f"<b>{escape(repr(self))}</b>{self.frame().round(4).to_html()}")


@dataclass(frozen=True)
class Event:
    """One change of the account; qty and cash are signed micro-units, slip the micro-dollars lost to slippage.

    kind is transfer, adoption, fill, dividend, split, fee, borrow or interest; `reason` of a fill says what made it,
    `broker_id` is the broker's name of its order.
    """

    id: str
    session: str
    kind: str
    symbol: str | None
    order: str | None
    qty: int
    cash: int
    fee: int = 0
    price: float | None = None
    slip: int = 0
    reason: str = ""
    broker_id: str = ""


class Outcome(NamedTuple):
    """What became of an order that waited: what still waits of it, and why it ended or waits."""

    order: str
    status: str  # its next state; empty: the one it has
    rest: int  # micro-shares
    why: str = ""
    level: float = float("nan")  # of a limit or stop that waits: a split moves it


@dataclass(frozen=True)
class Intent:
    """An order with the gate's verdict: status PLANNED, DENIED (by the gate) or CUT (nothing left after the limits)."""

    order: Order
    status: str = "PLANNED"
    reason: str = ""
    code: str = ""  # of the limit that denied it, with what was measured and the limit
    measured: str = ""
    cap: str = ""
