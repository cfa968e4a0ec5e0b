"""`toolkit certify`: does the strategy of a config file score a bar with anything that was not known at that bar?"""

from __future__ import annotations

import argparse
from pathlib import Path

from toolkit.cycle.config import Config, read_config
from toolkit.cycle.modes import market_of
from toolkit.cycle.named import strategy_of
from toolkit.data import SystemClock
from toolkit.data.bars import Bars
from toolkit.data.sources.named import source_of
from toolkit.signals.causality.certificate import place
from toolkit.signals.causality.certification import certify

EXAMPLE = """\
examples:
  toolkit certify notebooks/trading_config.yaml
  toolkit certify notebooks/trading_config.yaml --symbols AAPL IBM

The strategy is asked once for each bar, on history up to that bar, and has to score it as it does with all later bars known.
It must not depend on the level of adjusted prices, which later splits change, and must score the same bars alike. What is
found is kept in the state folder of the config, under a hash of the strategy's code, parameters and versions: paper and live
trading ask for it, and for a new one when the hash has changed. A strategy of your own: certify(strategy, bars) in Python.

exit status: 0 passed, 1 it leaks (or raises), 2 wrong arguments or config
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, e.g. notebooks/trading_config.yaml")
    parser.add_argument("--symbols", nargs="+", metavar="SYMBOL", help="other symbols than those of the config, e.g. AAPL IBM")


def execute(args: argparse.Namespace) -> int:
    """Certifies and prints; 1 if the strategy leaks."""
    config = read_config(args.config, **({"symbols": args.symbols} if args.symbols else {}))
    strategy = strategy_of(config)
    certificate = certify(strategy, bars_of(config), state=Path(config.state))
    print(certificate)
    path = place(config.state, certificate.identity)
    if path.exists():
        print(f"kept in {path}")
    return 0 if certificate.passed else 1


def bars_of(config: Config) -> Bars:
    """All bars of the symbols that the config's source has by now, adjusted as its engine does."""
    return market_of(config, source_of(config.source), SystemClock()).bars(config.symbols)
