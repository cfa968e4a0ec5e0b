"""A loop that is killed again and again: a real process, real SIGKILL, at statements of its ledger that a seed draws.

    told = lives(folder, seed=7, kills=8)  # a frame, one row a life; the account in `folder` has then traded the year

A child (`python -m toolkit.testing.crashes FOLDER [SESSION cycle|plan|send STATEMENTS]`) runs a paper engine over the bundled
prices from where its ledger stands. SQLite tells it each statement just before it runs. From the cycle of SESSION on, or from
the first order that is planned, or sent, then or later, it counts STATEMENTS of them and kills itself: inside a transaction as
often as not, and at the same place whenever it is asked again. Its parent starts it until the year is done.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.data import Calendar, ReplayClock
from toolkit.errors import InvalidParameter, LedgerError
from toolkit.execution.ledger import Ledger
from toolkit.execution.schema import UNSENT, UNSURE

FIRST, LAST = pd.Timestamp("2012-03-01"), pd.Timestamp("2013-03-01")  # the year
SYMBOLS = ["AAPL", "GOOG", "IBM", "MSFT"]
ACCOUNT, MODE = "crashes", "paper"
MARKS = {"cycle": "", "plan": "INSERT INTO intents", "send": "'PLANNED','SENDING'"}  # statements from which others are counted
MOST = {"cycle": 60, "plan": 26, "send": 15}  # about what a cycle, a plan of two orders, or an order on its way takes
VERBS = {"SELECT": "read", "INSERT": "add to", "UPDATE": "change", "DELETE": "take from"}
PATIENCE = 120.0  # seconds for one life
ENDS = {
    ("PLANNED", "SENDING"): "sent for the first time",
    ("PLANNED", "ABANDONED"): "given up: its open had passed",
    ("SENDING", "ACCEPTED"): "found by its id",
    ("SENDING", "ABSENT"): "had not arrived: sent again under its id",
}


class Death(NamedTuple):
    """Where a life ends: so many `statements` after the first that has the mark `since`, from the cycle of `session` on."""

    session: pd.Timestamp
    since: str
    statements: int


# ------------------------------------------------------------------------------------------------------------- the child
@dataclass
class Fuse:
    """Told of each statement of the ledger `db`; counts them, and kills the process where `death` says."""

    db: Any
    clock: ReplayClock
    death: Death | None
    seen: int = 0
    counted: int = 0

    def __call__(self, statement: str) -> None:
        self.seen += 1
        if self.death is None or self.clock.now().tz_localize(None) < self.death.session:
            return
        if self.counted or MARKS[self.death.since] in statement:
            self.counted += 1
            if self.counted > self.death.statements:
                self.tell(statement)
                os.kill(os.getpid(), signal.SIGKILL)

    def tell(self, statement: str = "") -> None:
        """One line to the parent, written at once: who is killed flushes nothing."""
        told = {"to": self.clock.now().isoformat(), "statements": self.seen, "before": short(statement)}
        os.write(sys.stdout.fileno(), json.dumps({**told, "inside": self.db.in_transaction}).encode())


def short(statement: str) -> str:
    """A statement as what it does, and to which table.

    >>> short("INSERT INTO arrived VALUES (1, 2)"), short("SELECT a FROM account"), short("BEGIN IMMEDIATE")
    ('add to arrived', 'read account', 'begin')
    """
    words = statement.replace("(", " ").split()
    verb, table = words[0] if words else "", {"FROM", "INTO", "UPDATE"}
    named = next((after for word, after in zip(words, words[1:]) if word in table), "")
    return f"{VERBS[verb]} {named}" if verb in VERBS else verb.lower()


def account_in(folder: Path) -> Path:
    """The folder of the account below `folder`."""
    return folder / "state" / f"{MODE}-{ACCOUNT}"


def settled_in(folder: Path) -> pd.Timestamp:
    """The session up to which the account is settled; the first of the year where there is none yet."""
    if not (account_in(folder) / "ledger.sqlite").exists():
        return FIRST
    with closing(Ledger.read(account_in(folder))) as ledger:
        return ledger.account().session or FIRST


def engine_in(folder: Path) -> TradingEngine:
    """A paper engine whose account lies below `folder`, on a clock of the year's closes from where its ledger stands."""
    first = settled_in(folder)
    values = {"mode": MODE, "account": ACCOUNT, "symbols": SYMBOLS, "state": str(folder / "state"), "allow_uncertified": True}
    risk = {"max_order_share": 0.25, "max_position": 0.3, "min_cash": 0.02}
    config = checked_config({**values, "risk": risk, "cache": {"directory": str(folder / "bars")}})
    clock = ReplayClock(Calendar("XNYS").closes_between(first.isoformat(), LAST.isoformat()))
    return TradingEngine(config, clock=clock, environment={})


