"""Whether a ledger holds together: the account is the fold of its events, and everything else follows from what is written.

Each check asks one question of the tables and answers with sentences.  What is not written cannot be asked: our paper broker
books the split of shares that are held, not that of an order which waits for the first of them, so the number of shares of such
an order is not judged.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter, defaultdict, namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, NamedTuple

from toolkit.errors import LedgerError, ToolkitError
from toolkit.execution.folding import scaled
from toolkit.execution.ledger import STRICT, Ledger
from toolkit.execution.orders import Account, Position, shares
from toolkit.execution.refolded import differences
from toolkit.execution.schema import NEXT, TABLES, UNSENT, UNSURE, WAITING, nan
from toolkit.kernels.account import UNIT

WHOLE = {"ACCEPTED", "PARTIAL", "FILLED"}  # what is not filled of these waits still; of others it may have been cut
OURS = {"replay", "paper"}  # modes of our own paper broker
LAST = "~"  # after every session
SESSION = re.compile(r"\d{4}-\d\d-\d\d")  # how a session begins
LEG = re.compile(r"\+\d+$")  # how the key of a further leg ends


class Book(NamedTuple):
    """A ledger at one instant: its tables, rows with the names of their columns in the order in which they were written."""

    account: Account
    standing: str
    drift: str | None
    events: list[Any]
    intents: list[Any]
    order_events: list[Any]
    cycles: list[Any]
    positions: list[Any]
    verdicts: list[Any]
    standings: list[Any]
    arrived: list[Any]

    @property
    def fills(self) -> list[Any]:
        return [event for event in self.events if event.kind == "fill"]


@contextmanager
def snapshot(ledger: Ledger) -> Iterator[Ledger]:
    """The ledger as it is at this instant, whatever another process writes meanwhile; for a ledger that is not in use here."""
    ledger.rows("BEGIN")
    try:
        yield ledger
    finally:
        with suppress(LedgerError):  # where a question failed it has ended already
            ledger.rows("ROLLBACK")


def verify(ledger: Ledger) -> list[str]:
    """What does not hold together, as sentences; an empty list is a sound ledger.

    The events are folded again, and every figure that follows from them, or that is written twice, is compared. What
    follows from nothing else in the file is not noticed: the equity of a cycle in which nothing was decided, unless the
    next was decided at the next close or its equity is above the highest; scores, best prices since an entry, and what a
    strategy saw (quotes, weights) beside the marks; slippage; the session, and the dividends, of what a broker told;
    equities of a broker's account; the highest equity, unless it is too low, once a halt was lifted or where a session may have
    been settled too late to be decided (a holiday looks the same); the size of an order that was cut, where its shares may
    have been split; rows that are missing at the end of a table, or after SQL has rewritten the file; and who changes both
    sides of a comparison.
    """
    try:
        with snapshot(ledger):
            wrong = ledger.damage()
            lost = ledger.rows("PRAGMA foreign_key_check")
            wrong += [f"{table}: row {row} refers to no {parent}" for table, row, parent, _ in lost]
            tables = {name: _table(ledger, name) for name in TABLES}
            book = Book(ledger.account(), ledger.standing[0], ledger.rows("SELECT drift FROM account")[0][0], **tables)
            stated, missing = _table(ledger, "account")[0], [name for name in TABLES if _gap(ledger, name)]
    except ToolkitError:
        raise
    except Exception as error:  # of a damaged file sqlite3 raises almost anything: that is the finding
        return [f"the file cannot be read ({type(error).__name__}: {error})"]
    wrong += [f"{name}: rows are missing that were written" for name in missing]
    wrong += [sentence for check in CHECKS for sentence in check(book)]
    return wrong + list(differences(book.account, stated, tables))


def _gap(ledger: Ledger, name: str) -> bool:
    """Whether the numbers of a table's rows have holes: none is ever taken out."""
    return ledger.rows(f"SELECT coalesce(max(rowid), 0) <> count(*) FROM {name}")[0][0] != 0


def _table(ledger: Ledger, name: str) -> list[Any]:
    columns = tuple(column for (column,) in ledger.rows("SELECT name FROM pragma_table_info(?)", name))
    return list(map(_row(name, columns)._make, ledger.rows(f"SELECT * FROM {name} ORDER BY rowid")))


@cache
def _row(table: str, columns: tuple[str, ...]) -> Any:
    return namedtuple(table, columns)


def _cash(book: Book) -> Iterator[str]:
    if book.account.cash != (folded := sum(event.cash for event in book.events)):
        yield f"cash is {book.account.cash} micro-dollars, its events sum to {folded}"


