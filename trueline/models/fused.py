"""A norm or a SwiGLU with the product that reads it, in one: what lies between them is made again for the backward pass.

What a layer keeps for its backward pass is most of a step's memory, and a third of that is what can be made again next to
nothing: the backward kernel of a norm or of a SwiGLU has its input in a register anyway, and writes the output in the place of
the output's gradient, which it has just read. In torch (models/native.py says when) the two are called one after the other.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor

from trueline.models import native
from trueline.models.products import library, linear


def norm_linear(
    x: Tensor, y: Tensor | None, norm: Tensor, eps: float, weight: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """x + y (..., D), or x alone, and the product of its RMSNorm with a weight (N, D): (..., N)."""
    if native.fits(x) and native.fits(weight):
        total, product = _NormLinear.apply(x, y, norm, eps, weight, bias)
        return (x if y is None else total), product
    total, h = native.add_norm(x, y, norm, eps)
    return total, linear(h.to(weight.dtype), weight, bias)


def swiglu_linear(both: Tensor, weight: Tensor) -> Tensor:
    """The product of silu(gate) * up, with gate and up side by side in (..., 2 F), and a weight (N, F): (..., N)."""
    if native.swiglu_fits(both):
        return _SwiGLULinear.apply(both, weight)
    return linear(native.swiglu(both), weight)


class _NormLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor | None, norm: Tensor, eps: float, weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        total, h = native.run_norm(x, y, norm, eps)
        ctx.save_for_backward(total, norm, weight)
        ctx.eps, ctx.two = eps, y is not None
        ctx.set_materialize_grads(False)
        if y is None:
            ctx.mark_non_differentiable(total := x.new_empty(0))
        with library(h, weight):
            product = F.linear(h, weight)
        return total, product if bias is None else product.add_(bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, to_total: Tensor | None, given: Tensor | None) -> tuple[Tensor | None, ...]:
        total, norm, weight = ctx.saved_tensors
        if given is None:
            return to_total, to_total if ctx.two else None, None, None, None, None
        given = given.contiguous()
        with library(given, weight.T):
            h = given @ weight  # the norm's gradient, and from the next line on the norm
            to_x, to_norm = native.run_norm_back(total, norm, h, to_total if ctx.two else None, ctx.eps, again=True)
            to_weight = given.flatten(0, -2).T @ h.flatten(0, -2) if ctx.needs_input_grad[4] else None
        to_bias = given.flatten(0, -2).sum(0) if ctx.needs_input_grad[5] else None
        return to_x, to_x if ctx.two else None, to_norm, None, to_weight, to_bias


class _SwiGLULinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor, weight: Tensor) -> Tensor:
        both = both.contiguous()
        ctx.save_for_backward(both, weight)
        h = native.run_swiglu(both)
        with library(h, weight):
            return F.linear(h, weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, Tensor | None]:
        both, weight = ctx.saved_tensors
        given = given.contiguous()
        with library(given, weight.T):
            h = given @ weight  # the SwiGLU's gradient, and from the next line on the SwiGLU
            to_both = native.run_swiglu_back(both, h, again=True)
            to_weight = given.flatten(0, -2).T @ h.flatten(0, -2) if ctx.needs_input_grad[1] else None
        return to_both, to_weight
