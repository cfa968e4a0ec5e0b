"""Figures into notebooks: a PNG to look at, and a fingerprint of the plotted values for nbval to compare."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import DisplayHandle, display
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from toolkit.plots.style import TIMINGS

FIGURE_MIME = "application/vnd.toolkit.figure+json"
DPI = 80


def summary(values: Any, digits: int = 6) -> dict[str, Any]:
    """Count, missing, first, last, minimum, maximum and mean, rounded to `digits` places of the largest magnitude."""
    values = np.asarray(values, dtype=float).ravel()
    finite = values[np.isfinite(values)]
    numbers: list[float] = []
    if len(finite):
        largest = np.abs(finite).max()
        places = digits - 1 - (int(np.floor(np.log10(largest))) if largest > 0 else 0)
        picked = (finite[0], finite[-1], finite.min(), finite.max(), finite.mean())
        numbers = [round(float(value), places) + 0.0 for value in picked]  # + 0.0: no minus zero
    return {"n": len(values), "missing": len(values) - len(finite), "first_last_min_max_mean": numbers}


def heights(artist: Artist) -> Iterable[np.ndarray]:
    """The y values that a patch or a collection draws, in data units."""
    if isinstance(artist, Patch):
        yield np.asarray(artist.get_patch_transform().transform_path(artist.get_path()).vertices)[:, 1]
    elif isinstance(artist, Collection):
        offsets: np.ndarray = np.ma.filled(np.ma.asarray(artist.get_offsets(), dtype=float), np.nan).reshape(-1, 2)
        if offsets.any():  # a scatter: one marker, many places
            yield offsets[:, 1]
        else:
            yield from (np.asarray(path.vertices)[:, 1] for path in artist.get_paths())


def drawn(artists: Iterable[Artist]) -> dict[str, Any]:
    """Summary of all y values that the artists draw together."""
    values = [y for artist in artists for y in heights(artist)]
    return summary(np.concatenate(values) if values else [])


def axes_fingerprint(ax: Axes, timings: bool) -> dict[str, Any]:
    """Title, labels and, unless they are timings, the plotted values of one Axes."""
    title = ax.get_title(loc="left") or ax.get_title()
    named = {line.get_label(): line for line in ax.get_lines()}
    if timings or ax.get_gid() == TIMINGS:
        return {"title": title, "timings": sorted(str(label) for label in named if not str(label).startswith("_"))}
    lines = [{"label": str(line.get_label()), **summary(line.get_ydata())} for line in ax.get_lines()]
    return {"title": title, "lines": lines, "patches": drawn(ax.patches), "collections": drawn(ax.collections)}


def fingerprint(fig: Figure, timings: bool = False) -> dict[str, Any]:
    """What `fig` plots, rounded to six digits: JSON that differs when the data differ, whatever the pixels do.

    Axes marked as timings (`cycle_times`, `Comparison.plot`) and, with `timings=True`, all Axes give no values: those
    differ from run to run.
    """
    return {"axes": [axes_fingerprint(ax, timings) for ax in fig.axes]}


def png(fig: Figure, dpi: int = DPI, tight: bool = True) -> str:
    """`fig` as a PNG in base64; the same bytes for the same figure and library versions."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight" if tight else None, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def updatable(bundle: dict[str, Any]) -> DisplayHandle | None:
    """Displays a MIME bundle and hands out what updates it; None outside of IPython, where nobody looks."""
    return display(bundle, raw=True, display_id=True) if InteractiveShell.initialized() else None


def show(shown: Figure | Axes | tuple[Axes, ...], timings: bool = False, dpi: int = DPI) -> None:
    """Displays a figure (or the figure of these Axes) with the fingerprint that nbval compares, and closes it.

    `timings=True` leaves the values of the whole figure out of the fingerprint.
    """
    first = shown[0] if isinstance(shown, tuple) else shown
    fig = first if isinstance(first, Figure) else cast(Figure, first.get_figure(root=True))
    bundle = {
        "image/png": png(fig, dpi),
        "text/plain": f"<Figure with {len(fig.axes)} axes>",
        FIGURE_MIME: fingerprint(fig, timings),
    }
    plt.close(fig)
    if InteractiveShell.initialized():
        display(bundle, raw=True)
