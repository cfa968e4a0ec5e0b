"""Technical indicators: Series, frame or array in, the same kind out, labels kept; called without data they declare.

Values are float64 in the unit of the input unless said otherwise. For all of them:

* No value knows a later bar, and one more bar at the end changes no earlier value, not even in its last bit.
* Over a window, a value that is not finite makes NaN of the windows that hold it, and of no other. Averages that
  remember (ema, macd, rsi, atr) give NaN at a bar without a price, keep their state, and go on at the next bar.
* A window longer than the history gives NaN throughout; one that no memory would hold (beyond some ten million bars, beside
  shorter ones) is refused.
* InvalidWindow is raised for a window that is not a whole number of at least 1, InvalidParameter for text, two equal
  columns, or times that are not rising.
"""

from toolkit.signals.indicators.averages import dema, ema, hma, kama, sma, tema, trix, vwma, wma
from toolkit.signals.indicators.bands import Bollinger, Donchian, bollinger, donchian
from toolkit.signals.indicators.momentum import (
    Aroon,
    Macd,
    Ppo,
    Stochastic,
    aroon,
    cci,
    macd,
    momentum,
    ppo,
    roc,
    rsi,
    stochastic,
    stochastic_rsi,
    ultimate_oscillator,
    williams_r,
)
from toolkit.signals.indicators.ordering import percentile_rank, rolling_median, rolling_quantile, rolling_rank
from toolkit.signals.indicators.performance import drawdown, rolling_sharpe
from toolkit.signals.indicators.regression import (
    LinearRegression,
    linear_regression,
    rolling_beta,
    rolling_correlation,
    rolling_covariance,
)
from toolkit.signals.indicators.statistics import (
    rolling_argmax,
    rolling_argmin,
    rolling_kurtosis,
    rolling_max,
    rolling_min,
    rolling_skew,
    rolling_std,
    rolling_variance,
    zscore,
)
from toolkit.signals.indicators.trend import Adx, Ichimoku, Supertrend, adx, ichimoku, parabolic_sar, supertrend
from toolkit.signals.indicators.volatility import (
    Keltner,
    atr,
    close_to_close,
    ewma_volatility,
    garman_klass,
    keltner,
    natr,
    parkinson,
    rogers_satchell,
    true_range,
    yang_zhang,
)
from toolkit.signals.indicators.volume import (
    accumulation_distribution,
    chaikin_money_flow,
    force_index,
    money_flow_index,
    obv,
    session_vwap,
    vwap,
)

__all__ = [
    "Adx",
    "Aroon",
    "Bollinger",
    "Donchian",
    "Ichimoku",
    "Keltner",
    "LinearRegression",
    "Macd",
    "Ppo",
    "Stochastic",
    "Supertrend",
    "accumulation_distribution",
    "adx",
    "aroon",
    "atr",
    "bollinger",
    "cci",
    "chaikin_money_flow",
    "close_to_close",
    "dema",
    "donchian",
    "drawdown",
    "ema",
    "ewma_volatility",
    "force_index",
    "garman_klass",
    "hma",
    "ichimoku",
    "kama",
    "keltner",
    "linear_regression",
    "macd",
    "momentum",
    "money_flow_index",
    "natr",
    "obv",
    "parabolic_sar",
    "parkinson",
    "percentile_rank",
    "ppo",
    "roc",
    "rogers_satchell",
    "rolling_argmax",
    "rolling_argmin",
    "rolling_beta",
    "rolling_correlation",
    "rolling_covariance",
    "rolling_kurtosis",
    "rolling_max",
    "rolling_median",
    "rolling_min",
    "rolling_quantile",
    "rolling_rank",
    "rolling_sharpe",
    "rolling_skew",
    "rolling_std",
    "rolling_variance",
    "rsi",
    "session_vwap",
    "sma",
    "stochastic",
    "stochastic_rsi",
    "supertrend",
    "tema",
    "trix",
    "true_range",
    "ultimate_oscillator",
    "vwap",
    "vwma",
    "williams_r",
    "wma",
    "yang_zhang",
    "zscore",
]
