"""Yahoo over real sockets on the loopback interface: every failure is told apart, and no rest it asks for is cut short."""

import json
import socket
import time
from dataclasses import replace
from email.utils import format_datetime

import numpy as np
import pandas as pd
import pytest
import yfinance
from loopback import NOW, SYMBOLS, ask, minute_bars, patient
from yfinance.data import YfData

from toolkit.data import BarCache, MarketData, ReplayClock
from toolkit.data.sources.yahoo import YahooSource
from toolkit.errors import BudgetSpent, DataUnavailable, InvalidParameter, UnknownSymbol
from toolkit.testing.yahoo_server import LoopbackSession, SkippingClock, YahooServer

pytestmark = pytest.mark.usefixtures("pauses")


@pytest.fixture(scope="module", autouse=True)
def cookies(tmp_path_factory):
    """What yfinance keeps between processes lies elsewhere than the user's."""
    yfinance.set_tz_cache_location(str(tmp_path_factory.mktemp("yfinance")))


# --- the wire


def test_threads_share_one_session_and_keep_their_connections(yahoo, tmp_path):
    MarketData(patient(yahoo), BarCache(tmp_path), ReplayClock([NOW]), n_jobs=2).bars(SYMBOLS)
    assert len({request.port for request in yahoo.log}) <= 2


def test_one_thread_keeps_one_connection_and_its_replies_are_compressed(yahoo):
    source = patient(yahoo)
    for symbol in SYMBOLS:
        ask(source, symbol)
    assert len({request.port for request in yahoo.log}) == 1
    assert all("gzip" in request.accepts for request in yahoo.log)
    reply = yahoo.session().get("https://query2.finance.yahoo.com/v8/finance/chart/AAPL", params={"range": "max"})
    assert reply.headers["Content-Encoding"] == "gzip"
    assert int(reply.headers["Content-Length"]) < len(reply.content) / 3


def test_an_index_is_asked_for_by_its_own_name(bundled):
    renamed = replace(bundled.select("AAPL"), symbols=("^GSPC",))
    with YahooServer(renamed, NOW) as server:
        assert len(ask(patient(server), "^GSPC").labels) == 3270
        assert server.charts == ["^GSPC"]


def test_an_unknown_symbol_costs_one_request(yahoo):
    source = patient(yahoo)
    with pytest.raises(UnknownSymbol, match="XOM"):
        ask(source, "XOM")
    assert source.meter.calls == 1 and len(yahoo.log) == 1


class Answering:
    """A session that answers everything alike."""

    def __init__(self, status: int, body: str) -> None:
        self.status_code, self.content, self.headers = status, body.encode(), {}

    def get(self, url, **options):
        return self


@pytest.mark.parametrize(
    ("status", "code", "known"), [(404, "Not Found", False), (200, "Not Found", True), (404, "Bad Request", True)]
)
def test_only_a_404_that_says_not_found_is_an_unknown_symbol(status, code, known):
    body = json.dumps({"chart": {"result": None, "error": {"code": code, "description": "No data found"}}})
    with pytest.raises(DataUnavailable) as caught:
        ask(YahooSource(Answering(status, body), clock=SkippingClock(NOW)))
    assert isinstance(caught.value, UnknownSymbol) != known


def test_the_allowance_ends_the_retries(yahoo):
    source = patient(yahoo)
    source.meter.allow(2)
    yahoo.fault("500", times=9)
    with pytest.raises(BudgetSpent):
        ask(source)
    assert len(yahoo.log) == source.meter.calls == 2


def test_a_refusal_is_answered_with_the_cookie_and_crumb_of_yfinance_and_all_is_counted(yahoo):
    source = patient(yahoo)
    yahoo.fault("401")
    ask(source)
    assert "crumb" in yahoo.log[-1].query and source.meter.calls == len(yahoo.log)
    before = len(yahoo.log)
    ask(source, "IBM")
    assert len(yahoo.log) == before + 1 and yahoo.log[-1].query["crumb"] == "abcDEF12345"  # not asked for again


