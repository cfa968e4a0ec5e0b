"""What a signal has known: returns after it by quantile, how fast that decays, what following it trades, and what it repeats.

Scores are frames (n_bars, n_symbols) as a strategy returns them, or any number that ranks symbols or bars; NaN is no opinion.
Returns after a score are of later bars, of course: a study looks back on a sample, and nothing in it can be traded on. The
scores themselves are taken as they are, and the quantiles of `by="bar"` and `by="symbol"` know nothing later than their bar.

`by` says what a score is compared with: "bar" with those of the other symbols at the same bar (a universe), "symbol" with the
others of the same symbol (a few symbols over time). Intervals come from the stationary bootstrap over bars (`bootstrap`): all
symbols of a bar are drawn together, in blocks that are never shorter than the horizon, since returns over it overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from toolkit.errors import InvalidParameter
from toolkit.risk.bootstrap import LEAST, optimal_block, resampled, tail_of
from toolkit.signals.panels import panel, same_labels, whole

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

By = Literal["bar", "symbol"]
Groups = Literal["bar", "symbol", "value"]
Entry = Literal["open", "close"]
Statistic = Callable[[np.ndarray], np.ndarray]  # sums over bars (..., k) -> values (..., m)

HORIZONS = (1, 2, 3, 5, 10, 21, 42, 63)
YEAR = 252  # scores of a symbol that a score is ranked among
MOST_VALUES = 12  # a signal of more distinct scores has quantiles
SPREAD = "top - bottom"


# ------------------------------------------------------------------------------------------------------------ the pieces
def forward_returns(bars: Bars, horizon: int = 1, entry: Entry = "open") -> pd.DataFrame:
    """Return over the `horizon` bars after each bar, a fraction, shape (n_bars, n_symbols). Of later bars: never a score.

    From the next bar's open to the open `horizon` bars after it, which is what a score of this bar's close can earn; with
    `entry="close"` from this bar's close to that `horizon` bars later, as studies of signals have it, whose first night nobody
    could buy. NaN at the end of the history and where one of the two prices is missing.
    Raises InvalidWindow for a horizon below 1.
    """
    horizon = whole("horizon", horizon)
    one_of("entry", entry, Entry)
    price = bars.open.shift(-1) if entry == "open" else bars.close
    return price.shift(-horizon) / price - 1.0


def quantile_of(scores: pd.DataFrame, n: int = 5, by: Groups = "bar", window: int = YEAR) -> pd.DataFrame:
    """The quantile that each score falls into, 1 (lowest) to `n` as floats, shape (n_bars, n_symbols); NaN where unknown.

    by="bar" ranks the symbols of a bar, and a bar with fewer than `n` scores has none. by="symbol" ranks a score among the last
    `window` of its symbol, itself the last, of which half must be known. Equal scores share the lower quantile; bins are those
    of `pandas.qcut`. by="value" is for signals of a few distinct scores: each is a group of its own, and `n` does not count.
    Raises InvalidParameter for by="bar" with fewer than `n` symbols, and for by="value" with more than 12 distinct scores.
    """
    one_of("by", by, Groups)
    n = whole("n", n, 2)
    if by == "value":
        return valued(scores)
    if by == "symbol":
        window = whole("window", window, n)
        seen = scores.rolling(window, min_periods=max(n, window // 2))
        place, count = seen.rank(method="min"), seen.count()
    else:
        if scores.shape[1] < n:
            what = f"{scores.shape[1]} symbols do not fill {n} quantiles"
            raise InvalidParameter(what, 'pass a smaller n, or by="symbol" to rank each symbol in its own past')
        known = scores.notna().sum(axis=1)
        place = scores.rank(axis=1, method="min").where(known >= n)
        count = pd.DataFrame(np.repeat(known.to_numpy()[:, None], scores.shape[1], axis=1), scores.index, scores.columns)
    return np.ceil((place - 1.0) * n / (count - 1.0)).clip(1.0, float(n))


def valued(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores as groups; InvalidParameter for more than MOST_VALUES distinct ones."""
    distinct = len(np.unique(scores.to_numpy()[scores.notna().to_numpy()]))
    if distinct > MOST_VALUES:
        raise InvalidParameter(f"the scores take {distinct:,} values", 'pass by="symbol" or by="bar" for quantiles')
    return scores


