"""Counts of requests, and how soon a large ledger is ready: what the promises of execution are measured by."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.data import Bars, Calendar, ReplayClock
from toolkit.data.clock import SystemClock
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.costs import Costs, Limits, rules
from toolkit.execution.ledger import Ledger
from toolkit.execution.lifecycle import close_others, resolve
from toolkit.testing.alpaca_server import AlpacaServer

SYMBOLS = ["AAPL", "GOOG", "IBM", "MSFT"]


@dataclass(frozen=True)
class Requests:
    """What the cycles of a month at the loopback Alpaca asked for."""

    idle: int  # the most of a cycle with nothing due, for bars
    due: int  # the most of a cycle with bars due, for bars: one each symbol
    reconcile: int  # the most of a reconciliation
    order: float  # the most an order
    account: int  # for account and positions, in all
    plain: int  # the same of the plain loop: account and positions for each symbol, and again for each order


def requests(bars: Bars, folder: Path, month: str = "2012-03") -> Requests:
    """A month of two cycles a session, in the evening and at night, of an engine at the loopback Alpaca."""
    days = Calendar("XNYS").closes_between(f"{month}-01", f"{month}-31")
    instants = [close + pd.Timedelta(hours=h) for close in days for h in (3, 5)]  # 19:00 to 21:00 or later in New York
    clock = ReplayClock(instants)
    with AlpacaServer([bars], clock=clock, limit=10**9) as server:
        config = checked_config({
            "symbols": SYMBOLS, "mode": "broker-paper", "account": "counted", "state": str(folder / "state"),
            "allow_uncertified": True, "cache": {"directory": str(folder / "cache")},
            "broker": {"url": server.url, "requests_per_minute": 1e6},
        })  # fmt: skip
        keys = {"TK_ALPACA_KEY": server.key, "TK_ALPACA_SECRET": server.secret}
        with closing(TradingEngine(config, clock=clock, environment=keys)) as engine:
            rows = []
            for _ in instants:
                before, orders_before, bars_before = len(server.log), posts(server), engine.source.meter.calls
                report = engine.run_cycle()
                sent, fetched = posts(server) - orders_before, engine.source.meter.calls - bars_before
                assets = sum("/assets/" in r.path for r in server.log[before:])
                rows.append((fetched, len(server.log) - before - sent - assets, sent, assets, report.orders))
                clock.advance()
    table = pd.DataFrame(rows, columns=["bars", "books", "sent", "assets", "orders"]).iloc[1:]  # the first fills the cache
    account = sum(r.method == "GET" and r.path in ("/v2/account", "/v2/positions") for r in server.log)
    trading = table[table["orders"] > 0]
    return Requests(
        int(table["bars"].min()), int(table["bars"].max()), int(table["books"].max()),
        float(((trading["sent"] + trading["assets"]) / trading["orders"]).max()), account,
        len(instants) * 2 * len(SYMBOLS) + 2 * int(table["orders"].sum()),
    )  # fmt: skip


def posts(server: AlpacaServer) -> int:
    return sum(r.method == "POST" for r in server.log)


def filled(folder: Path, orders: int) -> Path:
    """A ledger with so many filled orders, five a cycle, written in one go."""
    with closing(Ledger.open(folder, account="large", mode="paper", cash=1e6)) as ledger, ledger.transaction() as db:
        keys = [f"s|{n}" for n in range(orders // 5)]
        db.executemany(
            "INSERT INTO cycles(key, session, bars, status) VALUES (?,'2012-03-01','b','done')", [(k,) for k in keys]
        )
        ids = [(f"tk1-{n:026d}", keys[n // 5], f"S{n % 5}") for n in range(orders)]
        db.executemany(
            "INSERT INTO intents(id, cycle, symbol, side, qty, reference, wanted, cut_by, status, rest, reason)"
            " VALUES (?,?,?,'buy',1,1.0,1,'','FILLED',0,'')", ids,
        )  # fmt: skip
        moves = [("", "PLANNED"), ("PLANNED", "SENDING"), ("SENDING", "ACCEPTED"), ("ACCEPTED", "FILLED")]
        db.executemany(
            "INSERT INTO order_events(id, before, after, detail) VALUES (?,?,?,'')",
            ((i, a, b) for i, _, _ in ids for a, b in moves),
        )
        db.executemany(
            "INSERT INTO events(id, session, kind, symbol, order_id, qty, cash, fee, price)"
            " VALUES (?,'2012-03-01T00:00:00','fill',?,?,1,-1,0,1.0)", ((f"f{i}", s, i) for i, _, s in ids),
        )  # fmt: skip
        db.executemany(
            "INSERT INTO positions(symbol, qty, entry, mark) VALUES (?,?,1.0,1.0)", [(f"S{n}", orders // 5) for n in range(5)]
        )
        db.execute("UPDATE account SET cash = cash - ?, session = '2012-03-01'", (orders,))
    return folder


def seconds_to_ready(folder: Path) -> float:
    """From nothing to an account that may be traded: opened, taken over, the unknown resolved, old cycles closed."""
    start = time.perf_counter()
    with closing(Ledger.open(folder, account="large", mode="paper", cash=1.0)) as ledger:
        desk = PaperBroker(ledger, rules(Costs(), Limits()))
        resolve(ledger, desk, SystemClock())
        desk.reconcile()
        close_others(ledger, "")
        desk.account()
    return time.perf_counter() - start