def _positions(book: Book) -> Iterator[str]:
    held, folded = book.account.positions, Counter[str]()
    for event in book.events:
        if event.symbol is not None and event.qty:
            folded[event.symbol] += event.qty
    for symbol in sorted(held.keys() | folded.keys()):
        if (qty := held.get(symbol, Position(symbol)).qty) != folded[symbol]:
            yield f"{symbol}: {qty} micro-shares held, events sum to {folded[symbol]}"


def _fills(book: Book) -> Iterator[str]:
    """A fill belongs to an order of its symbol and side, and costs what its price says."""
    orders = {o.id: o for o in book.intents}
    for f in book.fills:
        o, price = orders.get(f.order_id), nan(f.price)
        if o and (o.symbol, o.side) != (f.symbol, "buy" if f.qty > 0 else "sell"):
            yield f"{f.id} moved {shares(f.qty)} {f.symbol}, its order is to {o.side} {o.symbol}"
        if not abs(f.cash + f.fee + f.qty * price) <= 1.0 + 1e-9 * abs(f.cash):
            yield f"{f.id} moved {f.cash} micro-dollars, {shares(f.qty)} at {price} and a fee of {f.fee} make another sum"


def _filled(book: Book) -> Iterator[str]:
    """What was filled of an order and what waits of it make the order, where no split can have come between."""
    fills, lasts, splits = Counter[str](), dict[str, str](), defaultdict[str, list[tuple[str, float]]](list)
    for event in book.events:
        if event.kind == "split" and event.order_id is not None:  # what a broker made of an order that waited
            splits[event.order_id].append((event.session, event.price))
    for f in book.fills:
        if f.order_id is not None:
            fills[f.order_id] += scaled(abs(f.qty), splits[f.order_id], f.session)
            lasts[f.order_id] = f.session
    began, pasts = {cycle.key: cycle.session for cycle in book.cycles}, _pasts(book.events)
    for o in book.intents:
        filled, size, slack = fills[o.id], scaled(o.qty, splits[o.id]), UNIT if splits[o.id] else 0  # of dropped fractions
        more, less = filled + o.rest > size + slack, o.status in WHOLE and filled + o.rest < size - slack
        if (more or less) and (
            book.account.mode not in OURS
            or (o.kind != "market" and o.status in WAITING and nan(o.trigger) == o.level)  # what has ended keeps no trigger
            or _unsplit(pasts[o.symbol], began.get(o.cycle, ""), lasts.get(o.id, LAST))
        ):
            parts = f"{shares(filled)} filled and {shares(o.rest)} that wait"
            yield f"order {o.id} is {o.status}: {parts} are not the {shares(size)} ordered"
        if o.status == "FILLED" and (o.rest or not filled):
            yield f"order {o.id} is FILLED, {shares(filled)} were and {shares(o.rest)} wait"


class Past(NamedTuple):
    """A symbol's events in the order of their sessions."""

    sessions: list[str]
    kinds: list[str]
    held: list[int]  # micro-shares after each


def _pasts(events: list[Any]) -> defaultdict[str, Past]:
    found = defaultdict[str, Past](lambda: Past([], [], []))
    for event in sorted(events, key=lambda event: event.session):
        if event.symbol is not None:
            past = found[event.symbol]
            past.sessions.append(event.session)
            past.kinds.append(event.kind)
            past.held.append(event.qty + (past.held[-1] if past.held else 0))
    return found


def _unsplit(past: Past, began: str, ended: str) -> bool:
    """Whether shares were held all the time between two sessions, so that a split would be written, and none is."""
    start, end = bisect_right(past.sessions, began), bisect_right(past.sessions, ended)
    return start > 0 and all(past.held[start - 1 : max(start, end - 1)]) and "split" not in past.kinds[start:end]


def _moves(book: Book) -> Iterator[str]:
    """Orders went from state to state only where they may, and are where their last step led."""
    state: dict[str, str] = {}
    for step in book.order_events:
        if state.get(step.id, "") != step.before or step.after not in NEXT.get(step.before, ()):
            yield f"order {step.id} went from {step.before!r} to {step.after!r}"
        state[step.id] = step.after
    for o in book.intents:
        if state.get(o.id) != o.status:
            yield f"order {o.id} is {o.status}, its events end at {state.get(o.id)}"