def rank_correlation(a: pd.DataFrame, b: pd.DataFrame, by: By = "bar") -> float:
    """Spearman's rank correlation of two frames with the same labels, in [-1, 1]; ranks are of what both know.

    by="bar": across the symbols of each bar, on average over the bars; by="symbol": over the bars of each symbol, on average
    over the symbols. A bar or symbol with fewer than two common values, or without a difference in either, does not count.
    Raises InvalidParameter where labels differ.
    """
    check_like(a, b, "the two frames")
    sums, statistic, _ = ranked(a, b, by)
    return float(statistic(sums.sum(axis=1))[0])


# ------------------------------------------------------------------------------------------------------------- the study
def returns_by_quantile(scores: pd.DataFrame, bars: Bars, horizon: int = 1, n: int = 5, by: Groups = "bar",
                        window: int = YEAR, entry: Entry = "open", level: float = 0.95, samples: int = 1000,
                        seed: int = 0) -> pd.DataFrame:  # fmt: skip
    """Mean return over the `horizon` bars after a score, by its quantile: columns mean, low, high (fractions) and count.

    One row a quantile (`quantile_of`), lowest first, and a last row "top - bottom", the difference of the outer two. low and
    high hold `level` of the bootstrapped means; NaN for fewer than 10 bars. `attrs` tell horizon, block (bars), samples, level.
    Raises InvalidParameter unless the scores are of these bars, and as `quantile_of` does.
    """
    check_like(scores, bars.close, "scores and bars")
    tail = tail_of(level)
    later = forward_returns(bars, horizon, entry).to_numpy()
    groups = quantile_of(scores, n, by, window).to_numpy()
    groups = np.where(np.isfinite(later), groups, np.nan)
    names = np.unique(groups[~np.isnan(groups)])
    inside = groups[None] == names[:, None, None]  # (n_groups, n_bars, n_symbols)
    counts, gains = inside.sum(axis=2), np.where(inside, np.nan_to_num(later), 0.0).sum(axis=2)
    mean = ratio(gains.sum(axis=1), counts.sum(axis=1))
    block = block_of(gains - mean[:, None] * counts, horizon)
    table = estimated(np.concatenate([gains, counts]), mean_and_spread, block, tail, samples, seed)
    table.index = pd.Index([*(int(name) if by != "value" else float(name) for name in names), SPREAD], name="quantile")
    table["count"] = [*counts.sum(axis=1), counts.sum(axis=1)[[0, -1]].sum()] if len(names) else [0]
    table.attrs = {"horizon": horizon, "block": block, "samples": samples, "level": level, "by": by}
    return table.rename(columns={"estimate": "mean"})


def decay(scores: pd.DataFrame, bars: Bars, horizons: Iterable[int] = HORIZONS, by: By = "bar", entry: Entry = "open",
          level: float = 0.95, samples: int = 1000, seed: int = 0) -> pd.DataFrame:  # fmt: skip
    """Rank correlation of scores with the returns after them (the information coefficient) by horizon in bars.

    Columns ic, low, high; `rank_correlation` of the scores and `forward_returns`. low and high hold `level` of the bootstrapped
    values (for by="symbol" the ranks of the whole sample are kept in each); NaN for fewer than 10 bars, and where more samples
    than an interval leaves out have no value.
    Raises InvalidParameter unless the scores are of these bars.
    Source: R. C. Grinold, R. N. Kahn, Active Portfolio Management (2000), ch. 6 (information coefficient), 13 (decay).
    """
    check_like(scores, bars.close, "scores and bars")
    tail, rows = tail_of(level), {}
    for horizon in (whole("horizon", each) for each in horizons):
        sums, statistic, apart = ranked(scores, forward_returns(bars, horizon, entry), by)
        rows[horizon] = estimated(sums, statistic, block_of(apart, horizon), tail, samples, seed).iloc[0]
    table = pd.DataFrame(rows, index=["estimate", "low", "high"]).T.rename(columns={"estimate": "ic"})
    table.index.name, table.attrs = "horizon", {"samples": samples, "level": level, "by": by}
    return table


