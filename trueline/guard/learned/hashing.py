"""Texts as numbered features: the n-grams of their bytes and of their words, hashed into a fixed number of buckets.

All hashes of a text come from one running sum of its bytes, each times a power of an odd number: a part's own hash is the
difference of two sums, times the inverse power of its start (Karp and Rabin 1987, modulo 2^64, where every odd number has an
inverse). So no loop of Python goes over a text, and equal parts hash alike wherever they stand.

>>> at = features(b"to be, or to be")
>>> bool((at.grams[0][:4] == at.grams[0][10:14]).all()), at.words.tolist()
(True, [0, 3, 7, 10, 13])
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BITS = 18  # of a bucket's number
GRAMS = (2, 3, 4, 5)  # bytes of an n-gram
BLOCK = 32_768  # bytes that are hashed together, so that the memory for a long text is bounded
SCHEME = {"hash": "sums-1", "bits": BITS, "grams": list(GRAMS), "words": [1, 2]}  # what a model must have been trained with

Array = NDArray[np.uint64]


class Features(NamedTuple):
    """The buckets of a text of B bytes with W words."""

    grams: tuple[NDArray[np.int64], ...]  # for each n: (B - n + 1,), of the n-gram that begins at each byte
    words: NDArray[np.int64]  # (W,): where each word begins
    ends: NDArray[np.int64]  # (W,): and where it ends
    one: NDArray[np.int64]  # (W,): the word's bucket
    two: NDArray[np.int64]  # (W - 1,): the bucket of it and the next one

    def flat(self) -> NDArray[np.int64]:
        """All buckets of the text, with repetition."""
        return np.concatenate([*self.grams, self.one, self.two])


def features(data: bytes) -> Features:
    """The features of a text of at most BLOCK bytes: UTF-8, in the folded view."""
    read = np.frombuffer(data, np.uint8)
    size = len(read)
    sums = np.zeros(size + 1, np.uint64)
    np.cumsum(_VALUES[read] * _POWERS[:size], out=sums[1:])
    grams = tuple(
        _bucket((sums[n:] - sums[:-n]) * _INVERSES[row, : size - n + 1]) if size >= n else np.empty(0, np.int64)
        for row, n in enumerate(GRAMS)
    )
    begins, ends = _words(read)
    own = (sums[ends] - sums[begins]) * _INVERSES[-1, begins]
    pairs = own[:-1] * _PAIR + own[1:]
    return Features(grams, begins, ends, _bucket(own * _WORD), _bucket(pairs * _WORD))


def _bucket(hashed: Array) -> NDArray[np.int64]:
    """The upper bits, which are the mixed ones of a product."""
    return (hashed >> _SHIFT).view(np.int64)


def _words(read: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the runs of letters and digits begin and end."""
    inside = np.zeros(len(read) + 2, np.int8)
    inside[1:-1] = _LETTER[read]
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    return edges[::2], edges[1::2]


def _powers(base: int, count: int) -> Array:
    found = np.full(count, base, np.uint64)
    found[0] = 1
    return np.multiply.accumulate(found)


_SHIFT = np.uint64(64 - BITS)
_BASE = 0x9E3779B97F4A7C15  # odd, without a pattern: the golden ratio's bits
_FACTORS = (0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3)  # an odd one for each length
_PAIR, _WORD = np.uint64(0x589965CC75374CC3), np.uint64(0x1D8E4E27C47D124F)
_POWERS = _powers(_BASE, BLOCK)
_INVERSES = _powers(pow(_BASE, -1, 2**64), BLOCK) * np.array([*_FACTORS, 1], np.uint64)[:, None]  # (5, BLOCK)
_VALUES = np.random.Generator(np.random.PCG64(20)).integers(0, 2**63, 256, np.uint64) * np.uint64(2) + np.uint64(1)  # (256,)
_LETTER = np.array([(chr(code).isalnum() and code < 128) or code >= 128 for code in range(256)], np.int8)
