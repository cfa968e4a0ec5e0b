"""A ledger under every order of events: orders sent with each outcome, news of a broker in any shape, crashes, take-overs.

The other side (`street.Street`) keeps books of its own. After each step the ledger must hold together by arithmetic that is
written here anew, and after each reconciliation it must say what the other side says.

    python -m tests.simulation machine [--steps 1000000] [--seed 0]
"""

from __future__ import annotations

import math
import shutil
import sqlite3
import tempfile
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import hypothesis
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from street import Street

from toolkit.errors import LedgerError, LedgerLocked
from toolkit.execution import ledgerfile, lifecycle
from toolkit.execution.audit import verify
from toolkit.execution.brokers.chaos import NONE, Chaos
from toolkit.execution.brokers.desk import BrokerDesk
from toolkit.execution.brokers.values import Activity, Answer, Report
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Event, Intent, Order, Outcome, order_id
from toolkit.kernels.account import UNIT

SYMBOLS = "S0", "S1", "S2", "S3"
CASH = 1_000_000.0
# The diagram of toolkit/execution/README.md, written down a second time.
LEGAL = {
    ("", "PLANNED"), ("", "DENIED"), ("", "CUT"), ("PLANNED", "SENDING"), ("PLANNED", "DENIED"), ("PLANNED", "ABANDONED"),
    ("SENDING", "ACCEPTED"), ("SENDING", "REJECTED"), ("SENDING", "UNKNOWN"), ("SENDING", "ABSENT"), ("UNKNOWN", "ACCEPTED"),
    ("UNKNOWN", "REJECTED"), ("UNKNOWN", "ABSENT"), ("UNKNOWN", "ABANDONED"), ("ABSENT", "SENDING"), ("ABSENT", "ACCEPTED"),
    ("ABSENT", "ABANDONED"), ("ABANDONED", "ACCEPTED"), ("ACCEPTED", "PARTIAL"), ("ACCEPTED", "FILLED"), ("ACCEPTED", "CUT"),
    ("ACCEPTED", "CANCELED"), ("ACCEPTED", "EXPIRED"), ("ACCEPTED", "REJECTED"), ("PARTIAL", "FILLED"), ("PARTIAL", "CUT"),
    ("PARTIAL", "CANCELED"), ("PARTIAL", "EXPIRED"), ("CANCELED", "PARTIAL"), ("CANCELED", "FILLED"), ("EXPIRED", "PARTIAL"),
    ("EXPIRED", "FILLED"),
}  # fmt: skip
STATES = sorted({after for _, after in LEGAL})
TELLING = replace(NONE, parts=0.2, twice=0.3, reordered=0.3)
OUTCOMES = "accepted", "accepted", "rejected", "lost", "gateway", "never", "dies before", "dies after"
numbers = st.integers(0, 2**20)


class Crash(BaseException):
    """The process ends here."""


class Walltime:
    """A clock that is moved by hand."""

    namespace = "test"

    def __init__(self) -> None:
        self.time = pd.Timestamp("2012-01-03 22:00", tz="UTC")

    def now(self) -> pd.Timestamp:
        return self.time

    horizon = now

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.time += pd.Timedelta(seconds, unit="s")


class Scripted:
    """A road to the street on which the next submission ends as told."""

    sure = False

    def __init__(self, desk: BrokerDesk, outcome: str) -> None:
        self.desk, self.outcome = desk, outcome

    def submit(self, order: Order) -> Answer:
        if self.outcome == "dies before":
            raise Crash
        if self.outcome == "never":
            raise ConnectionError
        if self.outcome == "rejected":
            return Answer("REJECTED", "no")
        answer = self.desk.submit(order)
        if self.outcome == "dies after":
            raise Crash
        if self.outcome == "lost":
            raise TimeoutError
        return Answer("UNKNOWN", "504") if self.outcome == "gateway" else answer


