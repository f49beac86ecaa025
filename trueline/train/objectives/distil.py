"""Distillation: the student's distribution of every token is drawn to the teacher's.   trueline run distil

P is the teacher's distribution, Q the student's, both under softmax(logits / temperature). One family of divergences, by beta:

    0            KL(P || Q)    forward: Q covers all that P does        Hinton et al. 2015 (1503.02531)
    1            KL(Q || P)    reverse: Q keeps to where P is           Gu et al. 2023 (2306.08543)
    in between   [beta KL(P || M) + (1 - beta) KL(Q || M)] / (beta (1 - beta)),   M = beta P + (1 - beta) Q

The last is the generalised Jensen-Shannon divergence of Agarwal et al. 2023 (2306.13649), over beta (1 - beta).
Undivided it vanishes at both ends, so that a beta near an end would hardly train; divided it runs from one KL to the other
without a jump, in value and in gradient. At one half it is four times the usual Jensen-Shannon divergence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from trueline.models.policy import Outputs
from trueline.models.products import CHUNK
from trueline.train.annotate_teacher import left_over
from trueline.train.batch import Batch, Term

FAR = 80.0  # nats: exp of more would not fit into float32


@dataclass(frozen=True)
class Divergence:
    """alpha * cross-entropy + (1 - alpha) * temperature^2 * divergence, nats per token (Hinton et al. 2015).

    Reads the columns `teacher_ids` and `teacher_logp` of `annotate_teacher.teacher`, written at the same temperature. Where
    they hold the teacher's most likely tokens only, all others count as one token, on both sides: a divergence of coarser
    distributions, never above the full one.
    """

    beta: float = 0.0  # 0: forward KL; 1: reverse KL; in between: generalised Jensen-Shannon
    temperature: float = 1.0  # of both distributions; the loss is scaled by its square
    alpha: float = 0.0  # share of the cross-entropy with the data's own tokens

    def __post_init__(self) -> None:
        if not 0 <= self.beta <= 1 or not 0 <= self.alpha < 1:
            raise ValueError(f"beta must lie in [0, 1] and alpha in [0, 1), got {self.beta} and {self.alpha}")
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logits"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"teacher_ids", "teacher_logp"})

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.logits is not None
        at = batch.mask.clone()
        at[:, 0] = False  # never predicted
        targets, ids, teacher = (x[at] for x in (batch.tokens, batch.columns["teacher_ids"], batch.columns["teacher_logp"]))
        total = nll = out.logits.new_zeros(())
        for parts in zip(*(x.split(CHUNK) for x in (out.logits, targets, ids, teacher)), strict=True):
            # Made again in the backward pass: what is kept of a chunk would be several times its logits.
            apart, surprise = checkpoint(self._chunk, *parts, use_reentrant=False, preserve_rng_state=False)
            total, nll = total + apart, nll + surprise
        yield Term("loss", total, "token", (1 - self.alpha) * self.temperature**2)
        yield Term("nll", nll, "token", self.alpha)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """No divergence is below zero, unless the two sides are not distributions over the same things."""
        if metrics["loss"] < -1e-4:
            yield f"a divergence cannot be below 0, got {metrics['loss']:.2e}: are the teacher's columns those of this batch?"

    def _chunk(self, logits: Tensor, targets: Tensor, ids: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """The summed divergence and the summed cross-entropy of some tokens: (M, V), (M,), (M, K), (M, K or K + 1)."""
        scores = (logits / self.temperature).log_softmax(-1)
        student = scores.gather(-1, ids)
        if teacher.shape[-1] > ids.shape[-1]:
            student = torch.cat([student, left_over(scores, ids)[:, None]], -1)
        return divergence(teacher, student, self.beta).sum(), F.cross_entropy(logits, targets, reduction="sum")


def divergence(teacher: Tensor, student: Tensor, beta: float) -> Tensor:
    """D_beta of log-probabilities (..., V), (...,): the family of this module's docstring."""
    p, q, lead = teacher.exp(), student.exp(), teacher - student  # lead: log P - log Q
    if beta == 0:
        return (p * lead).sum(-1)
    if beta == 1:
        return -(q * lead).sum(-1)
    to_q = _log_mixture(beta, lead)  # log M - log Q
    to_p = _log_mixture(1 - beta, -lead)  # log M - log P
    return -(p * to_p / (1 - beta) + q * to_q / beta).sum(-1)


def _log_mixture(share: float, lead: Tensor) -> Tensor:
    """log(1 - share + share * exp(lead)), exact also where share is small, which the division by it needs."""
    near = lead.clamp(max=FAR)
    return torch.log1p(share * torch.expm1(near)) + (lead - near)
