"""How stored bars are renewed: the tail with proof, or all of it again; once for all who ask."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.data import calendar
from toolkit.data.bars import Issue
from toolkit.data.calendar import Calendar
from toolkit.data.clock import SystemClock
from toolkit.data.fetch import asked
from toolkit.data.freshness import MISSING, UNKNOWN, Freshness, audit_due, freshness, unknown
from toolkit.data.intervals import DAILY, parts_of
from toolkit.data.joining import check_whole, joined, replaced, shortened, tail_start
from toolkit.data.series import Series, recorded
from toolkit.data.sources import History
from toolkit.data.store import Served, Store
from toolkit.errors import BudgetSpent, ToolkitError, UnknownSymbol

log = logging.getLogger(__name__)

# Every symbol is stored whole from here on, whatever range was asked for: no answer can depend on earlier questions.
BEGINNING = pd.Timestamp(calendar.START)


class Fetched(NamedTuple):
    """What came for some symbols, not stored yet: nobody else asks for them until `flights` are let go."""

    flights: ExitStack
    answers: Mapping[str, Served | ToolkitError]
    stored: Mapping[str, Series | None]
    outcomes: Mapping[str, Series | ToolkitError]


class Renewal:
    """One answer to the question which bars there are at `now`, for symbols of one interval.

    Where the source's meter refuses a request, stored bars are served, or, if `strict`, BudgetSpent is the answer.
    """

    def __init__(self, store: Store, interval: str, now: pd.Timestamp, ttl: pd.Timedelta | None, strict: bool) -> None:
        self._store, self._interval, self._now, self._ttl, self._strict = store, interval, now, ttl, strict
        self._source, self._live = store.source, store.namespace == SystemClock.namespace
        reach = store.source.reach(interval)
        self._beginning = BEGINNING if reach is None else (now - reach).tz_localize(None).normalize()
        self._end = now.tz_localize(None).normalize() + pd.Timedelta(days=1)

    def remembered(self, symbol: str) -> Served | UnknownSymbol | None:
        """What the cache has if nothing newer can exist, in memory or on disk; None if the source is to be asked."""
        record = self._store.record(symbol, self._interval)
        if record is not None and not record.holds(self._now, self._ttl):
            record = self._store.record(symbol, self._interval, again=True)
        if record is None or not record.holds(self._now, self._ttl) or (self._live and record.fetched_at > self._now):
            return None  # of a clock that was ahead, nothing can be believed
        return self._as_recorded(symbol, record)

    def _as_recorded(self, symbol: str, record: Freshness) -> Served | UnknownSymbol:
        kept, issues = self._store.kept(symbol, self._interval)
        if record.state == UNKNOWN and not record.version:
            what = f"{symbol}: not known to {self._source.name} when it was asked less than a day ago"
            return UnknownSymbol(what, "check the spelling, or clear() to ask again", symbol=symbol)
        if record.state == UNKNOWN:
            issues += (Issue(UnknownSymbol.code, symbol, "no longer known to the source; stored bars are served"),)
        if record.state == MISSING:
            due = f"{record.valid_until:%Y-%m-%d %H:%M} UTC"
            issues += (Issue("MISSING", symbol, f"the newest bar is due and has not come; asked again from {due}"),)
        return Served(record.version, record.parts, issues, kept)

    def fetched(self, symbols: Sequence[str]) -> Fetched:
        """What is stored of `symbols`, and what the source sent; in any thread.

        No two threads or processes ask for a symbol at a time: who waits takes what the other has stored.
        """
        answers: dict[str, Served | ToolkitError] = {}
        with ExitStack() as flights:
            for symbol in sorted(symbols):
                flights.enter_context(self._store.cache.flight(self._store.name(symbol, self._interval)))
            for symbol in symbols:
                if (found := self.remembered(symbol)) is not None:
                    answers[symbol] = found
            stored = {symbol: self._stored(symbol) for symbol in symbols if symbol not in answers}
            outcomes = self._asked(stored)
            return Fetched(flights.pop_all(), answers, stored, outcomes)

    def renewed(self, fetched: Fetched) -> Mapping[str, Served | ToolkitError]:
        """For each symbol its bars as the source has them now, stored; or the error, where nothing is stored."""
        answers = dict(fetched.answers)
        with fetched.flights:
            for symbol, outcome in fetched.outcomes.items():
                stored = fetched.stored[symbol]
                try:
                    if isinstance(outcome, ToolkitError):
                        raise outcome
                    answers[symbol] = self._put(symbol, outcome, stored)
                except ToolkitError as error:
                    answers[symbol] = self._failed(symbol, error, stored)
        return answers

    def _stored(self, symbol: str) -> Series | None:
        kept, _ = self._store.kept(symbol, self._interval)
        if kept is not None:
            return kept
        series = self._store.on_disk(symbol, self._interval, self._end.year)
        if series is not None and series.provenance.fetched_at > self._now and self._live:
            return shortened(series, self._now, self._source.delay)  # of a clock that was ahead
        return series

    def _asked(self, stored: Mapping[str, Series | None]) -> dict[str, Series | ToolkitError]:
        starts = {symbol: self._start(series) for symbol, series in stored.items()}
        outcomes: dict[str, Series | ToolkitError] = {}
        restated = []
        for start in sorted(set(starts.values())):
            together = [symbol for symbol, own in starts.items() if own == start]
            for symbol, reply in asked(self._source, together, start, self._end, self._interval).items():
                series = stored[symbol]
                if isinstance(reply, ToolkitError):
                    outcomes[symbol] = reply
                elif series is not None and (whole := joined(series, reply)) is not None:
                    audited = self._now if start == self._beginning else series.audited_at
                    outcomes[symbol] = self._recorded(whole, series.provenance.revision, audited)
                elif start == self._beginning:
                    outcomes[symbol] = self._whole(symbol, series, reply)
                else:
                    restated.append(symbol)
        if restated:
            log.info("%s has rewritten the history of %s: fetched again", self._source.name, ", ".join(restated))
            for symbol, reply in asked(self._source, restated, self._beginning, self._end, self._interval).items():
                outcomes[symbol] = reply if isinstance(reply, ToolkitError) else self._whole(symbol, stored[symbol], reply)
        return outcomes

    def _start(self, series: Series | None) -> pd.Timestamp:
        """The tail, or all of it: at first, once a week to compare every bar and action, and where nothing is settled."""
        if series is None or series.settled == 0 or audit_due(series.audited_at, self._now):
            return self._beginning
        return max(tail_start(series), self._beginning)

    def _whole(self, symbol: str, series: Series | None, reply: History) -> Series | ToolkitError:
        if series is None:
            past = self._store.remains(symbol, self._interval)
            new = self._recorded(reply, past[-1].meta["revision"] + 1 if past else 0, self._now)
            if past and isinstance(new, Series):
                return replace(new, journal=len(past), since=pd.Timestamp(past[0].meta["since"]))
            return new
        revision = series.provenance.revision
        if series.settled == 0:
            return self._recorded(reply, revision, self._now)
        try:
            check_whole(series, reply)
            events, since = self._actions(symbol, series, reply)
        except ToolkitError as error:
            return error
        return self._recorded(replaced(series, replace(reply, events=events), since), revision + 1, self._now)

    def _actions(self, symbol: str, series: Series, reply: History) -> tuple[np.ndarray, np.datetime64]:
        """All actions since the last stored bar, and the day from which they are all there.

        Intraday bars may reach back less far than they were asked for the last time: then the daily ones know the actions.
        """
        since = self._beginning.to_datetime64()
        last = series.history.labels[series.settled - 1].astype("M8[D]").astype("M8[ns]")
        if last >= since:
            return reply.events, since
        answer = asked(self._source, [symbol], pd.Timestamp(last), self._end, DAILY)[symbol]
        if isinstance(answer, ToolkitError):
            raise answer
        return answer.events, last

    def _recorded(self, history: History, revision: int, audited_at: pd.Timestamp) -> Series | ToolkitError:
        try:
            return recorded(history, self._interval, self._now, self._source, revision, audited_at)
        except ToolkitError as error:
            return error

    def _put(self, symbol: str, series: Series, stored: Series | None) -> Served:
        record = self._store.record(symbol, self._interval)
        history, exchange = series.history, Calendar(series.history.calendar)
        misses = 0 if record is None else record.misses
        series = series if stored is None else replace(series, journal=stored.journal, since=stored.since)
        fresh = freshness(
            history.labels[-1], self._now, exchange, self._source.delay, self._interval, misses, history.last
        )  # fmt: skip
        served = self._store.put(symbol, fresh, series, stored)
        said = self._as_recorded(symbol, replace(fresh, version=served.version, parts=served.parts))
        return (said if isinstance(said, Served) else served)._replace(series=served.series, renewed=True)

    def _failed(self, symbol: str, error: ToolkitError, stored: Series | None) -> Served | ToolkitError:
        if isinstance(error, UnknownSymbol):
            gone = unknown(self._now)
            if stored is not None:
                parts = tuple(parts_of(stored.history.labels, self._interval))
                gone = replace(gone, version=stored.version, parts=parts)
            self._store.put_unknown(symbol, self._interval, gone)
        if stored is None or (self._strict and isinstance(error, BudgetSpent)):
            return error
        last = stored.history.labels[-1]
        sessions = int(np.searchsorted(Calendar(stored.history.calendar).closes, self._now.tz_localize(None).to_datetime64()))
        age = sessions - int(np.searchsorted(Calendar(stored.history.calendar).sessions, last, "right"))
        message = f"bars end on {str(last)[:10]}, {age} sessions ago; newer ones are due: {error}"
        log.warning("%s: %s", symbol, message)
        parts = tuple(parts_of(stored.history.labels, self._interval))
        return Served(stored.version, parts, (Issue("STALE", symbol, message),), stored)
