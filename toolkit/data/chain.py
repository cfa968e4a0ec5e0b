"""The chain of fingerprints: a digest a bar, over the one before and all that the bar holds; one more bar extends it."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

BLOCK = 1 << 20  # bytes of rows that are laid out at a time


class Held(NamedTuple):
    """What the digests are over: labels (n_bars,), traded (5, n_symbols, n_bars), scale (2, n_symbols, n_bars), actions."""

    labels: np.ndarray
    traded: np.ndarray
    scale: np.ndarray
    actions: np.ndarray


def first(name: str) -> bytes:
    """The digest before the first bar, of the name alone."""
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def extended(digests: list[bytes], held: Held) -> list[bytes]:
    """`digests` of the name and the first bars, and those of all later bars."""
    digests, start, (n_symbols, n) = [*digests], len(digests) - 1, held.traded.shape[1:]
    acting: dict[int, list[bytes]] = {}
    for bar, symbol, split, dividend in held.actions[held.actions["bar"] >= start].tolist():
        acting.setdefault(bar, []).append(repr((symbol, split, dividend)).encode())
    width = 8 * (3 + 7 * n_symbols)
    for begin in range(start, n, step := max(1, BLOCK // width)):
        end = min(begin + step, n)
        view = _rows(held, begin, end).view("u1").reshape(-1).data
        for bar, at in zip(range(begin, end), range(0, width * step, width)):
            view[at : at + 16] = digests[-1]
            digest = hashlib.blake2b(view[at : at + width], digest_size=16)
            for action in acting.get(bar, ()):
                digest.update(action)
            digests.append(digest.digest())
    return digests


def _rows(held: Held, begin: int, end: int) -> np.ndarray:
    """A row a bar: room for the digest before it, its label, and what it holds, symbol after symbol, field after field."""
    fields = [block[:, :, begin:end].reshape(-1, end - begin) for block in (held.traded, held.scale)]
    rows = np.empty((end - begin, 3 + sum(map(len, fields))))
    rows[:, 2] = held.labels[begin:end].view("f8")
    np.concatenate(fields, out=rows[:, 3:].T)
    missing = np.isnan(rows[:, 3:])
    if missing.any():
        rows[:, 3:][missing] = np.nan  # one NaN for all
    return rows


def agreed(a: Held, b: Held) -> int:
    """How many of the first bars hold the same in both, bit for bit: their digests are the same if the names are."""
    n = min(len(a.labels), len(b.labels))
    same = a.labels[:n] == b.labels[:n]
    for mine, theirs in (a.traded, b.traded), (a.scale, b.scale):
        same &= (_bits(mine[:, :, :n]) == _bits(theirs[:, :, :n])).all(axis=(0, 1))
    n = n if same.all() else int(same.argmin())
    mine, theirs = (each.actions[each.actions["bar"] < n] for each in (a, b))
    both = min(len(mine), len(theirs))
    alike = np.ones(both, bool)
    for name in mine.dtype.names or ():
        alike &= _bits(mine[name][:both]) == _bits(theirs[name][:both])
    at = both if alike.all() else int(alike.argmin())
    return int(np.concatenate([mine["bar"][at:], theirs["bar"][at:]]).min(initial=n))


def _bits(values: np.ndarray) -> np.ndarray:
    return values.view(f"i{values.itemsize}")
