"""The figures of a signal draw what the study found, and the panel is widgets for a person and a figure for a program."""

import base64
import sys
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel
from matplotlib.figure import Figure

from conftest import random_bars
from toolkit.errors import InvalidParameter, InvalidWindow
from toolkit.plots.display import FIGURE_MIME
from toolkit.plots.explore import decay_curve, panel, quantile_bars, study_sheet, turnover_line
from toolkit.risk.study import decay, returns_by_quantile, turnover
from toolkit.signals import declared_trend_and_rsi, trend_and_rsi, zscore

WINDOWS = {"fast": range(3, 8), "slow": [10, 20, 30]}


@pytest.fixture(scope="module")
def bars():
    return random_bars(7, n_symbols=3, n_bars=300)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def slider(box, name):
    return next(each for each in box.children[0].children if each.description == name)


def titles(fig):
    return [ax.get_title(loc="left") for ax in fig.axes]


def test_bars_stand_as_high_as_the_means_and_their_lines_reach_from_low_to_high(bars):
    table = returns_by_quantile(zscore(bars.close, 20), bars, 5, 4, "symbol", 60, samples=50)
    ax = quantile_bars(table)
    assert np.allclose([patch.get_height() for patch in ax.patches], table["mean"])
    ends = np.array([segment[:, 1] for segment in ax.collections[0].get_segments()])
    assert np.allclose(ends, table[["low", "high"]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "3", "4", "top - bottom"]
    assert ax.get_title(loc="left") == "Return over the next 5 bars, 95% interval"
    assert ax.get_xlabel() == "quantile in its symbol's past" and ax.get_ylabel() == "mean return"


def test_the_curve_of_decay_is_the_table(bars):
    table = decay(zscore(bars.close, 20), bars, [1, 5, 21], "symbol", samples=50)
    ax = decay_curve(table)
    assert ax.get_lines()[0].get_ydata().tolist() == table["ic"].tolist()
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == table["high"].max() and band.min() == table["low"].min()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "5", "21"]


def test_the_line_of_turnover_ends_at_the_mean_of_its_last_bars(bars):
    traded = turnover(trend_and_rsi(bars))
    ax = turnover_line(traded, smooth=20)
    assert ax.get_lines()[0].get_ydata()[-1] == pytest.approx(traded.iloc[-20:].mean())
    assert set(ax.get_lines()[1].get_ydata()) == {traded.mean()}


def test_the_sheet_says_what_its_scores_are_compared_with(bars):
    below = [fig.axes[1].get_xlabel() for fig in (study_sheet(bars, each, samples=20) for each in scores_of(bars))]
    assert below == ["score", "quantile in its symbol's past"]
    many = random_bars(8, n_symbols=6, n_bars=120)
    assert study_sheet(many, zscore(many.close, 20), samples=20).axes[1].get_xlabel() == "quantile among the symbols of its bar"


def scores_of(bars):
    return trend_and_rsi(bars), zscore(bars.close, 20)


def test_every_axes_of_the_sheet_has_a_title_and_units(bars):
    fig = study_sheet(bars, trend_and_rsi(bars), "S1", samples=20)
    assert titles(fig) == ["S1", "Return over 5 bars", "Decay, 95% interval", "Turnover, mean of 63 bars"]
    assert all(ax.get_ylabel() for ax in fig.axes) and fig.axes[0].get_ylabel() == f"adjusted price, {bars.currency}"
    with pytest.raises(InvalidParameter, match="symbol is 'XYZ'; pass one of S0, S1, S2"):
        study_sheet(bars, trend_and_rsi(bars), "XYZ")


def test_a_sheet_shows_itself_with_a_picture_and_a_fingerprint_of_its_values(bars):
    one, other = (study_sheet(bars, scores, samples=20)._repr_mimebundle_() for scores in scores_of(bars))
    assert base64.b64decode(one["image/png"])[:4] == b"\x89PNG" and one["text/plain"] == "<Figure with 4 axes>"
    assert one[FIGURE_MIME] != other[FIGURE_MIME]
    again = study_sheet(bars, trend_and_rsi(bars), samples=20)._repr_mimebundle_()
    assert again[FIGURE_MIME] == one[FIGURE_MIME]


# ------------------------------------------------------------------------------------------------------------- the panel
def test_without_a_front_end_the_panel_is_the_figure_of_the_defaults(bars):
    fig = panel(bars, declared_trend_and_rsi, **WINDOWS)
    assert isinstance(fig, Figure) and fig.get_suptitle() == "fast=5, slow=20"
    assert titles(fig)[0] == "S0"
    expected = study_sheet(bars, trend_and_rsi(bars, fast=5, slow=20), title="fast=5, slow=20")
    assert fig._repr_mimebundle_()[FIGURE_MIME] == expected._repr_mimebundle_()[FIGURE_MIME]


