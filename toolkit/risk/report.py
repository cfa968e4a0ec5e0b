"""The risk of what is held now, on one page: how much there is, what it may lose, who brings that, and how fast it is sold."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from toolkit.data.bars import columns_of
from toolkit.errors import InvalidParameter, InvalidSymbol
from toolkit.risk.contributions import contributions
from toolkit.risk.correlation import Correlation, beta_of, correlation_of
from toolkit.risk.drawdowns import Drawdowns, drawdown_table, drawdowns_of
from toolkit.risk.exposure import Exposure, Holdings, Unit, dollars_of, exposure_of
from toolkit.risk.history import LEAST, History, history_of, last_known
from toolkit.risk.limits import Breach, Limit, breach_table, headroom
from toolkit.risk.liquidity import liquidity_table, session_volume, shares_of
from toolkit.risk.metrics import drawdown_of
from toolkit.risk.report_text import headline, rows_of, tables_of
from toolkit.risk.stress import stress_table
from toolkit.risk.tails import LEVELS, next_bar, tail_table
from toolkit.risk.var_backtest import backtest_table, var_history
from toolkit.risk.volatility import portfolio_deviation, volatility_table
from toolkit.signals.panels import positive

if TYPE_CHECKING:
    from toolkit.data.bars import Bars


def risk_report(
    bars: Bars,
    holdings: Holdings,
    equity: float,
    *,
    unit: Unit = "dollars",
    benchmark: str | pd.Series | None = None,
    curve: pd.Series | None = None,
    limits: Sequence[Limit] = (),
    breaches: Sequence[Breach] = (),
    participation: float = 0.1,
    window: int = 504,
) -> RiskReport:
    """The risk of `holdings`, signed dollars or shares by symbol, in an account worth `equity` dollars at the last bar.

    `benchmark`: a symbol of the bars, or prices labelled like them. `curve`: the account's equity so far, for its drawdowns;
    without it, drawdowns are those of today's weights, rebalanced at every bar of the common history. `limits` and `breaches`
    are shown with their headroom. `participation`: the share of volume that an exit may take. `window`: returns looked at.
    Sections are made on first use. Raises InvalidSymbol, InvalidParameter and InvalidWindow for values that cannot be.
    """
    held = dollars_of(bars, holdings, unit)
    history = history_of(bars, tuple(held), window)
    return made(bars, held, equity, history, benchmark, curve, limits, breaches, participation)


def made(bars: Bars, held: dict[str, float], equity: float, history: History, benchmark: str | pd.Series | None = None,
         curve: pd.Series | None = None, limits: Sequence[Limit] = (), breaches: Sequence[Breach] = (),
         participation: float = 0.1, peak: float = 0.0) -> RiskReport:  # fmt: skip
    """A report on a history that is already there."""
    for limit in limits:
        if limit.measure not in MEASURES:
            raise InvalidParameter(f"limit of {limit.measure!r} is not known", f"limit one of {', '.join(MEASURES)}")
    if isinstance(benchmark, str) and benchmark not in bars.symbols:
        what = f"benchmark {benchmark!r} is not among {', '.join(bars.symbols)}"
        raise InvalidSymbol(what, "fetch it with the others, or pass its prices", symbol=benchmark)
    equity = positive("equity", float(equity))
    highest = max(peak, equity, float(curve.max()) if curve is not None and len(curve) else 0.0)
    dollars = np.fromiter(held.values(), np.float64, len(held))
    return RiskReport(bars, history, dollars, equity, benchmark, curve, tuple(limits), tuple(breaches),
                      positive("participation", participation), highest)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class RiskReport:
    """Losses of VaR and CVaR are positive fractions of equity, of the bar to come; volatilities are fractions per year."""

    bars: Bars
    history: History
    dollars: np.ndarray  # signed, in the order of history.symbols
    equity: float
    benchmark: str | pd.Series | None
    curve: pd.Series | None
    limits: tuple[Limit, ...]
    breaches: tuple[Breach, ...]
    participation: float
    peak: float  # the highest equity so far

    # --------------------------------------------------------------------------------------------- what is held
    @property
    def weights(self) -> np.ndarray:
        """Signed fractions of equity."""
        return self.dollars / self.equity

    @cached_property
    def exposure(self) -> Exposure:
        return exposure_of(self.dollars, self.equity)

    @cached_property
    def positions(self) -> pd.DataFrame:
        """One row a symbol: dollars, weight (of equity), gross (share of the gross exposure)."""
        sizes = np.abs(self.dollars)
        columns = {"dollars": self.dollars, "weight": self.weights, "gross": sizes / max(self.exposure.gross, 1e-300)}
        return pd.DataFrame(columns, index=list(self.history.symbols))

    @cached_property
    def liquidity(self) -> pd.DataFrame:
        """See `liquidity.liquidity_table`."""
        return liquidity_table(self.bars, self.history.symbols, self.dollars, self.participation)

    # ------------------------------------------------------------------------------------------ how it would have moved
    @cached_property
    def returns(self) -> np.ndarray:
        """What the weights of now would have returned in each bar of the common history, fractions of equity."""
        return self.weights @ self.history.returns

    @cached_property
    def recent(self) -> np.ndarray:
        """The last `window` of the returns."""
        return self.returns[-self.history.window :]

    @cached_property
    def volatility(self) -> pd.DataFrame:
        """See `volatility.volatility_table`."""
        return volatility_table(self.bars, self.history, self.weights)

    @cached_property
    def correlation(self) -> Correlation:
        return correlation_of(self.history.covariance, self.history.symbols)

    @cached_property
    def beta(self) -> pd.Series:
        """Slope on the benchmark over the window, by symbol and of the portfolio (of equity); NaN without a benchmark."""
        both = np.vstack([self.history.recent, self.recent])
        slopes = beta_of(both, self._benchmark_returns[len(self.returns) - both.shape[1] :])
        return pd.Series(slopes, index=columns_of((*self.history.symbols, "portfolio")), name="beta")

    # ------------------------------------------------------------------------------------------------ what it may lose
    @cached_property
    def tails(self) -> pd.DataFrame:
        """VaR and CVaR by method: see `tails.tail_table`."""
        return tail_table(self.returns, self.history.window)

    @cached_property
    def worst(self) -> dict[float, tuple[float, float]]:
        """Historical VaR and CVaR of the bar to come, by level."""
        return {level: next_bar(self.returns, "historical", level, self.history.window) for level in LEVELS}

    @cached_property
    def contributions(self) -> pd.DataFrame:
        """At 95 %: see `contributions.contributions`; components sum to the totals in `volatility` and `tails`."""
        return contributions(self.history, self.weights)

    @cached_property
    def backtest(self) -> pd.DataFrame:
        """Every method tested over the common history: see `var_backtest.backtest_table`."""
        return backtest_table(self.returns, LEVELS, self.history.window)

    def var_path(self, method: str = "filtered", level: float = 0.95) -> pd.DataFrame:
        """Columns returns and var: each bar and the VaR forecast before it, as tested."""
        returns, var = var_history(self.returns, method, level, self.history.window)
        return pd.DataFrame({"returns": returns, "var": var}, index=self.history.index[len(self.history.index) - len(var) :])

    @cached_property
    def equity_curve(self) -> pd.Series:
        """The account's curve, or else that of the weights of now, rebalanced at every bar, up to ruin."""
        if self.curve is not None:
            return self.curve
        return pd.Series(self._values, index=self.history.labels[: len(self._values)], name="equity")

    @cached_property
    def drawdowns(self) -> Drawdowns:
        return drawdowns_of(self._values)

    @cached_property
    def underwater(self) -> pd.Series:
        """Fraction below the peak so far at each bar of the curve, at or above 0."""
        curve = self.equity_curve
        return pd.Series(0.0 - drawdown_of(curve.to_numpy(np.float64)), index=curve.index, name="drawdown")

    @cached_property
    def deepest(self) -> pd.DataFrame:
        """The five deepest drawdowns."""
        return drawdown_table(self.equity_curve)

    @cached_property
    def stress(self) -> pd.DataFrame:
        """See `stress.stress_table`."""
        return stress_table(self.history, self.weights, float(self.beta.iloc[-1]))

    # ------------------------------------------------------------------------------------------------- what it may be
    def measure(self, name: str) -> float:
        """One of MEASURES."""
        return float(MEASURES[name](self))

    @cached_property
    def headroom(self) -> pd.DataFrame:
        """See `limits.headroom`."""
        return headroom({limit.measure: self.measure(limit.measure) for limit in self.limits}, self.limits)

    @property
    def breached(self) -> pd.DataFrame:
        """Breaches so far, the latest last."""
        return breach_table(self.breaches)

    @cached_property
    def issues(self) -> tuple[str, ...]:
        """What makes the numbers less than they seem, as sentences."""
        history, there = self.history, self.history.returns.shape[1]
        found = []
        if there < history.window and history.symbols:
            known = f"{there:,} returns are known of all symbols, {history.youngest} came last"
            found.append(
                known + (f"; the window is {history.window:,}" if there >= LEAST else f": nothing is said below {LEAST}")
            )
        found += [
            f"{name} was halted in {n:,} bars, marked at its last price"
            for name, n in zip(history.symbols, history.halted)
            if n
        ]
        if (self._values <= 0.0).any():
            lost = self.equity_curve.index[int(np.argmax(self._values <= 0.0))]
            whose = "the account" if self.curve is not None else "a portfolio of these weights"
            found.append(f"{whose} had lost everything on {lost:%Y-%m-%d}: nothing is said of drawdowns")
        if self.benchmark is None:
            found.append("no benchmark: no beta")
        return tuple(found)

    def plot(self) -> Any:
        """A Figure of one page."""
        from toolkit.plots.risk import risk_page

        return risk_page(self)

    def __repr__(self) -> str:
        return "\n".join([headline(self), *(f"  {label:<13}{text}" for label, text in rows_of(self))])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th>{html.escape(label)}</th><td style='text-align:left'>{html.escape(text)}</td></tr>"
            for label, text in rows_of(self)
        )
        return f"<b>{html.escape(headline(self))}</b><table>{cells}</table>" + tables_of(self)

    @cached_property
    def _values(self) -> np.ndarray:
        """Those of the equity curve, without its labels."""
        if self.curve is not None:
            return self.curve.to_numpy(np.float64)
        values = np.cumprod(np.concatenate([[1.0], 1.0 + self.returns])) if len(self.history.labels) else np.zeros(0)
        ruined = np.flatnonzero(~(values > 0.0))
        return values[: ruined[0] + 1] if len(ruined) else values

    @cached_property
    def _benchmark_returns(self) -> np.ndarray:
        """One a return of the history; NaN where the benchmark is not known."""
        if self.benchmark is None:
            return np.full(len(self.returns), np.nan)
        if isinstance(self.benchmark, str):
            prices = last_known(self.bars.field(3)[[self.bars.symbols.index(self.benchmark)]])[0]
            prices = prices[len(prices) - len(self.history.labels) :]
        else:
            prices = self.benchmark.reindex(self.history.labels).to_numpy(np.float64)
        return prices[1:] / prices[:-1] - 1.0


