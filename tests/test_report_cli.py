"""`toolkit report`: the page of a run again from what it left, whole, damaged or missing, never with a traceback."""

import datetime as dt
import json
import re
import shutil
import sqlite3
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from conftest import SYMBOLS
from toolkit.cli import main
from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.kept import keep
from toolkit.cycle.named import strategy_of
from toolkit.signals.causality import certify

MONTH = {"start": dt.date(2012, 2, 1), "end": dt.date(2012, 3, 30)}
LINES = "symbols: [AAPL, FB, GOOG, IBM, MSFT]\nstart: 2012-02-01\nend: 2012-03-30\nstate: state\ncache: {directory: cache}\n"
CELL = """\
from toolkit import TradingEngine
engine = TradingEngine.from_yaml(config)
print(engine.run_continuous())
engine.export(out)
engine.close()"""


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A replay of two months, and the folder of its account."""
    home = tmp_path_factory.mktemp("traded")
    config = checked_config(
        {"symbols": SYMBOLS, "state": str(home / "state"), "cache": {"directory": str(home / "cache")}, **MONTH}
    )
    engine = TradingEngine(config)
    engine.run_continuous()
    engine.close()
    return config, engine.folder


@pytest.fixture
def run(traded):
    """A folder of a run in the test's own project, without a notebook."""
    config, account = traded
    folder = Path("runs") / "2026-01-05T210500Z"
    folder.mkdir(parents=True)
    (folder / "ledger.sqlite").write_bytes((account / "ledger.sqlite").read_bytes())
    keep(folder, config, account / "telemetry.sqlite")
    return folder


def section(folder, anchor, name="report"):
    """The text of a section of the page."""
    html = (folder / f"{name}.html").read_text(encoding="utf-8")
    return re.sub(r"<[^>]*>", " ", html[html.index(f'<section id="{anchor}"') :].split("</section>")[0])


def test_the_newest_run_is_reported_and_its_page_named(run, capfd, traded):
    assert main(["report"]) == 0
    printed = capfd.readouterr()
    assert printed.out == f"{run}/report.html\n" and printed.err == ""
    html = (run / "report.html").read_text(encoding="utf-8")
    config, account = traded
    for place in (Path.cwd(), account.parent.parent, Path.home()):
        assert str(place) not in html
    assert "Yes." in section(run, "ledger") and "symbols: [AAPL" in section(run, "configuration")
    assert "numpy" in section(run, "versions") and "All of them" not in html
    assert re.search(r"\d+ round trips", section(run, "trades")) and "Half were faster than" in section(run, "telemetry")


def test_the_newest_run_is_the_one_that_began_last_not_the_one_that_was_reported_last(run, capfd):
    for name in ("2026-01-05T210500Z-2", "2026-01-05T210500Z-10", "2026-01-04T210500Z"):
        shutil.copytree(run, run.parent / name)
    assert main(["report", str(run.parent / "2026-01-04T210500Z")]) == main(["report"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == f"{run.parent}/2026-01-05T210500Z-10/report.html"


def test_the_risk_of_what_was_held_last_needs_no_network(run):
    assert main(["report", str(run)]) == 0
    assert "Risk of " in section(run, "risk") and "VaR 95%" in section(run, "risk")
    text = (run / "config.yaml").read_text().replace("source: sample", "source: yahoo")
    (run / "config.yaml").write_text(text)
    assert main(["report", str(run)]) == 0  # nothing of Yahoo's is in the cache, and nobody asks for it
    assert "Bars cannot be had without a network" in section(run, "risk")


def test_the_certificate_is_shown_and_a_strategy_that_has_changed_since_says_so(run, traded, bundled):
    config, _ = traded
    assert main(["report", str(run)]) == 0 and "There is none for" in section(run, "certificate")
    found = certify(strategy_of(config), bundled.rows(2800, 3000), state=Path("state"))
    assert main(["report", str(run)]) == 0 and "PASSED" in section(run, "certificate")
    path = Path("state") / "certificates" / f"{found.identity}.json"
    kept = json.loads(path.read_text())
    from_before = kept["certificate"] | {"identity": "0" * 32}
    path.unlink()
    other = type(found)(**{**vars(found), "identity": from_before["identity"]})
    other.write(Path("state"))
    assert main(["report", str(run)]) == 0 and "has CHANGED since" in section(run, "certificate")


def broken(path):
    """Overwrites the middle of a file."""
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 4096) + whole[-3996:])


