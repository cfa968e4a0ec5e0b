"""`toolkit cache`: what the cache of bars holds, whether it is whole, how to take bars out and how to forget them."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from toolkit.data import BarCache, MarketData
from toolkit.data.export import KINDS, export, export_folder
from toolkit.data.folder import size
from toolkit.data.sources.named import SOURCES, source_of
from toolkit.errors import BudgetSpent, DataUnavailable, InvalidParameter

EXAMPLE = """\
examples:
  toolkit cache stats                          what is stored, series by series, and how often it was found
  toolkit cache verify                         compare every checksum again
  toolkit cache clear                          ask the sources again at the next fetch; stored bars stay
  toolkit cache clear --bars                   move the stored bars to a trash folder inside the cache
  toolkit cache clear --trash                  remove trash, quarantine and panels for good, to make room
  toolkit cache export prices.csv AAPL IBM     stored bars as one table (.csv, .csv.gz or .parquet)
  toolkit cache export prices AAPL IBM         stored bars as a folder of one file a symbol (--kind csv or parquet)
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    actions = ("stats", "clear", "verify", "export")
    parser.add_argument("action", choices=actions, metavar="|".join(actions), help="what to do")
    parser.add_argument("target", nargs="?", type=Path, help="with export: the file or folder to write")
    parser.add_argument("symbols", nargs="*", metavar="SYMBOL", help="with export: which bars")
    parser.add_argument("--bars", action="store_true", help="with clear: the stored bars as well")
    parser.add_argument("--trash", action="store_true", help="with clear: remove what lies in the trash, for good")
    parser.add_argument("--source", default="sample", help=f"with export: {', '.join(SOURCES)} (default: sample)")
    parser.add_argument("--interval", default="1d", help="with export: e.g. 1d, 5m, 1wk (default: 1d)")
    parser.add_argument("--kind", default="csv", choices=tuple(KINDS.values()), help="with export to a folder: of the files")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="folder of the cache (default: the user's cache folder)")


def execute(args: argparse.Namespace) -> int:
    """Does the action; 1 if verify found a series that is not whole."""
    cache = opened(args.dir)
    if args.action == "stats":
        return stats(cache)
    if args.action == "verify":
        return verify(cache)
    if args.action == "export":
        return taken_out(cache, args)
    if args.trash:
        print(f"{cache.directory}: {cache.empty_trash() / 1e6:,.1f} MB of trash, quarantine and panels removed")
    if args.bars or not args.trash:
        cache.clear(args.bars)
        done = "bars moved to the trash" if args.bars else "freshness forgotten, bars kept"
        print(f"{cache.directory}: {done}")
    return 0


def opened(directory: Path | None) -> BarCache:
    """The cache at `directory`, which must be one: nothing is made where somebody has mistyped."""
    place = (directory if directory is not None else BarCache.default()).expanduser()
    if not (place / "index" / "cache.db").exists():
        raise InvalidParameter(f"there is no cache at {place}", "name its folder with --dir, or run `toolkit fetch` first")
    return BarCache(place)


def stats(cache: BarCache) -> int:
    """Prints a line a series, a line a source, then how often records were found and what the folder takes."""
    names = cache.names()
    sources: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name in names:
        files = cache.parts(name)
        if files:
            rows = sum(len(file.columns["label"]) for file in files)
            first, last = files[0].columns["label"][0], files[-1].columns["label"][-1]
            revision = files[-1].meta["revision"]
            print(f"{name:<40}{rows:>9} bars  {str(first)[:10]} to {str(last)[:10]}  revision {revision}")
            beginning = name.rpartition("/")[0]
            sources[beginning][0] += 1
            sources[beginning][1] += sum(Path(file.path).stat().st_size for file in files)
    for beginning, (count, used) in sorted(sources.items()):
        print(f"{beginning:<40}{count:>9} series, {used / 1e6:,.1f} MB")
    totals = cache.totals()
    asked = totals["hits"] + totals["misses"]
    rate = f"{totals['hits'] / asked:.1%} of {asked:,}" if asked else "none of 0"
    print(f"records found: {rate}; {totals['writes']:,} writes, {totals['corrupt']:,} values that could not be trusted")
    for place in ("trash", "quarantine", "panels"):
        if used := size(cache.directory / place):
            print(f"{place}: {used / 1e6:,.1f} MB in {cache.directory / place}")
    print(f"{len(names)} series, {size(cache.directory) / 1e6:,.1f} MB in {cache.directory}")
    return 0


def verify(cache: BarCache) -> int:
    """Prints what is not whole; it has been set aside and is fetched again when it is asked for."""
    total, wrong = len(cache.names()), cache.verify()
    for key, why in wrong.items():
        print(f"warning: {key}: {why}; set aside, fetched again at the next use", file=sys.stderr)
    broken = {key.partition(":")[2].partition("@")[0] for key in wrong}
    print(f"{total - len(broken)} of {total} series are whole in {cache.directory}")
    return 1 if wrong else 0


def taken_out(cache: BarCache, args: argparse.Namespace) -> int:
    """Writes stored bars for other tools; nothing is fetched."""
    if args.target is None or not args.symbols:
        raise InvalidParameter("export needs a target and symbols", "write e.g. toolkit cache export prices.csv AAPL")
    table = any(args.target.name.endswith(suffix) for suffix in KINDS)
    if args.target.suffix and not table:
        raise InvalidParameter(f"target {args.target} ends in none of {', '.join(KINDS)}", "or name a folder, without a dot")
    source = source_of(args.source)
    source.meter.allow(0)
    try:
        bars = MarketData(source, cache).bars(args.symbols, interval=args.interval)
    except BudgetSpent as error:
        cure = f"run `toolkit fetch {' '.join(args.symbols)} --source {args.source}` first"
        raise DataUnavailable(f"{', '.join(args.symbols)} of {args.source} are not in the cache", cure) from error
    place = export(bars, args.target) if table else export_folder(bars, args.target, args.kind)[0].parent
    print(f"{len(bars):,} bars of {len(bars.symbols)} symbols in {place}")
    for issue in bars.issues:
        said = "not in the cache" if issue.code == BudgetSpent.code else issue.message.partition("; newer")[0]
        print(f"note: {issue.symbol}: {said}", file=sys.stderr)
    return 0 if len(bars.symbols) == len(args.symbols) else 1
