"""Scores of bars: checked, kept for bars that were seen before, and advanced bar by bar where the strategy is declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.data.clock import Clock
from toolkit.data.work import phase
from toolkit.errors import InvalidParameter, StrategyFailed, ToolkitError
from toolkit.signals.memory import Recent
from toolkit.signals.panels import labelled, named_as, panel, same_labels
from toolkit.signals.strategies import Running, Strategy, strategy_name

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

Scoring = Callable[["Bars"], pd.DataFrame]  # a plain function, or a declared Strategy


class SignalGenerator:
    """A strategy with a memory, safe to share between threads: one computes, the others wait for its result.

    Keeps the scores of the last `max_size` different bars, told apart by their fingerprint, each for `ttl` seconds of
    `clock` (None: until displaced). A declared strategy is asked for the bars that are new alone. InvalidParameter if the
    strategy returns anything but scores (`check_scores`).
    """

    def __init__(self, strategy: Scoring, *, clock: Clock | None = None, max_size: int = 128, ttl: float | None = None) -> None:
        self.strategy, self.name = strategy, strategy_name(strategy)
        self._recent: Recent[pd.DataFrame] = Recent(clock=clock, max_size=max_size, ttl=ttl)
        self._running: Running | None = None

    @phase("signals")
    def scores(self, bars: Bars) -> pd.DataFrame:
        """Scores in [-1, 1] or NaN, shape (n_bars, n_symbols); a copy on write, the memory is not touched by it."""
        return self._recent.get(bars, lambda: self._scored(bars)).copy(deep=False)

    def _scored(self, bars: Bars) -> pd.DataFrame:
        if not isinstance(self.strategy, Strategy):
            return scored(self.strategy, bars, self.name).copy(deep=False)
        if self._running is None or not self._running.precedes(bars):
            self._running = Running(self.strategy, bars)
        running = self._running
        try:
            scores = running.scores(bars)
            return scores if running.opined else known(scores, self.name)
        except BaseException:  # what was half advanced is not gone on from
            self._running = None
            raise

    def clear_cache(self) -> None:
        """Forgets all scores; the counts go on."""
        self._recent.clear()
        self._running = None

    def stats(self) -> dict[str, float]:
        """Counts since the start (hits, misses, total_requests), size, and hit_rate, miss_rate [0..1], at first 0."""
        return self._recent.stats()


@phase("signals")
def scored(strategy: Scoring, bars: Bars, name: str) -> pd.DataFrame:
    """The checked scores of a strategy; StrategyFailed if it raised, or scored no bar of any symbol.

    It names the bar with which a strategy begins to raise, and a symbol for which it raises alone, where these can be found.
    """
    if not callable(strategy):
        cure = "pass a function of bars; of a frame of scores: lambda bars: scores.loc[bars.index]"
        raise InvalidParameter(f"strategy is a {type(strategy).__name__}", cure)
    try:
        scores = strategy(bars)
    except ToolkitError:
        raise
    except Exception as error:  # a strategy is foreign code: a loop goes on, and the cause is kept
        bar, symbol = breaking_bar(strategy, bars), breaking_symbol(strategy, bars)
        where = f"{'' if bar is None else f' from {bars.index[bar]} on'}{'' if symbol is None else f' for {symbol}'}"
        cure = f"call it on {f'these {len(bars)} bars' if bar is None else f'bars.rows(0, {bar + 1})'} to see why"
        raise StrategyFailed(f"{name} raised {type(error).__name__}{where}: {error}", cure, symbol=symbol) from error
    return known(check_scores(scores, bars, name), name)


def breaking_bar(strategy: Scoring, bars: Bars) -> int | None:
    """A bar with which the strategy raises, and without which it does not; None where it raises on a third already."""
    well, ill = max(len(bars) - 1, 0), len(bars)
    if raises(strategy, bars.rows(0, well)):  # it is not the last bar, as in a loop: halve what is left
        well = len(bars) // 3
        if raises(strategy, bars.rows(0, well)):
            return None
    while ill - well > 1:
        middle = (well + ill) // 2
        well, ill = (well, middle) if raises(strategy, bars.rows(0, middle)) else (middle, ill)
    return ill - 1 if ill > 1 else None


def breaking_symbol(strategy: Scoring, bars: Bars) -> str | None:
    """A symbol for which the strategy raises alone; None where it does so for all that were tried, or for none."""
    ill, some_are_well = bars.symbols, False
    while len(ill) > 1:
        halves = ill[: len(ill) // 2], ill[len(ill) // 2 :]
        failing = [half for half in halves if raises(strategy, bars.select(half))]
        if not failing:
            return None
        ill, some_are_well = failing[0], some_are_well or len(failing) == 1
    return ill[0] if some_are_well else None


def raises(strategy: Scoring, bars: Bars) -> bool:
    """Whether the strategy raises on these bars."""
    try:
        strategy(bars)
    except Exception:  # it has raised on more bars before, and that is reported
        return True
    return False


def known(scores: pd.DataFrame, name: str) -> pd.DataFrame:
    """The scores; StrategyFailed if all of them are NaN."""
    if np.isnan(scores.to_numpy(dtype=float)).all():
        cure = "shorten its windows, or load more history"
        raise StrategyFailed(f"{name} has no score for any of {len(scores)} bars", cure)
    return scores


def check_scores(scores: pd.DataFrame, bars: Bars, name: str = "the strategy") -> pd.DataFrame:
    """The scores; InvalidParameter unless they are a frame with the labels of the bars and values in [-1, 1] or NaN.

    True and False, as of a comparison, and other kinds of numbers come back as floats.
    """
    if not isinstance(scores, pd.DataFrame):
        raise InvalidParameter(f"{name} returned a {type(scores).__name__}", "return a frame, n_bars x n_symbols")
    shape = len(bars), len(bars.symbols)
    if scores.shape != shape:
        raise InvalidParameter(f"{name} returned scores of shape {scores.shape}, bars have {shape}", "score every bar")
    if not same_labels(scores.index, bars.index) or not named_as(scores, bars):
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
    return scores if all(kind == np.float64 for kind in scores.dtypes.array) else labelled(rows, scores).copy()
