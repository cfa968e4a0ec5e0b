"""The page of a risk report draws the numbers of the report, and refuses an empty one."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from conftest import random_bars
from toolkit.errors import InvalidParameter
from toolkit.plots import fingerprint
from toolkit.plots.risk import correlations, risk_page, risk_shares, room, stress_bars, tail_bars, var_band
from toolkit.risk import Limit, risk_report

BOOK = {"AAPL": 40_000.0, "GOOG": 10_000.0, "IBM": 30_000.0, "MSFT": -20_000.0}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def report(bundled):
    limits = [Limit("leverage", 0.8), Limit("var_95", 0.1)]
    return risk_report(bundled, BOOK, 100_000.0, benchmark="IBM", limits=limits)


def heights(ax, at):
    return [bar.get_height() for bar in ax.containers[at]]


def test_the_page_is_one_figure_with_all_panels_and_the_same_every_time(report):
    page = report.plot()
    titles = [ax.get_title(loc="left") for ax in page.axes]
    assert len(titles) == 7 and all(titles)
    assert fingerprint(page) == fingerprint(risk_page(report))


def test_bars_are_weights_and_shares_of_the_loss(report):
    ax = risk_shares(report)
    assert heights(ax, 0) == pytest.approx([0.4, 0.1, 0.3, -0.2])
    assert sum(heights(ax, 1)) == pytest.approx(1.0)


def test_each_method_has_its_four_losses(report):
    ax = tail_bars(report.tails)
    drawn = {bars.get_label(): [bar.get_height() for bar in bars] for bars in ax.containers}
    assert drawn == {name: pytest.approx(values.tolist()) for name, values in report.tails.items()}


def test_the_worst_scenario_stands_at_the_top(report):
    ax = stress_bars(report.stress["return"])
    assert ax.get_yticklabels()[-1].get_text() == report.stress["return"].idxmin()
    assert ax.patches[-1].get_width() == pytest.approx(report.stress["return"].min())


def test_what_lost_more_than_its_var_is_marked(report):
    path = report.var_path("filtered")
    marked = next(line for line in var_band(path).get_lines() if line.get_label().startswith("worse"))
    assert len(marked.get_xdata()) == report.backtest.loc[("filtered", 0.95), "exceeded"]
    assert (marked.get_ydata() < 0.0).all()


def test_correlations_are_written_into_their_fields(report):
    texts = [text.get_text() for text in correlations(report.correlation.matrix).texts]
    assert texts[:2] == ["1.00", f"{report.correlation.matrix.iloc[0, 1]:.2f}"] and len(texts) == 16
    many = pd.DataFrame(np.eye(20), columns=range(20))
    assert not correlations(many).texts


def test_a_broken_limit_is_another_colour_and_an_unknown_one_is_broken():
    ax = room(pd.Series([0.5, 1.2, np.nan], index=["leverage", "var_95", "beta"]))
    kept, broken, unknown = (bar.get_facecolor() for bar in ax.patches)
    assert kept != broken == unknown
    assert [text.get_text() for text in ax.get_yticklabels()] == ["Leverage", "VaR 95%", "Beta"]


def test_a_page_of_a_short_history_says_so_and_one_of_nothing_is_refused():
    bars = random_bars(0, n_bars=70)
    page = risk_report(bars, {"S0": 5.0, "S1": -5.0}, 10.0).plot()
    page.canvas.draw()
    assert any("the history is too short" in ax.get_title(loc="left") for ax in page.axes)
    risk_report(bars.tail(2), {"S0": 5.0}, 10.0).plot().canvas.draw()
    with pytest.raises(InvalidParameter, match="nothing is held"):
        risk_report(bars, {}, 10.0).plot()
