"""`toolkit ledger`: an account's books shown, checked, taken out, copied, and brought into line with the broker's."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd

from toolkit.cli.account import PLACE, Place, place_of
from toolkit.cli.cycle import count
from toolkit.cli.ledger_text import shown
from toolkit.cycle.connected import connected
from toolkit.data import SystemClock
from toolkit.data.export import FORMULA
from toolkit.errors import InvalidParameter, LedgerError, LedgerMismatch
from toolkit.execution import adoption, entries
from toolkit.execution.audit import snapshot, verify
from toolkit.execution.ledger import Ledger
from toolkit.execution.schema import TABLES
from toolkit.execution.standing import ACTIVE
from toolkit.kernels.account import UNIT

EXAMPLE = """\
examples:
  toolkit ledger show notebooks/trading_config.yaml        the account, what it holds, its last cycles and events
  toolkit ledger show state/paper-demo --last 50
  toolkit ledger verify state/paper-demo                   does everything in it follow from its events?
  toolkit ledger export state/paper-demo tables            every table as a CSV file in the folder `tables`
  toolkit ledger backup state/paper-demo copy.sqlite       one whole file, verified
  toolkit ledger adopt live.yaml                           books what the broker's account holds and the ledger does not know

show, verify, export and backup look only, and work while a loop writes. adopt is for the modes broker-paper and live, with the
loop stopped: it books the broker's news, shows what is left over, and books that too once you have typed yes (or with --yes).

