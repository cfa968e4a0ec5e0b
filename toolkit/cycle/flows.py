"""What an account earned, apart from what was brought to it and taken out of it.

Between two looks at the account, deposits count as made at the start and withdrawals at the end, so that the product of the
growth between looks is the time-weighted return, and neither is gain nor loss: the ledger's own highest equity moves with them
too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from toolkit.execution.ledger import Ledger
from toolkit.kernels.account import UNIT

FLOWS = """SELECT seq, cash + round(qty * coalesce(price, 0.0)) FROM events
WHERE seq > ? AND kind IN ('transfer', 'adoption') ORDER BY seq"""
CLOSED = "SELECT session, equity, booked FROM cycles WHERE equity IS NOT NULL AND booked >= ? ORDER BY rowid"
Flows = Sequence[tuple[int, float]]
"""Number of the event and amount, above 0 what was brought."""


def growth(equity: Sequence[float], booked: Sequence[int], flows: Flows) -> np.ndarray:
    """Each value but the first over the one before it, net of the flows between them; NaN after nothing.

    `booked`: the last event that each value is the fold of, by its number. A deposit of as much again, then a loss of a tenth;
    and all but 30 taken out:

    >>> growth([100.0, 180.0, 30.0], [1, 2, 3], [(2, 100.0), (3, -150.0)]).tolist()
    [0.9, 1.0]
    """
    found = np.full(max(len(equity) - 1, 0), np.nan)
    for n, (before, after) in enumerate(zip(equity[:-1], equity[1:], strict=True)):
        moved = [amount for seq, amount in flows if booked[n] < seq <= booked[n + 1]]
        start, end = before + sum(x for x in moved if x > 0.0), after - sum(x for x in moved if x < 0.0)
        if start > 0.0:
            found[n] = end / start
    return found


def earned(ledger: Ledger, equity: float, booked: int) -> float | None:
    """Return since the account was worth `equity` dollars by the event `booked`, net of flows; None where there were none."""
    if not (flows := _flows(ledger, booked)):
        return None
    rows, account = ledger.rows(CLOSED, booked), ledger.account()
    dollars = [equity, *(worth / UNIT for _, worth, _ in rows), account.equity]
    return float(np.prod(growth(dollars, [booked, *(number for *_, number in rows), account.booked], flows)) - 1.0)


def curve_of(ledger: Ledger) -> pd.Series:
    """Dollars after the last cycle of each session; what came before a flow is scaled to what the account held after it."""
    rows, account = ledger.rows(CLOSED, 0), ledger.account()
    values = np.array([worth / UNIT for _, worth, _ in rows], dtype=np.float64)
    if rows and (flows := _flows(ledger, rows[0][2])):
        steps = growth([*values, account.equity], [*(number for *_, number in rows), account.booked], flows)
        values = account.equity / np.cumprod(steps[::-1])[::-1]
    return pd.Series(values, pd.DatetimeIndex([session for session, *_ in rows]), name="equity").groupby(level=0).last()


def _flows(ledger: Ledger, since: int) -> Flows:
    return [(seq, amount / UNIT) for seq, amount in ledger.rows(FLOWS, since)]