class LedgerMachine(RuleBasedStateMachine):
    """Steps of a cycle, of the street and of fate; `sound` after each."""

    def __init__(self) -> None:
        super().__init__()
        shared = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))
        self.time, self.cycles, self.events_seen, self.states = Walltime(), 0, 0, dict[str, str]()
        self.replaced: set[str] = set()
        self.sending: dict[str, pd.Timestamp] = {}
        self.street = Street(self.time, round(CASH) * UNIT)
        self.road = Chaos(self.street, 1, TELLING)
        self.street.on_arrival = self.arrives
        self.peak = self.brought = round(CASH) * UNIT
        self.settled: tuple[int, int] | None = None  # equity at the last close, and what had been brought by then
        self.open()
        self.reader = sqlite3.connect(self.ledger.path)
        self.version: list[tuple] = []  # of the file, when it was last found sound

    def open(self) -> None:
        self.ledger = Ledger.open(self.folder, account="m", mode="paper", cash=CASH, clock=self.time)
        self.desk = BrokerDesk(self.ledger, self.road, self.time)

    def teardown(self) -> None:
        try:
            self.settles_down()
        finally:
            self.reader.close()
            self.ledger.close()
            shutil.rmtree(self.folder)

    def arrives(self, order: Order) -> None:
        """What is on disk at the instant at which an order reaches the street, seen by another connection."""
        [(status, attempts)] = self.on_disk("SELECT status, attempts FROM intents WHERE id = ?", order.id)
        assert status == "SENDING", f"{order.id} arrived while it was {status}"
        assert self.street.posts[order.id] < attempts, f"{order.id} was sent more often than the ledger says"

    # ----------------------------------------------------------------------------------------------------- the cycle
    @rule(n=numbers, size=st.integers(1, 4), replaces=st.booleans(), heard=st.booleans())
    def plan(self, n: int, size: int, replaces: bool, heard: bool) -> None:
        self.cycles += 1
        key, intents = f"k{self.cycles}", []
        for i in range(size):
            symbol, side = SYMBOLS[(n + i) % 4], ("buy", "buy", "sell")[(n >> i) % 3]
            qty = UNIT * (1 + (n >> 2 * i) % 9) + n % 7
            order = Order(order_id("m", "paper", key, symbol, side), key, symbol, side, qty, 10.0 + n % 90, qty)
            status = ("PLANNED", "PLANNED", "PLANNED", "DENIED", "CUT")[(n >> 3 * i) % 5]
            intents.append(Intent(order, status, "", "MAX_GROSS" if status == "DENIED" else ""))
        waiting = self.ledger.orders_in("ACCEPTED", "PARTIAL")
        replaced = [waiting[n % len(waiting)].id] if waiting and replaces else []
        self.ledger.plan(key, self.time.now().tz_localize(None).normalize(), "bars", intents, {}, replaced)
        assert [self.ledger.status(i.order.id) for i in intents] == [i.status for i in intents]
        assert [self.ledger.status(order) for order in replaced] == ["CANCELED"] * len(replaced)
        self.replaced |= set(replaced)
        for order in replaced:
            if heard:  # else the street goes on, and a fill may outrun the cancellation
                self.street.cancel(order)

    @rule(n=numbers, fee=st.integers(0, 3 * UNIT))
    def trades(self, n: int, fee: int) -> None:
        """A day on which all goes well: planned, sent, filled, told."""
        self.plan(n, 1 + n % 3, True, n % 2 == 0)
        while self.ledger.orders_in("PLANNED", "ABSENT"):
            self.send("accepted")
        for i in range(1 + n % 4):
            self.fills(n + i, 1 + (n >> i) % 4, fee)
        self.reconcile()

    @rule(outcome=st.sampled_from(OUTCOMES))
    def send(self, outcome: str) -> None:
        for order in self.ledger.orders_in("PLANNED", "ABSENT")[:1]:
            try:
                lifecycle.send(order, self.ledger, Scripted(self.desk, outcome))
            except Crash:
                self.reopen()
            expected = {"accepted": "ACCEPTED", "rejected": "REJECTED", "dies before": "SENDING", "dies after": "SENDING"}
            assert self.ledger.status(order.id) == expected.get(outcome, "UNKNOWN")

    @rule(seconds=st.sampled_from([0, 4, 4, 11]))
    def resolve(self, seconds: int) -> None:
        self.time.sleep(seconds)
        before = [o.id for o in self.ledger.orders_in("SENDING", "UNKNOWN")]
        lifecycle.resolve(self.ledger, self.desk, self.time)
        for order in before:
            there, status = self.street.find(order), self.ledger.status(order)
            allowed = {"UNKNOWN", "ABSENT"} if there is None else {"REJECTED" if there.status == "REJECTED" else "ACCEPTED"}
            assert status in allowed, f"{order} is {there}, the ledger says {status}"

    @rule(n=numbers, outcome=st.sampled_from(["lost", "gateway", "never", "dies before", "dies after"]), late=st.booleans())
    def doubts(self, n: int, outcome: str, late: bool) -> None:
        """An order that is not found for a while is absent, and where it is too late given up; then it turns up."""
        self.plan(n, 1, False, True)
        for order in self.ledger.orders_in("PLANNED", cycle=f"k{self.cycles}"):
            self.time.sleep(1)
            while o := next(iter(self.ledger.orders_in("PLANNED", "ABSENT")), None):
                self.send(outcome if o.id == order.id else "accepted")
            self.street.hidden.add(order.id)
            for seconds, status in ((0, "UNKNOWN"), (4, "UNKNOWN"), (4, "UNKNOWN"), (4, "ABSENT")):
                self.resolve(seconds)
                assert self.ledger.status(order.id) == status
                if status == "UNKNOWN":
                    self.close(True)
            if late:
                self.close(True)
            if (
                n % 3 == 0 and order.id in self.street.book and self.street.book[order.id].waits
            ):  # news outrun the list of orders
                self.street.fill(order.id, self.street.book[order.id].qty, 20.0)
                self.time.sleep(n % 2 * 600)
                assert [line for line in self.desk.reconcile() if not line.startswith("CANCELED AGAIN")] == []
            self.street.hidden.discard(order.id)
            self.reconcile()
            given_up = "ABANDONED" if late else "ABSENT"
            there = self.street.book.get(order.id)
            assert self.ledger.status(order.id) == (
                {"CANCELED": "ACCEPTED"}.get(there.status, there.status) if there else given_up
            )
            self.reconcile()

    @rule(late=st.booleans())
    def close(self, late: bool) -> None:
        lifecycle.close_others(self.ledger, "" if late else f"k{self.cycles}")
        for key, status, states in self.ledger.rows(
            "SELECT c.key, c.status, group_concat(i.status) FROM cycles c JOIN intents i ON i.cycle = c.key"
            " WHERE i.status IN ('PLANNED', 'SENDING', 'UNKNOWN', 'ABSENT') GROUP BY c.key"
        ):
            assert status != "done", f"{key} is done: {states}"
            with pytest.raises(LedgerError):
                self.ledger.close_cycle(key)

    @rule(n=numbers)
    def settle(self, n: int) -> None:
        held, brought = self.ledger.account().positions.values(), self.transferred()  # which is neither gain nor loss
        before = self.equity() if self.settled is None else self.settled[0] + brought - self.settled[1]
        marked = [replace(p, mark=p.mark * (0.9 + 0.01 * (n % 21))) for p in held if p.qty]
        self.ledger.settle(self.time.now().tz_localize(None).normalize(), [], marked, [])
        self.peak, self.brought = max(self.peak + brought - self.brought, self.equity()), brought
        self.settled = self.equity(), brought
        [(peak, day)] = self.ledger.rows("SELECT peak, day_equity FROM account")
        assert (peak, day) == (self.peak, before), "the highest equity, or that of the session before"

    def transferred(self) -> int:
        return self.ledger.rows("SELECT sum(cash) FROM events WHERE kind = 'transfer'")[0][0]

    def equity(self) -> int:
        account = self.ledger.account()
        return account.cash + sum(round(p.qty * p.mark) for p in account.positions.values() if p.qty)

    # ---------------------------------------------------------------------------------------------------- the street
    @rule(n=numbers, part=st.integers(1, 4), fee=st.integers(0, 3 * UNIT))
    def fills(self, n: int, part: int, fee: int) -> None:
        if waiting := self.street.waiting():
            r = waiting[n % len(waiting)]
            left = r.qty - r.filled
            self.street.fill(r.id, left if part > 2 else max(left // (part + 1), 1), 10.0 + (n % 9000) / 100.0, fee)

    @rule(n=numbers, status=st.sampled_from(["CANCELED", "EXPIRED", "REJECTED"]))
    def ends(self, n: int, status: str) -> None:
        if waiting := self.street.waiting():
            r = waiting[n % len(waiting)]
            self.street.end(r.id, "CANCELED" if status == "REJECTED" and r.filled else status)
            if n % 2:
                self.reconcile()

    @rule(n=numbers, kind=st.sampled_from(["dividend", "fee", "interest", "transfer"]))
    def pays(self, n: int, kind: str) -> None:
        symbol = SYMBOLS[n % 4] if kind == "dividend" else None
        amount = n if symbol is None else round(self.street.holdings.get(symbol, 0) * 0.25)
        self.street.tell(kind, symbol, 0, amount if kind in {"dividend", "transfer"} else -amount)

    @rule(n=numbers, ratio=st.sampled_from([Fraction(2), Fraction(3, 2), Fraction(1, 2)]))
    def splits(self, n: int, ratio: Fraction) -> None:
        """Of shares that both sides agree on; splits come after the close, when the day's fills are known."""
        self.reconcile()
        symbol = SYMBOLS[n % 4]
        if held := self.street.holdings.get(symbol, 0):
            cost, left = self.cost(symbol), round(held * ratio)
            self.street.tell("split", symbol, left - held, 0)
            self.reconcile()
            assert left == 0 or self.cost(symbol) == pytest.approx(cost, rel=1e-9), "a split keeps what was paid"

    def cost(self, symbol: str) -> float:
        position = self.ledger.account().positions[symbol]
        return position.qty * position.entry

    @rule()
    def reconcile(self) -> None:
        """Both books agree afterwards, order by order, whatever was told in which shape."""
        given_up = {o.id for o in self.ledger.orders_in("ABANDONED")}
        standing = self.ledger.standing
        said = [line for line in self.desk.reconcile() if not line.startswith("CANCELED AGAIN")]
        assert said == [] and self.ledger.standing == standing
        account = self.ledger.account()
        assert account.cash == self.street.cash
        held = {s: p for s, p in account.positions.items() if p.qty}
        assert {s: p.qty for s, p in held.items()} == {s: q for s, q in self.street.holdings.items() if q}
        paid = averages(tuple(self.ledger.rows("SELECT kind, symbol, qty, price FROM events ORDER BY seq")))
        assert held.keys() == paid.keys()
        for symbol, p in held.items():
            assert math.isclose(p.entry, paid[symbol], rel_tol=1e-9), f"{symbol} cost {paid[symbol]}, not {p.entry}"
        told = dict(self.ledger.rows("SELECT order_id, sum(abs(qty)) FROM events WHERE order_id IS NOT NULL GROUP BY 1"))
        statuses = dict(self.ledger.rows("SELECT id, status FROM intents"))
        for order, r in self.street.book.items():
            status = statuses.get(order)
            assert told.get(order, 0) == r.filled, f"{order}: {r.filled} filled at the street"
            if r.status == "REJECTED":
                assert status in {"REJECTED", "SENDING", "UNKNOWN", "ABSENT", "ABANDONED", "CANCELED"}
            elif r.status == "FILLED":
                assert status == "FILLED"
            elif order in given_up:
                assert not r.waits, f"{order} was given up and waits at the street"
            elif order in self.replaced:
                assert status in {"CANCELED", "PARTIAL", "EXPIRED"}
            else:
                assert status == r.status, f"{order} is {r.status} at the street, {status} in the ledger"

    # --------------------------------------------------------------------------------------------------------- lies
    @rule(n=numbers, lie=st.sampled_from(["more", "free", "orphan", "holding"]))
    def lies(self, n: int, lie: str) -> None:
        """What cannot be is no fill of its order, and stops the account or its symbol."""
        self.trades(n, 0)
        self.lift()
        (_, *moved), known = self.counts(), list(self.street.book.values())
        if lie == "holding":
            self.street.holdings["S9"] = 5
            said = self.desk.reconcile()
            del self.street.holdings["S9"]
            assert [each[:9] for each in said] == ["DRIFT: S9"] and self.desk.outlook([]).frozen.keys() == {"S9"}
        elif lie == "orphan":
            order = Order("tk1-orphan", "k", "S0", "buy", UNIT, 10.0)
            self.street.book[order.id] = Report(order.id, "b-orphan", "S0", "buy", UNIT, 0, "ACCEPTED", at=self.time.now())
            said = self.desk.reconcile()
            del self.street.book[order.id]
            assert "ORPHAN" in "".join(said) and self.ledger.standing[0] == "HALT"
        elif known := [r for r in known if lie == "more" or r.waits]:
            r = known[n % len(known)]
            if lie == "more":
                qty = 10 * r.qty * (1 if r.side == "buy" else -1)
                self.street.tell("fill", r.symbol, qty, -qty, 0, 1.0, r.broker_id)
                moved = [moved[0] + qty, moved[1] - qty]
            else:
                amounts = max(r.qty - r.filled, 1), 0, 0, 0.0
                name = f"lie{self.ledger.rows('SELECT count(*) FROM events')[0][0]}"  # another one each time
                self.street.told.append(Activity(name, "fill", self.time.now(), r.symbol, r.broker_id, *amounts))
            orders = self.ledger.rows("SELECT order_id, sum(qty) FROM events GROUP BY 1 HAVING order_id IS NOT NULL")
            self.desk.reconcile()
            if lie == "free":
                self.street.told.pop()
            assert self.ledger.standing[0] == "HALT"
            again = self.ledger.rows("SELECT order_id, sum(qty) FROM events GROUP BY 1 HAVING order_id IS NOT NULL")
            assert again == orders, "a lie is a fill of an order"
            self.lift()
            self.desk.reconcile()
            assert self.ledger.standing[0] == "ACTIVE", "a person has looked at it"
        assert [*self.counts()[1:]] == moved, "a lie was booked"
        self.lift()

    def lift(self) -> None:
        if self.ledger.standing[0] != "ACTIVE":
            self.ledger.stand("ACTIVE", "a person looked", "machine")
            self.peak, self.brought = self.equity(), self.transferred()

    def counts(self) -> tuple:
        return self.ledger.rows("SELECT count(*), sum(qty), sum(cash) FROM events")[0]

    # ---------------------------------------------------------------------------------------------------------- fate
    @rule(n=numbers, state=st.sampled_from(STATES))
    def moves(self, n: int, state: str) -> None:
        """Where an order may not go, it does not."""
        rows = self.ledger.rows("SELECT id, status FROM intents")
        if rows:
            order, status = rows[n % len(rows)]
            if (status, state) not in LEGAL and status != state:
                with pytest.raises(LedgerError, match="cannot go"):
                    self.ledger.move(order, state)
                assert self.ledger.status(order) == status

    @rule(n=numbers)
    def half(self, n: int) -> None:
        """A transaction that fails at its end has not begun."""
        before = self.counts(), self.ledger.account().cash
        event = Event(f"half{n}", "2012-01-03", "fee", None, None, 0, -UNIT)
        with pytest.raises(LedgerError):
            self.ledger.book([event], [], [Outcome("tk1-nobody", "FILLED", 0)])
        booked = [i for (i,) in self.ledger.rows("SELECT id FROM events")]
        with pytest.raises(LedgerError, match="before"):
            self.ledger.book([replace(event, id=booked[n % len(booked)])], [])
        with pytest.raises(Crash), self.ledger.transaction() as db:
            db.execute("UPDATE account SET cash = 0")
            raise Crash
        assert (self.counts(), self.ledger.account().cash) == before

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.open()

    @rule()
    def taken_over(self) -> None:
        """Another process took the ledger over while this one slept."""
        other, _ = ledgerfile.take_over(self.ledger.path, "m", "paper", 0, "")
        other.close()
        with pytest.raises(LedgerLocked):
            self.ledger.arrive("tk1-zombie")
        self.reopen()

    @rule(standing=st.sampled_from(["ACTIVE", "REDUCE_ONLY", "HALT"]))
    def stands(self, standing: str) -> None:
        lifted = standing == "ACTIVE" != self.ledger.standing[0]
        strict = ["ACTIVE", "REDUCE_ONLY", "HALT"]
        expected = standing if lifted else max(standing, self.ledger.standing[0], key=strict.index)
        self.ledger.stand(standing, "because", "machine")
        assert self.ledger.standing[0] == expected
        if lifted:
            self.peak, self.brought = self.equity(), self.transferred()

    # ------------------------------------------------------------------------------------------------- what must hold
    @invariant()
    def sound(self) -> None:
        """What is on disk, seen by another connection; asked anew when any has written."""
        if (version := self.on_disk("PRAGMA data_version")) == self.version:
            return
        self.version, rows = version, self.on_disk
        [(cash, booked, unique)] = rows(
            "SELECT (SELECT cash FROM account), sum(cash), count(*) = count(DISTINCT id) FROM events"
        )
        assert cash == booked and unique, f"cash {cash}, events sum to {booked}"
        folded = dict(rows("SELECT symbol, sum(qty) FROM events WHERE symbol IS NOT NULL GROUP BY symbol HAVING sum(qty) <> 0"))
        held = {s: p.qty for s, p in self.ledger.account().positions.items() if p.qty}
        assert held == folded, f"held {held}, events sum to {folded}"
        wrong = rows(
            "SELECT i.id, i.symbol, i.qty, i.rest, i.status, e.* FROM intents i"
            " LEFT JOIN (SELECT order_id, sum(abs(qty)) n, min(symbol) a, max(symbol) z FROM events GROUP BY 1) e"
            " ON e.order_id = i.id WHERE i.rest <> i.qty - coalesce(e.n, 0) OR i.rest < 0"
            " OR (i.status = 'FILLED') <> (i.rest = 0) OR e.a <> i.symbol OR e.z <> i.symbol"
        )
        assert wrong == [], f"filled and left are not the order: {wrong}"
        for seq, order, before, after, at in rows(
            "SELECT seq, id, before, after, at FROM order_events WHERE seq > ?", self.events_seen
        ):
            self.moved(order, before, after, at)
            self.events_seen = seq
        assert all(self.states[i] == s for i, s in rows("SELECT id, status FROM intents")), "a state without its event"

    def on_disk(self, query: str, *values: object) -> list[tuple]:
        return self.reader.execute(query, values).fetchall()

    def moved(self, order: str, before: str, after: str, at: str) -> None:
        assert self.states.get(order, "") == before and (before, after) in LEGAL, f"{order} went from {before} to {after}"
        self.states[order] = after
        if after == "SENDING":
            self.sending[order] = pd.Timestamp(at)
        if after == "ABSENT":
            assert pd.Timestamp(at) - self.sending[order] >= pd.Timedelta("10s"), f"{order} was given up too early"

    def settles_down(self) -> None:
        """At the end nothing is in doubt, and a second look changes nothing."""
        self.street.hidden.clear()
        for _ in range(4):
            self.time.sleep(11)
            lifecycle.resolve(self.ledger, self.desk, self.time)
        assert self.ledger.orders_in("SENDING", "UNKNOWN") == [], "what is in doubt is resolved in the end"
        self.reconcile()
        self.reconcile()
        before = self.ledger.rows("SELECT (SELECT max(seq) FROM events), (SELECT max(seq) FROM order_events)")
        self.reconcile()
        assert self.ledger.rows("SELECT (SELECT max(seq) FROM events), (SELECT max(seq) FROM order_events)") == before
        assert (wrong := verify(self.ledger)) == [], wrong
        self.sound()


def run(steps: int, seed: int | None = None) -> None:
    """About so many steps, 50 to a ledger; the first that breaks a claim is shown with the steps before it.

    Without a seed the same steps every time.
    """
    examples = max(steps // 50, 1)
    how = settings(
        max_examples=examples, stateful_step_count=50, derandomize=seed is None, deadline=None, database=None, print_blob=False,
        report_multiple_bugs=False, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    class Seeded(LedgerMachine):
        pass

    run_state_machine_as_test(Seeded if seed is None else hypothesis.seed(seed)(Seeded), settings=how)


@lru_cache(maxsize=1)
def averages(events: tuple[tuple, ...]) -> dict[str, float]:
    """Average price of what is held of each symbol, in exact fractions."""
    held: dict[str, tuple[int, Fraction]] = {}
    for kind, symbol, qty, price in events:
        if symbol is None or not qty:
            continue
        before, cost = held.get(symbol, (0, Fraction(0)))
        after = before + qty
        if kind == "split":  # which may leave nothing of a micro-share
            held[symbol] = after, cost if after else Fraction(0)
        elif before * qty >= 0:
            held[symbol] = after, cost + qty * Fraction(price)
        elif before * after > 0:
            held[symbol] = after, cost * Fraction(after, before)
        else:
            held[symbol] = after, after * Fraction(price)
    return {s: float(cost / qty) for s, (qty, cost) in held.items() if qty}
