"""What a configuration means: by which clock a run goes, where its account lies, where its bars come from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from toolkit.cycle.config import Config
from toolkit.data import ANCHOR, BarCache, Calendar, Clock, MarketData, ReplayClock, Source, SystemClock
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


def market_of(config: Config, source: Source, clock: Clock) -> MarketData:
    """The source behind its cache."""
    kept, anchor = config.cache, ANCHOR if config.anchor is None else pd.Timestamp(config.anchor)
    return MarketData(source, BarCache(kept.directory, kept.quota), clock, ttl=kept.ttl, anchor=anchor,
                      max_size=kept.max_size, past_budget=config.past_budget)  # fmt: skip
