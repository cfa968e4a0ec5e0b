"""Promises of the kernels themselves: one compilation each, inside their arrays, the same as plain Python."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.kernels import recursive, windows
from toolkit.signals import bollinger, ema, macd, rolling_max, rolling_min, rolling_std, rsi, sma
from toolkit.signals.panels import panel

CALLS = [
    lambda x: sma(x, 5),
    lambda x: rolling_std(x, 5),
    lambda x: rolling_max(x, 5),
    lambda x: rolling_min(x, 5),
    lambda x: ema(x, 5),
    lambda x: rsi(x, 5),
    lambda x: macd(x, 2, 5, 3),
    lambda x: bollinger(x, 5),
]

EVERY_KERNEL = """
import sys
import numpy as np
from toolkit.kernels import recursive, windows
import toolkit.signals
compiled = [k for m in (windows, recursive) for k in vars(m).values() if getattr(k, "signatures", None)]
sys.exit(f"compiled at import: {compiled}") if compiled else None
for n_bars in range(0, 14):
    x = np.random.default_rng(n_bars).normal(100.0, 1.0, (3, n_bars))
    x[1, ::4] = np.nan
    x.flags.writeable = False
    out, second, third = np.empty(x.shape), np.empty(x.shape), np.empty(x.shape)
    for window in range(1, 17):
        tails, more = np.empty(min(window, n_bars)), np.empty(min(window, n_bars))
        windows.mean(x, window, out, tails)
        windows.deviation(x, window, 0, out, tails, more)
        windows.extreme(x, window, 1.0, out, tails, more)
        recursive.ema(x, window, out)
        recursive.rsi(x, window, out)
        recursive.atr(x, x, x, window, out)
        recursive.macd(x, window, window + 1, 2, out, second, third)
"""


def dispatchers():
    return {
        f"{module.__name__}.{name}": kernel
        for module in (windows, recursive)
        for name, kernel in vars(module).items()
        if isinstance(kernel, numba.core.registry.CPUDispatcher)
    }


def test_a_kernel_compiles_once_whatever_the_memory_it_is_given():
    block = np.arange(240.0).reshape(3, 80)
    frozen = block.copy()
    frozen.flags.writeable = False
    writable = pd.DataFrame(block.T, copy=False)
    for close in (
        writable,
        pd.DataFrame(frozen.T, copy=False),
        writable.iloc[:50],
        writable.iloc[::3, ::2],
        pd.DataFrame(np.ascontiguousarray(block.T), copy=False),
        writable[1],
        writable[1].iloc[::2],
        writable.astype("float32"),
    ):
        for call in CALLS:
            call(close)
    counts = {name: len(kernel.signatures) for name, kernel in dispatchers().items()}
    assert {name: n for name, n in counts.items() if n > 1} == {}
    assert counts["toolkit.kernels.windows.mean"] == counts["toolkit.kernels.recursive.macd"] == 1


def test_memory_that_is_not_aligned_is_copied():
    """Numba takes every array for aligned; a mapped file or a slice of bytes need not be."""
    shifted = pd.Series(np.frombuffer(b"x" + np.arange(80.0).tobytes(), offset=1), copy=False)
    assert not shifted.to_numpy().flags.aligned and panel(shifted).flags.aligned
    assert sma(shifted, 2).tolist()[1:] == (np.arange(79.0) + 0.5).tolist()


def test_bars_reach_a_kernel_without_a_copy_and_cannot_be_written(bundled):
    rows = panel(bundled.close)
    assert np.shares_memory(rows, bundled.adjusted) and not rows.flags.writeable


def test_importing_compiles_nothing_and_no_kernel_leaves_its_arrays(tmp_path):
    """In a process of its own, with numba's bounds checks and a cache folder of its own."""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", EVERY_KERNEL], env=environment, cwd=root, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr


@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100), st.floats(-1e100, 1e100))
@settings(max_examples=300, deadline=None)
def test_fma_rounds_once(a, b, c):
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0 or abs(exact) > Fraction(1, 2**1000):
        assert one_fma(a, b, c) == float(exact)


@numba.njit
def one_fma(a, b, c):
    return recursive.fma(a, b, c)


@pytest.mark.parametrize("window", [1, 2, 3, 7, 40, 41, 60])
def test_mean_and_extremes_of_every_window_length_are_their_definition(window):
    values = np.random.default_rng(window).integers(-50, 50, 60).astype(float)
    close = pd.Series(values)
    held = [values[max(end - window, 0) : end] for end in range(window, 61)]
    assert rolling_max(close, window).tolist()[window - 1 :] == [w.max() for w in held]
    assert rolling_min(close, window).tolist()[window - 1 :] == [w.min() for w in held]
    np.testing.assert_allclose(sma(close, window).tolist()[window - 1 :], [w.mean() for w in held], rtol=1e-13, atol=1e-14)
