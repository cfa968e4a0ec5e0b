"""Bars as they were known at one of them, without a way back to the later ones."""

from __future__ import annotations

from dataclasses import replace

from toolkit.data.bars import NO_WHOLE, Bars


def apart(bars: Bars, n: int) -> Bars:
    """The first `n` bars with the same bits in memory of their own.

    `until` gives views, and the whole history can be reached from these by their `base`, or by `bars.whole`.
    """
    part, whole = bars._first(n), bars.whole
    alone = replace(
        part,
        index=part.index.copy(deep=True),
        traded=part.traded.copy(),
        scale=part.scale.copy(),
        actions=part.actions.copy(),
        whole=NO_WHOLE,
    )
    # What was computed once for all bars: a chain of 5,000 fingerprints again at each of 5,000 bars takes half a minute.
    vars(alone.whole).update(known=whole.known[:n].copy(), chain=whole.chain[: n + 1])
    return alone
