"""The notebook runner, with real kernels: parameters in, whole files out, and a signal ends the loop and not the run."""

import json
import os
import re
import signal
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from toolkit.cli import main, notebook, parameters
from toolkit.errors import InvalidParameter

PARAMETERS = "cycles = 3\nevery = 60.0\nout = None\nname = 'x'\nsymbols = ['AAPL']\nstart = min('b', 'a')"
REPORT = """\
import pathlib
if out:
    pathlib.Path(out, 'ledger.sqlite').write_text(why)
print(f'{why} after {n} of {cycles}, {name}')"""
LOOP = """\
import sys, threading
from IPython.display import display
why, n = 'all done', 0
handle = display({'text/plain': '0'}, raw=True, display_id=True)
try:
    while n < cycles:
        n += 1
        handle.update({'text/plain': str(n), 'application/vnd.toolkit.progress+json': {'done': n, 'total': cycles}}, raw=True)
        if cycles > 99 and n == 5:
            open(name, 'w').close()
            threading.Event().wait(60)
except KeyboardInterrupt:
    why = 'stopped'"""


def write(path, *cells, kernel="nowhere"):
    """A notebook whose metadata name a kernel that nobody has."""
    code = [
        cell if not isinstance(cell, tuple) else new_code_cell(cell[0], metadata={"tags": list(cell[1:])}) for cell in cells
    ]
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
    nbformat.write(new_notebook(cells=code, metadata=metadata), path)
    return path


@pytest.fixture
def loop(tmp_path):
    return write(
        tmp_path / "loop.ipynb",
        new_markdown_cell("# A loop, with $x^2$ and [a link](https://example.org)"),
        (PARAMETERS, "parameters"),
        ("import sys\nsys.executable",),
        (LOOP, "loop"),
        (REPORT, "summary"),
        ("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",),
    )


