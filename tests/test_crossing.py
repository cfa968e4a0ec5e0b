"""Where no order crosses from long to short, a position is closed first and the other side opened a session later."""

import pandas as pd
import pytest
from street import Street

from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.incident import replay
from toolkit.execution.brokers.alpaca import AlpacaBroker
from toolkit.execution.brokers.desk import BrokerDesk
from toolkit.kernels.account import UNIT
from toolkit.testing.clocks import HandClock

WISHES = {"2012-03-01": 1.0, "2012-03-02": -1.0, "2012-03-05": -1.0, "2012-03-06": 1.0, "2012-03-07": 1.0}
PRICE = 200.0


def turning(bars):
    """Long, short from the second session on, long from the fourth on."""
    wished = pd.Series(WISHES).rename(pd.Timestamp)
    return pd.DataFrame({"IBM": wished.reindex(bars.index).fillna(0.0)})


def half(scores, bars):
    return 0.05 * scores


@pytest.mark.parametrize("crosses", [True, False])
def test_what_would_cross_closes_alone_and_the_other_side_follows(values, crosses):
    clock = HandClock("2012-03-02 00:30Z")
    street = Street(clock, 100_000 * UNIT)
    street.crosses = crosses
    config = checked_config(
        {**values, "mode": "broker-paper", "symbols": ["IBM"], "risk": {"allow_short": True}, "source": "sample"}
    )
    engine = TradingEngine(config, strategy=turning, sizing=half, clock=clock,
                           broker=lambda ledger, rules: BrokerDesk(ledger, street, clock))  # fmt: skip
    held = []
    for day in WISHES:
        clock.time = pd.Timestamp(day, tz="UTC") + pd.Timedelta("24h30min")
        engine.broker.reconcile()  # a preview asks nobody what was filled
        foreseen = [(o.side, o.qty) for o in engine.preview().orders]
        report = engine.run_cycle()
        assert foreseen == [(o.side, o.qty) for o in report.turn.orders]
        assert report.denials == 0, str(report)
        assert replay(-1, engine.ledger, config, strategy=turning, sizing=half).same
        clock.time += pd.Timedelta("14h")
        for waiting in street.waiting():
            street.fill(waiting.id, waiting.qty, PRICE)
            street.prices = {"IBM": PRICE}
        held.append(street.holdings.get("IBM", 0))
    signs = [(qty > 0) - (qty < 0) for qty in held]
    assert signs == ([1, -1, -1, 1, 1] if crosses else [1, 0, -1, 0, 1])
    cut = engine.ledger.rows("SELECT qty < wanted, side FROM intents WHERE cut_by = 'NO_CROSSING' ORDER BY rowid")
    assert cut == ([] if crosses else [(1, "sell"), (1, "buy")])
    engine.close()


def test_alpaca_is_such_a_broker():
    """Its words: github.com/alpacahq/Alpaca-API/issues/90, 187 and 250."""
    assert AlpacaBroker.crosses is False
