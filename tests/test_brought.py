"""What comes to a broker's account, and leaves it, for no trade of ours: it is booked, and no gain."""

import math

import pandas as pd
import pytest
from street import Street
from tape import At

from toolkit.cli import main
from toolkit.cycle.config import checked_config
from toolkit.cycle.connected import connected
from toolkit.cycle.engine import TradingEngine
from toolkit.data import MarketData, SampleSource
from toolkit.data.cache import BarCache
from toolkit.errors import ConfigError, InvalidParameter, LedgerError
from toolkit.execution import adoption
from toolkit.execution.audit import verify
from toolkit.execution.brokers.desk import BrokerDesk
from toolkit.execution.brokers.values import Activity, Answer, Holding
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import shares
from toolkit.execution.situation import Quotes
from toolkit.execution.standing import ACTIVE
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import AlpacaServer

EVENINGS = [f"2005-03-{day:02} 22:00" for day in (1, 2, 3, 4, 7, 8)]


class Shown:
    """A market of `bars`, as far as the clock has come; what it does not have it leaves out."""

    def __init__(self, bars, clock):
        self.known, self.clock = bars, clock

    def bars(self, symbols):
        return self.known.until(self.clock.now()).select([s for s in symbols if s in self.known.symbols])

    def stats(self):
        return {"hits": 0.0, "misses": 0.0, "api_calls": 0.0}

    def close(self):
        pass


def wanting(weights):
    """Scores of 1 for the symbols of `weights`, read anew at each cycle."""
    return lambda bars: pd.DataFrame({s: weights.get(s, 0.0) for s in bars.symbols}, bars.index)


@pytest.fixture
def street(bundled, values):
    """An engine before a broker in the test's hand, in the evening of 2005-03-01; it wants nothing unless it is told to."""
    bars, clock, wish = bundled.select(["IBM", "MSFT"]), At(EVENINGS[0]), {}
    other = Street(clock, 100_000 * UNIT)
    other.prices = dict(bars.until(pd.Timestamp("2005-03-01")).close.iloc[-1])

    engine = TradingEngine(
        checked_config(values | {"mode": "broker-paper", "symbols": list(bars.symbols)}),
        strategy=wanting(wish), sizing=lambda scores, bars: scores * 0.1, clock=clock, market=Shown(bars, clock),
        broker=lambda ledger, rules: BrokerDesk(ledger, other, clock),
    )  # fmt: skip
    engine.street, engine.wish = other, wish
    yield engine
    engine.ledger.close()


def evening(engine, n):
    """The cycle of the n-th evening, after what waited has filled at the price of the street."""
    for r in engine.street.waiting():
        engine.street.fill(r.id, r.qty, engine.street.prices[r.symbol])
    engine.clock.time = pd.Timestamp(EVENINGS[n], tz="UTC")
    return engine.run_cycle()


def equities(engine):
    """Dollars: the highest, and at the close before."""
    return [n / UNIT for n in engine.ledger.rows("SELECT peak, day_equity FROM account")[0]]


# ------------------------------------------------------------------------------------------------- cash at or below 0
@pytest.mark.parametrize("dollars", [0, -12])
@pytest.mark.parametrize("new", [True, False])
def test_a_broker_account_without_cash_is_opened_and_orders_nothing(bundled, values, dollars, new):
    bars, clock = bundled.select(["IBM", "MSFT"]), At(EVENINGS[0])
    with AlpacaServer([bars], clock=clock, limit=10**9) as server:
        config = values | {"mode": "broker-paper", "symbols": ["IBM", "MSFT"], "broker": {"url": server.url}}

        def started():
            return TradingEngine(
                checked_config(config), strategy=wanting({"IBM": 1.0}), clock=clock, market=Shown(bars, clock),
                environment={"TK_ALPACA_KEY": server.key, "TK_ALPACA_SECRET": server.secret},
            )  # fmt: skip

        if not new:
            started().close()
            clock.time = pd.Timestamp(EVENINGS[1], tz="UTC")
            server.exchange.turn(clock.time)
        server.exchange.account.book("CSW", server.exchange.at, None, cash=(dollars - 100_000) * UNIT)
        engine = started()
        report = engine.run_cycle()
        assert (report.equity, report.orders) == (dollars, 0) and "return" in str(engine.summary())
        assert verify(engine.ledger) == [] and engine.ledger.standing[0] == ACTIVE
        engine.close()


