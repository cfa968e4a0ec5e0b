"""Frames of all kinds into every indicator: a result under the same labels, or a sentence; never anything else.

    python -m tests.fuzz [--frames 100000] [--seed 0]

`make soak` runs the hundred thousand, tests/test_fuzz.py a slice.
"""

from __future__ import annotations

import argparse
import inspect
import math
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data.adjust import FIELDS
from toolkit.data.bars import Bars
from toolkit.errors import ToolkitError
from toolkit.signals import indicators

PUBLIC = {name: getattr(indicators, name) for name in indicators.__all__ if name[0].islower()}
DTYPES = [
    "float64", "float64", "float64", "float32", "float16", ">f8", "int64", "int8", "uint16", "bool", "object", "mixed", "text",
    "category", "datetime64[ns]", "timedelta64[ns]", "complex128", "Int64", "Float64", "boolean", "double[pyarrow]",
    "int64[pyarrow]", "string[pyarrow]",
]  # fmt: skip
WINDOWS: list[Any] = [
    -1, 0, 1, 2, 3, 4, 5, 14, 20, 41, 1000, 2**40, 2**70, 10**400, 2.5, 3.0, "5", None, True, math.nan, math.inf, 0.5, 1e-9,
    -2.0, np.int64(5), np.float64(0.3), [3], (2, 3), {"a": 1},
]  # fmt: skip
DAYS = pd.bdate_range("2010-01-04", periods=60)  # of all frames; the longest has so many
COLUMNS = pd.Index(FIELDS)
STRANGE = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300, -1e308, 5e-324, 1e15, -7.0]


def column(rng: np.random.Generator, dtype: str, n: int) -> Any:
    """Values of one dtype."""
    values = 50.0 + np.cumsum(rng.normal(size=n))
    if rng.random() < 0.3:
        odd = rng.random(n) < 0.2
        values[odd] = rng.choice(STRANGE, n)[odd]
    if dtype == "object":
        return pd.array(values, dtype=object)
    if dtype == "mixed":
        return pd.array([str(v) if rng.random() < 0.5 else v for v in values], dtype=object)
    if dtype == "text":
        return pd.array([str(v) for v in values], dtype="str")
    whole = np.nan_to_num(values, nan=0.0, posinf=100.0, neginf=0.0).clip(0, 100).astype(int)
    if dtype in {"float64", "float32", "float16", ">f8", "complex128", "object"}:
        with np.errstate(all="ignore"):
            return values.astype(dtype)
    if dtype in {"Float64", "double[pyarrow]"}:
        return pd.array(np.where(np.isinf(values), 1.0, values), dtype=dtype)
    if dtype in {"Int64", "int64[pyarrow]", "boolean"}:
        made = pd.array(whole > 50 if dtype == "boolean" else whole, dtype=dtype)
        made[rng.random(n) < 0.1] = pd.NA
        return made
    if dtype in {"datetime64[ns]", "timedelta64[ns]"}:
        return whole.astype("i8").view(dtype)
    if dtype == "category":
        return pd.Categorical(whole)
    return pd.array(whole, dtype="string[pyarrow]") if dtype.startswith("string") else whole.astype(dtype)


def index(rng: np.random.Generator, n: int) -> pd.Index:
    days = DAYS[:n]
    kind = rng.integers(0, 10)
    if kind == 0:
        return days[rng.permutation(n)]
    if kind == 1 and n:
        return days[rng.integers(0, n, n)]
    if kind == 2:
        return pd.Index([f"t{i}" for i in range(n)])
    if kind == 3:
        return pd.MultiIndex.from_arrays([days, range(n)]) if n else days
    if kind == 4:
        return days.tz_localize("America/New_York")
    return pd.RangeIndex(n) if kind == 5 else days


