"""What a frozen model's residual stream is at every trained token: the reference of circuit breakers.

annotate = hidden_of(model)
"""

from __future__ import annotations

import torch

from trueline.models.residual import Seeing
from trueline.train.annotate import ROWS
from trueline.train.batch import Annotate, Batch


def hidden_of(model: Seeing) -> Annotate:
    """Write `ref_hidden` (N, T, layers * D): the states of `model` at the trained tokens, zeros elsewhere."""

    @torch.no_grad()
    def annotate(batch: Batch) -> Batch:
        at = batch.mask.clone()
        at[:, 0] = False
        found = []
        for micro in batch.split(ROWS):
            hidden = model(micro.tokens, micro.mask, frozenset({"hidden"})).hidden  # (M, layers, D)
            assert hidden is not None
            found.append(hidden.flatten(1))
        states = torch.cat(found)
        spread = states.new_zeros(*batch.tokens.shape, states.shape[-1])
        spread[at.to(spread.device)] = states
        return batch.having(ref_hidden=spread)

    return annotate
