"""How much is held: dollars long and short, leverage, and how far it is spread."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter, InvalidSymbol

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

Unit: TypeAlias = Literal["dollars", "shares"]
Holdings: TypeAlias = Mapping[str, float] | pd.Series


class Exposure(NamedTuple):
    """Dollars, and `leverage` = gross / equity, `largest` = the largest position / equity.

    `herfindahl` is the sum of squared shares of gross, between 1 / n and 1; `effective` is its inverse, the number of equal
    positions that would be spread as far; NaN where nothing is held.
    """

    gross: float
    net: float
    long: float
    short: float
    leverage: float
    largest: float
    herfindahl: float
    effective: float


def exposure_of(dollars: np.ndarray, equity: float) -> Exposure:
    """Exposure of signed dollars.

    Source: O. C. Herfindahl, Concentration in the steel industry (1950); the inverse is the numbers equivalent of
    M. A. Adelman, Review of Economics and Statistics 51 (1969).

    >>> exposure_of(np.array([60.0, -20.0]), 100.0)
    Exposure(gross=80.0, net=40.0, long=60.0, short=20.0, leverage=0.8, largest=0.6, herfindahl=0.625, effective=1.6)
    """
    sizes = np.abs(dollars)
    gross, net = float(sizes.sum()), float(dollars.sum())
    spread = float(((sizes / gross) ** 2).sum()) if gross > 0.0 else float("nan")
    long, short, largest = (gross + net) / 2.0, (gross - net) / 2.0, float(sizes.max(initial=0.0))
    return Exposure(gross, net, long, short, gross / equity, largest / equity, spread, 1.0 / spread)


def dollars_of(bars: Bars, holdings: Holdings, unit: Unit = "dollars") -> dict[str, float]:
    """Signed dollars of each symbol that is held, in the order of `bars`; shares count at the last traded close.

    Raises InvalidSymbol for a symbol that is not in the bars, InvalidParameter for an amount that is not a finite number,
    and for shares without a price.
    """
    if unit not in ("dollars", "shares"):
        raise InvalidParameter(f"unit is {unit!r}", "pass 'dollars' or 'shares'")
    held = dict(holdings.items())
    for symbol, amount in held.items():
        if symbol not in bars.symbols:
            what = f"{symbol!r} is held and not among {', '.join(bars.symbols)}"
            raise InvalidSymbol(what, "pass bars of everything that is held", symbol=str(symbol))
        if not (isinstance(amount, numbers.Real) and math.isfinite(amount)):
            raise InvalidParameter(f"the holding of {symbol} is {amount!r}", f"pass its signed {unit}, 0 for none")
    amounts = {symbol: float(held[symbol]) for symbol in bars.symbols if held.get(symbol, 0.0) != 0.0}
    if unit == "dollars":
        return amounts
    return {symbol: shares * last_traded(bars, symbol) for symbol, shares in amounts.items()}


def last_traded(bars: Bars, symbol: str) -> float:
    """The last close as traded; splits of a symbol that was halted on their day are not in it."""
    close = bars.traded[3, bars.symbols.index(symbol)]
    if len(close) and np.isfinite(close[-1]):
        return float(close[-1])
    known = np.flatnonzero(np.isfinite(close))
    if len(known) == 0:
        raise InvalidParameter(f"{symbol} is held and has never traded in these bars", "fetch bars up to its last trade")
    return float(close[known[-1]])
