"""What the tests of Yahoo share: the bundled symbols on the loopback server, asked by a source whose pauses take no time."""

import numpy as np
import pandas as pd

from toolkit.data import Bars, Calendar
from toolkit.data.sources.yahoo import YahooSource
from toolkit.testing.yahoo_server import SkippingClock

NOW = pd.Timestamp("2013-03-01 21:30", tz="UTC")
SINCE, TODAY = pd.Timestamp("1990-01-01"), pd.Timestamp("2013-03-01")
SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


def patient(server, clock=None, **options) -> YahooSource:
    """A source whose pauses take no time."""
    clock = clock if clock is not None else SkippingClock(server.now)
    return YahooSource(server.session(), clock=clock, **options)


def ask(source: YahooSource, symbol: str = "AAPL", interval: str = "1d", start=SINCE, end=TODAY):
    return source.fetch(symbol, start, end, interval)


def minute_bars(symbol: str = "A", days: int = 25) -> Bars:
    """Bars of each minute of the regular hours of `days` sessions up to today."""
    calendar = Calendar("XNYS")
    at = np.flatnonzero(calendar.sessions <= TODAY.to_datetime64())[-days:]
    labels = np.concatenate([np.arange(calendar.opens[k], calendar.closes[k], np.timedelta64(1, "m")) for k in at])
    rng = np.random.default_rng(5)
    close = np.round(50 * np.exp(np.cumsum(0.0005 * rng.standard_normal(len(labels)))), 2)
    opens = np.append(close[0], close[:-1])
    table = {"open": opens, "high": np.maximum(opens, close), "low": np.minimum(opens, close), "close": close, "volume": 500.0}
    frame = pd.DataFrame(table, index=pd.DatetimeIndex(labels).tz_localize("UTC"))
    return Bars.from_frame(frame, symbol=symbol, interval="1m", calendar="XNYS")
