"""The kernels of `kernels.cpp` as functions of tensors, with their gradients; and what takes their place without them.

Those of `decoding.cpp` are in `models/native_decode.py`.

They were built when the package was installed, if there was a C++ compiler. `fits(x)` says whether they can serve a tensor:
float32, on a processor. Everything that they do, `models/fast.py` and `models/products.py` also do in plain torch.

A kernel starts no thread. With several torch threads a large call is cut by rows or by heads among Python threads.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor

VERSION = 3  # of the functions' signatures; a file that was built from others is left alone
OFF = "TRUELINE_NO_KERNELS"  # set in the environment: use plain torch, to compare
LANES = 16  # floats that a kernel takes at a time
WORTH = 1 << 16  # numbers in a call: fewer are not cut among threads
HeadNorms = tuple[Tensor, Tensor, float]  # weights (D,) of queries and of keys, and epsilon


@cache
def library() -> ctypes.CDLL | None:
    """The compiled file beside this one; None where it was not built, is of another version, or is switched off."""
    if os.environ.get(OFF):
        return None
    for path in sorted(Path(__file__).parent.glob("_kernels*.so")):
        try:
            found = ctypes.CDLL(str(path))
            if found.kernels_version() == VERSION:
                return found
        except (OSError, AttributeError):
            continue
    return None


def fits(x: Tensor) -> bool:
    """Whether the kernels can compute on this tensor."""
    return x.dtype == torch.float32 and x.device.type == "cpu" and library() is not None


def whole_vectors(numbers: int) -> int:
    """So many numbers and no fewer, as a multiple of what a kernel takes at a time."""
    return (numbers + LANES - 1) // LANES * LANES


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm of (..., D). Zhang & Sennrich 2019 (1910.07467), eq. 4."""
    return _Norm.apply(x, None, weight, eps)[1] if fits(x) else F.rms_norm(x, x.shape[-1:], weight, eps)


