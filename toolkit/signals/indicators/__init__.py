"""Technical indicators: Series, frame or array in, the same kind out, labels kept; called without data they declare.

Values are float64 in the unit of the input unless said otherwise. For all of them:

* No value knows a later bar, and one more bar at the end changes no earlier value, not even in its last bit.
* Over a window, a value that is not finite makes NaN of the windows that hold it, and of no other. Averages that
  remember (ema, macd, rsi, atr) give NaN at a bar without a price, keep their state, and go on at the next bar.
* A window longer than the history gives NaN throughout.
* InvalidWindow is raised for a window that is not a whole number of at least 1, InvalidParameter for text, two equal
  columns, or times that are not rising.
"""

from toolkit.signals.indicators.averages import ema, sma
from toolkit.signals.indicators.bands import Bollinger, bollinger
from toolkit.signals.indicators.momentum import Macd, macd, rsi
from toolkit.signals.indicators.statistics import rolling_max, rolling_min, rolling_std
from toolkit.signals.indicators.volatility import atr

__all__ = ["Bollinger", "Macd", "atr", "bollinger", "ema", "macd", "rolling_max", "rolling_min", "rolling_std", "rsi", "sma"]
