"""What a run earned: equity against its benchmark, and how far it fell below its peak."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from toolkit.plots.style import BLUE, FRACTION, GREY, MONEY, RED, date_ticks, legend, tidy
from toolkit.risk.metrics import drawdown


def equity(equity: pd.Series, benchmark: pd.Series | None = None, axes: tuple[Axes, Axes] | None = None) -> tuple[Axes, Axes]:
    """Equity in dollars above, drawdown as a fraction of the peak so far below; returns both Axes.

    `benchmark` (dollars, same labels) is drawn in grey: what holding the same symbols equally would have become.
    """
    if axes is None:
        upper, lower = plt.subplots(2, 1, figsize=(9, 4.2), sharex=True, height_ratios=(3, 1), layout="constrained")[1]
    else:
        upper, lower = axes
    x = np.arange(len(equity))
    if benchmark is not None:
        upper.plot(x, benchmark.reindex(equity.index), color=GREY, linewidth=1.2, label="held equally")
    upper.plot(x, equity, color=BLUE, linewidth=1.6, label="equity")
    upper.yaxis.set_major_formatter(MONEY)
    fall = drawdown(equity)
    lower.fill_between(x, fall, 0.0, color=RED, alpha=0.35, linewidth=0)
    lower.plot(x, fall, color=RED, linewidth=0.9, label="_drawdown")
    lower.yaxis.set_major_formatter(FRACTION)
    for ax in (upper, lower):
        ax.margins(x=0.01)
        date_ticks(ax, pd.DatetimeIndex(equity.index))
    lower.set_ylim(min(-0.01, 1.1 * float(fall.min())), 0.0)
    tidy(upper, "Equity")
    tidy(lower, "Drawdown")
    legend(upper)
    return upper, lower