def add_norm(x: Tensor, y: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x + y (or x), and its RMSNorm; all (..., D)."""
    if y is None:
        return x, norm(x, weight, eps)
    y = y.to(x.dtype)
    if fits(x):
        return _Norm.apply(x, y, weight, eps)
    total = x + y
    return total, F.rms_norm(total, x.shape[-1:], weight, eps)


def norm_heads(qkv: Tensor, norms: HeadNorms, heads: tuple[int, int]) -> Tensor:
    """qkv (..., (H + 2 G) D) with the RMSNorm of each query head and key head, as Qwen3 has it; `heads` is (H, G).

    The kernel has no gradient here: `attend` has it.
    """
    q_weight, k_weight, eps = norms
    if fits(qkv) and not torch.is_grad_enabled():
        return run_norm_heads(qkv.contiguous(), q_weight, k_weight, heads, eps)
    size, (queries, keys) = q_weight.shape, heads
    q, k, v = qkv.unflatten(-1, (-1, len(q_weight))).split((queries, keys, keys), dim=-2)
    return torch.cat([F.rms_norm(q, size, q_weight, eps), F.rms_norm(k, size, k_weight, eps), v], dim=-2).flatten(-2)


def swiglu(both: Tensor) -> Tensor:
    """silu(gate) * up of (..., 2 F), gate first: (..., F). Shazeer 2020 (2002.05202), eq. 6."""
    if swiglu_fits(both):
        return _SwiGLU.apply(both)
    gate, up = both.chunk(2, dim=-1)
    return F.silu(gate) * up


def swiglu_fits(both: Tensor) -> bool:
    """Whether the kernel can compute on gate and up of these sizes."""
    return fits(both) and both.shape[-1] % (2 * LANES) == 0


def attend(
    qkv: Tensor, cos: Tensor, sin: Tensor, pieces: Tensor, heads: tuple[int, int], norms: HeadNorms | None = None
) -> Tensor:
    """Attention of each piece's tokens over its prefix and, causally, over themselves; (M, (H + 2 G) D) to (M, H D).

    pieces (S, 4) int64: first token, tokens, first token of the prefix, tokens of the prefix (0: none). Together their tokens
    are all M. cos, sin (M, D / 2): the rotation of queries and keys, which happens here; before it the norms of their heads.
    """
    return _Attend.apply(qkv, cos, sin, pieces, heads, *(norms or (None, None, 0.0)))


def log_probability(z: Tensor, targets: Tensor, temperature: float, entropy: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """Log-probabilities (n,), log-sum-exps (n,) and entropies of logits z (n, V), which are divided by the temperature."""
    logp, total = z.new_empty(len(z)), z.new_empty(len(z))
    nats = z.new_empty(len(z)) if entropy else None
    targets = targets.contiguous()
    size = z.shape[1]
    by_rows(z, lambda a, b: call("log_probability", z, targets, size, 1 / temperature, a, b, logp, total, nats))
    return logp, total, nats


def log_probability_back(
    z: Tensor, targets: Tensor, temperature: float, total: Tensor, nats: Tensor, to_logp: Tensor, to_nats: Tensor | None
) -> Tensor:
    """The gradient of the logits, in their place."""
    targets, to_logp = targets.contiguous(), to_logp.contiguous()
    to_nats = None if to_nats is None else to_nats.contiguous()
    size = z.shape[1]
    by_rows(
        z,
        lambda a, b: call("log_probability_back", z, targets, size, 1 / temperature, a, b, total, nats, to_logp, to_nats),
    )
    return z


def run_norm(x: Tensor, y: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """As `add_norm`, without a gradient."""
    x, y = x.contiguous(), None if y is None else y.contiguous()
    total = x if y is None else torch.empty_like(x)
    normed = torch.empty_like(x)
    by_rows(x, lambda a, b: call("norm", x, y, weight, x.shape[-1], eps, a, b, total, normed))
    return total, normed


def run_norm_back(
    total: Tensor, weight: Tensor, to_normed: Tensor, to_total: Tensor | None, eps: float, again: bool = False
) -> tuple[Tensor, Tensor]:
    """The gradients of the total and of the weight; `again`: the norm itself is written over `to_normed`."""
    to_x, size = torch.empty_like(total), total.shape[-1]
    to_total = None if to_total is None else to_total.contiguous()
    normed = to_normed if again else None

    def work(a: int, b: int, to_w: Tensor) -> None:
        call("norm_back", total, weight, to_normed, to_total, size, eps, a, b, to_x, to_w, normed)

    return to_x, *_summed_by_rows(total, (weight,), work)


def run_norm_heads(qkv: Tensor, q_weight: Tensor, k_weight: Tensor, heads: tuple[int, int], eps: float) -> Tensor:
    """As `norm_heads`, without a gradient."""
    to, size = torch.empty_like(qkv), len(q_weight)
    by_rows(qkv, lambda a, b: call("norm_heads", qkv, q_weight, k_weight, *heads, size, eps, a, b, to))
    return to


def run_swiglu(both: Tensor) -> Tensor:
    """As `swiglu`, without a gradient."""
    to = both.new_empty(*both.shape[:-1], both.shape[-1] // 2)
    by_rows(both, lambda a, b: call("swiglu", both, to.shape[-1], a, b, to))
    return to


def run_swiglu_back(both: Tensor, given: Tensor, again: bool = False) -> Tensor:
    """The gradient of gate and up; `again`: what `swiglu` gives is written over `given`."""
    to, made = torch.empty_like(both), given if again else None
    by_rows(both, lambda a, b: call("swiglu_back", both, given, given.shape[-1], a, b, to, made))
    return to


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        total, normed = run_norm(x, y, weight, eps)
        ctx.save_for_backward(total, weight)
        ctx.eps, ctx.two = eps, y is not None
        ctx.set_materialize_grads(False)
        if y is None:
            ctx.mark_non_differentiable(total := x.new_empty(0))
        return total, normed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, to_total: Tensor | None, to_normed: Tensor | None) -> tuple[Tensor | None, ...]:
        total, weight = ctx.saved_tensors
        if to_normed is None:
            return to_total, to_total if ctx.two else None, None, None
        to_x, to_w = run_norm_back(total, weight, to_normed.contiguous(), to_total if ctx.two else None, ctx.eps)
        return to_x, to_x if ctx.two else None, to_w, None


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        both = both.contiguous()
        ctx.save_for_backward(both)
        return run_swiglu(both)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, given: Tensor) -> Tensor:
        return run_swiglu_back(*ctx.saved_tensors, given.contiguous())


class _Attend(torch.autograd.Function):
    """Of queries and keys the numbers before their norms are kept, and normed again."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor, pieces: Tensor, heads: tuple[int, int],
        q_norm: Tensor | None, k_norm: Tensor | None, eps: float,
    ) -> Tensor:  # fmt: skip
        queries, keys = heads
        qkv, size = qkv.contiguous(), qkv.shape[1] // (queries + 2 * keys)
        normed = qkv if q_norm is None or k_norm is None else run_norm_heads(qkv, q_norm, k_norm, heads, eps)
        out, lse = qkv.new_empty(len(qkv), queries * size), qkv.new_empty(len(qkv), queries)
        what = (normed, cos, sin, pieces, len(pieces), queries, keys, size, size**-0.5)
        _spread(keys, qkv.numel(), lambda a, b: call("attend", *what, a, b, out, lse))
        ctx.save_for_backward(qkv, cos, sin, pieces, out, lse, q_norm, k_norm)
        ctx.heads, ctx.eps = heads, eps
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        qkv, cos, sin, pieces, out, lse, q_norm, k_norm = ctx.saved_tensors
        queries, keys = ctx.heads
        given, to, size = given.contiguous(), torch.zeros_like(qkv), qkv.shape[1] // (queries + 2 * keys)
        normed = qkv if q_norm is None else run_norm_heads(qkv, q_norm, k_norm, ctx.heads, ctx.eps)
        what = (normed, cos, sin, pieces, len(pieces), queries, keys, size, size**-0.5)
        _spread(keys, qkv.numel(), lambda a, b: call("attend_back", *what, a, b, out, lse, given, to))
        if q_norm is None:
            return to, *[None] * 7

        def work(a: int, b: int, to_q: Tensor, to_k: Tensor) -> None:  # each head is read before it is written
            call("norm_heads_back", qkv, q_norm, k_norm, to, *ctx.heads, size, ctx.eps, a, b, to, to_q, to_k)

        return to, None, None, None, None, *_summed_by_rows(qkv, (q_norm, k_norm), work), None


