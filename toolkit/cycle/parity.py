"""Backtest against the loop: the same strategy through ledger, engine and broker, compared order by order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape

import numpy as np
import pandas as pd
from tqdm import tqdm

from toolkit.cycle.backtest import backtest
from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.result import BacktestResult
from toolkit.cycle.revealed import Revealed
from toolkit.data import Bars
from toolkit.execution.brokers import Desk
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.checks import Operations
from toolkit.execution.costs import Costs, Exits, Limits, Policy, economics
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import untypeset
from toolkit.kernels.account import UNIT, Rules
from toolkit.risk.sizing import Sizing, equal_weight

MakeBroker = Callable[[Ledger, Rules], Desk]
KEYS = ["session", "symbol", "number"]
ORDERS = ["side", "kind", "level", "reference", "wanted", "shares", "limit", "filled", "status"]
TRADES = ["shares", "price", "cash", "fee", "slippage", "reason"]


@dataclass(frozen=True, repr=False)
class BrokerParity:
    """One broker beside the backtest; `differences` has a row for each value that is not the same on both sides.

    Columns: what (order, trade, cash flow or equity), session, symbol, field, backtest, broker. `denials`: what operational
    limits, which exist in the loop alone, kept from the market.
    """

    broker: str
    cycles: int
    orders: int
    trades: int
    cash: int  # micro-dollars at the end
    differences: pd.DataFrame
    denials: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs, to the micro-unit."""
        return self.differences.empty

    def __str__(self) -> str:
        verdict = "no difference" if self.same else f"{len(self.differences)} DIFFERENCES, the first on {self._first()}"
        counts = f"{self.cycles:,} cycles, {self.orders:,} orders, {self.trades:,} trades, cash ${self.cash / UNIT:,.6f}"
        lines = [f"{self.broker}: {verdict} ({counts})"]
        if not self.same:
            lines += self.differences.head(10).to_string(index=False).splitlines()
        lines += [f"only in the loop: {denial}" for denial in self.denials[:5]]
        return "\n  ".join(lines)

    def _first(self) -> str:
        return f"{self.differences['session'].min():%Y-%m-%d}"


@dataclass(frozen=True, repr=False)
class Parity:
    """A backtest and the same strategy in the loop of each broker."""

    strategy: str
    backtest: BacktestResult
    brokers: tuple[BrokerParity, ...]

    @property
    def same(self) -> bool:
        """Whether no broker differs from the backtest."""
        return all(each.same for each in self.brokers)

    def __str__(self) -> str:
        bars = self.backtest.bars
        head = f"parity of {self.strategy} on {len(bars.symbols)} symbols, {len(self.backtest.equity):,} bars"
        return "\n".join([head, *map(str, self.brokers)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(each.broker)}</td><td>{each.cycles:,}</td><td>{each.orders:,}</td><td>{each.trades:,}</td>"
            f"<td>${each.cash / UNIT:,.6f}</td><td>{len(each.differences):,}</td><td>{len(each.denials):,}</td></tr>"
            for each in self.brokers
        )
        head = "".join(
            f"<th>{name}</th>" for name in ("broker", "cycles", "orders", "trades", "cash", "differences", "denied in the loop")
        )
        tables = "".join(each.differences.head(10).to_html(index=False) for each in self.brokers if not each.same)
        return untypeset(f"<b>{escape(str(self).splitlines()[0])}</b><table><tr>{head}</tr>{rows}</table>{tables}")


def parity(strategy: Callable[[Bars], pd.DataFrame], bars: Bars,
           brokers: Mapping[str, MakeBroker] | Sequence[MakeBroker] | None = None, *,
           sizing: Sizing | None = None, limits: Limits | None = None, costs: Costs | None = None,
           policy: Policy | None = None, exits: Exits | None = None, cash: float = 100_000.0,
           start: pd.Timestamp | str | None = None, progress: bool = True) -> Parity:  # fmt: skip
    """Runs the backtest, and the engine bar by bar with a ledger of its own for each broker; compares them order by order.

    `brokers` are functions of ledger and rules that make a broker, by a name or in a list; the paper broker by default.
    Orders, trades and cash flows must agree in every field, equity at every bar, all to the micro-unit.
    """
    world = economics(limits, costs, policy, exits)
    tested = backtest(strategy, bars, sizing, limits=world[0], costs=world[1], policy=world[2], exits=world[3], cash=cash,
                      start=start, state=False)  # fmt: skip
    named = brokers if isinstance(brokers, Mapping) else {each.__name__: each for each in brokers or (PaperBroker,)}
    compared = [
        _compared(name, make, tested, strategy, sizing or equal_weight(), world, progress) for name, make in named.items()
    ]
    return Parity(tested.name, tested, tuple(compared))


