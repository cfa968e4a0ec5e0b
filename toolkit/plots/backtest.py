"""A backtest at a glance: equity against its benchmark, drawdown, exposure, and round trips on the price of one symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from toolkit.errors import InvalidParameter
from toolkit.plots.performance import equity
from toolkit.plots.style import BLUE, FRACTION, GREY, RED, SKY, canvas, date_ticks, figure, legend, tidy

if TYPE_CHECKING:
    from toolkit.cycle.result import BacktestResult

COLUMNS = ("side", "entered", "left", "entry", "exit", "profit")
SIDES = {"long": "^", "short": "v"}
STEEP = 5.0  # highest over lowest price from which equal gains are drawn equally high


def tearsheet(result: BacktestResult, symbol: str | None = None) -> Figure:
    """One figure of a backtest; `symbol` is the one whose trades are drawn, by default the one traded most often.

    Bars after ruin are left out of equity and drawdown. Raises InvalidSymbol for a symbol that is not in the bars.
    """
    close, trips = result.on_price(symbol)
    curves = result.to_frame()
    fig = figure(9, 8.4)
    upper, lower, middle, last = fig.subplots(4, 1, sharex=True, height_ratios=(3, 1, 1.1, 3))
    equity(result.lived, curves["benchmark"].loc[: result.lived.index[-1]], (upper, lower))
    exposure(curves, middle)
    round_trips(close, trips, last)
    for ax in (upper, lower, middle):
        ax.tick_params(labelbottom=False)
    date_ticks(last, pd.DatetimeIndex(curves.index))
    last.set_xlim(-0.01 * len(curves), 1.01 * len(curves))
    return fig


def exposure(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Gross exposure as an area, net exposure as a line, fractions of equity; `curves` has the columns gross and net."""
    if missing := [name for name in ("gross", "net") if name not in curves]:
        raise InvalidParameter(f"the frame has no column {', '.join(missing)}", "pass result.to_frame() or result.exposure")
    ax = ax or canvas(height=2.0)
    x, gross, net = np.arange(len(curves)), curves["gross"].to_numpy(float), curves["net"].to_numpy(float)
    ax.fill_between(x, gross, 0.0, color=SKY, alpha=0.45, linewidth=0, label="gross", step="mid")
    width = float(np.interp(len(x), (300, 3000), (1.0, 0.4)))  # bars closer than a pixel would be a block of ink
    ax.plot(x, net, color=BLUE, linewidth=width, label="net", drawstyle="steps-mid")
    ax.yaxis.set_major_formatter(FRACTION)
    ax.margins(x=0.01)
    date_ticks(ax, pd.DatetimeIndex(curves.index))
    tidy(ax, "Exposure")
    legend(ax)
    return ax


def round_trips(close: pd.Series, trades: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The price of one symbol, and each round trip as a line from its entry to its exit: blue a gain, orange-red a loss.

    `trades` are those of this symbol with prices in the same shares as `close`, as `BacktestResult.on_price` hands them out;
    a trade that is open leads to the last price. Marks stand at entries: up for long, down for short. The axis is
    logarithmic where the price has moved more than fivefold.
    """
    if missing := [name for name in COLUMNS if name not in trades]:
        raise InvalidParameter(f"trades have no column {', '.join(missing)}", "pass *result.on_price('AAPL')")
    ax = ax or canvas()
    index, price = pd.DatetimeIndex(close.index), close.to_numpy(dtype=float)
    ax.plot(np.arange(len(price)), price, color=GREY, linewidth=0.9, label="close")
    begin, is_open = index.get_indexer(trades["entered"]), trades["left"].isna().to_numpy()
    end = np.where(is_open, len(price) - 1, index.get_indexer(trades["left"]))
    entry = trades["entry"].to_numpy(dtype=float)
    exit = np.where(is_open, close.ffill().iloc[-1], trades["exit"].to_numpy(dtype=float))
    gained = trades["profit"].to_numpy(dtype=float) > 0.0
    for name, won, colour in (("gain", gained, BLUE), ("loss", ~gained, RED)):
        ends = np.stack([np.stack([begin, entry], axis=1), np.stack([end, exit], axis=1)], axis=1)[won]
        if len(ends):
            ax.add_collection(LineCollection(list(ends), colors=colour, linewidths=1.8, label=name, zorder=4))
    size = float(np.interp(len(trades), (20, 200), (32, 10)))
    for name, marker in SIDES.items():
        own = (trades["side"] == name).to_numpy()
        if own.any():
            ax.scatter(begin[own], entry[own], s=size, c="black", marker=marker, label=name, linewidths=0, zorder=3)
    ax.margins(x=0.01)
    if close.max() > STEEP * close.min() > 0.0:
        ratios(ax)
    date_ticks(ax, index)
    tidy(ax, f"Trades in {close.name}" if close.name else "Trades", "price")
    legend(ax, columns=6)
    return ax


def ratios(ax: Axes) -> None:
    """Draws equal ratios of price equally high, the axis marked at 1, 2 and 5 of each power of ten."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda price, _: f"{price:,.10g}"))
    ax.yaxis.set_minor_locator(NullLocator())