def turnover(scores: pd.DataFrame) -> pd.Series:
    """What following the scores trades at each bar, a fraction of equity bought or sold, the two as one: half of the changes.

    A full score holds one n-th of equity in one of `n` symbols; with no opinion (NaN) the last one stays, before the first
    nothing is held. The first bar pays for what it enters. Moves of prices are left out: weights drift for nothing.
    """
    weights = scores.ffill().fillna(0.0) / scores.shape[1]
    traded = weights.diff().fillna(weights).abs().sum(axis=1) / 2.0
    return traded.rename("turnover")


def signal_correlation(signals: Mapping[str, pd.DataFrame], by: By = "symbol") -> pd.DataFrame:
    """Rank correlation of each pair of signals, (n_signals, n_signals), 1 on the diagonal: near 1, one of the two is enough.

    Each pair is compared where both have an opinion (`rank_correlation`); NaN where they never differ.
    Raises InvalidParameter for no signal, and where labels differ.
    """
    if not signals:
        raise InvalidParameter("there are no signals", 'pass scores by name, {"trend": ..., "reversion": ...}')
    names = list(signals)
    matrix = pd.DataFrame(np.eye(len(names)), names, names)
    for at, name in enumerate(names):
        for other in names[:at]:
            matrix.loc[name, other] = matrix.loc[other, name] = rank_correlation(signals[name], signals[other], by)
    return matrix


# ------------------------------------------------------------------------------------------------- sums that are drawn again
def estimated(sums: np.ndarray, statistic: Statistic, block: float, tail: float, samples: int, seed: int) -> pd.DataFrame:
    """Columns estimate, low, high of a statistic of sums over bars; `sums` (k, n_bars) are those of each bar."""
    known = np.flatnonzero(np.abs(sums).sum(axis=0) > 0.0)
    kept = sums[:, known[0] : known[-1] + 1] if len(known) else sums[:, :0]
    estimate = statistic(kept.sum(axis=1))
    low, high = np.full((2, len(estimate)), np.nan)
    if len(known) >= LEAST:
        n = kept.shape[1]
        bars = resampled(np.arange(n, dtype=float), block, samples, seed)
        drawn = np.concatenate([statistic(times(each.astype(np.int64), n) @ kept.T) for each in bars])
        said = np.isnan(drawn).mean(axis=0) <= tail
        if said.any():
            low[said], high[said] = np.nanquantile(drawn[:, said], [tail, 1.0 - tail], axis=0)
    return pd.DataFrame({"estimate": estimate, "low": low, "high": high})


def times(drawn: np.ndarray, n: int) -> np.ndarray:
    """How often each of `n` bars was drawn, (rows, n) floats."""
    at = drawn + n * np.arange(len(drawn))[:, None]
    return np.bincount(at.ravel(), minlength=len(drawn) * n).reshape(len(drawn), n).astype(float)


def block_of(apart: np.ndarray, horizon: int) -> float:
    """Mean length of a block in bars: the longest that one of the series (k, n_bars) asks for, at least the horizon."""
    lengths = [optimal_block(series) for series in apart if len(series) >= LEAST]
    return float(max([horizon, *lengths]))


