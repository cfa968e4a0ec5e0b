"""Figures draw what they are given, in Axes that the caller may bring, and fingerprints tell one plot from another."""

import base64
import itertools
import json
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from toolkit import plots
from toolkit.errors import InvalidParameter
from toolkit.plots import display, panel
from toolkit.plots.cycles import ceiling
from toolkit.plots.style import canvas, tidy

DAYS = pd.bdate_range("2012-01-03", periods=5)
PRICES = pd.DataFrame(
    {
        "open": [10.0, 11.0, 12.0, 11.0, 10.5],
        "high": [11.5, 12.5, 12.5, 11.5, 11.0],
        "low": [9.5, 10.5, 10.5, 10.0, 10.0],
        "close": [11.0, 12.0, 11.0, 10.5, 10.5],
    },
    DAYS,
)


@pytest.fixture
def telemetry():
    n = 4
    phases = ("data_fetch_time", "signal_generation_time", "risk_calculation_time", "execution_time")
    times = dict.fromkeys(phases, np.full(n, 0.002))
    counts = {"bars_hits": [0, 5, 5, 5], "bars_misses": [5, 0, 0, 0], "indicators_hits": [0, 0, 1, 1]}
    counts |= {"indicators_misses": [1, 1, 0, 0], "account_hits": [0] * n, "account_misses": [0] * n}
    money = {"equity": [100.0, 110.0, 99.0, 120.0], "benchmark": [100.0, 101.0, 102.0, 103.0]}
    rates = {"cache_hit_rate": [0.0, 5 / 6, 1.0, 1.0], "total_cycle_time": [1.0, 0.010, 0.010, 0.010]}
    return pd.DataFrame({"session": DAYS[:n], **times, **counts, **money, **rates})


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def line(ax, label):
    return next(drawn for drawn in ax.get_lines() if drawn.get_label() == label)


def test_a_candle_spans_open_to_close_and_its_wick_low_to_high():
    ax = plots.candles(PRICES)
    wicks, bodies = ax.collections
    ends = np.array([segment[:, 1] for segment in wicks.get_segments()])
    assert ends.tolist() == PRICES[["low", "high"]].to_numpy().tolist()
    spans = [sorted({*path.vertices[:, 1]}) for path in bodies.get_paths()]
    assert spans == [[10.0, 11.0], [11.0, 12.0], [11.0, 12.0], [10.5, 11.0], [10.5]]
    up = [tuple(colour) == matplotlib.colors.to_rgba("#0072B2") for colour in bodies.get_facecolor()]
    assert up == [True, True, False, False, True]


def test_a_bar_without_prices_leaves_a_gap_and_moves_no_other():
    holed = PRICES.copy()
    holed.iloc[2, 0] = np.nan
    (wicks, _) = plots.candles(holed).collections
    assert [segment[0, 0] for segment in wicks.get_segments()] == [0, 1, 3, 4]


def test_bars_of_several_symbols_need_a_name_and_a_frame_its_columns():
    frames = {field: pd.DataFrame({"AAPL": PRICES[field], "IBM": 2 * PRICES[field]}) for field in PRICES}
    bars = SimpleNamespace(symbols=("AAPL", "IBM"), **frames)
    assert plots.candles(bars, "IBM").get_title(loc="left") == "IBM"
    with pytest.raises(InvalidParameter, match="symbol is None, and the bars hold AAPL, IBM"):
        plots.candles(bars)
    with pytest.raises(InvalidParameter, match="no column high, low"):
        plots.candles(PRICES[["open", "close"]])


def test_marks_stand_where_the_score_enters_and_leaves_the_market():
    scores = pd.Series([np.nan, 1.0, 1.0, -0.5, 0.0], DAYS)
    ax = plots.signal_overlay(PRICES["close"], scores, overlays={"mean": PRICES["close"].rolling(2).mean()})
    assert line(ax, "entry").get_xdata().tolist() == [1, 3]
    assert line(ax, "exit").get_xdata().tolist() == [3, 4]
    assert line(ax, "exit").get_ydata().tolist() == [10.5, 10.5]
    shaded = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches]
    assert shaded == [(1.0, 3.0), (3.0, 4.0)]
    assert len(line(ax, "mean").get_ydata()) == 5


