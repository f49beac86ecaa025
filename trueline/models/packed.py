"""What a batch holds without its padding, and with every prompt once: the layout that the lean forward pass computes on.

Rows of a batch are padded to the longest, and neighbours often begin with the same prompt: the two completions of a pair, the
samples of a group. Here every real token is laid out once, prompts first, so that products cost what the tokens cost.
Attention runs on padded views: a prompt over itself, a tail (what follows the prompt) over its prompt and itself.
Nothing after a row's last trained token is computed, since no loss can depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor

WORTH = 0.9  # a layout is used when it has fewer tokens than this share of the padded batch


@dataclass(frozen=True, slots=True)
class Segments:
    """Pieces of the flat tokens as rows of a padded (rows, width) view."""

    rows: int
    width: int
    cells: Tensor  # (tokens,) where each flat token stands in the padded view

    @classmethod
    def of(cls, lengths: Tensor) -> Segments:
        """Pieces of these lengths, one after another."""
        width = int(lengths.max())
        real = torch.arange(width, device=lengths.device) < lengths[:, None]
        return cls(len(lengths), width, real.flatten().nonzero()[:, 0])

    def pad(self, flat: Tensor) -> Tensor:
        """(tokens, ...) as (rows, width, ...), zeros elsewhere."""
        return _Pad.apply(flat, self.cells, self.rows * self.width).unflatten(0, (self.rows, self.width))

    def unpad(self, padded: Tensor) -> Tensor:
        """(rows, width, ...) as (tokens, ...)."""
        return _Unpad.apply(padded.flatten(0, 1), self.cells)


@dataclass(frozen=True, slots=True)
class Layout:
    """Every token of a batch that a loss can depend on, once."""

    ids: Tensor  # (M,): prompts, then tails
    positions: Tensor  # (M,) in its row
    at: Tensor  # (N, T) where in `ids` a token of the batch stands; -1 where it is not computed
    prompts: Segments | None  # None: no prompt is shared, and rows are tails as a whole
    tails: Segments
    owner: Tensor  # (N,) which prompt a row has
    mask: Tensor | None  # (N, 1, tail, prompt + tail), 0 or -inf: what a tail may see; None: itself, causally

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of (M, heads, size) queries over (M, kv heads, size) keys and values; gives (M, heads, size)."""
        shared = q.shape[1] != k.shape[1]
        count = 0 if self.prompts is None else len(self.prompts.cells)
        tq, tk, tv = (self.tails.pad(x[count:]).transpose(1, 2) for x in (q, k, v))  # (N, heads, tail, size)
        if self.prompts is None or self.mask is None:
            seen = F.scaled_dot_product_attention(tq, tk, tv, is_causal=True, enable_gqa=shared)
            return self.tails.unpad(seen.transpose(1, 2))
        pq, pk, pv = (self.prompts.pad(x[:count]).transpose(1, 2) for x in (q, k, v))  # (G, heads, prompt, size)
        own = F.scaled_dot_product_attention(pq, pk, pv, is_causal=True, enable_gqa=shared)
        tk, tv = torch.cat([pk[self.owner], tk], dim=2), torch.cat([pv[self.owner], tv], dim=2)
        seen = F.scaled_dot_product_attention(tq, tk, tv, attn_mask=self.mask.to(tq.dtype), enable_gqa=shared)
        return torch.cat([self.prompts.unpad(own.transpose(1, 2)), self.tails.unpad(seen.transpose(1, 2))])


def layout(tokens: Tensor, mask: Tensor) -> Layout | None:
    """Lay out a right-padded batch (N, T) whose loss reads the tokens in `mask`; None where that would save next to nothing.

    Neighbouring rows share a prompt when all before their first trained token is the same.
    """
    rows, width = tokens.shape
    mask, steps = mask.bool(), torch.arange(width, device=tokens.device)
    length = (mask * steps).amax(-1) + 1  # (N,) up to the last trained token
    first = torch.where(mask.any(-1), mask.int().argmax(-1), 0)  # (N,) the prompt's length
    before = (tokens[1:] == tokens[:-1]) | (steps >= first[1:, None])
    same = F.pad((first[1:] == first[:-1]) & (first[1:] > 0) & before.all(-1), (1, 0))
    owner = (~same).cumsum(0) - 1
    saved = int((first * same).sum())
    total = int(length.sum())
    if saved < (1 - WORTH) * total:
        if total > WORTH * rows * width:
            return None
        inside = steps < length[:, None]
        at = torch.full((rows, width), -1, device=tokens.device).masked_scatter(
            inside, torch.arange(total, device=tokens.device)
        )
        positions = steps.expand(rows, width)[inside]
        return Layout(tokens[inside], positions, at, None, Segments.of(length), owner, None)
    leaders = (~same).nonzero()[:, 0]
    heads = first[leaders]  # (G,)
    in_head, in_tail = steps < heads[:, None], (steps >= first[:, None]) & (steps < length[:, None])
    ids = torch.cat([tokens[leaders][in_head], tokens[in_tail]])
    positions = torch.cat([steps.expand(len(leaders), width)[in_head], steps.expand(rows, width)[in_tail]])
    starts = heads.cumsum(0) - heads
    count = int(heads.sum())
    at = torch.where(steps < first[:, None], starts[owner, None] + steps, -1)
    at = torch.where(in_tail, in_tail.flatten().cumsum(0).view(rows, width) - 1 + count, at)
    prompts, tails = Segments.of(heads), Segments.of(length - first)
    causal = torch.ones(tails.width, tails.width, dtype=torch.bool, device=tokens.device).tril()
    visible = torch.arange(prompts.width, device=tokens.device) < first[:, None]  # (N, prompt)
    allowed = torch.cat([visible[:, None].expand(rows, tails.width, -1), causal.expand(rows, -1, -1)], dim=-1)
    bias = torch.zeros(allowed.shape, device=tokens.device).masked_fill_(~allowed, -torch.inf)[:, None]
    return Layout(ids, positions, at, prompts, tails, owner, bias)


class _Pad(torch.autograd.Function):
    """Put rows into their cells; both directions are plain copies, since no cell is used twice."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, cells: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(cells)
        return flat.new_zeros(size, *flat.shape[1:]).index_copy_(0, cells, flat)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient.index_select(0, ctx.saved_tensors[0]), None, None


class _Unpad(torch.autograd.Function):
    """Take rows out of their cells."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, cells: Tensor) -> Tensor:
        ctx.save_for_backward(cells)
        ctx.size = len(padded)
        return padded.index_select(0, cells)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.new_zeros(ctx.size, *gradient.shape[1:]).index_copy_(0, ctx.saved_tensors[0], gradient), None
