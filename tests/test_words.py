"""The texts are true: their snippets run, and every command, make target, file, test and link that they name is there."""

from __future__ import annotations

import configparser
import functools
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import platformdirs
import pytest
import yaml
from references import One

import toolkit
from toolkit.cli import COMMANDS, parser
from toolkit.cycle.config import checked_config
from toolkit.kernels import jit  # finds its folder before the tests move the user's cache

ROOT = Path(__file__).parents[1]
TEXTS = [
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")),
    *(ROOT / folder / "README.md" for folder in ("benchmarks", "data", "examples/daily")),
    *sorted((ROOT / "toolkit").rglob("README.md")),
]
ELSEWHERE = {"toolkit/execution/README.md": "tests/test_on_halt.py"}  # texts whose snippets another test runs
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OURS = re.compile(r"(?:^|[\s/(])(?:python\d? -m )?toolkit ([a-z]+)\b((?: [^\s`|&>]+)*)")
PLACES = "toolkit", "tests", "notebooks", "benchmarks", "data", "examples", ".ci"  # folders whose files are named in texts


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


each_text = pytest.mark.parametrize("path", TEXTS, ids=name_of)


def snippets(text: str, kind: str) -> Iterator[tuple[int, str]]:
    """(lines before it, code) of each fenced block of a kind."""
    for match in FENCE.finditer(text):
        if match[1] == kind:
            yield text[: match.start(2)].count("\n"), match[2]


def words(text: str) -> list[str]:
    """What stands between backticks in the prose."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def shell(text: str) -> list[str]:
    """The lines of the blocks that a shell reads, without comments."""
    return [line.split("  #")[0].strip() for _, block in snippets(text, "sh") for line in block.splitlines()]


# ------------------------------------------------------------------------------------------------------------- snippets run
@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project as a reader has it after cloning, with a cache of its own, in which packages of ours may be added to."""
    here = tmp_path / "project"
    (here / "notebooks").mkdir(parents=True)
    (here / "state").mkdir()
    shutil.copy(ROOT / "notebooks" / "trading_config.yaml", here / "notebooks")
    (tmp_path / "cache" / "toolkit").mkdir(parents=True)
    (tmp_path / "cache" / "toolkit" / "kernels").symlink_to(Path(jit.FOLDER).parent)  # compiled once, for all processes
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    before = set(sys.modules)
    yield here
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(here)):
            del sys.modules[name]


def run(path: Path, here: Path, monkeypatch) -> dict:
    """Runs the snippets one after the other in one namespace, which comes back; errors name the line of the text.

    A snippet whose first line is `# some/file.py` is that file, and is imported; one with a `__main__` is run as a program.
    """
    names: dict = {"__name__": "snippet"}
    for line, code in snippets(path.read_text(), "python"):
        title = re.match(r"# (\S+\.py)", code)
        if not title:
            exec(compile("\n" * line + code, str(path), "exec"), names)
            continue
        file = here / title[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
        if "__main__" in code:
            done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=240)
            assert done.returncode == 0, f"{path.name}, line {line}: {done.stderr[-3000:]}"
            continue
        package, _, module = title[1].removesuffix(".py").removeprefix("tests/").replace("/", ".").rpartition(".")
        if package:
            house = importlib.import_module(package)
            monkeypatch.setattr(house, "__path__", [*house.__path__, str(file.parent)])
        names.update(vars(importlib.import_module(f"{package}.{module}" if package else module)))
    return names


def test_the_snippets_of_the_readme_run_as_they_stand(project, monkeypatch):
    matplotlib.use("Agg")
    names = run(ROOT / "README.md", project, monkeypatch)
    plt.close("all")
    assert names["report"] is not None and (project / "state" / "trials.jsonl").exists()
    assert list((project / "state").glob("broker-paper-rehearsal/ledger.sqlite"))


def test_the_indicator_that_contributing_adds_is_what_its_reference_computes(project, monkeypatch, bundled):
    monkeypatch.setattr(jit, "FOLDER", str(project / "machine code"))  # a kernel that is not ours to keep
    names = run(ROOT / "CONTRIBUTING.md", project, monkeypatch)
    (case,) = names["TABLE"].values()
    bars = bundled.tail(300)
    for symbol in bars.symbols:
        one = One(*[getattr(bars, field)[symbol].dropna().to_numpy().copy() for field in One._fields])
        for reference in case.references.values():
            for ours, theirs in zip(case.ours(bars), reference(one), strict=True):
                np.testing.assert_allclose(ours[symbol].to_numpy()[-len(theirs) :], theirs, rtol=0, atol=case.tolerance)


