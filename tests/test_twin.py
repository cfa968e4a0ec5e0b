"""The compiled step against a plain twin written from its conventions: every record, plan, order and equity, bit for bit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from any_market import Market, markets, rules_of_all_kinds
from hypothesis import given, settings
from hypothesis import strategies as st
from twin import Plan, Record, Twin

from toolkit.kernels.account import LIMIT, MARKET, STOP, UNIT, Book, Rules, new_book
from toolkit.kernels.portfolio import walk

SLOTS = 3
amounts = st.sampled_from([1_000.0, 12_345.67, 1e6])  # dollars
cents = st.integers(0, 2**32 - 1)


def same(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)


def compare(kind: str, ours: list, theirs: list) -> None:
    """Fails at the first row that differs, and shows it beside the twin's, after what came before."""
    for i, (a, b) in enumerate(zip(ours, theirs)):
        assert all(map(same, a, b)), f"{kind} {i}: the step says {a}, the twin {b}, after {ours[max(0, i - 3) : i]}"
    longer = ours if len(ours) > len(theirs) else theirs
    more = longer[min(len(ours), len(theirs)) :]
    assert not more, f"{kind}: only the {'step' if longer is ours else 'twin'} has {more[:3]}"


def rows(kind: type[NamedTuple], table: np.ndarray, count: int) -> list:
    assert count <= len(table)
    return [kind(*(row[name].item() for name in kind._fields)) for row in table[:count]]


def compare_books(book: Book, twin: Twin) -> None:
    account, held = book.account[0], list(twin.held.values())
    compare("record", rows(Record, book.records, account["records"]), twin.records)
    compare("plan", rows(Plan, book.placed, account["placed"]), twin.plans)
    assert (account["cash"], account["equity"]) == (twin.cash, twin.equity)
    assert (account["orders"], account["waiting"]) == (twin.orders, len(twin.waiting))
    assert account["held"] == sum(h.qty != 0 for h in held)
    assert account["fees"] == sum(record.fee for record in twin.records)
    assert account["fills"] == sum(record.fill for record in twin.records)
    assert book.positions["qty"].tolist() == [h.qty for h in held]
    for (n, k), order in twin.waiting.items():
        o = book.orders[n, k]
        assert (o["id"], o["rest"], o["kind"], o["day"], o["why"]) == (order.id, order.rest, order.kind, order.day, order.why)
        assert same(o["level"], order.level)


def pair(market: Market, rules: Rules, cash: float, slots: int = 1) -> tuple[Book, Twin]:
    n_symbols, n_bars = market.shape
    most = 20 * slots * n_symbols * n_bars
    return new_book(n_symbols, cash, most, slots, n_symbols * n_bars), Twin(rules, market.prices, round(cash * UNIT))


def turn(twin: Twin, market: Market, t: int) -> int:
    """One bar of the twin; its equity."""
    actions = [a.tolist()[1:] for a in market.actions[market.actions["bar"] == t]]
    twin.bar(t, actions, market.scores[:, t].tolist(), market.weights[:, t].tolist())
    return twin.equity


@settings(max_examples=150)
@given(market=markets(), rules=rules_of_all_kinds, cash=amounts)
def test_the_compiled_bars_are_the_plain_ones(market, rules, cash):
    (book, twin), equity = pair(market, rules, cash), np.zeros(market.shape[1])
    walk(0, market.shape[1], *market, book, rules, equity)
    plain = [turn(twin, market, t) for t in range(market.shape[1])]
    compare_books(book, twin)
    assert equity.tolist() == plain


def submit(book: Book, n: int, k: int, qty: int, kind: int, day: bool, level: float) -> None:
    """An order of the user's in a slot that is free."""
    book.account[0]["orders"] += 1
    book.account[0]["waiting"] += 1
    book.orders[n, k] = (book.account[0]["orders"], qty, kind, day, 0, level)


