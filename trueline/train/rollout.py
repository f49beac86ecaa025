"""Online RL as a source: sample from the live policy, score, annotate, hand out batches.

The loop cannot tell it from a data set. Replaying a batch `epochs` times, in `minibatches` parts, is PPO's inner loop; a run
can be taken up only between rollouts, since the policy that made one is gone after the first update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Protocol

import torch

from trueline.core.types import Completion, Prompt
from trueline.models.policy import Policy
from trueline.targets.local import complete
from trueline.train.batch import Annotate, Batch, pad_rows


class Reward(Protocol):
    """Scores completions, any scale: a reward model, a rule, an oracle."""

    def __call__(self, completions: Sequence[Completion]) -> Sequence[float]: ...


Prompts = Callable[[int], Sequence[Prompt]]  # the prompts of an iteration
Watch = Callable[[int, Sequence[Completion], Sequence[float]], Mapping[str, float]]  # what else to log about a rollout


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """`iterations` times: sample `group` completions for each prompt, score them, annotate, train on them."""

    policy: Policy
    prompts: Prompts
    reward: Reward
    annotate: Annotate
    iterations: int
    group: int = 8
    max_tokens: int = 56
    temperature: float = 1.0
    epochs: int = 1
    minibatches: int = 1
    truncation_penalty: float = 0.0  # taken off the reward of a sample that did not end by itself
    seed: int = 0
    watch: Watch = field(default=lambda iteration, completions, rewards: {})

    def __post_init__(self) -> None:
        if self.group < 1 or self.epochs < 1 or self.minibatches < 1 or self.iterations < 1:
            raise ValueError("iterations, group, epochs and minibatches must each be at least 1")

    def __len__(self) -> int:
        return self.iterations * self.epochs * self.minibatches

    def resumable(self, step: int) -> bool:
        return step % (self.epochs * self.minibatches) == 0

    def batches(self, start: int) -> Iterator[Batch]:
        per_rollout = self.epochs * self.minibatches
        for iteration in range(start // per_rollout, self.iterations):
            batch = self._rollout(iteration)
            groups = len(batch.tokens) // self.group
            for epoch in range(self.epochs):
                order = list(range(groups))
                if self.minibatches > 1:
                    Random(f"minibatch/{self.seed}/{iteration}/{epoch}").shuffle(order)
                for part in range(self.minibatches):
                    chosen = order[part :: self.minibatches]
                    rows = torch.tensor([g * self.group + k for g in chosen for k in range(self.group)])
                    yield batch if self.minibatches == 1 else batch.take(rows)

    def _rollout(self, iteration: int) -> Batch:
        prompts = self.prompts(iteration)
        seed = hash_seed(self.seed, iteration)
        completions = complete(
            self.policy, prompts, count=self.group, max_tokens=self.max_tokens, temperature=self.temperature, seed=seed
        )
        rewards = list(self.reward(completions))
        scored = [
            r - (self.truncation_penalty if c.finish == "length" else 0.0) for r, c in zip(rewards, completions, strict=True)
        ]
        rows, masks, old = [], [], []
        heads = [self.policy.codec.prompt(p.conversation) for p in prompts]
        for index, completion in enumerate(completions):
            head = heads[index // self.group]
            rows.append([*head, *completion.ids])
            masks.append([False] * len(head) + [True] * len(completion.ids))
            old.append([0.0] * len(head) + list(completion.logprobs))
        batch = pad_rows(rows, masks, self.policy.codec.pad, self.group)
        width = batch.tokens.shape[1]
        old_logp = torch.tensor([row + [0.0] * (width - len(row)) for row in old])
        batch = replace(batch, temperature=self.temperature)
        batch = batch.having(old_logp=old_logp, reward=torch.tensor(scored, dtype=torch.float32))
        truncated = sum(c.finish == "length" for c in completions) / len(completions)
        length = sum(len(c.ids) for c in completions) / len(completions)
        batch = batch.logging(reward=sum(rewards) / len(rewards), truncated=truncated, length=length)
        batch = batch.logging(**self.watch(iteration, completions, rewards))
        if self.policy.device.type != "cpu":
            batch = batch.to(self.policy.device)
        return self.annotate(batch)


def hash_seed(seed: int, index: int) -> int:
    """A sampling seed for each iteration, far from its neighbours'."""
    return Random(f"{seed}/{index}").getrandbits(60)
