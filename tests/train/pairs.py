"""Pairs of replies for tests of objectives, with the columns that links ask for, and what a step makes of them.

metrics, gradients = gradient(policy, DPO(), annotated(policy, batch()))
"""

import torch

from tests.models.small import tiny_policy
from trueline.train import annotate
from trueline.train.annotate_preference import RunningDelta, matched_gaps, matched_sides
from trueline.train.batch import Batch, pad_rows
from trueline.train.loop import gradients


def batch(pairs: int = 5, seed: int = 0) -> Batch:
    """Pairs of replies of 1 to 6 tokens to prompts of one letter."""
    random = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(pairs):
        head = [1, int(torch.randint(8, 28, (1,), generator=random))]
        for _ in range(2):
            n = int(torch.randint(1, 7, (1,), generator=random))
            rows.append([*head, *torch.randint(8, 28, (n,), generator=random).tolist(), 2])
    return pad_rows(rows, [[False, False] + [True] * (len(r) - 2) for r in rows], 0, 2)


def annotated(policy, made: Batch, reference=None) -> Batch:
    """The batch with every column that a link may ask for."""
    reference = reference or tiny_policy(seed=1)
    steps = (annotate.reference(reference), matched_gaps(policy), matched_sides(policy), RunningDelta(policy))
    return annotate.chain(*steps)(made)


def gradient(model, objective, made, micro_rows=0):
    """The metrics of a step, and the gradient of each parameter."""
    model.zero_grad()
    metrics = gradients(model, objective, made, micro_rows)
    return metrics, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def logps(model, made):
    """The log-probability of each reply, pair by pair."""
    return (model(made.tokens, made.mask, frozenset({"logp"})).logp * made.mask).sum(-1).view(-1, 2)
