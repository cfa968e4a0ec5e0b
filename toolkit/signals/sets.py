"""A declared set of indicators: computed together in one compiled pass over a universe, one by one, or bar by bar."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from toolkit.data.clock import Clock
from toolkit.errors import InvalidParameter
from toolkit.kernels.program import Program, Step, block
from toolkit.kernels.stream import Snapshot, Stream
from toolkit.signals.declared import Indicator, check_room, field, wrapped
from toolkit.signals.memory import Recent

if TYPE_CHECKING:
    from toolkit.data.bars import Bars

Members = tuple[Indicator, ...]


class IndicatorSet:
    """Indicators by name, `IndicatorSet({"fast": sma(5), "rsi": rsi(14)})`; called with Bars it gives their values.

    Values of the last `max_size` different bars are kept, told apart by their fingerprint, each for `ttl` seconds of `clock`
    (None: until displaced). Raises InvalidParameter for anything but declared indicators under names.
    """

    def __init__(self, members: Mapping[str, Indicator], *, clock: Clock | None = None, max_size: int = 16,
                 ttl: float | None = None) -> None:  # fmt: skip
        for name, member in members.items():
            if not isinstance(member, Indicator):
                cure = "declare it with its windows alone, e.g. sma(20)"
                raise InvalidParameter(f"{name!r} is a {type(member).__name__}, not an indicator", cure)
            for read in fields_of((member,)):
                if read in ("x", "y"):
                    raise InvalidParameter(f"{member} does not say what it reads", f'{name}={member}.of("close", "volume")')
        self.members = dict(members)
        self._recent: Recent[Values] = Recent(clock=clock, max_size=max_size, ttl=ttl)

    def __call__(self, bars: Bars) -> Values:
        """The values of these bars; each member is computed when it is first looked at."""
        return self._recent.get(bars.fingerprint, lambda: Values(self.members, bars))

    def compute(self, bars: Bars, out: np.ndarray | None = None) -> Values:
        """The values of these bars, all members in one pass, into `out` (n_outputs, n_symbols, n_bars) if given.

        With `out` nothing is kept: its next user may change it.
        """
        if out is None:
            return self(bars).together()
        return Values(self.members, bars).together(out)

    @property
    def n_outputs(self) -> int:
        """Outputs of all members together."""
        return sum(len(member.formula.outputs) for member in self.members.values())

    @property
    def lookback(self) -> int:
        """Bars before the first one at which every member is known, where no price is missing."""
        return max((lookback(member) for member in self.members.values()), default=0)

    def stream(self, n_symbols: int) -> Ticker:
        """The same members bar by bar, for a universe of `n_symbols`."""
        return Ticker(self.members, n_symbols)

    def clear_cache(self) -> None:
        """Forgets all values; the counts go on."""
        self._recent.clear()

    def stats(self) -> dict[str, float]:
        """Counts since the start (hits, misses, total_requests), size, and hit_rate, miss_rate [0..1], at first 0."""
        return self._recent.stats()

    def __repr__(self) -> str:
        return f"IndicatorSet({', '.join(f'{name}={member}' for name, member in self.members.items())})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{name}</td><td>{member}</td><td>{', '.join(fields_of((member,)))}</td><td>{lookback(member)}</td></tr>"
            for name, member in self.members.items()
        )
        return (
            f"<table><tr><th>name</th><th>indicator</th><th>reads</th><th>bars before the first value</th></tr>{rows}</table>"
        )


class Values(Mapping[str, Any]):
    """Frames (n_bars, n_symbols), or NamedTuples of them, by the name of the member; views of one block, made on first use."""

    def __init__(self, members: Mapping[str, Indicator], bars: Bars) -> None:
        self._members, self._bars = members, bars
        self._blocks: dict[str, np.ndarray] = {}
        self._frames: dict[str, Any] = {}

    def rows(self, name: str) -> np.ndarray:
        """The outputs of a member without labels, (n_outputs, n_symbols, n_bars), read-only."""
        if name not in self._members:
            raise InvalidParameter(f"the set has no member {name!r}", f"members are {', '.join(self._members)}")
        if name not in self._blocks:
            self._blocks[name] = read_only(computed((self._members[name],), self._bars))
        return self._blocks[name]

    def together(self, out: np.ndarray | None = None) -> Values:
        """Computes the members that are missing in one pass over the bars."""
        missing = {name: m for name, m in self._members.items() if name not in self._blocks}
        if missing:
            block, at = read_only(computed(tuple(missing.values()), self._bars, out)), 0
            for name, member in missing.items():
                self._blocks[name] = block[at : at + len(member.formula.outputs)]
                at += len(member.formula.outputs)
        return self

    def __getitem__(self, name: str) -> Any:
        if name not in self._frames:
            rows = self.rows(name)
            like = pd.DataFrame(rows[0].T, index=self._bars.index, columns=pd.Index(self._bars.symbols), copy=False)
            self._frames[name] = wrapped(self._members[name], rows, like)
        kept = self._frames[name]
        if isinstance(kept, tuple):
            return type(kept)(*[frame.copy(deep=False) for frame in kept])
        return kept.copy(deep=False)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"Values({', '.join(self)}: {len(self._bars):,} bars of {len(self._bars.symbols)} symbols)"


class Ticker:
    """A set bar by bar: each bar costs the same however many came before, and gives the bits that `compute` gives."""

    def __init__(self, members: Mapping[str, Indicator], n_symbols: int) -> None:
        self.members, self.fields = dict(members), fields_of(tuple(members.values()))
        program, self._wanted = programmed(tuple(members.values()))
        self._stream = Stream(program, n_symbols)

    @property
    def t(self) -> int:
        """Bars so far."""
        return self._stream.t

    def push(self, bar: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The members at the next bar, (n_symbols,) each, or a NamedTuple of them; bar: fields by name, (n_symbols,) each."""
        return self._named(self._stream.push(np.array([bar[name] for name in self.fields])))

    def peek(self, bar: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What `push` would give for a bar that is still forming; nothing is kept of it."""
        return self._named(self._stream.peek(np.array([bar[name] for name in self.fields])))

    def snapshot(self) -> Snapshot:
        """All that is remembered, for `restore`."""
        return self._stream.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Goes on from a snapshot of the same members and count of symbols."""
        if snapshot.memory.shape != self._stream.snapshot().memory.shape:
            raise InvalidParameter("the snapshot is of other members or symbols", "make the stream as it was made then")
        self._stream.restore(snapshot)

    def _named(self, outputs: np.ndarray) -> dict[str, Any]:
        rows, at, values = outputs[self._wanted], 0, {}
        for name, member in self.members.items():
            into, n = member.formula.into, len(member.formula.outputs)
            values[name] = rows[at] if into is None else into(*rows[at : at + n])
            at += n
        return values


# ------------------------------------------------------------------------------------------------------------- programs
def fields_of(members: Members) -> tuple[str, ...]:
    """The fields that the members read, each once, in the order of first use."""
    names: dict[str, None] = {}
    for member in members:
        for each in member.inputs:
            names.update(dict.fromkeys([each] if isinstance(each, str) else fields_of((each,))))
    return tuple(names)


def lookback(member: Indicator) -> int:
    """Bars before the first value, those of what it reads included."""
    return member.formula.lookback + max((lookback(i) for i in member.inputs if isinstance(i, Indicator)), default=0)


@functools.lru_cache(maxsize=128)
def programmed(members: Members) -> tuple[Program, list[int]]:
    """One program for all members, what they share computed once, and the numbers of their outputs in it."""
    fields = fields_of(members)
    slots: dict[tuple, tuple[int, ...]] = {}
    steps: list[Step] = []

    def placed(member: Indicator) -> tuple[int, ...]:
        formula, key = member.formula, (member.formula, member.inputs)
        check_room(formula)
        if key not in slots:
            inputs = tuple(fields.index(i) if isinstance(i, str) else placed(i)[0] for i in member.inputs)
            first = len(fields) + sum(len(step.outputs) for step in steps)
            slots[key] = tuple(range(first, first + len(formula.outputs)))
            steps.append(Step(formula.kernel, inputs, slots[key], formula.parameters, formula.room))
        return slots[key]

    wanted = [slot - len(fields) for member in members for slot in placed(member)]
    return Program(len(fields), steps), wanted


def computed(members: Members, bars: Bars, out: np.ndarray | None = None) -> np.ndarray:
    """Outputs of all members, (n_outputs, n_symbols, n_bars); NaN where the history is too short for any value."""
    shape = sum(len(m.formula.outputs) for m in members), len(bars.symbols), len(bars)
    out = block(*shape) if out is None else out
    side_by_side = out.flags.writeable and out.flags.aligned and (out.strides[-1] == 8 or out.shape[-1] < 2)
    if out.shape != shape or out.dtype != np.float64 or not side_by_side:
        raise InvalidParameter(f"out is {out.dtype} of shape {out.shape}", f"pass a writable float64 array of shape {shape}")
    able = tuple(m for m in members if lookback(m) < len(bars))
    of_able = [m in able for m in members for _ in m.formula.outputs]
    out[np.logical_not(of_able)] = np.nan
    if able:
        program, wanted = programmed(able)
        blocks = [block for block, its in zip(out, of_able, strict=True) if its]
        program.run([field(bars, name) for name in fields_of(able)], blocks, wanted)
    return out


def read_only(block: np.ndarray) -> np.ndarray:
    view = block.view()
    view.flags.writeable = False
    return view
