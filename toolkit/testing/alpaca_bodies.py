"""What an exchange has, in the form of Alpaca's trading API: texts without loss for numbers, RFC 3339 in UTC for times."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from toolkit.testing.exchange import Exchange
from toolkit.testing.exchange_tape import Tape
from toolkit.testing.exchange_values import EASTERN, Activity, ExchangeOrder, Happening, name, said

DECLARED = pd.Timedelta("14D")


def instant(at: pd.Timestamp | None) -> str | None:
    """RFC 3339 in UTC."""
    return None if at is None else at.tz_convert("UTC").isoformat(timespec="microseconds").replace("+00:00", "Z")


def order_body(order: ExchangeOrder) -> dict[str, Any]:
    """An order as Alpaca shows it."""
    ticket, ended = order.ticket, instant(order.ended)
    return {
        "id": order.id, "client_order_id": ticket.client, "created_at": instant(order.created),
        "updated_at": instant(order.updated), "submitted_at": instant(order.created),
        "filled_at": ended if order.status == "filled" else None, "expired_at": ended if order.status == "expired" else None,
        "canceled_at": ended if order.status == "canceled" else None,
        "failed_at": ended if order.status == "rejected" else None,
        "replaced_at": ended if order.status == "replaced" else None, "replaced_by": order.replaced_by,
        "replaces": order.replaces, "asset_id": name("asset", ticket.symbol), "symbol": ticket.symbol,
        "asset_class": "us_equity", "notional": None, "qty": said(ticket.qty), "filled_qty": said(order.filled),
        "filled_avg_price": repr(order.worth / order.filled) if order.filled else None, "order_class": "",
        "order_type": ticket.kind, "type": ticket.kind, "side": "buy" if ticket.side > 0 else "sell",
        "time_in_force": ticket.tif, "limit_price": price(ticket.limit), "stop_price": price(ticket.stop),
        "status": order.status, "extended_hours": False, "legs": None, "trail_percent": None, "trail_price": None, "hwm": None,
    }  # fmt: skip


def price(value: float | None) -> str | None:
    """The shortest text that is this number."""
    return None if value is None else repr(float(value))


def activity_body(one: Activity) -> dict[str, Any]:
    """A fill, or what changed the account without a trade."""
    about = {"id": one.id, "activity_type": one.kind, "symbol": one.symbol}
    if one.order is not None:
        whole, side = one.left == 0, "buy" if one.qty > 0 else "sell"
        return about | {
            "transaction_time": instant(one.at), "type": "fill" if whole else "partial_fill", "price": price(one.price),
            "qty": said(abs(one.qty)), "side": side, "cum_qty": said(one.filled), "leaves_qty": said(one.left),
            "order_id": one.order.id, "order_status": "filled" if whole else "partially_filled",
        }  # fmt: skip
    facts = {"date": f"{one.at.tz_convert(EASTERN):%Y-%m-%d}", "net_amount": said(one.cash), "description": one.note}
    facts |= {"qty": said(one.qty)} if one.qty else {}
    facts |= {"per_share_amount": repr(one.price)} if one.price is not None else {}
    return {key: value for key, value in about.items() if value is not None} | facts | {"status": "executed"}


def announcement_body(symbol: str, ratio: float, ex: pd.Timestamp) -> dict[str, Any]:
    """A split, announced a fortnight before its ex-date."""
    rate, day = Fraction(ratio).limit_denominator(1000), f"{ex:%Y-%m-%d}"
    identity = name("announcement", symbol, day)
    return {
        "id": identity, "corporate_action_id": identity, "ca_type": "split",
        "ca_sub_type": "stock_split" if ratio > 1.0 else "reverse_split", "initiating_symbol": symbol, "target_symbol": symbol,
        "initiating_original_cusip": "", "target_original_cusip": "",
        "declaration_date": f"{ex - DECLARED:%Y-%m-%d}", "ex_date": day, "record_date": day, "payable_date": day, "cash": "0",
        "old_rate": str(rate.denominator), "new_rate": str(rate.numerator),
    }  # fmt: skip


def event_body(told: Happening) -> dict[str, Any]:
    """What the stream `trade_updates` carries."""
    body = {"event": told.word, "timestamp": instant(told.at), "order": order_body(told.order)}
    body["execution_id"] = name("execution", told.fill.id if told.fill else (told.order.id, told.word))
    if told.fill is not None:
        body |= {"price": price(told.fill.price), "qty": said(abs(told.fill.qty)), "position_qty": said(told.holding)}
    return body


def account_body(exchange: Exchange) -> dict[str, Any]:
    """The account at the last prices."""
    own = exchange.account
    power = said(max(exchange.buying_power, 0))
    return {
        "id": name("account", own.number), "account_number": own.number, "status": "ACTIVE", "currency": "USD",
        "cash": said(own.cash), "equity": said(own.equity), "portfolio_value": said(own.equity),
        "last_equity": said(own.cash + sum(round(q * own.previous[s]) for s, q in own.shares.items())),
        "buying_power": power, "regt_buying_power": power, "daytrading_buying_power": "0",
        "non_marginable_buying_power": said(max(own.cash, 0)), "long_market_value": said(own.long),
        "short_market_value": said(-own.owed), "multiplier": str(exchange.multiplier), "shorting_enabled": exchange.short,
        "trading_blocked": exchange.blocked, "account_blocked": exchange.blocked, "transfers_blocked": False,
        "trade_suspended_by_user": False, "pattern_day_trader": False, "daytrade_count": 0, "initial_margin": "0",
        "maintenance_margin": "0", "accrued_fees": "0", "sma": "0", "created_at": "2000-01-01T05:00:00Z",
    }  # fmt: skip


def position_body(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """A holding at the last price."""
    own = exchange.account
    qty, entry, mark, before = own.shares[symbol], own.entry[symbol], own.mark[symbol], own.previous[symbol]
    value, cost = round(qty * mark), round(qty * entry)
    selling = sum(order.rest for order in exchange.waiting(symbol) if order.ticket.side * qty < 0)
    return {
        "asset_id": name("asset", symbol), "symbol": symbol, "exchange": "NASDAQ", "asset_class": "us_equity",
        "asset_marginable": True, "qty": said(qty), "qty_available": said(qty - (selling if qty > 0 else -selling)),
        "side": "long" if qty > 0 else "short", "avg_entry_price": repr(entry), "current_price": repr(mark),
        "lastday_price": repr(before), "market_value": said(value), "cost_basis": said(cost),
        "unrealized_pl": said(value - cost), "unrealized_plpc": repr((value - cost) / abs(cost)) if cost else "0",
        "unrealized_intraday_pl": said(value - round(qty * before)), "unrealized_intraday_plpc": repr(mark / before - 1.0),
        "change_today": repr(mark / before - 1.0),
    }  # fmt: skip


def symbol_of(exchange: Exchange, told: str) -> str:
    """A symbol, or the symbol of an asset's id."""
    return next((symbol for symbol in exchange.account.mark if name("asset", symbol) == told), told)


