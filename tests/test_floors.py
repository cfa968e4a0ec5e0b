"""The folder list is the pipeline: a module imports from lower floors or its own, and each outside library has one door."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "toolkit"
FLOORS = ["errors", "kernels", "data", "signals", "risk", "execution", "cycle", "plots", "cli"]
DOORS = {
    "numba": {"kernels/"},
    "diskcache": {"data/disk.py", "data/index.py"},
    "joblib": {"data/fetch.py", "cycle/sweep.py"},
    "dask": set(),
    "yfinance": {"data/sources/yahoo.py"},
    "exchange_calendars": {"data/calendar.py"},
    "alpaca": {"execution/brokers/alpaca.py", "data/sources/alpaca.py"},
    "matplotlib": {"plots/"},
    "IPython": {"plots/"},
    "sqlite3": {
        "execution/ledger.py",
        "execution/entries.py",
        "execution/ledgerfile.py",
        "execution/recall.py",
        "cycle/telemetry.py",
        "data/index.py",
    },
    "pydantic": {"cycle/config.py"},
    "yaml": {"cycle/config.py"},
    "msgspec": {"data/sources/yahoo.py"},
}
# The sanctioned late imports of plots, inside a result's .plot(), by file.
LATE_IMPORTS = {
    "cycle/result.py",
    "cycle/swept.py",
    "cycle/telemetry.py",
    "cycle/walkforward.py",
    "risk/report.py",
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path):
    """(module, inside a function) of every import."""
    tree = ast.parse(path.read_text())
    inner = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.Lambda) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inner) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: relative import"
            yield node.module, id(node) in inner
            if node.module == "toolkit":
                yield from ((f"toolkit.{alias.name}", id(node) in inner) for alias in node.names)


def floor(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path):
    own = name_of(path).removesuffix(".py").split("/")[0]
    if own in {"__init__", "__main__"}:
        return
    for module, inside in imports(path):
        if module.split(".")[0] != "toolkit" or floor(module) == "":
            continue
        if inside and floor(module) == "plots" and name_of(path) in LATE_IMPORTS:
            continue
        other = floor(module)
        if own == "testing":
            below = {"testing", *FLOORS[: FLOORS.index("plots")]}  # nobody imports it but tests, benchmarks and notebooks
            assert other in below, f"{name_of(path)} imports {module}"
        else:
            assert other != "testing", f"{name_of(path)} imports {module}"
            assert FLOORS.index(other) <= FLOORS.index(own), f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_library_has_one_door(path):
    if name_of(path).startswith("testing/"):
        return
    for module, _ in imports(path):
        doors = DOORS.get(module.split(".")[0])
        assert doors is None or any(name_of(path).startswith(door) for door in doors), f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_of_ours_is_imported_inside_a_function(path):
    if name_of(path).startswith("cli/") or name_of(path) == "__init__.py":
        return  # commands import what they need when they run; the package hands names on lazily
    for module, inside in imports(path):
        assert not (inside and module.startswith("toolkit")) or name_of(path) in LATE_IMPORTS, f"{name_of(path)}: {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_at_most_three_pages(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_clock_reads_the_time(path):
    if name_of(path) == "data/clock.py" or name_of(path).split("/")[0] in {"testing", "plots", "cli"}:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in {
            "now",
            "utcnow",
            "today",
            "time",
            "perf_counter",
            "monotonic",
        }:
            owner = ast.unparse(node.value)
            assert owner not in {"time", "datetime", "dt.datetime", "dt.date", "pd.Timestamp", "pandas.Timestamp"}, (
                f"{name_of(path)}:{node.lineno} reads {owner}.{node.attr}"
            )


def test_a_planted_violation_is_seen(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("import numba\ndef f():\n    from toolkit import plots\n")
    assert list(imports(bad)) == [("numba", False), ("toolkit", True), ("toolkit.plots", True)]