@each_text
def test_no_snippet_of_python_is_left_out(path):
    text = path.read_text()
    kinds = {match[1] for match in FENCE.finditer(text)}
    assert kinds <= {"python", "sh", "yaml", "text", "mermaid", ""}, "write ```python, so that it is run"
    if "python" in kinds and path.name != "CONTRIBUTING.md" and path != ROOT / "README.md":
        assert name_of(path) in ELSEWHERE
        assert "README.md" in (ROOT / ELSEWHERE[name_of(path)]).read_text()


@each_text
def test_a_piece_of_configuration_is_one(path):
    for line, block in snippets(path.read_text(), "yaml"):
        try:
            checked_config({"symbols": ["AAPL"], **yaml.safe_load(block)}, f"{path.name}, line {line}")
        except toolkit.ToolkitError as error:
            pytest.fail(str(error))


# ------------------------------------------------------------------------------------------------------- commands are there
def commands(line: str) -> Iterator[tuple[str, list[str]]]:
    """Each of our commands in a line of a shell, a unit or a crontab, with its arguments."""
    for match in OURS.finditer(line):
        yield match[1], shlex.split(match[2])


def complaint(command: str, arguments: list[str], whole: bool) -> str:
    """Why this is no command of ours, "" if it is one; unless it is whole only its options are judged."""
    if command not in COMMANDS:
        return f"there is no command {command}"
    known = next(each for each in parser(command)._subparsers._group_actions[0].choices.items() if each[0] == command)[1]
    if whole:
        try:
            known.parse_args(arguments)
        except SystemExit as end:
            return f"{command} {' '.join(arguments)}: exit status {end.code}" if end.code else ""
    options = [each for each in arguments if each.startswith("-")]
    return next((f"{command} has no {each}" for each in options if each not in known._option_string_actions), "")


@each_text
def test_every_command_of_ours_is_one(path):
    text = path.read_text()
    said = [(line, True) for line in shell(text)] + [(word, False) for word in words(text)]
    wrong = [complaint(*each, whole) for line, whole in said for each in commands(line)]
    assert not [each for each in wrong if each]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def made(text: str) -> set[str]:
    """The targets that a text tells to make."""
    said = [*shell(text), *words(text)]
    return {name for line in said for name in re.findall(r"(?:^|&& )make ([a-z-]+)", line)}


@each_text
def test_every_target_of_make_is_one(path):
    assert made(path.read_text()) <= targets()


def test_every_target_of_make_is_told():
    assert targets() <= set().union(*(made(path.read_text()) for path in TEXTS))


def test_every_command_is_told():
    everything = "\n".join(path.read_text() for path in TEXTS)
    told = {command for line in [*shell(everything), *words(everything)] for command, _ in commands(line)}
    assert set(COMMANDS) <= told


@each_text
def test_every_extra_is_one(path):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert set(re.findall(r"(?:toolkit|\.)\[(\w+)\]'", path.read_text())) <= set(setup["options.extras_require"])


# ----------------------------------------------------------------------------------------------- files, tests, links are there
@functools.cache
def files() -> dict[str, list[Path]]:
    """The files of the house by name: those of its folders, and those at its top."""
    found: dict[str, list[Path]] = {}
    for each in [*ROOT.iterdir(), *(each for place in PLACES for each in (ROOT / place).rglob("*"))]:
        found.setdefault(each.name, []).append(each)
    return found


def strangers(text: str) -> list[str]:
    """Files, modules and tests that a text names and that are not there."""
    missing = []
    for word in [*words(text), *shell(text)]:
        for module in re.findall(r"python -m ((?:tests|benchmarks)\.\w+)", word):
            missing += [] if (ROOT / module.replace(".", "/")).with_suffix(".py").exists() else [module]
        for name, test in re.findall(r"^([\w./*-]+?)(?:::(\w+))?/?$", word):
            if "/" in name and name.split("/")[0] in PLACES:
                found = list(ROOT.glob(name))
            elif "/" not in name and name.endswith((".py", ".ipynb")):
                found = files().get(name, [])
            else:
                continue
            if not found or (test and f"def {test}(" not in found[0].read_text()):
                missing.append(word)
    return missing


