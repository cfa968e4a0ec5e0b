"""Round trips: what a position earned from the fill that opened it to the one that left nothing of it.

A trip runs from flat to flat in one symbol. What was bought into it on the way is averaged to one entry, what was sold to one
exit; the step closes before it opens, so that no fill belongs to two trips. Dividends, cash paid for fractions of a share and
borrow fees belong to the trip that held the shares; interest on cash belongs to the account. So the profits of all trips and
that interest are what the account has gained, to the micro-dollar.

Shares and prices are in the shares of the day on which the trip was left (the last bar while it is open): a split on the
way rescales what was bought before it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit.cycle.holdings import shares_grown
from toolkit.data import Bars
from toolkit.execution.book import REASONS, TRADES
from toolkit.kernels import account as step
from toolkit.kernels.account import UNIT

LEFT = {**REASONS, step.FILLED: "SIGNAL", step.PARTIAL: "SIGNAL", -1: ""}  # a filled order is what the signal asked for
CARRY = step.DIVIDEND, step.SPLIT, step.BORROW


class Trips(NamedTuple):
    """Records cut into trips: `rows` by symbol and time; each other array one value a trip, in the same order."""

    rows: np.ndarray  # dtype record_t, what moved shares or cash of a symbol
    place: np.ndarray  # of the first row in the log
    begin: np.ndarray  # first row
    end: np.ndarray  # last row
    held: np.ndarray  # signed micro-shares after the last row; 0: closed
    entered: np.ndarray  # bar
    last: np.ndarray  # bar in which it was left; the last one of all while open
    side: np.ndarray  # 1 long, -1 short

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sums over each trip of `values`, one a row."""
        return np.add.reduceat(values, self.begin)

    def each(self, values: np.ndarray) -> np.ndarray:
        """`values`, one a trip, for each row of it."""
        return np.repeat(values, self.end - self.begin + 1)


def cut(log: np.ndarray, n_bars: int) -> Trips:
    """The records of a backtest (dtype record_t, in the order of time) as trips."""
    place = np.flatnonzero((log["symbol"] >= 0) & ((log["qty"] != 0) | (log["cash"] != 0)))
    place = place[np.argsort(log["symbol"][place], kind="stable")]
    rows = log[place]
    qty, held = rows["qty"], rows["qty"].cumsum()
    fresh = np.flatnonzero(np.diff(rows["symbol"], prepend=-1))  # first row of a symbol
    held -= np.repeat(held[fresh] - qty[fresh], np.diff(fresh, append=len(rows)))
    begin = np.flatnonzero(held == qty)  # nothing was held before
    end = np.append(begin[1:], len(rows))[: len(begin)] - 1
    last = np.where(held[end] == 0, rows["bar"][end], n_bars - 1)
    return Trips(rows, place[begin], begin, end, held[end], rows["bar"][begin], last, np.sign(qty[begin]))


def round_trips(log: np.ndarray, bars: Bars, marks: np.ndarray) -> pd.DataFrame:
    """One row a trip, in the order of their first fills; `marks` (n_symbols,) are the last prices in dollars a share.

    symbol; side, long or short; entered and left, the bars of first and last fill, left is NaT while it is open; bars, the
    closes at which it was held, 0 for in and out within one bar; shares, all that were bought into it (sold short); entry and
    exit, average dollars a share with slippage, exit NaN while nothing was sold; profit, dollars net of all costs, of an open
    trip at its mark; return, profit as a fraction of shares x entry; worst and best, its excursions; fees, commission in
    dollars; carry, dividends and cash for fractions less borrow fees, dollars; reason of the last fill, empty while open.
    """
    trips, grown = cut(log, len(bars)), shares_grown(bars)
    rows, closed = trips.rows, trips.held == 0
    symbol = rows["symbol"][trips.begin]
    spent, shares, received, sold = legs(trips, grown)
    with np.errstate(invalid="ignore"):
        entry, exit = spent / shares, received / sold
    worst, best = excursions(trips, entry, bars, grown)
    value = np.where(closed, 0.0, np.rint(trips.held * marks[symbol])).astype(np.int64)
    profit = (trips.total(rows["cash"]) + value) / UNIT
    trades = {
        "symbol": np.array(bars.symbols, dtype=object)[symbol],
        "side": np.where(trips.side > 0, "long", "short").astype(object),
        "entered": bars.index[trips.entered],
        "left": bars.index[trips.last].where(closed),
        "bars": trips.last - trips.entered + ~closed,
        "shares": shares,
        "entry": entry,
        "exit": exit,
        "profit": profit,
        "return": profit / spent,
        "worst": worst,
        "best": best,
        "fees": trips.total(rows["fee"]) / UNIT,
        "carry": trips.total(np.where(np.isin(rows["reason"], CARRY), rows["cash"], 0)) / UNIT,
        "reason": named(LEFT, np.where(closed, rows["reason"][trips.end], -1)),
    }
    return texts(pd.DataFrame(trades)).iloc[np.argsort(trips.place)].reset_index(drop=True)


