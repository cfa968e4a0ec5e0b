"""What a cash account is made of, the arithmetic of its money, and its economic limits.

Units: cash and quantities int64 micro-units (1e-6), prices float64.  Micro-shares x price = micro-dollars, so no scaling
factor appears anywhere.
"""

from typing import NamedTuple

import numpy as np

from toolkit.kernels.jit import EXACT, compiled, inline

UNIT = 1_000_000
LARGEST = 2.0**62  # micro-shares: beyond it a quantity would overflow

MARKET, LIMIT, STOP = 0, 1, 2  # kinds of orders

# Reasons of records: shares or cash that moved,
FILLED, CUT, DIVIDEND, SPLIT, PARTIAL, STOPPED, TRAILED, TARGET, BORROW, INTEREST = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
# limits that cut an order when it was decided (economic limits, also called by the gate),
WITHIN, NOT_FINITE, MAX_ORDER_NOTIONAL, MAX_POSITION, MAX_GROSS, MIN_CASH, SHORT_NOT_ALLOWED = 0, 10, 11, 12, 13, 14, 15
MAX_NET, MAX_TURNOVER_DAY, DAILY_LOSS, MAX_DRAWDOWN = 16, 17, 18, 19
SIZES = MAX_ORDER_NOTIONAL, MAX_POSITION, MAX_GROSS, MIN_CASH, MAX_NET, MAX_TURNOVER_DAY  # those that leave a part of it
# and why an order waits, or ended without a fill.
WAITING, HALTED, UNREACHED, VOLUME, REPLACED, EXITED, SPLIT_AWAY = 0, 20, 21, 22, 23, 24, 25

