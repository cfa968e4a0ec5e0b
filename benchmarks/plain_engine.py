"""The engine of the original design, written plainly: what the toolkit is measured against.

It fetches one symbol after the other through yfinance, computes its indicators in pandas wherever they are used, asks for the
account and the positions at each decision, makes a full risk report for each trade, and keeps nothing from cycle to cycle.

    python -m benchmarks.plain_engine PORT URL CYCLES SYMBOL...

prints as JSON what a cycle costs a process of its own, with Yahoo on a loopback port and Alpaca at a loopback address.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import yfinance

START, YEAR, WINDOW = "2000-01-01", 252, 504
SMAPS = Path("/proc/self/smaps_rollup")
KEYS = "PKLOOPBACK", "loopback-secret"


# ------------------------------------------------------------------------------------------------------------- indicators
def rsi(close: pd.Series, span: int = 14) -> pd.Series:
    """Wilder's RSI as it is commonly written in pandas."""
    change = close.diff()
    gain = change.clip(lower=0.0).ewm(alpha=1 / span, adjust=False, min_periods=span).mean()
    loss = (-change.clip(upper=0.0)).ewm(alpha=1 / span, adjust=False, min_periods=span).mean()
    return 100.0 - 100.0 / (1.0 + gain / loss)


def sma(close: pd.Series, window: int) -> pd.Series:
    """Mean of the last `window` closes."""
    return close.rolling(window).mean()


def entries(close: pd.Series) -> pd.Series:
    """Bars at which the trend rules buy."""
    return (sma(close, 5) > sma(close, 20)) & (close > sma(close, 50)) & (rsi(close) < 70.0)


def leaves(close: pd.Series) -> pd.Series:
    """Bars at which they sell."""
    fast, slow = sma(close, 5), sma(close, 20)
    return ((fast < slow) & (fast.shift(1) >= slow.shift(1))) | (rsi(close) > 80.0)


def wants(close: pd.Series) -> bool:
    """Whether the trend rules hold the symbol at the last bar: entered at a good bar, not left since."""
    state = pd.Series(float("nan"), close.index).mask(entries(close), 1.0).mask(leaves(close), 0.0).ffill()
    return bool(state.iloc[-1] == 1.0)


# ------------------------------------------------------------------------------------------------------------------- risk
def risk_report(close: pd.DataFrame, dollars: pd.Series, equity: float, benchmark: pd.Series) -> dict[str, Any]:
    """The risk of `dollars` by symbol over the last 504 common returns; losses are positive fractions of equity."""
    weights = dollars / equity
    history = close[list(dollars.index)].dropna().pct_change().dropna()
    recent = history.tail(WINDOW)
    covariance, market = recent.cov(), benchmark.pct_change().reindex(recent.index)
    returns = recent.mul(weights).sum(axis=1)
    curve = (1.0 + history.mul(weights).sum(axis=1)).cumprod()
    deviation = float(np.sqrt(weights @ covariance @ weights))
    report: dict[str, Any] = {"volatility": deviation * YEAR**0.5, "leverage": float(weights.abs().sum())}
    for level in (0.95, 0.99):
        edge = returns.quantile(1.0 - level, interpolation="lower")
        report[f"var_{level:.0%}"], report[f"cvar_{level:.0%}"] = -edge, -returns[returns <= edge].mean()
    report["beta"] = returns.cov(market) / market.var()
    report["correlation"] = recent.corr()
    report["contributions"] = weights * (covariance @ weights) / deviation
    report["drawdown"] = float((1.0 - curve / curve.cummax()).max())
    report["concentration"] = float(((dollars / dollars.abs().sum()) ** 2).sum())
    return report


# ---------------------------------------------------------------------------------------------------------------- account
class Account(Protocol):
    """What the engine asks at each decision."""

    def equity(self) -> float: ...

    def positions(self) -> dict[str, float]: ...

    def order(self, symbol: str, shares: int, price: float) -> None: ...


class KeptAccount:
    """An account on paper in the engine's own memory: fills at the price of the decision."""

    def __init__(self, cash: float = 100_000.0) -> None:
        self.cash, self.held, self.price = cash, dict[str, float](), dict[str, float]()

    def equity(self) -> float:
        return self.cash + sum(shares * self.price[symbol] for symbol, shares in self.held.items())

    def positions(self) -> dict[str, float]:
        return {symbol: shares for symbol, shares in self.held.items() if shares}

    def order(self, symbol: str, shares: int, price: float) -> None:
        self.held[symbol] = self.held.get(symbol, 0.0) + shares
        self.cash -= shares * price
        self.price[symbol] = price


