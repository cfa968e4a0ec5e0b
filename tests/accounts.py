"""Accounts whose trades can be told in advance: one symbol with given weights; and wild ones, long and short."""

import numpy as np
import pandas as pd

from toolkit.cycle.backtest import backtest
from toolkit.data import Bars
from toolkit.execution.costs import Costs, Limits

FREE = Costs(fee_bps=0.0, slippage_bps=0.0)
DEAR = Costs(per_share=0.005, minimum=1.0, fee_bps=2.0, slippage_bps=5.0, borrow=0.1, interest=0.2)
OPEN = Limits(np.inf, np.inf, np.inf, np.inf, -np.inf, allow_short=True, leverage=2.0)
TIGHT = Limits(np.inf, np.inf, np.inf, np.inf, -np.inf, allow_short=True, leverage=2.0, volume_share=2e-4)


def market(rows, actions=(), symbol="A") -> Bars:
    """One symbol; rows of open, high, low, close; actions of (bar, split, dividend)."""
    index = pd.bdate_range("2012-01-02", periods=len(rows))
    frame = pd.DataFrame(rows, index, columns=["open", "high", "low", "close"], dtype=float).assign(volume=1e6)
    events = pd.DataFrame(
        [(index[t], symbol, split, dividend) for t, split, dividend in actions], columns=["date", "symbol", "split", "dividend"]
    )
    return Bars.from_frame(frame, symbol=symbol, actions=events if len(actions) else None)


def traded(bars, weights, **how):
    """A backtest of one symbol whose scores and weights are given bar by bar, from 10,000 dollars without costs."""
    frame = pd.DataFrame({bars.symbols[0]: np.asarray(weights, float)}, bars.index)
    how = {"costs": FREE, "limits": OPEN, "cash": 10_000.0, **how}
    return backtest(lambda bars: np.sign(frame), bars, lambda scores, bars: frame, **how)


def wild(seed):
    """Scores that change often, long and short, with bars of no opinion."""
    rng = np.random.default_rng(seed)
    choice = lambda bars: rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0, np.nan], bars.close.shape)  # noqa: E731
    return lambda bars: pd.DataFrame(choice(bars), bars.index, list(bars.symbols))
