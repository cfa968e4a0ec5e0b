"""A risk report on one page: who holds what and who brings the risk, what may be lost, and what was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toolkit.errors import InvalidParameter
from toolkit.plots.style import BLUE, FRACTION, GREY, ORANGE, RED, SKY, canvas, date_ticks, figure, legend, tidy
from toolkit.risk.report_text import LABELS

if TYPE_CHECKING:
    from toolkit.risk.report import RiskReport

NAMES = {
    "historical": "historical",
    "normal": "normal",
    "cornish_fisher": "Cornish-\nFisher",
    "student": "Student t",
    "filtered": "filtered",
}
MOST_NAMED = 12  # correlations that are written into their fields


def risk_page(report: RiskReport) -> Figure:
    """One page of a report: weights and who brings the risk, correlations, loss of the next bar, stress, VaR in time, drawdown.

    Raises InvalidParameter for a report without holdings: there is nothing to draw.
    """
    if not report.history.symbols:
        raise InvalidParameter("nothing is held", "plot the report of an account with positions")
    fig = figure(10, 12)
    grid = fig.add_gridspec(4, 2, height_ratios=(1.15, 1.15, 1.1, 0.8), width_ratios=(1.3, 1))
    risk_shares(report, fig.add_subplot(grid[0, 0]))
    correlations(report.correlation.matrix, fig.add_subplot(grid[0, 1]))
    tail_bars(report.tails, fig.add_subplot(grid[1, 0]))
    stress_bars(report.stress["return"], fig.add_subplot(grid[1, 1]))
    band = fig.add_subplot(grid[2, :])
    if report.limits:
        share = grid[3, :].subgridspec(1, 2)
        under_water(report, fig.add_subplot(share[0]))
        room(report.headroom["used"], fig.add_subplot(share[1]))
    else:
        under_water(report, fig.add_subplot(grid[3, :]))
    var_band(report.var_path(), band)
    return fig


def risk_shares(report: RiskReport, ax: Axes | None = None) -> Axes:
    """Beside each other for each symbol: its weight, and its component of the historical CVaR over the whole CVaR."""
    ax = ax or canvas(5, 3)
    component = report.contributions["historical_cvar", "component"]
    places, width = np.arange(len(component)), 0.38
    ax.bar(places - width / 2, report.weights, width, color=SKY, label="weight")
    ax.bar(places + width / 2, component / component.sum(), width, color=RED, label="share of CVaR 95%")
    ax.axhline(0.0, color="black", linewidth=0.8)
    ax.set_xticks(places, list(component.index))
    ax.yaxis.set_major_formatter(FRACTION)
    tidy(ax, "Weight, and who brings the risk")
    legend(ax)
    return ax


def correlations(matrix: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Correlations as colours, blue above 0 and red below, with their values where there are at most 12 symbols."""
    ax = ax or canvas(4.5, 3.2)
    values = matrix.to_numpy(float)
    ax.imshow(values, cmap="RdBu", vmin=-1.0, vmax=1.0, aspect="auto")
    ticks = range(len(matrix)) if len(matrix) <= 4 * MOST_NAMED else range(0)
    ax.set_xticks(ticks, list(matrix.columns) if ticks else [], rotation=90 if len(matrix) > MOST_NAMED else 0)
    ax.set_yticks(ticks, list(matrix.index) if ticks else [])
    for row, column in np.ndindex(values.shape) if len(matrix) <= MOST_NAMED else ():
        value = values[row, column]
        colour = "white" if abs(value) > 0.6 else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9, color=colour)
    tidy(ax, "Correlation of returns")
    ax.grid(visible=False)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.plot([], [])
    return ax


