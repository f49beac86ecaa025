"""How far people who rank the same items agree: with each other, with themselves, and with what is known.

A ranking is read as what it implies of every two cards (core/orders.py). The distance of two rankings is Kendall's,

    d = (1 - tau) / 2 = sum over pairs of |a - b| / 2, over their number      a, b in {-1, 0, 1}

with tau_x of Emond and Mason (2002, J. Multi-Criteria Decision Analysis 11:17). It is Kendall's tau where nothing is tied, it
is 1 for two that are alike in their ties too (tau_b is 0/0 there), and it makes d a metric (Kemeny and Snell 1962): a tie is
half way between the two orders. Pairs of which one of the two says nothing are left out of the sum and of the number.

Krippendorff's alpha (2011, "Computing Krippendorff's alpha-reliability"; 2019, Content Analysis, 4th ed., ch. 12) is

    alpha = 1 - D_o / D_e      D_o = (1/n) sum over items of sum over two different votes of d / (m - 1)

D_e is d between any two votes, whatever their items, among items of the same size and in the order in which items list their
cards; m is how many voted on an item, n all votes on items with two or more. A vote on an item weighs as much as the share of
pairs that it speaks of. Where items list their models in one order and one model mostly wins, D_e is small: alpha then asks for
agreement beyond "that model is better", and can be low beside a high pairwise agreement. `tau`, the mean over every two votes
on an item, is alpha where chance is a shuffled order (D_e = 1/2), as it is for cards without names: read both.

Intervals are percentiles of a bootstrap that draws whole items. Where all items are alike, it sees no spread, and the interval
is Wilson's at the number of items (an item then counts as one that disagrees, wholly, or does not).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

import numpy as np

from trueline.core import stats
from trueline.core.orders import Pair, Ranks, implied, said
from trueline.core.types import Rate
from trueline.evaluate.rates import clustered
from trueline.evaluate.votes import Counted, Vote, counted

RESAMPLES = 1000
RELIABLE, TENTATIVE = 0.8, 0.667  # Krippendorff's own customary bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Rater:
    """One annotator: with others on the same items, with themselves on repeats, with gold; and their median seconds."""

    rater: str
    votes: int
    others: Rate | None  # share of pairs on which another says the same
    itself: Rate | None
    gold: Rate | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One item with two votes or more: their mean distance, and the pairs on which no side has more than half of the votes."""

    item: str
    votes: int
    distance: float
    disputed: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far people agree. `items` come the worst first; None stands where nothing was measured."""

    pairwise: Rate | None  # share of pairs of cards of which two votes say the same
    alpha: Rate | None
    tau: Rate | None
    itself: Rate | None
    gold: Rate | None
    raters: tuple[Rater, ...]
    items: tuple[Disagreement, ...]

    @property
    def in_dispute(self) -> tuple[str, ...]:
        """The items that need a final word, the worst first."""
        return tuple(item.item for item in self.items if item.disputed)


def agreement(
    votes: Sequence[Vote], gold: Mapping[str, Ranks] | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> Agreement:
    """Measure agreement from votes. Items with gold ranks, and votes of a later turn, count for accuracy and repeats alone."""
    known = gold or {}
    among = [vote for vote in votes if vote.turn == 0 and vote.item not in known]
    groups = [_shared(group) for group in counted(among)]
    groups = [group for group in groups if group.items]
    repeats, right = _repeats(votes), _against(votes, known)
    return Agreement(
        **_figures(groups, resamples, seed),
        itself=_rate(repeats),
        gold=_rate(right),
        raters=_raters(among, groups, repeats, right),
        items=tuple(sorted(_items(groups), key=lambda item: (-item.distance, item.item))),
    )


@dataclass(frozen=True, slots=True)
class _Same:
    """How many of the pairs that two rankings both speak of they say the same of."""

    item: str
    rater: str
    same: int
    of: int


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over items, or over each of B draws of them."""

    same: np.ndarray
    apart: np.ndarray  # distance, weighted: D_o is apart / spoken
    spoken: np.ndarray
    expected: np.ndarray  # D_e
    tau: np.ndarray


def _shared(group: Counted) -> Counted:
    """The items with two votes or more: alpha's pairable ones."""
    kept = group.raters >= 2
    if kept.all():
        return group
    place, chosen = np.cumsum(kept) - 1, kept[group.at]
    return Counted(
        items=tuple(item for item, keep in zip(group.items, kept, strict=True) if keep),
        votes=tuple(vote for vote, keep in zip(group.votes, chosen, strict=True) if keep),
        at=place[group.at[chosen]],
        words=group.words[chosen],
        counts=group.counts[kept],
    )


def _figures(groups: Sequence[Counted], resamples: int, seed: int) -> dict[str, Rate | None]:
    """Pairwise agreement, alpha and tau with their intervals, from one bootstrap."""
    n = sum(len(group.items) for group in groups)
    if not n:
        return {"pairwise": None, "alpha": None, "tau": None}
    drawn = np.random.default_rng(seed).multinomial(n, [1 / n] * n, size=resamples).astype(float)  # (B, U)
    whole, draws = _sums(groups, np.ones((1, n))), _sums(groups, drawn)

    def rate(figure: Callable[[_Sums], np.ndarray], span: float) -> Rate | None:
        """`span` is by how much the figure falls where all that is said differs."""
        with np.errstate(invalid="ignore", divide="ignore"):
            value, found = float(figure(whole)[0]), figure(draws)
        found = found[np.isfinite(found)]
        if not np.isfinite(value) or not len(found):
            return None
        low, high = np.quantile(found, [0.025, 0.975])
        if low == high:
            low = value - span * (1 - stats.wilson(n, n).low)
        return Rate(value=value, n=n, low=min(value, float(low)), high=max(value, float(high)))

    chance = float(whole.expected[0])
    return {
        "pairwise": rate(lambda sums: sums.same, 1.0),
        "alpha": rate(lambda sums: 1 - sums.apart / sums.spoken / sums.expected, 1 / chance if chance > 0 else 0.0),
        "tau": rate(lambda sums: sums.tau, 2.0),
    }


