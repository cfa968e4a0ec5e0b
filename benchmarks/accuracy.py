"""Rolling mean, deviation and correlation of prices that break rolling sums, beside the truth in exact arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import talib

from benchmarks.measure import Row, limit
from toolkit.signals import indicators as ta
from toolkit.signals.declared import alone
from toolkit.testing.hostile import exact_deviation, exact_mean, hostile_series, judged, true_correlation, truth

WINDOW, ALLOWED = 20, 4e-15
SAMPLE = np.sqrt(WINDOW / (WINDOW - 1))  # from the population's deviation, TA-Lib's, to the sample's


def accuracy_rows() -> Iterator[Row]:
    """The largest error over the windows of seven hostile series, relative for mean and deviation; TA-Lib's beside it."""
    healthy = 100.0 + np.random.default_rng(4).normal(size=1200)
    for case, x in hostile_series().items():
        sides = {
            "mean": (ta.sma(WINDOW), truth(x, WINDOW, exact_mean), talib.SMA(x, WINDOW)),
            "deviation": (ta.rolling_std(WINDOW), truth(x, WINDOW, exact_deviation), talib.STDDEV(x, WINDOW) * SAMPLE),
            "correlation": (
                ta.rolling_correlation(WINDOW), true_correlation(x, healthy, WINDOW), talib.CORREL(x, healthy, WINDOW)
            ),
        }  # fmt: skip
        for name, (what, true, theirs) in sides.items():
            inputs = (x, healthy)[: len(what.inputs)]
            ours = alone(what.formula, len(what.inputs)).row(*inputs)[0]
            error, lost = judged(ours, true, absolute=name == "correlation")
            peer, gone = judged(theirs, true, absolute=name == "correlation")
            said = f"rolling {name}, {case} (TA-Lib {peer:.2g}{f', {gone} lost' if gone else ''})"
            yield limit(said, 1.0 if lost else error, "allowed", ALLOWED, "")
