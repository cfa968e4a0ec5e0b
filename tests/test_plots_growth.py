"""The cost of a call is drawn beside what it would be in proportion, and its seconds are in no fingerprint."""

import json

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from toolkit.errors import InvalidParameter
from toolkit.plots import fingerprint, growth

SIZES = pd.Index([1, 10, 100], name="symbols")
PER_SYMBOL, PER_CALL = 1e-5, 1e-4
SECONDS = pd.DataFrame({"loop": PER_SYMBOL * SIZES, "one call": PER_CALL + PER_SYMBOL * SIZES}, index=SIZES)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def line(ax, label):
    return next(drawn for drawn in ax.get_lines() if drawn.get_label() == label)


def test_a_cost_in_proportion_lies_on_its_dotted_line():
    ax = growth(SECONDS)
    np.testing.assert_allclose(line(ax, "loop").get_xydata()[[0, -1]], line(ax, "_loop, linear").get_xydata())
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_a_fixed_cost_lifts_the_small_sizes_above_their_dotted_line():
    ax = growth(SECONDS)
    above = line(ax, "one call").get_ydata()[[0, -1]] - line(ax, "_one call, linear").get_ydata()
    np.testing.assert_allclose(above, [0.99 * PER_CALL, 0.0], atol=1e-18)


def test_a_dotted_line_ends_where_it_would_leave_the_points():
    flat = pd.DataFrame({"flat": [1.0, 1.0, 1.0], "loop": [0.1, 1.0, 10.0]}, index=SIZES)
    np.testing.assert_allclose(line(growth(flat), "_flat, linear").get_xydata(), [[10.0, 0.1], [100.0, 1.0]])


def test_the_axis_is_named_and_marked_after_the_sizes():
    ax = growth(SECONDS)
    ax.figure.canvas.draw()
    assert ax.get_xlabel() == "symbols"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "10", "100"]


def test_slower_machines_give_the_same_fingerprint_and_other_functions_another():
    one, two = (fingerprint(growth(scale * SECONDS).figure) for scale in (1.0, 7.0))
    assert one == two and "first_last" not in json.dumps(one)
    assert fingerprint(growth(SECONDS[["loop"]]).figure) != one


def test_axes_that_are_brought_are_used_and_returned():
    mine = plt.subplots()[1]
    assert growth(SECONDS, mine) is mine


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        (SECONDS.iloc[:1], r"sizes are \[1\]; pass at least 2 rows"),
        (SECONDS.iloc[::-1], r"sizes are \[100, 10, 1\]; pass"),
        (SECONDS.set_axis([0, 1, 2]), r"sizes are \[0, 1, 2\]; pass"),
        (SECONDS[[]], "seconds has 0 columns; pass 1 to 6"),
    ],
)
def test_sizes_that_do_not_rise_and_tables_without_functions_are_refused(seconds, sentence):
    with pytest.raises(InvalidParameter, match=sentence):
        growth(seconds)
