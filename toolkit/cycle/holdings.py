"""What was held at each close and what it was worth, from the records of a backtest and the bars alone.

Arrays are (n_symbols, n_bars) or (n_bars,); quantities in micro-shares and cash in micro-dollars, int64, exact.
"""

from __future__ import annotations

import numpy as np

from toolkit.data import Bars


def shares_held(log: np.ndarray, n_symbols: int, n_bars: int) -> np.ndarray:
    """Signed micro-shares at each close: the running sum of everything that moved shares, splits included."""
    moved = np.zeros(n_symbols * n_bars, np.int64)
    own = log[log["qty"] != 0]
    np.add.at(moved, own["symbol"] * n_bars + own["bar"], own["qty"])
    return moved.reshape(n_symbols, n_bars).cumsum(axis=1)


def cash_held(log: np.ndarray, opening: int, n_bars: int) -> np.ndarray:
    """Micro-dollars at each close: what it began with and everything that moved cash since."""
    moved = np.zeros(n_bars, np.int64)
    np.add.at(moved, log["bar"], log["cash"])
    return opening + moved.cumsum()


def marks(bars: Bars) -> np.ndarray:
    """Dollars a share at which each close values a symbol: its last traded close, divided by the splits since.

    NaN before the first one. The divisions are those of the step, in its order.
    """
    close, actions = bars.traded[3], bars.actions
    seen = np.maximum.accumulate(np.where(np.isnan(close), -1, np.arange(len(bars))), axis=1)
    last = np.take_along_axis(close, np.maximum(seen, 0), axis=1)
    halted = np.isnan(close[actions["symbol"], actions["bar"]]) & (actions["split"] != 1.0)
    for action in actions[halted]:
        n, t = action["symbol"], action["bar"]
        last[n, t : np.searchsorted(seen[n], t)] /= action["split"]  # up to the next bar with a price
    return last


def shares_grown(bars: Bars) -> np.ndarray:
    """Shares at each bar that one share before the first bar has become by splits."""
    grown = np.ones((len(bars.symbols), len(bars)))
    np.multiply.at(grown, (bars.actions["symbol"], bars.actions["bar"]), bars.actions["split"])
    return grown.cumprod(axis=1)
