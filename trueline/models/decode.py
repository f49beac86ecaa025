"""Decoders: what turns picked tokens into the next logits, row by row, while rows join and leave.

`Native` is for Llama and Qwen models in float32 on a processor: keys and values stay where they are written, a prompt's are
read once for all of its samples, and a row that has ended costs nothing any more. `Fast` is the same models in plain torch, on
an accelerator or where the kernels were not built; `General` is any other architecture, through `transformers`.

All three are used in one way (models/generate.py): `admit` prompts, then `step` with a token for each live row, and `keep`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor

from trueline.models import native, native_decode
from trueline.models.packed import Layout
from trueline.models.policy import Policy
from trueline.models.products import linear, small_linear


class Decoder(Protocol):
    """Holds the keys and values of live rows."""

    joins: bool  # whether prompts may be admitted while rows are alive
    places: int  # prompts that may be admitted now

    def admit(self, prompts: Sequence[Sequence[int]], count: int) -> Tensor:
        """Read prompts, `count` rows for each behind the live ones; give the logits after their last token, (prompts, V)."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Only these of the live rows go on."""
        ...

    def step(self, picked: Tensor) -> Tensor:
        """A token for every live row; give the logits that follow, (rows, V)."""
        ...


def pads(policy: Policy) -> bool:
    """Whether prompts of a policy that are read together cost as much as the longest of them."""
    return policy.fast is None or policy.compute_dtype != torch.float32 or not native.fits(policy.model.lm_head.weight)


def decoder_for(policy: Policy, longest: int, rows: int, count: int, max_tokens: int) -> Decoder:
    """The best decoder for a policy: prompts of at most `longest` tokens, at most `rows` live rows, `count` of a prompt."""
    if not pads(policy):
        return Native(policy, longest, rows, count, max_tokens)
    return General(policy) if policy.fast is None else Fast(policy, max_tokens)


