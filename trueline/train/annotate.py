"""Annotations: columns that are computed without gradient, over the WHOLE batch, before it is split.

Advantages live here and not in objectives, because whitening and group means are batch-wide: computed after a split they would
make the gradient depend on the micro-batch size (algorithms 7.0 rule 7).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trueline.train.batch import Annotate, Batch, Model

ROWS = 128  # rows a forward pass without gradient takes at a time: larger ones were slower on a CPU
STD_FLOOR = 1e-4  # added to a group's standard deviation; torch's unbiased std (ddof = 1) is used


def chain(*annotations: Annotate) -> Annotate:
    """One annotation that applies several, in order."""

    def apply(batch: Batch) -> Batch:
        for annotation in annotations:
            batch = annotation(batch)
        return batch

    return apply


def column(name: str, model: Model) -> Annotate:
    """Write the log-probabilities that `model` gives the tokens, at the batch's temperature, as the column `name`, (N, T)."""
    return lambda batch: batch.having(**{name: _forward(model, batch, "logp")})


def reference(model: Model) -> Annotate:
    """Write `ref_logp`, the log-probabilities under the frozen reference."""
    return column("ref_logp", model)


def old_value(model: Model) -> Annotate:
    """Write `old_value`, the value head's estimate before the update, (N, T)."""
    return lambda batch: batch.having(old_value=_forward(model, batch, "value"))


def log_kl(batch: Batch) -> Batch:
    """Log `kl`: the mean over rows of log old - log ref, summed over the reply. An unbiased estimate, nats a reply."""
    difference = (batch.columns["old_logp"] - batch.columns["ref_logp"]) * batch.mask
    return batch.logging(kl=float(difference.sum(-1).mean()))


def kl_in_reward(beta: float) -> Annotate:
    """Write `token_reward` (N, T): -beta k1 at each token, and the row's `reward` at its last one.

    k1 = log old - log ref on samples of old; as a reward its policy gradient is exactly that of the reverse KL
    (algorithms 7.1; Ziegler et al. 2019, 1909.08593, eq. 2).
    """

    def annotate(batch: Batch) -> Batch:
        rewards = torch.zeros_like(batch.columns["old_logp"])
        if beta > 0:
            rewards = -beta * (batch.columns["old_logp"] - batch.columns["ref_logp"]) * batch.mask
        rewards = rewards.scatter_add(1, batch.last()[:, None], batch.columns["reward"][:, None].to(rewards.dtype))
        return batch.having(token_reward=rewards)

    return annotate


def reinforce(batch: Batch) -> Batch:
    """R minus the batch mean (Williams 1992 with a constant baseline)."""
    total = _returns(batch)
    return _spread(batch, total - total.mean())


def rloo(batch: Batch) -> Batch:
    """R_i minus the mean of the other samples of its prompt. Ahmadian et al. 2024 (2402.14740), eq. 8."""
    total = _returns(batch).view(-1, batch.group)
    others = (total.sum(-1, keepdim=True) - total) / max(1, batch.group - 1)
    return _spread(batch, (total - others if batch.group > 1 else total).flatten())


def dr_grpo(batch: Batch) -> Batch:
    """R_i minus the group mean, not divided by the group's deviation. Liu et al. 2025 (2503.20783), eq. 5."""
    total = _returns(batch).view(-1, batch.group)
    return _spread(batch, (total - total.mean(-1, keepdim=True)).flatten())


def grpo(floor: float = STD_FLOOR) -> Annotate:
    """(R_i - mean) / (std + floor) within the group. Shao et al. 2024 (2402.03300), 4.1.2. A group of one has advantage 0."""

    def annotate(batch: Batch) -> Batch:
        total = _returns(batch).view(-1, batch.group)
        spread = total.std(-1, keepdim=True) if batch.group > 1 else torch.ones_like(total)
        batch = batch.logging(zero_spread=float((spread < 1e-6).float().mean()))
        return _spread(batch, ((total - total.mean(-1, keepdim=True)) / (spread + floor)).flatten())

    return annotate


def gae(discount: float = 1.0, decay: float = 0.95, whiten: bool = True) -> Annotate:
    """Generalised advantage estimation (Schulman et al. 2015, 1506.02438, eq. 16) over each row's trained tokens.

    Writes `advantage` (whitened over all trained tokens of the batch) and `returns` = unwhitened advantage + old value.
    """

    def annotate(batch: Batch) -> Batch:
        rewards, values = batch.columns["token_reward"], batch.columns["old_value"]
        mask = batch.mask.to(values.dtype)
        advantage = torch.zeros_like(values)
        running, next_value = torch.zeros_like(values[:, 0]), torch.zeros_like(values[:, 0])
        for t in range(values.shape[1] - 1, -1, -1):
            here = mask[:, t]  # outside the reply nothing accumulates, and the next value passes through
            delta = rewards[:, t] + discount * next_value - values[:, t]
            running = here * (delta + discount * decay * running) + (1 - here) * running
            next_value = here * values[:, t] + (1 - here) * next_value
            advantage[:, t] = here * running
        returns = (advantage + values) * mask
        if whiten:
            count = mask.sum()
            mean = (advantage * mask).sum() / count
            std = (((advantage - mean).square() * mask).sum() / count).sqrt()
            advantage = (advantage - mean) / (std + 1e-8) * mask
        return batch.having(advantage=advantage, returns=returns)

    return annotate


ESTIMATORS: dict[str, Annotate] = {"reinforce": reinforce, "rloo": rloo, "grpo": grpo(), "dr_grpo": dr_grpo}


def _returns(batch: Batch) -> Tensor:
    """The row's whole reward, (N,): its token rewards summed, KL penalty included."""
    return (batch.columns["token_reward"] * batch.mask).sum(-1)


def _spread(batch: Batch, per_row: Tensor) -> Batch:
    return batch.having(advantage=per_row[:, None] * batch.mask)


@torch.no_grad()
def _forward(model: Model, batch: Batch, what: str) -> Tensor:
    width = batch.tokens.shape[1]
    pick: Callable[[object], Tensor] = lambda out: getattr(out, what)  # noqa: E731  (a name for what is read)
    parts = []
    for micro in batch.split(max(batch.group, ROWS)):
        out = pick(model(micro.tokens, micro.mask, frozenset({what}), micro.temperature))
        parts.append(torch.nn.functional.pad(out, (0, width - out.shape[1])))
    return torch.cat(parts)
