"""What a broker says of orders, executions, holdings and itself, in the toolkit's units.

Quantities and cash are int64 micro-units, prices dollars a share, instants tz-aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd


class Answer(NamedTuple):
    """A broker's answer to a submission or cancellation: ACCEPTED, REJECTED, or UNKNOWN where none could be read.

    ABSENT: the order was surely not sent. `detail` is its reason in words, `broker_id` its own name of the order.
    """

    status: str
    detail: str = ""
    broker_id: str = ""


@dataclass(frozen=True)
class Report:
    """One order as the broker has it; `status` is one of the ledger's, UNKNOWN for a word of the broker's that is new to us."""

    id: str  # the client's order id; not ours if it does not begin with tk1-
    broker_id: str
    symbol: str
    side: str  # "buy" or "sell"
    qty: int  # micro-shares
    filled: int  # micro-shares
    status: str  # ACCEPTED, PARTIAL, FILLED, CANCELED, EXPIRED, REJECTED or UNKNOWN
    said: str = ""  # the broker's own word
    at: pd.Timestamp | None = None  # when it arrived
    replaced_by: str = ""  # the broker's id of the order that took its place
    level: float = float("nan")  # dollars a share of a limit or stop

    @property
    def waits(self) -> bool:
        """Whether it may still fill; an unknown word counts as open."""
        return self.status in {"ACCEPTED", "PARTIAL", "UNKNOWN"}


@dataclass(frozen=True)
class Activity:
    """One change of the account in the broker's books: fill, dividend, split, fee, interest, borrow or transfer."""

    id: str  # unique for ever: what was booked once is not booked again
    kind: str
    at: pd.Timestamp
    symbol: str | None = None
    broker_id: str = ""  # the order of a fill
    qty: int = 0  # signed micro-shares
    cash: int = 0  # signed micro-dollars, fees included
    fee: int = 0  # micro-dollars of it
    price: float | None = None


@dataclass(frozen=True)
class Holding:
    """What the broker holds of one symbol for us."""

    symbol: str
    qty: int  # signed micro-shares
    entry: float  # dollars a share
    price: float  # dollars a share


@dataclass(frozen=True)
class Purse:
    """The broker's account: its number, micro-dollars, and why it may not trade ("" if it may)."""

    number: str
    cash: int
    equity: int
    buying_power: int
    blocked: str = ""


@dataclass(frozen=True)
class MarketClock:
    """The broker's clock."""

    now: pd.Timestamp
    is_open: bool
    next_open: pd.Timestamp
    next_close: pd.Timestamp


@dataclass(frozen=True)
class Asset:
    """What may be done with a symbol at the broker."""

    symbol: str
    tradable: bool = True
    shortable: bool = False
    fractionable: bool = False


class Split(NamedTuple):
    """New shares for one old, from a day of the exchange on (tz-naive): its ex-date."""

    day: pd.Timestamp
    ratio: float

    def __str__(self) -> str:
        return f"{self.ratio:.6g} for 1 of {self.day:%Y-%m-%d}"


@dataclass(frozen=True)
class Outlook:
    """What a broker's side adds to the gate's situation; the defaults are those of our own paper broker."""

    assets: Mapping[str, Asset | None] | None = None  # None: there is nobody to ask
    buying_power: float = float("inf")  # dollars
    skew: float = 0.0  # seconds by which the broker's clock is ahead of ours
    next_open: pd.Timestamp | None = None  # by the broker's clock
    pause: float = 0.0  # seconds until it may be sent an order
    accepts: pd.Timestamp | None = None  # from when on orders for the next open are taken; None: at once
    blocked: str = ""  # why the broker lets nothing be traded
    crosses: bool = True  # whether one order may close a position and open the other side
    frozen: Mapping[str, str] = field(default_factory=dict)  # symbols on which the books differ, and how
    others: tuple[Report, ...] = ()  # orders that wait there and are none of ours
