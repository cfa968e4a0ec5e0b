"""Alpaca's market data over real sockets on the loopback interface, through the real alpaca-py."""

import logging
import sys
import time
import traceback

import numpy as np
import pandas as pd
import pytest
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame

from conftest import SYMBOLS
from toolkit.data import FIELDS, BarCache, Bars, MarketData
from toolkit.data.meter import Meter
from toolkit.data.pace import Pace
from toolkit.data.sources import BatchSource
from toolkit.data.sources.alpaca import AlpacaSource
from toolkit.data.sources.alpaca_wire import TRIES, Passing, Wire
from toolkit.data.sources.synthetic import SyntheticSource
from toolkit.errors import BudgetSpent, DataUnavailable, EmptyRange, InvalidParameter, ToolkitError, UnknownSymbol
from toolkit.testing.alpaca_server import AlpacaServer, Reply

NOW = pd.Timestamp("2013-03-01 21:30", tz="UTC")
SINCE, TODAY = pd.Timestamp("1990-01-01"), pd.Timestamp("2013-03-01")
WEEK = pd.Timestamp("2012-11-19"), pd.Timestamp("2012-11-26")  # Thanksgiving, and half a day
# A whole fetch of the five bundled symbols: one page of actions, two of 12,154 bars.
WHOLE = 3


class Hand:
    """A clock that shows the server's time and moves it on instead of waiting."""

    namespace = "live"

    def __init__(self, server: AlpacaServer) -> None:
        self.server, self.slept = server, []

    def now(self) -> pd.Timestamp:
        return self.server.instant

    horizon = now

    def monotonic(self) -> float:
        return time.perf_counter() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.server.now += pd.Timedelta(seconds=seconds)


@pytest.fixture
def alpaca(bundled):
    with AlpacaServer(bundled, NOW) as server:
        yield server


def source_on(server: AlpacaServer, **options) -> AlpacaSource:
    return AlpacaSource(server.key, server.secret, url=server.url, clock=Hand(server), **options)


def ask(source: AlpacaSource, symbols=SYMBOLS, span=(SINCE, TODAY), interval="1d"):
    return source.fetch_many(symbols, *span, interval)


def kinds(answers) -> dict[str, str]:
    return {symbol: each.code if isinstance(each, ToolkitError) else "bars" for symbol, each in answers.items()}


# --- prices


def test_five_symbols_arrive_as_traded_in_three_requests(alpaca, bundled):
    source = source_on(alpaca)
    answers = ask(source)
    for symbol in SYMBOLS:
        own, history = bundled.select(symbol), answers[symbol]
        priced = np.isfinite(own.traded[3, 0])
        assert np.array_equal(history.labels, own.index.to_numpy("M8[ns]")[priced])  # both halves of the year
        assert np.array_equal(history.traded, own.traded[:, 0, priced])
        acting = own.actions[(own.actions["split"] != 1.0) | (own.actions["dividend"] != 0.0)]
        assert np.array_equal(history.events["date"], own.index.to_numpy("M8[ns]")[acting["bar"]])
        assert np.array_equal(history.events["split"], acting["split"])
        assert np.array_equal(history.events["dividend"], acting["dividend"])
    assert source.meter.calls == len(alpaca.log) == WHOLE


def test_prices_through_the_cache_are_those_of_the_bundled_set(alpaca, bundled, tmp_path):
    source: BatchSource = source_on(alpaca)
    market = MarketData(source, BarCache(tmp_path), Hand(alpaca), anchor="2013-02-28")
    bars = market.bars(SYMBOLS)
    assert np.array_equal(bars.traded, bundled.traded, equal_nan=True) and bars.issues == ()
    assert source.meter.calls == WHOLE and bars.provenance["IBM"].source == "alpaca-iex"
    market.bars(SYMBOLS)
    assert source.meter.calls == WHOLE


def test_all_requests_share_one_connection(alpaca):
    ask(source_on(alpaca))
    assert len({request.port for request in alpaca.log}) <= 2  # one each for bars and actions


