"""One table: each indicator, and the same quantity computed by somebody else. Tests and benchmarks read it."""

import pkgutil
from importlib import import_module

import numpy as np
import pandas as pd

from toolkit.data.bars import Bars

from .case import Case, One

__all__ = ["FAMILIES", "TABLE", "Case", "One", "bars_of"]

FAMILIES = {m.name: import_module(f"{__name__}.{m.name}").TABLE for m in pkgutil.iter_modules(__path__) if m.name != "case"}
TABLE: dict[str, Case] = {name: case for table in FAMILIES.values() for name, case in table.items()}


def bars_of(close: np.ndarray, high: np.ndarray | None = None, low: np.ndarray | None = None, volume: float = 1e6) -> Bars:
    """Bars of closes (n_symbols, n_bars), with highs and lows equal to the close unless given."""
    index = pd.bdate_range("2001-01-01", periods=close.shape[1], unit="ns")
    high, low = close if high is None else high, close if low is None else low
    return Bars.from_frame(
        {
            name: pd.DataFrame({"open": c, "high": h, "low": l, "close": c, "volume": c * 0.0 + volume}, index=index)
            for name, c, h, l in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", close, high, low)
        }
    )