def test_yfinance_does_not_answer_from_its_memory_after_a_refusal(yahoo):
    url = "https://query2.finance.yahoo.com/v8/finance/chart/IBM"
    YfData(session=yahoo.session()).cache_get(url, {"range": "1d"})
    assert YfData.cache_get.cache_info().currsize > 0
    yahoo.fault("401")
    ask(patient(yahoo))
    assert YfData.cache_get.cache_info().currsize == 0


def test_a_refusal_that_stays_is_an_error_after_one_crumb(yahoo):
    source = patient(yahoo)
    yahoo.fault("401", times=99)
    with pytest.raises(DataUnavailable, match="AAPL: Yahoo refuses with 401") as caught:
        ask(source)
    assert not isinstance(caught.value, UnknownSymbol) and source.meter.calls == len(yahoo.log) < 10
    yahoo.heal()
    assert len(ask(source).labels) == 3270


def test_the_pause_that_the_server_asks_for_is_kept(yahoo):
    clock = SkippingClock(NOW)
    yahoo.fault("429", times=2, retry_after=7)
    ask(patient(yahoo, clock))
    assert 14 <= clock.monotonic() < 16


def test_the_pause_may_be_a_date(yahoo):
    clock = SkippingClock(NOW)
    yahoo.fault("503", retry_after=format_datetime(NOW.to_pydatetime() + pd.Timedelta("20s")))
    ask(patient(yahoo, clock))
    assert 19.9 < clock.monotonic() < 21


def test_a_long_pause_stops_all_symbols_at_once_and_in_every_process(yahoo, tmp_path):
    clock = SkippingClock(NOW)
    first, second = (patient(yahoo, clock, shared=tmp_path / "not_before") for _ in range(2))
    yahoo.fault("429", retry_after=120)
    for source in (first, second):
        with pytest.raises(DataUnavailable, match="Yahoo asked to wait until 21:32:0"):
            ask(source)
    assert len(yahoo.log) == 1 and second.meter.calls == 0
    clock.sleep(120)
    assert len(ask(second).labels) == 3270


def test_pauses_without_a_wish_of_the_server_are_short_and_random(yahoo):
    clock = SkippingClock(NOW)
    yahoo.fault("500", times=2)
    ask(patient(yahoo, clock))
    assert len(clock.slept) == 2 and all(0 <= pause <= 8 for pause in clock.slept)


def test_a_server_that_does_not_answer_ends_in_an_error_in_time():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        source = YahooSource(LoopbackSession(silent.getsockname()[1]), timeout=0.1, clock=SkippingClock(NOW))
        began = time.perf_counter()
        with pytest.raises(DataUnavailable, match="was not reached"):
            ask(source)
    assert time.perf_counter() - began < 5.0


class Silent:
    """A session without an answer: each request takes `seconds` on `clock`, and is then given up."""

    def __init__(self, clock: SkippingClock, seconds: float) -> None:
        self.clock, self.seconds, self.timeouts = clock, seconds, []

    def get(self, url, timeout, **options):
        self.timeouts.append(timeout)
        self.clock.sleep(min(self.seconds, timeout))
        raise TimeoutError("no answer")


@pytest.mark.parametrize(("timeout", "expected"), [(10.0, [10.0, 10.0, 10.0]), (14.0, [14.0, 14.0, 2.0]), (31.0, [30.0])])
def test_the_last_try_has_what_is_left_of_thirty_seconds(timeout, expected):
    clock = SkippingClock(NOW)
    silent = Silent(clock, seconds=60.0)
    with pytest.raises(DataUnavailable, match="was not reached"):
        ask(YahooSource(silent, timeout, clock))
    assert silent.timeouts == pytest.approx(expected, abs=1.6)  # less the random pauses
    assert clock.monotonic() <= 30.0 + 1e-9


def test_a_symbol_has_thirty_seconds_in_all(yahoo):
    clock = SkippingClock(NOW)
    yahoo.fault("429", times=9, retry_after=20)
    with pytest.raises(DataUnavailable):
        ask(patient(yahoo, clock))
    assert clock.monotonic() <= 30 and len(yahoo.log) == 2


def test_a_dead_network_opens_the_circuit():
    clock = SkippingClock(NOW)
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))  # bound and not listening: refused
        source = YahooSource(LoopbackSession(gone.getsockname()[1]), clock=clock)
        for _ in range(6):
            with pytest.raises(DataUnavailable):
                ask(source)
        assert source.meter.calls < 12
        with pytest.raises(DataUnavailable, match="in a row and is not asked until"):
            ask(source)


