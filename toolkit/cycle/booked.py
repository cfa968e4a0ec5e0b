"""What a ledger says was done, as frames for people: equity by session, fills, round trips, costs, denials and cuts.

A round trip runs from flat to flat in one symbol; what was bought into it is averaged to one entry, what was sold to one exit.
Dividends, borrow fees and cash for fractions belong to the trip that held the shares, so the profits of all trips and the
events without a symbol are what the account holds. Shares and prices are in the shares of the day on which a trip was left
(of the last event while it is open): a split on the way rescales what was bought before it.

Money is in dollars, quantities in shares, sessions are tz-naive timestamps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from toolkit.execution.audit import snapshot, verify
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account
from toolkit.execution.schema import TABLES
from toolkit.kernels.account import UNIT

TRIPS = "symbol", "side", "entered", "left", "days", "shares", "entry", "exit", "profit", "return"
FILLS = "session", "symbol", "side", "shares", "price", "dollars", "fee", "slippage", "reason"
REFUSED = "code", "times", "measured", "limit", "symbols"


class Books(NamedTuple):
    """A ledger at one instant: its account, standing and reason, tables by name, and what does not hold together."""

    account: Account
    standing: tuple[str, str]
    tables: dict[str, pd.DataFrame]
    wrong: tuple[str, ...]


def books_of(path: Path) -> Books:
    """The ledger at `path`, read once. Raises LedgerError for one that is missing or cannot be read."""
    with closing(Ledger.read(path)) as ledger:
        wrong = tuple(verify(ledger))
        with snapshot(ledger):
            tables = {name: ledger.frame(name) for name in TABLES}
            return Books(ledger.account(), ledger.standing, tables, wrong)


def equity_by_session(cycles: pd.DataFrame) -> pd.Series:
    """Dollars after the last cycle of each session that was done, by session; empty without one."""
    done = cycles.dropna(subset="equity")
    values = pd.Series(done["equity"].to_numpy(float) / UNIT, pd.DatetimeIndex(done["session"]), name="equity")
    return values.groupby(level=0).last()


def fills_of(events: pd.DataFrame) -> pd.DataFrame:
    """One row a fill, columns FILLS: shares unsigned, dollars what moved (negative: paid), fee and slippage at or above 0."""
    fills = events[events["kind"] == "fill"]
    columns = {
        "session": pd.to_datetime(fills["session"]),
        "symbol": fills["symbol"],
        "side": fills["qty"].map(lambda qty: "buy" if qty > 0 else "sell"),
        "shares": fills["qty"].abs() / UNIT,
        "price": fills["price"].astype(float),
        "dollars": fills["cash"] / UNIT,
        "fee": fills["fee"] / UNIT,
        "slippage": fills["slip"] / UNIT,
        "reason": fills["reason"],
    }
    return pd.DataFrame(columns, columns=list(FILLS)).reset_index(drop=True)


def costs_of(events: pd.DataFrame) -> dict[str, float]:
    """Dollars by kind: commission and slippage as costs (above 0), everything else as it moved cash (negative: paid)."""
    cash = (events.groupby("kind")["cash"].sum() / UNIT).to_dict()
    fills = events[events["kind"] == "fill"]
    costs = {"commission": float(fills["fee"].sum() / UNIT), "slippage": float(fills["slip"].sum() / UNIT)}
    return costs | {kind: float(cash[kind]) for kind in ("dividend", "split", "borrow", "interest", "fee") if kind in cash}


# ------------------------------------------------------------------------------------------------------- round trips
@dataclass
class _Trip:
    """A trip while its events are added up: micro-shares and micro-dollars."""

    symbol: str
    side: int
    entered: str
    last: str
    held: int = 0
    cash: int = 0
    moved: dict[int, list[float]] = field(default_factory=lambda: {1: [0.0, 0.0], -1: [0.0, 0.0]})  # way: shares, dollars

    def add(self, kind: str, session: str, qty: int, cash: int, price: float) -> None:
        """Books one event."""
        if kind == "split" and self.held and self.held + qty:
            ratio = (self.held + qty) / self.held
            for way in self.moved.values():
                way[0] *= ratio
        elif qty and not math.isnan(price):
            way = self.moved[1 if qty * self.side > 0 else -1]
            way[0] += abs(qty)
            way[1] += abs(qty) * price
        if qty:
            self.last = session
        self.held += qty
        self.cash += cash

    def row(self, mark: float) -> tuple:
        """Values of TRIPS; an open trip is worth its mark."""
        (bought, spent), (sold, received) = self.moved[1], self.moved[-1]
        entered, left = pd.Timestamp(self.entered), pd.NaT if self.held else pd.Timestamp(self.last)
        entry, exit = spent / bought if bought else math.nan, received / sold if sold else math.nan
        profit = (self.cash + (round(self.held * mark) if self.held and not math.isnan(mark) else 0)) / UNIT
        days = math.nan if self.held else (left - entered).days
        gained = profit * UNIT / spent if spent else math.nan
        return (
            self.symbol,
            "long" if self.side > 0 else "short",
            entered,
            left,
            days,
            bought / UNIT,
            entry,
            exit,
            profit,
            gained,
        )


def round_trips(events: pd.DataFrame, marks: Mapping[str, float]) -> pd.DataFrame:
    """One row a trip, columns TRIPS, in the order of their first fills; `marks`: dollars a share of what is held still.

    left is NaT, days (of the calendar) and perhaps exit NaN while a trip is open; its profit is then at the mark. entry and
    exit are averages with slippage; profit is net of all costs, return a fraction of shares x entry.
    """
    last: dict[str, _Trip] = {}
    trips: list[_Trip] = []
    for symbol, kind, session, qty, cash, price in _moves(events):
        trip = last.get(symbol)
        if trip is None or (not trip.held and qty):
            if not qty:
                continue  # cash of a symbol that was never held
            trip = last[symbol] = _Trip(symbol, 1 if qty > 0 else -1, session, session)
            trips.append(trip)
        trip.add(kind, session, qty, cash, price)
        if kind != "split" and trip.held * trip.side < 0:  # one fill that closed and opened: it belongs to both in its parts
            over = trip.held
            part = round(cash * over / qty)
            trip.held, trip.cash = 0, trip.cash - part
            trip.moved[-1][0] -= abs(over)
            trip.moved[-1][1] -= abs(over) * price
            trip = last[symbol] = _Trip(symbol, 1 if over > 0 else -1, session, session)
            trips.append(trip)
            trip.add(kind, session, over, part, price)
    rows = [trip.row(marks.get(trip.symbol, math.nan)) for trip in trips]
    return pd.DataFrame(rows, columns=list(TRIPS))


def _moves(events: pd.DataFrame) -> Iterator[tuple[str, str, str, int, int, float]]:
    """Events with a symbol; what was adopted without cash counts as bought at its price."""
    for e in events.itertuples(index=False):
        if not isinstance(e.symbol, str):
            continue
        price = math.nan if e.price is None else float(e.price)
        taken_over = e.kind == "adoption" and not e.cash and not math.isnan(price)
        yield e.symbol, e.kind, e.session, int(e.qty), round(-e.qty * price) if taken_over else int(e.cash), price


def marks_of(account: Account) -> dict[str, float]:
    """Dollars a share of what is held."""
    return {symbol: p.mark for symbol, p in account.positions.items() if p.qty}


# -------------------------------------------------------------------------------------------------- what was refused
def denials_of(intents: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """What the gate denied, the most frequent first: columns REFUSED, measured and limit of the latest of each."""
    denied = verdicts[verdicts["code"] != ""]
    return _counted(denied.assign(symbol=denied["id"].map(dict(zip(intents["id"], intents["symbol"], strict=True)))))


def cuts_of(intents: pd.DataFrame) -> pd.DataFrame:
    """What a limit made smaller, or cut to nothing: columns REFUSED, shares left and wanted of the latest of each."""
    cut = intents[intents["cut_by"] != ""]
    left = cut["qty"].where(cut["status"] != "CUT", 0) / UNIT
    words = {"code": cut["cut_by"], "measured": (cut["wanted"] / UNIT).map("{:,.10g} shares".format),
             "cap": left.map("{:,.10g} shares".format), "symbol": cut["symbol"]}  # fmt: skip
    return _counted(pd.DataFrame(words))


def _counted(refused: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (code, len(each), each["measured"].iloc[-1], each["cap"].iloc[-1], ", ".join(sorted(set(each["symbol"].astype(str)))))
        for code, each in refused.groupby("code")
    ]
    table = pd.DataFrame(rows, columns=list(REFUSED))
    return table.sort_values("times", ascending=False, kind="stable").reset_index(drop=True)
