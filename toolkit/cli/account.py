"""Which account a command means: a config file, an account's folder, or a ledger file."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import NamedTuple

from toolkit.cycle.config import Config, read_config
from toolkit.errors import InvalidParameter, LedgerError

LEDGER = "ledger.sqlite"
PLACE = "a config file (.yaml), an account's folder, or a ledger file"


class Place(NamedTuple):
    """The folder of an account, its ledger, which may not be there yet, and the config that named it."""

    folder: Path
    ledger: Path
    config: Config | None


def place_argument(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """Declares the argument that names an account."""
    parser.add_argument("place", type=Path, nargs="?" if optional else None, metavar="CONFIG|FOLDER", help=PLACE)


def configured(path: Path) -> Config:
    """The configuration in a file; InvalidParameter for anything that is no file of that kind."""
    if path.is_dir() or path.suffix not in {".yaml", ".yml"}:
        raise InvalidParameter(f"{path} is no config file", "name a .yaml file, e.g. notebooks/trading_config.yaml")
    return read_config(path)


def place_of(path: Path) -> Place:
    """The account that `path` means; LedgerError if there is nothing at `path`, or several accounts are."""
    if path.suffix in {".yaml", ".yml"}:
        config = read_config(path)
        folder = folder_in(config)
        return Place(folder, folder / LEDGER, config)
    if path.is_file():
        with path.open("rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise LedgerError(f"{path} is no ledger", f"name {PLACE}")
        return Place(path.resolve().parent, path.resolve(), None)
    if not path.is_dir():
        raise LedgerError(f"there is nothing at {path}", f"name {PLACE}")
    folder = path.resolve()
    if (folder / LEDGER).is_file():
        return Place(folder, folder / LEDGER, None)
    several = accounts_in(folder)
    if len(several) == 1:
        return Place(several[0], several[0] / LEDGER, None)
    below = f"; accounts below it: {', '.join(one.name for one in several)}" if several else ""
    raise LedgerError(f"there is no ledger in {path}{below}", f"name {PLACE}")


def accounts_in(folder: Path) -> list[Path]:
    """The folders of accounts right below a state folder, by name."""
    return sorted(ledger.parent for ledger in folder.glob(f"*/{LEDGER}"))


def folder_in(config: Config) -> Path:
    """The folder of the account of a configuration; of its newest run where each replay has its own."""
    state, name = Path(config.state).resolve(), f"{config.mode}-{config.account}"
    if config.mode != "replay":
        return state / name
    runs = [folder for folder in accounts_in(state) if re.fullmatch(rf"{re.escape(name)}-\d{{8}}T\d+", folder.name)]
    if not runs:
        raise LedgerError(f"there is no replay of account {config.account} in {state}", "run `toolkit cycle CONFIG` first")
    return runs[-1]