account_t = np.dtype(
    [("cash", "i8"), ("waiting", "i8"), ("held", "i8"), ("orders", "i8"), ("placed", "i8"), ("records", "i8"), ("fills", "i8"),
     ("fees", "i8"), ("long", "f8"), ("short", "f8"), ("equity", "f8"), ("traded", "f8"),
     ("before", "f8"), ("highest", "f8"), ("turnover", "f8")],  # equity of the close before, the highest so far; opened already
    align=True,
)  # fmt: skip
position_t = np.dtype(
    [("qty", "i8"), ("taken", "i8"), ("wanted", "i8"), ("fresh", "i8"), ("out", "i8"), ("entry", "f8"), ("peak", "f8"),
     ("mark", "f8"), ("score", "f8")],
    align=True,
)  # fmt: skip
order_t = np.dtype([("id", "i8"), ("rest", "i8"), ("kind", "i8"), ("day", "i8"), ("why", "i8"), ("level", "f8")], align=True)
record_t = np.dtype(
    [("bar", "i8"), ("symbol", "i8"), ("order", "i8"), ("reason", "i8"), ("qty", "i8"), ("cash", "i8"), ("fee", "i8"),
     ("slip", "i8"), ("price", "f8")],
    align=True,
)  # fmt: skip
placed_t = np.dtype(
    [("bar", "i8"), ("symbol", "i8"), ("id", "i8"), ("qty", "i8"), ("wanted", "i8"), ("limit", "i8"), ("kind", "i8"),
     ("day", "i8"), ("level", "f8"), ("mark", "f8")],
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
    """The state of an account, changed in place by the acts, and its log: `placed` and `records`."""

    account: np.ndarray  # (1,)
    positions: np.ndarray  # (n_symbols,)
    orders: np.ndarray  # (n_symbols, slots) that wait; slot 0 belongs to `decide`
    placed: np.ndarray  # what was decided: orders, and wishes that the limits cut to nothing (id 0)
    records: np.ndarray  # what moved cash or shares, and how orders ended; account.records counts on beyond the end


class Rules(NamedTuple):
    """Costs, exits, policy and economic limits; the defaults are a world without friction, long only, without margin."""

    per_share: float = 0.0  # dollars a share
    minimum: float = 0.0  # dollars a fill, floor under per_share
    per_order: float = 0.0  # dollars a fill
    fee: float = 0.0  # fraction of the notional
    slippage: float = 0.0  # fraction of the price, always against us
    half_spread: float = 0.0  # dollars a share, always against us
    impact: float = 0.0  # fraction of the price, times the square of our share of the bar's volume so far
    volume_share: float = np.inf  # fraction of a bar's volume that may be ours; inf: no cap
    borrow: float = 0.0  # fraction of a short position's value a bar
    interest: float = 0.0  # fraction of negative cash a bar
    leverage: float = 1.0  # gross exposure that the money carries, in equities; 1: cash stays at or above 0
    short: bool = False  # whether sales beyond what is held are allowed
    lot: int = 1  # micro-shares: 1 fractional, UNIT whole shares
    stop_loss: float = np.inf  # fraction of the entry price; inf: off
    take_profit: float = np.inf  # fraction of the entry price
    trailing: float = np.inf  # fraction of the best price since the entry
    kind: int = MARKET  # of orders that open or add to a position
    offset: float = 0.0  # fraction of the close by which a limit lies on its near side, a stop on its far side
    day: bool = False  # whether they die at the end of their bar
    size: float = 1.0  # weight of a weight of 1
    band: float = np.inf  # drift of a weight that triggers a trade; inf: only a changed score does, 0: every bar
    max_order: float = np.inf  # dollars of the part of an order that opens or adds
    max_order_share: float = np.inf  # fraction of equity of the same
    max_position: float = np.inf  # fraction of equity in one symbol
    max_gross: float = np.inf  # fraction of equity in all symbols, long and short
    min_cash: float = 0.0  # fraction of equity that orders must leave free; -inf: cut at the fill alone
    max_net: float = np.inf  # fraction of equity, long less short, to either side
    max_turnover: float = np.inf  # fraction of equity that the orders of a bar may open
    daily_loss: float = np.inf  # fraction of the equity of the close before; further below it nothing is opened
    max_drawdown: float = np.inf  # fraction of the highest equity so far; the same


def new_book(n_symbols: int, cash: float, records: int = 0, slots: int = 1, placed: int = 0) -> Book:
    """An account of `cash` dollars without positions; room for `records` and `placed` rows of its log."""
    book = Book(
        np.zeros(1, account_t), np.zeros(n_symbols, position_t), np.zeros((n_symbols, slots), order_t),
        np.zeros(placed, placed_t), np.zeros(records, record_t),
    )  # fmt: skip
    for name in ("cash", "equity", "before", "highest"):
        book.account[name] = round(cash * UNIT)
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
def sign(x):
    return np.int64(x > 0) - np.int64(x < 0)


@inline
def reducing(rest, qty):
    """The part of `rest` signed micro-shares that closes a position of `qty`; 0 where they have one direction."""
    if rest > 0 and qty < 0:
        return min(rest, -qty)
    return max(rest, -qty) if rest < 0 and qty > 0 else np.int64(0)


@inline
def worse(price, side, share, rules):
    """What is paid (side 1) or received (-1) a share; `share`: our part of the bar's volume."""
    moved = rules.slippage + rules.impact * share * share if rules.impact > 0.0 else rules.slippage
    return price * (1.0 + side * moved) + side * rules.half_spread


@inline
def commission(shares, price, rules):
    """Micro-dollars for `shares` micro-shares at `price`."""
    by_share, floor = rules.per_share * shares, rules.minimum * UNIT
    return micro((by_share if by_share > floor else floor) + rules.fee * (shares * price) + rules.per_order * UNIT)


@inline
def count(account, qty, price, times):
    """Adds (`times` 1) or takes away (-1) a position's value among what is held long or short."""
    if qty > 0:
        account.long += times * np.rint(qty * price)
    elif qty < 0:
        account.short -= times * np.rint(qty * price)


@inline
def free(account, rules):
    """Micro-dollars that may still be put at risk at the last marks; long only and without margin the cash, exactly."""
    return rules.leverage * (account.cash + account.long - account.short) - account.long - account.short


@inline
def affordable(room, price, rules):
    """Most lots whose price and commission fit into `room` micro-dollars: max(a, b) fits when a and b both do."""
    lever = rules.leverage  # a dollar of commission takes this much room
    left = room - lever * rules.per_order * UNIT
    unit = price * (1.0 + lever * rules.fee)
    some = left / (unit + lever * rules.per_share)
    if rules.minimum > 0.0:
        some = min(some, (left - lever * rules.minimum * UNIT) / unit)
    if not some > 0.0:
        return np.int64(0)
    most = lots(min(some, LARGEST), rules.lot)
    if most > 0 and micro(most * price) + lever * commission(most, price, rules) > room:  # both were rounded up
        most -= rules.lot
    return most


@inline
def room_for(most, room, lot):
    """At most `most`, and the whole lots in `room` where it is less; nothing where `room` is NaN or negative."""
    if most <= room:
        return most
    return lots(room, lot) if room > 0.0 else np.int64(0)


@inline
def limited(rules):
    """Whether any limit can cut an order when it is decided."""
    return not (
        rules.max_order == np.inf and rules.max_order_share == np.inf and rules.max_position == np.inf
        and rules.max_gross == np.inf and rules.min_cash == -np.inf and rules.max_net == np.inf
        and rules.max_turnover == np.inf and rules.daily_loss == np.inf and rules.max_drawdown == np.inf
    )  # fmt: skip


@inline
def fallen(equity, before, highest, rules):
    """The limit of losses that nothing may be opened beyond (WITHIN if there is none)."""
    if rules.max_drawdown != np.inf and not (highest - equity <= rules.max_drawdown * highest):
        return MAX_DRAWDOWN
    if rules.daily_loss != np.inf and not (before - equity <= rules.daily_loss * before):
        return DAILY_LOSS
    return WITHIN


@compiled(**EXACT)
def allowed(wanted, held, side, price, gross, net, room, turnover, equity, before, highest, rules):
    """Micro-shares of an opening order that the limits carry, and the limit that cut it (WITHIN if none did).

    wanted: micro-shares that open or add; held: those already on that side; side: 1 to buy, -1 to sell short; price: dollars a
    share; gross, net, room, turnover: micro-dollars as planned so far; equity, that of the close before, the highest so far:
    micro-dollars.  Every comparison fails closed: what cannot be compared is not traded.
    """
    if not (0.0 < price < np.inf and 0.0 < equity < np.inf):
        return np.int64(0), NOT_FINITE
    if side < 0 and not rules.short:
        return np.int64(0), SHORT_NOT_ALLOWED
    loss = fallen(equity, before, highest, rules)
    if loss != WITHIN:
        return np.int64(0), loss
    largest = min(rules.max_order * UNIT, rules.max_order_share * equity) / price
    position = rules.max_position * equity / price - held
    others = (rules.max_gross * equity - gross) / price
    paid = max(worse(price, side, 0.0, rules), price)
    payable = LARGEST if rules.min_cash == -np.inf else np.float64(affordable(room - rules.min_cash * equity, paid, rules))
    balance = (rules.max_net * equity - side * net) / price  # to the far side of the band
    rest = (rules.max_turnover * equity - turnover) / price
    most, reason, rooms = wanted, WITHIN, (largest, position, others, payable, balance, rest)
    for i in range(len(SIZES)):
        if not (most <= rooms[i]):
            most, reason = room_for(most, rooms[i], rules.lot), SIZES[i]
    return most, reason
