"""Where an engine's bars come from: a source behind its cache, or given bars that a clock reveals one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from toolkit.data import Bars, ReplayClock


class Market(Protocol):
    """Where the engine's bars come from."""

    def bars(self, symbols: Sequence[str]) -> Bars:
        """What is known now."""

    def stats(self) -> dict[str, Any]:
        """hits, misses and api_calls so far."""

    def close(self) -> None:
        """Writes down what it keeps."""


class Revealed:
    """The market of an engine that trades `bars` as they were known; its `clock` goes from bar to bar."""

    def __init__(self, bars: Bars, first: int = 0) -> None:
        self.clock, self._bars = ReplayClock(bars.known_at[first:]), bars

    def bars(self, symbols: str | Iterable[str]) -> Bars:
        """What is known now of the symbols asked for."""
        known = self._bars.until(self.clock.now())
        return known if tuple(symbols) == known.symbols else known.select(symbols)

    def stats(self) -> dict[str, float]:
        """Nothing is fetched."""
        return {"hits": 0.0, "misses": 0.0, "api_calls": 0.0}

    def close(self) -> None:
        """Nothing is kept."""
