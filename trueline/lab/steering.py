"""One direction of the residual stream: found as a difference in means, taken out of a model, or added to it.

After Arditi et al. 2024 (https://arxiv.org/abs/2406.11717). With r the unit vector from the mean state at one place of harmless
requests, counted from their end, to that of requests which are refused, states go on as

    ablated      x - r r^T x            at every layer and token (section 2.4, eq. 4)
    added        x + s r                at the layer that r was read at, s the distance of the two means (eq. 3)

What changes is what each block reads (models/residual.py); what the last block writes is left as it is. Text is sampled by
reading the whole row anew for every token, which any architecture can do under such a change, and costs what it costs.

    r = direction(states(policy, refused, 1)[-1, 2], states(policy, answered, 1)[-1, 2])  # last token, before block 2
    said = sampled(policy, prompts, ablating(r.unit), max_tokens=40)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trueline.core.types import Completion, Prompt
from trueline.models.policy import Policy
from trueline.models.residual import Change, through

ROWS = 48


@dataclass(frozen=True)
class Direction:
    """A unit vector, and how far the two means lie apart along it."""

    unit: Tensor  # (D,)
    length: Tensor  # ()


@torch.no_grad()
def states(policy: Policy, prompts: Sequence[Prompt], places: int) -> Tensor:
    """The states at the last tokens of each prompt, in their order: (places, layers, N, D)."""
    found = []
    for at in range(0, len(prompts), ROWS):
        heads = [policy.codec.prompt(p.conversation) for p in prompts[at : at + ROWS]]
        ends = torch.tensor([[len(head) - back for head in heads] for back in range(places, 0, -1)]).clamp(min=0)
        layers: list[Tensor] = []

        def look(layer: int, seen: Tensor, ends: Tensor = ends, layers: list[Tensor] = layers) -> Tensor:
            layers.append(seen[torch.arange(ends.shape[1]), ends].float())  # (places, N, D)
            return seen

        with through(policy, len(heads), look):
            policy.logits(_padded(policy, heads))
        found.append(torch.stack(layers, 1))
    return torch.cat(found, 2)


def direction(refused: Tensor, answered: Tensor) -> Direction:
    """From the mean of what is answered to the mean of what is refused; states are (N, D)."""
    apart = refused.mean(0) - answered.mean(0)
    length = apart.norm()
    return Direction(apart / length.clamp(min=1e-12), length)


def ablating(unit: Tensor) -> Change:
    """Take a unit vector out of every state, at every layer."""
    return lambda layer, x: x - (x @ unit.to(x.dtype))[..., None] * unit.to(x.dtype)


def adding(vector: Tensor, at: int) -> Change:
    """Add a vector to every state of one layer."""
    return lambda layer, x: x + vector.to(x.dtype) if layer == at else x


def random_unit(like: Tensor, seed: int) -> Tensor:
    """A random unit vector of as many dimensions: the control of any direction."""
    drawn = torch.randn(like.shape[-1], generator=torch.Generator().manual_seed(seed)).to(like.device)
    return drawn / drawn.norm()


@torch.no_grad()
def sampled(
    policy: Policy, prompts: Sequence[Prompt], change: Change, *, max_tokens: int, seed: int = 0, temperature: float = 1.0
) -> list[Completion]:
    """A completion of each prompt under a change of the residual stream; equal seeds draw with equal random numbers."""
    drawn = torch.rand(len(prompts), max_tokens, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    order = sorted(range(len(prompts)), key=lambda i: len(policy.codec.prompt(prompts[i].conversation)))
    found: dict[int, Completion] = {}
    for at in range(0, len(order), ROWS):
        some = order[at : at + ROWS]
        rows = [policy.codec.prompt(prompts[i].conversation) for i in some]
        for i, ids in zip(some, _continued(policy, rows, change, drawn[some], temperature), strict=True):
            ended = bool(ids) and ids[-1] in policy.codec.ends
            text = policy.codec.text(ids)
            found[i] = Completion(prompt=prompts[i], text=text, ids=tuple(ids), finish="stop" if ended else "length")
    return [found[i] for i in range(len(prompts))]


def _continued(
    policy: Policy, heads: Sequence[Sequence[int]], change: Change, drawn: Tensor, temperature: float
) -> list[list[int]]:
    """Token after token for rows that have not ended, each read from its beginning."""
    replies: list[list[int]] = [[] for _ in heads]
    alive = list(range(len(heads)))
    for t in range(drawn.shape[1]):
        rows = [[*heads[i], *replies[i]] for i in alive]
        with through(policy, len(rows), change):
            logits = policy.logits(_padded(policy, rows))
        last = torch.tensor([len(row) - 1 for row in rows], device=logits.device)
        picked = _pick(logits[torch.arange(len(rows)), last], drawn[alive, t], temperature)
        for i, token in zip(alive, picked, strict=True):
            replies[i].append(token)
        alive = [i for i in alive if replies[i][-1] not in policy.codec.ends]
        if not alive:
            break
    return replies


def _pick(logits: Tensor, u: Tensor, temperature: float) -> list[int]:
    if temperature == 0:
        return logits.argmax(-1).tolist()
    cumulative = (logits.double() / temperature).softmax(-1).cumsum(-1)
    target = u.to(cumulative.device)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1).tolist()


def _padded(policy: Policy, rows: Sequence[Sequence[int]]) -> Tensor:
    tokens = torch.full((len(rows), max(map(len, rows))), policy.codec.pad)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row)
    return tokens.to(policy.device)