def test_the_rate_that_a_server_allows_is_found(bundled):
    """The server takes 3 requests in half a second; the source, which may make 50 a second, gets every symbol all the same."""
    clock = SkippingClock(NOW)
    with YahooServer(bundled, NOW, rate=(3, 0.5), clock=clock) as server:
        source = patient(server, clock, rate=50.0, burst=3)
        for symbol in SYMBOLS * 4:
            assert len(ask(source, symbol).labels) > 100
        assert source.pace.rate < 50.0 and source.meter.calls > 20


def test_one_bad_symbol_of_a_batch_stops_no_other(yahoo, tmp_path):
    yahoo.fault("500", times=3, symbol="GOOG")
    bars = MarketData(patient(yahoo), BarCache(tmp_path), ReplayClock([NOW])).bars(SYMBOLS)
    assert bars.symbols == ("AAPL", "FB", "IBM", "MSFT")
    assert [(issue.code, issue.symbol) for issue in bars.issues] == [("DATA_UNAVAILABLE", "GOOG")]


# --- the kit itself: the real yfinance runs against it


def test_a_loopback_session_never_leaves_the_machine(yahoo):
    with pytest.raises(InvalidParameter, match="yahoo.com alone"):
        yahoo.session().get("https://example.com/")


def test_random_faults_are_those_of_the_seed_in_any_order(bundled):
    def struck(symbols, seed):
        with YahooServer(bundled, NOW, random_faults={"500": 0.3, "html": 0.2}, seed=seed) as server:
            return {symbol: [getattr(server.due_fault(symbol), "kind", "") for _ in range(40)] for symbol in symbols}

    first = struck(SYMBOLS, 1)
    assert first == struck(SYMBOLS[::-1], 1) != struck(SYMBOLS, 2)
    kinds = [kind for each in first.values() for kind in each]
    assert 40 < kinds.count("500") < 80 and 20 < kinds.count("html") < 60


def test_intraday_bars_too_old_or_too_many_are_refused_as_yahoo_does(bundled):
    def status(days: int, interval: str = "1m") -> int:
        query = {"period1": int(NOW.timestamp()) - days * 86_400, "period2": int(NOW.timestamp()), "interval": interval}
        return server.session().get("https://query2.finance.yahoo.com/v8/finance/chart/A", params=query).status_code

    with YahooServer(bundled, NOW, intraday=[minute_bars()]) as server:
        assert (status(7), status(9), status(40), status(7, "5m")) == (200, 422, 422, 404)


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
def test_yfinance_itself_reads_the_server(yahoo, bundled):
    ticker = yfinance.Ticker("AAPL", session=yahoo.session())
    frame = ticker.history(start="2000-01-01", auto_adjust=False)
    later = np.where(frame.index < "2000-06-21", 4.0, np.where(frame.index < "2005-02-28", 2.0, 1.0))
    assert np.allclose(frame["Close"] * later, bundled.traded[3, 0], rtol=1e-6)
    assert frame["Stock Splits"][frame["Stock Splits"] > 0].tolist() == [2.0, 2.0]
    assert frame["Dividends"][frame["Dividends"] > 0].tolist() == [2.65] * 3
    returns, ours = frame["Adj Close"].pct_change(), bundled.close["AAPL"].pct_change()
    plain = ~np.isin(np.arange(3270), bundled.select("AAPL").actions["bar"])
    assert np.allclose(returns.to_numpy()[plain][1:], ours.to_numpy()[plain][1:], atol=1e-6)


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
def test_yfinance_itself_reads_minutes_from_the_server(bundled):
    truth = minute_bars("AAPL").traded[3, 0]
    with YahooServer(bundled, NOW, intraday=[minute_bars("AAPL")]) as server:
        ticker = yfinance.Ticker("AAPL", session=server.session())
        frame = ticker.history(period="5d", interval="1m", auto_adjust=False)
    assert len(frame) > 390 and np.allclose(frame["Close"], truth[-len(frame) :], rtol=1e-6)
