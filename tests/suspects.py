"""Markets and checks by which the tests tell a strategy that sees ahead from one that does not."""

import functools

import numpy as np

from conftest import random_bars
from toolkit.signals.causality.certification import certify

check = functools.partial(certify, state=False, progress=False)


def kinds(strategy, bars):
    return set(check(strategy, bars).kinds)


def quiet(seed=1, n_symbols=3, n_bars=90):
    """A market without halts and actions, so that what is expected can be read off the definition."""
    return random_bars(seed, n_symbols=n_symbols, n_bars=n_bars, halts=False, actions=False)


def unit(frame):
    """Any numbers brought into [-1, 1], one by one."""
    return np.sign(frame)
