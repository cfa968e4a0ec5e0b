"""`toolkit halt`: nothing is sent any more, by one account or by all of them."""

from __future__ import annotations

import argparse
from pathlib import Path

from toolkit.cli.account import LEDGER, accounts_in, place_argument, place_of
from toolkit.data.places import state_folder
from toolkit.errors import InvalidParameter, LedgerError
from toolkit.execution.standing import KILL, kill

EXAMPLE = """\
examples:
  toolkit halt "the fills look wrong"                                   all accounts of the project
  toolkit halt "the fills look wrong" paper.yaml                        the account of a config file
  toolkit halt "the fills look wrong" state/paper-demo                  the account in a folder

It writes a file named KILL, which a loop looks for before each order, in whatever process it runs. What waits at the broker is
not cancelled, and fills are booked as ever. `toolkit resume` takes the file away.

exit status: 0 halted, 1 there is no account to halt, 2 wrong arguments or config
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("reason", help="why, for whoever finds the account halted")
    place_argument(parser, optional=True)


def execute(args: argparse.Namespace) -> int:
    """Writes the file and says whom it stops."""
    reason = " ".join(args.reason.split())
    if not reason:
        raise InvalidParameter(f"the reason is {args.reason!r}", "say why, in a few words")
    folder = halted_folder(args.place)
    before = (folder / KILL).exists()
    try:
        path = kill(folder, reason)
    except OSError as error:
        what = f"{folder / KILL} cannot be written ({error.strerror}): NOTHING IS HALTED"
        raise LedgerError(what, "stop the loop itself, or set TK_HALT where it runs") from error
    print(f"{path}: {reason}{' (the reason of an earlier halt is replaced)' * before}")
    for account in accounts_in(folder) or [folder]:
        print(f"  {account.name} sends no more orders")
    print("what waits at a broker is not cancelled; `toolkit resume` lifts this")
    return 0


def halted_folder(path: Path | None) -> Path:
    """The folder of one account, or the state folder of all: where loops look, or LedgerError."""
    if path is not None and not path.is_dir():
        place = place_of(path)
        if place.config is not None and place.config.mode == "replay":
            what = f"{path} is a replay, which opens a fresh account each run"
            raise LedgerError(what, "name the config of a paper account, an account's folder, or the state folder")
        return place.folder
    folder = state_folder() if path is None else path.resolve()
    if not (folder / LEDGER).is_file() and not accounts_in(folder):
        what = f"no account is in {folder}, so no loop looks for a {KILL} file there"
        raise LedgerError(what, "name a config file, an account's folder, or the state folder")
    return folder
