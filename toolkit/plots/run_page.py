"""The page that a run leaves: equity, trades, costs, gate, risk, telemetry, certificate, configuration, versions, ledger.

Everything is escaped; nothing is loaded from anywhere; it prints on A4 and reads in the dark.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import matplotlib as mpl

from toolkit.cycle import booked
from toolkit.execution.orders import counted
from toolkit.kernels.account import UNIT
from toolkit.plots.run_sections import SECTIONS, RunRecord, benchmark, money, percent
from toolkit.plots.run_style import CSS, POLICY, told
from toolkit.risk import metrics


def cards(record: RunRecord) -> str:
    """The run in a few numbers."""
    if isinstance(record.books, str):
        return ""
    books, curve = record.books, booked.equity_by_session(record.books.tables["cycles"])
    opened = books.tables["events"].query("kind == 'transfer'")["cash"].sum() / UNIT
    shown = [(money(books.account.equity), "equity at the end")]
    if opened > 0:
        shown.append((percent(books.account.equity / opened - 1.0, True), f"on {money(opened)} paid in"))
    held = None if isinstance(record.times, str) else benchmark(record.times.frame)
    if held is not None:
        shown.append((percent(held.iloc[-1] / held.iloc[0] - 1.0, True), "the same symbols held equally"))
    if len(curve) > 2:
        shown.append((percent(metrics.max_drawdown(curve)), "deepest drawdown"))
        shown.append((f"{metrics.sharpe(curve):.2f}".replace("-", "\u2212"), "Sharpe ratio a year"))
    orders = books.tables["intents"]
    fills = int((books.tables["events"]["kind"] == "fill").sum())
    denied = int((orders["status"] == "DENIED").sum())
    shown.append((f"{len(orders):,}", f"orders; {counted(fills, 'fill')}, {denied:,} denied"))
    boxes = "".join(f'<div class="card"><b>{escape(value)}</b><span>{escape(label)}</span></div>' for value, label in shown)
    return f'<div class="cards">{boxes}</div>'


def lead(record: RunRecord) -> str:
    """Account, mode and days, in a line."""
    if isinstance(record.books, str):
        return ""
    account, cycles = record.books.account, record.books.tables["cycles"]
    days = f", {cycles['session'].min()[:10]} to {cycles['session'].max()[:10]}" if len(cycles) else ""
    sound = "the ledger holds together" if not record.books.wrong else "the ledger does NOT hold together"
    said = f"Account {account.name}, mode {account.mode}, {counted(len(cycles), 'cycle')}{days}; {sound}"
    return f'<p class="soft">{escape(said)}</p>'


def run_article(record: RunRecord, notebook: bool) -> str:
    """The report as an element of a page; `notebook`: whether one follows under the anchor `notebook`."""
    with mpl.rc_context():  # whatever style a reader has set: the page has its own
        mpl.rcdefaults()
        bodies = {anchor: guarded(build, record) for anchor, (_, build) in SECTIONS.items()}
    links = {anchor: title for anchor, (title, _) in SECTIONS.items()} | ({"notebook": "The notebook"} if notebook else {})
    contents = "".join(f'<a href="#{anchor}">{escape(title)}</a>' for anchor, title in links.items())
    sections = "".join(
        f'<section id="{anchor}"><h2>{escape(links[anchor])}</h2>{body}</section>' for anchor, body in bodies.items()
    )
    more = '<section id="notebook" class="notebook"><h2>The notebook</h2></section>' if notebook else ""
    head = (
        f"<header><h1>{escape(record.title)}</h1>{guarded(lead, record)}{guarded(cards, record)}<nav>{contents}</nav></header>"
    )
    return f'<article class="run tex2jax_ignore mathjax_ignore">{head}{sections}{more}</article>'


def guarded(build: Callable[[RunRecord], str], record: RunRecord) -> str:
    """A section, or why there is none: of damaged tables pandas raises almost anything, and the others are still to be read."""
    try:
        return build(record)
    except Exception as error:
        return told(f"this cannot be shown ({type(error).__name__}: {error})")


def run_page(record: RunRecord) -> str:
    """The report as a whole page, without a notebook."""
    title = f'<meta name="viewport" content="width=device-width"><title>{escape(record.title)}</title>'
    head = f'<head><meta charset="utf-8">{POLICY}{title}<style>{CSS}</style></head>'
    return f'<!doctype html>\n<html lang="en">{head}<body>{run_article(record, False)}</body></html>\n'
