"""Scores of bars that were seen before, kept in memory: least recently used out first, each for a time to live."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.data.clock import Clock, SystemClock
from toolkit.errors import InvalidParameter, StrategyFailed, ToolkitError
from toolkit.signals.panels import panel, same_labels, whole
from toolkit.signals.strategies import strategy_name

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

Strategy = Callable[["Bars"], pd.DataFrame]


class SignalGenerator:
    """A strategy with a memory, safe to share between threads: one computes, the others wait for its result.

    Keeps the scores of the last `max_size` different bars, told apart by their fingerprint, each for `ttl` seconds of
    `clock` (None: until displaced). InvalidParameter if the strategy returns anything but scores (`check_scores`).
    """

    def __init__(
        self, strategy: Strategy, *, clock: Clock | None = None, max_size: int = 128, ttl: float | None = None
    ) -> None:
        if ttl is not None and not ttl >= 0:
            raise InvalidParameter(f"ttl is {ttl!r}, it must be seconds of at least 0", "pass ttl=None to keep scores")
        self.strategy, self.name = strategy, strategy_name(strategy)
        self.clock = SystemClock() if clock is None else clock
        self.max_size, self.ttl = whole("max_size", max_size), ttl
        self._kept: OrderedDict[str, tuple[pd.Timestamp, pd.DataFrame]] = OrderedDict()
        self._hits = self._misses = 0
        self._lock = threading.RLock()

    def scores(self, bars: Bars) -> pd.DataFrame:
        """Scores in [-1, 1] or NaN, shape (n_bars, n_symbols); yours to change, the memory is not touched by it."""
        key = bars.fingerprint
        with self._lock:
            now = self.clock.now()
            kept = self._kept.get(key)
            if kept is not None and self._fresh(kept[0], now):
                self._hits += 1
                self._kept.move_to_end(key)
                return kept[1].copy(deep=False)
            self._misses += 1
            scores = scored(self.strategy, bars, self.name).copy(deep=False)
            self._kept[key] = now, scores
            self._kept.move_to_end(key)
            while len(self._kept) > self.max_size:
                self._kept.popitem(last=False)
            return scores.copy(deep=False)

    def _fresh(self, since: pd.Timestamp, now: pd.Timestamp) -> bool:
        return self.ttl is None or 0 <= (now - since).total_seconds() < self.ttl

    def clear_cache(self) -> None:
        """Forgets all scores; the counts go on."""
        with self._lock:
            self._kept.clear()

    def stats(self) -> dict[str, float]:
        """Counts since the start (hits, misses, total_requests), size, and hit_rate, miss_rate [0..1], at first 0."""
        with self._lock:
            hits, misses, size = self._hits, self._misses, len(self._kept)
        total = hits + misses
        rates = {"hit_rate": hits / total, "miss_rate": misses / total} if total else {"hit_rate": 0.0, "miss_rate": 0.0}
        return {"hits": hits, "misses": misses, "total_requests": total, "size": size, **rates}


def scored(strategy: Strategy, bars: Bars, name: str) -> pd.DataFrame:
    """The checked scores of a strategy; StrategyFailed if it raised, or scored no bar of any symbol."""
    try:
        scores = strategy(bars)
    except ToolkitError:
        raise
    except Exception as error:  # a strategy is foreign code: a loop goes on, and the cause is kept
        what = f"{name} raised {type(error).__name__}: {error}"
        raise StrategyFailed(what, f"call it on these {len(bars)} bars to see where") from error
    check_scores(scores, bars, name)
    if np.isnan(scores.to_numpy(dtype=float)).all():
        cure = "shorten its windows, or load more history"
        raise StrategyFailed(f"{name} has no score for any of {len(bars)} bars", cure)
    return scores


def check_scores(scores: pd.DataFrame, bars: Bars, name: str = "the strategy") -> pd.DataFrame:
    """The scores; InvalidParameter unless they are a frame with the labels of the bars and values in [-1, 1] or NaN."""
    if not isinstance(scores, pd.DataFrame):
        raise InvalidParameter(f"{name} returned a {type(scores).__name__}", "return a frame, n_bars x n_symbols")
    shape = len(bars), len(bars.symbols)
    if scores.shape != shape:
        raise InvalidParameter(f"{name} returned scores of shape {scores.shape}, bars have {shape}", "score every bar")
    if not same_labels(scores.index, bars.index) or tuple(scores.columns) != tuple(bars.symbols):
        raise InvalidParameter(f"{name} returned scores under other labels than the bars", "keep the labels of bars.close")
    rows = panel(scores, "scores")
    wrong = np.abs(rows) > 1.0
    if wrong.any():
        bar, symbol = np.argwhere(wrong.T)[0]
        raise InvalidParameter(
            f"{name} scored {bars.symbols[symbol]} {rows[symbol, bar]} at {bars.index[bar]}",
            "a score lies in [-1, 1], or is NaN for no opinion",
            symbol=bars.symbols[symbol],
        )
    return scores