def with_extended_hours(minutes: Bars) -> Bars:
    """The same bars, with trades an hour before each open and after each close."""
    days = pd.DatetimeIndex(minutes.index.normalize().unique())
    frames = {}
    for k, symbol in enumerate(minutes.symbols):
        frame = pd.DataFrame(minutes.traded[:, k].T, columns=FIELDS, index=minutes.index)
        early, late = days + pd.Timedelta("13h30min"), days + pd.Timedelta("21h")
        outside = pd.DataFrame(1.0, columns=FIELDS, index=early.append(late))
        frames[symbol] = pd.concat([frame, outside]).sort_index()
    return Bars.from_frame(frames, interval=minutes.interval)


def intraday(interval: str) -> Bars:
    frames = {}
    for symbol in ("AAA", "BBB"):
        history = SyntheticSource(4).fetch(symbol, *WEEK, interval)
        frames[symbol] = pd.DataFrame(history.traded.T, columns=FIELDS, index=pd.DatetimeIndex(history.labels, tz="UTC"))
    return with_extended_hours(Bars.from_frame(frames, interval=interval))


@pytest.mark.parametrize("interval", ["1m", "2m", "5m", "15m", "30m", "1h"])
def test_intraday_bars_are_those_of_regular_hours(interval):
    with AlpacaServer(intraday("30m" if interval == "1h" else interval), NOW) as server:
        answers = ask(source_on(server), ["AAA", "BBB"], WEEK, interval)
    for symbol, history in answers.items():
        expected = SyntheticSource(4).fetch(symbol, *WEEK, interval)  # its hours begin at the open, half past nine
        assert np.array_equal(history.labels, expected.labels)
        assert np.array_equal(history.traded, expected.traded)


def test_a_range_without_a_session_costs_no_request(alpaca):
    source = source_on(alpaca)
    saturday, sunday = pd.Timestamp("2012-11-24"), pd.Timestamp("2012-11-25")
    assert set(kinds(ask(source, span=(saturday, sunday))).values()) == {"EMPTY_RANGE"}
    with pytest.raises(EmptyRange, match="AAPL: there is no session"):
        source.fetch("AAPL", saturday, sunday, "1d")
    assert alpaca.log == []


def test_only_what_anybody_may_see_of_all_exchanges_is_asked_for(alpaca):
    alpaca.now = pd.Timestamp("2013-03-01 18:00", tz="UTC")
    for feed in ("sip", "iex"):
        ask(source_on(alpaca, feed=feed), span=(TODAY, TODAY + pd.Timedelta(days=1)))
    ends = {request.query["feed"]: request.query["end"] for request in alpaca.log if "feed" in request.query}
    assert ends == {"sip": "2013-03-01T17:44:00Z", "iex": "2013-03-01T20:59:59Z"}


# --- actions


def test_a_dividend_is_found_although_it_is_processed_after_the_range(alpaca):
    ex = pd.Timestamp("2013-02-06")  # of IBM; the kit processes it on the 27th
    history = source_on(alpaca).fetch("IBM", ex - pd.Timedelta(days=1), ex, "1d")
    assert history.events.tolist() == [(ex.value, 1.0, 0.85)]
    asked = next(request.query for request in alpaca.log if request.path == "/v1/corporate-actions")
    assert asked["end"] > "2013-02-27"


def test_thousands_of_actions_come_page_by_page():
    index = pd.bdate_range("2005-01-03", periods=1500)
    frame = pd.DataFrame(1.0, columns=FIELDS, index=index)
    rows = [(day, symbol, 1.0, 0.25) for symbol in ("A", "B") for day in index]
    actions = pd.DataFrame(rows, columns=["date", "symbol", "split", "dividend"])
    with AlpacaServer(Bars.from_frame({"A": frame, "B": frame}, actions=actions), NOW) as server:
        answers = ask(source_on(server), ["A", "B"])
        assert [len(history.events) for history in answers.values()] == [1500, 1500]
        assert sum(request.path == "/v1/corporate-actions" for request in server.log) == 3


def answering(server: AlpacaServer, path: str, body) -> AlpacaServer:
    server.routes["GET", path] = lambda _, request: Reply(body)
    return server


