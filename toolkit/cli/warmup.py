"""`toolkit warmup`: compiles everything ahead, so that nothing waits for it later."""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
from pathlib import Path

from tqdm import tqdm

from toolkit.cycle.backtest import backtest
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.sweep import sweep
from toolkit.data.clock import SystemClock
from toolkit.kernels import jit, warm
from toolkit.signals import above, sma, trend_and_rsi

EXAMPLE = """\
example:
  toolkit warmup       compiles what is not compiled yet; a second time takes a second or two
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE


def execute(args: argparse.Namespace) -> int:
    """Compiles every kernel and runs a few cycles in a folder of their own; prints how long it took."""
    lap = SystemClock().monotonic
    start, count = lap(), len(warm.every_kernel()) + 1
    for _ in tqdm(warm.warmed(), total=count, unit="kernel", desc="compile", leave=False):
        pass
    with tempfile.TemporaryDirectory(prefix="toolkit-warmup-") as folder:
        trade(Path(folder))
    print(f"{count - 1} kernels and the trading step are compiled in {jit.FOLDER} ({lap() - start:.1f} s)")
    return 0


def trade(folder: Path) -> None:
    """A few cycles, a backtest and two sweeps of bundled prices: the trading step, one bar at a time and in its loops."""
    keys = {"symbols": ["IBM"], "start": dt.date(2012, 2, 1), "end": dt.date(2012, 2, 10)}
    places = {"state": str(folder / "state"), "cache": {"directory": str(folder / "cache")}}
    engine = TradingEngine.from_values(**keys, **places, risk={"max_order_share": 0.25})
    engine.run_continuous()
    bars, strategy = engine.data_cache.bars(["IBM"]).until("2001-01-31"), engine.signal_generator.strategy
    backtest(strategy, bars, cash=1e5, state=False)
    crossing = above(lambda fast: sma(fast), lambda slow: sma(slow))
    sweep(crossing, {"fast": [2, 3], "slow": [5]}, bars, state=False, progress=False)
    sweep(trend_and_rsi, {"fast": [3, 5]}, bars, state=False, progress=False)