def tail_bars(tails: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """VaR and CVaR of the next bar by method; columns like `VaR 95%`, fractions of equity."""
    ax = ax or canvas(5, 3)
    colours = {"VaR 95%": SKY, "CVaR 95%": BLUE, "VaR 99%": ORANGE, "CVaR 99%": RED}
    places, width = np.arange(len(tails)), 0.2
    for at, (name, colour) in enumerate(colours.items()):
        ax.bar(places + (at - 1.5) * width, tails[name], width, color=colour, label=name)
    ax.set_xticks(places, [NAMES.get(str(name), str(name)) for name in tails.index], fontsize=8)
    ax.yaxis.set_major_formatter("{x:.1%}")
    tidy(ax, "Loss of the next bar, of equity")
    ax.tick_params(axis="x", labelsize=8)
    legend(ax)
    return ax


def stress_bars(returns: pd.Series, ax: Axes | None = None) -> Axes:
    """Return of each scenario, the worst at the top; what is not known is left out."""
    ax = ax or canvas(5, 3.2)
    known = returns.dropna().sort_values(ascending=False)
    ax.barh(np.arange(len(known)), known, color=np.where(known < 0.0, RED, BLUE), height=0.65)
    ax.set_yticks(np.arange(len(known)), list(known.index), fontsize=8)
    ax.xaxis.set_major_formatter(FRACTION)
    tidy(ax, "Stress: return of the account")
    ax.tick_params(axis="y", labelsize=8)
    ax.grid(visible=False, axis="y")
    ax.grid(axis="x", color="#E2E2E2", linewidth=0.8)
    return ax


def var_band(path: pd.DataFrame, ax: Axes | None = None, title: str = "Filtered VaR 95% before each bar") -> Axes:
    """Returns as dots, the VaR forecast before each as a line below them, and what fell through it in red.

    `path` has the columns returns and var, as `RiskReport.var_path` gives them; it may be empty.
    """
    ax = ax or canvas()
    x, returns, floor = np.arange(len(path)), path["returns"].to_numpy(float), -path["var"].to_numpy(float)
    through = returns < floor
    ax.plot(x, returns, ".", color=GREY, markersize=2, label="return")
    ax.plot(x, floor, color=BLUE, linewidth=1.1, label="VaR")
    ax.plot(x[through], returns[through], ".", color=RED, markersize=5, label=f"worse: {through.sum():,} of {len(path):,}")
    ax.yaxis.set_major_formatter(FRACTION)
    ax.margins(x=0.01)
    if len(path):
        date_ticks(ax, pd.DatetimeIndex(path.index))
    tidy(ax, title if len(path) else f"{title}: the history is too short")
    legend(ax)
    return ax


def under_water(report: RiskReport, ax: Axes | None = None) -> Axes:
    """Drawdown of the account's curve, or of the weights of now; dotted the CDaR at 95 %."""
    ax = ax or canvas(height=2.0)
    fall = -report.underwater.to_numpy(float)
    ax.fill_between(np.arange(len(fall)), fall, 0.0, color=RED, alpha=0.35, linewidth=0)
    ax.plot(np.arange(len(fall)), fall, color=RED, linewidth=0.8, label="_drawdown")
    ax.axhline(-report.drawdowns.cdar, color="black", linestyle=":", linewidth=1.2, label="CDaR 95%")
    ax.yaxis.set_major_formatter(FRACTION)
    ax.margins(x=0.01)
    date_ticks(ax, pd.DatetimeIndex(report.underwater.index), 4)
    tidy(ax, "Drawdown of the account" if report.curve is not None else "Drawdown of these weights")
    legend(ax)
    return ax


def room(used: pd.Series, ax: Axes | None = None) -> Axes:
    """Each limit as a bar: how much of it is used, red where it is broken; an unknown value is drawn as all of it, in red."""
    ax = ax or canvas(5, 2.2)
    values = used.to_numpy(float)
    broken = ~(values <= 1.0)
    shown = np.where(np.isfinite(values), values, 1.0)
    ax.barh(np.arange(len(used)), shown, color=np.where(broken, RED, SKY), height=0.6)
    ax.axvline(1.0, color="black", linewidth=1.0)
    ax.set_yticks(np.arange(len(used)), [LABELS.get(str(name), str(name)) for name in used.index])
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter(FRACTION)
    tidy(ax, "Limits: how much is used")
    ax.grid(visible=False, axis="y")
    return ax
