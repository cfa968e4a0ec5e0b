"""How durations are written: always with the mark that tells a reader, and the notebook tests, that they vary."""

from __future__ import annotations

MARK = "≈"


def approximate(seconds: float) -> str:
    """A duration with a unit that fits, marked as measured.

    >>> approximate(0.00412)
    '≈4.12 ms'
    """
    if seconds == 0.0:
        return f"{MARK}0 s"
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{MARK}{seconds / size:.3g} {unit}"
    return f"{MARK}{seconds / 1e-9:.3g} ns"