@pytest.mark.parametrize("name, anchor", [("ledger.sqlite", "equity"), ("telemetry.sqlite", "telemetry")])
@pytest.mark.parametrize("how", ["missing", "text", "empty", "broken"])
def test_what_is_damaged_or_missing_is_told_in_its_place_and_ends_with_1(run, capfd, name, anchor, how):
    path = run / name
    {"missing": path.unlink, "text": lambda: path.write_text("<b>no database</b>"), "empty": lambda: path.write_bytes(b""),
     "broken": lambda: broken(path)}[how]()  # fmt: skip
    (run / "a.ipynb").write_text(nbformat.writes(new_notebook(cells=[new_code_cell("1 + 1")])))
    assert main(["report", str(run)]) == 1
    printed = capfd.readouterr()
    assert printed.out == f"{run}/a.html\n"
    assert printed.err.startswith("error: ") and "Traceback" not in printed.err and str(Path.cwd()) not in printed.err
    assert name.split(".")[0] in section(run, anchor, "a") and str(Path.cwd()) not in section(run, anchor, "a")
    intact = "versions", "configuration", "telemetry" if anchor == "equity" else "ledger"
    assert all("cannot" not in section(run, other, "a") for other in intact)


def test_a_ledger_that_does_not_hold_together_is_told_by_its_sentences(run, capfd):
    with sqlite3.connect(run / "ledger.sqlite") as db:
        db.execute("UPDATE account SET cash = cash + 1")
    db.close()
    assert main(["report", str(run)]) == 1
    assert "error: the ledger does not hold together: cash is " in capfd.readouterr().err
    assert "No." in section(run, "ledger") and "cash is " in section(run, "ledger")


def test_a_configuration_that_cannot_be_read_is_told_without_a_path(run):
    (run / "config.yaml").write_text("symbols: [AAPL\nmode: <script>")
    assert main(["report", str(run)]) == 0
    html = (run / "report.html").read_text()
    assert "config.yaml is not YAML" in section(run, "configuration") and str(Path.cwd()) not in html
    assert "&lt;script&gt;" in html and "<script" not in html


@pytest.mark.parametrize("given", [[], ["nowhere"], ["empty"]])
def test_where_there_is_no_run_one_sentence_says_so(capfd, given):
    Path("empty").mkdir()
    assert main(["report", *given]) == 2
    (said,) = capfd.readouterr().err.splitlines()
    assert re.match("error: (there is no run|empty is not what a run left)", said)


def test_a_run_leaves_its_page_and_a_second_report_writes_the_same_one(tmp_path, capfd):
    (tmp_path / "trading.yaml").write_text(LINES)
    parameters = new_code_cell("config = 'trading.yaml'\nout = None", metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[parameters, new_code_cell(CELL)]), tmp_path / "02_my_loop.ipynb")
    out = tmp_path / "runs" / "one"
    assert main(["run", str(tmp_path / "02_my_loop.ipynb"), "--out", str(out)]) == 0
    left = {path.name for path in out.iterdir()}
    assert left == {"02_my_loop.ipynb", "02_my_loop.html", "ledger.sqlite", "telemetry.sqlite", "config.yaml", "versions.json"}
    first = (out / "02_my_loop.html").read_text(encoding="utf-8")
    assert "<h1>My loop</h1>" in first and 'id="notebook"' in first and str(tmp_path) not in first
    assert "Yes." in section(out, "ledger", "02_my_loop") and "42 cycles" in section(out, "telemetry", "02_my_loop")
    capfd.readouterr()
    assert main(["report", str(out)]) == 0
    assert capfd.readouterr().out == f"{out}/02_my_loop.html\n"
    assert (out / "02_my_loop.html").read_text(encoding="utf-8") == first


def test_a_configuration_that_was_changed_in_python_is_kept_as_it_traded(tmp_path):
    (tmp_path / "trading.yaml").write_text(LINES)
    parameters = new_code_cell("config = 'trading.yaml'\nout = None", metadata={"tags": ["parameters"]})
    cell = CELL.replace("from_yaml(config)", "from_yaml(config, cash=5e4)")
    nbformat.write(new_notebook(cells=[parameters, new_code_cell(cell)]), tmp_path / "other.ipynb")
    out = tmp_path / "out"
    assert main(["run", str(tmp_path / "other.ipynb"), "--out", str(out)]) == 0
    assert "cash: 50000.0" in (out / "config.yaml").read_text() and "50000" in section(out, "configuration", "other")
