"""Whether a ledger holds together: the account is the fold of its events, and everything else follows from what is written.

Each check asks one question of the tables and answers with sentences.  What is not written cannot be asked: our paper broker
books the split of shares that are held, not that of an order which waits for the first of them, so the number of shares of such
an order is not judged.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pandas as pd

from toolkit.errors import ToolkitError
from toolkit.execution import folding
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account, Event, Position, shares
from toolkit.execution.schema import NEXT, TABLES, UNSENT, UNSURE, WAITING, nan

WHOLE = {"ACCEPTED", "PARTIAL", "FILLED"}  # what is not filled of these waits still; of others it may have been cut
OURS = {"replay", "paper"}  # modes of our own paper broker
LAST = "~"  # after every session


class Book(NamedTuple):
    """A ledger at one instant."""

    tables: dict[str, pd.DataFrame]  # by name, in the order in which they were written
    account: Account
    standing: str


@contextmanager
def snapshot(ledger: Ledger) -> Iterator[Ledger]:
    """The ledger as it is at this instant, whatever another process writes meanwhile; for a ledger that is not in use here."""
    ledger.rows("BEGIN")
    try:
        yield ledger
    finally:
        ledger.rows("ROLLBACK")


def verify(ledger: Ledger) -> list[str]:
    """What does not hold together, as sentences; an empty list is a sound ledger."""
    try:
        with snapshot(ledger):
            wrong = ledger.damage()
            wrong += [f"{table}: row {row} refers to no {parent}" for table, row, parent, _ in _lost(ledger)]
            book = Book({name: ledger.frame(name) for name in TABLES}, ledger.account(), ledger.standing[0])
    except ToolkitError:
        raise
    except Exception as error:  # of a damaged file sqlite3 and pandas raise almost anything: that is the finding
        return [f"the file cannot be read ({type(error).__name__}: {error})"]
    return wrong + [sentence for check in CHECKS for sentence in check(book)]


def _lost(ledger: Ledger) -> list[tuple]:
    return ledger.rows("PRAGMA foreign_key_check")


def _cash(book: Book) -> Iterator[str]:
    if book.account.cash != (folded := int(book.tables["events"]["cash"].sum())):
        yield f"cash is {book.account.cash} micro-dollars, its events sum to {folded}"


def _positions(book: Book) -> Iterator[str]:
    held, folded = book.account.positions, positions_of(book.tables["events"])
    for symbol in sorted(held.keys() | folded.keys()):
        ours, theirs = held.get(symbol, Position(symbol)), folded.get(symbol, Position(symbol))
        if ours.qty != theirs.qty:
            yield f"{symbol}: {ours.qty} micro-shares held, events sum to {theirs.qty}"


def positions_of(events: pd.DataFrame) -> dict[str, Position]:
    """The positions that the events make, one after the other, by symbol."""
    folded: dict[str, Position] = {}
    for row in events.itertuples(index=False):
        if isinstance(row.symbol, str) and row.qty:
            event = Event(row.id, row.session, row.kind, row.symbol, None, row.qty, row.cash, row.fee, row.price)
            folded[row.symbol] = folding.after(folded.get(row.symbol, Position(row.symbol)), event)
    return folded


def _of_kind(book: Book, kind: str) -> pd.DataFrame:
    events = book.tables["events"]
    return events[events["kind"] == kind]


def _fills(book: Book) -> Iterator[str]:
    """A fill belongs to an order of its symbol and side, and costs what its price says."""
    orders = {order: asked for order, *asked in book.tables["intents"][["id", "symbol", "side"]].itertuples(index=False)}
    for f in _of_kind(book, "fill").itertuples(index=False):
        if isinstance(f.order_id, str) and f.order_id in orders:
            symbol, side = orders[f.order_id]
            if (symbol, side) != (f.symbol, "buy" if f.qty > 0 else "sell"):
                yield f"{f.id} moved {shares(f.qty)} {f.symbol}, its order is to {side} {symbol}"
        if not abs(f.cash + f.fee + f.qty * nan(f.price)) <= 1.0 + 1e-9 * abs(f.cash):
            yield f"{f.id} moved {f.cash} micro-dollars, {shares(f.qty)} at {f.price} and a fee of {f.fee} make another sum"


def _filled(book: Book) -> Iterator[str]:
    """What was filled of an order and what waits of it make the order, where no split can have come between."""
    fills, lasts = Counter[str](), dict[str, str]()
    for order, qty, session in _of_kind(book, "fill")[["order_id", "qty", "session"]].dropna().itertuples(index=False):
        fills[order] += int(qty)
        lasts[order] = session
    began = dict(zip(book.tables["cycles"]["key"], book.tables["cycles"]["session"], strict=True))
    pasts = pasts_of(book.tables["events"])
    for o in book.tables["intents"].itertuples(index=False):
        filled = abs(fills[o.id])
        more, less = filled + o.rest > o.qty, o.status in WHOLE and filled + o.rest < o.qty
        if (more or less) and (
            book.account.mode not in OURS
            or (o.kind != "market" and o.status in WAITING and o.trigger == o.level)  # what has ended keeps no trigger
            or _unsplit(pasts.get(o.symbol, Past([], [], [])), began[o.cycle], lasts.get(o.id, LAST))
        ):
            parts = f"{shares(filled)} filled and {shares(o.rest)} that wait"
            yield f"order {o.id} is {o.status}: {parts} are not the {shares(o.qty)} ordered"
        if o.status == "FILLED" and (o.rest or not filled):
            yield f"order {o.id} is FILLED, {shares(filled)} were and {shares(o.rest)} wait"


class Past(NamedTuple):
    """A symbol's events in the order of their sessions."""

    sessions: list[str]
    kinds: list[str]
    held: list[int]  # micro-shares after each


