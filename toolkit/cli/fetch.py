"""`toolkit fetch`: bars into the cache."""

from __future__ import annotations

import argparse
from pathlib import Path

from toolkit.data import BarCache, Bars, MarketData
from toolkit.data.sources.named import SOURCES, source_of

EXAMPLE = """\
examples:
  toolkit fetch AAPL IBM
  toolkit fetch SPY QQQ --source yahoo --start 2020-01-01
  toolkit fetch SPY --source yahoo --interval 5m
  toolkit fetch AAA BBB --source synthetic:7 --interval 1wk
  toolkit fetch MINE --source folder:~/prices

sources:
""" + "".join(f"  {name:<11}{what}\n" for name, what in SOURCES.items())


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("symbols", nargs="+", metavar="SYMBOL", help="what to fetch, e.g. AAPL")
    parser.add_argument("--source", default="sample", help="where bars come from, see below (default: sample)")
    parser.add_argument("--interval", default="1d", help="1m 2m 5m 15m 30m 1h, 1d (default), 1wk or 1mo")
    parser.add_argument("--start", metavar="DATE", help="first session shown, e.g. 2012-01-03; what is stored is all there is")
    parser.add_argument("--end", metavar="DATE", help="last session shown")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="folder of the cache (default: the user's cache folder)")


def execute(args: argparse.Namespace) -> int:
    """Fetches and prints a line a symbol; 1 if a symbol failed, and the log has said why."""
    market = MarketData(source_of(args.source), BarCache(args.dir))
    bars = market.bars(args.symbols, args.start, args.end, args.interval)
    print("\n".join(table(bars)))
    print(f"{market.stats()['api_calls']:.0f} calls to {market.source.name}, bars kept in {market.cache.directory}")
    return 0 if len(bars.symbols) == len(set(args.symbols)) else 1


def table(bars: Bars) -> list[str]:
    """Bars, first and last session and last close as traded of each symbol, a line each; then what is to be noted."""
    lines = [f"{'symbol':<10}{'bars':>7}  {'first':<12}{'last':<12}{'traded at':>12}"]
    for symbol in bars.symbols:
        close = bars.traded_frame("close")[symbol].dropna()
        if len(close):
            span = f"{close.index[0]:%Y-%m-%d}  {close.index[-1]:%Y-%m-%d}  {close.iloc[-1]:>12,.2f}"
            lines.append(f"{symbol:<10}{len(close):>7}  {span}")
        else:
            lines.append(f"{symbol:<10}{0:>7}  no bar in the range")
    lines += [f"note: {issue}" for issue in bars.issues]
    return lines
