"""What Yahoo's charts say, over real sockets: bars as traded, whatever it has done for splits; minutes of regular hours."""

import json

import numpy as np
import pandas as pd
import pytest
from loopback import NOW, SYMBOLS, TODAY, ask, minute_bars, patient

from toolkit.data import FIELDS, BarCache, Bars, Calendar, MarketData, ReplayClock
from toolkit.data.adjust import EVENT
from toolkit.data.sources.yahoo import REACH, YahooSource
from toolkit.data.sources.yahoo_chart import judged
from toolkit.errors import DataUnavailable, InvalidParameter
from toolkit.testing.yahoo_chart import acted
from toolkit.testing.yahoo_server import SkippingClock, YahooServer

pytestmark = pytest.mark.usefixtures("pauses")


def market_of(close, ratio: float, at: int, dividends=(0.0, 0.0)) -> Bars:
    """One symbol A from 2012-01-03 on, closes as traded, a split at bar `at`, dividends on that day and the next."""
    index = Calendar("XNYS").sessions_between("2012-01-03", "2012-12-31")[: len(close)]
    frame = pd.DataFrame(dict.fromkeys(FIELDS[:4], close) | {"volume": 7_000_000.0}, index=index)
    days = {"date": [index[at], index[at + 1]], "symbol": "A", "split": [ratio, 1.0], "dividend": dividends}
    return Bars.from_frame(frame, symbol="A", actions=pd.DataFrame(days), calendar="XNYS")


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
    assert history.issues == ()


@pytest.mark.parametrize("ratio", [7.0, 1.5, 0.1])
def test_odd_splits_are_undone_to_a_hundredth_of_a_cent(ratio):
    close = np.round(20 + np.sin(np.arange(61.0)), 2)
    close[30:] = np.round(close[30:] / ratio, 2)
    bars = market_of(close, ratio, 30, (2.5, 0.3))
    with YahooServer(bars, NOW) as server:
        history = ask(patient(server), "A")
    assert np.abs(history.traded[:4] - close).max() <= 1e-4
    assert np.array_equal(history.traded[4], bars.traded[4, 0])
    assert history.events["split"].tolist() == [ratio, 1.0]
    assert history.events["dividend"] == pytest.approx([2.5, 0.3])


@pytest.mark.parametrize("level", [0.00001234, 0.0567, 0.85, 12.34, 819.99, 8123.45, 141_299.87])
def test_cents_survive_single_precision_at_every_level(level):
    digits = 2 if level > 1 else 4 - int(np.floor(np.log10(level)))
    close = level * (1 + 0.01 * np.sin(np.arange(40.0)))
    close[20:] /= 1.5
    close = np.round(close, digits)
    with YahooServer(market_of(close, 1.5, 20), NOW) as server:
        history = ask(patient(server), "A")
    # a float32 of about 1.4e5 has steps of 1/64: no rounding brings each cent back
    assert np.abs(history.traded[3] - close).max() <= (1e-12 if level < 100_000 else 0.01 + 1e-9)


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


def test_a_range_that_ended_long_ago_is_asked_with_the_splits_since(yahoo, bundled):
    # the 2:1 split of 2005-02-28 lies after the range; its prices are divided by it all the same
    history = ask(patient(yahoo), end=pd.Timestamp("2004-12-31"))
    own = bundled.select("AAPL").until("2004-12-31")
    assert np.array_equal(history.traded, own.traded[:, 0]) and len(yahoo.charts) == 2
    assert history.events["date"].tolist() == own.events()["date"].to_numpy().astype("M8[ns]").tolist()


def test_minutes_of_the_past_are_asked_with_the_splits_since(bundled):
    daily = acted(bundled.select("AAPL"), "AAPL", "2013-02-27", split=7.0)
    minutes = acted(minute_bars("AAPL"), "AAPL", "2013-02-27 14:30", split=7.0)
    with YahooServer(daily, NOW, intraday=[minutes]) as server:
        history = ask(patient(server), "AAPL", "1m", pd.Timestamp("2013-02-19"), pd.Timestamp("2013-02-20"))
    days = np.isin(minutes.index.strftime("%d"), ["19", "20"])
    assert len(history.labels) == 2 * 390 and history.events.tolist() == []
    assert np.allclose(history.traded, minutes.traded[:, 0, days], rtol=2e-4)


# --- splits that Yahoo lists without having applied them, or has applied twice


def drift(n: int, move: float = 0.02, seed: int = 3) -> np.ndarray:
    return 60.0 * np.exp(np.cumsum(move * np.random.default_rng(seed).standard_normal(n)))


