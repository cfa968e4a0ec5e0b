"""The one check of what any source sent: what cannot be is dropped and named, or refused, and never reaches a signal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolkit.data.adjust import EVENT, FIELDS
from toolkit.data.bars import Issue
from toolkit.data.sources import History
from toolkit.errors import DataUnavailable

# Sources round open, high, low and close apart: within this fraction a high below the close is widened, not dropped.
ROUNDING = 2e-4
# No share moves by this factor against the median of its neighbours; a price in the wrong unit (cents, x100) does.
JUMP, NEIGHBOURS = 20.0, 5
CALM = 1.8  # its fifth power is below 20: where each step is smaller, no bar is a jump
HIGHEST = 1e7
CONFLICTS = 2
BAD_ROWS, BAD_SHARE = 3, 0.01
MIDNIGHT = 86_400_000_000_000


def validated(history: History, symbol: str, interval: str) -> History:
    """`history` with rising labels, one possible bar each, and possible events; the same object if nothing was wrong.

    Dropped, with an issue that counts and dates them: NULL_ROW (a field missing), BAD_PRICE (not finite, not above 0,
    above 1e7, negative volume), BAD_OHLC (high or low contradict), DUPLICATE (equal rows of one label), DUP_CONFLICT
    (differing ones; the last is kept), JUMP (20 times off the median of 5 neighbours, splits apart), DUP_ACTION (equal
    events). OUT_OF_ORDER rows are sorted, events too. UNRELIABLE: more than 3 rows and 1% were dropped.
    A high or low that misses open or close by rounding is widened.
    Raises DataUnavailable for another symbol, wrong arrays, impossible events, more than two conflicts, or nothing left.
    """
    if history.symbol != symbol:
        raise _refused(symbol, f"bars of {history.symbol} were sent")
    _check_arrays(history, symbol, interval)
    rows = _Rows(history, interval)
    events = _checked_events(history.events, rows)
    rows.sort()
    rows.drop(np.isnan(rows.block).any(axis=0), "NULL_ROW", "with missing fields")
    rows.drop(_impossible(rows.block), "BAD_PRICE", "with impossible values")
    rows.drop(_contradicting(rows.block), "BAD_OHLC", "whose high and low contradict their prices")
    rows.merge()
    rows.drop(_jumping(rows.labels, rows.block, events), "JUMP", "far off their neighbours")
    if len(rows.labels) == 0:
        raise _refused(symbol, "no usable bar among what was sent")
    rows.widen()
    issues = rows.issues()
    if rows.block is history.traded and events is history.events and not issues:
        return history
    return replace(history, labels=rows.labels, traded=rows.block, events=events, issues=(*history.issues, *issues))


class _Rows:
    """Rows that are checked one rule after the other: `labels` (n,), `block` (5, n), and what was dropped."""

    def __init__(self, history: History, interval: str) -> None:
        self.symbol, self.labels, self.block = history.symbol, history.labels, history.traded
        self._sent, self._newest = len(self.labels), self.labels.max()
        self._digits = 10 if interval == "1d" else 16
        self._said: list[Issue] = []
        self._dropped: list[tuple[np.ndarray, str, str]] = []

    def sort(self) -> None:
        """Labels in order, rows of one label as sent."""
        back = self.labels[1:] < self.labels[:-1]
        if back.any():
            self.say("OUT_OF_ORDER", f"{back.sum()} bars came after later ones, sorted: {self._named(self.labels[1:][back])}")
            order = np.argsort(self.labels, kind="stable")
            self.labels, self.block = self.labels[order], self.block[:, order]

    def drop(self, wrong: np.ndarray, code: str, reason: str) -> None:
        """Without the rows that are `wrong`."""
        if wrong.any():
            self._dropped.append((self.labels[wrong], code, reason))
            self.labels, self.block = self.labels[~wrong], np.ascontiguousarray(self.block[:, ~wrong])

    def merge(self) -> None:
        """One row a label, the last one sent."""
        doubled = np.append(self.labels[1:] == self.labels[:-1], False)[: len(self.labels)]
        if not doubled.any():
            return
        differing = doubled.copy()
        differing[:-1] &= (self.block[:, 1:] != self.block[:, :-1]).any(axis=0)
        conflicts = np.unique(self.labels[differing])
        if len(conflicts) > CONFLICTS:
            raise _refused(self.symbol, f"{len(conflicts)} labels came with differing rows: {self._named(conflicts)}")
        equal = doubled & ~differing
        self.drop(equal, "DUPLICATE", "that came twice")
        self.drop(differing[~equal], "DUP_CONFLICT", "of which another version came later")

    def widen(self) -> None:
        """High and low contain open and close."""
        opens, high, low, close = self.block[:4]
        highest, lowest = np.maximum(opens, close), np.minimum(opens, close)
        if (high < highest).any() or (low > lowest).any():
            self.block = self.block.copy()
            self.block[1], self.block[2] = np.maximum(high, highest), np.minimum(low, lowest)

    def say(self, code: str, message: str) -> None:
        """One more issue."""
        self._said.append(Issue(code, self.symbol, message))

    def issues(self) -> list[Issue]:
        """All that was said and dropped."""
        for labels, code, reason in self._dropped:
            lost = labels[-1] == self._newest and self.labels[-1] < self._newest
            end = f"; the newest is among them, bars end on {self._named(self.labels[-1:])}" if lost else ""
            self.say(code, f"{len(labels)} bars {reason} dropped: {self._named(labels)}{end}")
        bad = sum(len(labels) for labels, code, _ in self._dropped if code != "DUPLICATE")
        if bad > max(BAD_ROWS, BAD_SHARE * self._sent):
            share = f"{bad} of {self._sent} bars ({bad / self._sent:.1%})"
            self.say("UNRELIABLE", f"{share} were dropped: look at the others before you rely on them")
        return self._said

    def _named(self, labels: np.ndarray) -> str:
        more = ", ..." if len(labels) > 3 else ""
        return ", ".join(str(label)[: self._digits] for label in labels[:3]) + more


def _refused(symbol: str, what: str) -> DataUnavailable:
    return DataUnavailable(f"{symbol}: {what}", "mend the source, or ask again later; stored bars are kept", symbol=symbol)


def _check_arrays(history: History, symbol: str, interval: str) -> None:
    labels, traded, events = history.labels, history.traded, history.events
    for name, array, dtype in (("labels", labels, "M8[ns]"), ("traded", traded, "f8"), ("events", events, EVENT)):
        if not isinstance(array, np.ndarray) or array.dtype != np.dtype(dtype):
            kind = getattr(array, "dtype", type(array).__name__)
            raise _refused(symbol, f"{name} are {kind}, not an array of {np.dtype(dtype)}")
    if labels.ndim != 1 or events.ndim != 1 or traded.shape != (len(FIELDS), len(labels)):
        raise _refused(symbol, f"traded has shape {traded.shape} for {labels.shape} labels")
    if len(labels) == 0:
        raise _refused(symbol, "no bar was sent")
    for name, dates in (("label", labels), ("ex-date", events["date"])):
        if np.isnat(dates).any():
            raise _refused(symbol, f"a {name} is NaT")
        strange = dates[dates.view("i8") % MIDNIGHT != 0] if interval == "1d" or name == "ex-date" else dates[:0]
        if len(strange):
            raise _refused(symbol, f"the {name} {strange[0]} is no date")


def _checked_events(events: np.ndarray, rows: _Rows) -> np.ndarray:
    """`events` sorted, one row a date: a split and a dividend of one day are put together, equal rows count once."""
    split, dividend = events["split"], events["dividend"]
    possible = np.isfinite(split) & (split > 0) & np.isfinite(dividend) & (dividend >= 0)
    if not possible.all():
        raise _refused(rows.symbol, f"the event {events[~possible][0]} cannot be")
    if (events["date"][1:] > events["date"][:-1]).all():
        return events
    events, counts = np.unique(events, return_counts=True)
    if (counts > 1).any():
        rows.say("DUP_ACTION", f"{int((counts - 1).sum())} equal splits or dividends of one day count once")
    days, at = np.unique(events["date"], return_inverse=True)
    merged = np.zeros(len(days), EVENT)
    merged["date"], merged["split"] = days, 1.0
    for k, event in zip(at, events):
        if (merged["split"][k] != 1 and event["split"] != 1) or (merged["dividend"][k] > 0 and event["dividend"] > 0):
            raise _refused(rows.symbol, f"two different splits or dividends on {str(event['date'])[:10]}")
        merged["split"][k] *= event["split"]
        merged["dividend"][k] += event["dividend"]
    return merged


def _impossible(block: np.ndarray) -> np.ndarray:
    prices, volume = block[:4], block[4]
    return ~((prices > 0) & (prices <= HIGHEST)).all(axis=0) | ~((volume >= 0) & (volume < np.inf))


def _contradicting(block: np.ndarray) -> np.ndarray:
    opens, high, low, close = block[:4]
    beyond = high < np.maximum(opens, close) * (1 - ROUNDING)
    beneath = low > np.minimum(opens, close) * (1 + ROUNDING)
    return beyond | beneath | (high < low)


def _jumping(labels: np.ndarray, block: np.ndarray, events: np.ndarray) -> np.ndarray:
    n = block.shape[1]
    around = min(NEIGHBOURS, n)
    splits = events[events["split"] != 1.0]
    prices = block[:4]
    if len(splits):
        products = np.append(np.cumprod(splits["split"][::-1])[::-1], 1.0)
        prices = prices / products[np.searchsorted(splits["date"], labels, "right")]
    close = prices[3]
    if around < 3 or _calm(prices[1], prices[2], close):
        return np.zeros(n, bool)
    medians = np.median(np.lib.stride_tricks.sliding_window_view(close, around), axis=1)
    ratio = prices / medians[np.clip(np.arange(n) - around // 2, 0, n - around)]
    return ((ratio > JUMP) | (ratio < 1 / JUMP)).any(axis=0)


def _calm(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> bool:
    step = close[1:] / close[:-1]
    return bool((step < CALM).all() and (step * CALM > 1).all() and (high < close * CALM).all() and (low * CALM > close).all())
