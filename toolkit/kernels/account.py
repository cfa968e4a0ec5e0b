"""What a cash account is made of, the arithmetic of its money, and its economic limits.

Units: cash and quantities int64 micro-units (1e-6), prices float64.  Micro-shares x price = micro-dollars, so no scaling
factor appears anywhere.
"""

from typing import NamedTuple

import numpy as np

from toolkit.kernels.jit import EXACT, compiled, inline

UNIT = 1_000_000
LARGEST = 2.0**62  # micro-shares: beyond it a quantity would overflow

# Reasons of records: shares or cash that moved,
FILLED, CUT, DIVIDEND, SPLIT = 0, 1, 2, 3
# and limits that cut an order (economic limits, also called by the gate).
WITHIN, NOT_FINITE, MAX_ORDER_NOTIONAL, MAX_POSITION, MAX_GROSS, MIN_CASH, SHORT_NOT_ALLOWED = 0, 10, 11, 12, 13, 14, 15

account_t = np.dtype(
    [("cash", "i8"), ("waiting", "i8"), ("orders", "i8"), ("records", "i8"), ("long", "f8"), ("equity", "f8")],
    align=True,
)
position_t = np.dtype(
    [("qty", "i8"), ("entry", "f8"), ("mark", "f8"), ("score", "f8"), ("wanted", "i8"), ("limit", "i8")], align=True
)
order_t = np.dtype([("id", "i8"), ("rest", "i8")], align=True)
record_t = np.dtype(
    [("bar", "i8"), ("symbol", "i8"), ("order", "i8"), ("reason", "i8"), ("qty", "i8"), ("cash", "i8"), ("fee", "i8"),
     ("price", "f8")],
    align=True,
)  # fmt: skip
action_t = np.dtype([("bar", "i8"), ("symbol", "i8"), ("split", "f8"), ("dividend", "f8")], align=True)


class Prices(NamedTuple):
    """As traded, each (n_symbols, n_bars); NaN where a symbol did not trade."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray


class Book(NamedTuple):
    """The state of an account, changed in place by the acts."""

    account: np.ndarray  # (1,)
    positions: np.ndarray  # (n_symbols,)
    orders: np.ndarray  # (n_symbols, slots); slot 0 belongs to `decide`
    records: np.ndarray  # as long as wanted; account.records counts on beyond its end


class Rules(NamedTuple):
    """Costs, lot, policy and economic limits; the defaults are a world without friction."""

    per_share: float = 0.0  # dollars a share
    minimum: float = 0.0  # dollars an order, floor under per_share
    fee: float = 0.0  # fraction of the notional
    slippage: float = 0.0  # fraction of the price, always against us
    lot: int = 1  # micro-shares: 1 fractional, UNIT whole shares
    band: float = np.inf  # drift of a weight that triggers a trade; inf: only a changed score does, 0: every bar
    max_order: float = np.inf  # dollars of one purchase
    max_order_share: float = np.inf  # fraction of equity of one purchase
    max_position: float = np.inf  # fraction of equity in one symbol
    max_gross: float = np.inf  # fraction of equity in all symbols
    min_cash: float = 0.0  # fraction of equity that stays cash


def new_book(n_symbols: int, cash: float, records: int = 0) -> Book:
    """An account of `cash` dollars without positions; room for `records` records."""
    book = Book(
        np.zeros(1, account_t), np.zeros(n_symbols, position_t), np.zeros((n_symbols, 1), order_t),
        np.zeros(records, record_t),
    )  # fmt: skip
    book.account["cash"] = book.account["equity"] = round(cash * UNIT)
    book.positions["mark"] = np.nan
    return book


@inline
def micro(x):
    """The one rounding: to the nearest micro-unit, ties to even."""
    return np.int64(np.rint(x))


@inline
def lots(x, lot):
    """Whole lots in x micro-shares, towards zero."""
    return np.int64(x) if lot == 1 else np.int64(x / lot) * lot


@inline
def worse(price, side, rules):
    return price * (1.0 + side * rules.slippage)


@inline
def commission(shares, price, rules):
    """Micro-dollars for `shares` micro-shares at `price`."""
    by_share, floor = rules.per_share * shares, rules.minimum * UNIT
    return micro((by_share if by_share > floor else floor) + rules.fee * (shares * price))


@inline
def affordable(room, price, rules):
    """Most lots whose price and commission fit into `room` micro-dollars: max(a, b) fits when a and b both do."""
    unit = price * (1.0 + rules.fee)
    some = room / (unit + rules.per_share)
    if rules.minimum > 0.0:
        some = min(some, (room - rules.minimum * UNIT) / unit)
    return lots(some, rules.lot) if some > 0.0 else np.int64(0)


@inline
def room_for(most, room, lot):
    """At most `most`, and the whole lots in `room` where it is less; nothing where `room` is NaN or negative."""
    if most <= room:
        return most
    return lots(room, lot) if room > 0.0 else np.int64(0)


@compiled(**EXACT)
def allowed(wanted, held, price, gross, cash, equity, rules):
    """Micro-shares of a purchase that the limits carry, and the limit that cut it (WITHIN if none did).

    wanted, held: micro-shares of the symbol; price: dollars a share; gross, cash, equity: micro-dollars as planned so far.
    Every comparison fails closed: what cannot be compared is not bought.
    """
    if not (0.0 < price < np.inf and 0.0 < equity < np.inf):
        return np.int64(0), NOT_FINITE
    largest = min(rules.max_order * UNIT, rules.max_order_share * equity) / price
    position = rules.max_position * equity / price - held
    others = (rules.max_gross * equity - gross) / price
    payable = affordable(cash - rules.min_cash * equity, worse(price, 1.0, rules), rules)
    most, reason, rooms = wanted, WITHIN, (largest, position, others, np.float64(payable))
    for i in range(4):  # in the order of the codes
        if not (most <= rooms[i]):
            most, reason = room_for(most, rooms[i], rules.lot), MAX_ORDER_NOTIONAL + i
    return most, reason
