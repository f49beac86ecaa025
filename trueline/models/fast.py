"""A lean forward pass for the Llama and Qwen families, on weights named as `transformers` names them.

The parameters stay where `transformers` keeps them (so saving, loading and fine-tuning tools see an ordinary model);
only the arithmetic is written again: q, k, v in one product, gate and up in one product, batches without their padding
(models/packed.py), and what is not a product by kernels of our own on a processor (models/native.py). Logits match
`transformers` to 1e-5 (tests/models/test_fast.py).
Where weights are sharded over processes (`coming`), each block's are there only while it runs: it runs as a call of its
module, which is where they are gathered and freed, and no product joins what would have to be copied and kept.
Any architecture that `can_run` does not know goes through `transformers` itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trueline.models import native
from trueline.models.fused import norm_linear, swiglu_linear
from trueline.models.packed import Layout, split_heads
from trueline.models.products import linear

FAMILIES = ("llama", "qwen2", "qwen3")
# Given layer, qkv (..., (H + 2 G) D) before norms and rotation, cos and sin (..., D / 2): what its tokens gather, (..., H D).
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
See = Callable[[int, Tensor, Tensor, Tensor], object]
Residual = Callable[[int, Tensor], Tensor]  # given what a block reads (..., D): what it shall read
Times = Callable[[Tensor, Any, Tensor | None], Tensor]  # x, a weight as it takes it (a decoder's are laid out anew), bias


@dataclass(slots=True)
class Layer:
    """One block's weights, fused where one product serves several."""

    norm_in: Tensor
    norm_post: Tensor
    qkv: Any  # a weight, as `Times` takes it
    qkv_bias: Tensor | None
    q_norm: Tensor | None
    k_norm: Tensor | None
    out: Any
    gate_up: Any
    down: Any


@dataclass(slots=True)
class Cache:
    """Keys and values of every layer, (layers, N, heads, T, head size), allocated once."""

    keys: list[Tensor]
    values: list[Tensor]

    def select(self, rows: Tensor) -> Cache:
        """Keep these rows, in this order."""
        return Cache([k[rows] for k in self.keys], [v[rows] for v in self.values])


def can_run(config: object) -> bool:
    """Whether this module computes exactly what `transformers` computes for this configuration."""
    rope = getattr(config, "rope_parameters", None) or {}
    plain_rope = rope.get("rope_type", "default") == "default" and not rope.get("partial_rotary_factor")
    window = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return (
        getattr(config, "model_type", "") in FAMILIES
        and plain_rope
        and not window
        and getattr(config, "hidden_act", "") == "silu"
        and not getattr(config, "mlp_bias", False)
        and (config.model_type == "qwen2" or not getattr(config, "attention_bias", False))
    )


def apart(x: Tensor, weights: Tensor | tuple[Tensor, ...], bias: Tensor | None = None) -> Tensor:
    """The product with each of several weights, side by side: as with one that joins them, but nothing is copied."""
    if isinstance(weights, Tensor):
        return linear(x, weights, bias)
    found = torch.cat([linear(x, weight) for weight in weights], dim=-1)
    return found if bias is None else found + bias


def joined(*parts: Tensor) -> Tensor:
    """Tensors one below the other; nothing is copied where they lie so in memory (train/crew.py lays weights out so)."""
    return _Joined.apply(*parts)