def _summed_by_rows(x: Tensor, weights: tuple[Tensor, ...], call: Callable[..., object]) -> list[Tensor]:
    """Call for ranges of rows, each with weight gradients of its own; give their sums, which do not depend on who was first."""
    made: dict[int, list[Tensor]] = {}

    def work(a: int, b: int) -> None:
        made[a] = [torch.zeros_like(w) for w in weights]
        call(a, b, *made[a])

    by_rows(x, work)
    first, *others = (made[a] for a in sorted(made))
    for more in others:
        for into, other in zip(first, more, strict=True):
            into.add_(other)
    return first


def by_rows(x: Tensor, work: Callable[[int, int], object]) -> None:
    """Call `work(first, end)` for all rows of x (..., D), cut among threads where there are many numbers."""
    _spread(x.numel() // x.shape[-1], x.numel(), work)


def _spread(pieces: int, numbers: int, work: Callable[[int, int], object]) -> None:
    """Call `work(first, end)` for all pieces: at once, or a share for each of torch's threads."""
    threads = min(torch.get_num_threads(), pieces)
    if threads <= 1 or numbers < WORTH:
        work(0, pieces)
        return
    ends = [pieces * i // threads for i in range(threads + 1)]
    waiting = [_pool(threads).submit(work, a, b) for a, b in pairwise(ends[1:])]
    work(0, ends[1])
    for one in waiting:
        one.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def call(name: str, *given: Any) -> None:
    """Call a kernel: tensors as pointers, whole numbers as int64, others as float32, what ctypes knows as it is."""
    found = library()
    assert found is not None
    getattr(found, name)(*map(_as_c, given))


def _as_c(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, int):
        return ctypes.c_int64(value)
    return ctypes.c_float(value) if isinstance(value, float) else value
