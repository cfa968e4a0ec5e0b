"""Bars: prices of several symbols over the same sessions, with what was known when."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from toolkit.data.adjust import ACTION, ANCHOR, FIELDS, factors, positioned
from toolkit.data.calendar import Calendar
from toolkit.data.clock import utc64
from toolkit.data.frames import block_of, events_of
from toolkit.data.intervals import dated
from toolkit.data.symbols import checked_symbols
from toolkit.data.whole import Whole, nanoseconds
from toolkit.errors import InvalidBars, InvalidParameter, InvalidSymbol

NO_ACTIONS = np.zeros(0, ACTION)
NO_WHOLE = cast(Whole, None)  # computed from the fields


class Provenance(NamedTuple):
    """Where the bars of one symbol come from; `revision` counts how often the source rewrote its history."""

    source: str
    fetched_at: pd.Timestamp
    revision: int


class Issue(NamedTuple):
    """What is not as it should be with one symbol, for a machine (`code`) and for a person (`message`)."""

    code: str
    symbol: str
    message: str

    def __str__(self) -> str:
        return f"{self.code} {self.symbol}: {self.message.removeprefix(self.symbol + ': ')}"


@dataclass(frozen=True, eq=False)
class Bars:
    """Open, high, low, close, volume of `symbols`, as traded and adjusted; frozen, and every array read-only.

    Daily bars are labelled by session date, tz-naive; intraday bars by their opening instant, UTC. NaN in all fields:
    no trade (halted, not yet listed, a gap). Prices are in `currency` a share, volume in shares. `traded` is
    (5, n_symbols, n_bars) in the order of FIELDS. `scale` (2, n_symbols, n_bars) leads from traded prices and volumes to
    adjusted ones. `actions` (dtype ACTION) are sorted by bar, then symbol. `delay` passes between the close of a bar
    and the moment it is known. An empty `calendar` means that closes are unknown: a day is then known at the next
    midnight UTC.
    """

    symbols: tuple[str, ...]
    index: pd.DatetimeIndex
    traded: np.ndarray
    scale: np.ndarray
    actions: np.ndarray = field(default_factory=NO_ACTIONS.copy)
    interval: str = "1d"
    calendar: str = ""
    currency: str = "USD"
    anchor: pd.Timestamp = ANCHOR
    delay: pd.Timedelta = pd.Timedelta(0)
    provenance: Mapping[str, Provenance] = field(default_factory=lambda: MappingProxyType({}))
    issues: tuple[Issue, ...] = ()
    whole: Whole = NO_WHOLE

    def __post_init__(self) -> None:
        for array in (self.traded, self.scale, self.actions):
            array.flags.writeable = False
        if self.whole is NO_WHOLE:
            name = "|".join((*self.symbols, self.interval, self.calendar, self.currency, self.anchor.isoformat()))
            arrays = (self.index, self.traded, self.scale, self.actions)
            whole = Whole(name, *arrays, self.interval, self.calendar, self.delay)
            object.__setattr__(self, "whole", whole)

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        span = f"{self._label(0)} to {self._label(-1)}" if len(self) else "empty"
        return f"Bars({', '.join(self.symbols[:8])}{', ...' * (len(self.symbols) > 8)}: {len(self):,} bars, {span})"

    def _label(self, at: int) -> str:
        return str(self.index[at])[: 10 if dated(self.interval) else 16]

    def _repr_html_(self) -> str:
        rows = {"symbols": ", ".join(self.symbols[:12]) + ", ..." * (len(self.symbols) > 12)}
        rows["bars"] = f"{len(self):,} x {self.interval}"
        rows["range"] = f"{self._label(0)} to {self._label(-1)}" if len(self) else "empty"
        sources = sorted({f"{each.source}, revision {each.revision}" for each in self.provenance.values()})
        rows["source"] = "; ".join(sources) or "own data"
        rows["calendar"] = f"{self.calendar or 'unknown'}, {self.currency}"
        rows["issues"] = "; ".join(": ".join(issue) for issue in self.issues) or "none"
        lines = (f"<tr><th>{name}</th><td style='text-align:left'>{html.escape(text)}</td></tr>" for name, text in rows.items())
        return f"<table>{''.join(lines)}</table>"

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame | Mapping[str, pd.DataFrame],
        *,
        symbol: str | None = None,
        actions: pd.DataFrame | None = None,
        interval: str = "1d",
        calendar: str = "",
        currency: str = "USD",
        anchor: pd.Timestamp | str = ANCHOR,
    ) -> Bars:
        """Bars of people's own data, prices as traded.

        `frame` holds open, high, low, close, volume (any case) of one `symbol`; or is a mapping from symbol to such a
        frame; or has columns of two levels, field and symbol in either order. A row that is NaN throughout is a halt.
        `actions` has the columns date, symbol, split, dividend (see `events`).
        Raises InvalidBars with symbol, label and value of the first price that cannot be.
        """
        symbols, index, traded = block_of(frame, symbol, interval)
        days = nanoseconds(index)
        if calendar and interval == "1d" and (np.asarray(Calendar(calendar).positions(days)) < 0).any():
            strange = index[Calendar(calendar).positions(days) < 0][0]
            what = f"label {strange:%Y-%m-%d} is no session of {calendar}"
            raise InvalidBars(what, "drop the row or pass calendar=''")
        events = events_of(actions, symbols)
        scale, rows = scaled(days, traded[3], events, pd.Timestamp(anchor))
        return cls(symbols, index, traded, scale, rows, interval, calendar, currency, pd.Timestamp(anchor))

    @property
    def adjusted(self) -> np.ndarray:
        """(5, n_symbols, n_bars) in the shares of the anchor date, dividends reinvested; computed on first use."""
        return self.whole.adjusted[:, :, : len(self)]

    def field(self, place: int) -> np.ndarray:
        """One of `adjusted`, (n_symbols, n_bars), read-only; the others are left for whoever asks for them."""
        return self.whole.field(place)[:, : len(self)]

    @property
    def fingerprint(self) -> str:
        """32 hex digits that change with every bit of values, actions and labels; one more bar extends the chain."""
        return self.whole.chain[len(self)].hex()

    @property
    def known_at(self) -> pd.DatetimeIndex:
        """The instant from which each bar is known, UTC."""
        return pd.DatetimeIndex(self.whole.known[: len(self)]).tz_localize("UTC")

    @property
    def open(self) -> pd.DataFrame:
        """Adjusted opens, (n_bars, n_symbols), a view; the frame is yours."""
        return self._frame(self.field(0))

    @property
    def high(self) -> pd.DataFrame:
        """Adjusted highs, (n_bars, n_symbols), a view; the frame is yours."""
        return self._frame(self.field(1))

    @property
    def low(self) -> pd.DataFrame:
        """Adjusted lows, (n_bars, n_symbols), a view; the frame is yours."""
        return self._frame(self.field(2))

    @property
    def close(self) -> pd.DataFrame:
        """Adjusted closes, (n_bars, n_symbols), a view; the frame is yours."""
        return self._frame(self.field(3))

    @property
    def volume(self) -> pd.DataFrame:
        """Volumes in the shares of the anchor date, (n_bars, n_symbols), a view; the frame is yours."""
        return self._frame(self.field(4))

    def traded_frame(self, name: str) -> pd.DataFrame:
        """One of FIELDS as traded, (n_bars, n_symbols), a view."""
        if name not in FIELDS:
            raise InvalidParameter(f"field {name!r} is not known", f"pass one of {', '.join(FIELDS)}")
        return self._frame(self.traded[FIELDS.index(name)])

    def _frame(self, panel: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(panel.T, index=self.index, columns=columns_of(self.symbols), copy=False)

    def events(self) -> pd.DataFrame:
        """The actions with labels: date, symbol, split (new shares for one old), dividend (cash a share before it)."""
        return pd.DataFrame(
            {
                "date": self.index[self.actions["bar"]],
                "symbol": np.array(self.symbols, object)[self.actions["symbol"]],
                "split": self.actions["split"],
                "dividend": self.actions["dividend"],
            }
        )

    def until(self, time: pd.Timestamp | str) -> Bars:
        """What was known at the instant `time` (tz-aware), or up to and including a session (naive date); may be empty.

        Views only: the adjusted block and the chain of fingerprints are shared with this Bars.
        """
        time = pd.Timestamp(time)
        if time is pd.NaT:
            raise InvalidParameter("time is not a time (NaT or None)", "pass an instant or a session date")
        if time.tzinfo is None and not dated(self.interval):
            raise InvalidParameter(f"time {time} has no time zone", "intraday bars need a tz-aware instant")
        if time.tzinfo is None:
            return self._first(int(self.index.searchsorted(time, "right")))
        return self._first(int(np.searchsorted(self.whole.known, utc64(time), "right")))

    def _first(self, n: int) -> Bars:
        if n >= len(self):
            return self
        actions = self.actions[: np.searchsorted(self.actions["bar"], n)]
        traded, scale = self.traded[:, :, :n], self.scale[:, :, :n]
        return replace(self, index=self.index[:n], traded=traded, scale=scale, actions=actions)

    def since(self, time: pd.Timestamp | str) -> Bars:
        """The bars labelled `time` or later, adjusted with the same bits; may be empty."""
        time = pd.Timestamp(time)
        if self.index.tz is not None and time.tzinfo is None:
            time = time.tz_localize("UTC")
        return self.tail(len(self) - int(self.index.searchsorted(time, "left")))

    def tail(self, n: int) -> Bars:
        """The last `n` bars, or all if there are fewer."""
        if n < 0:
            raise InvalidParameter(f"n is {n}, it must be a whole number of at least 0", "pass e.g. n=20")
        start = max(len(self) - n, 0)
        return self if start == 0 else self.rows(start, len(self))

    def rows(self, start: int, stop: int, traded: np.ndarray | None = None) -> Bars:
        """The bars from position `start` to `stop`, adjusted with the same bits; `traded` may hand their prices in."""
        inside = (self.actions["bar"] >= start) & (self.actions["bar"] < stop)
        actions = self.actions[inside]
        actions["bar"] -= start
        return replace(
            self,
            index=self.index[start:stop],
            traded=self.traded[:, :, start:stop] if traded is None else traded,
            scale=self.scale[:, :, start:stop],
            actions=actions,
            whole=NO_WHOLE,
        )

    def select(self, symbols: str | Iterable[str]) -> Bars:
        """Only `symbols`, in that order; raises InvalidSymbol for one that is not here."""
        wanted = checked_symbols(symbols)
        for symbol in wanted:
            if symbol not in self.symbols:
                what = f"symbol {symbol!r} is not among {', '.join(self.symbols)}"
                raise InvalidSymbol(what, "fetch it", symbol=symbol)
        kept = [self.symbols.index(symbol) for symbol in wanted]
        moved = {old: new for new, old in enumerate(kept)}
        rows = self.actions[np.isin(self.actions["symbol"], kept)].copy()
        rows["symbol"] = [moved[old] for old in rows["symbol"]]
        return replace(
            self,
            symbols=wanted,
            traded=self.traded[:, kept],
            scale=self.scale[:, kept],
            actions=np.sort(rows, order=("bar", "symbol")),
            provenance={name: each for name, each in self.provenance.items() if name in wanted},
            issues=tuple(issue for issue in self.issues if issue.symbol in wanted),
            whole=NO_WHOLE,
        )

    def rebased(self) -> Bars:
        """The same bars in the shares of their last one, for a picture; another fingerprint, since values change."""
        if len(self) == 0:
            return self
        return replace(self, scale=self.scale / self.scale[:, :, -1:], anchor=self.index[-1], whole=NO_WHOLE)


def columns_of(symbols: tuple[str, ...]) -> pd.Index:
    """The symbols as the columns of a frame; a view, so that a name that somebody gives it is not seen by others."""
    return _index_of(symbols).view()


@lru_cache(maxsize=64)
def _index_of(symbols: tuple[str, ...]) -> pd.Index:
    return pd.Index(symbols)


def scaled(
    index: np.ndarray, close: np.ndarray, events: list[np.ndarray], anchor: pd.Timestamp
) -> tuple[np.ndarray, np.ndarray]:
    """`scale` and `actions` of a Bars from closes as traded (n_symbols, n_bars) and each symbol's events."""
    scale = np.ones((2, *close.shape))
    rows = [NO_ACTIONS]
    for k, own in enumerate(events):
        scale[:, k] = factors(index, close[k], own, anchor)
        rows.append(positioned(index, k, own))
    return scale, np.sort(np.concatenate(rows), order=("bar", "symbol"))