class AskedAccount:
    """An account at Alpaca, asked through alpaca-py; needs `pip install -e '.[alpaca]'`."""

    def __init__(self, url: str) -> None:
        from alpaca.trading.client import TradingClient
        from alpaca.trading.requests import MarketOrderRequest

        self._client, self._request = TradingClient(*KEYS, url_override=url), MarketOrderRequest

    def equity(self) -> float:
        return float(self._client.get_account().equity)

    def positions(self) -> dict[str, float]:
        return {each.symbol: float(each.qty) for each in self._client.get_all_positions()}

    def order(self, symbol: str, shares: int, price: float) -> None:
        side = "buy" if shares > 0 else "sell"
        self._client.submit_order(self._request(symbol=symbol, qty=abs(shares), side=side, time_in_force="opg"))


# ----------------------------------------------------------------------------------------------------------------- engine
class PlainEngine:
    """One cycle after the other; `took` holds the seconds of each part of the last one, `reports` its risk reports.

    `sent` names what was ordered: symbol, bar and whether it was bought.
    """

    def __init__(self, symbols: list[str], session: Any, account: Account) -> None:
        self.symbols, self.session, self.account = symbols, session, account
        self.took, self.reports = Counter[str](), list[dict[str, Any]]()
        self.sent: set[tuple[str, pd.Timestamp, bool]] = set()

    def cycle(self) -> set[str]:
        """The symbols that it wants to hold, after it has ordered what it lacks and what is too much."""
        self.took.clear()
        self.reports.clear()
        with self._timed("cycle"):
            with self._timed("fetch"):
                close = pd.DataFrame({symbol: self.fetch(symbol)["Close"] for symbol in self.symbols})
            return {symbol for symbol in self.symbols if self.decide(symbol, close)}

    def fetch(self, symbol: str) -> pd.DataFrame:
        """Adjusted bars; without an end yfinance keeps no reply either."""
        return yfinance.Ticker(symbol, session=self.session).history(start=START)

    def decide(self, symbol: str, close: pd.DataFrame) -> bool:
        """Whether the symbol is wanted; what is held is brought into line."""
        with self._timed("indicators"):
            wanted = wants(close[symbol].dropna())
        with self._timed("account"):
            equity, held = self.account.equity(), self.account.positions()
        price = float(close[symbol].iloc[-1])
        sent = (symbol, close.index[-1], wanted)
        if wanted != (symbol in held) and sent not in self.sent:
            self.sent.add(sent)
            shares = int(equity / len(self.symbols) / price) if wanted else -int(held[symbol])
            with self._timed("risk"):
                self.reports.append(self.judged({**held, symbol: held.get(symbol, 0.0) + shares}, close, equity))
            with self._timed("account"):
                self.account.order(symbol, shares, price)
        return wanted

    def judged(self, held: dict[str, float], close: pd.DataFrame, equity: float) -> dict[str, Any]:
        """The risk report of the shares that would be held."""
        shares = pd.Series({symbol: n for symbol, n in held.items() if n and symbol in close})
        if shares.empty:
            return {}
        return risk_report(close, shares * close.ffill().iloc[-1][shares.index], equity, close[self.symbols[0]])

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.took[part] += time.perf_counter() - start


# ------------------------------------------------------------------------------------------------------ a process of its own
def private() -> float:
    """Bytes that this process shares with no other (Linux)."""
    lines = (line.split() for line in SMAPS.read_text().splitlines()[1:])
    return 1024.0 * sum(int(words[1]) for words in lines if words[0].startswith("Private_"))


def spent(cycle: Callable[[], object], cycles: int, imported: float) -> dict[str, float]:
    """What a warm cycle costs this process: seconds of CPU time, its highest private bytes, and those beyond `imported`."""
    for _ in range(2):
        cycle()
    before = os.times()
    for _ in range(cycles):
        cycle()
    after = os.times()
    stop, seen = threading.Event(), [private()]

    def watch() -> None:
        while not stop.wait(0.002):
            seen.append(private())

    watcher = threading.Thread(target=watch)
    watcher.start()
    cycle()
    stop.set()
    watcher.join()
    cpu = (after.user + after.system - before.user - before.system) / cycles
    return {"cpu": cpu, "peak": max(seen), "beyond": max(seen) - imported}


def main(port: str, url: str, cycles: str, *symbols: str) -> None:
    from toolkit.testing.yahoo_wire import LoopbackSession

    warnings.simplefilter("ignore")  # of yfinance under pandas 3
    imported = private()
    engine = PlainEngine(list(symbols), LoopbackSession(int(port)), AskedAccount(url))
    print(json.dumps(spent(engine.cycle, int(cycles), imported)))


if __name__ == "__main__":
    main(*sys.argv[1:])
