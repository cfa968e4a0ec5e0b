"""Many backtests without their quiet bars against the bar-by-bar loop: what is skipped must change nothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from any_market import INF, Market, frozen, markets, rules_of_all_kinds
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.kernels import leap
from toolkit.kernels.account import BORROW, INTEREST, UNIT, Prices, Rules, action_t, new_book
from toolkit.kernels.portfolio import walk

amounts = st.sampled_from([1_000.0, 12_345.67, 1e6])  # dollars
SEEDS = st.integers(0, 2**32 - 1)
STAYS = (0.5, 0.9, 0.98)  # chance that a score is that of the bar before


def without_exits(rules: Rules) -> Rules:
    return rules._replace(band=INF, stop_loss=INF, take_profit=INF, trailing=INF)


# A band asks at every bar, and an exit may come in any: most of these leave something to skip.
rules_that_rest = st.one_of(rules_of_all_kinds, rules_of_all_kinds.map(without_exits), rules_of_all_kinds.map(without_exits))


class Summary(NamedTuple):
    """What a backtest comes to; `totals` and `squares` of the returns of each block of bars."""

    total_return: float
    drawdown: float
    totals: np.ndarray
    squares: np.ndarray
    fills: float
    orders: float
    fees: float  # micro-dollars
    traded: float


def walked(market: Market, rules: Rules, cash: float, edges: np.ndarray) -> Summary:
    """From every bar, with NumPy's sums and maxima."""
    n_symbols, n_bars = market.shape
    book, equity = new_book(n_symbols, cash), np.zeros(n_bars)
    walk(0, n_bars, *market, book, rules, equity)
    curve = np.concatenate([[round(cash * UNIT)], equity])
    with np.errstate(all="ignore"):  # a ruined account
        returns = curve[1:] / curve[:-1] - 1.0
        blocks = np.split(returns, edges[1:])
        depth = (curve / np.maximum.accumulate(curve)).min() - 1.0
        sums = np.array([b.sum() for b in blocks]), np.array([(b * b).sum() for b in blocks])
    account = book.account[0]
    return Summary(curve[-1] / curve[0] - 1.0, depth, *sums, *(account[name] for name in Summary._fields[4:]))


def summary_of(row: np.ndarray, blocks: int) -> Summary:
    totals, squares = row[leap.COLUMNS : leap.COLUMNS + blocks], row[leap.COLUMNS + blocks :]
    counts = row[[leap.FILLS, leap.ORDERS, leap.FEES, leap.TRADED]]
    return Summary(row[leap.TOTAL_RETURN], row[leap.DRAWDOWN], totals, squares, *counts)


def special_of(market: Market) -> np.ndarray:
    special = np.zeros(market.shape[1], np.int8)
    leap.special_bars(market.prices, market.actions, special)
    return frozen(special, np.int8)


def room_for(market: Market, cash: float, blocks: int) -> tuple:
    """A book, and memory for busy bars, curve and cuts."""
    n_symbols, n_bars = market.shape
    return new_book(n_symbols, cash), np.zeros(n_bars, np.int8), np.zeros(n_bars), np.zeros(blocks + 1, np.int64)


def leapt(market: Market, rules: Rules, cash: float, edges: np.ndarray) -> Summary:
    book, busy, curve, cuts = room_for(market, cash, len(edges))
    out = np.zeros(leap.COLUMNS + 2 * len(edges))
    leap.sweep_scored(
        market.prices, market.actions, special_of(market), market.scores, market.weights, round(cash * UNIT), book, rules,
        busy, curve, edges, cuts, out,
    )  # fmt: skip
    assert out[leap.TOTAL] == pytest.approx(out[leap.COLUMNS :][: len(edges)].sum(), rel=1e-12, abs=1e-14, nan_ok=True)
    assert out[leap.SQUARES] == pytest.approx(out[leap.COLUMNS + len(edges) :].sum(), rel=1e-12, nan_ok=True)
    return summary_of(out, len(edges))


def compare(ours: Summary, every_bar: Summary) -> None:
    """Money and counts to the micro-unit; sums of returns as far as the order of summation allows."""
    for name in ("total_return", "fills", "orders", "fees", "traded"):
        assert getattr(ours, name) == getattr(every_bar, name), name
    assert ours.drawdown == pytest.approx(every_bar.drawdown, rel=1e-14, abs=1e-15, nan_ok=True)
    if every_bar.drawdown > -0.99:  # a ruined account has no returns
        np.testing.assert_allclose(ours.totals, every_bar.totals, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.squares, every_bar.squares, rtol=1e-9, atol=1e-14)


