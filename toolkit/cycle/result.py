"""What a backtest came to: its curve, and everything that was ordered, traded and paid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from toolkit.cycle.benchmark import held_equally
from toolkit.cycle.holdings import cash_held, marks, shares_grown, shares_held
from toolkit.cycle.summary import headline, last_trades, rows_of
from toolkit.cycle.trades import named, round_trips, texts
from toolkit.cycle.trials import DeflatedSharpe, Trials
from toolkit.data import Bars
from toolkit.data.intervals import bars_per_year
from toolkit.errors import InvalidSymbol
from toolkit.execution.book import KINDS, LIMIT_NAMES, REASONS, TRADES
from toolkit.execution.orders import untypeset
from toolkit.kernels import account as step
from toolkit.kernels.account import UNIT, Rules
from toolkit.risk.bootstrap import intervals
from toolkit.risk.metrics import bar_returns, drawdown_of
from toolkit.signals.causality import Certificate, identity
from toolkit.signals.generator import Scoring


@dataclass(frozen=True, eq=False, repr=False)
class BacktestResult:
    """Tables are made on first use; money in dollars, shares signed, fractions as fractions."""

    name: str
    bars: Bars
    scores: pd.DataFrame
    weights: pd.DataFrame  # aimed at, as sized
    opening: int  # micro-dollars
    first: int  # position of the first bar traded
    curve: np.ndarray  # equity in dollars, from `first` on
    placed: np.ndarray  # dtype placed_t
    log: np.ndarray  # dtype record_t
    waiting: np.ndarray  # dtype order_t, (n_symbols, slots), after the last bar
    rules: Rules
    trials: Trials | None = None  # of the project, this one among them; None: not counted
    strategy: Scoring | None = None

    # ------------------------------------------------------------------------------------------------- at each close
    @property
    def index(self) -> pd.DatetimeIndex:
        """The bars traded."""
        return self.bars.index[self.first :]

    @cached_property
    def equity(self) -> pd.Series:
        """Account value in dollars at each close from the first bar traded; the first is the opening cash."""
        return pd.Series(self.curve, index=self.index, name="equity")

    @cached_property
    def cash(self) -> pd.Series:
        """Dollars; negative where money was borrowed."""
        held = cash_held(self.log, self.opening, len(self.bars))[self.first :]
        return pd.Series(held / UNIT, index=self.index, name="cash")

    @cached_property
    def positions(self) -> pd.DataFrame:
        """Signed shares held."""
        return self._frame(shares_held(self.log, len(self.bars.symbols), len(self.bars)) / UNIT)

    @cached_property
    def values(self) -> pd.DataFrame:
        """Signed dollars held in each symbol: cash and the sum of these are the equity, to the micro-dollar.

        A halted symbol counts at its last price, adjusted for a split on its day.
        """
        held = shares_held(self.log, len(self.bars.symbols), len(self.bars))
        return self._frame(np.where(held != 0, np.rint(held * self._marks), 0.0) / UNIT)

    @cached_property
    def holdings(self) -> pd.DataFrame:
        """Weights held: signed fractions of equity in each symbol; NaN where there is no equity left."""
        return self.values.div(self.equity.where(self.equity > 0.0), axis=0)

    @cached_property
    def exposure(self) -> pd.DataFrame:
        """gross (long and short added up) and net (long less short), fractions of equity."""
        held = self.holdings
        return pd.DataFrame({"gross": held.abs().sum(axis=1, skipna=False), "net": held.sum(axis=1, skipna=False)})

    @cached_property
    def benchmark(self) -> pd.Series:
        """Dollars that the same cash, held equally in the same symbols, would have been; dividends reinvested, no costs."""
        return held_equally(self.bars.close.iloc[self.first :], self.opening / UNIT)

    def to_frame(self) -> pd.DataFrame:
        """One row a bar: equity, cash, gross, net, drawdown, benchmark; dollars, and fractions of equity and of its peak."""
        fall = pd.Series(drawdown_of(self.curve), index=self.index, name="drawdown")
        return pd.concat([self.equity, self.cash, self.exposure, fall, self.benchmark], axis=1)

    # --------------------------------------------------------------------------------------------- what was done
    @cached_property
    def records(self) -> pd.DataFrame:
        """Everything that moved cash or shares, and how orders ended: the account is the sum of it.

        shares and cash are signed, cash net of the fee; slippage is what the trade lost to it, in dollars.
        """
        log = self.log
        frame = pd.DataFrame(
            {
                "session": self.bars.index[log["bar"]],
                "symbol": np.array([*self.bars.symbols, ""], dtype=object)[log["symbol"]],
                "order": log["order"],
                "reason": named(REASONS, log["reason"]),
                "shares": log["qty"] / UNIT,
                "cash": log["cash"] / UNIT,
                "fee": log["fee"] / UNIT,
                "slippage": log["slip"] / UNIT,
                "price": log["price"],
            }
        )
        return texts(frame)

    @cached_property
    def fills(self) -> pd.DataFrame:
        """The records of trades."""
        return self.records[self._filled].reset_index(drop=True)

    @cached_property
    def orders(self) -> pd.DataFrame:
        """One row a wish: shares wanted and ordered, the limit that cut it, what was filled, and how it ended.

        status is FILLED, PARTIAL, WAITING, or the reason for which it was not filled; an order cut to nothing has id 0 and
        the limit as its status.
        """
        placed = self.placed
        last = np.full(int(placed["id"].max(initial=0)) + 1, -1)
        filled = np.zeros(len(last), np.int64)
        of_orders = self.log[self.log["order"] > 0]
        np.add.at(filled, of_orders["order"], of_orders["qty"])
        last[of_orders["order"]] = of_orders["reason"]
        status = np.where(last < 0, "WAITING", named({**REASONS, -1: "WAITING"}, last))
        waits = self.waiting["id"][self.waiting["rest"] != 0]
        status[waits] = np.where(filled[waits] != 0, "PARTIAL", "WAITING")
        limits = named(LIMIT_NAMES, placed["limit"])
        frame = pd.DataFrame(
            {
                "session": self.bars.index[placed["bar"]],
                "symbol": np.array(self.bars.symbols, dtype=object)[placed["symbol"]],
                "order": placed["id"],
                "kind": named(KINDS, placed["kind"]),
                "level": placed["level"],
                "reference": placed["mark"],
                "wanted": placed["wanted"] / UNIT,
                "shares": placed["qty"] / UNIT,
                "limit": limits,
                "filled": np.where(placed["id"] > 0, filled[placed["id"]] / UNIT, 0.0),
                "status": np.where(placed["id"] > 0, status[placed["id"]], limits),
            }
        )
        return texts(frame)

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Round trips, flat to flat in one symbol, those still open at their marks: see `trades.round_trips`.

        Their profits and the interest on cash are what the account gained, to the micro-dollar.
        """
        return round_trips(self.log, self.bars, self._marks[:, -1])

    # ---------------------------------------------------------------------------------------------- what came of it
    @cached_property
    def costs(self) -> pd.Series:
        """Dollars paid in all: commission, slippage, borrow (fees for shares sold short), interest (on borrowed cash)."""
        cash, reason = self.log["cash"], self.log["reason"]
        paid = {
            "commission": self.log["fee"].sum(),
            "slippage": self.log["slip"].sum(),
            "borrow": -cash[reason == step.BORROW].sum(),
            "interest": -cash[reason == step.INTEREST].sum(),
        }
        return pd.Series(paid, name="costs") / UNIT

    @cached_property
    def turnover(self) -> float:
        """Fraction of equity bought or sold a year, the two as one: half of what was really traded.

        Each bar's dollars traded count as a fraction of the equity at the close before.
        """
        log = self.log[self._filled]
        dollars = np.bincount(log["bar"] - self.first, np.abs(log["qty"]) * log["price"] / UNIT, len(self.curve))
        before = self.curve[:-1]
        share = np.divide(dollars[1:], before, out=np.zeros(len(before)), where=before > 0.0)
        return float(share.sum() / 2.0 / len(self.curve) * self.bars_per_year)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Metrics of the equity with their 95 % intervals: `risk.bootstrap.intervals`; after ruin nothing counts."""
        return intervals(self.lived, periods_per_year=self.bars_per_year)

    @cached_property
    def causality(self) -> str:
        """What the project's certificate of the strategy says; a result without one proves nothing."""
        if self.trials is None or self.strategy is None:
            return "not certified"
        certificate = Certificate.read(self.trials.path.parent, identity(self.strategy))
        if certificate is None:
            return "not certified: certify(strategy, bars) says whether it sees later bars"
        return "certified: it sees no later bar" if certificate.passed else f"LEAKS: {certificate.leaks[0]}"

    @cached_property
    def deflated_sharpe(self) -> DeflatedSharpe | None:
        """The Sharpe ratio with its deflated value for all trials of the project; None where they are not counted."""
        return None if self.trials is None else self.trials.report(bar_returns(self.lived))

    @property
    def lived(self) -> pd.Series:
        """Equity up to ruin: to the first bar that leaves nothing, or all of it."""
        ruined = np.flatnonzero(~(self.curve > 0.0))
        return self.equity.iloc[: ruined[0] + 1] if len(ruined) else self.equity

    @property
    def bars_per_year(self) -> float:
        return bars_per_year(self.bars.interval)

    # ---------------------------------------------------------------------------------------------------- to look at
    def on_price(self, symbol: str | None = None) -> tuple[pd.Series, pd.DataFrame]:
        """Close and round trips of one symbol, prices in the shares of the last bar, dividends not taken out.

        Without `symbol` the one with most trips. Raises InvalidSymbol for one that was not traded here.
        """
        trades, symbols = self.trades, self.bars.symbols
        if symbol is None:
            symbol = str(trades["symbol"].mode().iloc[0]) if len(trades) else symbols[0]
        if symbol not in symbols:
            raise InvalidSymbol(f"symbol {symbol!r} is not among {', '.join(symbols)}", "pass one of them")
        n = symbols.index(symbol)
        grown = pd.Series(shares_grown(self.bars)[n], index=self.bars.index)
        scale = grown / grown.iloc[-1]
        own = trades[trades["symbol"] == symbol].reset_index(drop=True)
        rescaled = scale.reindex(own["left"].fillna(self.index[-1])).to_numpy()
        own[["entry", "exit"]] = own[["entry", "exit"]].mul(rescaled, axis=0)
        close = pd.Series(self.bars.traded[3, n], index=self.bars.index, name=symbol) * scale
        return close.iloc[self.first :].rename(symbol), own

    def plot(self, symbol: str | None = None) -> Any:
        """A Figure: equity and benchmark, drawdown, exposure, and the trades of one symbol on its price (see `on_price`)."""
        from toolkit import plots

        return plots.tearsheet(self, symbol)

    def __repr__(self) -> str:
        return "\n".join([headline(self), *(f"  {label:<11}{text}" for label, text in rows_of(self))])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th>{escape(label)}</th><td style='text-align:left'>{escape(text)}</td></tr>" for label, text in rows_of(self)
        )
        return untypeset(f"<b>{escape(headline(self))}</b><table>{cells}</table>" + last_trades(self))

    # ------------------------------------------------------------------------------------------------------- inside
    @cached_property
    def _marks(self) -> np.ndarray:
        return marks(self.bars)

    @cached_property
    def _filled(self) -> np.ndarray:
        return np.isin(self.log["reason"], list(TRADES)) & (self.log["qty"] != 0)

    def _frame(self, panel: np.ndarray) -> pd.DataFrame:
        """(n_symbols, n_bars) of all bars as a frame of the bars traded."""
        return pd.DataFrame(panel.T[self.first :], index=self.index, columns=pd.Index(self.bars.symbols), copy=False)
