"""What a batch holds without its padding, and with every prompt once: the layout that the lean forward pass computes on.

Rows of a batch are padded to the longest, and neighbours often begin with the same prompt: the two completions of a pair, the
samples of a group. Here every real token is laid out once, prompts first, so that products cost what the tokens cost.
Attention runs over pieces of that layout: a prompt over itself, a tail (what follows the prompt) over its prompt and itself.
Nothing after a row's last trained token is computed, since no loss can depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor

from trueline.models import native

STEP = 32  # a layout that has more tokens has a multiple of so many
WORTH = 0.9  # a layout is used when it has fewer tokens than this share of the padded batch


@dataclass(frozen=True)
class Layout:
    """Every token of a batch that a loss can depend on, once."""

    ids: Tensor  # (M,): prompts, then tails
    positions: Tensor  # (M,) in its row
    at: Tensor  # (N, T) where in `ids` a token of the batch stands; -1 where it is not computed
    pieces: Tensor  # (S, 4) int64, on the CPU: first token, tokens, first token and tokens of the prefix that they see
    shared: int = 0  # the first so many pieces are prompts that others have as prefix

    @classmethod
    def of_rows(cls, tokens: Tensor) -> Layout:
        """A batch (N, T) as it stands, padding and all."""
        rows, width = tokens.shape
        at = torch.arange(rows * width, device=tokens.device).view(rows, width)
        positions = torch.arange(width, device=tokens.device).expand(rows, width).flatten()
        return cls(tokens.flatten(), positions, at, _whole(torch.full((rows,), width)))

    @classmethod
    def of_lists(cls, rows: list[list[int]]) -> Layout:
        """Rows of any lengths, one after another."""
        lengths = torch.tensor([len(r) for r in rows])
        positions = torch.cat([torch.arange(len(r)) for r in rows])
        return cls(torch.tensor([i for r in rows for i in r]), positions, torch.empty(0), _whole(lengths))

    def attend(
        self, qkv: Tensor, cos: Tensor, sin: Tensor, heads: tuple[int, int], norms: native.HeadNorms | None = None
    ) -> Tensor:
        """Attention of the layout's tokens: (M, (H + 2 G) D) to (M, H D); `heads` is (H, G)."""
        if native.fits(qkv):
            return native.attend(qkv, cos, sin, self.pieces, heads, norms)
        if norms is not None:
            qkv = native.norm_heads(qkv, norms, heads)
        q, k, v = split_heads(qkv, cos, sin, heads)
        return self._padded.attend(q, k, v).flatten(-2)

    @cached_property
    def _padded(self) -> _Padded:
        return _Padded.of(self)


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
    saved = int((first * same).sum())
    total = int(length.sum())
    if saved < (1 - WORTH) * total:
        if total > WORTH * rows * width:
            return None
        inside = steps < length[:, None]
        at = torch.full((rows, width), -1, device=tokens.device).masked_scatter(
            inside, torch.arange(total, device=tokens.device)
        )
        return _rounded(Layout(tokens[inside], steps.expand(rows, width)[inside], at, _whole(length.cpu())))
    owner = (~same).cumsum(0) - 1  # (N,) which prompt a row has
    leaders = (~same).nonzero()[:, 0]
    heads = first[leaders]  # (G,)
    in_head, in_tail = steps < heads[:, None], (steps >= first[:, None]) & (steps < length[:, None])
    ids = torch.cat([tokens[leaders][in_head], tokens[in_tail]])
    positions = torch.cat([steps.expand(len(leaders), width)[in_head], steps.expand(rows, width)[in_tail]])
    starts = heads.cumsum(0) - heads
    count = int(heads.sum())
    at = torch.where(steps < first[:, None], starts[owner, None] + steps, -1)
    at = torch.where(in_tail, in_tail.flatten().cumsum(0).view(rows, width) - 1 + count, at)
    tails = _whole((length - first).cpu())
    tails[:, 0] += count
    tails[:, 2], tails[:, 3] = starts[owner].cpu(), first.cpu()
    pieces = torch.cat([_whole(heads.cpu()), tails])
    return _rounded(Layout(ids, positions, at, pieces, shared=len(leaders)))