def asset_body(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """What may be done with a symbol."""
    usable = symbol not in exchange.untradable
    return {
        "id": name("asset", symbol), "class": "us_equity", "exchange": "NASDAQ", "symbol": symbol, "name": f"{symbol} Common",
        "status": "active" if usable else "inactive", "tradable": usable, "marginable": usable, "shortable": exchange.short,
        "easy_to_borrow": exchange.short, "fractionable": not exchange.whole_shares, "attributes": [],
    }  # fmt: skip


def clock_body(tape: Tape, now: pd.Timestamp) -> dict[str, Any]:
    """Whether the exchange is open, and when it opens and closes next, in New York."""
    k, calendar = tape.last_close(now), tape.calendar
    at, opens, closes = (
        each.tz_convert(EASTERN) for each in (now, calendar.open_instant(k + 1), calendar.close_instant(k + 1))
    )
    is_open = tape.is_open(now)
    if is_open:
        opens = calendar.open_instant(k + 2).tz_convert(EASTERN)
    return {
        "timestamp": at.isoformat(), "is_open": is_open, "next_open": opens.isoformat(), "next_close": closes.isoformat()
    }  # fmt: skip


def calendar_body(tape: Tape, first: str, last: str) -> list[dict[str, Any]]:
    """Sessions from `first` to `last`, both included, with their hours in New York."""
    sessions = tape.calendar.sessions
    start, stop = np.searchsorted(sessions, np.datetime64(first)), np.searchsorted(sessions, np.datetime64(last), "right")
    rows = []
    for k in range(int(start), int(stop)):
        opens, closes = (at.tz_convert(EASTERN) for at in (tape.calendar.open_instant(k), tape.calendar.close_instant(k)))
        rows.append({"date": f"{opens:%Y-%m-%d}", "open": f"{opens:%H:%M}", "close": f"{closes:%H:%M}"})
    return rows
