"""The broker's books beside ours: what differs, in words and in dollars."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from toolkit.execution.brokers.values import Holding, Report
from toolkit.execution.orders import Account, Position, shares
from toolkit.kernels.account import UNIT

OURS = "tk1-"  # how our order ids begin
ALONE = (
    "another strategy or machine trades this account (one account carries one strategy: give the other an account of its own,"
    " e.g. a second paper account), or the ledger was restored from a copy"
)


class Difference(NamedTuple):
    """Shares of one symbol that one side has more of; dollars, NaN where no price is known."""

    said: str
    worth: float


def differences(account: Account, holdings: Sequence[Holding]) -> dict[str, Difference]:
    """By symbol, where the broker holds something else than the ledger."""
    theirs, found = {h.symbol: h for h in holdings}, {}
    for symbol in sorted(theirs.keys() | account.positions.keys()):
        ours = account.positions.get(symbol, Position(symbol))
        there = theirs.get(symbol, Holding(symbol, 0, ours.mark, ours.mark))
        if there.qty != ours.qty:
            said = f"{shares(there.qty)} at the broker, {shares(ours.qty)} in the ledger"
            found[symbol] = Difference(said, abs(there.qty - ours.qty) * there.price / UNIT)
    return found


def strangers(reports: Sequence[Report], planned: Container[str]) -> tuple[list[Report], list[Report]]:
    """Orders that bear a name of ours and were not planned here, and those of others that wait."""
    orphans = [r for r in reports if r.id.startswith(OURS) and r.id not in planned]
    return orphans, [r for r in reports if not r.id.startswith(OURS) and r.waits]


def cash_said(off: int) -> str:
    """Micro-dollars that the broker has more, in words."""
    return f"{'-' if off < 0 else '+'}${abs(off) / UNIT:,.2f} at the broker against the ledger"


def strangers_said(orphans: Sequence[Report], others: Sequence[Report]) -> list[str]:
    """The same in words."""
    said = [f"ORPHAN: {r.side} {shares(r.qty)} {r.symbol} ({r.id})" for r in orphans]
    return said + [f"EXTERNAL: {r.side} {shares(r.qty)} {r.symbol} ({r.said}), left alone" for r in others]
