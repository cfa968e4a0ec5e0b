"""Fingerprints that go on from earlier bars are those that begin with nothing, whatever has changed in between."""

import gc
import hashlib
from dataclasses import replace
from weakref import ref

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.data import Bars
from toolkit.data.adjust import ACTION
from toolkit.data.bars import NO_WHOLE

N, SYMBOLS = 30, ("A", "B", "C")
LABELS = pd.date_range("2012-01-02", periods=N, freq="D")


def defined(bars: Bars) -> list[bytes]:
    """The chain by its definition, one update after the other."""
    name = "|".join((*bars.symbols, bars.interval, bars.calendar, bars.currency, bars.anchor.isoformat()))
    digests = [hashlib.blake2b(name.encode(), digest_size=16).digest()]
    for bar, label in enumerate(bars.index.as_unit("ns").asi8):
        digest = hashlib.blake2b(digests[-1], digest_size=16)
        digest.update(np.int64(label).tobytes())
        for block in bars.traded, bars.scale:
            for value in block[:, :, bar].ravel():
                digest.update((np.float64(np.nan) if np.isnan(value) else value).tobytes())
        for own, symbol, split, dividend in bars.actions.tolist():
            if own == bar:
                digest.update(repr((symbol, split, dividend)).encode())
        digests.append(digest.digest())
    return digests


def made(seed: int, n: int = N, symbols: tuple[str, ...] = SYMBOLS) -> Bars:
    """Bars with halts, some zeros and some actions."""
    random = np.random.default_rng(seed)
    traded = random.integers(-2, 3, (5, len(symbols), n)).astype(float)
    traded[traded == -2.0] = np.nan
    actions = np.zeros(6, ACTION)
    actions["bar"], actions["symbol"] = np.sort(random.integers(0, n, 6)), random.integers(0, len(symbols), 6)
    actions["split"], actions["dividend"] = 2.0, random.integers(0, 3, 6) / 8
    return Bars(symbols, LABELS[:n], traded, random.integers(1, 4, (2, len(symbols), n)).astype(float), actions)


def cut(bars: Bars, n: int) -> Bars:
    """The first `n` bars, in memory of their own, with nothing computed."""
    part = bars._first(n)
    arrays = {"traded": part.traded.copy(), "scale": part.scale.copy(), "actions": part.actions.copy()}
    return replace(part, **arrays, whole=NO_WHOLE)


CHANGES = (
    "nothing",
    "price",
    "sign of a zero",
    "scale",
    "scale before",
    "dividend",
    "action gone",
    "action more",
    "universe",
    "label",
)


def changed(bars: Bars, what: str, at: int) -> Bars:
    """The bars with one thing changed at bar `at`."""
    traded, scale, actions, index, symbols = (
        bars.traded.copy(),
        bars.scale.copy(),
        bars.actions.copy(),
        bars.index,
        bars.symbols,
    )
    if what == "price":
        traded[3, 1, at] = 77.0
    elif what == "sign of a zero":
        traded[3, 1, at] = np.copysign(0.0, -np.copysign(1.0, traded[3, 1, at]))
    elif what == "scale":
        scale[0, 2, at] *= 0.5
    elif what == "scale before":  # a split: all that was before it
        scale[:, 2, :at] *= 0.5
    elif what == "dividend":
        actions["dividend"][at % len(actions)] += 0.25
    elif what == "action gone":
        actions = np.delete(actions, at % len(actions))
    elif what == "action more":
        actions = np.sort(np.append(actions, np.array([(at, 0, 3.0, 0.0)], ACTION)), order=("bar", "symbol"))
    elif what == "universe":
        symbols = (*SYMBOLS[:2], "D")
    elif what == "label":
        index = index[:at].append(index[at:] + pd.Timedelta("60D"))
    return replace(bars, symbols=symbols, index=index, traded=traded, scale=scale, actions=actions, whole=NO_WHOLE)


@settings(max_examples=300)
@given(st.integers(0, 50), st.integers(0, N), st.integers(0, N), st.sampled_from(CHANGES), st.integers(0, N - 1))
def test_digests_that_go_on_from_earlier_bars_are_those_from_nothing(seed, before, after, what, at):
    bars = made(seed)
    earlier, later = cut(bars, before), cut(changed(bars, what, at), after)
    assert earlier.whole.chain == defined(earlier)  # hashed, and gone on from below
    assert later.whole.chain == defined(later)
    again = cut(bars, N)
    assert again.whole.chain == defined(again)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, N - 1), st.integers(0, N)), max_size=6))
def test_so_they_are_through_a_long_life_of_changes(steps):
    bars, kept = made(1), []
    for what, at, n in steps:
        bars = changed(bars, what, at)
        kept.append(cut(bars, n))
        assert kept[-1].whole.chain == defined(kept[-1])


def test_one_more_bar_hashes_one_bar(monkeypatch):
    hashed = []
    real = hashlib.blake2b
    monkeypatch.setattr("toolkit.data.chain.hashlib.blake2b", lambda *a, **k: hashed.append(1) or real(*a, **k))
    bars = made(2)
    earlier = cut(bars, N - 1)
    assert len(earlier.whole.chain) == N
    assert len(hashed) == N  # the name, and N - 1 bars
    later = cut(bars, N)
    assert later.whole.chain[-2] == earlier.whole.chain[-1]
    assert len(hashed) == N + 1


def test_bars_that_are_gone_are_not_kept_for_their_digests():
    bars = made(3)
    assert len(bars.whole.chain) == N + 1
    whole = ref(bars.whole)
    del bars
    gc.collect()
    assert whole() is None


def test_many_symbols_are_laid_out_block_by_block(monkeypatch):
    monkeypatch.setattr("toolkit.data.chain.BLOCK", 1000)  # 4 bars
    bars = made(4)
    assert bars.whole.chain == defined(bars)


def test_before_the_first_bar_there_is_the_name_alone():
    nothing = cut(made(5), 0)
    assert nothing.whole.chain == defined(nothing) == cut(made(6), 0).whole.chain
