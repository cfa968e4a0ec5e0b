"""What an exchange looks at before it takes an order; the sentences and numbers are Alpaca's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from toolkit.testing.exchange_values import EASTERN, UNIT, Refusal, Ticket, said

if TYPE_CHECKING:
    from toolkit.testing.exchange import Exchange

EVENING = 19 * 60  # minutes of the day in New York from which on orders for an auction are taken
UNTIL = {"opg": 9 * 60 + 28, "cls": 15 * 60 + 50}
HOURS = {"opg": "7:00pm and before 9:28am", "cls": "7:00pm and before 3:50pm"}


def check(exchange: Exchange, ticket: Ticket) -> None:
    """Raises Refusal for an order that this account may not place now."""
    if exchange.blocked:
        raise Refusal(403, 40310000, "trading is blocked for this account")
    if ticket.symbol not in exchange.account.mark:
        raise Refusal(422, 42210000, f'asset "{ticket.symbol}" not found')
    if ticket.symbol in exchange.untradable:
        raise Refusal(422, 42210000, f'asset "{ticket.symbol}" is not tradable')
    if ticket.qty % UNIT and exchange.whole_shares:
        raise Refusal(403, 40310000, f'asset "{ticket.symbol}" is not fractionable')
    if ticket.qty % UNIT and ticket.tif != "day":
        raise Refusal(422, 42210000, "fractional orders must be DAY orders")
    if exchange.auction_hours and not in_hours(ticket.tif, exchange.at):
        raise Refusal(422, 42210000, f"{ticket.tif} orders must be submitted after {HOURS[ticket.tif]}")
    if exchange.wash_trades and meets_own(exchange, ticket):
        raise Refusal(403, 40310000, "potential wash trade detected. use complex orders")
    check_shares(exchange, ticket)
    check_money(exchange, ticket)


def in_hours(tif: str, now: pd.Timestamp) -> bool:
    """Whether an order for an auction is taken at this time of the day; others always are."""
    there = now.tz_convert(EASTERN)
    minute = 60 * there.hour + there.minute
    return tif not in UNTIL or minute >= EVENING or minute < UNTIL[tif]


def meets_own(exchange: Exchange, ticket: Ticket) -> bool:
    """Whether an order of ours waits on the other side that this one could trade with."""
    for other in exchange.waiting(ticket.symbol):
        prices = ticket.limit, other.ticket.limit
        if other.ticket.side == -ticket.side and (None in prices or ticket.side * (prices[0] - prices[1]) >= 0):  # type: ignore[operator]
            return True
    return False


def check_shares(exchange: Exchange, ticket: Ticket) -> None:
    """Whether an order that reduces is of shares that are there and not asked for already; none crosses to the other side."""
    held = exchange.account.shares.get(ticket.symbol, 0) * -ticket.side  # above 0: it reduces
    left = held - sum(order.rest for order in exchange.waiting(ticket.symbol) if order.ticket.side == ticket.side)
    crosses = held > 0 and not exchange.crosses
    if (crosses or (ticket.side < 0 and not exchange.short)) and ticket.qty > left:
        facts = {"available": said(left), "existing_qty": said(held), "held_for_orders": said(held - left)}
        message = f"insufficient qty available for order (requested: {said(ticket.qty)}, available: {said(left)})"
        raise Refusal(403, 40310000, message, {**facts, "symbol": ticket.symbol})


def check_money(exchange: Exchange, ticket: Ticket) -> None:
    """Whether what opens or adds to a position can be paid at the order's price or the last one."""
    cost, power = exchange.cost(ticket, ticket.qty), exchange.buying_power
    if cost and cost > power:
        facts = {"buying_power": said(power), "cost_basis": said(cost)}
        raise Refusal(403, 40310000, "insufficient buying power", facts)