def test_several_actions_of_a_day_are_one_and_what_cannot_be_booked_is_an_issue(alpaca):
    about = {"symbol": "IBM", "ex_date": "2013-02-06"}
    kinds_of_actions = {
        "forward_splits": [{**about, "new_rate": 3, "old_rate": 2}],
        "reverse_splits": [{**about, "new_rate": 1, "old_rate": 10}],
        "cash_dividends": [
            {**about, "rate": 0.5},
            {**about, "rate": 2, "special": True},
            {**about, "rate": 7, "currency": "EUR"},
        ],
        "spin_offs": [{"source_symbol": "IBM", "new_symbol": "KD", "ex_date": "2013-02-07", "new_rate": 1, "source_rate": 5}],
    }
    answering(alpaca, "/v1/corporate-actions", {"corporate_actions": kinds_of_actions, "next_page_token": None})
    history = source_on(alpaca).fetch("IBM", SINCE, TODAY, "1d")
    assert history.events.tolist() == [(pd.Timestamp("2013-02-06").value, 1.5 * 1 / 10, 2.5)]
    assert [(issue.code, issue.message[:25]) for issue in history.issues] == [
        ("ACTION_NOT_BOOKED", "cash_dividend on 2013-02-0"[:25]),
        ("ACTION_NOT_BOOKED", "spin_off on 2013-02-07: p"),
    ]


# --- what the wire does not tell


def test_a_symbol_that_is_not_in_the_reply_is_not_called_unknown(alpaca):
    answers = ask(source_on(alpaca), ["AAPL", "XOM"])
    assert kinds(answers) == {"AAPL": "bars", "XOM": "DATA_UNAVAILABLE"}
    assert "sent no bar from 1990-01-01 to 2013-03-01, and does not say why" in str(answers["XOM"])


def test_an_invalid_symbol_is_unknown_and_stops_no_other(alpaca):
    source = source_on(alpaca)
    answers = ask(source, ["AAPL", "BRK-B", "IBM", "^GSPC"])
    assert kinds(answers) == {"AAPL": "bars", "BRK-B": "UNKNOWN_SYMBOL", "IBM": "bars", "^GSPC": "UNKNOWN_SYMBOL"}
    assert "with a dot, e.g. BRK.B" in answers["BRK-B"].cure
    with pytest.raises(UnknownSymbol):
        source.fetch("^GSPC", SINCE, TODAY, "1d")


# --- faults

PASSING = ("429", "500", "504", "html", "truncated", "short", "reset")


@pytest.mark.parametrize("path", ["bars", "actions"])
@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_strikes_once_costs_exactly_one_request(alpaca, kind, path):
    source = source_on(alpaca)
    alpaca.fault(kind, path=path)
    answers = ask(source, ["FB", "GOOG"])
    assert [len(history.labels) for history in answers.values()] == [196, 2148]
    assert source.meter.calls == len(alpaca.log) == 2 + 1


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_stays_is_tried_three_times_and_is_no_delisting(alpaca, kind):
    source = source_on(alpaca)
    alpaca.fault(kind, times=99)
    assert kinds(ask(source, ["FB", "GOOG"])) == {"FB": "DATA_UNAVAILABLE", "GOOG": "DATA_UNAVAILABLE"}
    assert source.meter.calls == len(alpaca.log) == TRIES
    alpaca.heal()
    assert kinds(ask(source_on(alpaca), ["FB", "GOOG"])) == {"FB": "bars", "GOOG": "bars"}


@pytest.mark.parametrize("kind", ["stall", "drip"])
def test_a_server_that_holds_us_ends_in_an_error_in_time(alpaca, kind):
    source = source_on(alpaca, timeout=0.15)
    alpaca.fault(kind, times=99)
    begun = time.perf_counter()
    with pytest.raises(DataUnavailable, match="AAPL: Alpaca was not reached"):
        source.fetch("AAPL", SINCE, TODAY, "1d")
    assert time.perf_counter() - begun < 2.0 and source.meter.calls == TRIES


@pytest.mark.parametrize("kind", ["504", "429", "reset"])
def test_an_order_would_be_sent_exactly_once(alpaca, kind):
    alpaca.routes["POST", "/v2/orders"] = lambda server, request: Reply({"id": "1"})
    alpaca.fault(kind)
    meter, clock = Meter(), Hand(alpaca)
    wire = Wire(meter, Pace(clock=clock), clock, 5.0, ())
    keys = {"APCA-API-KEY-ID": alpaca.key, "APCA-API-SECRET-KEY": alpaca.secret}
    with pytest.raises(Passing):
        wire.request("POST", f"{alpaca.url}/v2/orders", headers=keys, json={"symbol": "IBM"})
    assert [request.method for request in alpaca.log] == ["POST"] and meter.calls == 1


