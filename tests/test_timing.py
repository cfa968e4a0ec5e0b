"""compare(): the numbers are marked, the verdict is not, and it says NO when the bar is missed."""

import numpy as np
import pytest

from toolkit.errors import InvalidParameter
from toolkit.plots import Comparison, compare
from toolkit.plots.timing import in_html

STEADY = Comparison({"slow": np.full(20, 4e-3), "fast": np.full(20, 1e-3)}, checked=True)


def test_the_ratio_of_steady_times_is_exact_and_its_interval_a_point():
    assert STEADY.ratio("fast") == (4.0, 4.0, 4.0)
    assert STEADY.ratio("slow") == (1.0, 1.0, 1.0)


def test_the_verdict_is_no_when_the_bar_is_missed():
    assert STEADY.faster("fast", at_least=4) == "fast at least 4x faster than slow: yes"
    assert STEADY.faster("fast", at_least=4.1) == "fast at least 4.1x faster than slow: NO"


def test_the_low_end_of_the_interval_has_to_clear_the_bar():
    noise = np.random.default_rng(3).uniform(0.5e-3, 1.5e-3, 40)
    noisy = Comparison({"slow": np.full(40, 2e-3), "fast": noise}, checked=True)
    middle, low, high = noisy.ratio("fast")
    assert low < middle < high
    assert noisy.faster("fast", at_least=middle).endswith("NO")
    assert noisy.faster("fast", at_least=low * 0.99).endswith("yes")


def test_one_disturbed_round_changes_nothing():
    disturbed = np.full(20, 1e-3)
    disturbed[7] = 10.0
    assert Comparison({"slow": np.full(20, 4e-3), "fast": disturbed}, True).typical("fast") == 1e-3


def test_every_varying_number_is_marked_and_the_order_is_the_given_one():
    lines = repr(STEADY).splitlines()
    assert lines[0] == "2 functions, baseline slow, results equal"
    assert lines[1:] == ["  slow: ≈4 ms ≈1x ≈[1, 1]", "  fast: ≈1 ms ≈4x ≈[4, 4]"]
    html = STEADY._repr_html_()
    assert html.count('<span class="t">') == 2 * 6 and html.count("≈") == 2 * 5  # the bar needs no mark
    assert html.index("slow (baseline)") < html.index("<th>fast</th>")


def test_labels_and_values_are_escaped_in_html():
    shown = Comparison({"a < b": np.full(3, 1.0)}, True)._repr_html_()
    assert "a &lt; b" in shown and in_html("<1 s") == '<span class="t">≈&lt;1 s</span>'


def test_a_function_is_called_in_every_round_and_the_results_are_compared_first():
    calls = {"a": 0, "b": 0}

    def counted(label):
        calls[label] += 1
        return 1.0

    timed = compare({"a": lambda: counted("a"), "b": lambda: counted("b")}, rounds=4, block=1e-9)
    assert {label: len(seconds) for label, seconds in timed.seconds.items()} == {"a": 4, "b": 4}
    assert calls == {"a": 6, "b": 6}  # once for the result, once to see how many calls make a block, four rounds
    assert timed.checked and timed.baseline == "a"


def test_different_results_are_refused_by_name():
    with pytest.raises(InvalidParameter, match="b returns something else than a"):
        compare({"a": lambda x: x, "b": lambda x: x + 1.0}, np.ones(3))
    with pytest.raises(InvalidParameter, match="b returns something else"):
        compare({"a": lambda: np.ones(3), "b": lambda: np.ones(4)})


def test_check_may_pick_what_is_compared_or_be_left_out():
    pair = {"a": lambda: ("x", 1.0), "b": lambda: ("y", 1.0)}
    assert compare(pair, rounds=2, block=1e-9, check=lambda result: result[1]).checked
    assert not compare(pair, rounds=2, block=1e-9, check=False).checked


def test_no_functions_and_unknown_labels_are_refused():
    with pytest.raises(InvalidParameter, match="0 functions"):
        compare({})
    with pytest.raises(InvalidParameter, match="no function 'quick'; pass one of slow, fast"):
        STEADY.faster("quick")


def test_the_plot_has_a_box_a_function_in_the_given_order():
    ax = STEADY.plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["slow", "fast"]
    assert ax.yaxis_inverted() and ax.get_xscale() == "log"


def test_the_axis_of_the_plot_is_written_with_units():
    written = STEADY.plot().xaxis.get_major_formatter()
    assert [written(seconds, 0) for seconds in (1e-6, 1e-3, 10.0)] == ["1 µs", "1 ms", "10 s"]
