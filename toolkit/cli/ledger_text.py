"""A ledger in plain text: the account, what it holds and waits for, and what happened last."""

from __future__ import annotations

from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import price_said, shares
from toolkit.execution.schema import UNSENT, UNSURE, WAITING
from toolkit.execution.standing import ACTIVE, HALT, Switches
from toolkit.kernels.account import UNIT

NO_PRICE = "-"


def shown(ledger: Ledger, last: int) -> str:
    """Everything on a page; the last `last` cycles and events."""
    parts = [account(ledger), positions(ledger), orders(ledger), cycles(ledger, last), events(ledger, last)]
    return "\n\n".join("\n".join(lines) for lines in parts)


def account(ledger: Ledger) -> list[str]:
    """Name, money, standing, and the files that stop it."""
    a, (standing, why), folder = ledger.account(), ledger.standing, ledger.path.parent
    until = "nothing settled yet" if a.session is None else f"settled to {a.session:%Y-%m-%d}"
    lines = [f"account   {a!r}, {until}", f"ledger    {ledger.path}"]
    files = Switches((folder, folder.parent))
    acts = HALT if files.pulled() else files.stands(standing, why)[0]
    said = f": {why}; `toolkit resume` lifts it" if standing != ACTIVE else ""
    lines += [f"standing  {acts}{f', of the ledger {standing}' if acts != standing else ''}{said}"]
    lines += [f"stopped   by {pulled}; `toolkit resume` lifts it"] if (pulled := files.pulled()) else []
    return lines + ([f"closes    only, by {reduced}; `toolkit resume` lifts it"] if (reduced := files.reduced()) else [])


def positions(ledger: Ledger) -> list[str]:
    """A line a symbol that is held: shares, entry and mark in dollars, value, weight of the equity."""
    a = ledger.account()
    held = [p for p in a.positions.values() if p.qty]
    lines = [f"{p.symbol:<8}{shares(p.qty):>16}{priced(p.entry):>12}{priced(p.mark):>12}{p.value / UNIT:>16,.2f}"
             f"{a.weight(p.symbol):>9.1%}" for p in held]  # fmt: skip
    head = f"{'symbol':<8}{'shares':>16}{'entry':>12}{'mark':>12}{'value':>16}{'weight':>9}"
    notes = [f"note: {symbol}: {said}" for symbol, said in a.unpriced.items()]
    return [f"positions: {len(held)}", *([head, *lines] if lines else []), *notes]


def priced(price: float) -> str:
    return NO_PRICE if price != price else price_said(price)


def money(micro: int | None) -> str:
    return "" if micro is None else f"{micro / UNIT:,.2f}"


def orders(ledger: Ledger) -> list[str]:
    """A line an order that may still trade: its state, what waits of it, and its id."""
    rows = [(state, o) for state in (*UNSENT, *UNSURE, *WAITING) for o in ledger.orders_in(state)]
    return [f"open orders: {len(rows)}", *(f"{state:<9} {o} ({o.id}, of {o.cycle})" for state, o in rows)]


def cycles(ledger: Ledger, last: int) -> list[str]:
    """A line a cycle: number, key, state, orders by what became of them, equity."""
    counts: dict[str, list[str]] = {}
    for key, status, n in ledger.rows("SELECT cycle, status, count(*) FROM intents GROUP BY cycle, status ORDER BY status"):
        counts.setdefault(key, []).append(f"{n} {status}")
    rows = ledger.rows("SELECT key, status, equity FROM cycles ORDER BY rowid")
    lines = [
        f"{number:>6}  {key:<48} {status:<8}{money(equity):>16}  {', '.join(counts.get(key, []))}"
        for number, (key, status, equity) in enumerate(rows, 1)
    ]
    return [f"cycles: {len(rows)}", *(line.rstrip() for line in lines[-last:])]


def events(ledger: Ledger, last: int) -> list[str]:
    """A line an event: number, session, kind, symbol, shares, price, cash, reason."""
    (count,) = ledger.rows("SELECT count(*) FROM events")[0]
    rows = ledger.rows(
        "SELECT seq, session, kind, symbol, qty, price, cash, reason FROM events ORDER BY seq DESC LIMIT ?", last
    )
    lines = [
        f"{seq:>6}  {session[:10]:<10}  {kind:<9}{symbol or '':<8}{shares(qty) if qty else '':>16}"
        f"{'' if price is None or not qty else price_said(price):>12}{cash / UNIT:>16,.2f}  {reason}"
        for seq, session, kind, symbol, qty, price, cash, reason in reversed(rows)
    ]
    return [f"events: {count}", *(line.rstrip() for line in lines)]
