"""What the folder of a run tells: ledger, telemetry, configuration, certificate, risk, versions; for its page."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from toolkit.cli.account import LEDGER
from toolkit.cli.risk import limits_of
from toolkit.cycle.booked import Books, books_of, equity_by_session
from toolkit.cycle.config import Config, read_config
from toolkit.cycle.incident import bars_at
from toolkit.cycle.kept import CONFIG, TELEMETRY, VERSIONS, Given, given_in, telemetry_of
from toolkit.cycle.modes import clock_of, market_of
from toolkit.cycle.named import strategy_of
from toolkit.data import MarketData, ReplayClock, Source
from toolkit.data.meter import Meter
from toolkit.data.places import state_folder
from toolkit.data.sources import History
from toolkit.data.sources.named import source_of
from toolkit.errors import DataUnavailable, InvalidParameter, ToolkitError
from toolkit.kernels.account import UNIT
from toolkit.plots.run_sections import RunRecord, Times
from toolkit.risk.report import RiskReport, risk_report
from toolkit.signals.causality import Certificate, identity
from toolkit.signals.causality.certificate import FOLDER
from toolkit.signals.strategies import strategy_name

LOCAL = "sample", "synthetic", "folder"  # sources that ask nobody


def record_of(folder: Path, title: str, state: Path | None = None) -> RunRecord:
    """Everything that the folder of a run tells; `state` holds the certificates (default: that of the project around it)."""
    reader = Reader(folder, state_folder(folder) if state is None else state)
    books, (config, note) = reader.books(), reader.config()
    text = (folder / CONFIG).read_text(encoding="utf-8", errors="replace") if (folder / CONFIG).is_file() else ""
    given = reader.given()
    note = " ".join(filter(None, (named_in_python(given), note)))
    certificate, said = reader.certificate_of(given) if given else reader.certificate(config, books)
    times = reader.times(None if config is None else config.max_api_calls_per_cycle)
    return RunRecord(title.replace("_", " ").strip("0123456789 ").capitalize() or title, books, times,
                     reader.risk(config, books), certificate, text, reader.versions(), note, said)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """The folder of a run, part by part; what cannot be had is a sentence."""

    folder: Path
    state: Path

    def said(self, error: BaseException) -> str:
        """An error as a sentence in which no folder of this machine stands."""
        text = str(error)
        for place in (self.folder, self.folder.resolve(), self.state, self.state.resolve(), Path.home()):
            text = text.replace(f"{place}/", "").replace(str(place), place.name or "/")
        return text

    def books(self) -> Books | str:
        """The ledger's copy."""
        if not (self.folder / LEDGER).is_file():
            return f"{LEDGER} is not there: the run did not export its ledger; put a copy into the folder of the run"
        try:
            return books_of(self.folder / LEDGER)
        except ToolkitError as error:
            return self.said(error)
        except Exception as error:  # of a damaged file sqlite3 and pandas raise almost anything: that is the finding
            return self.said(RuntimeError(f"{LEDGER} cannot be read ({type(error).__name__}: {error}); restore a copy"))

    def times(self, budget: int | None) -> Times | str:
        """The telemetry's copy; `budget`: how many requests a cycle was allowed."""
        try:
            with telemetry_of(self.folder / TELEMETRY) as kept:
                return Times(kept.frame(), kept.percentiles(), kept.slowest(), budget)
        except ToolkitError as error:
            return self.said(error)
        except Exception as error:  # as above
            return self.said(RuntimeError(f"{TELEMETRY} cannot be read ({type(error).__name__}: {error}); take it again"))

    def config(self) -> tuple[Config | None, str]:
        """The configuration, or none and why."""
        path = self.folder / CONFIG
        if not path.is_file():
            return (
                None,
                "It was not kept: the run did not export it, or it was changed in Python after it was read from a file.",
            )
        try:
            return read_config(path, state=str(self.state)), ""
        except ToolkitError as error:
            return None, self.said(error)

    def versions(self) -> dict[str, str] | str:
        """What the run ran on."""
        try:
            values = json.loads((self.folder / VERSIONS).read_text(encoding="utf-8"))
            return {str(name): str(value) for name, value in values.items()}
        except FileNotFoundError:
            return "They were not kept."
        except (OSError, ValueError, AttributeError) as error:
            return self.said(RuntimeError(f"{VERSIONS} cannot be read ({error})"))

    def given(self) -> Given | str | None:
        """The strategy that was given in Python; none in a folder of before it was kept, or where the configuration's ran."""
        try:
            return given_in(self.folder)
        except ToolkitError as error:
            return self.said(error)

    def certificate_of(self, given: Given | str) -> tuple[Certificate | str, str]:
        """The certificate of a strategy that was given in Python, as it was run, or one of another state of it."""
        if isinstance(given, str):
            return given, ""
        try:
            if (found := Certificate.read(self.state, given.identity)) is not None:
                return found, "It is of the strategy, given in Python, as it was run."
        except ToolkitError as error:
            return self.said(error), ""
        return self.other(given.name, "The certificate is of ANOTHER state of the strategy than the one that was run.",
                          f"There is none for {given.name}, given in Python; `certify(strategy, bars)` makes one.")  # fmt: skip

    def other(self, name: str, said: str, none: str) -> tuple[Certificate | str, str]:
        """The newest certificate under that name, with what is to be said of it; or `none`."""
        earlier = [kept for kept in kept_in(self.state) if kept.strategy == name]
        return (earlier[-1], said) if earlier else (f"{none} A replay needs none, paper and live do.", "")

    def certificate(self, config: Config | None, books: Books | str) -> tuple[Certificate | str, str]:
        """The certificate of the strategy as it is now, or one of an earlier state of it, and what is to be known of it."""
        if config is None:
            return "Without its configuration nobody can tell which strategy was run.", ""
        try:
            strategy = strategy_of(config)
            name, code = strategy_name(strategy), identity(strategy)
            traded = traded_names(books)
            if traded and name not in traded:
                return f"The run traded {', '.join(sorted(traded))}, which was given in Python: certify it there.", ""
            if (found := Certificate.read(self.state, code)) is not None:
                return found, "It is of the strategy as its code, parameters and versions are now."
        except ToolkitError as error:
            return self.said(error), ""
        changed = "The strategy, or a version that it runs on, has CHANGED since this was certified: certify it again."
        return self.other(name, changed, f"There is none for {name}; `toolkit certify CONFIG` makes one.")

    def risk(self, config: Config | None, books: Books | str) -> RiskReport | str:
        """The risk of what was held last, from bars that are on this machine."""
        if isinstance(books, str):
            return books
        account = books.account
        held = {symbol: p.value / UNIT for symbol, p in account.positions.items() if p.qty}
        if config is None or account.session is None or not held:
            return "Nothing was held." if not held else "Without the configuration nobody can tell where bars come from."
        try:
            asked = list(dict.fromkeys([*config.symbols, *held]))
            bars = bars_at(offline_market(config), asked, account.session)
            curve = equity_by_session(books.tables["cycles"])
            return risk_report(bars, held, account.equity, curve=curve if len(curve) else None, limits=limits_of(config))
        except (ToolkitError, ImportError) as error:
            return f"Bars cannot be had without a network: {self.said(error)}"


