"""A plain strategy asked after every bar: the scores from history up to the bar, beside those from the full history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from tqdm.auto import tqdm

from toolkit.data.bars import Bars
from toolkit.data.intervals import dated
from toolkit.signals.causality.apart import apart
from toolkit.signals.causality.certificate import Leak
from toolkit.signals.causality.cutting import Cutting
from toolkit.signals.generator import Scoring, check_scores
from toolkit.signals.panels import panel

EARLY = 8
Answers = list[tuple[int, np.ndarray, str]]  # bars of history, scores (n_symbols, bars), and what was raised


@dataclass(frozen=True)
class Then:
    """Where scores from history up to a bar are others than later ones, (n_symbols, n_bars), and what they were."""

    changed: np.ndarray
    raised: np.ndarray
    scores: np.ndarray
    notes: dict[int, str] = field(default_factory=dict)  # what was raised, by bar


def unknowing(cutting: Cutting, bars: Bars, name: str) -> Answers:
    """Answers to EARLY prefixes, the shortest first; asked before the full history, since what has seen it may remember it."""
    lengths = np.unique(np.linspace(0, len(bars), EARLY + 2).astype(int)[1:-1])
    return [(n, *asked(cutting.copied(0, n), apart(bars, n), name)) for n in lengths.tolist() if n]


def prefixed(cutting: Cutting, bars: Bars, name: str, later: np.ndarray, early: Answers, progress: bool) -> Then:
    """Asks once for each bar; all scores up to the bar count, not the last alone: what is past must not be told anew."""
    found = Then(np.zeros(later.shape, bool), np.zeros(later.shape, bool), later.copy())
    every = tqdm(range(1, len(bars) + 1), f"certify {name}", unit="bar", leave=False, disable=not progress, delay=1.0)
    now = ((n, *asked(cutting.at(0, n), apart(bars, n), name)) for n in every)
    for n, then, error in chain(now, early):
        if error:
            found.raised[:, n - 1] = ~np.isnan(later[:, n - 1])
            found.notes[n - 1] = error
            continue
        wrong = differ(then, later[:, :n])
        if wrong.any():
            fresh = wrong & ~found.changed[:, :n]
            found.scores[:, :n][fresh] = then[fresh]
            found.changed[:, :n] |= wrong
    return found


def asked(strategy: Scoring, bars: Bars, name: str) -> tuple[np.ndarray, str]:
    """The scores of a strategy, (n_symbols, n_bars), and ""; NaN and what was raised where it raises."""
    try:
        return panel(check_scores(strategy(bars), bars, name)), ""
    except Exception as error:  # a strategy is foreign code, and that it raises is what is asked
        return np.full((len(bars.symbols), len(bars)), np.nan), f"{type(error).__name__}: {error}"


def differ(a: np.ndarray, b: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
    """Where two arrays differ; NaN is like NaN, and a zero like a zero of the other sign."""
    same = (a == b) if tolerance == 0.0 else np.abs(a - b) <= tolerance
    return ~(same | (np.isnan(a) & np.isnan(b)))


def first_leaks(
    kind: str, wrong: np.ndarray, then: np.ndarray, later: np.ndarray, bars: Bars, notes: Mapping[int, str] | None = None
) -> list[Leak]:
    """The first bar of each symbol where `wrong`, (n_symbols, n_bars); the earliest comes first."""
    firsts = sorted((int(np.argmax(row)), symbol) for symbol, row in enumerate(wrong) if row.any())
    return [
        Leak(label(bars, at), bars.symbols[s], float(then[s, at]), float(later[s, at]), kind, (notes or {}).get(at, ""))
        for at, s in firsts
    ]


def label(bars: Bars, at: int) -> str:
    """A bar as one writes it: its date, or its minute in UTC."""
    return str(bars.index[at])[: 10 if dated(bars.interval) else 16]