def _verdicts(book: Book) -> Iterator[str]:
    """Each order that was planned or denied was judged once when it was planned, and that is what the verdict says.

    Orders of ledgers that kept no verdicts yet have steps without an instant: they are not asked.
    """
    first: dict[str, Any] = {}
    for step in book.order_events:
        first.setdefault(step.id, step)
    judged = [verdict for verdict in book.verdicts if verdict.stage == "plan"]
    counts, codes = Counter(verdict.id for verdict in judged), {verdict.id: verdict.code for verdict in judged}
    for order, step in first.items():
        if not step.at or step.after == "CUT":
            continue
        if counts[order] != 1:
            yield f"order {order} has {counts[order]} verdicts of its plan"
        elif (step.after == "DENIED") != bool(codes[order]):
            yield f"order {order} is {step.after} by its plan, the verdict says {codes[order] or 'that it may pass'}"


def _cycles(book: Book) -> Iterator[str]:
    """A cycle that is done has no order that is neither at the broker nor given up."""
    done = {cycle.key for cycle in book.cycles if cycle.status == "done"}
    for o in book.intents:
        if o.cycle in done and o.status in (*UNSENT, *UNSURE):
            yield f"cycle {o.cycle} is done, its order {o.id} is {o.status}"


def _identities(book: Book) -> Iterator[str]:
    """What may be there once is there once: names of events, orders, of orders at the broker, and one order a decision."""
    named = {
        "event": [event.id for event in book.events], "order": [o.id for o in book.intents],
        "broker's order": [o.broker_id for o in book.intents if o.broker_id is not None],
        "decision": [f"{o.cycle} {o.side} {o.symbol}" for o in book.intents],
    }  # fmt: skip
    for what, names in named.items():
        for name, times in Counter(names).items():
            if times > 1:
                yield f"{what} {name} is there more than once"


def _legs(book: Book) -> Iterator[str]:
    """A further leg of a cycle has orders of what was only denied before."""
    planned = [(o.cycle, LEG.sub("", o.cycle), o.symbol) for o in book.intents if o.status != "DENIED"]
    counts = Counter((decided, symbol) for _, decided, symbol in planned)
    again = {(decided, symbol): None for cycle, decided, symbol in planned if cycle != decided}  # in their order
    for decided, symbol in again:
        if counts[decided, symbol] > 1:
            yield f"decision {decided} {symbol} was planned again, another order of it was not denied"


def _arrived(book: Book) -> Iterator[str]:
    """The paper broker has only what was sent."""
    sent = {step.id for step in book.order_events if step.after in {"SENDING", "ACCEPTED"}}
    for order in book.arrived:
        if order.id not in sent:
            yield f"the paper broker has order {order.id}, which was never sent"


def _sendings(book: Book) -> Iterator[str]:
    """An order was sent as often, and when, as its steps say; what our broker accepted has arrived there."""
    times, accepted, arrived = defaultdict[str, list[str]](list), set[str](), {order.id for order in book.arrived}
    ours = book.account.mode in OURS
    for step in book.order_events:
        if step.after == "SENDING":
            times[step.id].append(step.at)
        if step.after == "ACCEPTED":
            accepted.add(step.id)
    for o in book.intents:
        sent = times[o.id]
        if all(sent) and (o.attempts, o.sent) != (len(sent), sent[-1] if sent else None):
            yield f"order {o.id} was sent {o.attempts} times, last {o.sent}; its steps say {len(sent)}, last {sent[-1:]}"
        if ours and o.broker_id is None and o.id in accepted and o.id not in arrived:
            yield f"order {o.id} was accepted, the paper broker does not have it"


def _standing(book: Book) -> Iterator[str]:
    """The account stands where the last change of its standing led, and that is a standing."""
    if book.standing not in STRICT:
        yield f"the account is {book.standing!r}, which is no standing"
    if book.standings and book.standings[-1].after != book.standing:
        yield f"the account is {book.standing}, its last change was to {book.standings[-1].after}"


def _readable(book: Book) -> Iterator[str]:
    """What stands in a column as a text can be read as what it is."""
    for what, day in [(f"cycle {c.key}", c.session) for c in book.cycles] + [(f"event {e.id}", e.session) for e in book.events]:
        if day and not SESSION.match(day):
            yield f"{what} is of session {day!r}, which is no day"
    try:
        json.loads(book.drift or "{}")
    except ValueError:
        yield f"the account's drift is {book.drift!r}, which cannot be read"


CHECKS: tuple[Callable[[Book], Iterator[str]], ...] = (
    _cash, _positions, _fills, _filled, _moves, _verdicts, _cycles, _identities, _legs, _arrived, _sendings, _standing,
    _readable,
)  # fmt: skip
