"""How far off a metric may be: intervals from the same returns, drawn again in blocks.

The stationary bootstrap makes a new history out of the old one: blocks of consecutive returns with random starts and random
lengths (geometric, on average `block` bars), round the end of the history to its beginning. Within a block the order of
time is kept, so that clusters of volatility and runs survive as far as blocks reach.
Source: D. N. Politis, J. P. Romano, The stationary bootstrap, J. American Statistical Association 89 (1994).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter
from toolkit.risk.metrics import Performance, bar_returns, performance, performance_of
from toolkit.signals.panels import whole

CELLS = 1 << 17  # returns drawn at a time: a megabyte a piece stays in the processor's cache
LEAST = 10  # fewer returns say nothing about their spread


def intervals(equity: pd.Series, level: float = 0.95, samples: int = 1000, block: float | None = None, seed: int = 0,
              risk_free: float = 0.0, periods_per_year: float = 252.0) -> pd.DataFrame:  # fmt: skip
    """Metrics of a curve with the interval that holds `level` of their resampled values: columns estimate, low, high.

    One row a field of `metrics.Performance`, in its units. From returns: `intervals(metrics.curve(returns))`.
    `block` is the mean length of a block in bars, by default that of `block_length`; `attrs` of the frame tells it.
    The same seed gives the same numbers. low and high are NaN for fewer than 10 returns, and where more than
    (1 - level) / 2 of the samples have no value (a Calmar ratio without a drawdown). A drawdown belongs to a path: its
    interval is that of other paths made of the same returns, and the estimate may lie outside. A return of -1 or less is
    ruin, and a sample stays there.
    Raises InvalidParameter for a curve that metrics refuse, a level outside of (0, 1), a block shorter than a bar, no sample.
    """
    summary = performance(equity, risk_free, periods_per_year)
    returns, tail = bar_returns(equity), tail_of(level)
    block = checked_block(block_length(returns) if block is None else block)
    low, high = np.full((2, len(summary)), np.nan)
    parts = resampled(returns, block, samples, seed)
    if len(returns) >= LEAST:
        with np.errstate(over="ignore", invalid="ignore"):  # a value beyond the floats is inf, what rests on it NaN
            values = [np.stack(performance_of(compounded(part), part, risk_free, periods_per_year)) for part in parts]
            drawn = np.concatenate(values, axis=1)
            known = np.isnan(drawn).mean(axis=1) <= tail
            low[known], high[known] = np.nanquantile(drawn[known], [tail, 1.0 - tail], axis=1)
    frame = pd.DataFrame({"estimate": summary, "low": low, "high": high}, index=list(Performance._fields))
    frame.attrs = {"block": block, "samples": samples, "level": level, "seed": seed}
    return frame


def resampled(returns: np.ndarray, block: float, samples: int = 1000, seed: int = 0) -> Iterator[np.ndarray]:
    """Histories as long as `returns`, drawn in blocks of `block` bars on average: `samples` rows, a few at a time.

    At most 131,072 returns are in memory at a time, or one history. The pieces do not change what is drawn.
    Source: Politis and Romano (1994), section 2.
    """
    samples, seed = whole("samples", samples), whole("seed", seed, least=0)
    breaks, starts = np.random.default_rng(seed).spawn(2)
    rows = max(1, CELLS // max(1, len(returns)))
    return (piece(returns, block, min(rows, samples - done), breaks, starts) for done in range(0, samples, rows))


def piece(returns: np.ndarray, block: float, rows: int, breaks: np.random.Generator, starts: np.random.Generator) -> np.ndarray:
    """(rows, n_bars) of returns: where a block begins is drawn first, then which return it begins with."""
    begins = breaks.random((rows, len(returns)), dtype=np.float32) < 1.0 / block
    begins[:, 0] = True
    at = np.flatnonzero(begins)
    ahead = starts.integers(len(returns), size=len(at)) - at
    taken = np.repeat(ahead, np.diff(at, append=begins.size)) + np.arange(begins.size)
    return np.concatenate([returns, returns])[taken].reshape(begins.shape)  # twice: a block goes round the end


def compounded(returns: np.ndarray) -> np.ndarray:
    """Values (rows, n_bars + 1) of curves that began with 1; 0 from ruin on."""
    values = np.empty((len(returns), returns.shape[1] + 1))
    values[:, 0] = 1.0
    np.cumprod(np.maximum(1.0 + returns, 0.0), axis=1, out=values[:, 1:])
    return values


def block_length(returns: np.ndarray) -> float:
    """Bars that a block should have on average, at least 1: the longer one of what the returns and their squares ask for.

    The length that estimates the variance of a mean best; the squares are in it for the clusters of volatility.
    Source: D. N. Politis, H. White, Automatic block-length selection for the dependent bootstrap, Econometric Reviews 23
    (2004), corrected by A. Patton, D. N. Politis, H. White, Econometric Reviews 28 (2009).
    """
    if len(returns) < LEAST:
        return 1.0
    apart = returns - returns.mean()
    return max(1.0, optimal_block(returns), optimal_block(apart**2))


def optimal_block(series: np.ndarray) -> float:
    """Politis and White's length for the stationary bootstrap of a mean, at most min(3 sqrt(n), n / 3) rounded up.

    Autocovariances count up to twice the first lag from which five in a row (or log10 n) are insignificant.
    """
    n = len(series)
    run = max(5, int(np.log10(n)))
    lags = min(int(np.ceil(np.sqrt(n))) + run, n - 1)
    apart = series - series.mean()
    covariance = np.array([apart[lag:] @ apart[: n - lag] for lag in range(lags + 1)]) / n
    if not covariance[0] > 1e-24 * series.mean() ** 2:
        return 1.0  # a constant
    small = np.abs(covariance[1:]) < 2.0 * np.sqrt(np.log10(n) / n) * covariance[0]
    calm = np.flatnonzero(np.convolve(small, np.ones(run), "valid") > run - 0.5)
    reach = min(2 * (int(calm[0]) + 1), lags) if len(calm) else lags
    lag = np.arange(1, reach + 1)
    weighted = 2.0 * np.minimum(1.0, 2.0 * (1.0 - lag / reach)) * covariance[1 : reach + 1]
    spectrum = covariance[0] + weighted.sum()
    if spectrum == 0.0:
        return 1.0
    best = ((weighted * lag).sum() / spectrum) ** 2 * n
    return float(min(np.cbrt(best), np.ceil(min(3.0 * np.sqrt(n), n / 3.0))))


def checked_block(block: float) -> float:
    """Bars a block; InvalidParameter below 1."""
    if not 1.0 <= block < np.inf:
        raise InvalidParameter(f"block is {block!r}, it must be a mean length of at least 1 bar", "leave it out")
    return float(block)


def tail_of(level: float) -> float:
    """The share on each side of an interval; InvalidParameter unless 0 < level < 1."""
    if not 0.0 < level < 1.0:
        raise InvalidParameter(f"level is {level!r}, it must lie between 0 and 1", "pass e.g. level=0.95")
    return (1.0 - level) / 2.0
