"""What people said of items, as agreement, boards and choosing read it: one vote is one person's ranking of one item.

`counted` turns votes into counts by item and pair of cards, from which every figure about agreement is a sum: nothing is
computed for each two people, so that live figures stay live.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from trueline.core.orders import Ranks

WORDS = (-1, 0, 1)  # what can be said of the first card of a pair: it is worse, as good, better


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One ranking by one rater. `turn` counts from 0 how often this rater had seen the item; `shown` is the order of cards."""

    item: str
    rater: str
    ranks: Ranks
    turn: int = 0
    shown: tuple[int, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Votes on items of one size: `votes[v]` says `words[v]`, (V, P) in WORDS or nan where nothing is said, of item `at[v]`.

    `counts[u, p, w]` is how many votes on item `items[u]` said WORDS[w] of pair p.
    """

    items: tuple[str, ...]
    votes: tuple[Vote, ...]
    at: np.ndarray  # (V,)
    words: np.ndarray  # (V, P)
    counts: np.ndarray  # (U, P, 3)

    @property
    def raters(self) -> np.ndarray:
        """How many voted on each item, (U,)."""
        return np.bincount(self.at, minlength=len(self.items)).astype(float)


def counted(votes: Iterable[Vote]) -> list[Counted]:
    """Group votes by the size of their items, smallest first, and count what they say; items in order of their names."""
    by_size: dict[int, list[Vote]] = {}
    for vote in votes:
        by_size.setdefault(len(vote.ranks), []).append(vote)
    return [_counted(tuple(some)) for _, some in sorted(by_size.items())]


def words_of(ranks: Sequence[Ranks]) -> np.ndarray:
    """What rankings of one size imply of every two cards (core/orders.py), (V, P): 1, 0, -1 or nan.

    >>> words_of([(1, 2, None), (1, None, None)]).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, nan]]
    """
    places = np.array([[np.inf if rank is None else rank for rank in one] for one in ranks], dtype=float)  # (V, K)
    first, second = np.array(list(combinations(range(places.shape[1]), 2))).T
    with np.errstate(invalid="ignore"):  # of two cards that were not ranked, nothing is said
        return np.sign(places[:, second] - places[:, first])


def _counted(votes: tuple[Vote, ...]) -> Counted:
    items = tuple(sorted({vote.item for vote in votes}))
    place = {item: u for u, item in enumerate(items)}
    at, words = np.array([place[vote.item] for vote in votes]), words_of([vote.ranks for vote in votes])
    counts = np.stack([_summed(words == word, at, len(items)) for word in WORDS], axis=-1)
    return Counted(items=items, votes=votes, at=at, words=words, counts=counts)


def _summed(values: np.ndarray, at: np.ndarray, size: int) -> np.ndarray:
    found = np.zeros((size, values.shape[1]))
    np.add.at(found, at, values)
    return found
