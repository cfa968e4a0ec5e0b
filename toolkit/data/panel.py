"""Assembled bars of many symbols as one file, named by what is in it: a universe opens at once, until one of it changes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.data import barfile
from toolkit.data.adjust import ACTION
from toolkit.data.bars import Bars, Issue, Provenance
from toolkit.errors import CorruptValue

FROM_SYMBOLS = 16
"""Fewer symbols are assembled sooner than a file of their own is worth."""
KEPT = 8


class Origins(Mapping[str, Provenance]):
    """Where the bars of each symbol come from, made when asked for: a panel has hundreds of them."""

    def __init__(self, symbols: tuple[str, ...], source: str, fetched: np.ndarray, revisions: np.ndarray) -> None:
        self._symbols, self._source, self._fetched, self._revisions = symbols, source, fetched, revisions

    def __getitem__(self, symbol: str) -> Provenance:
        try:
            at = self._symbols.index(symbol)
        except ValueError:
            raise KeyError(symbol) from None
        return Provenance(self._source, pd.Timestamp(self._fetched[at], tz="UTC"), int(self._revisions[at]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)


def panel_path(folder: Path, parts: Sequence[str]) -> Path:
    """Where the panel of these texts lies: names, versions and all else that its content depends on."""
    digest = blake2b(json.dumps(list(parts)).encode(), digest_size=16).hexdigest()
    return folder / f"{digest}.panel"


def open_panel(path: Path) -> Bars | None:
    """The Bars at `path`, as maps; None if there is no sound file. Its checksum is compared once a process."""
    try:
        file = barfile.read(path)
    except CorruptValue:
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    except OSError:
        return None
    columns, meta = file.columns, file.meta
    if meta.get("panel") != path.stem:
        return None  # a file of something else
    symbols, index = tuple(meta["symbols"]), pd.DatetimeIndex(columns["label"])
    actions = np.zeros(len(columns["bar"]), ACTION)
    for name in ACTION.names or ():
        actions[name] = columns[name]
    return Bars(
        symbols,
        index.tz_localize("UTC") if meta["utc"] else index,
        columns["traded"],
        columns["scale"],
        actions,
        meta["interval"],
        meta["calendar"],
        meta["currency"],
        pd.Timestamp(meta["anchor"]),
        pd.Timedelta(meta["delay"], unit="ns"),
        Origins(symbols, meta["source"], columns["fetched_at"], columns["revision"]),
        tuple(Issue(*issue) for issue in meta["issues"]),
    )


def store_panel(path: Path, bars: Bars, source: str) -> None:
    """Put `bars` at `path` and remove all but the newest panels beside it; nothing happens where it cannot be written."""
    columns = {
        "label": bars.index.as_unit("ns").asi8.view("M8[ns]"),
        "traded": bars.traded,
        "scale": bars.scale,
        "bar": bars.actions["bar"].astype("i8"),
        "symbol": bars.actions["symbol"].astype("i8"),
        "split": bars.actions["split"],
        "dividend": bars.actions["dividend"],
        "fetched_at": np.array([each.fetched_at.tz_localize(None) for each in bars.provenance.values()], "M8[ns]"),
        "revision": np.array([each.revision for each in bars.provenance.values()], "i8"),
    }
    meta = {
        "panel": path.stem,
        "symbols": bars.symbols,
        "utc": bars.index.tz is not None,
        "interval": bars.interval,
        "calendar": bars.calendar,
        "currency": bars.currency,
        "anchor": bars.anchor.isoformat(),
        "delay": bars.delay.value,
        "source": source,
        "issues": bars.issues,
    }
    with contextlib.suppress(OSError):  # derived: it can be made again
        path.parent.mkdir(mode=0o700, exist_ok=True)
        barfile.write(path, barfile.encoded(columns, meta), sync=False)
        for old in sorted(path.parent.glob("*.panel"), key=lambda each: each.stat().st_mtime)[:-KEPT]:
            old.unlink()
