"""How long it takes to get out: days to exit at a share of the volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.data.intervals import bars_per_year
from toolkit.signals.panels import positive, whole

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

SESSIONS = 252.0  # a year


def liquidity_table(
    bars: Bars, symbols: tuple[str, ...], dollars: np.ndarray, participation: float = 0.1, window: int = 21
) -> pd.DataFrame:
    """One row a symbol: dollars held, dollars traded a session (median of the last `window` bars), share, days to exit.

    `share` is the position over a session's volume. Days are sessions, fractions of one included, when `participation` of the
    volume is ours; inf where nothing trades. A halted bar trades nothing. Impact on the price is not in it.
    """
    participation = positive("participation", participation)
    volume = session_volume(bars, symbols, window)
    share = shares_of(dollars, volume)
    columns = {"dollars": np.abs(dollars), "volume": volume, "share": share, "days": share / participation}
    return pd.DataFrame(columns, index=list(symbols))


def session_volume(bars: Bars, symbols: tuple[str, ...], window: int = 21) -> np.ndarray:
    """Dollars traded a session, by symbol: the median of the last `window` bars; 0 for no bars."""
    window = whole("window", window)
    rows = [bars.symbols.index(symbol) for symbol in symbols]
    traded = bars.traded[3, rows, -window:] * bars.traded[4, rows, -window:]
    if traded.shape[1] == 0:
        return np.zeros(len(rows))
    return np.median(np.where(np.isfinite(traded), traded, 0.0), axis=1) * (bars_per_year(bars.interval) / SESSIONS)


def shares_of(dollars: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Positions as shares of a session's volume; inf where nothing trades."""
    return np.divide(np.abs(dollars), volume, out=np.full(len(volume), np.inf), where=volume > 0.0)
