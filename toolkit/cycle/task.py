"""One part of a sweep: some parameter sets, on one account or on one for each of some symbols, from bars to rows of numbers.

A comparison of two declared operands is scored and traded in one compiled loop over sets; any other declared condition is told
set by set from operands that are computed once; a plain function is called for each set, at its own speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from toolkit.cycle.grid import Grid
from toolkit.data.bars import Bars
from toolkit.errors import StrategyFailed, ToolkitError
from toolkit.execution.book import prices, read_only
from toolkit.kernels import leap
from toolkit.kernels.account import UNIT, Prices, Rules, new_book
from toolkit.risk.sizing import Sizing, equal_weight, listed, sized
from toolkit.signals.conditions import Condition
from toolkit.signals.declared import field
from toolkit.signals.formula import Indicator
from toolkit.signals.generator import check_scores, scored
from toolkit.signals.operands import Bound, fields_in, shown
from toolkit.signals.sets import computed
from toolkit.signals.strategies import strategy_name

GROSS = equal_weight().keywords["gross"]  # type: ignore[attr-defined]  # of a backtest without sizing
BANK = 32 << 20  # bytes of operands at a time
WORTH_A_THREAD = 500_000  # bars times sets, about 2 ms
PIECES = 6  # a thread
TOGETHER = 8  # symbols whose indicators are computed in one pass


@dataclass(frozen=True, eq=False)
class Work:
    """What all parts of a sweep share; a row has leap.COLUMNS numbers, then sums and sums of squares for each block."""

    strategy: Callable[..., pd.DataFrame]
    sizing: Sizing | float | None
    rules: Rules
    cash: int  # micro-dollars
    first: int  # position of the first bar traded
    edges: np.ndarray  # positions from `first` on at which blocks begin
    each_symbol: bool
    threads: int = 1  # that a part may use

    @property
    def width(self) -> int:
        return leap.COLUMNS + 2 * len(self.edges)


@dataclass(frozen=True, eq=False)
class Market:
    """What one account trades, from the first bar traded on, as the kernels take it."""

    prices: Prices
    actions: np.ndarray
    special: np.ndarray

    @classmethod
    def of(cls, fields: Prices, actions: np.ndarray) -> Market:
        special = np.zeros(fields.close.shape[1], np.int8)
        leap.special_bars(fields, read_only(actions), special)
        return cls(fields, read_only(actions), read_only(special))


class Room:
    """Memory of one account, used again for each set."""

    def __init__(self, market: Market, work: Work) -> None:
        n_symbols, n_bars = market.prices.close.shape
        self.book = new_book(n_symbols, work.cash / UNIT)
        self.scores, self.busy = np.zeros((n_symbols, n_bars), np.int8), np.zeros(n_bars, np.int8)
        self.curve, self.cuts = np.zeros(n_bars), np.zeros(len(work.edges) + 1, np.int64)
        self.edges = read_only(work.edges)


def rows_of(work: Work, grid: Grid, bars: Bars) -> np.ndarray:
    """Rows of all sets of `grid`, (n_accounts, n_sets, width): one account, or one for each symbol of `bars`."""
    n_accounts = len(bars.symbols) if work.each_symbol else 1
    out = np.zeros((n_accounts, len(grid), work.width))
    if isinstance(work.strategy, Condition):
        bounds, places = bound(work.strategy, grid)
        for names, some in grouped(work, bars):
            for cut in cuts(places, BANK // (8 * len(bars) * len(some.symbols))):
                declared(work, some, bounds, places[:, cut], out[names, cut])
        return out
    for n in range(n_accounts):
        called(work, grid, bars.select(bars.symbols[n]) if n_accounts > 1 else bars, out[n])
    return out


def grouped(work: Work, bars: Bars) -> Iterator[tuple[slice, Bars]]:
    """Accounts whose operands are computed together, and their bars."""
    n = len(bars.symbols)
    if not work.each_symbol or n <= TOGETHER:
        yield slice(None), bars
        return
    for first in range(0, n, TOGETHER):
        names = slice(first, first + TOGETHER)
        yield names, bars.select(bars.symbols[names])


# ------------------------------------------------------------------------------------------------------------- declared
def bound(condition: Condition, grid: Grid) -> tuple[list[Bound], np.ndarray]:
    """The different operands that the sets ask for, and which of them each of the condition's is, (n_operands, n_sets)."""
    bounds: dict[Bound, int] = {}
    places = np.zeros((len(condition.operands), len(grid)), np.int64)
    for k, operand in enumerate(condition.operands):
        own = [grid.names.index(name) for name in operand.parameters]
        # A number for each combination of its own parameters, of which there are fewer than sets.
        mixed = np.zeros(len(grid), np.int64)
        for at in own:
            mixed = mixed * len(grid.values[at]) + grid.codes[at]
        _, examples, inverse = np.unique(mixed, return_index=True, return_inverse=True)
        found = []
        for i in examples.tolist():
            what = operand.at(**{grid.names[at]: grid.values[at][grid.codes[at, i]] for at in own})
            found.append(bounds.setdefault(what, len(bounds)))
        places[k] = np.array(found)[inverse]
    return list(bounds), places


