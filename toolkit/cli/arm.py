"""`toolkit arm`: trading with real money for some hours, once everything else says so too."""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd

from toolkit.cli.account import LEDGER, configured
from toolkit.cycle.config import Config
from toolkit.cycle.connected import Venue, connected, traded
from toolkit.cycle.modes import folder_of
from toolkit.data import SystemClock
from toolkit.errors import ToolkitError
from toolkit.execution.arming import Standing, arm, disarm, missing, token_flaw
from toolkit.execution.checks import FIVE
from toolkit.execution.ledger import Ledger
from toolkit.kernels.account import UNIT

EXAMPLE = """\
examples:
  toolkit arm live.yaml                says what is missing; with nothing missing, arms for 12 hours
  toolkit arm live.yaml --hours 2      for 2 hours
  toolkit arm live.yaml --disarm       takes the token away: the next order is denied

Five conditions have to hold at once, each time an order is sent:
  1. the config says `mode: live` and names the broker's account number (broker: {account: ...})
  2. the environment says TK_LIVE=<that number>
  3. the broker's account, by the keys in the environment or keyring, has that number
  4. the ledger was made for the mode live (arming makes it, with the cash that the broker's account has)
  5. this command has written a token for this account, this very config and the strategy and sizing it names, at most 12
     hours ago; a strategy or sizing given in Python has its own, written by `engine.arm(hours=2)` on the same conditions

A live account trades no strategy without a certificate (`toolkit certify`); allow_uncertified: true is refused.

Nothing is sent to the broker but the question for its account. Keys are never printed.

exit status: 0 armed (or disarmed), 1 something is missing, 2 wrong arguments or config
"""


def hours(text: str) -> pd.Timedelta:
    """A time above 0 and up to 12 hours."""
    try:
        length = float(text)
    except ValueError:
        length = 0.0
    if not 0.0 < length <= 12.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours above 0 and up to 12")
    return pd.Timedelta(hours=length)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file with `mode: live`")
    parser.add_argument("--hours", type=hours, default=hours("12"), metavar="H", help="for how long (default and most: 12)")
    parser.add_argument("--disarm", action="store_true", help="take the token away")


def execute(args: argparse.Namespace) -> int:
    """Arms or disarms; 1 if a condition does not hold."""
    config = configured(args.config)
    if args.disarm:
        there = config.mode == "live" and disarm(folder_of(config))
        print("disarmed: the next order is denied" if there else f"account {config.account} was not armed")
        return 0
    venue, said = met(config)
    standing, clock = seen(config, venue), SystemClock()
    flaw = token_flaw(standing, clock.now())
    ready = replace(standing, ledger="live") if not standing.ledger and venue else standing  # it is made with the token
    lacks = [each for each in missing(ready, clock.now()) if each != flaw]
    if lacks or venue is None:
        print(f"not armed: {FIVE - 1 - len(lacks)} of the {FIVE} conditions hold, the last is the token; missing:")
        print("\n".join(f"  {each}" for each in [*lacks, *said]))
        return 1
    if not standing.ledger:
        begun(config, venue)
    until = arm(ready, clock.now(), args.hours)
    print(f"ARMED: account {config.broker.account} trades real money until {until:%Y-%m-%d %H:%M} UTC")
    print(f"  `toolkit arm {args.config} --disarm` ends it, `toolkit halt` stops everything")
    return 0


def met(config: Config) -> tuple[Venue | None, list[str]]:
    """The broker of a live configuration, once it has answered; else None, and why in a sentence. No other is asked."""
    if config.mode != "live":
        return None, []
    try:
        venue = connected(config, SystemClock(), None)
        if venue is not None:
            _ = venue.number
    except ToolkitError as error:
        return None, [f"the broker: {error}"]
    return venue, []


def seen(config: Config, venue: Venue | None) -> Standing:
    """What there is to be seen of the conditions, also where there is no broker or no ledger."""
    folder = Path(config.state).resolve() / f"{config.mode}-{config.account}"
    mode = ""
    if (folder / LEDGER).is_file():
        with closing(Ledger.read(folder)) as ledger:
            mode = ledger.account().mode
    return Standing(
        config.mode, config.broker.account, venue.trades if venue else traded(config), os.environ.get("TK_LIVE", ""),
        venue.number if venue else "", mode, folder, venue.keys.secret if venue else None,
    )  # fmt: skip


def begun(config: Config, venue: Venue) -> None:
    """Makes the ledger of a live account, with the cash that the broker's account has, as the engine would."""
    cash = venue.broker.purse().cash / UNIT
    with closing(Ledger.open(folder_of(config), account=config.account, mode="live", cash=cash)) as ledger:
        print(f"{ledger.path}: a ledger of mode live was made, it begins with ${cash:,.2f}")
