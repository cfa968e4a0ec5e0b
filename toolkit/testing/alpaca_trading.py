"""Alpaca's trading API over an `Exchange`: bodies that alpaca-py parses, and routes from a request to a body and a status.

    with AlpacaServer([daily], now=pd.Timestamp("2012-03-01 22:00", tz="UTC")) as alpaca:
        client = TradingClient(alpaca.key, alpaca.secret, url_override=alpaca.url)
        ask = MarketOrderRequest(symbol="AAPL", qty=10, side="buy", time_in_force="opg", client_order_id="my-id")
        client.submit_order(ask)
        alpaca.now = pd.Timestamp("2012-03-02 15:00", tz="UTC")  # past the open; alpaca.exchange is the other side

Numbers are texts without loss, times RFC 3339 in UTC, as Alpaca sends them; what Alpaca has beyond this is not answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import pandas as pd

from toolkit.testing.alpaca_bodies import (
    account_body,
    activity_body,
    announcement_body,
    asset_body,
    calendar_body,
    clock_body,
    order_body,
    position_body,
    symbol_of,
)
from toolkit.testing.exchange import Exchange
from toolkit.testing.exchange_values import BUY, EASTERN, SELL, UNIT, ExchangeOrder, Refusal, Ticket

Page = tuple[Any, int]
"""The body of a reply, and its status."""

Asked = tuple[str, Mapping[str, str], bytes]
"""Path, query and body of a request."""

SIDES = {"buy": BUY, "sell": SELL}
KINDS, TIMES = ("market", "limit", "stop"), ("day", "gtc", "opg", "cls")


def activities(exchange: Exchange, asked: Asked) -> Page:
    """GET /v2/account/activities, of all kinds, of those named in the query, or of the one in the path."""
    path, query, _ = asked
    kinds = path.split("/")[4:5] or [kind for kind in query.get("activity_types", "").split(",") if kind]
    rows = [one for one in exchange.account.activities if not kinds or one.kind in kinds]
    first, last = moment(query, "after"), moment(query, "until")
    if "date" in query:
        rows = [one for one in rows if f"{one.at.tz_convert(EASTERN):%Y-%m-%d}" == query["date"]]
    rows = [one for one in rows if (first is None or one.at > first) and (last is None or one.at < last)]
    rising = query.get("direction", "desc") == "asc"
    rows = rows if rising else rows[::-1]
    token = query.get("page_token")
    if token:
        rows = [one for one in rows if (one.id > token if rising else one.id < token)]
    return [activity_body(one) for one in rows[: min(int(query.get("page_size", 100)), 100)]], 200


def moment(query: Mapping[str, str], field: str) -> pd.Timestamp | None:
    """A time in a query; a date is midnight in UTC."""
    if not query.get(field):
        return None
    try:
        at = pd.Timestamp(query[field])
    except ValueError as error:
        raise Refusal(422, 40010001, f"invalid {field}: {query[field]}") from error
    return at if at.tzinfo else at.tz_localize("UTC")


def orders(exchange: Exchange, asked: Asked) -> Page:
    """GET /v2/orders."""
    query, rows = asked[1], [order for order in exchange.orders.values() if exchange.seen(order)]
    status, first, last = query.get("status", "open"), moment(query, "after"), moment(query, "until")
    if status not in {"open", "closed", "all"}:
        raise Refusal(422, 40010001, f"invalid status: {status}")
    if status != "all":
        rows = [order for order in rows if order.waits == (status == "open")]
    rows = [o for o in rows if (first is None or o.created > first) and (last is None or o.created < last)]
    if query.get("symbols"):
        rows = [order for order in rows if order.ticket.symbol in query["symbols"].split(",")]
    if query.get("side"):
        rows = [order for order in rows if order.ticket.side == SIDES.get(query["side"])]
    rows = rows if query.get("direction", "desc") == "asc" else rows[::-1]
    return [order_body(order) for order in rows[: min(int(query.get("limit", 50)), 500)]], 200


def known(exchange: Exchange, asked: Asked) -> ExchangeOrder:
    """The order in the path."""
    identity = asked[0].rsplit("/", 1)[1]
    order = exchange.orders.get(identity)
    if order is None or not exchange.seen(order):
        raise Refusal(404, 40410000, f"order not found for {identity}")
    return order


def by_client(exchange: Exchange, asked: Asked) -> Page:
    """GET /v2/orders:by_client_order_id."""
    client = asked[1].get("client_order_id", "")
    order = exchange.find(client)
    if order is None or not exchange.seen(order):
        raise Refusal(404, 40410000, f"order not found for {client}")
    return order_body(order), 200


def fields(asked: Asked) -> dict[str, Any]:
    """The JSON object in a request."""
    try:
        told = json.loads(asked[2] or b"{}")
    except ValueError as error:
        raise Refusal(400, 40010000, "request body format is invalid") from error
    if not isinstance(told, dict):
        raise Refusal(400, 40010000, "request body format is invalid")
    return told


def micro(told: Any, field: str) -> int:
    """A positive decimal number as micro-units."""
    try:
        number = Decimal(str(told)) * UNIT
    except InvalidOperation as error:
        raise Refusal(422, 40010001, f"{field} is invalid") from error
    if not (number.is_finite() and number > 0 and number == number.to_integral_value()):
        raise Refusal(422, 40010001, f"{field} must be a number above 0 of at most 6 decimals")
    return int(number)


def level(told: Mapping[str, Any], field: str, needed: bool) -> float | None:
    """A price of an order."""
    if not needed:
        return None
    if told.get(field) is None:
        raise Refusal(422, 40010001, f"{field} is required")
    cents = Decimal(micro(told[field], field)) / (10_000 if Decimal(str(told[field])) >= 1 else 100)
    if cents != cents.to_integral_value():
        what = f"invalid {field} {told[field]}. sub-penny increment does not fulfill minimum pricing criteria"
        raise Refusal(422, 42210000, what)
    return float(told[field])


def submit(exchange: Exchange, asked: Asked) -> Page:
    """POST /v2/orders."""
    told = fields(asked)
    kind, tif, client = told.get("type"), told.get("time_in_force"), str(told.get("client_order_id") or "")
    if told.get("side") not in SIDES or kind not in KINDS or tif not in TIMES or told.get("order_class", "simple") != "simple":
        raise Refusal(422, 40010001, "side, type, time_in_force or order_class is not served")
    if len(client) > 128:
        raise Refusal(422, 40010001, "client_order_id must be no more than 128 characters")
    limit, stop = level(told, "limit_price", kind == "limit"), level(told, "stop_price", kind == "stop")
    if tif in {"opg", "cls"} and kind == "stop":
        raise Refusal(422, 42210000, f"{tif} orders are market or limit orders")
    qty = micro(told.get("qty"), "qty")
    ticket = Ticket(str(told.get("symbol")), SIDES[told["side"]], qty, kind, tif, client, limit, stop)
    return order_body(exchange.submit(ticket)), 200


def replace(exchange: Exchange, asked: Asked) -> Page:
    """PATCH /v2/orders/{id}."""
    told, order, changes = fields(asked), known(exchange, asked), dict[str, Any]()
    if told.get("qty") is not None:
        changes["qty"] = micro(told["qty"], "qty")
    for field, own in ("limit_price", "limit"), ("stop_price", "stop"):
        if told.get(field) is not None:
            changes[own] = level(told, field, True)
    changes |= {own: told[field] for field, own in (("time_in_force", "tif"), ("client_order_id", "client")) if told.get(field)}
    return order_body(exchange.replace(order, changes)), 200


def cancel(exchange: Exchange, asked: Asked) -> Page:
    """DELETE /v2/orders/{id}."""
    exchange.cancel(known(exchange, asked))
    return None, 204


def cancel_all(exchange: Exchange, asked: Asked) -> Page:
    """DELETE /v2/orders."""
    waiting = [order for order in exchange.waiting() if order.status != "pending_cancel"]
    for order in waiting:
        exchange.cancel(order)
    return [{"id": order.id, "status": 200, "body": order_body(order)} for order in waiting], 207


def positions(exchange: Exchange, asked: Asked) -> Page:
    """GET /v2/positions."""
    return [position_body(exchange, symbol) for symbol in sorted(exchange.account.shares)], 200


def position(exchange: Exchange, asked: Asked) -> Page:
    """GET /v2/positions/{symbol or id of the asset}."""
    symbol = symbol_of(exchange, asked[0].rsplit("/", 1)[1])
    if symbol not in exchange.account.shares:
        raise Refusal(404, 40410000, "position does not exist")
    return position_body(exchange, symbol), 200


def assets(exchange: Exchange, asked: Asked) -> Page:
    """GET /v2/assets."""
    rows = [asset_body(exchange, symbol) for symbol in sorted(exchange.account.mark)]
    return [row for row in rows if asked[1].get("status", row["status"]) == row["status"]], 200


def asset(exchange: Exchange, asked: Asked) -> Page:
    """GET /v2/assets/{symbol or id}."""
    symbol = symbol_of(exchange, asked[0].rsplit("/", 1)[1])
    if symbol not in exchange.account.mark:
        raise Refusal(404, 40410000, f"asset not found for {symbol}")
    return asset_body(exchange, symbol), 200


def account(exchange: Exchange, asked: Asked) -> Page:
    """GET /v2/account."""
    return account_body(exchange), 200


def clock(exchange: Exchange, asked: Asked) -> Page:
    """GET /v2/clock."""
    return clock_body(exchange.tape, exchange.at), 200


def calendar(exchange: Exchange, asked: Asked) -> Page:
    """GET /v2/calendar."""
    return calendar_body(exchange.tape, asked[1].get("start", "1990-01-01"), asked[1].get("end", "2100-01-01")), 200


def announcements(exchange: Exchange, asked: Asked) -> Page:
    """GET /v2/corporate_actions/announcements, of splits by one of their dates."""
    query, dates = asked[1], ("declaration_date", "ex_date", "record_date", "payable_date")
    since, until = moment(query, "since"), moment(query, "until")
    if not query.get("ca_types") or since is None or until is None or query.get("date_type", "ex_date") not in dates:
        raise Refusal(422, 40010001, "ca_types, since, until and date_type are required")
    if not pd.Timedelta(0) <= until - since <= pd.Timedelta("90D"):
        raise Refusal(422, 40010001, "since and until are at most 90 days apart")
    rows = [announcement_body(*split) for split in exchange.tape.splits()] if "split" in query["ca_types"].split(",") else []
    first, last, which = f"{since:%Y-%m-%d}", f"{until:%Y-%m-%d}", query.get("date_type", "ex_date")
    symbol = query.get("symbol")
    return [row for row in rows if first <= row[which] <= last and symbol in {None, row["initiating_symbol"]}], 200


ID = "[^/:]+"
ROUTES: dict[tuple[str, str], Callable[[Exchange, Asked], Page]] = {
    ("POST", "/v2/orders"): submit,
    ("GET", "/v2/orders"): orders,
    ("DELETE", "/v2/orders"): cancel_all,
    ("GET", "/v2/orders:by_client_order_id"): by_client,
    ("GET", f"/v2/orders/{ID}"): lambda exchange, asked: (order_body(known(exchange, asked)), 200),
    ("PATCH", f"/v2/orders/{ID}"): replace,
    ("DELETE", f"/v2/orders/{ID}"): cancel,
    ("GET", "/v2/account"): account,
    ("GET", "/v2/account/activities(/[A-Z]+)?"): activities,
    ("GET", "/v2/positions"): positions,
    ("GET", f"/v2/positions/{ID}"): position,
    ("GET", "/v2/clock"): clock,
    ("GET", "/v2/calendar"): calendar,
    ("GET", "/v2/corporate_actions/announcements"): announcements,
    ("GET", "/v2/assets"): assets,
    ("GET", f"/v2/assets/{ID}"): asset,
}
"""By method and a pattern of the whole path."""


def served(exchange: Exchange, route: Callable[[Exchange, Asked], Page], asked: Asked, now: pd.Timestamp) -> Page:
    """The page of a route at the instant `now`, or the refusal."""
    with exchange.lock:
        exchange.turn(now)
        try:
            return route(exchange, asked)
        except Refusal as refusal:
            return refusal.body, refusal.status
        except ValueError as error:  # of a number or a day in the query
            return {"code": 40010001, "message": str(error)}, 422