def test_what_had_come_before_a_page_failed_is_kept(alpaca):
    alpaca.fault("500", times=99, path="bars", skip=1)  # the first 10,000 bars end inside of MSFT
    answers = ask(source_on(alpaca))
    assert kinds(answers) == {**dict.fromkeys(SYMBOLS, "bars"), "MSFT": "DATA_UNAVAILABLE"}
    assert len(answers["IBM"].labels) == 3270


def test_every_page_is_counted_and_the_budget_ends_in_the_middle(alpaca):
    source = source_on(alpaca)
    source.meter.allow(2)
    answers = ask(source)
    assert kinds(answers) == {**dict.fromkeys(SYMBOLS, "bars"), "MSFT": "BUDGET_SPENT"}
    assert isinstance(answers["MSFT"], BudgetSpent) and len(alpaca.log) == 2


def test_the_pause_that_alpaca_asks_for_is_kept(alpaca):
    source = source_on(alpaca)
    alpaca.fault("429", headers={"Retry-After": "7"})
    source.fetch("AAPL", SINCE, TODAY, "1d")
    assert sum(source._clock.slept) >= 7


def test_a_spent_minute_is_waited_out_by_the_reset_that_alpaca_names(alpaca):
    alpaca.limit, alpaca.now = 2, pd.Timestamp("2013-03-01 21:30:45", tz="UTC")
    source = source_on(alpaca)
    assert set(kinds(ask(source)).values()) == {"bars"}
    assert source.meter.calls == WHOLE + 1 and 14 <= sum(source._clock.slept) <= 30


def test_a_long_pause_is_an_error_that_says_until_when(alpaca):
    source = source_on(alpaca)
    alpaca.fault("429", headers={"Retry-After": "600"})
    with pytest.raises(DataUnavailable, match="AAPL: .*until.* 21:40:00"):
        source.fetch("AAPL", SINCE, TODAY, "1d")
    assert source.meter.calls == 1


