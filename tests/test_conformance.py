"""The conformance tests bite: adapters that are wrong on purpose, each with the claim of theirs that it breaks."""

import math
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import conformance
import pytest
from conformance import BrokerConformance
from test_alpaca_broker import EVENING, AlpacaKit

import toolkit
from toolkit.execution.brokers.alpaca import AlpacaBroker
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import AlpacaServer


class WholeShares(AlpacaBroker):
    def submit(self, order):
        return super().submit(replace(order, qty=order.qty // UNIT * UNIT))


class FirstOrders(AlpacaBroker):
    def orders(self, since):
        return super().orders(since)[:3]


class FirstActivities(AlpacaBroker):
    def activities(self, since):
        return super().activities(since)[:3]


class FillsAlone(AlpacaBroker):
    def activities(self, since):
        return [replace(each, kind="fill") if each.kind == "dividend" else each for each in super().activities(since)]


class NeverOpen(AlpacaBroker):
    def accepts(self, now):
        return None


class Restless(AlpacaBroker):
    def pause(self):
        return math.nan


class RealMoney(AlpacaBroker):
    def __init__(self, *keys, **options):
        super().__init__(*keys, **options)
        self.live = True


class Lender(AlpacaBroker):
    def asset(self, symbol):
        asset = super().asset(symbol)
        return asset and replace(asset, shortable=True)


class Splitter(AlpacaBroker):
    def asset(self, symbol):
        asset = super().asset(symbol)
        return asset and replace(asset, fractionable=True)


class Credulous(AlpacaBroker):
    def asset(self, symbol):
        asset = super().asset(symbol)
        return asset and replace(asset, tradable=True)


CLAIMS = BrokerConformance()
WRONG = {
    WholeShares: (CLAIMS.test_a_part_of_a_share_is_traded_to_the_last_digit_or_rejected, "limit"),
    FirstOrders: (CLAIMS.test_more_orders_than_one_answer_holds_are_all_told,),
    FirstActivities: (CLAIMS.test_more_activities_than_one_answer_holds_are_all_told,),
    FillsAlone: (CLAIMS.test_cash_that_comes_or_goes_for_no_trade_is_told_as_what_it_is, "dividend", 12_500_000),
    NeverOpen: (CLAIMS.test_when_orders_are_taken_and_how_long_to_rest_is_said_without_a_request,),
    Restless: (CLAIMS.test_when_orders_are_taken_and_how_long_to_rest_is_said_without_a_request,),
    RealMoney: (CLAIMS.test_the_money_of_a_test_is_not_real_and_the_broker_has_a_name,),
    Lender: (CLAIMS.test_what_may_be_done_with_a_symbol_is_told_as_it_is, True, False, True),
    Splitter: (CLAIMS.test_what_may_be_done_with_a_symbol_is_told_as_it_is, True, True, False),
    Credulous: (CLAIMS.test_what_may_be_done_with_a_symbol_is_told_as_it_is, False, False, False),
}


@contextmanager
def kit_of(adapter, bars):
    """The kit of the loopback Alpaca with another adapter before it."""

    class Kit(AlpacaKit):
        def made(self, key, secret):
            return adapter(key, secret, url=self.server.url, clock=self.clock, deadline=self.deadline)

    with AlpacaServer(bars, EVENING) as server:
        yield Kit(server, bars)


@pytest.mark.parametrize("adapter", WRONG)
def test_a_wrong_adapter_breaks_a_claim_that_the_right_one_keeps(bundled, adapter):
    claim, *values = WRONG[adapter]
    with kit_of(AlpacaBroker, bundled) as kit:
        claim(kit, *values)
    with kit_of(adapter, bundled) as kit, pytest.raises(AssertionError):
        claim(kit, *values)


def test_the_words_of_a_refusal_are_the_brokers_own(bundled):
    class Terse(AlpacaBroker):
        def submit(self, order):
            return super().submit(order)._replace(detail="bad key")

        def cancel(self, order):
            return super().cancel(order)._replace(detail="bad key")

    with kit_of(Terse, bundled) as kit:
        CLAIMS.test_with_the_wrong_keys_it_is_refused(kit)


def test_an_adapter_of_another_repository_needs_this_one_file(tmp_path):
    (tmp_path / "conformance.py").write_bytes(Path(conformance.__file__).read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", "from conformance import BrokerConformance, Kit, order"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(toolkit.__file__).parents[1])},
    )
    assert done.returncode == 0
