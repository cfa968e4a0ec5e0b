"""Cycle after cycle: when the next one is due, what ends the loop, and what a failure does to it.

The ticks lie on a grid of the interval since midnight UTC, so that nothing drifts; a tick that passed while a cycle ran is
skipped with a note.  When a cycle has left nothing to do, the next one is due after the next open (what waited has filled then)
or the next close and the source's delay, whichever comes first.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from toolkit.cycle.report import CycleReport
from toolkit.data import Calendar, Clock, ReplayClock, SystemClock
from toolkit.errors import DataUnavailable, InvalidParameter, ToolkitError

if TYPE_CHECKING:
    from toolkit.cycle.engine import TradingEngine

log = logging.getLogger(__name__)
STOP = "STOP"  # name of the file that ends the loop
ENDS = f"a file {STOP} in {{}} ends the loop"  # what a loop in real time says first
LOOK = 1.0  # seconds between looks for it
SECOND, WEEK = 1.0 / 60.0, 10_080.0  # minutes: the shortest and the longest interval
INTERVAL = "use minutes from 1/60 (a second) to 10080 (a week)"
MIDNIGHT = pd.Timestamp("1970-01-01", tz="UTC")


class Stopped(KeyboardInterrupt):
    """SIGTERM, delivered where no transaction is open."""


def run(engine: TradingEngine, minutes: float, cycles: int | None, until: pd.Timestamp | None,
        on_cycle: Callable[[CycleReport], object] | None) -> str:  # fmt: skip
    """Turns the wheel until something ends it, and returns what did.

    A cycle that raises leaves a row with its status and the loop goes on; `operations.error_streak` of them in
    a row halt the account and raise the last.
    """
    _check(minutes, cycles)
    engine.standing()
    stop = engine.folder / STOP
    if isinstance(engine.clock, SystemClock):
        print(f"{ENDS.format(at_home(engine.folder))}\n", end="", flush=True)  # whole, for who reads it from a pipe
    ran, failures, watched = 0, 0, _patient(on_cycle)
    with terminable():
        try:
            while (cycles is None or ran < cycles) and not _over(engine, minutes):
                if stop.exists():
                    return _obeyed(stop)
                if until is not None and engine.clock.now() >= until:
                    return f"it was {until:%Y-%m-%d %H:%M} UTC"
                report = None
                try:
                    report = engine.run_cycle()
                    failures = 0
                except Exception as error:  # one cycle ends no loop
                    failures += 1
                    log.warning("cycle failed: %s", error, exc_info=not isinstance(error, ToolkitError))
                    engine.failed(error)
                    if failures >= min(engine.gate.operations.error_streak, 1000):
                        engine.halt(f"{failures} cycles failed in a row, the last with {type(error).__name__}: {error}")
                        raise
                if report is not None:
                    watched(report)
                ran += 1
                engine.turned = engine.clock.now()
                if stop.exists():
                    return _obeyed(stop)
                if ran != cycles and not isinstance(engine.clock, ReplayClock):
                    due = _next(engine, minutes, report)
                    if not _wait(engine.clock, due if until is None else min(due, until), stop.exists):
                        return _obeyed(stop)
        except Stopped:
            return "stopped by SIGTERM"
        except KeyboardInterrupt:
            return "stopped by hand"
    return "all cycles done"


def _patient(on_cycle: Callable[[CycleReport], object] | None) -> Callable[[CycleReport], None]:
    """Who watches a cycle ends no loop and halts no account: what it raises is said once."""
    said: list[Exception] = []

    def watched(report: CycleReport) -> None:
        try:
            if on_cycle is not None:
                on_cycle(report)
        except Exception as error:
            if not said:
                log.warning("on_cycle raised, the loop goes on and says so once: %s", error, exc_info=True)
            said.append(error)

    return watched


def at_home(folder: Path) -> str:
    """A folder as a shell takes it, `~` for the home folder."""
    return str(Path("~") / folder.relative_to(Path.home()) if folder.is_relative_to(Path.home()) else folder)


def _check(minutes: float, cycles: int | None) -> None:
    if not (isinstance(minutes, (int, float)) and SECOND <= minutes <= WEEK):
        raise InvalidParameter(f"interval_minutes is {minutes!r}", INTERVAL)
    if cycles is not None and not (isinstance(cycles, int) and cycles > 0):
        raise InvalidParameter(f"cycles is {cycles!r}", "use a whole number of at least 1, or None for no end")


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does; elsewhere than in the main thread it stays what it is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def _over(engine: TradingEngine, minutes: float) -> bool:
    """Whether a replay has come to its end; it moves on when another cycle follows, not when one is over."""
    if not isinstance(engine.clock, ReplayClock):
        return False
    if engine.turned == engine.clock.now():
        engine.clock.sleep(60.0 * minutes)
    return engine.clock.done


def _next(engine: TradingEngine, minutes: float, report: CycleReport | None) -> pd.Timestamp:
    """When the next cycle is due; a note for the ticks that the last one took."""
    now, every = engine.clock.now(), pd.Timedelta(minutes=minutes)
    tick = following(now, every)
    if report is not None:
        missed = int(report.total_cycle_time / every.total_seconds())
        if missed:
            log.warning("cycle %d took %.1f s: %d ticks were skipped", report.cycle, report.total_cycle_time, missed)
        if report.idle:
            return max(tick, following(wake(now, engine.config.calendar, engine.source.delay), every))
    return tick


def following(now: pd.Timestamp, every: pd.Timedelta) -> pd.Timestamp:
    """The next instant of a grid of `every` since midnight UTC.

    >>> following(pd.Timestamp("2012-03-01 21:22", tz="UTC"), pd.Timedelta("5min"))
    Timestamp('2012-03-01 21:25:00+0000', tz='UTC')
    """
    return MIDNIGHT + (((now - MIDNIGHT) // every) + 1) * every


def wake(now: pd.Timestamp, calendar: str, delay: pd.Timedelta) -> pd.Timestamp:
    """The next instant at which the exchange has something new: just after an open, or a close and the source's delay."""
    days = Calendar(calendar)
    try:
        known = days.last_known(now, delay)
    except DataUnavailable:  # past the calendar's end: the cycle says so
        return now
    if known + 2 >= len(days.opens):  # what the calendar does not know is looked for tick by tick
        return now
    close, opens = days.close_instant(known + 1) + delay, [days.open_instant(known + 1), days.open_instant(known + 2)]
    return min(instant for instant in (close, *opens) if instant > now)


def _wait(clock: Clock, due: pd.Timestamp, stopped: Callable[[], bool]) -> bool:
    """Sleeps until `due`, by the machine's clock looking for a stop file each second; False if there is one."""
    while (left := (due - clock.now()).total_seconds()) > 0.0:
        if stopped():
            return False
        clock.sleep(min(left, LOOK) if isinstance(clock, SystemClock) else left)
    return not stopped()


def _obeyed(stop: object) -> str:
    stop.unlink(missing_ok=True)  # type: ignore[attr-defined]
    return "stopped by a STOP file"
