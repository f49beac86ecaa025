"""Products of matrices, and the log-probabilities that the largest of them ends in: where most of a step's time goes.

torch gives float32 products on a processor to MKL, which on AMD reaches half of what oneDNN, in the same torch, does with the
same precision (`trueline doctor` shows both). oneDNN's kernels are taken only where they are as exact, which is tried.

Logits are the largest tensor of a step: tokens x vocabulary. Here they exist once, a chunk at a time, and are made again for
the backward pass where keeping them would cost much memory (the idea of Hsu et al. 2024, Liger Kernel, 3.2).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor

from trueline.models import native

CHUNK = 4096  # tokens whose logits are made at one time
SELDOM, OFTEN = 2**26, 2**25  # multiplications: products with fewer stay with torch's default
KEPT = 2**26  # floats: logits up to this many are kept for the backward pass, more are made again


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, tokens: int | None = None) -> Tensor:
    """x (..., K) times weight (N, K) transposed: torch's `linear`, by the faster library.

    `tokens` is which of the sizes differs from batch to batch; default: the number of rows.
    """
    if not _goes_to_onednn(x, weight, x.shape[:-1].numel() if tokens is None else tokens):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        product = _Linear.apply(x, weight)
    else:
        with _onednn():
            product = F.linear(x, weight)
    return product if bias is None else product + bias


def library(x: Tensor, weight: Tensor) -> AbstractContextManager[None]:
    """Products in here, and those of their gradients, go where `linear` sends x (..., K) times weight (N, K)."""
    return _onednn() if _goes_to_onednn(x, weight, x.shape[:-1].numel()) else nullcontext()


def small_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`linear` for decoding, without a gradient: by torch's default, which writes no kernel for each new number of rows."""
    return F.linear(x, weight, bias)


def log_probabilities(
    states: Tensor,  # (M, D), or logits (M, V) where `weight` is None
    weight: Tensor | None,  # (V, D)
    targets: Tensor,  # (M,)
    temperature: float = 1.0,
    entropy: bool = False,
) -> tuple[Tensor, Tensor | None]:  # (M,) float32 each
    """Log-probability of each target under softmax(states @ weight.T / temperature), and the entropy (nats) if asked."""
    logp, nats = _LogProbabilities.apply(states, weight, targets, temperature, entropy)
    return logp, nats if entropy else None


@cache
def half_is_fast() -> bool:
    """Whether this processor multiplies bfloat16 in hardware (some four times as fast as float32)."""
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


