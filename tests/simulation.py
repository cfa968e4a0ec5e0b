"""Whole years of an account from one seed: bad answers, bad news, crashes and halts, and at the end the books agree.

    python -m tests.simulation years [--years 1000] [--seed 0] [--sessions 252]
    python -m tests.simulation machine [--steps 1000000] [--seed 0]

Each year has a market, a strategy, faults of the broker and crashes of its own. Even seeds trade at the paper broker, odd ones
at a broker in memory behind a `BrokerDesk`. The seed of a year that breaks a claim is printed; it replays bit for bit, which is
tried of one year in twenty.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

if __package__:  # `python -m tests.simulation`, not pytest
    sys.path.insert(0, str(Path(__file__).parent))

import ledger_machine
import oracle
from street import Street

from toolkit.cycle.turn import Turn, situated, turn
from toolkit.data import Bars, ReplayClock
from toolkit.errors import BrokerUnavailable
from toolkit.execution.audit import verify
from toolkit.execution.brokers.chaos import Chaos, Faults
from toolkit.execution.brokers.desk import BrokerDesk
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.checks import Operations
from toolkit.execution.costs import Costs, Limits, Policy, rules
from toolkit.execution.gate import Gate
from toolkit.execution.ledger import Ledger
from toolkit.execution.lifecycle import legs
from toolkit.execution.situation import Situation
from toolkit.kernels.account import UNIT

CASH = 100_000.0
SYMBOLS = "A", "B", "C", "D"
LONG = Limits(
    30_000.0, 0.25, 0.30, 0.9, 0.05, max_stale_sessions=1, max_net=0.5, max_turnover=0.6, daily_loss=0.10, max_drawdown=0.30,
)  # fmt: skip
SHORT = replace(LONG, max_gross=1.2, leverage=1.5, allow_short=True)
OPERATIONS = Operations(20_000.0, 0.20, 0.40, 0.05, 3, 3, 1, 0.5, 10.0, 30.0, 0.98, 5)
COSTS = Costs()
CONTROLLED = 25  # one year of so many is held to a tenth of the gate's limit as well: the oracle must speak
REPLAYED = 20  # one year of so many is run a second time: bit for bit the same
LOOKS = 8  # instants of an evening, 11 seconds apart
SENT_TWICE = """SELECT c.session, i.symbol, count(*) FROM intents i JOIN cycles c ON c.key = i.cycle
WHERE i.id IN (SELECT id FROM order_events WHERE after = 'SENDING') GROUP BY c.session, i.symbol HAVING count(*) > 1"""
SWITCHED = 0.1  # fraction of the looks at which a switch is pulled
CRASHES = 0.01  # fraction of the transactions at which the process dies


class Crash(BaseException):
    """The process ends here."""


class Mortal(Ledger):
    """A ledger whose process dies before, within or after a transaction, as the dice fall."""

    dice: random.Random | None = None

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        when = self.dice.random() / CRASHES if self.dice else 1.0
        if when < 0.3:
            raise Crash
        with super().transaction() as db:
            yield db
            if 0.3 <= when < 0.6:
                raise Crash
        if 0.6 <= when < 1.0:
            raise Crash


@dataclass
class Year:
    """What a year came to: counts of what happened, and a hash of what the ledger holds of it."""

    seed: int
    digest: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def market(rng: np.random.Generator, sessions: int, actions: bool) -> Bars:
    """Four symbols with gaps and halts; splits and dividends where the paper broker books them."""
    index = pd.bdate_range("2012-01-03", periods=sessions)
    frames, table = {}, []
    for symbol in SYMBOLS:
        close = 50.0 * np.exp(np.cumsum(0.02 * rng.standard_normal(sessions)))
        opens = close * np.exp(0.01 * rng.standard_normal(sessions))
        frame = pd.DataFrame(
            {"open": opens, "high": np.maximum(opens, close) * 1.01, "low": np.minimum(opens, close) * 0.99, "close": close},
            index,
        ).round(2)
        frame["volume"] = 1e6
        frame.loc[rng.random(sessions) < 0.02] = np.nan
        frames[symbol] = frame
        days = index[np.sort(rng.choice(np.arange(5, sessions), 2, replace=False))]
        table += [(day, symbol, float(rng.choice([1.0, 2.0, 0.5])), float(rng.choice([0.0, 0.25]))) for day in days]
    events = pd.DataFrame(table, columns=["date", "symbol", "split", "dividend"])
    return Bars.from_frame(frames, actions=events if actions else None)


class Simulation:
    """One account, its broker, its faults and its crashes, from one seed."""

    def __init__(self, seed: int, sessions: int, folder: Path, faults: Faults = Faults(), crashes: bool = True) -> None:
        self.seed, self.folder, self.paper = seed, folder, seed % 2 == 0
        self.dice, self.crashes, self.faults = random.Random(seed), crashes, faults
        rng = np.random.default_rng(seed)
        self.bars = market(rng, sessions, actions=self.paper)
        self.limits = SHORT if seed % 5 > 2 else LONG
        days, which = self.bars.actions["bar"], self.bars.actions["symbol"]
        self.splits = [(self.bars.index[day], self.bars.symbols[n]) for day, n in zip(days, which, strict=True)]
        changes = rng.random((sessions, len(SYMBOLS))) < 0.25
        levels = [-1.0, -0.5, 0.0, 0.5, 1.0] if self.limits.allow_short else [0.0, 0.5, 1.0]
        wishes = np.where(changes, rng.choice(levels, changes.shape), np.nan)
        self.scores = pd.DataFrame(wishes).ffill().fillna(0.0).to_numpy()
        opens = [day.tz_localize("UTC") + pd.Timedelta("14h30min") for day in self.bars.index]
        evening = [pd.Timedelta(hours=21, minutes=30, seconds=11 * k) for k in range(LOOKS)]
        self.clock = ReplayClock(t for at in opens for t in (at, *(at.normalize() + later for later in evening)))
        self.rules = rules(
            COSTS, self.limits, Policy(order_kind="limit" if seed % 4 > 1 else "market", whole_shares=seed % 3 == 0)
        )
        self.gate = Gate(self.limits, self.rules, OPERATIONS)
        self.counts: dict[str, int] = dict.fromkeys(
            ("turns", "fills", "orders", "denials", "crashes", "halts", "missed", "again"), 0
        )
        self.street = Street(self.clock, round(CASH) * UNIT)
        self.chaos: Chaos | None = None
        self.open()

    def open(self) -> None:
        self.ledger = Mortal.open(self.folder, account="sim", mode="paper", cash=CASH, clock=self.clock)
        self.ledger.dice = self.dice if self.crashes else None
        inner: Any = PaperBroker(self.ledger, self.rules) if self.paper else self.street
        if self.chaos is None:
            self.chaos = Chaos(inner, self.seed, self.faults)
        self.chaos.inner = inner
        self.desk = self.chaos if self.paper else BrokerDesk(self.ledger, self.chaos, self.clock)

    def until(self, time: pd.Timestamp) -> None:
        while self.clock.now() < time:
            self.clock.advance()

    # ------------------------------------------------------------------------------------------------------ a session
    def session(self, t: int) -> None:
        """The open at the street, then an evening of turns: crashed, unanswered, repeated, or none at all."""
        day = self.bars.index[t].tz_localize("UTC")
        self.until(day + pd.Timedelta("14h30min"))
        if not self.paper:
            self.opens(t)
        self.until(day + pd.Timedelta("21h30min"))
        if self.dice.random() < 0.03 and t + 1 < len(self.bars):
            self.counts["missed"] += 1
            return  # nobody ran it
        for look in range(LOOKS - 1):
            done = self.turned(t)
            open_ = any(self.ledger.is_open(key) for key in legs(self.ledger, self.key(t)))
            if done is not None and not open_ and self.dice.random() < 0.9:
                break
            if look + 2 < LOOKS:
                self.clock.advance()
        if self.ledger.standing[0] != "ACTIVE":  # a person looks at it at night, once the books agree
            self.counts["halts"] += 1
            self.ledger.dice, kept = None, self.ledger.dice
            self.ledger.stand("ACTIVE", "a person looked", "simulation")
            self.ledger.dice = kept

    def turned(self, t: int) -> Turn | None:
        """One turn, None where the process died in it or the broker did not answer."""
        bars, self.counts["turns"] = self.bars.until(self.bars.index[t]), self.counts["turns"] + 1
        scores = dict(zip(SYMBOLS, map(float, self.scores[t]), strict=True))
        weights = {s: 0.28 * x for s, x in scores.items()}
        before, reached = self.ledger.cycle_status(self.key(t)), self.reached(t)
        try:
            done = turn(bars, scores, weights, key=self.key(t), desk=self.desk, ledger=self.ledger, gate=self.gate,
                        clock=self.clock, look=self.look)  # fmt: skip
        except Crash:
            self.counts["crashes"] += 1
            self.ledger.close()
            self.open()
            return None
        except BrokerUnavailable:
            return None
        if before == "done" and not (done.repeated and done.orders == ()):
            self.counts["again"] += 1
            if twice := [o.symbol for o in done.orders if reached.get(o.symbol, o.id) != o.id]:
                raise AssertionError(f"{self.key(t)} was done and traded {twice} again: {done}")
        self.counts["orders"] += len(done.orders)
        self.counts["denials"] += len(done.denials)
        return done

    def look(self, *asked: Any) -> Situation:
        """What the gate looks at; now and then a person has pulled the switch, and soon lets it go."""
        found = situated(self.ledger, self.desk, *asked)
        return replace(found, kill="a person looks") if self.dice.random() < SWITCHED else found

    def reached(self, t: int) -> dict[str, str]:
        """Symbols of the session of which an order was more than denied, and which."""
        day = self.bars.index[t].isoformat()
        query = (
            "SELECT i.symbol, i.id FROM intents i JOIN cycles c ON c.key = i.cycle WHERE c.session = ? AND i.status <> 'DENIED'"
        )
        return dict(self.ledger.rows(query, day))

    def key(self, t: int) -> str:
        return f"sim|{self.bars.index[t]:%Y-%m-%d}"

    def opens(self, t: int) -> None:
        """The street fills what waits at the open, whole or in part, lets it wait, or ends it."""
        row = dict(zip(self.bars.symbols, self.bars.traded[0, :, t], strict=True))
        for r in self.street.waiting():
            price, left, luck = float(row[r.symbol]), r.qty - r.filled, self.dice.random()
            if np.isnan(price):
                continue
            self.street.prices[r.symbol] = price
            if luck < 0.85 or left < 2:
                self.street.fill(r.id, left, price, round(left * price * 1e-4))
            elif luck < 0.95:
                self.street.fill(r.id, left // 2, price, 0)
            elif luck < 0.98:
                self.street.end(r.id, "CANCELED" if r.filled else self.dice.choice(["CANCELED", "EXPIRED"]))

    # ------------------------------------------------------------------------------------------------------- the year
    def run(self) -> Year:
        for t in range(25, len(self.bars)):
            self.session(t)
        self.ledger.dice = None
        assert self.chaos is not None
        self.chaos.faults = Faults(*[0.0] * 11)
        for _ in range(4):
            self.turned(len(self.bars) - 1)
        year = Year(self.seed, digest(self.ledger), self.counts | {"faults": len(self.chaos.log)})
        year.wrong = self.wrong()
        self.counts["sent"] = oracle.sent(self.ledger)
        strict = replace(self.limits, max_position=self.limits.max_position / 10.0)
        self.counts["over a tenth"] = len(self.over(strict)) if self.seed % CONTROLLED == 0 else 0
        self.counts["fills"] = self.ledger.rows("SELECT count(*) FROM events WHERE kind = 'fill'")[0][0]
        year.counts |= self.counts
        self.ledger.close()
        return year

    def wrong(self) -> list[str]:
        """What the ledger, the oracle and the broker's own books say against it."""
        said = verify(self.ledger) + self.over(self.limits)
        doubts = self.ledger.orders_in("SENDING", "UNKNOWN")
        said += [f"{o.id} is still in doubt" for o in doubts]
        said += [f"{symbol} was sent {n} times for {day}" for day, symbol, n in self.ledger.rows(SENT_TWICE)]
        return said + (self.wrong_at_paper() if self.paper else self.wrong_at_street())

    def over(self, limits: Limits) -> list[str]:
        """Orders over limits, by the oracle."""
        return oracle.breaches(self.ledger, vars(limits), vars(OPERATIONS), vars(COSTS))

    def wrong_at_paper(self) -> list[str]:
        """Whatever the paper broker took is in the ledger as taken, and the reverse."""
        never = {"PLANNED", "DENIED", "REJECTED", "ABSENT"}
        rows = self.ledger.rows(
            "SELECT i.id, i.status, a.id FROM intents i LEFT JOIN arrived a ON a.id = i.id WHERE status <> 'CUT'"
        )
        taken = {i for (i,) in self.ledger.rows("SELECT id FROM order_events WHERE after = 'ACCEPTED'")}
        said = [f"{i} arrived and is {s}" for i, s, a in rows if a and s in never]
        said += [f"{i} is accepted and never arrived" for i, _, a in rows if not a and i in taken]
        for order, symbol, began, rows, qty, rest, filled in self.ledger.rows(
            "SELECT i.id, i.symbol, c.session, count(e.id), i.qty, i.rest, total(abs(e.qty)) FROM intents i JOIN cycles c"
            " ON c.key = i.cycle JOIN events e ON e.order_id = i.id AND e.kind = 'fill' GROUP BY i.id"
        ):
            if not any(s == symbol and day > pd.Timestamp(began) for day, s in self.splits) and filled + rest > qty:
                said.append(f"{order} of {qty}: {filled} filled in {rows} parts, {rest} waits")
        return said

    def wrong_at_street(self) -> list[str]:
        """Order by order, fill by fill: the street's books are ours."""
        ours = {i: (s, n) for i, s, n in self.ledger.rows(
            "SELECT i.id, i.status, coalesce((SELECT sum(abs(qty)) FROM events WHERE order_id = i.id), 0) FROM intents i"
        )}  # fmt: skip
        taken = {i for (i,) in self.ledger.rows("SELECT id FROM order_events WHERE after = 'ACCEPTED'")}
        said = [f"{r} is at the street, not in the ledger" for r in self.street.book.keys() - ours.keys()]
        said += [f"{i} is accepted and not at the street" for i in taken - self.street.book.keys()]
        said += [f"{i}: {r.filled} filled at the street, {ours[i][1]} booked" for i, r in self.street.book.items()
                 if ours[i][1] != r.filled]  # fmt: skip
        sent = dict(self.ledger.rows("SELECT id, attempts FROM intents"))
        said += [f"{i} was posted {n} times, sent {sent[i]}" for i, n in self.street.posts.items() if n > sent[i]]
        account = self.ledger.account()
        if account.cash != self.street.cash:
            said.append(f"cash is {account.cash}, {self.street.cash} at the street")
        held = {s: p.qty for s, p in account.positions.items() if p.qty}
        if held != (there := {s: q for s, q in self.street.holdings.items() if q}):
            said.append(f"held {held}, {there} at the street")
        return said


