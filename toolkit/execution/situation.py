"""What is known at the instant at which the gate judges: values, gathered by the cycle, so that a verdict can be replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data import Bars
from toolkit.execution import schema
from toolkit.execution.book import Past
from toolkit.execution.brokers.values import Asset
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account, Order, Position
from toolkit.execution.schema import UNSURE
from toolkit.execution.standing import ACTIVE
from toolkit.kernels.account import reducing

VOLUME_BARS = 20  # of the median volume
ADDED = {"booked", "crosses"}  # which earlier toolkits did not keep
NESTED = {"account", "quotes", "today", "assets", "others"}


@dataclass(frozen=True)
class Quotes:
    """What the bars say of each symbol at the deciding close; a symbol that is missing was never traded."""

    ages: Mapping[str, int] = field(default_factory=dict)  # sessions since the last traded bar
    jumps: Mapping[str, float] = field(default_factory=dict)  # last close over the one before it, actions undone
    volumes: Mapping[str, float] = field(default_factory=dict)  # median of the last 20 bars that traded, shares of the last bar
    suspect: Mapping[str, str] = field(default_factory=dict)  # symbols whose data are doubtful, and why

    @property
    def fresh(self) -> float:
        """Fraction of the symbols that traded in the last session; 1 of none."""
        return sum(age == 0 for age in self.ages.values()) / len(self.ages) if self.ages else 1.0


@dataclass(frozen=True)
class Today:
    """What the account has done in the session that is decided."""

    orders: int = 0  # planned and not denied, in this session
    by_symbol: Mapping[str, int] = field(default_factory=dict)
    turnover: float = 0.0  # micro-dollars that they open
    unsure: tuple[Order, ...] = ()  # of unknown fate
    sent: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (symbol, side): micro-shares of this cycle


@dataclass(frozen=True)
class Situation:
    """Everything that the gate looks at beside the order itself."""

    account: Account
    quotes: Quotes = Quotes()
    today: Today = Today()
    standing: str = ACTIVE
    why: str = ""
    kill: str = ""  # why a switch stops everything
    unarmed: tuple[str, ...] | None = None  # conditions of live trading that do not hold; None: no real money
    peak: int = 0  # micro-dollars, the highest equity
    day_equity: int = 0  # micro-dollars, before the last session
    pause: float = 0.0  # seconds until the broker may be sent an order, by its pace
    accepts: pd.Timestamp | None = None  # from when on the broker takes orders for the next open; None: now
    skew: float = 0.0  # seconds between the broker's clock and ours
    clash: str = ""  # where the broker's clock and the calendar disagree about the next open
    buying_power: float = np.inf  # dollars
    assets: Mapping[str, Asset | None] | None = None  # None: no broker to ask
    crosses: bool = True  # whether the broker takes an order that closes a position and opens the other side
    booked: int = 0  # the last event that the account was the fold of, by its number; 0: not known
    splits: Mapping[str, str] | None = field(default_factory=dict)  # between the close and the fill; None: nobody knows
    others: tuple[Order, ...] = ()  # that wait at the broker and are none of ours; qty is what waits, reference their price

    @property
    def past(self) -> Past:
        """What the limits of losses and turnover go by."""
        return Past(self.day_equity, self.peak, self.today.turnover)


def sessions_since(bars: Bars, missing: int = 0) -> dict[str, int]:
    """Sessions since the last traded bar of each symbol that ever traded, `missing` more if the bars themselves end early."""
    traded = ~np.isnan(bars.traded[3, :, -VOLUME_BARS:])
    if not traded.any(axis=1).all():
        traded = ~np.isnan(bars.traded[3])
    age, ever = np.argmax(traded[:, ::-1], axis=1), traded.any(axis=1)
    return {s: int(age[n]) + missing for n, s in enumerate(bars.symbols) if ever[n]}


def quotes(bars: Bars, missing: int = 0, suspect: Mapping[str, str] | None = None) -> Quotes:
    """Ages, jumps and volumes of each symbol; `missing`: sessions by which the bars themselves end early."""
    traded, ages = ~np.isnan(bars.traded[3, :, -VOLUME_BARS:]), sessions_since(bars, missing)
    own, scale = traded.any(axis=1), bars.scale[1, :, -VOLUME_BARS:]
    volume = np.full(len(own), np.nan)
    volume[own] = _medians((bars.traded[4, :, -VOLUME_BARS:] * (scale / scale[:, -1:]))[own])
    jumps = {s: float(jump) for s, jump in zip(bars.symbols, _jumps(bars, traded), strict=True) if jump == jump}
    volumes = {s: float(volume[n]) for n, s in enumerate(bars.symbols) if own[n]}
    return Quotes(ages, jumps, volumes, suspect or {})


def _jumps(bars: Bars, traded: np.ndarray) -> np.ndarray:
    """Last close of each symbol over the one before it, wherever they lie; NaN where there are not two."""
    lately = traded.sum(axis=1) > 1
    jump = _last_over_before(bars.field(3)[:, -VOLUME_BARS:], traded)
    if not lately.all():  # halted for long, or listed today
        every = ~np.isnan(bars.traded[3][~lately])
        jump[~lately] = _last_over_before(bars.field(3)[~lately], every)
    return jump


def _last_over_before(close: np.ndarray, traded: np.ndarray) -> np.ndarray:
    """Last close of each row over the one before it; NaN where fewer than two were traded."""
    rows, tail = np.arange(len(close)), traded.copy()
    last = close[rows, _latest(tail)]
    tail[rows, _latest(tail)] = False
    return np.where(tail.any(axis=1), last / close[rows, _latest(tail)], np.nan)


def _medians(rows: np.ndarray) -> np.ndarray:
    """Median of the values of each row that are not NaN; each has one."""
    ordered, n, at = np.sort(rows, axis=1), (~np.isnan(rows)).sum(axis=1), np.arange(len(rows))
    return np.where(n % 2 == 1, ordered[at, n // 2], (ordered[at, (n - 1) // 2] + ordered[at, n // 2]) / 2.0)


def _latest(mask: np.ndarray) -> np.ndarray:
    """Column of the last True of each row; the last column where there is none."""
    return mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1)


def today(ledger: Ledger, session: pd.Timestamp, key: str) -> Today:
    """What the ledger holds of this session's orders, those of the cycle `key` apart."""
    rows = ledger.rows(
        "SELECT i.symbol, i.side, i.qty, i.rest, i.reference, i.cycle, i.status, coalesce(p.qty, 0) FROM intents i"
        " JOIN cycles c ON c.key = i.cycle LEFT JOIN positions p ON p.symbol = i.symbol"
        " WHERE c.session = ? AND i.status NOT IN ('DENIED','CUT','ABANDONED') ORDER BY i.rowid",
        pd.Timestamp(session).isoformat(),
    )
    counts: dict[str, int] = {}
    sent: dict[tuple[str, str], int] = {}
    turnover = 0.0
    for symbol, side, qty, rest, reference, cycle, status, held in rows:
        if status not in schema.UNSENT:
            counts[symbol] = counts.get(symbol, 0) + 1
            sign = 1 if side == "buy" else -1
            before = held - sign * (qty - rest)  # it may have filled since
            turnover += (qty - abs(reducing(sign * qty, before))) * reference
            if cycle == key:
                sent[symbol, side] = sent.get((symbol, side), 0) + qty
    return Today(sum(counts.values()), counts, turnover, tuple(ledger.orders_in(*UNSURE)), sent)


