"""Yahoo over real sockets on the loopback interface: what arrives is as traded, and every fault has its name."""

import socket
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yfinance

from toolkit.data import FIELDS, BarCache, Bars, Calendar, MarketData, ReplayClock
from toolkit.data.sources.yahoo import YahooSource
from toolkit.data.validate import cleaned
from toolkit.errors import DataUnavailable, InvalidParameter, UnknownSymbol
from toolkit.testing.yahoo_chart import CONTENT_FAULTS
from toolkit.testing.yahoo_server import TRANSPORT_FAULTS, LoopbackSession, YahooServer

NOW = pd.Timestamp("2013-03-01 21:30", tz="UTC")
SINCE, TODAY = pd.Timestamp("1990-01-01"), pd.Timestamp("2013-03-01")
SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


@pytest.fixture
def yahoo(bundled):
    with YahooServer(bundled, NOW) as server:
        yield server


def patient(server, pauses=None) -> YahooSource:
    """A source that writes its pauses down instead of waiting."""
    return YahooSource(server.session(), sleep=(lambda seconds: None) if pauses is None else pauses.append)


def ask(source: YahooSource, symbol: str = "AAPL"):
    return source.fetch(symbol, SINCE, TODAY, "1d")


# --- prices


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_split_adjusted_single_precision_comes_back_as_traded(yahoo, bundled, symbol):
    own = bundled.select(symbol)
    history = ask(patient(yahoo), symbol)
    priced = np.isfinite(own.traded[3, 0])
    assert np.array_equal(history.labels, own.index.to_numpy()[priced])
    assert np.array_equal(history.traded, own.traded[:, 0, priced])
    assert np.allclose(history.events["dividend"], own.actions["dividend"], rtol=1e-6)
    assert np.array_equal(history.events["split"], own.actions["split"])


@pytest.mark.parametrize("ratio", [7.0, 1.5, 0.1])
def test_odd_splits_are_undone_to_a_hundredth_of_a_cent(ratio):
    index = Calendar("XNYS").sessions_between("2012-01-03", "2012-03-30")
    close = np.round(20 + np.sin(np.arange(len(index))), 2)
    close[30:] = np.round(close[30:] / ratio, 2)
    frame = pd.DataFrame(dict.fromkeys(FIELDS[:4], close) | {"volume": 7_000_000.0}, index=index)
    table = pd.DataFrame({"date": [index[30], index[31]], "symbol": "A", "split": [ratio, 1.0], "dividend": [2.5, 0.3]})
    bars = Bars.from_frame(frame, symbol="A", actions=table, calendar="XNYS")
    with YahooServer(bars, NOW) as server:
        history = ask(patient(server), "A")
    assert np.abs(history.traded[:4] - close).max() <= 1e-4
    assert np.array_equal(history.traded[4], frame["volume"])
    assert history.events["split"].tolist() == [ratio, 1.0]
    assert history.events["dividend"] == pytest.approx([2.5, 0.3])


def test_prices_through_the_cache_are_those_of_the_bundled_set(yahoo, bundled, tmp_path):
    market = MarketData(patient(yahoo), BarCache(tmp_path), ReplayClock([NOW]))
    bars = market.bars(SYMBOLS)
    assert np.array_equal(bars.adjusted, bundled.adjusted, equal_nan=True)
    assert (bars.calendar, bars.currency, bars.delay) == ("XNYS", "USD", pd.Timedelta("20min"))
    assert sorted(yahoo.charts) == SYMBOLS and market.stats()["api_calls"] == 5


def test_the_next_day_costs_one_small_request_a_symbol_and_an_open_session_none(yahoo, bundled, tmp_path):
    cache = BarCache(tmp_path)

    def at(instant: str) -> Bars:
        yahoo.now = pd.Timestamp(instant, tz="UTC")
        clock = ReplayClock([yahoo.now])
        return MarketData(patient(yahoo), cache, clock, anchor="2013-02-01").bars("AAPL")

    evening = at("2013-02-27 21:30")
    yahoo.log.clear()
    for instant, requests in (
        ("2013-02-28 14:00", 0),
        ("2013-02-28 16:00", 1),
        ("2013-02-28 18:00", 0),
        ("2013-02-28 21:21", 1),
    ):
        yahoo.log.clear()
        bars = at(instant)
        assert len(yahoo.charts) == requests, instant
    assert str(bars.index[-1].date()) == "2013-02-28"
    assert np.array_equal(bars.traded[:, 0], bundled.select("AAPL").until("2013-02-28").traded[:, 0])
    assert bars.until("2013-02-27").fingerprint == evening.fingerprint
    assert all(int(request.query["period1"]) > 1_361_000_000 for request in yahoo.log)  # days, not years


def test_threads_share_one_session_and_keep_their_connections(yahoo, tmp_path):
    MarketData(patient(yahoo), BarCache(tmp_path), ReplayClock([NOW]), n_jobs=2).bars(SYMBOLS)
    assert len({request.port for request in yahoo.log}) <= 2


# --- faults

