"""What was found when a strategy was checked for look-ahead, kept with the project's state under the strategy's identity."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import logging
import math
import os
import tempfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import InvalidParameter

log = logging.getLogger(__name__)

FOLDER = "certificates"
ROUNDING = 1e-9  # of scores in [-1, 1]: below, another order of adding up, not information
MEANINGS = {
    "FUTURE": "uses bars that come later",
    "LEVEL": "depends on the level of adjusted prices, which later splits and dividends change",
    "RANDOM": "scores the same bars differently: chance, or a state that it keeps",
    "RAISES": "raises on history up to a bar that it scores once later bars are known",
    "SHORT": "scores too few bars to tell",
}
CURES = {
    "FUTURE": "look for shift(-n), a statistic of the whole sample, a centred window, bfill, or labels of a resampling",
    "LEVEL": "compare prices with prices of the same bars (a frame held beside them keeps its shares): returns, ratios to an "
    "average; the level as traded is bars.traded_frame",
    "RANDOM": "keep nothing between calls, and draw random numbers from a generator that is seeded inside",
    "RAISES": "let it score NaN where history is too short",
    "SHORT": "certify it on more bars, best on all there are",
}
UNSEEN = "what the strategy reads from files or the network while it runs"


@dataclass(frozen=True)
class Leak:
    """The first bar at which the scores of a symbol differ, and how; kind is one of MEANINGS.

    then: with what was known at the bar (NaN: none); later: with all bars known. LEVEL: as prices are, and in other shares.
    """

    bar: str
    symbol: str
    then: float
    later: float
    kind: str = "FUTURE"
    note: str = ""

    def __post_init__(self) -> None:
        for name in "then", "later":  # one NaN for all, so that a leak equals itself when it is read back
            if math.isnan(getattr(self, name)):
                object.__setattr__(self, name, math.nan)

    @property
    def size(self) -> float:
        """How far the scores are apart; NaN where one of them is missing."""
        return abs(self.then - self.later)

    def __str__(self) -> str:
        then, later = said(self.then, self.later), said(self.later, self.then)
        what = {
            "FUTURE": f"{then} when it was the last bar, {later} once later bars were known",
            "LEVEL": f"{then} at these prices, {later} at the same in other shares (prices and volumes scaled by powers of 2)",
            "RANDOM": f"{then} when asked first, {later} when asked again",
            "RAISES": f"raised when it was the last bar, {later} once later bars were known",
            "SHORT": "the last bar",
        }[self.kind]
        if self.kind == "FUTURE" and self.size < ROUNDING:
            what += " (rounding: added up in another order, as a matrix product over a growing history is)"
        return f"{self.kind} {self.symbol} {self.bar}: {what}{f' ({self.note})' if self.note else ''}"


def said(number: float, other: float) -> str:
    """A score, in as many digits as tell it from the other."""
    if math.isnan(number):
        return "no opinion"
    short = f"{number:.4g}" if f"{number:.4g}" != f"{other:.4g}" else repr(number)
    return short if set(short) & set(".e") else f"{short}.0"


@dataclass(frozen=True, repr=False)
class Certificate:
    """What `certify` found; `passed` only if nothing leaks.

    leaks: the first of each kind and symbol. history: bars needed before scores no longer depend on where history starts, to
    the bit, of a few starts tried; settled: the same but for ROUNDING; None if they always did. bars: fingerprint. held: names
    of frames, Series, arrays and Bars beside the bars, which were cut too; uncut: of what is large and was not, with its size.
    remarks: what weakens it.
    """

    strategy: str
    identity: str
    n_bars: int
    symbols: tuple[str, ...]
    first: str
    last: str
    bars: str
    leaks: tuple[Leak, ...]
    history: int | None
    settled: int | None
    versions: dict[str, str]
    held: tuple[str, ...] = ()
    uncut: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    declared: bool = False
    marks: str = field(default="", repr=False)

    @property
    def passed(self) -> bool:
        """Whether nothing leaks."""
        return not self.leaks

    @property
    def level_independent(self) -> bool:
        """Whether scores are the same in other shares; not known, and False, where they are random."""
        return not {"LEVEL", "RANDOM"} & set(self.kinds)

    @property
    def leaking(self) -> np.ndarray:
        """Where scores changed once later bars were known, bool (n_symbols, n_bars)."""
        return unpacked(self.marks, (len(self.symbols), self.n_bars))

    # ------------------------------------------------------------------------------------------------------------ words
    @property
    def verdict(self) -> str:
        """One line: passed, or how it leaks."""
        if self.passed:
            return f"PASSED {self.strategy}: no bar of {self.n_bars:,} sees a later one"
        word = "TOO SHORT" if self.kinds == ("SHORT",) else "LEAKS"
        return f"{word} {self.strategy}: it {'; it '.join(MEANINGS[kind] for kind in self.kinds)}"

    @property
    def checked(self) -> str:
        """What was checked."""
        way = "its stream against the batch, and its rule in another order" if self.declared else "history cut after each bar"
        span = f"{', '.join(self.symbols[:5])}{', ...' * (len(self.symbols) > 5)}, {self.first} to {self.last}"
        held = f"; {', '.join(self.held)} cut alike" if self.held else ""
        return f"{self.n_bars:,} bars of {span}: {way}{held}"

    @property
    def needs(self) -> str:
        """How much history it needs, as a phrase."""
        if self.history is not None:
            return f"{counted(self.history)}, then its scores no longer depend on where history starts (of the starts tried)"
        if self.settled is not None:
            depend = "its scores depend on where history starts by rounding alone"
            return f"{counted(self.settled)}, then {depend} (of the starts tried)"
        return "all there is: its scores depend on where history starts"

    @property
    def unseen(self) -> str:
        """What no check could see: what is held and was not cut, up to five of them by name, and what is read while it runs."""
        more = len(self.uncut) - 5
        names = ", ".join(self.uncut[:5]) + f" and {more} more" * (more > 0)
        return f"held, not cut: {names}; {UNSEEN}" if names else UNSEEN

    def __str__(self) -> str:
        lines = [self.verdict, f"  checked  {self.checked}"]
        lines += [f"  history  {self.needs}"] * (not self.random)
        lines += [f"  {line}" for kind in self.kinds for line in self.shown(kind)]
        lines += [f"  cure     {kind}: {CURES[kind]}" for kind in self.kinds]
        lines += [f"  remark   {remark}" for remark in self.remarks]
        return "\n".join([*lines, f"  unseen   {self.unseen}"])

    __repr__ = __str__

    @property
    def random(self) -> bool:
        """Whether the same bars are scored differently; nothing else can then be said."""
        return "RANDOM" in self.kinds

    @property
    def kinds(self) -> tuple[str, ...]:
        """How it leaks, each kind once."""
        return tuple(dict.fromkeys(leak.kind for leak in self.leaks))

    def shown(self, kind: str) -> list[str]:
        """The leaks of a kind as lines, the first three of them."""
        all_of = [leak for leak in self.leaks if leak.kind == kind]
        more = len(all_of) - 3
        return [*map(str, all_of[:3]), *[f"{kind} and {more} more symbol{'s' * (more > 1)}"] * (more > 0)]

    def _repr_html_(self) -> str:
        verdict, _, rest = self.verdict.partition(f" {self.strategy}: ")
        colour = "#009E73" if self.passed else "#D55E00"
        rows = [("checked", self.checked), *[("history", self.needs)] * (not self.random)]
        for kind in self.kinds:
            rows += [(kind, line.removeprefix(f"{kind} ")) for line in self.shown(kind)]
            rows.append((f"cure of {kind}", CURES[kind]))
        rows += [*(("remark", remark) for remark in self.remarks), ("unseen", self.unseen)]
        cells = "".join(f"<tr><th>{a}</th><td style='text-align:left'>{html.escape(b)}</td></tr>" for a, b in rows)
        head = f"<b style='color:{colour}'>{verdict}</b> {html.escape(f'{self.strategy}: {rest}')}"
        return f"<table><caption style='text-align:left'>{head}</caption>{cells}</table>"

    # ------------------------------------------------------------------------------------------------------------- kept
    def write(self, folder: Path | str) -> Path:
        """Writes `<folder>/certificates/<identity>.json`, whole or not at all; InvalidParameter where that cannot be."""
        path, temporary = place(folder, self.identity), ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(sealed(asdict(self)))
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise InvalidParameter(
                f"{path} cannot be written ({error})", "mend the folder, or pass another as state"
            ) from error
        return path

    @classmethod
    def read(cls, folder: Path | str, identity: str) -> Certificate | None:
        """The certificate of that identity; None if there is none, or one that cannot be read, which the log says."""
        path = place(folder, identity)
        try:
            return restored(json.loads(path.read_text(encoding="utf-8")), identity)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            log.warning("%s cannot be read (%s: %s): certify the strategy again", path, type(error).__name__, error)
            return None


def counted(n: int) -> str:
    """So many bars."""
    return f"{n:,} bar{'s' * (n != 1)}"


def place(folder: Path | str, identity: str) -> Path:
    """Where a certificate is kept."""
    if len(identity) != 32 or set(identity) - set("0123456789abcdef"):
        raise InvalidParameter(f"identity is {identity!r}", "pass what identity(strategy) gives, 32 hex digits")
    return Path(folder) / FOLDER / f"{identity}.json"


def sealed(values: dict[str, Any]) -> str:
    """The values as JSON with a checksum, so that no damage reads as another verdict."""
    return json.dumps({"certificate": values, "checksum": checksum(values)}, indent=1)


def checksum(values: Any) -> str:
    """16 hex digits of values as JSON holds them."""
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=8).hexdigest()


def restored(kept: Any, identity: str) -> Certificate:
    """A certificate from what JSON holds; ValueError, TypeError or KeyError for anything that was not written as it is."""
    values = kept["certificate"]
    if kept["checksum"] != checksum(values):
        raise ValueError("it is not what was written")
    if values["identity"] != identity:
        raise ValueError(f"it is of {values['identity']}")
    leaks = tuple(Leak(**each) for each in values["leaks"])
    texts = {name: tuple(values[name]) for name in ("symbols", "held", "uncut", "remarks")}
    return Certificate(**{**values, **texts, "leaks": leaks})


def packed(leaking: np.ndarray) -> str:
    """Booleans as a short text; empty if none is set."""
    return base64.b85encode(zlib.compress(np.packbits(leaking).tobytes(), 9)).decode() if leaking.any() else ""


def unpacked(text: str, shape: tuple[int, int]) -> np.ndarray:
    """What `packed` was given."""
    if not text:
        return np.zeros(shape, dtype=bool)
    bits = np.unpackbits(np.frombuffer(zlib.decompress(base64.b85decode(text)), np.uint8))
    return bits[: shape[0] * shape[1]].astype(bool).reshape(shape)
