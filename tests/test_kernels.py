"""Promises of the kernels: one panel, row by row, bar by bar, cut anywhere: the same bits, whatever the prices are."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pytest
from every import EVERY
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding, ir

from conftest import random_bars
from toolkit.kernels import drive, lanes, program, tiles
from toolkit.kernels.jit import EXACT, Kernel
from toolkit.kernels.stream import Stream
from toolkit.signals import indicators, sma
from toolkit.signals.declared import alone, field
from toolkit.signals.panels import panel

GUARD = 1234.5
HOSTILE = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e15, 1e-300, 1.7e308, -3.0]


def bits(values):
    """Numbers as integers, so that not even the sign of a zero may differ; one NaN for all."""
    values = np.array(values)
    values[np.isnan(values)] = np.nan
    return values.view(np.int64)


def same(a, b):
    np.testing.assert_array_equal(bits(a), bits(b))


def panel_of(seed, n_rows, n_bars, n_fields, hostile=0.05):
    """Prices with gaps, flat stretches, rows that begin late, and values that no price has."""
    rng = np.random.default_rng(seed)
    x = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, (n_rows, n_bars)), axis=1))
    fields = np.stack([x * (1.0 + 0.01 * rng.standard_normal(x.shape)) for _ in range(n_fields)])
    for row in range(n_rows):
        if rng.random() < 0.3:
            begin = rng.integers(0, n_bars)
            fields[:, row, begin : begin + rng.integers(0, 12)] = fields[:, row, begin : begin + 1]
        if rng.random() < 0.3:
            fields[:, row, : rng.integers(0, n_bars)] = np.nan
    spoiled = rng.random(fields.shape) < hostile * (rng.random((1, n_rows, 1)) < 0.5)
    fields[spoiled] = rng.choice(HOSTILE, fields.shape)[spoiled]
    return fields


def program_of(name):
    declared = EVERY[name]
    return alone(declared.formula, len(declared.inputs))


def run(p, fields, **options):
    out = np.full((p.n_outputs, *fields[0].shape), -7.0)
    p.run(list(fields), out, **options)
    return out


def test_the_table_of_every_indicator_is_complete():
    public = {name for name in indicators.__all__ if name[0].islower()}
    assert {name.split(",")[0] for name in EVERY} == public


@pytest.mark.parametrize("name", EVERY)
def test_the_first_values_come_when_it_is_said(name):
    p, formula, bars = program_of(name), EVERY[name].formula, random_bars(5, n_symbols=1, n_bars=60, halts=False)
    names = ("high", "low") if EVERY[name].inputs == ("x", "y") else EVERY[name].inputs
    there = np.isfinite(run(p, [field(bars, each) for each in names])[:, 0])
    assert np.argmax(there.any(axis=0)) == formula.lookback
    assert np.argmax(there.all(axis=0)) == formula.warmup


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=12)
@given(seed=st.integers(0, 2**20), n_rows=st.integers(3, 19), n_bars=st.integers(1, 90))
def test_rows_of_a_panel_are_computed_as_if_alone(name, seed, n_rows, n_bars):
    p = program_of(name)
    fields = panel_of(seed, n_rows, n_bars, p.n_fields)
    block = run(p, fields)
    for row in range(n_rows):
        same(p.row(*fields[:, row]), block[:, row])
    same(run(p, fields, threads=3), block)
    same(run(p, fields[:, ::2]), block[:, ::2])


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("n_bars", [1, 7, 8, 65, 96, 512])
def test_what_is_written_past_the_cache_is_the_same(name, n_bars, monkeypatch):
    p = program_of(name)
    fields = panel_of(n_bars, 17, n_bars, p.n_fields)
    expected, out = run(p, fields), program.block(p.n_outputs, 17, n_bars)
    monkeypatch.setattr(program, "LARGE", -1)
    p.run(list(fields), out, threads=2)
    same(out, expected)


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**20), n_bars=st.integers(400, 1100))
def test_a_row_that_is_cut_into_stretches_is_the_row(name, seed, n_bars):
    p = program_of(name)
    fields = panel_of(seed, 1, n_bars, p.n_fields, hostile=0.01)[:, 0]
    same(p.row(*fields), program.Program(p.n_fields, p.steps).row(*fields))


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=12)
@given(seed=st.integers(0, 2**20), n_rows=st.integers(1, 11), n_bars=st.integers(1, 70), data=st.data())
def test_bar_by_bar_gives_the_bits_of_the_batch(name, seed, n_rows, n_bars, data):
    p = program_of(name)
    fields = panel_of(seed, n_rows, n_bars, p.n_fields)
    block, stream = run(p, fields), Stream(p, n_rows)
    pause = data.draw(st.integers(0, n_bars - 1))
    for t in range(n_bars):
        if t == pause:
            kept = stream.snapshot()
            same(stream.peek(fields[:, :, t]), block[:, :, t])
            stream.push(np.full((p.n_fields, n_rows), 77.0))
            stream = Stream(p, n_rows)
            stream.restore(kept)
        same(stream.push(fields[:, :, t]), block[:, :, t])


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=12)
@given(seed=st.integers(0, 2**20), n_rows=st.integers(1, 9), n_bars=st.integers(2, 90), data=st.data())
def test_more_history_changes_no_earlier_bit(name, seed, n_rows, n_bars, data):
    p = program_of(name)
    fields = panel_of(seed, n_rows, n_bars, p.n_fields)
    cut = data.draw(st.integers(1, n_bars - 1))
    same(run(p, fields[:, :, :cut]), run(p, fields)[:, :, :cut])


@pytest.mark.parametrize("name", [name for name, each in EVERY.items() if each.formula.reach is not None])
@settings(max_examples=12)
@given(seed=st.integers(0, 2**20), bad=st.sampled_from(HOSTILE), at=st.integers(0, 40))
def test_a_window_feels_nothing_that_lies_outside_of_it(name, seed, bad, at):
    p = program_of(name)
    fields = panel_of(seed, 3, 90, p.n_fields, hostile=0.0)
    fields = np.where(np.isnan(fields), 50.0, fields)
    spoiled = fields.copy()
    spoiled[:, :, at] = bad
    after, healthy = run(p, spoiled), run(p, fields)
    same(after[:, :, at + p.reach :], healthy[:, :, at + p.reach :])
    same(after[:, :, :at], healthy[:, :, :at])


@pytest.mark.parametrize("nothing", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", EVERY)
def test_of_nothing_comes_nothing(name, nothing):
    p = program_of(name)
    assert np.isnan(run(p, np.full((p.n_fields, 9, 40), nothing))).all()


def tick(p, fields, guarded):
    """One bar of `p`, in a memory that goes on behind its own."""
    guarded._board[: p.n_fields] = fields
    drive.tick(p.wide, guarded._board, guarded._memory, guarded.t, guarded._aside)
    guarded.t += 1


@pytest.mark.parametrize("name", EVERY)
def test_a_kernel_stays_within_its_memory(name):
    """Three of a kind, one behind the other in memory: who reads or writes beyond its own is felt by its neighbour."""
    p = program_of(name)
    (step,) = p.steps
    thrice = [step._replace(outputs=tuple(p.n_fields + i * p.n_outputs + o for o in range(p.n_outputs))) for i in range(3)]
    three = program.Program(p.n_fields, thrice)
    guarded = Stream(program.Program(p.n_fields, [step._replace(room=step.room + 40)]), 8)
    lanes_of = guarded._memory.reshape(1, -1, 8)
    for bar in panel_of(7, 8, 90, p.n_fields).transpose(2, 0, 1):
        lanes_of[:, step.room :] = GUARD
        tick(p, bar, guarded)
        assert (lanes_of[:, step.room :] == GUARD).all()
    for n_bars in (3, 64, 131):
        fields = panel_of(n_bars, 11, n_bars, p.n_fields)
        expected = np.concatenate([run(p, fields)] * 3)
        same(run(three, fields), expected)
        same(three.row(*fields[:, 0]), expected[:, 0])


@pytest.mark.parametrize("name", EVERY)
def test_a_kernel_writes_nothing_but_its_outputs(name):
    p = program_of(name)
    fields = panel_of(1, 9, 61, p.n_fields)
    before, frozen = fields.tobytes(), fields.view()
    frozen.flags.writeable = False
    run(p, frozen)
    p.row(*frozen[:, 0])
    assert fields.tobytes() == before


def test_a_flat_stretch_of_twenty_thousand_bars_decays_to_exactly_zero():
    """An average of nothing would linger among denormals, where a processor is slow; they are taken for zero."""
    x = np.concatenate([50.0 + np.arange(30.0) % 7, np.full(20_000, 50.0)])
    assert abs(alone(EVERY["rsi"].formula, 1).row(x)[0, 400]) > 0.0
    assert alone(EVERY["rsi"].formula, 1).row(x)[0, -1] == 50.0  # neither gains nor losses are left
    run(program_of("rsi"), np.tile(x[:500], (1, 9, 1)), threads=1)
    assert (np.array([5e-324]) * 1.0).tobytes() == np.array([5e-324]).tobytes()  # the mode of the thread is what it was


@pytest.mark.parametrize(("kind", "sets"), [("aarch64", "msr\tFPCR"), ("x86_64", "ldmxcsr")])
def test_denormals_are_flushed_by_one_instruction_of_either_processor(kind, sets):
    module = ir.Module()
    module.triple = f"{kind}-unknown-linux-gnu"
    builder = ir.IRBuilder(ir.Function(module, ir.FunctionType(ir.VoidType(), []), "f").append_basic_block())
    tiles.write_mode(builder, tiles.machine(module.triple), tiles.read_mode(builder, kind))
    builder.ret_void()
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target = binding.Target.from_triple(module.triple).create_target_machine()
    assert sets in target.emit_assembly(binding.parse_assembly(str(module)))


def test_a_kernel_compiles_once_whatever_the_memory_it_is_given(monkeypatch):
    compiled = []
    monkeypatch.setattr(Kernel, "_compiled", lambda self, kind: compiled.append((self.name, kind)) or original(self, kind))
    block = np.arange(720.0).reshape(3, 240)
    frozen = block.copy()
    frozen.flags.writeable = False
    for close in (
        pd.DataFrame(block.T, copy=False),
        pd.DataFrame(frozen.T, copy=False),
        pd.DataFrame(block.T).iloc[::3, ::2],
        pd.DataFrame(np.ascontiguousarray(block.T), copy=False),
        pd.Series(block[1]).iloc[::2],
        pd.DataFrame(block.T).astype("float32"),
        block.T,
        block[0],
    ):
        sma(close, 5)
    assert len(compiled) == len(set(compiled))


original = Kernel._compiled


def test_memory_that_is_not_aligned_is_copied():
    """Numba takes every array for aligned; a mapped file or a slice of bytes need not be."""
    shifted = pd.Series(np.frombuffer(b"x" + np.arange(80.0).tobytes(), offset=1), copy=False)
    assert not shifted.to_numpy().flags.aligned and panel(shifted).flags.aligned
    assert sma(shifted, 2).tolist()[1:] == (np.arange(79.0) + 0.5).tolist()


def test_bars_reach_a_kernel_without_a_copy_and_cannot_be_written(bundled):
    for bars in bundled, bundled.until(bundled.index[1000]):
        rows = panel(bars.close)
        assert np.shares_memory(rows, bundled.field(3)) and not rows.flags.writeable


IN_BOUNDS = """
import sys
sys.path.insert(0, "tests")
from toolkit.kernels.jit import Kernel
import toolkit.signals
from test_kernels import EVERY, panel_of, program_of, run
from toolkit.kernels.stream import Stream
import numpy as np
assert not any("_lanes" in vars(k.formula.kernel) or "_single" in vars(k.formula.kernel) for k in EVERY.values())
for name in EVERY:
    p = program_of(name)
    for n_bars in (1, 2, 3, 5, 8, 31, 33, 300):
        fields = panel_of(n_bars, 9, n_bars, p.n_fields)
        run(p, fields)
        p.row(*fields[:, 0])
    stream = Stream(p, 9)
    for t in range(20):
        stream.push(fields[:, :, t])
"""


def test_importing_compiles_nothing_and_no_kernel_leaves_its_arrays(tmp_path):
    """In a process of its own, with numba's bounds checks and a cache folder of its own."""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", IN_BOUNDS], env=environment, cwd=root, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0 and "IndexError" not in done.stderr, done.stderr


@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100), st.floats(-1e100, 1e100))
@settings(max_examples=300)
def test_fma_rounds_once(a, b, c):
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0 or abs(exact) > Fraction(1, 2**1000):
        assert one_fma(a, b, c) == float(exact)


@numba.njit(**EXACT)
def one_fma(a, b, c):
    return lanes.fma(a, b, c)
