"""How a cost grows with size: seconds a call on logarithmic axes, beside lines of growth in proportion."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, NullLocator

from toolkit.errors import InvalidParameter
from toolkit.plots.style import BLUE, GREEN, ORANGE, PURPLE, RED, SKY, TIMINGS, canvas, legend, tidy

COLOURS = ORANGE, GREEN, BLUE, PURPLE, RED, SKY


def growth(seconds: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Seconds a call against size, both logarithmic; dotted: what each would cost in proportion to its largest size.

    `seconds` has a column for each function and a row for each size, the sizes rising in an index that is named after what
    is counted ("symbols"). Points above their dotted line carry a cost that does not shrink with the size.
    Raises InvalidParameter unless there are 2 sizes, all above 0 and rising, and 1 to 6 functions.
    """
    sizes = seconds.index.to_numpy(dtype=float)
    if len(sizes) < 2 or sizes[0] <= 0.0 or not (np.diff(sizes) > 0.0).all():
        raise InvalidParameter(f"sizes are {seconds.index.tolist()}", "pass at least 2 rows, sizes above 0 and rising")
    if not 1 <= seconds.shape[1] <= len(COLOURS):
        raise InvalidParameter(f"seconds has {seconds.shape[1]} columns", f"pass 1 to {len(COLOURS)}, a function each")
    ax = ax or canvas()
    ax.set_gid(TIMINGS)
    lowest = float(seconds.min(axis=None))
    for (label, took), colour in zip(seconds.items(), COLOURS, strict=False):
        ax.plot(sizes, took, "o-", color=colour, linewidth=1.4, markersize=4, label=str(label))
        each = took.iloc[-1] / sizes[-1]
        ends = np.array([max(sizes[0], lowest / each), sizes[-1]])  # below all points a line would only stretch the axis
        ax.plot(ends, each * ends, ":", color=colour, linewidth=1.1, label=f"_{label}, linear")
    ax.plot([], [], ":", color="black", linewidth=1.1, label="linear growth")
    ax.set(xscale="log", yscale="log")
    tidy(ax, "", "a call")
    ticks(ax, sizes)
    ax.set_xlabel(str(seconds.index.name or ""), fontsize=9)
    legend(ax)
    return ax


def ticks(ax: Axes, sizes: np.ndarray) -> None:
    """Marks the sizes themselves along the x axis, at most about 6 of them, and powers of ten as µs, ms, s along the y axis."""
    every = -(-len(sizes) // 6)
    ax.xaxis.set_major_locator(FixedLocator(list(sizes[::-1][::every][::-1])))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(EngFormatter(unit="s"))
    ax.yaxis.set_minor_locator(NullLocator())
