"""A backtest is drawn as it was: curves, exposure, and trips where they began and ended."""

import json

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from accounts import DEAR, OPEN, market, traded, wild
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from conftest import random_bars
from toolkit import plots
from toolkit.cycle.backtest import backtest
from toolkit.errors import InvalidParameter, InvalidSymbol

RISING = [(10, 10, 10, 10), (11, 11, 11, 11), (12, 12, 12, 12), (14, 14, 14, 14), (13, 13, 13, 13), (12, 12, 12, 12)]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result():
    return backtest(wild(0), random_bars(0), limits=OPEN, costs=DEAR, cash=50_000.0)


def labelled(artists, label):
    return next(artist for artist in artists if artist.get_label() == label)


def trips_of(weights):
    return traded(market(RISING), weights).on_price()


def test_a_tearsheet_is_equity_drawdown_exposure_and_trades(result):
    fig = result.plot("S1")
    assert isinstance(fig, Figure) and plt.get_fignums() == []
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["Equity", "Drawdown", "Exposure", "Trades in S1"]
    upper, lower, _, _ = fig.axes
    frame = result.to_frame()
    np.testing.assert_array_equal(labelled(upper.lines, "equity").get_ydata(), frame["equity"])
    np.testing.assert_array_equal(labelled(upper.lines, "held equally").get_ydata(), frame["benchmark"])
    np.testing.assert_allclose(lower.lines[0].get_ydata(), frame["drawdown"])


def test_all_panels_share_their_bars_and_only_the_last_one_names_them(result):
    fig = result.plot()
    fig.canvas.draw()
    assert len({ax.get_xlim() for ax in fig.axes}) == 1
    named = [[text.get_text() for text in ax.get_xticklabels() if text.get_visible()] for ax in fig.axes]
    assert named[:3] == [[], [], []] and "2011-01-03" in named[3]


def test_nothing_of_a_tearsheet_overlaps_at_80_dpi(result):
    fig = result.plot()
    fig.set_dpi(80)
    FigureCanvasAgg(fig).draw()
    boxes = [ax.get_tightbbox() for ax in fig.axes]
    assert all(above.y0 >= below.y1 for above, below in zip(boxes, boxes[1:]))
    assert all(box.x0 >= 0 and box.x1 <= fig.bbox.x1 for box in boxes)


def test_exposure_is_gross_as_an_area_and_net_as_a_line():
    days = pd.bdate_range("2012-01-02", periods=3)
    ax = plots.exposure(pd.DataFrame({"gross": [0.0, 0.9, 1.2], "net": [0.0, 0.3, -1.2]}, days))
    assert labelled(ax.lines, "net").get_ydata().tolist() == [0.0, 0.3, -1.2]
    (area,) = ax.collections
    assert {y for path in area.get_paths() for y in path.vertices[:, 1]} == {0.0, 0.9, 1.2}


def test_a_trip_is_a_line_from_entry_to_exit_in_the_colour_of_its_outcome():
    ax = plots.round_trips(*trips_of([0.5, 0, -0.5, 0, 0, 0]))  # long from 11 to 12, then short from 14 to 13
    gains = labelled(ax.collections, "gain")
    assert [segment.tolist() for segment in gains.get_segments()] == [[[1, 11], [2, 12]], [[3, 14], [4, 13]]]
    assert to_hex(gains.get_color()[0]).upper() == plots.style.BLUE
    assert labelled(ax.collections, "long").get_offsets().tolist() == [[1, 11]]
    assert labelled(ax.collections, "short").get_offsets().tolist() == [[3, 14]]
    assert "loss" not in [drawn.get_label() for drawn in ax.collections]


def test_an_open_trip_leads_to_the_last_price():
    ax = plots.round_trips(*trips_of([0, 0, 0.5, 0.5, 0.5, 0.5]))
    assert labelled(ax.collections, "loss").get_segments()[0].tolist() == [[3, 14], [5, 12]]


def test_a_steep_price_has_a_logarithmic_axis_with_plain_numbers():
    close = pd.Series([10.0, 20.0, 100.0], pd.bdate_range("2012-01-02", periods=3), name="A")
    none = trips_of([0.0] * 6)[1]
    ax = plots.round_trips(close, none)
    ax.figure.canvas.draw()
    assert ax.get_yscale() == "log" and {"10", "20", "50", "100"} <= {t.get_text() for t in ax.get_yticklabels()}
    assert plots.round_trips(close.iloc[:2], none).get_yscale() == "linear"


@pytest.mark.parametrize("weights", [[0.0] * 6, [0.5] * 6])
def test_accounts_that_never_traded_or_never_left_can_be_drawn(weights):
    assert len(traded(market(RISING), weights).plot().axes) == 4


def test_one_bar_can_be_drawn():
    assert len(traded(market(RISING[:1]), [0.5]).plot().axes) == 4


def test_a_ruined_account_is_drawn_up_to_its_ruin():
    rows = [(10, 10, 10, 10)] * 3 + [(25, 25, 25, 25)] * 3
    upper, _, _, trips = traded(market(rows), [-1.0] * 6).plot().axes
    assert labelled(upper.lines, "equity").get_ydata().tolist() == [10_000, 10_000, 10_000, -5_000]
    assert len(labelled(trips.lines, "close").get_ydata()) == 6


def test_fingerprints_tell_one_backtest_from_another_and_repeat(result):
    other = backtest(wild(1), random_bars(0), limits=OPEN, costs=DEAR, cash=50_000.0)
    one, two = (json.dumps(plots.fingerprint(result.plot())) for _ in range(2))
    assert one == two and "NaN" not in one
    assert json.dumps(plots.fingerprint(other.plot())) != one


def test_axes_that_are_brought_are_used_and_returned(result):
    mine = plt.subplots()[1]
    assert plots.exposure(result.exposure, mine) is mine
    assert plots.round_trips(*result.on_price("S0"), mine) is mine


def test_what_cannot_be_drawn_is_refused_with_a_sentence(result):
    with pytest.raises(InvalidSymbol, match="symbol 'MSFT' is not among S0, S1, S2, S3"):
        plots.tearsheet(result, "MSFT")
    with pytest.raises(InvalidParameter, match="no column gross, net; pass result.to_frame"):
        plots.exposure(result.positions)
    with pytest.raises(InvalidParameter, match="trades have no column left, profit"):
        plots.round_trips(result.bars.close["S0"], result.trades.drop(columns=["left", "profit"]))
