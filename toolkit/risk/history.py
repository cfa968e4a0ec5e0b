"""What the symbols held now did before: returns, covariance and gaps over the bars that all of them share.

Risk is asked of the positions of today, so that they are taken back through time with the weights they have now. A halted
symbol is marked as the account marks it, at its last traded price: its return is 0 until it trades again, and the jump then
falls on that bar. Bars before the youngest symbol was listed are left out, since nothing is known of the whole there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.data.intervals import bars_per_year
from toolkit.signals.panels import whole

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

LEAST = 60  # returns; fewer say nothing about a tail or a covariance


@dataclass(frozen=True, eq=False)
class History:
    """Arrays have symbols first, bars last; returns are simple, per bar; `window` is how many of the last are looked at."""

    symbols: tuple[str, ...]
    labels: pd.DatetimeIndex  # of prices: one more than returns
    prices: np.ndarray  # adjusted closes, the last known one where a symbol is halted
    opens: np.ndarray  # adjusted; NaN where there is none
    halted: np.ndarray  # bars without a close, by symbol
    youngest: str  # the symbol that was listed last
    window: int
    bars_per_year: float

    @property
    def index(self) -> pd.DatetimeIndex:
        """Labels of the returns."""
        return self.labels[1:]

    @property
    def enough(self) -> bool:
        """Whether there are returns enough to say something."""
        return self.recent.shape[1] >= LEAST

    @cached_property
    def returns(self) -> np.ndarray:
        """(n_symbols, n_bars - 1)."""
        return self.prices[:, 1:] / self.prices[:, :-1] - 1.0

    @cached_property
    def gaps(self) -> np.ndarray:
        """Open over the close before, less 1, (n_symbols, n_bars - 1); 0 where there is no open."""
        with np.errstate(invalid="ignore"):
            gaps = self.opens[:, 1:] / self.prices[:, :-1] - 1.0
        return np.where(np.isfinite(gaps), gaps, 0.0)

    @property
    def recent(self) -> np.ndarray:
        """The last `window` returns, or all if there are fewer."""
        return self.returns[:, max(0, self.returns.shape[1] - self.window) :]

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean return per bar over the window; NaN for fewer than 60."""
        return self.recent.mean(axis=1) if self.enough else np.full(len(self.symbols), np.nan)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Covariance per bar over the window (ddof = 1), (n_symbols, n_symbols); NaN for fewer than 60 returns."""
        n = len(self.symbols)
        return np.cov(self.recent).reshape(n, n) if self.enough and n else np.full((n, n), np.nan)

    @cached_property
    def deviation(self) -> np.ndarray:
        """Standard deviation of each symbol per bar (ddof = 1)."""
        return np.sqrt(np.diag(self.covariance))


def history_of(bars: Bars, symbols: Sequence[str], window: int = 504) -> History:
    """The common history of `symbols`, which the bars must hold; it may be shorter than the window, or empty."""
    window = whole("window", window, least=LEAST)
    rows = [bars.symbols.index(symbol) for symbol in symbols]
    close, open = bars.field(3)[rows], bars.field(0)[rows]
    known = np.isfinite(close)
    listed = np.where(known.any(axis=1), known.argmax(axis=1), len(bars)) if len(bars) else np.zeros(len(rows), int)
    start = int(listed.max(initial=0))
    traded = known[:, start].all() if start < len(bars) else False  # none needs a price from before
    carried = last_known(close[:, start:]) if traded else last_known(close)[:, start:]
    return History(
        tuple(symbols),
        bars.index[start:],
        carried,
        open[:, start:],
        (~known[:, start:]).sum(axis=1),
        symbols[int(listed.argmax())] if len(rows) else "",
        window,
        bars_per_year(bars.interval),
    )


def last_known(prices: np.ndarray) -> np.ndarray:
    """Prices (n_symbols, n_bars) with the last known one where one is missing; NaN before the first."""
    known = np.isfinite(prices)
    if known.all():
        return prices
    at = np.maximum.accumulate(np.where(known, np.arange(prices.shape[1]), 0), axis=1)
    return np.take_along_axis(prices, at, axis=1)
