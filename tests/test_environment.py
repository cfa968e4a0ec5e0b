"""environment.yml and setup.cfg name the same packages, and every installed version satisfies both."""

import configparser
import importlib.metadata as metadata
import re
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPI_NAME = {"matplotlib-base": "matplotlib"}
NOT_PYPI = {"python", "pip", "make"}


def conda_requirement(line: str) -> Requirement:
    """A conda match spec as a requirement: a single "=" matches a prefix."""
    name, rest = re.match(r"([\w.-]+)\s*(.*)", line).groups()
    return Requirement(PYPI_NAME.get(name, name) + re.sub(r"^=([\d.]+)$", r"==\1.*", rest))


def from_setup(*extras: str) -> dict[str, Requirement]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"] + "".join(
        setup["options.extras_require"][extra] for extra in ("test", *extras)
    )
    return {canonicalize_name(r.name): r for r in map(Requirement, filter(None, map(str.strip, lines.splitlines())))}


def from_conda() -> dict[str, Requirement]:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    found = [conda_requirement(line) for line in listed if isinstance(line, str)]
    return {canonicalize_name(r.name): r for r in found if r.name not in NOT_PYPI}


def test_both_files_ask_for_the_same_packages_and_versions():
    ours, conda = from_setup(), from_conda()
    assert ours.keys() == conda.keys()
    assert {name: str(r.specifier) for name, r in ours.items()} == {name: str(r.specifier) for name, r in conda.items()}


def test_what_is_installed_satisfies_both():
    for requirement in from_setup().values():
        assert requirement.specifier.contains(metadata.version(requirement.name), prereleases=True), requirement


def test_constraints_pin_every_direct_dependency():
    pinned = {canonicalize_name(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text().split() if "==" in line}
    assert from_setup("browser").keys() <= pinned