@pytest.mark.parametrize("mode, cash", [("paper", 0.0), ("paper", -12.0), ("live", -1e10), ("live", math.nan)])
def test_cash_that_no_account_begins_with_is_refused(tmp_path, mode, cash):
    with pytest.raises(InvalidParameter, match="cash is"):
        Ledger.open(tmp_path, account="none", mode=mode, cash=cash)


# ------------------------------------------------------------------------------------------------ shares without a price
def test_shares_that_came_without_a_price_count_as_nothing_and_are_named_until_one_is_known(street, capsys):
    street.street.prices["SPIN"] = math.nan
    street.street.tell("transfer", "SPIN", 20 * UNIT, 0)
    report = evening(street, 1)
    said = "SPIN: 20 shares are held, no price of them is known: they count as $0"
    assert report.equity == 100_000.0 and f"UNPRICED: {said}" in str(report)
    assert street.ledger.account().frame().loc["SPIN", "value"] == 0.0
    assert street.watch.look(Quotes(), report.session, "k", []).quotes.suspect["SPIN"].startswith("20 shares")
    for action in ("show", "verify"):
        assert main(["ledger", action, str(street.folder)]) == 0 and f"note: {said}" in capsys.readouterr().out
    street.street.prices["SPIN"] = 7.0
    report = evening(street, 2)
    assert report.equity == 100_140.0 and "UNPRICED" not in str(report)
    assert equities(street) == [100_140.0, 100_140.0] and verify(street.ledger) == []  # no gain of the day


def test_shares_of_the_universe_that_came_without_a_price_are_valued_at_the_close(street):
    street.street.prices["IBM"] = math.nan
    street.street.tell("transfer", "IBM", 10 * UNIT, 0)
    report = evening(street, 1)
    close = street.bars().traded[3, 0, -1]
    assert report.equity == pytest.approx(100_000.0 + 10 * close) and equities(street) == [report.equity, report.equity]


def test_a_holding_whose_name_no_source_can_have_is_named_and_breaks_no_cycle(values, street):
    street.data_cache = MarketData(SampleSource(), BarCache(values["cache"]["directory"]), street.clock, anchor="2004-01-02")
    street.street.tell("transfer", "BTC/USD", 2 * UNIT, 0)
    street.street.prices["BTC/USD"] = 50.0
    street.run_cycle()
    street.clock.time = pd.Timestamp(EVENINGS[1], tz="UTC")
    assert "BTC/USD has no bar: 2 BTC/USD are held at $50.00" in str(street.run_cycle())


def test_holdings_without_a_price_of_today_are_adopted_at_nothing(street):
    evening(street, 0)
    street.street.prices["DEAD"] = math.nan
    street.street.holdings["DEAD"] = 5 * UNIT
    found = adoption.proposed(street.ledger, street.street, street.broker.broker)
    assert "without a price" in str(found)
    adoption.book(street.ledger, found)
    assert street.ledger.account().equity == 100_000.0 and list(street.ledger.account().unpriced) == ["DEAD"]


def test_what_breaks_a_cycle_and_the_row_of_its_failure_too_ends_no_loop(street, monkeypatch, caplog):
    def broken():
        raise LedgerError("the disk is gone", "mend it")

    monkeypatch.setattr(street.ledger, "account", broken)
    street.failed(ValueError())
    assert "leaves no row" in caplog.text


