"""A run that was killed again and again: its equity, and a mark at each death that says what was on its way."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from toolkit.errors import InvalidParameter
from toolkit.plots.style import BLUE, GREEN, GREY, MONEY, ORANGE, RED, canvas, date_ticks, legend, tidy

# What was open at a death, the gravest first: marker, colour, words.
MARKS = {
    "SENDING": ("X", RED, "killed with an order on its way"),
    "PLANNED": ("D", ORANGE, "killed with an order planned"),
    "": ("o", GREEN, "killed with nothing open"),
}


def lives(equity: pd.Series, told: pd.DataFrame, whole: pd.Series | None = None, ax: Axes | None = None) -> Axes:
    """Equity of the killed run in dollars, with a mark at each death; every other life on a shaded ground.

    `told` has a row a life, the last one of which ended by itself: `to` (session), `open` (states of orders at its end).
    `whole` is the equity of a run that nobody killed, drawn in grey below. Raises InvalidParameter for a life that ended on
    no session of `equity`.
    """
    ax = ax or canvas()
    at = pd.DatetimeIndex(equity.index).get_indexer(pd.DatetimeIndex(told["to"]))
    if (at < 0).any():
        raise InvalidParameter(f"a life ended on {told['to'][at < 0].iloc[0]}", "pass the equity of the run that was killed")
    for begin, end in zip([0, *at[1:-1:2]], at[::2]) if len(at) > 1 else ():
        ax.axvspan(begin, end, color="#F3F3F3", zorder=0, linewidth=0)
    if whole is not None:
        ax.plot(
            np.arange(len(equity)), whole.reindex(equity.index), color=GREY, linewidth=5.0, alpha=0.45, label="never killed"
        )
    ax.plot(np.arange(len(equity)), equity, color=BLUE, linewidth=1.3, label="killed")
    ended, values = np.array([gravest(said) for said in told["open"].iloc[:-1]]), equity.to_numpy()
    for state, (marker, colour, words) in MARKS.items():
        if len(hit := at[:-1][ended == state]):
            ax.plot(hit, values[hit], marker, color=colour, markersize=9, markeredgecolor="white", label=words)
    ax.yaxis.set_major_formatter(MONEY)
    ax.margins(x=0.01)
    date_ticks(ax, pd.DatetimeIndex(equity.index))
    tidy(ax, f"One account, {len(told)} processes: equity at each close")
    legend(ax, columns=5)
    return ax


def gravest(open_: str) -> str:
    """The gravest state among those of a text such as "1 SENDING, 2 PLANNED"; orders of unknown fate count as on their way.

    >>> gravest("2 PLANNED, 1 SENDING"), gravest("1 ABSENT"), gravest("")
    ('SENDING', 'PLANNED', '')
    """
    states = {word for word in open_.replace(",", " ").split() if not word.isdigit()}
    return "SENDING" if states & {"SENDING", "UNKNOWN"} else "PLANNED" if states else ""
