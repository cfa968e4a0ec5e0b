"""A signal at a glance: its marks on the price, what came after its scores, how fast that decays, and what following it trades.

`panel` lets a person choose the symbol and the windows. Where nobody can, in a run of the notebook by a program or without
ipywidgets, it is the figure of the windows it begins with.
"""

from __future__ import annotations

import base64
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from IPython.core.getipython import get_ipython
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from toolkit.errors import InvalidParameter, ToolkitError
from toolkit.plots.display import FIGURE_MIME, fingerprint, png
from toolkit.plots.prices import signal_overlay
from toolkit.plots.style import BLUE, GREY, RED, SKY, canvas, date_ticks, tidy
from toolkit.risk.study import MOST_VALUES, SPREAD, By, Groups, decay, returns_by_quantile, turnover
from toolkit.signals.generator import SignalGenerator
from toolkit.signals.strategies import strategy_name

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

log = logging.getLogger(__name__)
QUANTILES = 5
SHOWN = 504  # bars of the price, two years of days: more would hide the marks
SMOOTH = 63  # bars over which turnover is averaged
SAMPLES = 300  # of the bootstrap, in a figure that answers while a person waits
COMPARED = {"bar": "quantile among the symbols of its bar", "symbol": "quantile in its symbol's past", "value": "score"}
Maker = Callable[..., Callable[["Bars"], pd.DataFrame]]


class Sheet(Figure):
    """A figure that shows itself in a notebook, with the fingerprint that nbval compares, whatever backend is set."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        text = f"<Figure with {len(self.axes)} axes>"
        return {"image/png": png(self), "text/plain": text, FIGURE_MIME: fingerprint(self)}


# ------------------------------------------------------------------------------------------------------------ single Axes
def quantile_bars(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Mean return after a score by its quantile, with its interval, from `returns_by_quantile`; the spread apart, in grey."""
    ax = ax or canvas(5, 3)
    means, places = table["mean"].to_numpy(dtype=float), np.arange(len(table), dtype=float)
    places[-1] += 0.4
    colours = [*np.where(means[:-1] >= 0.0, BLUE, RED), GREY]
    ax.bar(places, means, 0.7, color=colours, alpha=0.75)
    ax.vlines(places, table["low"].to_numpy(dtype=float), table["high"].to_numpy(dtype=float), color="black", linewidth=1.2)
    ax.axhline(0.0, color="black", linewidth=0.8)
    ax.set_xticks(places, [f"{name:g}" if isinstance(name, float) else str(name) for name in table.index])
    ax.set_xlabel(COMPARED[table.attrs.get("by", "bar")], fontsize=9)
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    horizon = table.attrs.get("horizon", 1)
    return tidy(ax, f"Return over the next {counted(horizon)}, {table.attrs.get('level', 0.95):.0%} interval", "mean return")


