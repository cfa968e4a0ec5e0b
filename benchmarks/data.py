"""The data layer beside what people use instead: reading, fetching, renewing, and many processes at once.

    python -m benchmarks.data [--quick] [--json FILE]

All prices are of the synthetic market. Every peer must hold the same numbers before anything is timed; a peer that is not
installed is named (they come with `pip install -e '.[bench]'`). Fetches go to a loopback Yahoo in a process of its own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import diskcache
import numpy as np
import pandas as pd
import yfinance

from benchmarks.measure import Row, interleaved, options, report, row, seconds
from toolkit.data import FIELDS, BarCache, Bars, History, MarketData, barfile
from toolkit.data.panel import open_panel
from toolkit.data.sources.synthetic import SyntheticSource
from toolkit.data.sources.yahoo import YahooSource
from toolkit.testing.yahoo_server import LoopbackSession, YahooServer

UNIVERSE = [f"S{number:03d}" for number in range(500)]
FETCHED = UNIVERSE[:40]
COLD = UNIVERSE[:10]
TODAY, TOMORROW = "2026-01-05 22:00", "2026-01-06 22:00"
LATENCY = 0.05  # seconds an answer
THREADS = 8
PROCESSES = 8
WRITES = 0.05  # of the operations
MINUTES = 1_000_000
SLOWEST = 1e-3  # seconds that a panel may take to open, and the slowest but one in a hundred of the reads

Claim = tuple[str, bool]
"""What was counted, and whether it is as it must be."""


class At:
    """A live clock that stands where it is put."""

    namespace = "live"

    def __init__(self, text: str) -> None:
        self.time = pd.Timestamp(text, tz="UTC")

    def now(self) -> pd.Timestamp:
        return self.time

    horizon = now

    def monotonic(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@cache
def made(symbol: str) -> History:
    """Ten years of the synthetic market and a month."""
    return SyntheticSource(seed=3).fetch(symbol, pd.Timestamp("2016-01-04"), pd.Timestamp("2026-01-30"), "1d")


class Decade(SyntheticSource):
    """Ten years that end at its clock, or the last million minutes; daily bars take no time. `asked` holds calendar days."""

    def __init__(self, clock: At) -> None:
        super().__init__(seed=3)
        self.clock, self.asked = clock, list[int]()

    def reach(self, interval: str) -> pd.Timedelta:
        return pd.Timedelta(days=3653 if interval == "1d" else 3800)

    def fetch(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> History:
        self.asked.append((end - start).days + 1)
        first, last = start.to_datetime64(), min(end, self.clock.now().tz_localize(None).normalize())
        history = made(symbol) if interval == "1d" else super().fetch(symbol, start, last, interval)
        kept = (history.labels >= first) & (history.labels < last.to_datetime64() + np.timedelta64(1, "D"))
        labels, traded = history.labels[kept][-MINUTES:], history.traded[:, kept][:, -MINUTES:]
        dates = history.events["date"]
        return History(symbol, labels, traded, history.events[(dates >= labels[0].astype("M8[D]")) & (dates <= labels[-1])])


def synthetic(place: Path, clock: At) -> MarketData:
    return MarketData(Decade(clock), BarCache(place), clock)


def name_of(symbol: str, interval: str = "1d") -> str:
    return f"live/synthetic-{Decade(At(TODAY)).edition}/{interval}/{symbol}"


# ------------------------------------------------------------------------------------------------------------- reading
def read_ours(place: Path) -> float:
    """The sum of all closes, read symbol by symbol."""
    cache, total = BarCache(place), 0.0
    for symbol in UNIVERSE:
        (file,) = cache.files(name_of(symbol))
        total += file.columns["traded"][3].sum()
    cache.close()
    return total


def read_with_records(place: Path) -> float:
    """The same, and for each symbol the record that says whether it is fresh."""
    cache, total = BarCache(place), 0.0
    for symbol in UNIVERSE:
        (file,) = cache.files(name_of(symbol), cache.record(name_of(symbol)).parts)
        total += file.columns["traded"][3].sum()
    cache.close()
    return total


def read_verifying(place: Path) -> float:
    barfile._verified.clear()  # as in a fresh process
    return read_ours(place)


def read_pickles(place: Path) -> float:
    with diskcache.Cache(str(place)) as cache:
        frames = (cache[symbol] for symbol in UNIVERSE)
        return sum({name: frame[name].to_numpy() for name in frame}["close"].sum() for frame in frames)


def read_parquet(place: Path) -> float:
    from pyarrow import parquet

    tables = (parquet.read_table(place / f"{symbol}.parquet") for symbol in UNIVERSE)
    return sum({name: table[name].to_numpy() for name in table.column_names}["close"].sum() for table in tables)


def read_duckdb(path: Path) -> float:
    import duckdb

    query = f"SELECT date, {', '.join(FIELDS)} FROM bars WHERE symbol = ? ORDER BY date"
    with duckdb.connect(str(path), read_only=True) as database:
        return sum(database.execute(query, [symbol]).fetchnumpy()["close"].sum() for symbol in UNIVERSE)


def checksums(place: Path) -> None:
    for path in place.glob("index/??/*.val"):
        blake2b(path.read_bytes(), digest_size=16).digest()


def store_peers(work: Path, bars: Bars) -> dict[str, tuple[Callable[[], float], float]]:
    """By name of the peer, what reads the universe from it, and the target."""
    frames = {s: pd.DataFrame(dict(zip(FIELDS, bars.traded[:, k])), bars.index).dropna() for k, s in enumerate(bars.symbols)}
    with diskcache.Cache(str(work / "pickles")) as cache:
        for symbol, frame in frames.items():
            cache[symbol] = frame
    peers = {"diskcache with pickled frames": (partial(read_pickles, work / "pickles"), 3.0)}
    if find_spec("pyarrow"):
        (work / "parquet").mkdir()
        for symbol, frame in frames.items():
            frame.to_parquet(work / "parquet" / f"{symbol}.parquet")
        peers["Parquet, a file a symbol"] = partial(read_parquet, work / "parquet"), 8.0
    if find_spec("duckdb"):
        import duckdb

        table = pd.concat(frames, names=["symbol", "date"]).reset_index()
        with duckdb.connect(str(work / "bars.duckdb")) as database:
            database.register("frame", table)
            database.execute("CREATE TABLE bars AS SELECT * FROM frame")
        peers["DuckDB, one table"] = partial(read_duckdb, work / "bars.duckdb"), 15.0
    return peers


def read_rows(work: Path, rounds: int) -> list[Row]:
    place, clock = work / "universe", At(TODAY)
    synthetic(place, clock).bars(UNIVERSE)
    bars = synthetic(place, clock).bars(UNIVERSE)  # asked for again, it is kept as a panel
    peers = store_peers(work, bars)
    expected = read_ours(place)
    for peer, (read, _) in peers.items():
        if not np.isclose(read(), expected, rtol=1e-12):
            raise SystemExit(f"{peer} holds other prices")
    calls = {"": partial(read_ours, place), "first": partial(read_verifying, place), "sums": partial(checksums, place)}
    calls["records"] = partial(read_with_records, place)
    calls |= {peer: read for peer, (read, _) in peers.items()}
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            took[name].append(seconds(call))
    rows = [row("read 500 x 10 years, later opens", took[""], peer, took[peer], target) for peer, (_, target) in peers.items()]
    pickled = "diskcache with pickled frames"
    rows.append(row("read 500 x 10 years with their records", took["records"], pickled, took[pickled], 2.0))
    rows.append(row("read 500 x 10 years, first opens", took["first"], "their bare checksums", took["sums"], 1 / 3))
    return [*rows, *panel_rows(place, rounds)]


def panel_rows(place: Path, rounds: int) -> list[Row]:
    (path,) = (place / "panels").glob("*.panel")

    def again() -> float:
        return seconds(lambda: open_panel(path))

    def first() -> float:
        barfile._verified.clear()
        return again()

    cache = partial(seconds, partial(read_ours, place))
    verifying = interleaved("open a panel of 500 x 10 years, first", first, "through the cache", cache, 0.25, rounds)
    later = [again() for _ in range(20 * rounds)]
    through = [cache() for _ in range(rounds)] * 20
    return [
        verifying,
        row("open a panel of 500 x 10 years, again", later, "through the cache", through, 10.0),
        row("open a panel of 500 x 10 years, again", later, "the millisecond allowed", [SLOWEST] * len(later), 1.0),
    ]


def minute_rows(work: Path, rounds: int) -> list[Row]:
    """One million minute bars, opened again from living caches, and the sum of their closes; five times in a row."""
    clock = At(TODAY)
    market = synthetic(work / "minutes", clock)
    bars = market.bars("AAA", interval="1m")
    assert len(bars) == MINUTES
    cache, name = BarCache(work / "minutes"), name_of("AAA", "1m")
    pickles = diskcache.Cache(str(work / "pickled minutes"))
    pickles["AAA"] = pd.DataFrame(dict(zip(FIELDS, bars.traded[:, 0])), bars.index)

    def ours() -> float:
        return sum(file.columns["traded"][3].sum() for file in cache.files(name, cache.record(name).parts))

    def first() -> float:
        barfile._verified.clear()
        return ours()

    def pickled() -> float:
        frame = pickles["AAA"]
        return {name: frame[name].to_numpy() for name in frame}["close"].sum()

    if not np.isclose(ours(), pickled(), rtol=1e-12):
        raise SystemExit("the pickled minutes are other minutes")

    def five(call: Callable[[], float]) -> float:
        return seconds(lambda: [call() for _ in range(5)]) / 5

    again, other = partial(five, ours), partial(five, pickled)
    peer = "diskcache with a pickled frame"
    return [
        interleaved("1,000,000 minutes, opened again and summed", again, peer, other, 8.0, 2 * rounds),
        interleaved("1,000,000 minutes, first open and sum", partial(five, first), peer, other, 0.1, rounds),
    ]


# ------------------------------------------------------------------------------------------------------------ fetching
def serve(pipe: Any) -> None:
    """A loopback Yahoo in a process of its own: says its port, then how many charts were asked for since the last time."""
    with tempfile.TemporaryDirectory() as folder:
        clock = At(TODAY)
        bars = synthetic(Path(folder), clock).bars(FETCHED)
        with YahooServer(bars, now=clock.now(), latency=LATENCY) as server:
            pipe.send(server.port)
            counted = 0
            while pipe.recv() == "charts":
                pipe.send(len(server.charts) - counted)
                counted = len(server.charts)


@contextlib.contextmanager
def yahoo() -> Iterator[tuple[int, Callable[[], int]]]:
    """Port of the served Yahoo, and what counts the charts."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=serve, args=(other,))
    process.start()

    def charts() -> int:
        pipe.send("charts")
        return pipe.recv()

    try:
        yield pipe.recv(), charts
    finally:
        pipe.send("stop")
        process.join()