def outputs(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    return [[output.get("text") or output.get("data", {}).get("text/plain") for output in cell.outputs] for cell in cells]


def test_a_run_leaves_the_notebook_its_page_and_its_ledger(loop, tmp_path, capfd):
    before, out = loop.read_bytes(), tmp_path / "out"
    assert main(["run", str(loop), "-p", "cycles", "7", "-p", "name", "7", "--every", "5m", "--out", str(out)]) == 0
    assert sorted(file.name for file in out.iterdir()) == ["ledger.sqlite", "loop.html", "loop.ipynb"]
    assert loop.read_bytes() == before
    executed = nbformat.read(out / "loop.ipynb", 4)
    assert executed.cells[2].source == f"cycles = 7\nname = '7'\nevery = 300\nout = {str(out)!r}"
    assert executed.cells[2].metadata.tags == ["injected-parameters"]
    _, _, (interpreter,), (shown,), (said,), _ = outputs(out / "loop.ipynb")
    assert interpreter == repr(sys.executable)
    assert (shown, said) == ("7", "all done after 7 of 7, 7\n")
    printed = capfd.readouterr()
    assert printed.out.startswith("all done after 7 of 7, 7\n")
    assert [line.split("/")[-1] for line in printed.out.splitlines()[-3:]] == ["ledger.sqlite", "loop.html", "loop.ipynb"]
    assert "cycle 7 of 7" in printed.err and "Traceback" not in printed.err
    assert_loads_nothing((out / "loop.html").read_text())


def assert_loads_nothing(html):
    assert not re.findall(r"<(?:script|link|iframe|object|embed)\b", html)
    assert {source[:5] for source in re.findall(r"<img[^>]*\bsrc=\"([^\"]*)", html)} == {"data:"}
    assert not re.findall(r"@import|url\(\s*['\"]?(?:https?:)?//", html)
    assert "default-src 'none'" in html and "https://example.org" in html  # a link to follow is no resource


def test_a_loop_without_an_end_counts_its_cycles_and_the_terminal_hears_where_the_stop_file_would_be(tmp_path, capfd):
    said = "print('before')\nprint('a file STOP in ~/desk/state/paper-demo ends the loop')\nprint('after')\n"
    cells = ("cycles, name = 3, 'x'", "parameters"), (said + LOOP.replace("'total': cycles", "'total': None"), "loop")
    path = write(tmp_path / "endless.ipynb", *cells)
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 0
    told = capfd.readouterr().err
    assert "a file STOP in ~/desk/state/paper-demo ends the loop\n" in told
    assert re.search(r"cycle 3 \[00:0\d\]", told) and "it/s" not in told and "0it" not in told
    page = (tmp_path / "out" / "endless.ipynb").read_text()
    texts = [output["text"] for cell in nbformat.reads(page, 4).cells for output in cell.outputs if "text" in output]
    assert texts == ["before\nafter\n"]  # what a page shows names no folder of this machine


def start(loop, tmp_path, *values):
    """The runner as a process of its own, once its loop has told through a pipe that it runs."""
    pipe = tmp_path / "begun"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "toolkit", "run", str(loop), "--out", str(tmp_path / "out"), "-p", "name", str(pipe)]
    process = subprocess.Popen([*command, *values], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    pipe.open().close()
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_loop_and_the_report_still_runs(loop, tmp_path, number):
    process = start(loop, tmp_path, "-p", "cycles", "100")
    process.send_signal(number)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    assert "stopped after 5 of 100" in said
    assert (tmp_path / "out" / "ledger.sqlite").read_text() == "stopped"
    executed = nbformat.read(tmp_path / "out" / "loop.ipynb", 4)
    nbformat.validate(executed)
    counts = [cell.execution_count for cell in executed.cells if cell.cell_type == "code"]
    assert counts == list(range(1, 7)) and (tmp_path / "out" / "loop.html").stat().st_size > 100_000
    assert not [file for file in (tmp_path / "out").iterdir() if file.name.startswith(".")]


def test_a_loop_that_catches_nothing_is_followed_by_its_report_as_well(tmp_path):
    cells = ("name = 'x'\nn = 0", "parameters"), ("open(name, 'w').close()\nimport threading\nthreading.Event().wait(60)",)
    path = write(tmp_path / "bare.ipynb", *cells, ("print('report')", "summary"))
    process = start(path, tmp_path)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and said.startswith("report\n")


def test_a_stop_before_the_loop_does_not_start_it(tmp_path):
    waiting = "open(name, 'w').close()\nimport threading\nthreading.Event().wait(60)"
    cells = ("name = 'x'", "parameters"), (waiting,), ("n = 1", "loop"), ("print('report')", "summary"), ("n",)
    process = start(write(tmp_path / "early.ipynb", *cells), tmp_path)
    process.send_signal(signal.SIGTERM)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 130 and said.startswith("report\n")
    assert complained.endswith("could not run to its end (cell 5 raised NameError: name 'n' is not defined)\n")


def test_a_cell_that_raises_is_named_in_one_sentence_and_the_files_are_kept(tmp_path, capfd):
    path = write(tmp_path / "bad.ipynb", ("x = 1",), ("print('so far')\n1 / 0",), ("x = 2",))
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 1
    printed = capfd.readouterr()
    assert printed.err == "error: bad.ipynb: cell 2 raised ZeroDivisionError: division by zero\n"
    cells = json.loads((tmp_path / "out" / "bad.ipynb").read_text())["cells"]
    assert [cell["execution_count"] for cell in cells] == [1, 2, None]
    assert cells[1]["outputs"][0]["text"] in ("so far\n", ["so far\n"])
    assert "ZeroDivisionError" in (tmp_path / "out" / "bad.html").read_text()


def test_a_kernel_that_dies_is_one_sentence(tmp_path, capfd):
    path = write(tmp_path / "dead.ipynb", ("import os\nos._exit(3)",))
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 1
    assert capfd.readouterr().err.endswith("error: dead.ipynb: the kernel died in cell 1\n")


def test_in_place_writes_all_outputs_back_or_leaves_the_file_alone(tmp_path, capfd):
    good, bad = write(tmp_path / "good.ipynb", ("6 * 7",)), write(tmp_path / "bad.ipynb", ("1 / 0",))
    before = bad.read_bytes()
    assert main(["run", "--in-place", str(good), str(bad)]) == 1
    assert outputs(good) == [["42"]] and bad.read_bytes() == before
    assert "the notebook was left as it was" in capfd.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.ipynb", "good.ipynb"]


def test_widgets_are_saved_as_text(tmp_path):
    path = write(tmp_path / "bar.ipynb", ("from tqdm.auto import tqdm\nfor i in tqdm(range(3)):\n    pass",))
    assert notebook.refresh(path).ending.error is None
    saved = path.read_text()
    assert "widget-view" not in saved and "widget-state" not in saved and "0/3" in saved


def known(source):
    return parameters.defaults(new_notebook(cells=[new_code_cell(source, metadata={"tags": ["parameters"]})]))


def test_defaults_are_the_literals_that_the_cell_assigns():
    assert known("a = 1\nb: float = -2.5\nc = f()\nd, e = 1, 2\nimport os") == {"a": 1, "b": -2.5, "c": None}
    assert parameters.defaults(new_notebook(cells=[new_code_cell("a = 1")])) == {}


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        ("1", "250", 250),
        ("1", "None", None),
        ("1.5", "2", 2.0),
        ("'x'", "2012", "2012"),
        ("None", "[1, 2]", [1, 2]),
        ("None", "AAPL", "AAPL"),
        ("True", "False", False),
        ("['A']", "['B', 'C']", ["B", "C"]),
    ],
)
def test_a_value_is_a_literal_of_the_defaults_kind(default, text, value):
    parsed = parameters.parse("a", text, known(f"a = {default}"))
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(
    ("default", "text", "said"),
    [
        ("1", "many", "parameter a is 'many'; it must be a whole number, like 1"),
        ("1", "1.5", "a whole number"),
        ("1", "True", "a whole number"),
        ("True", "1", "True or False"),
        ("['A']", "AAPL", r"a list, like \['A'\]"),
    ],
)
def test_a_value_of_another_kind_is_refused(default, text, said):
    with pytest.raises(InvalidParameter, match=said):
        parameters.parse("a", text, known(f"a = {default}"))


def test_a_second_run_replaces_what_the_first_injected():
    nb = new_notebook(cells=[new_code_cell("a = 1", metadata={"tags": ["parameters"]}), new_code_cell("a")])
    for value in (2, 3):
        parameters.inject(nb, {"a": value})
    assert [cell.source for cell in nb.cells] == ["a = 1", "a = 3", "a"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.ipynb"
    notebook.write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        notebook.write_whole(path, "new \ud800")
    assert path.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["x.ipynb"]
