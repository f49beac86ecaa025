"""Logistic regression over a sparse table, by mini-batches, with a rate for each weight (AdaGrad, Duchi et al. 2011).

    weights, bias = fit(table, labels, share)

The order of the batches is drawn from a fixed seed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trueline.guard.learned.hashing import BITS
from trueline.guard.learned.table import Table

EPOCHS, BATCH = 4, 256
RATE, L2 = 0.5, 1e-6


class Fitted(NamedTuple):
    """What `fit` found: the log-odds of a text are `table.times(weights) + bias`."""

    weights: NDArray[np.float32]  # (2**BITS,)
    bias: float


def fit(table: Table, labels: NDArray[np.bool_], share: NDArray[np.float32]) -> Fitted:
    """Fit N texts with their labels, each counted as much as its share (one on average)."""
    weights, seen = np.zeros(2**BITS, np.float32), np.full(2**BITS, 1e-8, np.float32)
    bias, bias_seen, rng = 0.0, 1e-8, np.random.Generator(np.random.PCG64(0))
    order = rng.permutation(len(table))
    batches = [
        (table.take(rows), labels[rows], share[rows] / len(rows)) for rows in np.split(order, range(BATCH, len(order), BATCH))
    ]
    for _ in range(EPOCHS):
        for number in rng.permutation(len(batches)):
            part, wanted, worth = batches[number]
            odds = np.clip(part.times(weights) + np.float32(bias), -30, 30)
            error = (1 / (1 + np.exp(-odds)) - wanted) * worth  # (BATCH,)
            slope = part.transposed(error)
            slope += L2 * weights
            seen += slope * slope
            weights -= RATE * slope / np.sqrt(seen)
            bias_seen += float(error.sum()) ** 2
            bias -= RATE * float(error.sum()) / bias_seen**0.5
    return Fitted(weights, bias)
