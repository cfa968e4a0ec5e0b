"""What was held at each close against a plain loop over records and bars."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import random_bars
from toolkit.cycle.holdings import cash_held, marks, shares_grown, shares_held
from toolkit.data import Bars
from toolkit.kernels import account as step
from toolkit.kernels.account import UNIT, record_t


def closes(values, splits) -> Bars:
    """One symbol that only closes; splits of (bar, ratio)."""
    index = pd.bdate_range("2012-01-02", periods=len(values))
    frame = pd.DataFrame({name: values for name in ("open", "high", "low", "close", "volume")}, index, dtype=float)
    events = pd.DataFrame([(index[t], "A", ratio, 0.0) for t, ratio in splits], columns=["date", "symbol", "split", "dividend"])
    return Bars.from_frame(frame, symbol="A", actions=events)


def test_a_halted_symbol_keeps_its_last_close_divided_by_the_splits_since():
    nan = np.nan
    bars = closes([nan, 30, nan, nan, nan, 7, nan], [(3, 3.0), (4, 2.0), (5, 0.5)])
    np.testing.assert_array_equal(marks(bars)[0], [nan, 30, 30, 10, 5, 7, 7])  # a traded close has its split in it


def test_shares_grow_on_the_day_of_a_split():
    assert shares_grown(closes([10, 10, 5, 5, 15], [(2, 2.0), (4, 1 / 3)]))[0].tolist() == [1, 1, 2, 2, pytest.approx(2 / 3)]


def test_several_records_of_a_bar_add_up_and_stay():
    log = np.zeros(4, record_t)
    log["bar"], log["symbol"], log["reason"] = (
        [1, 1, 1, 3],
        [0, 0, -1, 1],
        [step.FILLED, step.FILLED, step.INTEREST, step.FILLED],
    )
    log["qty"], log["cash"] = [5, -2, 0, 2**60], [-50, 20, -1, 7]
    assert shares_held(log, 2, 5).tolist() == [[0, 3, 3, 3, 3], [0, 0, 0, 2**60, 2**60]]
    assert cash_held(log, 100 * UNIT, 5).tolist() == [100 * UNIT + x for x in (0, -31, -31, -24, -24)]


@settings(max_examples=10)
@given(seed=st.integers(0, 2**20))
def test_marks_are_those_of_a_loop_over_bars(seed):
    bars = random_bars(seed)
    splits = bars.events().set_index(["date", "symbol"])["split"]
    held, found = dict.fromkeys(bars.symbols, np.nan), marks(bars)
    for t, session in enumerate(bars.index):
        for n, symbol in enumerate(bars.symbols):
            close = bars.traded[3, n, t]
            held[symbol] = close if close == close else held[symbol] / splits.get((session, symbol), 1.0)
        np.testing.assert_array_equal(found[:, t], list(held.values()))