def random_order(rng: np.random.Generator, mark: float, held: int, lot: int) -> tuple[int, int, bool, float]:
    """Quantity, kind, time in force and level of an order that opens, adds, closes or turns round."""
    size = max(int(abs(held) * rng.choice([0.4, 1.0, 1.7])) if held else int(rng.integers(1, 40)) * UNIT, lot)
    qty = int(rng.choice([-1, 1])) * (size // lot) * lot
    kind = int(rng.choice([MARKET, LIMIT, STOP]))
    level = np.nan if kind == MARKET else float(np.round(mark * rng.uniform(0.96, 1.04) * 2.0) / 2.0 or 0.5)
    return qty, kind, bool(rng.random() < 0.3), level


@settings(max_examples=150)
@given(market=markets(n_symbols=3, n_bars=40), rules=rules_of_all_kinds, cash=amounts, seed=cents)
def test_so_are_bars_in_which_other_orders_wait_too(market, rules, cash, seed):
    rng, (book, twin), equity = np.random.default_rng(seed), pair(market, rules, cash, SLOTS), np.zeros(market.shape[1])
    for t in range(market.shape[1]):
        walk(t, t + 1, *market, book, rules, equity)
        assert equity[t] == turn(twin, market, t)
        for n, h in twin.held.items():
            for k in range(1, SLOTS):
                if h.mark > 0.0 and (n, k) not in twin.waiting and rng.random() < 0.3:
                    order = random_order(rng, h.mark, h.qty, rules.lot)
                    submit(book, n, k, *order)
                    twin.submit(n, k, *order)
    compare_books(book, twin)


def openings(records: list[Record], market: Market, cash: int) -> Iterator[tuple[Record, float, float, int]]:
    """Each fill that opens or adds, gross exposure and equity before it, cash after it; symbols at their last close or fill."""
    qty: dict[int, int] = defaultdict(int)
    price: dict[int, float] = {}
    split = {(a["bar"], a["symbol"]): a["split"] for a in market.actions}
    todo, close = list(records), market.prices.close
    for t in range(market.shape[1]):
        for n in price:
            price[n] /= split.get((t, n), 1.0)
        while todo and todo[0].bar == t:
            record, values = todo.pop(0), [q * price[n] for n, q in qty.items() if q]
            if record.fill and record.qty * qty[record.symbol] >= 0:
                yield record, sum(map(abs, values)), cash + sum(values), cash + record.cash
            cash, qty[record.symbol] = cash + record.cash, qty[record.symbol] + record.qty
            if record.fill:
                price[record.symbol] = record.price
        price |= {n: close[n, t] for n in range(market.shape[0]) if close[n, t] > 0.0}


@settings(max_examples=150)
@given(market=markets(), rules=rules_of_all_kinds, cash=amounts)
def test_no_fill_that_opens_goes_beyond_the_leverage_or_the_cash(market, rules, cash):
    (book, _), equity = pair(market, rules, cash), np.zeros(market.shape[1])
    walk(0, market.shape[1], *market, book, rules, equity)
    records = rows(Record, book.records, book.account[0]["records"])
    for record, gross, worth, left in openings(records, market, round(cash * UNIT)):
        opened, micros = abs(record.qty) * record.price, 50.0  # each value was rounded once
        assert gross + opened <= rules.leverage * (worth - record.fee) + micros, record
        assert rules.leverage > 1.0 or rules.short or left >= 0, record


@settings(max_examples=60)
@given(market=markets(), rules=rules_of_all_kinds, cash=amounts)
def test_records_rebuild_cash_and_shares(market, rules, cash):
    (book, _), equity = pair(market, rules, cash), np.zeros(market.shape[1])
    walk(0, market.shape[1], *market, book, rules, equity)
    records = rows(Record, book.records, book.account[0]["records"])
    assert book.account[0]["cash"] == round(cash * UNIT) + sum(r.cash for r in records)
    for n, p in enumerate(book.positions):
        assert p["qty"] == sum(r.qty for r in records if r.symbol == n)
