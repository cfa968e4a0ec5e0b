"""Bugs that a ledger could have, each a change of a line in the code under test, for as long as a `with` lasts.

A bug whose line is gone says so: then the code has changed, and the bug is to be written anew.
"""

from __future__ import annotations

# ruff: noqa: E501
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

from toolkit.execution import entries, folding, ledger, ledgerfile, lifecycle
from toolkit.execution.brokers import comparison, desk, news


class Bug(NamedTuple):
    """What is wrong, and where: module, function or "Class.method", a piece of its text, and what stands there instead."""

    name: str
    changes: tuple[tuple[ModuleType, str, str, str], ...]

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def bug(name: str, *changes: tuple[ModuleType, str, str, str]) -> Bug:
    return Bug(name, changes)


BUGS = [
    bug("the fee is forgotten", (folding, "event_of", "activity.qty, activity.cash,", "activity.qty, activity.cash + activity.fee,")),
    bug(
        "an execution told twice is booked twice",
        (news, "book", "in known", "in ()"),
        (entries, "book", 'if db.execute(schema.BOOK_EVENT + " ON CONFLICT(id) DO NOTHING", row).rowcount:',
         'if db.execute(schema.BOOK_EVENT + " ON CONFLICT(id) DO NOTHING", row):'),
    ),  # fmt: skip
    bug("an event has a new id each time", (folding, "event_of", 'f"broker:{activity.id}"', 'f"broker:{activity.id}:{id(activity)}"')),
    bug("an event booked before is booked over", (entries, "book", "raise LedgerError", "max")),
    bug("more than was ordered is filled", (news, "impossible", "> order.rest + order.slack", "> 10**30")),
    bug(
        "a fill without a price is booked",
        (news, "impossible", "if not (activity.price is not None and activity.price > 0.0)", "if False"),
    ),
    bug("an order goes where it may not", (entries, "move", "status not in NEXT.get(before, ())", "False")),
    bug("a step of an order leaves no event", (entries, "move", 'db.execute("INSERT INTO order_events', 'str("INSERT INTO order_events'),
        (entries, "move", ", row)\n    if status ==", ", 'utf-8') if False else None\n    if status ==")),
    bug("the epoch is not checked", (ledger, "Ledger.transaction", "if epoch != self._epoch", "if False")),
    bug("what is unknown is called rejected", (lifecycle, "send", '"UNKNOWN", type(error)', '"REJECTED", type(error)')),
    bug("what is not found is sent again at once", (lifecycle, "_gone", "looks + 1 >= LOOKS", "True"),
        (lifecycle, "_gone", "now - pd.Timestamp(sent) >= PATIENCE", "True")),
    bug("looks are not counted", (ledger, "Ledger.looked", "looks + 1", "looks")),
    bug("an order is sent again without a look", (lifecycle, "send", '            log.warning("no answer', '            desk.submit(order)\n            log.warning("no answer')),
    bug("an order is sent before that is written down", (lifecycle, "send", '        ledger.move(order.id, "SENDING")\n', ""),
        (lifecycle, "send", "        except Exception as error:", '            ledger.move(order.id, "SENDING")\n        except Exception as error:')),
    bug("a fill goes to another symbol", (news, "book", "folding.after(held, event)", 'replace(folding.after(held, event), symbol="S0")')),
    bug("a sale adds", (folding, "after", "position.qty + event.qty", "position.qty + abs(event.qty)")),
    bug("what is left is not reduced", (news, "_outcome", "order.rest - folding.scaled(abs(event.qty), order.splits, event.session)", "order.rest")),
    bug("cash is written in a transaction of its own", (entries, "book", "(event.cash,))", '(event.cash,)); db.execute("COMMIT"); db.execute("BEGIN IMMEDIATE")')),
    bug("what failed half-way is kept", (ledgerfile, "rolled_back", '"ROLLBACK"', '"COMMIT"')),
    bug("what a plan replaces is not cancelled", (entries, "plan", 'move(db, order, "CANCELED", key, at)', "pass")),
    bug("what the gate denied is planned", (entries, "plan", "move(db, o.id, i.status, i.reason, at)", 'move(db, o.id, "PLANNED", i.reason, at)')),
    bug("a fill after a cancellation loses its order", (news, "book", '"broker_id = ?"', '"status IN (\'ACCEPTED\',\'PARTIAL\') AND broker_id = ?"')),
    bug("what was given up and turns up is not adopted", (desk, "BrokerDesk._adopt", ', "ABANDONED"}', "}")),
    bug("what was given up and turns up is left to wait", (desk, "BrokerDesk._adopt", 'if status == "ABANDONED" and report.waits', "if False")),
    bug("the broker's name of an order is not kept", (ledger, "Ledger.move", "if broker_id:", "if False:")),
    bug("a cycle ends with orders in doubt", (entries, "close_cycle", "if open_:", "if False:"), (ledger, "Ledger.is_open", "> 0", "> 99")),
    bug("an order that nobody planned goes unseen", (comparison, "strangers", "r.id not in planned", "False")),
    bug("holdings that differ go unseen", (comparison, "differences", "if there.qty != ours.qty", "if False")),
    bug("a split moves the average price the wrong way", (folding, "after", "entry=position.entry / ratio", "entry=position.entry * ratio")),
    bug("a sale moves the average price", (folding, "_entry", "abs(qty) > abs(position.qty)", "True")),
    bug("an order that ends is not noticed", (news, "end", "report.status in ENDS", 'report.status == "REJECTED"')),
    bug("a fill that outruns its order is a stranger's", (entries, "name", "if filled:", "if False:")),
    bug("a day begins after the fills of its open", (entries, "settle", "coalesce(close_equity, ?)", "coalesce(NULL, ?)")),
    bug("the highest equity follows the last", (entries, "settle", "max(coalesce(peak, ?), ?)", "max(min(peak, ?), ?)")),
]  # fmt: skip


@contextmanager
def planted(which: Bug) -> Iterator[None]:
    """The code with the bug in it."""
    before: list[tuple[Any, str, Any]] = []
    try:
        for module, path, old, new in which.changes:
            *owners, name = path.split(".")
            owner: Any = module
            for part in owners:
                owner = getattr(owner, part)
            kept = inspect.getattr_static(owner, name)
            source = (
                textwrap.dedent(inspect.getsource(_plain(kept)))
                if not before or before[-1][:2] != (owner, name)
                else _SOURCES[path]
            )
            assert old in source, f"{which.name}: {path} has no {old!r}"
            changed = _SOURCES[path] = source.replace(old, new)
            space: dict[str, Any] = {}
            exec(compile("from __future__ import annotations\n" + changed, f"<{which.name}>", "exec"), vars(module), space)
            before.append((owner, name, kept))
            setattr(owner, name, space[name])
        yield
    finally:
        for owner, name, kept in reversed(before):
            setattr(owner, name, kept)
        _SOURCES.clear()


_SOURCES: dict[str, str] = {}


def _plain(function: Any) -> Any:
    return function.fget if isinstance(function, property) else inspect.unwrap(function)
