"""A run of the loop in one figure: caches, phases, percentiles, requests, slow symbols, and what became slower since."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from toolkit.cycle.run_times import Percentiles, TwoRuns
from toolkit.plots.cycles import cycle_times, hit_rate
from toolkit.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, TIMINGS, canvas, cycle_ticks, figure, legend, tidy

MARKERS = {"p50": ("o", BLUE), "p95": ("D", ORANGE), "p99": ("s", PURPLE)}


def run_times(telemetry: pd.DataFrame, percentiles: Percentiles, slow: pd.DataFrame, budget: int | None = None,
              two: TwoRuns | None = None, at_least: float = 1.25) -> Figure:  # fmt: skip
    """One figure of a run; takes what `Telemetry.frame`, `percentiles`, `slowest` and, for the last row, `compare` give."""
    rows = [3, 3, 2] if two is None else [3, 3, 2, 3]
    fig = figure(11, sum(rows))
    grid = fig.add_gridspec(len(rows), 2, height_ratios=rows)
    hit_rate(telemetry, fig.add_subplot(grid[0, 0]))
    cycle_times(telemetry, fig.add_subplot(grid[0, 1]))
    spread(percentiles, fig.add_subplot(grid[1, 0]))
    slowest(slow, fig.add_subplot(grid[1, 1]))
    requests(telemetry, budget, fig.add_subplot(grid[2, :]))
    if two is not None:
        slower(two, at_least, fig.add_subplot(grid[3, :]))
    return fig


def durations(ax: Axes) -> None:
    """A logarithmic axis of milliseconds, its numbers written out."""
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(10, numticks=6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("milliseconds", fontsize=9)
    ax.grid(axis="x", color="#E2E2E2", linewidth=0.8)


def spread(percentiles: Percentiles, ax: Axes | None = None) -> Axes:
    """Milliseconds of each phase at p50, p95 and p99, on a logarithmic axis; a phase that took no time has no mark."""
    ax = ax or canvas(7, 3)
    ax.set_gid(TIMINGS)
    ms = percentiles.frame.where(percentiles.frame > 0.0) * 1e3
    rows = np.arange(len(ms))
    ax.hlines(rows, ms.min(axis=1), ms.max(axis=1), color="#C8C8C8", linewidth=2.5, zorder=1)
    for name, (marker, colour) in MARKERS.items():
        ax.plot(ms[name], rows, marker, color=colour, markersize=6, label=name)
    ax.set_yticks(rows, list(ms.index))
    ax.invert_yaxis()
    durations(ax)
    tidy(ax, "Half, 95 and 99 of a hundred cycles were faster")
    legend(ax)
    return ax


def requests(telemetry: pd.DataFrame, budget: int | None = None, ax: Axes | None = None) -> Axes:
    """Requests to the source, cycle by cycle, and the most that a cycle may make."""
    ax = ax or canvas()
    calls = telemetry["api_calls"].to_numpy(dtype=float)
    cycle = np.arange(1, len(calls) + 1)
    ax.vlines(cycle, 0.0, calls, color=BLUE, linewidth=1.5)
    if len(asked := np.flatnonzero(calls)):
        ax.plot(cycle[asked], calls[asked], "o", color=BLUE, markersize=4, label="cycles that asked")
    if budget is not None:
        ax.axhline(budget, color=RED, linestyle="--", linewidth=1.2, label=f"budget of {budget} a cycle")
    ax.set_ylim(0.0, 1.15 * max([1.0, *calls, budget or 0.0]))
    ax.set_xlim(0.5, max(1, len(calls)) + 0.5)
    cycle_ticks(ax)
    most = f", at most {calls.max():,.0f} a cycle" if calls.any() else ""
    tidy(ax, f"Requests to the source: {calls.sum():,.0f} in {len(calls):,} cycles{most}", "requests")
    if ax.get_legend_handles_labels()[0]:
        legend(ax)
    return ax


def slowest(slow: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Milliseconds until the source had answered for a symbol: bars up to the longest wait, dots at the median."""
    ax = ax or canvas(7, 3)
    ax.set_gid(TIMINGS)
    tidy(ax, "Slowest symbols")
    if slow.empty:
        ax.text(0.5, 0.5, "no wait for a source was recorded", transform=ax.transAxes, ha="center", color=GREY, fontsize=9)
        ax.set_axis_off()
        return ax
    rows = np.arange(len(slow))
    ax.barh(rows, slow["longest"] * 1e3, height=0.55, color=BLUE, alpha=0.35, label="longest wait")
    ax.plot(slow["median"] * 1e3, rows, "o", color=BLUE, markersize=5, label="median")
    ax.set_yticks(rows, [f"{symbol} ({n} fetches)" if n > 1 else symbol for symbol, n in zip(slow.index, slow["fetches"])])
    ax.invert_yaxis()
    ax.set_xlabel("milliseconds", fontsize=9)
    ax.grid(visible=False, axis="y")
    legend(ax)
    return ax


def slower(two: TwoRuns, at_least: float = 1.25, ax: Axes | None = None) -> Axes:
    """How many times as long each phase takes as in the earlier run, with 95 % intervals; the title is the verdict."""
    ax = ax or canvas(9, 3)
    ax.set_gid(TIMINGS)
    alarm, table = two.alarm(at_least), two.frame
    rows = np.arange(len(table))
    for row, (phase, middle, low, high) in enumerate(table[["ratio", "low", "high"]].itertuples(name=None)):
        colour = RED if phase in alarm.slower else GREEN
        ax.plot([low, high], [row, row], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt", label="_interval")
        ax.plot([middle], [row], "o", color=colour, markersize=6, label="_ratio")
        ax.annotate(f"{middle:.3g}x", (middle, row), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8)
    ax.axvline(1.0, color="black", linewidth=1.0, label="as long as before")
    ax.axvline(at_least, color=RED, linestyle="--", linewidth=1.2, label=f"alarm at {at_least:g}x")
    ax.set_yticks(rows, list(table.index))
    ax.set_ylim(len(table) - 0.5, -0.7)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}x"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("median, times that of the earlier run", fontsize=9)
    tidy(ax, str(alarm))
    legend(ax)
    return ax
