"""What must not matter to a strategy: the shares that prices are told in, and, a while later, where history starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from toolkit.data.bars import NO_WHOLE, Bars
from toolkit.signals.causality.certificate import ROUNDING, Leak
from toolkit.signals.causality.prefixes import differ, first_leaks

Asked = tuple[np.ndarray, str]  # scores (n_symbols, n_bars), and what was raised


def level_leaks(score: Callable[[Bars], Asked], bars: Bars, later: np.ndarray) -> list[Leak]:
    """Where scores change with the shares that prices are told in, of each symbol the first bar.

    Differences below ROUNDING do not count: a logarithm of prices has them, and they tell nothing of a split.
    """
    wrong, other, notes = np.zeros(later.shape, bool), later.copy(), {}
    for sign in 1, -1:
        scores, raised = score(in_other_shares(bars, sign))
        fresh = differ(scores, later, ROUNDING) & ~wrong
        other[fresh] = scores[fresh]
        wrong |= fresh
        if raised:
            notes = dict.fromkeys(range(len(bars)), f"raised {raised}")
    return first_leaks("LEVEL", wrong, later, other, bars, notes)


def in_other_shares(bars: Bars, sign: int) -> Bars:
    """The bars with the adjusted prices of each symbol times 2**k and its volumes by 2**k, which is exact; k is 7 to 14.

    It differs from symbol to symbol and alternates in sign, so that an order of symbols by price changes too. Traded prices
    stay: whoever looks at those knows what was known.
    """
    n = np.arange(len(bars.symbols))
    factor = np.exp2(sign * np.where(n % 2 == 0, 1, -1) * (7 + 5 * n % 8))
    return replace(bars, scale=bars.scale * np.stack([factor, 1.0 / factor])[:, :, None], whole=NO_WHOLE)


def history_needed(score_from: Callable[[int], Asked], later: np.ndarray, count: int) -> tuple[int | None, int | None]:
    """Bars after which scores no longer depend on where history starts: to the bit, and to ROUNDING; None if they always do.

    Measured from `count` starts: the smallest number such that wherever as many bars went before, scores were the same. It is
    believed if they then stay so over a tenth of the longest of these histories.
    """
    n = later.shape[1]
    needed, longest = [0, 0], 0
    for start in sorted({int(at) for at in np.linspace(n / 8, 3 * n / 4, count)} - {0}):
        scores, raised = score_from(start)
        if raised:
            continue
        longest = max(longest, n - start)
        for which, tolerance in enumerate((0.0, ROUNDING)):
            wrong = np.flatnonzero(differ(scores, later[:, start:], tolerance).any(axis=0))
            needed[which] = max(needed[which], int(wrong[-1]) + 1 if len(wrong) else 0)
    exact, rounded = (bars if longest and bars <= longest - max(1, longest // 10) else None for bars in needed)
    return exact, rounded
