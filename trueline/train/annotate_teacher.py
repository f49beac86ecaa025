"""What a teacher says of every trained token: its distribution, or its log-probability against the student's own.

- `teacher(model, top, temperature)`: the columns teacher_ids and teacher_logp, which `objectives/distil.py` reads;
- `against(model)`: the column advantage, for on-policy distillation through the policy gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trueline.models.policy import Outputs
from trueline.models.products import CHUNK
from trueline.train import annotate
from trueline.train.batch import Annotate, Batch, Model
from trueline.train.forward import Output, spread


@dataclass(frozen=True)
class Distribution:
    """`teacher_ids` (N, T, K), and `teacher_logp` (N, T, K) or (N, T, K + 1), under softmax(logits / temperature).

    K = `top` most likely tokens of each place; 0 takes all. Where some are left out, the last entry of `teacher_logp` is the
    log-probability of all these together, so that the numbers still are a distribution. `vocabulary`: how many logits count,
    for a teacher whose rows of padding reach further than the student's; 0: all.
    """

    top: int = 0
    temperature: float = 1.0
    vocabulary: int = 0

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logits"})

    def __call__(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        assert out.logits is not None  # (M, V)
        ids, logp = zip(*map(self._likeliest, out.logits.split(CHUNK)), strict=True)
        return {"teacher_ids": spread(torch.cat(ids), batch), "teacher_logp": spread(torch.cat(logp), batch)}

    def _likeliest(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Of some tokens (M, V): the ids (M, K), and their log-probabilities with what is left over."""
        scores = (logits[:, : self.vocabulary or None] / self.temperature).log_softmax(-1)
        chosen = scores.topk(min(self.top or scores.shape[-1], scores.shape[-1]), dim=-1)
        if chosen.values.shape[-1] == scores.shape[-1]:
            return chosen.indices, chosen.values
        return chosen.indices, torch.cat([chosen.values, left_over(scores, chosen.indices)[:, None]], -1)


def teacher(model: Model, top: int = 0, temperature: float = 1.0, vocabulary: int = 0, micro_rows: int = 0) -> Annotate:
    """Write the columns of a `Distribution`, read `micro_rows` rows at a time (0: as many as of any frozen model)."""
    return annotate.written(model, Distribution(top, temperature, vocabulary), micro_rows)


def against(model: Model, micro_rows: int = 0) -> Annotate:
    """Write `advantage` = log teacher - log student, of each sampled token, (N, T): what the reverse KL's gradient asks for.

    Needs `old_logp`. Each token answers for itself alone (discount 0). Log `teacher_kl`, the mean over rows of the sum: an
    unbiased estimate of KL(student || teacher), nats a reply.
    """
    write = annotate.written(model, Output("logp", "teacher_logp"), micro_rows)

    def apply(batch: Batch) -> Batch:
        difference = (write(batch).columns["teacher_logp"] - batch.columns["old_logp"]) * batch.mask
        return batch.having(advantage=difference).logging(teacher_kl=float(-difference.sum(-1).mean()))

    return apply


def left_over(scores: Tensor, ids: Tensor) -> Tensor:
    """log of the sum of exp(scores) (M, V) over all but `ids` (M, K): small masses keep their digits, as 1 - sum does not."""
    return scores.scatter(-1, ids, -torch.inf).logsumexp(-1)
