"""`toolkit resume`: a person lets an account trade again."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path

from toolkit.cli.account import LEDGER, accounts_in, place_argument, place_of
from toolkit.data.places import state_folder
from toolkit.errors import LedgerError, LedgerLocked
from toolkit.execution.ledger import Ledger
from toolkit.execution.standing import ACTIVE, TK_HALT, Switches, lift, unlinked

EXAMPLE = """\
examples:
  toolkit resume                                   lifts a halt of all accounts; those with one of their own are named
  toolkit resume notebooks/trading_config.yaml     the account of a config file: its files KILL and REDUCE_ONLY, its standing
  toolkit resume state/paper-demo                  the account in a folder

Find out first why it was halted: it is printed, and `toolkit ledger show` tells more. Lifting a HALT begins the drawdown anew,
and is kept in the ledger with your name. While a loop runs only the files go: a HALT in its ledger waits until the loop is
stopped.

exit status: 0 nothing stops it any more, 1 something still does, or there is no ledger, 2 wrong arguments or config
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    place_argument(parser, optional=True)


def execute(args: argparse.Namespace) -> int:
    """Lifts, says what was lifted, and what still stops the account."""
    path = args.place
    folder = state_folder() if path is None else path.resolve() if path.is_dir() else place_of(path).folder
    if (folder / LEDGER).is_file():
        return one(folder)
    if not accounts_in(folder):
        if lifted := unlinked(folder):  # halted before its first cycle
            told(folder, lifted)
            return 0
        raise LedgerError(f"there is no ledger in {folder} or right below it", "name a config file or an account's folder")
    return all_of(folder)


def one(folder: Path) -> int:
    """Lifts what stops the account in `folder`."""
    with closing(Ledger.read(folder)) as seen:
        account, cash = seen.account(), seen.opening_cash
    try:
        with closing(Ledger.open(folder, account=account.name, mode=account.mode, cash=cash)) as ledger:
            lifted = lift(ledger, folder, who())
    except LedgerLocked as error:
        lifted = unlinked(folder)
        told(folder, lifted)
        return left(folder, f"{error.what}: stop the loop, then resume again")
    told(folder, lifted)
    return left(folder, "resume again")


def all_of(state: Path) -> int:
    """Takes the files of all accounts away; those that have a halt of their own are named."""
    told(state, unlinked(state))
    return max(left(account, f"`toolkit resume {account}` lifts it") for account in accounts_in(state))


def who() -> str:
    """The person at the keyboard, as far as the environment knows."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown"


def told(folder: Path, lifted: list[str]) -> None:
    print("\n".join(f"lifted {each}" for each in lifted) if lifted else f"{folder.name}: there was nothing to lift")


def left(folder: Path, cure: str) -> int:
    """Says what still stops an account; 1 if something does."""
    with closing(Ledger.read(folder)) as ledger:
        standing, why = ledger.standing
    own, common = Switches((folder,)), Switches((folder.parent,))
    still = [f"{standing}: {why}; {cure}"] if standing != ACTIVE else []
    still += [f"{said}; {cure}" for said in (own.killed(), own.reduced()) if said]
    still += [f"{said}; `toolkit resume {folder.parent}` lifts it" for said in (common.killed(), common.reduced()) if said]
    still += [f"{TK_HALT} is set in this environment; unset it where the loop runs"] if os.environ.get(TK_HALT) else []
    for each in still:
        print(f"{folder.name} is still stopped by {each}", file=sys.stderr)
    if not still:
        print(f"{folder.name} may trade")
    return 1 if still else 0
