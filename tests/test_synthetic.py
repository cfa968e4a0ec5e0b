"""The market that never was: the same for everyone who asks, minutes that add up, and returns that look like returns."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from toolkit.data import ANCHOR, BarCache, Calendar, History, MarketData, ReplayClock
from toolkit.data.adjust import factors
from toolkit.data.sources import Source
from toolkit.data.sources.synthetic import SyntheticSource
from toolkit.errors import BudgetSpent, InvalidParameter, InvalidSymbol
from toolkit.kernels import synthetic

FIRST, LAST = pd.Timestamp("2000-01-03"), pd.Timestamp("2025-12-31")
SYMBOLS = [f"S{n}" for n in range(40)]
INTERVALS = ["1d", "1m", "2m", "5m", "15m", "30m", "1h"]


def digest(history: History) -> str:
    parts = (history.labels, np.ascontiguousarray(history.traded), history.events)
    return hashlib.blake2b(b"".join(part.tobytes() for part in parts)).hexdigest()


def day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


@pytest.fixture(scope="module")
def histories() -> dict[str, History]:
    source = SyntheticSource(1)
    return {symbol: source.fetch(symbol, FIRST, LAST, "1d") for symbol in SYMBOLS}


# --- the same for everyone


def digests(source: SyntheticSource, symbols: list[str]) -> dict[str, list[str]]:
    def ask(symbol: str) -> list[str]:
        long, short = (FIRST, LAST), (day("2011-11-01"), day("2011-12-31"))
        return [digest(source.fetch(symbol, *long, "1d")), digest(source.fetch(symbol, *short, "1m"))]

    return {symbol: ask(symbol) for symbol in symbols}


def test_the_order_of_questions_changes_no_bit():
    symbols = SYMBOLS[:10]
    assert digests(SyntheticSource(3), symbols) == digests(SyntheticSource(3), symbols[::-1])


def test_threads_change_no_bit():
    symbols, source = SYMBOLS[:10], SyntheticSource(3)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda symbol: digests(source, [symbol]), symbols * 4))
    alone = digests(SyntheticSource(3), symbols)
    assert all(answer[symbol] == alone[symbol] for answer in answers for symbol in answer)


def test_another_process_has_the_same_bars():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_synthetic import *; print(digests(SyntheticSource(3), ['A']))"
    )
    command = [sys.executable, "-c", program, str(__file__).rpartition("/")[0]]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert answer.strip() == str(digests(SyntheticSource(3), ["A"]))


@pytest.mark.parametrize("interval", INTERVALS)
def test_a_day_does_not_depend_on_the_range_asked_for(interval):
    source, rng = SyntheticSource(5), np.random.default_rng(0)
    whole = source.fetch("AAA", day("2019-01-01"), day("2020-12-31"), interval)
    for _ in range(5):
        first, last = np.sort(rng.choice(pd.date_range("2019-01-01", "2020-12-31"), 2))
        part = source.fetch("AAA", pd.Timestamp(first), pd.Timestamp(last), interval)
        days = whole.labels.astype("M8[D]")
        kept = (days >= first) & (days <= last)
        assert np.array_equal(part.labels, whole.labels[kept]) and np.array_equal(part.traded, whole.traded[:, kept])
        inside = (whole.events["date"] >= first) & (whole.events["date"] <= last)
        assert np.array_equal(part.events, whole.events[inside])


def test_a_seed_and_a_name_each_make_another_market():
    prices = {
        (seed, symbol): SyntheticSource(seed).fetch(symbol, FIRST, LAST, "1d").traded[3, :100].tolist()
        for seed in (0, 1)
        for symbol in ("A", "B")
    }
    assert len({tuple(closes) for closes in prices.values()}) == 4
    assert SyntheticSource(0).edition != SyntheticSource(1).edition
    assert SyntheticSource(1).name == "synthetic"


def test_each_kernel_is_compiled_once():
    digests(SyntheticSource(3), ["A"])
    assert [len(kernel.signatures) for kernel in (synthetic.market, synthetic.daily, synthetic.minutes)] == [1, 1, 1]


def test_the_hash_is_splitmix64():
    # the first numbers of the published generator for the seed 1234567
    seed, golden = 1234567, 0x9E3779B97F4A7C15
    numbers = [int(synthetic.mixed(np.uint64((seed + k * golden) % 2**64))) for k in (1, 2, 3)]
    assert numbers == [6457827717110365317, 3203168211198807973, 9817491932198370423]


# --- minutes


def aggregate(minutes: History, columns=("open", "high", "low", "close", "volume")) -> pd.DataFrame:
    frame = pd.DataFrame(minutes.traded.T, columns=columns, index=pd.DatetimeIndex(minutes.labels))
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return frame.groupby(frame.index.normalize()).agg(how)


@pytest.mark.parametrize("symbol", SYMBOLS[:8])
def test_minutes_add_up_to_the_daily_bar_bit_for_bit(symbol):
    source = SyntheticSource(1)
    daily = source.fetch(symbol, day("2010-01-04"), day("2014-12-31"), "1d")
    together = aggregate(source.fetch(symbol, day("2010-01-04"), day("2014-12-31"), "1m"))
    assert np.array_equal(together.index.to_numpy("M8[ns]"), daily.labels)
    assert np.array_equal(together.to_numpy().T, daily.traded)


@pytest.mark.parametrize("interval", INTERVALS[1:])
def test_every_bar_holds_its_prices_in_whole_cents_and_whole_shares(interval):
    opens, high, low, close, volume = SyntheticSource(2).fetch("A", day("2003-01-01"), day("2003-12-31"), interval).traded
    assert (low > 0).all() and (high >= np.maximum(opens, close)).all() and (low <= np.minimum(opens, close)).all()
    for prices in (opens, high, low, close):
        assert np.array_equal(prices, np.round(prices, 2))
    assert (volume >= 1).all() and np.array_equal(volume, np.floor(volume))


def test_a_half_day_has_210_minutes_and_a_whole_day_390_unless_it_is_halted():
    source = SyntheticSource(1)
    minutes = np.concatenate([source.fetch(s, day("2012-11-19"), day("2012-11-30"), "1m").labels for s in SYMBOLS])
    counts = pd.Series(minutes.astype("M8[D]")).value_counts()
    most = counts.groupby(counts.index).max() / len(SYMBOLS)
    assert 208 <= most[day("2012-11-23")] <= 210 and 380 <= most[day("2012-11-26")] <= 390
    calendar = Calendar("XNYS")
    at = np.searchsorted(calendar.opens, minutes, "right") - 1
    assert (minutes < calendar.closes[at]).all()


def test_there_are_halts_inside_of_days():
    source = SyntheticSource(1)
    labels = source.fetch("S0", day("2005-01-01"), day("2014-12-31"), "1m").labels
    silent = np.diff(labels)[np.diff(labels.astype("M8[D]").astype("i8")) == 0] / np.timedelta64(1, "m")
    assert 1 <= (silent > 5).sum() <= 20 and silent.max() <= 121


@pytest.mark.parametrize("interval", ["5m", "15m", "30m", "1h"])
def test_longer_bars_are_what_pandas_makes_of_the_minutes(interval):
    source = SyntheticSource(1)
    span = (day("2012-10-01"), day("2012-12-31"))  # winter time begins, and two half days
    minutes, bars = source.fetch("S4", *span, "1m"), source.fetch("S4", *span, interval)
    frame = pd.DataFrame(minutes.traded.T, columns=["open", "high", "low", "close", "volume"], index=minutes.labels)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    expected = frame.resample(pd.Timedelta(interval), offset="30min").agg(how).dropna()
    assert np.array_equal(expected.index.to_numpy("M8[ns]"), bars.labels)
    assert np.array_equal(expected.to_numpy().T, bars.traded)


def test_trading_is_a_u_over_the_day():
    source, calendar = SyntheticSource(1), Calendar("XNYS")
    volume, square, seen = np.zeros(390), np.zeros(390), np.zeros(390)
    for symbol in SYMBOLS[:6]:
        minutes = source.fetch(symbol, day("2012-01-01"), day("2012-06-30"), "1m")
        opens = calendar.opens[np.searchsorted(calendar.opens, minutes.labels, "right") - 1]
        at = ((minutes.labels - opens) // np.timedelta64(1, "m")).astype(int)
        np.add.at(volume, at, minutes.traded[4] / minutes.traded[4].mean())
        np.add.at(square, at, np.log(minutes.traded[3] / minutes.traded[0]) ** 2)
        np.add.at(seen, at, 1)
    for mean in (volume / seen, np.sqrt(square / seen)):
        assert mean[:10].mean() > 2 * mean[190:200].mean() and mean[-10:].mean() > 2 * mean[190:200].mean()


def test_minutes_are_about_as_volatile_as_their_days():
    source = SyntheticSource(1)
    ratios = []
    for symbol in SYMBOLS[:6]:
        daily, minutes = (source.fetch(symbol, day("2012-01-01"), day("2012-12-31"), each) for each in ("1d", "1m"))
        realized = (np.log(minutes.traded[3] / minutes.traded[0]) ** 2).sum()
        ratios.append(realized / (np.log(daily.traded[3] / daily.traded[0]) ** 2).sum())
    assert 0.8 < np.mean(ratios) < 1.6


# --- what returns look like


def returns_of(histories: dict[str, History]) -> pd.DataFrame:
    """Daily total returns, logarithmic."""
    columns = {}
    for symbol, history in histories.items():
        close = history.traded[3] * factors(history.labels, history.traded[3], history.events, ANCHOR)[0]
        columns[symbol] = pd.Series(np.log(close), index=history.labels)
    return pd.DataFrame(columns).diff().dropna()


def facts(returns: pd.DataFrame) -> dict[str, bool]:
    """Stylised facts: R. Cont, Empirical properties of asset returns, Quantitative Finance 1 (2001)."""
    squares = returns**2
    pairs = returns.corr().to_numpy()[np.triu_indices(returns.shape[1], 1)]
    yearly = returns.std() * np.sqrt(252)
    return {
        "volatility": bool(yearly.between(0.15, 0.60).all() and yearly.max() > 1.5 * yearly.min()),
        "fat tails": bool((returns.kurt() + 3 > 4).all() and (returns.kurt() + 3).median() < 15),
        "clusters": bool(np.median([squares[s].autocorr(1) for s in squares]) > 0.08),
        "clusters last": bool(np.median([squares[s].autocorr(10) for s in squares]) > 0.04),
        "no momentum": bool(abs(np.median([returns[s].autocorr(1) for s in returns])) < 0.03),
        "losses stir more": bool(np.median([returns[s].corr(squares[s].shift(-1)) for s in returns]) < -0.01),
        "correlation": bool(0.25 < pairs.mean() < 0.35 and pairs.min() > 0.1),
    }


def test_returns_have_the_stylised_facts(histories):
    measured = facts(returns_of(histories))
    assert all(measured.values()), measured


def test_gaussian_noise_has_none_of_them():
    noise = pd.DataFrame(np.random.default_rng(0).standard_normal((6000, 40)) * 0.02)
    assert [name for name, holds in facts(noise).items() if holds] == ["no momentum"]


def test_the_range_of_a_day_is_that_of_a_brownian_path(histories):
    # Parkinson (1980): the mean square of log(high / low) is 4 ln 2 times the variance from open to close
    ratios = []
    for history in histories.values():
        opens, high, low, close, _ = np.log(history.traded)
        ratios.append(((high - low) ** 2).mean() / (4 * np.log(2)) / ((close - opens) ** 2).mean())
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.05)


def test_growth_is_modest_and_prices_stay_in_the_range_of_shares(histories):
    closes = np.concatenate([history.traded[3] for history in histories.values()])
    growth = returns_of(histories).mean() * 252
    assert -0.05 < growth.mean() < 0.12
    assert closes.min() > 0.3 and closes.max() < 5000 and 10 < np.median(closes) < 150


# --- actions and gaps


def test_all_kinds_of_splits_occur_and_none_moves_the_value_of_a_holding():
    source, seen, returns = SyntheticSource(1), set(), []
    for n in range(120):
        history = source.fetch(f"S{n}", FIRST, LAST, "1d")
        splits = history.events[history.events["split"] != 1.0]
        ex = np.searchsorted(history.labels, splits["date"])
        assert np.array_equal(history.labels[ex], splits["date"])
        close = history.traded[3]
        held = splits["split"] * close[ex] + splits["dividend"]
        returns += np.log(held / close[ex - 1])[ex > 0].tolist()
        seen |= set(splits["split"].tolist())
    assert seen == {2.0, 4.0, 0.1, 1.5, 7.0}
    assert np.abs(returns).max() < 0.3 and abs(np.mean(returns)) < 0.01


def test_a_payer_pays_four_times_a_year_in_whole_cents_below_3_percent(histories):
    payers = 0
    for history in histories.values():
        paid = history.events[history.events["dividend"] > 0]
        if len(paid) == 0:
            continue
        payers += 1
        years = pd.Series(paid["date"]).dt.year.value_counts()
        assert years.max() == 4 and years.min() >= 3
        assert np.array_equal(paid["dividend"], np.round(paid["dividend"], 2))
        before = np.searchsorted(history.labels, paid["date"]) - 1
        assert (paid["dividend"][before >= 0] / history.traded[3, before[before >= 0]]).max() < 0.03
    assert 15 <= payers <= 35


def test_the_price_falls_by_the_dividend(histories):
    total, fall = [], []
    for history in histories.values():
        ex = np.searchsorted(history.labels, history.events["date"])
        plain = (history.events["split"] == 1.0) & (ex > 0)
        before, close = history.traded[3, ex[plain] - 1], history.traded[3, ex[plain]]
        total += np.log((close + history.events["dividend"][plain]) / before).tolist()
        fall += np.log(close / before).tolist()
    # about 2,500 days of 2 % deviation: a mean is good to 0.04 %, a dividend is more than half a percent
    assert abs(np.mean(total)) < 0.002 and np.mean(fall) < -0.004


def test_some_days_have_no_bar_and_no_bar_is_outside_of_a_session(histories):
    sessions = Calendar("XNYS").sessions_between(FIRST, LAST).to_numpy("M8[ns]")
    missing = [np.setdiff1d(sessions, history.labels) for history in histories.values()]
    assert all(np.isin(history.labels, sessions).all() for history in histories.values())
    assert 0.0005 < sum(map(len, missing)) / (len(sessions) * len(missing)) < 0.005
    runs = [np.diff(np.flatnonzero(np.isin(sessions, gone))) for gone in missing]
    assert any((run == 1).any() for run in runs)  # a halt of several days


# --- a source like any other


def test_it_serves_through_the_cache(tmp_path):
    source: Source = SyntheticSource(1)
    clock = ReplayClock([pd.Timestamp("2013-12-31 22:00", tz="UTC")])
    bars = MarketData(source, BarCache(tmp_path), clock).bars(["S0", "S1"], start="2012-01-03")
    direct = source.fetch("S0", day("2012-01-03"), day("2013-12-31"), "1d")
    priced = np.isfinite(bars.traded[3, 0])
    assert np.array_equal(bars.traded[:, 0, priced], direct.traded) and bars.provenance["S0"].source == "synthetic"


def test_what_it_does_not_have_is_said():
    source = SyntheticSource()
    with pytest.raises(InvalidParameter, match="1wk"):
        source.fetch("A", FIRST, LAST, "1wk")
    with pytest.raises(InvalidSymbol):
        source.fetch("../A", FIRST, LAST, "1d")
    with pytest.raises(InvalidParameter, match="whole number"):
        SyntheticSource(seed=1.5)
    assert all(source.reach(interval) is None for interval in INTERVALS)


def test_questions_are_counted():
    source = SyntheticSource()
    source.meter.allow(1)
    source.fetch("A", FIRST, LAST, "1d")
    with pytest.raises(BudgetSpent):
        source.fetch("A", FIRST, LAST, "1d")


def test_a_range_before_the_beginning_or_between_sessions_is_empty():
    source = SyntheticSource()
    for first, last in (("1990-01-01", "1999-12-31"), ("2012-11-24", "2012-11-25")):
        for interval in INTERVALS:
            history = source.fetch("A", day(first), day(last), interval)
            assert len(history.labels) == 0 and history.traded.shape == (5, 0) and len(history.events) == 0
