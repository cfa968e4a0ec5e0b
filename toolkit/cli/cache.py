"""`toolkit cache`: what the cache of bars holds, whether it is whole, and how to forget it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from toolkit.data import BarCache

EXAMPLE = """\
examples:
  toolkit cache stats           what is stored, series by series
  toolkit cache verify          compare every checksum again
  toolkit cache clear           ask the sources again at the next fetch; stored bars stay
  toolkit cache clear --bars    move the stored bars to a trash folder inside the cache
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("action", choices=("stats", "clear", "verify"), metavar="stats|clear|verify", help="what to do")
    parser.add_argument("--bars", action="store_true", help="with clear: the stored bars as well")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="folder of the cache (default: the user's cache folder)")


def execute(args: argparse.Namespace) -> int:
    """Does the action; 1 if verify found a series that is not whole."""
    cache = BarCache(args.dir)
    if args.action == "stats":
        return stats(cache)
    if args.action == "clear":
        cache.clear(args.bars)
        done = "bars moved to the trash" if args.bars else "freshness forgotten, bars kept"
        print(f"{cache.directory}: {done}")
        return 0
    return verify(cache)


def stats(cache: BarCache) -> int:
    """Prints a line a series, then their number and the size of the folder."""
    names = sorted(cache.names())
    for name in names:
        if files := cache.parts(name):
            days = files[0].columns["label"][0].astype("M8[D]"), files[-1].columns["label"][-1].astype("M8[D]")
            print(f"{name:<40}{sum(len(file.columns['label']) for file in files):>9} bars  {days[0]} to {days[1]}")
    size = sum(file.stat().st_size for file in cache.directory.rglob("*") if file.is_file())
    print(f"{len(names)} series, {size / 1e6:,.1f} MB in {cache.directory}")
    return 0


def verify(cache: BarCache) -> int:
    """Prints what is not whole; it has been set aside and is fetched again when it is asked for."""
    total, wrong = len(cache.names()), cache.verify()
    for name, why in wrong.items():
        print(f"warning: {name}: {why}; set aside, fetched again at the next use", file=sys.stderr)
    print(f"{total - len(wrong)} of {total} series are whole in {cache.directory}")
    return 1 if wrong else 0
