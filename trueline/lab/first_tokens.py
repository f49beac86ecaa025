"""Fine-tuning that holds the first tokens of a reply to the model before it, and lets the later ones learn.

Qi et al. 2024 (https://arxiv.org/abs/2406.05946), eq. 3: with r_t = log pi(y_t | x, y_<t) - log ref(y_t | x, y_<t),

    loss = - sum_t (2 / beta_t) log sigmoid(beta_t r_t),

whose gradient is that of cross-entropy while the two models agree, and fades once r_t is beyond 1 / beta_t: a large beta holds
a token, a small one lets it go. The betas are those of the paper: 0.5 for the first token, 2 for the second to the fifth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor

from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Term


@dataclass(frozen=True, kw_only=True)
class FirstTokens:
    """Token-wise constrained likelihood. Needs the column `ref_logp` (N, T); rows have one trained reply each."""

    first: float = 0.5  # beta of the first token of a reply
    early: float = 2.0  # of the tokens after it
    until: int = 5  # the last of these
    later: float = 0.1  # of all that follow

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"ref_logp"})

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.logp is not None
        beta = self.betas(batch.mask)
        away = out.logp - batch.columns["ref_logp"]
        yield Term("loss", -(2 / beta * F.logsigmoid(beta * away) * batch.mask).sum())

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """The policy starts as the reference or near it: nothing to check."""
        yield from ()

    def betas(self, mask: Tensor) -> Tensor:
        """How each token is held, (N, T), by its place among the trained tokens of its row."""
        place = mask.long().cumsum(-1)
        later = torch.full(mask.shape, self.later, device=mask.device)
        return later.masked_fill(place <= self.until, self.early).masked_fill(place <= 1, self.first)
