"""A sweep as a picture: a metric over two parameters in colours, or over one as a line."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from toolkit.errors import InvalidParameter
from toolkit.plots.style import BLUE, FRACTION, GREY, MONEY, RED, canvas, date_ticks, tidy

FRACTIONS = "total_return", "annual_return", "volatility", "max_drawdown"
MOST_LABELS = 12


def heat_map(surface: pd.DataFrame, metric: str = "sharpe", ax: Axes | None = None, most: float | None = None) -> Axes:
    """The values of `surface` as colours, rows upwards; grey where there is none, and the largest is marked.

    Blue is above 0 and red below, both as far as `most` (default: the largest size; one for two maps makes them comparable).
    A surface of one row is drawn as a line.
    InvalidParameter for a surface without values.
    """
    values = surface.to_numpy(dtype=float)
    if values.size == 0 or np.isnan(values).all():
        raise InvalidParameter(f"the surface of {metric} has no values", "sweep sets that trade")
    if surface.shape[0] == 1:
        return profile(surface.iloc[0], metric, ax)
    ax = ax or canvas(6.4, 4.4)
    most = float(np.nanmax(np.abs(values))) or 1.0 if most is None else most
    image = ax.imshow(values, origin="lower", aspect="auto", cmap="RdBu", vmin=-most, vmax=most, interpolation="nearest")
    bar = ax.get_figure().colorbar(image, ax=ax, format=FRACTION if metric in FRACTIONS else None)  # type: ignore[union-attr]
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9, length=3)
    row, column = np.unravel_index(int(np.nanargmax(values)), values.shape)
    for width, colour in (3.5, "white"), (1.4, "black"):  # seen on dark and on light
        ax.scatter(column, row, s=80, facecolors="none", edgecolors=colour, linewidths=width, clip_on=False, zorder=3)
    x, y = str(surface.columns.name), str(surface.index.name)
    best = f"{x}={shown(surface.columns[column])}, {y}={shown(surface.index[row])}"
    tidy(ax, f"{metric} (best {values[row, column]:.2f} at {best})", y)
    ax.grid(visible=False)
    ax.set_facecolor("#EEEEEE")
    ax.set_xlabel(x, fontsize=9)
    ticks(ax.xaxis, surface.columns)
    ticks(ax.yaxis, surface.index)
    return ax


def profile(values: pd.Series, metric: str, ax: Axes | None = None) -> Axes:
    """The metric over one parameter, the largest marked."""
    ax = ax or canvas(6.4, 3.2)
    places = np.arange(len(values))
    ax.plot(places, values.to_numpy(dtype=float), "o-", color=BLUE, linewidth=1.4, markersize=4)
    at = int(np.nanargmax(values.to_numpy(dtype=float)))
    ax.plot(at, values.iloc[at], "o", color=RED, markersize=7)
    tidy(ax, f"{metric} (best {values.iloc[at]:.2f} at {values.index.name}={shown(values.index[at])})", metric)
    ax.set_xlabel(str(values.index.name), fontsize=9)
    ticks(ax.xaxis, values.index)
    if metric in FRACTIONS:
        ax.yaxis.set_major_formatter(FRACTION)
    return ax


def stitched(equity: pd.Series, begins: list, name: str, ax: Axes | None = None) -> Axes:
    """Equity in dollars over sessions; dotted where a window begins with parameters of its own."""
    ax = ax or canvas()
    ax.plot(np.arange(len(equity)), equity.to_numpy(dtype=float), color=BLUE, linewidth=1.4, label="out of sample")
    for session in begins:
        ax.axvline(equity.index.searchsorted(session), color=GREY, linestyle=":", linewidth=1.0)
    tidy(ax, f"{name}, out of sample: {equity.iloc[-1] / equity.iloc[0] - 1.0:+.1%}")
    ax.yaxis.set_major_formatter(MONEY)
    date_ticks(ax, pd.DatetimeIndex(equity.index))
    return ax


def ticks(axis: object, labels: pd.Index) -> None:
    """At most MOST_LABELS of the values themselves."""
    every = -(-len(labels) // MOST_LABELS)
    axis.set_major_locator(FixedLocator(list(range(0, len(labels), every))))  # type: ignore[attr-defined]
    at = {place: shown(label) for place, label in enumerate(labels)}
    axis.set_major_formatter(FuncFormatter(lambda place, _: at.get(round(place), "")))  # type: ignore[attr-defined]


def shown(value: object) -> str:
    """A value of a parameter, short."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
