"""Which splits of what is held the ledger has booked, and which the bars show: its shares and their closes have to agree.

A broker books a split in the night before its ex-date, the bars show it after the close, and either may come a day late.  What
only one of them knows is found here, so that shares are not valued at a price of other shares.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.data import Bars
from toolkit.execution.brokers.values import Split
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account
from toolkit.kernels.account import UNIT

EASTERN = "America/New_York"
WEEK = pd.Timedelta("7D")
BOOKED = "SELECT DISTINCT symbol FROM events WHERE session > ? AND kind = 'split' AND qty <> 0"
MOVED = """SELECT symbol, session, kind, qty FROM events WHERE qty <> 0 AND symbol IN (SELECT value FROM json_each(?))
ORDER BY session, seq"""


class Basis(NamedTuple):
    """How the last close of a symbol becomes the price of a share that is held, and what is known on one side alone."""

    factor: float = 1.0
    said: str = ""  # "" where both sides know the same splits


class Move(NamedTuple):
    """Signed micro-shares that came or went for no trade on a day."""

    day: pd.Timestamp
    kind: str
    qty: int


def bases(ledger: Ledger, account: Account, bars: Bars, since: pd.Timestamp) -> dict[str, Basis]:
    """The basis of each held symbol of which a split was booked, or is in the bars, since the ledger began at `since`."""
    days = pd.DatetimeIndex(bars.index if bars.index.tz is None else bars.index.tz_convert(EASTERN).tz_localize(None))
    days, shown = days.normalize(), dict[str, list[Split]]()
    first = since.tz_convert(EASTERN).tz_localize(None).normalize()
    for bar, n, ratio in bars.actions[["bar", "symbol", "split"]][bars.actions["split"] != 1.0].tolist():
        if days[bar] > first:
            shown.setdefault(bars.symbols[n], []).append(Split(days[bar], ratio))
    held = {symbol for symbol, p in account.positions.items() if p.qty and symbol in bars.symbols}
    asked = held & (shown.keys() | {symbol for (symbol,) in ledger.rows(BOOKED, days[0].isoformat())}) if held else set()
    past: dict[str, list[Move]] = {symbol: [] for symbol in sorted(asked)}
    for symbol, session, kind, qty in ledger.rows(MOVED, json.dumps(list(past))) if past else ():
        past[symbol].append(Move(pd.Timestamp(session).normalize(), kind, qty))
    found = {}
    for symbol, moves in past.items():
        priced = np.flatnonzero(~np.isnan(bars.traded[3, bars.symbols.index(symbol)]))
        if len(priced):
            found[symbol] = basis(moves, shown.get(symbol, []), days[0], days[-1], days[priced[-1]])
    return found


def basis(past: Sequence[Move], shown: Iterable[Split], first: pd.Timestamp, last: pd.Timestamp, seen: pd.Timestamp) -> Basis:
    """What the moves of the position that is held, and the splits of the bars from `first` to `last`, say of each other.

    `seen` is the day of the last close. A move that makes of the shares what a split of the bars would, to within a share (a
    broker pays fractions in cash), is that split, whenever it was told, and however: as a split, a transfer or an adoption.
    """
    opened = opening(past)
    due = [split for split in shown if split.day > opened]
    moves: dict[tuple[pd.Timestamp, str], int] = {}  # a split may be told as old shares that go and new ones that come
    for day, kind, qty in past:
        if kind != "fill" and day > opened:
            moves[day, kind] = moves.get((day, kind), 0) + qty
    factor, alone = 1.0, list[str]()
    for split in due:
        same = next((key for key, qty in moves.items() if _same(split, Move(*key, qty), past)), None)
        if same is not None:
            del moves[same]
            factor /= split.ratio if split.day > seen else 1.0
        else:
            factor *= split.ratio if split.day <= seen else 1.0
            alone.append(f"a split of {split} is in its bars and not in the broker's books")
    for (day, kind), qty in moves.items():
        before = held_before(past, day)
        in_view = day > min(first + WEEK, last)  # of one before, the bars may well know, and not show it any more
        if kind == "split" and before and before + qty and in_view:
            split = Split(day, (before + qty) / before)
            factor /= split.ratio if day > seen else 1.0  # a close is as traded: from that day on, of a new share
            alone.append(f"a split of {split} is in the broker's books and not in its bars")
    return Basis(factor, "; ".join(alone))


def _same(split: Split, move: Move, past: Sequence[Move]) -> bool:
    if move.kind != "split" and move.day < split.day:
        return False
    before = held_before(past, split.day) - (move.qty if move.day < split.day else 0)
    return abs(move.qty - before * (split.ratio - 1.0)) <= UNIT


def held_before(past: Iterable[Move], day: pd.Timestamp) -> int:
    """Signed micro-shares in the night before a day."""
    return sum(move.qty for move in past if move.day < day)


def opening(past: Iterable[Move]) -> pd.Timestamp:
    """The day on which the position that is held was opened, or turned around."""
    held, opened = 0, pd.Timestamp(0)
    for day, kind, qty in past:
        before, held = held, held + qty
        if kind != "split" and (before == 0 or (before > 0) != (held > 0)):
            opened = day
    return opened


def apart(found: Mapping[str, Basis]) -> dict[str, str]:
    """The symbols that are not to be traded until both sides know the same splits, and why."""
    cure = "it is valued in the shares that are held, and not traded, until both know it"
    return {symbol: f"{each.said}: {cure}" for symbol, each in found.items() if each.said}
