"""Random markets, scores and rules, with everything in them that the step has to get right."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from toolkit.kernels.account import LIMIT, MARKET, STOP, UNIT, Prices, Rules, action_t

INF = math.inf
LEVELS = [-1.0, -0.5, 0.0, 0.5, 1.0, math.nan]  # of scores


def frozen(values, kind=float) -> np.ndarray:
    """As kernels take their inputs: contiguous and read-only."""
    array = np.ascontiguousarray(values, dtype=kind).view()
    array.flags.writeable = False
    return array


class Market(NamedTuple):
    """The inputs of `walk`, in its order."""

    prices: Prices
    actions: np.ndarray
    scores: np.ndarray
    weights: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.scores.shape


def random_bars(rng: np.random.Generator, shape: tuple[int, int], coarse: bool, thin: bool) -> list[np.ndarray]:
    """Open, high, low, close and volume of random walks with gaps; coarse prices are touched exactly."""
    close = 20.0 * np.exp(np.cumsum(0.03 * rng.standard_normal(shape), axis=1) + rng.normal(0, 1, (shape[0], 1)))
    opens = close * np.exp(0.03 * rng.standard_normal(shape) * (rng.random(shape) < 0.8))
    high = np.maximum(opens, close) * np.exp(0.02 * rng.random(shape))
    low = np.minimum(opens, close) * np.exp(-0.02 * rng.random(shape))
    if coarse:
        opens, high, low, close = (np.maximum(np.round(row * 2.0) / 2.0, 0.5) for row in (opens, high, low, close))
    return [opens, high, low, close, np.round(np.exp(rng.normal(3.0 if thin else 8.0, 1.5, shape)))]


def halt(rng: np.random.Generator, bars: list[np.ndarray]) -> None:
    """Bars without a price, late listings, and bars whose volume is zero or not known."""
    n_symbols, n_bars = shape = bars[0].shape
    halted = rng.random(shape) < 0.06
    for n in range(n_symbols):
        halted[n, : rng.integers(0, n_bars // 3 + 1) if rng.random() < 0.4 else 0] = True
    for row in bars:
        row[halted] = np.nan
    bars[4][rng.random(shape) < 0.03] = 0.0
    bars[4][rng.random(shape) < 0.02] = np.nan


def random_actions(rng: np.random.Generator, bars: list[np.ndarray]) -> np.ndarray:
    """Splits, forwards and in reverse, with and without a dividend; prices follow the splits."""
    n_symbols, n_bars = bars[0].shape
    rows = []
    for t in range(n_bars):
        for n in range(n_symbols):
            if rng.random() < 0.05:
                split = rng.choice([1.0, 2.0, 1.5, 1 / 3, 0.1, 0.001]) if rng.random() < 0.6 else 1.0
                rows.append((t, n, split, rng.choice([0.0, 0.37, 1.1]) if split != 1.0 else 0.61))
                for row in bars[:4]:
                    row[n, t:] /= split
    return np.array(rows, action_t) if rows else np.zeros(0, action_t)


def random_opinions(rng: np.random.Generator, shape: tuple[int, int], stays: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores that stay as they were with a probability, and weights; a few of both are not known."""
    scores = rng.choice(LEVELS, shape, p=[0.15, 0.1, 0.25, 0.15, 0.3, 0.05])
    kept = rng.random(shape) < stays
    for t in range(1, shape[1]):
        scores[:, t] = np.where(kept[:, t], scores[:, t - 1], scores[:, t])
    weights = scores * rng.uniform(0.1, 1.2, shape)
    weights[rng.random(shape) < 0.02] = np.nan
    return scores, weights


def random_market(seed: int, n_symbols: int, n_bars: int, calm: bool, thin: bool, coarse: bool, stays: float) -> Market:
    """Everything drawn from one seed; a calm market has no halts and no actions."""
    rng, shape = np.random.default_rng(seed), (n_symbols, n_bars)
    bars, actions = random_bars(rng, shape, coarse, thin), np.zeros(0, action_t)
    if not calm:
        halt(rng, bars)
        actions = random_actions(rng, bars)
    scores, weights = random_opinions(rng, shape, stays)
    return Market(Prices(*map(frozen, bars)), frozen(actions, action_t), frozen(scores), frozen(weights))


def markets(n_symbols: int = 5, n_bars: int = 60, stays: tuple[float, ...] = (0.3, 0.8)) -> st.SearchStrategy[Market]:
    return st.builds(
        random_market,
        seed=st.integers(0, 2**32 - 1),
        n_symbols=st.integers(1, n_symbols),
        n_bars=st.integers(2, n_bars),
        calm=st.booleans(),
        thin=st.booleans(),
        coarse=st.booleans(),
        stays=st.sampled_from(stays),
    )


def some(default, *others) -> st.SearchStrategy:
    return st.one_of(st.just(default), st.sampled_from(others))


rules_of_all_kinds = st.builds(
    Rules,
    per_share=some(0.0, 0.005, 0.05),
    minimum=some(0.0, 1.0, 25.0),
    per_order=some(0.0, 0.5, 10.0),
    fee=some(0.0, 0.0001, 0.01),
    slippage=some(0.0, 0.0005, 0.02),
    half_spread=some(0.0, 0.01, 0.1),
    impact=some(0.0, 0.1, 0.5),
    volume_share=some(INF, 0.01, 0.2, 1.0),
    borrow=some(0.0, 0.0001, 0.01),
    interest=some(0.0, 0.0002, 0.01),
    leverage=some(1.0, 1.5, 2.0, 4.0),
    short=st.booleans(),
    lot=st.sampled_from([1, UNIT, 10 * UNIT]),
    stop_loss=some(INF, 0.01, 0.05),
    take_profit=some(INF, 0.02, 0.08),
    trailing=some(INF, 0.02, 0.06),
    kind=st.sampled_from([MARKET, LIMIT, STOP]),
    offset=some(0.0, 0.01, 0.03),
    day=st.booleans(),
    size=some(1.0, 0.3, 1.25),
    band=some(INF, 0.0, 0.02, 0.1),
    max_order=some(INF, 2_000.0, 25_000.0),
    max_order_share=some(INF, 0.1, 0.6),
    max_position=some(INF, 0.2, 0.7),
    max_gross=some(INF, 0.8, 1.5),
    min_cash=some(0.0, 0.02, 0.3, -INF),
    max_net=some(INF, 0.0, 0.3, 1.2),
    max_turnover=some(INF, 0.1, 0.6),
    daily_loss=some(INF, 0.0, 0.01, 0.05),
    max_drawdown=some(INF, 0.02, 0.2),
)
