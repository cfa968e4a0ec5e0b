"""What looks back alone raises no alarm: every indicator, plain and declared, and the examples."""

import functools

import numpy as np
import pytest
from every import EVERY
from suspects import check

from conftest import random_bars
from toolkit.signals import examples
from toolkit.signals.sets import IndicatorSet
from toolkit.signals.strategies import Strategy


def readable(name):
    declared = EVERY[name]
    return declared.of("high", "volume") if declared.inputs == ("x", "y") else declared


def outputs(value):
    return value if isinstance(value, tuple) else (value,)


def rises(name):
    """The share of outputs that rose less that of those that fell, as a plain function and declared."""
    declared, key = readable(name), name.split(",")[0].replace(" ", "_")

    def plain(bars):
        return sum(np.sign(each.diff()) for each in outputs(IndicatorSet({key: declared})(bars)[key])) / len(declared.places)

    def rule(now, before, held):
        pairs = zip(outputs(now[key]), outputs(before[key]), strict=True)
        return sum(np.sign(a - b) for a, b in pairs) / len(declared.places)

    return plain, Strategy(f"rising {key}", IndicatorSet({key: declared}), rule)


@pytest.mark.parametrize("name", EVERY)
def test_no_indicator_raises_a_false_alarm(name):
    bars = random_bars(11, n_symbols=3, n_bars=80)
    plain, declared = rises(name)
    for strategy in plain, declared:
        certificate = check(strategy, bars)
        assert certificate.passed, str(certificate)


def test_no_indicator_raises_a_false_alarm_on_real_prices(bundled):
    keys = {name: name.replace(", ", "_").replace(" ", "_") for name in EVERY}
    members = IndicatorSet({key: readable(name) for name, key in keys.items()})

    def rule(now, before, held):
        votes = [np.sign(a - b) for key in keys.values() for a, b in zip(outputs(now[key]), outputs(before[key]), strict=True)]
        return np.nanmean([np.zeros(len(held)), *votes], axis=0)

    certificate = check(Strategy("all rise", members, rule), bundled)
    assert certificate.passed, str(certificate)


@pytest.mark.parametrize("strategy", [
    examples.trend_and_rsi, examples.cross_sectional_momentum, examples.bollinger_reversion,
    functools.partial(examples.bollinger_reversion, short=True), examples.breakout_with_atr, examples.declared_trend_and_rsi(),
    examples.declared_bollinger_reversion(), examples.declared_breakout_with_atr(),
], ids=lambda each: getattr(each, "name", None) or getattr(each, "__name__", "partial"))  # fmt: skip
def test_the_examples_pass(strategy, bundled):
    bars = random_bars(5, n_symbols=4, n_bars=330)
    assert check(strategy, bars).passed
    assert check(strategy, bundled if isinstance(strategy, Strategy) else bundled.tail(300)).passed
