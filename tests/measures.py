"""Requests counted at the other end of real sockets, and how soon a large ledger is ready: what execution promises of both."""

from __future__ import annotations

import datetime as dt
import time
import warnings
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pandas as pd
import yfinance
from simulation import Simulation
from soak import Moving

from benchmarks.plain_engine import AskedAccount, PlainEngine
from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.telemetry import CycleRow, Telemetry
from toolkit.data import Bars, Calendar, SampleSource
from toolkit.data.sources import Source
from toolkit.data.sources.alpaca import AlpacaSource
from toolkit.data.sources.yahoo import YahooSource
from toolkit.execution.ledger import Ledger
from toolkit.execution.lifecycle import close_others, resolve
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import AlpacaServer
from toolkit.testing.clocks import HandClock
from toolkit.testing.yahoo_server import YahooServer

SYMBOLS = ["AAPL", "GOOG", "IBM", "MSFT"]
CASH = 1e6  # dollars
SINCE = dt.date(2010, 1, 4)
PRICES = "/v2/stocks/bars", "/v1/corporate-actions"  # at Alpaca
ACCOUNT = "/v2/account", "/v2/positions"
HOURS = (3, True), (5, False)  # after the close, 19:00 or later in New York, and whether bars are due then


@dataclass(frozen=True)
class Requests:
    """What the cycles of a month asked for, each figure the most of all cycles of its kind, counted by the servers."""

    cycles: int
    idle: int  # for bars, of Yahoo or of Alpaca, in a cycle with nothing due
    yahoo: int  # of Yahoo, in a cycle with bars due
    alpaca: int  # of Alpaca, for bars and actions, in a cycle with bars due: a page of each
    same: int  # for the same symbol of Yahoo or the same page of Alpaca, in one cycle
    reconcile: int  # of the broker beside orders
    order: float  # of the broker, an order: its submission or cancellation, and the look at its symbol


class Month:
    """A Yahoo and an Alpaca with an account, at the instants of a month."""

    def __init__(self, bars: Bars, month: str) -> None:
        closes = Calendar("XNYS").closes_between(f"{month}-01", f"{month}-31")
        self.instants = [(close + pd.Timedelta(hours=h), due) for close in closes for h, due in HOURS]
        self.clock = Moving(f"{self.instants[0][0]:%Y-%m-%d %H:%M}")
        self.yahoo = YahooServer(bars.since(pd.Timestamp(SINCE)), now=self.clock.time)
        self.alpaca = AlpacaServer([bars.since(pd.Timestamp(SINCE))], clock=self.clock, limit=10**9)

    def __enter__(self) -> Month:
        self.yahoo.__enter__(), self.alpaca.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        self.alpaca.__exit__(*reason), self.yahoo.__exit__(*reason)

    def loop(self, which: str, folder: Path) -> pd.DataFrame:
        """An engine with prices of `which` at the loopback Alpaca: what each of its cycles asked for."""
        config = checked_config({
            "symbols": SYMBOLS, "mode": "broker-paper", "account": which, "state": str(folder / "state"),
            "start": SINCE, "anchor": SINCE, "allow_uncertified": True, "cache": {"directory": str(folder / which)},
            "broker": {"url": self.alpaca.url, "requests_per_minute": 1e6},
        })  # fmt: skip
        keys = {"TK_ALPACA_KEY": self.alpaca.key, "TK_ALPACA_SECRET": self.alpaca.secret}
        engine = TradingEngine(config, clock=self.clock, source=self.source(which, folder), environment=keys)
        rows = [{"due": False, "orders": 0, **self.counted()}]  # to be there asks for the account
        with closing(engine):
            for instant, due in self.instants:
                self.clock.time = self.yahoo.now = instant
                report = engine.run_cycle()
                rows.append({"due": due, "orders": report.orders, **self.counted()})
        return pd.DataFrame(rows)

    def source(self, which: str, folder: Path) -> Source:
        if which == "yahoo":
            return YahooSource(self.yahoo.session(), clock=self.clock, shared=folder / "pace")
        return AlpacaSource(self.alpaca.key, self.alpaca.secret, url=self.alpaca.url, rate=1e6, clock=self.clock)

    def counted(self) -> dict[str, int]:
        """What came in since the last time, by what it was for; `same` counts what was asked most often."""
        log = list(self.alpaca.log)
        charts = Counter(each.symbol or each.path for each in self.yahoo.log)
        pages = Counter((each.path, *sorted(each.query.items())) for each in log if each.path in PRICES)
        sent = sum(each.method in ("POST", "DELETE") for each in log)
        assets = sum("/assets/" in each.path for each in log)
        account = sum(each.method == "GET" and each.path in ACCOUNT for each in log)
        self.alpaca.log.clear()
        self.yahoo.log.clear()
        return {
            "prices": charts.total() + pages.total(), "same": max([*charts.values(), *pages.values()], default=0),
            "sent": sent + assets, "books": len(log) - pages.total() - sent - assets, "account": account,
        }  # fmt: skip

    def plain(self) -> int:
        """Questions for account and positions of the plain loop."""
        loop, asked = PlainEngine(SYMBOLS, self.yahoo.session(), AskedAccount(self.alpaca.url)), 0
        with warnings.catch_warnings(action="ignore"):  # of yfinance under pandas 3
            for instant, _ in self.instants:
                self.clock.time = self.yahoo.now = instant
                loop.cycle()
                asked += self.counted()["account"]
        return asked


