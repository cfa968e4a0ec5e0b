"""Trading with real money takes five conditions at once; whatever is missing is said, with its cure.

1. The configuration says `mode: live` and names the broker's account number.
2. The environment says TK_LIVE=<that number>.
3. The broker's account has that number.
4. The ledger was made for the mode live.
5. `toolkit arm` has written a token for this account, this configuration and the strategy and sizing that it names, at most
   12 hours ago; `TradingEngine.arm` writes it where these were given in Python, and on the same conditions.

The token is a small file in the state folder, readable by its owner alone and signed with the broker's secret: a token that
was edited, damaged, copied from another account or made with other keys is none.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pandas as pd

from toolkit.data.clock import utc
from toolkit.errors import NotArmed
from toolkit.execution.credentials import Secret

LONGEST = pd.Timedelta(hours=12)
TOKEN, LARGEST = "armed.json", 4096  # bytes
UNSEEN = (
    "the configuration (the broker was handed in beside it; real money is traded at Alpaca alone so far, where `mode: live` and"
    " the account number in the configuration connect)",
    "TK_LIVE in the environment", "the broker's account", "a ledger of mode live", "an arming token",
)  # fmt: skip
"""What is missing where real money would be traded and no configuration answers for it."""
FIELDS = {"account", "config", "armed", "until", "signature"}
AGAIN = "arm again: `toolkit arm`"


@dataclass(frozen=True)
class Standing:
    """What there is to be seen of the five conditions; "" or None where something is not there."""

    mode: str  # of the configuration
    account: str  # the broker's account number in the configuration
    config: str  # a hash of the configuration, the strategy and the sizing
    said: str  # TK_LIVE in the environment
    number: str  # the account number that the broker answered
    ledger: str  # mode of the ledger
    folder: Path  # state folder of the account
    secret: Secret | None  # the broker's


def config_hash(values: Mapping[str, Any]) -> str:
    """A hash of everything in a configuration, whatever the order of its keys.

    >>> config_hash({"a": 1, "b": [2]}) == config_hash({"b": [2], "a": 1})
    True
    """
    return blake2b(json.dumps(values, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def missing(standing: Standing, now: pd.Timestamp) -> list[str]:
    """The conditions that do not hold, as sentences with their cures; empty: armed."""
    flaw = token_flaw(standing, now)
    return [*_four(standing), flaw] if flaw else _four(standing)


def check(standing: Standing, now: pd.Timestamp) -> None:
    """Raises NotArmed unless all five conditions hold."""
    lacks = missing(standing, now)
    if lacks:
        raise _refused(lacks)


def arm(standing: Standing, now: pd.Timestamp, lasts: pd.Timedelta = LONGEST) -> pd.Timestamp:
    """Writes the token once the other four conditions hold; the instant until which it is good, `lasts` from `now`.

    Raises NotArmed for what is missing, for a time that is not above 0 and at most 12 hours, and where it cannot be written.
    """
    lacks = _four(standing)
    if lacks or standing.secret is None:
        raise _refused([*lacks, "the token, which is written with the broker's keys when the other four hold"])
    if not pd.Timedelta(0) < lasts <= LONGEST:
        raise NotArmed(f"arming for {lasts} was asked for", "arm for more than 0 and at most 12 hours")
    now = utc(now)
    until = now + lasts
    content = {"account": standing.account, "config": standing.config, "armed": now.isoformat(), "until": until.isoformat()}
    content["signature"] = standing.secret.sign(_signed(content))
    try:
        _write(standing.folder, json.dumps(content).encode())
    except OSError as error:
        raise NotArmed(f"{standing.folder / TOKEN} cannot be written ({error.strerror})", "look at the folder") from error
    return until


def disarm(folder: Path) -> bool:
    """Takes the token away; whether there was one."""
    try:
        (folder / TOKEN).unlink()
    except FileNotFoundError:
        return False
    return True


def _four(s: Standing) -> list[str]:
    """A sentence for each of the first four conditions that does not hold."""
    named = f"the account number {s.account}" if s.account else "no account number"
    conditions = {
        f"the configuration (it says mode {s.mode!r} and {named}; write `mode: live` and `broker: {{account: NUMBER}}`)": (
            s.mode == "live" and s.account != ""
        ),
        f"TK_LIVE in the environment (it is {s.said!r}; set it to the account number)": s.account and s.said == s.account,
        f"the broker's account (its number is {s.number!r}, the configuration has {named}; use the keys of that account)": (
            s.account and s.number == s.account
        ),
        f"a ledger of mode live (it is {s.ledger!r}; live trading begins a ledger of its own)": s.ledger == "live",
    }
    return [said for said, holds in conditions.items() if not holds]


def token_flaw(s: Standing, now: pd.Timestamp) -> str:
    """Why there is no good token, "" if there is one."""
    content = _read(s.folder)
    if isinstance(content, str):
        return content
    if s.secret is None:
        return "an arming token that can be checked (the broker's keys are not there)"
    if not hmac.compare_digest(content["signature"].encode(errors="replace"), s.secret.sign(_signed(content)).encode()):
        return f"a whole arming token (its signature does not match; {AGAIN})"
    if content["account"] != s.account:
        return f"an arming token for this account (it is for {content['account']!r}; {AGAIN})"
    if content["config"] != s.config:
        changed = "CONFIG_CHANGED: configuration, strategy, sizing or version are not those that were armed"
        return f"an arming token for what trades ({changed}; {AGAIN}, or `engine.arm()` for what is given in Python)"
    armed, until, now = utc(content["armed"]), utc(content["until"]), utc(now)
    if not armed <= now:
        return f"an arming token of the past (it is from {armed:%Y-%m-%d %H:%M:%S} UTC: look at the clock, then {AGAIN})"
    if not (now <= until and until - armed <= LONGEST):
        return f"a fresh arming token (it was good until {until:%Y-%m-%d %H:%M:%S} UTC; {AGAIN})"
    return ""


def _read(folder: Path) -> dict[str, str] | str:
    """The fields of the token, or why there are none."""
    path = folder / TOKEN
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return "an arming token (run `toolkit arm`)"
    except OSError as error:
        return f"an arming token that can be read ({path}: {error.strerror}; {AGAIN})"
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            return f"an arming token of yours alone ({path} is open to others; {AGAIN})"
        raw = file.read(LARGEST + 1)
    try:
        content = json.loads(raw) if len(raw) <= LARGEST else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or set(content) != FIELDS or not all(isinstance(v, str) for v in content.values()):
        return f"a whole arming token ({path} is damaged; {AGAIN})"
    return content


def _signed(content: Mapping[str, str]) -> bytes:
    return json.dumps({name: content[name] for name in sorted(FIELDS - {"signature"})}).encode()


def _write(folder: Path, content: bytes) -> None:
    """The token as a whole or not at all, readable by its owner alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    half = folder / f".{TOKEN}.{os.getpid()}"
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(half, folder / TOKEN)
    except OSError:
        with contextlib.suppress(OSError):
            half.unlink()
        raise


def _refused(lacks: list[str]) -> NotArmed:
    what = f"trading live is not armed: {5 - len(lacks)} of 5 conditions; missing: {'; '.join(lacks)}"
    return NotArmed(what, "`toolkit arm` says what is missing; paper trading needs none of it")
