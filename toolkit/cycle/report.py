"""What a cycle and a run say of themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

from toolkit.cycle.durations import approximate
from toolkit.cycle.telemetry import CycleRow
from toolkit.cycle.turn import Turn
from toolkit.data.bars import Bars, Issue
from toolkit.errors import UnknownSymbol
from toolkit.execution.orders import Account, counted, shares, untypeset
from toolkit.kernels.account import UNIT
from toolkit.risk.report import RiskReport

BEHIND = "STALE", "MISSING", UnknownSymbol.code  # codes of issues


def behind(bars: Bars) -> tuple[Issue, ...]:
    """Issues of symbols that have no bars, or not their newest; what is wrong with the past of one is none of them."""
    return tuple(issue for issue in bars.issues if issue.code in BEHIND or issue.symbol not in bars.symbols)


@dataclass(frozen=True, repr=False)
class CycleReport:
    """One cycle: its number from 0, its telemetry, the orders in words, and what was degraded."""

    cycle: int
    row: CycleRow
    turn: Turn
    issues: tuple[Issue, ...] = ()
    notes: tuple[str, ...] = ()  # what is to be known of the strategy and the account
    risk: RiskReport | None = None  # of what was held before this cycle's trades; None with nothing held
    behind: tuple[Issue, ...] = ()  # those of `issues` that say that a symbol's newest bar is not there

    @property
    def session(self) -> pd.Timestamp:
        return pd.Timestamp(self.row.session)

    @property
    def equity(self) -> float:
        """Dollars."""
        return self.row.equity

    @property
    def orders(self) -> int:
        return self.row.orders

    @property
    def fills(self) -> int:
        return self.row.fills

    @property
    def denials(self) -> int:
        return self.row.denials

    @property
    def total_cycle_time(self) -> float:
        """Seconds."""
        return self.row.total_cycle_time

    @property
    def cache_hit_rate(self) -> float:
        return self.row.cache_hit_rate

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do until the exchange has something new: all orders sent, all books agree,
        all bars there."""
        awaited = any(issue.code != UnknownSymbol.code for issue in self.behind)
        return not (self.turn.issues or awaited or self.turn.unsent or self.turn.unsure or self.turn.denied)

    def lines(self) -> list[str]:
        """Orders, cuts, denials and issues, a line each."""
        said = [*self.notes, *map(str, self.turn.orders)]
        said += [f"no order for {o.symbol}: {o.side} cut to nothing by {o.limit}" for o in self.turn.cut]
        said += [str(verdict) for verdict in self.turn.denials] + [str(issue) for issue in self.issues]
        said += [f"rejected by the broker: {order}" for order in self.turn.rejected]
        said += [f"waits to be sent: {order}" for order in self.turn.unsent]
        said += [f"of unknown fate, looked up again: {order}" for order in self.turn.unsure] + list(self.turn.issues)
        said += self.ending()
        if self.turn.repeated:
            said += [f"denied before, tried again in the next cycle: {symbol}" for symbol in self.turn.denied]
        return said

    def ending(self) -> list[str]:
        """Why nothing was traded, if it came too late or again."""
        said = []
        if self.turn.late:
            said.append("the next open has passed: nothing was planned, run between a close and the next open")
        if self.turn.repeated:
            said.append("this cycle had been traded before: nothing was sent")
        return said

    def __str__(self) -> str:
        counts = counted(self.fills, "fill"), counted(self.orders, "order"), counted(self.denials, "denial")
        took = [approximate(self.total_cycle_time)] * (self.total_cycle_time > 0.0)  # 0: a clock that stands measures nothing
        head = f"cycle {self.cycle} of {self.session:%Y-%m-%d}: " + ", ".join([f"equity ${self.equity:,.2f}", *counts, *took])
        return "\n  ".join([head, *self.lines()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *rest = str(self).split("\n  ")
        return untypeset(f"<b>{escape(head)}</b>" + "".join(f"<br>{escape(line)}" for line in rest))


@dataclass(frozen=True, repr=False)
class RunSummary:
    """A run in a dozen numbers; money in dollars, returns and rates as fractions, times in seconds."""

    cycles: int
    first: pd.Timestamp
    last: pd.Timestamp
    orders: int
    fills: int
    denials: int
    final_equity: float
    total_return: float
    benchmark_return: float
    hit_rate: float
    api_calls_per_cycle: float
    p50_cycle_time: float
    p95_cycle_time: float
    ended: str
    notes: tuple[str, ...] = ()  # what is to be known of the strategy, and in real time of the last cycle

    @classmethod
    def of(cls, telemetry: pd.DataFrame, start: float, ended: str, notes: tuple[str, ...] = (),
           earned: float | None = None) -> RunSummary:  # fmt: skip
        """The summary of a run's telemetry; `start` is the equity before its first cycle, in dollars.

        `earned`: the return net of deposits and withdrawals (`cycle.flows`), where there were some.

        Cycles that failed are counted in a note, and nowhere else.
        """
        failed = telemetry["status"].astype(str).str.startswith("failed")
        if failed.any():
            notes = (f"{failed.sum()} of {len(telemetry)} cycles FAILED", *notes)
            telemetry = telemetry[~failed]
        if telemetry.empty:
            never = pd.NaT
            return cls(0, never, never, 0, 0, 0, start, 0.0, 0.0, 0.0, 0.0, math.nan, math.nan, ended, notes)
        looks = telemetry.filter(regex="_(hits|misses)$").sum()
        hits = looks.filter(regex="_hits$").sum()
        times, held = telemetry["total_cycle_time"], telemetry["benchmark"]
        return cls(
            cycles=len(telemetry),
            first=telemetry["session"].iloc[0],
            last=telemetry["session"].iloc[-1],
            orders=int(telemetry["orders"].sum()),
            fills=int(telemetry["fills"].sum()),
            denials=int(telemetry["denials"].sum()),
            final_equity=float(telemetry["equity"].iloc[-1]),
            total_return=_grown(start, float(telemetry["equity"].iloc[-1])) if earned is None else earned,
            benchmark_return=_grown(float(held.iloc[0]), float(held.iloc[-1])),
            hit_rate=float(hits / looks.sum()) if looks.sum() else 0.0,
            api_calls_per_cycle=float(telemetry["api_calls"].mean()),
            p50_cycle_time=float(times.quantile(0.5)),
            p95_cycle_time=float(times.quantile(0.95)),
            ended=ended,
            notes=notes,
        )

    def rows(self) -> list[tuple[str, str]]:
        """Label and value, as printed."""
        when = f"{self.first:%Y-%m-%d} to {self.last:%Y-%m-%d}" if self.cycles else ""
        return [
            ("cycles", f"{self.cycles}, {when}; {self.ended}" if self.cycles else f"none; {self.ended}"),
            ("orders, fills, denials", f"{self.orders}, {self.fills}, {self.denials}"),
            ("final equity", f"${self.final_equity:,.2f}"),
            ("return", f"{self.total_return:+.2%}"),
            ("the same symbols held equally", f"{self.benchmark_return:+.2%}"),
            ("cache hit rate", f"{self.hit_rate:.1%}"),
            ("API calls a cycle", f"{self.api_calls_per_cycle:.3f}"),
            ("cycle time p50, p95", f"{approximate(self.p50_cycle_time)}, {approximate(self.p95_cycle_time)}"),
            *(("note", note) for note in self.notes),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{label:<31}{value}" for label, value in self.rows())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cells = "".join(f"<tr><th>{escape(a)}</th><td style='text-align:left'>{escape(b)}</td></tr>" for a, b in self.rows())
        return untypeset(f"<table>{cells}</table>")


def _grown(first: float, last: float) -> float:
    """The return as a fraction; NaN of an account that began with nothing."""
    return last / first - 1.0 if first > 0.0 else math.nan


def ending(outcome: Turn, bars: Bars) -> str:
    """How a cycle ended, in a word."""
    if outcome.late:
        return "late"
    return "repeated" if outcome.repeated else "partial" if behind(bars) else "done"


def held_silent(account: Account, ages: Mapping[str, int], most: int) -> tuple[str, ...]:
    """What the account holds of symbols that have not traded for more than `most` sessions."""
    said = []
    for p in account.positions.values():
        age = ages.get(p.symbol)
        if p.qty and (age is None or age > most):
            since = "has no bar" if age is None else f"has not traded for {age} sessions"
            at = f"at ${p.mark:,.2f}" if p.mark == p.mark else "without a price"
            what = f"{shares(p.qty)} {p.symbol} are held {at} and left alone"
            said.append(f"{p.symbol} {since}: {what}; look whether it was delisted, renamed or halted")
    return tuple(said)


def held_unpriced(account: Account) -> tuple[str, ...]:
    """What the account holds without a known price: it counts as nothing and is not traded."""
    return tuple(f"UNPRICED: {symbol}: {said}" for symbol, said in account.unpriced.items())


def held_beside(account: Account, symbols: Sequence[str]) -> tuple[str, ...]:
    """What the account holds of symbols that are not traded any more: nobody decides about it."""
    left = [p for p in account.positions.values() if p.qty and p.symbol not in symbols]
    held = ", ".join(f"{p.symbol} {shares(p.qty)} (${p.value / UNIT:,.2f})" for p in left)
    return (f"held beside the universe, left alone: {held}",) if left else ()