def cuts(places: np.ndarray, most: int) -> Iterator[slice]:
    """Stretches of sets, each with at most `most` different operands (or a single set)."""
    first, n_sets = 0, places.shape[1]
    if len(np.unique(places)) <= most:
        yield slice(0, n_sets)
        return
    while first < n_sets:
        seen: set[int] = set()
        last = first
        while last < n_sets and (last == first or len(seen.union(places[:, last].tolist())) <= most):
            seen.update(places[:, last].tolist())
            last += 1
        yield slice(first, last)
        first = last


def declared(work: Work, bars: Bars, bounds: list[Bound], places: np.ndarray, out: np.ndarray) -> None:
    """Fills `out`, (n_accounts, n_sets, width), from the operands of a condition."""
    used, here = np.unique(places, return_inverse=True)
    here = here.reshape(places.shape).astype(np.int64)
    bank = banked([bounds[i] for i in used.tolist()], bars, work.each_symbol)
    full = full_weights(work, bars)
    size = steady(full, work.first)
    condition: Any = work.strategy
    for n, market in enumerate(markets(work, bars)):
        rows = bank[n][:, None, :] if work.each_symbol else bank
        if size is not None and condition.kind in {"above", "below"}:
            # `here` follows condition.operands, in which an operand that stands on both sides is met once
            a, b = (condition.operands.index(side) for side in (condition.a, condition.b))
            upper, lower = (a, b) if condition.kind == "above" else (b, a)
            law = work.rules._replace(size=size)
            compare(work, market, law, read_only(rows[:, :, work.first :]), here[upper], here[lower], out[n])
            continue
        room, own = Room(market, work), full if full is None or not work.each_symbol else full[[n]]
        one = bars.select(bars.symbols[n]) if work.each_symbol and len(bars.symbols) > 1 else bars
        for i in range(places.shape[1]):
            values = {side.what: rows[here[k, i]] for k, side in enumerate(condition.operands)}
            yes, no = condition.told(values.__getitem__)
            score = np.where(yes, 1.0, np.where(no, 0.0, np.nan))
            trade(work, market, room, score, weights_of(work, own, score, one), out[n, i])


def banked(wanted: list[Bound], bars: Bars, each_symbol: bool) -> np.ndarray:
    """Values of operands over all bars, (n_operands, n_symbols, n_bars); with `each_symbol` symbols come first.

    Contiguous in either order, so that what one account reads is.
    """
    n, k, n_bars = len(wanted), len(bars.symbols), len(bars)
    space = np.empty((k, n, n_bars) if each_symbol else (n, k, n_bars))
    out = space.transpose(1, 0, 2) if each_symbol else space
    members = [place for place, each in enumerate(wanted) if isinstance(each, Indicator)]
    if len(members) == n:
        computed(tuple(wanted), bars, out)  # type: ignore[arg-type]
        return space
    if members:
        out[members] = computed(tuple(wanted[place] for place in members), bars)  # type: ignore[misc]
    by_name = {name: field(bars, name) for name in fields_in(wanted)}
    for place, each in enumerate(wanted):
        if not isinstance(each, Indicator):
            out[place] = by_name[each] if isinstance(each, str) else each
    return space


