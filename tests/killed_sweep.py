"""A sweep that waits in the middle to be killed, for test_sweep; run with the state folder as its argument."""

import sys

import pandas as pd

from conftest import random_bars
from toolkit.cycle import finished
from toolkit.cycle.sweep import sweep
from toolkit.data import Bars

GRID = {"window": list(range(2, 66))}
STOPS_AT = 45  # in the third part of sixteen sets


def slowly(bars: Bars, window: int) -> pd.DataFrame:
    """Held above the average; says so, and in a process of its own waits for ever at one window."""
    print(window, flush=True)
    if window == STOPS_AT and not sys.stdin.closed and "killed_sweep" in sys.argv[0]:
        sys.stdin.readline()
    return (bars.close > bars.close.rolling(window).mean()).astype(float)


if __name__ == "__main__":
    finished.EVERY = 0.0
    sweep(slowly, GRID, random_bars(5), state=sys.argv[1], n_jobs=1, progress=False)
