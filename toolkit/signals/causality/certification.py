"""The causality certificate: does a strategy score a bar with anything that was not known at that bar?

Whoever trades has history up to the last bar and nothing else. So the score of every bar, computed from history up to that bar,
has to be the one that the full history gives there, to the last bit.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from toolkit.data.bars import Bars
from toolkit.data.places import state_folder
from toolkit.errors import InvalidParameter
from toolkit.signals.causality.certificate import Certificate, Leak, counted, packed
from toolkit.signals.causality.cutting import Cutting
from toolkit.signals.causality.identity import identity, versions
from toolkit.signals.causality.invariance import history_needed, level_leaks
from toolkit.signals.causality.prefixes import asked, differ, first_leaks, label, prefixed, unknowing
from toolkit.signals.causality.replayed import replayed
from toolkit.signals.conditions import Condition
from toolkit.signals.generator import Scoring, scored
from toolkit.signals.panels import panel
from toolkit.signals.strategies import Strategy, strategy_name

log = logging.getLogger(__name__)

ENOUGH = 20  # bars from the first score on: on one bar alone shift(-1) cannot be told from no opinion
FLAT = "no score differs from another: on these bars a leak would not show"
KEEPS = (
    "it keeps something between calls and so becomes another strategy: this is of what it was before; make it anew to trade it"
)
KEPT = "what it keeps between calls in a class, or an object of another package"


def certify(
    strategy: Scoring, bars: Bars, *, state: Path | str | Literal[False] | None = None, progress: bool = True
) -> Certificate:
    """Checks every bar of a strategy for look-ahead; says where it leaks, and how much history it needs.

    A plain function is called once for each bar, on history up to it, in memory of its own, and for a few of them before it was
    ever shown more. What it closes over, reads as globals or of the user's modules, or has as defaults and bound arguments is
    cut at the same bar, also in functions of the user's that it calls, in containers and in instances: frames, Series and Bars
    with labels in time (text and whole numbers yyyymmdd too, or a column named `date`), dicts by date, arrays and lists with
    one entry a bar. What is labelled by a date counts as known from it on. A declared strategy, or a condition as one, is
    streamed and compared with its batch, its rule asked again in another order, and again with what it holds cut. Both are
    asked again for the same bars, in other shares, and from other starts of history. Scores count as equal if they are to the
    bit. With fewer than ENOUGH bars from the first score on nothing passes.

    What is held and neither dated nor of one entry a bar stays whole: the certificate names all of it that has more than 64
    entries ("held, not cut"), also what classes hold. What cannot be seen: numbers fitted to later bars; what is read from
    files or the network, or by way of the interpreter (eval, gc, frames of the stack, `base` of a held array); constants in
    the code; leaks that no score of these bars shows.

    state: the folder where the certificate is kept (default: that of the project); False keeps nothing. progress: a bar for
    what takes more than a second. Raises StrategyFailed if it raises on the full history or scores no bar of it.
    """
    if not isinstance(bars, Bars):
        cure = "pass Bars, e.g. of Bars.from_frame(frame, symbol='XYZ')"
        raise InvalidParameter(f"{strategy_name(strategy)} is to be certified on a {type(bars).__name__}", cure)
    before = identity(strategy)
    if isinstance(strategy, Strategy | Condition):
        found = of_declared(strategy, bars)
    else:
        found = of_function(strategy, bars, before, progress)
    varied = np.unique(found.scores[~np.isnan(found.scores)]).size > 1
    remarks = (*[FLAT] * (not varied), *[KEEPS] * (identity(strategy) != before))
    certificate = Certificate(
        strategy_name(strategy), before, len(bars), bars.symbols, label(bars, 0), label(bars, -1), bars.fingerprint,
        tuple(found.leaks or short(found.scores, bars)), *found.history, versions(), found.held, found.uncut, remarks,
        isinstance(strategy, Strategy | Condition), packed(found.marks),
    )  # fmt: skip
    if state is not False:
        keep(certificate, state_folder() if state is None else Path(state))
    return certificate


def keep(certificate: Certificate, folder: Path) -> None:
    """Writes it; where that cannot be, the log says so and the certificate is still there."""
    try:
        certificate.write(folder)
    except InvalidParameter as error:
        log.warning("the certificate of %s is not kept: %s", certificate.strategy, error)


@dataclass(frozen=True)
class Found:
    """Scores (n_symbols, n_bars), what leaks and where, the history needed, and what was cut beside the bars or was not."""

    scores: np.ndarray
    leaks: list[Leak]
    marks: np.ndarray
    history: tuple[int | None, int | None] = (None, None)  # to the bit, and to rounding
    held: tuple[str, ...] = ()
    uncut: tuple[str, ...] = ()


def of_function(strategy: Scoring, bars: Bars, before: str, progress: bool) -> Found:
    """A plain function, asked after every bar."""
    name, cutting = strategy_name(strategy), Cutting(strategy, bars)
    early = unknowing(cutting, bars, name)
    uncut = (*cutting.uncut, *[KEPT] * (identity(strategy) != before))
    later = panel(scored(strategy, bars, name)).copy()
    if leaks := asked_again(strategy, bars, name, later):
        return Found(later, leaks, np.zeros(later.shape, bool), held=cutting.names)
    cutting.always = identity(strategy) != before  # it keeps something: each history gets it as it was at first
    then = prefixed(cutting, bars, name, later, early, progress)
    leaks = first_leaks("FUTURE", then.changed, then.scores, later, bars)
    leaks += first_leaks("RAISES", then.raised, np.full_like(later, np.nan), later, bars, then.notes)
    leaks += asked_again(strategy, bars, name, later)
    n = len(bars)
    then_whole, _ = asked(cutting.at(0, n), bars, name)  # without what a second frame holds beyond the last bar
    leaks += level_leaks(lambda other: asked(cutting.at(0, n), other, name), bars, then_whole)
    history = history_needed(lambda start: asked(cutting.at(start, n), bars.rows(start, n), name), then_whole, count=12)
    return Found(later, leaks, then.changed | then.raised, history, cutting.names, uncut)


def asked_again(strategy: Scoring, bars: Bars, name: str, later: np.ndarray) -> list[Leak]:
    """Where the same bars are scored otherwise when asked again."""
    again, raised = asked(strategy, bars, name)
    notes = dict.fromkeys(range(len(bars)), f"raised {raised}") if raised else {}
    return first_leaks("RANDOM", differ(later, again), later, again, bars, notes)


def short(scores: np.ndarray, bars: Bars) -> list[Leak]:
    """That there are fewer than ENOUGH bars from the first one with a score on, where it is so."""
    n = len(bars) - int(np.argmax((~np.isnan(scores)).any(axis=0)))
    note = f"{counted(n)} from the first score on, {ENOUGH} are needed"
    return [] if n >= ENOUGH else [Leak(label(bars, -1), bars.symbols[0], np.nan, np.nan, "SHORT", note)]


def of_declared(strategy: Strategy | Condition, bars: Bars) -> Found:
    """A declared strategy, streamed; a condition also as the function of all bars that it is."""
    twin = strategy if isinstance(strategy, Strategy) else strategy.strategy()
    cutting = Cutting(twin.rule, bars)
    scores, leaks, marks = replayed(twin, bars, cutting)
    if isinstance(strategy, Condition):
        batch, _ = asked(strategy, bars, twin.name)
        wrong = differ(scores, batch)
        notes: Any = dict.fromkeys(range(len(bars)), "bar by bar, and all at once")
        leaks, marks = leaks + first_leaks("FUTURE", wrong, scores, batch, bars, notes), marks | wrong
    if any(leak.kind == "RANDOM" for leak in leaks):
        return Found(scores, leaks, marks, held=cutting.names, uncut=cutting.uncut)
    leaks = leaks + level_leaks(lambda other: asked(twin, other, twin.name), bars, scores)
    n = len(bars)
    history = history_needed(lambda start: asked(twin, bars.rows(start, n), twin.name), scores, count=4)
    return Found(scores, leaks, marks, history, cutting.names, cutting.uncut)
