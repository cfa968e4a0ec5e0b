"""The notebooks are tests: run before they are committed, light, honest about what is not compared, and compared for real."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from nbval.plugin import get_sanitize_patterns

from toolkit.cli.notebook import refresh

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def code_cells(path):
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def outputs(path):
    return [output for cell in code_cells(path) for output in cell["outputs"]]


def test_the_essays_are_there():
    essays = {"00_quickstart", "01_explore_signals", "02_paper_trading", "03_cache_and_cycle_times", "04_indicator_kernels"}
    assert essays <= {path.stem for path in NOTEBOOKS}


@each_notebook
def test_committed_as_run_from_top_to_bottom(path):
    # nbval passes a cell that was never run without comparing anything
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output["ename"] for output in outputs(path) if output["output_type"] == "error"]


@each_notebook
def test_a_notebook_is_light(path):
    images = [
        "".join(body) for output in outputs(path) for mime, body in output.get("data", {}).items() if mime[:6] == "image/"
    ]
    assert path.stat().st_size < 1_000_000
    assert max(map(len, images), default=0) < 300_000
    assert not [output for output in outputs(path) if "image/svg+xml" in output.get("data", {})]


@each_notebook
def test_outputs_show_neither_warnings_nor_somebodys_folders(path):
    text = json.dumps(outputs(path))
    assert not [output for output in outputs(path) if output.get("name") == "stderr"]
    assert not re.search(r"/(root|home|Users|tmp|work)/", text)


@each_notebook
def test_one_idea_a_cell(path):
    assert max(len("".join(cell["source"]).splitlines()) for cell in code_cells(path)) <= 15


@each_notebook
def test_at_most_one_cell_is_not_compared(path):
    tags = [set(cell["metadata"].get("tags", [])) for cell in code_cells(path)]
    ignored = [tag for cell in tags for tag in cell if tag.startswith("nbval-") or tag == "raises-exception"]
    markers = [
        cell for cell in code_cells(path) if re.search(r"^\s*#\s*(NBVAL|PYTEST_VALIDATE)", "".join(cell["source"]), re.M)
    ]
    assert len(ignored) <= 1 and set(ignored) <= {"nbval-ignore-output"} and not markers


def test_all_three_patterns_reach_nbval():
    # its parser drops a pair without a word for one blank too few
    patterns = get_sanitize_patterns((ROOT / "tests" / "nbval.cfg").read_text())
    assert len(dict(patterns)) == 3


@pytest.mark.parametrize("text", ["12 ms", "hit rate 93 %", "203x faster", "p50 is 3.1 s", "2012-01-03", "$104,824"])
def test_a_result_without_the_mark_is_compared(text):
    for pattern in dict(get_sanitize_patterns((ROOT / "tests" / "nbval.cfg").read_text())):
        assert not re.search(pattern, text)


def test_only_durations_and_timings_carry_the_mark():
    marked = {p.relative_to(ROOT).as_posix() for p in (ROOT / "toolkit").rglob("*.py") if "≈" in p.read_text()}
    assert marked <= {"toolkit/cycle/durations.py", "toolkit/plots/timing.py"}
    spans = {p.name for p in (ROOT / "toolkit").rglob("*.py") if 'class="t"' in p.read_text()}
    assert spans <= {"timing.py"}


SOURCE = """\
from types import SimpleNamespace
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import clear_output
from tqdm.auto import tqdm
from toolkit.plots import LivePanel, compare, show

equity = pd.Series([100.0, 101.0, 99.5])
fig, ax = plt.subplots()
ax.plot(equity)
show(fig)

fig, ax = plt.subplots()
fig.suptitle('hidden');

counts = dict(orders=1, fills=1, denials=0, total_cycle_time=0.01, cache_hit_rate=0.5)
with LivePanel(total=3, every=0.0) as panel:
    for day, value in zip(pd.bdate_range('2012-01-03', periods=3), equity):
        panel.update(SimpleNamespace(session=day, equity=value, **counts))

for i in tqdm(range(3)):
    print(i)
    clear_output(wait=True)
print('last')

timed = compare({'loop': lambda: sum(range(2000)), 'closed form': lambda: 1999 * 1000}, rounds=5)
timed

print(timed)
timed.faster('closed form', at_least=2)

show(timed.plot())
"""
CELLS = SOURCE.strip().split("\n\n")


def strict(folder):
    """The last lines of pytest over the notebooks in `folder`, with this project's repairs of nbval."""
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "--nbval", "--nbval-current-env", "-q", "--color=no"]
    command += ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder), str(folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=240)
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    path = tmp_path_factory.mktemp("notebooks") / "all.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in CELLS]), path)
    assert refresh(path).ending.error is None
    return path


def test_updates_timings_bars_and_hidden_results_pass_strictly(executed):
    code, said = strict(executed.parent)
    assert code == 0 and f"{len(CELLS)} passed" in said, said


def test_a_figure_that_moved_by_a_thousandth_and_a_changed_last_display_fail(executed, tmp_path):
    committed = executed.read_text()
    changed = committed.replace("101.0,\n", "101.1,\n").replace("equity $100", "equity $101")
    assert changed.count("101.1") == 1 and "equity $101" in changed
    (tmp_path / "changed.ipynb").write_text(changed)
    code, said = strict(tmp_path)
    assert code == 1 and f"2 failed, {len(CELLS) - 2} passed" in said, said
