"""What is brought to an account or taken out of it is neither gain nor loss: of the summary, of `toolkit risk`, of the peak."""

import math

import numpy as np
import pandas as pd
import pytest
import yaml
from street import Street

from toolkit.cli import main
from toolkit.cycle.config import read_config
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.flows import curve_of, growth
from toolkit.execution.brokers.desk import BrokerDesk
from toolkit.kernels.account import UNIT
from toolkit.testing.clocks import HandClock

PRICES = {"IBM": 200.0, "MSFT": 32.0}


def test_growth_without_flows_is_the_ratio_of_the_values():
    values = [100.0, 130.0, 91.0]
    assert growth(values, [1, 5, 9], []).tolist() == [1.3, 0.7] and growth([1.0], [1], []).tolist() == []


@pytest.mark.parametrize("flow", [1e-6, 50.0, 1e6, -40.0, -80.0])
def test_the_time_weighted_return_is_that_of_a_share_whatever_moves_between_the_looks(flow):
    """A fund's share is worth what the fund earns; who buys or sells shares of it between two looks changes nothing."""
    returns, value = np.random.default_rng(7).normal(0.0, 0.02, 40), [100.0]
    for n, each in enumerate(returns):
        begins = value[-1] + (max(flow, 0.0) if n == 20 else 0.0)
        value.append(begins * (1.0 + each) + (min(flow, 0.0) if n == 20 else 0.0))
    found = growth(value, list(range(41)), [(21, flow)])
    assert found == pytest.approx(1.0 + returns, rel=1e-9)


def test_an_account_that_was_emptied_earned_what_it_earned_and_nothing_follows():
    found = growth([100.0, 0.0, 0.0, 50.0], [1, 2, 3, 4], [(2, -110.0), (4, 50.0)])
    assert found[0] == pytest.approx(1.1) and math.isnan(found[1]) and found[2] == 1.0


@pytest.fixture(params=[-60_000, 60_000], ids=["taken out", "brought"])
def account(request, tmp_path):
    """A broker's account that traded two sessions, and from or to which a good half was moved between them."""
    clock = HandClock("2012-03-02 00:30Z")
    street = Street(clock, 100_000 * UNIT)
    path = tmp_path / "config.yaml"
    values = {"mode": "broker-paper", "account": "t", "symbols": list(PRICES), "allow_uncertified": True, "source": "sample"}
    path.write_text(yaml.safe_dump(values | {"cache": {"directory": str(tmp_path / "cache")}}))
    ones = lambda bars: pd.DataFrame(1.0, bars.index, list(bars.symbols))  # noqa: E731
    engine = TradingEngine(read_config(path), strategy=ones, sizing=lambda scores, bars: scores * 0.01, clock=clock,
                           broker=lambda ledger, rules: BrokerDesk(ledger, street, clock))  # fmt: skip
    engine.run_cycle()
    clock.time = pd.Timestamp("2012-03-02 14:30", tz="UTC")
    for waiting in street.waiting():
        street.fill(waiting.id, waiting.qty, PRICES[waiting.symbol])
    street.prices = PRICES
    clock.time = pd.Timestamp("2012-03-03 00:30", tz="UTC")
    engine.run_cycle()
    street.tell("transfer", None, 0, request.param * UNIT)  # in the evening, after the cycle of that very day
    clock.time = pd.Timestamp("2012-03-06 00:30", tz="UTC")
    engine.run_cycle()
    yield engine, path, request.param
    engine.close()


def test_a_transfer_is_no_return_and_no_drawdown(account, capsys):
    engine, path, moved = account
    equity = engine.ledger.account().equity
    assert equity == pytest.approx(100_000 + moved, abs=50.0)
    summary = engine.summary()
    assert abs(summary.total_return) < 5e-4 and summary.final_equity == equity
    curve = curve_of(engine.ledger)
    assert len(curve) == 3 and curve.iloc[-1] == equity and curve.iloc[0] == pytest.approx(equity, rel=5e-4)
    assert main(["risk", str(path)]) == 0
    assert "deepest 0.00%" in capsys.readouterr().out


def test_a_loss_after_a_transfer_is_a_loss_of_what_was_there_then(account):
    """Half of what is held is lost: a hundredth of the equity, or less where money was brought."""
    engine, _, moved = account
    with engine.ledger.transaction() as db:
        db.execute("UPDATE positions SET mark = mark / 2")
    lost = engine.ledger.account().equity - 100_000 - moved
    assert -1100.0 < lost < -900.0
    assert engine.summary().total_return == pytest.approx(lost / (100_000 + moved), rel=0.02)


def test_without_a_transfer_the_bits_are_those_of_the_equity(values, bundled):
    engine = TradingEngine.from_values(**values)
    summary = engine.run_continuous(cycles=30)
    kept = engine.ledger.rows("SELECT equity, booked FROM cycles ORDER BY rowid")
    assert curve_of(engine.ledger).tolist() == [equity / UNIT for equity, _ in kept]
    assert summary.total_return == summary.final_equity / 100_000.0 - 1.0
    numbers = [booked for _, booked in kept]
    assert numbers == sorted(numbers) and numbers[-1] == engine.ledger.rows("SELECT max(seq) FROM events")[0][0] > 1
    engine.close()
