"""Which items to have people rank next: those whose answers are expected to tell the estimate so far the most.

The estimate is Bradley and Terry's (1952), linear in what a completion is: who said it (one strength a model), and which words
it says (hashed counts: a small reward model). Weights have a normal prior, whose variance is learned for models and for words
apart (the evidence's EM step: MacKay 1992, Neural Computation 4:415): with one that is too wide, early noise passes for a known
order, and what is chosen by it does worse than a draw. The posterior is Laplace's, with covariance S at the likeliest weights
w. Of a pair whose features differ by d, the log-odds have mean d'w and variance d'Sd, and an answer to
it is expected to tell

    I = H(E p) - E H(p)      nats, p = sigmoid(log-odds), H the entropy of an answer

(Houlsby et al. 2011, 1112.5745, eq. 2), by Gauss and Hermite's quadrature over the log-odds. Pairs near one half come first,
but only those of which that is not known: a pair that is even, and known to be, tells nothing. Unlike p (1 - p) d'Sd with p at
w, which early estimates make small by mistake, it goes on asking where they are uncertain. An item of k cards is worth the sum
over its pairs times 2 / k: of its k (k - 1) / 2 pairs, k - 1 are independent. Items are taken one after the other, and S
shrinks by what each will tell, so that twenty items do not ask the same thing.

    features = features_of(models, texts)               # of the completions of every item
    priorities(["item", ...], votes, features, n=200)

What it saves against random order is measured by `benchmarks/ranking_saving.py`, and told in docs/ranking.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from zlib import crc32

import numpy as np

from trueline.evaluate.votes import Vote, words_of

WORDS = 32  # hashed features of what a completion says
PRIOR = 1.0  # precision of every weight, before anything was said
ROUNDS, BOUNDS = 8, (0.05, 100.0)  # of learning the precision, and how far it may go
STEPS, ENOUGH = 50, 1e-8
_ROOTS, _SHARES = np.polynomial.hermite_e.hermegauss(9)  # exact enough: the chance is a smooth function of normal log-odds
_NODES = (_ROOTS, _SHARES / _SHARES.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What completions are, by item: rows (K, F) of which the first columns are `models`, and the rest words."""

    rows: Mapping[str, np.ndarray]
    models: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Weights of the features, (F,), and their covariance, (F, F)."""

    weights: np.ndarray
    covariance: np.ndarray


def features_of(models: Mapping[str, Sequence[str]], texts: Mapping[str, Sequence[str]], words: int = WORDS) -> Features:
    """Return the features of every item's completions: who said it, and hashed words (root counts, random signs, length one).

    With `words=0` the estimate is a board: models alone.
    """
    names = sorted({name for said in models.values() for name in said})
    place = {name: i for i, name in enumerate(names)}
    found = {}
    for item, said in models.items():
        rows = np.zeros((len(said), len(names) + words))
        for k, (name, text) in enumerate(zip(said, texts[item], strict=True)):
            rows[k, place[name]] = 1.0
            if words:
                rows[k, len(names) :] = _hashed(text, words)
        found[item] = rows
    return Features(rows=found, models=len(names), size=len(names) + words)


def estimate(votes: Sequence[Vote], features: Features) -> Estimate:
    """Fit the weights to the pairs that votes imply, ties being half a win for each."""
    size = features.size
    differences, wins, both = _games(votes, features.rows)
    precision, weights, curve = np.full(size, PRIOR), np.zeros(size), PRIOR * np.eye(size)
    for _ in range(ROUNDS if len(differences) else 0):
        weights, curve = _fit(differences, wins, both, precision, weights)
        found = weights**2 + np.diag(np.linalg.inv(curve))
        for part in (slice(0, features.models), slice(features.models, size)):
            if len(found[part]):
                precision[part] = np.clip(1 / found[part].mean(), *BOUNDS)
    return Estimate(weights=weights, covariance=np.linalg.inv(curve))


def _fit(
    differences: np.ndarray, wins: np.ndarray, both: np.ndarray, precision: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The most likely weights under this prior, by Newton's method, and the curvature there."""
    weights, curve = start, np.diag(precision)
    for _ in range(STEPS):
        chance = _sigmoid(differences @ weights)
        slope = differences.T @ (wins - both * chance) - precision * weights
        curve = (differences.T * (both * chance * (1 - chance))) @ differences + np.diag(precision)
        step = np.clip(np.linalg.solve(curve, slope), -2.0, 2.0)
        weights = weights + step
        if np.abs(step).max() < ENOUGH:
            break
    return weights, curve


