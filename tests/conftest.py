"""Bundled prices and random markets that the tests share."""

import signal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import platformdirs
import pytest
from hypothesis import HealthCheck, settings
from loopback import NOW
from tape import At, Tape

from toolkit.data import Bars, MarketData, ReplayClock, SampleSource
from toolkit.data.cache import BarCache
from toolkit.testing.yahoo_server import YahooServer

settings.register_profile("elsewhere", database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("seeded", settings.get_profile("elsewhere"), derandomize=True)
settings.load_profile("seeded")
SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


@pytest.fixture(scope="session")
def bundled(tmp_path_factory) -> Bars:
    """All bundled bars: 5 symbols, 2000 to 2013."""
    cache = BarCache(tmp_path_factory.mktemp("bars"))
    clock = ReplayClock([pd.Timestamp("2013-03-02", tz="UTC")])
    return MarketData(SampleSource(), cache, clock).bars(SYMBOLS)


@pytest.fixture(autouse=True, scope="module")
def plain_figures():
    """Libraries that the tests compare with set a style when they are imported; figures left open cost memory."""
    mpl.rcdefaults()
    yield
    plt.close("all")


@pytest.fixture(autouse=True)
def own_project(tmp_path_factory, monkeypatch):
    """Backtests, sweeps and certificates leave their traces in a project of the test's own."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "state").mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """A process started in the background ignores SIGINT; the tests that send it must not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def values(tmp_path) -> dict:
    """A configuration that leaves everything in a temporary folder."""
    return {
        "symbols": SYMBOLS,
        "state": str(tmp_path / "state"),
        "cache": {"directory": str(tmp_path / "cache")},
        "risk": {"max_order_share": 0.25},
        "allow_uncertified": True,
    }


@pytest.fixture
def world(tmp_path):
    """A clock that is moved by hand, a source of random prices that knows it, and a MarketData on an empty cache."""
    clock = At("2026-11-25 21:30")
    tape = Tape(clock)
    return clock, tape, MarketData(tape, BarCache(tmp_path), clock)


@pytest.fixture
def pauses(tmp_path, monkeypatch):
    """A pause that the servers of one test ask for is none of another's."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "user" / name))


@pytest.fixture
def yahoo(bundled):
    """The bundled prices on the loopback server."""
    with YahooServer(bundled, NOW) as server:
        yield server


def random_bars(seed: int, n_symbols: int = 4, n_bars: int = 160, halts: bool = True, actions: bool = True) -> Bars:
    """A seeded market with gaps, halts, splits and dividends, as traded."""
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2011-01-03", periods=n_bars)
    frames, table = {}, []
    for n in range(n_symbols):
        close = 50.0 * np.exp(np.cumsum(0.02 * rng.standard_normal(n_bars)))
        opens = close * np.exp(0.01 * rng.standard_normal(n_bars))
        high, low = np.maximum(opens, close) * 1.01, np.minimum(opens, close) * 0.99
        frame = pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": 1e6}, index=index)
        if halts:
            frame.loc[rng.random(n_bars) < 0.03] = np.nan
        frames[f"S{n}"] = frame
        if actions:
            for day in index[np.sort(rng.choice(np.arange(5, n_bars), 3, replace=False))]:
                table.append((day, f"S{n}", rng.choice([1.0, 2.0, 0.5, 1.5]), rng.choice([0.0, 0.25])))
    events = pd.DataFrame(table, columns=["date", "symbol", "split", "dividend"]) if table else None
    return Bars.from_frame(frames, actions=events)
