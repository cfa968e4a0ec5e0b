"""What an exchange is told, what it keeps of an order, and what it tells; quantities and cash in whole micro-units."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import pandas as pd

from toolkit.errors import ToolkitError

UNIT = 1_000_000
BUY, SELL = 1, -1
EASTERN = "America/New_York"
WAITING = ("accepted", "new", "partially_filled", "pending_cancel")
"""Words for orders that may still fill."""


class Refusal(ToolkitError):
    """What the exchange will not do: Alpaca's status, its code and its sentence, and the facts that it adds."""

    code = "REFUSED"

    def __init__(self, status: int, number: int, message: str, facts: dict[str, Any] | None = None) -> None:
        super().__init__(f"{message} ({status}, {number})", "ask for something else")
        self.status, self.body = status, {"code": number, "message": message, **(facts or {})}


def name(*parts: object) -> str:
    """A UUID that the parts alone decide."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, ":".join(map(str, parts))))


def said(micro: int) -> str:
    """Micro-units as a decimal text without loss: 1500000 is 1.5."""
    return f"{Decimal(micro).scaleb(-6).normalize():f}"


class Ticket(NamedTuple):
    """An order as it is handed in: side BUY or SELL, qty micro-shares, limit and stop dollars a share."""

    symbol: str
    side: int
    qty: int
    kind: str = "market"
    tif: str = "opg"
    client: str = ""
    limit: float | None = None
    stop: float | None = None

    def touched(self, start: float, high: float, low: float) -> float | None:
        """The price at which it meets a bar, None if it does not; where the open gapped through, the open."""
        level = self.limit if self.kind == "limit" else self.stop
        if level is None:
            return start
        below = (self.side > 0) == (self.kind == "limit")  # whether it waits for a price below
        if (start <= level) if below else (start >= level):
            return start
        return level if ((low <= level) if below else (high >= level)) else None


@dataclass
class ExchangeOrder:
    """An order that the exchange has; `arrived` decides about sessions, `created` is unique."""

    id: str
    ticket: Ticket
    arrived: pd.Timestamp
    created: pd.Timestamp
    updated: pd.Timestamp
    status: str
    replaces: str | None = None
    replaced_by: str | None = None
    filled: int = 0
    worth: float = 0.0  # micro-dollars paid for what filled
    ended: pd.Timestamp | None = None

    @property
    def rest(self) -> int:
        """Micro-shares still to fill."""
        return self.ticket.qty - self.filled

    @property
    def waits(self) -> bool:
        """Whether it may still fill."""
        return self.status in WAITING


@dataclass(frozen=True)
class Activity:
    """One line of the account's history; qty signed micro-shares, cash signed micro-dollars, price dollars a share.

    `order` and its state then: of a FILL alone.
    """

    id: str
    kind: str
    at: pd.Timestamp
    symbol: str | None = None
    qty: int = 0
    price: float | None = None
    cash: int = 0
    order: ExchangeOrder | None = None
    filled: int = 0
    left: int = 0
    note: str = ""


@dataclass(frozen=True)
class Happening:
    """What a stream is told: a word, the order as it was then, and the fill if it is one."""

    word: str
    order: ExchangeOrder
    at: pd.Timestamp
    fill: Activity | None = None
    holding: int = field(default=0)
