"""What the same cash would be worth, spread over the same symbols and left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


class HeldEqually:
    """Equal parts of `cash` dollars, one a symbol, each bought without costs at its first price seen and held since.

    The part of a symbol that is not listed yet stays cash.
    """

    def __init__(self, symbols: Sequence[str], cash: float) -> None:
        self._cash = dict.fromkeys(symbols, cash / len(symbols))
        self._shares: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def value(self, prices: Mapping[str, float]) -> float:
        """Dollars at `prices` (adjusted, so that dividends are reinvested); a symbol without a price keeps its last one."""
        for symbol, price in prices.items():
            if price == price:
                if symbol in self._cash:
                    self._shares[symbol] = self._cash.pop(symbol) / price
                self._last[symbol] = price
        return sum(self._cash.values()) + sum(n * self._last[symbol] for symbol, n in self._shares.items())


def held_equally(close: pd.DataFrame, cash: float) -> pd.Series:
    """Dollars at each bar of adjusted closes (n_bars, n_symbols): all values of HeldEqually at once, but for rounding."""
    last = close.ffill().to_numpy(dtype=float)
    listed = ~np.isnan(last)
    at = listed.argmax(axis=0), np.arange(last.shape[1])
    worth = np.where(listed, last / np.where(listed[at], last[at], 1.0), 1.0)
    return pd.Series(worth.sum(axis=1) * (cash / last.shape[1]), index=close.index, name="benchmark")
