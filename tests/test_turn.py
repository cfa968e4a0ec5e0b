"""A turn that is killed, repeated or answered badly still sends each order once."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import random_bars
from toolkit.cycle.backtest import backtest
from toolkit.cycle.turn import ages, turn
from toolkit.data import ReplayClock
from toolkit.execution.audit import verify
from toolkit.execution.brokers.cached import CachedBroker
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.costs import Costs, Limits, rules
from toolkit.execution.gate import Gate
from toolkit.execution.ledger import Ledger
from toolkit.kernels.account import UNIT
from toolkit.risk.sizing import equal_weight
from toolkit.signals.indicators import sma

LIMITS = Limits(max_order_notional=1e9, max_order_share=1.0, max_position=0.6, min_cash=0.0, max_stale_sessions=99)
RULES = rules(Costs(), LIMITS)
ONE = {"S0": 1.0}


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger.open(tmp_path, account="t", mode="paper", cash=50_000.0)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def bars():
    return random_bars(3, n_symbols=1, halts=False, actions=False)


def go(bars, ledger, t, weight, broker=None, key=None):
    return turn(bars.until(bars.index[t]), ONE if weight else {"S0": 0.0}, {"S0": weight}, key=key or f"k{t}",
                broker=broker or PaperBroker(ledger, RULES), ledger=ledger, gate=Gate(LIMITS, RULES))  # fmt: skip


class DiesAtSubmit(PaperBroker):
    """A process that ends while it hands an order in."""

    def submit(self, order):
        raise KeyboardInterrupt


def test_an_order_whose_sending_was_interrupted_is_sent_once_by_the_same_cycle(bars, ledger):
    with pytest.raises(KeyboardInterrupt):
        go(bars, ledger, 10, 0.5, DiesAtSubmit(ledger, RULES))
    assert ledger.frame("intents")["status"].tolist() == ["SENDING"]
    assert len(go(bars, ledger, 10, 0.5).orders) == 1
    assert go(bars, ledger, 10, 0.5).repeated
    assert len(go(bars, ledger, 11, 0.5).fills) == 1 and verify(ledger) == []


def test_an_order_that_missed_its_open_is_abandoned_and_decided_again(bars, ledger):
    with pytest.raises(KeyboardInterrupt):
        go(bars, ledger, 10, 0.5, DiesAtSubmit(ledger, RULES))
    later = go(bars, ledger, 12, 0.5)
    assert ledger.frame("intents")["status"].tolist() == ["ABANDONED", "ACCEPTED"]
    assert len(later.orders) == 1 and later.fills == () and verify(ledger) == []


def test_a_denied_order_is_asked_for_again_at_the_next_close(bars, ledger):
    stale = {"missing": 200}
    denied = turn(bars.until(bars.index[10]), ONE, {"S0": 0.5}, key="a", broker=PaperBroker(ledger, RULES), ledger=ledger,
                  gate=Gate(LIMITS, RULES), **stale)  # fmt: skip
    assert [v.code for v in denied.denials] == ["STALE_DATA"] and denied.orders == ()
    assert len(go(bars, ledger, 11, 0.5).orders) == 1


def test_a_new_decision_replaces_an_order_that_still_waits(ledger):
    halted = random_bars(5, n_symbols=1, halts=False, actions=False)
    block = halted.traded.copy()
    block[:, :, 11:14] = np.nan
    frame = pd.DataFrame(block[:, 0].T, index=halted.index, columns=["open", "high", "low", "close", "volume"])
    from_halt = type(halted).from_frame(frame, symbol="S0")
    go(from_halt, ledger, 10, 0.5)
    assert go(from_halt, ledger, 12, 0.0).fills == ()
    assert ledger.frame("intents")["status"].tolist() == ["CANCELED"] and ledger.account().waiting == ()


def test_the_cached_account_is_forgotten_the_moment_an_order_goes_out(bars, ledger):
    clock = ReplayClock(pd.date_range("2012-01-03", periods=3, freq="20s", tz="UTC"))
    broker = CachedBroker(PaperBroker(ledger, RULES), clock)
    go(bars, ledger, 10, 0.5, broker)
    asked = broker.misses
    assert broker.account().waiting and broker.misses == asked + 1
    assert broker.account().waiting and broker.misses == asked + 1 and broker.hits >= 1
    clock.sleep(20)
    broker.account()
    assert broker.misses == asked + 1  # 20 s later it is still good,
    clock.sleep(20)
    broker.account()
    assert broker.misses == asked + 2  # 40 s later it is not


def test_ages_count_sessions_since_the_last_price():
    bars = random_bars(1, n_symbols=2)
    close = bars.traded[3]
    expected = {s: int(np.argmax(~np.isnan(close[n, ::-1]))) + 2 for n, s in enumerate(bars.symbols)}
    assert ages(bars, missing=2) == expected


CHILD = Path(__file__).with_name("paper_loop.py")


def test_paper_killed_at_random_instants_trades_exactly_as_the_backtest(tmp_path):
    bars = random_bars(7)
    tested = backtest(strategy, bars, equal_weight(), RULES, cash=50_000.0)
    command, rng = [sys.executable, CHILD, tmp_path, "7"], random.Random(7)
    kills = 0
    for _ in range(5):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(rng.randrange(1, 25)):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        kills += child.wait(timeout=60) == -signal.SIGKILL
        child.stdout.close()
    assert kills > 0
    subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
    ledger = Ledger.read(tmp_path / "ledger.sqlite")
    fills = ledger.frame("events").query("kind == 'fill' and qty != 0")
    assert verify(ledger) == [] and ledger.account().equity == tested.equity.iloc[-1]
    assert (fills["qty"] / UNIT).tolist() == tested.fills["shares"].tolist()
    assert fills["price"].tolist() == tested.fills["price"].tolist()


def strategy(bars):
    mean = sma(bars.close, 5)
    return (bars.close > mean).astype(float).where(mean.notna())
