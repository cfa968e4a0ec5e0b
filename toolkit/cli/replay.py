"""`toolkit replay`: a past cycle again, compared bit for bit with what the ledger kept of it."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from toolkit.cli.account import configured, place_of
from toolkit.cycle.incident import replay
from toolkit.execution.ledger import Ledger

EXAMPLE = """\
examples:
  toolkit replay notebooks/trading_config.yaml last
  toolkit replay notebooks/trading_config.yaml 12          the twelfth cycle of the ledger
  toolkit replay notebooks/trading_config.yaml 'KEY'        its key, as the ledger has it
  toolkit replay paper.yaml last --ledger backup.sqlite    of a copy, or of an earlier run

Compared are the bars (by their fingerprint), ages, jumps and volumes with those of the bars, cash and holdings with the events
booked until then, the scores, the weights, the orders and the gate's verdicts; a difference is printed with what was kept and
what came out now. Where the bars differ, the source has rewritten them, or the cache is another
one; where the scores differ on the same bars, the strategy has changed. Cycles in which nothing was decided keep no situation:
of them the bars alone are compared. Orders whose situation is missing are not the same: nothing says on what they were
decided. Nothing is sent, and nothing is written.

exit status: 0 the same bit for bit, 1 it differs or there is no such cycle, 2 wrong arguments or config
"""


def cycle(text: str) -> str | int:
    """A cycle's number, `last`, or its key."""
    if text == "last":
        return -1
    return int(text) if text.isascii() and text.isdigit() else text


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the YAML file that the cycle ran with")
    parser.add_argument("cycle", type=cycle, metavar="CYCLE", help="its number in the ledger, its key, or `last`")
    parser.add_argument("--ledger", type=Path, metavar="PLACE", help="another ledger than the newest of the config's account")


def execute(args: argparse.Namespace) -> int:
    """Replays and prints; 1 if something came out otherwise."""
    config = configured(args.config)
    with closing(Ledger.read(place_of(args.ledger or args.config).ledger)) as ledger:
        outcome = replay(args.cycle, ledger, config)
    print(outcome)
    return 0 if outcome.same else 1