def slugs(text: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken(path: Path, text: str) -> list[str]:
    """Links of a text that lead nowhere."""
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        target, _, anchor = link.partition("#")
        if link.startswith(("https://", "mailto:")):
            continue
        file = path.parent / target if target else path
        known = slugs(file.read_text() if target else text) if anchor and file.suffix == ".md" and file.exists() else {anchor}
        lost += [] if file.exists() and anchor in known else [link]
    return lost


@each_text
def test_every_file_module_and_test_that_is_named_is_there(path):
    assert not strangers(path.read_text())


@each_text
def test_every_link_leads_somewhere(path):
    assert not broken(path, path.read_text())


def test_every_notebook_is_linked():
    linked = set(re.findall(r"\]\(notebooks/(\w+\.ipynb)\)", (ROOT / "README.md").read_text()))
    assert linked == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_every_floor_is_told_in_its_order():
    (line,) = [line for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if line.startswith("errors <")]
    floors = importlib.import_module("test_floors").FLOORS
    assert line.split(" < ") == list(floors)


def test_every_library_with_a_door_is_told():
    told = (ROOT / "CONTRIBUTING.md").read_text()
    assert not [
        each for each in importlib.import_module("test_floors").DOORS if not re.search(rf"^\|[^|]*\b{each}\b", told, re.M)
    ]


def test_the_changelog_names_the_version():
    assert f"## [{toolkit.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (
            "```sh\ntoolkit fly to the moon\n```",
            lambda t: [complaint(*c, True) for line in shell(t) for c in commands(line)][0],
        ),
        ("use `toolkit cycle --backwards`", lambda t: [complaint(*c, False) for w in words(t) for c in commands(w)][0]),
        ("```sh\npython -m toolkit cycle\n```", lambda t: [complaint(*c, True) for l in shell(t) for c in commands(l)][0]),
        ("run `make coffee`", lambda t: made(t) - targets()),
        ("see `toolkit/data/nowhere.py`", strangers),
        ("see `nowhere.py`", strangers),
        ("see `tests/test_floors.py::test_that_is_not_there`", strangers),
        ("`python -m benchmarks.nothing`", strangers),
        ("[here](nowhere.md)", lambda t: broken(ROOT / "README.md", t)),
        ("[here](#nowhere)", lambda t: broken(ROOT / "README.md", t)),
    ],
)
def test_a_planted_untruth_is_seen(text, seen):
    assert seen(text)


# ------------------------------------------------------------------------------------------------------------ the daily run
DAILY = ROOT / "examples" / "daily"


def unit(name: str) -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None, strict=False, delimiters="=")
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(DAILY / name)
    return read


@pytest.mark.parametrize("name", ["toolkit-daily.service", "toolkit-loop.service", "crontab"])
def test_what_a_timer_starts_is_a_command_of_ours_behind_a_lock(name):
    lines = [line for line in (DAILY / name).read_text().splitlines() if "-m toolkit" in line and not line.startswith("#")]
    assert lines and all("flock" in line for line in lines)
    assert not [wrong for line in lines for each in commands(line) if (wrong := complaint(*each, True))]


def test_the_timer_starts_the_service_after_alpacas_evening_begins():
    timer = unit("toolkit-daily.timer")["Timer"]
    assert timer["Unit"] == "toolkit-daily.service" and timer["Persistent"] == "true"
    assert timer["OnCalendar"].startswith("Mon..Fri 19:10") and timer["OnCalendar"].endswith("America/New_York")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("name", ["toolkit-daily.service", "toolkit-loop.service", "toolkit-daily.timer"])
def test_systemd_accepts_the_units(name, tmp_path):
    for file in DAILY.glob("toolkit-*"):
        text = re.sub(r"/usr/bin/flock", "/bin/true", file.read_text())
        (tmp_path / file.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if name in line]
    assert not said, "\n".join(said)


@pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock here")
def test_two_runs_at_once_are_one_and_the_second_says_so_by_its_exit_status(tmp_path):
    again = 'flock -n -E 75 lock sh -c "flock -n -E 75 lock echo twice; echo $?"'
    done = subprocess.run(["sh", "-c", again.replace("$?", r"\$?")], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "75"