def live(folder: Path, death: Death | None) -> None:
    """Trades on to the end of the year, or to `death`; the last line to the parent is of one who was not killed."""
    with closing(engine_in(folder)) as engine:
        with engine.ledger.transaction() as db:
            fuse = Fuse(db, engine.clock, death)  # type: ignore[arg-type]
            db.set_trace_callback(fuse)
        engine.run_continuous()
        fuse.tell()


# ------------------------------------------------------------------------------------------------------------ the parent
def deaths(seed: int, kills: int) -> list[Death]:
    """One in each of `kills` equal parts of the year, counted from a cycle, a plan and a sending in turn."""
    if not 1 <= kills <= 60:
        raise InvalidParameter(f"kills is {kills!r}", "use a whole number from 1 to 60")
    rng, year = np.random.default_rng(seed), Calendar("XNYS").sessions_between(FIRST.isoformat(), LAST.isoformat())
    parts = np.array_split(np.arange(len(year) - 25), kills)  # an order comes within the weeks that are left
    drawn = [(year[rng.choice(part)], list(MARKS)[number % 3]) for number, part in enumerate(parts)]
    return [Death(session, since, int(rng.integers(MOST[since]))) for session, since in drawn]


def lives(folder: Path, seed: int, kills: int) -> pd.DataFrame:
    """Starts the loop in an empty `folder`, and again after each of `kills` deaths; one row a life.

    `from` and `to` are sessions; `statements` those that its ledger was asked; `orders` those it marked SENDING; `before` the
    statement that it did not live to run, `inside` whether that undid a transaction; `open` the orders planned and not known
    to be at the broker when it died; `resolved` what the next life made of them; `events` the number of the last order event
    that it wrote. LedgerError if a life ends otherwise.
    """
    rows: list[dict[str, Any]] = []
    open_: dict[str, str] = {}
    seq = 0
    for death in [*deaths(seed, kills), None]:
        began = settled_in(folder)
        told = lived(folder, death)
        with closing(Ledger.read(account_in(folder))) as ledger:
            events = ledger.frame("order_events").query("seq > @seq")
            now = {order.id: str(ledger.status(order.id)) for order in ledger.orders_in(*UNSENT, *UNSURE)}
        if rows:
            rows[-1]["resolved"] = resolved(open_, events)
        said = ", ".join(f"{n} {state}" for state, n in sorted(Counter(now.values()).items()))
        to = pd.Timestamp(told["to"]).tz_localize(None).normalize()
        orders, last = int((events["after"] == "SENDING").sum()), max([seq, *events["seq"]])
        rows.append(
            {"from": began, "to": to, "statements": told["statements"], "orders": orders, "before": told["before"],
             "inside": told["inside"], "open": said, "resolved": "", "events": last}
        )  # fmt: skip
        open_, seq = now, last
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="life"))


def resolved(open_: dict[str, str], events: pd.DataFrame) -> str:
    """What became of orders that were open at a death, from the order events since."""
    first = events[events["id"].isin(list(open_))].drop_duplicates("id")
    found = Counter(ENDS[before, after] for before, after in zip(first["before"], first["after"]))
    return ", ".join(f"{n} {what}" for what, n in sorted(found.items()))


def lived(folder: Path, death: Death | None) -> dict[str, Any]:
    """What a child told that was to die by SIGKILL at `death`, or to live on to the end; its own words are not shown."""
    last = [] if death is None else [f"{death.session:%Y-%m-%d}", death.since, str(death.statements)]
    command = [sys.executable, "-m", "toolkit.testing.crashes", str(folder), *last]
    child = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if child.returncode != (0 if death is None else -signal.SIGKILL):
        what = f"a life that was to end by {death} ended with {child.returncode}: {child.stderr[-500:]}"
        raise LedgerError(what, "run its command by hand and look")
    return json.loads(child.stdout)


if __name__ == "__main__":
    place, *last = sys.argv[1:]
    live(Path(place), Death(pd.Timestamp(last[0]), last[1], int(last[2])) if last else None)
