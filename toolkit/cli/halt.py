"""`toolkit halt`: nothing is sent any more, or only what closes, by one account or by all of them."""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from pathlib import Path

from toolkit.cli.account import LEDGER, accounts_in, place_argument, place_of
from toolkit.data.places import state_folder
from toolkit.errors import ConfigError, InvalidParameter, LedgerError
from toolkit.execution.ledger import Ledger
from toolkit.execution.standing import ACTIVE, KILL, REDUCE_ONLY, Switches, kill

LONGEST = 500  # characters of a reason
EXAMPLE = """\
examples:
  toolkit halt "the fills look wrong"                                   all accounts of the project
  toolkit halt "the fills look wrong" paper.yaml                        the account of a config file
  toolkit halt "the fills look wrong" state/paper-demo                  the account in a folder
  toolkit halt --reduce-only "on holiday" paper.yaml                    positions may be closed, nothing is opened or added to

It writes a file named KILL, with --reduce-only one named REDUCE_ONLY, which a loop looks for before each order, in whatever
process it runs and after every restart. It cancels nothing that waits at the broker, and a halted loop replaces nothing there;
what the strategy no longer wants at all is still taken back, and fills are booked as ever. `toolkit resume` takes the files
away. Where both are there, or the ledger says HALT, nothing is sent: --reduce-only weakens no halt. An
order that turns a position round opens as well, so --reduce-only denies it whole.

exit status: 0 halted, 1 there is no account to halt, 2 wrong arguments or config
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("reason", help="why, for whoever finds the account halted")
    parser.add_argument("--reduce-only", action="store_true", help="let pass what only closes a position")
    place_argument(parser, optional=True)


def execute(args: argparse.Namespace) -> int:
    """Writes the file and says whom it stops."""
    reason = "".join(c for c in " ".join(args.reason.split()) if c.isprintable())[:LONGEST]
    if not reason:
        raise InvalidParameter(f"the reason is {args.reason!r}", "say why, in a few words")
    if args.place is None and (reason.endswith((".yaml", ".yml")) or os.path.exists(reason)):
        raise InvalidParameter(f"the reason is {args.reason!r}", 'say why first: toolkit halt "why" CONFIG')
    folder = halted_folder(args.place)
    name = REDUCE_ONLY if args.reduce_only else KILL
    before = (folder / name).exists()
    try:
        path = kill(folder, reason, name)
    except OSError as error:
        what = f"{folder / name} cannot be written ({error.strerror}): NOTHING IS HALTED"
        raise LedgerError(what, "stop the loop itself, or set TK_HALT where it runs") from error
    print(f"{path}: {reason}{' (the reason of an earlier halt is replaced)' * before}")
    for account in accounts_in(folder) or [folder]:
        stricter = stopped(account) if args.reduce_only else ""
        may = "opens nothing from now on, what closes a position is sent" if args.reduce_only else "sends no more orders"
        print(f"  {account.name} {f'stays halted, which is stricter: {stricter}' if stricter else may}")
    print("`toolkit resume` lifts it; nothing that waits at a broker is cancelled by it")
    return 0


def stopped(account: Path) -> str:
    """Why the account sends nothing at all, "" if it may close."""
    if pulled := Switches((account, account.parent)).pulled():
        return pulled
    if not (account / LEDGER).is_file():
        return ""
    try:
        with closing(Ledger.read(account)) as ledger:
            standing, why = ledger.standing
    except LedgerError:  # of another version, or damaged: whoever opens it next says so, and still opens no position
        return ""
    return f"{standing}: {why}" if standing not in {ACTIVE, REDUCE_ONLY} else ""


def halted_folder(path: Path | None) -> Path:
    """The folder of one account, or the state folder of all: where loops look, or LedgerError."""
    if path is not None and not path.is_dir():
        try:
            place = place_of(path)
        except ConfigError as error:  # while somebody edits the file
            other = (
                f'`toolkit halt "why"` halts all accounts of the project, `toolkit halt "why" FOLDER` one of them: {error.cure}'
            )
            raise ConfigError(f"NOTHING IS HALTED: {error.what}", other) from error
        if place.config is not None and place.config.mode == "replay":
            what = f"{path} is a replay, which opens a fresh account each run"
            raise LedgerError(what, "name the config of a paper account, an account's folder, or the state folder")
        alive = place.ledger.name == LEDGER and (place.folder / "ledger.lock").exists()  # which no copy has
        if place.config is None and not alive:
            what = f"{path} is a copy, so no loop looks for a {KILL} file beside it: NOTHING IS HALTED"
            raise LedgerError(what, "name a config file, an account's folder, or the state folder")
        return place.folder
    folder = state_folder() if path is None else path.resolve()
    if not (folder / LEDGER).is_file() and not accounts_in(folder):
        what = f"no account is in {folder}, so no loop looks for a {KILL} file there"
        raise LedgerError(what, "name a config file, an account's folder, or the state folder")
    return folder
