"""A wrapper that makes a broker as bad as brokers are, by a seed: for tests, and for a notebook that wants to see it.

It stands in front of a `Desk` or of a `Broker` and adds nothing to what the other side books: it only loses answers and
cancellations, answers too late, and tells the news twice, in parts, out of order or later.  Whoever trades through it
must end with the books of the other side.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import pandas as pd

from toolkit.errors import BrokerUnavailable, InvalidParameter
from toolkit.execution.brokers.values import Activity, Answer, Report
from toolkit.execution.costs import check_numbers
from toolkit.execution.orders import Order, untypeset

HIDDEN = 12  # looks at most that do not see an order which arrived
LATE = 2  # looks at most that do not see an activity which happened


@dataclass(frozen=True)
class Faults:
    """How probable each fault is, a fraction of the calls, orders or activities that it can strike.

    lost_reply, error_after: the order arrived and no answer came, or a gateway's 504; error_before: it did not arrive;
    rejected_after: it was accepted, and is rejected a moment later (Broker alone); hidden: an order is not found, nor listed,
    by the next looks; no_cancel: a cancellation is promised and comes to nothing, so that a fill comes first; unavailable: a
    question has no answer; parts, twice, late: an activity is told as two, told twice, or not by the next looks; reordered: a
    list of activities is told out of order.
    """

    lost_reply: float = 0.05
    error_after: float = 0.05
    error_before: float = 0.05
    rejected_after: float = 0.03
    hidden: float = 0.10
    no_cancel: float = 0.10
    unavailable: float = 0.02
    parts: float = 0.10
    twice: float = 0.10
    late: float = 0.03
    reordered: float = 0.20

    def __post_init__(self) -> None:
        check_numbers(self)
        if (most := max(vars(self).values())) > 1.0:
            raise InvalidParameter(f"a fault strikes with probability {most}", "use fractions of at most 1")


NONE = Faults(*(0.0 for _ in fields(Faults)))


class Struck(NamedTuple):
    """One fault: in which call, counted from 1, which fault, and what it struck."""

    call: int
    fault: str
    what: str


class Chaos:
    """A Desk or Broker behind faults; what is not struck passes through, and `log` keeps what was.

    `inner` may be replaced by another desk of the same account, as after a restart. The same seed and calls give the same
    faults.
    """

    sure = False  # what is not found may be found later

    def __init__(self, inner: Any, seed: int, faults: Faults = Faults()) -> None:
        self.inner, self.seed, self.faults = inner, seed, faults
        self.log: list[Struck] = []
        self.calls = 0
        self._dice = random.Random(seed)
        self._hidden: dict[str, int] = {}  # order: looks that do not see it
        self._rejected: set[str] = set()
        self._fate: dict[str, tuple[int, bool]] = {}  # activity: looks that do not see it, whether it is told in parts

    def __getattr__(self, name: str) -> Any:
        """Whatever is no road for faults is the other side's own."""
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    # ------------------------------------------------------------------------------------------------------ orders
    def submit(self, order: Order) -> Answer:
        """Hands the order in unless it is lost on its way; says what the caller would hear."""
        self.calls += 1
        if self._strikes("error_before", order.id):
            return Answer("UNKNOWN", "503 before it arrived")
        answer = self.inner.submit(order)
        if answer.status != "ACCEPTED":
            return answer
        if self._strikes("hidden", order.id):
            self._hidden[order.id] = self._dice.randint(1, HIDDEN)
        if self._lists() and order.id not in self._rejected and self._strikes("rejected_after", order.id):
            self.inner.cancel(order.id)
            self._rejected.add(order.id)
        if self._strikes("lost_reply", order.id):
            raise BrokerUnavailable("the answer was lost", "look the order up by its id")
        if self._strikes("error_after", order.id):
            return Answer("UNKNOWN", "504 after it arrived")
        return answer

    def cancel(self, order: str) -> Answer:
        """Passes a cancellation on, unless it is promised and forgotten."""
        self.calls += 1
        if self._strikes("no_cancel", order):
            return Answer("ACCEPTED", "promised")
        return self.inner.cancel(order)

    def find(self, order: str) -> Any:
        """The order, None while it is hidden."""
        self.calls += 1
        self._may_fail(order)
        return None if self._unseen(order) else self._told(self.inner.find(order))

    # -------------------------------------------------------------------------------------------------------- news
    def orders(self, since: pd.Timestamp) -> list[Report]:
        """Orders but those that are hidden."""
        self.calls += 1
        self._may_fail("orders")
        return [self._told(report) for report in self.inner.orders(since) if not self._unseen(report.id)]

    def activities(self, since: pd.Timestamp) -> list[Activity]:
        """Activities in parts, twice, later and out of order; each part has one id for ever."""
        self.calls += 1
        self._may_fail("activities")
        told: list[Activity] = []
        for activity in self.inner.activities(since):
            looks, halved = self._fate_of(activity)
            if looks:
                self._fate[activity.id] = looks - 1, halved
                continue
            told += parts(activity) if halved else [activity]
            if self._strikes("twice", activity.id):
                told.append(told[-1])
        if len(told) > 1 and self._strikes("reordered", f"{len(told)} activities"):
            self._dice.shuffle(told)
        return told

    def _fate_of(self, activity: Activity) -> tuple[int, bool]:
        if activity.id not in self._fate:
            looks = self._dice.randint(1, LATE) if self._strikes("late", activity.id) else 0
            halved = activity.kind == "fill" and abs(activity.qty) > 1 and self._strikes("parts", activity.id)
            self._fate[activity.id] = looks, halved
        return self._fate[activity.id]

    def _told(self, report: Any) -> Any:
        """A report, with the rejection of an order that was accepted first."""
        if isinstance(report, Report) and report.id in self._rejected and report.status == "CANCELED":
            return replace(report, status="REJECTED", said="rejected after all")
        return report

    def _unseen(self, order: str) -> bool:
        looks = self._hidden.pop(order, 0)
        if looks > 1:
            self._hidden[order] = looks - 1
        return looks > 0

    def _may_fail(self, what: str) -> None:
        if self._lists() and self._strikes("unavailable", what):
            raise BrokerUnavailable(f"no answer about {what}", "ask again")

    def _lists(self) -> bool:
        """Whether this is a broker, which tells of its orders, and no desk."""
        return hasattr(self.inner, "orders")

    def _strikes(self, fault: str, what: str) -> bool:
        struck = self._dice.random() < getattr(self.faults, fault)
        if struck:
            self.log.append(Struck(self.calls, fault, what))
        return struck

    # -------------------------------------------------------------------------------------------------- looking at it
    def frame(self) -> pd.DataFrame:
        """One row a fault: call, fault, what."""
        return pd.DataFrame(self.log, columns=list(Struck._fields))

    def __repr__(self) -> str:
        counts = Counter(struck.fault for struck in self.log)
        said = ", ".join(f"{fault} {n}" for fault, n in sorted(counts.items())) or "none"
        return f"Chaos(seed {self.seed}) before {type(self.inner).__name__}: {self.calls} calls, faults: {said}"

    def _repr_html_(self) -> str:
        return untypeset(f"<b>{self!r}</b>{self.frame().to_html(index=False)}")


def parts(activity: Activity) -> list[Activity]:
    """One fill as two executions, which sum to it to the micro-unit."""
    qty, fee = activity.qty // 2, activity.fee // 2
    cash = -round(qty * (activity.price or 0.0)) - fee
    first = replace(activity, id=f"{activity.id}/1", qty=qty, cash=cash, fee=fee)
    rest = activity.qty - qty, activity.cash - cash, activity.fee - fee
    return [first, replace(activity, id=f"{activity.id}/2", qty=rest[0], cash=rest[1], fee=rest[2])]
