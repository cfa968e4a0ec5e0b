"""Strategies: functions from bars to scores, frames (n_bars x n_symbols) in [-1, 1]; NaN is no opinion."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from toolkit.data.bars import columns_of
from toolkit.errors import InvalidParameter, StrategyFailed, ToolkitError
from toolkit.kernels.rules import held_with_trend
from toolkit.signals import indicators
from toolkit.signals.formula import FIELDS, Formula, Indicator
from toolkit.signals.indicators.momentum import below
from toolkit.signals.panels import whole
from toolkit.signals.sets import IndicatorSet, bars_of, computed

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

# Wilder's overbought level, and the higher one that Murphy gives for strong trends: no purchase above the first, out
# above the second.
OVERBOUGHT, EXHAUSTED = 70.0, 80.0


def trend_and_rsi(bars: Bars, fast: int = 5, slow: int = 20, trend: int = 50, rsi: int = 14) -> pd.DataFrame:
    """Long (1.0) or out (0.0), shape (n_bars, n_symbols): with the trend, but not into an overbought market.

    In when the `fast` average is above the `slow` one, the close above the `trend` average and the RSI below 70. Out
    when the fast average is below the slow one, or the RSI above 80. In between, the last of the two holds.
    NaN before all four are known for a symbol, and at bars without a close; the position survives such a bar.
    Raises InvalidWindow for a window that is not a whole number of at least 1, and unless fast < slow.
    Source: J. J. Murphy, Technical Analysis of the Financial Markets (1999), ch. 9 (two averages) and 10 (RSI).
    """
    given = {"fast": fast, "slow": slow, "trend": trend, "rsi": rsi}
    windows = [whole(name, window) for name, window in given.items()]
    below("fast", fast, "slow", slow)
    (scores,) = computed((_held_with_trend(*windows),), bars)
    return pd.DataFrame(scores.T, index=bars.index, columns=columns_of(bars.symbols), copy=False)


@functools.lru_cache(maxsize=512)
def _held_with_trend(fast: int, slow: int, trend: int, rsi: int) -> Indicator:
    """The rule over the indicators that it reads: one compiled pass, in which none of them is written out."""
    inputs = "close", *(indicators.sma(window) for window in (fast, slow, trend)), indicators.rsi(rsi)
    return Indicator("trend_and_rsi", Formula(held_with_trend, (OVERBOUGHT, EXHAUSTED), 2, 0), inputs)


Row = Mapping[str, Any]  # the fields and the members of a set at one bar, (n_symbols,) each
Rule = Callable[..., Any]  # (now, before, held) -> scores, or (now, before, held, memory) -> (scores, memory)


@dataclass(frozen=True)
class Strategy:
    """A declared strategy: indicators, and a rule from their values at one bar to the scores of that bar.

    rule(now, before, held) -> scores (n_symbols,) in [-1, 1] or NaN for no opinion: `now` and `before` hold the fields of
    bars and the members by name at this bar and at the one before (NaN at the first), `held` is the last score of each symbol
    that was not NaN, at first 0. A rule must keep nothing beside these: then it sees no later bar, scores the same bars alike
    every time, and the engine asks it for new bars alone. At a bar without a price the members are NaN, and so they are in
    `before` at the next one. Called with Bars, a strategy scores all of them.

    memory: numbers that a rule carries from bar to bar for each symbol, such as the highest close since an entry. With one or
    more it is rule(now, before, held, memory) -> (scores, memory): it is handed those that it returned at the bar before,
    (memory, n_symbols), at first NaN.
    """

    name: str
    indicators: IndicatorSet
    rule: Rule
    memory: int = 0

    def __post_init__(self) -> None:
        whole("memory", self.memory, 0)
        if not isinstance(self.indicators, IndicatorSet) or not callable(self.rule):
            what = f"indicators is a {type(self.indicators).__name__}, rule a {type(self.rule).__name__}"
            raise InvalidParameter(what, "pass Strategy(name, IndicatorSet({...}), rule)")

    def __call__(self, bars: Bars) -> pd.DataFrame:
        return Running(self, bars).scores(bars)


class Running:
    """A declared strategy and the bars that it has scored: one more bar costs the same however many came before."""

    def __init__(self, strategy: Strategy, bars: Bars) -> None:
        n = len(bars.symbols)
        self.strategy, self._ticker = strategy, strategy.indicators.stream(n)
        self._names = tuple(dict.fromkeys([*FIELDS[:5], *self._ticker.fields]))
        self._n, self._digest = 0, bars.whole.chain[0]
        self._before: Row | None = None
        self._held, self._memory = np.zeros(n), np.full((strategy.memory, n), np.nan)
        self._scores = np.empty((n, 2 * len(bars) + 64))
        self.opined = False  # whether any score was not NaN

    def precedes(self, bars: Bars) -> bool:
        """Whether the bars go on from those that were scored."""
        return self._n <= len(bars) and bars.whole.chain[self._n] == self._digest

    def scores(self, bars: Bars) -> pd.DataFrame:
        """Scores of all bars, (n_bars, n_symbols), read-only; only those that are new are asked for."""
        if len(bars) > self._scores.shape[1]:
            self._scores = np.concatenate([self._scores, np.empty_like(self._scores)], axis=1)[:, : 2 * len(bars)]
        for label, fields in zip(bars.index[self._n :], bars_of(bars, self._names, self._n), strict=True):
            self._scores[:, self._n] = self._next(label, fields, bars.symbols)
            self._n += 1
        self._digest = bars.whole.chain[self._n]
        shown = self._scores[:, : self._n]
        shown.flags.writeable = False
        return pd.DataFrame(shown.T, index=bars.index, columns=pd.Index(bars.symbols), copy=False)

    def _next(self, label: pd.Timestamp, fields: Row, symbols: tuple[str, ...]) -> np.ndarray:
        now = {**fields, **self._ticker.push(fields)}
        given = now, self._before or blank(now), self._held, self._memory
        name = self.strategy.name
        try:
            scores, memory = asked(self.strategy, *given)
        except ToolkitError:
            raise
        except KeyError as error:
            raise StrategyFailed(f"{name} asked for {error} at {label}", f"there are {', '.join(now)}") from error
        except Exception as error:  # a rule is foreign code: a loop goes on, and the cause is kept
            symbol = suspect(self.strategy, given, symbols)
            what = f"{name} raised {type(error).__name__} at {label}{f' for {symbol}' if symbol else ''}: {error}"
            raise StrategyFailed(what, "try the rule there", symbol=symbol) from error
        for what, array, like in ("scored", scores, self._held), ("kept", memory, self._memory):
            if array.shape != like.shape:
                cure = f"return {like.shape}, one a symbol{'' if like is self._held else ' and memory'}"
                raise InvalidParameter(f"{name} {what} shape {array.shape} at {label}", cure)
        wrong = np.abs(scores) > 1.0
        if wrong.any():
            symbol = symbols[int(np.argmax(wrong))]
            what = f"{name} scored {symbol} {scores[wrong][0]} at {label}"
            raise InvalidParameter(what, "a score lies in [-1, 1], or is NaN for no opinion", symbol=symbol)
        self._before, self._memory, self.opined = now, memory, self.opined or not np.isnan(scores).all()
        self._held = np.where(np.isnan(scores), self._held, scores)
        return scores


def asked(strategy: Strategy, now: Row, before: Row, held: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the rule answers, scores (n_symbols,) and memory (memory, n_symbols), as floats; it is handed copies."""
    if strategy.memory:
        answer = strategy.rule(now, before, held.copy(), memory.copy())
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise TypeError(f"it returned a {type(answer).__name__}, not (scores, memory)")
        scores, memory = np.asarray(answer[0]), np.array(answer[1], dtype=np.float64)
    else:
        scores = np.asarray(strategy.rule(now, before, held.copy()))
    if np.iscomplexobj(scores):
        raise TypeError("scores are complex numbers")
    return scores.astype(np.float64), memory


