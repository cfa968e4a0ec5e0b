"""Bars: prices with their actions, from a source through a cache that knows the exchange calendar."""

from toolkit.data.adjust import ANCHOR, FIELDS
from toolkit.data.bars import Bars, Issue, Provenance
from toolkit.data.cache import BarCache
from toolkit.data.calendar import Calendar
from toolkit.data.clock import Clock, ReplayClock, SystemClock
from toolkit.data.market import MarketData
from toolkit.data.sources import History, Source
from toolkit.data.sources.sample import SampleSource

__all__ = [
    "ANCHOR",
    "FIELDS",
    "BarCache",
    "Bars",
    "Calendar",
    "Clock",
    "History",
    "Issue",
    "MarketData",
    "Provenance",
    "ReplayClock",
    "SampleSource",
    "Source",
    "SystemClock",
]
