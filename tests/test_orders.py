"""Orders, exits, costs and margin of the compiled step against arithmetic done by hand, a few bars at a time."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from any_market import frozen

from toolkit.kernels import account as step
from toolkit.kernels.account import LIMIT, MARKET, STOP, UNIT, Prices, Rules, action_t, new_book
from toolkit.kernels.portfolio import walk

NAN = math.nan
HALT = (NAN,) * 5
FLAT = (10, 10, 10, 10)  # open, high, low, close


class Order(NamedTuple):
    """Waits from the close of bar `after`; shares, not micro-shares."""

    after: int
    qty: float
    kind: int = MARKET
    level: float = NAN
    day: bool = False
    symbol: int = 0
    slot: int = 0


class Fill(NamedTuple):
    bar: int
    qty: float
    price: Any  # a float, or about one


class Day:
    """A few bars played: bars are (open, high, low, close) or with a volume; one list, or one for each symbol."""

    def __init__(self, bars, *orders, rules=Rules(), cash=10_000.0, actions=(), scores=None, weights=None):
        symbols = bars if isinstance(bars[0], list) else [bars]
        table = np.array([[(*bar, 1e6)[:5] for bar in rows] for rows in symbols], float)  # symbol, bar, field
        n_symbols, n_bars = table.shape[:2]
        scores = np.full((n_symbols, n_bars), NAN) if scores is None else np.atleast_2d(np.array(scores, float))
        weights = scores if weights is None else np.atleast_2d(np.array(weights, float))
        slots = 1 + max((order.slot for order in orders), default=0)
        self.book, self.equities = new_book(n_symbols, cash, 200, slots, 200), np.zeros(n_bars)
        inputs = (
            Prices(*map(frozen, table.transpose(2, 0, 1))),
            frozen(list(actions), action_t),
            frozen(scores),
            frozen(weights),
        )
        for t in range(n_bars):
            walk(t, t + 1, *inputs, self.book, rules, self.equities)
            for order in orders:
                if order.after == t:
                    self.submit(order)

    def submit(self, order: Order) -> None:
        account = self.book.account[0]
        account["orders"] += 1
        account["waiting"] += 1
        self.book.orders[order.symbol, order.slot] = (
            account["orders"], round(order.qty * UNIT), order.kind, order.day, 0, order.level
        )  # fmt: skip

    @property
    def records(self) -> np.ndarray:
        return self.book.records[: self.book.account[0]["records"]]

    @property
    def fills(self) -> list[Fill]:
        moved = self.records[(self.records["qty"] != 0) & (self.records["reason"] != step.SPLIT)]
        return [Fill(int(r["bar"]), r["qty"] / UNIT, r["price"]) for r in moved]

    @property
    def prices(self) -> list[float]:
        return [fill.price for fill in self.fills]

    @property
    def reasons(self) -> list[int]:
        return self.records["reason"].tolist()

    @property
    def ends(self) -> list[tuple[int, int]]:
        """Bar and reason of orders that ended without a fill, or with less than all."""
        return [(int(r["bar"]), int(r["reason"])) for r in self.records if r["qty"] == r["cash"] == 0]

    @property
    def cash(self) -> float:
        return self.book.account[0]["cash"] / UNIT

    @property
    def plan(self) -> np.ndarray:
        return self.book.placed[: self.book.account[0]["placed"]]


def close_to(*values: float):
    return pytest.approx(list(values), rel=1e-14)


MARGIN = Rules(short=True, leverage=2.0)

# ------------------------------------------------------------------------------------------------- what a bar reaches
REACHED = [
    # kind, side, level, the bar, the price; None where the bar does not reach it
    (LIMIT, 1, 9.0, (10, 11, 9.0, 10), 9.0),  # touched exactly
    (LIMIT, 1, 9.0, (10, 11, 9.01, 10), None),
    (LIMIT, 1, 9.0, (8.5, 11, 8, 10), 8.5),  # gapped through: better than the limit
    (LIMIT, 1, 9.0, (9.0, 9.5, 8.8, 9.2), 9.0),
    (LIMIT, -1, 11.0, (10, 11.0, 9, 10), 11.0),
    (LIMIT, -1, 11.0, (10, 10.99, 9, 10), None),
    (LIMIT, -1, 11.0, (11.5, 12, 9, 10), 11.5),
    (STOP, 1, 11.0, (10, 11.0, 9, 10), 11.0),
    (STOP, 1, 11.0, (10, 10.99, 9, 10), None),
    (STOP, 1, 11.0, (11.5, 12, 9, 10), 11.5),  # gapped through: worse than the stop
    (STOP, -1, 9.0, (10, 11, 9.0, 10), 9.0),
    (STOP, -1, 9.0, (10, 11, 9.01, 10), None),
    (STOP, -1, 9.0, (8.5, 11, 8, 10), 8.5),
    (MARKET, 1, NAN, (10.25, 11, 9, 10), 10.25),
    (MARKET, -1, NAN, (10.25, 11, 9, 10), 10.25),
]


@pytest.mark.parametrize("kind, side, level, bar, price", REACHED)
def test_an_order_fills_where_the_bar_reaches_it_and_at_the_open_where_it_gaps_through(kind, side, level, bar, price):
    day = Day([FLAT, bar], Order(0, side * 100, kind, level), rules=MARGIN)
    assert day.fills == ([] if price is None else [Fill(1, side * 100.0, price)])


@pytest.mark.parametrize("kind, side, level, bar, price", [case for case in REACHED if case[-1] is not None])
def test_the_same_order_closes_a_position(kind, side, level, bar, price):
    day = Day([FLAT, FLAT, bar], Order(0, -side * 100), Order(1, side * 100, kind, level), rules=MARGIN)
    assert day.fills[1] == Fill(2, side * 100.0, price)
    assert day.cash == 10_000 + side * 100 * (10 - price)


def test_an_order_that_was_not_reached_waits_or_expires_with_its_day():
    bars = [FLAT, (10, 11, 9.5, 10), (10, 11, 8, 10)]
    patient, hasty = (Day(bars, Order(0, 100, LIMIT, 9.0, day)) for day in (False, True))
    assert patient.fills == [Fill(2, 100.0, 9.0)] and patient.ends == []
    assert hasty.fills == [] and hasty.ends == [(1, step.UNREACHED)]


def test_a_halted_order_waits_and_says_so_or_expires_as_halted():
    bars = [FLAT, HALT, (11, 12, 10, 11)]
    assert Day(bars, Order(0, 100)).fills == [Fill(2, 100.0, 11.0)]
    assert Day(bars, Order(0, 100, day=True)).ends == [(1, step.HALTED)]
    assert Day(bars[:2], Order(0, 100)).book.orders[0, 0]["why"] == step.HALTED


# ------------------------------------------------------------------------------------------------------------ slippage
@pytest.mark.parametrize(
    "kind, side, level, bar, price",
    [
        (MARKET, 1, NAN, FLAT, 10.5),
        (MARKET, -1, NAN, FLAT, 9.5),
        (STOP, 1, 11.0, (10, 12, 10, 12), 11.55),  # 11 x 1.05
        (STOP, -1, 9.0, (10, 10, 8, 9), 8.55),
        (LIMIT, 1, 9.0, (10, 10, 8, 9), 9.0),  # never beyond the limit
        (LIMIT, -1, 11.0, (10, 12, 10, 11), 11.0),
        (LIMIT, 1, 9.0, (8.8, 9, 8, 9), 9.0),  # 8.8 x 1.05 = 9.24
        (LIMIT, 1, 9.0, (8, 9, 8, 9), 8.4),
        (LIMIT, -1, 11.0, (12, 13, 11, 12), 11.4),
    ],
)
def test_slippage_is_against_us_but_never_beyond_a_limit(kind, side, level, bar, price):
    day = Day([FLAT, bar], Order(0, side * 100, kind, level), rules=MARGIN._replace(slippage=0.05))
    assert day.prices == close_to(price)


def test_half_the_spread_is_paid_on_both_ways():
    day = Day([FLAT] * 3, Order(0, 100), Order(1, -100), rules=Rules(half_spread=0.02))
    assert day.prices == close_to(10.02, 9.98)
    assert day.records["slip"].tolist() == [2 * UNIT, 2 * UNIT]


def test_impact_grows_with_the_square_of_our_share_of_the_volume():
    bars = [(*FLAT, 1_000)] * 3
    day = Day(bars, Order(0, 100), Order(1, -50), rules=Rules(impact=0.5))
    assert day.prices == close_to(10 * (1 + 0.5 * 0.1**2), 10 * (1 - 0.5 * 0.05**2))


def test_impact_of_the_second_order_of_a_bar_counts_the_first():
    bars = [(*FLAT, 1_000)] * 2
    day = Day(bars, Order(0, 100), Order(0, 100, slot=1), rules=Rules(impact=0.5))
    assert day.prices == close_to(10 * (1 + 0.5 * 0.1**2), 10 * (1 + 0.5 * 0.2**2))


@pytest.mark.parametrize("volume", [0, NAN])
@pytest.mark.parametrize("rules", [Rules(volume_share=0.1), Rules(impact=0.5), Rules(volume_share=0.1, impact=0.5)])
def test_a_bar_of_no_or_unknown_volume_fills_nothing_for_want_of_volume(volume, rules):
    assert Day([FLAT, (*FLAT, volume)], Order(0, 100, day=True), rules=rules).ends == [(1, step.VOLUME)]


# --------------------------------------------------------------------------------------------------------- commissions
@pytest.mark.parametrize(
    "rules, shares, fee",
    [
        (Rules(per_share=0.005, minimum=1.0), 100, 1.0),  # 0.50 is under the floor
        (Rules(per_share=0.005, minimum=1.0), 200, 1.0),
        (Rules(per_share=0.005, minimum=1.0), 300, 1.5),
        (Rules(per_order=2.5), 300, 2.5),
        (Rules(fee=0.001), 300, 3.0),
        (Rules(per_share=0.01, minimum=1.0, per_order=0.25, fee=0.001), 50, 1.0 + 0.25 + 0.5),
    ],
)
def test_commission(rules, shares, fee):
    day = Day([FLAT] * 3, Order(0, shares), Order(1, -shares), rules=rules)
    assert day.records["fee"].tolist() == [round(fee * UNIT)] * 2
    assert day.cash == 10_000 - 2 * fee


def test_a_flip_is_two_fills_and_pays_two_commissions():
    day = Day([FLAT] * 3, Order(0, 100), Order(1, -250), rules=MARGIN._replace(minimum=1.0))
    assert day.fills[1:] == [Fill(2, -100.0, 10.0), Fill(2, -150.0, 10.0)]
    assert day.reasons == [step.FILLED, step.PARTIAL, step.FILLED]
    assert day.cash == 10_000 + 1_500 - 3


# ----------------------------------------------------------------------------------------------------- volume and cash
def test_a_cap_on_the_volume_spreads_an_order_over_bars():
    bars = [(*FLAT, 1_000)] * 5
    day = Day(bars, Order(0, 250), rules=Rules(volume_share=0.1))
    assert [(f.bar, f.qty) for f in day.fills] == [(1, 100), (2, 100), (3, 50)]
    assert day.reasons == [step.PARTIAL, step.PARTIAL, step.FILLED]


def test_a_day_order_leaves_what_the_volume_did_not_allow():
    day = Day([(*FLAT, 1_000)] * 3, Order(0, 250, day=True), rules=Rules(volume_share=0.1))
    assert [(f.bar, f.qty) for f in day.fills] == [(1, 100)] and day.ends == [(1, step.VOLUME)]


def test_orders_and_exits_of_a_symbol_share_one_cap_the_closing_first():
    bars = [(*FLAT, 1e6), (*FLAT, 1e6), (10, 10, 8, 9, 1_000)]
    orders = Order(0, 200), Order(1, 80, slot=1), Order(1, -30, slot=2)
    day = Day(bars, *orders, rules=Rules(volume_share=0.1, stop_loss=0.1))
    assert [(f.bar, f.qty) for f in day.fills[1:]] == [(2, -30), (2, 70)]  # 100 in all: none is left for the stop
    day = Day(bars, *orders[::2], rules=Rules(volume_share=0.1, stop_loss=0.1))
    assert day.fills[1:] == [Fill(2, -30.0, 10.0), Fill(2, -70.0, 9.0)]


def test_whole_lots_are_filled():
    day = Day([(*FLAT, 1_999)] * 2, Order(0, 500), rules=Rules(volume_share=0.1, lot=100 * UNIT))
    assert [f.qty for f in day.fills] == [100]  # of 199.9


def test_what_the_cash_does_not_carry_is_cut_and_says_so():
    day = Day([FLAT, (12, 12, 12, 12)], Order(0, 1_000), rules=Rules(lot=UNIT, per_order=5.0))
    assert day.fills == [Fill(1, 832.0, 12.0)]  # 9,995 / 12 = 832.9
    assert day.reasons == [step.CUT, step.CUT] and day.cash == 10_000 - 832 * 12 - 5


def test_orders_are_served_in_the_order_of_symbols_then_of_slots():
    orders = Order(0, 600, symbol=1), Order(0, 300, symbol=0, slot=1), Order(0, 400, symbol=0)
    day = Day([[FLAT] * 2, [FLAT] * 2], *orders)
    fills = day.records[day.records["qty"] != 0]
    assert [(r["symbol"], r["order"], r["qty"] // UNIT) for r in fills] == [(0, 3, 400), (0, 2, 300), (1, 1, 300)]


def test_a_sale_beyond_what_is_held_ends_at_nothing_held():
    day = Day([FLAT] * 3, Order(0, 100), Order(1, -150))
    assert [f.qty for f in day.fills] == [100, -100] and day.ends == [(2, step.SHORT_NOT_ALLOWED)]
    assert Day([FLAT] * 2, Order(0, -150)).ends == [(1, step.SHORT_NOT_ALLOWED)]


def test_every_record_that_moved_shares_has_a_reason_of_a_fill():
    day = Day([FLAT] * 2, Order(0, 100), Order(0, -150, slot=1))
    assert [f.qty for f in day.fills] == [100, -100]
    assert day.reasons == [step.FILLED, step.PARTIAL, step.SHORT_NOT_ALLOWED]


# -------------------------------------------------------------------------------------------------------------- margin
def test_a_sale_at_a_loss_takes_its_room_away():
    first, second = [FLAT, FLAT, (8, 8, 8, 8)], [FLAT] * 3
    day = Day([first, second], Order(0, 2_000), Order(1, -2_000), Order(1, 5_000, symbol=1), rules=Rules(leverage=2.0))
    assert [(f.qty, f.price) for f in day.fills] == [(2_000, 10.0), (-2_000, 8.0), (1_200, 10.0)]  # 2 x (10,000 - 4,000) / 10


def test_a_sale_at_a_gain_adds_its_room():
    first, second = [FLAT, FLAT, (12, 12, 12, 12)], [FLAT] * 3
    day = Day([first, second], Order(0, 2_000), Order(1, -2_000), Order(1, 5_000, symbol=1), rules=Rules(leverage=2.0))
    assert [f.qty for f in day.fills] == [2_000, -2_000, 2_800]  # 2 x (10,000 + 4,000) / 10


def test_a_short_bought_back_at_a_loss_takes_its_room_away():
    first, second = [FLAT, FLAT, (12, 12, 12, 12)], [FLAT] * 3
    day = Day([first, second], Order(0, -500), Order(1, 500), Order(1, 5_000, symbol=1), rules=Rules(short=True))
    assert [f.qty for f in day.fills] == [-500, 500, 900]  # (10,000 - 1,000) / 10


def test_shares_that_a_reverse_split_turned_into_cash_are_no_collateral():
    rules = Rules(leverage=2.0, lot=UNIT)
    gone = [(10, 10, 10, 10)] * 2 + [(10_000, 10_000, 10_000, 10_000)]
    day = Day([gone, [FLAT] * 3], Order(0, 900), Order(1, 5_000, symbol=1), rules=rules, actions=[(2, 0, 0.001, 0.0)])
    assert [f.qty for f in day.fills] == [900, 2_000] and day.cash == 10_000 - 20_000


def test_commission_takes_its_part_of_the_margin():
    day = Day([FLAT] * 2, Order(0, 5_000), rules=Rules(leverage=2.0, lot=UNIT, per_order=100.0))
    assert [f.qty for f in day.fills] == [1_980]  # 2 x (10,000 - 100) / 10


def test_a_short_needs_room_and_covering_it_needs_none():
    day = Day([FLAT] * 3, Order(0, -1_500), Order(1, 1_000), rules=Rules(short=True))
    assert [f.qty for f in day.fills] == [-1_000, 1_000]
    squeezed = Day([FLAT, FLAT, (30, 30, 30, 30)], Order(0, -1_000), Order(1, 1_000), rules=Rules(short=True))
    assert squeezed.cash == -10_000  # closing is always allowed


def test_shares_sold_short_cost_a_fee_of_their_last_value_at_every_bar():
    day = Day([FLAT, (10, 12, 10, 12), (12, 12, 12, 12), HALT], Order(0, -100), rules=MARGIN._replace(borrow=0.01))
    fees = day.records[day.records["reason"] == step.BORROW]
    assert [(r["bar"], r["symbol"], r["cash"]) for r in fees] == [(2, 0, -12 * UNIT), (3, 0, -12 * UNIT)]
    assert day.cash == 10_000 + 1_000 - 24


def test_borrowed_money_costs_interest_from_the_bar_after():
    day = Day([FLAT] * 3, Order(0, 1_500), rules=Rules(leverage=2.0, interest=0.01))
    (interest,) = day.records[day.records["reason"] == step.INTEREST]
    assert (interest["bar"], interest["symbol"], interest["cash"]) == (2, -1, -50 * UNIT)
    assert day.cash == -5_050


def test_what_was_borrowed_is_paid_for_before_a_dividend_moves_the_cash():
    bars, rules = [FLAT, FLAT, (9, 9, 9, 9)], MARGIN._replace(borrow=0.01, interest=0.01)
    short = Day(bars, Order(0, -100), rules=rules, actions=[(2, 0, 1.0, 1.0)])
    assert short.reasons[1:] == [step.BORROW, step.DIVIDEND] and short.cash == 11_000 - 10 - 100  # of 1,000; shorts pay
    long = Day(bars, Order(0, 1_500), rules=rules, actions=[(2, 0, 1.0, 1.0)])
    assert long.reasons[1:] == [step.INTEREST, step.DIVIDEND] and long.cash == -5_000 - 50 + 1_500


# --------------------------------------------------------------------------------------------------------------- exits
LONG, SHORT = Order(0, 100), Order(0, -100)
BOTH = MARGIN._replace(stop_loss=0.1, take_profit=0.2)


@pytest.mark.parametrize(
    "order, bar, price, reason",
    [
        (LONG, (10, 11, 9.0, 10), 9.0, step.STOPPED),  # touched exactly
        (LONG, (10, 11, 9.01, 10), None, None),
        (LONG, (10, 12.0, 9.5, 11), 12.0, step.TARGET),
        (LONG, (10, 13, 8, 11), 9.0, step.STOPPED),  # both: the worse one
        (LONG, (8, 13, 7, 11), 8.0, step.STOPPED),  # gapped through
        (LONG, (12.5, 13, 7, 11), 12.5, step.TARGET),  # the open comes first
        (SHORT, (10, 11.0, 9, 10), 11.0, step.STOPPED),
        (SHORT, (10, 10.99, 8.01, 10), None, None),
        (SHORT, (10, 10, 8.0, 9), 8.0, step.TARGET),
        (SHORT, (10, 11, 8, 9), 11.0, step.STOPPED),
        (SHORT, (11.5, 12, 7, 9), 11.5, step.STOPPED),
        (SHORT, (7.5, 12, 7, 9), 7.5, step.TARGET),
    ],
)
def test_an_exit_is_met_at_the_open_first_then_the_stop_before_the_target(order, bar, price, reason):
    day = Day([FLAT, FLAT, bar], order, rules=BOTH)
    assert day.fills[1:] == ([] if price is None else [Fill(2, -float(order.qty), pytest.approx(price))])
    assert day.reasons[1:] == ([] if price is None else [reason])


def test_stops_pay_slippage_and_targets_do_not():
    rules = BOTH._replace(half_spread=0.5)  # entry at 10.5
    assert Day([FLAT, FLAT, (10, 10, 9, 10)], LONG, rules=rules).prices[1:] == close_to(9.45 - 0.5)
    assert Day([FLAT, FLAT, (10, 13, 10, 10)], LONG, rules=rules).prices[1:] == close_to(12.6)


def test_an_order_filled_at_the_open_is_exposed_to_both_in_the_same_bar():
    assert Day([FLAT, (10, 13, 9.5, 10)], LONG, rules=BOTH).fills[1:] == [Fill(1, -100.0, 12.0)]
    assert Day([FLAT, (10, 13, 8, 10)], LONG, rules=BOTH).fills[1:] == [Fill(1, -100.0, 9.0)]


def test_an_order_filled_inside_the_bar_is_exposed_to_its_stop_only():
    entry = Order(0, 100, LIMIT, 9.5)
    day = Day([FLAT, (12, 12, 9, 11.9), (11.5, 11.5, 11, 11)], entry, rules=BOTH)
    assert day.fills == [Fill(1, 100.0, 9.5), Fill(2, -100.0, 11.5)]  # the high may have come before the entry
    day = Day([FLAT, (12, 12, 8, 11.9)], entry, rules=BOTH)
    assert day.fills == [Fill(1, 100.0, 9.5), Fill(1, -100.0, pytest.approx(8.55))]  # the low came after it, or so we fear


def test_a_trailing_stop_follows_the_best_price_of_the_bars_before():
    bars = [FLAT, FLAT, (10, 20, 10, 20), (20, 20, 18.5, 19), (19, 19, 18, 18.5)]
    day = Day(bars, LONG, rules=Rules(trailing=0.1))
    assert day.fills[1:] == [Fill(4, -100.0, 18.0)] and day.reasons[1:] == [step.TRAILED]  # not in bar 2, where 20 is its own
    mirror = [FLAT, FLAT, (10, 10, 5, 5), (5, 5.4, 5, 5), (5, 5.5, 5, 5)]
    assert Day(mirror, SHORT, rules=MARGIN._replace(trailing=0.1)).fills[1:] == [Fill(4, 100.0, 5.5)]


def test_a_trailing_stop_never_goes_back():
    bars = [FLAT, FLAT, (10, 20, 10, 20), (19, 19, 18.6, 18.8), (18.8, 18.9, 18.5, 18.5), (18.5, 18.6, 17, 17)]
    assert Day(bars, LONG, rules=Rules(trailing=0.1)).fills[1:] == [Fill(5, -100.0, 18.0)]


def test_the_bar_of_an_entry_inside_it_does_not_raise_a_trailing_stop():
    bars = [FLAT, (12, 12, 9.5, 11), (11, 11, 9.8, 10)]  # 12 was before the entry: the peak is 9.5, its stop 8.55
    assert Day(bars, Order(0, 100, LIMIT, 9.5), rules=Rules(trailing=0.1)).fills == [Fill(1, 100.0, 9.5)]


def test_the_nearer_of_two_stops_is_the_stop_and_gives_its_reason():
    bars = [FLAT, FLAT, (10, 12, 10, 12), (12, 12, 8, 9)]
    day = Day(bars, LONG, rules=Rules(stop_loss=0.05, trailing=0.1))
    assert day.prices[1:] == close_to(10.8) and day.reasons[1:] == [step.TRAILED]
    day = Day(bars[:2] + [(10, 10, 8, 9)], LONG, rules=Rules(stop_loss=0.05, trailing=0.1))
    assert day.prices[1:] == close_to(9.5) and day.reasons[1:] == [step.STOPPED]


def test_the_stop_of_several_purchases_hangs_on_their_average_price():
    bars = [FLAT, FLAT, (12, 12, 12, 12), (12, 12, 10.3, 11)]
    day = Day(bars, Order(0, 100), Order(1, 300), rules=Rules(stop_loss=0.1))
    assert day.fills[2] == Fill(3, -400.0, pytest.approx(0.9 * 11.5))


def test_a_split_moves_entry_peak_and_stops_with_the_price():
    bars = [FLAT, FLAT, (5, 5, 4.51, 5), (5, 5, 4.5, 5)]
    day = Day(bars, LONG, rules=Rules(stop_loss=0.1), actions=[(2, 0, 2.0, 0.0)])
    assert day.fills[1:] == [Fill(3, -200.0, 4.5)]


def test_after_an_exit_a_symbol_stays_out_until_its_score_changes():
    bars = [FLAT, FLAT, (10, 10, 8, 10), FLAT, FLAT, FLAT]
    kept = Day(bars, rules=Rules(stop_loss=0.1, band=0.0), scores=[1] * 6, weights=[0.5] * 6)
    assert [f.bar for f in kept.fills] == [1, 2]
    back = Day(bars, rules=Rules(stop_loss=0.1, band=0.0), scores=[1, 1, 1, 0.9, 0.9, 0.9], weights=[0.5] * 6)
    assert [f.bar for f in back.fills] == [1, 2, 4]


def test_an_exit_takes_what_is_left_of_the_entry_with_it_but_no_other_order():
    bars = [(*FLAT, 1_000), (*FLAT, 1_000), (10, 10, 8, 9, 10_000), (*FLAT, 10_000)]
    orders = Order(0, 250, LIMIT, 10), Order(1, 50, LIMIT, 7, slot=1)
    day = Day([*bars, (7, 7, 7, 7)], *orders, rules=Rules(volume_share=0.1, stop_loss=0.1))
    assert [(f.bar, f.qty) for f in day.fills] == [(1, 100), (2, 150), (2, -250), (4, 50)]
    thin = [(*FLAT, 1_000), (*FLAT, 1_000), (9, 9, 8, 9, 100), (*FLAT, 10_000)]
    day = Day(thin, Order(0, 250, STOP, 10), rules=Rules(volume_share=0.1, stop_loss=0.1))
    assert [(f.bar, f.qty) for f in day.fills] == [(1, 100), (2, -10), (3, -90)] and day.ends == [(2, step.EXITED)]


def test_a_halted_symbol_does_not_leave_either():
    assert Day([FLAT, FLAT, HALT, (5, 5, 5, 5)], LONG, rules=BOTH).fills[1:] == [Fill(3, -100.0, 5.0)]


# -------------------------------------------------------------------------------------------------------------- splits
def test_a_reverse_split_takes_an_order_of_less_than_a_lot_away():
    rules = Rules(lot=UNIT)
    day = Day([FLAT, (100, 100, 100, 100)], Order(0, 9), rules=rules, actions=[(1, 0, 0.1, 0.0)])
    assert day.fills == [] and day.ends == [(1, step.SPLIT_AWAY)] and day.book.account[0]["waiting"] == 0
    assert [f.qty for f in Day([FLAT, FLAT], Order(0, 19), rules=rules, actions=[(1, 0, 0.1, 0.0)]).fills] == [1]


def test_a_split_moves_the_level_of_an_order():
    day = Day([FLAT, (5, 5, 4.5, 5)], Order(0, 100, LIMIT, 9.0), actions=[(1, 0, 2.0, 0.0)])
    assert day.fills == [Fill(1, 200.0, 4.5)]


def test_a_short_position_is_split_and_pays_for_the_odd_lot():
    rules = MARGIN._replace(lot=UNIT)
    day = Day([FLAT, FLAT, (40, 40, 40, 40)], Order(0, -101), rules=rules, actions=[(2, 0, 0.25, 0.0)])
    assert day.book.positions[0]["qty"] == -25 * UNIT
    assert day.cash == 10_000 + 1_010 - 10  # a quarter of a share at 40


# --------------------------------------------------------------------------------------------------- orders of scores
@pytest.mark.parametrize(
    "kind, weight, level",
    [(LIMIT, 0.5, 9.8), (STOP, 0.5, 10.2), (LIMIT, -0.5, 10.2), (STOP, -0.5, 9.8)],
)
def test_an_order_that_opens_lies_off_the_close(kind, weight, level):
    rules = MARGIN._replace(kind=kind, offset=0.02, day=True)
    (planned,) = Day([FLAT], scores=[np.sign(weight)], weights=[weight], rules=rules).plan
    assert (planned["kind"], planned["day"]) == (kind, 1) and planned["level"] == pytest.approx(level, rel=1e-15)


@pytest.mark.parametrize("then", [0.0, 0.2, -0.5])
def test_an_order_that_closes_or_turns_round_is_a_market_order(then):
    rules = MARGIN._replace(kind=LIMIT, offset=0.0)
    day = Day([FLAT] * 3, scores=[1, then, then], weights=[0.5, then, then], rules=rules)
    assert [p["kind"] for p in day.plan] == [LIMIT, MARKET]
    assert day.fills[1].bar == 2


def test_a_new_decision_replaces_an_order_that_waits():
    bars = [FLAT, (10, 10, 9.9, 10), FLAT]
    day = Day(bars, scores=[1, 0.5, 0.5], weights=[0.5, 0.4, 0.4], rules=Rules(kind=LIMIT, offset=0.02))
    assert day.ends == [(1, step.REPLACED)] and [p["qty"] // UNIT for p in day.plan] == [500, 400]


def test_without_limits_the_whole_wish_is_placed_and_the_fill_cuts_it():
    free = Rules(min_cash=-math.inf, lot=UNIT)
    day = Day([FLAT, FLAT], scores=[1, 1], weights=[1.5, 1.5], rules=free)
    (planned,) = day.plan
    assert (planned["qty"], planned["limit"]) == (1_500 * UNIT, step.WITHIN)
    assert [f.qty for f in day.fills] == [1_000] and day.reasons == [step.CUT, step.CUT]


def test_what_reduces_is_never_limited():
    rules = MARGIN._replace(max_order=1_000.0, lot=UNIT)
    day = Day([FLAT, FLAT, FLAT], Order(0, 800), scores=[NAN, -1, -1], weights=[NAN, -0.5, -0.5], rules=rules)
    (planned,) = day.plan
    assert planned["wanted"] == -1_300 * UNIT and planned["limit"] == step.MAX_ORDER_NOTIONAL
    assert [f.qty for f in day.fills] == [800, -800, -100]  # all of what closes, $1,000 of what opens


def test_a_stop_that_the_volume_stops_goes_on_at_the_next_opens_and_says_why_it_waits():
    bars = [(*FLAT, 10_000), (*FLAT, 10_000), (10, 10, 8, 10, 0), (12, 12, 12, 12, 400), (13, 13, 13, 13, 10_000)]
    day = Day(bars, Order(0, 100), rules=Rules(volume_share=0.1, stop_loss=0.1))
    assert [(f.bar, f.qty, f.price) for f in day.fills] == [(1, 100, 10), (3, -40, 12), (4, -60, 13)]
    assert [r["bar"] for r in day.book.records[: day.book.account[0]["records"]] if r["reason"] == step.VOLUME] == [2]


def test_an_account_in_ruin_may_still_be_closed():
    closes = np.array([[10.0, 10.0, 10.0, 40.0, 40.0, 40.0]])
    scores = np.array([[-1.0, -1.0, -1.0, -1.0, 0.0, 0.0]])
    values = [closes, closes, closes, closes, closes * 0 + 1e6]
    frozen = [np.ascontiguousarray(v) for v in [*values, scores]]
    for array in frozen:
        array.flags.writeable = False
    book = step.new_book(1, 1_000.0, 20, placed=20)
    actions = np.zeros(0, step.action_t)
    actions.flags.writeable = False
    walk(0, 6, step.Prices(*frozen[:5]), actions, frozen[5], frozen[5], book, Rules(short=True, min_cash=-np.inf), np.zeros(6))
    assert book.account[0]["equity"] < 0 and book.positions[0]["qty"] == 0  # 100 short at 10, bought back at 40