@pytest.mark.parametrize("at", [1, 20, 38])
@pytest.mark.parametrize("ratio", [7.0, 4.0, 1.5, 0.5, 0.1])
@pytest.mark.parametrize(
    ("fault", "code"), [("split_not_applied", "SPLIT_NOT_APPLIED"), ("split_twice", "SPLIT_APPLIED_TWICE")]
)
def test_what_was_really_done_is_undone(ratio, at, fault, code):
    close = drift(40)
    close[at:] /= ratio
    bars = market_of(np.round(close, 2), ratio, at, (2.5, 0.3))
    with YahooServer(bars, NOW) as server:
        server.fault(fault)
        history = ask(patient(server), "A")
    assert [issue.code for issue in history.issues] == [code]
    assert np.allclose(history.traded[:4], bars.traded[:4, 0], rtol=2e-4, atol=1e-4)
    assert np.allclose(history.traded[4], bars.traded[4, 0], rtol=1e-6)
    assert history.events["split"].tolist() == [ratio, 1.0] and history.events["dividend"] == pytest.approx([2.5, 0.3])


def test_of_two_splits_only_the_one_that_was_not_applied_is_named():
    close = drift(60)
    close[20:] /= 2.0
    close[40:] /= 7.0
    bars = market_of(np.round(close, 2), 2.0, 20)
    with YahooServer(bars, NOW) as server:
        server.announce_split("A", bars.index[50], 3.0, applied=False)
        truth = server.bars.traded[:, 0]
        history = ask(patient(server), "A")
        assert [issue.code for issue in history.issues] == ["SPLIT_NOT_APPLIED"]
        assert str(bars.index[50].date()) in history.issues[0].message
        assert np.allclose(history.traded, truth, rtol=2e-4)
        server.heal()
        healed = ask(patient(server), "A")
    assert healed.issues == () and np.allclose(healed.traded, history.traded, rtol=2e-4)


@pytest.mark.parametrize("ratio", [1.5, 2.0, 7.0, 0.1])
def test_splits_are_judged_right_across_real_gaps(bundled, ratio):
    """Any day of AAPL might have been an ex-date. In the nights before 2000-09-29 and 2000-12-06 it fell by 47 % and 14 %."""
    labels, splits = bundled.index.to_numpy(), np.zeros(1, EVENT)
    own = bundled.select("AAPL").traded[:, 0] / np.where(labels < np.datetime64("2000-06-21"), 4, 1)
    wrong = {0: [], 1: [], 2: []}
    crash = int(np.searchsorted(labels, np.datetime64("2000-09-29")))
    for at in [*range(90, 1200, 7), crash]:
        splits["date"], splits["split"] = labels[at], ratio
        for times, days in wrong.items():
            near = slice(at - 5, at + 5)
            served = own[:, near].copy()
            served[:4, :5] *= ratio ** (1 - times)
            found, _ = judged("AAPL", labels[near], served, splits)
            if found[0] != times:
                days.append(str(labels[at])[:10])
    assert wrong[1] == (["2000-09-29"] if ratio in (1.5, 2.0) else [])
    assert set(wrong[0] + wrong[2]) <= {"2000-09-29", "2000-12-06"}


@pytest.mark.parametrize("beside", [19, 20])
@pytest.mark.parametrize("factor", [100.0, 0.01, np.nan, -1.0])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_bad_row_beside_the_split_does_not_decide(times, factor, beside):
    close, splits = drift(40), np.zeros(1, EVENT)
    served = np.array([close] * 5)
    served[:4, :20] *= 7.0 ** (1 - times)
    served[:4, beside] *= factor
    days = Calendar("XNYS").sessions_between("2012-01-03", "2012-12-31").to_numpy()[:40]
    splits["date"], splits["split"] = days[20], 7.0
    found, issues = judged("A", days, served, splits)
    assert found.tolist() == [times] and len(issues) == (times != 1)


def test_a_crash_on_the_day_of_a_split_is_not_taken_for_an_error_of_yahoo():
    close = drift(40)
    close[20:] *= 0.75 / 4.0
    with YahooServer(market_of(np.round(close, 2), 4.0, 20), NOW) as server:
        history = ask(patient(server), "A")
    assert history.issues == () and np.allclose(history.traded[3], np.round(close, 2), rtol=2e-4)


def test_a_split_that_fits_no_price_is_taken_as_applied_and_named():
    close = drift(40)
    close[20:] *= 3.0 / 7.0
    with YahooServer(market_of(np.round(close, 2), 7.0, 20), NOW) as server:
        history = ask(patient(server), "A")
    assert [issue.code for issue in history.issues] == ["SPLIT_SUSPECT"]
    assert np.allclose(history.traded[3], np.round(close, 2), rtol=2e-4)