def test_an_overlay_of_a_whole_panel_is_refused():
    with pytest.raises(InvalidParameter, match="close is a DataFrame; pass the series of one symbol"):
        plots.signal_overlay(PRICES, PRICES["close"])


def test_drawdown_below_equity_is_the_fraction_lost_since_the_peak(telemetry):
    run = telemetry.set_index("session")
    upper, lower = plots.equity(run["equity"], run["benchmark"])
    assert line(upper, "equity").get_ydata().tolist() == [100.0, 110.0, 99.0, 120.0]
    np.testing.assert_allclose(lower.get_lines()[0].get_ydata(), [0.0, 0.0, -0.1, 0.0])


def test_hit_rates_are_cumulative_by_cache_and_a_cache_never_asked_has_no_line(telemetry):
    ax = plots.hit_rate(telemetry)
    np.testing.assert_allclose(line(ax, "bars").get_ydata(), [0, 5 / 10, 10 / 15, 15 / 20])
    np.testing.assert_allclose(line(ax, "indicators").get_ydata(), [0, 0, 1 / 3, 2 / 4])
    np.testing.assert_allclose(line(ax, "all").get_ydata(), [0, 5 / 12, 11 / 18, 17 / 24])
    assert "account" not in [drawn.get_label() for drawn in ax.get_lines()]


def test_phases_are_stacked_up_to_the_total_in_milliseconds(telemetry):
    ax = plots.cycle_times(telemetry)
    tops = [patch.get_data().values for patch in ax.patches]
    np.testing.assert_allclose([top[1] for top in tops], [2, 4, 6, 8, 10])
    assert line(ax, "_p50").get_ydata()[0] == 10.0
    assert ax.get_title(loc="left") == "Cycle time" and ax.get_ylabel() == "milliseconds"


def test_a_slow_first_cycle_does_not_flatten_the_others():
    times = np.r_[1281.0, np.full(251, 10.0)]
    assert ceiling(times) == 17.0
    assert ceiling(np.array([0.0])) == 1.0


def test_a_run_of_one_cycle_can_be_drawn(telemetry):
    assert len(plots.dashboard(telemetry.iloc[:1]).axes) == 4


@pytest.mark.parametrize("draw", [plots.hit_rate, plots.cycle_times])
def test_axes_that_are_brought_are_used_and_returned(draw, telemetry):
    mine = plt.subplots()[1]
    assert draw(telemetry, mine) is mine
    assert isinstance(draw(telemetry), Axes)


def test_a_fingerprint_is_json_and_repeats_for_the_same_data(telemetry):
    one, two = (json.dumps(plots.fingerprint(plots.dashboard(telemetry))) for _ in range(2))
    assert one == two and "NaN" not in one


@pytest.mark.parametrize(
    "draw",
    [
        lambda scale: plots.candles(PRICES * [1, scale, 1, 1]),
        lambda scale: plots.signal_overlay(PRICES["close"] * scale, PRICES["close"]),
        lambda scale: plots.equity(PRICES["close"] * scale)[0],
        lambda scale: plt.subplots()[1].scatter([1, 2], [3, 4 * scale]).axes,
        lambda scale: plt.subplots()[1].bar([1, 2], [3, 4 * scale])[0].axes,
    ],
)
def test_a_change_of_one_in_a_thousand_changes_the_fingerprint(draw):
    assert plots.fingerprint(draw(1.0).figure) != plots.fingerprint(draw(1.001).figure)


def test_rounding_noise_does_not_change_the_fingerprint():
    def noisy(noise):
        ax = plt.subplots()[1]
        ax.plot([1.0 + noise, noise, -1.0])
        return plots.fingerprint(ax.figure)

    assert noisy(0.0) == noisy(3e-16) == noisy(-3e-16)