def longest_exit(report: RiskReport) -> float:
    """Sessions until the last position is left; 0 for none."""
    volume = session_volume(report.bars, report.history.symbols)
    return float(shares_of(report.dollars, volume).max(initial=0.0)) / report.participation


MEASURES: dict[str, Callable[[RiskReport], float]] = {
    "leverage": lambda report: report.exposure.leverage,
    "net": lambda report: abs(report.exposure.net) / report.equity,
    "largest": lambda report: report.exposure.largest,
    "herfindahl": lambda report: report.exposure.herfindahl if len(report.dollars) else 0.0,
    "volatility": lambda report: (
        portfolio_deviation(report.weights, report.history.covariance) * report.history.bars_per_year**0.5
    ),
    "beta": lambda report: abs(float(report.beta.iloc[-1])),
    "var_95": lambda report: report.worst[0.95][0],
    "cvar_95": lambda report: report.worst[0.95][1],
    "var_99": lambda report: report.worst[0.99][0],
    "cvar_99": lambda report: report.worst[0.99][1],
    "drawdown": lambda report: 1.0 - report.equity / report.peak,
    "days_to_exit": lambda report: longest_exit(report),
}
"""What can be limited: fractions of equity (volatility per year, drawdown of the highest equity so far), beta, sessions."""
