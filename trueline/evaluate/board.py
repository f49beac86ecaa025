"""Which model people rank higher, and how much of it is where the card lay: Plackett-Luce strengths with a position term.

A ranking is a row of choices: the best of all cards, the best of the rest, and so on, each with the probability

    P(c of the cards left) = exp(s_model(c) + b first(c)) / sum over those left

(Luce 1959; Plackett 1975, Applied Statistics 24:193), where `first` is 1 for the card that was shown first. Cards that were not
ranked are in every set that is chosen from, and are never chosen: a top-m ranking (Hunter 2004, Annals of Statistics 32:384).
For pairs this is Bradley and Terry's model. Tied cards count as the mean of the log-likelihoods of all the orders that they may
have been in. For a pair that is half a win for each, as in `frontier.py`; Davidson's parameter for ties (Turner et al. 2020,
Computational Statistics 35:1027) is not used, because how often people tie is no strength of a model.

The fit is Newton's on the whole log-likelihood, which is concave, over choice sets that are counted once however often they
came. Half a win for each side of every two models that met, and of "first" against "not first", keeps every number finite
(as `frontier.py` does, after Haldane and Anscombe). Strengths are told in Elo points with a mean of zero. Intervals are
percentiles of refits to whole items drawn with replacement.

`first` is told as log-odds, and as by how much more than half of the time the first of two equal cards wins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

from trueline.core.orders import Ranks
from trueline.core.types import Rate
from trueline.evaluate.frontier import ELO, all_met
from trueline.evaluate.votes import Vote

RESAMPLES = 200
PRIOR = 0.5
STEPS, ENOUGH = 50, 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A model on the board: Elo points, and on how many items it was ranked."""

    model: str
    points: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The models, the strongest first. The two of position are None where no vote says what was shown first."""

    models: tuple[Standing, ...]
    first: Rate | None  # log-odds that being shown first adds
    first_wins: Rate | None  # the first of two equal cards wins so much more than half of the time
    votes: int


@dataclass(frozen=True, slots=True)
class _Choices:
    """S choice sets of at most K cards, how often they came on which of U items, and what was chosen.

    The F features of a card are its model (one of M) and, the last one, whether it was shown first.
    """

    model: np.ndarray  # (S, K)
    first: np.ndarray  # (S, K) 1 for the card that was shown first
    there: np.ndarray  # (S, K) 0 where a set has no such card
    at: np.ndarray  # (E,) the set of each entry
    item: np.ndarray  # (E,) and the item that it is of
    weight: np.ndarray  # (E,)
    chosen: np.ndarray  # (U, F) sums of the features of what was chosen, by item


def board(
    votes: Sequence[Vote], models: Mapping[str, Sequence[str]], *, resamples: int = RESAMPLES, seed: int = 0
) -> Board | None:
    """Fit the board; `models` names who said each completion of an item, in its order. None where nothing was ranked.

    Raises ValueError where models were never ranked together, not even through others: nothing compares them then.
    """
    votes = [vote for vote in votes if sum(rank is not None for rank in vote.ranks)]
    names = sorted({name for vote in votes for name in models[vote.item]})
    if len(names) < 2:
        return None
    place = {name: i for i, name in enumerate(names)}
    met = _met(votes, models, place)
    all_met(names, met)
    positioned = any(vote.shown for vote in votes)
    choices = _choices(votes, models, place)
    whole = _fit(choices, np.ones(len(choices.chosen)), met, positioned, np.zeros(len(names) + 1))
    rng, n = np.random.default_rng(seed), len(choices.chosen)
    drawn = rng.multinomial(n, [1 / n] * n, size=resamples).astype(float)
    refits = np.stack([_fit(choices, weights, met, positioned, whole) for weights in drawn])  # (B, M + 1)
    low, high = np.quantile(refits, [0.025, 0.975], axis=0)
    ranked = {name: len({vote.item for vote in votes if name in models[vote.item]}) for name in names}
    standing = [
        Standing(model=name, points=_rate(ELO * whole[i], ranked[name], ELO * low[i], ELO * high[i]))
        for i, name in enumerate(names)
    ]
    first = _rate(whole[-1], n, low[-1], high[-1]) if positioned else None
    return Board(
        models=tuple(sorted(standing, key=lambda one: (-one.points.value, one.model))),
        first=first,
        first_wins=first and _rate(_more(first.value), n, _more(first.low), _more(first.high)),
        votes=len(votes),
    )


@cache
def stages(ranks: Ranks) -> tuple[tuple[tuple[int, ...], tuple[int, ...], float], ...]:
    """The choices that make a ranking: the cards left, those among them that may be chosen, and the weight.

    Tied cards are taken in every order: a set that j of t of them have left has the weight 1 / C(t, j).

    >>> stages((1, 2, None))
    (((0, 1, 2), (0,), 1.0), ((1, 2), (1,), 1.0))
    >>> stages((1, 1))
    (((0, 1), (0, 1), 1.0),)
    """
    left = list(range(len(ranks)))
    found = []
    for rank in sorted({rank for rank in ranks if rank is not None}):
        tied = [i for i in left if ranks[i] == rank]
        rest = [i for i in left if ranks[i] != rank]
        for gone in range(len(tied)):
            for away in combinations(tied, gone):
                still = tuple(i for i in tied if i not in away)
                if len(still) + len(rest) > 1:
                    found.append((tuple(sorted((*still, *rest))), still, 1 / math.comb(len(tied), gone)))
        left = rest
    return tuple(found)


def _choices(votes: Sequence[Vote], models: Mapping[str, Sequence[str]], place: Mapping[str, int]) -> _Choices:
    items = {item: u for u, item in enumerate(sorted({vote.item for vote in votes}))}
    known: dict[tuple[tuple[int, bool], ...], int] = {}
    at, item, weight = [], [], []
    chosen = np.zeros((len(items), len(place) + 1))
    for vote in votes:
        u, first = items[vote.item], vote.shown[0] if vote.shown else -1
        cards = [(place[name], i == first) for i, name in enumerate(models[vote.item])]
        for left, may, share in stages(vote.ranks):
            at.append(known.setdefault(tuple(sorted(cards[i] for i in left)), len(known)))
            item.append(u)
            weight.append(share)
            for i in may:
                chosen[u, cards[i][0]] += share / len(may)
                chosen[u, -1] += cards[i][1] * share / len(may)
    most = max(map(len, known))
    model, first_one, there = (np.zeros((len(known), most), dtype=kind) for kind in (int, float, float))
    for cards, s in known.items():
        size = len(cards)
        model[s, :size], first_one[s, :size], there[s, :size] = [c[0] for c in cards], [c[1] for c in cards], 1.0
    return _Choices(model, first_one, there, np.array(at), np.array(item), np.array(weight), chosen)


def _fit(choices: _Choices, weights: np.ndarray, met: np.ndarray, positioned: bool, start: np.ndarray) -> np.ndarray:
    """Maximum likelihood (M + 1,): strengths with mean zero, and the position term (0 where nothing says what came first)."""
    size = len(start) - 1
    often = np.bincount(choices.at, choices.weight * weights[choices.item], minlength=len(choices.model))  # (S,)
    used = often > 0
    model, first, there, often = choices.model[used], choices.first[used], choices.there[used], often[used]
    rows = np.arange(len(often))[:, None]
    wanted = weights @ choices.chosen
    found = start.copy()
    for _ in range(STEPS):
        worth = np.where(there > 0, found[model] + found[-1] * first, -np.inf)
        chance = np.exp(worth - worth.max(1, keepdims=True))
        chance /= chance.sum(1, keepdims=True)  # (S, K)
        mean = np.zeros((len(often), size + 1))  # (S, F)
        np.add.at(mean, (rows, model), chance)
        mean[:, -1] = (chance * first).sum(1)
        slope, total = wanted - often @ mean, chance * often[:, None]
        curve = np.diag(np.append(np.bincount(model.ravel(), total.ravel(), size), (total * first).sum()))
        curve[-1, :-1] = curve[:-1, -1] = np.bincount(model.ravel(), (total * first).ravel(), size)
        curve -= (mean.T * often) @ mean
        slope, curve = _with_prior(slope, curve, found, met)
        if not positioned:
            slope[-1], curve[-1], curve[:, -1] = 0.0, 0.0, 0.0
            curve[-1, -1] = 1.0
        curve[:size, :size] += 1 / size  # fixes the free mean
        step = np.clip(np.linalg.solve(curve, slope), -2.0, 2.0)
        found += step
        if np.abs(step).max() < ENOUGH:
            break
    found[:size] -= found[:size].mean()
    return found


def _with_prior(slope: np.ndarray, curve: np.ndarray, found: np.ndarray, met: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add PRIOR wins to each side of every two models that met, and of "first" between equals."""
    strengths = found[:-1]
    chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))  # (M, M): that the row beats the column
    weight = 2 * PRIOR * met * chance * (1 - chance)
    slope[:-1] += (PRIOR * met - 2 * PRIOR * met * chance).sum(1)
    curve[:-1, :-1] += np.diag(weight.sum(1)) - weight
    first = 1 / (1 + math.exp(-found[-1]))
    slope[-1] += PRIOR - 2 * PRIOR * first
    curve[-1, -1] += 2 * PRIOR * first * (1 - first)
    return slope, curve


def _met(votes: Sequence[Vote], models: Mapping[str, Sequence[str]], place: Mapping[str, int]) -> np.ndarray:
    met = np.zeros((len(place), len(place)))
    for shown in {tuple(models[vote.item]) for vote in votes}:
        for a, b in combinations(sorted({place[name] for name in shown}), 2):
            met[a, b] = met[b, a] = 1.0
    return met


def _more(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds)) - 0.5


def _rate(value: float, n: int, low: float, high: float) -> Rate:
    value = float(value)
    return Rate(value=value, n=n, low=min(value, float(low)), high=max(value, float(high)))
