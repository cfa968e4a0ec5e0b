"""The figure of leaks marks the bars that leak, and no others."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from conftest import random_bars
from toolkit.errors import InvalidParameter
from toolkit.plots.causality import leaks
from toolkit.signals.causality.certification import certify


def test_every_leaking_bar_has_its_mark():
    bars = random_bars(1, n_symbols=2, n_bars=50, halts=False, actions=False)

    def ahead_on_fridays(bars):
        scores = np.sign(bars.close.diff())
        return scores.where(bars.index.day_of_week.to_numpy()[:, None].repeat(2, axis=1) != 4, np.sign(-bars.close.diff(-1)))

    certificate = certify(ahead_on_fridays, bars, state=False, progress=False)
    ax = leaks(certificate, bars)
    for symbol, marks in enumerate(ax.collections[:2]):
        fridays = np.flatnonzero(bars.index.day_of_week == 4)[:-1]  # the last bar has no opinion either way
        assert marks.get_positions() == fridays.tolist() and marks.get_lineoffset() == symbol
    assert [text.get_text() for text in ax.texts] == ["18.0%", "18.0%"]
    with pytest.raises(InvalidParameter, match="of other bars .50, 2011-01-03 to 2011-03-11.; pass the bars"):
        leaks(certificate, bars.tail(20))
    plt.close("all")
