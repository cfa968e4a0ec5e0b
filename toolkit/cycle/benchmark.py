"""What the same cash would be worth, spread over the same symbols and left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


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