STRANGE = {
    "another symbol": (
        {"bars": {"ZZZ": [{"t": "2013-02-06T05:00:00Z", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}]}},
        "bars of ZZZ",
    ),
    "no bars": ({"rows": {}}, "KeyError: 'bars'"),
    "null": ({"bars": None, "next_page_token": None}, "sent no bar"),
    "a list": ([], "sent a list for a page"),
    "a text": ({"bars": {"IBM": ["x"]}}, "bars cannot be read"),
    "a price that is none": (
        {"bars": {"IBM": [{"t": "2013-02-06T05:00:00Z", "o": "x", "h": 1, "l": 1, "c": 1, "v": 1}]}},
        "cannot be read",
    ),
    "a time that is none": ({"bars": {"IBM": [{"t": "soon", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}]}}, "cannot be read"),
    "a circle": ({"bars": {}, "next_page_token": "again"}, "sent the page 'again' twice"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_page_is_an_error_with_a_name(alpaca, kind):
    body, complaint = STRANGE[kind]
    with pytest.raises(DataUnavailable, match=complaint) as caught:
        source_on(answering(alpaca, "/v2/stocks/bars", body)).fetch("IBM", SINCE, TODAY, "1d")
    assert type(caught.value) is not UnknownSymbol and caught.value.symbol == "IBM"


def test_actions_that_cannot_be_read_stop_their_symbol_alone(alpaca):
    rows = [{"symbol": "IBM", "ex_date": "2013-02-06", "new_rate": 2, "old_rate": 0}]
    answering(alpaca, "/v1/corporate-actions", {"corporate_actions": {"forward_splits": rows}, "next_page_token": None})
    assert kinds(ask(source_on(alpaca), ["AAPL", "IBM"])) == {"AAPL": "bars", "IBM": "DATA_UNAVAILABLE"}


# --- keys

CANARY_KEY, CANARY = "PKCANARYKEY123", "canary-secret-456"


def test_keys_appear_in_no_log_no_text_and_no_error(alpaca, caplog):
    alpaca.key, alpaca.secret = CANARY_KEY, CANARY
    said = []
    with caplog.at_level(logging.DEBUG):
        source = source_on(alpaca)
        said += [repr(source), str(source), source.name, source.edition, repr(ask(source))]
        for kind in (*PASSING, "refused"):
            if kind == "refused":
                alpaca.routes["GET", "/v2/stocks/bars"] = lambda _, request: Reply(
                    {"message": f"no {CANARY_KEY}:{CANARY}"}, 403
                )
            else:
                alpaca.fault(kind, times=TRIES)
            try:
                source_on(alpaca).fetch("IBM", SINCE, TODAY, "1d")
            except DataUnavailable as error:
                said += [repr(error), str(error), traceback.format_exc(), repr(error.__cause__)]
    said += [caplog.text, *(str(record.__dict__) for record in caplog.records)]
    assert "no ***:***" in "".join(said) and len(said) > 30
    assert not any(CANARY in text or CANARY_KEY in text for text in said)


@pytest.mark.parametrize("key, secret", [("k y", "s"), ("k", "s\n"), ("k", "sécret")])
def test_a_key_that_cannot_be_is_refused_without_showing_it(key, secret):
    with pytest.raises(InvalidParameter, match="copy it again") as caught:
        AlpacaSource(key, secret)
    assert repr(key if " " in key else secret) not in str(caught.value)


def test_wrong_keys_are_told_at_the_first_request(alpaca):
    source = AlpacaSource("PKWRONG", "wrong", url=alpaca.url, clock=Hand(alpaca))
    with pytest.raises(DataUnavailable, match="answered 401: unauthorized.*check the keys"):
        source.fetch("AAPL", SINCE, TODAY, "1d")
    assert len(alpaca.log) == 1


def test_keys_come_from_the_environment_or_are_asked_for(alpaca, monkeypatch):
    monkeypatch.setenv("APCA_API_KEY_ID", alpaca.key)
    monkeypatch.setenv("APCA_API_SECRET_KEY", alpaca.secret)
    assert set(kinds(ask(AlpacaSource(url=alpaca.url, clock=Hand(alpaca)))).values()) == {"bars"}
    monkeypatch.delenv("APCA_API_SECRET_KEY")
    with pytest.raises(InvalidParameter, match="secret of Alpaca is missing; set APCA_API_KEY_ID"):
        AlpacaSource(url=alpaca.url)


@pytest.mark.parametrize("url", ["http://data.alpaca.markets", "ftp://127.0.0.1", "http://127.0.0.1.evil.com", "127.0.0.1"])
def test_keys_never_travel_in_the_clear(url):
    with pytest.raises(InvalidParameter, match="pass an https address"):
        AlpacaSource("k", "s", url=url)


# --- the rest of a source, and the kit


def test_without_alpaca_py_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "alpaca.data.historical.stock", None)
    with pytest.raises(DataUnavailable, match=r"pip install 'toolkit\[alpaca\]'"):
        AlpacaSource("k", "s", url="http://127.0.0.1:1")


def test_what_it_does_not_serve_is_said():
    source = AlpacaSource("k", "s", url="http://127.0.0.1:1")
    assert source.reach("1m") is None and isinstance(source, BatchSource)
    for ask_for in (
        lambda: source.reach("1wk"),
        lambda: ask(source, interval="4h"),
        lambda: AlpacaSource("k", "s", feed="otc"),
    ):
        with pytest.raises(InvalidParameter):
            ask_for()


def test_a_session_under_way_shows_its_open_alone(alpaca, bundled):
    alpaca.now = pd.Timestamp("2013-02-28 15:00", tz="UTC")
    history = source_on(alpaca).fetch("IBM", pd.Timestamp("2013-02-27"), TODAY, "1d")
    begun = bundled.select("IBM").until("2013-02-28").traded[0, 0, -1]
    assert history.traded[:, -1].tolist() == [begun] * 4 + [0.0] and len(history.labels) == 2


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
def test_alpaca_py_itself_reads_the_kit(alpaca, bundled):
    client = StockHistoricalDataClient(alpaca.key, alpaca.secret, url_override=alpaca.url)
    frame = client.get_stock_bars(
        StockBarsRequest(symbol_or_symbols=SYMBOLS, timeframe=TimeFrame.Day, start=SINCE.to_pydatetime())
    ).df
    assert len(frame) == 12_154
    assert np.array_equal(frame.loc["IBM"]["close"], bundled.select("IBM").traded[3, 0])


def test_unknown_faults_are_refused(alpaca):
    with pytest.raises(InvalidParameter, match="429, 500, 504"):
        alpaca.fault("flood")
