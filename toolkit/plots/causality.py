"""Where a strategy looks ahead: the bars whose scores changed once later bars were known."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from toolkit.data.bars import Bars
from toolkit.errors import InvalidParameter
from toolkit.plots.style import GREEN, RED, canvas, date_ticks, tidy
from toolkit.signals.causality.certificate import Certificate


def leaks(certificate: Certificate, bars: Bars, ax: Axes | None = None) -> Axes:
    """A row for each symbol, a mark for each bar that looks ahead; the share of such bars stands at the right.

    Raises InvalidParameter unless the certificate is of these bars.
    """
    if certificate.bars != bars.fingerprint:
        what = f"the certificate is of other bars ({certificate.n_bars:,}, {certificate.first} to {certificate.last})"
        raise InvalidParameter(what, "pass the bars that were certified on")
    marks, n = certificate.leaking, len(certificate.symbols)
    ax = ax or canvas(height=0.9 + 0.4 * n)
    rows = [np.flatnonzero(row) for row in marks]
    ax.eventplot(rows, lineoffsets=range(n), linelengths=0.7, linewidths=0.8, colors=RED)
    for at, row in enumerate(marks):
        ax.annotate(f"{row.mean():.1%}", (1.005, at), xycoords=("axes fraction", "data"), va="center", fontsize=9)
        ax.axhline(at, color=GREEN, linewidth=0.5, zorder=0)
    ax.set_xlim(-0.5, certificate.n_bars - 0.5)
    ax.set_ylim(n - 0.4, -0.6)
    ax.set_yticks(range(n), certificate.symbols)
    date_ticks(ax, bars.index)
    return tidy(ax, f"{certificate.strategy}: bars that look ahead")
