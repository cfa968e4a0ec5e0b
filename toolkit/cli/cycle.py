"""`toolkit cycle`: trading cycles from a config file, without a notebook."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from toolkit.cycle.engine import TradingEngine
from toolkit.execution.standing import HALT

EXAMPLE = """\
examples:
  toolkit cycle notebooks/trading_config.yaml
  toolkit cycle notebooks/trading_config.yaml --cycles 5

exit status: 0 done, 1 a cycle failed or the account is halted (cron and systemd tell of it), 2 wrong arguments or config
"""


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, e.g. notebooks/trading_config.yaml")
    parser.add_argument("--cycles", type=count, default=1, metavar="N", help="how many cycles to run (default 1)")


def execute(args: argparse.Namespace) -> int:
    """Runs the cycles and prints each report, and a summary after several; 1 if the account is halted."""
    with closing(TradingEngine.from_yaml(args.config)) as engine:
        if args.cycles == 1:
            print(engine.run_cycle())
        else:
            print(engine.run_continuous(cycles=args.cycles, on_cycle=print))
        print(f"ledger in {engine.folder}")
        return int(engine.ledger.standing[0] == HALT)
