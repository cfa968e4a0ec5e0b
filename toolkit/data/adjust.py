"""Adjusted prices on a fixed anchor: today's bits do not change when a later split or dividend comes.

Factors are 1 at the anchor and accumulate outward from it, action by action, never from the start of a range. A later
action then scales later bars only, and every range, machine and day gives the same bits.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from toolkit.kernels.account import action_t

FIELDS = ("open", "high", "low", "close", "volume")
"""Order of the first axis of every block of prices."""

ACTION = action_t
"""(bar, symbol, split, dividend) inside of a Bars; `bar` and `symbol` are positions."""

EVENT = np.dtype([("date", "M8[ns]"), ("split", "f8"), ("dividend", "f8")])
"""One action of a symbol: ex-date, new shares for one old (1.0: none), dollars a share held before that day's split."""

ANCHOR = pd.Timestamp("2013-03-01")
"""The session whose shares adjusted prices are expressed in; the last day of the bundled data."""


def factors(days: np.ndarray, close: np.ndarray, events: np.ndarray, anchor: pd.Timestamp) -> np.ndarray:
    """(2, n_bars): what traded prices and traded volumes of one symbol are multiplied with; 1 at the anchor.

    An action with ex-date t multiplies the prices before t by g = close[t] / (split * close[t] + dividend), so that the
    return over t is the total return (split * close[t] + dividend) / close[t-1] - 1; NaN closes are passed over.
    Volumes change by splits alone. `events` (EVENT) are the whole table of the symbol, sorted by date, with one row a
    date; those outside of the prices have no effect.
    Source: total return as defined by CRSP (Data Definitions, "Returns"); the WIKI adjusted close reinvests so too.
    """
    scale = np.ones((2, len(days)))
    priced = np.flatnonzero(np.isfinite(close))
    if len(events) == 0 or len(priced) == 0:
        return scale
    felt = events[(events["date"] > days[priced[0]]) & (events["date"] <= days[priced[-1]])]
    ex = np.searchsorted(days, felt["date"])
    base = close[priced[np.searchsorted(priced, ex)]]
    g = base / (felt["split"] * base + felt["dividend"])
    pivot = int(np.searchsorted(felt["date"], anchor.to_datetime64(), "right"))
    price = volume = 1.0
    for k in range(pivot - 1, -1, -1):
        price, volume = price * g[k], volume * felt["split"][k]
        scale[0, : ex[k]], scale[1, : ex[k]] = price, volume
    price = volume = 1.0
    for k in range(pivot, len(felt)):
        price, volume = price / g[k], volume / felt["split"][k]
        scale[0, ex[k] :], scale[1, ex[k] :] = price, volume
    return scale


def positioned(index: np.ndarray, symbol: int, events: np.ndarray) -> np.ndarray:
    """Those `events` of the symbol at position `symbol` that fall inside of `index`, as ACTION rows.

    An ex-date without a bar belongs to the next bar.
    """
    inside = events[(events["date"] >= index[0]) & (events["date"] <= index[-1])] if len(index) else events[:0]
    rows = np.zeros(len(inside), ACTION)
    rows["bar"] = np.searchsorted(index, inside["date"])
    rows["symbol"] = symbol
    rows["split"], rows["dividend"] = inside["split"], inside["dividend"]
    return rows