class Native:
    """Decoding by the kernels: slots of keys and values that rows take and give back."""

    joins = True

    def __init__(self, policy: Policy, longest: int, rows: int, count: int, max_tokens: int) -> None:
        assert policy.fast is not None
        self.fast, head = policy.fast, policy.model.lm_head.weight
        self.room = (native.whole_vectors(longest), native.whole_vectors(max_tokens))  # of a prompt, of a row
        groups = 2 * ((rows + count - 1) // count)  # one is in use as long as any of its rows lives
        heads, size = self.fast.kv_heads, self.fast.size
        layers = range(len(self.fast.base.layers))
        self.prompts = [[head.new_empty(groups, heads, size * self.room[0]) for _ in "kv"] for _ in layers]
        self.own = [[head.new_empty(rows, heads, size * self.room[1]) for _ in "kv"] for _ in layers]
        self.whole = None
        if native_decode.can_be_whole(self.fast):
            self.whole = native_decode.Whole(self.fast, head, self.prompts, self.own, self.room)
            self.layers, self.head, self.times = self.whole.layers, self.whole.head, native_decode.product
        else:
            self.layers, self.head, self.times = self.fast.pack(), head, small_linear
        self.lengths = torch.zeros(groups, dtype=torch.int64)  # of the prompts
        self.free = [list(range(groups)), list(range(rows))]  # places for prompts, for rows
        self.owner = np.empty(0, dtype=np.int64)  # (R,) which prompt a live row has
        self.slot = np.empty(0, dtype=np.int64)  # (R,) where its own keys and values are
        self.made = np.empty(0, dtype=np.int64)  # (R,) how many of them there are

    @property
    def places(self) -> int:
        return len(self.free[0])

    def admit(self, prompts: Sequence[Sequence[int]], count: int) -> Tensor:
        places = torch.tensor([self.free[0].pop() for _ in prompts])
        lengths = torch.tensor([len(p) for p in prompts])
        self.lengths[places] = lengths
        heads, size, room = (self.fast.heads, self.fast.kv_heads), self.fast.size, self.room[0]

        def see(index: int, qkv: Tensor, cos: Tensor, sin: Tensor) -> None:
            native_decode.keep_prompts(qkv, cos, sin, lengths, heads, size, room, places, *self.prompts[index])

        hidden = self.fast.packed(Layout.of_lists([list(p) for p in prompts]), self.layers, see, self.times)
        new = len(prompts) * count
        self.owner = np.append(self.owner, places.numpy().repeat(count))
        self.slot = np.append(self.slot, [self.free[1].pop() for _ in range(new)])
        self.made = np.append(self.made, np.zeros(new, dtype=np.int64))
        return self.times(hidden[lengths.cumsum(0) - 1], self.head)

    def keep(self, rows: Tensor) -> None:
        chosen = rows.numpy()
        left = np.ones(len(self.owner), dtype=bool)
        left[chosen] = False
        self.free[1] += self.slot[left].tolist()
        before = set(self.owner.tolist())
        self.owner, self.slot, self.made = self.owner[chosen], self.slot[chosen], self.made[chosen]
        self.free[0] += sorted(before - set(self.owner.tolist()))

    def step(self, picked: Tensor) -> Tensor:
        owner, slot, made = (torch.from_numpy(x) for x in (self.owner, self.slot, self.made))
        begins = np.flatnonzero(np.append(True, self.owner[1:] != self.owner[:-1]))  # rows of one prompt are neighbours
        starts = torch.from_numpy(np.append(begins, len(self.owner)))
        groups = torch.from_numpy(self.owner[begins])
        if self.whole is not None:
            logits = self.whole.step(picked, starts, groups, self.lengths, slot, made)
            self.made += 1
            return logits
        heads, size = (self.fast.heads, self.fast.kv_heads), self.fast.size

        def attend(index: int, qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
            kept = (*self.room, *self.prompts[index], *self.own[index])
            qkv = self.fast.normed(self.layers[index], qkv)
            return native_decode.attend_step(qkv, cos, sin, starts, groups, self.lengths, slot, made, heads, size, *kept)

        hidden = self.fast.blocks(picked, self.lengths[owner] + made, self.layers, attend, self.times)
        self.made += 1
        return self.times(hidden, self.head)


class Fast:
    """Decoding in torch on `models.fast`: weights fused once, a cache written in place, ended rows dropped by the quarter."""

    joins, places = False, sys.maxsize

    def __init__(self, policy: Policy, max_tokens: int) -> None:
        assert policy.fast is not None
        self.fast, self.pad = policy.fast, policy.codec.pad
        self.layers, self.head = self.fast.pack(), self.fast.cast(policy.model.lm_head.weight)
        self.max_tokens = max_tokens

    def admit(self, prompts: Sequence[Sequence[int]], count: int) -> Tensor:
        ids, real = _left_padded(prompts, self.pad, self.head.device)
        rows, width = ids.shape
        self.cache = self.fast.cache(rows, width + self.max_tokens, self.head)
        positions = (real.cumsum(-1) - 1).clamp_(min=0)
        padded, mask = not bool(real.all()), None
        if padded:
            causal = torch.ones(width, width, dtype=torch.bool, device=ids.device).tril()
            own = torch.eye(width, dtype=torch.bool, device=ids.device)  # a padded row may see itself, or softmax is 0/0
            mask = ((causal & real[:, None]) | own)[:, None]  # (N, 1, T, T)
        hidden = self.fast.cached(ids, self.layers, positions, mask, self.cache)
        repeat = torch.arange(rows, device=ids.device).repeat_interleave(count)
        self.cache = self.cache.select(repeat)
        self.real = F.pad(real, (0, self.max_tokens), value=True)[repeat] if padded else None
        self.position, self.at = positions[repeat, -1], width
        self.alive = torch.arange(len(repeat), device=ids.device)  # rows of the cache still in use
        return linear(hidden[:, -1], self.head)

    def keep(self, rows: Tensor) -> None:
        self.alive = self.alive[rows.to(self.alive.device)]
        if len(self.alive) <= 0.75 * len(self.position):
            self.cache, self.position = self.cache.select(self.alive), self.position[self.alive]
            self.real = None if self.real is None else self.real[self.alive]
            self.alive = torch.arange(len(self.position), device=self.alive.device)

    def step(self, picked: Tensor) -> Tensor:
        tokens = picked.new_zeros(len(self.position))
        tokens[self.alive] = picked
        self.position = self.position + 1
        mask = None if self.real is None else self.real[:, None, None, : self.at + 1]
        hidden = self.fast.cached(tokens[:, None], self.layers, self.position[:, None], mask, self.cache, self.at)
        self.at += 1
        return linear(hidden[self.alive, -1], self.head)


class General:
    """Decoding through `transformers`, for architectures that `models.fast` does not know."""

    joins, places = False, sys.maxsize

    def __init__(self, policy: Policy) -> None:
        self.policy, self.model, self.pad, self.device = policy, policy.model, policy.codec.pad, policy.device

    def admit(self, prompts: Sequence[Sequence[int]], count: int) -> Tensor:
        from transformers import DynamicCache  # seconds to import, and only needed here

        self.cache = DynamicCache()
        ids, self.real = _left_padded(prompts, self.pad, self.device)
        self.position = (self.real.cumsum(-1) - 1).clamp_(min=0)
        logits = self._forward(ids, self.position)
        if count > 1:
            self.cache.batch_repeat_interleave(count)
        self.real, self.position = self.real.repeat_interleave(count, 0), self.position[:, -1].repeat_interleave(count, 0)
        return logits

    def keep(self, rows: Tensor) -> None:
        rows = rows.to(self.device)
        self.cache.batch_select_indices(rows)
        self.real, self.position = self.real[rows], self.position[rows]

    def step(self, picked: Tensor) -> Tensor:
        self.real, self.position = F.pad(self.real, (0, 1), value=True), self.position + 1
        return self._forward(picked[:, None], self.position[:, None])

    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        where = {"attention_mask": self.real.long(), "position_ids": positions}
        with self.policy.autocast():
            return self.model(input_ids=ids, **where, past_key_values=self.cache, use_cache=True).logits[:, -1]


def _left_padded(prompts: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Prompts that all end at the same place, and which of their tokens are real: (N, T) each."""
    width = max(len(p) for p in prompts)
    ids = torch.full((len(prompts), width), pad)
    real = torch.zeros((len(prompts), width), dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        real[row, width - len(prompt) :] = True
    return ids.to(device), real.to(device)