def _sums(groups: Sequence[Counted], weights: np.ndarray) -> _Sums:
    """What figures are made of, under weights (B, U) of the items of all groups in turn."""
    zero = np.zeros(len(weights))
    same, apart, spoken, expected, each, of_each, both = zero, zero, zero, zero, zero, zero, zero
    start = 0
    for group in groups:
        w = weights[:, start : start + len(group.items)]
        start += len(group.items)
        pairs, m = group.counts.shape[1], group.raters
        alike, far, common = _between(group.counts)  # (U, P) over ordered pairs of votes
        same, both = same + w @ alike.sum(1), both + w @ common.sum(1)
        apart = apart + w @ (far.sum(1) / (m - 1)) / pairs
        here = w @ (common.sum(1) / (m - 1)) / pairs
        spoken = spoken + here
        known = common.sum(1) > 0
        distance = np.divide(far.sum(1), common.sum(1), out=np.zeros(len(m)), where=known)
        each, of_each = each + w @ distance, of_each + w @ known.astype(float)
        pooled = (w @ group.counts.reshape(len(m), -1)).reshape(len(w), pairs, 3)  # (B, P, 3): whatever the items
        _, far_any, common_any = _between(pooled)
        chance = np.divide(far_any.sum(1), common_any.sum(1), out=np.zeros(len(w)), where=common_any.sum(1) > 0)
        expected = expected + here * chance
    with np.errstate(invalid="ignore", divide="ignore"):
        return _Sums(same / both, apart, spoken, expected / spoken, 1 - 2 * each / of_each)


def _between(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of counts (..., 3) of votes: over their ordered pairs, how many are alike, how far apart, and how many there are."""
    worse, tied, better = counts[..., 0], counts[..., 1], counts[..., 2]
    alike = (counts * (counts - 1)).sum(-1)
    far = 2 * worse * better + tied * (worse + better)  # a tie is half as far from either order as they are from each other
    every = counts.sum(-1)
    return alike, far, every * (every - 1)


def _items(groups: Iterable[Counted]) -> list[Disagreement]:
    found = []
    for group in groups:
        _, far, common = _between(group.counts)
        spoken, most = group.counts.sum(-1), group.counts.max(-1)
        disputed = (spoken > 0) & (2 * most <= spoken)  # (U, P), as core/orders.py merges
        pairs = list(combinations(range(len(group.votes[0].ranks)), 2))
        distances = far.sum(1) / np.maximum(common.sum(1), 1)
        for u, (item, votes) in enumerate(zip(group.items, group.raters.tolist(), strict=True)):
            open_pairs = tuple(pairs[p] for p in np.flatnonzero(disputed[u]).tolist())
            found.append(Disagreement(item=item, votes=int(votes), distance=float(distances[u]), disputed=open_pairs))
    return found


def _repeats(votes: Iterable[Vote]) -> list[_Same]:
    """Every repeat beside the same rater's first vote on the item."""
    first = {(vote.item, vote.rater): vote for vote in votes if vote.turn == 0}
    again = [vote for vote in votes if vote.turn > 0 and (vote.item, vote.rater) in first]
    return [_same(vote, implied(first[vote.item, vote.rater].ranks)) for vote in again]


def _against(votes: Iterable[Vote], gold: Mapping[str, Ranks]) -> list[_Same]:
    return [_same(vote, implied(gold[vote.item])) for vote in votes if vote.item in gold and vote.turn == 0]


def _same(vote: Vote, known: Mapping[Pair, int]) -> _Same:
    words = {(i, j): said(vote.ranks[i], vote.ranks[j]) for i, j in known}
    both = [words[pair] == word for pair, word in known.items() if words[pair] is not None]
    return _Same(vote.item, vote.rater, sum(both), len(both))


def _rate(found: Iterable[_Same]) -> Rate | None:
    values = [(float(k < one.same), one.item) for one in found for k in range(one.of)]
    return clustered([value for value, _ in values], [item for _, item in values])


def _raters(
    among: Sequence[Vote], groups: Sequence[Counted], repeats: Sequence[_Same], right: Sequence[_Same]
) -> tuple[Rater, ...]:
    others: dict[str, list[_Same]] = {}
    for group in groups:
        own = np.stack([group.words == word for word in (-1, 0, 1)], axis=-1)  # (V, P, 3)
        rest = (group.counts[group.at] - own) * own.any(-1, keepdims=True)  # what others say of the pairs that this vote is of
        same, of = (rest * own).sum((1, 2)), rest.sum((1, 2))
        for vote, alike, every in zip(group.votes, same.tolist(), of.tolist(), strict=True):
            others.setdefault(vote.rater, []).append(_Same(vote.item, vote.rater, round(alike), round(every)))
    seconds: dict[str, list[float]] = {}
    for vote in among:
        seconds.setdefault(vote.rater, []).append(vote.seconds)
    names = sorted(seconds.keys() | {one.rater for one in (*repeats, *right)})
    return tuple(
        Rater(
            rater=name,
            votes=len(seconds.get(name, ())),
            others=_rate(others.get(name, ())),
            itself=_rate(one for one in repeats if one.rater == name),
            gold=_rate(one for one in right if one.rater == name),
            seconds=median(seconds.get(name, [0.0])),
        )
        for name in names
    )
