"""The toolkit's engine as the comparison with the plain one drives it: the same cycle, its parts timed alike.

    python -m benchmarks.toolkit_engine PORT URL CYCLES FOLDER INSTANT SYMBOL...

prints as JSON what a cycle costs a process of its own, as `benchmarks.plain_engine` does.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.plain_engine import private, spent
from toolkit import TradingEngine, YahooSource, trend_and_rsi
from toolkit.cycle.config import checked_config
from toolkit.data import Clock
from toolkit.data.sources import Source
from toolkit.kernels.account import UNIT
from toolkit.risk.cached import CycleRisk
from toolkit.risk.report import RiskReport
from toolkit.testing.yahoo_wire import LoopbackSession

MEASURES = ("volatility", "leverage", "var_95", "cvar_95", "var_99", "cvar_99", "herfindahl")


class Standing:
    """A live clock that stands where it is put; `skip` lets time pass for the pace of requests."""

    namespace = "live"

    def __init__(self, instant: pd.Timestamp) -> None:
        self.time, self._skipped = instant, 0.0

    def now(self) -> pd.Timestamp:
        return self.time

    horizon = now

    def monotonic(self) -> float:
        return time.perf_counter() + self._skipped

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def skip(self, seconds: float) -> None:
        self._skipped += seconds


class Ours:
    """The toolkit's engine with the risk step beside it; `url` is that of the broker, None for an account kept here."""

    def __init__(self, folder: Path, symbols: list[str], source: Source, clock: Clock, url: str | None = None) -> None:
        values: dict[str, Any] = {"symbols": symbols, "mode": "broker-paper" if url else "paper", "allow_uncertified": True}
        values |= {"state": str(folder / "state"), "cache": {"directory": str(folder / "cache")}, "broker": {"url": url}}
        keys = {"APCA_API_KEY_ID": "PKLOOPBACK", "APCA_API_SECRET_KEY": "loopback-secret"}
        strategy = trend_and_rsi
        self.engine = TradingEngine(
            checked_config(values), strategy=strategy, source=source, clock=clock, environment=keys if url else {}
        )
        self.risk = CycleRisk(benchmark=symbols[0])
        self.took: dict[str, float] = {}

    def cycle(self) -> set[str]:
        """The symbols that it wants to hold; a risk report of what it has and has ordered is made as well."""
        start = time.perf_counter()
        done = self.engine.run_cycle().row
        bars = self.engine.data_cache.bars(self.engine.config.symbols)
        risk_from = time.perf_counter()  # prices are at hand, as they are where the plain engine begins to time its report
        looked(self.risk.update(bars, *self.held()))
        end = time.perf_counter()
        self.took = {"cycle": end - start, "fetch": done.data_fetch_time, "indicators": done.signal_generation_time}
        self.took["risk"] = done.risk_calculation_time + end - risk_from
        scores = self.engine.signal_generator.scores(bars).iloc[-1]
        return set(scores.index[scores == 1.0])

    def held(self) -> tuple[dict[str, float], float]:
        """Shares by symbol, waiting orders included, and equity in dollars."""
        account = self.engine.broker.account()
        held: Counter[str] = Counter({symbol: each.qty for symbol, each in account.positions.items()})
        for order in account.waiting:
            held[order.symbol] += order.qty if order.side == "buy" else -order.qty
        return {symbol: qty / UNIT for symbol, qty in held.items() if qty}, account.equity

    def close(self) -> None:
        self.engine.close()


def looked(report: RiskReport) -> dict[str, Any]:
    """What the plain engine's report says, read from ours."""
    if not len(report.dollars):
        return {}
    said: dict[str, Any] = {name: report.measure(name) for name in MEASURES}
    said |= {"beta": report.beta.iloc[-1], "correlation": report.correlation, "contributions": report.contributions}
    return said | {"drawdown": report.drawdowns.deepest}


def main(port: str, url: str, cycles: str, folder: str, instant: str, *symbols: str) -> None:
    imported, clock = private(), Standing(pd.Timestamp(instant))
    source = YahooSource(LoopbackSession(int(port)), clock=clock, shared=Path(folder) / "pace")
    ours = Ours(Path(folder), list(symbols), source, clock, url)

    def cycle() -> None:
        clock.skip(300.0)
        ours.cycle()

    print(json.dumps(spent(cycle, int(cycles), imported)))
    ours.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
