"""Every indicator, declared with short windows: what the property tests run over. A test holds it complete."""

from toolkit.signals import indicators as ta

EVERY = {
    "atr": ta.atr(3),
    "bollinger": ta.bollinger(4),
    "ema": ta.ema(4),
    "macd": ta.macd(2, 4, 3),
    "rolling_max": ta.rolling_max(4),
    "rolling_min": ta.rolling_min(4),
    "rolling_std": ta.rolling_std(4),
    "rsi": ta.rsi(4),
    "sma": ta.sma(4),
}
