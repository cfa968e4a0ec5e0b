"""Bars for other processes: a column file whose path travels instead of the arrays, mapped once a process."""

from __future__ import annotations

import functools
import platform
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.data.adjust import ACTION
from toolkit.data.barfile import encoded, read, write
from toolkit.data.bars import Bars
from toolkit.data.whole import nanoseconds
from toolkit.errors import DataUnavailable

PLAIN = "symbols", "interval", "calendar", "currency"


def send(bars: Bars, folder: Path) -> Path:
    """Writes prices, scale, actions and labels into `folder`; DataUnavailable if it cannot be written."""
    columns = {"labels": nanoseconds(bars.index), "traded": bars.traded, "scale": bars.scale}
    columns |= {name: bars.actions[name] for name in ACTION.names or ()}
    zone = None if bars.index.tz is None else str(bars.index.tz)
    meta = {name: getattr(bars, name) for name in PLAIN}
    meta |= {"anchor": bars.anchor.isoformat(), "delay": bars.delay.isoformat(), "zone": zone, "unit": bars.index.unit}
    path = folder / f"{bars.fingerprint}.bars"
    try:
        write(path, encoded(columns, meta), sync=False)
    except OSError as error:
        raise DataUnavailable(f"bars cannot be written to {path} ({error})", "pass folder=, one that can be written") from error
    return path


@functools.lru_cache(maxsize=2)
def received(path: str) -> Bars:
    """The bars at `path`, as maps of the file; DataUnavailable if this process cannot read it."""
    try:
        file = read(path)
    except OSError as error:
        what = f"a worker on {platform.node()} cannot read the bars at {path} ({error})"
        raise DataUnavailable(what, "pass sweep(..., folder=) in a file system that all workers share") from error
    columns, meta = file.columns, file.meta
    index = pd.DatetimeIndex(columns["labels"]).as_unit(meta["unit"])
    index = index if meta["zone"] is None else index.tz_localize("UTC").tz_convert(meta["zone"])
    actions = np.zeros(len(columns["bar"]), ACTION)
    for name in ACTION.names or ():
        actions[name] = columns[name]
    return Bars(
        tuple(meta["symbols"]), index, columns["traded"], columns["scale"], actions, meta["interval"], meta["calendar"],
        meta["currency"], pd.Timestamp(meta["anchor"]), pd.Timedelta(meta["delay"]),
    )  # fmt: skip
