"""What an account may do, and the switches that stop it: a standing in its ledger, kill files, an environment variable.

ACTIVE trades, REDUCE_ONLY only closes, HALT sends nothing.  A standing survives restarts and a person lifts it; a kill file
acts before the next order, in whatever process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import LedgerError
from toolkit.execution.ledger import Ledger

ACTIVE, REDUCE_ONLY, HALT = "ACTIVE", "REDUCE_ONLY", "HALT"
KILL = "KILL"  # name of the file, in the folder of one account or of all
TK_HALT = "TK_HALT"  # name of the environment variable


@dataclass(frozen=True)
class Switches:
    """Where to look before each order is sent: the kill files of this account and of all, and the environment."""

    folders: tuple[Path, ...] = ()
    environment: Mapping[str, str] | None = field(default=None, repr=False)  # None: the process's, whose values are secret

    def pulled(self) -> str:
        """Why nothing may be sent, "" if it may."""
        if said := (os.environ if self.environment is None else self.environment).get(TK_HALT, ""):
            return f"{TK_HALT} is set: {said}"
        for folder in self.folders:
            path = folder / KILL
            try:
                return f"{KILL} in {folder.name}: {path.read_text(encoding='utf-8', errors='replace').strip()[:200]}"
            except FileNotFoundError:
                if path.is_symlink():
                    return f"{KILL} in {folder.name} leads nowhere"
            except OSError as error:
                return f"{KILL} in {folder.name} cannot be read ({error.strerror})"
        return ""


def kill(folder: Path, reason: str) -> Path:
    """Stops the accounts below `folder` before their next order; returns the file, which `toolkit resume` takes away."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / KILL
    path.write_text(reason + "\n", encoding="utf-8")
    return path


def lift(ledger: Ledger, folder: Path, who: str) -> list[str]:
    """A person lets the account trade again: its kill file goes, its standing is ACTIVE; what was lifted, as sentences."""
    lifted = []
    path = folder / KILL
    if pulled := Switches((folder,), {}).pulled():
        try:
            path.unlink()
        except OSError as error:
            raise LedgerError(f"{path} cannot be taken away ({error.strerror})", "remove it by hand") from None
        lifted.append(pulled)
    standing, why = ledger.standing
    if standing != ACTIVE:
        ledger.stand(ACTIVE, f"lifted: {why}", who)
        lifted.append(f"{standing}: {why}")
    return lifted
