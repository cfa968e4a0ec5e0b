"""Prices as candles, and the price of one symbol with what a signal makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from toolkit.errors import InvalidParameter
from toolkit.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, canvas, date_ticks, legend, tidy

if TYPE_CHECKING:
    from toolkit.data import Bars

PRICES = ("open", "high", "low", "close")


def one_symbol(bars: Bars, symbol: str | None) -> pd.DataFrame:
    """Adjusted open, high, low and close of one symbol of `bars`, one row a bar."""
    if symbol is None and len(bars.symbols) == 1:
        symbol = bars.symbols[0]
    if symbol not in bars.symbols:
        raise InvalidParameter(
            f"symbol is {symbol!r}, and the bars hold {', '.join(bars.symbols)}",
            "pass one of them, candles(bars, symbol)",
        )
    prices = pd.DataFrame({field: getattr(bars, field)[symbol] for field in PRICES})
    prices.attrs["symbol"] = symbol
    return prices


def candles(bars: Bars | pd.DataFrame, symbol: str | None = None, ax: Axes | None = None, width: float = 0.7) -> Axes:
    """Candles in price units: blue where the close is at or above the open, orange-red where it is below.

    `bars` are Bars, or a frame with the columns open, high, low, close. A bar with a missing price leaves a gap.
    Raises InvalidParameter for a symbol that is not in the bars and for missing columns.
    """
    prices = bars if isinstance(bars, pd.DataFrame) else one_symbol(bars, symbol)
    if missing := [field for field in PRICES if field not in prices]:
        raise InvalidParameter(f"the frame has no column {', '.join(missing)}", f"name its columns {', '.join(PRICES)}")
    ax = ax or canvas()
    o, high, low, close = (prices[field].to_numpy(dtype=float) for field in PRICES)
    whole = np.flatnonzero(np.isfinite(o + high + low + close))
    o, high, low, close = o[whole], high[whole], low[whole], close[whole]
    colours = np.where(close >= o, BLUE, RED)
    left, right = whole - width / 2, whole + width / 2
    corners = np.stack([np.stack([left, right, right, left]), np.stack([o, o, close, close])], axis=-1)
    ax.vlines(whole, low, high, color=colours, linewidth=0.8)
    ax.add_collection(PolyCollection(list(corners.transpose(1, 0, 2)), facecolors=colours, edgecolors=colours, linewidths=0.6))
    ax.set_xlim(-1, len(prices))
    ax.autoscale_view(scalex=False)
    date_ticks(ax, pd.DatetimeIndex(prices.index))
    return tidy(ax, symbol or str(prices.attrs.get("symbol", "")), "price")


def signal_overlay(
    close: pd.Series, scores: pd.Series, ax: Axes | None = None, overlays: Mapping[str, pd.Series] | None = None
) -> Axes:
    """The price of one symbol, shaded where the score asks to be in the market, with a mark at each entry and exit.

    `scores` are in [-1, 1]: above zero is long (blue), below zero short (orange-red), zero or missing is out. A mark
    stands at the bar whose close decided; the fill comes at the next open. `overlays` are named lines in price units.
    Raises InvalidParameter if `close` or `scores` is not of one symbol.
    """
    for name, values in (("close", close), ("scores", scores)):
        if not isinstance(values, pd.Series):
            raise InvalidParameter(f"{name} is a {type(values).__name__}", f"pass the series of one symbol, {name}['AAPL']")
    ax = ax or canvas()
    price = close.to_numpy(dtype=float)
    side = np.nan_to_num(np.sign(scores.reindex(close.index).to_numpy(dtype=float)))
    before = np.concatenate([[0.0], side[:-1]])
    x = np.arange(len(price))
    ax.plot(x, price, color="black", linewidth=1.1, label="close")
    for (name, line), colour in zip((overlays or {}).items(), (ORANGE, PURPLE, GREEN, GREY)):
        ax.plot(x, line.reindex(close.index).to_numpy(dtype=float), color=colour, linewidth=1.1, label=name)
    _shade(ax, side, before)
    enter, leave = (side != 0) & (side != before), (side != before) & (before != 0)
    ax.plot(x[leave], price[leave], "v", color=RED, markersize=6, label="exit")
    ax.plot(x[enter], price[enter], "^", color=BLUE, markersize=6, label="entry")
    ax.margins(x=0.01)
    date_ticks(ax, pd.DatetimeIndex(close.index))
    tidy(ax, str(close.name or ""), "price")
    legend(ax, columns=7)
    return ax


def _shade(ax: Axes, side: np.ndarray, before: np.ndarray) -> None:
    changes = np.flatnonzero(side != before)
    for start, stop in zip(changes, [*changes[1:], len(side) - 1]):
        if side[start]:
            ax.axvspan(float(start), float(stop), color=BLUE if side[start] > 0 else RED, alpha=0.12, linewidth=0)