def pasts_of(events: pd.DataFrame) -> dict[str, Past]:
    """The past of each symbol."""
    found: dict[str, Past] = {}
    rows = events[["symbol", "session", "kind", "qty"]].dropna(subset="symbol").sort_values("session", kind="stable")
    for symbol, session, kind, qty in rows.itertuples(index=False):
        past = found.setdefault(symbol, Past([], [], []))
        past.sessions.append(session)
        past.kinds.append(kind)
        past.held.append(qty + (past.held[-1] if past.held else 0))
    return found


def _unsplit(past: Past, began: str, ended: str) -> bool:
    """Whether shares were held all the time between two sessions, so that a split would be written, and none is."""
    start, end = bisect_right(past.sessions, began), bisect_right(past.sessions, ended)
    return start > 0 and all(past.held[start - 1 : max(start, end - 1)]) and "split" not in past.kinds[start:end]


def _moves(book: Book) -> Iterator[str]:
    """Orders went from state to state only where they may, and are where their last step led."""
    state: dict[str, str] = {}
    for order, before, after in book.tables["order_events"][["id", "before", "after"]].itertuples(index=False):
        if state.get(order, "") != before or after not in NEXT.get(before, ()):
            yield f"order {order} went from {before!r} to {after!r}"
        state[order] = after
    for order, status in book.tables["intents"][["id", "status"]].itertuples(index=False):
        if state.get(order) != status:
            yield f"order {order} is {status}, its events end at {state.get(order)}"


def _verdicts(book: Book) -> Iterator[str]:
    """Each order that was planned or denied was judged once when it was planned, and that is what the verdict says.

    Orders of ledgers that kept no verdicts yet have steps without an instant: they are not asked.
    """
    first = book.tables["order_events"].drop_duplicates("id")
    first = first[(first["at"] != "") & (first["after"] != "CUT")]
    judged = book.tables["verdicts"][book.tables["verdicts"]["stage"] == "plan"]
    counts, codes = Counter(judged["id"]), dict(zip(judged["id"], judged["code"], strict=True))
    for order, after in first[["id", "after"]].itertuples(index=False):
        if counts[order] != 1:
            yield f"order {order} has {counts[order]} verdicts of its plan"
        elif (after == "DENIED") != bool(codes[order]):
            yield f"order {order} is {after} by its plan, the verdict says {codes[order] or 'that it may pass'}"


def _cycles(book: Book) -> Iterator[str]:
    """A cycle that is done has no order that is neither at the broker nor given up."""
    done = set(book.tables["cycles"]["key"][book.tables["cycles"]["status"] == "done"])
    for order, cycle, status in book.tables["intents"][["id", "cycle", "status"]].itertuples(index=False):
        if cycle in done and status in (*UNSENT, *UNSURE):
            yield f"cycle {cycle} is done, its order {order} is {status}"


def _identities(book: Book) -> Iterator[str]:
    """What may be there once is there once: names of events, orders, of orders at the broker, and one order a decision."""
    intents = book.tables["intents"]
    decisions = intents["cycle"] + " " + intents["side"] + " " + intents["symbol"]
    named = {
        "event": book.tables["events"]["id"], "order": intents["id"], "broker's order": intents["broker_id"].dropna(),
        "decision": decisions,
    }  # fmt: skip
    for what, names in named.items():
        for name in names[names.duplicated()].unique():
            yield f"{what} {name} is there more than once"


def _legs(book: Book) -> Iterator[str]:
    """A further leg of a cycle has orders of what was only denied before."""
    intents = book.tables["intents"].query("status != 'DENIED'")
    decided = intents["cycle"].str.replace(r"\+\d+$", "", regex=True)
    names = decided + " " + intents["symbol"]
    for name in names[names.duplicated(keep=False) & (decided != intents["cycle"])].unique():
        yield f"decision {name} was planned again, another order of it was not denied"


def _arrived(book: Book) -> Iterator[str]:
    """The paper broker has only what was sent."""
    steps = book.tables["order_events"]
    sent = set(steps[steps["after"].isin(["SENDING", "ACCEPTED"])]["id"])
    for order in book.tables["arrived"]["id"]:
        if order not in sent:
            yield f"the paper broker has order {order}, which was never sent"


def _standing(book: Book) -> Iterator[str]:
    """The account stands where the last change of its standing led."""
    last = book.tables["standings"]["after"]
    if len(last) and last.iloc[-1] != book.standing:
        yield f"the account is {book.standing}, its last change was to {last.iloc[-1]}"


CHECKS: tuple[Callable[[Book], Iterator[str]], ...] = (
    _cash, _positions, _fills, _filled, _moves, _verdicts, _cycles, _identities, _legs, _arrived, _standing,
)  # fmt: skip
