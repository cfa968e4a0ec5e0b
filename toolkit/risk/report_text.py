"""A risk report in words: the rows that it prints, and its tables for a page, with labels for people and rounded numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.data.intervals import dated

if TYPE_CHECKING:
    from toolkit.risk.report import RiskReport

LABELS = {
    "leverage": "Leverage",
    "net": "Net exposure",
    "largest": "Largest position",
    "herfindahl": "Concentration (HHI)",
    "volatility": "Volatility a year",
    "beta": "Beta",
    "var_95": "VaR 95%",
    "cvar_95": "CVaR 95%",
    "var_99": "VaR 99%",
    "cvar_99": "CVaR 99%",
    "drawdown": "Drawdown of the account",
    "days_to_exit": "Days to exit",
    "historical": "Historical",
    "normal": "Normal",
    "cornish_fisher": "Cornish-Fisher",
    "student": "Student t",
    "filtered": "Filtered historical",
    "close": "Close to close",
    "ewma": "EWMA 0.94",
    "yang_zhang": "Yang-Zhang",
    "portfolio": "Portfolio",
}
PLAIN = ("leverage", "herfindahl", "beta", "days_to_exit")  # numbers, not percentages


def headline(report: RiskReport) -> str:
    """What is held, of how much, and when."""
    symbols = report.history.symbols
    named = ", ".join(symbols[:8]) + f" and {len(symbols) - 8} more" * (len(symbols) > 8)
    at = f", {label(report.bars.index[-1], report)}" if len(report.bars) else ""
    return f"Risk of {named or 'nothing held'} in ${report.equity:,.2f}{at}"


def rows_of(report: RiskReport) -> list[tuple[str, str]]:
    """Label and text, as printed."""
    held = report.exposure
    sides = f"long ${held.long:,.0f}, short ${held.short:,.0f}"
    rows = [("exposure", f"gross {percent(held.leverage)}, net {percent(held.net / report.equity)} of equity; {sides}")]
    if report.history.symbols:
        rows += book(report)
    if report.limits:
        broken = [LABELS[name] for name in report.headroom.index[report.headroom["breached"]]]
        rows.append(
            ("limits", f"{len(report.limits)}, broken: {', '.join(broken)}" if broken else f"{len(report.limits)}, all kept")
        )
    if report.breaches:
        lasting = sum(each.ended is None for each in report.breaches)
        rows.append(("breaches", f"{len(report.breaches)} so far, {lasting} of them last"))
    if report.issues:
        rows.append(("be careful", "; ".join(report.issues)))
    return rows


def book(report: RiskReport) -> list[tuple[str, str]]:
    """The rows of what is held."""
    held, linked, tails = report.exposure, report.correlation, report.tails.loc["historical"].map(percent)
    yearly = report.volatility.loc["portfolio"].map(percent)
    worst = report.stress["return"].dropna()
    equal = f"as spread as {number(held.effective)} equal ones (HHI {number(held.herfindahl)})"
    now = f"lately {yearly['ewma']} (EWMA), {yearly['yang_zhang']} (Yang-Zhang)"
    beyond = f"beyond it {tails['CVaR 95%']} and {tails['CVaR 99%']} on average (historical)"
    rows = [
        ("spread", f"largest position {percent(held.largest)} of equity; {equal}"),
        ("volatility", f"{yearly['close']} a year; {now}"),
        ("next bar", f"VaR {tails['VaR 95%']} at 95%, {tails['VaR 99%']} at 99%; {beyond}"),
        ("drawdown", fallen(report)),
        ("stress", f"worst of {len(worst)} scenarios: {worst.idxmin()}, {percent(worst.min())}" if len(worst) else "not known"),
        ("exit", f"{number(report.measure('days_to_exit'))} days at {percent(report.participation)} of the volume"),
    ]
    if report.benchmark is not None:
        rows.insert(2, ("beta", number(float(report.beta.iloc[-1]))))
    if linked.average == linked.average:  # there are two that move
        together = f"{number(linked.average)} on average; the first component is {percent(linked.first)} of the variance"
        rows.insert(2, ("correlation", together))
    return rows


def fallen(report: RiskReport) -> str:
    """The drawdowns in a line."""
    falls, whose = report.drawdowns, "the account" if report.curve is not None else "these weights"
    if falls.deepest != falls.deepest:
        return f"of {whose}: not known"
    depths = f"deepest {percent(falls.deepest)}, longest {falls.length:,} bars, now {percent(falls.now)}"
    return f"of {whose}: {depths}; CDaR {percent(falls.cdar)}, Ulcer {percent(falls.ulcer)}"


def positions_shown(report: RiskReport) -> pd.DataFrame:
    """What is held, how it moves, what it brings, and how long it takes to sell; one row a symbol."""
    parts, symbols = report.contributions, list(report.history.symbols)
    share = {name: parts[name, "component"] / parts[name, "component"].sum() for name in ("volatility", "historical_cvar")}
    return pd.DataFrame(
        {
            "Dollars": [f"{value:,.0f}" for value in report.dollars],
            "Weight": each(percent, report.positions["weight"]),
            "Volatility a year": each(percent, report.volatility["close"].loc[symbols]),
            "Beta": each(number, report.beta.loc[symbols]),
            "Share of volatility": each(percent, share["volatility"]),
            "Share of CVaR 95%": each(percent, share["historical_cvar"]),
            "Days to exit": each(number, report.liquidity["days"]),
        },
        index=symbols,
    )


def tails_shown(report: RiskReport) -> pd.DataFrame:
    """VaR and CVaR by method, with how often the 95 % one was exceeded and what the tests say of it."""
    tested = report.backtest.xs(0.95, level="level")
    shown = report.tails.map(percent)
    shown["Exceeded"] = [f"{x:,} of {n:,}" if n else "-" for x, n in zip(tested["exceeded"], tested["n"])]
    shown["Expected"] = [f"{value:.0f}" for value in tested["expected"]]
    shown["Kupiec p"] = each(number, tested["kupiec"])
    shown["Christoffersen p"] = each(number, tested["independence"])
    return shown.rename(index=LABELS)


def stress_shown(report: RiskReport) -> pd.DataFrame:
    """The scenarios, in percent and in dollars."""
    known = report.stress.dropna(subset="return")
    columns = {
        "Return": each(percent, known["return"]),
        "Dollars": [f"{value * report.equity:,.0f}" for value in known["return"]],
        "From": [label(when, report) for when in known["begin"]],
        "To": [label(when, report) for when in known["end"]],
    }
    return pd.DataFrame(columns, index=[name[0].upper() + name[1:] for name in known.index])


def limits_shown(report: RiskReport) -> pd.DataFrame:
    """Value, limit and headroom of each limit."""
    shown = {}
    for name, row in report.headroom.iterrows():
        text = number if name in PLAIN else percent
        shown[LABELS[str(name)]] = [
            text(row["value"]),
            text(row["limit"]),
            text(row["headroom"]),
            "BROKEN" if row["breached"] else "kept",
        ]
    return pd.DataFrame(shown, index=["Value", "Limit", "Headroom", "State"]).T


def breaches_shown(report: RiskReport) -> pd.DataFrame:
    """When limits were broken, and how far."""
    rows = []
    for measure, began, ended, worst, most in report.breaches:
        text = number if measure in PLAIN else percent
        until = label(ended, report) if ended is not None else "lasts"
        rows.append((LABELS.get(measure, measure), label(began, report), until, text(worst), text(most)))
    return pd.DataFrame(rows, columns=["Limit of", "Began", "Ended", "Worst", "Most allowed"])


def tables_of(report: RiskReport) -> str:
    """The tables as HTML; none where nothing is held."""
    tables = {}
    if report.history.symbols:
        tables = {
            "Positions": positions_shown(report),
            "Loss of the next bar": tails_shown(report),
            "Stress": stress_shown(report),
        }
    if report.limits:
        tables["Limits"] = limits_shown(report)
    if report.breaches:
        tables["Breaches"] = breaches_shown(report).set_index("Limit of").rename_axis(None)
    return "".join(f"<p><b>{name}</b></p>{table.to_html(border=0)}" for name, table in tables.items())


def each(text, values: pd.Series) -> list[str]:
    return [text(value) for value in values]


def percent(value: float) -> str:
    """A fraction as a percentage with three digits or so."""
    if not np.isfinite(value):
        return number(value)
    return f"{100.0 * value + 0.0:.{1 if abs(value) >= 0.1 else 2}f}%"


def number(value: float) -> str:
    """A number to two places."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "never" if value > 0.0 else "-never"
    return "<0.01" if 0.0 < value < 0.005 else f"{value + 0.0:.2f}"


def label(when: pd.Timestamp, report: RiskReport) -> str:
    """A label of the bars, to the day or to the minute; empty for none."""
    return "" if pd.isna(when) else str(when)[: 10 if dated(report.bars.interval) else 16]
