"""Everything that is compiled, compiled ahead of its first use."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module

import numpy as np
from numba.core import types

from toolkit import kernels
from toolkit.kernels.jit import Kernel
from toolkit.kernels.lanes import lanes
from toolkit.kernels.program import Program, Step
from toolkit.kernels.stream import Stream
from toolkit.kernels.windows import mean


def every_kernel() -> list[Kernel]:
    """All kernels, by module and name."""
    found: dict[int, Kernel] = {}
    for module in pkgutil.iter_modules(kernels.__path__):
        for value in vars(import_module(f"toolkit.kernels.{module.name}")).values():
            if isinstance(value, Kernel):
                found[id(value)] = value
    return list(found.values())


def warmed() -> Iterator[str]:
    """Compiles one thing after the other, or loads it if it was compiled before, and yields its name."""
    for kernel in every_kernel():
        for kind in types.float64, lanes:
            kernel.address(kind)
        yield kernel.name
    yield drives()


def drives() -> str:
    """The ways to run kernels, each run once."""
    step = Step(mean, (0,), (1,), (2.0,), 7)
    x, out = np.ones((3, 400)), np.empty((1, 3, 400))
    Program(1, [step]).run([x], out)
    Program(1, [step]).row(x[0])
    Program(1, [step], reach=2, align=2).row(x[0])
    Stream(Program(1, [step]), 3).push(x[None, :, 0])
    return "panel, row, stretches, tick"
