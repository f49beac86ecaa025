"""Policy gradients on a race by the training loop of this project: episodes as a source, PPO or REINFORCE as the objective.

    found = Gradient(iterations=200).learn(boat(), one_hot(boat()), learners=100, seed=0)    # policies (100, T, S, A)

Nothing here knows how to learn. `Sailing` is a `Source` like `train/rollout.py`: it draws episodes with the live policy and
annotates them; `train.loop` takes steps on `train/objectives/ppo.py` with `train/advantages.gae`, as `trueline run ppo` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from trueline.core.config import ConfigError
from trueline.lab.races.player import Player, at_actions
from trueline.lab.races.race import Race
from trueline.train.advantages import gae
from trueline.train.batch import Annotate, Batch, Objective
from trueline.train.forward import forward
from trueline.train.loop import Loop, train
from trueline.train.objectives.ppo import PPO
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.optim import Optim

LOOP = Loop()  # neither log nor checkpoints


@dataclass(frozen=True, kw_only=True)
class Gradient:
    """How a policy is learned by gradients."""

    kind: Literal["ppo", "reinforce"] = "ppo"
    iterations: int = 150  # rounds of episodes
    episodes: int = 8  # a learner and round
    epochs: int = 4  # passes over a round; one for reinforce
    lr: float = 0.05
    entropy: float = 0.01  # weight of the bonus on entropy
    hidden: int = 0  # width of the hidden layer; 0: a table
    scale: float = 0.2  # rewards are multiplied by it
    decay: float = 0.95  # GAE's lambda

    def __post_init__(self) -> None:
        if min(self.iterations, self.episodes, self.epochs) < 1 or (self.kind == "reinforce" and self.epochs != 1):
            raise ConfigError(
                "expected iterations, episodes and epochs of at least 1, and one epoch with kind=reinforce; "
                f"got {self.iterations}, {self.episodes}, {self.epochs} with kind={self.kind}"
            )

    def learn(
        self,
        races: Race | Sequence[Race],
        seen: np.ndarray,
        learners: int,
        seed: int,
        loop: Loop = LOOP,
        watch: Callable[[Player], Mapping[str, float]] = lambda player: {},
    ) -> np.ndarray:
        """Learn; return every learner's policy, (learners, T, S, A). Races of other rewards alone are dealt out among them."""
        races = (races,) if isinstance(races, Race) else tuple(races)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            player = Player(seen, races[0].horizon, races[0].reward.shape[1], learners, self.hidden)
        source = Sailing(player=player, races=races, annotate=self.annotate(), how=self, seed=seed, watch=watch)
        optim = Optim(lr=self.lr, muon=0.0, weight_decay=0.0, clip=0.0, warmup=0.0)
        train(player, self.objective(), source, optim, loop)
        return player.policies()

    def objective(self) -> Objective:
        """The objective of `trueline run ppo`, or its policy gradient alone."""
        gradient = PolicyGradient(entropy=self.entropy)
        return PPO(gradient, value_clip=0.0, value_weight=0.5) if self.kind == "ppo" else gradient

    def annotate(self) -> Annotate:
        """Advantages: by GAE, or what was earned from a step on less what the learner's other episodes earned from there."""
        return gae(discount=1.0, decay=self.decay, whiten=False) if self.kind == "ppo" else to_go


@dataclass(frozen=True, kw_only=True)
class Sailing:
    """Episodes of every learner, drawn with the policy as it is. The rows of one learner are a group."""

    player: Player
    races: tuple[Race, ...]
    annotate: Annotate
    how: Gradient
    seed: int
    watch: Callable[[Player], Mapping[str, float]] = field(default=lambda player: {})  # what else to log of a round

    def __len__(self) -> int:
        return self.how.iterations * self.how.epochs

    def resumable(self, step: int) -> bool:
        return step % self.how.epochs == 0

    def batches(self, start: int) -> Iterator[Batch]:
        for iteration in range(start // self.how.epochs, self.how.iterations):
            batch = self.annotate(self.drawn(np.random.default_rng([self.seed, iteration]))).logging(**self.watch(self.player))
            for _ in range(self.how.epochs):
                yield batch

    @torch.no_grad()
    def drawn(self, rng: np.random.Generator) -> Batch:
        """One round of episodes."""
        world, pays = self.races[0], np.stack([race.reward for race in self.races])
        learner = np.repeat(np.arange(self.player.learners), self.how.episodes)
        which, rows = learner % len(self.races), len(learner)
        tokens, paid = np.zeros((rows, 1 + 2 * world.horizon), dtype=np.int64), np.zeros((rows, world.horizon))
        tokens[:, 0], below = learner, world.chance.cumsum(-1)
        state, whose = np.zeros(rows, dtype=np.int64), torch.arange(self.player.learners)
        for step in range(world.horizon):
            seen = self.player.look(torch.from_numpy(state), torch.tensor(step)).view(len(whose), self.how.episodes, -1)
            odds = self.player.actor(seen, whose).softmax(-1).view(rows, -1).double().numpy()
            action = np.minimum((rng.random((rows, 1)) > odds.cumsum(-1)).sum(-1), odds.shape[1] - 1)
            outcome = np.minimum((rng.random((rows, 1)) > below[state, action]).sum(-1), below.shape[2] - 1)
            tokens[:, 1 + 2 * step], tokens[:, 2 + 2 * step] = state, action
            paid[:, step] = pays[which, state, action, outcome]
            state = world.following[state, action, outcome]
        return self._batch(torch.from_numpy(tokens), torch.tensor(paid, dtype=torch.float32))

    def _batch(self, tokens: torch.Tensor, paid: torch.Tensor) -> Batch:
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[:, 2::2] = True
        batch = Batch(tokens=tokens, mask=mask, group=self.how.episodes, metrics={"reward": float(paid.sum(-1).mean())})
        batch = batch.having(old_logp=forward(self.player, batch, "logp"), token_reward=at_actions(self.how.scale * paid, mask))
        return batch.having(old_value=forward(self.player, batch, "value")) if self.how.kind == "ppo" else batch


def to_go(batch: Batch) -> Batch:
    """REINFORCE's advantage (Williams 1992): rewards from a step on, less their mean over the group's episodes at that step."""
    later = batch.columns["token_reward"].flip(-1).cumsum(-1).flip(-1)
    grouped = later.view(-1, batch.group, later.shape[1])
    return batch.having(advantage=(grouped - grouped.mean(1, keepdim=True)).view_as(later) * batch.mask)
