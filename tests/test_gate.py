"""Pre-trade limits: each code with its sentence, and NaN is denied."""

import math
from dataclasses import replace

import pytest

from toolkit.execution.costs import CAREFUL, Costs, rules
from toolkit.execution.gate import Gate
from toolkit.execution.orders import Account, Order, Position
from toolkit.execution.situation import Quotes, Situation
from toolkit.kernels.account import UNIT

LIMITS = CAREFUL
FRESH = {"IBM": 0, "MSFT": 0}


def account(cash=100_000, **shares):
    return Account("demo", "paper", cash * UNIT, {s: Position(s, n * UNIT, 100.0, 100.0) for s, n in shares.items()})


def order(side="buy", shares=10, price=100.0, symbol="IBM"):
    return Order("tk1-x", "k", symbol, side, round(shares * UNIT), price)


def verdict(o, a=None, limits=LIMITS, ages=FRESH):
    return Gate(limits, rules(Costs(), limits)).review([o], Situation(a or account(), Quotes(ages)))[0]


@pytest.mark.parametrize(
    "o, a, limits, sentence",
    [
        (order(price=math.nan), None, LIMITS, "RISK_DENIED[NOT_FINITE] IBM buy 10: measured 10 at nan"),
        (order(price=math.inf), None, LIMITS, "NOT_FINITE"),
        (order(shares=0), None, LIMITS, "NOT_FINITE"),
        (order(shares=101), None, LIMITS, "MAX_ORDER_NOTIONAL] IBM buy 101: measured $10,100.00 vs limit $10,000.00"),
        (order(shares=50), account(90_000, IBM=160), LIMITS, "MAX_POSITION] IBM buy 50: measured 19.81% vs limit"),
        (order(shares=90), account(5_000, MSFT=950), replace(CAREFUL, max_gross=0.98, min_cash=0.0), "MAX_GROSS"),
        (order(shares=90), account(10_000, MSFT=900), LIMITS, "MIN_CASH] IBM buy 90: measured 0.99% left vs limit 2.00%"),
    ],
)
def test_each_limit_denies_with_measured_and_limit(o, a, limits, sentence):
    said = str(verdict(o, a, limits))
    if "MAX_POSITION" in sentence:
        said = str(verdict(o, a, replace(CAREFUL, max_position=0.15)))
    assert sentence in said and "; " in said


def test_what_is_within_the_limits_passes():
    assert verdict(order()).passed


def test_a_sale_that_reduces_passes_even_where_nothing_may_be_bought():
    assert verdict(order("sell", 900), account(0, IBM=900), replace(CAREFUL, max_order_share=0.0, max_position=0.0)).passed


def test_a_sale_of_more_than_is_held_is_denied():
    said = str(verdict(order("sell", 11), account(1_000, IBM=10)))
    assert (
        "RISK_DENIED[SHORT_NOT_ALLOWED] IBM sell 11: measured 11 shares vs limit 10 held (risk.allow_short); sell at most"
        in said
    )


@pytest.mark.parametrize("ages, measured", [({"IBM": 2}, "last bar 2 sessions ago"), ({}, "no bar at all")])
def test_a_symbol_without_fresh_bars_is_denied(ages, measured):
    said = str(verdict(order(), ages=ages))
    assert "STALE_DATA" in said and measured in said


def test_purchases_of_one_plan_are_weighed_together_and_sales_first():
    gate = Gate(LIMITS, rules(Costs(), LIMITS))
    rich = Situation(account(10_000, MSFT=900), Quotes(FRESH))
    buy, sell = order(shares=90), order("sell", 500, symbol="MSFT")
    assert [v.passed for v in gate.review([buy], rich)] == [False]
    assert [(v.order.side, v.passed) for v in gate.review([buy, sell], rich)] == [("sell", True), ("buy", True)]


def test_an_account_without_equity_buys_nothing():
    assert verdict(order(), account(0)).code == "NOT_FINITE"
