"""A market in which one symbol splits, and engines that trade it at a broker: for the tests of splits."""

import numpy as np
import pandas as pd

from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.data import Bars, Calendar
from toolkit.execution.brokers.alpaca import AlpacaBroker
from toolkit.execution.brokers.desk import BrokerDesk

EX = 14  # the bar with the ex-date, 2012-01-24
DAYS = pd.DatetimeIndex(Calendar("XNYS").sessions).to_series()["2012-01-03":"2012-02-14"].index


class Shown:
    """Bars up to the clock's instant, as a market."""

    def __init__(self, bars, clock):
        self.whole, self.clock = bars, clock

    def bars(self, symbols):
        known = self.whole.until(self.clock.now())
        return known.select([s for s in symbols if s in known.symbols])

    def stats(self):
        return dict(hits=0.0, misses=0.0, api_calls=0.0)

    def close(self):
        pass


def made(ratio: float, before: float = 90.0) -> Bars:
    """A splits at bar EX, where its price moves with it and not else; B and C stand at $50."""
    n = len(DAYS)
    prices = {"A": [before] * EX + [before / ratio] * (n - EX), "B": [50.0] * n, "C": [50.0] * n}
    frames = {s: pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), np.array(p)), DAYS) for s, p in prices.items()}
    frame = pd.concat({s: f.assign(volume=1e7) for s, f in frames.items()}, axis=1)
    actions = pd.DataFrame([(DAYS[EX], "A", ratio, 0.0)], columns=["date", "symbol", "split", "dividend"])
    return Bars.from_frame(frame, actions=actions, calendar="XNYS")


def engine(bars, clock, broker, folder, bought, sold=None, **more):
    """Buys 9.99% of each symbol from its session in `bought` on, and sells it at that in `sold`."""

    def scores(known):
        when = {s: (bought.get(s, DAYS[-1]), (sold or {}).get(s, DAYS[-1])) for s in known.symbols}
        wished = {s: ((known.index >= first) & (known.index < last)).astype(float) for s, (first, last) in when.items()}
        return pd.DataFrame(wished, known.index)

    keys = dict(mode="broker-paper", account="t", symbols=list(bars.symbols), allow_uncertified=True, state=str(folder))
    config = checked_config(keys | dict(operations=dict(max_order_qty=1e9)) | more)
    return TradingEngine(config, strategy=scores, sizing=lambda found, _: found * 0.0999, clock=clock,
                         market=Shown(bars, clock), broker=lambda ledger, rules: BrokerDesk(ledger, broker, clock))  # fmt: skip


def at_alpaca(server, clock):
    return AlpacaBroker(server.key, server.secret, url=server.url, clock=clock, rate=1e6)
