"""A strategy that is shown the first bars has no way from them to the bars that follow."""

import numpy as np
import pandas as pd
import pytest
from suspects import check, kinds, quiet, unit

from conftest import random_bars
from toolkit.signals.causality.apart import apart

WAYS_OUT = {
    "adjusted prices of the whole": lambda bars: bars.whole.adjusted[3],
    "traded prices of the whole": lambda bars: bars.whole._traded[3],
    "what an array is a view of": lambda bars: rooted(bars.traded)[3],
    "what a frame is a view of": lambda bars: rooted(bars.close.to_numpy()).reshape(len(bars.symbols), -1),
    "what lies behind an array": lambda bars: np.lib.stride_tricks.as_strided(bars.traded[3], (3, len(bars) + 1)),
}  # fmt: skip


def rooted(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_prefix_leads_to_the_bars_that_follow(way):
    def strategy(bars):
        ahead = WAYS_OUT[way](bars)
        ahead = unit(np.diff(ahead, axis=1, append=ahead[:, -1:]))[:, : len(bars)]
        return pd.DataFrame(ahead.T, index=bars.index, columns=list(bars.symbols))

    assert kinds(strategy, quiet(n_bars=60)) == {"FUTURE"}


@pytest.mark.parametrize("count", [
    lambda bars: len(bars.whole.chain), lambda bars: len(bars.whole.known), lambda bars: rooted(bars.scale).shape[-1],
    lambda bars: len(rooted(bars.index.asi8)), lambda bars: len(rooted(bars.actions)),
], ids=["chain", "known", "scale", "index", "actions"])  # fmt: skip
def test_no_prefix_tells_how_many_bars_or_actions_follow(count):
    bars = random_bars(3, n_symbols=2, n_bars=60)
    assert len(bars.actions) > 2
    certificate = check(lambda bars: bars.close * 0.0 + count(bars) / 1000.0, bars)
    assert certificate.kinds == ("FUTURE",)


def test_a_prefix_has_the_bits_of_the_whole():
    bars = random_bars(3, n_symbols=4, n_bars=50)
    for n in 1, 20, 50:
        alone = apart(bars, n)
        np.testing.assert_array_equal(alone.adjusted, bars.adjusted[:, :, :n])
        np.testing.assert_array_equal(alone.traded * alone.scale[[0, 0, 0, 0, 1]], alone.adjusted)
        assert alone.index.equals(bars.index[:n]) and (alone.known_at == bars.known_at[:n]).all()
        assert alone.fingerprint == bars.rows(0, n).fingerprint
        assert not any(np.shares_memory(alone.traded, each) for each in (bars.traded, bars.adjusted))
        assert not any(array.flags.writeable for array in (alone.traded, alone.scale, alone.actions, alone.adjusted))
