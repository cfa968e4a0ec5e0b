"""How figures look here: colours that colour-blind readers can tell apart, plain axes, legible at 80 dpi."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

# Source: Okabe and Ito, Color Universal Design (2008).
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, GREY = "#56B4E9", "#CC79A7", "#8A8A8A"

FRACTION = PercentFormatter(xmax=1, decimals=0)
MONEY = FuncFormatter(lambda dollars, _: f"${dollars:,.0f}")
TIMINGS = "timings"  # gid of Axes whose values vary from run to run: fingerprints leave them out


def tidy(ax: Axes, title: str = "", ylabel: str = "") -> Axes:
    """The Axes with a light grid, without the box around it, titled on the left."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#E2E2E2", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=9, length=3)
    for label in ax.get_xticklabels() if ax.get_xscale() == "linear" else []:
        if label.get_horizontalalignment() == "right":  # pandas sets dates left of their ticks
            label.set(horizontalalignment="center", rotation=0)
    if title:
        ax.set_title(title, loc="left", fontsize=11)
    if ylabel:
        ax.set_ylabel(ylabel, fontsize=9)
    return ax


def canvas(width: float = 9.0, height: float = 3.2) -> Axes:
    """Fresh Axes of `width` x `height` inches, for a caller who brought none."""
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def legend(ax: Axes, columns: int = 4) -> None:
    """The legend in one line between title and Axes, where it hides neither data nor, in narrow Axes, the title."""
    ax.set_title(ax.get_title(loc="left"), loc="left", fontsize=11, pad=21)
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=9,
        borderaxespad=0.1,
        columnspacing=1.0,
        handlelength=1.4,
    )


def date_ticks(ax: Axes, index: pd.DatetimeIndex, count: int = 6) -> None:
    """Labels positions 0..n-1 with the dates of `index`; positions leave no gap for days without trading."""
    fmt = "%Y-%m-%d" if len(index) < 2 or (index == index.normalize()).all() else "%m-%d %H:%M"

    def label(position: float, _: int) -> str:
        at = round(position)
        return index[at].strftime(fmt) if 0 <= at < len(index) else ""

    ax.xaxis.set_major_locator(MaxNLocator(count, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(label))


def cycle_ticks(ax: Axes) -> None:
    """Whole numbers of cycles along the x axis."""
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    ax.set_xlabel("cycle", fontsize=9)


def figure(width: float, height: float) -> Figure:
    """A Figure outside of pyplot's list, so that no notebook shows it twice and nothing needs closing."""
    return Figure(figsize=(width, height), layout="constrained")
