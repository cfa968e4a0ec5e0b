"""The loop: one turn of the wheel, the engine around it, the clocks that drive it."""

from toolkit.data.clock import Clock, ReplayClock, SystemClock

__all__ = ["Clock", "ReplayClock", "SystemClock"]
