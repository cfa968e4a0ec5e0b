"""A trading cycle beside the plain loop of the original design, and how soon the first cycle comes.

    python -m benchmarks.cycle [--quick] [--json FILE]

The plain loop is that of `benchmarks.plain_engine`, with its account in memory, on a loopback Yahoo that takes 50 ms an answer.
Both sides must want to hold the same symbols before anything is timed. `benchmarks.before_after` compares them part by part.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import yfinance

from benchmarks.measure import Row, interleaved, options, report, seconds
from benchmarks.plain_engine import KeptAccount, PlainEngine
from toolkit import Bars, MarketData, ReplayClock, TradingEngine
from toolkit.cycle.config import checked_config
from toolkit.data import BarCache, Calendar, SampleSource
from toolkit.testing.yahoo_server import YahooServer

SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
LATENCY = 0.05  # seconds an answer
FIRST = """
import sys, tempfile
from toolkit import TradingEngine
work, *symbols = sys.argv[1:]
engine = TradingEngine.from_values(symbols=symbols, state=tempfile.mkdtemp(dir=work), cache={"directory": work + "/first"})
engine.run_cycle()
"""
STACK = "import pandas, numpy, numba, joblib, diskcache, yfinance, matplotlib.pyplot"


def warm_cycles(work: Path, bars: Bars) -> tuple[TradingEngine, Iterator[float]]:
    """An engine late in the bundled history, and the seconds of its next cycles, ledger writes included."""
    days = [close + SampleSource.delay for close in Calendar("XNYS").closes_between("2012-02-01", "2013-03-01")]
    values = {"symbols": SYMBOLS, "state": str(work / "state"), "cache": {"directory": str(work / "cache")}}
    engine = TradingEngine(checked_config(values), clock=ReplayClock(days))

    def cycles() -> Iterator[float]:
        while not engine.clock.done:
            yield engine.run_cycle().total_cycle_time
            engine.clock.sleep(0.0)

    return engine, cycles()


def cycle_row(work: Path, rounds: int) -> Row:
    bars = MarketData(SampleSource(), BarCache(work / "bars")).bars(SYMBOLS)
    engine, cycles = warm_cycles(work, bars)
    for _ in range(5):
        next(cycles)
    end = bars.index[-1]
    with YahooServer(bars, now=pd.Timestamp(end, tz="UTC") + pd.Timedelta("22h"), latency=LATENCY) as server:
        plain = PlainEngine(SYMBOLS, server.session(), KeptAccount())
        ours = engine.signal_generator.scores(bars).iloc[-1]
        theirs = plain.cycle()
        if len(server.charts) < len(SYMBOLS) or theirs != set(ours.index[ours == 1.0]):
            raise SystemExit(f"the two sides disagree: {sorted(theirs)} and {sorted(ours.index[ours == 1.0])}")
        return interleaved("warm cycle, 5 symbols x 13 years", lambda: next(cycles), "plain loop, 50 ms a call",
                           lambda: seconds(plain.cycle), 50.0, rounds)  # fmt: skip


def process(*arguments: str) -> Callable[[], float]:
    """Seconds of a fresh interpreter."""
    command = [sys.executable, "-c", *arguments]
    return lambda: seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def start_rows(work: Path, rounds: int) -> list[Row]:
    first = process(FIRST, str(work), *SYMBOLS)
    first()  # compiles the kernels and fills the cache
    bare, stack = process("import pandas"), process(STACK)
    return [
        interleaved("import toolkit", process("import toolkit"), "import pandas", bare, 1.0, rounds),
        interleaved("first cycle of a process, kernels on disk", first, "importing the stack alone", stack, 1 / 3, rounds),
    ]


def repeat_calls(work: Path) -> int:
    """Calls to the source of a second run on the cache of a first."""
    for _ in range(2):
        values = {"symbols": SYMBOLS, "state": str(work / "again"), "cache": {"directory": str(work / "repeat")}}
        engine = TradingEngine.from_values(**values)
        engine.run_continuous(cycles=20)
        engine.close()
    return engine.source.meter.calls


def main() -> int:
    args = options(__doc__.splitlines()[0])
    warnings.simplefilter("ignore")  # of yfinance under pandas 3
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        yfinance.set_tz_cache_location(str(work / "tz"))
        rows = [cycle_row(work, 8 if args.quick else 40), *start_rows(work, 3 if args.quick else 9)]
        print(f"calls to the source in a second run on the same cache: {repeat_calls(work)}")
    return report(rows, args)


if __name__ == "__main__":
    raise SystemExit(main())