def digest(ledger: Ledger) -> str:
    """A hash of every row of what was decided, sent and booked."""
    hashed = hashlib.blake2b(digest_size=16)
    for table in ("intents", "events", "order_events"):
        for row in ledger.rows(f"SELECT * FROM {table} ORDER BY rowid"):
            hashed.update(repr(row).encode())
    return hashed.hexdigest()


def simulate(seed: int, sessions: int = 252, **more: Any) -> Year:
    """One year of `sessions` from its seed; what it leaves on disk is removed."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))
    try:
        return Simulation(seed, sessions, folder, **more).run()
    finally:
        shutil.rmtree(folder)


def years(count: int, first: int, sessions: int) -> int:
    """Runs the years, one of twenty again, and prints those that broke a claim or came out otherwise; how many did."""
    began, broken, again, totals = time.perf_counter(), 0, 0, dict[str, int]()
    for seed in range(first, first + count):
        try:
            year = simulate(seed, sessions)
            if (seed - first) % REPLAYED == 0:
                again += 1
                if simulate(seed, sessions) != year:
                    year.wrong.append("the same seed came out otherwise")
        except Exception as error:
            year = Year(seed, wrong=[f"{type(error).__name__}: {error}"])
        totals = {name: totals.get(name, 0) + n for name, n in year.counts.items()} or totals
        if year.wrong:
            broken += 1
            print(f"seed {seed}: " + "\n    ".join(year.wrong[:10]), flush=True)
    took = time.perf_counter() - began
    print(f"{count} years of {sessions} sessions in {took:.0f} s, {again} of them twice, {broken} broke a claim; {totals}")
    return broken


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["years", "machine"])
    parser.add_argument("--years", type=int, default=1_000)
    parser.add_argument("--sessions", type=int, default=252)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    gc.set_threshold(50_000)  # of many objects few are in circles: 5% of the time
    if args.what == "years":
        return 1 if years(args.years, args.seed, args.sessions) else 0
    began, chunk = time.perf_counter(), 50_000
    for done in range(0, args.steps, chunk):
        print(f"{done} steps, {time.perf_counter() - began:.0f} s, seed {args.seed + done // chunk}", flush=True)
        ledger_machine.run(min(chunk, args.steps - done), args.seed + done // chunk)
    print(f"{args.steps} steps in {time.perf_counter() - began:.0f} s, no claim was broken")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
