"""Sweeps and backtests beside vectorbt, PyBroker and backtesting.py, and how their cost grows.

    python -m benchmarks.sweep [--quick] [--json FILE]

Peers come with `pip install -e '.[bench]'`; one that is missing is named. Results are compared before anything is timed. Where
conventions differ ours are set to those of the peer, or translated, as each comparison says.
"""

from __future__ import annotations

import functools
import gc
import itertools
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.measure import Row, interleaved, limit, options, repeated, report, row, seconds
from toolkit import Bars, backtest
from toolkit.cycle.sweep import sweep
from toolkit.execution.costs import Costs, Policy
from toolkit.risk.sizing import equal_weight
from toolkit.signals.indicators import sma
from toolkit.signals.rules import above

N_BARS = 2520
WINDOWS = list(range(5, 97, 2))
PAIRS = pd.DataFrame(list(itertools.combinations(WINDOWS, 2))[:1000], columns=["fast", "slow"])
FEW = PAIRS.iloc[::10].reset_index(drop=True)
CROSSOVER = above(lambda fast: sma(fast), lambda slow: sma(slow))
COSTS = Costs(fee_bps=10.0, slippage_bps=5.0)
NO_SLIPPAGE = Costs(fee_bps=10.0, slippage_bps=0.0)
KEPT = tempfile.TemporaryDirectory()  # trials are counted, as they would be in a project


@functools.cache
def world(n_symbols: int, n_bars: int = N_BARS) -> tuple[Bars, pd.DataFrame, pd.DataFrame]:
    """Random walks with gaps, and the same closes and opens as frames."""
    rng = np.random.default_rng(0)
    close = 100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal((n_symbols, n_bars)), axis=1))
    before = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    opens = before * np.exp(0.003 * rng.standard_normal(close.shape))
    high, low = np.maximum(opens, close) * 1.003, np.minimum(opens, close) * 0.997
    index = pd.bdate_range("2003-01-01", periods=n_bars)
    names, panels = [f"S{n:03}" for n in range(n_symbols)], (opens, high, low, close, np.full_like(close, 1e6))
    fields = dict(zip(("open", "high", "low", "close", "volume"), panels, strict=True))
    frames = {name: pd.DataFrame({f: panel[n] for f, panel in fields.items()}, index=index) for n, name in enumerate(names)}
    bars = Bars.from_frame(frames)
    bars.fingerprint  # noqa: B018  (bars of the cache know it)
    return bars, *(pd.DataFrame(panel.T, index=index, columns=names) for panel in (close, opens))


def peer(name: str) -> ModuleType | None:
    """The library, or None, said so."""
    try:
        return import_module(name)
    except ImportError as error:
        print(f"{name}: MISSING ({error}); pip install -e '.[bench]'")
        return None


# ------------------------------------------------------------------------------------------------------------- vectorbt
def ours(n_symbols: int, pairs: pd.DataFrame, cash: float = 1e4) -> pd.DataFrame:
    """All the cash at the fill, which vectorbt's orders are: a size of 1.25 that is cut to it."""
    found = sweep(
        CROSSOVER, pairs, world(n_symbols)[0], sizing=1.25, costs=COSTS, cash=cash, each_symbol=n_symbols > 1,
        state=KEPT.name, progress=False,
    )  # fmt: skip
    return found.frame


def vectorbts(vbt: ModuleType, n_symbols: int, pairs: pd.DataFrame, cash: float = 1e4) -> list[np.ndarray]:
    """Total return, drawdown, Sharpe ratio, order count, one value a column; signals of a close, filled at the next open."""
    _, close, opens = world(n_symbols)
    fast, slow = (vbt.MA.run(close, window=pairs[name].tolist(), short_name=name) for name in pairs)
    entries = pd.DataFrame(fast.ma.to_numpy() > slow.ma.to_numpy(), index=close.index)
    prices = [frame.to_numpy() for frame in (close, opens)]
    many = [
        pd.DataFrame(np.tile(p, len(pairs)), index=close.index) if n_symbols > 1 else pd.Series(p[:, 0], close.index)
        for p in prices
    ]
    done = vbt.Portfolio.from_signals(
        many[0], entries.shift(1, fill_value=False), (~entries).shift(1, fill_value=False), price=many[1], fees=0.001,
        slippage=0.0005, init_cash=cash, freq="D",
    )  # fmt: skip
    year = {"year_freq": "252 days"}
    found = done.total_return(), done.max_drawdown(), done.sharpe_ratio(**year), done.orders.count()
    return [np.asarray(values, dtype=float) for values in found]