def mean_and_spread(totals: np.ndarray) -> np.ndarray:
    """Means from sums and counts (..., 2 n) of `n` groups, and the last less the first: (..., n + 1)."""
    gains, counts = np.split(totals, 2, axis=-1)
    means = ratio(gains, counts)
    if not means.shape[-1]:
        return np.full((*means.shape[:-1], 1), np.nan)
    return np.concatenate([means, means[..., -1:] - means[..., :1]], axis=-1)


def ranked(a: pd.DataFrame, b: pd.DataFrame, by: By) -> tuple[np.ndarray, Statistic, np.ndarray]:
    """For a mean rank correlation: sums (k, n_bars), what becomes of their totals, and what each bar adds, (1, n_bars)."""
    one_of("by", by, By)
    x, y = panel(a, "scores"), panel(b, "returns")  # (n_symbols, n_bars)
    both, axis = np.isfinite(x) & np.isfinite(y), 0 if by == "bar" else 1
    x, y = (standard(pd.DataFrame(np.where(both, each, np.nan)).rank(axis=axis).to_numpy(), axis) for each in (x, y))
    if by == "bar":
        known = np.isfinite(x + y).any(axis=0)
        each = np.where(known, np.nan_to_num(x * y).sum(axis=0), 0.0)
        apart = np.where(known, each - ratio(each.sum(), known.sum()), 0.0)
        return np.stack([each, known.astype(float)]), lambda totals: ratio(totals[..., :1], totals[..., 1:]), apart[None]
    known = np.isfinite(x + y)
    x, y = np.where(known, x, 0.0), np.where(known, y, 0.0)
    return np.concatenate([known, x, y, x * x, y * y, x * y]), mean_correlation, (x * y).sum(axis=0)[None]


def standard(ranks: np.ndarray, axis: int) -> np.ndarray:
    """Ranks less their mean, of length one along `axis`; NaN where they do not differ."""
    count = np.isfinite(ranks).sum(axis=axis, keepdims=True)
    apart = ranks - ratio(np.nansum(ranks, axis=axis, keepdims=True), count)
    length = np.sqrt(np.nansum(apart * apart, axis=axis, keepdims=True))
    return ratio(apart, np.broadcast_to(length, apart.shape))


def mean_correlation(totals: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each symbol from its moments, on average over the symbols: (..., 6 n) -> (..., 1)."""
    n, x, y, xx, yy, xy = np.split(totals, 6, axis=-1)
    n = np.where(n > 1.0, n, np.nan)
    spread = (xx - x * x / n) * (yy - y * y / n)
    each = (xy - x * y / n) / np.sqrt(np.where(spread > 1e-18, spread, np.nan))
    return ratio(np.nansum(each, axis=-1, keepdims=True), np.isfinite(each).sum(axis=-1, keepdims=True))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where below is 0."""
    above, below = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    return np.divide(above, below, out=np.full(np.broadcast_shapes(above.shape, below.shape), np.nan), where=below != 0.0)


# ------------------------------------------------------------------------------------------------------------------ checks
def check_like(a: pd.DataFrame, b: pd.DataFrame, what: str) -> None:
    """Raises InvalidParameter unless both are frames with the same labels."""
    for each in a, b:
        if not isinstance(each, pd.DataFrame):
            raise InvalidParameter(f"{what}: one is a {type(each).__name__}", "pass frames, one column a symbol")
    if not (same_labels(a.index, b.index) and same_labels(a.columns, b.columns)):
        shapes = " and ".join(f"{each.shape[0]:,} bars of {each.shape[1]} symbols" for each in (a, b))
        raise InvalidParameter(f"{what} have different labels ({shapes})", "pass strategy(bars) and these very bars")


def one_of(name: str, value: object, allowed: object) -> None:
    """Raises InvalidParameter unless the value is one of a Literal."""
    if value not in get_args(allowed):
        raise InvalidParameter(f"{name} is {value!r}", f"pass one of {', '.join(map(repr, get_args(allowed)))}")
