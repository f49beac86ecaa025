"""What a teacher says of every trained token: its distribution, or its log-probability against the student's own.

- `teacher(model, top, temperature)`: the columns teacher_ids and teacher_logp, which `objectives/distil.py` reads;
- `against(model)`: the column advantage, for on-policy distillation through the policy gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trueline.train import annotate
from trueline.train.annotate import ROWS
from trueline.train.batch import Annotate, Batch, Model


def teacher(model: Model, top: int = 0, temperature: float = 1.0, vocabulary: int = 0) -> Annotate:
    """Write `teacher_ids` (N, T, K), and `teacher_logp` (N, T, K) or (N, T, K + 1), under softmax(logits / temperature).

    K = `top` most likely tokens of each place; 0 takes all. Where some are left out, the last entry of `teacher_logp` is the
    log-probability of all these together, so that the numbers still are a distribution. `vocabulary`: how many logits count,
    for a teacher whose rows of padding reach further than the student's; 0: all.
    """

    @torch.no_grad()
    def annotate(batch: Batch) -> Batch:
        ids, logps = [], []
        for micro in batch.split(max(batch.group, ROWS)):
            logits = model(micro.tokens, micro.mask, frozenset({"logits"}), micro.temperature).logits  # (M, V)
            assert logits is not None
            scores = (logits[:, : vocabulary or None] / temperature).log_softmax(-1)
            chosen = scores.topk(min(top or scores.shape[-1], scores.shape[-1]), dim=-1)
            found = chosen.values
            if found.shape[-1] < scores.shape[-1]:
                found = torch.cat([found, left_over(scores, chosen.indices)[:, None]], -1)
            at = _places(micro, batch.tokens.shape[1])
            ids.append(_spread(chosen.indices, at))
            logps.append(_spread(found, at))
        return batch.having(teacher_ids=torch.cat(ids), teacher_logp=torch.cat(logps))

    return annotate


def against(model: Model) -> Annotate:
    """Write `advantage` = log teacher - log student, of each sampled token, (N, T): what the reverse KL's gradient asks for.

    Needs `old_logp`. Each token answers for itself alone (discount 0). Log `teacher_kl`, the mean over rows of the sum: an
    unbiased estimate of KL(student || teacher), nats a reply.
    """
    read = annotate.column("teacher_logp", model)

    def apply(batch: Batch) -> Batch:
        difference = (read(batch).columns["teacher_logp"] - batch.columns["old_logp"]) * batch.mask
        return batch.having(advantage=difference).logging(teacher_kl=float(-difference.sum(-1).mean()))

    return apply


def left_over(scores: Tensor, ids: Tensor) -> Tensor:
    """log of the sum of exp(scores) (M, V) over all but `ids` (M, K): small masses keep their digits, as 1 - sum does not."""
    return scores.scatter(-1, ids, -torch.inf).logsumexp(-1)


def _places(micro: Batch, width: int) -> Tensor:
    """Where the masked tokens lie in rows of the whole batch's width, (N, width) bool. Token 0 is never predicted."""
    mask = torch.nn.functional.pad(micro.mask, (0, width - micro.mask.shape[1])).clone()
    mask[:, 0] = False
    return mask


def _spread(values: Tensor, at: Tensor) -> Tensor:
    """Put (M, K) values at their tokens, (N, T, K), zeros elsewhere."""
    spread = values.new_zeros(*at.shape, values.shape[-1])
    spread[at] = values
    return spread
