"""Rankings that people give: ties and cards that were left out allowed, read as the pairs that they imply.

A *rank* is 1 for the best, equal ranks are a tie, and None is a card that was not ranked. The one convention, used by all that
reads such rankings (agreement, boards, exports): who is ranked is better than who is not, because people rank the best and stop
(a top-m ranking); and of two that are not ranked nothing is said.

>>> implied((1, 2, None))
{(0, 1): 1, (0, 2): 1, (1, 2): 1}
>>> implied((1, None, None)), implied((1, 1))
({(0, 1): 1, (0, 2): 1}, {(0, 1): 0})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

Ranks = tuple[int | None, ...]
Pair = tuple[int, int]  # places of two cards, the smaller first


def said(first: int | None, second: int | None) -> int | None:
    """Return 1 where the first of two is the better one, -1 where the second is, 0 for a tie, None where nothing is said."""
    if first is None or second is None:
        return None if first is second else (1 if second is None else -1)
    return (first < second) - (first > second)


def implied(ranks: Sequence[int | None]) -> dict[Pair, int]:
    """Return what a ranking says of every two cards that it says anything of: 1, 0 or -1 for the one that stands first."""
    found = {(i, j): said(ranks[i], ranks[j]) for i, j in combinations(range(len(ranks)), 2)}
    return {pair: word for pair, word in found.items() if word is not None}


def merged(words: Iterable[Mapping[Pair, int]]) -> dict[Pair, int]:
    """Merge what several people say of the pairs: the majority of all who said something of a pair, ties being votes too.

    A pair on which no side has more than half of the votes is left out: people are in dispute over it.

    >>> merged([{(0, 1): 1}, {(0, 1): 1}, {(0, 1): -1, (0, 2): 1}])
    {(0, 1): 1, (0, 2): 1}
    >>> merged([{(0, 1): 1}, {(0, 1): 0}])
    {}
    """
    votes: dict[Pair, list[int]] = {}
    for word in words:
        for pair, vote in word.items():
            votes.setdefault(pair, []).append(vote)
    found = {pair: max((-1, 0, 1), key=given.count) for pair, given in votes.items()}
    return {pair: word for pair, word in found.items() if 2 * votes[pair].count(word) > len(votes[pair])}


def ranks_of(pairs: Mapping[Pair, int], size: int) -> tuple[int, ...] | None:
    """Return ranks that say of every pair what `pairs` says; None where a pair is missing, or they go in circles.

    >>> ranks_of({(0, 1): -1, (0, 2): 0, (1, 2): 1}, 3)
    (2, 1, 2)
    """
    worse = [0] * size
    for (i, j), word in pairs.items():
        worse[i] += word < 0
        worse[j] += word > 0
    ranks = tuple(1 + beaten for beaten in worse)
    return ranks if implied(ranks) == dict(pairs) else None
