"""Weeks and months from days: the same as pandas makes them, known when their last session is."""

import numpy as np
import pandas as pd
import pytest

from toolkit.data import Bars, MarketData, ReplayClock
from toolkit.data.cache import BarCache
from toolkit.data.resample import resampled
from toolkit.errors import InvalidParameter

RULES = {"1wk": "W-SUN", "1mo": "ME"}


@pytest.mark.parametrize("interval", ["1wk", "1mo"])
@pytest.mark.parametrize("symbol", ["IBM", "FB"])
def test_without_splits_they_are_what_pandas_makes(bundled, interval, symbol):
    bars = bundled.select(symbol).since("2003-03-03")
    days = pd.concat({name: bars.traded_frame(name)[symbol] for name in ("open", "high", "low", "close", "volume")}, axis=1)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    expected = days.dropna().resample(RULES[interval]).agg(how).dropna()
    found = resampled(bars, interval)
    for name in how:
        column = found.traded_frame(name)[symbol].dropna()
        wanted = expected[name].iloc[: len(column)]
        assert np.array_equal(column, wanted) and len(wanted) >= len(expected) - 1
    assert np.array_equal(found.close[symbol].dropna(), bars.close[symbol].loc[found.close[symbol].dropna().index])


def test_a_period_has_the_label_of_its_last_session_even_before_a_holiday(bundled):
    weeks = resampled(bundled, "1wk").index
    for friday, last in (("2012-04-06", "2012-04-05"), ("2010-01-01", "2009-12-31"), ("2012-11-23", "2012-11-23")):
        assert (pd.Timestamp(last) in weeks) and (pd.Timestamp(friday) in weeks) == (friday == last)
    assert resampled(bundled, "1mo").index[-1] == pd.Timestamp("2013-02-28")  # March has one session: not over


def test_a_split_inside_of_a_period_leaves_no_jump_and_the_shares_of_its_last_day(bundled):
    apple = resampled(bundled.select("AAPL"), "1mo")  # 2:1 on 2005-02-28, the last session of the month
    february = apple.traded[:, 0, apple.index.get_loc("2005-02-28")]
    days = bundled.select("AAPL").traded[:, 0, bundled.index.slice_indexer("2005-02-01", "2005-02-28")]
    assert february[0] == days[0, 0] / 2 and february[3] == days[3, -1]
    assert february[1] == max(days[1, :-1].max() / 2, days[1, -1])
    assert february[4] == days[4, :-1].sum() * 2 + days[4, -1]
    assert apple.close["AAPL"].pct_change().abs().max() < 0.8
    assert apple.events().query("split != 1")["date"].tolist() == [pd.Timestamp("2000-06-30"), pd.Timestamp("2005-02-28")]


def test_a_week_is_known_when_its_last_session_is(tmp_path):
    clock = ReplayClock([pd.Timestamp(t, tz="UTC") for t in ("2012-11-21 22:00", "2012-11-23 17:59", "2012-11-23 18:00")])
    market, seen = MarketData(cache=BarCache(tmp_path), clock=clock), []
    while not clock.done:
        seen.append(str(market.bars("IBM", interval="1wk").index[-1])[:10])
        clock.advance()
    assert seen == ["2012-11-16", "2012-11-16", "2012-11-23"]  # Friday closed early, at 13:00 in New York


def test_the_past_of_weeks_does_not_change_when_days_come(bundled):
    whole = resampled(bundled, "1wk")
    for day in ("2012-11-20", "2012-11-23", "2008-03-03"):
        part = resampled(bundled.until(day), "1wk")
        assert part.fingerprint == whole.until(part.index[-1]).fingerprint


def test_bars_without_a_calendar_are_refused():
    index = pd.date_range("2012-01-02", periods=3)
    own = Bars.from_frame(pd.DataFrame({n: 1.0 for n in ("open", "high", "low", "close", "volume")}, index=index), symbol="X")
    with pytest.raises(InvalidParameter, match="with a calendar"):
        resampled(own, "1wk")
