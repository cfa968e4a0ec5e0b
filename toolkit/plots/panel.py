"""A live panel for the loop: one picture and one line, updated in place through two display handles.

It works wherever a notebook runs, without widgets: in JupyterLab while the loop runs, and in the saved file afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import pandas as pd
from IPython.display import DisplayHandle
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from toolkit.cycle.durations import approximate
from toolkit.plots.cycles import ceiling
from toolkit.plots.display import png, updatable
from toolkit.plots.style import BLUE, FRACTION, GREEN, GREY, MONEY, date_ticks, tidy
from toolkit.plots.timing import in_html

PROGRESS_MIME = "application/vnd.toolkit.progress+json"


class Cycle(Protocol):
    """What the panel reads of a cycle's report."""

    @property
    def session(self) -> pd.Timestamp: ...
    @property
    def equity(self) -> float: ...
    @property
    def orders(self) -> int: ...
    @property
    def fills(self) -> int: ...
    @property
    def denials(self) -> int: ...
    @property
    def total_cycle_time(self) -> float: ...
    @property
    def cache_hit_rate(self) -> float: ...


class LivePanel:
    """Equity, cache hits and cycle times of a running loop.

    with LivePanel(total=250) as panel:
        engine.run_continuous(on_cycle=panel.update)

    It appears under the cell of the first update, redraws at most once in `every` seconds and costs microseconds
    otherwise; leaving the block draws the last state, after an interrupt as well. `total` is the number of cycles, if
    known.
    """

    def __init__(
        self,
        total: int | None = None,
        every: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        screen: Callable[[dict[str, Any]], DisplayHandle | None] = updatable,
    ) -> None:
        self.total, self.every = total, every
        self._monotonic, self._screen = monotonic, screen
        self._sessions: list[pd.Timestamp] = []
        self._rows: list[tuple[float, float, float]] = []  # equity [dollars], hit rate [0..1], cycle time [s]
        self._counts = np.zeros(3, dtype=int)  # orders, fills, denials
        self._drawn_at = -np.inf
        self._picture = _Picture()
        self._handles: tuple[DisplayHandle | None, DisplayHandle | None] | None = None

    def update(self, report: Cycle) -> None:
        """Takes in one cycle; draws it if the last drawing is `every` seconds old."""
        self._sessions.append(report.session)
        self._rows.append((report.equity, report.cache_hit_rate, report.total_cycle_time))
        self._counts += (report.orders, report.fills, report.denials)
        if self._monotonic() - self._drawn_at >= self.every:
            self._draw()

    def close(self) -> None:
        """Draws the last state."""
        if self._rows:
            self._draw()

    def __enter__(self) -> LivePanel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _draw(self) -> None:
        rows = np.array(self._rows)
        self._picture.draw(pd.DatetimeIndex(self._sessions), *rows.T)
        chart = {"image/png": png(self._picture.fig, tight=False), "text/plain": "<live panel>"}
        bundles = (chart, self._line(rows))
        if self._handles is None:
            self._handles = (self._screen(bundles[0]), self._screen(bundles[1]))
        else:
            for handle, bundle in zip(self._handles, bundles):
                if handle is not None:
                    handle.update(bundle, raw=True)
        self._drawn_at = self._monotonic()

    def _line(self, rows: np.ndarray) -> dict[str, Any]:
        """The line under the picture as HTML and text, with the progress that the runner shows in a terminal."""
        done, (orders, fills, denials) = len(rows), self._counts
        cycles = f"cycle {done}" + (f" of {self.total}" if self.total else "")
        state = f"{self._sessions[-1]:%Y-%m-%d} · equity ${rows[-1, 0]:,.0f} · orders {orders} · fills {fills}"
        state += f" · denials {denials} · mean hit rate {pd.Series(rows[:, 1]).mean():.0%}"
        bar = f'<progress value="{done}" max="{self.total}"></progress> ' if self.total else ""
        return {
            "text/html": f"<div>{bar}{cycles} · {state} · p50 {in_html(approximate(float(np.median(rows[:, 2]))))}</div>",
            "text/plain": f"{cycles} · {state}",
            PROGRESS_MIME: {"done": done, "total": self.total},
        }


class _Picture:
    """Three small plots with fixed margins, whose lines are moved: a redraw takes a third of a fresh layout's time."""

    def __init__(self) -> None:
        self.fig = Figure(figsize=(11, 3.0))
        self._axes = self.fig.subplots(
            1,
            3,
            width_ratios=(2, 1, 1),
            gridspec_kw={"left": 0.07, "right": 0.985, "bottom": 0.13, "top": 0.89, "wspace": 0.25},
        )
        titles = ("Equity", "Cache hits, mean of 20", "Cycle time, ms")
        colours = (BLUE, GREEN, GREY)
        for ax, title in zip(self._axes, titles):
            tidy(ax, title)
            ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        self._lines = [ax.plot([], [], color=colour, linewidth=1.4)[0] for ax, colour in zip(self._axes, colours)]
        self._axes[0].yaxis.set_major_formatter(MONEY)
        self._axes[1].yaxis.set_major_formatter(FRACTION)
        self._axes[1].set_ylim(-0.04, 1.04)

    def draw(self, sessions: pd.DatetimeIndex, equity: np.ndarray, hits: np.ndarray, seconds: np.ndarray) -> None:
        """Moves the lines to the values of the cycles so far."""
        smooth = pd.Series(hits).rolling(20, min_periods=1).mean().to_numpy()
        cycle = np.arange(1, len(sessions) + 1)
        for line, x, y in zip(self._lines, (cycle - 1, cycle, cycle), (equity, smooth, seconds * 1e3)):
            line.set_data(x, y)
        for ax in self._axes:
            ax.relim()
            ax.autoscale_view()
        date_ticks(self._axes[0], sessions, count=4)
        self._axes[2].set_ylim(0.0, ceiling(seconds * 1e3))
