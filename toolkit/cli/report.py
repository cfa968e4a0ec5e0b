"""`toolkit report`: the page of a run, made again from what the run left."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from toolkit.cli.account import LEDGER
from toolkit.cli.notebook import read, write_whole
from toolkit.cli.page import page
from toolkit.cli.run_record import record_of
from toolkit.errors import InvalidParameter
from toolkit.plots.run_page import run_page
from toolkit.plots.run_sections import RunRecord

RUNS = Path("runs")
STAMP, NAME = "%Y-%m-%dT%H%M%SZ", re.compile(r"(\d{4}-\d\d-\d\dT\d{6}Z)(?:-(\d+))?")
EXAMPLE = """\
examples:
  toolkit report                              the page of the newest run in runs/
  toolkit report runs/2026-01-05T210500Z

The page is made from the copies in the run's folder: the ledger, the telemetry, the configuration, the versions, and the
notebook. Risk takes bars from the cache alone; nothing is fetched.

exit status: 0 written, 1 written, but a part of the run is missing or damaged (the page says which), 2 there is no such run
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "run", type=Path, nargs="?", metavar="RUN", help="a folder that a run left (default: the newest in runs/)"
    )


def execute(args: argparse.Namespace) -> int:
    """Writes the page and prints its path; 1 if ledger or telemetry cannot be read."""
    folder = newest() if args.run is None else args.run
    if not folder.is_dir():
        raise InvalidParameter(f"there is no run at {folder}", "name a folder that `toolkit run` left, e.g. in runs/")
    notebooks = sorted(folder.glob("*.ipynb"))
    if not notebooks and not (folder / LEDGER).exists():
        raise InvalidParameter(f"{folder} is not what a run left", "name a folder with a notebook or a ledger in it")
    nb = read(notebooks[0]) if notebooks else None
    name = notebooks[0].stem if notebooks else "report"
    record = record_of(folder, name)
    html = run_page(record) if nb is None else page(nb, name, folder, record, folder)
    path = folder / f"{name}.html"
    try:
        write_whole(path, html)
    except OSError as error:
        raise InvalidParameter(f"{path} cannot be written ({error.strerror})", "make the folder writable") from error
    print(path)
    wrong = problems(record)
    for sentence in wrong:
        print(f"error: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


def newest() -> Path:
    """The run that began last."""
    runs = [folder for folder in RUNS.glob("*") if folder.is_dir()] if RUNS.is_dir() else []
    if not runs:
        raise InvalidParameter("there is no run in runs/", "run a notebook with `toolkit run`, or name a folder")
    return max(runs, key=began)


def began(folder: Path) -> tuple[str, int]:
    """When a run began and which of that second it was, from the folder's name, or else from its oldest file."""
    if named := NAME.fullmatch(folder.name):
        return named[1], int(named[2] or 1)
    oldest = min(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    return f"{datetime.fromtimestamp(oldest, UTC):{STAMP}}", 0


def problems(record: RunRecord) -> list[str]:
    """What is missing or damaged of ledger and telemetry, as sentences."""
    found = list(dict.fromkeys(part for part in (record.books, record.times) if isinstance(part, str)))
    if not isinstance(record.books, str) and record.books.wrong:
        found.append(f"the ledger does not hold together: {record.books.wrong[0]}")
    return found
