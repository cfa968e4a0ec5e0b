"""What indicators take, what they refuse, and in which words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from every import OF_CLOSE

from conftest import random_bars
from toolkit.errors import InvalidParameter, InvalidWindow
from toolkit.signals import bollinger, ema, macd, rolling_max, rolling_min, rolling_std, rsi, sma


@pytest.mark.parametrize("window", [41, 1000, 2**70])
@pytest.mark.parametrize("name", ["sma", "ema", "rsi", "rolling_std", "rolling_max", "rolling_min"])
def test_a_window_longer_than_the_history_gives_nan(name, window):
    function = {"sma": sma, "ema": ema, "rsi": rsi, "rolling_std": rolling_std, "rolling_max": rolling_max,
                "rolling_min": rolling_min}[name]  # fmt: skip
    assert function(random_bars(2, n_bars=40).close, window).isna().to_numpy().all()


@pytest.mark.parametrize("window", [0, -3, 2.5, 20.0, "20", None, True, math.nan])
@pytest.mark.parametrize("function", [sma, ema, rsi, rolling_std, rolling_max, rolling_min, bollinger])
def test_a_window_that_is_no_count_is_refused_with_its_value(function, window):
    with pytest.raises(InvalidWindow, match="must be a whole number"):
        function(pd.Series([1.0, 2.0]), window)


def test_windows_that_contradict_each_other_are_refused():
    with pytest.raises(InvalidWindow, match="fast is 26, slow is 12"):
        macd(pd.Series([1.0]), 26, 12)
    with pytest.raises(InvalidWindow, match="window is 1, .* at least 2"):
        rolling_std(pd.Series([1.0]), 1)
    with pytest.raises(InvalidParameter, match="width is nan"):
        bollinger(pd.Series([1.0]), width=math.nan)


NUMBERS = [1, 2, 4, 7]


@pytest.mark.parametrize(
    "close",
    [
        pd.Series(NUMBERS),
        pd.Series(NUMBERS, dtype="float32"),
        pd.Series(NUMBERS, dtype=">f8"),
        pd.Series(NUMBERS, dtype="object"),
        pd.Series(NUMBERS, dtype="Float64"),
        pd.Series(NUMBERS, dtype="Int32"),
        pd.Series([1, 9, 2, 9, 4, 9, 7, 9], dtype=float)[::2],
    ],
    ids=str,
)
def test_numbers_of_any_kind_are_taken(close):
    assert sma(close, 2).tolist()[1:] == [1.5, 3.0, 5.5]
    assert sma(close.to_frame("A"), 2)["A"].tolist()[1:] == [1.5, 3.0, 5.5]


def test_missing_values_of_nullable_types_are_nan():
    assert sma(pd.Series([1, None, 3, 5], dtype="Int64"), 2).isna().tolist() == [True, True, True, False]
    assert sma(pd.Series([1.0, None, 3.0, 5.0], dtype="object"), 2).isna().tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("close", "sentence"),
    [
        (pd.DataFrame({"A": [1.0], "B": ["12.3"]}), "column 'B' of close holds string"),
        (pd.DataFrame({"A": [1.0], "B": [object()]}), "column 'B' of close holds mixed"),
        (pd.Series([1 + 2j]), "holds complex"),
        (pd.Series(pd.to_datetime(["2020-01-01"])), "holds datetime"),
        (pd.DataFrame([[1.0, 2.0]], columns=["A", "A"]), "two columns 'A'"),
        (pd.Series([1.0, 2.0], index=pd.to_datetime(["2020-01-02", "2020-01-01"])), "not rising"),
        (pd.Series([1.0, 2.0], index=pd.to_datetime(["2020-01-01", "2020-01-01"])), "not rising"),
        (np.ones((2, 2, 2)), "close has 3 dimensions"),
        ([1.0, 2.0], "close is a list"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_prices_is_refused_by_name(close, sentence):
    with pytest.raises(InvalidParameter, match=sentence):
        sma(close, 2)


@pytest.mark.parametrize("name", list(OF_CLOSE))
def test_no_bars_and_no_symbols_give_none(name):
    assert OF_CLOSE[name](pd.Series([], dtype=float)).shape == (0,)
    assert OF_CLOSE[name](pd.DataFrame({"A": []}, dtype=float)).shape == (0, 1)
    assert OF_CLOSE[name](pd.DataFrame(index=range(3))).shape == (3, 0)
    assert OF_CLOSE[name](pd.Series([1.0])).shape == (1,)


@pytest.mark.parametrize("name", list(OF_CLOSE))
def test_the_input_stays_as_it_was(name):
    close = random_bars(2, n_bars=60).close.copy()
    before = close.to_numpy().tobytes()
    OF_CLOSE[name](close)
    assert close.to_numpy().tobytes() == before
