"""A backtest in a dozen lines of text: what it earned, how sure that is, what it did and what it paid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.data.intervals import dated
from toolkit.kernels.account import UNIT
from toolkit.risk.metrics import total_return_of, win_rate

if TYPE_CHECKING:
    from toolkit.cycle.result import BacktestResult

LATEST = 5  # trades in the table


def headline(result: BacktestResult) -> str:
    """Strategy, symbols and span."""
    symbols, when = result.bars.symbols, date_format(result)
    named = ", ".join(symbols[:8]) + f" and {len(symbols) - 8} more" * (len(symbols) > 8)
    span = f"{result.index[0].strftime(when)} to {result.index[-1].strftime(when)}"
    bars = f"{len(result.index):,} bars" if len(result.index) > 1 else "1 bar"
    return f"{result.name}: {named}; {bars}, {span}"


def rows_of(result: BacktestResult) -> list[tuple[str, str]]:
    """Label and text, as printed; fractions in percent, intervals of 95 %."""
    rows = [("equity", equity(result)), ("a year", yearly(result)), ("drawdown", deepest(result))]
    if len(result.lived) < len(result.curve) or not result.curve[-1] > 0.0:
        rows.append(("ruin", f"nothing was left on {result.lived.index[-1].strftime(date_format(result))}"))
    rows += [("exposure", exposure(result)), ("trades", trades(result)), ("orders", orders(result)), ("costs", costs(result))]
    scores = result.scores.to_numpy(dtype=float)[result.first :]
    if unknown := int(np.isnan(scores).sum()):
        rows.append(("no opinion", f"{unknown:,} of {scores.size:,} scores are NaN: no position changed for them"))
    if result.deflated_sharpe is not None:
        rows += [("selection", str(result.deflated_sharpe)), ("causality", result.causality)]
    return rows


def equity(result: BacktestResult) -> str:
    ours, held = (percent(float(total_return_of(np.asarray(curve)))) for curve in (result.curve, result.benchmark))
    return f"${result.opening / UNIT:,.2f} to ${result.curve[-1]:,.2f}, {ours}; the same symbols held equally {held}"


def yearly(result: BacktestResult) -> str:
    annual, volatility, sharpe = (result.metrics.loc[name] for name in ("annual_return", "volatility", "sharpe"))
    return f"return {interval(percent, annual)}, volatility {share(volatility['estimate'])}, Sharpe {interval(number, sharpe)}"


def deepest(result: BacktestResult) -> str:
    return f"at its deepest {interval(percent, result.metrics.loc['max_drawdown'])}"


def exposure(result: BacktestResult) -> str:
    gross, net = result.exposure.mean()
    return f"gross {share(gross)} of equity on average, net {share(net)}; turnover {number(result.turnover)} a year"


def trades(result: BacktestResult) -> str:
    trips = result.trades
    closed = trips[trips["left"].notna()]
    if len(trips) == 0:
        return "none"
    said = f"{len(trips):,}, {len(trips) - len(closed):,} of them open"
    if len(closed) == 0:
        return said
    return f"{said}; of the closed ones {share(win_rate(closed['profit']))} won, median {closed['bars'].median():g} bars"


def orders(result: BacktestResult) -> str:
    counts = frequent(result.orders["status"])
    if counts.empty:
        return "none"
    said = f"{counts.sum():,}: " + ", ".join(f"{n:,} {status}" for status, n in counts.items())
    cut = frequent(result.orders["limit"].loc[lambda limits: limits != ""])
    return f"{said}; cut by a limit: {', '.join(f'{n:,} {limit}' for limit, n in cut.items())}" if len(cut) else said


def frequent(names: pd.Series) -> pd.Series:
    """How often each occurs, the most frequent first."""
    return names.value_counts().sort_index().sort_values(ascending=False, kind="stable")


def costs(result: BacktestResult) -> str:
    paid = result.costs
    return f"{dollars(paid.sum())}: " + ", ".join(f"{kind} {dollars(each)}" for kind, each in paid.items())


def last_trades(result: BacktestResult) -> str:
    """The latest round trips as an HTML table; '' without any."""
    trips, when = result.trades.tail(LATEST), date_format(result)
    if len(trips) == 0:
        return ""
    table = pd.DataFrame(
        {
            "symbol": trips["symbol"],
            "side": trips["side"],
            "entered": trips["entered"].dt.strftime(when),
            "left": trips["left"].dt.strftime(when).fillna("open"),
            "bars": trips["bars"],
            "entry": trips["entry"].map(price),
            "exit": trips["exit"].map(price),
            "profit": trips["profit"].map(dollars),
            "return": trips["return"].map(percent),
            "worst": trips["worst"].map(percent),
            "best": trips["best"].map(percent),
            "reason": trips["reason"],
        }
    )
    caption = f"the last {len(trips)} of {len(result.trades):,} trades" if len(trips) > 1 else "the only trade"
    return f"<p>{caption}</p>" + table.to_html(index=False, border=0)


def date_format(result: BacktestResult) -> str:
    return "%Y-%m-%d" if dated(result.bars.interval) else "%Y-%m-%d %H:%M"


def interval(written: Callable[[float], str], row: pd.Series) -> str:
    """An estimate with its interval in brackets, where that is known."""
    said = written(row["estimate"])
    return said if math.isnan(row["low"]) else f"{said} [{written(row['low'])}, {written(row['high'])}]"


def percent(fraction: float) -> str:
    return "unknown" if math.isnan(fraction) else f"{fraction:+.1%}"


def share(fraction: float) -> str:
    return "unknown" if math.isnan(fraction) else f"{fraction:.1%}"


def number(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.2f}"


def price(value: float) -> str:
    return "" if math.isnan(value) else f"{value:,.2f}"


def dollars(value: float) -> str:
    return f"-${-value:,.2f}" if round(value, 2) < 0.0 else f"${abs(value):,.2f}"
