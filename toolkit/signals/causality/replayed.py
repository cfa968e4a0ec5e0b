"""A declared strategy checked: its stream sees the past alone, so what is left is that stream and batch agree, and the rule.

Every value of every indicator, pushed bar by bar, has to be that of the full history. And a rule that keeps nothing answers
alike in whatever order it is asked: it is asked again from the last bar to the first, of the rows of the batch. A rule that
holds tables is asked a third time, each bar with what of these was known at it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from toolkit.data.bars import Bars
from toolkit.signals.causality.certificate import Leak
from toolkit.signals.causality.cutting import Cutting
from toolkit.signals.causality.prefixes import differ, first_leaks
from toolkit.signals.declared import field
from toolkit.signals.formula import FIELDS
from toolkit.signals.generator import known
from toolkit.signals.panels import panel
from toolkit.signals.strategies import Running, Strategy, asked, blank

Given = tuple[np.ndarray, ...]  # held, and the memory if there is one


def replayed(strategy: Strategy, bars: Bars, cutting: Cutting) -> tuple[np.ndarray, list[Leak], np.ndarray]:
    """Scores (n_symbols, n_bars), what leaks, and where."""
    batch = values(strategy, bars)
    given: list[Given] = []

    def recorded(now: Any, before: Any, *held: np.ndarray) -> Any:
        given.append(tuple(each.copy() for each in held))
        return strategy.rule(now, before, *held)

    scores = panel(known(Running(replace(strategy, rule=recorded), bars).scores(bars), strategy.name))
    leaks = streamed(strategy, bars, batch)
    again, note = reversed_order(strategy, bars, batch, given)
    wrong = differ(scores, again)
    if not leaks:  # a rule that is handed other rows may well answer otherwise
        leaks = first_leaks("RANDOM", wrong, scores, again, bars, note)
    if not leaks and cutting.names:
        then, note = reversed_order(strategy, bars, batch, given, cutting)
        wrong = differ(then, scores)
        leaks = first_leaks("FUTURE", wrong, then, scores, bars, note)
    return scores, leaks, wrong


def values(strategy: Strategy, bars: Bars) -> dict[str, np.ndarray]:
    """Every member over the full history, (n_outputs, n_symbols, n_bars)."""
    members = strategy.indicators
    computed = members.compute(bars, out=members.space(bars))
    return {name: computed.rows(name) for name in members.members}


def streamed(strategy: Strategy, bars: Bars, batch: dict[str, np.ndarray]) -> list[Leak]:
    """Where the stream gives other values than the batch: of each member the first."""
    ticker, n = strategy.indicators.stream(len(bars.symbols)), len(bars)
    rows = {name: np.empty((n, *values.shape[:2])) for name, values in batch.items()}
    block = {name: np.ascontiguousarray(field(bars, name).T) for name in ticker.fields}
    for t in range(n):
        for name, value in ticker.push({name: each[t] for name, each in block.items()}).items():
            rows[name][t] = value
    leaks = []
    for name, later in batch.items():
        then = rows[name].transpose(1, 2, 0)
        for output in range(len(later)):
            wrong = differ(then[output], later[output])
            notes = dict.fromkeys(range(n), f"indicator {name}") if wrong.any() else {}
            leaks += first_leaks("FUTURE", wrong, then[output], later[output], bars, notes)
    return leaks


def reversed_order(
    strategy: Strategy, bars: Bars, batch: dict[str, np.ndarray], given: list[Given], cutting: Cutting | None = None
) -> tuple[np.ndarray, dict[int, str]]:
    """Scores of the rule asked from the last bar to the first, and what it raised, by bar.

    A bar at which it leaves another memory than it did is one with other scores. With `cutting` each bar is asked of the rule
    that knows no later one.
    """
    names = dict.fromkeys([*FIELDS[:5], *(name for member in strategy.indicators.members.values() for name in member.fields)])
    fields = {name: np.ascontiguousarray(field(bars, name).T) for name in names}
    rows = {name: np.ascontiguousarray(values.transpose(2, 0, 1)) for name, values in batch.items()}
    kinds = {name: member.into for name, member in strategy.indicators.members.items()}

    def row(t: int) -> dict[str, Any]:
        members = {name: kinds[name](*each[t]) if kinds[name] else each[t, 0] for name, each in rows.items()}  # type: ignore[misc]
        return {**{name: each[t] for name, each in fields.items()}, **members}

    scores, notes = np.full((len(bars.symbols), len(bars)), np.nan), {}
    nothing = np.empty((0, len(bars.symbols)))
    for t in reversed(range(len(bars))):
        held, memory = (*given[t], nothing)[:2]
        now, then = row(t), replace(strategy, rule=cutting.at(0, t + 1)) if cutting else strategy
        try:
            answer, left = asked(then, now, row(t - 1) if t else blank(now), held, memory)
        except Exception as error:  # a rule is foreign code; it did not raise when it was asked in order
            notes[t] = f"raised {type(error).__name__}: {error}"
            continue
        if t + 1 < len(bars) and strategy.memory and differ(left, given[t + 1][1]).any():
            notes[t] = "it left another memory"
            continue
        scores[:, t] = answer
    return scores, notes