def decay_curve(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Rank correlation of scores and later returns over the horizon in bars, with its interval, from `decay`."""
    ax = ax or canvas(5, 3)
    places = np.arange(len(table))
    low, ic, high = (table[name].to_numpy(dtype=float) for name in ("low", "ic", "high"))
    ax.fill_between(places, low, high, color=SKY, alpha=0.4, linewidth=0)
    ax.plot(places, ic, "o-", color=BLUE, linewidth=1.4, markersize=4, label="rank correlation")
    ax.axhline(0.0, color="black", linewidth=0.8)
    ax.set_xticks(places, [str(each) for each in table.index])
    ax.set_xlabel("horizon, bars", fontsize=9)
    return tidy(ax, f"Decay, {table.attrs.get('level', 0.95):.0%} interval", "rank correlation")


def turnover_line(traded: pd.Series, ax: Axes | None = None, smooth: int = SMOOTH) -> Axes:
    """Turnover a bar, a fraction of equity, as a mean over the last `smooth` bars; dotted its mean over all."""
    ax = ax or canvas(5, 3)
    mean = float(traded.mean())
    ax.plot(np.arange(len(traded)), traded.rolling(smooth, min_periods=1).mean().to_numpy(), color=BLUE, linewidth=1.2)
    ax.axhline(mean, color=GREY, linestyle=":", linewidth=1.2)
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    ax.set_ylim(bottom=0.0)
    if isinstance(traded.index, pd.DatetimeIndex):
        date_ticks(ax, traded.index, count=3)
    return tidy(ax, f"Turnover, mean of {smooth} bars; {mean:.1%} overall", "of equity, a bar")


# -------------------------------------------------------------------------------------------------------------- one figure
def study_sheet(bars: Bars, scores: pd.DataFrame, symbol: str | None = None, *, horizon: int = 5, title: str = "",
                overlays: Mapping[str, pd.Series] | None = None, samples: int = SAMPLES) -> Figure:  # fmt: skip
    """One figure of a signal: price and marks of `symbol` (default: the first), and the study of all symbols under it.

    Scores of at most 12 values are grouped by value; others by quantile, among the symbols of their bar from five symbols on,
    in their symbol's own past below that. The labels say which. The price is that of the last 504 bars.
    Raises InvalidParameter for a symbol that is not in the bars, and for scores that are not of these bars.
    """
    symbol = bars.symbols[0] if symbol is None else symbol
    if symbol not in bars.symbols:
        raise InvalidParameter(f"symbol is {symbol!r}", f"pass one of {', '.join(bars.symbols)}")
    by, along = compared(scores)
    fig = Sheet(figsize=(10, 6), layout="constrained")
    grid = fig.add_gridspec(2, 3, height_ratios=(1.2, 1))
    price = fig.add_subplot(grid[0, :])
    signal_overlay(bars.close[symbol].tail(SHOWN), scores[symbol].tail(SHOWN), price, overlays)
    price.set_ylabel(f"adjusted price, {bars.currency}", fontsize=9)
    table = returns_by_quantile(scores, bars, horizon, QUANTILES, by, samples=samples)
    quantile_bars(table.rename(index={SPREAD: "spread"}), fig.add_subplot(grid[1, 0])).set_title(
        f"Return over {counted(horizon)}", loc="left", fontsize=11
    )
    decay_curve(decay(scores, bars, by=along, samples=samples), fig.add_subplot(grid[1, 1]))
    traded = fig.add_subplot(grid[1, 2])
    turnover_line(turnover(scores), traded).set_title(f"Turnover, mean of {SMOOTH} bars", loc="left", fontsize=11)
    if title:
        fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    return fig


def compared(scores: pd.DataFrame) -> tuple[Groups, By]:
    """What groups and ranks are made of, by the number of distinct scores and of symbols."""
    few = len(np.unique(scores.to_numpy()[scores.notna().to_numpy()])) <= MOST_VALUES
    along: By = "bar" if scores.shape[1] >= QUANTILES else "symbol"
    return "value" if few else along, along


# --------------------------------------------------------------------------------------------------------------- the panel
def panel(bars: Bars, strategy_maker: Maker, *, horizon: int = 5, live: bool | None = None, **ranges: Iterable[Any]) -> Any:
    """Controls over the study of a strategy, `panel(bars, declared_trend_and_rsi, fast=range(3, 16), slow=range(15, 61, 5))`.

    `strategy_maker(**windows)` gives a strategy; each range is the values that one of its parameters may take, and begins at
    the parameter's default, or in the middle. A choice draws the `study_sheet` anew; one that the strategy refuses says why.
    Without ipywidgets, or where no person's front end runs the cell (nbclient, nbval, a script), the figure of the first choice
    is returned instead; `live` decides that by hand.
    Raises InvalidParameter for a range without values or of no parameter, and what the strategy raises at the first choice.
    """
    values = {name: list(each) for name, each in ranges.items()}
    first = {name: beginning(strategy_maker, name, each) for name, each in values.items()}

    def draw(symbol: str, **chosen: Any) -> Figure:
        strategy = strategy_maker(**chosen)
        said = ", ".join(f"{name}={value}" for name, value in chosen.items())
        scores = SignalGenerator(strategy).scores(bars)
        return study_sheet(bars, scores, symbol, horizon=horizon, title=said or strategy_name(strategy))

    sheet = draw(bars.symbols[0], **first)
    if attended() if live is None else live:
        try:
            return controls(bars.symbols, values, first, draw, sheet)
        except ImportError:
            log.warning("ipywidgets is not installed, so that the panel is a figure; pip install ipywidgets")
    return sheet


def controls(symbols: tuple[str, ...], values: Mapping[str, list], first: Mapping[str, Any], draw: Callable[..., Figure],
             sheet: Figure) -> Any:  # fmt: skip
    """The widgets: a symbol, a slider a parameter, the picture, and a line for what a choice is refused with."""
    import ipywidgets  # asked for alone where a person is there to move a slider

    narrow: dict[str, Any] = {"style": {"description_width": "initial"}, "layout": {"width": "240px"}}
    symbol = ipywidgets.Dropdown(options=symbols, description="symbol", style=narrow["style"], layout={"width": "160px"})
    sliders = {
        name: ipywidgets.SelectionSlider(options=each, value=first[name], description=name, continuous_update=False, **narrow)
        for name, each in values.items()
    }
    own_size = {"align_self": "flex-start"}  # else the box stretches the picture
    picture, refused = ipywidgets.Image(value=pixels(sheet), format="png", layout=own_size), ipywidgets.Label()

    def redraw(_: object) -> None:
        try:
            picture.value = pixels(draw(symbol.value, **{name: slider.value for name, slider in sliders.items()}))
            refused.value = ""
        except ToolkitError as error:  # fast above slow: the picture stays, the sentence says why
            refused.value = str(error)

    for control in (symbol, *sliders.values()):
        control.observe(redraw, names="value")
    box = ipywidgets.Box([symbol, *sliders.values()], layout={"flex_flow": "row wrap"})
    return ipywidgets.VBox([box, refused, picture])


def pixels(fig: Figure) -> bytes:
    """The figure as PNG."""
    return base64.b64decode(png(fig))


def beginning(maker: Maker, name: str, values: list) -> Any:
    """The parameter's default where the range has it, else the value in the middle."""
    if not values:
        raise InvalidParameter(f"the range of {name} has no values", f"pass e.g. {name}=range(5, 30)")
    parameters = inspect.signature(maker).parameters
    if name not in parameters and not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        raise InvalidParameter(f"the strategy has no parameter {name!r}", f"it has {', '.join(parameters) or 'none'}")
    default = parameters[name].default if name in parameters else None
    return default if default in values else values[len(values) // 2]


def attended() -> bool:
    """Whether a front end runs the cell that can ask a person: JupyterLab can; nbclient, nbval, papermill say they cannot."""
    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is not None and bool(kernel.get_parent("shell").get("content", {}).get("allow_stdin"))


def counted(n: int) -> str:
    """So many bars."""
    return f"{n} bar{'s' * (n != 1)}"
