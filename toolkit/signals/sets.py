"""A declared set of indicators: computed together in one compiled pass over a universe, one by one, or bar by bar."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from toolkit.data.clock import Clock
from toolkit.data.work import phase
from toolkit.errors import InvalidParameter
from toolkit.kernels.program import Program, Step, block
from toolkit.kernels.stream import Snapshot, Stream
from toolkit.signals.declared import field, wrapped
from toolkit.signals.formula import FIELDS, Indicator
from toolkit.signals.memory import Recent
from toolkit.signals.panels import is_bars

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
        self.members = check_members(members)
        self._settings = max_size, ttl
        self._recent: Recent[Values] = Recent(clock=clock, max_size=max_size, ttl=ttl)

    def __reduce__(self) -> tuple[Any, ...]:  # to other processes go the members, not what was computed
        return functools.partial(IndicatorSet, max_size=self._settings[0], ttl=self._settings[1]), (self.members,)

    def __call__(self, bars: Bars) -> Values:
        """The values of these bars; each member is computed when it is first looked at."""
        if not is_bars(bars):
            cure = "pass Bars, e.g. of Bars.from_frame(frame, symbol='XYZ')"
            raise InvalidParameter(f"a set of indicators is given a {type(bars).__name__}", cure)
        return self._recent.get(bars, lambda: Values(self.members, bars))

    def compute(self, bars: Bars, out: np.ndarray | None = None) -> Values:
        """The values of these bars, all members in one pass, into `out` (n_outputs, n_symbols, n_bars) if given.

        With `out` nothing is kept: its next user may change it.
        """
        if out is None:
            return self(bars).together()
        return Values(self.members, bars).together(out)

    def space(self, bars: Bars) -> np.ndarray:
        """Memory for `compute(bars, out)`, to be used again and again: fresh memory has to be prepared page by page."""
        return block(self.n_outputs, len(bars.symbols), len(bars))

    @property
    def n_outputs(self) -> int:
        """Outputs of all members together."""
        return sum(len(member.places) for member in self.members.values())

    @property
    def lookback(self) -> int:
        """Bars before the first one at which every member is known, where no price is missing."""
        return max(member.warmup for member in self.members.values())

    def stream(self, universe: int | Bars) -> Ticker:
        """The same members bar by bar, for a number of symbols from nothing on, or going on from the last of some bars."""
        known: Any = universe
        if is_bars(known):
            ticker = Ticker(self.members, len(known.symbols))
            for bar in bars_of(known, ticker.fields):
                ticker.push(bar)
            return ticker
        if isinstance(universe, bool) or not isinstance(universe, int | np.integer) or universe < 1:
            raise InvalidParameter(
                f"a stream is for {universe!r} symbols", "pass a number of at least 1, or Bars to go on from"
            )
        return Ticker(self.members, int(universe))

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
            f"<tr><td>{name}</td><td>{member}</td><td>{', '.join(member.fields)}</td><td>{member.warmup}</td></tr>"
            for name, member in self.members.items()
        )
        return f"<table><tr><th>name</th><th>indicator</th><th>reads</th><th>bars before all values</th></tr>{rows}</table>"


class Values(Mapping[str, Any]):
    """Frames (n_bars, n_symbols), or NamedTuples of them, by the name of the member; views of one block, made on first use."""

    def __init__(self, members: Mapping[str, Indicator], bars: Bars) -> None:
        self._members, self._bars = members, bars
        self._blocks: dict[str, np.ndarray] = {}
        self._frames: dict[str, Any] = {}

    def rows(self, name: str) -> np.ndarray:
        """The outputs of a member without labels, (n_outputs, n_symbols, n_bars), read-only."""
        if not isinstance(name, str) or name not in self._members:
            raise InvalidParameter(f"the set has no member {name!r}", f"members are {', '.join(self._members)}")
        if name not in self._blocks:
            self._blocks[name] = read_only(computed((self._members[name],), self._bars), ours=True)
        return self._blocks[name]

    def together(self, out: np.ndarray | None = None) -> Values:
        """Computes the members that are missing in one pass over the bars."""
        missing = {name: m for name, m in self._members.items() if name not in self._blocks}
        if missing:
            block, at = read_only(computed(tuple(missing.values()), self._bars, out), ours=out is None), 0
            for name, member in missing.items():
                self._blocks[name] = block[at : at + len(member.places)]
                at += len(member.places)
        return self

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str) or name not in self._frames:
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
        return self._named(self._stream.push(self._fields(bar)))

    def peek(self, bar: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What `push` would give for a bar that is still forming; nothing is kept of it."""
        return self._named(self._stream.peek(self._fields(bar)))

    def _fields(self, bar: Mapping[str, np.ndarray]) -> np.ndarray:
        missing = [name for name in self.fields if name not in bar]
        if missing:
            raise InvalidParameter(f"the bar has no {missing[0]}", f"pass {', '.join(self.fields)} by name, one value a symbol")
        try:
            fields = np.array([np.asarray(bar[name], dtype=np.float64) for name in self.fields])
        except (TypeError, ValueError):
            fields = np.empty(0)
        if fields.shape != (len(self.fields), self._stream.n_rows):
            what = f"the bar has {', '.join(f'{name}: {np.shape(bar[name])}' for name in self.fields)}"
            raise InvalidParameter(what, f"pass numbers of shape ({self._stream.n_rows},) for each field")
        return fields

    def snapshot(self) -> Snapshot:
        """All that is remembered, for `restore`."""
        return self._stream.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Goes on from a snapshot of the same members and count of symbols."""
        if not isinstance(snapshot, Snapshot) or snapshot.of != self._stream.of:
            raise InvalidParameter("the snapshot is of other members or symbols", "make the stream as it was made then")
        self._stream.restore(snapshot)

    def __repr__(self) -> str:
        return f"Ticker({', '.join(self.members)}: {self._stream.n_rows} symbols, {self.t:,} bars)"

    def _named(self, outputs: np.ndarray) -> dict[str, Any]:
        rows, at, values = outputs[self._wanted], 0, {}
        for name, member in self.members.items():
            into, n = member.into, len(member.places)
            values[name] = rows[at] if into is None else into(*rows[at : at + n])
            at += n
        return values


# ------------------------------------------------------------------------------------------------------------- programs
def check_members(members: Mapping[str, Indicator]) -> dict[str, Indicator]:
    """The members; InvalidParameter for anything but declared indicators, of known fields, under names that are no fields."""
    if not isinstance(members, Mapping) or not members:
        raise InvalidParameter(f"members are {members!r}", 'name declared indicators, e.g. IndicatorSet({"fast": sma(5)})')
    for name, member in members.items():
        if not isinstance(member, Indicator):
            cure = "declare it with its windows alone, e.g. sma(20)"
            raise InvalidParameter(f"{name!r} is a {type(member).__name__}, not an indicator", cure)
        if name in FIELDS:
            raise InvalidParameter(f"a member is named {name!r}, as a field of bars", "choose another name")
        if not set(member.fields) <= set(FIELDS):
            raise InvalidParameter(f"{member} does not say what it reads", f'declare e.g. {member}.of("close", "volume")')
    return dict(members)


def fields_of(members: Members) -> tuple[str, ...]:
    """The fields that the members read, each once, in the order of first use."""
    return tuple(dict.fromkeys(name for member in members for name in member.fields))


def bars_of(bars: Bars, names: Iterable[str], first: int = 0) -> Iterator[dict[str, np.ndarray]]:
    """The fields of the bars from `first` on, bar by bar, (n_symbols,) each, contiguous."""
    block = np.stack([field(bars, name)[:, first:] for name in names]).transpose(2, 0, 1).copy()
    return (dict(zip(names, row, strict=True)) for row in block)


@functools.lru_cache(maxsize=128)
def programmed(members: Members) -> tuple[Program, list[int]]:
    """One program for all members, what they share computed once, and the numbers of their outputs in it."""
    fields = fields_of(members)
    slots: dict[tuple, tuple[int, ...]] = {}
    steps: list[Step] = []

    def placed(member: Indicator) -> tuple[int, ...]:
        formula, key = member.formula, (member.formula, member.inputs)
        formula.check_room()
        if key not in slots:
            inputs = tuple(fields.index(i) if isinstance(i, str) else placed(i)[0] for i in member.inputs)
            first = len(fields) + sum(len(step.outputs) for step in steps)
            slots[key] = tuple(range(first, first + formula.n_outputs))
            steps.append(Step(formula.kernel, inputs, slots[key], formula.parameters, formula.room))
        return tuple(slots[key][place] for place in member.places)

    wanted = [slot - len(fields) for member in members for slot in placed(member)]
    return Program(len(fields), steps), wanted


@phase("kernels")
def computed(members: Members, bars: Bars, out: np.ndarray | None = None) -> np.ndarray:
    """Outputs of all members, (n_outputs, n_symbols, n_bars); NaN where the history is too short for any value."""
    shape = sum(len(m.places) for m in members), len(bars.symbols), len(bars)
    out = block(*shape) if out is None else out
    side_by_side = out.flags.writeable and out.flags.aligned and (out.strides[-1] == 8 or out.shape[-1] < 2)
    if out.shape != shape or out.dtype != np.float64 or not side_by_side:
        raise InvalidParameter(f"out is {out.dtype} of shape {out.shape}", f"pass a writable float64 array of shape {shape}")
    able = tuple(m for m in members if m.lookback < len(bars))
    of_able = [m.lookback < len(bars) for m in members for _ in m.places]
    out[np.logical_not(of_able)] = np.nan
    if able:
        program, wanted = programmed(able)
        blocks = [block for block, its in zip(out, of_able, strict=True) if its]
        program.run([field(bars, name) for name in fields_of(able)], blocks, wanted)
    return out


def read_only(block: np.ndarray, ours: bool) -> np.ndarray:
    """A view that cannot be written; what is ours can then be written by nobody."""
    if ours and block.base is not None:
        block.base.flags.writeable = False
    view = block.view()
    view.flags.writeable = False
    return view