def blocks_of(n_bars: int, blocks: int) -> np.ndarray:
    """Bars at which equal blocks begin."""
    return frozen(np.arange(min(blocks, n_bars)) * n_bars // min(blocks, n_bars), np.int64)


@settings(max_examples=300)
@given(market=markets(n_symbols=3, n_bars=120, stays=STAYS), rules=rules_that_rest, cash=amounts, blocks=st.integers(1, 16))
def test_what_is_skipped_changes_nothing(market, rules, cash, blocks):
    edges = blocks_of(market.shape[1], blocks)
    compare(leapt(market, rules, cash, edges), walked(market, rules, cash, edges))


@settings(max_examples=150)
@given(market=markets(n_symbols=3, n_bars=120, stays=STAYS), rules=rules_that_rest, cash=amounts)
def test_the_account_after_it_is_the_same_too(market, rules, cash):
    """Equity of the bar before and the highest so far among it; the highest where a limit asks for it."""
    rules = rules._replace(max_drawdown=min(rules.max_drawdown, 0.5))
    stepped, equity = new_book(market.shape[0], cash), np.zeros(market.shape[1])
    walk(0, market.shape[1], *market, stepped, rules, equity)
    book, busy, curve, cuts = room_for(market, cash, 1)
    leap.busy_bars(market.scores, market.weights, special_of(market), busy)
    leap.leap(*market, busy, book, rules, curve, blocks_of(market.shape[1], 1), cuts)
    assert book.account[0] == stepped.account[0]
    assert book.account[0]["highest"] == max(round(cash * UNIT), equity.max())


def switched(market: Market, upper: np.ndarray, lower: np.ndarray) -> Market:
    """The market with a score of 1 where upper > lower, else 0; not known where either is not."""
    scores = np.where(np.isnan(upper) | np.isnan(lower), np.nan, (upper > lower).astype(float))
    return market._replace(scores=frozen(scores), weights=frozen(scores))


@settings(max_examples=100)
@given(market=markets(n_symbols=3, n_bars=90), rules=rules_that_rest, cash=amounts, seed=SEEDS)
def test_a_bank_of_comparisons_is_a_strategy_each(market, rules, cash, seed):
    rng, edges = np.random.default_rng(seed), blocks_of(market.shape[1], 16)
    bank = np.cumsum(rng.standard_normal((3, *market.shape)), axis=2)
    bank[rng.random(bank.shape) < 0.01] = np.nan
    bank[1, :, : market.shape[1] // 4] = np.nan  # a longer window
    first, second = frozen([0, 2, 1, 1], np.int64), frozen([1, 0, 2, 1], np.int64)
    book, busy, curve, cuts = room_for(market, cash, len(edges))
    out, scores = np.zeros((len(first), leap.COLUMNS + 2 * len(edges))), np.zeros(market.shape, np.int8)
    leap.sweep_compared(
        market.prices, market.actions, special_of(market), bank, first, second, round(cash * UNIT), book, rules, scores, busy,
        curve, edges, cuts, out,
    )  # fmt: skip
    for row, a, b in zip(out, first, second):
        alone = switched(market, bank[a], bank[b])
        compare(summary_of(row, len(edges)), walked(alone, rules, cash, edges))


# --------------------------------------------------------------------------------------- what makes a bar worth a step
N_BARS = 40
EVENT = 23  # not the bar before it, nor any other, is worth a step


def quiet_market(**changes: np.ndarray) -> Market:
    """A symbol that rises by a hundredth a bar, held from the first bar on."""
    close = 10.0 * 1.01 ** np.arange(N_BARS)
    opens, ones = close / 1.005, np.ones(N_BARS)
    given_ = {
        "open": opens,
        "high": close,
        "low": opens,
        "close": close,
        "volume": 1e6 * ones,
        "scores": ones,
        "weights": 0.5 * ones,
    }
    given_ |= changes
    actions = given_.pop("actions", np.zeros(0, action_t))
    rows = {name: frozen(np.atleast_2d(row)) for name, row in given_.items()}
    return Market(Prices(*(rows[name] for name in Prices._fields)), frozen(actions, action_t), rows["scores"], rows["weights"])


def changed(row: np.ndarray, value: float, start: int = EVENT, end: int | None = None) -> np.ndarray:
    row = np.array(row, float).ravel()
    row[start:end] = value
    return row


PLAIN = quiet_market()
GONE = {name: changed(getattr(PLAIN.prices, name), np.nan, EVENT, EVENT + 1) for name in Prices._fields}
LISTED = {name: changed(getattr(PLAIN.prices, name), np.nan, 0, EVENT) for name in Prices._fields}
EVENTS = {
    "a changed score": quiet_market(scores=changed(PLAIN.scores, 0.0), weights=changed(PLAIN.weights, 0.0)),
    "a weight that becomes known": quiet_market(weights=changed(PLAIN.weights, np.nan, 0, EVENT)),
    "a split": quiet_market(actions=np.array([(EVENT, 0, 2.0, 0.0)], action_t)),
    "a dividend": quiet_market(actions=np.array([(EVENT, 0, 1.0, 0.5)], action_t)),
    "a halt": quiet_market(**GONE),
    "a listing": quiet_market(**LISTED),
}


def curve_of(market: Market, rules: Rules, busy: np.ndarray) -> np.ndarray:
    """Equity of the bars that `leap` keeps."""
    edges = blocks_of(N_BARS, 1)
    book, _, curve, cuts = room_for(market, 10_000.0, 1)
    return curve[: leap.leap(*market, busy, book, rules, curve, edges, cuts)]


def busy_of(market: Market) -> np.ndarray:
    busy = np.zeros(N_BARS, np.int8)
    leap.busy_bars(market.scores, market.weights, special_of(market), busy)
    return busy


def every_equity(market: Market, rules: Rules) -> np.ndarray:
    book, equity = new_book(1, 10_000.0), np.zeros(N_BARS)
    walk(0, N_BARS, *market, book, rules, equity)
    return equity


def without_repeats(curve: np.ndarray) -> list[float]:
    return curve[np.flatnonzero(np.diff(curve, prepend=np.nan) != 0.0)].tolist()


@pytest.mark.parametrize("event", EVENTS)
def test_a_bar_that_is_wrongly_called_quiet_is_seen(event):
    market, rules = EVENTS[event], Rules(fee=0.001)
    right = without_repeats(every_equity(market, rules))
    busy = busy_of(market)
    assert set(np.flatnonzero(busy)) & {EVENT, EVENT + 1}
    assert without_repeats(curve_of(market, rules, busy)) == right
    busy[EVENT : EVENT + 2] = 0
    assert without_repeats(curve_of(market, rules, busy)) != right


def test_a_market_without_news_is_stepped_at_its_first_bar_alone():
    assert np.flatnonzero(busy_of(PLAIN)).tolist() == [0]


@pytest.mark.parametrize(
    "rules", [Rules(short=True, borrow=0.001), Rules(leverage=2.0, interest=0.001, size=4.0)], ids=["borrow", "interest"]
)
def test_what_is_borrowed_costs_at_every_bar_though_nothing_else_happens(rules):
    side = -1.0 if rules.short else 1.0
    market = quiet_market(scores=side * np.ones(N_BARS), weights=side * 0.45 * np.ones(N_BARS))
    book, equity = new_book(1, 10_000.0, 200), np.zeros(N_BARS)
    walk(0, N_BARS, *market, book, rules, equity)
    charges = np.isin(book.records["reason"], (BORROW, INTEREST))
    assert charges.sum() == N_BARS - 2  # decided at the first close, filled in the second bar, charged from the third on
    assert curve_of(market, rules, busy_of(market)).tolist() == equity.tolist()


@pytest.mark.parametrize("exits", [dict(stop_loss=0.02), dict(take_profit=0.1), dict(trailing=0.01)], ids=lambda e: [*e][0])
def test_an_exit_ends_what_no_score_asked_to_end(exits):
    fall = changed(PLAIN.prices.low, 9.0, EVENT, EVENT + 1)
    market, rules = quiet_market(low=fall), Rules(fee=0.001, **exits)
    right = every_equity(market, rules)
    assert right[EVENT + 1] == right[-1]  # out
    assert without_repeats(curve_of(market, rules, busy_of(market))) == without_repeats(right)
