"""What a run keeps beside its ledger, so that it can be told years later: configuration, versions, telemetry."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from toolkit.cycle.booked import Books
from toolkit.cycle.config import Config
from toolkit.cycle.telemetry import Telemetry
from toolkit.errors import ToolkitError
from toolkit.execution.arming import config_hash
from toolkit.execution.entries import situation_of

CONFIG, VERSIONS, TELEMETRY, STRATEGY = "config.yaml", "versions.json", "telemetry.sqlite", "strategy.json"
PLAIN = re.compile(r"[A-Za-z][A-Za-z_-]+")  # text that YAML takes for text without quotes, but for these:
NOT_TEXT = "yes", "no", "on", "off", "true", "false", "null"
HEADER = b"SQLite format 3\0"


def versions() -> dict[str, str]:
    """Python, system, the toolkit and what it stands on, by name; of a package that is not installed, that it is not."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    found["toolkit"] = importlib.metadata.version("toolkit")
    for line in importlib.metadata.requires("toolkit") or []:
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            try:
                found[wanted.name] = importlib.metadata.version(wanted.name)
            except importlib.metadata.PackageNotFoundError:
                found[wanted.name] = "not installed"
    return found


def config_text(config: Config) -> str:
    """The configuration as YAML for others to read: no account number, no password in an address, no folder of this machine.

    Read back, it is the same but for these. Keys that were left to their defaults stand in it too, where they have a value.
    """
    values = config.model_dump(exclude={"state": True, "cache": {"directory"}, "broker": {"account"}})
    if values["source"].startswith("folder:"):
        values["source"] = f"folder:{Path(values['source'].removeprefix('folder:')).name}"
    if values["broker"]["url"]:
        values["broker"]["url"] = re.sub(r"//[^/@]*@", "//", values["broker"]["url"]).partition("?")[0]
    return "\n".join(_lines(values)) + "\n"


def _lines(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines = list(_lines(value, indent + "  "))
            yield from [f"{indent}{key}:", *lines] if lines else []
        elif value is not None:
            yield f"{indent}{key}: {_scalar(value)}"


def _scalar(value: Any) -> str:
    """A value as YAML 1.1 reads it back."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in NOT_TEXT:
        return value
    if isinstance(value, str | int | float):
        return re.sub(r"^(-?\d+)e", r"\1.0e", json.dumps(value))  # 1e+16 would be read as text
    return str(value)  # a date


def keep(folder: Path, config: Config | None, telemetry: Path | None) -> None:
    """Writes configuration, versions and a copy of the telemetry into `folder`; what is there already stays.

    `telemetry` is a file that nobody writes any more.
    """
    if config is not None and not (folder / CONFIG).exists():
        (folder / CONFIG).write_text(config_text(config), encoding="utf-8")
    if not (folder / VERSIONS).exists():
        (folder / VERSIONS).write_text(json.dumps(versions(), indent=1) + "\n", encoding="utf-8")
    if telemetry is not None and telemetry.is_file() and not (folder / TELEMETRY).exists():
        _copied(telemetry, folder / TELEMETRY)
        with closing(Telemetry(folder / TELEMETRY)):  # takes in what a killed writer left beside the file
            pass


@dataclass(frozen=True)
class Given:
    """A strategy that was given in Python: its name, and the identity that its certificate is kept under."""

    name: str
    identity: str


def keep_given(folder: Path, given: Given) -> None:
    """Writes which strategy, given in Python, took the place of the one that the configuration names."""
    (folder / STRATEGY).write_text(json.dumps(asdict(given), indent=1) + "\n", encoding="utf-8")


def given_in(folder: Path) -> Given | None:
    """The strategy that was given in Python to the run in `folder`; None if its configuration named it, or nothing is kept.

    Raises ToolkitError if the file cannot be read.
    """
    try:
        found = json.loads((folder / STRATEGY).read_text(encoding="utf-8"))
        return Given(str(found["name"]), str(found["identity"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ToolkitError(f"{STRATEGY} cannot be read ({type(error).__name__})", "export the run again") from None


def _copied(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    if (beside := source.with_name(f"{source.name}-wal")).is_file():
        shutil.copyfile(beside, target.with_name(f"{target.name}-wal"))


@contextmanager
def telemetry_of(path: Path) -> Iterator[Telemetry]:
    """The telemetry in a file, read from a copy, so that nothing is written where it lies.

    Raises ToolkitError if it is missing, cannot be read, or holds no cycle.
    """
    try:
        whole = path.open("rb").read(len(HEADER)) == HEADER
    except OSError as error:
        raise ToolkitError(f"{path.name} is not there ({error.strerror})", "export it with the ledger of the run") from None
    with tempfile.TemporaryDirectory() as aside:
        _copied(path, Path(aside) / TELEMETRY)
        with closing(Telemetry(Path(aside) / TELEMETRY)) as kept:
            if not whole or not len(kept):
                found = "holds no cycle that can be read" if whole else "is not a telemetry file"
                raise ToolkitError(f"{path.name} {found}", "take it again from the account's folder under state/")
            yield kept


def traded_with(config: Config, books: Books) -> bool | None:
    """Whether the last cycle of the books that says so was decided with this configuration; None if none says."""
    for packed in reversed(books.tables["cycles"]["situation"].dropna().tolist()):
        try:
            hashed = (situation_of(packed) or {}).get("config")
        except (ValueError, zlib.error):  # a damaged one says nothing
            continue
        if hashed:
            return bool(hashed == config_hash(config.model_dump(mode="json")))
    return None
