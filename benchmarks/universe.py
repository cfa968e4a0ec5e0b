"""A universe of seeded prices, one symbol of it, and a whole set of indicators: ours beside TA-Lib, bottleneck and numbagg."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import talib

from benchmarks.measure import Row, interleaved, repeated, row, seconds
from tests.references import TABLE, One
from toolkit.kernels.program import block
from toolkit.signals import indicators as ta
from toolkit.signals.declared import Indicator, alone
from toolkit.signals.sets import programmed

N_SYMBOLS, N_BARS = 500, 2520
FIELDS = "open", "high", "low", "close", "volume"
TARGETS = {"sma": 2.0, "rolling_std, population": 2.0, "ema": 3.0, "rolling_max": 3.0, "atr": 3.0, "stochastic": 3.0,
           "rsi": 6.0, "adx": 10.0}  # fmt: skip
# numbagg's deviation has window - 1 in its denominator.
AS_OURS = {("numbagg", "rolling_std, population"): np.sqrt(19.0 / 20.0)}
# One call where the table's reference is put together from several.
ONE_CALL: dict[str, Callable[[One], object]] = {
    "macd": lambda one: talib.MACD(one.close),
    "ppo": lambda one: talib.PPO(one.close, 12, 26, 1),
    "stochastic": lambda one: talib.STOCH(one.high, one.low, one.close, 14, 3, 0, 3, 0),
    "rolling_argmax": lambda one: talib.MAXINDEX(one.close, 20),
    "rolling_argmin": lambda one: talib.MININDEX(one.close, 20),
}


def optional(name: str):
    """A peer, or None and a line that names it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed: its rows are missing (pip install -e '.[bench]')")
        return None


@functools.cache
def world() -> One:
    """A universe of seeded prices, (500, 2520) a field."""
    rng = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (N_SYMBOLS, N_BARS)), axis=1))
    opens = close * np.exp(0.004 * rng.standard_normal(close.shape))
    swing = 0.006 * np.abs(rng.standard_normal((2, *close.shape)))
    high, low = np.maximum(opens, close) * (1.0 + swing[0]), np.minimum(opens, close) * (1.0 - swing[1])
    return One(opens, high, low, close, np.floor(1e6 * np.exp(0.5 * rng.standard_normal(close.shape))))


def fields_of(what: Indicator) -> list[np.ndarray]:
    return [getattr(world(), str(name)) for name in what.inputs]


def same(ours: np.ndarray, theirs: np.ndarray, name: str) -> None:
    """Raises if two answers differ by more than a rounding of their size after the warm-up."""
    late = slice(600, None)
    difference = np.abs(np.asarray(ours)[..., late] - np.asarray(theirs)[..., late])
    if not np.nanmax(difference) <= 1e-8 * np.nanmax(np.abs(np.asarray(theirs)[..., late])):
        raise AssertionError(f"{name}: ours and the peer differ by {np.nanmax(difference)}")


def declared(name: str) -> Indicator:
    what = TABLE[name].what
    assert isinstance(what, Indicator)
    return what


def talib_of(name: str) -> Callable[[One], object]:
    return ONE_CALL.get(name, TABLE[name].references["TA-Lib"])


def talib_loop(name: str) -> list[object]:
    call, everything = talib_of(name), world()
    return [call(One(*[field[i] for field in everything])) for i in range(N_SYMBOLS)]


def panel_peers(name: str) -> dict[str, Callable[[], object]]:
    """Who else computes the indicator of a whole panel."""
    close, peers = world().close, {"TA-Lib": lambda: talib_loop(name)}
    bottleneck, numbagg = optional("bottleneck"), optional("numbagg")
    if bottleneck:
        moves = {
            "sma": bottleneck.move_mean,
            "rolling_std, population": bottleneck.move_std,
            "rolling_max": bottleneck.move_max,
        }
        if name in moves:
            peers["bottleneck"] = lambda: moves[name](close, 20, axis=1)
    if numbagg:
        if name == "sma":
            peers["numbagg"] = lambda: numbagg.move_mean(close, window=20)
        elif name == "rolling_std, population":
            peers["numbagg"] = lambda: numbagg.move_std(close, window=20)
        elif name == "ema":
            peers["numbagg"] = lambda: numbagg.move_exp_nanmean(close, alpha=2.0 / 21.0)
    return peers


def computed(what: Indicator, threads: int | None, out: np.ndarray | None = None) -> np.ndarray:
    """The outputs over the panel, into fresh memory unless given."""
    program = alone(what.formula, len(what.inputs))
    out = block(program.n_outputs, N_SYMBOLS, N_BARS) if out is None else out
    program.run(fields_of(what), out, threads=threads)
    return out