def traded(trips: Trips) -> np.ndarray:
    """1 for rows that enter or add, -1 for those that leave, 0 for dividends, splits and fees."""
    of_trades = np.isin(trips.rows["reason"], list(TRADES))
    return np.where(of_trades, np.sign(trips.rows["qty"]) * trips.each(trips.side), 0)


def legs(trips: Trips, grown: np.ndarray) -> tuple[np.ndarray, ...]:
    """Dollars paid and shares bought on the way in, dollars received and shares sold on the way out; one a trip, unsigned.

    Shares are those of the day on which the trip was left.
    """
    rows, direction = trips.rows, traded(trips)
    size = np.abs(rows["qty"]) / UNIT
    ends = trips.each(grown[rows["symbol"][trips.begin], trips.last])
    money, shares = size * np.where(direction != 0, rows["price"], 0.0), size * (ends / grown[rows["symbol"], rows["bar"]])
    return tuple(trips.total(np.where(direction == way, each, 0.0)) for way in (1, -1) for each in (money, shares))


def excursions(trips: Trips, entry: np.ndarray, bars: Bars, grown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The furthest that the price went against (at or below 0) and with each trip (at or above 0), fractions of the entry.

    From the highs and lows of the bars at whose close it was held, and of the bar in which it was left from the open and
    the prices of its exits alone: what followed did not touch it.
    Source of the notion: J. Sweeney, Maximum Adverse Excursion (1996).
    """
    rows = trips.rows
    symbol, closed = rows["symbol"][trips.begin], trips.held == 0
    opens, high, low = (bars.traded[k] * grown for k in range(3))  # in shares of before the first bar
    leaving = np.where(traded(trips) < 0, rows["price"] * grown[rows["symbol"], rows["bar"]], np.nan)
    overnight = closed & (trips.last > trips.entered) & (rows["reason"][trips.end] != step.SPLIT)
    last_open = np.where(overnight, opens[symbol, trips.last], np.nan)
    start, stop = symbol * len(bars) + trips.entered, symbol * len(bars) + trips.last + ~closed
    unit = entry * grown[symbol, trips.last]
    ends = []
    for extreme, panel in ((np.fmin, low), (np.fmax, high)):
        flat = np.append(panel.ravel(), np.nan)
        over = extreme.reduceat(flat, np.stack([start, stop], axis=1).ravel())[::2]
        over = np.where(stop > start, over, np.nan)
        ends.append(extreme(extreme(over, last_open), extreme.reduceat(leaving, trips.begin)) / unit - 1.0)
    lowest, highest = ends
    worst, best = np.where(trips.side > 0, lowest, -highest), np.where(trips.side > 0, highest, -lowest)
    return np.fmin(worst, 0.0), np.fmax(best, 0.0)


def named(names: dict[int, str], codes: np.ndarray) -> np.ndarray:
    """The names of codes, as objects."""
    table = np.full(max(names) - min(names) + 1, "", dtype=object)
    for code, name in names.items():
        table[code - min(names)] = name
    return table[codes - min(names)]


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its objects as strings, also where there are none to tell."""
    return frame.astype({name: "str" for name, kind in frame.dtypes.items() if kind.kind == "O"})