def test_a_split_before_the_first_bar_counts_as_applied(yahoo, bundled):
    history = ask(patient(yahoo), start=pd.Timestamp("2005-02-28"))
    assert history.issues == ()
    assert np.array_equal(history.traded, bundled.select("AAPL").since("2005-02-28").traded[:, 0])


def test_a_fall_by_the_ratio_of_a_split_that_is_not_listed_is_suspect():
    close = drift(40, move=0.005)
    close[37:] /= 7.0
    with YahooServer(market_of(np.round(close, 2), 7.0, 37), NOW) as server:
        server.fault("split_unknown")
        history = ask(patient(server), "A")
    assert [issue.code for issue in history.issues] == ["SPLIT_SUSPECT"]
    assert "none is listed" in history.issues[0].message
    assert np.allclose(history.traded[3], np.round(close, 2), rtol=2e-4)  # the bars are right: only the event is lacking


def test_no_day_of_thirteen_years_of_real_prices_is_suspect(yahoo):
    """AAPL fell by 51.9 % on 2000-09-29: each day is the newest one once, in steps of five."""
    source = patient(yahoo, rate=1e6)
    days = Calendar("XNYS").sessions_between("2000-03-10", "2001-03-01")
    yahoo_of = {day: ask(source, "AAPL", start=day - pd.Timedelta("30D"), end=day) for day in days[::5]}
    assert {issue.code for history in yahoo_of.values() for issue in history.issues} == set()


# --- minutes


@pytest.fixture
def minutes(bundled):
    with YahooServer(bundled, NOW, intraday=[minute_bars()]) as server:
        yield server


def test_minutes_are_labelled_by_their_opening_instants(minutes):
    history = ask(patient(minutes), "A", "1m", pd.Timestamp("2013-02-27"), TODAY)
    truth = minute_bars().tail(3 * 390)
    assert np.array_equal(history.labels, truth.index.tz_localize(None).to_numpy()) and len(history.labels) == 3 * 390
    assert np.array_equal(history.traded, truth.traded[:, 0])
    assert str(history.labels[0]) == "2013-02-27T14:30:00.000000000"


def test_more_minutes_than_a_reply_holds_are_asked_for_in_several_requests(minutes):
    history = ask(patient(minutes), "A", "1m", pd.Timestamp("2013-02-08"), TODAY)
    assert len(history.labels) == 15 * 390 and (np.diff(history.labels) > np.timedelta64(0)).all()
    spans = [int(request.query["period2"]) - int(request.query["period1"]) for request in minutes.log]
    assert len(spans) == 4 and max(spans) <= 7 * 86_400
    bounds = [int(request.query[name]) for request in minutes.log for name in ("period1", "period2")]
    assert all(earlier < later for earlier, later in zip(bounds, bounds[1:]))  # both ends of a period are included


def test_no_request_goes_back_further_than_yahoo_keeps(minutes):
    history = ask(patient(minutes), "A", "1m", pd.Timestamp("2013-01-02"), TODAY)
    assert history.labels[0] > np.datetime64("2013-01-30") and len(history.labels) == 21 * 390


def test_a_split_inside_of_minutes_is_undone_in_them():
    since = pd.Timestamp("2013-02-22")
    with YahooServer(minute_bars(days=6), NOW) as server:
        server.announce_split("A", "2013-02-26 14:30", 7.0)
        truth = server.bars.traded[:, 0]
        history = ask(patient(server), "A", "1m", since, TODAY)
        assert np.allclose(history.traded, truth, rtol=2e-4) and history.events["split"].tolist() == [7.0]
        assert history.events["date"][0] == np.datetime64("2013-02-26") and history.issues == ()
        server.fault("split_not_applied", times=9)
        again = ask(patient(server), "A", "1m", since, TODAY)
    assert [issue.code for issue in again.issues] == ["SPLIT_NOT_APPLIED"]
    assert np.allclose(again.traded, truth, rtol=2e-4)


def chart_of(stamps, zone="America/New_York", live=0, interval="30m", currency="USD") -> str:
    quote = {name: [10.0] * len(stamps) for name in FIELDS}
    meta = {"symbol": "A", "currency": currency, "exchangeTimezoneName": zone, "dataGranularity": interval}
    result = {"meta": meta | {"regularMarketTime": live}, "timestamp": stamps, "indicators": {"quote": [quote]}}
    return json.dumps({"chart": {"result": [result], "error": None}})


class Scripted:
    """A session that answers each request with the next of `bodies`."""

    def __init__(self, *bodies: str) -> None:
        self.bodies = list(bodies)

    def get(self, url, **options):
        self.content, self.status_code, self.headers = self.bodies.pop(0).encode(), 200, {}
        return self


