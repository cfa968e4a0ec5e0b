"""The compiled step against arithmetic done by hand."""

import numpy as np
import pytest

from toolkit.kernels import account as step
from toolkit.kernels.account import UNIT
from toolkit.kernels.jit import EXACT
from toolkit.kernels.portfolio import walk

NO_ACTIONS = np.zeros(0, step.action_t)


def frozen(values, kind=float):
    array = np.ascontiguousarray(values, dtype=kind)
    array.flags.writeable = False
    return array


def run(opens, closes, scores, weights=None, rules=step.Rules(), cash=10_000.0, actions=NO_ACTIONS):
    """Walks one or several symbols; returns the book, its records and equity in dollars."""
    opens, closes, scores = (np.atleast_2d(np.asarray(x, float)) for x in (opens, closes, scores))
    weights = scores if weights is None else np.atleast_2d(np.asarray(weights, float))
    market = step.Prices(*map(frozen, (opens, np.fmax(opens, closes), np.fmin(opens, closes), closes, opens * 0 + 1e6)))
    book, equity = step.new_book(len(opens), cash, 1000, placed=1000), np.zeros(opens.shape[1])
    walk(0, opens.shape[1], market, frozen(actions, step.action_t), frozen(scores), frozen(weights), book, rules, equity)
    return book, book.records[: book.account[0]["records"]], equity / UNIT


def test_decided_at_the_close_filled_at_the_next_open():
    book, records, equity = run([10, 11, 12], [10, 11, 12], [1, 1, 1], weights=[0.5, 0.5, 0.5])
    (fill,) = records
    assert (fill["bar"], fill["qty"], fill["price"]) == (1, 500 * UNIT, 11.0)  # 0.5 * 10,000 / 10 at the close of bar 0
    assert book.account[0]["cash"] == (10_000 - 5_500) * UNIT
    assert equity.tolist() == [10_000, 10_000, 10_500]


def test_commission_has_a_floor_and_slippage_works_against_us():
    rules = step.Rules(per_share=0.005, minimum=1.0, fee=0.001, slippage=0.01, lot=UNIT)
    _, records, _ = run([100, 100, 100, 100], [100] * 4, [1, 1, 0, 0], weights=[0.1, 0.1, 0, 0], rules=rules)
    buy, sell = records
    assert (buy["qty"], buy["price"], buy["fee"]) == (
        10 * UNIT,
        101.0,
        round((1.0 + 1.01) * UNIT),
    )  # 10 x 0.005 is under the floor
    assert (sell["qty"], sell["price"], sell["fee"]) == (-10 * UNIT, 99.0, round((1.0 + 0.99) * UNIT))
    assert sell["cash"] == round((990 - 1.99) * UNIT)


def test_per_share_commission_above_the_floor():
    rules = step.Rules(per_share=0.01, minimum=1.0, lot=UNIT)
    _, records, _ = run([10, 10], [10, 10], [1, 1], weights=[0.5, 0.5], rules=rules)
    assert records[0]["fee"] == 5 * UNIT  # 500 shares


def test_a_gap_up_is_cut_to_the_cash():
    rules = step.Rules(fee=0.001, lot=UNIT)
    book, records, _ = run([10, 20], [10, 20], [1, 1], rules=rules)
    (fill, end), planned = records, book.placed[0]
    assert planned["limit"] == step.MIN_CASH  # 1,000 shares and their commission did not fit into the cash at the close
    assert fill["reason"] == end["reason"] == step.CUT and end["qty"] == 0
    assert fill["qty"] == 499 * UNIT  # 10,000 / (20 x 1.001) = 499.5
    assert 0 <= book.account[0]["cash"] < 20.02 * UNIT


