"""A slice of the fuzzed frames; `python -m tests.fuzz` runs a hundred thousand."""

import fuzz
import pytest


@pytest.mark.parametrize("seed", range(4))
def test_any_frame_gives_a_result_under_its_labels_or_a_sentence(seed):
    outcomes = [fuzz.attempt(seed, number) for number in range(400)]
    assert [said for outcome, said in outcomes if outcome == "VIOLATION"] == []
    assert {"value", "sentence"} == {outcome for outcome, _ in outcomes}