def seconds(*times: str) -> list[int]:
    return [int(pd.Timestamp(f"2013-03-01 {time}", tz="America/New_York").timestamp()) for time in times]


def test_only_regular_hours_are_kept_and_no_running_quote():
    stamps = seconds("09:00", "09:30", "10:00", "15:30", "16:00")
    running = seconds("09:30", "10:00", "10:17:23")
    source = YahooSource(Scripted(chart_of(stamps), chart_of(running, live=running[-1])), clock=SkippingClock(NOW))
    kept = [str(label)[11:16] for label in ask(source, "A", "30m", TODAY, TODAY).labels]
    assert kept == ["14:30", "15:00", "20:30"]
    assert [str(label)[11:16] for label in ask(source, "A", "30m", TODAY, TODAY).labels] == ["14:30", "15:00"]


def test_a_running_quote_on_the_half_hour_is_seen_by_what_it_follows():
    stamps = seconds("09:30", "10:30", "11:00")
    source = YahooSource(Scripted(chart_of(stamps, interval="1h")), clock=SkippingClock(NOW))
    assert [str(label)[11:16] for label in ask(source, "A", "1h", TODAY, TODAY).labels] == ["14:30", "15:30"]


def test_an_hour_that_begins_after_a_lunch_break_is_kept():
    stamps = [
        int(pd.Timestamp(f"2013-03-01 {time}", tz="Asia/Tokyo").timestamp()) for time in ("09:00", "10:00", "12:30", "13:30")
    ]
    source = YahooSource(Scripted(chart_of(stamps, "Asia/Tokyo", interval="60m")), clock=SkippingClock(NOW))
    history = ask(source, "A", "1h", TODAY, TODAY)
    assert len(history.labels) == 4 and history.calendar == "XTKS"


def test_the_running_quote_of_a_day_replaces_its_row(yahoo, bundled):
    yahoo.fault("live_row")
    history = ask(patient(yahoo))
    assert np.array_equal(history.traded, bundled.select("AAPL").traded[:, 0]) and history.issues == ()


def test_a_week_without_a_session_among_others_is_no_error():
    stamps = seconds("09:30", "09:31")
    bodies = [chart_of([], interval="1m")] * 3 + [chart_of(stamps, interval="1m")]
    source = YahooSource(Scripted(*bodies), clock=SkippingClock(NOW))
    assert len(ask(source, "A", "1m", pd.Timestamp("2013-02-20"), TODAY).labels) == 2
    source = YahooSource(Scripted(*bodies[:3] * 2), clock=SkippingClock(NOW))
    with pytest.raises(DataUnavailable, match="without a row"):
        ask(source, "A", "1m", pd.Timestamp("2013-02-20"), TODAY)


def test_a_range_that_ends_before_it_begins_is_an_error_of_its_own():
    with pytest.raises(DataUnavailable, match="no session"):
        ask(YahooSource(Scripted(), clock=SkippingClock(NOW)), "A", "1m", TODAY, pd.Timestamp("2013-02-20"))


def test_a_reply_of_another_interval_is_refused():
    bodies = [chart_of(seconds("09:30"), interval="1d")] * 3
    with pytest.raises(DataUnavailable, match="bars of 1d instead of 30m"):
        ask(YahooSource(Scripted(*bodies), clock=SkippingClock(NOW)), "A", "30m", TODAY, TODAY)


def test_a_volume_below_zero_stays_below_zero():
    """Yahoo's volumes are divided by later splits: rounded, -1 would pass for 0."""
    with YahooServer(market_of(np.full(40, 10.0), 7.0, 38), NOW) as server:
        server.fault("negative_volume")
        assert ask(patient(server), "A").traded[4].min() < 0


def test_a_row_of_the_future_is_passed_on_for_the_cache_to_name(yahoo):
    yahoo.fault("future")
    assert ask(patient(yahoo)).labels[-1] == np.datetime64("2013-03-08")


def test_pence_stay_pence():
    source = YahooSource(Scripted(chart_of(seconds("09:30"), interval="1d", currency="GBp")), clock=SkippingClock(NOW))
    assert ask(source, "A", "1d", TODAY, TODAY).currency == "GBp"


def test_the_reach_is_what_yahoo_keeps():
    days = {interval: reach and reach.days for interval, reach in REACH.items()}
    assert days == {"1d": None, "1m": 7, "2m": 60, "5m": 60, "15m": 60, "30m": 60, "1h": 730}
    with pytest.raises(InvalidParameter, match="1wk"):
        YahooSource(Scripted()).reach("1wk")