def compare(work: Work, market: Market, law: Rules, bank: np.ndarray, upper: np.ndarray, lower: np.ndarray,
            out: np.ndarray) -> None:  # fmt: skip
    """Long where bank[upper] > bank[lower]: all sets in one compiled call, or in one a thread where there is much to do."""

    n_sets = len(upper)
    n = min(work.threads, 1 + n_sets * market.prices.close.size // WORTH_A_THREAD)
    size = -(-n_sets // (1 if n == 1 else PIECES * n))
    left = iter(range(0, n_sets, size))  # next one, please: sets differ in how much they trade

    def some() -> None:
        room = Room(market, work)
        for first in left:
            cut = slice(first, first + size)
            leap.sweep_compared(
                market.prices, market.actions, market.special, bank, read_only(upper[cut]), read_only(lower[cut]), work.cash,
                room.book, law, room.scores, room.busy, room.curve, room.edges, room.cuts, out[cut],
            )  # fmt: skip

    # joblib's own threads answer after its pause of 10 ms, which is as long as all of this takes
    with ThreadPoolExecutor(max(n - 1, 1)) as pool:
        others = [pool.submit(some) for _ in range(n - 1)]
        some()
        for each in others:
            each.result()


# --------------------------------------------------------------------------------------------------- any other strategy
def called(work: Work, grid: Grid, bars: Bars, out: np.ndarray) -> None:
    """Fills `out`, (n_sets, width), calling a plain function for each set."""
    name = strategy_name(work.strategy)
    (market,), full = markets(work, bars), full_weights(work, bars)
    room = Room(market, work)
    for i in range(len(grid)):
        parameters = grid.at(i)
        scores = scores_of(work.strategy, bars, parameters, f"{name}({shown(parameters)})").to_numpy(dtype=float).T
        trade(work, market, room, scores, weights_of(work, full, scores, bars), out[i])


def scores_of(strategy: Callable[..., pd.DataFrame], bars: Bars, parameters: dict[str, Any], name: str) -> pd.DataFrame:
    """The checked scores of one set; StrategyFailed, with the bar where it begins to, if the strategy raises.

    Scores that are NaN throughout, of windows longer than the history, are those of a set that never trades.
    """
    try:
        scores = strategy(bars, **parameters)
    except ToolkitError:
        raise
    except Exception as error:  # a strategy is foreign code
        scored(lambda some: strategy(some, **parameters), bars, name)  # it says from which bar on
        raise StrategyFailed(f"{name} raised {type(error).__name__}: {error}", "call it with these parameters") from error
    return check_scores(scores, bars, name)


def trade(work: Work, market: Market, room: Room, scores: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """The row of one set."""
    scores, weights = (read_only(rows[:, work.first :]) for rows in (scores, weights))
    leap.sweep_scored(
        market.prices, market.actions, market.special, scores, weights, work.cash, room.book, work.rules, room.busy,
        room.curve, room.edges, room.cuts, out,
    )  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- weights
def full_weights(work: Work, bars: Bars) -> np.ndarray | None:
    """Weights of a score of 1, (n_accounts or 1, n_bars); None where a function sizes the scores."""
    n = len(bars.symbols) if work.each_symbol else 1
    if work.sizing is None:
        return np.full((n, len(bars)), GROSS) if n == len(bars.symbols) else (GROSS / listed(bars))[None]
    return None if callable(work.sizing) else np.full((n, len(bars)), float(work.sizing))


def steady(full: np.ndarray | None, first: int) -> float | None:
    """The one weight of all bars traded, if there is one."""
    return None if full is None or (full[:, first:] != full[0, first]).any() else float(full[0, first])


def weights_of(work: Work, full: np.ndarray | None, scores: np.ndarray, bars: Bars) -> np.ndarray:
    """Weights (n_symbols, n_bars) of scores, as a backtest would size them."""
    if full is not None:
        return scores * full
    frame = pd.DataFrame(scores.T, index=bars.index, columns=pd.Index(bars.symbols), copy=False)
    return sized(work.sizing, frame, bars).to_numpy(dtype=float).T  # type: ignore[arg-type]


def markets(work: Work, bars: Bars) -> list[Market]:
    """What each account trades."""
    fields = prices(bars, work.first, len(bars.symbols))
    actions = bars.actions[bars.actions["bar"] >= work.first].copy()
    actions["bar"] -= work.first
    if not work.each_symbol:
        return [Market.of(fields, actions)]
    found = []
    for n in range(len(bars.symbols)):
        own = actions[actions["symbol"] == n].copy()
        own["symbol"] = 0
        found.append(Market.of(Prices(*(rows[n : n + 1] for rows in fields)), own))
    return found