def _compared(name: str, make: MakeBroker, tested: BacktestResult, strategy: Callable[[Bars], pd.DataFrame], sizing: Sizing,
              world: tuple[Limits, Costs, Policy, Exits], progress: bool) -> BrokerParity:  # fmt: skip
    limits, costs, policy, exits = world
    opined = int(np.argmax(tested.scores.notna().any(axis=1)))  # before, the engine has nothing to go by
    revealed = Revealed(tested.bars, max(tested.first, opined))
    with tempfile.TemporaryDirectory(prefix="toolkit-parity-") as folder:
        when = asdict(policy) | {"band": None if policy.band == np.inf else policy.band}
        config = checked_config({
            "account": "parity", "symbols": list(tested.bars.symbols), "cash": tested.opening / UNIT, "state": folder,
            "risk": asdict(limits), "costs": asdict(costs), "exits": asdict(exits), **when,
            "operations": asdict(Operations()),
        })  # fmt: skip
        engine = TradingEngine(config, strategy=strategy, sizing=sizing, clock=revealed.clock, market=revealed, broker=make,
                               interval=tested.bars.interval)  # fmt: skip
        denials, equity = [], [tested.opening / UNIT] * (len(tested.equity) - len(revealed.clock))
        for _ in tqdm(range(len(revealed.clock)), desc=name, unit="bar", leave=False, disable=not progress):
            report = engine.run_cycle()
            denials += [f"{report.session:%Y-%m-%d} {denial}" for denial in report.turn.denials]
            equity.append(report.equity)
            revealed.clock.advance()
        theirs = looped(engine.ledger)
        cash = engine.ledger.account().cash
        engine.close()
    sides = backtested(tested)
    tables = [differences(what, *pair) for what, pair in zip(("order", "trade", "cash flow"), zip(sides, theirs, strict=True))]
    curve = pd.DataFrame({"session": tested.equity.index, "symbol": "", "number": 0, "equity": tested.equity.to_numpy()})
    tables.append(differences("equity", curve, curve.assign(equity=equity)))
    rows = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    found = rows.assign(session=pd.to_datetime(rows["session"])).sort_values("session", kind="stable", ignore_index=True)
    return BrokerParity(name, len(revealed.clock), len(theirs[0]), len(theirs[1]), cash, found, tuple(denials))


def backtested(tested: BacktestResult) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Orders, trades and cash flows of a backtest, in the columns that are compared."""
    orders, records = tested.orders, tested.records
    side = np.where(orders["shares"].where(orders["shares"] != 0.0, orders["wanted"]) < 0.0, "sell", "buy")
    moved = records[(records["shares"] != 0.0) | (records["cash"] != 0.0)]
    traded = moved["reason"].isin(tested.fills["reason"].unique())
    return (
        numbered(orders.assign(side=side), ORDERS),
        numbered(moved[traded], TRADES),
        numbered(moved[~traded], TRADES),
    )


def looped(ledger: Ledger) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The same of a ledger."""
    intents, events = (
        ledger.frame("intents"),
        ledger.frame("events").query("kind != 'transfer' and (kind != 'split' or qty != 0)"),
    )
    side = np.where(intents["side"] == "buy", 1, -1)
    filled = events.groupby("order_id")["qty"].sum().reindex(intents["id"]).fillna(0).to_numpy() / UNIT
    sessions = ledger.frame("cycles").set_index("key")["session"].reindex(intents["cycle"])
    orders = intents.assign(
        session=pd.to_datetime(sessions.to_numpy()), wanted=intents["wanted"] * side / UNIT,
        shares=intents["qty"] * side / UNIT,
        limit=intents["cut_by"], filled=filled, status=[ending(*row) for row in zip(intents["status"], intents["reason"])],
    )  # fmt: skip
    moved = events.assign(
        session=pd.to_datetime(events["session"]), symbol=events["symbol"].fillna(""), shares=events["qty"] / UNIT,
        cash=events["cash"] / UNIT, fee=events["fee"] / UNIT, slippage=events["slip"] / UNIT,
        reason=events["reason"].where(events["kind"] == "fill", events["kind"].str.upper()),
    )  # fmt: skip
    traded = moved["kind"] == "fill"
    return numbered(orders, ORDERS), numbered(moved[traded], TRADES), numbered(moved[~traded], TRADES)


def ending(status: str, reason: str) -> str:
    """The ledger's state of an order in the words of a backtest."""
    if status in {"FILLED", "PARTIAL"}:
        return status
    if status == "DENIED" or (status == "ABANDONED" and reason.startswith("RISK_DENIED")):
        return f"DENIED: {reason.removeprefix('RISK_DENIED[').split(']')[0]}"
    return "WAITING" if status == "ACCEPTED" else reason


def numbered(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The rows with their number among those of the same session and symbol."""
    return rows[["session", "symbol", *columns]].assign(number=rows.groupby(["session", "symbol"]).cumcount())


def differences(what: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """One row for each value that is not the same on both sides; a row that one side lacks is one difference."""
    both = ours.merge(theirs, on=KEYS, how="outer", suffixes=("", "|broker"), indicator=True)
    rows = []
    for side, missing in ("left_only", "broker"), ("right_only", "backtest"):
        for each in both[both["_merge"] == side][["session", "symbol"]].itertuples(index=False):
            values = ("there", "missing") if missing == "broker" else ("missing", "there")
            rows.append((what, *each, what, *values))
    both = both[both["_merge"] == "both"]
    for field in ours.columns.difference(KEYS, sort=False):
        a, b = both[field], both[f"{field}|broker"]
        unequal = both[(a != b) & ~(a.isna() & b.isna())]
        shown = zip(unequal["session"], unequal["symbol"], unequal[field], unequal[f"{field}|broker"], strict=True)
        rows += [(what, session, symbol, field, x, y) for session, symbol, x, y in shown]
    return pd.DataFrame(rows, columns=["what", "session", "symbol", "field", "backtest", "broker"])
