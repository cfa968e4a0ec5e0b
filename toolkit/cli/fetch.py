"""`toolkit fetch`: bars into the cache."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from toolkit.data import BarCache, Bars, MarketData, SampleSource, Source

EXAMPLE = """\
examples:
  toolkit fetch AAPL IBM
  toolkit fetch SPY QQQ --source yahoo --start 2020-01-01
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("symbols", nargs="+", metavar="SYMBOL", help="what to fetch, e.g. AAPL")
    parser.add_argument("--source", choices=("sample", "yahoo"), default="sample",
                        help="bundled prices of five symbols until 2013 (default), or Yahoo")  # fmt: skip
    parser.add_argument("--start", metavar="DATE", help="first session shown, e.g. 2012-01-03")
    parser.add_argument("--end", metavar="DATE", help="last session shown")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="folder of the cache (default: the user's cache folder)")


def source(name: str) -> Source:
    """The source of that name; Yahoo's client takes a second to import, so only who asks for it waits."""
    if name == "yahoo":
        return importlib.import_module("toolkit.data.sources.yahoo").YahooSource()
    return SampleSource()


def execute(args: argparse.Namespace) -> int:
    """Fetches and prints a line a symbol; 1 if a symbol failed, and the log has said why."""
    market = MarketData(source(args.source), BarCache(args.dir))
    bars = market.bars(args.symbols, args.start, args.end)
    print("\n".join(table(bars)))
    print(f"{market.stats()['api_calls']:.0f} calls to {market.source.name}, bars kept in {market.cache.directory}")
    return 0 if len(bars.symbols) == len(set(args.symbols)) else 1


def table(bars: Bars) -> list[str]:
    """Bars, first and last session and last close of each symbol, a line each."""
    lines = [f"{'symbol':<10}{'bars':>7}  {'first':<12}{'last':<12}{'close':>12}"]
    for symbol in bars.symbols:
        close = bars.traded_frame("close")[symbol].dropna()
        if len(close):
            span = f"{close.index[0]:%Y-%m-%d}  {close.index[-1]:%Y-%m-%d}  {close.iloc[-1]:>12,.2f}"
            lines.append(f"{symbol:<10}{len(close):>7}  {span}")
        else:
            lines.append(f"{symbol:<10}{0:>7}  no bar in the range")
    lines += [f"{issue.symbol:<10}{issue.code:>7}" for issue in bars.issues if issue.symbol not in bars.symbols]
    return lines