def recorded(situation: Situation, scores: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, Any]:
    """The situation and what was wished for, as plain values that JSON carries whole; `remembered` is the way back."""
    a = situation.account
    positions = [[p.symbol, p.qty, p.entry, p.mark, p.score, schema.text(p.seen), p.peak, p.out] for p in a.positions.values()]
    plain = {f.name: getattr(situation, f.name) for f in fields(situation) if f.name not in NESTED}
    plain["accepts"] = schema.text(situation.accepts)
    return plain | {
        "account": [a.name, a.mode, a.cash, schema.text(a.session), positions, [astuple(o) for o in a.waiting]],
        "quotes": [dict(getattr(situation.quotes, f.name)) for f in fields(Quotes)],
        "today": _plain(situation.today),
        "assets": None if situation.assets is None else {s: x and astuple(x) for s, x in situation.assets.items()},
        "others": [astuple(o) for o in situation.others],
        "scores": dict(scores),
        "weights": dict(weights),
    }


def _plain(t: Today) -> list[Any]:
    sent = [[*key, qty] for key, qty in t.sent.items()]
    return [t.orders, dict(t.by_symbol), t.turnover, [astuple(o) for o in t.unsure], sent]


def remembered(kept: Mapping[str, Any]) -> Situation:
    """The situation that `recorded` took down."""
    name, mode, cash, session, positions, waiting = kept["account"]
    held = {s: Position(s, q, e, m, x, schema.time_of(seen), peak, out) for s, q, e, m, x, seen, peak, out in positions}
    account = Account(name, mode, cash, held, schema.time_of(session), tuple(Order(*row) for row in waiting))
    count, by_symbol, turnover, unsure, sent = kept["today"]
    done = Today(count, by_symbol, turnover, tuple(Order(*row) for row in unsure), {(s, side): qty for s, side, qty in sent})
    assets = kept["assets"]
    about = None if assets is None else {s: None if row is None else Asset(*row) for s, row in assets.items()}
    names = {f.name for f in fields(Situation)} - NESTED - {"unarmed", "accepts", "splits"}
    plain = {"booked": 0, "crosses": True} | {name: kept[name] for name in names if name in kept or name not in ADDED}
    unarmed = None if kept["unarmed"] is None else tuple(kept["unarmed"])
    accepts = schema.time_of(kept.get("accepts"))
    splits = kept.get("splits", {})
    others = tuple(Order(*row) for row in kept.get("others", ()))  # situations of earlier versions have none
    return Situation(
        account, Quotes(*kept["quotes"]), done, assets=about, unarmed=unarmed, accepts=accepts, splits=splits, others=others,
        **plain,
    )  # fmt: skip