def over_yahoo(place: Path, port: int, threads: int = THREADS) -> MarketData:
    clock, session = At(TODAY), LoopbackSession(port)
    source = YahooSource(session, clock=clock, rate=10_000.0, burst=10_000, shared=place.with_suffix(".pace"))
    return MarketData(source, BarCache(place), clock, n_jobs=threads)


def fetch_rows(work: Path, rounds: int, port: int) -> list[Row]:
    """Forty symbols that nobody has, beside the least time that so many connections need, and beside yfinance."""
    folders, session = (work / f"cold {number}" for number in range(1000)), LoopbackSession(port)

    def ours(threads: int) -> float:
        market = over_yahoo(next(folders), port, threads)
        return seconds(lambda: market.bars(FETCHED))

    def download() -> pd.DataFrame:
        return yfinance.download(FETCHED, period="10y", threads=True, session=session, progress=False, auto_adjust=False)

    agree(over_yahoo(next(folders), port).bars(FETCHED), download())
    took = [(ours(THREADS // 2), ours(THREADS), seconds(download)) for _ in range(rounds)]
    few, many, theirs = ([each[k] for each in took] for k in range(3))
    rows = []
    for threads, mine in ((THREADS // 2, few), (THREADS, many)):
        ideal = -(-len(FETCHED) // threads) * LATENCY
        name = f"40 symbols cold, {threads} connections, 50 ms an answer"
        rows.append(row(name, mine, "ideal", [ideal] * rounds, 1 / 1.5))
    return [*rows, row(name, many, "yfinance.download", theirs, 2.0)]


def agree(bars: Bars, frame: pd.DataFrame) -> None:
    """Both hold the same closes; yfinance gives them in the shares of the last day, single precision."""
    for symbol in FETCHED:
        own = bars.select(symbol).events()
        split = np.array([own["split"][own["date"] > day].prod() for day in bars.index])
        theirs = frame["Close"][symbol].reindex(bars.index).to_numpy()
        closes = bars.traded[3, bars.symbols.index(symbol)] / split
        both = np.isfinite(closes) & np.isfinite(theirs)
        if both.sum() < 2400 or not np.allclose(closes[both], theirs[both], rtol=1e-4):
            raise SystemExit(f"yfinance holds other prices of {symbol}")


def next_day(work: Path, rounds: int) -> tuple[list[Row], list[Claim]]:
    """Five hundred symbols a day later: one request each, for the tail alone; what was stored stays.

    The source takes no time: our own work is beside the least time that the requests would take.
    """
    cold, later, claims = [], [], []
    for number in range(rounds):
        clock = At(TODAY)
        market = synthetic(work / f"days {number}", clock)
        source = market.source
        assert isinstance(source, Decade)
        cold.append(seconds(lambda market=market: market.bars(UNIVERSE)))
        before = closed(market)
        source.asked.clear()
        clock.time = pd.Timestamp(TOMORROW, tz="UTC")
        later.append(seconds(lambda market=market: market.bars(UNIVERSE)))
        asked, after = source.asked, closed(market)
        same = all(np.array_equal(after[symbol][:, : old.shape[1]], old, equal_nan=True) for symbol, old in before.items())
        claims = [
            (f"the next day of 500 symbols takes {len(asked)} requests", len(asked) == len(UNIVERSE)),
            (f"each for at most {max(asked)} calendar days", max(asked) <= 21),
            ("the stored history stays, bit for bit", same),
        ]
    print(f"500 symbols in process: cold {np.median(cold):.2f} s, the next day {np.median(later):.2f} s")
    waited = [-(-len(UNIVERSE) // THREADS) * LATENCY] * rounds
    return [row("next day of 500 symbols, our share", later, f"the requests, {THREADS} at a time, 50 ms", waited, 1.0)], claims


def closed(market: MarketData) -> dict[str, np.ndarray]:
    """Copies of all stored bars."""
    files = {symbol: market.cache.files(name_of(symbol))[0] for symbol in UNIVERSE}
    return {symbol: file.columns["traded"].copy() for symbol, file in files.items()}


# ------------------------------------------------------------------------------------------------------ many processes
def join(barrier: Any) -> None:
    """Each process of the pool waits here for the others before it begins."""
    globals()["together"] = barrier


def ask_cold(place: Path, port: int) -> int:
    market = over_yahoo(place, port)
    globals()["together"].wait()
    return len(market.bars(COLD))


def mixed(place: Path, duration: float, pause: float, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Seconds of each read among reads and writes in random order, `pause` seconds apart; of computations as long; errors."""
    cache, rng = BarCache(place), np.random.default_rng(seed)
    names = [name_of(symbol) for symbol in UNIVERSE[:50]]
    stored = {name: (cache.record(name), cache.files(name)[0]) for name in names}
    sums = {name: file.columns["traded"][3].sum() for name, (_, file) in stored.items()}
    errors = []

    def read() -> None:
        name = names[rng.integers(len(names))]
        record = cache.record(name, again=True)
        files = cache.files(name, record.parts) if record is not None else ()
        if len(files) != 1 or files[0].columns["traded"][3].sum() != sums[name]:
            errors.append(name)

    def write() -> None:
        name = names[rng.integers(len(names))]
        record, file = stored[name]
        cache.put(name, record, {"": (file.columns, file.meta)})

    took = during(duration, pause, lambda: rng.random() < WRITES and write(), read)
    least = float(np.median(took))
    return took, during(duration, pause, lambda: None, lambda: computed(least)), len(errors)


def during(duration: float, pause: float, between: Callable[[], object], call: Callable[[], object]) -> np.ndarray:
    """Seconds that each `call` takes; all processes of the pool begin together."""
    took = []
    globals()["together"].wait()
    end = time.perf_counter() + duration
    while time.perf_counter() < end:
        between()
        took.append(seconds(call))
        if pause:
            time.sleep(pause)
    return np.array(took)


def computed(least: float) -> None:
    end = time.perf_counter() + least
    while time.perf_counter() < end:
        pass


def process_rows(work: Path, port: int, charts: Callable[[], int], duration: float) -> tuple[list[Row], list[Claim]]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(PROCESSES, join, (context.Barrier(PROCESSES),)) as pool:
        charts()
        lengths = pool.starmap(ask_cold, [(work / "shared", port)] * PROCESSES, 1)
        fetched = charts()
        rows, errors = [], 0
        for said, pause in (("2 ms apart", 0.002), ("without a pause", 0.0)):
            took = pool.starmap(mixed, [(work / "universe", duration, pause, seed) for seed in range(PROCESSES)], 1)
            rows += read_under_load(said, [reads for reads, _, _ in took], [bare for _, bare, _ in took])
            errors += sum(wrong for *_, wrong in took)
        pool.close()
        pool.join()
    right = fetched == len(COLD) and len(set(lengths)) == 1
    return rows, [
        (f"{PROCESSES} processes x {len(COLD)} cold symbols: {fetched} fetches", right),
        (f"reads under load: {errors} errors", errors == 0),
    ]


def read_under_load(said: str, reads: list[np.ndarray], bare: list[np.ndarray]) -> list[Row]:
    for what, took in (("reads", reads), ("computations as long that touch nothing", bare)):
        p50, p99, longest = 1e3 * np.quantile(np.concatenate(took), [0.5, 0.99, 1.0])
        figures = f"p50 {p50:.3f} ms, p99 {p99:.3f} ms, max {longest:.1f} ms"
        print(f"{PROCESSES} processes on {os.cpu_count()} cores, {said}: {sum(map(len, took)):,} {what}: {figures}")
    slow, other = ([float(np.quantile(took, 0.99)) for took in each] for each in (reads, bare))
    name = f"p99 of reads {said}, {PROCESSES} processes, 5% writes"
    return [
        row(name, slow, "the millisecond allowed", [SLOWEST] * PROCESSES, 1.0),
        row(name, slow, "a computation as long", other, 0.25),
    ]


def main() -> int:
    args = options(__doc__.splitlines()[0])
    warnings.simplefilter("ignore")  # of yfinance under pandas 3
    for library in ("pyarrow", "duckdb"):
        if not find_spec(library):
            print(f"{library} is not installed, its row is missing: pip install -e '.[bench]'")
    rounds = 3 if args.quick else 11
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        yfinance.set_tz_cache_location(str(work / "zones"))
        rows = read_rows(work, rounds) + minute_rows(work, rounds)
        with yahoo() as (port, charts):
            rows += fetch_rows(work, rounds, port)
            more, claims = process_rows(work, port, charts, 1.0 if args.quick else 4.0)
        following, others = next_day(work, 1 if args.quick else 3)
        rows += more + following
    for what, holds in claims + others:
        print(f"{what}: {'met' if holds else 'NOT MET'}")
    return max(report(rows, args), 0 if all(holds for _, holds in claims + others) else 1)


if __name__ == "__main__":
    raise SystemExit(main())
