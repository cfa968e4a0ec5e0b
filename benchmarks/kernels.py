"""Indicators beside TA-Lib, bottleneck and numbagg: a universe, one symbol, a whole set, one more bar, and hostile prices.

    python -m benchmarks.kernels [--quick] [--json FILE]

Peers other than TA-Lib come with `pip install -e '.[bench]'`. What ours and a peer both compute is compared before it is
timed. A row without a peer stands beside a plain copy of its input, or beside the seconds that are allowed.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import talib

from benchmarks.accuracy import accuracy_rows
from benchmarks.measure import Row, interleaved, options, repeated, report, row, seconds
from benchmarks.universe import FIELDS, N_SYMBOLS, panel_rows, set_rows, single_rows, world
from tests.references import One
from toolkit import Bars
from toolkit.kernels.stream import Stream
from toolkit.signals import IndicatorSet, SignalGenerator, Strategy
from toolkit.signals import indicators as ta
from toolkit.signals.declared import alone
from toolkit.signals.sets import programmed


def stream_rows(rounds: int) -> Iterator[Row]:
    """One more bar of 500 symbols, 11 outputs."""
    members = (ta.ema(20), ta.rsi(14), ta.macd(), ta.atr(14), ta.adx(14), ta.sma(20), ta.rolling_std(20, 0))
    (program, _), o = programmed(members), world()
    fields = [getattr(o, str(f)) for f in dict.fromkeys(f for m in members for f in m.inputs)]
    assert program.n_outputs == 11
    stream, block = Stream(program, N_SYMBOLS), np.ascontiguousarray(np.stack(fields).transpose(2, 0, 1))
    for bar in block[:300]:
        stream.push(bar)
    handles = [talib_handles(One(*[field[i, :300] for field in o])) for i in range(N_SYMBOLS)]
    bars = np.stack(o).transpose(2, 1, 0)[300:].tolist()

    def theirs(t: int) -> None:
        for (ema, rsi, macd, atr, adx, plus, minus, sma, std), (_, h, l, c, _) in zip(handles, bars[t], strict=True):
            ema.update(c), rsi.update(c), macd.update(c), sma.update(c), std.update(c)
            atr.update(h, l, c), adx.update(h, l, c), plus.update(h, l, c), minus.update(h, l, c)

    def twenty(push: Callable[[int], object], first: int) -> float:
        return seconds(lambda: [push(t) for t in range(first, first + 20)]) / 20

    def ours(t: int) -> None:
        stream.push(block[300 + t])

    took = [(twenty(ours, t), twenty(theirs, t)) for t in range(0, 180 * rounds, 20)]
    mine, peer = [a for a, _ in took], [b for _, b in took]
    yield row(f"one bar of twenty, {N_SYMBOLS} symbols x 11 outputs", mine, "TA-Lib's stream handles", peer, 50.0)
    yield row("the same", mine, "10 us", [10e-6] * len(mine), 1.0)
    short, long = (next_bars(history, 20 * rounds) for history in (500, 12_600))
    yield row("next bar of a declared strategy after 12,600 bars", long, "the same after 500", short, 0.8)


def next_bars(history: int, n: int) -> list[float]:
    """Seconds of each of n further bars of twenty symbols, scored after `history` of them."""
    close = np.concatenate([world().close[:20, 500:1000]] * (history // 500 + 1), axis=1)[:, : history + n]
    index = pd.bdate_range("1970-01-01", periods=history + n)
    frames = {f"S{i}": pd.DataFrame(dict.fromkeys(FIELDS, c), index=index) for i, c in enumerate(close)}
    bars, took = Bars.from_frame(frames), []
    generator = SignalGenerator(Strategy("trend", IndicatorSet({"fast": ta.sma(5), "slow": ta.sma(20)}), above))
    for t in range(history, history + n):
        known = bars.until(bars.index[t])
        known.fingerprint  # noqa: B018  (a cache asks for it before)
        took.append(repeated(functools.partial(generator.scores, known), 1))
    return took[1:]


def above(now, before, held):
    return np.where(np.isfinite(now["slow"]), np.sign(now["fast"] - now["slow"]), np.nan)


def talib_handles(o: One) -> tuple:
    s = talib.stream
    hlc = o.high.copy(), o.low.copy(), o.close.copy()
    return (
        s.EMA(hlc[2], 20), s.RSI(hlc[2], 14), s.MACD(hlc[2]), s.ATR(*hlc, 14), s.ADX(*hlc, 14), s.PLUS_DI(*hlc, 14),
        s.MINUS_DI(*hlc, 14), s.SMA(hlc[2], 20), s.STDDEV(hlc[2], 20),
    )  # fmt: skip


def denormal_row(rounds: int) -> Row:
    """Averages over 20,000 flat bars, which leave them among numbers too small to be computed with quickly."""
    lively = 100.0 + np.cumsum(np.random.default_rng(1).normal(0.0, 0.1, 20_000))
    flat = np.concatenate([lively[:2000], np.full(18_000, lively[1999])])
    program = alone(ta.atr(14).formula, 3)
    times = [functools.partial(repeated, functools.partial(program.row, x, x, x), 10) for x in (flat, lively)]
    return interleaved("atr over 20,000 flat bars", times[0], "the same over lively ones", times[1], 1 / 1.2, 3 * rounds)


# -------------------------------------------------------------------------------------------------------- cold and warm
FIRST = """
import time
start = time.perf_counter()
import numpy as np
from toolkit.signals import indicators as ta
imported = time.perf_counter()
x = np.arange(500.0)
ta.sma(x, 20)
first = time.perf_counter()
ta.ema(x, 20), ta.rsi(x, 14), ta.rolling_std(x, 20), ta.macd(x)
print(first - imported, (time.perf_counter() - first) / 4)
"""


def cold_rows(rounds: int) -> Iterator[Row]:
    """In processes of their own: a first indicator, further ones, and the whole library compiled from nothing."""

    def python(*command: str, cache: str | None = None) -> str:
        environment = {**os.environ, **({"XDG_CACHE_HOME": cache} if cache else {})}
        return subprocess.run([sys.executable, *command], env=environment, check=True, capture_output=True, text=True).stdout

    python("-m", "toolkit", "warmup")
    took = np.array([list(map(float, python("-c", FIRST).split())) for _ in range(rounds)])
    yield row("first indicator of a warm process", took[:, 0].tolist(), "0.5 s", [0.5] * rounds, 1.0)
    yield row("each further kernel", took[:, 1].tolist(), "5 ms", [0.005] * rounds, 1.0)
    with tempfile.TemporaryDirectory() as empty:
        whole = seconds(lambda: python("-m", "toolkit", "warmup", cache=empty))
    yield row("the whole library from nothing", [whole], "60 s", [60.0], 1.0)


def main() -> int:
    args = options(__doc__ or "")
    rounds = 3 if args.quick else 11
    rows = [*panel_rows(rounds), *single_rows(rounds), *set_rows(rounds), *stream_rows(rounds), denormal_row(rounds)]
    rows += [*accuracy_rows(), *cold_rows(3 if args.quick else 5)]
    return report(rows, args)


if __name__ == "__main__":
    raise SystemExit(main())