# --------------------------------------------------------------------------------------------------- neither gain nor loss
def test_shares_that_are_exchanged_for_cash_are_no_loss(street):
    street.wish["IBM"] = 1.0
    for n in range(2):
        evening(street, n)
    held, close = street.ledger.account().positions["IBM"], street.ledger.account().equity
    street.street.tell("transfer", "IBM", -held.qty, round(held.qty * held.mark))
    report = evening(street, 2)
    assert report.equity == pytest.approx(close) and equities(street)[0] < 1.001 * close
    assert street.ledger.standing[0] == ACTIVE and verify(street.ledger) == []


def test_shares_that_were_bought_dear_are_adopted_at_what_they_are_worth(street):
    evening(street, 0)
    street.street.positions = lambda: [Holding("IBM", 100 * UNIT, 300.0, 92.0)]
    adoption.book(street.ledger, adoption.proposed(street.ledger, street.street, street.broker.broker))
    assert street.ledger.account().equity == 109_200.0 and equities(street) == [109_200.0, 109_200.0]
    evening(street, 1)
    assert street.ledger.standing[0] == ACTIVE


# ------------------------------------------------------------------------------------------------- news that come late
@pytest.mark.parametrize("restarted", [False, True])
def test_a_dividend_that_is_told_days_late_is_booked_before_it_halts(street, restarted):
    street.wish["IBM"] = 1.0
    for n in range(3):
        evening(street, n)
    street.wish["MSFT"] = 1.0
    for n in (3, 4):  # a fill of the 4th is the last news
        evening(street, n)
    paid = pd.Timestamp("2005-03-02", tz="UTC")
    street.street.cash += 1_500 * UNIT
    street.street.told.append(Activity("late", "dividend", paid, "IBM", "", 0, 1_500 * UNIT))
    street.clock.time = pd.Timestamp(EVENINGS[5], tz="UTC")
    for _ in range(3):
        if restarted:  # a process a cycle, as by cron
            street.broker.broker = BrokerDesk(street.ledger, street.street, street.clock)
        street.wish["MSFT"] -= 0.25  # so that the cash is looked at
        street.run_cycle()
        street.clock.time += pd.Timedelta("1D")
    assert street.ledger.standing[0] == ACTIVE and street.ledger.account().cash == street.street.cash
    assert "dividend" in set(street.ledger.frame("events")["kind"])
    assert "$" not in (street.ledger.rows("SELECT drift FROM account")[0][0] or "")


def test_a_preview_keeps_nothing_of_cash_that_differs(street):
    street.street.cash += 1_500 * UNIT
    street.preview()
    assert street.ledger.rows("SELECT drift FROM account") == [(None,)]


# ---------------------------------------------------------------------------------------------------- fractions of a share
@pytest.mark.parametrize("kind, refused", [("limit", True), ("stop", True), ("market", False)])
def test_an_order_for_a_fraction_that_should_wait_beyond_a_day_is_refused_in_the_configuration(values, kind, refused):
    config = checked_config(values | {"mode": "broker-paper", "order_kind": kind, "whole_shares": False})
    with pytest.raises(ConfigError if refused else InvalidParameter, match="time_in_force: day" if refused else "no keys"):
        connected(config, At(EVENINGS[0]), {})


# ------------------------------------------------------------------------------- an order that waits for another one's end
def test_what_was_planned_before_the_order_that_it_replaces_filled_is_planned_again_in_its_right_size(street):
    street.wish["IBM"] = 0.5
    street.run_cycle()
    (old,) = street.street.waiting()
    street.street.cancel = lambda order: Answer("ACCEPTED", "promised")
    street.wish["IBM"], street.clock.time = 1.0, pd.Timestamp(EVENINGS[1], tz="UTC")
    (planned,) = street.run_cycle().turn.unsent
    street.street.fill(old.id, old.qty, planned.reference)  # before its cancellation has worked
    (denied,) = street.run_cycle().turn.denials
    held = f"measured {shares(old.qty)} shares held, 0 when the order was planned"
    assert denied.code == "SYMBOL_FROZEN" and held in str(denied)
    (again,) = street.run_cycle().turn.orders
    assert again.qty + old.qty == planned.qty and verify(street.ledger) == []