def named_in_python(given: Given | str | None) -> str:
    """What the configuration does not say of the strategy; empty if it says all."""
    if not isinstance(given, Given):
        return given or ""
    return f"Strategy given in Python: {given.name}, in place of the one that the configuration names."


def traded_names(books: Books | str) -> set[str]:
    """The names of the strategies whose cycles the books hold."""
    return set() if isinstance(books, str) else {key.rsplit("|", 2)[0] for key in books.tables["cycles"]["key"]}


def kept_in(state: Path) -> list[Certificate]:
    """All certificates that can be read, the newest last."""
    files = sorted((state / FOLDER).glob("*.json"), key=lambda path: path.stat().st_mtime)
    found = []
    for path in files:
        with contextlib.suppress(InvalidParameter):  # a file that is named otherwise is none
            found.append(Certificate.read(state, path.stem))
    return [kept for kept in found if kept is not None]


@dataclass(frozen=True)
class Offline:
    """A source that is not asked: what is in the cache is all there is."""

    source: Source

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def edition(self) -> str:
        return self.source.edition

    @property
    def delay(self) -> pd.Timedelta:
        return self.source.delay

    @property
    def meter(self) -> Meter:
        return self.source.meter

    def reach(self, interval: str) -> pd.Timedelta | None:
        return self.source.reach(interval)

    def fetch(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> History:
        raise DataUnavailable(f"{symbol} is not in the cache", "fetch it with `toolkit fetch`", symbol=symbol)


def offline_market(config: Config) -> MarketData:
    """The market of a configuration at the end of its time, from what is on this machine."""
    named = source_of(config.source)
    source: Source = named if config.source.partition(":")[0] in LOCAL else Offline(named)
    clock = clock_of(config, source.delay)
    while isinstance(clock, ReplayClock) and clock.advance():
        pass
    return market_of(config, source, clock)