def prices(rng: np.random.Generator) -> Any:
    """A Series, a frame, an array, or something that is none of them."""
    n, m = int(rng.choice([0, 1, 2, 3, 7, 40, 45])), int(rng.choice([0, 1, 2, 4]))
    kind = rng.integers(0, 12)
    if kind == 0:
        return [[1.0, 2.0], None, {"A": 1}, object(), pd.Index([1.0]), range(3)][rng.integers(0, 6)]
    if kind == 1:
        shape = [(n,), (n, m), (n, m, 2), ()][rng.integers(0, 4)]
        return (
            np.asarray(column(rng, "float64", int(np.prod(shape)))).reshape(shape)[:: int(rng.choice([1, -1, 2]))]
            if shape
            else np.float64(3)
        )
    if kind <= 5:
        return pd.Series(column(rng, str(rng.choice(DTYPES)), n), index=index(rng, n), name=rng.choice(["A", "", "close"]))
    names = ["A", "A", "B", "C"][:m] if rng.random() < 0.1 else ["A", "B", "C", "D"][:m]
    mixed = rng.random() < 0.3
    dtype = str(rng.choice(DTYPES))
    columns = [pd.Series(column(rng, str(rng.choice(DTYPES)) if mixed else dtype, n)) for _ in names]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(n))
    frame.columns = pd.Index(names)
    frame.index = index(rng, n)
    return frame if rng.random() < 0.7 else frame.iloc[:: int(rng.choice([1, 2, -1]))]


def bars(rng: np.random.Generator) -> Any:
    """Bars of a few symbols, or something that is none."""
    if rng.random() < 0.2:
        return prices(rng)
    n = int(rng.choice([1, 2, 5, 40, 60]))
    close = 50.0 * np.exp(np.cumsum(rng.normal(0, 0.02, (n, int(rng.choice([1, 2, 9])))), axis=0))
    days, frames = DAYS[:n], {}
    for i, c in enumerate(close.T):
        values = np.column_stack([c, c * 1.01, c * 0.99, c, np.full(n, 1e6)])
        values[rng.random(n) < 0.1] = np.nan
        frames[f"S{i}"] = pd.DataFrame(values, days, COLUMNS)
    return Bars.from_frame(frames)


def kept(value: Any) -> Any:
    return value.copy() if isinstance(value, pd.Series | pd.DataFrame | np.ndarray) else value


def unchanged(value: Any, before: Any) -> bool:
    if isinstance(value, pd.Series | pd.DataFrame):
        return bool(value.equals(before)) or repr(value.to_numpy().tolist()) == repr(before.to_numpy().tolist())
    return not isinstance(value, np.ndarray) or value.tobytes() == before.tobytes()


def fits(result: Any, data: Any) -> bool:
    """Whether the result is of the kind of the data, under its labels."""
    if isinstance(result, tuple):
        return all(fits(each, data) for each in result)
    if isinstance(data, np.ndarray):
        return isinstance(result, np.ndarray) and result.shape == data.shape and result.dtype == np.float64
    like = data.close if isinstance(data, Bars) else data
    labels = result.index is like.index or result.index.equals(like.index)
    if isinstance(like, pd.DataFrame):
        return labels and result.columns.equals(like.columns) and bool((result.dtypes == np.float64).all())
    return labels and result.name == like.name and result.dtype == np.float64


def attempt(seed: int, number: int) -> tuple[str, str]:
    """(outcome, what happened) of one call: `value`, `sentence`, or a violation."""
    rng = np.random.default_rng([seed, number])
    name = list(PUBLIC)[rng.integers(0, len(PUBLIC))]
    signature = list(inspect.signature(PUBLIC[name]).parameters.values())
    data = [p.name for p in signature if p.name in {"close", "bars", "x", "y"}]
    inputs = [bars(rng) if each == "bars" else prices(rng) for each in data]
    if len(inputs) == 2 and rng.random() < 0.7:
        inputs[1] = kept(inputs[0])
    required = [p for p in signature if p.name not in data]
    given = [WINDOWS[rng.integers(0, len(WINDOWS))] if rng.random() < 0.5 else int(rng.integers(1, 30)) for _ in required]
    before = [kept(each) for each in inputs]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = PUBLIC[name](*inputs, *given)
    except ToolkitError as error:
        outcome = "sentence", str(error)
    except Exception as error:
        return "VIOLATION", f"frame {number}: {name}{tuple(given)} raised {type(error).__name__}: {error}"
    else:
        if not fits(result, inputs[0]):
            return "VIOLATION", f"frame {number}: {name}{tuple(given)} returned other labels or another kind"
        outcome = "value", name
    if not all(map(unchanged, inputs, before)):
        return "VIOLATION", f"frame {number}: {name}{tuple(given)} changed its input"
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    counts: Counter[str] = Counter()
    for number in range(args.frames):
        outcome, said = attempt(args.seed, number)
        counts[outcome] += 1
        if outcome == "VIOLATION":
            print(said)
    print(f"{args.frames} frames: {dict(counts)}")
    return 1 if counts["VIOLATION"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
