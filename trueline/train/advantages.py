"""Advantages: how much better a sampled token was than expected. Annotations, since group means and whitening are batch-wide.

Each reads `token_reward` (N, T), which `annotate.kl_in_reward` writes, and writes `advantage` (N, T), zero outside the mask.
R_i below is the whole reward of row i: its token rewards summed, the KL penalty among them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trueline.train.batch import Annotate, Batch
from trueline.train.controllers import Lagrange

STD_FLOOR = 1e-4  # added to a group's standard deviation; torch's unbiased std (ddof = 1) is used
WHITE_FLOOR = 1e-8  # added to the deviation by which a whole batch is whitened; that one is biased (ddof = 0)
# Means are taken in float64: a rounding error of equal rewards would come out of the whitening as an advantage of one.


def reinforce(batch: Batch) -> Batch:
    """R minus the batch mean (Williams 1992 with a constant baseline)."""
    total = _returns(batch)
    return _spread(batch, total - total.mean())


def rloo(batch: Batch) -> Batch:
    """R_i minus the mean of the other samples of its prompt. Ahmadian et al. 2024 (2402.14740), eq. 8."""
    total = _returns(batch).view(-1, batch.group)
    others = (total.sum(-1, keepdim=True) - total) / max(1, batch.group - 1)
    return _spread(batch, (total - others if batch.group > 1 else total).flatten())


def remax(batch: Batch) -> Batch:
    """R_i minus the reward of the greedy answer to its prompt, column `baseline` (N,). Li et al. 2023 (2310.10505)."""
    return _spread(batch, _returns(batch) - batch.columns["baseline"])


def dr_grpo(batch: Batch) -> Batch:
    """R_i minus the group mean, not divided by the group's deviation. Liu et al. 2025 (2503.20783), eq. 5."""
    return _spread(batch, _centred(batch))


def grpo(floor: float = STD_FLOOR) -> Annotate:
    """(R_i - mean) / (std + floor) within the group. Shao et al. 2024 (2402.03300), 4.1.2. A group of one has advantage 0."""

    def annotate(batch: Batch) -> Batch:
        total = _returns(batch).view(-1, batch.group)
        spread = total.std(-1, keepdim=True) if batch.group > 1 else torch.ones_like(total)
        return _spread(batch, _centred(batch) / (spread + floor).expand_as(total).flatten())

    return annotate


def reinforce_pp(batch: Batch) -> Batch:
    """REINFORCE++: the sum of a token's own and later rewards, whitened over the batch. Hu 2025 (2501.03262)."""
    rewards = batch.columns["token_reward"].double() * batch.mask
    to_go = rewards.flip(-1).cumsum(-1).flip(-1)
    return batch.having(advantage=whitened(to_go, batch.mask))


def reinforce_pp_baseline(batch: Batch) -> Batch:
    """REINFORCE++-baseline: R_i minus the group mean, whitened over the tokens of the batch. Hu 2025 (2501.03262)."""
    return batch.having(advantage=whitened(_centred(batch)[:, None] * batch.mask, batch.mask))


def gae(discount: float = 1.0, decay: float = 0.95, whiten: bool = True) -> Annotate:
    """Generalised advantage estimation from the column `old_value` (N, T); see `temporal`.

    Writes `advantage` (whitened over all trained tokens of the batch) and `returns` = unwhitened advantage + old value.
    """

    def annotate(batch: Batch) -> Batch:
        values = batch.columns["old_value"]
        advantage = temporal(batch.columns["token_reward"], values, batch.mask, discount, decay)
        returns = (advantage + values) * batch.mask
        batch = batch.logging(explained_variance=explained(values, returns, batch.mask))
        return batch.having(advantage=whitened(advantage, batch.mask) if whiten else advantage, returns=returns)

    return annotate


def lagrangian(multiplier: Lagrange, discount: float = 1.0, decay: float = 0.95) -> Annotate:
    """A = (A_reward - lambda A_cost) / (1 + lambda), whitened over the batch. Dai et al. 2023 (2310.12773).

    Beside what `gae` reads: `token_cost` and `old_cost_value` (N, T), and `cost` (N,), whose mean moves the multiplier first.
    Beside what `gae` writes: `cost_returns` (N, T).
    """

    def annotate(batch: Batch) -> Batch:
        batch = gae(discount, decay, whiten=False)(batch)
        values = batch.columns["old_cost_value"]
        cost = temporal(batch.columns["token_cost"], values, batch.mask, discount, decay)
        weight = multiplier.update(float(batch.columns["cost"].mean()))
        advantage = (batch.columns["advantage"] - weight * cost) / (1 + weight)
        batch = batch.having(advantage=whitened(advantage, batch.mask), cost_returns=(cost + values) * batch.mask)
        return batch.logging(multiplier=weight)

    return annotate


def temporal(rewards: Tensor, values: Tensor, mask: Tensor, discount: float, decay: float) -> Tensor:
    """Advantages (N, T) by GAE (Schulman et al. 2015, 1506.02438, eq. 16) over each row's trained tokens; all inputs (N, T)."""
    inside = mask.to(values.dtype)
    advantage = torch.zeros_like(values)
    running, next_value = torch.zeros_like(values[:, 0]), torch.zeros_like(values[:, 0])
    for t in range(values.shape[1] - 1, -1, -1):
        here = inside[:, t]  # outside the reply nothing accumulates, and the next value passes through
        delta = rewards[:, t] + discount * next_value - values[:, t]
        running = here * (delta + discount * decay * running) + (1 - here) * running
        next_value = here * values[:, t] + (1 - here) * next_value
        advantage[:, t] = here * running
    return advantage


def whitened(values: Tensor, mask: Tensor) -> Tensor:
    """Values (N, T) with mean 0 and deviation 1 over the masked entries of the whole batch, 0 elsewhere."""
    inside = values.double()[mask]
    white = (inside - inside.mean()) / (inside.std(correction=0) + WHITE_FLOOR)
    return torch.zeros_like(values, dtype=torch.float32).masked_scatter(mask, white.float())


def explained(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """Share of the returns' variance that the values explain, over masked tokens: 1 is perfect, 0 no better than a constant."""
    target, error = returns[mask], (returns - values)[mask]
    spread = target.var(correction=0)
    return float(1 - error.var(correction=0) / spread) if spread > 0 else 0.0


ESTIMATORS: Mapping[str, Annotate] = {
    "grpo": grpo(),
    "dr_grpo": dr_grpo,
    "rloo": rloo,
    "reinforce": reinforce,
    "reinforce++": reinforce_pp,
    "reinforce++_baseline": reinforce_pp_baseline,
    "remax": remax,
}


def _returns(batch: Batch) -> Tensor:
    """R, (N,) float64."""
    return (batch.columns["token_reward"].double() * batch.mask).sum(-1)


def _centred(batch: Batch) -> Tensor:
    """R minus the mean of its group, (N,) float64."""
    total = _returns(batch).view(-1, batch.group)
    return (total - total.mean(-1, keepdim=True)).flatten()


def _spread(batch: Batch, per_row: Tensor) -> Batch:
    return batch.having(advantage=per_row.float()[:, None] * batch.mask)
