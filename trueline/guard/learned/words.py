"""A text as rows of numbers for a transformer: one row a word, with the buckets of the word and of what it is made of.

The hashes are those of the linear model (hashing.py), in fewer buckets. A row has the word itself, n-grams of four bytes at
four places in it (so that a word that was never seen is like its kin), the byte after it, and the pair of it and the next word.
A word of more than twelve bytes goes on in further rows. Bucket 0 is nothing.

>>> rows = words("open the gate, open")
>>> rows.shape, bool((rows[0, :5] == rows[3, :5]).all()), bool(rows[0, 5] == rows[3, 5])
((4, 7), True, False)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trueline.guard.learned.hashing import BITS, BLOCK, features

OWN_BITS = 15
BUCKETS = 2**OWN_BITS + 1  # with that of nothing
GRAM, PLACES = 4, (0, 2, 4, 6)  # bytes of an n-gram, and where in a word it begins
COLUMNS = 3 + len(PLACES)
PIECE = 12  # bytes of a word that one row stands for
MARGIN = 32  # bytes at a block's inner edges whose words are left to its neighbour
WINDOW, STEP = 128, 64  # words of a window, and from one to the next
SCHEME = {"hash": "sums-1", "bits": OWN_BITS, "gram": GRAM, "places": list(PLACES), "piece": PIECE}


def words(text: str) -> NDArray[np.int64]:
    """The rows of a folded text, (W, COLUMNS). Linear in its length."""
    data, rows, step = text.encode("utf-8", "replace"), [], BLOCK - 2 * MARGIN
    for start in range(0, max(1, len(data) - 2 * MARGIN), step):
        begins, found = _block(data[start : start + BLOCK])
        first = MARGIN if start else 0
        last = BLOCK - MARGIN if start + BLOCK < len(data) else BLOCK
        rows.append(found[(begins >= first) & (begins < last)])
    return np.concatenate(rows)


def windows(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Overlapping parts of a text's rows: every word is in one of them, and all words of a short text are in one."""
    for start in range(0, max(1, len(rows) - WINDOW + STEP), STEP):
        yield rows[start : start + WINDOW]


def _block(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the rows of so many bytes begin, and the rows."""
    found = features(data)
    lengths = found.ends - found.words
    pieces = -(-lengths // PIECE)
    word = np.repeat(np.arange(len(lengths)), pieces)
    piece = np.arange(len(word)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begins, first = found.words[word] + PIECE * piece, piece == 0
    rows = np.zeros((len(word), COLUMNS), np.int64)
    rows[first, 0] = _own(found.one)
    grams = _own(found.grams[GRAM - 2])
    for column, place in enumerate(PLACES, 1):
        inside = begins + place + GRAM <= np.minimum(found.ends[word], begins + PIECE)
        rows[inside, column] = grams[begins[inside] + place]
    after = (piece == pieces[word] - 1) & (found.ends[word] < len(data))
    rows[after, -2] = _own(found.grams[0])[found.ends[word[after]] - 1]
    paired = first & (word < len(lengths) - 1)
    rows[paired, -1] = _own(found.two)
    return begins, rows


def _own(buckets: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bucket among fewer ones: its upper bits, which are the mixed ones."""
    return 1 + (buckets >> (BITS - OWN_BITS))
