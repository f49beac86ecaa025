"""The kernels of `decoding.cpp` as functions of tensors: parts of a decoding step, and for one thread a whole step in one call.

A step of a small model is some fifty small operations; called one by one from Python they take longer than their arithmetic,
and a product of a few rows spends most of its time on laying out the weight. `Whole` lays weights out once, and a step is one
call.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from trueline.models.fast import FastForward, Layer
from trueline.models.native import LANES, by_rows, call, library

PANEL = 32  # outputs side by side in a laid out weight
LARGEST = 2**26  # weights: of a larger model no copy is made in every process, and its products are worth a library


def keep_prompts(
    qkv: Tensor, cos: Tensor, sin: Tensor, lengths: Tensor, heads: tuple[int, int], size: int, room: int, places: Tensor,
    keys: Tensor, values: Tensor,
) -> None:  # fmt: skip
    """Put prompts' rotated keys and their values, of qkv (M, (H + 2 G) D), into the places of a decoder's two buffers.

    keys (places, G, D, room), values (places, G, room, D), seen flat; lengths and places (prompts,) int64.
    """
    what = (qkv.contiguous(), cos, sin, lengths, places, len(lengths), *heads, size, room, keys, values)
    call("keep_prompts", *what)


def attend_step(
    qkv: Tensor, cos: Tensor, sin: Tensor, starts: Tensor, owners: Tensor, lengths: Tensor, slots: Tensor, made: Tensor,
    heads: tuple[int, int], size: int, prompt_room: int, own_room: int, prompt_keys: Tensor, prompt_values: Tensor,
    own_keys: Tensor, own_values: Tensor,
) -> Tensor:  # fmt: skip
    """One token's attention for each row, qkv (R, (H + 2 G) D): over its prompt, which rows share, and over its own tokens.

    Rows starts[i] .. starts[i + 1] - 1 have prompt owners[i], of lengths[owners[i]] tokens; row r has made[r] tokens of its own
    in slot slots[r], and this one is added. Buffers as `keep_prompts` has them. All indices int64. Gives (R, H D).
    """
    queries, keys = heads
    qkv = qkv.contiguous()
    call("rotate_rows", qkv, qkv.shape[1], cos, sin, len(qkv), queries + keys, size)
    out = qkv.new_empty(len(qkv), queries * size)
    where = (starts, owners, lengths, slots, made, len(owners), queries, keys, size, size**-0.5)
    call("attend_step", qkv, *where, prompt_room, prompt_keys, prompt_values, own_room, own_keys, own_values, out)
    return out


def draw(logits: Tensor, temperature: float, u: Tensor | None) -> tuple[Tensor, Tensor]:
    """As `generate._draw`: for each row the token at u (N,), float64, of its cumulative distribution, or the likeliest."""
    picked, logp = torch.empty(len(logits), dtype=torch.int64), logits.new_empty(len(logits))
    inverse = 1 / temperature if temperature > 0 else 1.0
    by_rows(logits, lambda a, b: call("draw", logits, logits.shape[1], inverse, u, a, b, picked, logp))
    return picked, logp


@dataclass(frozen=True, slots=True)
class Panels:
    """A weight (N, K) laid out for products of few rows; it does not follow later changes of the weight."""

    data: Tensor
    outputs: int
    inputs: int

    @classmethod
    def of(cls, weight: Tensor) -> Panels:
        """Lay out a weight (N, K)."""
        outputs, inputs = weight.shape
        data = weight.new_empty((outputs + PANEL - 1) // PANEL * PANEL * inputs)
        call("panels", weight.contiguous(), outputs, inputs, data)
        return cls(data, outputs, inputs)


def product(x: Tensor, weight: Panels, bias: Tensor | None = None) -> Tensor:
    """x (M, K) times a weight (N, K) transposed, plus the bias (N,): (M, N). No row depends on which others there are."""
    out = x.new_empty(len(x), weight.outputs)
    call("panel_product", x.contiguous(), len(x), weight.inputs, weight.data, bias, weight.outputs, out)
    return out


class Whole:
    """A model whose decoding step is one call; its matrices are copied, laid out in panels."""

    def __init__(
        self,
        fast: FastForward,
        head: Tensor,
        prompts: Sequence[Sequence[Tensor]],
        own: Sequence[Sequence[Tensor]],
        room: tuple[int, int],
    ) -> None:
        matrices = ("qkv", "out", "gate_up", "down")
        self.layers = fast.pack()
        for layer in self.layers:
            for name in matrices:
                setattr(layer, name, Panels.of(getattr(layer, name)))
        self.head = Panels.of(head)
        self.vocabulary = len(head)
        self.kept = (*fast.rotation(torch.arange(sum(room), device=head.device)), prompts, own)  # what pointers lead to
        blocks = [
            _Block(*map(_pointer, (*_tensors(layer), *p, *o))) for layer, p, o in zip(self.layers, prompts, own, strict=True)
        ]
        self.blocks = (_Block * len(blocks))(*blocks)
        first = self.layers[0]
        sizes = (len(blocks), head.shape[1], fast.heads, fast.kv_heads, fast.size, first.down.inputs, len(head), *room)
        weights = (fast.base.embed_tokens.weight, fast.base.norm.weight, self.head.data, *self.kept[:2])
        self.model = _Model(*sizes, *map(_pointer, weights), fast.eps)

    def step(self, ids: Tensor, starts: Tensor, owners: Tensor, lengths: Tensor, slots: Tensor, made: Tensor) -> Tensor:
        """The logits (R, V) after one more token, ids (R,), of each row; rows and buffers as in `attend_step`."""
        logits = self.head.data.new_empty(len(ids), self.vocabulary)
        where = (ids, starts, owners, lengths, slots, made, len(owners), len(ids), logits)
        call("decode_step", ctypes.byref(self.model), self.blocks, *where)
        return logits


def can_be_whole(fast: FastForward) -> bool:
    """Whether `Whole` is the best way: one thread, wide registers, a small model, and sizes that the kernels know."""
    found = library()
    if found is None or torch.get_num_threads() > 1 or not found.wide_registers():
        return False
    small = sum(p.numel() for p in fast.base.parameters()) <= LARGEST
    return small and fast.base.config.intermediate_size % LANES == 0 and fast.base.embed_tokens.weight.is_contiguous()


class _Block(ctypes.Structure):
    """`Block` of decoding.cpp."""

    _fields_ = [(f.name, ctypes.c_void_p) for f in fields(Layer)] + [
        (name, ctypes.c_void_p) for name in ("prompt_k", "prompt_v", "own_k", "own_v")
    ]


class _Model(ctypes.Structure):
    """`Model` of decoding.cpp."""

    _fields_ = (
        [
            (n, ctypes.c_int64)
            for n in ("layers", "width", "heads", "kv_heads", "size", "inner", "vocabulary", "prompt_room", "own_room")
        ]
        + [(n, ctypes.c_void_p) for n in ("embedding", "last", "head", "cos", "sin")]
        + [("eps", ctypes.c_float)]
    )


def _tensors(layer: Layer) -> list[Tensor | None]:
    found = [getattr(layer, f.name) for f in fields(layer)]
    return [x.data if isinstance(x, Panels) else x for x in found]


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
