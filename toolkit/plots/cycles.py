"""The loop seen from outside: cache hits and phase times of each cycle, from the frame of a run's telemetry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toolkit.plots.performance import equity
from toolkit.plots.style import (
    BLUE,
    FRACTION,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    TIMINGS,
    canvas,
    cycle_ticks,
    figure,
    legend,
    tidy,
)

CACHES = {"bars": BLUE, "indicators": ORANGE, "account": GREEN}
PHASES = {
    "data fetch": ("data_fetch_time", BLUE),
    "signals": ("signal_generation_time", ORANGE),
    "risk": ("risk_calculation_time", PURPLE),
    "execution": ("execution_time", SKY),
}


def hit_rate(telemetry: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Cache hit rate as a fraction of requests: dots are single cycles, lines are cumulative since the first cycle.

    `telemetry` has one row a cycle, with `cache_hit_rate` and `<cache>_hits`, `<cache>_misses` of bars, indicators and
    account. A cache that was never asked has no line.
    """
    ax = ax or canvas()
    cycle = np.arange(1, len(telemetry) + 1)
    ax.plot(cycle, telemetry["cache_hit_rate"], ".", color=GREY, markersize=3, alpha=0.6, label="one cycle")
    hits = {name: telemetry[f"{name}_hits"].cumsum() for name in CACHES}
    asked = {name: hits[name] + telemetry[f"{name}_misses"].cumsum() for name in CACHES}
    for name, colour in CACHES.items():
        rate = hits[name] / asked[name].where(asked[name] > 0)
        if rate.notna().any():
            ax.plot(cycle, rate, color=colour, linewidth=1.2, label=name)
    together = sum(asked.values())
    ax.plot(cycle, sum(hits.values()) / together.where(together > 0), color="black", linewidth=1.8, label="all")
    ax.set_ylim(-0.04, 1.04)
    ax.yaxis.set_major_formatter(FRACTION)
    cycle_ticks(ax)
    tidy(ax, "Cache hits")
    legend(ax, columns=5)
    return ax


def ceiling(times: np.ndarray) -> float:
    """Height of an axis for `times`: their maximum, unless a few (the first cycle compiles) would flatten the rest."""
    return float(min(times.max() * 1.08, np.quantile(times, 0.9, method="lower") * 1.7)) or 1.0


def cycle_times(telemetry: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Milliseconds of each cycle, stacked by phase, with lines at the median and the 95th percentile of the total.

    `telemetry` has one row a cycle, with the phase times and `total_cycle_time` in seconds; what the phases leave of
    the total is drawn as "rest". Cycles that reach above the axis are counted in a note.
    """
    ax = ax or canvas()
    ax.set_gid(TIMINGS)
    total = telemetry["total_cycle_time"].to_numpy(dtype=float) * 1e3
    edges = np.arange(len(total) + 1) + 0.5
    base = np.zeros(len(total))
    for label, (column, colour) in PHASES.items() if len(total) else ():
        top = base + telemetry[column].to_numpy(dtype=float) * 1e3
        ax.stairs(top, edges, baseline=base, fill=True, color=colour, label=label)
        base = top
    if len(total):
        ax.stairs(np.maximum(total, base), edges, baseline=base, fill=True, color="#D0D0D0", label="rest")
        _percentiles(ax, total)
    cycle_ticks(ax)
    tidy(ax, "Cycle time", "milliseconds")
    if len(total):
        legend(ax, columns=5)
    return ax


def _percentiles(ax: Axes, total: np.ndarray) -> None:
    top = max(ceiling(total), 1.1 * float(np.quantile(total, 0.95)))
    beside: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "xytext": (3, 0), "textcoords": "offset points"}
    for name, share, style in (("p50", 0.50, "-"), ("p95", 0.95, "--")):
        at = float(np.quantile(total, share))
        ax.axhline(at, color="black", linewidth=1.0, linestyle=style, label=f"_{name}")
        text = f"{name} {at:,.0f}" if at >= 100 else f"{name} {at:.3g}"
        side = "bottom" if share > 0.5 or at < 0.1 * top else "top"
        ax.annotate(text, (1.0, at), va=side, fontsize=9, annotation_clip=False, **beside)
    ax.set_xlim(0.5, len(total) + 0.5)
    ax.set_ylim(0.0, top)
    if above := int((total > top).sum()):
        note = ax.text(0.99, 0.97, f"{above} above, up to {total.max():,.0f} ms", transform=ax.transAxes)
        note.set(ha="right", va="top", fontsize=9, backgroundcolor="#FFFFFFCC")


def dashboard(telemetry: pd.DataFrame) -> Figure:
    """One figure of a run: equity with its drawdown, cache hits, cycle times. Takes the frame of `engine.telemetry`."""
    fig = figure(11, 7)
    grid = fig.add_gridspec(3, 2, height_ratios=(3, 1, 3))
    upper = fig.add_subplot(grid[0, :])
    lower = fig.add_subplot(grid[1, :], sharex=upper)
    upper.tick_params(labelbottom=False)
    run = telemetry.set_index("session")
    equity(run["equity"], run.get("benchmark"), (upper, lower))
    hit_rate(telemetry, fig.add_subplot(grid[2, 0]))
    cycle_times(telemetry, fig.add_subplot(grid[2, 1]))
    return fig
