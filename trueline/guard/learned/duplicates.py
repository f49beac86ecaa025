"""Which texts are nearly the same: they are one family, and a family is never on both sides of a split.

Two texts are held to be near-duplicates where their sets of hashed n-grams and words share about half (Jaccard), which MinHash
estimates (Broder 1997): 30 least values, looked up in 10 bands of 3. A family is what is linked, directly or through others.

>>> families(["open the old gate slowly", "what rhymes with blue?", "open the old gate slowly!"]).tolist()
[0, 1, 0]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trueline.guard.learned.table import Table

HASHES, BAND = 30, 3
ALIKE = 0.5  # share of the least values that must agree


def families(texts: Sequence[str]) -> NDArray[np.int64]:
    """For each folded text the index of the first one of its family."""
    return linked(Table.of(texts))


def linked(table: Table) -> NDArray[np.int64]:
    """The same, for texts that are hashed already."""
    least = _least(table)  # (N, HASHES)
    roots = list(range(len(table)))
    for band in range(0, HASHES, BAND):
        keys = np.ascontiguousarray(least[:, band : band + BAND]).view(f"V{4 * BAND}").ravel()
        _, first, group = np.unique(keys, return_index=True, return_inverse=True)
        other = first[group]
        alike = np.flatnonzero((other != np.arange(len(table))) & ((least == least[other]).mean(1) >= ALIKE))
        for one, two in zip(alike.tolist(), other[alike].tolist(), strict=True):
            a, b = _root(roots, one), _root(roots, two)
            roots[max(a, b)] = min(a, b)
    return np.array([_root(roots, index) for index in range(len(table))], np.int64)


def _least(table: Table) -> NDArray[np.uint32]:
    """For each text the least of its features under each of 30 orders."""
    rng = np.random.Generator(np.random.PCG64(1))
    found = np.empty((len(table), HASHES), np.uint32)
    buckets = table.buckets.astype(np.uint32)
    for column, factor in enumerate(rng.integers(0, 2**31, HASHES, np.uint32) * np.uint32(2) + np.uint32(1)):
        mixed = buckets * factor
        mixed ^= mixed >> np.uint32(15)
        found[:, column] = np.minimum.reduceat(mixed * np.uint32(0x2C1B3C6D), table.starts[:-1])
    return found


def _root(roots: list[int], index: int) -> int:
    while roots[index] != index:
        roots[index] = roots[roots[index]]
        index = roots[index]
    return index
