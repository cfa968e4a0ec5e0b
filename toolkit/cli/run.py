"""`toolkit run`: a notebook as a program."""

from __future__ import annotations

import argparse
import itertools
import math
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from toolkit.cli.notebook import Run, refresh, run
from toolkit.errors import InvalidParameter

EXAMPLE = """\
examples:
  toolkit run notebooks/02_paper_trading.ipynb
  toolkit run notebooks/02_paper_trading.ipynb -p cycles 20
  toolkit run notebooks/02_paper_trading.ipynb --every 5m
  toolkit run --in-place notebooks/*.ipynb

Ctrl-C or SIGTERM ends the loop; the report cells still run and the files are whole.
"""
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """Seconds of a duration such as 30s, 5m, 1.5h or 1d.

    >>> seconds("5m")
    300.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    length = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0.0 < length < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration, write e.g. 30s, 5m, 1h or 1d")
    return length


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK", help="an .ipynb file (several with --in-place)")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
                        help="override a parameter, a name that the cell tagged `parameters` assigns")  # fmt: skip
    parser.add_argument("--every", type=seconds, metavar="TIME",
                        help="time from one cycle of the loop to the next: 30s, 5m, 1h, 1d")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder for what the run leaves (default: runs/<UTC time>)")
    parser.add_argument("--in-place", action="store_true", help="write the notebooks back with their new outputs")


def execute(args: argparse.Namespace) -> int:
    """Runs the notebooks; 0, or 1 if a cell raised, or 130 if it was stopped before its report could run."""
    if args.in_place:
        if args.parameter or args.every or args.out:
            raise InvalidParameter("--in-place runs notebooks as they are", "leave out -p, --every and --out")
        return max(_ended(refresh(path), path, kept=path) for path in args.notebooks)
    if len(args.notebooks) > 1:
        raise InvalidParameter(f"{len(args.notebooks)} notebooks without --in-place", "run one after the other")
    path = args.notebooks[0]
    if path.suffix != ".ipynb":
        raise InvalidParameter(f"{path} is not a notebook", "pass the path of an .ipynb file")
    outcome = run(path, _texts(args.parameter), args.every, args.out or default_folder())
    return _ended(outcome, path, kept=None)


def _texts(pairs: list[list[str]]) -> dict[str, str]:
    texts = dict(pairs)
    if len(texts) < len(pairs):
        raise InvalidParameter("a parameter is set twice", "pass each name once")
    for name, option in (("out", "--out"), ("every", "--every")):
        if name in texts:
            raise InvalidParameter(f"parameter {name} is set by the command line itself", f"use {option}")
    return texts


def default_folder() -> Path:
    """runs/<UTC time> in the current folder, the first one that does not exist."""
    stamp = Path("runs") / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    return next(folder for n in itertools.count(2) for folder in (stamp, Path(f"{stamp}-{n}")) if not folder.exists())


def _ended(outcome: Run, path: Path, kept: Path | None) -> int:
    ending = outcome.ending
    if outcome.summary:
        print(outcome.summary)
    if kept is None:
        print("\nleft behind:")
        for file in outcome.files:
            print(f"  {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}")
    elif not ending.error and not ending.stopped:
        print(f"{path}: written")
    sys.stdout.flush()
    unchanged = "; the notebook was left as it was" if kept else ""
    if ending.error and not ending.stopped:
        print(f"error: {path.name}: {ending.error}{unchanged}", file=sys.stderr)
        return 1
    if ending.stopped and (kept or not ending.reported):
        why = f" ({ending.error})" if ending.error else ""
        print(f"stopped by hand: {path.name} could not run to its end{why}{unchanged}", file=sys.stderr)
        return 130
    return 0