def priorities(waiting: Sequence[str], votes: Sequence[Vote], features: Features, *, n: int) -> dict[str, float]:
    """Return the `n` items to ask next, of those that wait, the most telling with the highest priority; the rest have none."""
    if not waiting:
        return {}
    fitted, rows = estimate(votes, features), [features.rows[item] for item in waiting]
    pairs = [(c, i, j) for c, one in enumerate(rows) for i, j in combinations(range(len(one)), 2)]
    owner = np.array([c for c, _, _ in pairs])  # (P,)
    differences = np.stack([rows[c][i] - rows[c][j] for c, i, j in pairs])  # (P, F)
    share = np.array([2 / len(rows[c]) for c, _, _ in pairs])
    mean = differences @ fitted.weights
    weight = _sigmoid(mean) * _sigmoid(-mean)
    covariance = fitted.covariance.copy()
    spread = np.einsum("pf,fg,pg->p", differences, covariance, differences, optimize=True)
    left, found = np.ones(len(waiting), dtype=bool), {}
    for turn in range(min(n, len(waiting))):
        told = np.bincount(owner, share * information(mean, np.maximum(spread, 0.0)), len(waiting))
        best = int(np.argmax(np.where(left, told, -1.0)))
        left[best] = False
        found[waiting[best]] = float(min(n, len(waiting)) - turn)
        for p in np.flatnonzero(owner == best):  # what its answer will tell is known for the next choice
            along = covariance @ differences[p]
            gain = share[p] * weight[p] / (1 + share[p] * weight[p] * float(differences[p] @ along))
            covariance -= gain * np.outer(along, along)
            spread -= gain * (differences @ along) ** 2
    return found


def information(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """What an answer is expected to tell, in nats, where the log-odds have this mean and variance.

    >>> information(np.array([0.0, 0.0, 3.0]), np.array([0.0, 4.0, 0.0])).round(3).tolist()
    [0.0, 0.23, 0.0]
    """
    nodes, weights = _NODES
    drawn = mean[:, None] + np.sqrt(variance)[:, None] * nodes  # (P, Q)
    chances = _sigmoid(drawn)
    return np.maximum(_entropy(chances @ weights) - _entropy(chances) @ weights, 0.0)


def _entropy(chance: np.ndarray) -> np.ndarray:
    return -chance * np.log(chance) - (1 - chance) * np.log1p(-chance)


def _games(votes: Sequence[Vote], rows: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every two completions that were compared, once: their difference (G, F), wins of the first, and games."""
    counted: dict[tuple[str, int, int], list[float]] = {}
    by_size: dict[int, list[Vote]] = {}
    for vote in votes:
        by_size.setdefault(len(vote.ranks), []).append(vote)
    for size, some in by_size.items():
        places = list(combinations(range(size), 2))
        for vote, words in zip(some, words_of([vote.ranks for vote in some]).tolist(), strict=True):
            for (i, j), word in zip(places, words, strict=True):
                if word == word:  # nan: nothing was said of the pair
                    game = counted.setdefault((vote.item, i, j), [0.0, 0.0])
                    game[0] += (1 + word) / 2
                    game[1] += 1
    if not counted:
        return np.zeros((0, 0)), np.zeros(0), np.zeros(0)
    differences = np.stack([rows[item][i] - rows[item][j] for item, i, j in counted])
    wins, both = np.array(list(counted.values())).T
    return differences, wins, both


def _hashed(text: str, size: int) -> np.ndarray:
    found = np.zeros(size)
    for word in text.lower().split():
        code = crc32(word.encode("utf-8", "surrogatepass"))
        found[code % size] += 1.0 if code & (1 << 20) else -1.0
    found = np.sign(found) * np.sqrt(np.abs(found))
    length = float(np.linalg.norm(found))
    return found / length if length else found


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