def panel_rows(rounds: int) -> Iterator[Row]:
    """A universe, two threads beside every peer and one thread beside TA-Lib; then as part of a plain copy."""
    for name, target in TARGETS.items():
        what = declared(name)
        for peer, call in panel_peers(name).items():
            if peer == "TA-Lib":
                same(computed(what, 1)[:, 3], np.atleast_2d(call()[3]), name)  # type: ignore[index]
            else:
                same(computed(what, 1)[0], np.asarray(call()) * AS_OURS.get((peer, name), 1.0), name)
            ours = functools.partial(computed, what, 2)
            yield interleaved(f"{name}, {N_SYMBOLS} x {N_BARS}, 2 threads", functools.partial(seconds, ours), peer,
                              functools.partial(seconds, call), target, rounds)  # fmt: skip
        ours, loop = functools.partial(computed, what, 1), functools.partial(talib_loop, name)
        yield interleaved(f"{name}, {N_SYMBOLS} x {N_BARS}, 1 thread", functools.partial(seconds, ours), "TA-Lib",
                          functools.partial(seconds, loop), 2.0, rounds)  # fmt: skip
    o = world()
    index = functools.partial(seconds, lambda: [talib.ADX(o.high[i], o.low[i], o.close[i], 14) for i in range(N_SYMBOLS)])
    for threads, target in (1, 2.0), (2, 10.0):
        ours = functools.partial(seconds, functools.partial(alone_adx, threads))
        yield interleaved(f"adx alone, {threads} thread{'s' * (threads > 1)}", ours, "TA-Lib", index, target, rounds)
    for name in "sma", "ema":
        what, out, copy = declared(name), block(1, N_SYMBOLS, N_BARS), np.empty((N_SYMBOLS, N_BARS))
        ours, plain = functools.partial(computed, what, 1, out), functools.partial(np.copyto, copy, world().close)
        yield interleaved(f"{name}, 1 thread, memory handed in", functools.partial(seconds, ours), "a plain copy",
                          functools.partial(seconds, plain), 0.5, 3 * rounds)  # fmt: skip


def alone_adx(threads: int) -> None:
    """The index alone, of the three outputs."""
    what = declared("adx")
    alone(what.formula, 3).run(fields_of(what), block(1, N_SYMBOLS, N_BARS), [0], threads)


def single_rows(rounds: int) -> Iterator[Row]:
    """One symbol, arrays in and out, for all that TA-Lib has; and a Series in and out."""
    one, rows = One(*[field[5].copy() for field in world()]), []
    for name, case in TABLE.items():
        if "TA-Lib" not in case.references or not isinstance(case.what, Indicator) or not set(case.what.inputs) <= set(FIELDS):
            continue
        program = alone(case.what.formula, len(case.what.inputs))
        inputs = [getattr(one, str(field)) for field in case.what.inputs]
        ours, theirs = functools.partial(program.row, *inputs), functools.partial(talib_of(name), one)
        if name not in ONE_CALL:
            same(ours(), np.atleast_2d(theirs()), name)  # type: ignore[arg-type]
        times = [functools.partial(repeated, call, 100) for call in (ours, theirs)]
        rows.append(interleaved(f"{name}, one symbol of {N_BARS}", times[0], "TA-Lib", times[1], 1.3, 3 * rounds))
        yield rows[-1]
    ours_s, theirs_s = [r.ours_s for r in rows], [r.peer_s for r in rows]
    middle = np.argsort([r.ratio for r in rows])[len(rows) // 2]
    median = rows[middle]
    yield Row(f"the median of {len(rows)} indicators, one symbol", ours_s[middle], "TA-Lib", theirs_s[middle],
              median.ratio, median.low, median.high, 1.5, median.low >= 1.5)  # fmt: skip
    close = pd.Series(one.close, pd.bdate_range("2003-01-01", periods=N_BARS))
    for name, call in {"sma": lambda: ta.sma(close, 20), "rsi": lambda: ta.rsi(close, 14)}.items():
        took = [repeated(call, 200) for _ in range(3 * rounds)]
        yield row(f"{name} of a Series", took, "25 us", [25e-6] * len(took), 1.0)


SET = {
    "ema": ta.ema(20), "rsi": ta.rsi(14), "macd": ta.macd(), "atr": ta.atr(14), "adx": ta.adx(14), "obv": ta.obv(),
    "bands": ta.bollinger(20), "stochastic": ta.stochastic(), "correlation": ta.rolling_correlation(60).of("close", "volume"),
    "highest": ta.rolling_max(20), "lowest": ta.rolling_min(20),
}  # fmt: skip


def talib_set(o: One) -> tuple[object, ...]:
    return (
        talib.EMA(o.close, 20), talib.RSI(o.close, 14), talib.MACD(o.close), talib.ATR(o.high, o.low, o.close, 14),
        talib.ADX(o.high, o.low, o.close, 14), talib.PLUS_DI(o.high, o.low, o.close, 14),
        talib.MINUS_DI(o.high, o.low, o.close, 14), talib.OBV(o.close, o.volume), talib.BBANDS(o.close, 20),
        talib.STOCH(o.high, o.low, o.close, 14, 3, 0, 3, 0), talib.CORREL(o.close, o.volume, 60),
        talib.MAX(o.close, 20), talib.MIN(o.close, 20),
    )  # fmt: skip


def set_rows(rounds: int) -> Iterator[Row]:
    """Eighteen outputs of the whole universe in one pass."""
    members = tuple(SET.values())
    (program, wanted), fields = programmed(members), dict.fromkeys(f for m in members for f in m.inputs)
    columns, everything = [getattr(world(), str(field)) for field in fields], world()
    assert program.n_outputs == 18

    def theirs() -> list[object]:
        return [talib_set(One(*[field[i] for field in everything])) for i in range(N_SYMBOLS)]

    def ours(out: np.ndarray | None = None) -> None:
        program.run(columns, block(18, N_SYMBOLS, N_BARS) if out is None else out, wanted, threads=2)

    kept = block(18, N_SYMBOLS, N_BARS)
    for what, call, target in ("fresh memory", ours, 3.0), ("memory handed in", functools.partial(ours, kept), 5.0):
        yield interleaved(f"a set of 18 outputs, 2 threads, {what}", functools.partial(seconds, call), "TA-Lib",
                          functools.partial(seconds, theirs), target, rounds)  # fmt: skip
