"""What a mode means: by which clock it runs, and where its account lies."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from toolkit.cycle.config import Config
from toolkit.data import Calendar, Clock, ReplayClock, SystemClock
from toolkit.errors import ConfigError

FIRST, LAST = "2012-02-01", "2013-03-01"  # of a replay that names no days: the last year of the bundled prices


def clock_of(config: Config, delay: pd.Timedelta) -> Clock:
    """The machine's clock, or that of a replay: an instant a session, when its bars are known."""
    if config.mode != "replay":
        return SystemClock()
    start, end = config.start or FIRST, config.end or LAST
    closes = Calendar(config.calendar).closes_between(str(start), str(end))
    if not closes:
        what = f"{config.calendar} has no session from start {start} to end {end}"
        raise ConfigError(what, "choose a start before the end, and days that the calendar knows")
    return ReplayClock([close + delay for close in closes])


def folder_of(config: Config) -> Path:
    """state/<mode>-<account>; a replay has a fresh one, named by the moment it began."""
    name = f"{config.mode}-{config.account}"
    if config.mode == "replay":
        name += f"-{SystemClock().now():%Y%m%dT%H%M%S%f}"
    return Path(config.state).resolve() / name
