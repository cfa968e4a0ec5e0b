"""A seeded market, an account that trades one turn a session, brokers that lose replies, and how a ledger is judged."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from forks import forked, lines

from conftest import random_bars
from toolkit.cycle.backtest import backtest
from toolkit.cycle.engine import last_row
from toolkit.cycle.turn import turn
from toolkit.data import FIELDS, Bars
from toolkit.execution.audit import verify
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.brokers.values import Answer
from toolkit.execution.costs import Costs, Limits, Policy, rules
from toolkit.execution.gate import Gate
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Order
from toolkit.kernels.account import UNIT
from toolkit.risk.sizing import equal_weight
from toolkit.signals.indicators import sma

CASH, LOST = 50_000.0, 0.10  # dollars; share of replies that are lost
LIMITS = Limits(
    max_order_notional=1e9, max_order_share=1.0, max_position=0.6, max_gross=1.0, min_cash=0.0, max_stale_sessions=99
)
POLICY = Policy(whole_shares=True)
RULES = rules(Costs(), LIMITS, POLICY)
NEWS = "events", "order_events", "cycles", "arrived", "verdicts"  # tables that only grow
GROWN = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in NEWS)


def above_average(bars: Bars) -> pd.DataFrame:
    mean = sma(bars.close, 5)
    return (bars.close > mean).astype(float).where(mean.notna())


@dataclass(frozen=True)
class World:
    """Bars, what is wanted at each close, and what came of it in the backtest: orders and fills by session, and equity."""

    bars: Bars
    scores: list[dict[str, float]]
    weights: list[dict[str, float]]
    orders: Counter[tuple[str, str]]
    fills: Counter[tuple[str, str, int, float]]
    equity: float


def market_of(seed: int, n_bars: int) -> Bars:
    """Four symbols with gaps, halts, dividends, and splits that prices and volumes follow."""
    flat, columns = random_bars(seed, n_bars=n_bars), ["date", "symbol", "split", "dividend"]
    ratio, table = np.ones((len(flat.symbols), n_bars)), []
    for action in flat.actions:
        ratio[action["symbol"], action["bar"] :] *= action["split"]
        table.append((flat.index[action["bar"]], flat.symbols[action["symbol"]], action["split"], action["dividend"]))
    prices = {
        symbol: pd.DataFrame(
            (flat.traded[:, n] * np.vstack([np.tile(1.0 / ratio[n], (4, 1)), ratio[n]])).T, flat.index, [*FIELDS]
        )
        for n, symbol in enumerate(flat.symbols)
    }
    return Bars.from_frame(prices, actions=pd.DataFrame(table, columns=columns))


def world(seed: int, n_bars: int = 60) -> World:
    """The market of `seed`, and its backtest; kernels are loaded here, not in every child."""
    warm()
    return tested(seed, n_bars)


@cache
def warm() -> None:
    market = tested(0, 40)
    with TemporaryDirectory() as folder:
        ledger = open_ledger(Path(folder))
        play(market, ledger, PaperBroker(ledger, RULES))
        ledger.close()
        assert faults(market, Path(folder)) == []


def tested(seed: int, n_bars: int) -> World:
    bars, sizing = market_of(seed, n_bars), equal_weight()
    outcome = backtest(above_average, bars, sizing, limits=LIMITS, policy=POLICY, cash=CASH, state=False)
    done, asked = outcome.fills, outcome.orders[outcome.orders["order"] > 0]
    fills = Counter(
        (day.isoformat(), s, round(n * UNIT), p)
        for day, s, n, p in zip(*(done[c] for c in ("session", "symbol", "shares", "price")))
    )
    orders = Counter((str(day), symbol) for day, symbol in zip(asked["session"], asked["symbol"]))
    views = [last_row(outcome.scores.iloc[: t + 1]) for t in range(n_bars)]
    aims = [last_row(outcome.weights.iloc[: t + 1]) for t in range(n_bars)]
    return World(bars, views, aims, orders, fills, float(outcome.equity.iloc[-1]))


class LostReplies(PaperBroker):
    """Before an order arrives, or after it did, the line breaks: each with half of the share `LOST`, as the seed says."""

    def __init__(self, ledger: Ledger, rng: random.Random) -> None:
        super().__init__(ledger, RULES)
        self.rng = rng

    def submit(self, order: Order) -> Answer:
        luck = self.rng.random()
        if luck < LOST / 2:
            raise ConnectionError("lost on the way there")
        answer = super().submit(order)
        if luck < LOST:
            raise ConnectionError("lost on the way back")
        return answer


class Noted(Ledger):
    """A ledger that tells `note` how far its tables have grown, once a transaction is acknowledged."""

    note: Callable[[list[int]], None] = staticmethod(lambda counts: None)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        outer = not self._inside  # a block inside of another is acknowledged with it
        with super().transaction() as db:
            yield db
            grown = list(db.execute(GROWN).fetchone())
        if outer:
            self.note(grown)


def open_ledger(folder: Path, note: Callable[[list[int]], None] | None = None) -> Noted:
    ledger = Noted.open(folder, account="t", mode="paper", cash=CASH)
    assert isinstance(ledger, Noted)
    if note is not None:
        ledger.note = note
    return ledger


def play(market: World, ledger: Ledger, broker: PaperBroker, until: int | None = None) -> None:
    """Goes on from where the ledger stands, each cycle until it is done."""
    gate, done = Gate(LIMITS, RULES), {key for (key,) in ledger.rows("SELECT key FROM cycles WHERE status = 'done'")}
    for t, session in enumerate(market.bars.index[:until]):
        key, asked = str(session), 0
        while key not in done and ledger.cycle_status(key) != "done":
            asked += 1
            if asked > 50:
                raise RuntimeError(f"cycle {key} does not end")
            turn(
                market.bars.until(session), market.scores[t], market.weights[t], key=key, desk=broker, ledger=ledger, gate=gate
            )


def faults(market: World, folder: Path, acknowledged: list[int] | None = None) -> list[str]:
    """What differs between a finished ledger and the backtest of its world, and what of the acknowledged is missing."""
    ledger = Ledger.read(folder)
    try:
        said = verify(ledger) + shrunk(ledger, acknowledged)
        rows = ledger.rows("SELECT session, symbol, qty, price FROM events WHERE kind = 'fill' AND qty <> 0")
        booked = Counter((day, symbol, qty, price) for day, symbol, qty, price in rows)
        said += [f"booked twice: {fill}" for fill in booked - market.fills]
        said += [f"not booked: {fill}" for fill in market.fills - booked]
        there = ledger.rows("SELECT i.cycle, i.symbol FROM arrived a LEFT JOIN intents i USING (id)")
        said += [f"duplicated: {order}" for order in Counter(there) - market.orders]
        said += [f"lost: {order}" for order in market.orders - Counter(there)]
        if ledger.account().equity != market.equity:
            said.append(f"equity is {ledger.account().equity}, undisturbed {market.equity}")
        return said
    finally:
        ledger.close()


def shrunk(ledger: Ledger, acknowledged: list[int] | None) -> list[str]:
    """Tables that are shorter than what was acknowledged."""
    counts = zip(NEWS, ledger.rows(GROWN)[0], acknowledged or [0] * len(NEWS))
    return [f"{table}: {there} of {told} acknowledged rows" for table, there, told in counts if there < told]


def teller(writable: int) -> Callable[[list[int]], None]:
    """A note that leaves the process at once."""
    return lambda counts: void(os.write(writable, json.dumps(counts).encode() + b"\n"))


def void(_: object) -> None:
    return None


def heard(readable: int) -> list[Any]:
    """What a process that has ended said, line by line."""
    said = [json.loads(line) for line in lines(readable)]
    os.close(readable)
    return said


def ended(act: Callable[[int], None]) -> tuple[list[Any], int]:
    """What a process of its own said, and the signal that ended it (0: none)."""
    child, readable = forked(act)
    try:
        said = heard(readable)
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        said = ["hung"]
    return said, os.WTERMSIG(os.waitpid(child, 0)[1])
