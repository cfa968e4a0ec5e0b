"""When the limits of a whole account were broken: its exposure at every close that it settled, by its ledger."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from toolkit.data import Bars
from toolkit.execution.ledger import Ledger
from toolkit.kernels.account import UNIT
from toolkit.risk.limits import Breach, Limit, breach_history


def breaches_of(ledger: Ledger, bars: Bars, limits: Sequence[Limit], curve: pd.Series) -> tuple[Breach, ...]:
    """Breaches of limits on leverage, net, largest or drawdown; by the equity of `curve` (`flows.curve_of`)."""
    known = exposures(ledger, bars).assign(drawdown=1.0 - curve / curve.cummax())
    return breach_history(known, [limit for limit in limits if limit.measure in known])


def exposures(ledger: Ledger, bars: Bars) -> pd.DataFrame:
    """`leverage`, `net` (without its sign) and `largest`, fractions of equity, one row a session that was settled.

    Positions are marked at the last traded close up to the session; one that `bars` do not have is left out.
    """
    settled = ledger.rows("SELECT session, equity FROM cycles WHERE equity IS NOT NULL ORDER BY rowid")
    equity = pd.Series([e / UNIT for _, e in settled], pd.DatetimeIndex([s for s, _ in settled]), dtype=float)
    equity = equity.groupby(level=0).last()
    booked = ledger.rows("SELECT session, symbol, qty FROM events WHERE qty <> 0 ORDER BY seq")
    changes = pd.DataFrame(booked, columns=["session", "symbol", "qty"])
    changes["session"] = pd.DatetimeIndex(changes["session"])
    held = changes.pivot_table(index="session", columns="symbol", values="qty", aggfunc="sum").fillna(0.0).cumsum()
    there = [symbol for symbol in held.columns if symbol in bars.symbols]
    held = held[there].reindex(held.index.union(equity.index)).ffill().fillna(0.0).reindex(equity.index)
    closes = bars.traded_frame("close")[there].ffill()
    closes = closes.reindex(closes.index.union(equity.index)).ffill().reindex(equity.index)
    dollars = np.where(held == 0.0, 0.0, held * closes) / UNIT / equity.to_numpy()[:, None]
    sizes = np.abs(dollars)
    values = {"leverage": sizes.sum(axis=1), "net": np.abs(dollars.sum(axis=1)), "largest": sizes.max(axis=1, initial=0.0)}
    return pd.DataFrame(values, equity.index)
