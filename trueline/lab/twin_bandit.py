"""Where the twin and a trained policy coincide: one logit a reply, trained by the loop that trains language models.

The policy can be any distribution over the replies, so what GRPO or PPO should reach under a KL penalty is known exactly:
`twin.tilted`. Rewards, advantages, objectives and the loop are the ones of `trueline run grpo` and `ppo`; the model is a table.

    learned(replies, reward, beta=0.5, learner="grpo", seed=0)      # the policy, (R,)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from trueline.lab.twin import Array, Replies, kl
from trueline.models.policy import Outputs
from trueline.train import advantages, annotate
from trueline.train.batch import Annotate, Batch, Objective
from trueline.train.loop import train
from trueline.train.objectives.ppo import PPO
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.optim import Optim

Learner = Literal["grpo", "ppo"]
GROUP = 8
FLOOR = 0.1  # added to a group's deviation, as in the recipe `grpo`


class Table(nn.Module):
    """A policy with a logit for each reply to one prompt, and one value: its critic."""

    def __init__(self, start: Array) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(np.log(start), dtype=torch.float32))
        self.worth = nn.Parameter(torch.zeros(1))

    def forward(self, tokens: Tensor, mask: Tensor, needs: frozenset[str], temperature: float = 1.0) -> Outputs:
        logp = self.logits.log_softmax(-1)[tokens] * mask
        return Outputs(logp=logp, value=self.worth * mask)

    @property
    def policy(self) -> Array:
        """The probability of every reply."""
        return np.asarray(self.logits.detach().double().softmax(-1))


@dataclass(frozen=True)
class Draws:
    """The live policy's samples, scored and annotated: a source like `train.rollout`, for a table."""

    table: Table
    reward: Tensor  # (R,)
    annotate: Annotate
    iterations: int
    rows: int
    seed: int

    def __len__(self) -> int:
        return self.iterations

    def resumable(self, step: int) -> bool:
        """Never: what takes a second is begun again."""
        return False

    def batches(self, start: int = 0) -> Iterator[Batch]:
        for i in range(start, self.iterations):
            generator = torch.Generator().manual_seed(1_000_003 * self.seed + i)
            chosen = torch.multinomial(self.table.logits.detach().softmax(-1), self.rows, True, generator=generator)
            tokens = torch.stack([torch.zeros_like(chosen), chosen], 1)  # (N, 2): the prompt, the reply
            mask = torch.tensor([False, True]).expand_as(tokens)
            made = Batch(tokens=tokens, mask=mask, group=GROUP, columns={"reward": self.reward[chosen]})
            yield self.annotate(made)


def learned(
    replies: Replies, reward: Array, beta: float, learner: Learner, seed: int, iterations: int = 400, rows: int = 512
) -> Array:
    """What a learner makes of the start under a reward less beta times the KL to the start."""
    table, reference = Table(replies.start), Table(replies.start).requires_grad_(False)
    steps = [annotate.column("old_logp", table), annotate.reference(reference), annotate.kl_in_reward(beta)]
    objective: Objective = PolicyGradient()
    if learner == "ppo":
        objective = PPO()
        steps += [annotate.old_value(table), advantages.gae()]
    else:
        steps += [advantages.grpo(FLOOR)]
    source = Draws(table, torch.tensor(reward, dtype=torch.float32), annotate.chain(*steps), iterations, rows, seed)
    train(table, objective, source, Optim(lr=0.05, muon=0.0, weight_decay=0.0, decay=0.8))
    return table.policy


def objective_of(policy: Array, replies: Replies, reward: Array, beta: float) -> float:
    """E[reward] - beta KL(policy || start): what is maximised."""
    return float(policy @ reward) - beta * kl(policy, replies.start)
