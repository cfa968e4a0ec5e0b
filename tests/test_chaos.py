"""The wrapper of faults: each of them does what it says, from a seed, and adds nothing to the books behind it."""

from dataclasses import fields, replace

import pandas as pd
import pytest
from ledger_machine import Walltime
from street import Street

from toolkit.errors import BrokerUnavailable, InvalidParameter
from toolkit.execution.brokers.chaos import HIDDEN, LATE, NONE, Chaos, Faults, parts
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.costs import Costs, Limits, rules
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Order
from toolkit.kernels.account import UNIT

ORDER = Order("tk1-" + "a" * 26, "k", "A", "buy", 3 * UNIT + 1, 10.0)
LONG_AGO = pd.Timestamp("2012-01-01", tz="UTC")


@pytest.fixture
def street():
    return Street(Walltime(), 1_000 * UNIT)


def always(fault, street, seed=0):
    return Chaos(street, seed, replace(NONE, **{fault: 1.0}))


def test_without_faults_it_is_the_broker_itself(street):
    calm = Chaos(street, 0, NONE)
    assert calm.submit(ORDER) == street.submit(ORDER)
    street.fill(ORDER.id, UNIT, 10.0, 7)
    assert calm.orders(LONG_AGO) == street.orders(LONG_AGO) and calm.activities(LONG_AGO) == street.activities(LONG_AGO)
    assert calm.find(ORDER.id) == street.find(ORDER.id) and calm.positions() == street.positions()
    assert calm.cancel(ORDER.id).status == "ACCEPTED" and street.find(ORDER.id).status == "CANCELED"
    assert calm.log == [] and calm.calls == 5


def test_a_lost_reply_leaves_the_order_at_the_broker(street):
    with pytest.raises(BrokerUnavailable):
        always("lost_reply", street).submit(ORDER)
    assert list(street.book) == [ORDER.id]


@pytest.mark.parametrize("fault, arrived", [("error_after", 1), ("error_before", 0)])
def test_an_error_says_unknown_whether_or_not_the_order_arrived(street, fault, arrived):
    assert always(fault, street).submit(ORDER).status == "UNKNOWN" and len(street.book) == arrived


def test_a_rejection_after_acceptance_is_told_by_later_looks(street):
    road = always("rejected_after", street)
    assert road.submit(ORDER).status == "ACCEPTED"
    assert road.find(ORDER.id).status == "REJECTED" == road.orders(LONG_AGO)[0].status and not street.find(ORDER.id).waits


def test_a_hidden_order_is_found_after_some_looks(street):
    road = always("hidden", street)
    road.submit(ORDER)
    looks = [road.find(ORDER.id) is None for _ in range(HIDDEN + 1)]
    assert looks[0] and not looks[-1] and looks == sorted(looks, reverse=True)


def test_a_cancellation_that_is_promised_may_come_to_nothing(street):
    street.submit(ORDER)
    assert always("no_cancel", street).cancel(ORDER.id).status == "ACCEPTED" and street.find(ORDER.id).waits


def test_a_question_without_an_answer_is_an_error(street):
    road = always("unavailable", street)
    for ask in (lambda: road.find("x"), lambda: road.orders(LONG_AGO), lambda: road.activities(LONG_AGO)):
        with pytest.raises(BrokerUnavailable):
            ask()


def filled(street, n=3):
    street.submit(ORDER)
    for i in range(n):
        street.fill(ORDER.id, UNIT, 10.0 + i, 3)
    return street.activities(LONG_AGO)


def test_news_told_twice_out_of_order_or_later_are_the_same_news(street):
    told = filled(street)
    assert set(always("twice", street).activities(LONG_AGO)) == set(told)
    assert len(always("twice", street).activities(LONG_AGO)) == 2 * len(told)
    orders = [always("reordered", street, seed).activities(LONG_AGO) for seed in range(9)]
    assert any(each != told for each in orders) and all(sorted(each, key=lambda a: a.id) == told for each in orders)
    road = always("late", street)
    assert road.activities(LONG_AGO) == []
    assert [road.activities(LONG_AGO) for _ in range(LATE)][-1] == told


def test_parts_have_names_of_their_own_and_sum_to_the_fill(street):
    for whole in filled(street):
        first, second = parts(whole)
        assert first.id != second.id and first.qty + second.qty == whole.qty and first.cash + second.cash == whole.cash
        assert first.fee + second.fee == whole.fee and first.qty * whole.qty > 0 < second.qty * whole.qty
    road = always("parts", street)
    assert road.activities(LONG_AGO) == road.activities(LONG_AGO) and len(road.activities(LONG_AGO)) == 6


def test_a_seed_gives_the_same_faults(street):
    def struck(seed):
        road = Chaos(Street(Walltime(), UNIT), seed)
        for n in range(50):
            try:
                road.submit(replace(ORDER, id=f"tk1-{n}"))
                road.find(f"tk1-{n}")
            except BrokerUnavailable:
                continue
        return road.log

    assert struck(1) == struck(1) != struck(2)


def test_it_stands_before_the_paper_broker_as_well(tmp_path):
    ledger = Ledger.open(tmp_path, account="c", mode="paper", cash=1_000.0)
    road = always("error_after", PaperBroker(ledger, rules(Costs(), Limits())))
    assert road.submit(ORDER).status == "UNKNOWN" and road.find(ORDER.id).status == "ACCEPTED"
    assert road.account().cash == 1_000 * UNIT and not road.sure and road.reconcile() == []
    ledger.close()


def test_it_prints_what_it_did(street):
    road = always("error_before", street, 7)
    road.submit(ORDER)
    assert repr(road) == "Chaos(seed 7) before Street: 1 calls, faults: error_before 1"
    assert road.frame().to_dict("records") == [{"call": 1, "fault": "error_before", "what": ORDER.id}]
    assert "error_before" in road._repr_html_()


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), 1.5, "often"])
def test_a_probability_is_a_fraction(wrong):
    for field in fields(Faults):
        with pytest.raises(InvalidParameter):
            Faults(**{field.name: wrong})