def requests(bars: Bars, folder: Path, month: str = "2012-03") -> Requests:
    """A month of two cycles a session, in the evening and at night, of engines with prices of Yahoo and of Alpaca."""
    tables = {}
    for which in ("yahoo", "alpaca"):
        with Month(bars, month) as servers:
            tables[which] = servers.loop(which, folder)
    both = pd.concat(tables.values())
    with_orders = both[both["sent"] > 0]  # where there is no order, what was sent is infinitely much
    return Requests(
        len(both), int(both.loc[~both["due"], "prices"].max()), int(tables["yahoo"]["prices"].max()),
        int(tables["alpaca"]["prices"].max()), int(both["same"].max()), int(both["books"].max()),
        float((with_orders["sent"] / with_orders["orders"]).max()),
    )  # fmt: skip


def questions(bars: Bars, folder: Path, month: str = "2012-03") -> tuple[int, int]:
    """How often an engine asks for account and positions in that month, and the plain loop at the same instants."""
    yfinance.set_tz_cache_location(str(folder / "zones"))
    with Month(bars, month) as servers:
        ours = int(servers.loop("yahoo", folder)["account"].sum())
    with Month(bars, month) as servers:
        return ours, servers.plain()


def filled(state: Path, orders: int, mode: str = "paper") -> Path:
    """The state of an account with so many filled orders, five a cycle, written in one go.

    What each cycle was decided on is that of cycles of a simulated quarter, over and over; telemetry has a row a cycle.
    """
    run = Simulation(0, 63, state / "quarter", crashes=False)
    run.run()
    with closing(Ledger.read(state / "quarter")) as quarter:
        kept = [packed for (packed,) in quarter.rows("SELECT situation FROM cycles WHERE situation IS NOT NULL")]
    folder, keys = state / f"{mode}-large", [f"s|{n}" for n in range(orders // 5)]
    with closing(Ledger.open(folder, account="large", mode=mode, cash=CASH)) as ledger, ledger.transaction() as db:
        db.executemany(
            "INSERT INTO cycles(key, session, bars, status, equity, situation) VALUES (?,'2012-03-01','b','done',1000000,?)",
            zip(keys, cycle(kept), strict=False),
        )
        ids = [(f"tk1-{n:026d}", keys[n // 5], SYMBOLS[n % 4]) for n in range(orders)]
        db.executemany(
            "INSERT INTO intents(id, cycle, symbol, side, qty, reference, wanted, cut_by, status, rest, reason)"
            " VALUES (?,?,?,'buy',1,1.0,1,'','FILLED',0,'')", ids,
        )  # fmt: skip
        db.executemany(
            "INSERT INTO verdicts(id, stage, code, measured, cap, at) VALUES (?,?,'','','','2012-03-01T21:00:00+00:00')",
            ((i, stage) for i, _, _ in ids for stage in ("plan", "send")),
        )
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
            "INSERT INTO positions(symbol, qty, entry, mark) VALUES (?,?,1.0,1.0)",
            [(symbol, orders // 4) for symbol in SYMBOLS],
        )
        db.execute("UPDATE account SET cash = cash - ?, session = '2012-03-01'", (orders,))
    with closing(Telemetry(folder / "telemetry.sqlite")) as telemetry:
        for _ in keys:
            telemetry.write(CycleRow(session="2012-03-01", orders=5, fills=5, equity=1e6, benchmark=1e6, status="done"))
    return state


def seconds_to_ready(state: Path, mode: str = "paper", url: str | None = None) -> float:
    """From nothing to an engine that may trade: made, its account taken over, the unknown resolved, old cycles closed."""
    config = checked_config({
        "symbols": SYMBOLS, "mode": mode, "account": "large", "cash": CASH, "state": str(state), "allow_uncertified": True,
        "cache": {"directory": str(state / "cache")}, "broker": {"url": url},
    })  # fmt: skip
    start, clock = time.perf_counter(), HandClock("2012-03-02 01:00Z") if url else None
    keys = {"TK_ALPACA_KEY": "PKLOOPBACK", "TK_ALPACA_SECRET": "loopback-secret"}
    with closing(TradingEngine(config, clock=clock, source=SampleSource(), environment=keys)) as engine:
        resolve(engine.ledger, engine.broker, engine.clock)
        said = engine.broker.reconcile()
        close_others(engine.ledger, "")
        engine.broker.account()
        took = time.perf_counter() - start
        assert said == [] and engine.ledger.standing[0] == "ACTIVE", said
        return took


def seconds_to_ready_at_a_broker(state: Path, bars: Bars, orders: int) -> float:
    """The same with the account at the loopback Alpaca, which holds what the ledger says."""
    filled(state, orders, "broker-paper")
    with AlpacaServer([bars], pd.Timestamp("2012-03-02 01:00Z"), limit=10**9) as server:
        for symbol in SYMBOLS:
            server.exchange.account.hold(symbol, orders // 4, 1.0)
        server.exchange.account.cash = round(CASH) * UNIT - orders
        return seconds_to_ready(state, "broker-paper", server.url)