def test_without_ipywidgets_a_person_gets_the_figure_and_is_told(bars, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # what Python does with a module that is not there
    assert isinstance(panel(bars, declared_trend_and_rsi, live=True, **WINDOWS), Figure)
    assert "ipywidgets is not installed" in caplog.text


def test_a_moved_slider_and_another_symbol_draw_anew(bars):
    box = panel(bars, declared_trend_and_rsi, live=True, **WINDOWS)
    controls, refused, picture = box.children
    assert [each.description for each in controls.children] == ["symbol", "fast", "slow"]
    seen = [picture.value]
    slider(box, "slow").value = 30
    seen.append(picture.value)
    slider(box, "symbol").value = "S2"
    seen.append(picture.value)
    assert len(set(seen)) == 3 and all(value[:4] == b"\x89PNG" for value in seen) and refused.value == ""


def test_what_the_strategy_refuses_is_said_and_the_picture_stays(bars):
    box = panel(bars, lambda fast, slow=20: partial(trend_and_rsi, fast=fast, slow=slow), live=True, fast=[3, 5, 25])
    _, refused, picture = box.children
    before = picture.value
    slider(box, "fast").value = 3
    assert refused.value == "" and picture.value != before
    kept = picture.value
    slider(box, "fast").value = 25
    assert "fast" in refused.value and picture.value == kept


def test_ranges_of_nothing_and_of_no_parameter_are_refused(bars):
    with pytest.raises(InvalidParameter, match="the range of fast has no values"):
        panel(bars, declared_trend_and_rsi, fast=[])
    with pytest.raises(InvalidParameter, match="no parameter 'width'; it has fast, slow, trend, rsi"):
        panel(bars, declared_trend_and_rsi, width=[1, 2])
    with pytest.raises(InvalidWindow):
        panel(bars, declared_trend_and_rsi, fast=[30], slow=[20])


def test_a_range_begins_at_the_default_or_in_the_middle(bars):
    assert panel(bars, declared_trend_and_rsi, rsi=[7, 14, 21]).get_suptitle() == "rsi=14"
    assert panel(bars, declared_trend_and_rsi, rsi=[7, 10, 21]).get_suptitle() == "rsi=10"


SETUP = """
import sys
sys.path.insert(0, {tests!r})
from conftest import random_bars
from toolkit.plots.explore import panel
from toolkit.signals import declared_trend_and_rsi
bars = random_bars(7, n_symbols=3, n_bars=120)
"""
WIDGET = "application/vnd.jupyter.widget-view+json"


def answered(client, code, allow_stdin):
    """The messages that a kernel sends for a cell, up to its end."""
    asked, messages = client.execute(code, allow_stdin=allow_stdin), []
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") == asked:
            messages.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return messages


def result(messages):
    assert not [each["content"]["evalue"] for each in messages if each["msg_type"] == "error"]
    return next(each["content"]["data"] for each in messages if each["msg_type"] == "execute_result")


@pytest.fixture(scope="module")
def client():
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=60)
    try:
        said = answered(client, SETUP.format(tests=str(Path(__file__).parent)), allow_stdin=False)
        assert not [each["content"]["evalue"] for each in said if each["msg_type"] == "error"]
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_front_end_that_can_ask_nobody_gets_a_picture_that_nbval_compares(client):
    shown = result(answered(client, "panel(bars, declared_trend_and_rsi, fast=range(3, 8))", allow_stdin=False))
    assert set(shown) == {"image/png", "text/plain", FIGURE_MIME}


def test_a_front_end_that_can_ask_a_person_gets_widgets_that_answer_it(client):
    messages = answered(client, "panel(bars, declared_trend_and_rsi, fast=range(3, 8))", allow_stdin=True)
    assert WIDGET in result(messages)
    models = {
        each["content"]["comm_id"]: each["content"]["data"]["state"] for each in messages if each["msg_type"] == "comm_open"
    }
    slider = next(name for name, state in models.items() if state.get("description") == "fast")
    picture = next(name for name, state in models.items() if state["_model_name"] == "ImageModel")
    moved = {"comm_id": slider, "data": {"method": "update", "state": {"index": 0}, "buffer_paths": []}}
    client.shell_channel.send(client.session.msg("comm_msg", moved))
    while True:  # as JupyterLab would: wait for the new picture
        message = client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == picture:
            break
    assert bytes(message["buffers"][0])[:4] == b"\x89PNG"
