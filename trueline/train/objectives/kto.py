"""Kahneman-Tversky optimisation: completions that are wanted or not, one by one, without pairs.   trueline run kto

Ethayarajh et al. 2024 (2402.01306), eq. 8. A completion's log-ratio is judged against what the policy does on average, z0: the
KL to the reference, estimated on completions of other prompts. It is a number of the whole batch, so it is an annotation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Term


@dataclass(frozen=True)
class KTO:
    """desirable (1 - sigmoid(beta (rho - z0))), undesirable (1 - sigmoid(beta (z0 - rho))), mean over rows.

    Needs `ref_logp` (N, T), `label` (N,) with 1 for desirable, and from `annotate_preference.Mismatched` the columns
    `kl_baseline` (N,), which is z0 in nats, and `share` (N,), the share of the step's rows that have the row's label.
    `chosen` and `rejected` are the mean log-ratios of desirable and undesirable rows; 0 where a step has none.
    """

    beta: float = 0.1  # strength of the pull to the reference, 1/nat
    desirable: float = 1.0  # weight of a desirable completion
    undesirable: float = 1.0  # weight of an undesirable completion

    def __post_init__(self) -> None:
        if self.beta <= 0 or min(self.desirable, self.undesirable) <= 0:
            raise ValueError(f"beta and both weights must be above 0, got {self.beta}, {self.desirable} and {self.undesirable}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"ref_logp", "label", "kl_baseline", "share"})

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.logp is not None
        wanted = batch.columns["label"] > 0.5  # (N,)
        logp = (out.logp * batch.mask).sum(-1)
        ratio = logp - (batch.columns["ref_logp"] * batch.mask).sum(-1)
        above = torch.where(wanted, 1.0, -1.0) * (ratio - batch.columns["kl_baseline"])  # on the side where it should be
        weight = torch.where(wanted, self.desirable, self.undesirable)
        yield Term("loss", (weight * (-self.beta * above).sigmoid()).sum(), "row")  # 1 - sigmoid(x) = sigmoid(-x)
        with torch.no_grad():
            part = 1 / batch.columns["share"]  # so that a mean over all rows is one over those of a label
            for name, side in (("chosen", wanted), ("rejected", ~wanted)):
                yield _mean(name, ratio * part * side)
                yield _mean(f"{name}_logp", logp * part * side)
                yield _mean(f"{name}_length", batch.mask.sum(-1) * part * side)
            yield _mean("margin", self.beta * ratio * part * torch.where(wanted, 1.0, -1.0))
            yield _mean("accuracy", (above > 0).float() + 0.5 * (above == 0).float())

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """Policy and reference are one model: every log-ratio is zero, and so is their KL."""
        for name in ("chosen", "rejected", "kl_baseline"):
            if abs(metrics.get(name, 0.0)) > 1e-3:
                yield f"policy and reference should be one model at the start, but {name} is {metrics[name]:.4f} nats"


def _mean(name: str, per_row: Tensor) -> Term:
    return Term(name, per_row.sum(), "row", 0.0)
