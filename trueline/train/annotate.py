"""Annotations: columns that are computed without gradient, over the WHOLE batch, before it is split.

What models say of a batch (log-probabilities, values) and what becomes a token's reward are here; advantages, which are made
of them, are in `train.advantages`. None of it is in objectives: computed after a split, a batch-wide number would make the
gradient depend on the micro-batch size (algorithms 7.0 rule 7).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from trueline.models.forked import expected
from trueline.train.batch import Annotate, Batch, Model
from trueline.train.controllers import AdaptiveKL
from trueline.train.forward import ROWS, Output, Reading, read


def chain(*annotations: Annotate) -> Annotate:
    """One annotation that applies several, in order."""

    def apply(batch: Batch) -> Batch:
        for annotation in annotations:
            batch = annotation(batch)
        return batch

    return apply


def written(model: Model, reading: Reading, micro_rows: int = 0) -> Annotate:
    """Write the columns that `reading` makes of what the model gives (train/forward.py), `micro_rows` at a time.

    Should the model be frozen, and another be trained beside it, a crew's helpers and the ranks of a mesh have it and read too.
    """
    if isinstance(model, nn.Module):
        expected.add(model)
    return lambda batch: batch.having(**read(model, batch, reading, micro_rows))


def column(name: str, model: Model) -> Annotate:
    """Write the log-probabilities that `model` gives the tokens, at the batch's temperature, as the column `name`, (N, T)."""
    return written(model, Output("logp", name))


def reference(model: Model) -> Annotate:
    """Write `ref_logp`, the log-probabilities under the frozen reference."""
    return column("ref_logp", model)


def old_value(model: Model) -> Annotate:
    """Write `old_value`, the value before the update, (N, T)."""
    return written(model, Output("value", "old_value"))


def old_cost_value(model: Model) -> Annotate:
    """Write `old_cost_value`, that of the costs, (N, T); `model` is an `ActorCritic` with two critics."""
    return written(model, Output("cost_value", "old_cost_value"))


def log_kl(batch: Batch) -> Batch:
    """Log `kl`: the mean over rows of log old - log ref, summed over the reply. An unbiased estimate, nats a reply."""
    difference = (batch.columns["old_logp"] - batch.columns["ref_logp"]) * batch.mask
    return batch.logging(kl=float(difference.sum(-1).mean()))


def watch_kl(model: Model, rows: int = ROWS) -> Annotate:
    """Log `kl` as `log_kl` does, from about `rows` of the rows, evenly spaced: all that a KL which steers nothing needs."""
    write = reference(model)

    def annotate(batch: Batch) -> Batch:
        every = max(1, len(batch.tokens) // max(1, rows))
        some = replace(batch, group=1).take(torch.arange(0, len(batch.tokens), every, device=batch.tokens.device))
        return batch.logging(**log_kl(write(some)).metrics)

    return annotate


def kl_in_reward(beta: float | AdaptiveKL) -> Annotate:
    """Write `token_reward` (N, T): -beta k1 at each token, and the row's `reward` at its last one.

    k1 = log old - log ref on samples of old; as a reward its policy gradient is exactly that of the reverse KL
    (algorithms 7.1; Ziegler et al. 2019, 1909.08593, eq. 2). An adaptive beta is logged, and then moved by the metric `kl`.
    """

    def annotate(batch: Batch) -> Batch:
        if not isinstance(beta, AdaptiveKL):
            return batch.having(token_reward=_stream(batch, "reward", -beta))
        batch = batch.having(token_reward=_stream(batch, "reward", -beta.beta)).logging(kl_weight=beta.beta)
        beta.update(batch.metrics["kl"])
        return batch

    return annotate


def kl_in_cost(beta: float) -> Annotate:
    """Write `token_cost` (N, T): +beta k1 at each token, and the row's `cost` at its last one. Dai et al. 2023 (2310.12773).

    With the sign turned: (A_reward - lambda A_cost) / (1 + lambda) then carries the penalty with weight beta, whatever lambda.
    """
    return lambda batch: batch.having(token_cost=_stream(batch, "cost", beta))


def mismatch(model: Model) -> Annotate:
    """Write `old_logp` as `model`, the trainer, gives it, and log `mismatch_kl`: how far its sampler is from it, nats a token.

    The mean of sampler_logp - old_logp over sampled tokens: k1 of KL(sampler || trainer), unbiased (algorithms 7.1 and 7.4).
    """
    return chain(column("old_logp", model), _log_mismatch)


def truncated_importance(cap: float, over: Literal["token", "sequence"]) -> Annotate:
    """Correct for a sampler that is not quite the trainer's model: weigh `advantage` by w = exp(old_logp - sampler_logp).

    token: w_t, at most `cap` (truncated importance sampling). sequence: rows whose whole ratio lies outside [1 / cap, cap] get
    weight 0, the others 1. The surrogate is linear in a weight that is not negative, so weighing the advantage weighs the loss;
    a KL in the loss stays as it is (algorithms 7.4). To be applied last, after any whitening.
    """
    if cap <= 1:
        raise ValueError(f"the cap of an importance weight must be above 1, got {cap}; 2 to 3 is usual")

    def annotate(batch: Batch) -> Batch:
        away = _away(batch)
        if over == "token":
            weight = away.exp().clamp(max=cap)
            cut = ((weight == cap) & batch.mask).sum() / batch.mask.sum()
        else:
            inside = away.sum(-1, keepdim=True).abs() <= torch.tensor(cap).log()
            weight, cut = inside.to(away.dtype).expand_as(away), 1 - inside.float().mean()
        batch = batch.having(advantage=batch.columns["advantage"] * weight)
        return _log_mismatch(batch).logging(mismatch_cut=float(cut))

    return annotate


def _log_mismatch(batch: Batch) -> Batch:
    return batch.logging(mismatch_kl=float(-_away(batch).sum() / batch.mask.sum()))


def _away(batch: Batch) -> Tensor:
    """log trainer - log sampler, (N, T), zero where nothing was sampled."""
    return (batch.columns["old_logp"] - batch.columns["sampler_logp"]) * batch.mask


def _stream(batch: Batch, name: str, beta: float) -> Tensor:
    """beta k1 at each token, plus the column `name` (N,) at each row's last one: (N, T)."""
    rewards = torch.zeros_like(batch.columns["old_logp"])
    if beta:
        rewards = beta * (batch.columns["old_logp"] - batch.columns["ref_logp"]) * batch.mask
    return rewards.scatter_add(1, batch.last()[:, None], batch.columns[name][:, None].to(rewards.dtype))