def _rounded(found: Layout) -> Layout:
    """The same with a last piece that nothing reads, so that the number of tokens is a multiple of STEP.

    Libraries of products prepare a kernel for each shape that they meet; of batches of every length they would meet hundreds.
    """
    count = len(found.ids)
    more = -count % STEP
    if not more or count < STEP:
        return found
    nothing = found.ids.new_zeros(more)
    last = torch.tensor([[count, more, 0, 0]])
    pieces = torch.cat([found.pieces, last])
    ids, positions = torch.cat([found.ids, nothing]), torch.cat([found.positions, nothing])
    return replace(found, ids=ids, positions=positions, pieces=pieces)


def split_heads(qkv: Tensor, cos: Tensor, sin: Tensor, heads: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Rotated queries and keys, and values, (..., heads, D) each, of (..., (H + 2 G) D); cos and sin (..., D / 2)."""
    queries, keys = heads
    size = qkv.shape[-1] // (queries + 2 * keys)
    q, k, v = qkv.unflatten(-1, (-1, size)).split((queries, keys, keys), dim=-2)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return _rotate(q, cos, sin), _rotate(k, cos, sin), v


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding, half-split convention, in the precision of the angles. Su et al. 2021, eq. 34."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)


def _whole(lengths: Tensor) -> Tensor:
    """Pieces of these lengths, one after another, without a prefix: (S, 4)."""
    lengths = lengths.long()
    nothing = torch.zeros_like(lengths)
    return torch.stack([lengths.cumsum(0) - lengths, lengths, nothing, nothing], dim=1)


@dataclass(frozen=True)
class _Segments:
    """Pieces of the flat tokens as rows of a padded (rows, width) view."""

    rows: int
    width: int
    cells: Tensor  # (tokens,) where each flat token stands in the padded view

    @classmethod
    def of(cls, lengths: Tensor) -> _Segments:
        """Pieces of these lengths, one after another."""
        width = int(lengths.max())
        real = torch.arange(width, device=lengths.device) < lengths[:, None]
        return cls(len(lengths), width, real.flatten().nonzero()[:, 0])

    def pad(self, flat: Tensor) -> Tensor:
        """(tokens, ...) as (rows, width, ...), zeros elsewhere."""
        if len(self.cells) == self.rows * self.width:
            return flat.unflatten(0, (self.rows, self.width))
        return _Pad.apply(flat, self.cells, self.rows * self.width).unflatten(0, (self.rows, self.width))

    def unpad(self, padded: Tensor) -> Tensor:
        """(rows, width, ...) as (tokens, ...)."""
        flat = padded.flatten(0, 1)
        return flat if len(self.cells) == len(flat) else _Unpad.apply(flat, self.cells)


@dataclass(frozen=True)
class _Padded:
    """A layout's attention in torch: on padded views, prompts apart from tails."""

    prompts: _Segments | None  # None: no prompt is shared, and rows are tails as a whole
    tails: _Segments
    owner: Tensor  # (N,) which prompt a tail has
    mask: Tensor | None  # (N, 1, tail, prompt + tail), 0 or -inf: what a tail may see; None: itself, causally

    @classmethod
    def of(cls, found: Layout) -> _Padded:
        """The view of these pieces, where their tokens are."""
        device = found.ids.device
        pieces = found.pieces.to(device)
        if not found.shared:
            return cls(None, _Segments.of(pieces[:, 1]), pieces[:0, 0], None)
        heads, tails = pieces[: found.shared], pieces[found.shared :]
        prompts, rows = _Segments.of(heads[:, 1]), _Segments.of(tails[:, 1])
        owner = torch.searchsorted(heads[:, 0].contiguous(), tails[:, 2].contiguous(), right=True) - 1
        causal = torch.ones(rows.width, rows.width, dtype=torch.bool, device=device).tril()
        visible = torch.arange(prompts.width, device=device) < tails[:, 3, None]  # (N, prompt)
        allowed = torch.cat(
            [visible[:, None].expand(-1, rows.width, -1), causal.expand(len(tails), -1, -1)], dim=-1
        )  # (N, tail, prompt + tail)
        return cls(prompts, rows, owner, torch.zeros(allowed.shape, device=device).masked_fill_(~allowed, -torch.inf)[:, None])

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
