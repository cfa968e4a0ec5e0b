"""Figures, the live panel and inline timings: frames in, Axes out. Nothing below imports this package."""

from toolkit.plots.backtest import exposure, round_trips, tearsheet
from toolkit.plots.cycles import cycle_times, dashboard, hit_rate
from toolkit.plots.display import fingerprint, show
from toolkit.plots.growth import growth
from toolkit.plots.panel import LivePanel
from toolkit.plots.performance import equity
from toolkit.plots.prices import candles, signal_overlay
from toolkit.plots.sweep import heat_map
from toolkit.plots.timing import Comparison, compare

__all__ = [
    "Comparison",
    "LivePanel",
    "candles",
    "compare",
    "cycle_times",
    "dashboard",
    "equity",
    "exposure",
    "fingerprint",
    "growth",
    "heat_map",
    "hit_rate",
    "round_trips",
    "show",
    "signal_overlay",
    "tearsheet",
]