def check_vectorbt(vbt: ModuleType, n_symbols: int, pairs: pd.DataFrame, cash: float, most: float) -> None:
    """The same numbers to `most`, relative to 1 plus their size, and order counts exactly.

    vectorbt counts a return of the first bar, which is 0, among those of a Sharpe ratio: ours is translated.
    """
    mine, theirs, n = ours(n_symbols, pairs, cash), vectorbts(vbt, n_symbols, pairs, cash), N_BARS
    mean = mine["sharpe"] * mine["volatility"] / 252.0
    squares = mine["volatility"] ** 2 / 252.0 * (n - 2) + mean**2 * (n - 1)
    total = mean * (n - 1)
    translated = total / n / np.sqrt((squares - total**2 / n) / (n - 1)) * 252.0**0.5
    values = mine["total_return"], mine["max_drawdown"], translated, mine["fills"]
    for name, a, b in zip(("return", "drawdown", "Sharpe", "orders"), values, theirs, strict=True):
        worst = float(np.nanmax(np.abs(a.to_numpy() - b) / (1.0 + np.abs(b))))
        assert worst <= (0.0 if name == "orders" else most), f"{name} at ${cash:g}: {worst:g} apart"


def vectorbt_rows(rounds: int) -> Iterator[Row]:
    if (vbt := peer("vectorbt")) is None:
        return
    for cash, most in (1e8, 1e-11), (1e4, 2e-8):
        check_vectorbt(vbt, 1, PAIRS, cash, most)
        check_vectorbt(vbt, 3, FEW, cash, most)
    for name, n_symbols, pairs, times, calls in (
        ("1 x 2,520 x 1,000", 1, PAIRS, rounds, 10),
        ("100 x 2,520 x 100", 100, FEW, max(rounds // 4, 2), 5),
    ):
        a, b = functools.partial(ours, n_symbols, pairs), functools.partial(vectorbts, vbt, n_symbols, pairs)
        mine, theirs = functools.partial(tidied, a, calls), functools.partial(tidied, b, 1)
        mine()
        yield interleaved(f"SMA crossovers, {name} pairs", mine, "vectorbt", theirs, 100.0, times)


def tidied(call: Callable[[], object], times: int) -> float:
    """Seconds of one call over several (vectorbt's takes a second by itself), after the garbage of what ran before is gone."""
    gc.collect()
    return repeated(call, times)


MEMORY = """
import sys, re
from benchmarks import sweep as b
def status(key):
    return int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1e3
b.world(100)
vbt = b.peer("vectorbt") if sys.argv[1] == "theirs" else None
b.ours(1, b.PAIRS[:2]) if vbt is None else b.vectorbts(vbt, 1, b.PAIRS[:2])
before = status("VmRSS")
b.ours(100, b.FEW) if vbt is None else b.vectorbts(vbt, 100, b.FEW)
print(status("VmHWM") - before)
"""


def memory_rows() -> Iterator[Row]:
    """Peak memory above imports and prices, each side in a process of its own."""

    def peak(side: str) -> float:
        done = subprocess.run([sys.executable, "-c", MEMORY, side], check=True, capture_output=True, text=True)
        return float(done.stdout.split()[-1])

    yield limit("peak memory, 100 x 2,520 x 100 pairs", mine := peak("ours"), "200 MB", 200.0, "MB")
    if peer("vectorbt") is not None:
        theirs = peak("theirs")
        yield Row(
            "the same", mine, "vectorbt", theirs, theirs / mine, theirs / mine, theirs / mine, 20.0, theirs > 20 * mine, "MB"
        )


# ------------------------------------------------------------------------------------------------------------- PyBroker
def held(bars: Bars) -> pd.DataFrame:
    return bars.close.notna().astype(float)


def portfolio(n_bars: int) -> pd.Series:
    """Every symbol brought back to its part of 95% of equity at every close: whole shares, filled at the next open."""
    policy = Policy(band=0.0, whole_shares=True)
    return backtest(
        held, world(100, n_bars)[0], equal_weight(0.95), policy=policy, costs=NO_SLIPPAGE, cash=1e7, state=False
    ).equity


def pybrokers(pb: ModuleType, n_bars: int) -> pd.Series:
    bars, *_ = world(100, n_bars)
    fields = {
        name: getattr(bars, name).melt(var_name="symbol", ignore_index=False) for name in ("open", "high", "low", "close")
    }
    table = pd.DataFrame({name: part["value"] for name, part in fields.items()} | {"symbol": fields["open"]["symbol"]})
    table = table.assign(volume=1e6).rename_axis("date").reset_index()

    def rebalance(contexts: dict) -> None:
        for each in contexts.values():
            wanted, position = each.calc_target_shares(0.95 / 100), each.long_pos()
            more = wanted - (position.shares if position else 0)
            if more > 0:
                each.buy_shares, each.buy_fill_price = more, pb.PriceType.OPEN
            elif more < 0:
                each.sell_shares, each.sell_fill_price = -more, pb.PriceType.OPEN

    config = pb.StrategyConfig(
        initial_cash=1e7, fee_mode=pb.FeeMode.ORDER_PERCENT, fee_amount=0.1, round_fill_price=False, round_test_result=False
    )
    strategy = pb.Strategy(table, bars.index[0], bars.index[-1], config)
    strategy.add_execution(None, list(bars.symbols))
    strategy.set_after_exec(rebalance)
    return strategy.backtest(calc_bootstrap=False).portfolio["equity"]


def pybroker_rows(rounds: int, quick: bool) -> Iterator[Row]:
    """One round in full takes PyBroker minutes; --quick takes a tenth of the bars."""
    n_bars, name = (N_BARS // 10, "100 x 252") if quick else (N_BARS, "100 x 2,520")
    portfolio(n_bars)
    if (pb := peer("pybroker")) is not None:
        pb.disable_logging(), pb.disable_progress_bar()
        pybrokers(pb, 20)
        mine, curves = [seconds(lambda: portfolio(n_bars)) for _ in range(5)], []
        theirs = seconds(lambda: curves.append(pybrokers(pb, n_bars)))
        apart = np.abs(curves[0].to_numpy() / portfolio(n_bars).to_numpy() - 1.0).max()
        assert apart < 1e-10, f"PyBroker's equity is {apart:g} apart"
        yield row(f"portfolio on one account, {name}, every bar", mine, "PyBroker", [theirs] * len(mine), 50.0)
    took = [seconds(lambda: portfolio(N_BARS)) for _ in range(max(rounds, 5))]
    yield row("portfolio on one account, 100 x 2,520, every bar", took, "20 ms", [0.02] * len(took), 1.0)


# ------------------------------------------------------------------------------------------------------- backtesting.py
def one_backtest() -> pd.Series:
    """All the cash in whole shares while the average of 10 bars is above that of 30, filled at the next open."""
    policy = Policy(whole_shares=True)
    return backtest(
        above(sma(10), sma(30)), world(1)[0], more_than_all, policy=policy, costs=NO_SLIPPAGE, cash=1e7, state=False
    ).equity


def more_than_all(scores: pd.DataFrame, bars: Bars) -> pd.DataFrame:
    return 1.25 * scores


def backtesting_rows(rounds: int) -> Iterator[Row]:
    bt: Any = peer("backtesting")
    if bt is None:
        return
    bt.backtesting._tqdm = lambda bars, **_: bars
    bars, *_ = world(1)
    table = pd.DataFrame({name: getattr(bars, name.lower()).iloc[:, 0] for name in ("Open", "High", "Low", "Close", "Volume")})

    class Cross(bt.Strategy):
        def init(self) -> None:
            self.fast, self.slow = (self.I(lambda c, n=n: pd.Series(c).rolling(n).mean(), self.data.Close) for n in (10, 30))

        def next(self) -> None:
            if self.fast[-1] > self.slow[-1]:
                if not self.position:
                    self.buy(size=1.0 - 1e-10)
            elif self.position:
                self.position.close()

    def theirs() -> pd.Series:
        return bt.Backtest(table, Cross, cash=1e7, commission=0.001, finalize_trades=False).run()["_equity_curve"]["Equity"]

    apart = np.abs(theirs().to_numpy() / one_backtest().to_numpy() - 1.0).max()
    assert apart < 1e-11, f"the equity of backtesting.py is {apart:g} apart"
    yield interleaved(
        "one backtest of one symbol", lambda: seconds(one_backtest), "backtesting.py", lambda: seconds(theirs), 20.0, 3 * rounds
    )


# --------------------------------------------------------------------------------------------------------------- growth
def growth_rows(rounds: int) -> Iterator[Row]:
    """Seconds a symbol, bar or set of much work beside those of a quarter of it."""

    def each(n_symbols: int, n_bars: int, n_sets: int, count: int) -> Callable[[], float]:
        bars, pairs = (
            world(n_symbols, n_bars)[0],
            pd.concat([PAIRS] * 4)[:n_sets].assign(slow=lambda p: p["slow"] + np.arange(len(p)) // 1000),
        )
        run = functools.partial(
            sweep, CROSSOVER, pairs, bars, sizing=1.25, costs=COSTS, each_symbol=True, state=False, progress=False, n_jobs=1
        )
        run()
        return lambda: seconds(run) / count

    for what, large, small in (
        ("symbols", (80, N_BARS, 100, 80), (20, N_BARS, 100, 20)),
        ("bars", (4, 4 * N_BARS, 200, 4 * N_BARS), (4, N_BARS, 200, N_BARS)),
        ("sets", (1, N_BARS, 4000, 4000), (1, N_BARS, 1000, 1000)),
    ):
        yield interleaved(
            f"a sweep of four times the {what}, each", each(*large), "the same of a quarter", each(*small), 0.75, rounds
        )


def main() -> int:
    args = options(__doc__ or "")
    warnings.filterwarnings("ignore", module="vectorbt|pybroker|backtesting")
    rounds = 4 if args.quick else 15
    rows: list[Row] = []
    with KEPT:
        for part in (
            vectorbt_rows(rounds),
            memory_rows(),
            backtesting_rows(rounds),
            growth_rows(rounds),
            pybroker_rows(rounds, args.quick),
        ):
            rows += part
    return report(rows, args)


if __name__ == "__main__":
    raise SystemExit(main())