# What each fault leads to when it strikes once, and when it does not pass: requests made, then bars short of all, codes.
ONCE = {
    **dict.fromkeys(("429", "500", "html", "truncated", "short", "blank", "empty_result"), (2, 0, [])),
    **dict.fromkeys(("empty", "ragged", "wrong_symbol", "401"), (2, 0, [])),
    "nulls": (1, 3, ["NULL_ROW"]),
    "dup": (1, 0, ["DUPLICATE"]),
    "x100": (1, 1, ["JUMP"]),
    "high_below_low": (1, 1, ["BAD_OHLC"]),
    "negative": (1, 1, ["BAD_PRICE"]),
}
PASSING = ("429", "500", "html", "truncated", "short", "blank", "empty_result", "reset", "empty", "ragged", "wrong_symbol")


def test_the_tables_name_every_fault():
    assert set(ONCE) | {"reset", "not_found"} == {*TRANSPORT_FAULTS, *CONTENT_FAULTS}


@pytest.mark.parametrize("kind", ONCE)
def test_a_fault_that_strikes_once_costs_a_retry_or_the_bars_it_spoiled(yahoo, kind):
    source = patient(yahoo)
    yahoo.fault(kind)
    history = ask(source)
    assert (source.meter.calls, 3270 - len(history.labels), [issue.code for issue in history.issues]) == ONCE[kind]


def test_a_reset_connection_is_tried_again(yahoo):
    yahoo.fault("reset")
    assert len(ask(patient(yahoo)).labels) == 3270


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_stays_is_no_delisting_and_leaves_nothing_behind(yahoo, kind):
    source = patient(yahoo)
    yahoo.fault(kind, times=9)
    with pytest.raises(DataUnavailable, match="AAPL") as caught:
        ask(source)
    assert not isinstance(caught.value, UnknownSymbol) and source.meter.calls == 3
    healthy = patient(yahoo)
    yahoo.heal()
    assert len(ask(healthy).labels) == 3270


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


def test_a_refusal_is_answered_with_the_cookie_and_crumb_of_yfinance(yahoo):
    yahoo.fault("401")
    ask(patient(yahoo))
    assert "crumb" in yahoo.log[-1].query


def test_the_pause_that_the_server_asks_for_is_kept(yahoo):
    pauses: list[float] = []
    yahoo.fault("429", times=2, retry_after=7)
    ask(patient(yahoo, pauses))
    assert len(pauses) == 2 and min(pauses) >= 7


def test_pauses_without_a_wish_of_the_server_are_short_and_random(yahoo):
    pauses: list[float] = []
    yahoo.fault("500", times=2)
    ask(patient(yahoo, pauses))
    assert len(pauses) == 2 and all(0 <= pause <= 8 for pause in pauses)


def test_a_server_that_does_not_answer_ends_in_an_error_in_time():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        source = YahooSource(LoopbackSession(silent.getsockname()[1]), timeout=0.1, sleep=lambda seconds: None)
        with pytest.raises(DataUnavailable, match="was not reached"):
            ask(source)


def test_one_bad_symbol_of_a_batch_stops_no_other(yahoo, tmp_path):
    yahoo.fault("500", times=3, symbol="GOOG")
    bars = MarketData(patient(yahoo), BarCache(tmp_path), ReplayClock([NOW])).bars(SYMBOLS)
    assert bars.symbols == ("AAPL", "FB", "IBM", "MSFT")
    assert [(issue.code, issue.symbol) for issue in bars.issues] == [("DATA_UNAVAILABLE", "GOOG")]


def test_a_loopback_session_never_leaves_the_machine(yahoo):
    with pytest.raises(InvalidParameter, match="yahoo.com alone"):
        yahoo.session().get("https://example.com/")


# --- the kit itself: the real yfinance runs against it


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


# --- checks of content


def block(close) -> tuple[np.ndarray, np.ndarray]:
    close = np.asarray(close, float)
    days = np.arange("2012-01-01", "2012-03-01", dtype="M8[D]").astype("M8[ns]")[: len(close)]
    return days, np.array([close, close * 1.01, close * 0.99, close, np.full(len(close), 1e6)])


def test_a_price_in_cents_is_dropped_and_a_crash_is_not():
    # AAPL fell by 51.9 % on 2000-09-29
    days, values = block([53.5, 25.75, 24.25, 22.31, 2231.0, 23.62, 22.25])
    _, kept, issues = cleaned("A", days, values)
    assert kept[3].tolist() == [53.5, 25.75, 24.25, 22.31, 23.62, 22.25]
    assert [issue.code for issue in issues] == ["JUMP"]


def test_a_high_that_misses_the_close_by_rounding_is_widened():
    days, values = block([10.0, 11.0])
    values[1, 0] = 10.0 * (1 - 1e-5)
    _, kept, issues = cleaned("A", days, values)
    assert kept[1, 0] == 10.0 and issues == ()


def test_the_last_of_a_doubled_day_is_kept():
    days, values = block([10.0, 11.0, 12.0])
    days = days[[0, 1, 1]]
    _, kept, issues = cleaned("A", days, values)
    assert kept[3].tolist() == [10.0, 12.0] and [issue.code for issue in issues] == ["DUPLICATE"]


def test_nothing_left_is_an_error_and_not_an_empty_frame():
    days, values = block([np.nan, np.nan])
    with pytest.raises(DataUnavailable, match="no usable bar"):
        cleaned("A", days, values)