def test_fingerprints_leave_out_the_values_of_timings(telemetry):
    slower = telemetry.assign(total_cycle_time=telemetry["total_cycle_time"] * 2)
    assert plots.fingerprint(plots.dashboard(telemetry)) == plots.fingerprint(plots.dashboard(slower))
    richer = telemetry.assign(equity=telemetry["equity"] * 2)
    assert plots.fingerprint(plots.dashboard(telemetry)) != plots.fingerprint(plots.dashboard(richer))
    upper = plots.equity(telemetry["equity"].set_axis(telemetry["session"]))[0]
    assert "first_last" not in json.dumps(plots.fingerprint(upper.figure, timings=True))


def test_the_same_figure_gives_the_same_bytes():
    one, two = (base64.b64decode(display.png(plots.candles(PRICES).figure)) for _ in range(2))
    assert one == two and one.startswith(b"\x89PNG")


def test_outside_of_ipython_nothing_is_displayed(capsys):
    plots.show(plots.candles(PRICES))
    assert capsys.readouterr().out == "" and plt.get_fignums() == []


def report(n):
    counts = {"orders": 1, "fills": 2, "denials": 0}
    day = DAYS[0] + pd.Timedelta(days=n)
    return SimpleNamespace(session=day, equity=100.0 + n, total_cycle_time=0.01, cache_hit_rate=0.5, **counts)


class Screen:
    """A notebook's display: what stands on it, and how often it was drawn on."""

    def __init__(self):
        self.bundles, self.draws = [], 0

    def __call__(self, bundle):
        self.bundles.append(bundle)
        self.draws += 1
        at = len(self.bundles) - 1
        return SimpleNamespace(update=lambda new, raw: self.put(at, new))

    def put(self, at, bundle):
        self.bundles[at] = bundle
        self.draws += 1


def test_the_panel_redraws_once_in_its_interval_and_ends_with_the_last_state():
    screen, ticks = Screen(), itertools.count()
    with plots.LivePanel(total=20, every=10.0, monotonic=lambda: next(ticks), screen=screen) as live:
        for n in range(20):
            live.update(report(n))
        assert screen.draws == 2 * 2  # two displays at the first cycle, and again ten readings of the clock later
    assert screen.draws == 2 * 3
    chart, line = screen.bundles
    assert set(chart) == {"image/png", "text/plain"}
    assert line[panel.PROGRESS_MIME] == {"done": 20, "total": 20}
    assert '<progress value="20" max="20">' in line["text/html"]
    assert line["text/plain"] == (
        "cycle 20 of 20 · 2012-01-22 · equity $119 · orders 20 · fills 40 · denials 0 · mean hit rate 50%"
    )


def test_the_panel_marks_its_time_and_nothing_else_varies():
    screen = Screen()
    with plots.LivePanel(every=0.0, screen=screen) as live:
        live.update(report(0))
    html = screen.bundles[1]["text/html"]
    assert html.endswith('p50 <span class="t">≈10 ms</span></div>') and "<progress" not in html


def test_an_interrupt_still_draws_the_last_state():
    screen = Screen()
    with pytest.raises(KeyboardInterrupt), plots.LivePanel(total=9, every=1e9, screen=screen) as live:
        live.update(report(0))
        live.update(report(1))
        raise KeyboardInterrupt
    assert screen.bundles[1][panel.PROGRESS_MIME] == {"done": 2, "total": 9}


def test_a_panel_that_never_saw_a_cycle_shows_nothing():
    screen = Screen()
    with plots.LivePanel(total=9, screen=screen):
        pass
    assert screen.draws == 0


def test_dates_stand_below_their_ticks():
    days = pd.DatetimeIndex(["2012-01-03", "2012-01-04", "2012-03-06", "2012-06-07"])  # no frequency: pandas turns the labels
    drawn = pd.Series(range(4), days).plot(ax=canvas())
    assert {label.get_ha() for label in drawn.get_xticklabels()} == {"right"}
    drawn = tidy(drawn)
    drawn.set_xlim(days[0], days[-1] + pd.Timedelta("400D"))  # other ticks take after those that were there
    assert {(label.get_ha(), label.get_rotation()) for label in drawn.get_xticklabels()} == {("center", 0.0)}
    plt.close(drawn.figure)
