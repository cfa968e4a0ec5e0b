"""Twenty years of an account under faults and crashes; `python -m tests.simulation years` runs a thousand."""

import logging
from contextlib import closing
from dataclasses import replace

import pytest
import simulation
from simulation import simulate

from toolkit.execution.brokers.chaos import NONE
from toolkit.execution.ledger import Ledger


@pytest.fixture(autouse=True)
def silence():
    """Thousands of lost answers are reported otherwise."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


SHORT = 63  # sessions: a quarter, of which the first 25 are there for the bars alone, as of a year's 252


@pytest.mark.parametrize("seed", range(20))
def test_after_a_year_of_faults_and_crashes_ledger_oracle_and_broker_agree(seed):
    year = simulate(seed)
    assert year.wrong == [], f"seed {seed}"
    assert min(year.counts[what] for what in ("fills", "orders", "sent", "denials", "crashes", "faults")) > 0
    assert year.counts["over a tenth"] > 0 or seed % simulation.CONTROLLED


@pytest.mark.parametrize("seed", [4, 5])
def test_a_seed_replays_bit_for_bit(seed):
    once, again, other = simulate(seed, SHORT), simulate(seed, SHORT), simulate(seed + 20, SHORT)
    assert once == again and once.digest != other.digest


def test_a_seed_that_does_not_come_out_alike_breaks_a_claim(monkeypatch, capsys):
    hashes = iter(("one", "another"))
    monkeypatch.setattr(simulation, "simulate", lambda seed, sessions: simulation.Year(seed, next(hashes)))
    assert simulation.years(1, 0, SHORT) == 1 and "came out otherwise" in capsys.readouterr().out


@pytest.mark.parametrize("seed", [6, 7])
def test_without_faults_and_crashes_nothing_is_struck(seed):
    year = simulate(seed, SHORT, faults=NONE, crashes=False)
    assert year.wrong == [] and year.counts["crashes"] == year.counts["faults"] == 0 < year.counts["fills"]


def test_the_control_a_broker_that_takes_an_id_twice_is_found_out(monkeypatch):
    class Forgetful(simulation.Street):
        def submit(self, order):
            if order.id in self.book:  # a second order under the same id, filled at once
                self.holdings[order.symbol] = self.holdings.get(order.symbol, 0) + order.signed
            return super().submit(order)

    monkeypatch.setattr(simulation, "Street", Forgetful)
    year = simulate(1, SHORT, faults=replace(NONE, lost_reply=0.5, hidden=1.0), crashes=False)
    assert any("at the street" in each for each in year.wrong) and year.counts["halts"] > 0


def test_limits_that_were_not_those_of_the_gate_are_broken(tmp_path):
    """The control of the oracle: what one gate lets pass is over the limits of a stricter one."""
    run = simulation.Simulation(0, SHORT, tmp_path, NONE, crashes=False)
    run.run()
    with closing(Ledger.read(tmp_path)) as run.ledger:
        strict = replace(run.limits, max_position=0.01, max_order_notional=1_000.0)
        assert {each.split()[0] for each in run.over(strict)} == {"MAX_POSITION", "MAX_ORDER_NOTIONAL"}
