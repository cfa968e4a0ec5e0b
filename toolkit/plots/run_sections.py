"""The sections of a run's page, each from the record of the run to HTML; what is missing is a sentence in its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from toolkit.cycle import booked
from toolkit.cycle.booked import Books
from toolkit.cycle.durations import approximate
from toolkit.cycle.run_times import Percentiles
from toolkit.execution.gate import CURES
from toolkit.execution.orders import counted, price_said
from toolkit.plots import performance
from toolkit.plots.run_style import pairs, svg, table, told
from toolkit.plots.style import figure
from toolkit.plots.telemetry import run_times
from toolkit.risk.drawdowns import drawdown_table
from toolkit.risk.report import RiskReport
from toolkit.signals.causality import Certificate

MANY = 20  # round trips up to here are all shown
TRIP_HEADS = "Symbol", "Side", "Entry", "Exit", "Days", "Shares", "Entry price", "Exit price", "Result", "Return"
KINDS = {
    "commission": "Commission paid",
    "slippage": "Slippage, in the prices",
    "dividend": "Dividends",
    "split": "Cash for fractions of shares",
    "borrow": "Borrow fees",
    "interest": "Interest",
    "fee": "Other fees",
}


@dataclass(frozen=True)
class Times:
    """Telemetry of the account: its frame, percentiles, slowest symbols."""

    frame: pd.DataFrame
    percentiles: Percentiles
    slowest: pd.DataFrame
    budget: int | None = None  # requests a cycle


@dataclass(frozen=True)
class RunRecord:
    """What there is to tell of a run; a text stands where something is missing or wrong, and says so."""

    title: str
    books: Books | str
    times: Times | str
    risk: RiskReport | str
    certificate: Certificate | str
    config: str  # YAML, or empty
    versions: dict[str, str] | str
    config_note: str = ""
    certificate_note: str = ""


# ------------------------------------------------------------------------------------------------------ how values read
def money(dollars: float, sign: bool = False) -> str:
    """Dollars and cents; a minus is a minus, not a hyphen.

    >>> money(-1234.5), money(12.0, sign=True)
    ('\u2212$1,234.50', '+$12.00')
    """
    before = "\u2212" if round(dollars, 2) < 0 else "+" if sign else ""
    return "-" if math.isnan(dollars) else f"{before}${abs(dollars):,.2f}"


def percent(fraction: float, sign: bool = False) -> str:
    """A fraction in percent, two places; a dash where it is not known.

    >>> percent(-0.0123), percent(float("nan"))
    ('\u22121.23%', '-')
    """
    return "-" if math.isnan(fraction) else f"{fraction:{'+' if sign else ''}.2%}".replace("-", "\u2212")


def day(when: pd.Timestamp) -> str:
    return "" if pd.isna(when) else f"{when:%Y-%m-%d}"


def quantity(shares: float) -> str:
    return f"{shares:,.6f}".rstrip("0").rstrip(".")


# ------------------------------------------------------------------------------------------------------------- sections
def equity_section(record: RunRecord) -> str:
    """The curve, its drawdowns, and the money at the beginning and the end."""
    if isinstance(record.books, str):
        return told(record.books)
    curve = booked.equity_by_session(record.books.tables["cycles"])
    if len(curve) < 2:
        return told(f"{counted(len(curve), 'session')} settled: too few for a curve")
    held = None if isinstance(record.times, str) else benchmark(record.times.frame)
    fig = figure(9, 4.4)
    upper, lower = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    performance.equity(curve, held, (upper, lower))
    deepest = drawdown_table(curve)
    return svg(fig, "equity", "Equity and drawdown by session") + falls(deepest)


def falls(deepest: pd.DataFrame) -> str:
    """The deepest drawdowns as a table."""
    if deepest.empty:
        return "<p>The account never fell below an earlier value.</p>"
    heads = [str(name).replace("_", " ").capitalize() for name in deepest.columns]
    rows = [[shown(value) for value in row] for row in deepest.itertuples(index=False)]
    return f"<h3>Deepest drawdowns</h3>{table(heads, rows)}"


def shown(value: object) -> str:
    """A value of a table of drawdowns: dates, fractions below 0, counts."""
    if value is None or value is pd.NaT or isinstance(value, pd.Timestamp):
        return day(value) if isinstance(value, pd.Timestamp) else "lasts"
    return percent(float(value)) if isinstance(value, float | np.floating) else f"{value}"


def benchmark(telemetry: pd.DataFrame) -> pd.Series | None:
    """What the same symbols, held equally, were worth after each session; None where nobody kept it."""
    known = telemetry[telemetry["benchmark"] > 0.0]
    return known.groupby("session")["benchmark"].last() if len(known) else None


def trades_section(record: RunRecord) -> str:
    """Round trips: all of them, or the best and the worst ten."""
    if isinstance(record.books, str):
        return told(record.books)
    trips = booked.round_trips(record.books.tables["events"], booked.marks_of(record.books.account))
    if trips.empty:
        return "<p>Nothing was traded.</p>"
    ended, won = trips["left"].notna(), trips["profit"] > 0.0
    said = f"{counted(len(trips), 'round trip')}, {(~ended).sum()} of them still open and valued at the last close. "
    if ended.any():
        made = money(trips["profit"][ended].sum(), True)
        said += f"Of the {ended.sum()} that ended {(won & ended).sum()} gained; they made {made}. "
    said += "Results are net of commission and slippage, with the dividends received."
    lead = f'<p class="lead">{escape(said)}</p>'
    if len(trips) <= MANY:
        return lead + trip_table(trips)
    order = trips.sort_values("profit", ascending=False, kind="stable")
    best, worst = order.head(10), order.tail(10)[::-1]
    return f"{lead}<h3>The ten best</h3>{trip_table(best)}<h3>The ten worst</h3>{trip_table(worst)}"


def trip_table(trips: pd.DataFrame) -> str:
    """A line a round trip."""
    rows = [
        (symbol, side, day(entered), day(left) or "open", "" if math.isnan(days) else f"{days:.0f}", quantity(n),
         price_said(entry), "" if math.isnan(exit) else price_said(exit), money(profit, True), percent(gained, True))
        for symbol, side, entered, left, days, n, entry, exit, profit, gained in trips.itertuples(index=False)
    ]  # fmt: skip
    return table(TRIP_HEADS, rows, ("Symbol", "Side"))


def costs_section(record: RunRecord) -> str:
    """What trading cost, and what holding brought."""
    if isinstance(record.books, str):
        return told(record.books)
    costs, fills = booked.costs_of(record.books.tables["events"]), booked.fills_of(record.books.tables["events"])
    rows = [(KINDS[kind], money(value)) for kind, value in costs.items()]
    turned = float((fills["shares"] * fills["price"]).sum())
    spent = costs["commission"] + costs["slippage"]
    rows += [("Traded", f"{money(turned)} in {counted(len(fills), 'fill')}")]
    if turned:
        rows += [("Commission and slippage", f"{1e4 * spent / turned:.1f} basis points of what was traded")]
    return pairs(rows)


def gate_section(record: RunRecord) -> str:
    """What the gate denied and what limits cut, each with its count, the latest measure and the limit."""
    if isinstance(record.books, str):
        return told(record.books)
    tables, parts = record.books.tables, []
    denied, cut = booked.denials_of(tables["intents"], tables["verdicts"]), booked.cuts_of(tables["intents"])
    for title, refused, heads, none in (
        ("Denied", denied, ("Measured, the last time", "Limit"), "No order was denied."),
        ("Made smaller by a limit", cut, ("Wanted, the last time", "Left by the limit"), "No order was made smaller."),
    ):
        rows = [
            (f"{code.replace('_', ' ').capitalize()}: {CURES.get(code, 'see the limit')}", f"{times:,}", measured, cap, names)
            for code, times, measured, cap, names in refused.itertuples(index=False)
        ]
        columns = ("Why, and what to do", "Orders", *heads, "Symbols")
        words = [f"{name}*" for name in columns if name != "Orders"]
        parts.append(f"<h3>{title}</h3>" + (table(columns, rows, words) if rows else f"<p>{none}</p>"))
    standing, why = record.books.standing
    if standing != "ACTIVE":
        parts.insert(0, told(f"The account stands {standing}: {why}"))
    return "".join(parts)


def risk_section(record: RunRecord) -> str:
    """The risk of what was held last."""
    if isinstance(record.risk, str):
        return told(record.risk)
    return f'<div class="risk wide">{record.risk._repr_html_()}</div>'


def times_section(record: RunRecord) -> str:
    """The figure of the telemetry, and the percentiles."""
    if isinstance(record.times, str):
        return told(record.times)
    times = record.times
    fig: Figure = run_times(times.frame, times.percentiles, times.slowest, times.budget)
    rows = [(label.capitalize(), *map(approximate, row)) for label, row in
            zip(times.percentiles.frame.index, times.percentiles.frame.to_numpy().tolist(), strict=True)]  # fmt: skip
    failed = times.frame["status"].str.startswith("failed").sum()
    lead = f"{counted(len(times.frame), 'cycle')}, {failed} of them failed, {times.frame['api_calls'].sum():,.0f} requests."
    return f'<p class="lead">{lead}</p>' + svg(fig, "telemetry", "Caches, phase times and requests of each cycle") + \
        table(("Phase", "Half were faster than", "95 of 100", "99 of 100"), rows, ("Phase",))  # fmt: skip


def certificate_section(record: RunRecord) -> str:
    """Whether the strategy was checked for look-ahead."""
    note = f"<p>{escape(record.certificate_note)}</p>" if record.certificate_note else ""
    if isinstance(record.certificate, str):
        return told(record.certificate) + note
    return note + f'<div class="risk wide">{record.certificate._repr_html_()}</div>'


def config_section(record: RunRecord) -> str:
    """The configuration, in full."""
    body = f"<pre>{escape(record.config.strip())}</pre>" if record.config else ""
    return (told(record.config_note) if record.config_note else "") + body


def versions_section(record: RunRecord) -> str:
    """What the run ran on."""
    if isinstance(record.versions, str):
        return told(record.versions)
    lines = "".join(f"<span><i>{escape(name)}</i>{escape(version)}</span>" for name, version in record.versions.items())
    return f'<div class="grid">{lines}</div>'


def ledger_section(record: RunRecord) -> str:
    """Whether everything in the ledger follows from its events."""
    if isinstance(record.books, str):
        return told(record.books)
    books = record.books
    counts = ", ".join(counted(len(books.tables[name]), one) for name, one in
                       (("events", "event"), ("intents", "order"), ("cycles", "cycle")))  # fmt: skip
    if not books.wrong:
        return f'<p><b class="good">Yes.</b> {counts}: all of it holds together.</p>'
    lines = "".join(f"<li>{escape(sentence)}</li>" for sentence in books.wrong)
    return f'<p><b class="bad">No.</b> {counts}; {counted(len(books.wrong), "finding")}:</p><ul>{lines}</ul>'


SECTIONS: dict[str, tuple[str, Callable[[RunRecord], str]]] = {
    "equity": ("Equity and drawdown", equity_section),
    "trades": ("Trades", trades_section),
    "costs": ("Costs", costs_section),
    "gate": ("What the limits did", gate_section),
    "risk": ("Risk of what was held last", risk_section),
    "telemetry": ("Telemetry", times_section),
    "certificate": ("Certificate", certificate_section),
    "configuration": ("Configuration", config_section),
    "versions": ("Versions", versions_section),
    "ledger": ("Does the ledger hold together?", ledger_section),
}
