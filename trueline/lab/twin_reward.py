"""Reward models of the analytic twin: a score of slots, fitted to comparisons by Bradley and Terry's likelihood.

`hidden=0` is linear in the slots and blind to what was asked; with hidden units the prompt is seen, and interactions can be
learned. Many data sets (draws, members of an ensemble) are fitted at once, since each is small.

    scores = fitted([pairs_of_draw_0, pairs_of_draw_1], hidden=8, seed=0)(features)      # (S, R)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor

from trueline.lab.twin import Array
from trueline.lab.twin_world import FEATURES, Pairs, WorldTwin

Score = Callable[[Array], Array]  # features (R, F) -> scores (S, R), one row a data set


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """How a reward model is fitted: full batches, Adam."""

    steps: int = 300
    lr: float = 0.03
    decay: float = 1e-3  # weight of the squared weights in the loss


def fitted(data: Sequence[Pairs], hidden: int, seed: int, how: Fitting = Fitting()) -> Score:
    """A reward model for each data set; all of them have the same number of pairs."""
    generator = torch.Generator().manual_seed(seed)
    better = torch.tensor(np.stack([pairs.better for pairs in data]), dtype=torch.float32)  # (S, N, F)
    worse = torch.tensor(np.stack([pairs.worse for pairs in data]), dtype=torch.float32)
    weights = _start(len(data), better.shape[-1], hidden, generator)
    adam = torch.optim.Adam(weights, lr=how.lr)
    for _ in range(how.steps):
        adam.zero_grad()
        lead = _score(weights, better) - _score(weights, worse)  # (S, N)
        shrink = sum((w.square().sum() for w in weights), torch.zeros(()))
        (F.softplus(-lead).mean(-1).sum() + how.decay * shrink).backward()
        adam.step()

    def score(features: Array) -> Array:
        with torch.no_grad():
            return _score(weights, torch.tensor(features, dtype=torch.float32).expand(len(data), -1, -1)).double().numpy()

    return score


def rewards(twin: WorldTwin, score: Score) -> list[list[Array]]:
    """The scores of every reply: data set by data set, prompt by prompt, in deviations of the start, from its mean."""
    found = [score(each.features) for each in twin.described]  # per prompt, (S, R)
    return [standardised(twin, [scores[s] for scores in found]) for s in range(len(found[0]))]


def standardised(twin: WorldTwin, reward: Sequence[Array]) -> list[Array]:
    """Rewards with mean 0 at the start for each prompt, and deviation 1 over all: the scale of a reward is arbitrary."""
    starts = [each.replies.start for each in twin.described]
    centred = [r - start @ r for start, r in zip(starts, reward, strict=True)]
    spread = sum(w * (start @ r**2) for w, start, r in zip(twin.twin.weights, starts, centred, strict=True)) ** 0.5
    return [r / spread for r in centred]


def joined(members: Sequence[Sequence[Array]], k: float) -> list[Array]:
    """The members' mean less k of their standard deviations (n - 1), reply by reply. Coste et al. 2023 (2310.02743).

    They take the variance off, or the worst member; the deviation has the unit of a reward, as in recipes/rewards.py.
    """
    stacked = [np.stack(scores) for scores in zip(*members, strict=True)]
    return [scores.mean(0) - k * scores.std(0, ddof=1) for scores in stacked]


def resampled(pairs: Pairs, rng: np.random.Generator) -> Pairs:
    """As many comparisons, drawn from these with replacement: what a member of an ensemble learns from."""
    rows = rng.integers(len(pairs.better), size=len(pairs.better))
    return Pairs(pairs.better[rows], pairs.worse[rows], pairs.agreement)


def _start(sets: int, features: int, hidden: int, generator: torch.Generator) -> list[Tensor]:
    if not hidden:
        return [torch.zeros(sets, len(FEATURES), 1, requires_grad=True)]
    inward = torch.randn(sets, features, hidden, generator=generator) * features**-0.5
    outward = torch.randn(sets, hidden, 1, generator=generator) * hidden**-0.5
    return [w.requires_grad_() for w in (inward, torch.zeros(sets, 1, hidden), outward)]


def _score(weights: Sequence[Tensor], features: Tensor) -> Tensor:
    """Scores (S, N) of features (S, N, F)."""
    if len(weights) == 1:
        return (features[..., : len(FEATURES)] @ weights[0]).squeeze(-1)
    inward, bias, outward = weights
    return (F.relu(features @ inward + bias) @ outward).squeeze(-1)
