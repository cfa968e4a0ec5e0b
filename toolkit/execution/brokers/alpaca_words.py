"""Alpaca's words and ours: orders as it wants them, and what it says of orders, activities, positions and itself.

Numbers travel as decimal texts, both ways. What cannot be read is BrokerUnavailable: it is as if nothing had been said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

import pandas as pd

from toolkit.errors import BrokerUnavailable
from toolkit.execution.brokers.values import Activity, Asset, Holding, MarketClock, Purse, Report, Split
from toolkit.execution.orders import Order
from toolkit.kernels.account import UNIT

EASTERN = "America/New_York"
LARGEST = 2**63 - 1
WAITING = {
    "new", "accepted", "pending_new", "accepted_for_bidding", "pending_review", "held", "partially_filled", "done_for_day",
    "pending_cancel", "pending_replace", "stopped", "suspended", "calculated",
}  # fmt: skip
ENDED = {"canceled": "CANCELED", "replaced": "CANCELED", "expired": "EXPIRED", "rejected": "REJECTED"}
KINDS = {
    "FILL": "fill", "SPLIT": "split", "FEE": "fee", "CFEE": "fee", "PTC": "fee", "INT": "interest", "INTPNL": "interest",
    "DIV": "dividend", "DIVCGL": "dividend", "DIVCGS": "dividend", "DIVNRA": "dividend", "DIVROC": "dividend",
    "DIVTXEX": "dividend", "DIVWH": "dividend",
}  # fmt: skip
"""Any other activity (cash and shares that come, go or are exchanged) is a transfer."""
SIDES = {"buy": 1, "sell": -1, "sell_short": -1}  # of a fill


def flaw_of(order: Order) -> str:
    """Why Alpaca would not take the order, "" if it may."""
    if order.side not in ("buy", "sell") or order.kind not in ("market", "limit", "stop"):
        return f"{order.side} {order.kind} is no order that Alpaca knows"
    if not 0 < order.qty <= LARGEST:
        return f"a quantity of {order.qty} micro-shares cannot be traded"
    if order.kind != "market" and not price_of(order):
        return f"a {order.kind} at {order.level} cannot be traded"
    return ""


def fields_of(order: Order) -> dict[str, str]:
    """The order as JSON: market orders for the next opening auction, others for the day or until they are cancelled.

    Alpaca takes a fraction of a share in day orders alone: one at the market, sent before the open, trades at the open without
    the auction; a limit or stop that should wait longer ends with the day, and is decided again.
    """
    fields = {"symbol": order.symbol, "qty": decimal(order.qty), "side": order.side, "type": order.kind}
    whole = "opg" if order.kind == "market" else "day" if order.day else "gtc"
    fields["time_in_force"] = "day" if order.qty % UNIT else whole
    fields["client_order_id"] = order.id
    if order.kind != "market":
        fields[f"{order.kind}_price"] = price_of(order)
    return fields


def decimal(micro: int) -> str:
    """Micro-units as a decimal text, all digits and no more.

    >>> decimal(1_500_000), decimal(120_000_000), decimal(1)
    ('1.5', '120', '0.000001')
    """
    return f"{Decimal(micro).scaleb(-6).normalize():f}"


def price_of(order: Order) -> str:
    """The level on Alpaca's grid (cents, below a dollar hundredths of one), away from the market; "" for none.

    A limit is never worse than it was decided, and a stop never trades earlier.
    """
    if not 0.0 < order.level < 1e7:
        return ""
    level = Decimal(repr(float(order.level))).quantize(Decimal("1e-8"))
    down = (order.side == "buy") == (order.kind == "limit")
    step = Decimal("0.01") if level >= 1 else Decimal("0.0001")
    price = level.quantize(step, ROUND_FLOOR if down else ROUND_CEILING)
    return f"{price:f}" if price > 0 else ""


def report_of(said: Any) -> Report:
    """An order; a word that is new to us, or one that its numbers contradict, is UNKNOWN."""
    word, filled = text(said, "status"), micro(said, "filled_qty", absent=0)
    qty = micro(said, "qty", absent=filled)  # an order for dollars has none
    status = ENDED.get(word, "UNKNOWN")
    if word in WAITING:
        status = "ACCEPTED" if filled == 0 else "PARTIAL" if filled < qty else "FILLED"
    elif word == "filled" and 0 < filled == qty:
        status = "FILLED"
    at = instant(said, "submitted_at" if said.get("submitted_at") else "created_at")
    later = said.get("replaced_by")
    client, identity, symbol, side = (text(said, name) for name in ("client_order_id", "id", "symbol", "side"))
    successor = text(said, "replaced_by") if later else ""
    levels = [float(number(said, name)) for name in ("limit_price", "stop_price") if said.get(name) is not None]
    return Report(client, identity, symbol, side, qty, filled, status, word, at, successor, *levels[:1])


def activity_of(said: Any) -> Activity | None:
    """A change of the account, None for one that was taken back; days are those of New York."""
    word = text(said, "activity_type")
    kind, identity = KINDS.get(word, "transfer"), text(said, "id")
    symbol = text(said, "symbol") if said.get("symbol") else None
    if kind == "fill":
        side = text(said, "side").lower()
        if side not in SIDES:
            raise unreadable("side", said["side"])
        qty = abs(micro(said, "qty")) * SIDES[side]
        price = number(said, "price")
        cash = whole(-qty * price, said, "price")
        at, order = instant(said, "transaction_time"), text(said, "order_id")
        return Activity(identity, kind, at, symbol, order, qty, cash, 0, float(price))
    if said.get("status") == "canceled":
        return None
    cash, qty = micro(said, "net_amount", absent=0), micro(said, "qty", absent=0)
    at = pd.Timestamp(instant(said, "date").date(), tz=EASTERN).tz_convert("UTC")
    moved = qty if kind in ("split", "transfer") else 0  # the quantity of a dividend is what it was paid on
    return Activity(identity, kind, at, symbol, "", moved, cash, -cash if kind == "fee" else 0)


def holding_of(said: Any) -> Holding:
    """A position: short ones have a negative quantity here, whatever sign they come with."""
    qty = abs(micro(said, "qty")) * (-1 if text(said, "side") == "short" else 1)
    price = float(number(said, "current_price")) if said.get("current_price") is not None else math.nan
    return Holding(text(said, "symbol"), qty, float(number(said, "avg_entry_price")), price)


def purse_of(said: Any) -> Purse:
    """The account, and why it may not trade."""
    blocks = ("account_blocked", "trading_blocked", "trade_suspended_by_user")
    why = [name.replace("_", " ") for name in blocks if field(said, name) is not False]  # what is not said is not denied
    if (status := text(said, "status")) != "ACTIVE":
        why.append(f"its status is {status}")
    if (currency := said.get("currency", "USD")) != "USD":
        why.append(f"its currency is {currency}")
    amounts = micro(said, "cash"), micro(said, "equity"), micro(said, "buying_power")
    return Purse(text(said, "account_number"), *amounts, ", ".join(why))


def clock_of(said: Any) -> MarketClock:
    """The clock, in UTC."""
    return MarketClock(
        instant(said, "timestamp"), flag(said, "is_open"), instant(said, "next_open"), instant(said, "next_close")
    )


def asset_of(said: Any) -> Asset:
    """What may be done with a symbol; one that is not active may not be traded."""
    tradable = flag(said, "tradable") and text(said, "status") == "active"
    return Asset(text(said, "symbol"), tradable, flag(said, "shortable"), flag(said, "fractionable"))


def split_of(said: Any) -> tuple[set[str], Split]:
    """An announced split, with the symbols before and after it."""
    symbols = {field(said, name) for name in ("initiating_symbol", "target_symbol")} - {None, ""}
    old, new = number(said, "old_rate"), number(said, "new_rate")
    if not symbols or not all(isinstance(symbol, str) for symbol in symbols):
        raise unreadable("initiating_symbol", field(said, "initiating_symbol"))
    if not (old > 0 and new > 0):
        raise unreadable("new_rate for old_rate", f"{new} for {old}")
    return symbols, Split(instant(said, "ex_date").tz_localize(None).normalize(), float(new / old))


def listed(said: Any) -> list[Any]:
    """A list of answers."""
    if not isinstance(said, list):
        raise unreadable("a list", said)
    return said


def text(said: Any, name: str) -> str:
    value = field(said, name)
    if not isinstance(value, str) or not value:
        raise unreadable(name, value)
    return value


def flag(said: Any, name: str) -> bool:
    value = field(said, name)
    if not isinstance(value, bool):
        raise unreadable(name, value)
    return value


def number(said: Any, name: str) -> Decimal:
    """A finite number, from a text or a number of JSON."""
    value = field(said, name)
    try:
        found = Decimal(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else Decimal("nan")
    except ArithmeticError:
        found = Decimal("nan")
    if not found.is_finite() or abs(found) > LARGEST:
        raise unreadable(name, value)
    return found


def micro(said: Any, name: str, absent: int | None = None) -> int:
    """A number in micro-units, rounded once to even; `absent` where there is none."""
    if absent is not None and isinstance(said, Mapping) and said.get(name) is None:
        return absent
    return whole(number(said, name) * UNIT, said, name)


def whole(amount: Decimal, said: Any, name: str) -> int:
    """Whole micro-units that fit into 64 bits."""
    found = int(amount.to_integral_value(ROUND_HALF_EVEN))
    if abs(found) > LARGEST:
        raise unreadable(name, field(said, name))
    return found


def instant(said: Any, name: str) -> pd.Timestamp:
    """An instant in UTC; a day is its midnight."""
    value = text(said, name)
    try:
        found = pd.Timestamp(value)
    except (ValueError, OverflowError):
        found = pd.NaT
    if found is pd.NaT:
        raise unreadable(name, value)
    return found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")


def field(said: Any, name: str) -> Any:
    if not isinstance(said, Mapping):
        raise unreadable(f"an answer with {name}", said)
    return said.get(name)


def unreadable(name: str, value: object) -> BrokerUnavailable:
    what = f"Alpaca's answer cannot be read: {name} is {str(value)[:80]!r}"
    return BrokerUnavailable(what, "ask again later; if it stays so, Alpaca has changed its answers")