exit status: 0 done, 1 the ledger does not hold together, or there is none, 2 wrong arguments or config
"""
ACTIONS = "show", "verify", "export", "backup", "adopt"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("action", choices=ACTIONS, metavar="|".join(ACTIONS), help="what to do")
    parser.add_argument("place", type=Path, metavar="PLACE", help=PLACE)
    parser.add_argument("target", type=Path, nargs="?", metavar="TARGET", help="with export a folder, with backup a file")
    parser.add_argument(
        "--last", type=count, default=10, metavar="N", help="with show: how many cycles and events (default 10)"
    )
    parser.add_argument("--overwrite", action="store_true", help="with export and backup: replace what is there")
    parser.add_argument("--yes", action="store_true", help="with adopt: book without asking")


def execute(args: argparse.Namespace) -> int:
    """Does the action; 1 if the ledger, or the copy, does not hold together."""
    place = place_of(args.place)
    if args.action == "adopt":
        return adopted(place, args)
    if (args.target is None) == (args.action in {"export", "backup"}):
        needs = "needs a TARGET" if args.target is None else "takes no TARGET"
        raise InvalidParameter(f"{args.action} {needs}", "see toolkit ledger --help")
    with closing(Ledger.read(place.ledger)) as ledger:
        if args.action == "show":
            with snapshot(ledger):
                print(shown(ledger, min(args.last, sys.maxsize)))
            return 0
        if args.action == "verify":
            return told(ledger)
        return {"export": export, "backup": backup}[args.action](ledger, args.target.expanduser(), args.overwrite)


def told(ledger: Ledger) -> int:
    """Says whether a ledger holds together."""
    wrong = verify(ledger)
    for sentence in wrong:
        print(f"WRONG {sentence}")
    if wrong:
        print(f"error: {ledger.path} does not hold together in {len(wrong)} places; restore a copy", file=sys.stderr)
        return 1
    for symbol, said in ledger.account().unpriced.items():
        print(f"note: {symbol}: {said}")
    counts = {name: ledger.rows(f"SELECT count(*) FROM {name}")[0][0] for name in ("events", "intents", "cycles")}
    print(f"{ledger.path}: {', '.join(f'{n:,} {name}' for name, n in counts.items())}, all of it holds together")
    return 0


def export(ledger: Ledger, folder: Path, overwrite: bool) -> int:
    """Writes every table as CSV; no text in them is taken for a formula by a spreadsheet."""
    names = "account", *TABLES
    there = [f"{name}.csv" for name in names if (folder / f"{name}.csv").exists()]
    if there and not overwrite:
        raise InvalidParameter(f"{folder} has {', '.join(there)} already", "name another folder, or add --overwrite")
    with snapshot(ledger):
        tables = {name: ledger.frame(name) for name in TABLES}
        columns = [name for _, name, *_ in ledger.rows("PRAGMA table_info(account)")]
        tables["account"] = pd.DataFrame(ledger.rows("SELECT * FROM account"), columns=columns)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            half = folder / f".{name}.csv.{os.getpid()}"
            tables[name].map(inert).to_csv(half, index=False)
            os.replace(half, folder / f"{name}.csv")
    except OSError as error:
        raise InvalidParameter(f"{folder} cannot be written ({error.strerror or error})", "choose another folder") from error
    for name in names:
        replaced = " (replaced)" if f"{name}.csv" in there else ""
        print(f"{folder / name}.csv  {len(tables[name]):,} rows{replaced}")
    return 0


def inert(cell: object) -> object:
    """A cell as a spreadsheet may see it: one line, no formula, and a situation as the JSON that it is."""
    if isinstance(cell, bytes):
        cell = json.dumps(entries.situation_of(cell))
    if not isinstance(cell, str):
        return cell
    return " ".join((f"'{cell}" if cell.startswith(FORMULA) else cell).splitlines())


def backup(ledger: Ledger, path: Path, overwrite: bool) -> int:
    """Copies the ledger into one file and verifies the copy."""
    own = path.exists() and path.samefile(ledger.path)
    if own or path.is_dir() or (path.exists() and not overwrite):
        raise InvalidParameter(f"{path} is there already", "name another file, or add --overwrite for an earlier copy")
    if path.exists() and in_use(path.resolve()):
        raise InvalidParameter(f"{path} is the ledger of an account", "name another file: no copy takes the place of a ledger")
    replaced = " (replaced)" if path.exists() else ""
    with closing(Ledger.read(ledger.copy_to(path))) as copy:
        status = told(copy)
    print(f"{path}: {path.stat().st_size / 1e6:,.2f} MB{replaced}" + ("" if status == 0 else ", as it was: not whole"))
    return status


def in_use(path: Path) -> bool:
    """Whether somebody writes a log ahead of the file, or holds a lock of its name: so does the writer of a ledger."""
    return any(path.with_name(name).exists() for name in (f"{path.name}-wal", f"{path.stem}.lock"))


def adopted(place: Place, args: argparse.Namespace) -> int:
    """Shows what the broker has and the ledger has not, and books it if a person says so."""
    if place.config is None:
        raise InvalidParameter(f"{args.place} names no broker", "adopt needs the config file of the account")
    venue = connected(place.config, clock := SystemClock(), None)
    if venue is None:
        what = f"mode is {place.config.mode!r}, where the ledger itself is the broker's book"
        raise InvalidParameter(what, "adopt is for broker-paper and live: there is nothing to bring into line here")
    if place.config.broker.account not in {"", venue.number}:
        what = f"the broker's account is {venue.number}, the config says {place.config.broker.account}"
        raise LedgerMismatch(what, "use the keys of that account")
    config, cash = place.config, venue.broker.purse().cash / UNIT
    with closing(Ledger.open(place.folder, account=config.account, mode=config.mode, cash=cash, clock=clock)) as ledger:
        found = adoption.proposed(ledger, venue.broker, venue.desk(ledger))
        print(found)
        if found:
            if not args.yes and not answered():
                raise LedgerError("nothing was adopted", "answer yes, or add --yes once you have looked at it")
            events = adoption.book(ledger, found)
            print(f"booked {len(events)} events of kind adoption in {ledger.path}")
        standing, why = ledger.standing
        if standing != ACTIVE:
            print(f"the account stands {standing}: {why}; `toolkit resume {args.place}` lifts it")
        return told(ledger)


def answered() -> bool:
    """Whether a person at a terminal types yes; nobody else is asked."""
    return sys.stdin.isatty() and input("book this? type yes: ").strip().lower() == "yes"
