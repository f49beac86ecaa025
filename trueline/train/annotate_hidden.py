"""What a frozen model's residual stream is at every trained token: the reference of circuit breakers.

annotate = hidden_of(model)
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from trueline.models.policy import Outputs
from trueline.models.residual import Seeing
from trueline.train import annotate
from trueline.train.batch import Annotate, Batch
from trueline.train.forward import spread


@dataclass(frozen=True)
class States:
    """The states of a `Seeing` at the trained tokens as the column `ref_hidden`, (N, T, layers * D); zeros elsewhere."""

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"hidden"})

    def __call__(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        assert out.hidden is not None  # (M, layers, D)
        return {"ref_hidden": spread(out.hidden.flatten(1), batch)}


def hidden_of(model: Seeing) -> Annotate:
    """Write `ref_hidden` (N, T, layers * D): the states of `model` at the trained tokens, zeros elsewhere."""
    return annotate.written(model, States())
