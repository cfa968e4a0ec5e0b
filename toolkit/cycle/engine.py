"""The thin face for notebooks and the command line: wires the stages together, turns the wheel, keeps the telemetry."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from toolkit.cycle.benchmark import HeldEqually
from toolkit.cycle.config import Config, checked_config, read_config
from toolkit.cycle.connected import armed, connected
from toolkit.cycle.flows import earned
from toolkit.cycle.kept import Given, keep, keep_given
from toolkit.cycle.loop import run
from toolkit.cycle.modes import clock_of, folder_of, market_of
from toolkit.cycle.named import sizing_of, strategy_of
from toolkit.cycle.preview import Preview, previewed
from toolkit.cycle.report import CycleReport, RunSummary, behind, ending
from toolkit.cycle.revealed import Market
from toolkit.cycle.telemetry import CycleRow, Telemetry
from toolkit.cycle.turn import last_row, turn
from toolkit.cycle.watch import Watch, doubtful
from toolkit.data import Bars, Calendar, Clock, ReplayClock, Source
from toolkit.data.clock import utc
from toolkit.data.intervals import bars_per_year
from toolkit.data.sources.named import source_of
from toolkit.data.symbols import PATTERN
from toolkit.errors import InvalidParameter, Uncertified
from toolkit.execution.arming import config_hash
from toolkit.execution.book import owned
from toolkit.execution.brokers import Desk
from toolkit.execution.brokers.cached import CachedBroker
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.costs import rules
from toolkit.execution.credentials import Environment
from toolkit.execution.gate import Gate
from toolkit.execution.ledger import Ledger
from toolkit.execution.standing import Switches
from toolkit.kernels.account import Rules
from toolkit.risk.sizing import Sizing, sized
from toolkit.signals.causality import Certificate, identity
from toolkit.signals.generator import SignalGenerator

log = logging.getLogger(__name__)
Strategy = Callable[[Bars], pd.DataFrame]
NOTED = 4  # notes of the last cycle in a summary
SCORES = 4  # a loop looks at the newest bars, again until there are newer ones: it never comes back to older scores


class TradingEngine:
    """Bars, scores, weights, orders, fills: one cycle at a time, on a replay of history or in real time on paper.

    A strategy, sizing, source, clock, market (where bars come from) or broker given here takes the place of the one that the
    configuration names; `interval` is that of the market's bars. `on_halt` is called with the reason when the account halts.
    """

    def __init__(self, config: Config, *, strategy: Strategy | None = None, sizing: Sizing | None = None,
                 source: Source | None = None, clock: Clock | None = None, market: Market | None = None,
                 broker: Callable[[Ledger, Rules], Desk] | None = None, interval: str = "1d",
                 environment: Mapping[str, str] | None = None,
                 on_halt: Callable[[str], object] | None = None) -> None:  # fmt: skip
        environment = None if environment is None else Environment(environment)  # tracebacks show values
        if broker is not None and not callable(broker):
            raise InvalidParameter(f"broker is a {type(broker).__name__}", "pass what makes a desk, such as PaperBroker")
        self.config = config
        self.source: Source = source or source_of(config.source)
        self.clock: Clock = clock or clock_of(config, self.source.delay)
        self.data_cache: Market = market or market_of(config, self.source, self.clock)
        chosen = strategy_of(config) if strategy is None else strategy
        self.signal_generator = SignalGenerator(chosen, clock=self.clock, max_size=SCORES)
        self.sizing = sizing or sizing_of(config)
        costs, limits, policy, exits = config.economics()
        self.rules = rules(costs, limits, policy, exits, bars_per_year=bars_per_year(interval))
        self.folder = folder_of(config)
        venue = connected(config, self.clock, environment, chosen, self.sizing) if broker is None else None
        cash = config.cash if venue is None else venue.opening_cash()
        self.ledger = Ledger.open(self.folder, account=config.account, mode=config.mode, cash=cash, clock=self.clock)
        desk = venue.desk(self.ledger) if venue else (broker or PaperBroker)(self.ledger, self.rules)
        self.broker = CachedBroker(desk, self.clock)
        self.gate = Gate(limits, self.rules, config.operational())
        switches = Switches((self.folder, Path(config.state).resolve()), environment or {})
        self.watch = Watch(self.ledger, self.broker, switches, self.gate, self.clock, venue, on_halt)
        self.turned: pd.Timestamp | None = None  # the instant at which a loop turned last
        self.telemetry = Telemetry(self.folder / "telemetry.sqlite", config.max_api_calls_per_cycle)
        account = self.ledger.account()
        self._start = len(self.telemetry), account.equity, account.booked  # of this run: earlier cycles, dollars, events
        if (opening := self.ledger.opening_cash) != config.cash and venue is None:
            log.warning("account %s began with $%.2f, cash in the configuration is ignored", config.account, opening)
        before = self.telemetry.frame().query("benchmark > 0")["benchmark"]  # a resumed account goes on from its last value
        self._benchmark = HeldEqually(config.symbols, float(before.iloc[-1]) if len(before) else self._start[1])
        self.ended, self._hash = "cycle by cycle", config_hash(config.model_dump(mode="json"))
        self._certificate: Certificate | None = None
        self._given = strategy is not None  # in Python
        self._noted: tuple[str, ...] = ()  # of the last cycle in real time

    @classmethod
    def from_yaml(cls, path: str | Path, **overrides: Any) -> TradingEngine:
        """An engine from a YAML file, keys replaced by `overrides`; ConfigError says what does not fit.

        `strategy` and `sizing` may be functions.
        """
        functions, keys = _split(overrides)
        return cls(read_config(path, **keys), **functions)

    @classmethod
    def from_values(cls, **values: Any) -> TradingEngine:
        """An engine from the keys of a configuration, given as arguments; `strategy` and `sizing` may be functions."""
        functions, keys = _split(values)
        return cls(checked_config(keys), **functions)

    # ------------------------------------------------------------------------------------------------------ one cycle
    def run_cycle(self) -> CycleReport:
        """Fetches, scores, sizes, trades; the same cycle a second time sends nothing."""
        # First of all: nothing is fetched for a strategy that may not trade.
        notes = self.standing() + self.watch.took_over(self.signal_generator.name)
        before, lap = self._counts(), self.clock.monotonic
        self.source.meter.allow(self.config.max_api_calls_per_cycle)
        start = lap()
        known = self.telemetry.fetched(self.bars)
        bars = self.scored(known)
        self.broker.allow(self._left(before["api_calls"]))
        fetched = lap()
        scores = self.signal_generator.scores(bars)
        scored_at = lap()
        weights = sized(self.sizing, scores, bars)
        risk = self.watch.risk_of(known)
        sized_at = lap()
        outcome = turn(
            known, last_row(scores), last_row(weights), key=self.cycle_key(bars), desk=self.broker, ledger=self.ledger,
            gate=self.gate, clock=self.clock, look=self.watch.look, missing=self.missing(known), late=self.late(known),
            suspect=doubtful(known), config=self._hash,
        )  # fmt: skip
        self.watch.judge(outcome)
        equity = self.broker.account().equity
        done = lap()
        row = CycleRow(
            session=bars.index[-1].isoformat(), data_fetch_time=fetched - start, signal_generation_time=scored_at - fetched,
            risk_calculation_time=sized_at - scored_at, execution_time=done - sized_at, total_cycle_time=done - start,
            orders=len(outcome.orders), fills=len(outcome.fills), denials=len(outcome.denials), equity=equity,
            benchmark=self._benchmark.value(last_row(bars.close)), status=ending(outcome, known),
            **{name: n - before[name] for name, n in self._counts().items()},
        )  # fmt: skip
        notes += self.watch.said(known, self.config.symbols, self.missing(known))
        report = CycleReport(self.telemetry.write(row), row, outcome, known.issues, notes, risk, behind(known))
        if self.config.mode != "replay":
            self._noted = (*report.ending(), *notes)[:NOTED]
        return report

    def preview(self) -> Preview:
        """What the next cycle would trade, and why; nothing is sent and nothing is written."""
        return previewed(self)

    def standing(self, refuse: bool = True) -> tuple[str, ...]:
        """What every report has to say of the strategy: that it trades in real time without a certificate.

        Raises Uncertified if that is not allowed, unless told not to `refuse`; in mode live it never is. A replay needs none.
        """
        if self.config.mode == "replay":
            return ()
        if self._certificate is None or not self._certificate.passed:
            self._certificate = Certificate.read(Path(self.config.state), identity(self.signal_generator.strategy))
        if self._certificate is not None and self._certificate.passed:
            return ()
        found = "has no certificate" if self._certificate is None else f"failed: {self._certificate.leaks[0]}"
        live = self.config.mode == "live"
        if refuse and (live or not self.config.allow_uncertified):
            cure = "run `toolkit certify CONFIG`, or certify(strategy, bars) here"
            cure += "; nothing else lets it trade real money" if live else ", or set allow_uncertified: true"
            raise Uncertified(f"{self.signal_generator.name} {found} (in {self.config.state})", cure)
        return (f"UNCERTIFIED: {self.signal_generator.name} {found}",)

    def cycle_key(self, bars: Bars) -> str:
        """Strategy, session and the instant of its close: never the time of the run."""
        session = bars.index[-1]
        close = Calendar(bars.calendar).closes_between(session, session)[0] if bars.calendar else bars.known_at[-1]
        return f"{self.signal_generator.name}|{session:%Y-%m-%d}|{close:%H:%M}"

    # ----------------------------------------------------------------------------------------------------- many cycles
    def run_continuous(self, interval_minutes: float | None = None, cycles: int | None = None,
                       until: pd.Timestamp | str | None = None,
                       on_cycle: Callable[[CycleReport], object] | None = None) -> RunSummary:  # fmt: skip
        """A cycle every `interval_minutes` while the calendar has something to do; then the summary.

        It ends after `cycles`, at `until`, with the replay, on Ctrl-C, SIGTERM or the stop button, or when a file named STOP
        appears in the account's folder, always between transactions. See `cycle.loop`.
        """
        minutes = self.config.interval_minutes if interval_minutes is None else interval_minutes
        self.ended = run(self, minutes, cycles, None if until is None else utc(until), on_cycle)
        return self.summary()

    @property
    def cycles_left(self) -> int | None:
        """Instants of the replay at which no loop has turned yet; None in real time, which has no end."""
        if not isinstance(self.clock, ReplayClock):
            return None
        return self.clock.left - (not self.clock.done and self.turned == self.clock.now())

    def summary(self) -> RunSummary:
        """This run so far in a dozen numbers; earlier runs of the same account are in its telemetry.

        The return is net of deposits and withdrawals.
        """
        earlier, equity, booked = self._start
        notes = dict.fromkeys((*self.standing(refuse=False), *self._noted))  # each once
        net = earned(self.ledger, equity, booked)
        return RunSummary.of(self.telemetry.frame().iloc[earlier:], equity, self.ended, tuple(notes), net)

    def get_cache_stats(self) -> dict[str, float]:
        """hit_rate and miss_rate as fractions and total_requests as a count, over bars, indicators and account."""
        counts = self._counts()
        hits = sum(n for name, n in counts.items() if name.endswith("_hits"))
        total = hits + sum(n for name, n in counts.items() if name.endswith("_misses"))
        rate = hits / total if total else 0.0
        return {"hit_rate": rate, "miss_rate": 1.0 - rate if total else 0.0, "total_requests": total}

    def export(self, folder: str | Path) -> Path:
        """Writes a copy of the ledger into `folder` and returns its path; a strategy given in Python is named beside it."""
        copy = self.ledger.copy_to(Path(folder) / "ledger.sqlite")
        keep(Path(folder), self.config, None)
        if self._given:  # what it was when it was allowed to trade: a strategy may hold something that grows
            known = self._certificate.identity if self._certificate else identity(self.signal_generator.strategy)
            keep_given(Path(folder), Given(self.signal_generator.name, known))
        return copy

    def __repr__(self) -> str:
        return f"TradingEngine({self.config.mode}-{self.config.account}: {', '.join(self.config.symbols)})"

    def close(self) -> None:
        """Lets go of the ledger, so that another process may write it."""
        self.data_cache.close()
        self.telemetry.close()
        self.ledger.close()

    def halt(self, why: str) -> None:
        """Nothing is sent any more until a person lifts it with `toolkit resume`; tells `on_halt`."""
        self.watch.halt(why)

    def arm(self, hours: float = 12.0) -> pd.Timestamp:
        """`toolkit arm` for a strategy or sizing given in Python: real money for up to 12 hours; the instant until which.

        Raises NotArmed for what is missing of the five conditions.
        """
        return armed(self.watch.venue, self.ledger, self.clock.now(), hours)

    def failed(self, error: Exception) -> None:
        """A cycle that raised leaves a row too, and a halt of it is told; never raises itself."""
        self.watch.failed(error, self.telemetry)

    # --------------------------------------------------------------------------------------------------------- parts
    def bars(self) -> Bars:
        """Bars of the symbols to trade, and of others that the account owns: their dividends and splits are booked too."""
        others = filter(PATTERN.fullmatch, owned(self.ledger.account()) - set(self.config.symbols))
        return self.data_cache.bars([*self.config.symbols, *sorted(others)])  # under a name such as BTC/USD nobody has any

    def scored(self, bars: Bars) -> Bars:
        """Bars of the symbols that the strategy is asked about."""
        asked = [symbol for symbol in self.config.symbols if symbol in bars.symbols]
        return bars if tuple(asked) == bars.symbols else bars.select(asked)

    def late(self, bars: Bars) -> bool:
        """Whether the session after the last bar has opened; nobody knows without a calendar."""
        if not bars.calendar:
            return False
        return self.clock.now() >= Calendar(bars.calendar).open_instant(last_session(bars) + 1)

    def missing(self, bars: Bars) -> int:
        """Sessions whose bars should be known by now and are not there; 0 without a calendar."""
        if not bars.calendar:
            return 0
        return Calendar(bars.calendar).last_known(self.clock.now(), self.source.delay) - last_session(bars)

    def _left(self, before: int) -> int | None:
        """Requests that the cycle may still make, after those for bars."""
        most = self.config.max_api_calls_per_cycle
        return None if most is None else max(0, most - (self._counts()["api_calls"] - before))

    def _counts(self) -> dict[str, int]:
        bars, scores = self.data_cache.stats(), self.signal_generator.stats()
        return {
            "bars_hits": int(bars["hits"]), "bars_misses": int(bars["misses"]),
            "api_calls": int(bars["api_calls"]) + self.broker.calls,
            "indicators_hits": int(scores["hits"]), "indicators_misses": int(scores["misses"]),
            "account_hits": self.broker.hits, "account_misses": self.broker.misses,
        }  # fmt: skip


def last_session(bars: Bars) -> int:
    """Position of the last bar's session in its calendar."""
    return int(Calendar(bars.calendar).positions(bars.index.to_numpy("M8[ns]")[-1:])[0])


def _split(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    functions = {key: value for key, value in values.items() if callable(value)}
    return functions, {key: value for key, value in values.items() if key not in functions}
