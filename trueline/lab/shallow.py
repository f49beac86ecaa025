"""Where in a reply an aligned model differs from the one it was made of: KL(aligned || helpful), token by token.

Along a reply y the divergence of two models is a sum over its positions, since the KL of sequences is a chain,

    KL(p || q) = E_{y ~ p} sum_t KL(p(. | x, y_<t) || q(. | x, y_<t)),

and each term is computed over the whole vocabulary. Measured along the aligned model's own replies, where the sum is the KL of
the reply, and along harmful replies that it never gave, as in figure 1 of Qi et al. 2024 (https://arxiv.org/abs/2406.05946): a
model that objects in the first tokens alone goes on like the other once these stand there.

    studio.make("shallow", Shallow(model="{base}/safety", other="{base}/helpful"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from trueline.attack.goals import WORLD
from trueline.core import stats
from trueline.core.config import ConfigError
from trueline.core.types import Rate
from trueline.evaluate.rates import cluster_of, plain, retained
from trueline.evaluate.shown import curves
from trueline.lab.goals_of import harmful
from trueline.models.policy import Policy
from trueline.recipes.hardening import Pair
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.recipes.usual import usual_tokens
from trueline.targets.local import complete
from trueline.world.harmful import harmful_pairs

FIRST = 3  # tokens that are called the first ones
SHOWN = 20  # positions of the curve
FEW = 10  # replies that still go on at a position which is shown
ROWS = 64

Ids = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Shallow:
    """KL by position between two models, along replies of the first and, in the world, along harmful ones."""

    model: str  # the aligned model
    other: str  # what it was made of
    goals: str = WORLD  # the world's, canaries, or a file of requests that should be refused
    n: int = 96  # replies of each kind

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ConfigError(f"n: an interval needs at least 2 replies, got {self.n}")

    def reads(self) -> tuple[str, ...]:
        return (self.model, self.other)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy, other = (studio.policy(name, frozen=True) for name in (self.model, self.other))
        if vocabulary(policy) != vocabulary(other):
            raise RecipeError(f"{self.model} and {self.other} do not have the same tokens; their KL is not defined")
        along = {"own": self._own(studio, room, policy)}
        if self.goals == WORLD:
            along["given"] = self._given(studio, policy)
        values, series = {}, {}
        for name, rows in along.items():
            found = divergence(policy, other, [head for head, _, _ in rows], [reply for _, reply, _ in rows])
            clusters = [cluster for _, _, cluster in rows]
            values[f"kl_{name}"] = plain(early_share(found, clusters, name))
            series[NAMES[name]] = by_position(found, clusters)
        note = f"nats, mean over the replies that go on so long, at least {FEW}"
        return {"values": values, "curves": [curves(TITLE, "token of the reply", series, note)]}

    def _own(self, studio: Studio, room: Room, policy: Policy) -> list[tuple[Ids, Ids, str]]:
        asked = harmful(studio, self.goals, self.n)
        said = complete(policy, asked, max_tokens=usual_tokens(self.goals == WORLD), seed=studio.seed)
        room.keep(0, said[: ROWS // 2])
        return [(tuple(policy.codec.prompt(c.prompt.conversation)), c.ids, cluster_of(c.prompt)) for c in said if c.ids]

    def _given(self, studio: Studio, policy: Policy) -> list[tuple[Ids, Ids, str]]:
        made = harmful_pairs(studio.world, studio.seed + 23, self.n)
        pairs = [Pair.of(policy.codec, p.prompt, p.chosen.text, p.rejected.text) for p in made]
        return [(pair.head, pair.harmful, cluster_of(pair.prompt)) for pair in pairs]


TITLE = "KL of the aligned model from the helpful one, by token"
NAMES = {"own": "along its own replies", "given": "along harmful replies"}


def vocabulary(policy: Policy) -> tuple[int, list[int]]:
    """What two models must have in common for a KL: how many tokens, and which stand for a sentence."""
    return policy.model.config.vocab_size, policy.codec.ids("how do you make tea ?")


@torch.no_grad()
def divergence(policy: Policy, other: Policy, heads: Sequence[Ids], replies: Sequence[Ids]) -> list[list[float]]:
    """KL(policy || other) of the next token at each position of each reply, nats; exact, over the whole vocabulary."""
    found: list[list[float]] = [[] for _ in heads]
    order = sorted(range(len(heads)), key=lambda i: len(heads[i]) + len(replies[i]))
    for at in range(0, len(order), ROWS):
        some = order[at : at + ROWS]
        rows = [[*heads[i], *replies[i]] for i in some]
        tokens = torch.full((len(rows), max(map(len, rows))), policy.codec.pad)
        for k, row in enumerate(rows):
            tokens[k, : len(row)] = torch.tensor(row)
        ours, theirs = (model.logits(tokens.to(policy.device)).log_softmax(-1) for model in (policy, other))
        each = (ours.exp() * (ours - theirs)).sum(-1).cpu()  # (N, T)
        for k, i in enumerate(some):
            begin = len(heads[i]) - 1  # the state from which the first token of the reply is drawn
            found[i] = each[k, begin : begin + len(replies[i])].tolist()
    return found


def early_share(found: Sequence[Sequence[float]], clusters: Sequence[str], name: str, first: int = FIRST) -> Rate | None:
    """The share of all KL that lies in the first tokens."""
    largest = max((sum(row) for row in found), default=0.0) or 1.0  # sums as shares of it: their ratio stays what it is
    early, whole = ([sum(row[:upto]) / largest for row in found] for upto in (first, None))
    return retained(early, whole, clusters, name=f"shallow/{name}")


def by_position(found: Sequence[Sequence[float]], clusters: Sequence[str]) -> list[tuple[float, Rate]]:
    """The mean KL at each position, counted from 1."""
    points = []
    for t in range(SHOWN):
        there = [(row[t], key) for row, key in zip(found, clusters, strict=True) if len(row) > t]
        if len(there) < min(FEW, len(found)):
            break
        values, keys = zip(*there, strict=True)
        points.append((float(t + 1), stats.mean(values, rng=Random(f"shallow/{t}"), clusters=keys)))
    return points