def suspect(strategy: Strategy, given: tuple[Row, Row, np.ndarray, np.ndarray], symbols: tuple[str, ...]) -> str | None:
    """The first symbol for which the rule raises alone, where it does so for some and not for all."""
    failing = []
    for n, symbol in enumerate(symbols):
        now, before, held, memory = given
        try:
            asked(strategy, alone(now, n), alone(before, n), held[n : n + 1], memory[:, n : n + 1])
        except Exception:  # as it did before; which symbols it is for is all that is asked
            failing.append(symbol)
    return failing[0] if 0 < len(failing) < len(symbols) else None


def alone(row: Row, n: int) -> Row:
    """One bar of one symbol, (1,) each."""

    def of_one(value: Any) -> Any:
        return type(value)(*map(of_one, value)) if isinstance(value, tuple) else value[n : n + 1]

    return {name: of_one(value) for name, value in row.items()}


def blank(now: Row) -> Row:
    """The bar before the first: NaN under the same names."""

    def nothing(value: Any) -> Any:
        return type(value)(*map(nothing, value)) if isinstance(value, tuple) else np.full_like(value, np.nan)

    return {name: nothing(value) for name, value in now.items()}


def strategy_name(strategy: Callable) -> str:
    """Name and bound parameters of a strategy, the same in every process: order ids are made of it.

    >>> strategy_name(functools.partial(trend_and_rsi, fast=10))
    'trend_and_rsi(fast=10)'
    """
    if isinstance(strategy, Strategy):
        return strategy.name
    if isinstance(strategy, functools.partial):
        values = [repr(value) for value in strategy.args]
        values += [f"{name}={value!r}" for name, value in sorted(strategy.keywords.items())]
        return f"{strategy_name(strategy.func)}({', '.join(values)})"
    return getattr(strategy, "__name__", None) or type(strategy).__name__