def test_a_sale_makes_room_for_a_purchase_at_the_same_open():
    book, records, _ = run(
        [[10, 10, 10], [10, 10, 10]],
        [[10, 10, 10], [10, 10, 10]],
        [[0, 0, 1], [1, 0, 0]],
        weights=[[0, 1, 1], [1, 0, 0]],
    )
    assert [(r["symbol"], r["qty"] // UNIT) for r in records] == [(1, 1000), (1, -1000)]
    book, records, _ = run([[10] * 4] * 2, [[10] * 4] * 2, [[0, 1, 1, 1], [1, 0, 0, 0]], weights=[[0, 1, 1, 1], [1, 0, 0, 0]])
    assert [(r["bar"], r["symbol"], r["qty"] // UNIT) for r in records] == [(1, 1, 1000), (2, 1, -1000), (2, 0, 1000)]


def test_a_halted_symbol_does_not_fill_and_its_order_waits():
    nan = np.nan
    book, records, equity = run([10, nan, nan, 12], [10, nan, nan, 12], [1, nan, nan, 1], weights=[0.5, nan, nan, 0.5])
    (fill,) = records
    assert (fill["bar"], fill["price"], fill["qty"]) == (3, 12.0, 500 * UNIT)
    assert equity.tolist() == [10_000] * 4


def test_a_split_changes_shares_and_price_but_not_equity():
    actions = np.array([(2, 0, 2.0, 0.0)], step.action_t)
    book, records, equity = run([10, 10, 5], [10, 10, 5], [1, 1, 1], weights=[0.5] * 3, actions=actions)
    assert book.positions[0]["qty"] == 1000 * UNIT and book.positions[0]["entry"] == 5.0
    assert equity.tolist() == [10_000] * 3


def test_a_reverse_split_pays_the_odd_lot_in_cash():
    actions = np.array([(2, 0, 1 / 3, 0.0)], step.action_t)
    rules = step.Rules(lot=UNIT)
    book, records, equity = run([10, 10, 30], [10, 10, 30], [1, 1, 1], weights=[0.5] * 3, actions=actions, rules=rules)
    assert book.positions[0]["qty"] == 166 * UNIT  # 500 / 3 = 166.67
    assert book.account[0]["cash"] == pytest.approx((5_000 + 2 / 3 * 30) * UNIT, abs=2)
    assert equity[-1] == pytest.approx(10_000, abs=1e-5)


def test_a_dividend_is_paid_on_the_shares_before_the_split():
    actions = np.array([(2, 0, 2.0, 0.5)], step.action_t)
    book, _, equity = run([10, 10, 4.75], [10, 10, 4.75], [1, 1, 1], weights=[0.5] * 3, actions=actions)
    assert book.account[0]["cash"] == (5_000 + 500 * 0.5) * UNIT
    assert equity[-1] == 10_000


def test_a_split_rescales_an_order_that_waits():
    nan, actions = np.nan, np.array([(1, 0, 2.0, 0.0)], step.action_t)
    _, records, _ = run([10, nan, 5], [10, nan, 5], [1, nan, 1], weights=[0.5, nan, 0.5], actions=actions)
    assert records[0]["qty"] == 1000 * UNIT and records[0]["price"] == 5.0


@pytest.mark.parametrize(
    "limit, shares, reason",
    [
        (dict(max_order=1_000.0), 100, step.MAX_ORDER_NOTIONAL),
        (dict(max_order_share=0.2), 200, step.MAX_ORDER_NOTIONAL),
        (dict(max_position=0.15), 150, step.MAX_POSITION),
        (dict(max_gross=0.3), 300, step.MAX_GROSS),
        (dict(min_cash=0.6), 400, step.MIN_CASH),
        (dict(max_net=0.25), 250, step.MAX_NET),
        (dict(max_turnover=0.35), 350, step.MAX_TURNOVER_DAY),
        (dict(max_order=50.0, lot=10 * UNIT), 0, step.MAX_ORDER_NOTIONAL),
    ],
)
def test_a_limit_cuts_the_order_and_says_which(limit, shares, reason):
    rules = step.Rules(**{"lot": UNIT, **limit})
    book, records, _ = run([10, 10], [10, 10], [1, 1], weights=[0.5, 0.5], rules=rules)
    assert book.placed[0]["limit"] == reason and book.placed[0]["wanted"] == 500 * UNIT
    assert records["qty"].sum() == shares * UNIT


def test_gross_exposure_counts_what_was_planned_before_in_the_same_bar():
    rules = step.Rules(max_gross=0.7, lot=UNIT)
    book, records, _ = run([[10, 10], [10, 10]], [[10, 10], [10, 10]], [[1, 1], [1, 1]], [[0.5] * 2] * 2, rules)
    assert (book.positions["qty"] // UNIT).tolist() == [500, 200]


def test_net_exposure_is_a_band_of_two_sides():
    """3 symbols at $10, equity $10,000: 40% long, then a short of the same size, a larger one, and another long."""
    scores, weights = [[1] * 3, [0, -1, -1], [0, -0.5, 1]], [[0.4] * 3, [0, -0.8, -0.8], [0, -0.5, 0.5]]
    rules = step.Rules(short=True, leverage=4.0, max_net=0.6, min_cash=-np.inf, lot=UNIT)
    book, _, _ = run([[10] * 3] * 3, [[10] * 3] * 3, scores, weights, rules)
    placed = book.placed[: book.account[0]["placed"]]
    assert [(w["bar"], w["symbol"], w["qty"] // UNIT, w["limit"]) for w in placed] == [
        (0, 0, 400, step.WITHIN),
        (1, 1, -800, step.WITHIN),  # net 40% short
        (1, 2, -200, step.MAX_NET),  # 500 asked for, 60% short is the band
        (2, 2, 700, step.WITHIN),  # 200 of them close: what would be 60% short is 10% long
    ]


def test_what_closes_counts_for_no_turnover():
    scores, weights = [[1, 0], [0, 1], [0, 0.5]], [[0.5, 0], [0, 0.5], [0, 0.4]]
    book, _, _ = run([[10] * 2] * 3, [[10] * 2] * 3, scores, weights, step.Rules(max_turnover=0.7, lot=UNIT))
    placed = book.placed[: book.account[0]["placed"]]
    assert [(w["bar"], w["symbol"], w["qty"] // UNIT, w["limit"]) for w in placed] == [
        (0, 0, 500, step.WITHIN), (1, 0, -500, step.WITHIN), (1, 1, 500, step.WITHIN), (1, 2, 200, step.MAX_TURNOVER_DAY),
    ]  # fmt: skip


LOST = [10, 10, 9.0, 9.0, 8.6, 8.6]  # half of it held from bar 1 on: equity falls by 5%, by nothing, by 2.1%


@pytest.mark.parametrize(
    "limit, reasons",
    [
        (dict(daily_loss=0.05), [step.WITHIN] * 4),
        (dict(daily_loss=0.0499), [step.DAILY_LOSS, step.WITHIN, step.WITHIN, step.WITHIN]),
        (dict(daily_loss=0.02), [step.DAILY_LOSS, step.WITHIN, step.DAILY_LOSS, step.WITHIN]),
        (dict(max_drawdown=0.06), [step.WITHIN, step.WITHIN, step.MAX_DRAWDOWN, step.MAX_DRAWDOWN]),
        (dict(max_drawdown=0.0499, daily_loss=0.02), [step.MAX_DRAWDOWN] * 4),
    ],
    ids=str,
)
def test_after_a_loss_nothing_is_opened_and_everything_may_be_closed(limit, reasons):
    scores = [[1] * 6, [0, 0, 0.1, 0.2, 0.3, 0.4]]
    weights = [[0.5] * 6, [0, 0, 0.01, 0.02, 0.03, 0.04]]
    book, _, _ = run([[10, *LOST[:-1]], [10] * 6], [LOST, [10] * 6], scores, weights, step.Rules(**limit))
    assert book.placed[1 : book.account[0]["placed"]]["limit"].tolist() == reasons
    scores[0][2:] = weights[0][2:] = [0] * 4
    book, records, _ = run([[10, *LOST[:-1]], [10] * 6], [LOST, [10] * 6], scores, weights, step.Rules(**limit))
    assert records[records["symbol"] == 0]["qty"].sum() == 0 and book.placed[1]["limit"] == step.WITHIN


def test_a_negative_weight_sells_to_zero_with_a_reason():
    book, records, _ = run([10] * 4, [10] * 4, [1, -1, -1, -1], weights=[0.5, -0.5, -0.5, -0.5])
    assert [(r["reason"], r["qty"] // UNIT) for r in records] == [(step.FILLED, 500), (step.FILLED, -500)]
    assert book.placed[: book.account[0]["placed"]]["limit"].tolist() == [step.WITHIN, step.SHORT_NOT_ALLOWED]


def test_only_a_changed_score_trades_and_a_band_trades_on_drift():
    closes = [10, 10, 20, 20, 20]
    _, quiet, _ = run(closes, closes, [1] * 5, weights=[0.5] * 5)
    _, banded, _ = run(closes, closes, [1] * 5, weights=[0.5] * 5, rules=step.Rules(band=0.1))
    assert len(quiet) == 1
    assert [(r["bar"], r["qty"] / UNIT) for r in banded] == [(1, 500.0), (3, -125.0)]  # 10,000 of 15,000 back to 7,500


def test_an_opinion_of_nan_leaves_the_position_alone():
    _, records, _ = run([10] * 4, [10] * 4, [1, np.nan, np.nan, np.nan], weights=[0.5, np.nan, np.nan, np.nan])
    assert len(records) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_what_cannot_be_compared_is_not_bought(bad):
    args = dict(wanted=10, held=0, side=1, price=10.0, gross=0.0, net=0.0, room=1e9, turnover=0.0, equity=1e9, before=1e9,
                highest=1e9)  # fmt: skip
    for name in ("price", "equity"):
        values = {**args, name: bad}
        assert step.allowed(*values.values(), step.Rules()) == (0, step.NOT_FINITE)
    limits = dict(
        gross=dict(max_gross=1.0), net=dict(max_net=1.0), room=dict(min_cash=0.02), turnover=dict(max_turnover=1.0),
        before=dict(daily_loss=0.5), highest=dict(max_drawdown=0.5),
    )  # fmt: skip
    for name, limit in limits.items():
        assert step.allowed(*args.values(), step.Rules(**limit)) == (10, step.WITHIN)
        assert step.allowed(*{**args, name: np.nan}.values(), step.Rules(**limit))[0] == 0
        assert step.allowed(*args.values(), step.Rules(**dict.fromkeys(limit, np.nan)))[0] == 0


def test_each_entry_is_compiled_once_and_never_allocates():
    run([10, 11], [10, 11], [1, 1])
    assert len(walk.signatures) == 1
    assert EXACT["_nrt"] is False
