"""Risk at every cycle, at the price of what changed: a report that is made again only for new bars, fills or equity."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.errors import InvalidParameter
from toolkit.risk.exposure import Holdings, Unit, dollars_of
from toolkit.risk.history import History, history_of
from toolkit.risk.limits import Breach, Limit, noted
from toolkit.risk.report import RiskReport, made
from toolkit.signals.panels import whole

if TYPE_CHECKING:
    from toolkit.data.bars import Bars


class CycleRisk:
    """The risk step of a loop. It never reads an account or a clock: both come as arguments, and the caller times it.

    Histories (returns and covariance) are kept by fingerprint of the bars, symbols and window, the `keep` last used; a fill
    that changes amounts alone finds its history again. The report of the last call is handed out again while the bars, the
    holdings and the equity are the same. Breaches of `limits` are noted bar by bar, the latest `most_breaches` are kept, and
    the highest equity seen is remembered. One loop, one CycleRisk: it is not made for threads.
    """

    def __init__(self, limits: Sequence[Limit] = (), *, unit: Unit = "shares", benchmark: str | None = None, window: int = 504,
                 participation: float = 0.1, keep: int = 8, most_breaches: int = 1000) -> None:  # fmt: skip
        self.limits, self.unit, self.benchmark = tuple(limits), unit, benchmark
        self.window, self.participation = window, participation
        self.keep, self.most_breaches = whole("keep", keep), whole("most_breaches", most_breaches)
        self.breaches: tuple[Breach, ...] = ()
        self.peak = 0.0
        self.hits = self.misses = self.history_hits = self.history_misses = 0
        self._histories: OrderedDict[tuple, History] = OrderedDict()
        self._last: tuple[tuple, RiskReport] | None = None

    def update(self, bars: Bars, holdings: Holdings, equity: float) -> RiskReport:
        """The risk at the last bar; the very report of the call before if nothing changed.

        Raises InvalidParameter for bars without a bar, and what `risk_report` raises; nothing is noted then.
        """
        if len(bars) == 0:
            raise InvalidParameter("bars hold no bar", "fetch a range with at least one session")
        key = (bars.fingerprint, tuple(holdings.items()), equity)
        if self._last is not None and self._last[0] == key:
            self.hits += 1
            return self._last[1]
        held = dollars_of(bars, holdings, self.unit)
        history = self._history(bars, tuple(held))
        report = made(
            bars, held, equity, history, self.benchmark, None, self.limits, self.breaches, self.participation, self.peak
        )
        values = {limit.measure: report.measure(limit.measure) for limit in self.limits}
        breaches = tuple(noted(self.breaches, values, self.limits, bars.index[-1])[-self.most_breaches :])
        if breaches != self.breaches:
            report = replace(report, breaches=breaches)
        self.misses += 1
        self.breaches, self.peak, self._last = breaches, report.peak, (key, report)
        return report

    def invalidate(self) -> None:
        """Forget the last report, after a fill: the next call makes it again. Histories belong to bars and stay."""
        self._last = None

    def clear(self) -> None:
        """Forget histories too; breaches and the highest equity are no cache, and stay."""
        self._last = None
        self._histories.clear()

    def stats(self) -> dict[str, int]:
        """Counts since the beginning: reports found and made, histories found and made, histories kept."""
        return {
            "hits": self.hits,
            "misses": self.misses,
            "history_hits": self.history_hits,
            "history_misses": self.history_misses,
            "kept": len(self._histories),
        }

    def _history(self, bars: Bars, symbols: tuple[str, ...]) -> History:
        key = (bars.fingerprint, symbols, self.window)
        if key in self._histories:
            self.history_hits += 1
            self._histories.move_to_end(key)
            return self._histories[key]
        self.history_misses += 1
        history = self._histories[key] = history_of(bars, symbols, self.window)
        if len(self._histories) > self.keep:
            self._histories.popitem(last=False)
        return history