class FastForward:
    """Runs the decoder of a `transformers` Llama, Qwen2 or Qwen3 base model (the module that holds `layers`)."""

    def __init__(self, base: nn.Module) -> None:
        self.base = base
        self.compute_dtype: torch.dtype | None = None  # what is computed in; None: what the weights are
        self.residual: Residual | None = None  # who looks at the residual stream, or changes it (models/residual.py)
        self.coming = False  # weights are sharded: each block's are there only while its module is called
        self.again = False  # with `coming`: of a block only its input is kept, and the rest is computed again for the backward
        config = base.config
        self.eps: float = config.rms_norm_eps
        self.heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads
        self.size: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        theta = (getattr(config, "rope_parameters", None) or {}).get("rope_theta", 10000.0)
        self.inverse = 1.0 / theta ** (torch.arange(0, self.size, 2, dtype=torch.float32) / self.size)

    def pack(self) -> list[Layer]:
        """Fuse the weights of every layer; differentiable, and made again for each training step.

        Where less than float32 is computed in, that is so between two sums of the residual stream, which stay float32.
        """
        return [self._fused(block) for block in self.base.layers]

    def _fused(self, block: nn.Module) -> Layer:
        attention, mlp = block.self_attn, block.mlp
        projections, both = (attention.q_proj, attention.k_proj, attention.v_proj), (mlp.gate_proj, mlp.up_proj)
        bias = None if attention.q_proj.bias is None else joined(*(p.bias for p in projections))
        norm_in, norm_post = block.input_layernorm.weight, block.post_attention_layernorm.weight
        return Layer(
            norm_in.float() if self.coming else norm_in,  # gathered in what is computed in
            norm_post.float() if self.coming else norm_post,
            self._product(*(p.weight for p in projections)),
            None if bias is None else self.cast(bias),
            self.cast(attention.q_norm.weight) if hasattr(attention, "q_norm") else None,
            self.cast(attention.k_norm.weight) if hasattr(attention, "k_norm") else None,
            self.cast(attention.o_proj.weight),
            self._product(*(p.weight for p in both)),
            self.cast(mlp.down_proj.weight),
        )

    def _product(self, *weights: Tensor) -> Any:
        """Several weights as one product takes them."""
        return tuple(self.cast(w) for w in weights) if self.coming else self.cast(joined(*weights))

    def cast(self, x: Tensor) -> Tensor:
        """A tensor as what is computed in."""
        return x if self.compute_dtype is None else x.to(self.compute_dtype)

    def cache(self, rows: int, length: int, like: Tensor) -> Cache:
        """An empty cache for `rows` sequences of up to `length` tokens."""
        shape = (rows, self.kv_heads, length, self.size)
        count = len(self.base.layers)
        return Cache([like.new_empty(shape) for _ in range(count)], [like.new_empty(shape) for _ in range(count)])

    def hidden(self, ids: Tensor) -> Tensor:
        """Hidden states (N, T, D) of ids (N, T), after the last norm; causal, so right padding cannot touch a real token."""
        return self.packed(Layout.of_rows(ids)).unflatten(0, ids.shape)

    def packed(
        self,
        layout: Layout,
        layers: list[Layer] | None = None,
        see: See | None = None,
        times: Times = linear,
        wanted: Tensor | None = None,  # (K,) tokens of the layout; None: all
    ) -> Tensor:
        """Hidden states (M, D) of a layout's tokens, or (K, D); `see` is shown what each layer's attention is given."""

        layers = layers or (None if self.coming else self.pack())

        def attend(index: int, qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
            norms = self.head_norms(self._fused(self.base.layers[index]) if layers is None else layers[index])
            if see is None:
                return layout.attend(qkv, cos, sin, (self.heads, self.kv_heads), norms)
            qkv = qkv if norms is None else native.norm_heads(qkv, norms, (self.heads, self.kv_heads))
            see(index, qkv, cos, sin)
            return layout.attend(qkv, cos, sin, (self.heads, self.kv_heads))

        return self.blocks(layout.ids, layout.positions, layers, attend, times, wanted)

    def cached(
        self,
        ids: Tensor,  # (N, T)
        layers: list[Layer],
        positions: Tensor,  # (N, T)
        mask: Tensor | None,  # (N, 1, T, S) True where attention is allowed; default causal
        cache: Cache,
        at: int = 0,  # where in the cache these tokens go
    ) -> Tensor:  # (N, T, D), after the last norm
        """Hidden states of tokens whose keys and values go into a cache, in plain torch."""
        length = ids.shape[1]

        def attend(index: int, qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
            qkv = self.normed(layers[index], qkv)
            q, k, v = (x.transpose(1, 2) for x in split_heads(qkv, cos, sin, (self.heads, self.kv_heads)))
            cache.keys[index][:, :, at : at + length] = k
            cache.values[index][:, :, at : at + length] = v
            k, v = cache.keys[index][:, :, : at + length], cache.values[index][:, :, : at + length]
            causal = mask is None and length > 1
            seen = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=self.heads != self.kv_heads
            )
            return seen.transpose(1, 2).flatten(-2)

        return self.blocks(ids, positions, layers, attend)

    def blocks(
        self,
        ids: Tensor,
        positions: Tensor,
        layers: list[Layer] | None,  # None: each is there only while its module is called
        attend: Attend,
        times: Times = linear,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """The decoder; ids may have any shape, `attend` says which tokens see which, and `times` multiplies.

        Where only some tokens are wanted, the last layer goes on with these alone once they have looked at the others.
        """
        cos, sin = self.rotation(positions)
        x, y = self.base.embed_tokens(ids), None  # what is carried, and what is still to be added to it
        x = x.float() if self.coming else x
        for index, block in enumerate(self.base.layers):
            if self.residual is not None:
                x, y = self.residual(index, x if y is None else x + y), None
            last = wanted if index + 1 == len(self.base.layers) else None
            if layers is not None:
                x, y = self._block(layers[index], partial(attend, index, cos=cos, sin=sin), times, last, x, y)
            else:
                x, y = block(partial(self._there, attend, index, cos, sin, last), x, y)
        norm = self.base.norm.weight.float() if self.coming else self.base.norm.weight
        return self.cast(native.add_norm(x, y, norm, self.eps)[1])

    def _block(
        self, layer: Layer, attend: Callable[[Tensor], Tensor], times: Times, wanted: Tensor | None, x: Tensor, y: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        x, qkv = self._norm_times(x, y, layer.norm_in, layer.qkv, layer.qkv_bias, times)
        seen = attend(qkv)
        if wanted is not None:
            x, seen = x.index_select(0, wanted), seen.index_select(0, wanted)
        x, both = self._norm_times(x, times(seen, layer.out, None), layer.norm_post, layer.gate_up, None, times)
        y = swiglu_linear(both, layer.down) if times is linear else times(native.swiglu(both), layer.down, None)
        return x, y

    def _there(
        self, attend: Attend, index: int, cos: Tensor, sin: Tensor, wanted: Tensor | None, block: nn.Module, x: Tensor,
        y: Tensor | None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """What a block does whose weights are there now: it is called by its module (models/decoder.py)."""

        def work(x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
            return self._block(self._fused(block), partial(attend, index, cos=cos, sin=sin), apart, wanted, x, y)

        if self.again and torch.is_grad_enabled():
            return checkpoint(work, x, y, use_reentrant=False)  # Chen et al. 2016, 1604.06174
        return work(x, y)

    def _norm_times(
        self, x: Tensor, y: Tensor | None, norm: Tensor, weight: Tensor, bias: Tensor | None, times: Times
    ) -> tuple[Tensor, Tensor]:
        """x + y, and the product of its norm with a weight."""
        if times is linear:
            return norm_linear(x, y, norm, self.eps, weight, bias)
        total, h = native.add_norm(x, y, norm, self.eps)
        return total, times(self.cast(h), weight, bias)

    def head_norms(self, layer: Layer) -> native.HeadNorms | None:
        """The norms of a layer's queries and keys, where it has them (Qwen3)."""
        return None if layer.q_norm is None or layer.k_norm is None else (layer.q_norm, layer.k_norm, self.eps)

    def normed(self, layer: Layer, qkv: Tensor) -> Tensor:
        """qkv with its heads normed, where the layer has norms for them."""
        norms = self.head_norms(layer)
        return qkv if norms is None else native.norm_heads(qkv, norms, (self.heads, self.kv_heads))

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin, (..., D / 2) each."""
        angles = positions[..., None].float() * self.inverse.to(positions.device)
        dtype = torch.float32 if self.coming else self.base.embed_tokens.weight.dtype
        return angles.cos().to(dtype), angles.sin().to(dtype)


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.rows = [len(p) for p in parts]
        first, storage = parts[0], parts[0].untyped_storage()
        follows = all(a.is_contiguous() and a.data_ptr() + a.nbytes == b.data_ptr() for a, b in pairwise(parts))
        if not follows or any(p.untyped_storage().data_ptr() != storage.data_ptr() for p in parts):
            return torch.cat(parts)
        return first.new_empty(0).set_(storage, first.storage_offset(), (sum(ctx.rows), *first.shape[1:]))

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, ...]:
        return given.split(ctx.rows)
