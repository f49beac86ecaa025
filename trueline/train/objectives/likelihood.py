"""Maximum likelihood, and its opposite for what should not be said: pre-training, fine-tuning, distillation on sequences.

    trueline run sft

Both objectives read the column `weight`, (N,) or (N, T), where there is one. It multiplies a token's loss; the mean is still
over all trained tokens of the step, whatever they weigh, so that 2 counts a row twice, and 0 leaves it out of the sum alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Term

CERTAIN = -1e-6  # log-probability above which 1 - p is noise in float32, and so is its gradient


@dataclass(frozen=True)
class NextToken:
    """Cross-entropy of the masked tokens, nats per token.

    The mean is over all trained tokens of the step, whatever the split: long rows weigh more than short ones.
    """

    expected_start: float = 0.0  # nats a fresh model should begin at (log V); 0: the model is not fresh, nothing to check

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.logp is not None
        yield Term("loss", -(out.logp * _weights(batch)).sum())

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """A fresh model knows nothing: its loss is close to log V, neither far above (bad scale) nor below (leaked targets)."""
        loss, expected = metrics["loss"], self.expected_start
        if expected and not 0.85 * expected <= loss <= 1.35 * expected:
            yield f"a fresh model's loss should be near log V = {expected:.2f}, got {loss:.2f}: check its initial weights"


@dataclass(frozen=True)
class Unlikelihood:
    """-log p for the rows to imitate, and -log(1 - p) for those to avoid, nats per token of both.

    The column `negative` (N,) is 1 for a row to avoid, else 0. Welleck et al. 2019 (1908.04319), on whole sequences:
    every trained token of such a row is a negative candidate. A token with p above 1 - 1e-6 has no gradient.
    """

    weight: float = 1.0  # of the rows to avoid, against the others

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weight must be above 0, got {self.weight}; without rows to avoid, use NextToken")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"negative"})

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.logp is not None
        weights = _weights(batch)
        avoid = batch.mask & (batch.columns["negative"] > 0)[:, None]  # (N, T)
        yield Term("loss", -(out.logp * weights * (batch.mask & ~avoid)).sum())
        logp = out.logp.masked_fill(~avoid, -1.0).clamp(max=CERTAIN)  # -1: any number whose 1 - p is harmless
        yield Term("unlikelihood", -(log_one_minus_exp(logp) * weights * avoid).sum(), "token", self.weight)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """Any model may be taught what to avoid: nothing to check."""
        yield from ()


def log_one_minus_exp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0, by whichever of two forms keeps its digits (Maechler 2012)."""
    near, far = x.clamp(min=-0.7), x.clamp(max=-0.6)  # each form sees only what it can take, or its gradient is NaN
    return torch.where(x > -0.6931, torch.log(-torch.expm1(near)), torch.log1p(-far.exp()))


def _weights(batch: Batch) -> Tensor:
    """The weight of every token, (N, T): that of its row or its own, and zero where nothing is trained."""
    weight = batch.columns.get("weight")
    mask = batch.mask.float()
    return mask if weight is None else mask * (weight[:, None] if weight.ndim == 1 else weight)