@cache
def onednn_is_better() -> bool:
    """Whether float32 products go to oneDNN: on AMD with AVX-512, if they come out as exact as MKL's."""
    found = torch.cpu.get_capabilities()
    if "AMD" not in str(found.get("cpu_name")) or not found.get("avx512_f") or not torch.backends.mkldnn.is_available():
        return False
    a, b = (torch.randn(256, 256, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    exact = a.double() @ b.double()
    with _onednn():
        found_error = float((a @ b - exact).abs().max())
    return found_error <= 4 * float((a @ b - exact).abs().max())


def speeds(seconds: float = 0.2, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """GFLOP/s of the tiny model's widest product, (1536, 128) by (128, 704): torch's float32, `linear`'s, and bfloat16."""
    a, b = torch.ones(1536, 128), torch.ones(704, 128)
    half_a, half_b = a.bfloat16(), b.bfloat16()
    ways = {
        "torch": lambda: F.linear(a, b),
        "float32": lambda: linear(a, b),
        "bfloat16": lambda: F.linear(half_a, half_b),
    }
    return {name: 2e-9 * 1536 * 128 * 704 / _least(way, seconds, clock) for name, way in ways.items()}


def _least(way: Callable[[], object], seconds: float, clock: Callable[[], float]) -> float:
    """The shortest call, in seconds, after one that warms up."""
    way()
    least, until = float("inf"), clock() + seconds
    while least == float("inf") or clock() < until:
        began = clock()
        way()
        least = min(least, max(clock() - began, 1e-9))
    return least


@contextmanager
def _onednn() -> Iterator[None]:
    """Products in here go to oneDNN: the switch allows a lower precision too, which `onednn_is_better` has ruled out."""
    switch = torch.backends.mkldnn.matmul
    before = switch.fp32_precision
    switch.fp32_precision = "bf16"
    try:
        yield
    finally:
        switch.fp32_precision = before


def _goes_to_onednn(x: Tensor, weight: Tensor, tokens: int) -> bool:
    """It writes a kernel for each shape, which takes as long as a small product: what it gains must come to more.

    A number of tokens that is a multiple of 256 is that of packed text, where it comes again at every step.
    """
    large = x.numel() * weight.shape[0] > (SELDOM if tokens % 256 else OFTEN)
    return large and x.device.type == "cpu" and x.dtype == torch.float32 and onednn_is_better()


class _Linear(torch.autograd.Function):
    """`linear` whose backward products go to oneDNN too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        with _onednn():
            return F.linear(x, weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        with _onednn():
            to_x = gradient @ weight if ctx.needs_input_grad[0] else None
            to_weight = gradient.flatten(0, -2).T @ x.flatten(0, -2) if ctx.needs_input_grad[1] else None
        return to_x, to_weight


class _LogProbabilities(torch.autograd.Function):
    """With p = softmax(z), z = logits / temperature: d log p_y / dz = onehot(y) - p, and dH / dz = -p (log p + H)."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor | None, targets: Tensor, temperature: float, entropy: bool
    ) -> tuple[Tensor, Tensor]:
        size = states.shape[-1] if weight is None else weight.shape[0]
        keep = weight is not None and any(ctx.needs_input_grad) and len(targets) * size <= KEPT
        logps, entropies, sums, kept = [], [], [], []
        for part, target in zip(states.split(CHUNK), targets.split(CHUNK), strict=True):
            z = _logits(part, weight)
            if native.fits(z):
                logp, total, nats = native.log_probability(z, target, temperature, entropy)
            else:
                z.div_(temperature)
                total = z.logsumexp(-1)
                logp = z.gather(-1, target[:, None]).squeeze(-1) - total
                logs = z - total[:, None]
                nats = -(logs.exp() * logs).sum(-1) if entropy else None
            logps.append(logp)
            sums.append(total)
            if nats is not None:
                entropies.append(nats)
            if keep:
                kept.append(z)
        nothing = states.new_empty(0, dtype=torch.float32)
        logp, nats = torch.cat(logps or [nothing]), torch.cat(entropies or [nothing])
        ctx.save_for_backward(states, weight, targets, nats, *sums, *kept)
        ctx.temperature, ctx.entropy, ctx.chunks = temperature, entropy, len(sums)
        return logp, nats

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, to_logp: Tensor, to_entropy: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, targets, nats, *rest = ctx.saved_tensors
        sums, kept = rest[: ctx.chunks], rest[ctx.chunks :]
        to_states, to_weight = [], None
        for i, (part, target) in enumerate(zip(states.split(CHUNK), targets.split(CHUNK), strict=True)):
            at = slice(i * CHUNK, i * CHUNK + len(target))
            z = kept[i] if kept else _logits(part, weight)
            to_nats = to_entropy[at] if ctx.entropy else None
            if native.fits(z):
                z = z if kept else z.div_(ctx.temperature)
                to_z = native.log_probability_back(z, target, ctx.temperature, sums[i], nats[at], to_logp[at], to_nats)
            else:
                logs = (z if kept else z.div_(ctx.temperature)).sub_(sums[i][:, None])
                if to_nats is not None:
                    to_z = logs.exp().mul_(-to_logp[at, None] - to_nats[:, None] * (logs + nats[at, None]))
                else:
                    to_z = logs.exp_().mul_(-to_logp[at, None])
                to_z = to_z.scatter_add_(-1, target[:, None], to_logp[at, None]).div_(ctx.temperature)
            to_z = to_z.to(states.dtype)
            if weight is None:
                to_states.append(to_z)
                continue
            if ctx.needs_input_grad[0]:
                to_states.append(linear(to_z, weight.T))
            if ctx.needs_input_grad[1]:
                change = linear(to_z.T, part.T, tokens=len(part))
                to_weight = change if to_weight is None else to_weight + change
        wanted = ctx.needs_input_grad[0]
        joined = (torch.cat(to_states) if to_states else torch.zeros_like(states)) if wanted else None
        return joined, to_weight, None, None, None


def _logits(part: Tensor, weight: Tensor | None) -> Tensor:
    """Logits as a float32 tensor of our own, which may be written over."""
    return part.to(torch.float32, copy=True) if weight is None else linear(part, weight).float()
