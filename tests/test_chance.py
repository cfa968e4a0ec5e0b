"""What has a memory, throws dice or fails: such a strategy is found, or said to become another one."""

import functools
import math
import threading

import numpy as np
import pytest
from suspects import check, kinds, quiet, unit

from toolkit.errors import InvalidParameter, StrategyFailed


def test_chance_is_found():
    rng = np.random.default_rng(1)
    certificate = check(lambda bars: bars.close * 0.0 + rng.uniform(-1, 1, bars.close.shape), quiet())
    assert certificate.kinds == ("RANDOM",) and not certificate.level_independent
    assert "when asked first" in str(certificate) and certificate.needs not in str(certificate)


def test_chance_from_a_seed_inside_is_none():
    assert check(lambda bars: bars.close * 0.0 + np.random.default_rng(1).uniform(-1, 1, bars.close.shape), quiet()).passed


def test_a_count_of_calls_is_found():
    calls = []

    def counting(bars):
        calls.append(1)
        return bars.close * 0.0 + len(calls) % 2

    assert kinds(counting, quiet()) == {"RANDOM"}


def test_what_was_learned_from_later_bars_and_is_kept_is_found():
    kept: dict = {}

    def learning(bars):
        if "mean" not in kept:
            kept["mean"] = bars.close.mean()
        return unit(bars.close / kept["mean"] - 1.0)

    @functools.lru_cache
    def spread(key):
        return key.bars.close.diff().std()

    class Alike:  # to a memory each is the first
        def __init__(self, bars):
            self.bars = bars

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 0

    def recalled(bars):
        return 1.0 * (bars.close.diff() > spread(Alike(bars)))

    bars = quiet()
    assert "FUTURE" in kinds(learning, bars) and "FUTURE" in kinds(recalled, bars)


class Kept:
    frame = None


def test_later_bars_that_are_kept_where_no_copy_reaches_are_found(monkeypatch):
    """In a class, in a module of Python's, in a thread: whoever is asked first before it has seen them answers otherwise."""
    local = threading.local()

    def remembering(get, put):
        def strategy(bars):
            if get() is None or len(get()) < len(bars):
                put(bars.close.copy())
            return unit(get().shift(-1) - get()).reindex(bars.index)

        return strategy

    monkeypatch.setattr(math, "kept", None, raising=False)
    monkeypatch.setattr(Kept, "frame", None)
    for strategy in (
        remembering(lambda: getattr(local, "frame", None), lambda frame: setattr(local, "frame", frame)),
        remembering(lambda: math.kept, lambda frame: setattr(math, "kept", frame)),
        remembering(lambda: Kept.frame, lambda frame: setattr(Kept, "frame", frame)),
    ):
        assert kinds(strategy, quiet()) == {"FUTURE"}


LATEST = None


def test_a_name_that_is_bound_anew_is_as_it_was():
    cell = None

    def globally(bars):
        global LATEST
        if LATEST is None:
            LATEST = bars.close.mean()
        return unit(bars.close / LATEST - 1.0)

    def around(bars):
        nonlocal cell
        if cell is None:
            cell = bars.close.mean()
        return unit(bars.close / cell - 1.0)

    class Model:
        def __call__(self, bars):
            if not hasattr(self, "mean"):
                self.mean = bars.close.mean()
            return unit(bars.close / self.mean - 1.0)

    for strategy in globally, around, Model():
        assert "FUTURE" in kinds(strategy, quiet())


def test_a_memory_in_a_class_is_said():
    class Memory:
        known: dict = {}

    def remembering(bars):
        return Memory.known.setdefault(bars.fingerprint, unit(bars.close.diff()))

    certificate = check(remembering, quiet())
    assert certificate.passed and "what it keeps between calls in a class" in str(certificate)


def test_one_that_keeps_something_is_said_to_become_another_strategy():
    class Counter:
        calls = 0

        def __call__(self, bars):
            self.calls += 1
            return unit(bars.close.diff())

    (remark,) = check(Counter(), quiet()).remarks
    assert "make it anew to trade it" in remark


def test_scores_that_never_differ_are_said_to_show_nothing():
    certificate = check(lambda bars: bars.close * 0.0 + 1.0, quiet())
    assert certificate.passed and "  remark   no score differs from another" in str(certificate)
    assert "no score differs" in certificate._repr_html_()


def test_a_memory_of_what_was_computed_passes():
    kept: dict = {}

    def remembering(bars):
        if bars.fingerprint not in kept:
            kept[bars.fingerprint] = unit(bars.close.diff())
        return kept[bars.fingerprint]

    assert check(remembering, quiet()).passed


def test_one_that_raises_on_history_that_it_scores_later_is_found():
    def raising(bars):
        if len(bars) == 25:
            raise ZeroDivisionError("no 26th bar")
        return unit(bars.close.diff())

    certificate = check(raising, quiet(n_symbols=1))
    assert certificate.kinds == ("RAISES",)
    leak = certificate.leaks[0]
    assert leak.bar == str(quiet().index[24])[:10] and np.isnan(leak.then) and np.isnan(leak.size)
    assert "raised when it was the last bar" in str(leak) and "(ZeroDivisionError: no 26th bar)" in str(leak)


def test_one_that_raises_on_the_first_bars_where_it_has_no_opinion_passes():
    def picky(bars):
        if len(bars) <= 20:
            raise ValueError("too short")
        return unit(bars.close - bars.close.shift(20))

    assert check(picky, quiet()).passed


def test_one_that_raises_on_everything_or_scores_nothing_is_refused():
    with pytest.raises(StrategyFailed, match="raised ZeroDivisionError"):
        check(lambda bars: 1 / 0, quiet())
    with pytest.raises(StrategyFailed, match="has no score for any of 90 bars"):
        check(lambda bars: bars.close * np.nan, quiet())
    with pytest.raises(InvalidParameter, match="is to be certified on a DataFrame; pass Bars"):
        check(lambda bars: bars.close, quiet().close)
    with pytest.raises(InvalidParameter, match="a strategy is a int"):
        check(3, quiet())
