"""`toolkit doctor`: does everything that the toolkit stands on stand?"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
from packaging.requirements import Requirement

from toolkit.data import BarCache, Calendar, SampleSource, SystemClock
from toolkit.errors import ToolkitError
from toolkit.kernels import jit

EXAMPLE = """\
example:
  toolkit doctor       a line a check; exit status 1 if one failed
"""


class Finding(NamedTuple):
    """One check: what was looked at, whether it is well, and what was found or what to do."""

    subject: str
    well: bool
    said: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("--dir", type=Path, metavar="DIR", help="folder of the cache (default: the user's cache folder)")


def execute(args: argparse.Namespace) -> int:
    """Prints the findings; 1 if something is wrong."""
    sick = 0
    for finding in findings(args.dir):
        print(f"{'ok   ' if finding.well else 'WRONG'}  {finding.subject:<18} {finding.said}", flush=True)
        sick += not finding.well
    if sick:
        print(f"error: {sick} check{'s' if sick > 1 else ''} failed, see WRONG above", file=sys.stderr)
    return 1 if sick else 0


def findings(directory: Path | None) -> Iterator[Finding]:
    """All findings, in the order in which one thing needs the other; `directory` is the folder of the cache."""
    yield python()
    yield from packages()
    yield folder("current folder", Path.cwd(), "runs/ and state/ are made in it")
    yield kernels()
    yield guarded("calendar", calendar)
    yield guarded("bundled prices", lambda: ", ".join(SampleSource().symbols))
    yield guarded("cache", lambda: cache(directory))


def guarded(subject: str, check: Callable[[], str]) -> Finding:
    """The finding of a check that says what it found, or raises a ToolkitError."""
    try:
        return Finding(subject, True, check())
    except ToolkitError as error:
        return Finding(subject, False, str(error))


def python() -> Finding:
    """Version and system: 3.11 or later, on Linux or macOS."""
    said = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", sys.version_info >= (3, 11) and platform.system() != "Windows", said)


def packages() -> Iterator[Finding]:
    """Each core dependency: installed, and in the version that setup.cfg allows."""
    for line in importlib.metadata.requires("toolkit") or []:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(wanted.name, False, f"not installed: pip install '{line}'")
            continue
        fits = wanted.specifier.contains(version, prereleases=True)
        yield Finding(wanted.name, fits, version if fits else f"{version}, but {wanted.specifier} is needed")


def folder(subject: str, path: Path, use: str) -> Finding:
    """Whether files can be made in `path`."""
    try:
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        return Finding(subject, False, f"{path} cannot be written ({error.strerror}); {use}")
    return Finding(subject, True, f"{path} can be written; {use}")


def kernels() -> Finding:
    """Whether compiled kernels are kept from one process to the next."""
    kept = Path(jit.FOLDER).is_relative_to(platformdirs.user_cache_dir("toolkit"))
    return Finding("compiled kernels", kept, jit.FOLDER if kept else "cannot be kept, so each process compiles them again")


def calendar() -> str:
    """First and last session of the exchange's calendar; it must reach beyond today."""
    sessions = Calendar("XNYS").sessions.astype("M8[D]")
    if sessions[-1] < np.datetime64(SystemClock().now().date()):
        raise ToolkitError(f"XNYS ends on {sessions[-1]}", "pip install --upgrade exchange_calendars")
    return f"XNYS from {sessions[0]} to {sessions[-1]}"


def cache(directory: Path | None) -> str:
    """How many series are stored, every checksum compared."""
    bars = BarCache(directory)
    total, wrong = len(bars.names()), bars.verify()
    if wrong:
        raise ToolkitError(
            f"{len(wrong)} of {total} series in {bars.directory} were not whole ({', '.join(wrong)})",
            "they are set aside and fetched again at the next use",
        )
    return f"{total} series in {bars.directory}, all whole"
