"""What an account may do, and the switches that stop it: a standing in its ledger, files, an environment variable.

ACTIVE trades, REDUCE_ONLY only closes, HALT sends nothing.  A standing survives restarts and a person lifts it; so does a file,
which acts before the next order, in whatever process.  Where several of them speak, the strictest counts.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import LedgerError
from toolkit.execution.ledger import Ledger

log = logging.getLogger(__name__)
ACTIVE, REDUCE_ONLY, HALT = "ACTIVE", "REDUCE_ONLY", "HALT"
KILL = "KILL"  # name of the file that stops every order, in the folder of one account or of all; REDUCE_ONLY is one beside it
TK_HALT = "TK_HALT"  # name of the environment variable


@dataclass(frozen=True)
class Switches:
    """Where to look before each order is sent: the files of this account and of all, and the environment."""

    folders: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # beside the process's; values are secret

    def pulled(self) -> str:
        """Why nothing may be sent, "" if it may."""
        if said := os.environ.get(TK_HALT, "") or self.environment.get(TK_HALT, ""):
            return f"{TK_HALT} is set: {said}"
        return self.killed()

    def killed(self) -> str:
        """What the files say of why nothing may be sent, "" if it may."""
        return self._file(KILL)

    def reduced(self) -> str:
        """Why nothing may be opened, "" if it may."""
        return self._file(REDUCE_ONLY)

    def stands(self, standing: str, why: str) -> tuple[str, str]:
        """What the account may do, and why, with the files beside the standing of its ledger: what is stricter counts."""
        said = self.reduced() if standing == ACTIVE else ""
        return (REDUCE_ONLY, said) if said else (standing, why)

    def _file(self, name: str) -> str:
        for folder in self.folders:
            path = folder / name
            if path.exists() and not path.is_file():  # to read a pipe would wait for ever
                return f"{name} in {folder.name} is there, and no file"
            try:
                return f"{name} in {folder.name}: {path.read_text(encoding='utf-8', errors='replace').strip()[:200]}"
            except FileNotFoundError:
                if path.is_symlink():
                    return f"{name} in {folder.name} leads nowhere"
            except OSError as error:
                return f"{name} in {folder.name} cannot be read ({error.strerror})"
        return ""


def kill(folder: Path, reason: str, name: str = KILL) -> Path:
    """Stops the accounts below `folder` before their next order, with REDUCE_ONLY all but their closing ones.

    Returns the file, which `toolkit resume` takes away. OSError where there is none; one without its reason stops them too.
    """
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.is_file() or not os.path.lexists(path):  # anything else of that name stops them already
            path.write_text(reason + "\n", encoding="utf-8")
    except OSError as error:
        if not os.path.lexists(path):
            raise
        log.warning("%s is there and stops them; the reason is not in it (%s)", path, error.strerror)
    return path


def unlinked(folder: Path) -> list[str]:
    """Takes the files of a folder away; what they said. LedgerError if one of them stays."""
    files = Switches((folder,))
    lifted = []
    for path, said in ((folder / KILL, files.killed()), (folder / REDUCE_ONLY, files.reduced())):
        if said:
            try:
                path.unlink()
            except OSError as error:
                raise LedgerError(f"{path} cannot be taken away ({error.strerror})", "remove it by hand") from None
            lifted.append(said)
    return lifted


def lift(ledger: Ledger, folder: Path, who: str) -> list[str]:
    """A person lets the account trade again: its files go, its standing is ACTIVE; what was lifted, as sentences."""
    lifted = unlinked(folder)
    standing, why = ledger.standing
    if standing != ACTIVE:
        ledger.stand(ACTIVE, f"lifted: {why}", who)
        lifted.append(f"{standing}: {why}")
    return lifted
