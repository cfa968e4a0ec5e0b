"""Indicators said but not yet computed: a formula, the fields that it reads, and how its outputs are named."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from toolkit.errors import InvalidParameter, InvalidWindow
from toolkit.kernels.jit import Kernel

FIELDS = "open", "high", "low", "close", "volume", "session_start"
MOST_ROOM = 2**25  # 2 GB for eight symbols


@dataclass(frozen=True)
class Formula:
    """What a kernel needs for one choice of windows.

    room: items of memory; lookback: bars before the first value of any output; warmup: of all outputs, the same if not said;
    reach: bars after which nothing older is felt, None where an average remembers everything; align: blocks of windows begin
    at multiples of it; into: NamedTuple of several outputs.
    """

    kernel: Kernel
    parameters: tuple[float, ...]
    room: int
    lookback: int
    reach: int | None = None
    align: int = 1
    into: type | None = None
    warmup: int | None = None

    def __post_init__(self) -> None:
        if self.warmup is None:
            object.__setattr__(self, "warmup", self.lookback)

    @property
    def n_outputs(self) -> int:
        """Outputs of the kernel."""
        return len(getattr(self.into, "_fields", ("",)))

    def check_room(self) -> None:
        """Raises InvalidWindow where the windows are beyond the memory of any history."""
        if self.room > MOST_ROOM:
            windows = ", ".join(f"{p:g}" for p in self.parameters)
            what = f"{self.kernel.name} with {windows} would carry {self.room:,} numbers for each symbol"
            raise InvalidWindow(what, f"choose shorter windows, together below {MOST_ROOM:,} bars")


@dataclass(frozen=True, repr=False)
class Indicator:
    """A declared indicator: what it is called, its formula, and what it reads: names of fields, or other indicators.

    output: the one that is meant, of several; None for all of them.
    """

    name: str = field(compare=False)
    formula: Formula
    inputs: tuple[str | Indicator, ...]
    output: str | None = None

    def __repr__(self) -> str:
        return self.name

    @property
    def into(self) -> type | None:
        """The NamedTuple of its outputs; None for a single one."""
        return self.formula.into if self.output is None else None

    @property
    def places(self) -> tuple[int, ...]:
        """Which outputs of the kernel are meant."""
        names: tuple[str, ...] = getattr(self.formula.into, "_fields", ("",))
        return tuple(range(len(names))) if self.output is None else (names.index(self.output),)

    @cached_property
    def lookback(self) -> int:
        """Bars before the first value of any output, where no price is missing."""
        return self.formula.lookback + self._before

    @cached_property
    def warmup(self) -> int:
        """Bars before the first one at which all outputs are known, where no price is missing."""
        return (self.formula.warmup or 0) + self._before

    @property
    def _before(self) -> int:
        return max((each.warmup for each in self.inputs if isinstance(each, Indicator)), default=0)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields that it reads, itself and through others, each once."""
        names: dict[str, None] = {}
        for each in self.inputs:
            names.update(dict.fromkeys([each] if isinstance(each, str) else each.fields))
        return tuple(names)

    def __getitem__(self, output: str) -> Indicator:
        """One of several outputs, e.g. macd()["signal"]; InvalidParameter for a name that is none."""
        names: tuple[str, ...] = getattr(self.into, "_fields", ())
        if output not in names:
            cure = f"outputs are {', '.join(names)}" if names else "use it as it is"
            raise InvalidParameter(f"{self.name} has no output {output!r}", cure)
        return replace(self, name=f"{self.name}[{output!r}]", output=output)

    def of(self, *inputs: str | Indicator) -> Indicator:
        """The same formula of other fields or of other indicators, one output each.

        InvalidParameter for a field that bars lack, or another count of inputs.
        """
        if len(inputs) != len(self.inputs):
            raise InvalidParameter(f"{self.name} reads {len(self.inputs)} inputs, {len(inputs)} are given", "name each")
        for each in inputs:
            if isinstance(each, Indicator):
                if each.into is not None:
                    names = each.into._fields  # type: ignore[attr-defined]
                    raise InvalidParameter(f"{each} has several outputs", f"pass one of them, e.g. {each}[{names[0]!r}]")
            elif not isinstance(each, str) or each not in FIELDS:
                what = f"{each!r}" if isinstance(each, str) else f"a {type(each).__name__}"
                raise InvalidParameter(f"{what} is neither a field nor an indicator", f"fields are {', '.join(FIELDS)}")
        return replace(self, name=f"{self.name} of {', '.join(map(str, inputs))}", inputs=inputs)
