"""The texts of a training set as one sparse table: the buckets of all of them, end to end, and where each text begins.

Products with the table are sums in a fixed order (reduceat, bincount), so that a model is the same each time it is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueline.guard.learned.hashing import BITS, BLOCK, features


@dataclass(frozen=True, eq=False)
class Table:
    """N texts. Each feature of a text is worth one over the root of their number; a text without any has bucket 0."""

    buckets: NDArray[np.int32]  # (E,)
    starts: NDArray[np.int64]  # (N + 1,)

    @classmethod
    def of(cls, texts: Sequence[str]) -> Table:
        """Hash folded texts; of a long one its beginning."""
        rows = [features(text.encode("utf-8", "replace")[:BLOCK]).flat().astype(np.int32) for text in texts]
        rows = [row if len(row) else np.zeros(1, np.int32) for row in rows]
        return cls(np.concatenate([np.zeros(0, np.int32), *rows]), np.cumsum([0, *map(len, rows)]))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: NDArray[np.int64]) -> Table:
        """Some of the texts, in that order."""
        sizes = self.starts[rows + 1] - self.starts[rows]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        entries = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], sizes)
        return Table(self.buckets[entries], starts)

    def times(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Each text's sum of weights: (N,)."""
        return np.add.reduceat(weights[self.buckets], self.starts[:-1]) * self._unit

    def transposed(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Each bucket's sum of the values of the texts that have it: (2**BITS,)."""
        return np.bincount(self.buckets, np.repeat(values * self._unit, np.diff(self.starts)), 2**BITS).astype(np.float32)

    @property
    def _unit(self) -> NDArray[np.float32]:
        return (1 / np.sqrt(np.diff(self.starts))).astype(np.float32)
